"""Which hyperparameters were in force, iteration by iteration."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from ramet.plots import thinning
from ramet.plots.picture import MOST, Axis, Band, Cells, Layer, Lines, Panel, Picture, Shade, nothing, stressed
from ramet.plots.source import Given, Source, Values
from ramet.view.values import count, number

STRETCHES = 200
"""Into how many stretches the iterations are divided where many members are told of together."""
PANELS = 8
LINES = 16


def schedules(run: Given, names: str | Sequence[str] | None = None, members: Sequence[int] | None = None) -> Picture:
    """Show the hyperparameters in force by iteration, and those along the lineage of the best model.

    A few members have a line each. Of many it is shown between which values their middle half lies, between which all
    of them lie, and the median; of words, how many members have each. An axis is logarithmic where the domain is.

    Args:
        run: a `Run`, the path of one, or its `ResultGrid`.
        names: of the hyperparameters, by default the first eight that the strategy may change.
        members: whose lines are drawn, by default everybody's.

    Raises:
        ConfigError: there is no such hyperparameter.
        RunError: there is no such run or member.
    """
    source = Source(run)
    chosen = source.names if names is None else [names] if isinstance(names, str) else list(names)
    if not len(source.trace.segments) or source.iterations == 0:
        return nothing("Schedules", "No member has reported anything yet.")
    if not chosen:
        return nothing("Schedules", "All members have the same hyperparameters.")
    wanted = [source.trace.check_member(member, f"members={list(members)}") for member in members] if members else None
    left_out = chosen[PANELS:] if names is None else []
    chosen = chosen[:PANELS] if names is None else chosen
    path, lines = source.path(), source.few or (wanted is not None and len(wanted) <= LINES)
    panels, shade = [], None
    for name in chosen:
        values = source.values(name)
        layers: list[Layer] = []
        if lines:
            layers += _each(source, values, wanted, MOST // (2 * len(chosen)))
        elif values.words is None:
            layers += _bands(source, values, wanted)
        else:
            layers.append(_shares(source, values, wanted))
            shade = Shade("share of members", 0, 1, "cividis")
        if path:
            way = _steps(values, path)
            layers.insert(*stressed(layers, thinning.thinned(*way, 1500), behind=lines))
        along = Axis("training iteration", limits=(0, float(source.iterations)))
        panels.append(Panel(layers, along, values.axis()))
    note = f"{count(len(left_out), 'more hyperparameter')} not shown: name them" if left_out else ""
    size = (7.2, 1.3 + 1.55 * len(panels) if len(panels) > 1 else 3.8)
    return Picture(_title(source, chosen, path), panels, note, shade, size=size)


def _steps(values: Values, pieces: Sequence[tuple[int, int, int]]) -> tuple[Any, Any]:
    found = np.array([piece for piece in pieces if piece[2] > piece[1]], "i8").reshape(-1, 3)
    return found[:, 1:].ravel().astype("f8"), np.repeat(values.at[found[:, 0]], 2)


def _each(source: Source, values: Values, wanted: Sequence[int] | None, most: int) -> list[Layer]:
    segments, ends = source.trace.segments, source.trace.ends
    members = list(range(source.count)) if wanted is None else list(wanted)
    layers: list[Layer] = []
    for place, member in enumerate(members):
        own = np.flatnonzero((segments.member == member) & (ends > segments.start))
        if not len(own):
            continue
        start, end, at = segments.start[own], ends[own], values.at[own]
        if values.words is not None and len(members) > 1:  # side by side
            at = at + 0.4 * (place / (len(members) - 1) - 0.5)
        back = np.append(False, start[1:] != end[:-1])  # a clone of an earlier or a later model: the line begins anew
        gap = np.where(back, np.nan, at)
        x, y = np.column_stack([start, start, end]).ravel().astype("f8"), np.column_stack([gap, at, at]).ravel()
        x, y = thinning.thinned(x, y, most // len(members))
        layers.append(Lines(x, y, member if source.few else place, 1.2, 0.85, label=f"member {member}"))
    return layers


def in_force(source: Source, middles: Any, wanted: Sequence[int] | None = None) -> Any:
    """Return the segment that each member trained at some iterations, a row for each member; -1 where none."""
    segments, ends = source.trace.segments, source.trace.ends
    order = np.lexsort((segments.start, segments.member))
    bounds = np.searchsorted(segments.member[order], np.arange(source.count + 1))
    members = range(source.count) if wanted is None else wanted
    found = np.full((len(members), len(middles)), -1)
    for row, member in enumerate(members):
        own = order[bounds[member] : bounds[member + 1]]
        # Of several that passed an iteration the one that began last is shown.
        at = np.searchsorted(segments.start[own], middles, side="right") - 1
        here = own[np.maximum(at, 0)] if len(own) else at
        there = (at >= 0) & (middles <= ends[own].max(initial=0))
        found[row, there] = here[there]
    return found


def _sampled(source: Source, values: Values, wanted: Sequence[int] | None) -> tuple[Any, Any]:
    edges = thinning.edges(0, source.iterations, STRETCHES)
    held = in_force(source, (edges[1:] + edges[:-1]) / 2, wanted)
    return edges, np.where(held >= 0, values.at[held], np.nan)


def _bands(source: Source, values: Values, wanted: Sequence[int] | None) -> list[Layer]:
    edges, at = _sampled(source, values, wanted)
    there = np.isfinite(at).any(axis=0)
    middles = ((edges[1:] + edges[:-1]) / 2)[there]
    low, first, middle, third, high = np.nanquantile(at[:, there], [0, 0.25, 0.5, 0.75, 1], axis=0, method="nearest")
    return [
        Band(middles, low, high, "muted", 0.22, "all members"),
        Band(middles, first, third, 0, 0.4, "middle half"),
        Lines(middles, middle, 0, 1.2, label="median"),
    ]


def _shares(source: Source, values: Values, wanted: Sequence[int] | None) -> Cells:
    edges, at = _sampled(source, values, wanted)
    words = values.words or []
    z = np.array([(at == place).sum(axis=0) for place in range(len(words))], "f8")
    total = np.isfinite(at).sum(axis=0)
    return Cells(edges, np.arange(len(words) + 1) - 0.5, np.where(total > 0, z / np.maximum(total, 1), np.nan))


def _title(source: Source, chosen: Sequence[str], path: Sequence[tuple[int, int, int]]) -> str:
    what = chosen[0] if len(chosen) == 1 else count(len(chosen), "hyperparameter")
    told = f"Schedules of {source.values(what).label if len(chosen) == 1 else what}, {count(source.count, 'member')}"
    if source.best_value is not None:
        changes = sum(1 for before, after in itertools.pairwise(path) if before[0] != after[0])
        told += f": {count(changes, 'change')} on the way to {number(source.best_value)}"
    return told
