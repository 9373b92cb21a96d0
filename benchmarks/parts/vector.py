"""What it costs to let a population evolve that is one program."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

from benchmarks.calling import CallError, call
from benchmarks.figures import Figure, at_most, ratios
from benchmarks.parts.asked import Asked, Skipped

PART = "vector"
TITLE = "The whole population in one program"
ABOUT = """A population of small networks (64 inputs, one hidden layer, 10 classes; scikit-learn's digits, 32 of them
at a step; Adam) on the CPU, in JAX. *By hand* is `vmap` over members and `scan` over steps in one compiled function,
which hands out every member's loss at each decision point, and decides nothing. *Evolving* is the same network as a
`VectorTrainable`: a quarter of the members become clones at each decision point, ledger and all. Both are timed from
one decision point to the next, with no compilation in it. The *host* is all that happens between the last score's
coming in and the next dispatch's leaving: events, decisions, and the replaced rows' being written. *Exploits* are of
a quarter of the members at once; what memory allows is `numpy.copyto` of as many bytes. *Apart* is a program for each
member: Ramet's workers, or Ray Tune's trials, two at a time."""

MODELS = ((8, "610"), (130, "9,760"), (1330, "99,760"))
"""Widths, with how many parameters that is."""


def measure(asked: Asked) -> Iterator[Figure | Skipped]:
    """Time everything that can be timed without a GPU."""
    if importlib.util.find_spec("jax") is None:
        yield Skipped(PART, "all of it", "JAX is not installed")
        return
    yield from _overhead(asked)
    yield from _exploits(asked)
    yield from _apart(asked)


def _overhead(asked: Asked) -> Iterator[Figure]:
    for members in (256, 1024):
        for steps, boundaries in ((20, 22), (100, 12), (500, 7)):
            size = ("--members", asked.size(members, 4), "--steps", asked.size(steps, 2))
            size = (*size, "--boundaries", asked.size(boundaries, 5), "--repeats", asked.fewer(5))
            told = call("vector.py", "overhead", *size, before=("-W", "ignore")).told
            name = f"{members:,} members, {steps} steps between decisions"
            target = at_most(1.03) if steps > 20 else None
            yield Figure.of(PART, f"{name}: by hand", "ms", [1e3 * s for s in told["plain"]])
            yield Figure.of(PART, f"{name}: evolving ÷ by hand", "x", ratios(told["evolving"], told["plain"]), target)
            trips = [1e3 * seconds for seconds in told["trips"]]
            yield Figure.of(PART, f"{name}: the host", "ms", trips, at_most(1.0) if members == 1024 else None)


def _exploits(asked: Asked) -> Iterator[Figure]:
    for members in (64, 256, 1000):
        for width, parameters in MODELS:
            size = ("--members", asked.size(members, 4), "--width", asked.size(width, 4), "--repeats", asked.fewer(5))
            told = call("vector.py", "exploit", *size, "--steps", asked.size(2, 1), before=("-W", "ignore")).told
            name = f"{members:,} members of {parameters} parameters"
            each = [1e6 * seconds / told["exploits"] for seconds in told["moved"]]
            yield Figure.of(PART, f"{name}: an exploit", "µs", each)
            least = [1e6 * seconds / told["exploits"] for seconds in told["copied"]]
            yield Figure.of(PART, f"{name}: what memory allows", "µs", least)
            if (members, width) == (1000, MODELS[-1][0]):
                trained = [100 * seconds for seconds in told["trained"]]
                share = [100 * ratio for ratio in ratios(told["moved"], trained)]
                yield Figure.of(
                    PART, f"{name}: exploits at every 100 steps, of training time", "%", share, at_most(5.0)
                )


def _apart(asked: Asked) -> Iterator[Figure | Skipped]:
    for members in (8, 64, 256):
        rates = {}
        size = ("--members", asked.size(members, 2), "--steps", asked.size(100, 2))
        for executor, boundaries in (("vector", 12), ("process", 6)):
            how = (*size, "--boundaries", asked.size(boundaries, 3), "--executor", executor)
            told = call("vector.py", "rate", *how, before=("-W", "ignore")).told
            rates[executor] = told["rate"]
            word = "one program" if executor == "vector" else "apart"
            yield Figure.of(PART, f"{members} members, {word}: member-steps a second", "/s", told["rate"])
        both = ratios(rates["vector"], rates["process"])
        yield Figure.of(PART, f"{members} members: one program ÷ apart", "x", both)
        if asked.ray is None or members > 8:
            why = "it is not installed" if asked.ray is None else "it would take more than ten minutes"
            yield Skipped(PART, f"{members} members on Ray Tune", why)
            continue
        try:
            told = call("vector_ray.py", *size, "--boundaries", asked.size(4, 3), python=asked.ray, limit=600).told
        except CallError as error:
            yield Skipped(PART, f"{members} members on Ray Tune", str(error).splitlines()[0])
            continue
        yield Figure.of(PART, f"{members} members, Ray Tune: member-steps a second", "/s", told["rate"])
        yield Figure.of(PART, f"{members} members: one program ÷ Ray Tune", "x", ratios(rates["vector"], told["rate"]))
