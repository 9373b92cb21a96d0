"""Domains of numbers, which share one rule for moving (``_Numeric.perturb``), be they continuous or grids.

Integers and everything quantised are grids, whose values are ``k * q`` for whole ``k``. Where all orders of magnitude
between the bounds are alike (log domains), what a factor multiplies is not the value but its place between the bounds
on the log axis, 0 at the lower and 1 at the upper: in loguniform(1e-4, 1e-1) the factor 1.2 leads from the middle, 0.5,
to 0.6, so from 10**-2.5 to 10**-2.2. The same perturbations thus cross any domain, however many decades it has.

Source of the multiplicative rule: Jaderberg et al. (2017), "Population Based Training of Neural Networks". Differs from
it (and from Ray Tune) in log domains, where both multiply the value itself: by 1.2 or 0.8 that is about a tenth of a
decade at a time, and crawls through several of them; and in domains that are narrow for their distance from zero, such
as uniform(0.9, 1.0), where a step is at most that share of the width.
"""

from __future__ import annotations

import builtins
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ramet.domains.base import FACTORS, Domain, Factors, one_of, unit
from ramet.domains.checks import MAX_FLOAT, MAX_STEPS, check_bounds, check_quantum, real, whole
from ramet.domains.values import as_number, without_dust
from ramet.errors import SpaceError

if TYPE_CHECKING:
    import numpy as np

ZERO_SCALE = 0.1
"""Below this part of the width, sizes are multiplied as if they were this large: multiplying cannot leave zero.

The width is that of a linear domain that holds zero, or the whole log axis of a log domain, whose lower bound is at
zero on it. A tenth makes the step at zero 2 % of the width with the usual factors, so that a run with some tens of
perturbations can cross the domain, and nine tenths of it still move by plain multiplication. Linear domains without
zero have no trap and multiply everywhere: uniform(1e-4, 0.02) at 0.001 must go to 0.0008, not to 0.0006.
"""


class _Numeric(Domain):
    """What all number domains share: bounds, and in a grid the quantum ``_step`` with the range of its multiples."""

    _low: float
    _high: float
    _step: float | None = None
    _first = 0
    _last = 0
    _log = False
    _scale = 0.0
    _width = math.inf

    def _set(self, **values: Any) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def _at(self, k: int) -> float:
        """Return the grid's value ``k * q``, or the bound where rounding dust would carry it outside."""
        assert self._step is not None
        return min(max(without_dust(k * self._step), self._low), self._high)

    def _nearest(self, value: Any) -> float | None:
        """Return the nearest value of the domain, or None if ``value`` is no number."""
        number = as_number(value)
        if number is None or number != number:
            return None
        number = min(max(number, self._low), self._high)
        return float(number) if self._step is None else self._at(round(number / self._step))

    @property
    def type(self) -> builtins.type[Any]:
        return float

    @property
    def moves(self) -> bool:
        return self._step is None or self._first < self._last

    def perturb(self, value: Any, rng: np.random.Generator, factors: Factors = FACTORS) -> Any:
        factor = one_of(factors, rng)
        x = self._nearest(value)
        if x is None:
            return self.sample(rng)
        if factor == 1:
            return x
        if self._log:
            u = self.encode(x)
            step = (factor - 1) * max(u, ZERO_SCALE)
            there, back = self._on_log_axis(u + step), self._on_log_axis(u - step)
        else:
            # No further than the factor of the whole width, or all there is in a domain far from zero are its bounds:
            # 1.2 leads from anywhere in uniform(0.9, 1.0) beyond its end.
            step = (factor - 1) * min(max(abs(x), self._scale), self._width)
            there, back = (x + step, x - step) if x >= 0 else (x - step, x + step)
        if self._step is None:
            for target in (there, back):
                moved = min(max(target, self._low), self._high)
                if moved != x:
                    return moved
            # The domain is so narrow, or so near to zero, that the step was rounded away: then to the next float.
            upwards = math.nextafter(x, self._high)
            return upwards if upwards != x else math.nextafter(x, self._low)
        k = round(x / self._step)
        direction = 1 if (factor > 1) == (x >= 0) else -1
        goal = round(min(max(there, self._low), self._high) / self._step)
        if (goal - k) * direction < 1:
            goal = k + direction
        if not self._first <= goal <= self._last:
            goal = k - direction
        return self._at(goal if self._first <= goal <= self._last else k)

    def _on_log_axis(self, u: float) -> float:
        """Return the value at ``u`` of the way from the lower to the upper bound, in logarithms; the bounds exactly.

        Were a bound only met to rounding, a step that it stops whole would go by that dust rather than inwards.
        """
        if u <= 0 or u >= 1:
            return self._low if u <= 0 else self._high
        low, high = math.log(self._low), math.log(self._high)
        return math.exp(min(low + u * (high - low), high))

    def clip(self, value: Any) -> Any:
        nearest = self._nearest(value)
        return self.decode(0.5) if nearest is None else nearest

    def contains(self, value: Any) -> bool:
        number = as_number(value)
        if number is None or (self.type is int and not isinstance(number, int)):
            return False
        if self._step is None:
            return self._low <= number <= self._high
        dust = 1e-9 * self._step
        if not self._low - dust <= number <= self._high + dust:
            return False
        return abs(number - self._at(round(number / self._step))) <= dust

    def encode(self, value: Any) -> float:
        x, low, high = self.clip(value), self._low, self._high
        if self._log:
            x, low, high = math.log(x), math.log(low), math.log(high)
        return min(max((x - low) / (high - low), 0.0), 1.0) if high > low else 0.0

    def decode(self, u: float) -> Any:
        u = unit(u)
        if self._log:
            return self._nearest(self._on_log_axis(u))
        return self._nearest(self._low + u * (self._high - self._low))


