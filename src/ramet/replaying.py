"""One model of a run, again: its state as the user's functions know it, and its training, step by step."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ramet.core.messages import COPY
from ramet.core.population import FOREBEAR
from ramet.errors import CheckpointError, ConfigError
from ramet.executor.vector.cohort import Cohort
from ramet.executor.vector.held import mixed
from ramet.executor.vector.program import Leaves
from ramet.executor.vector.work import Told
from ramet.vectorized import VectorTrainable

if TYPE_CHECKING:
    from ramet.results import Result

MOST = 100
"""Reports at once: a long lease is no program of its own."""


class Replayed(NamedTuple):
    """What a replay came to: ``state`` as ``init`` and ``step`` return it, ``metrics`` of the last report, by name."""

    state: Any
    metrics: dict[str, Any]


def _cohort(trainable: VectorTrainable, result: Result) -> Cohort:
    mutable = result.population.facts.get("mutable", {}).keys()
    return Cohort(trainable, [result.config], mutable, 1, None, None, result.population.seed)


def load(trainable: VectorTrainable, result: Result) -> Any:
    """See `VectorTrainable.load`."""
    checkpoint = result.checkpoint
    if checkpoint is None:
        raise CheckpointError(f"member {result.member} of {result.path} has no checkpoint that is there")
    program = _cohort(trainable, result).program
    return program.tree(_leaves(checkpoint.to_dict(), program.names()))


def _leaves(state: dict[str, Any], names: list[str]) -> Leaves:
    if sorted(state) != sorted(names):
        raise CheckpointError(
            f"the checkpoint holds the arrays {sorted(state)}, and the state of this VectorTrainable has "
            f"{sorted(names)}: give the one that the run was made by"
        )
    return [np.asarray(state[name])[None] for name in names]


def replay(trainable: VectorTrainable, result: Result) -> Replayed:
    """See `VectorTrainable.replay`."""
    population, cohort = result.population, _cohort(trainable, result)
    metrics: dict[str, Any] = {}
    for step in result.lineage:
        segment = population.segments[step.segment]
        if segment.member == FOREBEAR:
            raise ConfigError(
                f"{result.path} was branched from another run, whose seed made what its members began with: replay "
                "the model there, and load this one"
            )
        cohort.set(0, step.segment, step.hparams)
        shares = tuple(segment.info.get("weights", COPY))
        if segment.parent is None:
            cohort.begin([0])
        elif shares != COPY:
            mixed(cohort, [0], [shares], trainable.weights)
        at = step.first - 1
        while at < step.last:
            reports = min(MOST, step.last - at)
            cohort.train([0], [at], reports)
            _, metrics = Told.of(cohort.metrics()).row(0)
            at += reports
    return Replayed(cohort.program.tree(cohort.read([0])), metrics)
