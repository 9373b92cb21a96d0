"""Many more members than slots."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.calling import in_turn
from benchmarks.figures import Figure
from benchmarks.parts.asked import Asked, Skipped
from benchmarks.parts.triangle import against_bare, styles

PART = "crowd"
TITLE = "More members than slots"
ABOUT = """The triangle wave with 64 members on 2 slots: every member takes turns with 31 others, so each decision
means putting one function away and starting another one from its checkpoint."""


def measure(asked: Asked) -> Iterator[Figure | Skipped]:
    """Time Ramet against the bare loop."""
    iterations = asked.size(100, 5)
    calls = in_turn(asked.fewer(5), styles(64, iterations))
    yield from against_bare(PART, f"64 members x {iterations} reports", calls, None)
