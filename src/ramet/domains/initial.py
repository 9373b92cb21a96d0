"""What gives initial values only: no domains, since there is nowhere to move."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ramet.domains.base import Initial
from ramet.domains.checks import accepts
from ramet.domains.lists import entries_of
from ramet.domains.values import same
from ramet.errors import SpaceError


@dataclass(frozen=True, repr=False, eq=False)
class GridSearch(Initial):
    """Values that each get members of their own; made by ``grid_search``. For initial values only."""

    values: tuple[Any, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", entries_of("grid_search", "values", self.values))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, GridSearch):
            return NotImplemented
        return len(self.values) == len(other.values) and all(map(same, self.values, other.values))

    def __hash__(self) -> int:
        return hash((GridSearch, len(self.values)))

    def __repr__(self) -> str:
        return f"grid_search({list(self.values)!r})"


@dataclass(frozen=True, repr=False)
class SampleFrom(Initial):
    """A function of the values that are already drawn; made by ``sample_from``. For initial values only."""

    func: Callable[..., Any]

    def __post_init__(self) -> None:
        if not callable(self.func):
            raise SpaceError(f"sample_from: func={self.func!r} cannot be called; give a function of one argument, spec")
        if not (accepts(self.func, 1) or accepts(self.func, 0)):
            raise SpaceError(f"sample_from: func={self.func!r} must take one argument, spec, or none")

    @property
    def takes_spec(self) -> bool:
        """Whether ``func`` wants the values that are already drawn."""
        return accepts(self.func, 1)

    def __repr__(self) -> str:
        return f"sample_from({getattr(self.func, '__qualname__', self.func)})"
