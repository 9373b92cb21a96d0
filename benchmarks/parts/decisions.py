"""What strategies cost in a large population, apart from all else."""

from __future__ import annotations

import os
from collections.abc import Iterator

from benchmarks.calling import call
from benchmarks.figures import Figure, at_most
from benchmarks.parts.asked import Asked, Skipped

PART = "decisions"
TITLE = "Decisions for 10,000 members"
ABOUT = """A synchronous round of 10,000 members with four hyperparameters, all of which stand elsewhere than in the
round before, and whose turn it is in every group. *Who clones whom* is what a strategy looks up and draws; *the whole
decision* has the decisions and the hyperparameters of some thousand clones besides; *the scene* is where all stand, in
order. PB2 has eight members and 1,000 stretches to learn from, of which it
looks at the newest 200 by default. Milliseconds of processor time, of all threads."""


def measure(asked: Asked) -> Iterator[Figure | Skipped]:
    """Let every strategy decide for a large population."""
    members, rows = asked.size(10_000, 40), asked.size(1000, 16)
    # As many threads as numpy takes by itself: a controller is not told to take one either.
    threads = {"OPENBLAS_NUM_THREADS": str(os.cpu_count())}
    size = ("--members", members, "--rounds", asked.repeats, "--rows", rows)
    told = call("decisions.py", *size, environment=threads).told
    bandits = {name: told.pop(name) for name in list(told) if name.startswith("PB2")}
    asha = told.pop("ASHA")  # which clones nobody, so that all of it is the decision
    yield Figure.of(PART, "the scene", "ms", told["PopulationBasedTraining"]["scene"])
    for name, times in told.items():
        yield Figure.of(PART, f"{name}, who clones whom", "ms", times["index"], at_most(10))
        yield Figure.of(PART, f"{name}, the whole decision", "ms", times["decide"])
    yield Figure.of(PART, "ASHA, the whole decision", "ms", asha["decide"])
    for name, times in bandits.items():
        yield Figure.of(PART, f"{name} with {rows:,} rows, the whole decision", "ms", times["decide"], at_most(100))
