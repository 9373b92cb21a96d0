"""What pictures take from a run: scores, values of hyperparameters, who is best, and where on an axis things lie."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from ramet.analysis import frames
from ramet.analysis.rows import rows_of
from ramet.analysis.run import Run
from ramet.analysis.trace import Trace
from ramet.errors import ConfigError, SpaceError
from ramet.plots.ink import FEW
from ramet.plots.picture import MOST, Axis
from ramet.space import domain_from_plain, flatten
from ramet.view.values import clean, clip, finite, number

CONFIG = frames.CONFIG
LONGEST = 40
"""Characters of a name that are shown."""


class Grid(Protocol):
    """What tells of a run's folder, such as a `ResultGrid`."""

    @property
    def experiment_path(self) -> str:
        """The run's folder."""


Given = Run | str | os.PathLike[str] | Grid
"""What a plot is made of: a `Run`, the path of one, or its `ResultGrid`."""


@dataclass(frozen=True, slots=True)
class Values:
    """The values of one hyperparameter, by segment: numbers; or places in ``words``, what is none being NaN."""

    name: str
    at: Any
    words: list[str] | None
    log: bool

    @property
    def label(self) -> str:
        """What stands at its axis."""
        return f"{named(self.name)} (log scale)" if self.log else named(self.name)

    def axis(self, shown: Any = None) -> Axis:
        """Return the axis on which these values are, or those ``shown`` of them."""
        if self.words is not None:
            places = list(range(len(self.words)))
            return Axis(self.label, ticks=(places, self.words), limits=(-0.5, len(places) - 0.5))
        return log_axis(self.label, self.at if shown is None else shown) if self.log else Axis(self.label)


@dataclass(frozen=True, slots=True)
class Scores:
    """Values of a metric as reported: by whom, in which segment, at which iteration. ``every`` is whether these are all
    reports; if not, they are those with a checkpoint.
    """

    segment: Any
    iteration: Any
    value: Any
    every: bool


class Source:
    """A run as pictures see it.

    Args:
        given: a `Run`, the path of one, or a `ResultGrid`.

    Raises:
        RunError: there is no run, or it is damaged.
        ConfigError: ``given`` is nothing of the kind.
    """

    def __init__(self, given: Given) -> None:
        if isinstance(given, Run):
            self.run = given
        elif isinstance(given, (str, os.PathLike)):
            self.run = Run(given)
        elif isinstance(path := getattr(given, "experiment_path", None), str):
            self.run = Run(path)
        else:
            raise ConfigError(
                f"a plot is made of a Run, the path of one or a ResultGrid, not of {type(given).__name__}"
            )
        self.trace: Trace = self.run.trace
        self.metric, self.mode = self.run.metric, self.run.mode
        self.count = len(self.trace.places)
        self.few = self.count <= FEW

    # ------------------------------------------------------------------ how it is said

    @property
    def better(self) -> str:
        """Which scores are better, in words."""
        return {"max": "higher is better", "min": "lower is better"}.get(self.mode or "", "")

    def scored(self, metric: str | None = None) -> str:
        """Return what stands at the axis of a metric, by default of the run's."""
        metric = metric or self.metric
        if metric is None:
            return "score"
        unit = " (s)" if metric == "time_total_s" else ""
        return f"{named(metric)}{unit}" + (f" ({self.better})" if metric == self.metric and self.better else "")

    @cached_property
    def iterations(self) -> int:
        """The furthest iteration of any segment."""
        return int(self.trace.ends.max(initial=0))

    # ------------------------------------------------------------------ who is best

    @cached_property
    def standings(self) -> list[tuple[Any, int | None]]:
        """Every member's value and rank."""
        return frames.standings(self.trace)

    @cached_property
    def best(self) -> int | None:
        """The best member; None where nobody has a score."""
        ranked = {rank: at for at, (value, rank) in enumerate(self.standings) if rank is not None and finite(value)}
        return ranked[min(ranked)] if ranked else None

    @cached_property
    def best_value(self) -> float | None:
        """The best member's score."""
        return None if self.best is None else float(self.standings[self.best][0])

    def path(self, member: int | None = None) -> list[tuple[int, int, int]]:
        """Return the segments that made a model, by default the best: each with its first and last iteration in it.

        Raises:
            RunError: there is no such member.
        """
        chosen = self.best if member is None else self.trace.check_member(member, f"member={member!r}")
        if chosen is None or self.trace.places[chosen].segment < 0:
            return []
        start = self.trace.segments.start
        return [(at, int(start[at]), end) for at, end in self.trace.lineage(self.trace.places[chosen].segment)]

    # ------------------------------------------------------------------ what was reported

    def scores(self, metric: str | None = None) -> Scores:
        """Return what was reported of a metric, by default the run's: all of it if it is not too much or not what the
        run is judged by, else what has a checkpoint.

        Raises:
            ConfigError: nobody reported it.
        """
        trace, metric = self.trace, metric or self.metric
        spans = trace.spans
        reports = int((spans["last"] - spans["first"] + 1).sum())
        if metric is None or (metric == self.metric and reports > MOST):
            kept = trace.kept
            value = frames.unsigned(trace, kept["score"]) if metric is not None else np.full(len(kept), np.nan)
            return Scores(kept["segment"], kept["iteration"], value, every=False)
        rows = rows_of(trace.bulk, trace.bulk.stretches(None, trace.last))
        own = {"training_iteration": rows.iteration, "time_total_s": rows.elapsed, "timestamp": rows.at}
        if metric in rows.metrics:
            value = numbers_of(rows.metrics[metric])
        elif metric in own:
            value = own[metric].astype("f8")
        elif len(rows) and metric != self.metric:
            known = ", ".join(sorted({*rows.metrics, *own}))
            raise ConfigError(f"nobody reported {metric!r}; reported were {known}")
        else:
            value = np.full(len(rows), np.nan)
        return Scores(rows.segment, rows.iteration, value, every=True)

    # ------------------------------------------------------------------ hyperparameters

    @cached_property
    def _flat(self) -> list[dict[str, Any]]:
        return [flatten(each) for each in self.trace.segments.hparams]

    @cached_property
    def names(self) -> list[str]:
        """The hyperparameters that the strategy may change; where there are none, those in which segments differ."""
        mutable = self.run.facts.get("mutable")
        every = dict.fromkeys(name for each in self._flat for name in each)
        if mutable:
            return [name for name in mutable if name in every]
        return [name for name in every if len({repr(each.get(name)) for each in self._flat}) > 1]

    def values(self, name: str) -> Values:
        """Return the values of one hyperparameter (with or without ``config/`` before its name).

        Raises:
            ConfigError: there is none of that name.
        """
        name = name.removeprefix(CONFIG)
        given = [each.get(name) for each in self._flat]
        if not any(name in each for each in self._flat):
            known = ", ".join(dict.fromkeys(key for each in self._flat for key in each)) or "none"
            raise ConfigError(f"there is no hyperparameter {name!r}; the run's are {known}")
        try:
            domain: Any = domain_from_plain(self.run.facts["mutable"][name])
        except (KeyError, TypeError, SpaceError):  # it does not change, or is drawn by a function
            domain = None
        listed: Sequence[Any] = getattr(domain, "values", None) or getattr(domain, "categories", None) or ()
        present = [each for each in given if each is not None]
        if not listed and all(isinstance(each, (int, float)) and not isinstance(each, bool) for each in present):
            at = numbers_of(given)
            positive = at[np.isfinite(at)]
            return Values(name, at, None, bool(getattr(domain, "log", False)) and bool((positive > 0).all()))
        words = {repr(each): named(str(each), 16) for each in (*listed, *present)}
        place = {word: float(at) for at, word in enumerate(words)}
        return Values(name, np.array([place.get(repr(each), math.nan) for each in given]), list(words.values()), False)

    # ------------------------------------------------------------------ where things lie

    @cached_property
    def offset(self) -> Any:
        """What is added to an iteration of a segment for its place: nothing, as long as no member passes an iteration
        twice; else the place is how far the member itself has trained.
        """
        segments, ends = self.trace.segments, self.trace.ends
        member, start = segments.member, segments.start
        order = np.argsort(member, kind="stable")
        same = member[order][1:] == member[order][:-1]
        if not (same & (start[order][1:] < ends[order][:-1])).any():
            return np.zeros(len(segments), "i8")
        length = (ends - start)[order]
        done = np.cumsum(length) - length
        first = np.append(True, ~same)
        before = done - np.repeat(done[first], np.diff(np.append(np.flatnonzero(first), len(order))))
        found = np.empty(len(segments), "i8")
        found[order] = before - start[order]
        return found

    @property
    def along(self) -> str:
        """What is along the horizontal axis, if places are those of `offset`."""
        if self.offset.any():
            return "iterations trained by the member"
        return "training iteration"


