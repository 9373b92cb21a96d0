"""What a domain is: every way to move among the values that one hyperparameter may take.

A domain owns its type and its bounds. Whatever value is handed to it (outside, NaN, of a wrong type), what ``perturb``,
``clip`` and ``decode`` give back lies in the domain and has the domain's type; the current value never decides what
the next one may be.
"""

from __future__ import annotations

import builtins
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ramet.domains.values import as_number
from ramet.errors import SpaceError

if TYPE_CHECKING:
    import numpy as np

FACTORS = (1.2, 0.8)
"""The factors of the PBT paper and of Ray Tune."""

Factors = Sequence[float]

Call = Callable[[Callable[..., Any], "np.random.Generator", tuple[Any, ...]], Any]


def call_plainly(func: Callable[..., Any], rng: np.random.Generator, args: tuple[Any, ...]) -> Any:
    """Return ``func(*args)``. ``rng`` is there for callers that seed the global generators from it first.

    >>> import numpy as np
    >>> call_plainly(max, np.random.default_rng(0), (1, 2))
    2
    """
    del rng
    return func(*args)


class Domain(ABC):
    """The values that one hyperparameter may take. Frozen, comparable, and free of I/O; made by ``uniform`` …

    Subclass it for a domain of your own: strategies use nothing but these methods.
    """

    @property
    @abstractmethod
    def type(self) -> builtins.type[Any]:
        """The Python type of its values: ``float``, ``int``, or ``object`` where they can be anything."""

    @property
    @abstractmethod
    def moves(self) -> bool:
        """Whether ``perturb`` can ever turn one value of the domain into another."""

    @abstractmethod
    def sample(self, rng: np.random.Generator | None = None) -> Any:
        """Draw a value. Without ``rng`` numpy's global state decides: for trying a domain by hand."""

    @abstractmethod
    def perturb(self, value: Any, rng: np.random.Generator, factors: Factors = FACTORS) -> Any:
        """Return a neighbour of ``value``, always in the domain and of its type, whatever ``value`` is.

        Numbers outside are clipped first, then multiplied by one of ``factors`` (each finite and above 0): above 1
        moves away from zero, below 1 towards it, exactly 1 stays. In a log domain it is the place between the bounds
        on the log axis that is multiplied (``ramet.domains.numbers``). Where a bound stops the whole step, it goes
        inwards instead, so a value always moves. What is no number, or no entry of a list, is drawn anew.

        Raises:
            SpaceError: ``factors`` is empty, or one is not finite and above 0: the caller's fault.
        """

    @abstractmethod
    def clip(self, value: Any) -> Any:
        """Return the value of the domain that is nearest to ``value``; its middle if ``value`` has no place in it."""

    @abstractmethod
    def contains(self, value: Any) -> bool:
        """Tell whether ``value`` is one of the domain's."""

    @abstractmethod
    def encode(self, value: Any) -> float:
        """Return the place of ``value`` (clipped first) in [0, 1]: the lowest or first value is 0, the last 1."""

    @abstractmethod
    def decode(self, u: float) -> Any:
        """Return the value nearest to the place ``u``, the inverse of ``encode``; ``u`` outside [0, 1] is clipped."""

    @abstractmethod
    def _as_call(self) -> tuple[str, dict[str, Any]]:
        """Return the name of the constructor and its arguments, in order."""

    def to_plain(self) -> dict[str, Any]:
        """Return the domain as plain data, for ``domain_from_plain``; JSON-able where its values are.

        >>> from ramet.space import uniform
        >>> uniform(0, 1).to_plain()
        {'domain': 'uniform', 'lower': 0.0, 'upper': 1.0}
        """
        name, arguments = self._as_call()
        return {"domain": name, **arguments}

    @staticmethod
    def _or_global(rng: np.random.Generator | None) -> np.random.Generator:
        if rng is not None:
            return rng
        import numpy as np

        # By hand only (a run always passes one): np.random.seed() then does what a user at a prompt expects of it.
        return np.random.default_rng(np.random.randint(0, 2**31 - 1, size=4))

    def __repr__(self) -> str:
        name, arguments = self._as_call()
        return f"{name}({', '.join(map(repr, arguments.values()))})"


class Initial:
    """What stands for initial values only, such as a grid_search, and is no domain."""


def holds_domain(value: Any) -> bool:
    """Tell whether ``value`` is a domain, a grid_search or a sample_from, or a list, tuple or dict with one inside.

    >>> from ramet.space import uniform
    >>> holds_domain({"a": [1, uniform(0, 1)]}), holds_domain({"a": [1, 2]})
    (True, False)
    """
    if isinstance(value, Mapping):
        return set(value) == {"grid_search"} or any(map(holds_domain, value.values()))
    if isinstance(value, (list, tuple)):
        return any(map(holds_domain, value))
    return isinstance(value, (Domain, Initial))


def drawn_index(rng: np.random.Generator, n: int) -> int:
    """Draw an index of a sequence of length ``n``."""
    return int(rng.random() * n)  # a third of the cost of rng.integers(n); the bias is below n / 2**53


def one_of(factors: Factors, rng: np.random.Generator) -> float:
    """Draw one of ``factors``, each with the same probability, and check it."""
    if not len(factors):
        raise SpaceError(f"factors={factors!r} is empty; give at least one, such as (1.2, 0.8)")
    drawn = factors[drawn_index(rng, len(factors))]
    factor = as_number(drawn)  # a numpy factor would make its product a numpy scalar
    if factor is None or not 0 < factor < math.inf:
        raise SpaceError(f"factors={factors!r} holds {drawn!r}; give finite factors above 0, such as (1.2, 0.8)")
    return factor


def unit(u: float) -> float:
    """Return ``u`` clipped to [0, 1]."""
    if u != u:
        raise SpaceError(f"decode: u={u!r} is not a number; give a place in [0, 1]")
    return min(max(float(u), 0.0), 1.0)
