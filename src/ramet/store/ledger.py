"""The ledger of a run: one SQLite file, one writer, many readers, append only but for rows that are made again.

All that one message causes is one transaction. It holds events and reports in the order in which they happened, and
small checkpoints. Everything in it is numbers, text and bytes that are handed out as bytes: reading never unpickles.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from ramet.errors import RunError

FORMAT = 1
READABLE = tuple(str(number) for number in range(1, FORMAT + 1))
NAME = "run.db"

# SQLite's own errors may quote the file in bytes that are no text; numbers in it may be beyond it.
_DAMAGE = (sqlite3.Error, UnicodeError, OverflowError)

_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE events (seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, segment INTEGER, data TEXT NOT NULL);
CREATE TABLE reports (
    seq INTEGER PRIMARY KEY, segment INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
    rows TEXT NOT NULL, elapsed TEXT NOT NULL, at REAL NOT NULL
);
CREATE INDEX reports_by_segment ON reports (segment, first);
CREATE TABLE checkpoints (
    segment INTEGER NOT NULL, iteration INTEGER NOT NULL, kind TEXT NOT NULL, size INTEGER NOT NULL,
    data BLOB, path TEXT, PRIMARY KEY (segment, iteration)
);
"""


class EventRow(NamedTuple):
    """An event as it lies on disk: its kind, the segment it is about if it is about one, and its JSON."""

    kind: str
    segment: int | None
    data: str


class ReportRow(NamedTuple):
    """Consecutive rows of a segment; ``rows`` and ``elapsed`` are JSON, ``at`` a Unix time in seconds."""

    segment: int
    first: int
    last: int
    rows: str
    elapsed: str
    at: float


class CheckpointRow(NamedTuple):
    """A committed checkpoint: bytes of a small one, or the name of a large one's directory."""

    segment: int
    iteration: int
    kind: str
    size: int
    data: bytes | None
    path: str | None


@dataclass(slots=True)
class Transaction:
    """What becomes durable together, or not at all.

    ``happened`` holds events and reports in their order; ``rewound`` drops the reports of a segment after an iteration;
    ``deleted`` names checkpoints that are gone.
    """

    happened: list[EventRow | ReportRow] = field(default_factory=list)
    checkpoints: list[CheckpointRow] = field(default_factory=list)
    rewound: list[tuple[int, int]] = field(default_factory=list)
    deleted: list[tuple[int, int]] = field(default_factory=list)


