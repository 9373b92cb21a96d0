"""Ray's tutorial "Visualizing Population Based Training", as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from benchmarks.calling import call, in_turn
from benchmarks.figures import Figure, at_least
from benchmarks.parts.asked import Asked, Skipped

PART = "quadratic"
TITLE = "Quadratic tutorial"
ABOUT = """Ray's tutorial "Visualizing Population Based Training" from the start of Python to its end: two members
climb a hill for 100 iterations with a synchronous decision at every fourth, two more do it without decisions, and a
table is made of every member's reports, which is what the tutorial's four figures show. Nothing is drawn, so
matplotlib is not in it. *A Ray script on Ramet* is the file that Ray Tune runs."""

OWN, SCRIPT = "Ramet", "a Ray script on Ramet"


def measure(asked: Asked) -> Iterator[Figure | Skipped]:
    """Time the whole processes."""
    iterations = asked.size(100, 8)
    calls = in_turn(
        asked.repeats,
        {
            OWN: partial(call, "quadratic_ramet.py", iterations),
            SCRIPT: partial(call, "quadratic_ray.py", iterations, before=("-m", "ramet.compat.ray")),
        },
    )
    for style, made in calls.items():
        yield Figure.of(PART, f"the whole process, {style}", "s", [one.whole for one in made])
    if asked.ray is None:
        yield Skipped(PART, "Ray Tune", "it is not installed")
        return
    made = in_turn(min(asked.rival_repeats, 1), {"": partial(call, "quadratic_ray.py", iterations, python=asked.ray)})
    whole = [one.whole for one in made[""]]
    yield Figure.of(PART, "the whole process, Ray Tune", "s", whole)
    for style in (OWN, SCRIPT):
        times = [other / one.whole for other in whole for one in calls[style]]
        target = at_least(100) if style == OWN else None
        yield Figure.of(PART, f"the whole process, Ray Tune ÷ {style}", "x", times, target)
