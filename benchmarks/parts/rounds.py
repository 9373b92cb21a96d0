"""What one report costs, one decision, one exploit: seen from inside the training function."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.calling import call
from benchmarks.figures import Figure, at_most, tail_of
from benchmarks.parts.asked import Asked, Skipped

PART = "rounds"
TITLE = "A report, a decision, an exploit"
ABOUT = """Measured inside the training function. *A report that is no boundary* takes a dict of five floats and
returns; the batches that are sent meanwhile are in it. *A report at a decision point* carries a small dict as its
checkpoint: it is handed over, recorded, decided and committed, and the answer, always to go on, is there. *An
exploit* is from the call of the report to the clone's first step with the donor's state loaded: the same, and
leaving the function, starting it again and reading the checkpoint. Commits are durable against the death of any
process (`RunConfig(durability="process")`); they wait for the disk only now and then, when SQLite folds its log
into the file."""

WARM_UP = 10


def measure(asked: Asked) -> Iterator[Figure | Skipped]:
    """Time the three on both executors; the targets are of the process executor."""
    kinds = [
        ("reports", 50, "a report that is no boundary (5 floats)", at_most(2), None),
        ("boundaries", 3000, "a report at a decision point, until it is answered", at_most(150), at_most(1000)),
        ("exploits", 1000, "an exploit, from the report to the clone's first step", at_most(500), None),
    ]
    for executor in ("process", "inline"):
        for kind, repeats, name, target, rare in kinds:
            if executor == "inline" and kind == "exploits":
                continue  # its members sleep in turn, so there is nothing to see
            size = asked.size(repeats, 60)
            values = call("rounds.py", "--kind", kind, "--executor", executor, "--repeats", size).told["us"]
            values = values[1:] if kind == "reports" else values[min(WARM_UP, len(values) // 2) :]
            wanted = executor == "process"
            name = f"{name}, {executor}"
            yield Figure.of(PART, name, "µs", values, target if wanted else None, tail=kind != "reports")
            if rare is not None and wanted:
                yield tail_of(PART, f"{name}, 99th percentile", "µs", values, rare)
