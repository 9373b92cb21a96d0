"""What a framework owes: a block of rows, each of them one member's state, that are trained in one dispatch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Block = Any
"""The state of as many members as a program has rows: arrays on the device, whose first axis is the member."""

Leaves = list[npt.NDArray[Any]]
"""The arrays of some rows in the memory of this process, in the program's own order; the first axis is the row."""

Pending = Any
"""Metrics that are still being computed."""


class Program(Protocol):
    """One trainable, compiled for blocks of ``rows`` members.

    ``segments`` and ``iterations`` name the random numbers: those of a row depend on the run's seed, its segment and
    the number of its step, and on nothing else, neither on the row nor on the block. A block that was given to `train`,
    `move` or `put` is used up, and only what they return may be used.
    """

    rows: int
    reported: list[str]
    """The names of the metrics that a report has."""

    def begin(self, segments: npt.NDArray[np.int64], hparams: Mapping[str, npt.NDArray[Any]]) -> Block:
        """Return a block of newly initialised rows; both arguments have one entry a row."""

    def train(
        self,
        block: Block,
        reports: int,
        segments: npt.NDArray[np.int64],
        iterations: npt.NDArray[np.int64],
        hparams: Mapping[str, npt.NDArray[Any]],
    ) -> tuple[Block, Pending]:
        """Train every row for ``reports`` reports, from ``iterations`` on, without waiting for the end of it."""

    def metrics(self, pending: Pending) -> dict[str, npt.NDArray[Any]]:
        """Wait, and return the metrics by name, each of shape (reports, rows)."""

    def move(self, block: Block, to: Sequence[int], of: Sequence[int]) -> Block:
        """Write copies of the rows ``of`` to the rows ``to``, all at once: what is copied is what was there before."""

    def take(self, block: Block, rows: Sequence[int]) -> Leaves:
        """Return copies of some rows."""

    def put(self, block: Block, rows: Sequence[int], leaves: Leaves) -> Block:
        """Write ``leaves`` to some rows."""

    def names(self) -> list[str]:
        """Return a name for each leaf, such as ``params/w``."""

    def tree(self, leaves: Leaves) -> Any:
        """Return the state of one member, of the kind that ``init`` returns, from the leaves of one row."""
