"""How a number went, as a line of blocks that are as high as it was."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

BLOCKS = "▁▂▃▄▅▆▇"
"""Not the full block: rows above each other would grow together."""
FLAT = "▄"
MARK = "│"
UNKNOWN = "·"


def sparkline(values: Sequence[float | None], width: int) -> str:
    """Return the last ``width`` of ``values``, each as one character.

    The lowest number that is shown is the lowest block, the highest the highest; where all are alike there is no
    telling, and all stand half high. What is no finite number is a dot; None is a break: from there on it was another
    model.

    >>> sparkline([1, 2, 3, None, 8, float("nan"), 8], 12), sparkline([5.0, 5.0], 12), sparkline([1, 2, 3, 4], 2)
    ('▁▂▃│▇·▇', '▄▄', '▁▇')
    """
    seen = values[max(len(values) - width, 0) :] if width > 0 else ()
    numbers = [value for value in seen if value is not None and isfinite(value)]
    low, high = min(numbers, default=0.0), max(numbers, default=0.0)
    # By halves, for the difference of two numbers may be more than a float holds; and a tiny one may be halved away.
    half, span, most = low / 2, high / 2 - low / 2, len(BLOCKS) - 1
    line = ""
    for value in seen:
        if value is None:
            line += MARK
        elif not isfinite(value):
            line += UNKNOWN
        elif not low < high:
            line += FLAT
        else:
            share = (value / 2 - half) / span if span > 0 else float(value > low)
            line += BLOCKS[min(int(share * len(BLOCKS)), most)]
    return line
