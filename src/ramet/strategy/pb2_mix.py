"""PB2 for numbers and categories together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ramet.domains import Categorical
from ramet.space import Path
from ramet.strategy.bandit import Bandit
from ramet.strategy.exp3 import probabilities
from ramet.strategy.past import Past
from ramet.strategy.pb2 import PB2


@dataclass(frozen=True, slots=True)
class MixedBandit(Bandit):
    """As `Bandit`, but categories are chosen by what they brought, and numbers to go with the chosen categories."""

    mixed: ClassVar[bool] = True

    def category(self, domain: Categorical, rng: np.random.Generator, path: Path, past: Past) -> Any:
        """Return a category drawn with the probabilities of TV.EXP3.M."""
        if not past.size:
            return domain.sample(rng)
        p = probabilities(len(domain.categories), past.rounds(path, domain))
        return domain.categories[int(rng.choice(len(p), p=p))]


class PB2Mix(PB2):
    """`PB2` that learns which categories are good too, and which numbers go with them.

    First each ``choice(…)`` gets a value, drawn with probabilities that a bandit for arms that change (TV.EXP3.M)
    derives from what each value brought. Then the numbers are chosen as by `PB2`, for these values: what was seen
    under others counts for less, by how much is learned. Without a ``choice`` it does what `PB2` does.

    Args:
        hyperparam_mutations: as for `PB2`; keys with ``choice(…)`` are what it is made for.

    All other arguments, and what is raised, are those of `PB2`.

    >>> from ramet import choice, loguniform
    >>> scheduler = PB2Mix(
    ...     time_attr="training_iteration",
    ...     perturbation_interval=5,
    ...     hyperparam_mutations={"lr": loguniform(1e-4, 1e-1), "optimizer": choice(["adam", "sgd"])},
    ... )
    >>> scheduler.describe()["name"]
    'PB2Mix'

    Source: Parker-Holder, Nguyen, Desai and Roberts (2021), "Tuning Mixed Input Hyperparameters on the Fly for
    Efficient Population Based AutoRL", arXiv 2106.15883 (their PB2-Mix). Differs from the paper in that the categories
    of members which decide together are drawn independently, not by dependent rounding, so that each decision can be
    repeated by itself; that rounds are the stretches that ended about the same time, so that members need not wait
    for each other; that what a member goes on with counts as played; and that one rate of fading serves both parts of
    the kernel. See `PB2` and `ramet.strategy.exp3` for more.
    """

    rule: type[Bandit] = MixedBandit
