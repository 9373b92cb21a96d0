"""Minimising a smooth function of a few numbers within a box."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


def lowest(loss: Callable[[Array], tuple[float, Array]], z: Array, steps: int = 25, enough: float = 0.01) -> Array:
    """Return a local minimum of ``loss`` (value and gradient) in the unit box: BFGS, projected (Bertsekas 1982).

    It ends after so many ``steps``, or when one brings less than ``enough``.
    """
    value, gradient = loss(z)
    curvature = np.eye(len(z)) * 0.1 / max(np.abs(gradient).max(), 0.1)
    for _ in range(steps):
        free = ~(((z <= 0) & (gradient > 0)) | ((z >= 1) & (gradient < 0)))
        way = -np.where(np.outer(free, free), curvature, 0.0) @ gradient
        way /= max(np.abs(way).max() / 0.3, 1.0)
        for shorter in (1.0, 0.25, 0.05, 0.005):
            to = np.clip(z + shorter * way, 0.0, 1.0)
            there, slope = loss(to)
            if there < value:
                break
        else:
            return z
        gain, s, change = value - there, to - z, slope - gradient
        z, value, gradient = to, there, slope
        if gain < enough:
            break
        if (bend := s @ change) > 1e-12:  # the usual update of the inverse of the second derivatives
            across = np.eye(len(z)) - np.outer(s, change) / bend
            curvature = across @ curvature @ across.T + np.outer(s, s) / bend
    return z
