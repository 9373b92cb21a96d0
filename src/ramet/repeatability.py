"""Does a training function repeat? Train one stretch twice, and see what differs."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ramet.core.blocks import as_dicts
from ramet.core.messages import Assignment, Handover, Lease, Setup, StoredCheckpoint
from ramet.core.stopping import Threshold
from ramet.errors import ConfigError, MemberError
from ramet.executor.inline import InlineExecutor
from ramet.trainable import check


@dataclass(frozen=True, slots=True)
class Difference:
    """The first report in which two trainings of one stretch differ: by metric, what each of them said.

    ``start`` is the iteration of the checkpoint that the second one began from; 0 for the very start.
    """

    start: int
    iteration: int
    metrics: Mapping[str, tuple[Any, Any]]

    def __str__(self) -> str:
        told = ", ".join(f"{name}: {one!r} then {other!r}" for name, (one, other) in self.metrics.items())
        where = f"from the checkpoint at iteration {self.start}" if self.start else "from the start"
        return f"trained again {where}, iteration {self.iteration} differs in {told}"


def check_repeatable(
    trainable: Any, config: Mapping[str, Any], *, reports: int = 20, seed: int = 0
) -> list[Difference]:
    """Train a function twice from the start, and again from its checkpoints; return what differs, ideally nothing.

    Args:
        trainable: the training function.
        config: the configuration to train under, plain values.
        reports: how many reports to look at, at least 1.
        seed: of the run that is imitated.

    Returns:
        The first difference of each repetition. A function differs if it draws from a generator that is its own and
        not in its checkpoint, draws after reading its checkpoint and before its first step, forgets to save part of its
        state, or depends on the clock.

    Raises:
        ConfigError: ``reports`` is no positive whole number.
        MemberError: the function failed.

    >>> import random, ramet
    >>> def forgets(config):
    ...     total = 0.0
    ...     for _ in range(10):
    ...         total += random.random()
    ...         ramet.report({"total": total}, checkpoint=ramet.Checkpoint.from_dict({}))
    >>> [(difference.start, difference.iteration) for difference in check_repeatable(forgets, {})]
    [(5, 6)]
    """
    check(trainable)
    if isinstance(reports, bool) or not isinstance(reports, int) or reports < 1:
        raise ConfigError(f"check_repeatable(reports={reports!r}) must be a whole number of at least 1")
    with tempfile.TemporaryDirectory(prefix="ramet-") as folder:
        setup = Setup("check", seed, "training_iteration", (Threshold("training_iteration", reports),), folder)
        rows, kept = _train(trainable, config, setup, 0, None)
        found = _first_difference(0, rows, _train(trainable, config, setup, 0, None)[0])
        middle = [iteration for iteration in sorted(kept) if iteration < max(rows)]
        for start in middle[len(middle) // 2 :][:1]:
            again, _ = _train(trainable, config, setup, start, kept[start])
            found += _first_difference(start, {i: row for i, row in rows.items() if i > start}, again)
    return found


def _train(
    trainable: Any, config: Mapping[str, Any], setup: Setup, start: int, checkpoint: StoredCheckpoint | None
) -> tuple[dict[int, dict[str, Any]], dict[int, StoredCheckpoint]]:
    executor = InlineExecutor(1)
    executor.open(setup, trainable, 1)
    rows: dict[int, dict[str, Any]] = {}
    kept: dict[int, StoredCheckpoint] = {}
    try:
        executor.start(0, Assignment(1, 0, 0, start, config, checkpoint, Lease(until=float("inf"))))
        while True:
            for handover in executor.poll(0.0):
                if not isinstance(handover, Handover):
                    continue
                for block in handover.blocks:
                    rows.update(enumerate(as_dicts(block.rows), start=block.first))
                    if block.stored is not None:
                        kept[block.last] = block.stored
                if handover.error is not None:
                    raise MemberError(f"the function failed while it was checked:\n{handover.error}")
                if handover.ended is not None:
                    return rows, kept
    finally:
        executor.close()


def _first_difference(
    start: int, first: Mapping[int, Mapping[str, Any]], second: Mapping[int, Mapping[str, Any]]
) -> list[Difference]:
    for iteration in sorted(first.keys() | second.keys()):
        one, other = first.get(iteration, {}), second.get(iteration, {})
        # repr, for NaN is not equal to itself.
        differing = {
            name: (one.get(name), other.get(name))
            for name in [*one, *(name for name in other if name not in one)]
            if repr(one.get(name)) != repr(other.get(name))
        }
        if differing:
            return [Difference(start, iteration, differing)]
    return []
