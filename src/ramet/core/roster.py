"""Who works where: what should run against what does, told as commands.

A run that is taken up is this with nothing running. Only what has changed since the last time is looked at, so that a
message of one member costs the same in a population of ten thousand.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable
from dataclasses import dataclass

from ramet.core.engine import Engine
from ramet.core.messages import Lease
from ramet.core.population import Member


@dataclass(slots=True)
class Running:
    """A stretch of work under way: which segment of which member, in which slot, and whether it waits for an answer.

    ``until`` is the decision point that it was last leased to.
    """

    work: int
    segment: int
    member: int
    slot: int
    waiting: bool = False
    until: float = -math.inf


@dataclass(frozen=True, slots=True)
class Start:
    """Begin ``member``'s current segment, from its last checkpoint, in ``slot``, as ``work``."""

    work: int
    member: int
    slot: int


@dataclass(frozen=True, slots=True)
class Proceed:
    """Answer ``work``, which waits: go on, under this lease."""

    work: int
    lease: Lease


@dataclass(frozen=True, slots=True)
class Stop:
    """End ``work``: its place, or its segment, belongs to something else now."""

    work: int


Command = Start | Proceed | Stop


class Roster:
    """What runs, as far as commands were given and handovers came. Whoever calls `plan` carries its commands out.

    Args:
        engine: the run's decisions.
        slots: where work can run.
        running: what runs already.
    """

    def __init__(self, engine: Engine, slots: Iterable[int], running: Iterable[Running] = ()) -> None:
        self.engine = engine
        self.running = {work.work: work for work in running}
        self._slots = set(slots)
        self._of = {work.member: work for work in self.running.values()}
        self._waiting = {work.member for work in self.running.values() if work.waiting}
        self._free = sorted(self._slots - {work.slot for work in self.running.values()})
        self._queue: list[tuple[tuple[int, int], int]] = []
        self._queued: set[int] = set()
        self._touched = {member.number for member in engine.population.members}
        self._work = max(self.running, default=0)

    # ------------------------------------------------------------------ what came in

    def offer(self, slots: Iterable[int]) -> None:
        """From now on there are these slots. What ran in one that is gone has ended, or will be told of as ended."""
        self._slots = set(slots)
        self._free = sorted(self._slots - {work.slot for work in self.running.values()})

    def waits(self, work: Running, *, waiting: bool) -> None:
        """``work`` has handed something over, and waits for an answer or goes on."""
        work.waiting = waiting
        if waiting:
            self._waiting.add(work.member)
        else:
            self._waiting.discard(work.member)
        self._touched.add(work.member)

    def ended(self, work: Running) -> None:
        """``work`` is over, and its slot free."""
        del self.running[work.work]
        del self._of[work.member]
        self._waiting.discard(work.member)
        if work.slot in self._slots:
            heapq.heappush(self._free, work.slot)
        self._touched.add(work.member)

    # ------------------------------------------------------------------ what follows

    def plan(self) -> list[Command]:
        """Return the commands that bring about what should run.

        Slots go to the member that has worked least. One that waits at a synchronous barrier, or is ahead of another
        that has no slot, gives its own up, but only where it stands at a checkpoint.
        """
        engine, commands, starts = self.engine, list[Command](), list[Command]()
        touched, self._touched = sorted(self._touched | engine.touched()), set()
        if engine.population.ended is not None:
            return [self._stop(work) for work in list(self.running.values())]
        members = engine.population.members
        for number in touched:
            work = self._of.get(number)
            if work is not None and not (members[number].live and members[number].segment == work.segment):
                commands.append(self._stop(work))
            self._enqueue(number)
        while self._free and (wanting := self._first()) is not None:
            starts.append(self._start(wanting))
        # Who waits at the barrier is asked for the slot only while somebody wants one.
        asked = self._waiting if self._first() is not None else self._waiting.intersection(touched)
        for number in sorted(asked, key=lambda number: behind(members[number]), reverse=True):
            work = self._of[number]
            wanting, at_barrier = self._first(), work.member in engine.ready
            if wanting is not None and self._yields(members[work.member], work, wanting, at_barrier):
                commands.append(self._stop(work))
                starts.append(self._start(wanting))
                self._enqueue(work.member)
            elif not at_barrier:
                lease = engine.lease(work.member)
                work.waiting, work.until = False, lease.until
                self._waiting.discard(number)
                commands.append(Proceed(work.work, lease))
        return commands + starts

    def _yields(self, member: Member, work: Running, wanting: Member, at_barrier: bool) -> bool:
        further = at_barrier or behind(wanting)[0] < behind(member)[0]
        return further and self._at_checkpoint(member, work.until)

    def _stop(self, work: Running) -> Stop:
        self.ended(work)
        return Stop(work.work)

    def _start(self, member: Member) -> Start:
        """Give the first free slot to ``member``, the first in the queue."""
        heapq.heappop(self._queue)
        self._queued.discard(member.number)
        slot = heapq.heappop(self._free)
        self._work += 1
        until = self.engine.lease(member.number).until
        self.running[self._work] = self._of[member.number] = Running(
            self._work, member.segment, member.number, slot, until=until
        )
        return Start(self._work, member.number, slot)

    def _wants(self, member: Member) -> bool:
        return member.live and member.number not in self._of and member.number not in self.engine.ready

    def _enqueue(self, number: int) -> None:
        member = self.engine.population.members[number]
        if number not in self._queued and self._wants(member):
            self._queued.add(number)
            heapq.heappush(self._queue, (behind(member), number))

    def _first(self) -> Member | None:
        """Return the member that wants a slot most, if any does."""
        while self._queue:
            member = self.engine.population.members[self._queue[0][1]]
            if self._wants(member):
                return member
            heapq.heappop(self._queue)
            self._queued.discard(member.number)
        return None

    def _at_checkpoint(self, member: Member, until: float) -> bool:
        """Whether the member has just handed over a checkpoint, at or past the end of its lease.

        A lease of one report (a stop rule that the controller judges) is no reason to yield: the function would be
        started anew for every report.
        """
        segment = self.engine.population.segments[member.segment]
        points = segment.points
        return bool(points) and points[-1].iteration == segment.last and points[-1].time >= until


def behind(member: Member) -> tuple[int, int]:
    """Order members by the work that they have done; the number settles ties.

    Not by how far their models are: a clone is set back to where its donor was, and two that are cloned over and over
    would hold the slots for ever, while the donor that they wait for never gets one.
    """
    # A failure counts as work, or a member that fails at once for ever would be the first for ever.
    return (member.worked + member.failures, member.number)
