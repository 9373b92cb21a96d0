"""What a strategy sees, and what it answers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ramet.core.messages import COPY as COPY
from ramet.core.ranking import Ranking
from ramet.draws import Name, entropy, generator

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
            clone), "explore" (own weights, other hyperparameters), "restart" (begin anew, from nothing), "stop" (the
            member is done).
        reason: a short sentence; equal ones are counted together in the run's summary.
        start: the checkpoint (segment, iteration) to start from, for "exploit" and "explore".
        hparams: the whole new configuration, for "exploit", "explore" and "restart".
        info: plain data to remember with the new segment.
        weights: (keep, fresh), what the new segment's weights are made of: that share of the checkpoint's, and that of
            newly initialised ones. (1, 0) is the copy that a clone is; the training function does the rest
            (`ramet.inherited`).
    """

    member: int
    verdict: str
    reason: str
    start: Checkpoint | None = None
    hparams: Mapping[str, Any] | None = None
    info: Mapping[str, Any] = field(default_factory=dict)
    weights: tuple[float, float] = COPY


@dataclass(frozen=True, slots=True)
class Scene:
    """What a strategy sees: ``ready`` decide now; ``points`` holds, by live member, the point it is compared at.

    Those that are ready stand at their newest checkpoint, the others at their last decision. A member that has not
    decided since it began, or since it became a clone, is not in ``points``. They hold for the time of the decision.
    ``attempt`` names the draws anew where those of the first one came to nothing.
    """

    population: Population
    space: Space
    ready: Sequence[int]
    points: Ranking
    attempt: int = 0

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
        again = (self.attempt,) if self.attempt else ()
        return generator(self.population.seed, "decision", member, decisions, *again, *name)

    def index(self, member: int, size: int, *name: Name) -> int:
        """Draw one of ``range(size)`` in this decision of ``member``, at a tenth of a generator's price."""
        decisions = self.population.members[member].decisions
        again = (self.attempt,) if self.attempt else ()
        return entropy(self.population.seed, "index", member, decisions, *again, *name) % size

    def again(self, attempt: int) -> Scene:
        """Return the same scene, in which every draw is another one."""
        return replace(self, attempt=attempt)

    def among(self, members: Iterable[int], points: Mapping[int, Point] | None = None) -> Scene:
        """Return the scene as those see it who know of ``members`` alone, or judge them at other ``points``."""
        inside = set(members)
        known = self.points if points is None else points
        ranking = Ranking({member: known[member] for member in sorted(inside) if member in known})
        return replace(self, ready=[member for member in self.ready if member in inside], points=ranking)

    def passes(self, member: int, every: float) -> bool:
        """Whether a multiple of ``every`` lies between ``member``'s last decision and where it stands now."""
        # A step of 0.1 taken ten times is a little less than 1.
        now, before = (round(at / every, 9) for at in (self.points[member].time, self.since(member)))
        return math.floor(now) > math.floor(before)

    def since(self, member: int) -> float:
        """Return the time of ``member``'s last decision, or where it began."""
        return self.population.members[member].since

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
