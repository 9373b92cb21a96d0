"""Stop rules where they are applied: beside the training function, at every report."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any

from ramet.core.messages import Assignment
from ramet.core.stopping import Threshold

CLOCKS = frozenset({"time_total_s", "time_this_iter_s", "timestamp"})


def automatic(assignment: Assignment, iteration: int, compute: int, elapsed: float, before: float) -> dict[str, Any]:
    """Return the metrics that every report has by itself; ``before`` is the time of the one before it."""
    return {
        "training_iteration": iteration,
        "compute_iterations": compute,
        "time_total_s": elapsed,
        "time_this_iter_s": elapsed - before,
        "timestamp": time.time(),
        "trial_id": f"{assignment.member:05d}",
        "config": assignment.config,
    }


class Stops:
    """A member's stop rules, sorted by what they cost: counts, thresholds to look up, and the rest, which is asked.

    Args:
        rules: they that travel with the lease.
        states: what they remembered at the checkpoint that is started from; nothing at the very start.

    ``iteration`` and ``compute`` are the counts at which it is over.
    """

    __slots__ = ("_others", "_states", "_thresholds", "compute", "iteration")

    def __init__(self, rules: Sequence[Any], states: Sequence[Any]) -> None:
        self.iteration = self.compute = math.inf
        self._thresholds: list[tuple[str, float, str]] = []
        self._others: list[tuple[int, Any]] = []
        self._states = list(states) or [rule.start() for rule in rules]
        for index, rule in enumerate(rules):
            if not isinstance(rule, Threshold) or rule.metric in CLOCKS:
                self._others.append((index, rule))
            elif rule.metric == "training_iteration":
                self.iteration = min(self.iteration, rule.value)
            elif rule.metric == "compute_iterations":
                self.compute = min(self.compute, rule.value)
            else:
                self._thresholds.append((rule.metric, rule.value, rule.reason))

    @property
    def look_at_each(self) -> bool:
        """Whether any report may be the last, not only one whose count is known."""
        return bool(self._thresholds or self._others)

    @property
    def states(self) -> tuple[Any, ...]:
        """What the rules remember, if any of them does."""
        return tuple(self._states) if self._others else ()

    def reason(
        self, row: dict[str, Any], iteration: int, compute: int, whole: Callable[[], dict[str, Any]]
    ) -> str | None:
        """Return why this row is the last, None if it is not; ``whole`` gives it with the automatic metrics."""
        for metric, value, reason in self._thresholds:
            reported = row.get(metric)
            if isinstance(reported, (int, float)) and reported >= value:
                return reason
        if row.get("done"):
            return "done"
        if iteration >= self.iteration:
            return f"training_iteration >= {self.iteration}"
        if compute >= self.compute:
            return f"compute_iterations >= {self.compute}"
        if self._others:
            told = whole()
            for index, rule in self._others:
                self._states[index], why = rule.step(self._states[index], told)
                if why is not None:
                    return str(why)
        return None
