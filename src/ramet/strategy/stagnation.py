"""Whether a population still gets better: its best score of each step, smoothed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ramet.strategy.curves import smoothed

if TYPE_CHECKING:
    from ramet.core.population import Population

WINDOW = 15
"""A gain of less than a standard deviation over so many steps is too slow."""

LOOKED_AT = 100
"""How many of the newest steps are smoothed: those that are longer past say nothing of the last two."""


def best_by_step(population: Population, steps: Callable[[float], float]) -> list[float]:
    """Return the best score of each step, oldest first.

    Args:
        population: all its members and their past count, but for scores that are not finite.
        steps: time of a checkpoint -> steps that have passed at it. What is at 0 or before is left out.
    """
    best: dict[int, float] = {}
    for segment in population.segments:
        for point in reversed(segment.points):
            number = math.ceil(steps(point.time))
            if number <= 0:
                break
            if math.isfinite(point.score):
                best[number] = max(best.get(number, -math.inf), point.score)
    return [best[number] for number in sorted(best)]


def stagnates(best: Sequence[float], patience: int) -> bool:
    """Return whether progress has stopped, from the best score of each step so far.

    Either the smoothed score was no better than the step's before, judged anew at each of the last ``patience`` steps;
    or the last 14 steps brought less than a standard deviation of all.

    >>> stagnates([1.0, 2.0, 3.0, 4.0, 5.0], 3), stagnates([1.0, 2.0, 3.0, 2.9, 2.8, 2.7], 3)
    (False, True)
    """
    size = len(best)
    if size >= WINDOW and max(best) - max(best[: size - WINDOW + 1]) < np.std(best, ddof=1):
        return True
    return size > patience and all(_fails(best[: size - ago]) for ago in range(patience))


def _fails(best: Sequence[float]) -> bool:
    smooth = smoothed(best[-LOOKED_AT:])
    return len(smooth) > 1 and bool(smooth[-1] <= smooth[-2])
