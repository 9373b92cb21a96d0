"""How fast the problems of `ramet.problems` are by themselves, and on a Tuner."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

from benchmarks.calling import call
from benchmarks.figures import Figure, at_least
from benchmarks.parts.asked import Asked, Skipped

PART = "problems"
TITLE = "Problems whose answers are known"
ABOUT = """A member-step is one report of one member. *As arrays* is `Problem.step` with 10,000 members (the network of
the digits: 16), without a run; *on a Tuner* is a population of 32 on the inline executor, 50 reports each and a
synchronous decision at every 5th, from `fit()` to its results."""

NAMES = ("triangle", "quadratic", "toy-plain", "toy-deceptive", "drift", "two-goals", "digits")


def measure(asked: Asked) -> Iterator[Figure | Skipped]:
    """Time each problem as arrays, and one of them on a Tuner."""
    for name in NAMES:
        if name == "digits" and importlib.util.find_spec("sklearn") is None:
            yield Skipped(PART, f"{name}, as arrays", "scikit-learn is not installed")
            continue
        members = 16 if name == "digits" else asked.size(10_000, 100)
        repeats = asked.fewer(5)
        told = call("problems.py", "--problem", name, "--members", members, "--repeats", repeats).told
        target = None if name == "digits" else at_least(1_000_000)
        yield Figure.of(PART, f"{name}, as arrays, member-steps a second", "/s", told["per_second"], target)
    told = call("problems.py", "--tuner", "--members", asked.size(32, 4), "--repeats", asked.fewer(5)).told
    yield Figure.of(PART, "toy-deceptive, on a Tuner, one run", "s", told["seconds"])
    yield Figure.of(PART, "toy-deceptive, on a Tuner, member-steps a second", "/s", told["per_second"])
