"""Rows on their way out: gathered one by one, sent as blocks that are encoded once."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from ramet.core.blocks import encoded, encoded_seconds, kinds_of
from ramet.core.messages import Block, StoredCheckpoint

FLUSH_SECONDS = 0.1
FLUSH_ROWS = 2000
FLUSH_BYTES = 1 << 20


class Batch:
    """The rows of one stretch of work since the last handover; ``iteration`` is that of its checkpoint.

    Whoever reports appends: to ``values`` those of a row, one after the other in the order of ``columns``, and to
    ``seconds`` the model's training time after it.
    """

    __slots__ = ("_blocks", "_bytes", "_kinds", "_sealed", "_taken", "columns", "seconds", "values")

    def __init__(self, iteration: int) -> None:
        self.columns: tuple[str, ...] = ()
        self.values: list[Any] = []
        self.seconds: list[float] = []
        self._kinds = ""
        self._sealed = self._taken = iteration
        self._blocks: list[Block] = []
        self._bytes = 0

    def __len__(self) -> int:
        return self._sealed - self._taken + len(self.seconds)

    @property
    def heavy(self) -> bool:
        """Whether it should be sent for its size."""
        return self._bytes > FLUSH_BYTES or len(self._blocks) >= FLUSH_ROWS

    def turn(self, columns: tuple[str, ...], types: Sequence[type]) -> None:
        """Say that the rows from the next one on have these columns, of these types."""
        if self.seconds:
            self.seal(self._sealed + len(self.seconds), None)
        self.columns, self._kinds = columns, kinds_of(types)

    def vary(self, types: Sequence[type]) -> None:
        """Say that the next row has the same columns, and values of these types."""
        kinds = kinds_of(types)
        if self.seconds:
            kinds = "".join(kind if kind == other else "j" for kind, other in zip(self._kinds, kinds, strict=True))
        self._kinds = kinds

    def seal(
        self,
        iteration: int,
        stored: StoredCheckpoint | None,
        moment: float | None = None,
        stopping: tuple[Any, ...] = (),
        *,
        pinned: bool = False,
        spent: tuple[int, int, int, int, int] | tuple[()] = (),
    ) -> None:
        """Make the rows up to ``iteration`` a block; the last one carries the checkpoint."""
        columns, values, seconds = self.columns, self.values, self.seconds
        clock = seconds[-1]
        self._blocks.append(
            Block(
                first=self._sealed + 1,
                last=iteration,
                metrics=dict(zip(columns, values[-len(columns) :] if columns else (), strict=True)),
                rows=encoded(columns, self._kinds, values, len(seconds)),
                elapsed=encoded_seconds(seconds),
                at=time.time(),
                time=moment,
                clock=clock,
                stored=stored,
                stopping=stopping,
                pinned=pinned,
                spent=spent,
            )
        )
        # In place, for who reports holds on to them.
        values.clear()
        seconds.clear()
        self._sealed = iteration
        if stored is not None and stored.data is not None:
            self._bytes += len(stored.data)

    def taken(self, iteration: int) -> tuple[Block, ...]:
        """Return all blocks, the rows up to ``iteration`` included, and begin anew."""
        if self.seconds:
            self.seal(iteration, None)
        blocks, self._blocks, self._bytes, self._taken = tuple(self._blocks), [], 0, self._sealed
        return blocks
