"""Events as rows of the ledger, and back. What is not plain data is kept aside and never loaded by readers."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cloudpickle
import numpy as np

from ramet.core.events import KINDS, Began, Event, Failed, Kept, Opened, Reported
from ramet.core.messages import StoredCheckpoint
from ramet.core.population import Checkpoint, Population
from ramet.errors import CheckpointError, RunError
from ramet.store.checkpoints import CheckpointStore
from ramet.store.ledger import CheckpointRow, EventRow, Ledger, ReportRow, Transaction

CHECKPOINTS = "checkpoints"
OBJECTS = "objects.pkl"

_JSON = json.JSONEncoder(separators=(",", ":"))
_NESTED: dict[type[Event], tuple[str, ...]] = {Opened: ("hparams", "info"), Kept: ("stopping",), Began: ("facts",)}
"""Fields whose values may hold what JSON does not."""

_FIELDS = {kind: [field.name for field in dataclasses.fields(kind)] for kind in KINDS.values()}


class Aside:
    """Objects of a search space that are no plain data. The ledger names them by number; their pickle lies beside it.

    A reader that has not got the objects shows what they looked like.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._objects: list[Any] = []
        self._saved = 0

    def plain(self, value: Any) -> Any:
        """Return ``value`` as JSON takes it."""
        if value is None or type(value) in (str, int, float, bool):
            return value
        if isinstance(value, np.generic) and type(value.item()) in (str, int, float, bool):
            return value.item()
        if type(value) is list:
            return [self.plain(each) for each in value]
        if type(value) is tuple:
            return {"$tuple": [self.plain(each) for each in value]}
        if isinstance(value, Mapping) and all(type(key) is str and not key.startswith("$") for key in value):
            return {key: self.plain(each) for key, each in value.items()}
        number = next((at for at, known in enumerate(self._objects) if known is value), len(self._objects))
        if number == len(self._objects):
            self._objects.append(value)
        try:
            told = repr(value)[:200]
        except Exception:  # an object that cannot even be shown
            told = type(value).__name__
        return {"$object": number, "repr": told}

    def restored(self, value: Any) -> Any:
        """Return what `plain` was given, or a `Shown` for an object that is not at hand."""
        if isinstance(value, list):
            return [self.restored(each) for each in value]
        if isinstance(value, dict):
            if "$tuple" in value:
                return tuple(self.restored(each) for each in value["$tuple"])
            if "$object" in value:
                number = value["$object"]
                known = isinstance(number, int) and 0 <= number < len(self._objects)
                return self._objects[number] if known else Shown(str(value.get("repr", "?")))
            return {key: self.restored(each) for key, each in value.items()}
        return value

    def save(self) -> None:
        """Write the objects that are new since the last time; one that does not pickle is left out."""
        if self._folder is None or self._saved == len(self._objects):
            return
        pickles = []
        for value in self._objects:
            try:
                pickles.append(cloudpickle.dumps(value))
            except Exception:
                pickles.append(None)
        path = self._folder / OBJECTS
        path.with_suffix(".tmp").write_bytes(cloudpickle.dumps(pickles))
        os.replace(path.with_suffix(".tmp"), path)
        self._saved = len(self._objects)


@dataclasses.dataclass(frozen=True, slots=True)
class Shown:
    """Stands for an object of the search space that a reader has not loaded."""

    told: str

    def __repr__(self) -> str:
        return f"<{self.told}>"


