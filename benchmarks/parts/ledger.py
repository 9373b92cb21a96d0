"""A long run's record."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.calling import call
from benchmarks.figures import Figure, at_most
from benchmarks.parts.asked import Asked, Skipped

PART = "ledger"
TITLE = "The record of a long run"
ABOUT = """A run of 100 members with 10,000 reports each, of four floats like the triangle wave's, made by
`Tuner.fit` on the inline executor; decisions are 10 or 100 reports apart, and exploits are as frequent as they
come. *A row* is all bytes of the ledger, decisions and small checkpoints included, divided by the reports. *Folded*
is a population that takes in all that happened; *resumed* is from `Tuner.restore` to the first call of the training
function. Each time is of a new process, without its imports."""


def measure(asked: Asked) -> Iterator[Figure | Skipped]:
    """Make a long run at two distances of decisions, and read it, and take it up."""
    members, rows = asked.size(100, 4), asked.size(10_000, 200)
    for block in (10, 100):
        size = ("--members", members, "--rows", rows, "--block", block, "--repeats", asked.fewer(3))
        told = call("ledger.py", *size).told
        what = f"{members * rows:,} reports, a decision at every {block}th"
        yield Figure.of(PART, f"{what}, bytes a row", "bytes", [told["bytes_per_row"]], at_most(150))
        yield Figure.of(PART, f"{what}, made", "s", [told["build_s"]])
        yield Figure.of(PART, f"{what}, folded", "s", told["fold_s"], at_most(2))
        yield Figure.of(PART, f"{what}, resumed", "s", told["resume_s"], at_most(1))
