"""How long it takes until something happens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from benchmarks.calling import call
from benchmarks.figures import Figure, at_most
from benchmarks.parts.asked import Asked, Skipped

PART = "start"
TITLE = "Start"
ABOUT = """An import is timed inside a new interpreter. *The first report* is from the start of Python to the return of
the first call of `report` in a worker process, in the shortest script there is. The figures after these are those of
`benchmarks/start.py`: milliseconds since the start of a process, up to each step of a script."""

SCRIPT = Path(__file__).parent.parent / "start.py"


def measure(asked: Asked) -> Iterator[Figure | Skipped]:
    """Time imports and the first report, and whatever start.py tells besides."""
    repeats = asked.size(20, 1)
    for told, names, target in (("import ramet", [], at_most(100)), ("import ramet, and use Tuner", ["Tuner"], None)):
        calls = [call("importing.py", *names) for _ in range(repeats + 1)]  # the first one may have to compile
        yield Figure.of(PART, told, "ms", [1000 * one.told["seconds"] for one in calls[1:]], target)
    calls = [call("first.py") for _ in range(repeats)]
    begins = [1000 * one.begin for one in calls]
    yield Figure.of(PART, "the first report after the start of the process", "ms", begins, at_most(350))
    yield Figure.of(PART, "the whole process of one report", "ms", [1000 * one.whole for one in calls])
    if SCRIPT.exists():
        told = call(SCRIPT, "--repeats", asked.size(9, 1)).told
        for name, value in told["figures"].items():
            yield Figure(PART, name, told["unit"], value["median"], value["low"], value["high"], None, told["repeats"])
