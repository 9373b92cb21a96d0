"""Who has which part in `FirePBT`, and what its evaluators do at the moment, read from the population's history."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ramet.strategy.base import Scene
from ramet.strategy.curves import Curve, best_score_diff, chance_of_no_better, overlap

if TYPE_CHECKING:
    from ramet.core.population import Population, Segment

GREEDY, STEEP, EVALUATOR = "G", "S", "E"

PARTS = "GSEGSEGSGSE"
"""By number modulo 11: 8, 8 and 6 of 22 members, and at least two of each from 6 on."""

FEWEST = 6

CERTAIN = 0.01
"""What is less likely counts as no accident."""

LONGEST = 200
"""How many of a curve's newest points are compared."""


def having(scene: Scene, part: str) -> list[int]:
    """Return the members in that part, by their numbers alone: those that are added change nobody's part.

    They are those that stand somewhere, and can be compared.
    """
    return [member for member in scene.points if PARTS[member % len(PARTS)] == part]


@dataclass(frozen=True)
class Evaluation:
    """What ``evaluator`` does: it trains the model of ``parent`` under the hyperparameters of ``child``.

    Args:
        elapsed: for how long.
        curve: its scores since it began.
        rival: those of ``child``, since that last took over weights.
    """

    evaluator: int
    parent: int
    child: int
    elapsed: float
    curve: Curve
    rival: Curve

    @property
    def lead(self) -> float:
        """By how much it gets higher than its rival, from the same score."""
        return best_score_diff(self.curve, self.rival)

    @property
    def succeeded(self) -> bool:
        """Whether it is better than its rival beyond doubt."""
        return self.lead > 0 and chance_of_no_better(self.curve, self.rival) < CERTAIN

    def over(self, longest: float) -> bool:
        """Whether nothing is to be expected of it any more; without a place to compare at, after ``longest``."""
        if overlap(self.curve, self.rival) is None:
            return round(self.elapsed - longest, 9) >= 0
        return chance_of_no_better(self.curve, self.rival) > CERTAIN + max(0.0, 1.0 - self.elapsed / longest)


def running(scene: Scene) -> dict[int, Evaluation]:
    """Return by evaluator the evaluations that go on: those whose parent and child have not been replaced."""
    population, found = scene.population, {}
    for member in having(scene, EVALUATOR):
        point = scene.points[member]
        segment = population.segments[point.segment]
        if "child_model" not in segment.info or segment.origin is None:
            continue
        parent, child = segment.info["donor"], segment.info["source"]
        same = population.members[parent].segment == segment.parent and parent in scene.points
        if same and child in scene.points and model_of(population, child) == segment.info["child_model"]:
            curve, rival = (_curve(population, one) for one in (segment, population.current(child)))
            found[member] = Evaluation(member, parent, child, point.time - segment.origin.time, curve, rival)
    return found


def model_of(population: Population, member: int) -> int:
    """Return what names a greedy member's model: the segment that trained it since it last took over weights.

    Weights from an evaluator are that evaluator's segment: its curve goes on in them.
    """
    segment = population.current(member)
    return segment.parent if _succeeded(segment) and segment.parent is not None else segment.number


def _succeeded(segment: Segment) -> bool:
    return bool(segment.info.get("succeeded"))


def _curve(population: Population, segment: Segment) -> Curve:
    points = segment.points
    if _succeeded(segment) and segment.parent is not None:
        before = population.segments[segment.parent].points
        points = [*(point for point in before if point.iteration <= segment.start), *points]
    return Curve([point.score for point in points[-LONGEST:]])


def longest_waiting(scene: Scene, members: Sequence[int]) -> list[int]:
    """Return steep ``members``, first who has waited longest since it was evaluated or replaced; never those of NaN."""
    since = dict.fromkeys(members, 0.0)
    for segment in scene.population.segments:
        if segment.origin is None:
            continue
        if "child_model" in segment.info and segment.info["donor"] in since:
            last = segment.points[-1] if segment.points else segment.origin
            since[segment.info["donor"]] = max(since[segment.info["donor"]], last.time)
        elif segment.member in since:
            since[segment.member] = max(since[segment.member], segment.origin.time)
    fine = [member for member in members if not math.isnan(scene.points[member].score)]
    return sorted(fine, key=lambda member: (since[member], member))
