"""The population: the fold of the events.

A run is a forest of segments. `Population.apply` is the one function that changes it; everything else here reads.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, KeysView, Mapping
from operator import attrgetter
from typing import Any

from ramet.core.events import (
    Began,
    Decided,
    Ended,
    Event,
    Failed,
    Finished,
    Kept,
    Lost,
    Noted,
    Opened,
    Reported,
    Resumed,
    Saved,
    Sent,
)
from ramet.core.forest import Member, Point, Segment
from ramet.core.retention import Checkpoint, Retention
from ramet.core.scores import signed

__all__ = ["Checkpoint", "Member", "Point", "Population", "Segment", "fold"]

JITTER = 60.0
"""Seconds by which reports of different workers may come out of order; one that is older tells of a clock set back."""

FOREBEAR, INHERITED = -1, "inherited"
"""The member of segments that were trained in another run, which a branch began from, and why they were opened."""


class Population:
    """Members, segments, scores, lineage and live checkpoints, as far as the events so far say.

    >>> population = Population()
    >>> population.apply(Began(seed=0, members=1, facts={}))
    True
    >>> population.apply(Opened(segment=0, member=0, parent=None, iteration=0, hparams={"lr": 0.1}))
    True
    >>> population.members[0].segment
    0
    """

    def __init__(self) -> None:
        self.seed = 0
        self.facts: Mapping[str, Any] = {}
        self.members: list[Member] = []
        self.forebear = Member(FOREBEAR)  # nobody of this run; a branch's members begin where it stands
        self._makers = {FOREBEAR: self.forebear}  # by the number that segments have
        self.training = 0  # how many are live
        self.segments: list[Segment] = []
        self.verdicts: dict[tuple[str, str], int] = {}
        self.noted: dict[str, str] = {}
        self.ended: str | None = None
        self.spent = 0.0  # seconds of training so far, by the reports' clock
        self.retention = Retention()
        self.away: set[Checkpoint] = set()
        """The checkpoints that one machine alone has."""
        self._rewound: set[int] = set()
        self._at: float | None = None

    # ------------------------------------------------------------------ the one funnel

    def fits(self, event: Event) -> bool:
        """Whether ``event`` is about what goes on: not about a segment that is over, nor about rows already had."""
        if not isinstance(event, (Reported, Kept, Failed, Finished)):
            return True
        segment = self.segments[event.segment]
        member = self._makers[segment.member]
        if member.segment != event.segment:
            return False
        match event:
            case Reported():
                return member.live and event.first == segment.last + 1 and event.last >= event.first
            case Kept():
                return event.iteration == segment.last
            case _:
                return member.live

    def apply(self, event: Event) -> bool:
        """Take in what happened, and return whether it fits: what does not changes nothing."""
        if not self.fits(event):
            return False
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
                member = self._makers[self.segments[event.segment].member]
                member.state, member.reason = "finished", event.reason
                self._let_go(member)
            case Saved():
                self._saved(event)
            case Sent():
                self._sent(event)
            case Lost():
                self._lost(event)
            case Resumed():
                self._resumed(event)
            case Noted():
                self.noted.setdefault(event.kind, event.text)
            case Began():
                self.seed, self.facts = event.seed, event.facts
                self.retention.follow(event.facts)
                self._join(event.members)
            case Ended():
                self.ended = event.reason
            case _:
                raise TypeError(f"{type(event).__name__} is not an event of a run")
        return True

    def _join(self, members: int) -> None:
        self.training += members - len(self.members)
        self.members += [Member(number) for number in range(len(self.members), members)]
        self._makers |= {member.number: member for member in self.members}

    def _reported(self, event: Reported) -> None:
        segment = self.segments[event.segment]
        member = self._makers[segment.member]
        segment.last = event.last
        member.compute += event.last - event.first + 1
        member.worked += event.last - event.first + 1
        # What is known of each metric, though not every row reports all of them.
        same = member.metrics.keys() <= event.metrics.keys()
        member.metrics = event.metrics if same else {**member.metrics, **event.metrics}
        late = self._at is not None and self._at - JITTER <= event.at <= self._at
        if not late and member is not self.forebear:
            self.spent += max(event.at - self._at, 0.0) if self._at is not None else 0.0
            self._at = event.at

    def _kept(self, event: Kept) -> None:
        segment = self.segments[event.segment]
        member = self._makers[segment.member]
        if member is self.forebear and member.point is not None:  # the content of its last one alone was copied
            self.retention.lose(member.point.checkpoint)
        further = self._objectives(event, member) if self.facts.get("objectives") else ()
        point = Point(event.segment, event.iteration, event.time, event.score, event.rank, event.elapsed, further)
        segment.points.append(point)
        name = point.checkpoint
        self.retention.add(member.number, name, event.rank, event.size, pinned=event.pinned, held=event.held)
        if event.away or self.away or member.safe is not None:
            self._mind(member, point, away=event.away)
        self._move(member, point=point)
        member.kept_compute, member.stopping = member.compute, event.stopping

    def _mind(self, member: Member, point: Point, *, away: bool) -> None:
        """``member`` comes to stand on ``point``: see that there is something to go back to while that is away."""
        if not away:
            self.away.discard(point.checkpoint)
            self._move(member, safe=None, coming=None)
            return
        self.away.add(point.checkpoint)
        if member.coming is None:
            if member.point is not None and member.point.checkpoint not in self.away:
                self._move(member, safe=member.point)
            self._move(member, coming=point)

    def _sent(self, event: Sent) -> None:
        names = set(event.names)
        self.away -= names
        for member in self.members:
            if member.coming is None or member.point is None:
                continue
            if member.point.checkpoint not in self.away:
                self._move(member, safe=None, coming=None)
            elif member.coming.checkpoint in names:
                self._move(member, safe=member.coming, coming=member.point)

    def _objectives(self, event: Kept, member: Member) -> tuple[float, ...]:
        """Read the further scores from the report that carried the checkpoint; no event holds them twice."""
        known = {
            "training_iteration": event.iteration,
            "compute_iterations": member.compute,
            "time_total_s": event.elapsed,
            **member.metrics,
        }
        told = ((known.get(name), mode) for name, mode in self.facts["objectives"].items())
        return tuple(signed(value, mode) if isinstance(value, (int, float)) else math.nan for value, mode in told)

    def _decided(self, event: Decided) -> None:
        member = self.members[event.member]
        key = (event.verdict, event.reason)
        self.verdicts[key] = self.verdicts.get(key, 0) + 1
        member.decisions += 1
        member.exploits += event.verdict == "exploit"
        self._move(member, decided=member.point)
        if member.point is not None:
            member.since = member.point.time

    def _opened(self, event: Opened) -> None:
        if event.segment != len(self.segments):
            raise ValueError(f"segment {event.segment} was opened where {len(self.segments)} is the next")
        member = self.forebear if event.info.get("why") == INHERITED else self.members[event.member]
        left, stranded = member.segment, member.segment >= 0 and member.live and member.point is None
        origin = None if event.parent is None else self.point((event.parent, event.iteration))
        self.segments.append(
            Segment(
                number=event.segment,
                member=member.number,
                parent=event.parent,
                start=event.iteration,
                hparams=event.hparams,
                info=event.info,
                last=event.iteration,
                origin=origin,
            )
        )
        member.segment = event.segment
        member.kept_compute = member.compute
        if member.state != "training":  # it had failed, and is replaced or begins anew
            self._revive(member)
        self.retention.enter(None if origin is None else origin.checkpoint)
        if left < 0 and origin is None:
            return
        # The clone goes on from where its donor stood, and its interval counts from there. One that lost its
        # checkpoint has decided already for the stretch that it makes again.
        if self.away or member.safe is not None:
            self._inherit(member, origin)
        self._move(member, point=origin, decided=origin)
        if not stranded:
            member.since = 0.0 if origin is None else origin.time
        if origin is None or origin is self.forebear.point:
            member.metrics, member.stopping = {}, ()
        if left >= 0:
            self.retention.leave(left)

    def _inherit(self, member: Member, origin: Point | None) -> None:
        """``member`` begins at ``origin``: what that falls back on, it does too."""
        if origin is None or origin.checkpoint not in self.away:
            self._move(member, safe=None, coming=None)
            return
        maker = self._makers[self.segments[origin.segment].member]
        if maker is not member:
            self._move(member, safe=maker.safe, coming=origin)

    def _failed(self, event: Failed) -> None:
        member = self._makers[self.segments[event.segment].member]
        member.failures += event.counted
        member.error = event.error
        if event.final:
            member.state = "failed"
            self._let_go(member)
        else:
            self._rewind(member)

    def _rewind(self, member: Member) -> None:
        """Forget the rows of a member's current segment past its last checkpoint: they will be made again."""
        segment = self.segments[member.segment]
        segment.last = segment.points[-1].iteration if segment.points else segment.start
        self._rewound.add(segment.number)
        member.compute = member.kept_compute
        if not segment.points and segment.parent is None:
            member.metrics = {}

    def _lost(self, event: Lost) -> None:
        name = (event.segment, event.iteration)
        self.retention.lose(name)
        self.away.discard(name)
        for member in self.members:
            for what in ("safe", "coming"):
                if (point := getattr(member, what)) is not None and point.checkpoint == name:
                    self._move(member, **{what: None})
            if member.point is not None and member.point.checkpoint == name:
                # One that trains is opened anew next; one that has ended shows what is left of it.
                self._move(member, point=None if member.live else self.older(member.number))

    def _saved(self, event: Saved) -> None:
        for name in event.names:
            self.retention.save(name)
        # What else was held was written over by later states, but for those that members stand on still.
        standing = {member.point.checkpoint for member in self.live if member.point is not None}
        self._forget(self.retention.held - standing)

    def _forget(self, names: Iterable[Checkpoint]) -> None:
        """Held checkpoints are gone, and nobody that trains stands on them."""
        for name in sorted(names):
            self.retention.lose(name)
        for member in self.members:
            if not member.live and member.point is not None and member.point.checkpoint not in self.present:
                self._move(member, point=self.older(member.number))

    def _resumed(self, event: Resumed) -> None:
        if self.retention.held:
            self._forget(set(self.retention.held))
        self.ended, self._at = None, None
        self.facts = {**self.facts, **event.facts}
        self.retention.follow(event.facts)
        self._join(event.members)
        for number in event.again:
            self._revive(self.members[number])
        for member in self.members:
            if event.rules:
                member.stopping = ()
            if member.live and member.segment >= 0:
                self._rewind(member)

    def _revive(self, member: Member) -> None:
        member.state, member.error, member.reason, member.failures = "training", None, None, 0
        self.training += 1

    def _let_go(self, member: Member) -> None:
        """A member is over: it needs its latest checkpoint and its best ones, not the one at its last decision."""
        self.training -= 1
        self._move(member, decided=None)

    def _move(self, member: Member, **to: Point | None) -> None:
        """Let ``member`` stand elsewhere; what it stands on is held."""
        for what, point in to.items():
            before: Point | None = getattr(member, what)
            if point is not None:
                self.retention.hold(point.checkpoint)
            setattr(member, what, point)
            if before is not None:
                self.retention.release(before.checkpoint)

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
        """The report that carried ``checkpoint``.

        Raises:
            KeyError: there was none.
        """
        points = self.segments[checkpoint[0]].points
        at = bisect_right(points, checkpoint[1], key=attrgetter("iteration"))
        if not at or points[at - 1].iteration != checkpoint[1]:
            raise KeyError(checkpoint)
        return points[at - 1]

    def trail(self, point: Point) -> Iterator[Point]:
        """The checkpointed reports of the model that stood at ``point``, along its lineage, newest first."""
        at: int | None = point.segment
        end: float = point.iteration
        while at is not None:
            segment = self.segments[at]
            for earlier in reversed(segment.points):
                if earlier.iteration <= end:
                    yield earlier
            at, end = segment.parent, segment.start

    def older(self, member: int) -> Point | None:
        """The latest report on the way to ``member``'s model whose checkpoint is there; None if none is."""
        end: float = math.inf
        for segment in reversed(self.lineage(self.members[member].segment)):
            for point in reversed(segment.points):
                if point.iteration <= end and point.checkpoint in self.present:
                    return point
            end = segment.start
        return None

    # ------------------------------------------------------------------ what follows for what is kept

    @property
    def ahead(self) -> bool:
        """Whether a member that trains stands on a checkpoint that is not on disk."""
        held = self.retention.held
        return bool(held) and any(m.point is not None and m.point.checkpoint in held for m in self.live)

    @property
    def present(self) -> KeysView[Checkpoint]:
        """The checkpoints that there are."""
        return self.retention.present.keys()

    def garbage(self) -> set[Checkpoint]:
        """Take out the checkpoints that nothing needs any more; they count as deleted from now on."""
        return self.retention.garbage(ahead=self.ahead)

    def alive(self) -> set[Checkpoint]:
        """Every checkpoint on disk that must not be deleted."""
        return {name for name in self.present if self.retention.alive(name)} - self.retention.held

    def rewound(self) -> dict[int, int]:
        """Take out the segments that were set back since the last call, with their last iteration now."""
        rewound, self._rewound = self._rewound, set()
        return {number: self.segments[number].last for number in sorted(rewound)}


def fold(events: Iterable[Event]) -> Population:
    """Return the population that ``events`` lead to.

    Raises:
        ValueError: they are no story: one of them is about what was over, or follows a gap.
    """
    population = Population()
    for event in events:
        if not population.apply(event):
            raise ValueError(f"{event!r:.200} does not follow from what happened before it")
    return population