# ---------------------------------------------------------------------------------------------- plain things


def named(name: Any, longest: int = LONGEST) -> str:
    """Return a user's name as a picture shows it: on one line, and not too long."""
    return clip(clean(" ".join(str(name)[: 8 * LONGEST].split())), longest)


def numbers_of(values: Any) -> Any:
    """Return values as floats that can be drawn; NaN for what is no finite number."""
    if isinstance(values, np.ndarray) and values.dtype.kind in "fiu":
        found = values.astype("f8")
    else:
        plain = [
            v if isinstance(v, (int, float)) and not isinstance(v, bool) and finite(v) else math.nan for v in values
        ]
        found = np.array(plain, "f8")
    found[~np.isfinite(found)] = np.nan
    return np.clip(found, -1e100, 1e100)


def decades(low: float, high: float) -> tuple[list[float], list[str]]:
    """Return ticks for logarithms to base ten between two others: at powers of ten, or, of less than two, in between.

    >>> decades(-4.0, -1.9)
    ([-4.0, -3.0, -2.0], ['0.0001', '0.001', '0.01'])
    """
    step = max(1, math.ceil((high - low) / 6))
    places = [float(at) for at in range(math.ceil(low - 1e-9), math.floor(high + 1e-9) + 1, step)]
    if len(places) < 2:
        every = [k * 10.0**e for e in range(math.floor(low), math.ceil(high) + 1) for k in (1, 2, 5)]
        places = [math.log10(v) for v in every if low - 1e-9 <= math.log10(v) <= high + 1e-9]
    if len(places) < 2:
        places = [low, high] if high > low else [low]
    return places, [number(float(f"{10**place:.3g}")) for place in places]


def log_axis(label: str, values: Any) -> Axis:
    """Return a logarithmic axis for values above zero, with ticks that can be read."""
    values = values[np.isfinite(values)]
    if not len(values):
        return Axis(label, log=True)
    low, high = np.log10(values.min()), np.log10(values.max())
    if high - low < 0.1:
        return Axis(label, log=True)
    places, texts = decades(float(low), float(high))
    return Axis(label, log=True, ticks=([10**place for place in places], texts))
