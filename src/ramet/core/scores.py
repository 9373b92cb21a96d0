"""Scores: what was reported, signed so that larger is better."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

AUTOMATIC = (
    "training_iteration",
    "time_total_s",
    "time_this_iter_s",
    "compute_iterations",
    "timestamp",
    "trial_id",
    "done",
)
"""Metrics that every row has without being reported."""


def scored(metrics: Mapping[str, Any], name: str | None, mode: str | None, who: str, member: int) -> float | str:
    """Return the metric ``name`` signed so that larger is better, or the sentence that says why there is none.

    ``who`` asked for it; it is ``member`` that reported. Without a name there is no score: NaN.
    """
    if name is None:
        return math.nan
    if name not in metrics:
        return (
            f"{who} is not among the reported metrics {sorted(set(metrics) - set(AUTOMATIC))} of member "
            f"{member}: report it with every checkpoint, or name another one"
        )
    value = metrics[name]
    if not isinstance(value, (int, float)):
        return f"{who} was reported as {value!r}, a {type(value).__name__}, by member {member}: report a number"
    return signed(value, mode)


def signed(value: float, mode: str | None) -> float:
    """Return ``value`` so that larger is better, and NaN for what is infinitely good.

    That is a division by zero somewhere, not a model to clone.

    >>> signed(0.25, "min"), signed(float("-inf"), "min"), signed(float("-inf"), "max")
    (-0.25, nan, -inf)
    """
    try:
        number = -float(value) if mode == "min" else float(value)
    except OverflowError:  # an integer beyond all floats
        number = math.inf if (value > 0) == (mode != "min") else -math.inf
    return math.nan if math.isnan(number) or number == math.inf else number
