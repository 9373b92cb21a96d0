"""Where every member stands: what a table, a status line and a summary say of a population."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ramet.core.population import FOREBEAR, Member, Population, Segment
from ramet.space import flatten
from ramet.view.values import count, finite, size


@dataclass(frozen=True, slots=True)
class Standing:
    """One member now. ``value`` is the metric as reported, None before the first; ``rank`` 1 is the best."""

    member: int
    state: str
    iteration: int
    value: Any
    rank: int | None


def standings(population: Population, running: Mapping[int, Any] | None) -> list[Standing]:
    """Return every member's standing, by number; ``running`` holds works with member and waiting.

    A live member is training, waiting (for an answer) or queued (without a slot), or was stopped by the end of the run.
    Where nobody knows what runs (None), as in another process, all live ones are said to train.
    """
    waits = None if running is None else {work.member: work.waiting for work in running.values()}
    mode = population.facts.get("mode")
    values = [latest(population, member) for member in population.members]
    # Of equals, one that trained there stands before its clones.
    order = sorted(
        (member.number for member in population.members if values[member.number] is not None),
        key=lambda number: (-_goodness(values[number], mode), is_fresh(population.current(number)), number),
    )
    ranks = {number: rank for rank, number in enumerate(order, 1)}
    return [
        Standing(
            member.number,
            _state(population, member, waits),
            population.current(member.number).last if member.segment >= 0 else 0,
            values[member.number],
            ranks.get(member.number),
        )
        for member in population.members
    ]


def _state(population: Population, member: Member, waits: Mapping[int, bool] | None) -> str:
    if not member.live:
        return member.state
    if population.ended is not None:
        return "stopped"
    if waits is None:
        return "training"
    if member.number not in waits:
        return "queued"
    return "waiting" if waits[member.number] else "training"


def latest(population: Population, member: Member) -> Any:
    """Return the latest value of the run's metric, as it was reported; None where there is none.

    A clone that has not reported yet has its donor's: what it reported before was of a model that is gone.
    """
    metric = population.facts.get("metric")
    if metric is None or member.segment < 0:
        return None
    segment = population.current(member.number)
    if is_fresh(segment) and member.point is not None:
        return -member.point.score if population.facts.get("mode") == "min" else member.point.score
    if not member.compute:
        return None
    if metric not in member.metrics:
        if metric == "training_iteration":
            return segment.last
        return member.compute if metric == "compute_iterations" else None
    return member.metrics[metric]


def is_fresh(segment: Segment) -> bool:
    """Return whether this is a clone that has not reported yet."""
    return segment.parent is not None and segment.last == segment.start


def _goodness(value: Any, mode: str | None) -> float:
    """Return the value signed so that larger is better; what cannot be compared is worst."""
    if not finite(value):
        return -math.inf
    return -float(value) if mode == "min" else float(value)


def best(everybody: Iterable[Standing]) -> Standing | None:
    """Return the standing with the best value, if any value is a finite number."""
    ranked = [standing for standing in everybody if standing.rank is not None and finite(standing.value)]
    return min(ranked, key=lambda standing: standing.rank or 0, default=None)


def donor(population: Population, segment: Segment) -> int | None:
    """Return whose clone ``segment`` began as; None for a founder and for a member that went on from its own weights.

    A donor that had not trained on since it was cloned itself stands at another member's checkpoint.
    """
    if segment.parent is None:
        return None
    given = segment.info.get("donor")
    if isinstance(given, int):
        return given
    maker = population.segments[segment.parent].member
    return maker if maker not in (segment.member, FOREBEAR) else None


def reports(population: Population) -> int:
    """Return how many reports all members have made, without those that were made again."""
    return sum(member.compute for member in population.members)


def exploits(population: Population) -> int:
    """Return how many decisions made a clone."""
    return sum(times for (verdict, _), times in population.verdicts.items() if verdict == "exploit")


def tried(population: Population) -> int:
    """Return how many decisions were to make a clone, those among them that found nobody to clone."""
    return sum(times for (verdict, _), times in population.verdicts.items() if verdict in ("exploit", "skip"))


def mutable(population: Population, hparams: Mapping[str, Any]) -> dict[str, Any]:
    """Return the hyperparameters that the strategy may change, by displayed name, in its order."""
    flat = flatten(hparams)
    return {name: flat[name] for name in population.facts.get("mutable") or () if name in flat}


def progress(population: Population) -> tuple[float, str]:
    """Return how much of the run is done, in [0, 1], and that in words.

    With a goal (the iteration at which members stop) it is the share of all iterations up to it, else of members.
    """
    members = population.members
    goal = population.facts.get("goal")
    over = sum(not member.live for member in members)
    if not finite(goal) or goal <= 0:
        return over / max(len(members), 1), f"{over} of {len(members)} members done"
    at = [population.current(member.number).last if member.segment >= 0 else 0 for member in members]
    # A member that ended below the goal has nothing left to do either.
    done = sum(min(i, goal) if member.live else goal for i, member in zip(at, members, strict=True))
    live = [i for i, member in zip(at, members, strict=True) if member.live]
    low, high = min(live or at, default=0), max(live or at, default=0)
    span = f"{low}" if low == high else f"{low}–{high}"
    return done / (goal * max(len(members), 1)), f"iteration {span} of {goal:g}"


def disk(population: Population) -> str:
    """Return how many checkpoints there are, and what they take on the disk."""
    kept = population.retention
    told = count(len(kept.present), "checkpoint")
    return f"{told}, {size(kept.bytes)}" if kept.bytes else told  # runs of format 1 do not tell
