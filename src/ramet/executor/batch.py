"""Rows on their way out: gathered one by one, sent as blocks that are encoded once."""

from __future__ import annotations

import json
import time
from operator import itemgetter
from typing import Any

from ramet.core.messages import Block, StoredCheckpoint

_JSON = json.JSONEncoder(separators=(",", ":"))

FLUSH_SECONDS = 0.1
FLUSH_ROWS = 2000
FLUSH_BYTES = 1 << 20


class Batch:
    """The rows of one stretch of work since the last handover; ``iteration`` is that of its checkpoint."""

    def __init__(self, iteration: int) -> None:
        self._sealed = iteration
        self._rows: list[dict[str, Any]] = []
        self._elapsed: list[float] = []
        self._turns: list[int] = []
        self._blocks: list[Block] = []
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def heavy(self) -> bool:
        """Whether it should be sent for its size."""
        return self._bytes > FLUSH_BYTES or len(self._blocks) >= FLUSH_ROWS

    def turn(self) -> None:
        """Say that the rows from the next one on have other columns."""
        self._turns.append(len(self._rows))

    def add(self, row: dict[str, Any], elapsed: float) -> None:
        """Take in one row and the model's training time after it, in seconds."""
        self._rows.append(row)
        self._elapsed.append(elapsed)

    def seal(
        self,
        iteration: int,
        stored: StoredCheckpoint | None,
        moment: float | None = None,
        stopping: tuple[Any, ...] = (),
        *,
        pinned: bool = False,
    ) -> None:
        """Turn the rows up to ``iteration`` into blocks of equal columns; the last one carries the checkpoint."""
        rows, elapsed, first = self._rows, self._elapsed, self._sealed + 1
        ends = [*(turn for turn in self._turns if turn), len(rows)]
        self._rows, self._elapsed, self._turns, self._sealed = [], [], [], iteration
        start, at = 0, time.time()
        for end in ends:
            last = end == len(rows)
            columns = list(rows[start])
            self._blocks.append(
                Block(
                    first=first + start,
                    last=first + end - 1,
                    metrics=rows[end - 1],
                    rows=_JSON.encode({"columns": columns, "rows": _values(columns, rows[start:end])}),
                    elapsed=_JSON.encode([round(seconds, 6) for seconds in elapsed[start:end]]),
                    at=at,
                    time=moment if last else None,
                    clock=elapsed[end - 1],
                    stored=stored if last else None,
                    stopping=stopping if last else (),
                    pinned=pinned and last,
                )
            )
            start = end
        if stored is not None:
            self._bytes += len(stored.data or b"")

    def taken(self, iteration: int) -> tuple[Block, ...]:
        """Return all blocks, the rows up to ``iteration`` included, and begin anew."""
        if self._rows:
            self.seal(iteration, None)
        blocks, self._blocks, self._bytes = tuple(self._blocks), [], 0
        return blocks


def _values(columns: list[str], rows: list[dict[str, Any]]) -> list[Any]:
    """Return the rows' values in the order of ``columns``."""
    if len(columns) > 1:
        return list(map(itemgetter(*columns), rows))
    return [[row[name] for name in columns] for row in rows]
