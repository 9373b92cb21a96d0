"""The rows of a population: all on the device, or more than fit there, in turn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from ramet.executor.vector.program import Block, Leaves, Program

Arrays = Mapping[str, npt.NDArray[Any]]


class Rows(Protocol):
    """The states of ``count`` members. All that concerns one row has its number; arrays have one entry a row."""

    def begin(self, at: Sequence[int], segments: npt.NDArray[np.int64], hparams: Arrays) -> None:
        """Initialise the rows ``at`` anew."""

    def copy(self, to: Sequence[int], of: Sequence[int]) -> None:
        """Write the rows ``of``, as they are now, to the rows ``to``."""

    def read(self, at: Sequence[int]) -> Leaves:
        """Return copies of the rows ``at``."""

    def write(self, at: Sequence[int], leaves: Leaves) -> None:
        """Write the rows ``at``."""

    def train(
        self,
        at: Sequence[int],
        reports: int,
        segments: npt.NDArray[np.int64],
        iterations: npt.NDArray[np.int64],
        hparams: Arrays,
    ) -> None:
        """Set the rows ``at`` going for so many reports; all others stay as they are."""

    def metrics(self) -> dict[str, npt.NDArray[Any]]:
        """Wait for what `train` set going, and return its metrics, each of shape (reports, rows)."""


def rows_of(program: Program, count: int) -> Rows:
    """Return rows for ``count`` members."""
    return OnDevice(program, count) if count <= program.rows else InTurn(program, count)


class OnDevice:
    """All rows in one block."""

    def __init__(self, program: Program, count: int) -> None:
        self._program, self._count = program, count
        self._block: Block = None
        self._pending: Any = None

    def _full(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return ``values`` with an entry for every row of the block: rows that are nobody's follow the last one."""
        missing = self._program.rows - len(values)
        return np.concatenate([values, values[-1:].repeat(missing, 0)]) if missing else values

    def _all(self, arrays: Arrays) -> dict[str, npt.NDArray[Any]]:
        return {name: self._full(values) for name, values in arrays.items()}

    def begin(self, at: Sequence[int], segments: npt.NDArray[np.int64], hparams: Arrays) -> None:
        """See `Rows`."""
        fresh = self._program.begin(self._full(segments), self._all(hparams))
        if self._block is None:
            self._block = fresh
        else:
            self._block = self._program.put(self._block, at, self._program.take(fresh, at))

    def copy(self, to: Sequence[int], of: Sequence[int]) -> None:
        """See `Rows`."""
        self._block = self._program.move(self._block, to, of)

    def read(self, at: Sequence[int]) -> Leaves:
        """See `Rows`."""
        return self._program.take(self._block, at)

    def write(self, at: Sequence[int], leaves: Leaves) -> None:
        """See `Rows`."""
        self._block = self._program.put(self._block, at, leaves)

    def train(
        self,
        at: Sequence[int],
        reports: int,
        segments: npt.NDArray[np.int64],
        iterations: npt.NDArray[np.int64],
        hparams: Arrays,
    ) -> None:
        """See `Rows`."""
        others = _others(self._count, at)
        kept = self.read(others) if others else None
        self._block, self._pending = self._program.train(
            self._block, reports, self._full(segments), self._full(iterations), self._all(hparams)
        )
        if kept is not None:
            self.write(others, kept)

    def metrics(self) -> dict[str, npt.NDArray[Any]]:
        """See `Rows`."""
        return self._program.metrics(self._pending)


class InTurn:
    """All rows in this process's memory; one block of them after the other goes to the device and comes back."""

    def __init__(self, program: Program, count: int) -> None:
        self._program, self._count = program, count
        self._leaves: Leaves | None = None
        self._block: Block = None
        self._told: dict[str, npt.NDArray[Any]] = {}

    def _turns(self, at: Iterable[int]) -> list[npt.NDArray[np.int64]]:
        """Return the rows of each block that one of ``at`` is in; the last block is filled up with its last row."""
        size = self._program.rows
        firsts = sorted({row // size * size for row in at})
        return [np.minimum(np.arange(first, first + size), self._count - 1) for first in firsts]

    def begin(self, at: Sequence[int], segments: npt.NDArray[np.int64], hparams: Arrays) -> None:
        """See `Rows`."""
        for turn in self._turns(at):
            fresh = self._program.begin(segments[turn], {name: values[turn] for name, values in hparams.items()})
            leaves = self._program.take(fresh, range(len(turn)))
            if self._leaves is None:
                self._leaves = [np.zeros((self._count, *leaf.shape[1:]), leaf.dtype) for leaf in leaves]
            if self._block is None:
                self._block = fresh
            inside = [place for place, row in enumerate(turn.tolist()) if row in set(at)]
            for mine, leaf in zip(self._leaves, leaves, strict=True):
                mine[turn[inside]] = leaf[inside]

    def copy(self, to: Sequence[int], of: Sequence[int]) -> None:
        """See `Rows`."""
        self.write(to, self.read(of))

    def read(self, at: Sequence[int]) -> Leaves:
        """See `Rows`."""
        assert self._leaves is not None
        return [leaf[list(at)] for leaf in self._leaves]

    def write(self, at: Sequence[int], leaves: Leaves) -> None:
        """See `Rows`."""
        assert self._leaves is not None
        for mine, leaf in zip(self._leaves, leaves, strict=True):
            mine[list(at)] = leaf

    def train(
        self,
        at: Sequence[int],
        reports: int,
        segments: npt.NDArray[np.int64],
        iterations: npt.NDArray[np.int64],
        hparams: Arrays,
    ) -> None:
        """See `Rows`. The last block alone could go on unattended, so all are waited for."""
        self._told = {}
        program, going = self._program, set(at)
        for turn in self._turns(at):
            everyone = range(len(turn))
            self._block = program.put(self._block, everyone, self.read(turn.tolist()))
            arrays = {name: values[turn] for name, values in hparams.items()}
            self._block, pending = program.train(self._block, reports, segments[turn], iterations[turn], arrays)
            mine = [place for place, row in enumerate(turn.tolist()) if row in going]
            for name, values in program.metrics(pending).items():
                told = self._told.setdefault(name, np.zeros((reports, self._count), values.dtype))
                told[:, turn[mine]] = values[:, mine]
            self.write(turn[mine].tolist(), program.take(self._block, mine))

    def metrics(self) -> dict[str, npt.NDArray[Any]]:
        """See `Rows`."""
        return self._told


def _others(count: int, at: Sequence[int]) -> list[int]:
    return [] if len(at) == count else sorted(set(range(count)) - set(at))
