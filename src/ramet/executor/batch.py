"""Rows on their way out: gathered one by one, sent as blocks that are encoded once."""

from __future__ import annotations

import json
import time
from typing import Any

from ramet.core.messages import Block, StoredCheckpoint

_JSON = json.JSONEncoder(separators=(",", ":"))

FLUSH_ROWS = 2000
FLUSH_BYTES = 1 << 20


class Batch:
    """The rows of one stretch of work since the last handover; ``iteration`` is that of its checkpoint."""

    def __init__(self, iteration: int) -> None:
        self._sealed = iteration
        self._rows: list[dict[str, Any]] = []
        self._elapsed: list[float] = []
        self._blocks: list[Block] = []
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def heavy(self) -> bool:
        """Whether it should be sent for its size."""
        return self._bytes > FLUSH_BYTES or len(self._blocks) >= FLUSH_ROWS

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
    ) -> None:
        """Turn the rows up to ``iteration`` into blocks of equal columns; the last one carries the checkpoint."""
        rows, elapsed, first = self._rows, self._elapsed, self._sealed + 1
        self._rows, self._elapsed, self._sealed = [], [], iteration
        start, at = 0, time.time()
        for end in range(1, len(rows) + 1):
            last = end == len(rows)
            if not last and rows[end].keys() == rows[start].keys():
                continue
            columns = list(rows[start])
            values = [[row[name] for name in columns] for row in rows[start:end]]
            self._blocks.append(
                Block(
                    first=first + start,
                    last=first + end - 1,
                    metrics=rows[end - 1],
                    rows=_JSON.encode({"columns": columns, "rows": values}),
                    elapsed=_JSON.encode([round(seconds, 6) for seconds in elapsed[start:end]]),
                    at=at,
                    time=moment if last else None,
                    clock=elapsed[end - 1],
                    stored=stored if last else None,
                    stopping=stopping if last else (),
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
