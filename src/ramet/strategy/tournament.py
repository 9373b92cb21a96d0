"""Exploit rules of two: each member is compared with one other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ramet.core.ranking import Ranking
from ramet.errors import ConfigError
from ramet.strategy.base import Scene
from ramet.strategy.exploit import CLONED, Choice

ALONE, STAYS = "nobody to compare with", Choice(None, False, "its opponent is no better")

INITIATES = Choice(None, False, "the initiator won, and explores", explores=True)


@dataclass(frozen=True, slots=True)
class BinaryTournament:
    """Each member draws an opponent uniformly, and clones it if that is better.

    Greedier than truncation in the middle of the field, where every second member is replaced, and gentler at its end.

    Source: Jaderberg et al. (2017), "Population Based Training of Neural Networks", section 4.1.1 (for GANs).
    """

    def __call__(self, scene: Scene) -> dict[int, Choice]:
        """Return the choice of every ready member."""
        known = scene.points.known
        if len(known) < 2:
            return dict.fromkeys(scene.ready, Choice(None, False, ALONE))
        return dict.fromkeys(scene.ready, STAYS) | {
            member: Choice(other, True, CLONED)
            for member, other in opponents(scene).items()
            if other is not None and is_better(known[other].score, known[member].score)
        }


@dataclass(frozen=True, slots=True)
class InitiatorTournament:
    """Whoever is done with a stretch, the initiator, fights a recent opponent; the winner has a child.

    The child goes on from the winner's checkpoint with explored hyperparameters, in the initiator's place: so also a
    winner explores. With `PopulationBasedTraining` asynchronously, and more members than workers, it is the black-box
    training of Google Vizier.

    Args:
        generations: opponents are members that have decided at most so many times less than the initiator, at least 1.

    Source: Li et al. (2019), "A Generalized Framework for Population Based Training", section 3.3, arXiv 1902.01894
    (opponents of the last one or two generations did best). Differs from the paper in that an opponent is a member's
    latest checkpoint, for older trials' need not be there any more.
    """

    generations: int = 2

    def __post_init__(self) -> None:
        if isinstance(self.generations, bool) or not isinstance(self.generations, int) or self.generations < 1:
            raise ConfigError(f"InitiatorTournament(generations={self.generations!r}) must be an integer of at least 1")

    def __call__(self, scene: Scene) -> dict[int, Choice]:
        """Return the choice of every ready member."""
        everyone, known = scene.population.members, scene.points.known
        alike: dict[int, list[int]] = {}  # by how often they have decided
        for member in scene.ready:
            alike.setdefault(everyone[member].decisions, []).append(member)
        choices = dict.fromkeys(scene.ready, INITIATES)
        for decisions, members in alike.items():
            recent = [m for m in scene.points if everyone[m].decisions > decisions - self.generations]
            shares = scene.shares(members, "opponent")
            for member, other in met(members, shares, recent).items():
                if other is not None and is_better(known[other].score, known[member].score):
                    choices[member] = Choice(other, True, CLONED)
        return choices


@dataclass(frozen=True, slots=True)
class WelchTest:
    """Each member draws an opponent, and clones it if the recent scores of that are better, significantly.

    Args:
        level: the probability, in (0, 1), below which a difference of means counts as no accident (two-sided).
        window: how many scores of each model count, its newest; at least 2. They are those of reports with
            checkpoints, along its lineage: report some between decisions, or it takes ``window`` intervals to be sure.

    It is made for noisy scores: where truncation clones whoever was lucky, this waits until it knows.

    Source: Jaderberg et al. (2017), section 4.1.1 (the last 10 episodic rewards); Welch (1947), "The generalization of
    'Student's' problem". Differs from the paper in that the scores are those of checkpoints, not of episodes.
    """

    level: float = 0.05
    window: int = 10

    def __post_init__(self) -> None:
        if isinstance(self.level, bool) or not isinstance(self.level, (int, float)) or not 0 < self.level < 1:
            raise ConfigError(
                f"WelchTest(level={self.level!r}) must be a probability above 0 and below 1, such as 0.05"
            )
        if isinstance(self.window, bool) or not isinstance(self.window, int) or self.window < 2:
            raise ConfigError(f"WelchTest(window={self.window!r}) must be an integer of at least 2")

    def __call__(self, scene: Scene) -> dict[int, Choice]:
        """Return the choice of every ready member."""
        return {member: self._choose(scene, member, other) for member, other in opponents(scene).items()}

    def _choose(self, scene: Scene, member: int, other: int | None) -> Choice:
        if other is None:
            return Choice(None, False, ALONE)
        if math.isnan(scene.points[member].score) and not math.isnan(scene.points[other].score):
            return Choice(other, True, CLONED)  # no test is needed to know that it has diverged
        theirs, own = self._recent(scene, other), self._recent(scene, member)
        if min(len(theirs), len(own)) < 2:
            return Choice(None, True, "too few scores for a test")
        if sum(theirs) / len(theirs) > sum(own) / len(own) and welch_p(theirs, own) < self.level:
            return Choice(other, True, CLONED)
        return Choice(None, False, "its opponent is not significantly better")

    def _recent(self, scene: Scene, member: int) -> list[float]:
        found: list[float] = []
        for point in scene.population.trail(scene.points[member]):
            if len(found) == self.window:
                break
            if math.isfinite(point.score):
                found.append(point.score)
        return found


def opponents(scene: Scene) -> dict[int, int | None]:
    """Draw for each ready member another one that stands somewhere; None if there is none."""
    return met(scene.ready, scene.shares(scene.ready, "opponent"), scene.points)


def met(members: Sequence[int], shares: Sequence[float], among: Sequence[int] | Ranking) -> dict[int, int | None]:
    """Return whom each of ``members`` meets: who stands at its share, in [0, 1), of all ``among`` but itself.

    Who would meet itself meets the last one, whom no share leads to otherwise: so all others are equally likely, and
    nobody has to be looked for.

    >>> met([5, 7, 9], [0.2, 0.7, 0.7], [5, 7, 9])
    {5: 9, 7: 9, 9: 7}
    """
    size = len(among) - 1
    if size < 1:
        return dict.fromkeys(members)
    ranks = [*[int(share * size) for share in shares], size]
    *found, last = among.all_at(ranks) if isinstance(among, Ranking) else [among[rank] for rank in ranks]
    return {member: last if other == member else other for member, other in zip(members, found, strict=True)}


def is_better(one: float, other: float) -> bool:
    """Whether the score ``one`` beats ``other``; NaN beats nothing, and is beaten by everything else."""
    return one > other or (other != other and one == one)


def welch_p(a: Sequence[float], b: Sequence[float]) -> float:
    """Return the two-sided p-value of Welch's t-test: how likely means differ so much by accident.

    ``a`` and ``b`` are two or more numbers each.

    >>> round(welch_p([1.0, 2.0, 3.0], [4.0, 5.0, 6.0]), 4)
    0.0213
    """
    means = [sum(x) / len(x) for x in (a, b)]
    variances = [
        sum((value - mean) ** 2 for value in x) / (len(x) - 1) / len(x) for x, mean in zip((a, b), means, strict=True)
    ]
    if not (together := sum(variances)):
        return 1.0 if means[0] == means[1] else 0.0
    t2 = (means[0] - means[1]) ** 2 / together
    freedom = together**2 / sum(v**2 / (len(x) - 1) for v, x in zip(variances, (a, b), strict=True))
    return _incomplete_beta(freedom / 2, 0.5, freedom / (freedom + t2))


def _incomplete_beta(a: float, b: float, x: float) -> float:
    """Return the regularised incomplete beta function, by its continued fraction (Abramowitz and Stegun 26.5.8)."""
    if x <= 0.0 or x >= 1.0:
        return float(x >= 1.0)
    if x > (a + 1) / (a + b + 2):
        return 1.0 - _incomplete_beta(b, a, 1.0 - x)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)) / a
    tiny, c, d, value = 1e-300, 1.0, 0.0, 1.0
    for step in range(400):
        m = step // 2
        if step == 0:
            term = 1.0
        elif step % 2:
            term = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            term = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d = 1.0 / (1.0 + term * d or tiny)
        c = (1.0 + term / c) or tiny
        value *= c * d
        if step and abs(c * d - 1.0) < 1e-15:
            break
    return front * (value - 1.0)
