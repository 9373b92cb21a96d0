"""Means with their intervals, and ranks: what the runs of a comparison say together."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from ramet.bench.results import Results

_T = (
    *(12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131),
    *(2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042),
)
_T_BEYOND = ((120, 1.980), (60, 2.000), (40, 2.021), (30, 2.042))


def t_975(freedom: int) -> float:
    """Return the 97.5 % quantile of Student's t with ``freedom`` degrees of freedom, at least 1.

    From a table; between its rows the one before, which makes intervals a little too wide rather than too narrow.

    >>> [t_975(n) for n in (1, 19, 50, 1000)]
    [12.706, 2.093, 2.021, 1.98]
    """
    if freedom <= len(_T):
        return _T[freedom - 1]
    return next(value for least, value in _T_BEYOND if freedom >= least)


@dataclass(frozen=True)
class Standing:
    """How a strategy did on a problem.

    Args:
        strategy: its name.
        mean: of the scores of its runs; NaN if none ended well.
        half: half the width of the 95 % interval of the mean, by Student's t; NaN with fewer than two runs.
        seen: the mean of what the best members looked like, which differs from ``mean`` where reports are noisy.
        runs: how many ended well.
        rank: 1 for the best mean on the problem; equal means share the mean of their ranks.
    """

    strategy: str
    mean: float
    half: float
    seen: float
    runs: int
    rank: float


def mean_and_half(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean, and half the width of its 95 % interval by Student's t.

    >>> mean_and_half([1.0, 2.0, 3.0])
    (2.0, 2.484...)
    """
    if len(values) < 2:
        return (values[0] if values else math.nan), math.nan
    return statistics.fmean(values), t_975(len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))


def standings(results: Results, problem: str) -> list[Standing]:
    """Return how each strategy that was tried on a problem did, in the order of the results."""
    tried = {run["strategy"] for run in results.runs if run["problem"] == problem}
    found = {}
    for strategy in (name for name in results.strategies if name in tried):
        values, seen = results.values(problem, strategy), results.values(problem, strategy, "seen")
        found[strategy] = (*mean_and_half(values), statistics.fmean(seen) if seen else math.nan, len(values))
    sign = -1 if results.problems[problem]["mode"] == "max" else 1
    worth = [math.inf if math.isnan(row[0]) else sign * row[0] for row in found.values()]
    return [
        Standing(strategy, mean, half, seen, runs, rank)
        for (strategy, (mean, half, seen, runs)), rank in zip(found.items(), ranks(worth), strict=True)
    ]


def ranks(values: Sequence[float]) -> list[float]:
    """Return the rank of each value, 1 for the lowest; equal ones share the mean of their ranks.

    >>> ranks([0.3, 0.1, 0.3, 0.5])
    [2.5, 1.0, 2.5, 4.0]
    """
    return [sum(other < one for other in values) + (1 + sum(other == one for other in values)) / 2 for one in values]


def mean_ranks(results: Results) -> dict[str, tuple[float, int]]:
    """Return each strategy's mean rank over the problems that it was tried on, and how many those are; the best first.

    Those that were tried on all problems come first: the others had other rivals.
    """
    each: dict[str, list[float]] = {strategy: [] for strategy in results.strategies}
    for problem in results.problems:
        for standing in standings(results, problem):
            each[standing.strategy].append(standing.rank)
    means = {strategy: (statistics.fmean(found), len(found)) for strategy, found in each.items() if found}
    return dict(sorted(means.items(), key=lambda row: (-row[1][1], row[1][0])))
