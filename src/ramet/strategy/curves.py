"""Learning curves: smoothed, and compared from where they first stand equally high."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

LENGTHS = (0.1, 0.3, 1.0, 3.0)
NOISES = (1e-6, 1e-4, 1e-2, 0.1, 1.0)
"""What a smoothed curve may be like: the length over which it changes, in lengths of the whole curve, and the share
that is noise, in variances of what is beneath it. The likeliest pair is taken."""

SHIFTS = 10
"""How many ways to shift a curve are tried where it begins above all of the other one."""


def smoothed(values: Sequence[float] | Array) -> Array:
    """Return finite ``values``, equally far apart, as the likeliest Gaussian process with a Matern kernel (5/2) has it.

    >>> smoothed([1.0, 2.0, 3.0, 4.0]).round(2).tolist()
    [1.0, 2.0, 3.0, 4.0]
    """
    y = np.asarray(values, dtype=float)
    if len(y) < 3 or not np.ptp(y) > 0:
        return y
    mean, sd = y.mean(), y.std()
    best, smooth = math.inf, y
    for length in LENGTHS:
        spectrum, vectors = _matern(len(y), length)
        parts = vectors.T @ ((y - mean) / sd)
        for noise in NOISES:
            noisy = spectrum + noise
            # -2 log p up to a constant, at the likeliest variance (Rasmussen and Williams 2006, equation 2.30).
            loss = len(y) * math.log(float((parts**2 / noisy).mean())) + float(np.log(noisy).sum())
            if loss < best:
                best, smooth = loss, mean + sd * (vectors @ (spectrum / noisy * parts))
    return smooth


@lru_cache(maxsize=64)
def _matern(size: int, length: float) -> tuple[Array, Array]:
    """Return eigenvalues and eigenvectors of the kernel between so many points on [0, 1]."""
    at = np.linspace(0.0, 1.0, size)
    far = math.sqrt(5.0) * np.abs(np.subtract.outer(at, at)) / length
    spectrum, vectors = np.linalg.eigh((1.0 + far + far**2 / 3.0) * np.exp(-far))
    return np.maximum(spectrum, 0.0), vectors


@dataclass(frozen=True)
class Curve:
    """Scores, oldest first, and what is left of them when they are smoothed; those that are not finite are left out."""

    values: Sequence[float]
    smooth: Array = field(init=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", [value for value in self.values if math.isfinite(value)])
        object.__setattr__(self, "smooth", smoothed(self.values))

    def __len__(self) -> int:
        return len(self.values)


def overlap(a: Curve, b: Curve, shift: float = 0.0) -> tuple[Sequence[float], Sequence[float]] | None:
    """Return what of ``a`` (lowered by ``shift``) and ``b`` is comparable, None if nothing is.

    It is an equally long piece of each, from where the one that begins lower has first reached the other's beginning.
    """
    one, other = a.smooth - shift, b.smooth
    if not len(one) or not len(other):
        return None
    lower, start = (one, other[0]) if one[0] < other[0] else (other, one[0])
    reached = np.flatnonzero(lower >= start)
    if not len(reached):
        return None
    # A point is taken that is a little higher, which favours the one that began lower: in `FirePBT` that is as a rule
    # the rival, which has trained for longer, so that an evaluator that is as good does not seem better.
    i, j = (int(reached[0]), 0) if lower is one else (0, int(reached[0]))
    size = min(len(one) - i, len(other) - j)
    return [value - shift for value in a.values[i : i + size]], b.values[j : j + size]


def best_score_diff(a: Curve, b: Curve) -> float:
    """Return by how much ``a`` gets higher than ``b`` in the same time from the same score; above 0 if it is better.

    Of curves that are never equally high, one that is above the other throughout counts as lowered so that it gains
    most by it, and at least as no worse; one that is below throughout tells nothing, 0.

    >>> steep, high = Curve([0.1, 0.3, 0.5, 0.7]), Curve([0.5, 0.55, 0.6, 0.65, 0.7])
    >>> round(best_score_diff(steep, high), 2), round(best_score_diff(high, steep), 2)
    (0.15, -0.15)
    """
    common = overlap(a, b)
    if common is not None:
        return max(common[0]) - max(common[1])
    if not len(a) or not len(b) or min(a.values) <= max(b.values):
        return 0.0
    # Whether the paper means it so is not certain: others who implemented it lower the curve, and so do we.
    least, most = min(a.values) - max(b.values), min(a.values) - min(b.values)
    lowered = (overlap(a, b, least + (most - least) * part / SHIFTS) for part in range(SHIFTS))
    return max([0.0, *(max(one) - max(other) for one, other in filter(None, lowered))])


def chance_of_no_better(a: Curve, b: Curve) -> float:
    """Return how likely ``a`` is above ``b`` so often, from where they are equally high, if neither is better.

    This is the sign test. Without such a place it is 0 for a curve that is above the other throughout, and 1 else.

    >>> chance_of_no_better(Curve([0.15, 0.35, 0.55, 0.75, 0.95]), Curve([0.0, 0.1, 0.2, 0.3, 0.4, 0.5]))
    0.3125
    """
    common = overlap(a, b)
    if common is None:
        return 0.0 if len(a) and len(b) and min(a.values) > max(b.values) else 1.0
    size, wins = len(common[0]), sum(one > other for one, other in zip(*common, strict=True))
    return sum(math.comb(size, k) for k in range(wins, size + 1)) / 2.0**size
