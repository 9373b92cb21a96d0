"""Events as rows of the ledger, and back. What is not plain data is kept aside and never loaded by readers."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import operator
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ramet.aside import Aside, is_numpys
from ramet.core.blocks import last_row
from ramet.core.events import KINDS, Began, Event, Failed, Kept, Lost, Opened, Reported, Resumed, Saved
from ramet.core.messages import StoredCheckpoint
from ramet.core.population import Checkpoint, Population
from ramet.errors import CheckpointError, RunError
from ramet.store import away
from ramet.store.checkpoints import CheckpointStore
from ramet.store.ledger import CheckpointRow, EventRow, Ledger, ReportRow, Transaction

if TYPE_CHECKING:
    from ramet.store.shipping import Shipping

CHECKPOINTS = "checkpoints"

_NESTED: dict[type[Event], tuple[str, ...]] = {
    Opened: ("hparams", "info"),
    Kept: ("stopping",),
    Began: ("facts",),
    Resumed: ("facts",),
}
"""Fields whose values may hold what JSON does not."""

_FIELDS = {kind: {field.name: str(field.type) for field in dataclasses.fields(kind)} for kind in KINDS.values()}
_VALUES = {kind: operator.attrgetter(*fields) for kind, fields in _FIELDS.items() if len(fields) > 1}


def _number_of_numpy(value: Any) -> Any:
    """Return as Python's what a strategy or a stopper computed with numpy."""
    if is_numpys(value):
        return value.item()
    raise TypeError(f"{value!r:.80} is no plain data")


_JSON = json.JSONEncoder(separators=(",", ":"), default=_number_of_numpy)

_LARGEST = 2**63 - 1
_LONGEST = _LARGEST**2  # nanoseconds: a simulation may take centuries


def _count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _LARGEST


def _number(value: Any) -> bool:
    return type(value) is float or (type(value) is int and -_LARGEST <= value <= _LARGEST)


def _duration(value: Any) -> bool:
    return type(value) is int and abs(value) <= _LONGEST


def _text(value: Any) -> bool:
    return type(value) is str


_FITS: dict[str, Callable[[Any], bool]] = {
    "int": _count,
    "int | None": lambda value: value is None or _count(value),
    "float": _number,
    "str": _text,
    "bool": lambda value: type(value) is bool,
    "Mapping[str, Any]": lambda value: isinstance(value, dict) and all(type(key) is str for key in value),
    "tuple[Any, ...]": lambda value: type(value) is tuple,
    "tuple[int, ...]": lambda value: type(value) is tuple and all(map(_count, value)),
    "tuple[int, int, int, int, int] | tuple[()]": lambda value: (
        type(value) is tuple and len(value) in (0, 5) and all(map(_duration, value))
    ),
}
"""By annotation, what a field may hold: a ledger may come from anybody."""

_CHECKS = {
    kind: [(name, told.startswith("tuple"), _FITS[told]) for name, told in fields.items() if told in _FITS]
    for kind, fields in _FIELDS.items()
}

_FACTS: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("run", "trainable", "time_attr", "stop"), _text),
    **dict.fromkeys(("strategy", "mutable", "branched"), _FITS["Mapping[str, Any]"]),
    **dict.fromkeys(("num_to_keep", "max_bytes"), lambda value: value is None or (_count(value) and value > 0)),
    "keep_lineage": _FITS["bool"],
    "metric": lambda value: value is None or _text(value),
    "mode": lambda value: value in (None, "min", "max"),
    "goal": lambda value: value is None or _number(value),
}
"""By name, what a fact of a run may be, if it is told."""