@dataclass(frozen=True, repr=False)
class Float(_Numeric):
    """Floats from ``lower`` to ``upper``, both contained; only multiples of ``q`` if given; even in logs if ``log``.

    ``perturb`` multiplies the value, or if ``log`` its place between the bounds on the log axis. Made by ``uniform``,
    ``quniform``, ``loguniform`` and ``qloguniform``, which say more.
    """

    lower: float
    upper: float
    q: float | None = None
    log: bool = False

    def __post_init__(self) -> None:
        call = self._as_call()[0]
        lower, upper = real(call, "lower", self.lower), real(call, "upper", self.upper)
        check_bounds(call, lower, upper, self.log)
        if not math.isfinite(upper - lower):
            raise SpaceError(f"{call}: from lower={lower!r} to upper={upper!r} is no finite distance; narrow the range")
        if self.q is not None:
            q = real(call, "q", self.q)
            check_quantum(call, q, lower=lower, upper=upper)
            lower, upper = without_dust(lower), without_dust(upper)
            self._set(q=q, _step=q, _first=round(lower / q), _last=round(upper / q))
        self._set(lower=lower, upper=upper, _low=lower, _high=upper, _log=self.log)
        self._set(_width=upper - lower, _scale=ZERO_SCALE * (upper - lower) if lower <= 0 <= upper else 0.0)

    def sample(self, rng: np.random.Generator | None = None) -> float:
        """Draw a value: multiples all alike, other floats below ``upper``, in a log domain evenly in logarithms."""
        rng = self._or_global(rng)
        if self.q is not None and not self.log:  # each multiple alike; rounding would draw both ends half as often
            return self._at(int(rng.integers(self._first, self._last + 1)))
        x: float = self.decode(rng.random())
        return x if x < self.upper or self.q is not None else math.nextafter(x, self.lower)

    def _as_call(self) -> tuple[str, dict[str, Any]]:
        arguments = {"lower": self.lower, "upper": self.upper}
        if self.q is not None:
            arguments["q"] = self.q
        return f"{'q' if self.q is not None else ''}{'log' if self.log else ''}uniform", arguments