class Record:
    """A run's folder seen as events: ``run.db`` and ``checkpoints/``."""

    def __init__(self, folder: Path, ledger: Ledger, aside: Aside) -> None:
        self.folder, self.ledger, self.aside = folder, ledger, aside
        self.store = CheckpointStore(folder / CHECKPOINTS)

    @classmethod
    def create(cls, folder: Path, meta: dict[str, str], *, power_safe: bool = False) -> Record:
        """Begin a record in ``folder``, which exists and is empty."""
        (folder / CHECKPOINTS).mkdir(exist_ok=True)
        return cls(folder, Ledger.create(folder, meta, power_safe=power_safe), Aside(folder))

    @classmethod
    def open(cls, folder: str | os.PathLike[str], aside: Aside | None = None) -> Record:
        """Open a record to read, also one that is being written."""
        return cls(Path(folder), Ledger.open(folder), aside or Aside())

    def commit(
        self,
        events: Sequence[Event],
        stored: Mapping[Checkpoint, StoredCheckpoint],
        population: Population,
        garbage: Iterable[Checkpoint] = (),
    ) -> None:
        """Make ``events`` durable, with the checkpoints that they name; ``garbage`` is forgotten in the same step."""
        transaction = Transaction()
        for event in events:
            if isinstance(event, Reported):
                row = ReportRow(event.segment, event.first, event.last, event.rows, event.elapsed, event.at)
                transaction.happened.append(row)
                continue
            if isinstance(event, Kept):
                kept = stored[event.segment, event.iteration]
                name = None if kept.path is None else Path(kept.path).name
                transaction.checkpoints.append(
                    CheckpointRow(event.segment, event.iteration, kept.kind, kept.size, kept.data, name)
                )
            if isinstance(event, Failed) and not event.final:
                transaction.rewound.append((event.segment, population.segments[event.segment].last))
            transaction.happened.append(self._row(event))
        paths = []
        fresh = {(row.segment, row.iteration): row for row in transaction.checkpoints}
        for segment, iteration in garbage:
            transaction.deleted.append((segment, iteration))
            # What came and went in one step was never in the ledger.
            gone = fresh.get((segment, iteration)) or self.ledger.checkpoint(segment, iteration)
            if gone is not None and gone.path is not None:
                paths.append(gone.path)
        self.aside.save()
        self.ledger.commit(transaction)
        # Only now, when nothing in the ledger names them any more.
        for path in paths:
            self.store.delete(path)

    def _row(self, event: Event) -> EventRow:
        kind = type(event)
        plain = {name: self.aside.plain(getattr(event, name)) for name in _FIELDS[kind]}
        if kind is Kept:
            plain["stopping"] = self.aside.plain(list(event.stopping))  # type: ignore[attr-defined]
        return EventRow(kind.__name__, plain.get("segment"), _JSON.encode(plain))

    def events(self) -> Iterator[Event]:
        """Return all events in the order in which they happened.

        Raises:
            RunError: the ledger holds what is no event.
        """
        for row in self.ledger.happened():
            yield self._event(row)

    def _event(self, row: EventRow | ReportRow) -> Event:
        try:
            if isinstance(row, ReportRow):
                data = json.loads(row.rows)
                metrics = dict(zip(data["columns"], data["rows"][-1], strict=True))
                return Reported(row.segment, row.first, row.last, metrics, row.rows, row.elapsed, row.at)
            plain = json.loads(row.data)
            kind = KINDS[row.kind]
            for name in _NESTED.get(kind, ()):
                plain[name] = self.aside.restored(plain[name])
            if kind is Kept:
                plain["stopping"] = tuple(plain["stopping"])
            return kind(**plain)
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise RunError(
                f"{self.ledger.path} holds an entry that is no event of a run ({error!r}): {row!r:.200}"
            ) from error

    def checkpoint(self, name: Checkpoint) -> StoredCheckpoint:
        """Return a committed checkpoint.

        Raises:
            CheckpointError: it is not there.
        """
        row = self.ledger.checkpoint(*name)
        if row is None:
            raise CheckpointError(f"checkpoint {name} (segment, iteration) of {self.folder} is gone: it was not kept")
        path = None if row.path is None else str(self.store.path(row.path))
        return StoredCheckpoint(row.kind, row.data, path, row.size)

    def sweep(self) -> None:
        """Delete the checkpoint directories that the ledger does not name. Only once no worker writes any more."""
        self.store.sweep({row.path for row in self.ledger.checkpoints() if row.path is not None})

    def close(self) -> None:
        """Close the ledger."""
        self.ledger.close()
