"""A real training that keeps the processor busy."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from functools import partial

from benchmarks.calling import call, in_turn
from benchmarks.figures import Figure, at_least, at_most, ratios
from benchmarks.parts.asked import Asked, Skipped

PART = "digits"
TITLE = "A real training"
ABOUT = """Two networks in numpy, one thread each, trained on the digits of scikit-learn; a step is about 30 ms of
arithmetic, every tenth is followed by a decision with the weights (76 kB) as checkpoint. The bare loop saves them
as often with `numpy.savez`. What 2 slots can be faster than one is bounded by what the machine's two cores give:
*the bare loop, 1 process ÷ 2 processes* is that bound."""


def measure(asked: Asked) -> Iterator[Figure | Skipped]:
    """Time 1 and 2 slots, with and without Ramet."""
    if importlib.util.find_spec("sklearn") is None:
        yield Skipped(PART, "all of it", "scikit-learn is not installed")
        return
    steps = asked.size(120, 10)
    calls = in_turn(
        asked.fewer(5),
        {
            f"{style}, {slots} {'processes' if slots == 2 else 'process'}": partial(
                call, "digits.py", "--steps", steps, "--slots", slots, *more
            )
            for style, more in (("the bare loop", ["--bare"]), ("Ramet", []))
            for slots in (2, 1)
        },
    )
    spans = {style: [one.span for one in made] for style, made in calls.items()}
    both, alone = "the bare loop, 2 processes", "the bare loop, 1 process"
    ours, turns = "Ramet, 2 processes", "Ramet, 1 process"
    yield Figure.of(PART, "one step", "ms", [1000 * span / (2 * steps) for span in spans[alone]])
    for style, values in spans.items():
        yield Figure.of(PART, f"2 members x {steps} steps, training, {style}", "s", values)
    yield Figure.of(PART, "Ramet, 1 slot ÷ 2 slots", "x", ratios(spans[turns], spans[ours]), at_least(1.95))
    yield Figure.of(PART, "the bare loop, 1 process ÷ 2 processes", "x", ratios(spans[alone], spans[both]))
    yield Figure.of(PART, "Ramet ÷ the bare loop, 2 slots", "x", ratios(spans[ours], spans[both]), at_most(1.01))
