"""What it takes to look at a large run."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.calling import call
from benchmarks.figures import Figure, at_most
from benchmarks.parts.asked import Asked, Skipped

PART = "looking"
TITLE = "Looking at a run of 1.28 million reports"
ABOUT = """A synchronous run of 64 members, 1,000 boundaries and 20 reports between two of them, made in virtual time,
and then asked by fresh processes. *ramet show* is the whole process. The tables are those of `ramet.open(run)`, in
this order, each taking what the ones before have read; with pandas loaded before. *The fold* takes every event in
turn, as going on with a run does (`ramet.ResultGrid`), and *its rows* are the same reports member by member: what all
of it cost before."""
TABLES = ("members", "reports", "segments", "decisions", "checkpoints", "founders", "replacements", "slots")


def measure(asked: Asked) -> Iterator[Figure | Skipped]:
    """Make the run, and time every question."""
    size = ("--members", asked.size(64, 4), "--boundaries", asked.size(1000, 4), "--interval", asked.size(20, 2))
    told = call("looking.py", *size, "--repeats", asked.fewer(5)).told
    yield Figure.of(PART, "the ledger", "MB", [told["megabytes"]])
    yield Figure.of(PART, "ramet show", "s", told["show"], at_most(0.5))
    yield Figure.of(PART, "ramet.open", "s", told["open"])
    for name in TABLES:
        yield Figure.of(PART, f"the table of {name}", "s", told[name])
    together = [sum(times) for times in zip(told["open"], *(told[name] for name in TABLES), strict=True)]
    yield Figure.of(PART, "all tables together", "s", together, at_most(5.0))
    yield Figure.of(PART, "the fold", "s", told["fold"])
    yield Figure.of(PART, "its rows", "s", told["rows"])
    ratio = [(a + b) / c for a, b, c in zip(told["fold"], told["rows"], together, strict=True)]
    yield Figure.of(PART, "the fold and its rows, as a multiple of all tables", "x", ratio)
