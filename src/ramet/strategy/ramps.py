"""Ramps: numbers that move at a steady pace, up or down, until they meet a bound."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from ramet.domains import ZERO_SCALE, Domain, Float, Integer, Normal


class Ramp(NamedTuple):
    """One number under way.

    Args:
        direction: 1 for away from zero, -1 for towards it, 0 where a bound has ended it.
        exact: where it is; the domain's nearest value is what is trained with, so that an integer moves on in time.

    >>> from ramet import randint
    >>> ramp = Ramp(1, 4.0).moved(randint(1, 9), 0.1)
    >>> round(ramp.exact, 3), ramp.value(randint(1, 9))
    (4.421, 4)
    """

    direction: int
    exact: float

    def moved(self, domain: Domain, speed: float) -> Ramp:
        """Return it one step on: multiplied by exp(``speed``), or divided by it.

        Near zero a step is as large as a tenth of the domain's width would make it, or it would never get past.
        """
        if not self.direction:
            return self
        low, high, floor = _range(domain)
        factor = math.exp(self.direction * speed)
        sign = -1.0 if self.exact < 0 else 1.0
        goal = self.exact + (factor - 1.0) * sign * max(abs(self.exact), floor)
        if low < goal < high:
            return Ramp(self.direction, goal)
        return Ramp(0, min(max(goal, low), high))

    def value(self, domain: Domain) -> Any:
        """Return the value to train with."""
        return domain.clip(self.exact)


def glides(domain: Domain) -> bool:
    """Whether values of ``domain`` can move along a ramp.

    >>> from ramet import choice, uniform
    >>> glides(uniform(0.0, 1.0)), glides(choice(["a", "b"]))
    (True, False)
    """
    return isinstance(domain, (Float, Integer, Normal)) and domain.moves


def _range(domain: Domain) -> tuple[float, float, float]:
    """Return the bounds, and the size below which a value is multiplied as if it were so large."""
    if isinstance(domain, Normal):
        return -math.inf, math.inf, ZERO_SCALE * 4 * domain.sd
    low, high = float(domain.decode(0.0)), float(domain.decode(1.0))
    return low, high, ZERO_SCALE * (high - low) if low <= 0 <= high else 0.0
