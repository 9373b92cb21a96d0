"""What was measured, how far it spreads, and what it should be."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Target:
    """A number that a median is to keep: ``way`` is "at most" or "at least"."""

    way: str
    number: float

    def met_by(self, value: float) -> bool:
        """Return whether ``value`` keeps it."""
        return value <= self.number if self.way == "at most" else value >= self.number


def at_most(number: float) -> Target:
    """Return the target of not being more than ``number``."""
    return Target("at most", number)


def at_least(number: float) -> Target:
    """Return the target of not being less than ``number``."""
    return Target("at least", number)


@dataclass(frozen=True)
class Figure:
    """One measured quantity of a ``part`` of the suite: the median of ``repeats``, the lowest and the highest.

    ``p99`` is there where the values are a distribution of many; ``note`` says what the name does not.
    """

    part: str
    name: str
    unit: str
    median: float
    low: float
    high: float
    p99: float | None
    repeats: int
    target: Target | None = None
    note: str = ""

    @classmethod
    def of(
        cls,
        part: str,
        name: str,
        unit: str,
        values: Sequence[float],
        target: Target | None = None,
        *,
        tail: bool = False,
        note: str = "",
    ) -> Figure:
        """Sum up ``values``, of which there is at least one."""
        p99 = percentile(values, 99) if tail else None
        return cls(
            part, name, unit, statistics.median(values), min(values), max(values), p99, len(values), target, note
        )

    @property
    def met(self) -> bool | None:
        """Whether the median keeps the target, None without one."""
        return None if self.target is None else self.target.met_by(self.median)

    def to_plain(self) -> dict[str, Any]:
        """Return it as JSON takes it."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__}
        if self.target is not None:
            text = f"{self.target.way} {digits(self.target.number)} {self.unit}".rstrip()
            plain["target"] = {"text": text, "way": self.target.way, "number": self.target.number}
        return {**plain, "met": self.met}

    @classmethod
    def from_plain(cls, plain: dict[str, Any]) -> Figure:
        """Return what `to_plain` was made of."""
        known = {name: plain[name] for name in cls.__dataclass_fields__}
        if known["target"] is not None:
            known["target"] = Target(known["target"]["way"], known["target"]["number"])
        return cls(**known)

    def told(self) -> str:
        """Return the median with its unit."""
        return f"{digits(self.median)} {self.unit}".rstrip()

    def spread(self) -> str:
        """Return how far the values lie apart, and how many they are."""
        if self.repeats == 1:
            return "once"
        tail = "" if self.p99 is None else f", 99 % below {digits(self.p99)}"
        return f"{digits(self.low)} to {digits(self.high)}{tail}, {self.repeats:,} times"


def tail_of(
    part: str, name: str, unit: str, values: Sequence[float], target: Target | None = None, percent: float = 99
) -> Figure:
    """Return a high percentile of ``values`` as a figure of its own."""
    tail = percentile(values, percent)
    return Figure(part, name, unit, tail, tail, tail, None, 1, target, f"of {len(values):,}")


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the value that ``percent`` of ``values`` do not exceed.

    >>> percentile([3, 1, 2], 99)
    3
    """
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil(len(ordered) * percent / 100) - 1)]


def digits(value: float) -> str:
    """Return three digits of a number, without an exponent.

    >>> [digits(value) for value in (1234.5, 0.012345, 150.0, 0)]
    ['1,230', '0.0123', '150', '0']
    """
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    rounded = float(f"{value:.3g}")
    if abs(rounded) >= 100:
        return f"{rounded:,.0f}"
    places = max(0, 2 - math.floor(math.log10(abs(rounded))))
    text = f"{rounded:.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """Return the ratios of values that were measured in the same repeat."""
    return [one / other for one, other in zip(above, below, strict=True)]
