"""Who descends from whom: a row for each member, coloured by a score or a hyperparameter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ramet.analysis.descent import founders, lived_on
from ramet.errors import ConfigError
from ramet.plots import thinning
from ramet.plots.ink import FEW
from ramet.plots.picture import LONG, Axis, Bars, Cells, Layer, Lines, Panel, Picture, Points, Shade, nothing
from ramet.plots.source import CONFIG, Given, Source, Values, decades
from ramet.view.values import count, number

BARS = 2500
"""Stretches that are drawn as a bar each; more become a raster."""
RASTER = 12_000
BRANCHES = 1000
"""Segments whose weights lived on that are drawn as lines, and clones whose descent is."""
LINKS = 300
"""Clones whose descent is drawn, as far as they left no weights; of those that did, all are."""
CROWD = 100
"""Members of which only what several models have in common is drawn, since lines would cover the rows."""
CORNERS = np.linspace(0, 1, 7)


def lineage(run: Given, color: str = "score", member: int | None = None) -> Picture:
    """Show who descends from whom: a row for each member, with bars as long as it trained and a line to each clone.

    A bar is thick as far as its weights are in a model that is there at the end, and thin where they were given up.
    Runs of many stretches are a raster instead, with lines along the weights that lived on. Where members pass an
    iteration twice, as they do without ``synch=True``, they are laid out along the iterations that the member itself
    has trained.

    Args:
        run: a `Run`, the path of one, or its `ResultGrid`.
        color: ``"score"``, the name of a reported metric, ``"config/…"`` of a hyperparameter, ``"member"``: whose clone
            it was last, or ``"founder"``: from whom it descends.
        member: whose model's lineage is stressed, by default the best one's.

    Raises:
        ConfigError: nobody reported such a metric, or there is no such hyperparameter.
        RunError: there is no such run or member.
    """
    source = Source(run)
    segments, ends = source.trace.segments, source.trace.ends
    if not len(segments) or source.iterations == 0:
        return nothing("Lineage", "No member has reported anything yet.")
    path = source.path(member)
    pieces, shade = _coloured(source, color)
    alive = lived_on(source.trace)
    coarse = len(pieces.segment) > BARS
    layers: list[Layer] = [_raster(source, pieces)] if coarse else _bars(source, pieces, alive)
    layers += _links(source, alive, coarse)
    if coarse:
        thin = source.count > CROWD
        x, y = _along(source, np.flatnonzero(_shown(source, alive, coarse)), alive)
        told = "weights that lived on" + (" in several models" if thin else "")
        layers.append(Lines(x, y, "ink", 0.5 if thin else 0.8, 0.8, halo=not thin, label=told))
    if path:
        x, y = _route(source, path)
        told = "best lineage" if member is None else f"lineage of member {member}"
        layers.append(Lines(x, y, "ink", 2.0 if len(x) < LONG else 0.9, halo=True, label=told))
    failed = [place.segment for place in source.trace.places if place.state == "failed" and place.segment >= 0]
    if failed:
        at, rows = ends[failed] + source.offset[failed], segments.member[failed].astype("f8")
        layers.append(Points(at, rows, "attention", mark="x", size=8, label="failed"))
    rows = np.arange(source.count)
    step = next(s for s in (1, 2, 5, 10, 20, 50, 100, 500, 10**9) if source.count <= 20 * s)
    y_axis = Axis(
        "member", ticks=(rows[::step].tolist(), [str(n) for n in rows[::step]]), limits=(source.count - 0.4, -0.6)
    )
    panel = Panel(layers, Axis(source.along, limits=(0, 1.01 * float((ends + source.offset).max()))), y_axis)
    height = min(max(1.9 + 0.3 * source.count, 2.8), 7.5)
    return Picture(_title(source), [panel], _note(source, coarse, alive), shade, size=(7.2, height))


class _Pieces:
    """Stretches of segments with a value each: up to ``upto``, from where the one before of the same segment ends."""

    def __init__(self, source: Source, segment: Any, upto: Any, value: Any) -> None:
        order = np.lexsort((upto, segment))
        self.segment, self.upto, self.value = segment[order], upto[order], value[order]
        start = source.trace.segments.start[self.segment]
        before = np.append(-1, self.upto[:-1]) if len(order) else self.upto
        same = np.append(False, self.segment[1:] == self.segment[:-1]) if len(order) else np.zeros(0, bool)
        self.since = np.where(same, before, start)


def _coloured(source: Source, color: str) -> tuple[_Pieces, Shade | None]:
    segments, ends = source.trace.segments, source.trace.ends
    whole, values = np.arange(len(segments)), None
    if color == "founder":
        return _by_member(source, whole, segments.member[founders(source.trace)], "founder (its member)")
    if color == "member":
        return _by_member(
            source, whole, np.where(segments.donor >= 0, segments.donor, segments.member), "cloned from member"
        )
    if color.startswith(CONFIG):
        values = source.values(color)
        return _Pieces(source, whole, ends, values.at), shade_of(values)
    if color == "score" and source.metric is None:
        return _Pieces(source, whole, ends, np.full(len(segments), np.nan)), None
    try:
        found = source.scores(None if color == "score" else color)
    except ConfigError:
        if any(color in each for each in source._flat):
            raise ConfigError(f"color={color!r} is a hyperparameter: ask for color={CONFIG + color!r}") from None
        raise
    # What a segment did after its last score has none.
    segment = np.append(found.segment, whole)
    upto, value = np.append(found.iteration, ends), np.append(found.value, np.full(len(whole), np.nan))
    _, first = np.unique(segment * (source.iterations + 1) + upto, return_index=True)
    pieces = _Pieces(source, segment[first], upto[first], value[first])
    finite = found.value[np.isfinite(found.value)]
    if not len(finite):
        return pieces, None
    limits, _ = thinning.near(finite)
    low, high = limits or (float(finite.min()), float(finite.max()))
    return pieces, Shade(source.scored(None if color == "score" else color), low, high)


def _by_member(source: Source, segment: Any, whose: Any, label: str) -> tuple[_Pieces, Shade]:
    pieces = _Pieces(source, segment, source.trace.ends, whose.astype("f8"))
    if source.count > FEW:
        return pieces, Shade(label, 0, source.count - 1, "viridis")
    ticks = (list(range(source.count)), [str(n) for n in range(source.count)])
    return pieces, Shade(label, -0.5, source.count - 0.5, "members", ticks, steps=source.count)


def shade_of(values: Values) -> Shade:
    """Return the shade of a hyperparameter's values, which for logarithmic ones is of their logarithms."""
    if values.words is not None:
        places = list(range(len(values.words)))
        return Shade(values.label, -0.5, len(places) - 0.5, "viridis", (places, values.words), steps=len(places))
    finite = values.at[np.isfinite(values.at)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    if values.log:
        low, high = float(np.log10(low)), float(np.log10(high))
        return Shade(values.label, low, high, "viridis", decades(low, high), log=True)
    return Shade(values.label, low, high)


def _bars(source: Source, pieces: _Pieces, alive: Any) -> list[Layer]:
    member, offset = source.trace.segments.member[pieces.segment], source.offset[pieces.segment]
    cut = np.clip(alive[pieces.segment], pieces.since, pieces.upto)
    layers: list[Layer] = []
    for left, right, height in ((pieces.since, cut, 0.82), (cut, pieces.upto, 0.22)):
        there = right > left
        if there.any():
            ends = (left + offset)[there], (right + offset)[there]
            layers.append(Bars(*ends, member[there].astype("f8"), height, pieces.value[there]))
    return layers


def _raster(source: Source, pieces: _Pieces) -> Cells:
    """Return a raster in which each cell shows the value at its middle."""
    member, offset = source.trace.segments.member[pieces.segment], source.offset[pieces.segment]
    reach = float((pieces.upto + offset).max())
    x = thinning.edges(0, reach, min(400, max(RASTER // source.count, 20)))
    middles = (x[1:] + x[:-1]) / 2
    z = np.full((source.count, len(middles)), np.nan)
    order = np.lexsort(((pieces.upto + offset), member))
    bounds = np.searchsorted(member[order], np.arange(source.count + 1))
    for row in range(source.count):
        own = order[bounds[row] : bounds[row + 1]]
        upto = (pieces.upto + offset)[own]
        at = np.searchsorted(upto, middles)
        there = at < len(own)
        z[row, there] = pieces.value[own[at[there]]]
    return Cells(x, np.arange(source.count + 1) - 0.5, z)


def _links(source: Source, alive: Any, coarse: bool) -> list[Layer]:
    """Return curves from donors to their clones: of those whose weights lived on, and of the others if they are few."""
    segments, offset = source.trace.segments, source.offset
    clones = np.flatnonzero((segments.donor >= 0) & (segments.parent >= 0))
    strong = _shown(source, alive, coarse)[clones]
    layers: list[Layer] = []
    for chosen, alpha, label in ((clones[~strong], 0.35, ""), (clones[strong], 0.9, "becomes a clone")):
        if not len(chosen) or ((coarse or len(chosen) > LINKS) and not label):
            continue
        parent, start = segments.parent[chosen], segments.start[chosen]
        x0, x1 = (start + offset[parent])[:, None], (start + offset[chosen])[:, None]
        y0, y1 = segments.member[parent].astype("f8")[:, None], segments.member[chosen].astype("f8")[:, None]
        if coarse or len(chosen) > LINKS:
            x, y = np.hstack([x0, x1, np.full_like(y0, np.nan)]), np.hstack([y0, y1, np.full_like(y0, np.nan)])
        else:
            # Bent, and the more the longer, so that those of one moment can be told apart.
            bend = 0.015 * float((source.trace.ends + offset).max()) * (0.3 + abs(y1 - y0) / max(source.count, 1))
            x = x0 + (x1 - x0) * CORNERS - bend * 4 * CORNERS * (1 - CORNERS)
            y = y0 + (y1 - y0) * (3 * CORNERS**2 - 2 * CORNERS**3)
            gap = np.full((len(chosen), 1), np.nan)
            x, y = np.hstack([x, gap]), np.hstack([y, gap])
        layers.append(Lines(x.ravel(), y.ravel(), "ink", 0.7, alpha, label="" if coarse else label))
    return layers


def _shown(source: Source, alive: Any, coarse: bool) -> Any:
    """Return which segments' weights lived on; of a raster of many members without those that only one model is made
    of, and of very many segments only those that the most models are made of.
    """
    segments = source.trace.segments
    strong = alive > segments.start
    thin = coarse and source.count > CROWD
    if not thin and strong.sum() <= BRANCHES:
        return strong
    parents, models = segments.parent.tolist(), [0] * len(segments)
    for place in source.trace.places:
        if place.segment >= 0:
            models[place.segment] = 1
    for child in range(len(models) - 1, -1, -1):  # children come after their parents
        if parents[child] >= 0:
            models[parents[child]] += models[child]
    made = np.where(strong, models, 0)
    if thin:
        strong &= made > 1
    if strong.sum() > BRANCHES:
        strong[np.argsort(-made, kind="stable")[BRANCHES:]] = False
    return strong


def _along(source: Source, chosen: Any, upto: Any) -> tuple[Any, Any]:
    """Return lines along segments, from their start as far as their weights lived on."""
    segments, offset = source.trace.segments, source.offset
    gap = np.full(len(chosen), np.nan)
    x = np.column_stack([segments.start[chosen] + offset[chosen], upto[chosen] + offset[chosen], gap])
    y = segments.member[chosen].astype("f8")
    return x.ravel(), np.column_stack([y, y, gap]).ravel()


def _route(source: Source, path: Sequence[tuple[int, int, int]]) -> tuple[Any, Any]:
    numbers = np.array(path)
    offset, member = source.offset[numbers[:, 0]], source.trace.segments.member[numbers[:, 0]].astype("f8")
    x = np.column_stack([numbers[:, 1] + offset, numbers[:, 2] + offset]).ravel()
    return x, np.repeat(member, 2)


def _title(source: Source) -> str:
    segments = source.trace.segments
    clones = int(((segments.donor >= 0) & (segments.parent >= 0)).sum())
    current = [place.segment for place in source.trace.places if place.segment >= 0]
    there, began = len(np.unique(founders(source.trace)[current])), int((segments.parent < 0).sum())
    told = f"{count(source.count, 'member')}, {count(clones, 'exploit')}"
    if clones:
        told += f": {there} of {count(began, 'founder')} {'lives' if there == 1 else 'live'} on"
    return told


def _note(source: Source, coarse: bool, alive: Any) -> str:
    notes = []
    if coarse:
        notes.append("a cell shows the value at its middle")
        if (alive > source.trace.segments.start).sum() > BRANCHES:
            notes.append("lines: what the most models are made of")
    elif (alive < source.trace.ends).any():
        notes.append("thin: weights that were given up")
    if source.best_value is not None:
        notes.append(f"best: member {source.best} with {number(source.best_value)}")
    return "; ".join(notes)
