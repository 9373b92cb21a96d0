"""Numbers as colours: the scales' own colours, the same on paper and on the screen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ramet.plots.ink import Theme
from ramet.plots.picture import Shade

SCALES = {
    "viridis": (
        *("#440154", "#482878", "#3e4989", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6ece58", "#b5de2b"),
        "#fde725",
    ),
    "cividis": (
        *("#00224e", "#123570", "#3b496c", "#575d6d", "#707173", "#8a8678", "#a59c74", "#c3b369", "#e1cc55"),
        "#fee838",
    ),
}
"""Colours at equal distances. Source: viridis and cividis of matplotlib, every ninth part of them."""

SMOOTH = 256


def colours(shade: Shade, theme: Theme, count: int = SMOOTH) -> list[str]:
    """Return the colours of a scale from low to high: as many as it has steps, ``count`` of a smooth one.

    On a dark ground scales begin a little higher, where they can be told from it.
    """
    if shade.map == "members":
        return [theme.of(at) for at in range(shade.steps)]
    count = shade.steps or count
    shares = theme.floor + (1 - theme.floor) * np.arange(count) / max(count - 1, 1)
    return [_between(SCALES[shade.map], share) for share in shares.tolist()]


def scale(shade: Shade, theme: Theme) -> list[list[Any]]:
    """Return a scale as plotly has them: shares of its length with colours."""
    if not shade.steps:
        own = colours(shade, theme, 16)
        return [[round(at / (len(own) - 1), 6), colour] for at, colour in enumerate(own)]
    own = colours(shade, theme)
    ends = [round(at / len(own), 6) for at in range(len(own) + 1)]
    return [[ends[at + side], colour] for at, colour in enumerate(own) for side in (0, 1)]


def colours_of(shade: Shade, theme: Theme, values: Any) -> list[str]:
    """Return the colour of each value."""
    own = colours(shade, theme)
    share = (shade.of(values) - shade.low) / max(shade.high - shade.low, 1e-300)
    known = np.isfinite(share)
    at = np.clip(np.floor(np.where(known, share, 0) * len(own)), 0, len(own) - 1).astype("i8")
    return [own[level] if there else theme.missing for level, there in zip(at.tolist(), known.tolist(), strict=True)]


def _between(anchors: Sequence[str], share: float) -> str:
    place = share * (len(anchors) - 1)
    low = min(int(place), len(anchors) - 2)
    pairs = zip(*(bytes.fromhex(anchor[1:]) for anchor in anchors[low : low + 2]), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * (place - low)):02x}" for a, b in pairs)
