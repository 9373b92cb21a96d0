"""Successive halving: the worst end early, and what they leave goes to the others."""

from __future__ import annotations

import math
from bisect import bisect_right
from typing import TYPE_CHECKING

from ramet.errors import ConfigError
from ramet.strategy.arguments import number
from ramet.strategy.base import Decision, Scene, Strategy

if TYPE_CHECKING:
    from ramet.core.population import Member


class ASHA(Strategy):
    """Members are compared at rungs, ever further apart, and only the best at each go on.

    It is no population based training, for nobody is cloned and nothing is changed: it is the baseline for whoever asks
    whether a schedule is worth it. Give many more members than slots (``num_samples=100, max_concurrent_trials=8``):
    the places of those that end go to the next.

    Args:
        time_attr: what rungs are counted on.
        metric, mode: the score; here or in `TuneConfig`.
        max_t: where members are done, above ``grace_period``, on ``time_attr``.
        grace_period: the first rung, above 0: nobody ends before.
        reduction_factor: one in so many goes on, above 1; and a rung is so many times as far as the one before.
        brackets: accepted for scripts that pass it; must be 1.
        synch: wait at each rung for all members that still train. That is plain successive halving: better informed,
            and slower where members differ in speed.

    Each is judged once at a rung, against all that have come there so far: it goes on if it is among the best
    ``1 / reduction_factor`` of them, rounded up. NaN ends there. A decision needs a checkpointed report, as in all
    strategies.

    Raises:
        ConfigError: an argument is out of its range.

    >>> ASHA(max_t=100, grace_period=1, reduction_factor=4).rungs
    (1, 4, 16, 64)

    Source: Li et al. (2020), "A System for Massively Parallel Hyperparameter Tuning", arXiv 1810.05934; names and
    defaults are Ray Tune's. Differs from the paper, as Ray Tune does, in that who is not among the best ends at once
    instead of waiting to be promoted; from Ray Tune in that a member counts itself among those that have come.
    """

    def __init__(
        self,
        time_attr: str = "training_iteration",
        metric: str | None = None,
        mode: str | None = None,
        max_t: float = 100,
        grace_period: float = 1,
        reduction_factor: float = 4,
        brackets: int = 1,
        synch: bool = False,
    ) -> None:
        super().__init__(time_attr, metric, mode, synch)
        if brackets != 1:
            raise ConfigError(f"ASHA(brackets={brackets!r}) must be 1: run it once for each grace_period instead")
        self.grace_period = number("ASHA(grace_period=…)", grace_period, above=0.0)
        self.max_t = number("ASHA(max_t=…)", max_t, above=self.grace_period)
        self.reduction_factor = number("ASHA(reduction_factor=…)", reduction_factor, above=1.0)
        self.interval = self.grace_period
        rungs, at = [], self.grace_period
        while at < self.max_t:
            rungs.append(at)
            at *= self.reduction_factor
        self.rungs = tuple(rungs)

    def due(self, member: Member) -> float:
        """Return the rung that comes next for ``member``, or its end."""
        above = bisect_right(self.rungs, _reached(member.since))
        return self.rungs[above] if above < len(self.rungs) else self.max_t

    def decide(self, scene: Scene) -> list[Decision]:
        """Return for each ready member whether it goes on."""
        at_rung: dict[int, frozenset[tuple[float, int]]] = {}  # by rung the best there
        decisions = []
        for member in scene.ready:
            point = scene.points[member]
            if _reached(point.time) >= self.max_t:
                decisions.append(Decision(member, "stop", "reached max_t"))
                continue
            rung = bisect_right(self.rungs, _reached(point.time)) - 1
            if rung not in at_rung:
                came = self._arrived(scene, rung)
                at_rung[rung] = frozenset(came[: math.ceil(round(len(came) / self.reduction_factor, 9))])
            if not math.isnan(point.score) and (-point.score, point.segment) in at_rung[rung]:
                decisions.append(Decision(member, "continue", "among the best at its rung"))
            else:
                decisions.append(Decision(member, "stop", "not among the best at its rung"))
        return decisions

    def _arrived(self, scene: Scene, rung: int) -> list[tuple[float, int]]:
        """Return the scores of all that have come to ``rung``, the best first: where they first stood at or past it."""
        at = self.rungs[rung]
        came = []
        for segment in scene.population.segments:
            before = 0.0 if segment.origin is None else _reached(segment.origin.time)
            point = next((point for point in segment.points if _reached(point.time) >= at), None)
            if before < at and point is not None and not math.isnan(point.score):
                came.append((-point.score, segment.number))
        return sorted(came)


def _reached(time: float) -> float:
    """Return how far ``time`` counts: ten times 0.1 is a little less than 1, and has come to a rung at 1."""
    return time * (1 + 1e-9)
