"""Exploit rules that look at how far apart the scores are: where all are alike, nobody is cloned.

Truncation replaces the worst quarter even of a field that differs by noise alone. These do not.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from ramet.errors import ConfigError
from ramet.strategy.base import Scene
from ramet.strategy.exploit import GOES_ON, Choice, check_fraction, drawn_donors
from ramet.strategy.rules import check_probability

ALIKE = "not far enough behind"

STAYS = Choice(None, False, ALIKE)

LEADERLESS = Choice(None, True, "lagged, and no leader was there", explores=True)

EXPLORES = Choice(None, True, ALIKE, explores=True)


@dataclass(frozen=True, slots=True)
class SpreadThreshold:
    """Laggards, well below the mean, clone a leader, well above it; without a leader they explore by themselves.

    Args:
        deviations: how many standard deviations from the mean "well" is, at least 0.
        margin: and how far at least, in units of the metric, at least 0.

    Source: the population based training of Isaac Lab (NVIDIA, 2025): leaders are above max(mean + k sd, mean + a),
    laggards below min(mean - k sd, mean - a). ``margin`` is 0 here, for no number suits every metric.
    """

    deviations: float = 0.1
    margin: float = 0.0

    def __post_init__(self) -> None:
        for name in ("deviations", "margin"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
                raise ConfigError(f"SpreadThreshold({name}={value!r}) must be a finite number of at least 0")

    def __call__(self, scene: Scene) -> dict[int, Choice]:
        """Return the choice of every ready member."""
        points, known = scene.points, scene.points.known
        mean, sd = moments([score for score in points.scores() if math.isfinite(score)])
        far = max(self.deviations * sd, self.margin)
        least = mean - far
        leaders = points.best(len(points), above=mean + far)
        lag = [member for member in scene.ready if not known[member].score >= least]  # NaN lags too
        choices = dict.fromkeys(scene.ready, STAYS)
        if not leaders:
            return choices | dict.fromkeys(lag, LEADERLESS)
        for member, share in zip(lag, scene.shares(lag, "donor"), strict=True):
            donor = points.at(leaders[int(share * len(leaders))])
            choices[member] = Choice(donor, True, "lagged, and cloned a leader")
        return choices


@dataclass(frozen=True, slots=True)
class GapThreshold:
    """The worst clone one of the best only where the gap is beyond doubt; else they keep their weights and explore.

    Args:
        worst: share of the members that is replaced, rounded up, in [0, 0.5].
        best: share of the members that is cloned, rounded up, in [0, 0.5].
        deviations: the donor must be so many standard deviations better (the worst fifth left out), at least 0.
        relative: and better by this share of its own score, at least 0.
        own_hparams: chance in [0, 1] that a clone explores its own hyperparameters instead of the donor's.

    Source: Petrenko et al. (2023), "DexPBT: Scaling up Dexterous Manipulation for Hand-Arm Systems with Population
    Based Training", section IV, and its code. Differs from it in that the donor's score at the same experience is
    looked for by `DexPBT`, not here; in that only members with a better score are drawn as donors; and in the standard
    deviation, which is that of a sample.
    """

    worst: float = 0.125
    best: float = 0.3
    deviations: float = 0.5
    relative: float = 0.05
    own_hparams: float = 0.5

    def __post_init__(self) -> None:
        check_fraction("worst", self.worst)
        check_fraction("best", self.best)
        check_probability("own_hparams", self.own_hparams)
        for name in ("deviations", "relative"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
                raise ConfigError(f"GapThreshold({name}={value!r}) must be a finite number of at least 0")

    def __call__(self, scene: Scene) -> dict[int, Choice]:
        """Return the choice of every ready member."""
        points, known = scene.points, scene.points.known
        size = len(points)
        bad, good = (math.ceil(round(size * share, 9)) if size > 1 else 0 for share in (self.worst, self.best))
        finite = [score for score in points.scores() if math.isfinite(score)]
        _, sd = moments(finite[len(finite) // 5 :])
        choices, worst = dict.fromkeys(scene.ready, GOES_ON), points.lowest(bad, scene.ready)
        donors, coins = drawn_donors(scene, worst, good), scene.shares(worst, "whose hyperparameters")
        for member, donor, coin in zip(worst, donors, coins, strict=True):
            if donor is None or not self._far(known[member].score, known[donor].score, sd):
                choices[member] = EXPLORES
            else:
                source = member if coin < self.own_hparams else None
                choices[member] = Choice(donor, True, "cloned one far ahead", source)
        return choices

    def _far(self, own: float, theirs: float, sd: float) -> bool:
        gap = theirs - own
        return not gap <= max(self.deviations * sd, self.relative * abs(theirs))  # NaN is as far behind as can be


def moments(values: list[float]) -> tuple[float, float]:
    """Return mean and standard deviation (of a sample); 0 where there are too few.

    >>> moments([1.0, 2.0, 3.0])
    (2.0, 1.0)
    """
    if not values:
        return 0.0, 0.0
    # In units of the largest, rounded to a power of two: a model that has diverged may have a score whose square is
    # beyond all floats.
    unit = math.ldexp(1.0, math.frexp(max(map(abs, values)))[1] - 1)
    if not unit:
        return 0.0, 0.0
    scaled = [value / unit for value in values]
    # Not rounded past all of them, or equal scores would differ from their mean.
    mean = min(max(math.fsum(scaled) / len(scaled), min(scaled)), max(scaled))
    if len(scaled) < 2:
        return mean * unit, 0.0
    return mean * unit, math.sqrt(math.fsum((value - mean) ** 2 for value in scaled) / (len(scaled) - 1)) * unit
