"""The population: the fold of the events.

A run is a forest of segments. `Population.apply` is the one function that changes it; everything else here reads.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ramet.core.events import (
    Began,
    Decided,
    Ended,
    Event,
    Failed,
    Finished,
    Kept,
    Noted,
    Opened,
    Reported,
)

Checkpoint = tuple[int, int]
"""A checkpoint's name: (segment, iteration) of the report that carried it."""


@dataclass(frozen=True, slots=True)
class Point:
    """A checkpointed report: what a clone can start from, and the score that it is judged by.

    ``time`` is on the run's ``time_attr``; ``score`` is signed so that larger is better, NaN is worst; ``rank`` orders
    the checkpoints that retention keeps; ``elapsed`` is the model's training time in seconds.
    """

    segment: int
    iteration: int
    time: float
    score: float
    rank: float
    elapsed: float

    @property
    def checkpoint(self) -> Checkpoint:
        """The name of the checkpoint that the report carried."""
        return (self.segment, self.iteration)


@dataclass(slots=True)
class Segment:
    """One member training under one assignment from one checkpoint (``parent``, ``start``)."""

    number: int
    member: int
    parent: int | None
    start: int
    hparams: Mapping[str, Any]
    info: Mapping[str, Any]
    last: int
    points: list[Point] = field(default_factory=list)


@dataclass(slots=True)
class Member:
    """One place in the population, and where it stands.

    ``point`` is its latest checkpoint (its own, or the one that it began from as a clone), ``decided`` the one at its
    last decision, ``since`` the time of that decision, from which the interval counts. ``compute`` counts its rows in
    the log and never goes back at an exploit; ``worked`` counts those too that were dropped to be made again.
    """

    number: int
    segment: int = -1
    state: str = "training"
    point: Point | None = None
    decided: Point | None = None
    since: float = 0.0
    decisions: int = 0
    compute: int = 0
    worked: int = 0
    kept_compute: int = 0
    failures: int = 0
    exploits: int = 0
    metrics: Mapping[str, Any] = field(default_factory=dict)
    stopping: tuple[Any, ...] = ()
    error: str | None = None
    reason: str | None = None
    best: list[Point] = field(default_factory=list)

    @property
    def live(self) -> bool:
        """Whether it still trains."""
        return self.state == "training"


