"""Who waited for whom, and for what: one fold over a run's checkpoints and decisions, a few sums for each.

A run feeds it while it goes on, and whoever looks at a run later feeds it from the ledger. It reads no clock but the
one that checkpoints tell.

In a synchronous run a *round* is what lies between two decisions. A member's share of it is work (reading its
checkpoint, training, saving), standing still, and the rest. Whoever came last on a slot stands there with it, and waits
for the last of all: that is what a straggler costs. Whoever came earlier has given its slot up to another and waits for
its next turn, not for the straggler; and so does who has no slot yet. So the seconds waited are those of slots too.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict, deque
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from ramet.core.events import Decided, Event, Kept, Resumed
from ramet.core.population import FOREBEAR, Population

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ramet.analysis.trace import Trace


class Round(NamedTuple):
    """One round: from ``began`` to ``ended``, when the ``last`` to come did, on ``slot``.

    ``work``, ``waited`` and ``queued`` are seconds of all its ``members``; together they are its length as many times.
    """

    began: float
    ended: float
    members: int
    last: int
    slot: int
    work: float
    waited: float
    queued: float


class _Came:
    """A member in the present round: when it began, its last slot and arrival, and its work so far."""

    __slots__ = ("began", "end", "slot", "work")

    def __init__(self, slot: int, began: float) -> None:
        self.slot, self.began, self.end, self.work = slot, began, began, 0.0


class Waits:
    """The sums so far.

    Args:
        synch: whether members wait for each other; where they do not, there are no rounds.
        whole: whether every round is remembered, in ``rounds``.

    >>> waits = Waits(synch=True, whole=True)
    >>> for member, seconds in ((0, 2.0), (1, 5.0)):
    ...     waits.arrived(member, slot=member, end=seconds, work=seconds, waiting=0.0, reports=10)
    >>> for member in (0, 1):
    ...     waits.decided(member)
    >>> waits.close()
    >>> [(each.last, each.waited) for each in waits.rounds]
    [(1, 3.0)]
    """

    def __init__(self, synch: bool, *, whole: bool = False) -> None:
        self.synch = synch
        self.count = 0
        self.rounds: deque[Round] = deque(maxlen=None if whole else 0)
        self.pairs: dict[tuple[int, int], list[float]] = {}
        """By member and slot: reports, and seconds of work on them."""
        self.costs: dict[tuple[int, int], list[float]] = {}
        """By member and slot: how often it came last there, and the seconds that the others stood still for it."""
        self.joined: dict[int, int] = defaultdict(int)
        """By member: how many rounds it was in."""
        self.waited: dict[int, float] = defaultdict(float)
        """By member: seconds that it stood still on a slot, for a straggler, or without rounds for an answer."""
        self.queued: dict[int, float] = defaultdict(float)
        """By member: the other seconds that were no work: without a slot, or doing over what a failure had cost."""
        self.again = False
        """Whether the run was taken up again."""
        self._here: dict[int, _Came] = {}
        self._decided: list[int] = []
        self._since: float | None = None
        self._began: dict[int, float] = {}
        self._ended: dict[int, float] = {}

    def take(self, events: Iterable[Event], population: Population) -> None:
        """Take in what happened, which ``population`` knows already."""
        for event in events:
            kind = type(event)
            if kind is Kept:
                self._kept(event, population)  # type: ignore[arg-type]
            elif kind is Decided:
                self.decided(event.member)  # type: ignore[attr-defined]
            elif kind is Resumed:
                self.interrupted()

    def _kept(self, event: Kept, population: Population) -> None:
        segment = population.segments[event.segment]
        if not event.spent or segment.member == FOREBEAR:
            return
        slot, restoring, saving, waiting, at = event.spent
        points = segment.points
        place = bisect_left(points, event.iteration, key=attrgetter("iteration"))
        before = points[place - 1] if place else segment.origin
        training = max(event.elapsed - (0.0 if before is None else before.elapsed), 0.0)
        reports = event.iteration - (points[place - 1].iteration if place else segment.start)
        self.arrived(segment.member, slot, at / 1e9, training + (restoring + saving) / 1e9, waiting / 1e9, reports)

    def arrived(self, member: int, slot: int, end: float, work: float, waiting: float, reports: int) -> None:
        """``member`` had its checkpoint on ``slot`` at ``end``, after ``waiting`` for an answer and then ``work``."""
        if self._decided:
            self.close()
        pair = self.pairs.get((member, slot))
        if pair is None:
            pair = self.pairs[member, slot] = [0, 0.0]
        pair[0] += reports
        pair[1] += work
        began = end - work - waiting
        if self.synch:
            came = self._here.get(member)
            if came is None:
                came = self._here[member] = _Came(slot, began)
            came.slot, came.end, came.work = slot, end, came.work + work
            return
        self.waited[member] += waiting
        if member in self._ended:
            self.queued[member] += max(began - self._ended[member], 0.0)
        else:
            self._began[member] = began
        self._ended[member] = end

    def decided(self, member: int) -> None:
        """``member`` was decided upon; who arrives next is in another round."""
        if self.synch:
            self._decided.append(member)

    def interrupted(self) -> None:
        """The run was taken up again: who stood at a barrier stands there no more, and clocks may begin anew."""
        self.close()
        self._here, self._since, self._ended = {}, None, {}
        self.again = True

    def close(self) -> None:
        """End the round, if all have come; where there are no rounds, settle how long members waited to begin."""
        if self.synch:
            decided, self._decided = dict.fromkeys(self._decided), []
            if members := [member for member in decided if member in self._here]:
                self._end(members)
            return
        start = min(self._began.values(), default=0.0)
        for member, began in self._began.items():
            self.queued[member] += began - start
        self._began = {}

    def _end(self, members: list[int]) -> None:
        here, self._here = self._here, {}  # others of them came to their end in it, and wait for nobody
        last = max(here, key=lambda member: here[member].end)
        began = min(came.began for came in here.values()) if self._since is None else self._since
        ended = self._since = here[last].end
        holds: dict[int, float] = {}
        for came in here.values():
            holds[came.slot] = max(holds.get(came.slot, came.end), came.end)
        work = waited = queued = 0.0
        for member in members:
            came = here[member]
            stood, rest = ended - came.end, max(came.end - began - came.work, 0.0)
            if came.end < holds[came.slot]:  # it gave the slot up
                stood, rest = 0.0, rest + stood
            self.waited[member] += stood
            self.queued[member] += rest
            self.joined[member] += 1
            work, waited, queued = work + came.work, waited + stood, queued + rest
        self.count += 1
        if waited > 0:
            cost = self.costs.setdefault((last, here[last].slot), [0, 0.0])
            cost[0] += 1
            cost[1] += waited
        self.rounds.append(Round(began, ended, len(members), last, here[last].slot, work, waited, queued))


def waits(trace: Trace) -> Waits:
    """Return who waited for whom in all of a run; nothing for runs of earlier versions, which did not tell."""
    from ramet.analysis.times import stretches

    found = stretches(trace)
    result = Waits(bool((trace.facts.get("strategy") or {}).get("synch")), whole=True)
    work = found.training + found.restoring + found.saving
    columns = (found.member, found.slot, found.end, work, found.waiting, found.reports)
    came: list[tuple[Any, ...]] = list(zip(*(column.tolist() for column in columns), strict=True))
    moments = [(seq, 0, at) for at, seq in enumerate(trace.kept["seq"][found.row].tolist())]
    if result.synch:
        moments += zip(
            trace.decided["seq"].tolist(), [1] * len(trace.decided), trace.decided["member"].tolist(), strict=True
        )
    moments += [(seq, 2, 0) for seq, kind, _ in trace.few if kind == "Resumed"]
    for _, kind, which in sorted(moments):
        if kind == 2:
            result.interrupted()
        elif kind == 1:
            result.decided(which)
        elif came[which][0] != FOREBEAR:
            result.arrived(*came[which])
    result.close()
    return result
