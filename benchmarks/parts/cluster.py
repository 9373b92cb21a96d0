"""What a population costs on a Ray cluster, beside bare actors and beside Ray Tune; all nodes are of this machine."""

from __future__ import annotations

import contextlib
import importlib.util
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from benchmarks.calling import Call, CallError, call, in_turn
from benchmarks.figures import Figure, Target, at_least, at_most, ratios, tail_of
from benchmarks.parts.asked import Asked, Skipped

PART = "cluster"
TITLE = "On a Ray cluster"
ABOUT = """A cluster of a head and two nodes, all of them processes of this one machine, so no figure has a network in
it, and 16 actors share its cores. Ray is up and connected before any clock starts, for everybody.

*A boundary* is the executor alone, without the controller: from the answer to a function that waits to its next
handover, which carries a small checkpoint; *a swap* stops the function and starts another one from that checkpoint. *A
bare call* is one of a Ray actor that does nothing. *Many members* is the triangle wave with a decision at every fifth
report, where each member gives its slot up at every decision; the pace is from the first report's arrival to the last
one's. *A start* is until 16 slots have loaded the training function, each an actor and its worker process, beside 16 of
Ray's own actors that have answered once; which comes first changes with every turn.

*By hand* is a loop of actor calls that trains 4 members on 4 actors, ten steps of 20 ms between decisions, and passes
states on; it keeps no record and survives nothing. *Training* is from the first step's beginning in any process to the
last one's end, which leaves out all that starts and ends; *all of it* is the whole loop, with its actors' start, and
the whole of `fit()`.

*Tutorials* are the two of Ray's documentation, the same steps and members for both, until `fit()` returns; each starts
its own actors, which is most of what Ramet needs for short runs. The tutorial of the triangle wave has 1,000
iterations; Ray Tune runs a few of them, in two lengths, whose difference tells what *a further iteration* takes
without the start. *Best settings* are `reuse_actors=True`, and *nothing logged* leaves out rows and log files, which
Ramet does not.

*A clone of 1 GB* is of a run at `s3://`, an S3 server (moto) on this machine behind a proxy that counts the bytes of
bodies, on nodes with folders of copies of their own: from the donor's report to the clone's having the files at hand.
Server and proxy hold what they pass on in memory, so the seconds say little of any real store; the bytes do not depend
on it."""

ROOT = Path(__file__).parent.parent.parent


@contextlib.contextmanager
def _nodes(*nodes: Mapping[str, object]) -> Iterator[str]:
    """Have a cluster of a head and these nodes; its address."""
    from tests.raynodes import Nodes

    with Nodes() as cluster:
        for node in nodes:
            cluster.add(**node)
        yield cluster.address


TWO = ({"num_cpus": 2}, {"num_cpus": 2})


def measure(asked: Asked) -> Iterator[Figure | Skipped]:
    """Measure the sections that are asked for; one that fails is told of, and the others are measured."""
    if importlib.util.find_spec("ray") is None:
        yield Skipped(PART, "all of it", "Ray is not installed beside Ramet")
        return
    for name in asked.only or SECTIONS:
        try:
            yield from SECTIONS[name](asked)
        except CallError as error:
            print(error, file=sys.stderr, flush=True)
            yield Skipped(PART, name, str(error).splitlines()[0])


def _boundary(asked: Asked) -> Iterator[Figure]:
    with _nodes(*TWO) as address:
        size = ("--turns", asked.size(5, 1), "--times", asked.size(200, 5))
        told = call("cluster_boundary.py", address, *size).told
    names = {
        "bare": "a bare call of an actor",
        "proceed": "a boundary, from the answer to the next handover",
        "swap": "a swap, from the order to stop to the next one's handover",
    }
    for style, name in names.items():
        times = [1000 * seconds for seconds in told[style]]
        yield Figure.of(PART, name, "ms", times, at_most(3.0) if style == "proceed" else None)
        yield tail_of(PART, f"{name}, 95th percentile", "ms", times, percent=95)


