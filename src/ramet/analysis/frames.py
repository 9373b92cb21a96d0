"""The run as tables: members, segments, reports, decisions, checkpoints."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ramet.analysis.descent import founders, lived_on
from ramet.analysis.places import Place
from ramet.analysis.rows import rows_of
from ramet.analysis.trace import Trace
from ramet.framing import framed
from ramet.space import flatten
from ramet.view.values import finite
from ramet.view.wording import cause

if TYPE_CHECKING:
    import pandas as pd

CONFIG = "config/"
"""What the names of hyperparameters begin with in every table."""


def members(trace: Trace) -> pd.DataFrame:
    """Return a row for each member. See `ramet.analysis.run.Run.members`."""
    segments, places, decided = trace.segments, trace.places, trace.decided
    count, roots, standing = len(places), founders(trace), standings(trace)
    current = np.array([place.segment for place in places], "i8")
    there = current >= 0
    reported = reported_by(trace)
    table: dict[str, Any] = {
        "member": np.arange(count),
        "state": [trace.state(place) for place in places],
        "iteration": np.where(there, trace.ends[current], 0) if len(segments) else np.zeros(count, "i8"),
        "segment": current,
        "founder": np.where(there, roots[current], -1) if len(segments) else current,
        "value": [value for value, _ in standing],
        "rank": _ranks([rank for _, rank in standing]),
        "reports": reported,
        "segments": np.bincount(segments.member[segments.member >= 0], minlength=count),
        "decisions": np.bincount(decided["member"], minlength=count),
        "exploits": np.bincount(decided["member"][_verdict(trace, "exploit")], minlength=count),
        "failures": [place.failures for place in places],
        "error": [cause(place.error) if place.state == "failed" and place.error else None for place in places],
        "reason": [place.reason for place in places],
    }
    table |= hparams(trace, [place.segment for place in places])
    return framed(table)


def segments(trace: Trace) -> pd.DataFrame:
    """Return a row for each segment. See `ramet.analysis.run.Run.segments`."""
    found, ends, lived = trace.segments, trace.ends, lived_on(trace)
    words = found.columns.words("why")
    table: dict[str, Any] = {
        "segment": np.arange(len(found)),
        "member": found.member,
        "parent": found.parent,
        "donor": found.donor,
        "founder": founders(trace),
        "why": [words[each] for each in found.columns["why"].tolist()],
        "start": found.start,
        "last": ends,
        "lived_on": np.where(lived > found.start, lived, -1),
        "score_start": scores_at(trace, found.parent, found.start),
        "score_last": _last_scores(trace),
    }
    return framed(table | hparams(trace, range(len(found))))


def reports(trace: Trace, segments: Sequence[int] | None = None, config: bool = True) -> pd.DataFrame:
    """Return a row for each report. See `ramet.analysis.run.Run.reports`."""
    rows = rows_of(trace.bulk, trace.bulk.stretches(segments, trace.last))
    trace.check(rows.segment, rows.iteration)
    table: dict[str, Any] = {
        "member": trace.segments.member[rows.segment] if len(rows) else rows.segment,
        "segment": rows.segment,
        "training_iteration": rows.iteration,
        "time_total_s": rows.elapsed,
        "timestamp": rows.at,
    }
    table |= {name: values for name, values in rows.metrics.items() if name not in table}
    if config:
        table |= {name: values[rows.segment] for name, values in hparams(trace, range(len(trace.segments))).items()}
    return framed(table)


def decisions(trace: Trace) -> pd.DataFrame:
    """Return a row for each decision. See `ramet.analysis.run.Run.decisions`."""
    decided, found = trace.decided, trace.segments
    opened = openings(trace)
    new = opened >= 0
    parent = np.where(new, found.parent[opened], -1) if len(found) else opened
    table: dict[str, Any] = {
        "event": decided["seq"],
        "member": decided["member"],
        "segment": decided["segment"],
        "iteration": decided["iteration"],
        "time": _at_points(trace, decided["segment"], decided["iteration"], "time"),
        "score": scores_at(trace, decided["segment"], decided["iteration"]),
        "verdict": _told(decided, "verdict"),
        "reason": _told(decided, "reason"),
        "opened": opened,
        "parent": parent,
        "donor": np.where(new, found.donor[opened], -1) if len(found) else opened,
        "donor_score": np.where(new, scores_at(trace, parent, np.where(new, found.start[opened], 0)), np.nan)
        if len(found)
        else np.empty(0),
    }
    before, after = hparams(trace, range(len(found))), dict[str, Any]()
    for name, values in before.items():
        after[name] = np.where(new, values[opened], values[decided["segment"]]) if len(found) else values
    return framed(table | after)


def checkpoints(trace: Trace) -> pd.DataFrame:
    """Return a row for each checkpoint that was ever kept. See `ramet.analysis.run.Run.checkpoints`."""
    kept = trace.kept
    there = {(segment, iteration): (kind, path) for segment, iteration, kind, _, path in trace.bulk.checkpoints()}
    names = list(zip(kept["segment"].tolist(), kept["iteration"].tolist(), strict=True))
    return framed(
        {
            "segment": kept["segment"],
            "iteration": kept["iteration"],
            "member": trace.segments.member[kept["segment"]] if len(kept) else kept["segment"],
            "time": kept["time"],
            "score": unsigned(trace, kept["score"]),
            "time_total_s": kept["elapsed"],
            "size": kept["size"],
            "pinned": kept["pinned"],
            "there": np.array([name in there for name in names], bool),
            "kind": [there[name][0] if name in there else None for name in names],
            "path": [there[name][1] if name in there else None for name in names],
        }
    )


# ---------------------------------------------------------------------------------------------- what they are made of


def standings(trace: Trace) -> list[tuple[Any, int | None]]:
    """Return, by member, the latest value of the run's metric as it was reported, and the member's rank by it (1 is the
    best). See `ramet.view.standing.standings`, which says the same of a population.
    """
    found, ends, metric = trace.segments, trace.ends, trace.facts.get("metric")
    mode = trace.facts.get("mode")
    values: list[Any] = []
    fresh: list[bool] = []
    for place in trace.places:
        number = place.segment
        is_fresh = number >= 0 and found.parent[number] >= 0 and ends[number] == found.start[number]
        fresh.append(bool(is_fresh))
        if metric is None or number < 0:
            values.append(None)
        elif is_fresh:
            values.append(_one_score(trace, int(found.parent[number]), int(found.start[number])))
        else:
            values.append(value_of(trace, place, lambda: reported_by(trace)))

    def goodness(number: int) -> tuple[float, bool, int]:
        value = values[number]
        signed = (-float(value) if mode == "min" else float(value)) if finite(value) else -math.inf
        return -signed, fresh[number], number

    order = sorted((n for n in range(len(values)) if values[n] is not None), key=goodness)
    ranks = {number: rank for rank, number in enumerate(order, 1)}
    return [(value, ranks.get(number)) for number, value in enumerate(values)]


def value_of(trace: Trace, place: Place, reported: Callable[[], Any]) -> Any:
    """Return the run's metric as a member reported it last; what stands in no row is counted (see `reported_by`)."""
    metric, metrics = trace.facts["metric"], trace.metrics(place.number)
    if metrics and metric not in metrics and metric == "training_iteration":
        return int(trace.ends[place.segment])
    if metrics and metric not in metrics and metric == "compute_iterations":
        return int(reported()[place.number])
    return metrics.get(metric)


