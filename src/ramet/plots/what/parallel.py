"""All hyperparameters and the score of every member, side by side."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np

from ramet.plots import thinning
from ramet.plots.picture import Axis, Layer, Lines, Panel, Picture, Shade, Strands, Words, nothing
from ramet.plots.source import Given, Source, decades, named
from ramet.view.values import count, finite, number

AXES = 12
TICKS = 5


def parallel(run: Given) -> Picture:
    """Show every member as a line through the values of its hyperparameters and its score, as they are now.

    Axes are logarithmic where domains are.

    Args:
        run: a `Run`, the path of one, or its `ResultGrid`.

    Raises:
        RunError: there is no such run.
    """
    source = Source(run)
    names = source.names or list(dict.fromkeys(name for each in source._flat for name in each))
    segment = np.array([place.segment for place in source.trace.places], "i8")
    there = np.flatnonzero(segment >= 0)
    if not len(there) or not names:
        return nothing(
            "Parallel coordinates", "There are no hyperparameters." if len(there) else "Nobody has begun yet."
        )
    scores = np.array([float(v) if finite(v) else np.nan for v, _ in source.standings])[there]
    axes, rows = [], []
    for name in names[:AXES]:
        values = source.values(name)
        at = values.at[segment[there]]
        if values.words is not None:
            ticks = (list(range(len(values.words))), values.words)
            axes.append(Axis(named(name), ticks=ticks, limits=(-0.5, len(values.words) - 0.5)))
        elif values.log:
            at = np.log10(at)
            limits = _limits(np.log10(values.at), at)
            axes.append(Axis(named(name), log=True, ticks=decades(*limits), limits=limits))
        else:
            limits = _limits(values.at, at)
            axes.append(Axis(named(name), ticks=_ticks(*limits), limits=limits))
        rows.append(at)
    known = scores[np.isfinite(scores)]
    shade, notes = None, []
    if len(known):
        near, outside = thinning.near(scores, source.best_value)
        low, high = near or _limits(known, known)
        axes.append(Axis(source.scored().partition(" (")[0], ticks=_ticks(low, high), limits=(low, high)))
        rows.append(np.clip(scores, low, high))
        shade = Shade(source.scored(), low, high)
        if outside:
            notes.append(f"{count(outside, 'score')} beyond the frame, drawn at its end")
    if any(axis.log for axis in axes):
        notes.append("some axes have a log scale")
    if len(names) > AXES:
        notes.append(f"{count(len(names) - AXES, 'more hyperparameter')} not shown")
    matrix = np.column_stack(rows)
    whole = np.isfinite(matrix).all(axis=1)
    if not whole.any():
        return nothing("Parallel coordinates", "No member has a value on every axis yet.")
    if not whole.all():
        notes.append(f"{count(int((~whole).sum()), 'member')} without a value on every axis left out")
    shown = scores[whole] if shade is not None else np.zeros(int(whole.sum()))
    low_, high_ = (np.array([axis.limits[side] for axis in axes if axis.limits]) for side in (0, 1))
    rows_ = (matrix[whole] - low_) / (high_ - low_)
    layers: list[Layer] = [Strands(np.arange(len(axes)), rows_, shown, [f"member {n}" for n in there[whole]])]
    layers += _rulers(axes)
    if source.best in there[whole]:
        best = rows_[int(np.flatnonzero(there[whole] == source.best)[0])]
        layers.append(Lines(np.arange(len(axes)), best, "ink", 2.0, halo=True, label=f"member {source.best}, the best"))
    texts = ["\n".join(textwrap.wrap(axis.label, max(8, 70 // len(axes)))[:3]) for axis in axes]
    across = Axis(ticks=(list(range(len(axes))), texts), limits=(-0.1, len(axes) - 0.55), shown=False)
    panel = Panel(layers, across, Axis(limits=(-0.03, 1.03), shown=False))
    title = f"{count(int(whole.sum()), 'member')} now, {count(len(rows) - (shade is not None), 'hyperparameter')}"
    if source.best_value is not None and source.best in there[whole]:
        title += f"; best: member {source.best} with {number(source.best_value)}"
    return Picture(title, [panel], "; ".join(notes), shade, size=(max(6.0, 1.3 * len(axes) + 1.5), 4.0))


def _rulers(axes: Sequence[Axis]) -> list[Layer]:
    """Return a ruler for each axis, with the texts of its ticks beside it."""
    x, y, texts, at, ends = [], [], [], [], []
    for place, axis in enumerate(axes):
        low, high = axis.limits or (0.0, 1.0)
        at += [place, place, np.nan]
        ends += [0, 1, np.nan]
        for value, text in zip(*(axis.ticks or ((), ())), strict=True):
            x.append(place)
            y.append((value - low) / (high - low))
            texts.append(text)
            at += [place - 0.02, place + 0.02, np.nan]
            ends += [y[-1], y[-1], np.nan]
    return [Lines(np.array(at, "f8"), np.array(ends, "f8"), "muted", 1.0), Words(np.array(x), np.array(y), texts)]


def _limits(every: Any, now: Any) -> tuple[float, float]:
    values = np.append(every, now)
    values = values[np.isfinite(values)]
    if not len(values):
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    if high > low:
        return low, high
    return low - 0.5 * (abs(low) or 1.0), high + 0.5 * (abs(high) or 1.0)


def _ticks(low: float, high: float) -> tuple[list[float], list[str]]:
    """Return round ticks between two values.

    >>> _ticks(0.0, 1.1)
    ([0.0, 0.5, 1.0], ['0', '0.5', '1'])
    """
    span = high - low
    step = 10.0 ** np.floor(np.log10(span / TICKS))
    step *= next(k for k in (1, 2, 5, 10) if span / (k * step) <= TICKS)
    places = [round(float(k * step), 12) for k in range(int(np.ceil(low / step)), int(np.floor(high / step)) + 1)]
    return places, [number(place) for place in places]