@dataclass(frozen=True, repr=False)
class Integer(_Numeric):
    """Integers from ``lower`` to below ``upper``, or multiples of ``q`` > 1 up to and with ``upper``.

    ``perturb`` multiplies as in ``Float``, and moves by at least one. Made by ``randint``, ``qrandint``, ``lograndint``
    and ``qlograndint``, which say more.
    """

    lower: int
    upper: int
    q: int = 1
    log: bool = False

    def __post_init__(self) -> None:
        call = f"{'log' if self.log else ''}randint"
        q = whole(f"q{call}", "q", self.q)
        call = call if q == 1 else f"q{call}"
        lower, upper = whole(call, "lower", self.lower), whole(call, "upper", self.upper)
        check_bounds(call, lower, upper, self.log)
        check_quantum(call, q, lower=lower, upper=upper)
        high = upper - 1 if q == 1 else upper
        self._set(lower=lower, upper=upper, q=q, _low=lower, _high=high, _step=q, _log=self.log)
        self._set(_first=lower // q, _last=high // q, _width=high - lower)
        self._set(_scale=ZERO_SCALE * (high - lower) if lower <= 0 <= high else 0.0)

    @property
    def type(self) -> builtins.type[Any]:
        """Return int."""
        return int

    def _at(self, k: int) -> int:
        return k * self.q

    def sample(self, rng: np.random.Generator | None = None) -> int:
        """Draw a value: all alike, in a log domain evenly in logarithms."""
        rng = self._or_global(rng)
        if not self.log:
            return self._at(int(rng.integers(self._first, self._last + 1)))
        low, high = math.log(self.lower), math.log(self.upper)
        x = math.exp(low + rng.random() * (high - low))
        k = math.floor(x) if self.q == 1 else round(x / self.q)  # an exclusive end is rounded down to, as in Ray Tune
        return self._at(min(max(k, self._first), self._last))

    def _as_call(self) -> tuple[str, dict[str, Any]]:
        arguments = {"lower": self.lower, "upper": self.upper}
        if self.q != 1:
            arguments["q"] = self.q
        return f"{'q' if self.q != 1 else ''}{'log' if self.log else ''}randint", arguments


@dataclass(frozen=True, repr=False)
class Normal(_Numeric):
    """Floats drawn from a normal distribution, unbounded; multiples of ``q`` if given. Made by ``randn``, ``qrandn``.

    Its place in [0, 1] is the cumulative probability, which tells values within 7 sd of the mean apart.
    """

    mean: float = 0.0
    sd: float = 1.0
    q: float | None = None

    def __post_init__(self) -> None:
        call = self._as_call()[0]
        mean, sd = real(call, "mean", self.mean), real(call, "sd", self.sd)
        if sd <= 0:
            raise SpaceError(f"{call}: sd={sd!r} must be above 0; for one fixed value give the value itself")
        # Its width is counted as the 4 sd that hold 95 % of its draws.
        self._set(mean=mean, sd=sd, _low=-MAX_FLOAT, _high=MAX_FLOAT, _width=4 * sd, _scale=ZERO_SCALE * 4 * sd)
        if self.q is not None:
            q = real(call, "q", self.q)
            check_quantum(call, q, mean=mean, sd=sd)
            steps = int(min(MAX_STEPS, MAX_FLOAT / q))
            self._set(q=q, _step=q, _first=-steps, _last=steps, _low=-steps * q, _high=steps * q)

    def sample(self, rng: np.random.Generator | None = None) -> float:
        """Draw from the normal distribution, and round to the grid if there is one."""
        x: float = self.clip(self.mean + self.sd * self._or_global(rng).standard_normal())
        return x

    def encode(self, value: Any) -> float:
        """Return the probability of a draw below ``value``."""
        return math.erfc((self.mean - self.clip(value)) / self.sd / math.sqrt(2)) / 2

    def decode(self, u: float) -> Any:
        """Return the value below which draws lie with probability ``u``."""
        from statistics import NormalDist  # which loads fractions and decimals, for this alone

        u = min(max(unit(u), 1e-12), 1 - 1e-12)  # the ends themselves lie at infinity
        return self._nearest(self.mean + self.sd * NormalDist().inv_cdf(u))

    def _as_call(self) -> tuple[str, dict[str, Any]]:
        arguments = {"mean": self.mean, "sd": self.sd}
        if self.q is not None:
            arguments["q"] = self.q
        return f"{'q' if self.q is not None else ''}randn", arguments
