"""Domains that list their values: in an order that means something, or in none."""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ramet.domains.base import FACTORS, Domain, Factors, drawn_index, holds_domain, unit
from ramet.domains.values import as_number, plain, same
from ramet.errors import SpaceError

if TYPE_CHECKING:
    import numpy as np


class _Listed(Domain):
    """What domains share that list their values. Entries may be anything, so they are compared by ``same`` only."""

    _entries: tuple[Any, ...]

    def _where(self, value: Any) -> list[int]:
        """Return where ``value`` stands in the list; for a number that stands nowhere, where its equals do (1.0: 1)."""
        value = plain(value)
        found = [i for i, entry in enumerate(self._entries) if same(entry, value)]
        if found or as_number(value) is None:
            return found
        return [i for i, entry in enumerate(self._entries) if as_number(entry) is not None and entry == value]

    @property
    def type(self) -> builtins.type[Any]:
        kinds = {type(entry) for entry in self._entries}
        return kinds.pop() if kinds in ({float}, {int}) else object

    def sample(self, rng: np.random.Generator | None = None) -> Any:
        return self._entries[drawn_index(self._or_global(rng), len(self._entries))]

    def clip(self, value: Any) -> Any:
        found = self._where(value)
        return self._entries[found[0]] if found else self.decode(0.5)

    def contains(self, value: Any) -> bool:
        return any(same(entry, plain(value)) for entry in self._entries)

    def encode(self, value: Any) -> float:
        if len(self._entries) == 1:
            return 0.0
        return self._where(self.clip(value))[0] / (len(self._entries) - 1)

    def decode(self, u: float) -> Any:
        return self._entries[round(unit(u) * (len(self._entries) - 1))]

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        assert isinstance(other, _Listed)
        mine, theirs = self._entries, other._entries
        return len(mine) == len(theirs) and all(map(same, mine, theirs))

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

    >>> import numpy as np
    >>> Ordered([16, 32, 64]).perturb(16, np.random.default_rng(0))
    32
    """

    values: tuple[Any, ...]

    def __post_init__(self) -> None:
        entries = entries_of("Ordered", "values", self.values)
        object.__setattr__(self, "values", entries)
        object.__setattr__(self, "_entries", entries)

    @property
    def moves(self) -> bool:
        """Whether two entries differ."""
        return not all(same(self.values[0], entry) for entry in self.values)

    def perturb(self, value: Any, rng: np.random.Generator, factors: Factors = FACTORS) -> Any:
        """Return a neighbour of ``value`` in the list that differs from it."""
        del factors
        found = self._where(value)
        if not found:
            return self.sample(rng)
        start = found[drawn_index(rng, len(found))]
        direction = 1 if rng.random() < 0.5 else -1
        for step in (direction, -direction):
            at = start + step
            while 0 <= at < len(self.values):
                if not same(self.values[at], self.values[start]):
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
        entries = entries_of("choice", "categories", self.categories)
        object.__setattr__(self, "categories", entries)
        object.__setattr__(self, "_entries", entries)

    @property
    def moves(self) -> bool:
        """Return False: categories have no neighbours."""
        return False

    def perturb(self, value: Any, rng: np.random.Generator, factors: Factors = FACTORS) -> Any:
        """Return ``value`` if it is a category, else a draw."""
        del factors
        found = self._where(value)
        return self.categories[found[0]] if found else self.sample(rng)

    def _as_call(self) -> tuple[str, dict[str, Any]]:
        return "choice", {"categories": list(self.categories)}


def entries_of(call: str, name: str, values: Any) -> tuple[Any, ...]:
    """Return the argument ``name`` of the constructor ``call``, values in an order that can be repeated, checked."""
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
