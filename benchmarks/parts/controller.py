"""The controller alone, with more members than any machine trains."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks.calling import call
from benchmarks.figures import Figure, at_least, at_most
from benchmarks.parts.asked import Asked, Skipped

PART = "controller"
TITLE = "The controller alone"
ABOUT = """10,000 members on the simulated executor, whose functions do nothing but report; a decision at every
15th report. The functions run in the same process, so what they cost is in it. Memory is the process's peak, and
*linear* is read as: four times the members take at most 1.2 times as much each. *Independent of the length of the
run* is read as: a decision in the last quarter of the run takes at most 1.2 times as long as one in the first."""

SCRIPT = Path(__file__).parent.parent / "many.py"


def measure(asked: Asked) -> Iterator[Figure | Skipped]:
    """Call many.py at two sizes."""
    if not SCRIPT.exists():
        yield Skipped(PART, "all of it", "many.py is not there")
        return
    many, few = asked.size(10_000, 40), asked.size(2500, 20)
    for kind, flags in (("synchronous", ["--synch"]), ("asynchronous", [])):
        size = ("--intervals", 4, *flags)
        large, small = [], []
        for _ in range(asked.fewer(2)):
            large.append(call(SCRIPT, "--members", many, *size).told)
            small.append(call(SCRIPT, "--members", few, *size).told)
        what = f"{many:,} members, {kind}"
        pace = [one["reports_per_second"] for one in large]
        yield Figure.of(PART, f"{what}, reports a second", "/s", pace, at_least(50_000))
        memory = [one["peak_MB"] for one in large]
        yield Figure.of(PART, f"{what}, memory", "MB", memory, at_most(200))
        each = [
            one["bytes_per_member"] / max(1, other["bytes_per_member"]) for one, other in zip(large, small, strict=True)
        ]
        yield Figure.of(PART, f"memory of a member, {many:,} ÷ {few:,} members, {kind}", "x", each, at_most(1.2))
        costs = [one["us_per_decision"] for one in large]
        yield Figure.of(PART, f"{what}, a decision with its 15 reports", "µs", [one["all"] for one in costs])
        quarters = [one["last_quarter"] / one["first_quarter"] for one in costs]
        yield Figure.of(PART, f"a decision, last quarter ÷ first, {kind}", "x", quarters, at_most(1.2))