def reported_by(trace: Trace) -> Any:
    """Return, by member, how many reports count as its own."""
    spans, owner = trace.spans, trace.segments.member
    own = spans[owner[spans["segment"]] >= 0] if len(spans) else spans
    counts = own["last"] - own["first"] + 1
    return np.bincount(owner[own["segment"]], counts, minlength=len(trace.places)).astype("i8")


def hparams(trace: Trace, segments: Iterable[int]) -> dict[str, Any]:
    """Return a column for each hyperparameter, ``config/…``, with its value in each of ``segments``."""
    flat = [flatten(trace.segments.hparams[number]) if number >= 0 else {} for number in segments]
    names = dict.fromkeys(name for each in flat for name in each)
    return {f"{CONFIG}{name}": column([each.get(name) for each in flat]) for name in names}


def column(values: Sequence[Any]) -> Any:
    """Return values as an array: of numbers if they all are some, with NaN where there is none; else of objects."""
    kinds = set(map(type, values))
    if kinds <= {int} or kinds <= {bool}:
        try:
            return np.array(values)
        except OverflowError:
            pass
    if kinds <= {int, float, type(None)} and kinds != {type(None)}:
        try:
            return np.array([math.nan if value is None else value for value in values], "f8")
        except OverflowError:
            pass
    found = np.empty(len(values), object)
    found[:] = values
    return found