class Population:
    """Members, segments, scores, lineage and live checkpoints, as far as the events so far say.

    Args:
        keep: how many best checkpoints a member keeps besides those that are needed; None keeps all.

    >>> population = Population()
    >>> population.apply(Began(seed=0, members=1, facts={}))
    >>> population.apply(Opened(segment=0, member=0, parent=None, iteration=0, hparams={"lr": 0.1}))
    >>> population.members[0].segment
    0
    """

    def __init__(self, keep: int | None = None) -> None:
        self.keep = keep
        self.seed = 0
        self.facts: Mapping[str, Any] = {}
        self.members: list[Member] = []
        self.training = 0  # how many are live
        self.segments: list[Segment] = []
        self.verdicts: dict[tuple[str, str], int] = {}
        self.noted: dict[str, str] = {}
        self.ended: str | None = None
        self.present: set[Checkpoint] = set()
        self._starts: dict[Checkpoint, int] = {}
        self._doubtful: set[Checkpoint] = set()

    # ------------------------------------------------------------------ the one funnel

    def apply(self, event: Event) -> None:
        """Take in what happened. An event about a segment that is over, or about rows already had, changes nothing."""
        match event:
            case Reported():
                self._reported(event)
            case Kept():
                self._kept(event)
            case Decided():
                self._decided(event)
            case Opened():
                self._opened(event)
            case Failed():
                self._failed(event)
            case Finished():
                member = self.members[self.segments[event.segment].member]
                if member.segment == event.segment and member.live:
                    member.state, member.reason = "finished", event.reason
                    self._let_go(member)
            case Noted():
                self.noted.setdefault(event.kind, event.text)
            case Began():
                self.seed, self.facts = event.seed, event.facts
                self.members = [Member(number) for number in range(event.members)]
                self.training = event.members
            case Ended():
                self.ended = event.reason
            case _:
                raise TypeError(f"{type(event).__name__} is not an event of a run")

    def _reported(self, event: Reported) -> None:
        segment = self.segments[event.segment]
        member = self.members[segment.member]
        if member.segment != event.segment or not member.live or event.first != segment.last + 1:
            return
        segment.last = event.last
        member.compute += event.last - event.first + 1
        member.worked += event.last - event.first + 1
        # What is known of each metric, though not every row reports all of them.
        same = member.metrics.keys() <= event.metrics.keys()
        member.metrics = event.metrics if same else {**member.metrics, **event.metrics}

    def _kept(self, event: Kept) -> None:
        segment = self.segments[event.segment]
        member = self.members[segment.member]
        if member.segment != event.segment or event.iteration != segment.last:
            return
        point = Point(event.segment, event.iteration, event.time, event.score, event.rank, event.elapsed)
        before = member.point
        segment.points.append(point)
        member.point, member.kept_compute, member.stopping = point, member.compute, event.stopping
        self.present.add(point.checkpoint)
        if before is not None:
            self._doubtful.add(before.checkpoint)
        if self.keep is not None:
            member.best.append(point)
            if len(member.best) > self.keep:
                # NaN first, then the lowest rank, then the oldest: the one to let go.
                worst = min(member.best, key=lambda p: (not math.isnan(p.rank), p.rank if p.rank == p.rank else 0.0))
                member.best.remove(worst)
                self._doubtful.add(worst.checkpoint)

    def _decided(self, event: Decided) -> None:
        member = self.members[event.member]
        key = (event.verdict, event.reason)
        self.verdicts[key] = self.verdicts.get(key, 0) + 1
        member.decisions += 1
        member.exploits += event.verdict == "exploit"
        if member.decided is not None:
            self._doubtful.add(member.decided.checkpoint)
        member.decided = member.point
        if member.point is not None:
            member.since = member.point.time

    def _opened(self, event: Opened) -> None:
        segment = Segment(
            event.segment, event.member, event.parent, event.iteration, event.hparams, event.info, event.iteration
        )
        assert event.segment == len(self.segments), "segments are numbered in order"
        self.segments.append(segment)
        member = self.members[event.member]
        left = member.segment
        member.segment = event.segment
        member.kept_compute = member.compute
        if event.parent is None:
            return
        start = next(p for p in reversed(self.segments[event.parent].points) if p.iteration == event.iteration)
        self._starts[start.checkpoint] = self._starts.get(start.checkpoint, 0) + 1
        for name in (member.point, member.decided):
            if name is not None:
                self._doubtful.add(name.checkpoint)
        # The clone goes on from where its donor stood, and its interval counts from there.
        member.point = member.decided = start
        member.since = start.time
        if left >= 0:
            self._release(left)

    def _failed(self, event: Failed) -> None:
        segment = self.segments[event.segment]
        member = self.members[segment.member]
        if member.segment != event.segment or not member.live:
            return
        member.failures += 1
        member.error = event.error
        if event.final:
            member.state = "failed"
            self._let_go(member)
        else:
            self.rewind(member.number)

    def rewind(self, number: int) -> None:
        """Forget the rows of a member's current segment past its last checkpoint: they will be made again."""
        member = self.members[number]
        segment = self.segments[member.segment]
        segment.last = segment.points[-1].iteration if segment.points else segment.start
        member.compute = member.kept_compute
        if not segment.points and segment.parent is None:
            member.metrics = {}

    # ------------------------------------------------------------------ reading

    @property
    def live(self) -> list[Member]:
        """The members that still train."""
        return [member for member in self.members if member.live]

    @property
    def exploits(self) -> int:
        """How many times a member became the clone of another."""
        return sum(member.exploits for member in self.members)

    def current(self, member: int) -> Segment:
        """The segment that ``member`` trains, or trained last."""
        return self.segments[self.members[member].segment]

    def hparams(self, member: int) -> Mapping[str, Any]:
        """The hyperparameters in force for ``member``."""
        return self.current(member).hparams

    def lineage(self, segment: int) -> list[Segment]:
        """The segments that made this one's model, the founder first."""
        chain: list[Segment] = []
        at: int | None = segment
        while at is not None:
            chain.append(self.segments[at])
            at = self.segments[at].parent
        return chain[::-1]

    def schedule(self, segment: int) -> list[tuple[int, Mapping[str, Any]]]:
        """The hyperparameters in force along the lineage, as (from this iteration on, hyperparameters).

        A segment that was left where it began, cloned before it trained, put nothing into the model and is passed over.
        """
        chain = self.lineage(segment)
        ends = [child.start for child in chain[1:]] + [math.inf]
        return [(part.start, part.hparams) for part, end in zip(chain, ends, strict=True) if end > part.start]

    def history(self, member: int) -> Iterator[tuple[Segment, Point]]:
        """Every checkpointed report of ``member`` with the segment that it belongs to, oldest first."""
        for segment in self.segments:
            if segment.member == member:
                for point in segment.points:
                    yield segment, point

    def point(self, checkpoint: Checkpoint) -> Point:
        """The report that carried ``checkpoint``."""
        return next(p for p in self.segments[checkpoint[0]].points if p.iteration == checkpoint[1])

    # ------------------------------------------------------------------ which checkpoints are alive

    def garbage(self) -> set[Checkpoint]:
        """Take out the checkpoints that nothing can reach any more; they count as deleted from now on.

        A checkpoint is alive if a member's current segment starts from it, if it is a member's latest one or the one at
        its last decision, or if it is among the ``keep`` best of a member. Only those that lost such a tie since the
        last call are looked at.
        """
        if self.keep is None:
            self._doubtful.clear()
            return set()
        dead = {name for name in self._doubtful if name in self.present and not self._alive(name)}
        self._doubtful.clear()
        self.present -= dead
        return dead

    def alive(self) -> set[Checkpoint]:
        """Every checkpoint that must not be deleted."""
        return {name for name in self.present if self.keep is None or self._alive(name)}

    def _alive(self, name: Checkpoint) -> bool:
        if self._starts.get(name):
            return True
        # A checkpoint's holders are found among the members that can hold it: its maker and its clones (counted above).
        maker = self.members[self.segments[name[0]].member]
        held = [maker.point, maker.decided, *maker.best]
        return any(point is not None and point.checkpoint == name for point in held)

    def _release(self, segment: int) -> None:
        left = self.segments[segment]
        if left.parent is None:
            return
        name = (left.parent, left.start)
        self._starts[name] -= 1
        if not self._starts[name]:
            del self._starts[name]
            self._doubtful.add(name)

    def _let_go(self, member: Member) -> None:
        """A member is over: it needs its latest checkpoint and its best ones, not the one at its last decision."""
        self.training -= 1
        if member.decided is not None and member.decided is not member.point:
            self._doubtful.add(member.decided.checkpoint)
            member.decided = None


def fold(events: Iterable[Event], keep: int | None = None) -> Population:
    """Return the population that ``events`` lead to."""
    population = Population(keep)
    for event in events:
        population.apply(event)
    return population
