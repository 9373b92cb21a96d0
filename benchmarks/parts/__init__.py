"""The parts of the suite, in the order in which they run and are told.

Each is a module with a ``TITLE``, an ``ABOUT`` for the page, and ``measure``, which yields figures.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from benchmarks.figures import Figure
from benchmarks.parts import (
    cluster,
    controller,
    crowd,
    dashboard,
    decisions,
    digits,
    flood,
    large,
    ledger,
    looking,
    problems,
    quadratic,
    rounds,
    start,
    triangle,
    vector,
)
from benchmarks.parts.asked import Asked, Skipped

__all__ = ["PARTS", "Asked", "Skipped"]


class Part(Protocol):
    """What a module of this folder has."""

    TITLE: str
    ABOUT: str

    def measure(self, asked: Asked) -> Iterator[Figure | Skipped]:
        """Yield figures, and what had to be left out."""


PARTS: dict[str, Part] = {
    "triangle": triangle,
    "quadratic": quadratic,
    "rounds": rounds,
    "digits": digits,
    "large": large,
    "crowd": crowd,
    "dashboard": dashboard,
    "flood": flood,
    "ledger": ledger,
    "controller": controller,
    "decisions": decisions,
    "looking": looking,
    "problems": problems,
    "start": start,
    "vector": vector,
    "cluster": cluster,
}
