# ruff: noqa: D102, D413 - an override's docstring stands where it is declared; no blank line closes a docstring
"""Domains: what a hyperparameter may be, and every way to move within it.

A domain owns its type and its bounds. Whatever value is handed to it (outside, NaN, of a wrong type), what ``perturb``,
``clip`` and ``decode`` give back lies in the domain and has the domain's type; the current value never decides what
the next one may be.

The number domains share one rule for moving (``_Numeric.perturb``), be they continuous or grids: integers and
everything quantised are grids, whose values are ``k * q`` for whole ``k``. Source of the multiplicative rule:
Jaderberg et al. (2017), "Population Based Training of Neural Networks". The constructors (``uniform`` …) stand in
``ramet.space``.
"""

from __future__ import annotations

import builtins
import inspect
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any

import numpy as np

from ramet.errors import SpaceError

FACTORS = (1.2, 0.8)
"""The factors of the PBT paper and of Ray Tune."""

ZERO_SCALE = 0.1
"""In a linear domain that holds zero, values below this part of its width move as if they were this large.

Multiplying cannot leave zero. A tenth makes the step at zero 2 % of the width with the usual factors, so that a run
with some tens of perturbations can cross the domain, and nine tenths of it still move by plain multiplication. Domains
without zero have no trap and multiply everywhere: uniform(1e-4, 0.02) at 0.001 must go to 0.0008, not to 0.0006.
"""

MAX_STEPS = 10**9
"""Quanta between zero and a bound: above, ``bound / q`` has too few digits left to tell multiples from others."""

MAX_INTEGER = 2**53
"""Above, floats skip integers, so an integer times a factor is no longer exact to the unit."""

_MAX_FLOAT = float(np.finfo(np.float64).max)
_STANDARD_NORMAL = NormalDist()

Factors = Sequence[float]
Call = Callable[[Callable[..., Any], np.random.Generator, tuple[Any, ...]], Any]


def call_plainly(func: Callable[..., Any], rng: np.random.Generator, args: tuple[Any, ...]) -> Any:
    """Return ``func(*args)``. ``rng`` is there for callers that seed the global generators from it first.

    >>> call_plainly(max, np.random.default_rng(0), (1, 2))
    2
    """
    del rng
    return func(*args)


def plain(value: Any) -> Any:
    """Return a numpy scalar as the Python scalar that it stands for, and anything else as it is.

    >>> plain(np.float64(0.5)), plain(np.int32(3)), plain("adam")
    (0.5, 3, 'adam')
    """
    if isinstance(value, np.floating):
        return float(value)
    return value.item() if isinstance(value, (np.number, np.bool_, np.str_)) else value


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
        moves away from zero, below 1 towards it, exactly 1 stays. Where a bound stops the whole step, it goes inwards
        instead, so a value always moves. What is no number, or no entry of a list, is drawn anew.

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

        >>> Float(0, 1).to_plain()
        {'domain': 'uniform', 'lower': 0.0, 'upper': 1.0}
        """
        name, arguments = self._as_call()
        return {"domain": name, **arguments}

    def __repr__(self) -> str:
        name, arguments = self._as_call()
        return f"{name}({', '.join(map(repr, arguments.values()))})"


# ---------------------------------------------------------------------------------------------------------- numbers


class _Numeric(Domain):
    """What all number domains share: bounds, and in a grid the quantum ``_step`` with the range of its multiples."""

    _low: float
    _high: float
    _step: float | None = None
    _first = 0
    _last = 0
    _log = False
    _scale = 0.0

    def _set(self, **values: Any) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def _at(self, k: int) -> float:
        """Return the grid's value ``k * q``, or the bound where rounding dust would carry it outside."""
        assert self._step is not None
        return min(max(_without_dust(k * self._step), self._low), self._high)

    def _nearest(self, value: Any) -> float | None:
        """Return the nearest value of the domain, or None if ``value`` is no number."""
        number = _number(value)
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
        factor = _one_of(factors, rng)
        x = self._nearest(value)
        if x is None:
            return self.sample(rng)
        if factor == 1:
            return x
        if self._log:
            u = self.encode(x)
            step = (factor - 1) * max(u, ZERO_SCALE)
            there, back = self._on_log_axis(_unit(u + step)), self._on_log_axis(_unit(u - step))
        else:
            step = (factor - 1) * max(abs(x), self._scale)
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
        """Return the value at ``u`` of the way from the lower to the upper bound, in logarithms."""
        low = math.log(self._low)
        return math.exp(low + u * (math.log(self._high) - low))

    def clip(self, value: Any) -> Any:
        nearest = self._nearest(value)
        return self.decode(0.5) if nearest is None else nearest

    def contains(self, value: Any) -> bool:
        number = _number(value)
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
        u = _unit(u)
        if self._log:
            return self._nearest(self._on_log_axis(u))
        return self._nearest(self._low + u * (self._high - self._low))


