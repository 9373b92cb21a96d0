"""What is compared: the table of strategies. A new one is a row of `ENTRIES`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ramet
from ramet.errors import ConfigError
from ramet.problems import Problem


@dataclass(frozen=True)
class Entry:
    """A strategy under the settings that it is compared with.

    Args:
        text: what it is, in a line.
        make: problem, reports between two decisions -> a new strategy for one run.
    """

    text: str
    make: Callable[[Problem, int], ramet.Strategy]


def _random_search(problem: Problem, interval: int) -> ramet.Strategy:
    del problem, interval
    return ramet.FIFO()


def _pbt(**settings: Any) -> Callable[[Problem, int], ramet.Strategy]:
    def make(problem: Problem, interval: int) -> ramet.Strategy:
        return ramet.PopulationBasedTraining(
            time_attr="training_iteration",
            perturbation_interval=interval,
            hyperparam_mutations=dict(problem.mutations),
            quantile_fraction=0.25,
            resample_probability=0.25,
            synch=True,
            **settings,
        )

    return make


ENTRIES: dict[str, Entry] = {
    "random search": Entry("every founder trains to the end as it was drawn", _random_search),
    "PBT": Entry("quarters, resampling 0.25, factors 1.2 and 0.8", _pbt(perturbation_factors=(1.2, 0.8))),
    "PBT x2": Entry("the same with factors 2 and 0.5", _pbt(perturbation_factors=(2.0, 0.5))),
}
"""By name, in the order in which they are told. Settings are the same for all problems."""


def known(name: str, names: list[str], option: str) -> str:
    """Return the one of ``names`` that is meant: case, spaces and hyphens make no difference.

    Raises:
        ConfigError: it is none of them.

    >>> known("random-search", list(ENTRIES), "--strategies")
    'random search'
    """

    def bare(text: str) -> str:
        return "".join(text.lower().replace("-", " ").split())

    for one in names:
        if bare(one) == bare(name):
            return one
    raise ConfigError(f"{option}: there is no {name.strip()!r}: choose among {', '.join(names)}")
