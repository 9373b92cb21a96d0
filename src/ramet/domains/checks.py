"""What the arguments of domains must be, and the messages that say so when they are not."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

from ramet.domains.values import as_number, without_dust
from ramet.errors import SpaceError

MAX_STEPS = 10**9
"""Quanta between zero and a bound: above, ``bound / q`` has too few digits left to tell multiples from others."""

MAX_INTEGER = 2**53
"""Above, floats skip integers, so an integer times a factor is no longer exact to the unit."""

MAX_FLOAT = math.nextafter(math.inf, 0.0)
"""The largest finite float."""


def real(call: str, name: str, value: Any) -> float:
    """Return ``value``, the argument ``name`` of the constructor ``call``, as a finite float."""
    number = as_number(value)
    if number is None:
        raise SpaceError(f"{call}: {name}={value!r} is of type {type(value).__name__}; give a number")
    if not -MAX_FLOAT <= number <= MAX_FLOAT:
        raise SpaceError(f"{call}: {name}={value!r} is not finite; give a finite number")
    return float(number)


def whole(call: str, name: str, value: Any) -> int:
    """Return ``value``, the argument ``name`` of the constructor ``call``, as an integer that a float holds exactly."""
    number = real(call, name, value)
    if not number.is_integer():
        floats = call.replace("randint", "uniform")
        raise SpaceError(f"{call}: {name}={value!r} is not an integer; round it, or use {floats} for floats")
    if abs(number) > MAX_INTEGER:
        raise SpaceError(f"{call}: {name}={value!r} is beyond 2**53, where floats skip integers; use a smaller number")
    return int(value)


def check_bounds(call: str, lower: float, upper: float, log: bool) -> None:
    """Check that ``upper`` is above ``lower``, and ``lower`` above 0 if ``log``."""
    if upper <= lower:
        way_out = "swap the two" if upper < lower else "for one fixed value give the value itself"
        raise SpaceError(f"{call}: upper={upper!r} must be above lower={lower!r}; {way_out}")
    if log and lower <= 0:
        raise SpaceError(
            f"{call}: lower={lower!r} has no logarithm; give a bound above 0 (the value itself, not its logarithm), or "
            f"use {call.replace('log', '')}"
        )


def check_quantum(call: str, q: float, **marks: float) -> None:
    """Check ``q`` against bounds (``lower``, ``upper``), which must be multiples of it, or ``mean`` and ``sd``."""
    if q <= 0:
        raise SpaceError(f"{call}: q={q!r} must be above 0; it is the distance between neighbouring values")
    for name, mark in marks.items():
        if isinstance(mark, float) and abs(mark) > q * MAX_STEPS:
            smooth = call.replace("q", "", 1)
            raise SpaceError(
                f"{call}: {name}={mark!r} is over 10**9 steps of q={q!r} from 0; use a larger q, or {smooth}"
            )
    if "lower" not in marks:
        return
    lower, upper = marks["lower"], marks["upper"]
    if upper - lower < q * (1 - 1e-6):
        raise SpaceError(f"{call}: q={q!r} is larger than the range from {lower!r} to {upper!r}; give a smaller q")
    for name, mark in marks.items():
        k = mark / q
        if abs(k - round(k)) > 1e-6:
            below, above = (type(q)(without_dust(towards(k) * q)) for towards in (math.floor, math.ceil))
            raise SpaceError(f"{call}: {name}={mark!r} is no multiple of q={q!r}; use {name}={below!r} or {above!r}")


def given_quantum(call: str, q: Any) -> Any:
    """Return ``q``, which the constructor ``call`` cannot do without; None means "not quantised" to ``Float``."""
    if q is None:
        raise SpaceError(f"{call}: q=None is not a number; give a distance above 0, or use {call.replace('q', '', 1)}")
    return q


def check_base(call: str, base: Any) -> None:
    """Check the base of a logarithm, which is otherwise ignored."""
    if real(call, "base", base) <= 1:
        raise SpaceError(f"{call}: base={base!r} must be above 1; leave it away, it changes nothing")


def accepts(func: Callable[..., Any], arguments: int) -> bool:
    """Tell whether ``func`` can be called with that many arguments."""
    try:
        inspect.signature(func).bind(*range(arguments))
    except TypeError:
        return False
    except ValueError:  # some built-ins do not tell their signature: believe the user
        return True
    return True
