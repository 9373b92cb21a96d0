"""More reports than anybody needs."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from benchmarks.calling import call, in_turn
from benchmarks.figures import Figure, ratios
from benchmarks.parts.asked import Asked, Skipped

PART = "flood"
TITLE = "Floods of reports"
ABOUT = """Two members on 2 slots report every step, and a step takes about 1 µs. The bare loop keeps its rows in a
list and writes them as JSON at the end, in 2 processes. From the first step until the last row is recorded."""


def measure(asked: Asked) -> Iterator[Figure | Skipped]:
    """Time a report in the bare loop and in Ramet."""
    count = asked.size(300_000, 1000)
    calls = in_turn(
        asked.fewer(5),
        {
            "the bare loop": partial(call, "flood.py", "--bare", "--reports", count),
            "Ramet": partial(call, "flood.py", "--reports", count),
        },
    )
    each = {style: [1e6 * 2 * one.wall / one.reports for one in made] for style, made in calls.items()}
    for style, values in each.items():
        yield Figure.of(PART, f"a step and its report, of each of 2 members, {style}", "µs", values)
    yield Figure.of(PART, "2 slots together, Ramet", "reports/s", [2e6 / value for value in each["Ramet"]])
    yield Figure.of(PART, "Ramet ÷ the bare loop", "x", ratios(each["Ramet"], each["the bare loop"]))
