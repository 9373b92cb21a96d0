"""The domain of a function: its values can be drawn, and nothing else is known of them."""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ramet.domains.base import FACTORS, Call, Domain, Factors, call_plainly, one_of
from ramet.domains.checks import MAX_FLOAT, MAX_INTEGER, accepts
from ramet.domains.values import as_number, plain
from ramet.errors import SpaceError

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, repr=False)
class Sampled(Domain):
    """Whatever ``func()`` returns: what a callable without arguments stands for in ``mutations``.

    Its range is unknown, so ``encode`` and ``decode`` refuse. Whether its values are floats, integers or neither is
    read once from a probe draw (``probed``, called by ``Space``), never from the current value. Floats and integers
    are multiplied, an integer by one at least, but neither to zero nor past it, since nothing says that zero is
    allowed; zero itself, and everything else, is drawn anew. A draw of another kind is handed on as it is.

    Args:
        func: takes no argument.
        call: how user code is called: ``call(func, rng, args)``; the default does not seed anything.
        probe: a draw that tells the kind of the values; without one nothing is multiplied.

    Raises:
        SpaceError: ``func`` cannot be called without arguments, or its probe draw is not finite: the caller's fault.

    >>> import numpy as np
    >>> Sampled(lambda: 8).probed(np.random.default_rng(0)).perturb(10, np.random.default_rng(0), factors=(2.0,))
    20
    """

    func: Callable[[], Any]
    call: Call = call_plainly
    probe: Any = None

    def __post_init__(self) -> None:
        if not callable(self.func):
            raise SpaceError(f"Sampled: func={self.func!r} cannot be called; give a function without arguments")
        if not accepts(self.func, 0):
            raise SpaceError(f"Sampled: func={self.func!r} needs arguments; give a function without any")
        if isinstance(self.probe, float) and not math.isfinite(self.probe):
            raise SpaceError(f"Sampled: func={self.func!r} returned {self.probe!r}; return a finite number")

    def probed(self, rng: np.random.Generator) -> Sampled:
        """Return the same domain with a probe draw taken through ``call``."""
        return replace(self, probe=self.sample(rng))

    @property
    def type(self) -> builtins.type[Any]:
        """Return the type of the probe's value if that is float or int, else object."""
        return type(self.probe) if type(self.probe) in (float, int) else object

    @property
    def moves(self) -> bool:
        """Return True: whatever the function gives can be drawn anew."""
        return True

    def sample(self, rng: np.random.Generator | None = None) -> Any:
        """Call the function."""
        value = plain(self.call(self.func, self._or_global(rng), ()))
        return float(value) if self.type is float and type(value) is int else value

    def perturb(self, value: Any, rng: np.random.Generator, factors: Factors = FACTORS) -> Any:
        """Return ``value`` times a factor if it is a number of the probe's type and not 0, else a draw."""
        factor = one_of(factors, rng)
        x = plain(value)
        if self.type is object or not self.contains(x) or x == 0:
            return self.sample(rng)
        if factor == 1:
            return x
        if self.type is float:
            moved = x * factor
            return moved if math.isfinite(moved) and moved not in (x, 0) else self.sample(rng)
        size = abs(x)
        goal = round(min(size * factor, MAX_INTEGER))
        if (goal > size) != (factor > 1) or goal == size:
            goal = size + 1 if factor > 1 else size - 1
        goal = goal or size + 1
        return goal if x > 0 else -goal

    def clip(self, value: Any) -> Any:
        """Return ``value`` as a number of the probe's type, or the probe; anything if the probe is no number."""
        if self.type is object:
            return value
        number = as_number(value)
        if number is None or not -MAX_FLOAT <= number <= MAX_FLOAT:
            return self.probe
        return float(number) if self.type is float else round(number)

    def contains(self, value: Any) -> bool:
        """Tell whether ``value`` has the probe's type, if that is one of numbers."""
        value = plain(value)
        return self.type is object or (type(value) is self.type and -MAX_FLOAT <= value <= MAX_FLOAT)

    def encode(self, value: Any) -> float:
        """Refuse: the range is unknown."""
        raise SpaceError(f"{self!r} has no known range to place {value!r} in; give a domain such as uniform(0, 1)")

    def decode(self, u: float) -> Any:
        """Refuse: the range is unknown."""
        raise SpaceError(f"{self!r} has no known range to place u={u!r} in; give a domain such as uniform(0, 1)")

    def _as_call(self) -> tuple[str, dict[str, Any]]:
        name = getattr(self.func, "__qualname__", type(self.func).__qualname__)
        return "Sampled", {"func": name, "type": self.type.__name__}

    def __repr__(self) -> str:
        return f"Sampled({self._as_call()[1]['func']})"