def _many(asked: Asked) -> Iterator[Figure]:
    members, iterations = asked.size(64, 8), asked.size(100, 10)
    size = ("--members", members, "--iterations", iterations, "--slots", 4)
    with _nodes(*TWO) as address:
        styles = {
            "RayExecutor": partial(call, "triangle_ramet.py", *size, "--address", address),
            "ProcessExecutor": partial(call, "triangle_ramet.py", *size),
        }
        calls = in_turn(asked.fewer(3), styles)
    what = f"{members} members x {iterations} reports on 4 slots"
    paces = {style: [one.told["reports"] / one.told["training"] for one in made] for style, made in calls.items()}
    for style, pace in paces.items():
        yield Figure.of(PART, f"{what}, reports a second, {style}", "/s", pace)
    yield Figure.of(PART, f"{what}, RayExecutor ÷ ProcessExecutor", "x", ratios(*paces.values()))
    finished = [one.told["finished"] for one in calls["RayExecutor"]]
    yield Figure.of(PART, f"{what}, members that finish", "", finished, at_least(members))


def _start(asked: Asked) -> Iterator[Figure]:
    actors = asked.size(16, 2)
    with _nodes(*[{"num_cpus": actors // 2}] * 2) as address:
        told = call("cluster_start.py", address, "--actors", actors, "--turns", asked.size(4, 1)).told
    yield Figure.of(PART, f"a start of {actors} bare actors", "s", told["bare"])
    yield Figure.of(PART, f"a start of {actors} slots", "s", told["ours"])
    yield Figure.of(PART, "a start, slots ÷ bare actors", "x", ratios(told["ours"], told["bare"]), at_most(2.0))


def _overhead(asked: Asked) -> Iterator[Figure]:
    decisions = asked.size(30, 3)
    with _nodes(*TWO) as address:
        size = ("--decisions", decisions, "--turns", min(asked.repeats, 5))
        told = call("cluster_overhead.py", address, *size).told
    what = f"4 members x {decisions} decisions"
    for at, (name, target) in enumerate((("training", at_most(10.0)), ("all of it", None))):
        times = {style: [moments[at] for moments in made] for style, made in told.items()}
        yield Figure.of(PART, f"{what}, {name}, by hand", "s", times["bare"])
        yield Figure.of(PART, f"{what}, {name}, Ramet", "s", times["ours"])
        more = [100 * (ratio - 1) for ratio in ratios(times["ours"], times["bare"])]
        yield Figure.of(PART, f"{what}, {name}, Ramet more than by hand", "%", more, target)


def _tune(asked: Asked) -> Iterator[Figure | Skipped]:
    if asked.ray is None:
        yield Skipped(PART, "Ray Tune", "it was not asked for")
        return
    if importlib.util.find_spec("tensorboardX") is None:
        yield Skipped(PART, "Ray Tune", "ray[tune] is not installed beside Ramet")
        return
    with _nodes(*TWO) as address:
        yield from _triangles(asked, address)
        steps = asked.size(100, 8)
        theirs = {"default settings": partial(call, "quadratic_ray.py", steps, address)}
        ours = partial(call, "quadratic_ramet.py", steps, address)
        times = _in_turn(asked, ours, theirs)
        yield from _against(f"quadratic tutorial, 2 + 2 members x {steps} iterations", times, at_least(50))
    yield Skipped(PART, "the triangle wave tutorial to its end on Ray Tune", "it would take most of an hour")


def _triangles(asked: Asked, address: str) -> Iterator[Figure]:
    """Time the triangle wave in two lengths, which tell what a further iteration takes, and Ramet to its end."""

    def made(script: str, iterations: int, *more: str) -> Callable[[], Call]:
        return partial(call, script, "--members", 8, "--iterations", iterations, "--address", address, *more)

    rivals = {"default settings": (), "best settings, nothing logged": ("--reuse", "--silent")}
    short, longer, whole = asked.size(20, 10), asked.size(60, 15), asked.size(1000, 60)
    ours = ("--slots", "4")
    times = {}
    for iterations in (short, longer):
        theirs = {how: made("triangle_ray.py", iterations, *more) for how, more in rivals.items()}
        times[iterations] = _in_turn(asked, made("triangle_ramet.py", iterations, *ours), theirs)
        what = f"triangle wave tutorial, 8 members x {iterations} iterations"
        yield from _against(what, times[iterations], at_least(50) if iterations == longer else None)
    fits = [made("triangle_ramet.py", whole, *ours)().told["fit"] for _ in range(asked.repeats)]
    yield Figure.of(PART, f"triangle wave tutorial, 8 members x {whole:,} iterations, Ramet", "s", fits)
    name = "triangle wave tutorial, a further iteration of 8 members"
    own = (statistics.median(fits) - statistics.median(times[short][RAMET])) / (whole - short)
    yield Figure.of(PART, f"{name}, Ramet", "ms", [1000 * own])
    for how in rivals:
        more = [
            (last - first) / (longer - short) for first, last in zip(times[short][how], times[longer][how], strict=True)
        ]
        yield Figure.of(PART, f"{name}, Ray Tune, {how}", "ms", [1000 * one for one in more])
        yield Figure.of(PART, f"{name}, Ray Tune, {how} ÷ Ramet", "x", [one / own for one in more])


RAMET = "Ramet"


def _in_turn(
    asked: Asked, ours: Callable[[], Call], theirs: Mapping[str, Callable[[], Call]]
) -> dict[str, list[float]]:
    """Return the seconds of `fit` of each; Ramet's of a turn are the mean of those before and after the others."""
    calls = in_turn(asked.rival_repeats, {"before": ours, **theirs, "after": ours})
    fits = {how: [one.told["fit"] for one in made] for how, made in calls.items()}
    both = zip(fits.pop("before"), fits.pop("after"), strict=True)
    return {RAMET: [(before + after) / 2 for before, after in both], **fits}


def _against(what: str, times: Mapping[str, list[float]], target: Target | None = None) -> Iterator[Figure]:
    """Tell how long each took, and how many times as long as Ramet; ``target`` is of Ray Tune's default settings."""
    yield Figure.of(PART, f"{what}, Ramet", "s", times[RAMET])
    for how, fits in times.items():
        if how != RAMET:
            yield Figure.of(PART, f"{what}, Ray Tune, {how}", "s", fits)
            wanted = target if how == "default settings" else None
            yield Figure.of(PART, f"{what}, Ray Tune, {how} ÷ Ramet", "x", ratios(fits, times[RAMET]), wanted)


def _exploit(asked: Asked) -> Iterator[Figure | Skipped]:
    if any(importlib.util.find_spec(name) is None for name in ("moto", "s3fs", "flask")):
        yield Skipped(PART, "a clone of 1 GB", "moto[server] and s3fs are not installed")
        return
    from tests.clouds import BUCKET, SURROUNDINGS, cloud

    size = asked.size(1_000_000_000, 5_000_000)
    for where, count in (("on another node", 2), ("on the same node", 1)):
        with tempfile.TemporaryDirectory(prefix="bench-") as folder, cloud() as store:
            keys = {**SURROUNDINGS, "AWS_ENDPOINT_URL": store.endpoint, "FSSPEC_S3": SLOW}
            nodes = [
                {"num_cpus": 2 // count, "env_vars": {**keys, "RAMET_CACHE": f"{folder}/{number}"}}
                for number in range(count)
            ]
            with _nodes(*nodes) as address:
                url = f"s3://{BUCKET}/runs"
                told = call("cluster_clone.py", address, url, "--size", size, environment=keys, limit=300).told
            up, down = store.moved("/checkpoints/")
        if told["apart"] != (count == 2):
            raise CallError(f"the clone was not {where}")
        what = f"a clone of {size / 1e9:g} GB {where}"
        yield Figure.of(PART, f"{what}, until it is at hand", "s", [told["exploit"]])
        yield Figure.of(PART, f"{what}, uploaded", "MB", [up / 1e6], at_most(1.001 * size / 1e6))
        most = 1.001 if count == 2 else 0.001
        yield Figure.of(PART, f"{what}, downloaded", "MB", [down / 1e6], at_most(most * size / 1e6))


SLOW = '{"config_kwargs": {"read_timeout": 120, "connect_timeout": 5}}'
"""What fsspec is told of a store that takes its time."""

SECTIONS: dict[str, Callable[[Asked], Iterator[Figure | Skipped]]] = {
    "boundary": _boundary,
    "many": _many,
    "start": _start,
    "overhead": _overhead,
    "tune": _tune,
    "exploit": _exploit,
}
