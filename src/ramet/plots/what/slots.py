"""What each slot did when: a Gantt chart."""

from __future__ import annotations

from typing import Any

import numpy as np

from ramet.plots import thinning
from ramet.plots.picture import Axis, Bars, Cells, Color, Layer, Panel, Picture, Shade, nothing
from ramet.plots.source import Given, Source
from ramet.view.values import count

BARS = 3000
"""Pieces of work that are drawn as bars; more become a raster."""
RASTER = 15_000
KINDS = ("waiting", "restoring", "training", "saving")
"""What a slot does up to a checkpoint, in its order: first it waits for the answer to the one before."""
COLORS: dict[str, Color] = {"restoring": 2, "training": 0, "saving": 1, "waiting": "missing"}


def slots(run: Given) -> Picture:
    """Show what each slot did over time: waiting for an answer, restoring a checkpoint, training, saving the next one.

    Of very many stretches of work it is shown which share of the time a slot has trained.

    Args:
        run: the run: a `Run`, the path of one, or its `ResultGrid`.

    Raises:
        RunError: there is no such run.
    """
    from ramet.analysis.times import stretches

    source = Source(run)
    found = stretches(source.trace)
    known = np.flatnonzero(np.isfinite(found.begin) & np.isfinite(found.end) & (np.asarray(found.slot) >= 0))
    if not len(known):
        return nothing(
            "Slots", "The run does not tell which slot did what: it is of an earlier version, or has not begun."
        )
    slot = np.asarray(found.slot)[known]
    names, row = np.unique(slot, return_inverse=True)
    zero = float(found.begin[known].min())
    unit, seconds = _unit(float(found.end[known].max()) - zero)
    begin, end = (found.begin[known] - zero) / seconds, (found.end[known] - zero) / seconds
    spent = {kind: np.nan_to_num(np.asarray(getattr(found, kind), "f8")[known]) / seconds for kind in KINDS}
    pieces = _Pieces(row, np.asarray(found.segment)[known], begin, end, spent)
    few = len(pieces) <= BARS
    layers: list[Layer] = _bars(pieces) if few else [_raster(row, begin, spent, float(end.max()))]
    step = next(s for s in (1, 2, 5, 10, 20, 50, 100, 500, 10**9) if len(names) <= 20 * s)
    places = list(range(0, len(names), step))
    ticks = (places, [str(names[place]) for place in places])
    y = Axis("slot", ticks=ticks, limits=(len(names) - 0.4, -0.6))
    panel = Panel(layers, Axis(f"time since the first checkpoint was begun ({unit})", limits=(0, float(end.max()))), y)
    whole = len(names) * float(end.max())
    share = {kind: float(spent[kind].sum()) / max(whole, 1e-300) for kind in ("training", *KINDS)}
    told = ", ".join(f"{each:.0%} {kind}" for kind, each in share.items() if each >= 0.005)
    shade = None if few else Shade("share of the time in training", 0, 1, "cividis")
    title = f"{count(len(names), 'slot')}: {told or 'next to nothing was done'}"
    height = min(max(1.9 + 0.3 * len(names), 2.6), 7)
    return Picture(title, [panel], "" if few else "a cell is a stretch of time", shade, size=(7.2, height))


def _unit(span: float) -> tuple[str, float]:
    return ("s", 1.0) if span < 300 else ("min", 60.0) if span < 3 * 3600 else ("h", 3600.0)


class _Pieces:
    """What the slots did, piece by piece: what goes on across a checkpoint is one piece."""

    def __init__(self, row: Any, segment: Any, begin: Any, end: Any, spent: dict[str, Any]) -> None:
        left, parts = begin, []
        for number, kind in enumerate(KINDS):
            right = np.minimum(left + spent[kind], end)
            there = right > left
            parts.append((row[there], left[there], right[there], np.full(there.sum(), number), segment[there]))
            left = right
        row, left, right, kind_, segment = (np.concatenate(each) for each in zip(*parts, strict=True))
        order = np.lexsort((left, row))
        row, left, right, kind_, segment = (each[order] for each in (row, left, right, kind_, segment))
        same = (row[1:] == row[:-1]) & (kind_[1:] == kind_[:-1]) & (segment[1:] == segment[:-1])
        same &= left[1:] - right[:-1] <= 1e-6 * (right[1:] - left[1:])
        first, last = np.append(True, ~same)[: len(row)], np.append(~same, True)[: len(row)]
        self.row, self.left, self.right, self.kind = row[first].astype("f8"), left[first], right[last], kind_[first]

    def __len__(self) -> int:
        return len(self.row)


def _bars(pieces: _Pieces) -> list[Layer]:
    layers: list[Layer] = []
    for number, kind in enumerate(KINDS):
        own = pieces.kind == number
        if own.any():
            ends = pieces.left[own], pieces.right[own]
            layers.append(Bars(*ends, pieces.row[own], 0.8, color=COLORS[kind], label=kind))
    return layers


def _raster(row: Any, begin: Any, spent: dict[str, Any], reach: float) -> Cells:
    count_ = int(row.max()) + 1
    x = thinning.edges(0, reach, min(300, max(RASTER // count_, 20)), whole=False)
    z = np.zeros((count_, len(x) - 1))
    start = begin + spent["waiting"] + spent["restoring"]
    for slot in range(count_):
        own = np.flatnonzero(row == slot)
        own = own[np.argsort(start[own], kind="stable")]
        # The time that it had trained until a moment grows as long as it trains, and rests in between.
        moments = np.column_stack([start[own], start[own] + spent["training"][own]]).ravel()
        total = np.repeat(np.cumsum(spent["training"][own]), 2)
        total[::2] -= spent["training"][own]
        z[slot] = np.diff(np.interp(x, np.maximum.accumulate(moments), total)) / np.diff(x)
    return Cells(x, np.arange(count_ + 1) - 0.5, np.clip(z, 0, 1))