def unsigned(trace: Trace, scores: Any) -> Any:
    """Return scores as they were reported."""
    return -scores if trace.facts.get("mode") == "min" else scores


def scores_at(trace: Trace, segment: Any, iteration: Any) -> Any:
    """Return the scores of checkpointed reports as they were reported, NaN where there is no such one."""
    return unsigned(trace, _at_points(trace, segment, iteration, "score"))


def points(trace: Trace, segment: Any, iteration: Any) -> Any:
    """Return which rows of `Trace.kept` tell of these checkpoints; -1 where none does."""
    kept = trace.kept
    if not len(kept):
        return np.full(len(segment), -1)
    width = int(max(kept["iteration"].max(), np.max(iteration, initial=0))) + 1
    names = kept["segment"] * width + kept["iteration"]
    order = np.argsort(names, kind="stable")
    asked = np.asarray(segment) * width + np.asarray(iteration)
    at = np.minimum(np.searchsorted(names[order], asked), len(names) - 1)
    return np.where(names[order][at] == asked, order[at], -1)


def openings(trace: Trace) -> Any:
    """Return, by decision, the segment that was opened by it; -1 where none was."""
    decided, found = trace.decided, trace.segments
    asks = np.isin(_told(decided, "verdict"), ("exploit", "explore", "restart")) if len(decided) else np.zeros(0, bool)
    if not len(found) or not len(decided):
        return np.full(len(decided), -1)
    width = trace.last + 1
    names = found.member * width + found.seq
    order = np.argsort(names)
    asked = decided["member"] * width + decided["seq"]
    at = np.searchsorted(names[order], asked, side="right")
    here = np.minimum(at, len(order) - 1)
    fits = asks & (at < len(order)) & (found.member[order[here]] == decided["member"])
    return np.where(fits, order[here], -1)


def _at_points(trace: Trace, segment: Any, iteration: Any, what: str) -> Any:
    rows = points(trace, segment, iteration)
    values = trace.kept[what]
    return np.where(rows >= 0, values[rows], np.nan) if len(values) else np.full(len(rows), np.nan)


def _one_score(trace: Trace, segment: int, iteration: int) -> float:
    return float(scores_at(trace, np.array([segment]), np.array([iteration]))[0])


def _last_scores(trace: Trace) -> Any:
    kept, found = trace.kept, np.full(len(trace.segments), np.nan)
    found[kept["segment"]] = unsigned(trace, kept["score"])  # in their order, so that the last one stays
    return found


def _verdict(trace: Trace, verdict: str) -> Any:
    words = trace.decided.words("verdict")
    return trace.decided["verdict"] == (words.index(verdict) if verdict in words else -1)


def _told(decided: Any, name: str) -> Any:
    return np.array(decided.words(name), object)[decided[name]] if len(decided) else np.empty(0, object)


def _ranks(ranks: list[int | None]) -> Any:
    import pandas as pd

    return pd.array(ranks, dtype="Int64")
