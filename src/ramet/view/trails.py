"""What a screen remembers of members: how their scores went, when they last reported, who became whose clone."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from ramet.core.events import Event, Kept, Opened, Reported
from ramet.core.population import Population, Segment
from ramet.view.standing import donor
from ramet.view.values import finite

LONGEST = 24
"""Points of a member that are remembered, breaks included."""

Origin = tuple[int, int]
"""Whom a member cloned, and at which iteration."""


class Trails:
    """Kept up to date by `take_in`, at the same cost for each event however long the run.

    Args:
        population: as it is now; of what came before only the reports' times are not known.
    """

    def __init__(self, population: Population) -> None:
        self.clones: dict[int, Origin] = {}
        """By member that ever cloned its last donor and the iteration; who cloned last stands last."""
        self.heard: dict[int, float] = {}
        """By member when it last reported, in Unix time."""
        self._scores: dict[int, deque[float | None]] = {}
        self._since: dict[int, float] = {}
        self._closed: dict[int, bool] = {}
        for segment in population.segments:
            self._opened(segment, population)
            for point in segment.points:
                self._kept(segment.member, point.time, point.score, population)

    def take_in(self, events: Iterable[Event], population: Population) -> None:
        """Remember ``events``, which ``population`` has taken in already."""
        for event in events:
            kind = type(event)
            if kind is Reported:
                self.heard[population.segments[event.segment].member] = event.at  # type: ignore[attr-defined]
            elif kind is Kept:
                member = population.segments[event.segment].member  # type: ignore[attr-defined]
                self._kept(member, event.time, event.score, population)  # type: ignore[attr-defined]
            elif kind is Opened:
                self._opened(population.segments[event.segment], population)  # type: ignore[attr-defined]

    def scores(self, member: int) -> Sequence[float | None]:
        """Return the scores of ``member`` as reported, oldest first, one for each perturbation interval.

        Each is that of the last checkpoint in the interval, where the decision was taken; the last one is the latest.
        None stands where the member became another's clone.
        """
        return list(self._scores.get(member, ()))

    def _opened(self, segment: Segment, population: Population) -> None:
        whose = donor(population, segment)
        if whose is None:
            return
        member = segment.member
        self.clones.pop(member, None)
        self.clones[member] = (whose, segment.start)
        curve = self._curve(member)
        if not curve or curve[-1] is not None:  # one that was cloned again before it trained is one break
            curve.append(None)
        self._closed[member] = True
        if segment.origin is not None:
            self._since[member] = segment.origin.time

    def _kept(self, member: int, time: float, score: float, population: Population) -> None:
        curve = self._curve(member)
        reported = -score if population.facts.get("mode") == "min" else score
        if self._closed.get(member, True):
            curve.append(reported)
        else:
            curve[-1] = reported
        interval = (population.facts.get("strategy") or {}).get("interval")
        due = self._since.get(member, 0.0) + (interval if finite(interval) else 0.0)
        self._closed[member] = not time < due
        if self._closed[member]:
            self._since[member] = time

    def _curve(self, member: int) -> deque[float | None]:
        return self._scores.setdefault(member, deque(maxlen=LONGEST))
