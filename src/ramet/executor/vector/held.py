"""Which checkpoints lie in the memory of this process: in rows that were not trained since, or put aside."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from ramet import mixing
from ramet.core.messages import COPY, HELD
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
        self._durable: set[Name] = set()

    def add(self, name: Name, row: int) -> None:
        """The state in ``row`` is the checkpoint ``name``."""
        self.rows[name] = row

    def use_up(self, rows: Collection[int]) -> None:
        """What lies in ``rows`` is trained further, or lost."""
        self.rows = {name: row for name, row in self.rows.items() if row not in rows}

    def put_aside(self, going: Sequence[Work], everyone: Collection[Work]) -> None:
        """Copy what ``going`` stand on and are judged at, but of those that come to a decision before all others.

        Whoever decides before them may clone them there, and a checkpoint of the run that is written meanwhile has to
        hold them. What nobody of ``everyone`` stands on any more is forgotten.
        """
        nearest = min(work.distance for work in going)
        late = [work for work in going if not work.distance <= nearest]
        needed = {name for work in everyone for name in work.needs}
        self._aside = {name: leaves for name, leaves in self._aside.items() if name in needed}
        names = {name for work in late for name in work.needs}
        fresh = sorted((names & self.rows.keys()) - self._aside.keys())
        if fresh:
            leaves = self._cohort.read([self.rows[name] for name in fresh])
            self._aside |= {name: [leaf[at : at + 1] for leaf in leaves] for at, name in enumerate(fresh)}
        self._durable &= self.rows.keys() | self._aside.keys()

    def unsaved(self) -> tuple[list[Name], Leaves]:
        """Return all checkpoints that are in memory alone, and their states."""
        rows = [name for name in self.rows if name not in self._durable]
        aside = [name for name in self._aside if name not in self._durable and name not in self.rows]
        parts = [self._cohort.read([self.rows[name] for name in rows])] if rows else []
        parts += [self._aside[name] for name in aside]
        if len(parts) == 1:  # as usual; a copy of all states would take its time
            return rows + aside, parts[0]
        return rows + aside, [np.concatenate(leaves) for leaves in zip(*parts, strict=True)]

    def saved(self, names: Collection[Name]) -> None:
        """Those lie on disk too."""
        self._durable.update(names)

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
            name = checkpoint.name
            if name in self.rows:
                copied.append((work, name))
            elif name in self._aside:
                aside.append((work, name))
            else:
                told = f"checkpoint {name} was in the memory of the executor alone, and is gone"
                lost.append((work, DamageError(told)))
        moved = [(work.row, self.rows[name]) for work, name in copied if self.rows[name] != work.row]
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
            self.rows.setdefault(name, work.row)  # where the row that it was in is another's now
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

    def mix(self, works: Sequence[Work]) -> None:
        """Let weights be what the strategy asks for: shares of those that were there and of new ones."""
        works = [work for work in works if work.assignment.weights != COPY]
        if works and self._weights:
            shares = [work.assignment.weights for work in works]
            mixed(self._cohort, [work.row for work in works], shares, self._weights)
            for work in works:
                work.unmixed = False


def mixed(cohort: Cohort, at: Sequence[int], shares: Sequence[Sequence[float]], weights: Sequence[str]) -> None:
    """Mix in the rows ``at`` shares of the weights that are there and of newly initialised ones; name their leaves.

    What is no floating point number is taken from the new ones, as by `ramet.inherited`.
    """
    mine, fresh, names = cohort.read(at), cohort.fresh(at), cohort.program.names()
    for leaf, name in enumerate(names):
        if is_part(name, weights):
            for row, (keep, share) in enumerate(shares):
                mine[leaf][row] = mixing.mixed(mine[leaf][row], fresh[leaf][row], keep, share)
    cohort.write(at, mine)


def is_part(name: str, weights: Sequence[str]) -> bool:
    """Return whether a leaf is one of the ``weights``, or lies in them."""
    return any(name == part or name.startswith(f"{part}/") for part in weights)
