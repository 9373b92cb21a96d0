"""What a strategy sees, and what it answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ramet.core.ranking import Ranking
from ramet.draws import Name, generator

if TYPE_CHECKING:
    import numpy as np

    from ramet.core.population import Checkpoint, Member, Point, Population
    from ramet.space import Space


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of one member at its decision point.

    Args:
        member: whose decision it is.
        verdict: "continue" (go on as before), "skip" (a change was due and could not be made), "exploit" (become a
            clone), "explore" (same weights, other hyperparameters).
        reason: a short sentence; equal ones are counted together in the run's summary.
        start: the checkpoint (segment, iteration) to start from, for "exploit" and "explore".
        hparams: the whole new configuration, for "exploit" and "explore".
        info: plain data to remember with the new segment.
    """

    member: int
    verdict: str
    reason: str
    start: Checkpoint | None = None
    hparams: Mapping[str, Any] | None = None
    info: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Scene:
    """What a strategy sees: ``ready`` decide now; ``points`` holds, by live member, the point it is compared at.

    Those that are ready stand at their newest checkpoint, the others at their last decision. A member that has not
    decided since it began, or since it became a clone, is not in ``points``. They hold for the time of the decision.
    """

    population: Population
    space: Space
    ready: Sequence[int]
    points: Ranking

    @classmethod
    def of(cls, population: Population, space: Space, ready: Iterable[int], ranking: Ranking | None = None) -> Scene:
        """Set the scene for the members ``ready``.

        ``ranking`` is where all stand, if that is known already; those that are ready are moved in it.
        """
        ranking = Ranking(standings(population)) if ranking is None else ranking
        ready = sorted(ready)  # by number, whoever came first: nothing that is drawn may depend on that
        for number in ready:
            member = population.members[number]
            own = member.point is not None and member.point.segment == member.segment
            ranking.place(number, member.point if own else None)
        return cls(population, space, ready, ranking)

    def generator(self, member: int, *name: Name) -> np.random.Generator:
        """Return the generator for one draw in this decision of ``member``, a stream of its own for each name."""
        decisions = self.population.members[member].decisions
        return generator(self.population.seed, "decision", member, decisions, *name)

    def hparams(self, member: int) -> Mapping[str, Any]:
        """Return the hyperparameters that made the model at ``member``'s point."""
        return self.population.segments[self.points[member].segment].hparams


def standings(population: Population) -> dict[int, Point]:
    """By member, the point that it is judged at while it is not ready itself: that of its last decision."""
    found = ((member.number, standing(population, member)) for member in population.live)
    return {number: point for number, point in found if point is not None}


def standing(population: Population, member: Member) -> Point | None:
    """The point that ``member`` is judged at by others, None where it stands nowhere.

    A clone that has not come to a decision of its own stands nowhere: the score that it started from is its donor's,
    and members that clone each other's starting points would be set back to them for ever. Nor does one whose
    checkpoint is lost, or that has ended.
    """
    point = member.decided
    if not member.live or point is None or point.segment != member.segment:
        return None
    return point if point.checkpoint in population.present else None