class Ledger:
    """The database ``run.db`` in the folder of a run. Use `create` or `open`."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._db, self.path = connection, path
        query = "SELECT max(seq) FROM (SELECT max(seq) seq FROM events UNION SELECT max(seq) FROM reports)"
        self._seq = int(next(self._read(query))[0] or 0)

    @classmethod
    def create(cls, folder: str | os.PathLike[str], meta: dict[str, str], *, power_safe: bool = False) -> Ledger:
        """Make a new ledger in ``folder``.

        Args:
            folder: the run's folder, which exists.
            meta: facts about the file, such as who wrote it.
            power_safe: sync every commit, so that a power cut loses nothing; else it may go back some commits. The
                death of a process loses nothing either way.

        Raises:
            RunError: there is one already, or the folder cannot be written.
        """
        path = Path(folder, NAME)
        if path.exists():
            raise RunError(f"{path} exists already: a run is never written into another one's folder")
        try:
            db = sqlite3.connect(path, isolation_level=None)
            db.execute("PRAGMA journal_mode=WAL")
            db.execute(f"PRAGMA synchronous={'FULL' if power_safe else 'NORMAL'}")
            db.executescript(_SCHEMA)
            db.executemany("INSERT INTO meta VALUES (?, ?)", [("format", str(FORMAT)), *meta.items()])
        except sqlite3.Error as error:
            raise RunError(f"cannot create the run's ledger {path}: {error}; choose another storage_path=") from error
        return cls(db, path)

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> Ledger:
        """Open a ledger to read, also while a run writes to it.

        Raises:
            RunError: there is none, it is damaged, or it was written by a newer version of Ramet.
        """
        path = Path(folder, NAME)
        if not path.is_file():
            raise RunError(f"{folder} holds no run: there is no {NAME} in it")
        db = None
        try:
            # As a URI proper, for a run's name may hold any character.
            db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
            found = db.execute("SELECT value FROM meta WHERE key = 'format'").fetchone()
            told = None if found is None else found[0]
            if told not in READABLE:
                raise RunError(f"{path} has format {told}, this version of Ramet reads up to {FORMAT}: update Ramet")
            return cls(db, path)
        except (*_DAMAGE, RunError) as error:
            if db is not None:
                db.close()
            if isinstance(error, RunError):
                raise
            raise RunError(f"{path} cannot be read as a run's ledger: {error}") from error

    @property
    def last(self) -> int:
        """The number of the last entry that was committed."""
        return self._seq

    def commit(self, transaction: Transaction) -> None:
        """Make all of ``transaction`` durable, or nothing of it.

        Raises:
            RunError: the disk is full, or the file cannot be written; what was committed before is whole.
        """
        db, seq = self._db, self._seq
        events: list[tuple[object, ...]] = []
        reports: list[tuple[object, ...]] = []
        for row in transaction.happened:
            seq += 1
            (events if isinstance(row, EventRow) else reports).append((seq, *row))
        try:
            db.execute("BEGIN IMMEDIATE")
            if events:
                db.executemany("INSERT INTO events VALUES (?, ?, ?, ?)", events)
            if reports:
                db.executemany("INSERT INTO reports VALUES (?, ?, ?, ?, ?, ?, ?)", reports)
            # After the rows, for what failed may have handed some over with its last words; none is made anew before
            # this is committed.
            if transaction.rewound:
                db.executemany("DELETE FROM reports WHERE segment = ? AND last > ?", transaction.rewound)
            if transaction.checkpoints:
                db.executemany("INSERT OR REPLACE INTO checkpoints VALUES (?, ?, ?, ?, ?, ?)", transaction.checkpoints)
            if transaction.deleted:
                db.executemany("DELETE FROM checkpoints WHERE segment = ? AND iteration = ?", transaction.deleted)
            db.execute("COMMIT")
        except BaseException as error:  # an interrupt too must leave nothing half written
            if db.in_transaction:
                db.execute("ROLLBACK")
            if isinstance(error, _DAMAGE):
                raise RunError(f"cannot write to the run's ledger {self.path}: {error}") from error
            raise
        self._seq = seq

    def happened(self) -> Iterator[EventRow | ReportRow]:
        """Return events and reports in the order in which they happened."""
        rows = self._read(
            "SELECT seq, kind, segment, data, NULL, NULL, NULL, NULL FROM events UNION ALL "
            "SELECT seq, NULL, segment, rows, first, last, elapsed, at FROM reports ORDER BY seq"
        )
        for _, kind, segment, data, first, last, elapsed, at in rows:
            if kind is None:
                yield ReportRow(segment, first, last, data, elapsed, at)
            else:
                yield EventRow(kind, segment, data)

    def reports(self, segments: Iterable[int] | None = None) -> Iterator[ReportRow]:
        """Return the reports of ``segments`` (of all by default), by segment and iteration."""
        query = "SELECT segment, first, last, rows, elapsed, at FROM reports"
        if segments is None:
            yield from map(ReportRow._make, self._read(f"{query} ORDER BY segment, first"))
            return
        for segment in segments:
            yield from map(ReportRow._make, self._read(f"{query} WHERE segment = ? ORDER BY first", segment))

    def checkpoint(self, segment: int, iteration: int) -> CheckpointRow | None:
        """Return the checkpoint of that name, None if it is not there (any more)."""
        query = "SELECT * FROM checkpoints WHERE segment = ? AND iteration = ?"
        return next(map(CheckpointRow._make, self._read(query, segment, iteration)), None)

    def checkpoints(self) -> Iterator[CheckpointRow]:
        """Return all checkpoints without the bytes of small ones, by segment and iteration."""
        query = "SELECT segment, iteration, kind, size, NULL, path FROM checkpoints ORDER BY segment, iteration"
        return map(CheckpointRow._make, self._read(query))

    def meta(self) -> dict[str, str]:
        """Return the facts about the file."""
        return dict(self._read("SELECT key, value FROM meta"))

    def _read(self, query: str, *values: object) -> Iterator[Any]:
        """Return the rows of a query; what is wrong with the file is found while it is read."""
        try:
            # One by one: what is left half read must not touch the file when it is thrown away.
            for row in self._db.execute(query, values):  # noqa: UP028
                yield row
        except _DAMAGE as error:
            raise RunError(f"{self.path} cannot be read as a run's ledger: {error}") from error

    def close(self) -> None:
        """Close the file."""
        self._db.close()
