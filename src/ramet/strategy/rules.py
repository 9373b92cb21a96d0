"""What explore rules do to one hyperparameter: perturb it, draw it anew, shift it, or several of these.

A rule is a frozen value, called with the domain, the value that the donor had and a generator of that key's own. What
it returns is in the domain, whatever it was given.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ramet.domains import Domain, Ordered
from ramet.domains.values import same
from ramet.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np


class Rule(Protocol):
    """What is done to one value; see the module."""

    def __call__(self, domain: Domain, value: Any, rng: np.random.Generator) -> Any:
        """Return the value to go on with, which is in ``domain``."""


@dataclass(frozen=True, slots=True)
class Perturb:
    """Multiply a number by one of ``factors``; in a list, go to a neighbour.

    Args:
        factors: positive factors, one of which is drawn; a larger spread explores faster.

    >>> import numpy as np
    >>> from ramet import uniform
    >>> Perturb((0.5,))(uniform(0.0, 1.0), 0.8, np.random.default_rng(0))
    0.4

    Source: Jaderberg et al. (2017), "Population Based Training of Neural Networks", section 4.1.1. Differs from the
    paper as `PopulationBasedTraining` says.
    """

    factors: Sequence[float] = (1.2, 0.8)

    def __post_init__(self) -> None:
        factors = self.factors
        if isinstance(factors, str) or not isinstance(factors, Sequence) or not factors:
            raise ConfigError(f"perturbation_factors={factors!r} must be a non-empty sequence, such as (1.2, 0.8)")
        for factor in factors:
            if isinstance(factor, bool) or not isinstance(factor, (int, float)) or not 0 < factor < float("inf"):
                raise ConfigError(f"perturbation_factors={factors!r} holds {factor!r}: every factor must be above 0")

    def __call__(self, domain: Domain, value: Any, rng: np.random.Generator) -> Any:
        """Return the perturbed value."""
        return domain.perturb(value, rng, self.factors)

    def factor(self, rng: np.random.Generator) -> float:
        """Draw a factor."""
        return float(self.factors[int(rng.integers(len(self.factors)))])


@dataclass(frozen=True, slots=True)
class Resample:
    """Draw the value anew from its domain, with ``probability`` in [0, 1]; else leave it.

    >>> import numpy as np
    >>> from ramet import choice
    >>> Resample()(choice(["relu", "tanh"]), "tanh", np.random.default_rng(0))
    'relu'

    Source: Jaderberg et al. (2017), section 4.1.1.
    """

    probability: float = 1.0

    def __post_init__(self) -> None:
        check_probability("probability", self.probability)

    def __call__(self, domain: Domain, value: Any, rng: np.random.Generator) -> Any:
        """Return a draw, or the value as its domain has it."""
        return domain.sample(rng) if rng.random() < self.probability else domain.clip(value)


@dataclass(frozen=True, slots=True)
class Shift:
    """Move the value's place between its bounds by some of ``of`` equal steps, or by as many entries of a list.

    Args:
        steps: how many, one of which is drawn, with either sign; at least 0.
        of: how many steps the whole domain has, at least 1. Of no effect in lists and integer domains that have fewer
            values: there a step is one value.

    In a log domain places are on the log axis. It is additive: 0 is as good a place to leave from as any.

    >>> import numpy as np
    >>> from ramet import uniform
    >>> Shift(steps=(1,))(uniform(0.0, 1.0), 0.5, np.random.default_rng(0))
    0.4

    Source: Ho et al. (2019), "Population Based Augmentation", section 3.2 (0 to 3 of 10 steps). Differs from the paper
    in that it serves any domain with a range.
    """

    steps: Sequence[int] = (0, 1, 2, 3)
    of: int = 10

    def __post_init__(self) -> None:
        fine = isinstance(self.steps, Sequence) and not isinstance(self.steps, str) and len(self.steps) > 0
        if not fine or any(isinstance(s, bool) or not isinstance(s, int) or s < 0 for s in self.steps):
            raise ConfigError(f"Shift(steps={self.steps!r}) must be integers of at least 0, such as (0, 1, 2, 3)")
        if isinstance(self.of, bool) or not isinstance(self.of, int) or self.of < 1:
            raise ConfigError(f"Shift(of={self.of!r}) must be an integer of at least 1: the steps of the whole domain")

    def __call__(self, domain: Domain, value: Any, rng: np.random.Generator) -> Any:
        """Return the value some steps up or down, turned back at the bounds."""
        count = self.steps[int(rng.integers(len(self.steps)))]
        sign = 1 if rng.random() < 0.5 else -1
        value = domain.clip(value)
        if not count or not domain.moves:
            return value
        width = 1.0 / (len(domain.values) - 1 if isinstance(domain, Ordered) else self.of)
        place = domain.encode(value)
        goal = place + sign * count * width
        if not -_EPS <= goal <= 1.0 + _EPS:
            sign, goal = -sign, place - sign * count * width  # inwards, as perturbing does at an end
        moved = domain.decode(min(max(goal, 0.0), 1.0))
        if same(moved, value) and -_EPS <= goal <= 1.0 + _EPS:  # the domain has fewer values than steps: then by one
            return domain.perturb(value, rng, (1.0 + _EPS if sign > 0 else 1.0 - _EPS,))
        return moved


_EPS = 1e-9


@dataclass(frozen=True, slots=True)
class Scale:
    """Multiply or divide a number, with equal chance, by a factor drawn uniformly between ``low`` and ``high``.

    Args:
        low, high: factors above 1.

    >>> import numpy as np
    >>> from ramet import uniform
    >>> 0.3 < Scale(1.1, 1.5)(uniform(0.0, 1.0), 0.5, np.random.default_rng(0)) < 0.8
    True

    Source: Petrenko et al. (2023), "DexPBT", section IV.
    """

    low: float = 1.1
    high: float = 1.5

    def __post_init__(self) -> None:
        if not 1 < self.low <= self.high < math.inf:
            raise ConfigError(f"Scale(low={self.low!r}, high={self.high!r}): give 1 < low <= high, such as 1.1 and 1.5")

    def __call__(self, domain: Domain, value: Any, rng: np.random.Generator) -> Any:
        """Return the scaled value."""
        return domain.perturb(value, rng, (self.factor(rng),))

    def factor(self, rng: np.random.Generator) -> float:
        """Draw a factor."""
        factor = self.low + (self.high - self.low) * rng.random()
        return float(factor if rng.random() < 0.5 else 1.0 / factor)


@dataclass(frozen=True, slots=True)
class OneMinus:
    """Let ``rule`` change 1 - value: for a discount or a decay, where 0.99 and 0.999 are far apart.

    Args:
        rule: what multiplies or draws; `Perturb` by default.

    A value from 0.99 goes to 1 - 1.2 * 0.01 = 0.988 or to 1 - 0.8 * 0.01 = 0.992, and is brought into its domain.

    >>> import numpy as np
    >>> from ramet import uniform
    >>> round(OneMinus(Perturb((2.0,)))(uniform(0.9, 0.9999), 0.99, np.random.default_rng(0)), 6)
    0.98

    Source: Petrenko et al. (2023), "DexPBT", whose discount is changed so.
    """

    rule: Perturb | Scale = Perturb()

    def __post_init__(self) -> None:
        if not isinstance(self.rule, (Perturb, Scale)):
            raise ConfigError(f"OneMinus(rule={self.rule!r}) must be Perturb(…) or Scale(…): what multiplies 1 - value")

    def __call__(self, domain: Domain, value: Any, rng: np.random.Generator) -> Any:
        """Return the value whose distance from 1 was multiplied."""
        if domain.type is not float:
            raise ConfigError(f"OneMinus() cannot change {domain!r}: it is for floats, such as uniform(0.9, 0.9999)")
        here, factor = domain.clip(value), self.rule.factor(rng)
        for by in (factor, 1.0 / factor):  # inwards where a bound stops it, as perturbing does
            moved = domain.clip(1.0 - by * (1.0 - here))
            if moved != here or factor == 1.0:
                return moved
        return domain.perturb(here, rng, (factor,))  # from exactly 1, which no factor leaves


@dataclass(frozen=True, slots=True)
class Keep:
    """Leave the value as it is."""

    def __call__(self, domain: Domain, value: Any, rng: np.random.Generator) -> Any:
        """Return the value as its domain has it."""
        del rng
        return domain.clip(value)


@dataclass(frozen=True, slots=True)
class Chain:
    """One rule after the other.

    >>> import numpy as np
    >>> from ramet import uniform
    >>> Chain((Perturb((0.5,)), Perturb((0.5,))))(uniform(0.0, 1.0), 0.8, np.random.default_rng(0))
    0.2
    """

    rules: Sequence[Rule]

    def __call__(self, domain: Domain, value: Any, rng: np.random.Generator) -> Any:
        """Return what the last rule makes of it."""
        for rule in self.rules:
            value = rule(domain, value, rng)
        return value


@dataclass(frozen=True, slots=True)
class Either:
    """With ``probability`` the ``first`` rule, else the ``second``.

    >>> import numpy as np
    >>> from ramet import uniform
    >>> Either(0.0, Resample(), Perturb((0.5,)))(uniform(0.0, 1.0), 0.8, np.random.default_rng(0))
    0.4
    """

    probability: float
    first: Rule
    second: Rule

    def __post_init__(self) -> None:
        check_probability("probability", self.probability)

    def __call__(self, domain: Domain, value: Any, rng: np.random.Generator) -> Any:
        """Return what the rule that was drawn makes of it."""
        rule = self.first if rng.random() < self.probability else self.second
        return rule(domain, value, rng)


def check_probability(name: str, p: Any) -> None:
    """Refuse what is no probability.

    Raises:
        ConfigError: ``p`` is no number in [0, 1].
    """
    if isinstance(p, bool) or not isinstance(p, (int, float)) or not 0 <= p <= 1:
        raise ConfigError(f"{name}={p!r} is not a probability: give a number in [0, 1]")
