"""The triangle wave of Ray Tune's first PBT example, in every style."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from benchmarks.calling import Call, CallError, call, in_turn
from benchmarks.figures import Figure, Target, at_least, at_most, ratios
from benchmarks.parts.asked import Asked, Skipped

PART = "triangle"
TITLE = "Triangle wave"
ABOUT = """The toy problem of Ray Tune's first example: 8 members on 2 slots, 1,000 reports each, and a decision
with a checkpoint, a directory with one small file, at every fifth. Nothing stops early. *The bare loop* is the same
code in 2 processes without any library: it writes as many directories, removes the one before, keeps its rows, and
never clones. *Training* is the time of a process from its first step to its last, on average over the processes, so
starting Python and importing are not in it; *the whole process* is all. With 8 members on 2 slots nearly every
decision is followed by another member's turn. *A Ray script on Ramet* is the file that Ray Tune runs, as it stands;
it makes a temporary directory for each checkpoint. Ratios are of the time for each report.

Ray Tune runs the same file for fewer iterations, for it takes minutes; *best settings* are `reuse_actors=True`, and
*nothing logged* leaves out all rows and log files besides, which Ramet does not. Syne Tune has no turns: as many
members train as there are workers, and each clone is a new process; *best settings* look for news every 10 ms
instead of every 5 s. Starting a rival is not in its reports a second."""

BARE, OWN, INLINE, SCRIPT = "the bare loop", "Ramet", "Ramet, inline", "a Ray script on Ramet"


def styles(members: int, iterations: int) -> dict[str, partial[Call]]:
    """Return the styles that are timed in turn."""
    size = ("--members", members, "--iterations", iterations)
    return {
        BARE: partial(call, "triangle_bare.py", *size, "--processes", 2),
        OWN: partial(call, "triangle_ramet.py", *size),
        INLINE: partial(call, "triangle_ramet.py", *size, "--executor", "inline"),
        SCRIPT: partial(call, "triangle_ray.py", *size, before=("-m", "ramet.compat.ray")),
    }


def each(calls: list[Call]) -> list[float]:
    """Return the seconds of training that a report took, of every call."""
    return [made.span / made.reports for made in calls]


def paces(calls: list[Call]) -> list[float]:
    """Return the reports a second of all processes together, of every call."""
    if not all(made.reports for made in calls):
        raise CallError("it ended well, and has not reported")
    return [made.reports / made.wall for made in calls]


def against_bare(part: str, what: str, calls: dict[str, list[Call]], target: Target | None) -> Iterator[Figure]:
    """Yield how long each style trained, and as a ratio to the bare loop; ``target`` is of Ramet's own style."""
    for style, made in calls.items():
        yield Figure.of(part, f"{what}, training, {style}", "s", [one.span for one in made])
    for style in (OWN, INLINE, SCRIPT):
        ratio = ratios(each(calls[style]), each(calls[BARE]))
        wanted = target if style == OWN else None
        yield Figure.of(part, f"training, {style} ÷ the bare loop", "x", ratio, wanted)


def measure(asked: Asked) -> Iterator[Figure | Skipped]:
    """Time Ramet against the bare loop, then the rivals."""
    iterations = asked.size(1000, 10)
    what = f"8 members x {iterations:,} reports"
    calls = in_turn(asked.repeats, styles(8, iterations))
    yield from against_bare(PART, what, calls, at_most(1.5))
    for style, made in calls.items():
        yield Figure.of(PART, f"{what}, the whole process, {style}", "s", [one.whole for one in made])
    more = [own.whole - bare.whole for own, bare in zip(calls[OWN], calls[BARE], strict=True)]
    yield Figure.of(PART, "the whole process, Ramet − the bare loop", "s", more, at_most(1.0))
    pace = paces(calls[OWN])
    yield Figure.of(PART, "reports a second, Ramet", "/s", pace)
    yield from rivals(asked, sorted(pace)[len(pace) // 2])


def rivals(asked: Asked, ours: float) -> Iterator[Figure | Skipped]:
    """Yield the reports a second of the rivals, and how many times as many Ramet makes, ``ours``."""
    iterations = asked.size(20, 10)
    size = ("--members", 8, "--iterations", iterations)
    kinds = [
        (
            "Ray Tune",
            asked.ray,
            "triangle_ray.py",
            [
                ("default settings", (), at_least(1000)),
                ("best settings", ("--reuse",), at_least(300)),
                ("best settings, nothing logged", ("--reuse", "--silent"), None),
            ],
        ),
        (
            "Syne Tune",
            asked.syne,
            "triangle_syne.py",
            [("default settings", (), None), ("best settings", ("--best",), None)],
        ),
    ]
    for name, python, script, settings in kinds:
        if python is None:
            yield Skipped(PART, name, "it is not installed")
            continue
        made = {how: partial(call, script, *size, *more, python=python) for how, more, _ in settings}
        calls = in_turn(asked.rival_repeats, made)
        for how, _, target in settings:
            pace = paces(calls[how])
            note = f"8 members x {iterations} iterations"
            yield Figure.of(PART, f"reports a second, {name}, {how}", "/s", pace, note=note)
            times = [ours / one for one in pace]
            yield Figure.of(PART, f"reports a second, Ramet ÷ {name}, {how}", "x", times, target)
            whole = [one.whole for one in calls[how]]
            yield Figure.of(PART, f"the whole process, {name}, {how}", "s", whole, note=note)
