"""How long it takes until something happens."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.calling import call
from benchmarks.figures import Figure, at_most
from benchmarks.parts.asked import Asked, Skipped

PART = "start"
TITLE = "Start"
ABOUT = """Imports are timed inside new interpreters. *The first report* is from the start of Python to the return
of the first call of `report` in a worker process, in the shortest script there is."""

SCRIPT = Path(__file__).parent.parent / "start.py"


def measure(asked: Asked) -> Iterator[Figure | Skipped]:
    """Time imports and the first report, and whatever start.py tells besides."""
    repeats = asked.size(20, 1)
    for told, statement, target in (
        ("import ramet", "import ramet", at_most(100)),
        ("import ramet, and use Tuner", "import ramet; ramet.Tuner", None),
    ):
        code = f"import time; began = time.perf_counter(); {statement}; print(time.perf_counter() - began)"
        values = []
        for _ in range(repeats + 1):  # the first one may have to compile
            done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
            values.append(1000 * float(done.stdout))
        yield Figure.of(PART, told, "ms", values[1:], target)
    calls = [call("first.py") for _ in range(repeats)]
    begins = [1000 * one.begin for one in calls]
    yield Figure.of(PART, "the first report after the start of the process", "ms", begins, at_most(350))
    yield Figure.of(PART, "the whole process of one report", "ms", [1000 * one.whole for one in calls])
    if SCRIPT.exists():
        for name, value in flat(call(SCRIPT).told or {}):
            yield Figure.of(PART, f"start.py: {name}", "", [value])


def flat(told: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, float]]:
    """Yield the numbers of nested dicts with their dotted names."""
    for name, value in told.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{before}{name}.")
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            yield f"{before}{name}", float(value)
