"""One member alone, as a program of one row: what executors of training functions run."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np

from ramet import session
from ramet.checkpoint import Checkpoint
from ramet.executor.vector.cohort import Cohort
from ramet.executor.vector.held import is_part
from ramet.executor.vector.work import Told
from ramet.vectorized import VectorTrainable

_last: tuple[VectorTrainable, int, Cohort] | None = None
"""What was trained here last: whoever starts next, a clone say, goes on with the program that is compiled already."""


def _cohort(trainable: VectorTrainable, config: dict[str, Any], seed: int) -> Cohort:
    global _last
    known = _last is not None and _last[:2] == (trainable, seed) and _last[2].fits(config)
    program = _last[2].program if _last is not None and known else None
    cohort = Cohort(trainable, [config], (), 1, None, None, seed, program)
    _last = trainable, seed, cohort
    return cohort


def train(trainable: VectorTrainable, config: dict[str, Any]) -> None:
    """Train ``trainable`` under ``config``, and report; it draws the numbers that its row in a population would."""
    seed, segment, iteration = session.place()
    cohort = _cohort(trainable, config, seed)
    cohort.set(0, segment, config)
    names, checkpoint = cohort.program.names(), session.get_checkpoint()
    if checkpoint is None:
        cohort.begin([0])
    else:
        state = checkpoint.to_dict()
        cohort.write([0], [np.asarray(state[name])[None] for name in names])
        weights = {name: state[name] for name in names if is_part(name, trainable.weights)}
        if weights:
            state |= session.inherited(weights, lambda: _fresh(cohort, weights))
            cohort.write([0], [np.asarray(state[name])[None] for name in names])
    while True:
        cohort.train([0], [iteration], 1)
        _, metrics = Told.of(cohort.metrics()).row(0)
        iteration += 1
        saved = None
        if session.should_checkpoint() or session.is_last():
            saved = Checkpoint.from_dict(dict(zip(names, (leaf[0] for leaf in cohort.read([0])), strict=True)))
        session.report(metrics, checkpoint=saved)


def _fresh(cohort: Cohort, names: Collection[str]) -> dict[str, Any]:
    """Return newly initialised leaves by name."""
    fresh = zip(cohort.program.names(), cohort.fresh([0]), strict=True)
    return {name: leaf[0] for name, leaf in fresh if name in names}
