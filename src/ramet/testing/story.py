"""What happened in a run, without the clock and without the order in which workers happened to be heard."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from pathlib import Path
from typing import Any

from ramet.core.blocks import as_dicts
from ramet.core.events import Ended, Event, Failed, Kept, Noted, Opened, Reported, Resumed, Sent
from ramet.core.messages import StoredCheckpoint
from ramet.record import Record
from ramet.store.bundles import BUNDLES, checked
from ramet.store.manifest import MANIFEST


def story(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Return the events, rows and checkpoints of the run in the folder ``path``, in an order of their own.

    Two synchronous runs with the same seed tell the same story, whatever ran them and whatever happened to them:
    failures that were made good leave no trace in it, nor do an end after which the run was taken up again, notes to
    the user, and the wall clock.

    Returns:
        ``events`` (a sorted list), ``rows`` ((segment, iteration) -> metrics), ``checkpoints`` ((segment, iteration) ->
        digest of the content).
    """
    record = Record.open(path)
    try:
        events: list[tuple[Any, ...]] = []
        rows: dict[tuple[int, int], dict[str, Any]] = {}
        for event in record.events():
            if isinstance(event, Reported):
                for iteration, row in enumerate(as_dicts(event.rows), start=event.first):
                    key = (event.segment, iteration)
                    assert key not in rows, f"row {key} is there twice"
                    rows[key] = row
            elif isinstance(event, Resumed):
                events = [told for told in events if told[0] != Ended.__name__]
            elif not isinstance(event, (Noted, Sent)) and not (isinstance(event, Failed) and not event.final):
                events.append(_timeless(event))
        # A checkpoint that was made again after a failure was told of twice, in the same words.
        unique = {repr(event): event for event in events}
        names = [(row.segment, row.iteration) for row in record.ledger.checkpoints()]
        checkpoints = {name: _digest(record.checkpoint(name)) for name in names}
    finally:
        record.close()
    return {"events": [unique[key] for key in sorted(unique)], "rows": rows, "checkpoints": checkpoints}


def _timeless(event: Event) -> tuple[Any, ...]:
    kind = type(event)
    fields = [f.name for f in dataclasses.fields(event) if f.name not in kind.clocks]
    told = {name: getattr(event, name) for name in fields}
    if kind is Opened:
        told["hparams"] = dict(told["hparams"])
    if kind is Kept:  # NaN is not equal to itself, its text is
        told["score"], told["rank"] = repr(told["score"]), repr(told["rank"])
    if "facts" in told:
        told["facts"] = {key: value for key, value in told["facts"].items() if key != "run"}
    return (kind.__name__, told)


def _digest(stored: StoredCheckpoint) -> str:
    if stored.data is not None and stored.kind in BUNDLES:  # however an earlier version packed it
        return hashlib.sha256(repr(checked(stored.data, stored.kind)).encode()).hexdigest()
    digest = hashlib.sha256(stored.kind.encode())
    if stored.data is not None:
        digest.update(stored.data)
    elif stored.path is not None:
        for file in sorted(Path(stored.path).rglob("*")):
            if file.is_file() and file.name != MANIFEST:
                digest.update(file.relative_to(stored.path).as_posix().encode() + b"\0")
                digest.update(file.read_bytes())
    return digest.hexdigest()
