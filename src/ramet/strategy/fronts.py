"""Who is better where several things count: whoever nothing dominates, and of these whoever stands apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ramet.core.pareto import ranks, selected
from ramet.strategy.base import Scene
from ramet.strategy.exploit import CLONED, NO_DONOR, Choice, check_fraction, quantile_size

CROWDED = "left a crowded place for a better one of its front"


@dataclass(frozen=True, slots=True)
class ParetoTruncation:
    """Truncation where the better ones are those of a better front, and of one front those that lie far apart.

    Args:
        fraction: size of each quantile as a share of the members compared, in [0, 0.5]; 0 never exploits.

    A member without a number in some objective is clonable by nobody and clones at once. Nobody clones its equal.

    Source: Dushatskiy et al. (2023), "Multi-Objective Population Based Training", section 4. Differs from the paper in
    the size of the quantile for small populations (rounded up), and in how NaN and equals are settled.
    """

    fraction: float = 0.25

    def __post_init__(self) -> None:
        check_fraction("quantile_fraction", self.fraction)

    def __call__(self, scene: Scene) -> dict[int, Choice]:
        """Return the choice of every ready member."""
        size = quantile_size(len(scene.points), self.fraction)
        if not size:
            reason = "too few members to compare" if self.fraction else "quantile_fraction is 0"
            return dict.fromkeys(scene.ready, Choice(None, False, reason))
        members, vectors = objectives(scene)
        fronts = ranks(vectors)
        staying = {members[at] for at in selected(vectors, len(members) - size, fronts)}
        at, front = dict(zip(members, vectors, strict=True)), dict(zip(members, fronts.tolist(), strict=True))
        best = [members[i] for i in selected(vectors, size, fronts) if not unknown(vectors[i])]
        choices = {}
        for member in scene.ready:
            if member in staying and not unknown(at[member]):
                choices[member] = Choice(None, False, "not among the worst")
                continue
            donors = sorted(other for other in best if at[other] != at[member])
            if not donors:
                choices[member] = Choice(None, True, NO_DONOR)
                continue
            donor = donors[scene.index(member, len(donors), "donor")]
            choices[member] = Choice(donor, True, CLONED if front[donor] < front[member] else CROWDED)
        return choices


def objectives(scene: Scene) -> tuple[list[int], list[tuple[float, ...]]]:
    """Return the members that stand somewhere, and what they reached; the score alone where nothing else is known."""
    members = [*scene.points]
    points = [scene.points[member] for member in members]
    several = all(point.objectives for point in points)
    return members, [point.objectives if several else (point.score,) for point in points]


def unknown(vector: Sequence[float]) -> bool:
    """Whether some objective is no number."""
    return any(map(math.isnan, vector))
