"""A run and its dashboard, which is a process of its own."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.calling import call
from benchmarks.figures import Figure, at_most
from benchmarks.parts.asked import Asked, Skipped

PART = "dashboard"
TITLE = "The dashboard"
ABOUT = """A run of 64 simulated members with 1,000 decision points and 20 reports between two of them: 1.28 million
reports. *First answer* is from the moment at which the server takes requests until the list of runs, and then all
that the run's page first shows, have arrived; *again* is the same answer a second time. The server's *memory* is
looked at after every plot, the events, the checkpoints and a member's story have been asked for. *An update* is from
the commit of what is new, at the end of that run, to its event at a page, and with *the overview* until that has
arrived too. *Watched* is one run, for some seconds watched as a page does it and for some not, in turns: the time that
the same number of events takes, as a ratio. It says something only on a machine that has nothing else to do."""


def measure(asked: Asked) -> Iterator[Figure | Skipped]:
    """Time first answers and updates, weigh the server, and compare a run watched with one alone."""
    try:
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ModuleNotFoundError as error:
        yield Skipped(PART, "all of it", f"{error.name} is not installed")
        return
    values = call(
        "dashboard.py",
        *("--members", asked.size(64, 4), "--boundaries", asked.size(1000, 12), "--reports", asked.size(20, 2)),
        *("--pairs", asked.size(20, 1), "--rounds", asked.fewer(3), "--seconds", asked.size(2, 1)),
        limit=1800,
    ).told
    for name, key, target in (("the list of runs", "list_s", None), ("first answer", "first_s", at_most(1.5))):
        yield Figure.of(PART, name, "s", values[key], target)
    yield Figure.of(PART, "again", "ms", [1000 * one for one in values["again_s"]])
    yield Figure.of(PART, "memory", "MB", values["rss_mb"], at_most(300))
    yield Figure.of(PART, "memory, at its highest", "MB", values["peak_mb"], at_most(300))
    for name, key in (("an update, until heard", "heard_s"), ("an update, with the overview", "whole_s")):
        if values[key]:
            target = at_most(200) if key == "heard_s" else None
            yield Figure.of(PART, name, "ms", [1000 * one for one in values[key]], target)
        else:
            yield Skipped(PART, name, "the run was over before there was one")
    if values["ratios"]:
        yield Figure.of(PART, "watched, in the time of the run alone", "", values["ratios"], at_most(1.02))
        yield Figure.of(PART, "the server's share of a processor", "%", [100 * one for one in values["share"]])
    else:
        yield Skipped(PART, "watched, in the time of the run alone", "the run was over before it was compared")
