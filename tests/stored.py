"""Runs that are kept in a store, for the tests of stores of all houses."""

import runs

import ramet
from ramet.record import Record

SYNC = ramet.SyncConfig(sync_period=0.05)


def run(where, **more):
    """Carry out a synchronous run with checkpoints in directories, and return its folder."""
    kept = ramet.CheckpointConfig(num_to_keep=1)
    more = {"scheduler": runs.pbt(synch=True), "members": 4, "sync_config": SYNC, "checkpoint_config": kept, **more}
    return runs.run(runs._directory, where, **more)


def named(folder) -> set[str]:
    """Return the directories that the ledger in ``folder`` names."""
    record = Record.open(folder)
    try:
        return {row.path for row in record.ledger.checkpoints() if row.path is not None}
    finally:
        record.close()
