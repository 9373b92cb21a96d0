"""Benchmark problems whose best hyperparameters are known, as ordinary training functions: `PROBLEMS` by name.

>>> sorted(PROBLEMS)[:2]
['digits', 'drift']
>>> PROBLEMS["toy-plain"].optimum.value > 1.19
True
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from ramet.errors import ConfigError

if TYPE_CHECKING:
    from ramet.problems.base import Optimum as Optimum
    from ramet.problems.base import Problem as Problem

__all__ = ["PROBLEMS", "Optimum", "Problem"]

_WHERE = {
    "triangle": ("triangles", "PROBLEM"),
    "quadratic": ("quadratic", "PROBLEM"),
    "toy-plain": ("toys", "PLAIN"),
    "toy-deceptive": ("toys", "DECEPTIVE"),
    "drift": ("drift", "PROBLEM"),
    "two-goals": ("goals", "PROBLEM"),
    "digits": ("digits", "PROBLEM"),
}
"""By name, the file of a problem and what it is called there."""


class _Problems(Mapping[str, "Problem"]):
    """The problems by name; each file is loaded when its problem is first asked for."""

    def __getitem__(self, name: str) -> Problem:
        if name not in _WHERE:
            raise ConfigError(f"ramet.problems has no problem {name!r}: it has {', '.join(_WHERE)}")
        file, called = _WHERE[name]
        problem: Problem = getattr(importlib.import_module(f"ramet.problems.{file}"), called)
        return problem

    def __contains__(self, name: object) -> bool:
        return name in _WHERE

    def __iter__(self) -> Iterator[str]:
        return iter(_WHERE)

    def __len__(self) -> int:
        return len(_WHERE)

    def __repr__(self) -> str:
        return f"PROBLEMS({', '.join(_WHERE)})"


PROBLEMS: Mapping[str, Problem] = _Problems()
"""All problems by name, in the order in which they are told of."""


def __getattr__(name: str) -> Any:
    """Return `Problem` or `Optimum`, which a worker that trains one of them has no use for."""
    if name not in ("Optimum", "Problem"):
        raise AttributeError(f"module 'ramet.problems' has no name {name!r}")
    return getattr(importlib.import_module("ramet.problems.base"), name)
