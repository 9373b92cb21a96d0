"""What a strategy sees, and what it answers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ramet.core.messages import COPY as COPY
from ramet.core.ranking import Ranking
from ramet.core.shares import MANY, key_of, share, shares
from ramet.draws import Name, entropy, generator, seeded

if TYPE_CHECKING:
    import numpy as np

    from ramet.core.population import Checkpoint, Member, Point, Population
    from ramet.core.seeds import Mixed
    from ramet.space import Space


@dataclass(slots=True)  # and not frozen, which makes each of 10,000 cost four times as much
class Decision:
    """What becomes of one member at its decision point; whoever wants another one replaces it.

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
    seeds: Mapping[tuple[int, tuple[Name, ...]], Mixed] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, population: Population, space: Space, ready: Iterable[int], ranking: Ranking | None = None) -> Scene:
        """Set the scene for the members ``ready``.

        ``ranking`` is where all stand, if that is known already; those that are ready are moved in it.
        """
        ranking = Ranking(standings(population)) if ranking is None else ranking
        ready = sorted(ready)  # by number, whoever came first: nothing that is drawn may depend on that
        stand: dict[int, Point | None] = {}
        for number in ready:
            member = population.members[number]
            point = member.point
            stand[number] = point if point is not None and point.segment == member.segment else None
        ranking.place_all(stand)
        return cls(population, space, ready, ranking)

    # ------------------------------------------------------------------ draws

    def generator(self, member: int, *name: Name) -> np.random.Generator:
        """Return the generator for one draw in this decision of ``member``, a stream of its own for each name."""
        if (seed := self.seeds.get((member, name))) is not None:
            return seeded(seed)
        return generator(self.population.seed, *self._named(member, name))

    def _named(self, member: int, name: tuple[Name, ...]) -> tuple[Name, ...]:
        again = (self.attempt,) if self.attempt else ()
        return "decision", member, self.population.members[member].decisions, *again, *name

    def expecting(self, members: Sequence[int], names: Iterable[tuple[Name, ...]]) -> Scene:
        """Return the same scene, in which the generators of these draws cost less: they are made ready together."""
        draws = [(member, name) for name in names for member in members]
        if len(draws) < MANY:
            return self
        from ramet.core.seeds import mixed  # here, for it needs numpy

        seeds = mixed([entropy(self.population.seed, *self._named(member, name)) for member, name in draws])
        return replace(self, seeds=dict(zip(draws, seeds, strict=True)))

    def share(self, member: int, *name: Name) -> float:
        """Draw a number in [0, 1) in this decision of ``member``, at a tenth of a generator's price."""
        return share(self._key(name), member, self.population.members[member].decisions)

    def shares(self, members: Sequence[int], *name: Name) -> list[float]:
        """Draw for each of ``members`` what `share` would, at a tenth of its price."""
        everyone = self.population.members
        return shares(self._key(name), members, [everyone[member].decisions for member in members])

    def index(self, member: int, size: int, *name: Name) -> int:
        """Draw one of ``range(size)`` in this decision of ``member``."""
        return int(self.share(member, *name) * size)

    def _key(self, name: tuple[Name, ...]) -> int:
        return key_of(self.population.seed, self.attempt, *name)

    def again(self, attempt: int) -> Scene:
        """Return the same scene, in which every draw is another one."""
        return replace(self, attempt=attempt, seeds={})

    # ------------------------------------------------------------------ who stands where

    def among(
        self, members: Iterable[int], points: Mapping[int, Point] | None = None, ready: Sequence[int] | None = None
    ) -> Scene:
        """Return the scene as those see it who know of ``members`` alone, or judge them at other ``points``.

        ``ready`` are those of them that are ready, for whoever knows that already.
        """
        inside = members if isinstance(members, (range, set)) else set(members)
        ready = [member for member in self.ready if member in inside] if ready is None else ready
        if points is None:
            return replace(self, ready=ready, points=self.points.among(inside))
        return replace(self, ready=ready, points=Ranking({m: points[m] for m in inside if m in points}))

    def passes(self, member: int, every: float) -> bool:
        """Whether a multiple of ``every`` lies between ``member``'s last decision and where it stands now."""
        return bool(self.passing((member,), every))

    def passing(self, members: Iterable[int], every: float) -> list[int]:
        """Return those of ``members`` that `passes` is true of."""
        points, everyone, floor = self.points.known, self.population.members, math.floor
        dust = 5e-10  # a step of 0.1 taken ten times is a little less than 1
        return [
            member
            for member in members
            if floor(points[member].time / every + dust) > floor(everyone[member].since / every + dust)
        ]

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
    checkpoint is lost, or that has ended. One that explored by itself stands where it did: that score is its own.
    """
    point = member.decided
    if not member.live or point is None or population.segments[point.segment].member != member.number:
        return None
    return point if point.checkpoint in population.present else None