class Record:
    """A run's folder seen as events: ``run.db`` and ``checkpoints/``."""

    def __init__(self, folder: Path, ledger: Ledger, aside: Aside) -> None:
        self.folder, self.ledger, self.aside = folder, ledger, aside
        self.store = CheckpointStore(folder / CHECKPOINTS)
        self.shipping: Shipping | None = None
        self._directories: dict[Checkpoint, str] = {}  # so that a small checkpoint goes without a look at the ledger
        self._fresh: set[Checkpoint] = set()
        self._doomed: list[str] = []

    @classmethod
    def create(
        cls, folder: Path, meta: dict[str, str], aside: Aside | None = None, *, power_safe: bool = False
    ) -> Record:
        """Begin a record in ``folder``, which exists and is empty."""
        (folder / CHECKPOINTS).mkdir(exist_ok=True)
        return cls(folder, Ledger.create(folder, meta, power_safe=power_safe), aside or Aside(folder))

    @classmethod
    def resume(cls, folder: str | os.PathLike[str], aside: Aside | None = None, *, power_safe: bool = False) -> Record:
        """Open a record to go on with it; ``aside`` holds the objects that it names."""
        folder = Path(folder)
        record = cls(folder, Ledger.resume(folder, power_safe=power_safe), aside or Aside())
        with contextlib.suppress(RunError):  # damaged: whatever lies there is swept in the end
            rows = record.ledger.checkpoints()
            record._directories = {(row.segment, row.iteration): row.path for row in rows if row.path is not None}
        return record

    @classmethod
    def open(cls, folder: str | os.PathLike[str], aside: Aside | None = None) -> Record:
        """Open a record to read, also one that is being written."""
        return cls(Path(folder), Ledger.open(folder), aside or Aside())

    def commit(
        self,
        events: Sequence[Event],
        stored: Mapping[Checkpoint, StoredCheckpoint],
        rewound: Mapping[int, int] = MappingProxyType({}),
        garbage: Collection[Checkpoint] = (),
    ) -> None:
        """Make ``events`` durable, with the checkpoints that they name.

        ``rewound`` (segment -> last iteration) and ``garbage`` are forgotten in the same step; `tidy` deletes what lies
        in directories.
        """
        transaction = Transaction(rewound=list(rewound.items()), deleted=list(garbage))
        for event in events:
            if isinstance(event, Reported):
                row = ReportRow(event.segment, event.first, event.last, event.rows, event.elapsed, event.at)
                transaction.happened.append(row)
                continue
            if isinstance(event, Kept) and not event.held:
                name = (event.segment, event.iteration)
                transaction.checkpoints.append(self._checkpoint_row(name, stored[name]))
            elif isinstance(event, Saved):
                transaction.checkpoints += [self._checkpoint_row(name, stored[name]) for name in event.names]
            elif isinstance(event, Lost):
                transaction.deleted.append((event.segment, event.iteration))
            transaction.happened.append(self._row(event))
        self.aside.save()
        self.ledger.commit(transaction)
        if self.shipping is not None:
            for kept in transaction.checkpoints:
                if kept.path is not None:
                    away = stored[kept.segment, kept.iteration].away
                    (self.shipping.expect if away else self.shipping.send)(kept.path)
            for gone in transaction.deleted:
                if gone in self._directories and gone not in garbage:  # it is lost
                    self.shipping.give_up(self._directories[gone])
        self._fresh.difference_update(garbage)
        for directory in {self._directories.pop(gone) for gone in garbage if gone in self._directories}:
            if directory not in self._directories.values():  # rows of many members lie in one
                self._doomed.append(directory)

    def _checkpoint_row(self, name: Checkpoint, stored: StoredCheckpoint) -> CheckpointRow:
        path = None if stored.path is None else Path(stored.path).name
        if path is not None:
            self._directories[name] = path
            self._fresh.add(name)
        return CheckpointRow(*name, stored.kind, stored.size, stored.data, path)

    def directories(self, names: Iterable[Checkpoint]) -> set[str]:
        """Return the directories that checkpoints lie in; small ones lie in none."""
        return {self._directories[name] for name in names if name in self._directories}

    def tidy(self) -> list[str]:
        """Delete the directories that commits since the last time let go of, and return their names.

        A gigabyte takes its time: that is not done while committing.
        """
        if not self._doomed:
            return []
        # Only when nothing in the ledger names them any more, not even after a power cut.
        self.ledger.sync()
        doomed, self._doomed = self._doomed, []
        for directory in doomed:
            if self.shipping is None:
                self.store.delete(directory)
            else:
                self.shipping.let_go(directory)
        return doomed

    def _row(self, event: Event) -> EventRow:
        kind = type(event)
        values = _VALUES[kind](event) if kind in _VALUES else [getattr(event, name) for name in _FIELDS[kind]]
        plain = dict(zip(_FIELDS[kind], values, strict=True))
        if kind is Kept:
            if not plain["spent"]:
                del plain["spent"]  # nothing is known, as of earlier versions
            if not plain["held"]:
                del plain["held"]
            if not plain["away"]:
                del plain["away"]
        elif kind is Failed and plain["counted"]:
            del plain["counted"]
        for name in _NESTED.get(kind, ()):
            value = plain[name]
            if value or type(value) not in (dict, tuple):  # of most there is nothing to look at
                plain[name] = self.aside.plain(list(value) if type(value) is tuple else value)
        return EventRow(kind.__name__, plain.get("segment"), _JSON.encode(plain))

    def events(self) -> Iterator[Event]:
        """Return all events in the order in which they happened.

        Raises:
            RunError: the ledger holds what is no event.
        """
        yield from map(self._event, self.ledger.happened())

    def replayed(self, population: Population) -> Iterator[tuple[EventRow | ReportRow, Event]]:
        """Let ``population`` take in all events, and yield each with its row.

        Raises:
            RunError: they are no story of a run, from here on.
        """
        for row in self.ledger.happened():
            yield row, self.taken_in(row, population, self.ledger.last)

    def taken_in(self, row: EventRow | ReportRow, population: Population, last: int) -> Event:
        """Let ``population`` take in the event of the next ``row``, and return it; ``last`` is the ledger's last entry.

        Raises:
            RunError: it does not follow from what happened before.
        """
        event = self._event(row)
        # Whoever made this up should not be able to have a thousand million members made of it.
        if isinstance(event, (Began, Resumed)) and event.members > min(last, self._room()):
            raise RunError(f"{self.ledger.path} tells of {event.members} members and opens fewer: it is damaged")
        try:
            if not population.apply(event):
                raise ValueError("it is about what was over by then, or follows a gap")
        except Exception as error:
            raise RunError(
                f"{self.ledger.path} is damaged: {event!r:.200} does not follow from what happened before it "
                f"({error!r:.200}). ramet check --repair {self.folder} goes back to the last state that is whole"
            ) from error
        if row.ends:
            population.garbage()  # as it was taken out then
        return event

    def _room(self) -> int:
        """Return how many bytes the ledger has: it tells of fewer members than that, whatever its numbers say."""
        path, room = self.ledger.path, 0
        for file in (path, path.with_name(f"{path.name}-wal")):
            with contextlib.suppress(OSError):
                room += file.stat().st_size
        return room

    def population(self) -> Population:
        """Return what all events lead to.

        Raises:
            RunError: they are no story of a run.
        """
        population = Population()
        for _ in self.replayed(population):
            pass
        return population

    def _event(self, row: EventRow | ReportRow) -> Event:
        try:
            if isinstance(row, ReportRow):
                metrics = last_row(row.rows, row.last - row.first + 1)
                return Reported(row.segment, row.first, row.last, metrics, row.rows, row.elapsed, row.at)
            plain, kind = json.loads(row.data), KINDS[row.kind]
            for name in _NESTED.get(kind, ()):
                if name in plain:
                    plain[name] = self.aside.restored(plain[name])
            for name, is_tuple, fits in _CHECKS[kind]:
                if name not in plain:
                    continue  # an older version of Ramet did not know it
                if is_tuple and type(plain[name]) is list:
                    plain[name] = tuple(plain[name])
                if not fits(plain[name]):
                    raise ValueError(f"{name}={plain[name]!r:.80} is no {_FIELDS[kind][name]}")
            for name, fact in plain.get("facts", {}).items():
                if name in _FACTS and not _FACTS[name](fact):
                    raise ValueError(f"the fact {name}={fact!r:.80} is none")
            return kind(**plain)
        except (ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError) as error:
            raise RunError(
                f"{self.ledger.path} holds an entry that is no event of a run ({error!r:.200}): {row!r:.200}"
            ) from error

    def checkpoint(self, name: Checkpoint) -> StoredCheckpoint:
        """Return a committed checkpoint, brought from the store that keeps it if it has to be.

        Raises:
            CheckpointError: it is not there.
        """
        stored = self.named(name)
        if stored.path is None:
            return stored
        return stored._replace(path=str(away.place(self.folder, self.store, self.shipping, stored.path)))

    def named(self, name: Checkpoint) -> StoredCheckpoint:
        """Return a committed checkpoint; of a large one the path is its name, wherever it is.

        Raises:
            CheckpointError: it was not kept.
        """
        row = self.ledger.checkpoint(*name)
        if row is None:
            raise CheckpointError(f"checkpoint {name} (segment, iteration) of {self.folder} is gone: it was not kept")
        return StoredCheckpoint(row.kind, row.data, row.path, row.size, name in self._fresh)

    def verify(self, name: Checkpoint) -> None:
        """Read a committed checkpoint, all of it.

        Raises:
            CheckpointError: it is damaged, or not there.
            StorageError: it is in a store that does not answer.
        """
        row = self.ledger.checkpoint(*name)
        if row is None:
            self.checkpoint(name)  # which says so
        elif row.path is not None and not self._is_away(row.path):
            self.store.verify(row.path)

    def _is_away(self, directory: str) -> bool:
        return away.is_away(self.folder, self.store, self.shipping, directory)

    def missing(self, names: Iterable[Checkpoint]) -> Iterator[tuple[Checkpoint, str]]:
        """Yield those of ``names`` that are not there, and why. Their content is looked at when it is read."""
        for name in sorted(names):
            row = self.ledger.checkpoint(*name)
            if row is not None and row.path is not None and self._is_away(row.path):
                continue
            try:
                self.checkpoint(name)
            except CheckpointError as error:
                yield name, str(error)

    def check_there(self) -> None:
        """Refuse to take a disk that is not mounted for checkpoints that are lost.

        Raises:
            RunError: the folder of checkpoints is not there, though some were in it.
        """
        root = self.store.root
        if root.is_dir():
            return
        if os.path.lexists(root):
            raise RunError(f"{root}, where the run's checkpoints lie, leads to no folder: bring it back, and try again")
        if any(row.path is not None for row in self.ledger.checkpoints()):
            raise RunError(
                f"{root}, where the run's checkpoints lie, is gone: bring it back, or make an empty folder in its "
                "place to go on without them"
            )

    def sweep(self) -> list[str]:
        """Delete what in ``checkpoints/`` the ledger does not name; return the names. Only while no worker writes."""
        if self.shipping is not None:
            self.tidy()  # there too
        live = {row.path for row in self.ledger.checkpoints() if row.path is not None}
        if self.shipping is not None:
            live |= self.shipping.unsent()
        if any(name not in live for name in self.store.names()):
            self.ledger.sync()  # after a power cut it must not name what is gone
        return self.store.sweep(live)

    def close(self) -> None:
        """Close the ledger."""
        self.ledger.close()
