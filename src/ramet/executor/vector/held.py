"""Which checkpoints lie in the memory of this process: in rows that were not trained since, or put aside."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from ramet.core.messages import COPY, HELD, StoredCheckpoint
from ramet.errors import CheckpointError, DamageError
from ramet.executor.vector.cohort import Cohort
from ramet.executor.vector.program import Leaves
from ramet.executor.vector.work import Name, Work
from ramet.executor.vector.writer import states_of


class Held:
    """Checkpoints by name, and the rows that they lie in; ``weights`` are the parts of the state to mix."""

    def __init__(self, cohort: Cohort, weights: Sequence[str]) -> None:
        self._cohort = cohort
        self._weights = weights
        self.rows: dict[Name, int] = {}
        self._aside: dict[Name, Leaves] = {}

    def add(self, name: Name, row: int) -> None:
        """The state in ``row`` is the checkpoint ``name``; what was put aside for that member is needed no more."""
        self.rows[name] = row
        for other in [other for other in self._aside if other[0] == name[0]]:
            del self._aside[other]

    def use_up(self, rows: Collection[int]) -> None:
        """What lies in ``rows`` is trained further, or lost."""
        self.rows = {name: row for name, row in self.rows.items() if row not in rows}

    def put_aside(self, works: Sequence[Work]) -> None:
        """Copy the states of works that go on past a checkpoint and will not come to their next one at once.

        Others that decide meanwhile may clone them at the checkpoint that they were judged by.
        """
        known = [work for work in works if work.name in self.rows]
        if known:
            leaves = self._cohort.read([work.row for work in known])
            for at, work in enumerate(known):
                self._aside[work.name] = [leaf[at : at + 1] for leaf in leaves]

    # ------------------------------------------------------------------ beginnings

    def settle(self, works: Sequence[Work]) -> list[tuple[Work, CheckpointError]]:
        """Bring to the row of each of ``works`` what it starts from; return those of which that is not there."""
        lost: list[tuple[Work, CheckpointError]] = []
        founders = [work for work in works if work.assignment.checkpoint is None]
        copied: list[tuple[Work, Name]] = []
        aside: list[tuple[Work, Name]] = []
        stored: list[Work] = []
        for work in works:
            checkpoint = work.assignment.checkpoint
            if checkpoint is None:
                continue
            if checkpoint.kind != HELD:
                stored.append(work)
                continue
            name = name_of(checkpoint)
            if name in self.rows:
                copied.append((work, name))
            elif name in self._aside:
                aside.append((work, name))
            else:
                told = f"checkpoint {name} was in the memory of the executor alone, and is gone"
                lost.append((work, DamageError(told)))
        moved = [(work.row, self.rows[name]) for work, name in copied if self.rows[name] != work.row]
        elsewhere = {name: self.rows[name] for _, name in copied}
        if moved:  # first of all: what is copied is what is there now
            self._cohort.copy([to for to, _ in moved], [of for _, of in moved])
        if founders:
            self._cohort.begin([work.row for work in founders])
        lost += self._load(stored)
        for work, name in aside:
            self._cohort.write([work.row], self._aside[name])
        gone = {work for work, _ in lost}
        written = [work for work in (*founders, *stored, *[work for work, _ in aside]) if work not in gone]
        self.use_up({work.row for work in written} | {to for to, _ in moved})
        for work, name in copied:
            self.rows.setdefault(name, work.row if elsewhere[name] not in self.rows.values() else elsewhere[name])
        self._mix([work for work in works if work.assignment.weights != COPY and work not in gone])
        return lost

    def _load(self, works: Sequence[Work]) -> list[tuple[Work, CheckpointError]]:
        """Write what lies on disk; all at once, unless one of them is damaged."""
        checkpoints = [work.assignment.checkpoint for work in works]
        names, stored = self._cohort.program.names(), [each for each in checkpoints if each is not None]
        if not works:
            return []
        try:
            leaves = states_of(stored, names)
        except CheckpointError as error:
            if len(works) == 1:
                return [(works[0], error)]
            return [wrong for work in works for wrong in self._load([work])]
        self._cohort.write([work.row for work in works], leaves)
        return []

    def _mix(self, works: Sequence[Work]) -> None:
        """Let weights be what the strategy asks for: shares of those that were there and of new ones."""
        if works and self._weights:
            shares = [work.assignment.weights for work in works]
            mixed(self._cohort, [work.row for work in works], shares, self._weights)
            for work in works:
                work.unmixed = False


def mixed(cohort: Cohort, at: Sequence[int], shares: Sequence[Sequence[float]], weights: Sequence[str]) -> None:
    """Mix in the rows ``at`` shares of the weights that are there and of newly initialised ones; name their leaves."""
    mine, fresh, names = cohort.read(at), cohort.fresh(at), cohort.program.names()
    for leaf, name in enumerate(names):
        if any(name == part or name.startswith(f"{part}/") for part in weights):
            keep, share = np.array(shares).T.reshape(2, -1, *[1] * (mine[leaf].ndim - 1))
            mine[leaf] = (keep * mine[leaf] + share * fresh[leaf]).astype(mine[leaf].dtype)
    cohort.write(at, mine)


def name_of(checkpoint: StoredCheckpoint) -> Name:
    """Return the name of a checkpoint that is held."""
    segment, _, iteration = str(checkpoint.path).partition("/")
    return int(segment), int(iteration)
