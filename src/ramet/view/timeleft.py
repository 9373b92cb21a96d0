"""How long a run is going to take: told where it can be known, and calmly."""

from __future__ import annotations

import statistics
from collections import deque

from ramet.core.population import Population
from ramet.view.values import finite

APART = 1.0
"""Seconds between two looks, at least."""

EVIDENCE = 3.0
"""Seconds of training that are needed to say anything."""

AT_LEAST = 10.0
"""Seconds that the pace is taken over, where there were so many; else it is the latter half of the time so far."""

CALM = 0.2
"""What is said moves to what was found within this share of the time that is left."""


class TimeLeft:
    """The time until the median live member reaches the iteration at which members stop.

    The pace is that of the members that are still live: how many reports each made, on average, in the latter half of
    the time so far, those included that are made again after a failure; so it knows of members that wait for a slot,
    and a clone that is set back has further to go without being slower. What is said follows what was found with some
    delay, so that it does not jump when a few members change places.

    Args:
        now: the time, on any clock that goes on.
        population: as it is now; what it has trained so far counts as the first look.
    """

    def __init__(self, now: float, population: Population) -> None:
        self._began = now - population.spent
        self._looks: deque[tuple[float, list[int]]] = deque([(self._began, [])])
        if population.spent:
            self._looks.append((now, [member.worked for member in population.members]))
        self._end: float | None = None
        self._before = now

    def at(self, now: float, population: Population) -> float | None:
        """Return the seconds that are left; None where nobody can know."""
        goal = population.facts.get("goal")
        if not finite(goal) or population.ended is not None or not population.training:
            return None
        live = [member for member in population.members if member.live and member.segment >= 0]
        if not live:
            return None
        if now - self._looks[-1][0] >= max(APART, (now - self._began) / 64):
            self._looks.append((now, [member.worked for member in population.members]))
            while len(self._looks) > 2 and self._looks[1][0] <= now - max(AT_LEAST, (now - self._began) / 2):
                self._looks.popleft()
        then, before = self._looks[0]
        made = sum(m.worked - (before[m.number] if m.number < len(before) else 0) for m in live) / len(live)
        if now - then < EVIDENCE or made < 1:
            return None
        to_go = statistics.median(max(goal - population.current(member.number).last, 0) for member in live)
        found = now + to_go * (now - then) / made
        if self._end is None or self._end <= now:
            self._end = found
        else:
            reach = max(CALM * (self._end - now), APART)
            self._end += (found - self._end) * min((now - self._before) / reach, 1.0)
        self._before = now
        return max(self._end - now, 0.0)
