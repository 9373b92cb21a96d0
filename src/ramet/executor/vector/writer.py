"""The states of members on disk: written while training goes on, and read again."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np

from ramet.checkpoint import Checkpoint
from ramet.core.messages import StoredCheckpoint
from ramet.errors import CheckpointError
from ramet.executor.vector.program import Leaves
from ramet.executor.vector.work import Name
from ramet.store import stacks
from ramet.store.checkpoints import CheckpointStore
from ramet.store.trees import remove

Stored = dict[Name, StoredCheckpoint]


class Writer:
    """Writes stacks of states to the store in the folder ``root``; ``names`` are those of their arrays."""

    def __init__(self, root: str, names: Sequence[str]) -> None:
        self._store, self._names = CheckpointStore(root), list(names)
        self._thread = ThreadPoolExecutor(1, "ramet-stack")
        self._under_way: Future[Stored] | None = None

    def now(self, states: Sequence[Name], leaves: Leaves) -> Stored:
        """Write the rows of ``leaves`` as the checkpoints ``states``, in their order, and return them.

        Raises:
            OSError: they cannot be written; nothing is left of them.
        """
        scratch = self._store.scratch()
        try:
            size = stacks.written(scratch, self._names, leaves)
            segment, iteration = max(states, key=lambda name: name[1])
            final, _ = self._store.commit(scratch, f"stack-{segment:06d}-{iteration:08d}")
        except BaseException:
            remove(scratch)
            raise
        path = str(self._store.root / final)
        return {
            name: StoredCheckpoint(f"{stacks.ROW}{row}", path=path, size=size, fresh=True)
            for row, name in enumerate(states)
        }

    def begin(self, states: Sequence[Name], leaves: Leaves) -> None:
        """Begin to write; one at a time."""
        self._under_way = self._thread.submit(self.now, states, leaves)

    def finished(self) -> Stored | None:
        """Wait for what was begun, and return it once; None where nothing was.

        Raises:
            OSError: it could not be written.
        """
        under_way, self._under_way = self._under_way, None
        return None if under_way is None else under_way.result()

    def close(self) -> None:
        """Wait for the thread."""
        self._thread.shutdown(wait=True)


def states_of(stored: Sequence[StoredCheckpoint], names: Sequence[str]) -> Leaves:
    """Return the states that checkpoints hold, one a row, as arrays called ``names``.

    Raises:
        DamageError: a checkpoint is not what was written.
        CheckpointError: it holds something else than a member's state.
    """
    rows = [number for each in stored if (number := stacks.number(each.kind)) is not None]
    if len(rows) == len(stored) and len({each.path for each in stored}) == 1:  # as after a crash
        Checkpoint(stored=stored[0]).verify()
        found = stacks.rows(Path(str(stored[0].path)), rows)
    else:
        dicts = [Checkpoint(stored=each).to_dict() for each in stored]
        if any(state.keys() != dicts[0].keys() for state in dicts):
            raise CheckpointError("checkpoints that are to be trained from hold states of different kinds")
        found = {name: np.stack([state[name] for state in dicts]) for name in dicts[0]}
    if sorted(found) != sorted(names):
        raise CheckpointError(
            f"a checkpoint holds the arrays {sorted(found)}, and the trainable's state has {sorted(names)}: train on "
            "with the functions that it was made by"
        )
    return [found[name] for name in names]
