"""Arguments of strategies: what is wrong with one is said before any work starts."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Any

from ramet.core.scene import COPY
from ramet.errors import ConfigError
from ramet.space import Path

MAX_TIME = 1e300
"""Far beyond any time, and far enough below infinity to be added to."""


def number(name: str, value: Any, above: float | None) -> float:
    """Return ``value`` if it is a finite number ``above`` that, or with None of at least 0.

    Raises:
        ConfigError: it is not.
    """
    fine = isinstance(value, (int, float)) and not isinstance(value, bool) and -MAX_TIME <= value <= MAX_TIME
    if not fine or (value <= above if above is not None else value < 0):
        bound = f"above {above:g}" if above is not None else "of at least 0"
        raise ConfigError(f"{name.replace('…', repr(value))} must be a finite number {bound}")
    checked: float = value
    return checked


def shares(given: Any) -> tuple[float, float]:
    """Return (keep, fresh), what weights are mixed from: of the checkpoint's, and of newly initialised ones.

    Raises:
        ConfigError: it is neither a name for that nor two factors.
    """
    named = {"copy": COPY, "fresh": (0.0, 1.0)}
    if isinstance(given, str) and given in named:
        return named[given]
    try:
        keep, fresh = map(float, given)
    except (TypeError, ValueError):
        keep = fresh = -1.0
    if not (0 <= keep < math.inf and 0 <= fresh < math.inf) or keep == fresh == 0:
        raise ConfigError(f"weights={given!r} must be 'copy', 'fresh' or (keep, fresh), two factors of at least 0")
    return keep, fresh


def paths(name: str, keys: Any) -> tuple[Path, ...]:
    """Return ``keys``, such as "data/fold", as paths.

    Raises:
        ConfigError: they are no sequence of such names.
    """
    if isinstance(keys, str) or not isinstance(keys, Collection) or not all(isinstance(k, str) and k for k in keys):
        raise ConfigError(f"{name}={keys!r} must be a sequence of keys, such as ('seed', 'data/fold')")
    return tuple(tuple(key.split("/")) for key in keys)


def rising(name: str, given: Any) -> tuple[int, ...]:
    """Return ``given``, numbers of intervals, the shortest first.

    Raises:
        ConfigError: they are no rising integers of at least 1.
    """
    fine = isinstance(given, Sequence) and not isinstance(given, str) and len(given) > 0
    if not fine or any(isinstance(each, bool) or not isinstance(each, int) or each < 1 for each in given):
        raise ConfigError(f"{name}={given!r} must be integers of at least 1, such as (1, 2, 4, 8)")
    if list(given) != sorted(set(given)):
        raise ConfigError(f"{name}={given!r} must rise, each once: the fastest comes first")
    return tuple(given)
