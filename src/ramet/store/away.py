"""Checkpoints of a run that are not in its folder, but in the store that keeps the run: found, and brought."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from ramet.errors import DamageError
from ramet.store.checkpoints import CheckpointStore

if TYPE_CHECKING:
    from ramet.store.depot import Depot
    from ramet.store.shipping import Shipping

HOME = "storage.json"
"""The file in a run's folder that says where the run is kept besides."""


def place(folder: Path, store: CheckpointStore, shipping: Shipping | None, directory: str) -> Path:
    """Return where the checkpoint in ``directory`` lies, brought from the store that keeps the run if it has to be.

    Raises:
        CheckpointError: it is neither here nor there.
        StorageError: the store does not answer.
    """
    if shipping is not None:
        return shipping.bring(directory)
    try:
        return store.path(directory)
    except DamageError:
        depot = _depot(folder, store)
        if depot is None:
            raise
        try:
            return depot.fetch(directory, outage=0.0)
        finally:
            depot.close()


def is_away(folder: Path, store: CheckpointStore, shipping: Shipping | None, directory: str) -> bool:
    """Return whether the checkpoint in ``directory`` is not here, but in the store that keeps the run.

    Raises:
        StorageError: the store does not answer.
    """
    if os.path.lexists(store.root / directory):
        return False
    if shipping is not None:
        return shipping.has(directory)
    depot = _depot(folder, store)
    return depot is not None and depot.remote.holds(directory)


def lacking(folder: Path, named: Collection[str], last: int) -> list[str]:
    """Return what the store that keeps a run lacks of the checkpoints ``named`` and of ``last`` entries, in sentences.

    Raises:
        StorageError: the store does not answer.
    """
    from ramet.store.remote import Remote
    from ramet.store.snapshots import home, newest

    found = home(folder)
    if found is None:
        return []
    remote = Remote(found.url)
    snapshot, there = newest(remote), remote.names()
    told = [f"checkpoint {name} is not in {found.url}" for name in sorted(named) if not there.get(name)]
    if snapshot is None:
        told.append(f"{found.url} holds no run: resuming the one in {folder} sends it")
    elif snapshot.run != found.run or snapshot.token not in found[2:]:
        told.append(f"{found.url} has gone on elsewhere since this folder was worked on: restore the run from there")
    elif snapshot.seq < last:
        told.append(f"{found.url} has {snapshot.seq} entries of {last}: resuming the run in {folder} sends the rest")
    return told


def _depot(folder: Path, store: CheckpointStore) -> Depot | None:
    if not (folder / HOME).exists():
        return None
    from ramet.store.depot import Depot
    from ramet.store.remote import Remote
    from ramet.store.snapshots import home

    found = home(folder)
    return None if found is None else Depot(store.root, Remote(found.url))