@dataclass(frozen=True, repr=False)
class Float(_Numeric):
    """Floats from ``lower`` to ``upper``, both contained; only multiples of ``q`` if given; even in logs if ``log``.

    Made by ``uniform``, ``quniform``, ``loguniform`` and ``qloguniform``, which say more.
    """

    lower: float
    upper: float
    q: float | None = None
    log: bool = False

    def __post_init__(self) -> None:
        call = self._as_call()[0]
        lower, upper = _real(call, "lower", self.lower), _real(call, "upper", self.upper)
        _check_bounds(call, lower, upper, self.log)
        if not math.isfinite(upper - lower):
            raise SpaceError(f"{call}: from lower={lower!r} to upper={upper!r} is no finite distance; narrow the range")
        if self.q is not None:
            q = _real(call, "q", self.q)
            _check_quantum(call, q, lower=lower, upper=upper)
            lower, upper = _without_dust(lower), _without_dust(upper)
            self._set(q=q, _step=q, _first=round(lower / q), _last=round(upper / q))
        self._set(lower=lower, upper=upper, _low=lower, _high=upper, _log=self.log)
        self._set(_scale=ZERO_SCALE * (upper - lower) if lower <= 0 <= upper else 0.0)

    def sample(self, rng: np.random.Generator | None = None) -> float:
        rng = _or_global(rng)
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

    Made by ``randint``, ``qrandint``, ``lograndint`` and ``qlograndint``, which say more.
    """

    lower: int
    upper: int
    q: int = 1
    log: bool = False

    def __post_init__(self) -> None:
        call = f"{'log' if self.log else ''}randint"
        q = _whole(f"q{call}", "q", self.q)
        call = call if q == 1 else f"q{call}"
        lower, upper = _whole(call, "lower", self.lower), _whole(call, "upper", self.upper)
        _check_bounds(call, lower, upper, self.log)
        _check_quantum(call, q, lower=lower, upper=upper)
        high = upper - 1 if q == 1 else upper
        self._set(lower=lower, upper=upper, q=q, _low=lower, _high=high, _step=q, _log=self.log)
        self._set(_first=lower // q, _last=high // q, _scale=ZERO_SCALE * (high - lower) if lower <= 0 <= high else 0.0)

    @property
    def type(self) -> builtins.type[Any]:
        return int

    def _at(self, k: int) -> int:
        return k * self.q

    def sample(self, rng: np.random.Generator | None = None) -> int:
        rng = _or_global(rng)
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
        mean, sd = _real(call, "mean", self.mean), _real(call, "sd", self.sd)
        if sd <= 0:
            raise SpaceError(f"{call}: sd={sd!r} must be above 0; for one fixed value give the value itself")
        # Its width is counted as the 4 sd that hold 95 % of its draws.
        self._set(mean=mean, sd=sd, _low=-_MAX_FLOAT, _high=_MAX_FLOAT, _scale=ZERO_SCALE * 4 * sd)
        if self.q is not None:
            q = _real(call, "q", self.q)
            _check_quantum(call, q, mean=mean, sd=sd)
            steps = int(min(MAX_STEPS, _MAX_FLOAT / q))
            self._set(q=q, _step=q, _first=-steps, _last=steps, _low=-steps * q, _high=steps * q)

    def sample(self, rng: np.random.Generator | None = None) -> float:
        x: float = self.clip(self.mean + self.sd * _or_global(rng).standard_normal())
        return x

    def encode(self, value: Any) -> float:
        return math.erfc((self.mean - self.clip(value)) / self.sd / math.sqrt(2)) / 2

    def decode(self, u: float) -> Any:
        u = min(max(_unit(u), 1e-12), 1 - 1e-12)  # the ends themselves lie at infinity
        return self._nearest(self.mean + self.sd * _STANDARD_NORMAL.inv_cdf(u))

    def _as_call(self) -> tuple[str, dict[str, Any]]:
        arguments = {"mean": self.mean, "sd": self.sd}
        if self.q is not None:
            arguments["q"] = self.q
        return f"{'q' if self.q is not None else ''}randn", arguments


# ---------------------------------------------------------------------------------------------- listed and sampled


class _Listed(Domain):
    """What domains share that list their values. Entries may be anything, so they are compared by ``_same`` only."""

    _entries: tuple[Any, ...]

    def _where(self, value: Any) -> list[int]:
        """Return where ``value`` stands in the list; for a number that stands nowhere, where its equals do (1.0: 1)."""
        value = plain(value)
        found = [i for i, entry in enumerate(self._entries) if _same(entry, value)]
        if found or _number(value) is None:
            return found
        return [i for i, entry in enumerate(self._entries) if _number(entry) is not None and entry == value]

    @property
    def type(self) -> builtins.type[Any]:
        kinds = {type(entry) for entry in self._entries}
        return kinds.pop() if kinds in ({float}, {int}) else object

    def sample(self, rng: np.random.Generator | None = None) -> Any:
        return self._entries[_index(_or_global(rng), len(self._entries))]

    def clip(self, value: Any) -> Any:
        found = self._where(value)
        return self._entries[found[0]] if found else self.decode(0.5)

    def contains(self, value: Any) -> bool:
        return any(_same(entry, plain(value)) for entry in self._entries)

    def encode(self, value: Any) -> float:
        if len(self._entries) == 1:
            return 0.0
        return self._where(self.clip(value))[0] / (len(self._entries) - 1)

    def decode(self, u: float) -> Any:
        return self._entries[round(_unit(u) * (len(self._entries) - 1))]

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        assert isinstance(other, _Listed)
        mine, theirs = self._entries, other._entries
        return len(mine) == len(theirs) and all(map(_same, mine, theirs))

    def __hash__(self) -> int:
        return hash((type(self), len(self._entries)))  # entries need not be hashable


@dataclass(frozen=True, repr=False, eq=False)
class Ordered(_Listed):
    """Values in an order that means something: what a plain list or tuple stands for in ``mutations``.

    ``perturb`` goes one entry up or down with equal probability (``factors`` play no part), inwards at an end, and
    passes over repeats of the value. A value that is not in the list is drawn anew; True is not 1.

    Args:
        values: at least one; a repeated value is drawn as many times as often.

    Raises:
        SpaceError: ``values`` is empty, not a sequence, or holds a domain: the caller's fault.

    >>> Ordered([16, 32, 64]).perturb(16, np.random.default_rng(0))
    32
    """

    values: tuple[Any, ...]

    def __post_init__(self) -> None:
        entries = _entries("Ordered", "values", self.values)
        object.__setattr__(self, "values", entries)
        object.__setattr__(self, "_entries", entries)

    @property
    def moves(self) -> bool:
        return not all(_same(self.values[0], entry) for entry in self.values)

    def perturb(self, value: Any, rng: np.random.Generator, factors: Factors = FACTORS) -> Any:
        del factors
        found = self._where(value)
        if not found:
            return self.sample(rng)
        start = found[_index(rng, len(found))]
        direction = 1 if rng.random() < 0.5 else -1
        for step in (direction, -direction):
            at = start + step
            while 0 <= at < len(self.values):
                if not _same(self.values[at], self.values[start]):
                    return self.values[at]
                at += step
        return self.values[start]

    def _as_call(self) -> tuple[str, dict[str, Any]]:
        return "Ordered", {"values": list(self.values)}


@dataclass(frozen=True, repr=False, eq=False)
class Categorical(_Listed):
    """Values without an order, made by ``choice``.

    They have no neighbours, so ``perturb`` leaves a category as it is (only resampling changes it, and ``moves`` is
    False) and draws anew what is none.
    """

    categories: tuple[Any, ...]

    def __post_init__(self) -> None:
        entries = _entries("choice", "categories", self.categories)
        object.__setattr__(self, "categories", entries)
        object.__setattr__(self, "_entries", entries)

    @property
    def moves(self) -> bool:
        return False

    def perturb(self, value: Any, rng: np.random.Generator, factors: Factors = FACTORS) -> Any:
        del factors
        found = self._where(value)
        return self.categories[found[0]] if found else self.sample(rng)

    def _as_call(self) -> tuple[str, dict[str, Any]]:
        return "choice", {"categories": list(self.categories)}


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

    >>> Sampled(lambda: 8).probed(np.random.default_rng(0)).perturb(10, np.random.default_rng(0), factors=(2.0,))
    20
    """

    func: Callable[[], Any]
    call: Call = call_plainly
    probe: Any = None

    def __post_init__(self) -> None:
        if not callable(self.func):
            raise SpaceError(f"Sampled: func={self.func!r} cannot be called; give a function without arguments")
        if not _accepts(self.func, 0):
            raise SpaceError(f"Sampled: func={self.func!r} needs arguments; give a function without any")
        if isinstance(self.probe, float) and not math.isfinite(self.probe):
            raise SpaceError(f"Sampled: func={self.func!r} returned {self.probe!r}; return a finite number")

    def probed(self, rng: np.random.Generator) -> Sampled:
        """Return the same domain with a probe draw taken through ``call``."""
        return replace(self, probe=self.sample(rng))

    @property
    def type(self) -> builtins.type[Any]:
        return type(self.probe) if type(self.probe) in (float, int) else object

    @property
    def moves(self) -> bool:
        return True

    def sample(self, rng: np.random.Generator | None = None) -> Any:
        value = plain(self.call(self.func, _or_global(rng), ()))
        return float(value) if self.type is float and type(value) is int else value

    def perturb(self, value: Any, rng: np.random.Generator, factors: Factors = FACTORS) -> Any:
        factor = _one_of(factors, rng)
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
        if self.type is object:
            return value
        number = _number(value)
        if number is None or not -_MAX_FLOAT <= number <= _MAX_FLOAT:
            return self.probe
        return float(number) if self.type is float else round(number)

    def contains(self, value: Any) -> bool:
        value = plain(value)
        return self.type is object or (type(value) is self.type and -_MAX_FLOAT <= value <= _MAX_FLOAT)

    def encode(self, value: Any) -> float:
        raise SpaceError(f"{self!r} has no known range to place {value!r} in; give a domain such as uniform(0, 1)")

    def decode(self, u: float) -> Any:
        raise SpaceError(f"{self!r} has no known range to place u={u!r} in; give a domain such as uniform(0, 1)")

    def _as_call(self) -> tuple[str, dict[str, Any]]:
        name = getattr(self.func, "__qualname__", type(self.func).__qualname__)
        return "Sampled", {"func": name, "type": self.type.__name__}

    def __repr__(self) -> str:
        return f"Sampled({self._as_call()[1]['func']})"


