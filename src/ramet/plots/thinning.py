"""Fewer points that tell the same: extremes stay, and what is left out is left out evenly."""

from __future__ import annotations

from typing import Any

import numpy as np


def thinned(x: Any, y: Any, most: int) -> tuple[Any, Any]:
    """Return a line of at most about ``most`` points that looks the same: of each stretch the first, the last, the
    lowest and the highest point, in their order.

    >>> x, y = thinned(np.arange(1000), np.sin(np.arange(1000)), 100)
    >>> len(x) <= 104, bool(y.max() == np.sin(np.arange(1000)).max())
    (True, True)
    """
    if len(x) <= max(most, 4):
        return x, y
    stretches = np.array_split(np.arange(len(x)), max(most // 4, 1))
    kept: list[int] = []
    for stretch in stretches:
        values = y[stretch]
        picked = {int(stretch[0]), int(stretch[-1])}
        if np.isfinite(values).any():
            picked |= {int(stretch[np.nanargmin(values)]), int(stretch[np.nanargmax(values)])}
        gaps = stretch[np.isnan(values)]
        if len(gaps):  # a line that ends goes on to end
            picked.add(int(gaps[len(gaps) // 2]))
        kept += sorted(picked)
    return x[kept], y[kept]


def sample(count: int, most: int) -> Any:
    """Return which ``most`` of ``count`` points are drawn: any of them with equal chance, the same ones every time."""
    if count <= most:
        return np.arange(count)
    # A stride would fall into step with the members, and show some of them only.
    return np.sort(np.random.Generator(np.random.PCG64(0)).choice(count, most, replace=False))


def edges(low: float, high: float, most: int, whole: bool = True) -> Any:
    """Return the ends of at most ``most`` equal stretches from ``low`` to ``high``; of at least 1 each if ``whole``."""
    span = max(high - low, 1 if whole else 1e-9)
    count = max(1, min(most, int(np.ceil(span)) if whole else most))
    return np.linspace(low, low + span, count + 1)


def near(values: Any, best: float | None = None) -> tuple[tuple[float, float] | None, int]:
    """Return the range that is worth showing, None if all is, and how many values lie outside it.

    One model that fell apart would make a flat line of all others. Far off is what lies further from the middle tenths
    than ten times their width; the ``best`` value is always shown.
    """
    finite = values[np.isfinite(values)]
    if len(finite) < 8:
        return None, 0
    low, high = np.percentile(finite, [10, 90])
    room = 10 * (high - low)
    if room <= 0:
        return None, 0
    inside = (finite >= low - room) & (finite <= high + room)
    if inside.all():
        return None, 0
    shown = finite[inside]
    if best is not None and np.isfinite(best):
        shown = np.append(shown, best)
    low, high = float(shown.min()), float(shown.max())
    margin = 0.05 * (high - low)
    return (low - margin, high + margin), int(len(finite) - ((finite >= low) & (finite <= high)).sum())
