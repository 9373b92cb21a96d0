"""How the scores of the population rose, with the moments at which members became clones."""

from __future__ import annotations

from typing import Any

import numpy as np

from ramet.plots import thinning
from ramet.plots.picture import MOST, Axis, Band, Columns, Layer, Lines, Panel, Picture, Points, nothing, stressed
from ramet.plots.source import Given, Scores, Source, named
from ramet.view.values import count, number

STRETCHES = 250


def envelope(run: Given, metric: str | None = None) -> Picture:
    """Show the scores by training iteration: of a few members a line each, with a ring where one became a clone; of
    many between which scores all of them and their middle half lie, the median, and how many became clones when.

    The extremes are those of all reports that are looked at, however coarse the picture is.

    Args:
        run: a `Run`, the path of one, or its `ResultGrid`.
        metric: name of a reported metric, by default the one that the run is judged by.

    Raises:
        ConfigError: nobody reported such a metric.
        RunError: there is no such run.
    """
    source = Source(run)
    asked = metric or source.metric
    if asked is None:
        return nothing("Scores", "The run is not judged by any metric: name one that was reported.")
    scores = source.scores(metric)
    if not np.isfinite(scores.value).any():
        why = "Nobody has reported it yet." if not len(scores.value) else "No report of it is a finite number."
        return nothing(f"Scores: {named(asked)}", why)
    limits, outside = thinning.near(scores.value, source.best_value if asked == source.metric else None)
    own = asked == source.metric
    layers = _lines(source, scores) if source.few else _bands(source, scores)
    way = _lineage(source, scores)
    if way is not None:
        layers.insert(*stressed(layers, way, behind=source.few))
    along = Axis("training iteration", limits=(0, 1.01 * source.iterations))
    panels = [Panel(layers, along, Axis(source.scored(asked), limits=limits), height=1.0)]
    clones = _clones(source)
    if len(clones):
        if source.few:
            layers += _rings(source, scores, clones)
        edges = thinning.edges(0, source.iterations, 100 if source.count > 8 else 60)
        times = np.histogram(source.trace.segments.start[clones], edges)[0]
        there = times > 0
        bars = Columns(edges[:-1][there], edges[1:][there], times[there], "attention")
        panels.append(Panel([bars], along, Axis("exploits", whole=True), height=0.22))
    notes = [] if scores.every else ["scores at checkpoints"]
    if outside:
        notes.append(f"{count(outside, 'report')} beyond the frame")
    title = f"{named(asked)}, {count(source.count, 'member')}, {count(len(clones), 'exploit')}"
    if own and source.best_value is not None:
        title = f"Best {named(asked)} {number(source.best_value)}: {count(source.count, 'member')}, "
        title += count(len(clones), "exploit")
    return Picture(title, panels, "; ".join(notes), size=(7.2, 4.6))


def _clones(source: Source) -> Any:
    segments = source.trace.segments
    return np.flatnonzero((segments.donor >= 0) & (segments.parent >= 0))


def _lines(source: Source, scores: Scores) -> list[Layer]:
    segments, layers = source.trace.segments, list[Layer]()
    member = segments.member[scores.segment]
    for each in range(source.count):
        own = np.flatnonzero(member == each)
        own = own[np.lexsort((scores.iteration[own], scores.segment[own]))]
        if not len(own):
            continue
        segment, x, y = scores.segment[own], scores.iteration[own].astype("f8"), scores.value[own]
        # Where it became a clone, a line ends and another one begins.
        cut = np.flatnonzero((np.diff(segment) > 0) & (segments.donor[segment[1:]] >= 0)) + 1
        x, y = np.insert(x, cut, x[cut - 1]), np.insert(y, cut, np.nan)
        layers.append(Lines(*thinning.thinned(x, y, MOST // 2 // source.count), each, 1.2, label=f"member {each}"))
        if len(own) == 1:
            layers.append(Points(x, y, each))
    return layers


def _rings(source: Source, scores: Scores, clones: Any) -> list[Layer]:
    """Return a ring where each clone began, at its donor's score."""
    segments = source.trace.segments
    width = source.iterations + 1
    names = scores.segment * width + scores.iteration
    order = np.argsort(names)
    asked = segments.parent[clones] * width + segments.start[clones]
    at = np.minimum(np.searchsorted(names[order], asked), len(names) - 1)
    value = np.where(names[order][at] == asked, scores.value[order[at]], np.nan)
    there = np.isfinite(value)
    x, y, member = segments.start[clones][there].astype("f8"), value[there], segments.member[clones][there]
    layers: list[Layer] = []
    for each in np.unique(member).tolist():
        own = np.flatnonzero(member == each)
        own = own[np.sort(thinning.sample(len(own), 250))]
        layers.append(Points(x[own], y[own], each, mark="ring", size=5.5))
    return layers


def _bands(source: Source, scores: Scores) -> list[Layer]:
    there = np.isfinite(scores.value)
    iteration, value = scores.iteration[there], scores.value[there]
    edges = thinning.edges(0, source.iterations, STRETCHES)
    stretch = np.clip(np.searchsorted(edges, iteration, side="left") - 1, 0, len(edges) - 2)
    order = np.lexsort((value, stretch))
    names, first, size = np.unique(stretch[order], return_index=True, return_counts=True)
    value = value[order]
    low, q1, middle, q3, high = (
        value[first + np.round(share * (size - 1)).astype("i8")] for share in (0, 0.25, 0.5, 0.75, 1)
    )
    x = edges[names + 1]
    return [
        Band(x, low, high, "muted", 0.22, "all members"),
        Band(x, q1, q3, 0, 0.4, "middle half"),
        Lines(x, middle, 0, 1.2, label="median"),
    ]


def _lineage(source: Source, scores: Scores) -> tuple[Any, Any] | None:
    path = np.array(source.path(), "i8").reshape(-1, 3)
    if not len(path):
        return None
    since, upto = np.full(len(source.trace.segments), 1), np.full(len(source.trace.segments), 0)
    since[path[:, 0]], upto[path[:, 0]] = path[:, 1], path[:, 2]
    on = (scores.iteration > since[scores.segment]) & (scores.iteration <= upto[scores.segment])
    order = np.flatnonzero(on)[np.argsort(scores.iteration[on], kind="stable")]
    return thinning.thinned(scores.iteration[order].astype("f8"), scores.value[order], 1500)
