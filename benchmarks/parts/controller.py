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
50th report, or at every 15th. The functions run in the same process, so what they cost is in it. Memory is the
process's peak, and
*linear* is read as: four times the members take at most 1.2 times as much each. *Independent of the length of the
run* is read as: a decision in the last quarter of the run takes at most 1.2 times as long as one in the first."""

SCRIPT = Path(__file__).parent.parent / "many.py"


def measure(asked: Asked) -> Iterator[Figure | Skipped]:
    """Call many.py at two sizes."""
    if not SCRIPT.exists():
        yield Skipped(PART, "all of it", "many.py is not there")
        return
    many, few = asked.size(10_000, 40), asked.size(2500, 20)
    for reports, kind, flags in (
        (50, "synchronous", ["--synch"]),
        (50, "asynchronous", []),
        (15, "synchronous", ["--synch"]),
        (15, "asynchronous", []),
    ):
        told = call(SCRIPT, "--members", many, "--reports", reports, "--intervals", 4, *flags).told
        what = f"{many:,} members, {kind}, decisions {reports} reports apart"
        yield Figure.of(PART, f"{what}, reports a second", "/s", [told["reports_per_second"]], at_least(50_000))
        yield Figure.of(PART, f"{what}, memory", "MB", [told["peak_MB"]], at_most(200))
        spent = [told["cpu_us_per_decision"]["all"]]
        yield Figure.of(PART, f"{what}, a decision and its reports", "µs", spent)
        if reports == 50 and flags:
            fewer = call(SCRIPT, "--members", few, "--reports", reports, "--intervals", 4, *flags).told
            each = [told["bytes_per_member"] / max(1, fewer["bytes_per_member"])]
            yield Figure.of(PART, f"memory of a member, {many:,} ÷ {few:,} members", "x", each, at_most(1.2))
    for kind, flags in (("synchronous", ["--synch"]), ("asynchronous", [])):
        length = asked.size(200, 8)
        told = call(SCRIPT, "--members", asked.size(300, 20), "--intervals", length, *flags).told["cpu_us_per_decision"]
        ratio = [told["last_quarter"] / told["first_quarter"]]
        what = f"a decision of 300 members, last quarter of {length} ÷ first, {kind}"
        yield Figure.of(PART, what, "x", ratio, at_most(1.2))