# ------------------------------------------------------------------------------- initial values only: no domains


@dataclass(frozen=True, repr=False, eq=False)
class GridSearch:
    """Values that each get members of their own; made by ``grid_search``. For initial values only."""

    values: tuple[Any, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", _entries("grid_search", "values", self.values))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, GridSearch):
            return NotImplemented
        return len(self.values) == len(other.values) and all(map(_same, self.values, other.values))

    def __hash__(self) -> int:
        return hash((GridSearch, len(self.values)))

    def __repr__(self) -> str:
        return f"grid_search({list(self.values)!r})"


@dataclass(frozen=True, repr=False)
class SampleFrom:
    """A function of the values that are already drawn; made by ``sample_from``. For initial values only."""

    func: Callable[..., Any]

    def __post_init__(self) -> None:
        if not callable(self.func):
            raise SpaceError(f"sample_from: func={self.func!r} cannot be called; give a function of one argument, spec")
        if not (_accepts(self.func, 1) or _accepts(self.func, 0)):
            raise SpaceError(f"sample_from: func={self.func!r} must take one argument, spec, or none")

    @property
    def takes_spec(self) -> bool:
        """Whether ``func`` wants the values that are already drawn."""
        return _accepts(self.func, 1)

    def __repr__(self) -> str:
        return f"sample_from({getattr(self.func, '__qualname__', self.func)})"


# ------------------------------------------------------------------------------------------------------ small parts


def holds_domain(value: Any) -> bool:
    """Tell whether ``value`` is a domain, a grid_search or a sample_from, or a list, tuple or dict with one inside.

    >>> holds_domain({"a": [1, Float(0, 1)]}), holds_domain({"a": [1, 2]})
    (True, False)
    """
    if isinstance(value, Mapping):
        return set(value) == {"grid_search"} or any(map(holds_domain, value.values()))
    if isinstance(value, (list, tuple)):
        return any(map(holds_domain, value))
    return isinstance(value, (Domain, GridSearch, SampleFrom))


def _number(value: Any) -> float | int | None:
    """Return ``value`` as a plain float or int, or None if it is no number (a bool is none)."""
    kind = type(value)
    if kind is float or kind is int:
        return value  # type: ignore[no-any-return]
    if isinstance(value, (float, np.floating)):
        return float(value)
    return int(value) if isinstance(value, (int, np.integer)) and not isinstance(value, bool) else None


def _same(a: Any, b: Any) -> bool:
    """Tell whether two values of any kind are the same: identical, or equal and of one type."""
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        return a.dtype == b.dtype and np.array_equal(a, b)
    try:
        return bool(a == b) or (isinstance(a, float) and a != a and b != b)
    except Exception:  # user's __eq__ may do anything: what cannot be compared is not the same
        return False


def _without_dust(x: float) -> float:
    """Return ``x`` without the dust of a multiplication: 3 * 0.1 becomes 0.3, while a third stays a third."""
    short = float(f"{x:.12g}")
    return short if abs(short - x) <= 1e-15 * abs(x) else x


def _index(rng: np.random.Generator, n: int) -> int:
    return int(rng.random() * n)  # a third of the cost of rng.integers(n); the bias is below n / 2**53


def _one_of(factors: Factors, rng: np.random.Generator) -> float:
    if not len(factors):
        raise SpaceError(f"factors={factors!r} is empty; give at least one, such as (1.2, 0.8)")
    drawn = factors[_index(rng, len(factors))]
    factor = _number(drawn)  # a numpy factor would make its product a numpy scalar
    if factor is None or not 0 < factor < math.inf:
        raise SpaceError(f"factors={factors!r} holds {drawn!r}; give finite factors above 0, such as (1.2, 0.8)")
    return factor


def _or_global(rng: np.random.Generator | None) -> np.random.Generator:
    # By hand only (a run always passes a generator): np.random.seed() then does what a user at a prompt expects of it.
    return np.random.default_rng(np.random.randint(0, 2**31 - 1, size=4)) if rng is None else rng


def _unit(u: float) -> float:
    if u != u:
        raise SpaceError(f"decode: u={u!r} is not a number; give a place in [0, 1]")
    return min(max(float(u), 0.0), 1.0)


def _accepts(func: Callable[..., Any], arguments: int) -> bool:
    try:
        inspect.signature(func).bind(*range(arguments))
    except TypeError:
        return False
    except ValueError:  # some built-ins do not tell their signature: believe the user
        return True
    return True


def _entries(call: str, name: str, values: Any) -> tuple[Any, ...]:
    if isinstance(values, Set):
        raise SpaceError(f"{call}: {name}={values!r} is a set, whose order no seed can repeat; give a sorted list")
    if isinstance(values, (str, bytes, Mapping, Domain)) or not isinstance(values, Iterable):
        raise SpaceError(f"{call}: {name}={values!r} is of type {type(values).__name__}; give a list of values")
    entries = tuple(map(plain, values))
    if not entries:
        raise SpaceError(f"{call}: {name} is empty; give at least one value")
    if holds_domain(entries):
        raise SpaceError(
            f"{call}: {name}={values!r} holds a domain; give it a key of its own, or draw from it in a sample_from"
        )
    return entries


def _real(call: str, name: str, value: Any) -> float:
    number = _number(value)
    if number is None:
        raise SpaceError(f"{call}: {name}={value!r} is of type {type(value).__name__}; give a number")
    if not -_MAX_FLOAT <= number <= _MAX_FLOAT:
        raise SpaceError(f"{call}: {name}={value!r} is not finite; give a finite number")
    return float(number)


def _whole(call: str, name: str, value: Any) -> int:
    number = _real(call, name, value)
    if not number.is_integer():
        floats = call.replace("randint", "uniform")
        raise SpaceError(f"{call}: {name}={value!r} is not an integer; round it, or use {floats} for floats")
    if abs(number) > MAX_INTEGER:
        raise SpaceError(f"{call}: {name}={value!r} is beyond 2**53, where floats skip integers; use a smaller number")
    return int(value)


def given_quantum(call: str, q: Any) -> Any:
    """Return ``q``, which the constructor ``call`` cannot do without; None means "not quantised" to ``Float``."""
    if q is None:
        raise SpaceError(f"{call}: q=None is not a number; give a distance above 0, or use {call.replace('q', '', 1)}")
    return q


def check_base(call: str, base: Any) -> None:
    """Check the base of a logarithm, which is otherwise ignored."""
    if _real(call, "base", base) <= 1:
        raise SpaceError(f"{call}: base={base!r} must be above 1; leave it away, it changes nothing")


def _check_bounds(call: str, lower: float, upper: float, log: bool) -> None:
    if upper <= lower:
        way_out = "swap the two" if upper < lower else "for one fixed value give the value itself"
        raise SpaceError(f"{call}: upper={upper!r} must be above lower={lower!r}; {way_out}")
    if log and lower <= 0:
        raise SpaceError(
            f"{call}: lower={lower!r} has no logarithm; give a bound above 0 (the value itself, not its logarithm), or "
            f"use {call.replace('log', '')}"
        )


def _check_quantum(call: str, q: float, **marks: float) -> None:
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
            below, above = (type(q)(_without_dust(whole(k) * q)) for whole in (math.floor, math.ceil))
            raise SpaceError(f"{call}: {name}={mark!r} is no multiple of q={q!r}; use {name}={below!r} or {above!r}")
