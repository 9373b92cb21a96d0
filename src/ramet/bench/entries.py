"""What is compared: the table of strategies. A new one is a row of `ENTRIES`."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ramet
from ramet.errors import ConfigError
from ramet.problems import Problem
from ramet.schedulers import BinaryTournament, WelchTest

Make = Callable[[Problem, int, int], ramet.Strategy]


def _anything(problem: Problem, members: int) -> str | None:
    del problem, members
    return None


def _as_asked(problem: Problem, members: int, steps: int) -> int:
    del problem, steps
    return members


@dataclass(frozen=True)
class Entry:
    """A strategy under the settings that it is compared with.

    Args:
        text: what it is, in a line.
        make: problem, reports between two decisions, members -> a new strategy for one run.
        unfit: problem, members -> why it cannot be compared there; None where it can.
        population: problem, members asked for, steps -> how many members it has. Only for those that end some early:
            all together must make as many reports as the others, or a little less.
    """

    text: str
    make: Make
    unfit: Callable[[Problem, int], str | None] = _anything
    population: Callable[[Problem, int, int], int] = _as_asked


def _random_search(problem: Problem, interval: int, members: int) -> ramet.Strategy:
    del problem, interval, members
    return ramet.RandomSearch()


def _of(kind: type[ramet.Strategy], **settings: Any) -> Make:
    """Return what makes a strategy that decides every ``interval`` reports, in rounds."""

    def make(problem: Problem, interval: int, members: int) -> ramet.Strategy:
        del members
        arguments = {"perturbation_interval": interval, "synch": True, **settings}
        return kind(time_attr="training_iteration", hyperparam_mutations=dict(problem.mutations), **arguments)  # type: ignore[call-arg]

    return make


REDUCTION = 4


def _asha(problem: Problem, interval: int, members: int) -> ramet.Strategy:
    del interval, members
    return ramet.ASHA(max_t=problem.steps, grace_period=_grace(problem.steps), reduction_factor=REDUCTION, synch=True)


def _grace(steps: int) -> int:
    return max(steps // REDUCTION**2, 1)


def _halved(problem: Problem, members: int, steps: int) -> int:
    """Return how many members successive halving may begin with to make no more reports than ``members`` would."""
    count, founders = members, problem.founders
    while halving_cost(count + founders, steps) <= members * steps:
        count += founders
    return count


def halving_cost(members: int, steps: int) -> int:
    """Return the reports of all members together, where one in four goes on at each rung.

    >>> halving_cost(16, 32)
    80
    """
    total, at, rung = 0, 0, _grace(steps)
    while rung < steps:
        total += members * (rung - at)
        members, at, rung = math.ceil(members / REDUCTION), rung, rung * REDUCTION
    return total + members * (steps - at)


PACES = (1, 2, 5, 10)


def _multi_frequency(problem: Problem, interval: int, members: int) -> ramet.Strategy:
    del interval
    frequencies = PACES[: max(members // 4, 1)]
    return _of(ramet.MultiFrequencyPBT, frequencies=frequencies, perturbation_interval=1)(problem, 1, members)


def _multi_objective(problem: Problem, interval: int, members: int) -> ramet.Strategy:
    metrics = dict(problem.objectives)
    return _of(ramet.MultiObjectivePBT, metrics=metrics)(problem, interval, members)


def _at_least(least: int) -> Callable[[Problem, int], str | None]:
    def unfit(problem: Problem, members: int) -> str | None:
        del problem
        return f"it needs {least} members" if members < least else None

    return unfit


def _one_goal(problem: Problem, members: int) -> str | None:
    del members
    return None if problem.objectives else "the problem has one goal"


def _iterated(problem: Problem, interval: int, members: int) -> ramet.Strategy:
    del interval
    # Shrinking is for weights of networks; the state of the other problems is how far a model has come.
    restarts = "shrink" if problem.needs else "fresh"
    return _of(ramet.IteratedPBT, restarts=restarts, perturbation_interval=1, max_t=problem.steps)(problem, 1, members)


def _fire(problem: Problem, interval: int, members: int) -> ramet.Strategy:
    return _of(ramet.FirePBT, evaluations=interval)(problem, interval, members)


_PBT = ramet.PopulationBasedTraining

ENTRIES: dict[str, Entry] = {
    "random search": Entry("every founder trains to the end as it was drawn", _random_search),
    "ASHA": Entry("more members, of which one in four goes on at each rung", _asha, population=_halved),
    "no exploit": Entry("everyone explores by itself, nobody is cloned", _of(ramet.NoExploit)),
    "PBT": Entry("quarters, resampling 0.25, factors 1.2 and 0.8", _of(_PBT)),
    "PBT x2": Entry("the same with factors 2 and 0.5", _of(_PBT, perturbation_factors=(2.0, 0.5))),
    "PBT duel": Entry("the same with binary tournaments", _of(_PBT, exploit=BinaryTournament())),
    "PBT t-test": Entry("the same with Welch's test of the last 10 scores", _of(_PBT, exploit=WelchTest())),
    "FirePBT": Entry("a part is judged by how fast it could learn", _fire, _at_least(6)),
    "IteratedPBT": Entry("intervals from 1 report on, doubled at restarts", _iterated),
    "DexPBT": Entry("only gaps beyond doubt are closed, in steps of 1.1 to 1.5", _of(ramet.DexPBT)),
    "PairwisePBT": Entry("clones move towards whom they clone, with momentum", _of(ramet.PairwisePBT)),
    "MultiObjectivePBT": Entry("fronts of several goals at once", _multi_objective, _one_goal),
    "PB2": Entry("a Gaussian process chooses what clones try", _of(ramet.PB2)),
    "MultiFrequencyPBT": Entry("groups that decide every 1, 2, 5 and 10 reports", _multi_frequency, _at_least(4)),
    "LadderPBT": Entry("as it comes, told nothing about intervals", _of(ramet.LadderPBT, perturbation_interval=1)),
}
"""By name, in the order in which they are told. Settings are the same for all problems."""


def known(name: str, names: list[str], option: str) -> str:
    """Return the one of ``names`` that is meant: case, spaces and hyphens make no difference.

    Raises:
        ConfigError: it is none of them.

    >>> known("random-search", list(ENTRIES), "--strategies")
    'random search'
    """

    def bare(text: str) -> str:
        return "".join(text.lower().replace("-", " ").split())

    for one in names:
        if bare(one) == bare(name):
            return one
    raise ConfigError(f"{option}: there is no {name.strip()!r}: choose among {', '.join(names)}")
