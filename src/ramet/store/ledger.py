"""The ledger of a run: one SQLite file, one writer, many readers, append only but for rows that are made again.

All that one message causes is one transaction. It holds events and reports in the order in which they happened, and
small checkpoints. Everything in it is numbers, text and bytes that are handed out as bytes: reading never unpickles,
and what is not as it was written is told, never handed out.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import tempfile
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

from ramet.errors import DamageError, RunError
from ramet.store import repair
from ramet.store.faults import CIRCUMSTANCES, UNREADABLE, no_room, not_created, unreadable, way_out
from ramet.store.journal import FULL, identity, is_full, sync, why_not_writable
from ramet.store.opening import checked_format, to_write
from ramet.store.readers import beside, code, connected
from ramet.store.rows import (
    FORMAT,
    NAME,
    READABLE,
    SCHEMA,
    CheckpointRow,
    EventRow,
    ReportRow,
    Transaction,
    checkpoint_crc,
    checkpoint_is_whole,
    event_crc,
    event_is_whole,
    marked,
    report_crc,
    report_is_whole,
)
from ramet.store.upgrade import upgraded

__all__ = ["FORMAT", "NAME", "READABLE", "CheckpointRow", "EventRow", "Ledger", "ReportRow", "Transaction"]


class Ledger:
    """The database ``run.db`` in the folder of a run. Use `create`, `resume` or `open`."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        path: Path,
        format: int = FORMAT,
        copy: tempfile.TemporaryDirectory[str] | None = None,
    ) -> None:
        self._db, self.path, self._format, self._copy = connection, path, format, copy
        self._writing = connection.cursor()
        self._seq: int | None = None
        self._events = 0
        self._at_once = False
        self._place = os.path.abspath(path)  # where we are may change; where it is must not
        self._file = identity(self._place)
        self._folder_synced = False
        ends, crc = ("ends", "crc") if format > 1 else ("1", "NULL")
        self._happened = (
            f"SELECT seq, 0, kind, segment, data, NULL, NULL, NULL, NULL, {ends}, {crc} FROM events %s UNION ALL "
            f"SELECT seq, 1, NULL, segment, rows, first, last, elapsed, at, {ends}, {crc} FROM reports %s ORDER BY seq"
        )
        self._reports = f"SELECT seq, segment, first, last, rows, elapsed, at, {ends}, {crc} FROM reports"
        self._checkpoint = (
            f"SELECT segment, iteration, kind, size, data, path, {crc} FROM checkpoints %s "
            "WHERE segment = ? AND iteration = ?"
        )
        # Through the table itself, for an index that has lost an entry would cost a directory; and past the bytes of
        # small ones, whose rows are long.
        self._checkpoints = (
            "SELECT segment, iteration, kind, size, typeof(data), typeof(path), "
            f"CASE typeof(data) WHEN 'null' THEN path END, CASE typeof(data) WHEN 'null' THEN {crc} END "
            "FROM checkpoints NOT INDEXED"
        )

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
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o666))
        except FileExistsError:
            raise RunError(f"{path} exists already: a run is never written into another one's folder") from None
        except OSError as error:
            if error.errno in FULL:
                raise no_room(path, error) from error
            raise not_created(path, error) from error
        db = None
        try:
            db = to_write(path, power_safe)
            db.executescript(f"BEGIN; {SCHEMA}")
            db.executemany("INSERT INTO meta VALUES (?, ?)", [("format", str(FORMAT)), *meta.items()])
            db.execute("COMMIT")
            made = cls(db, path)
            made._seq = 0
            return made
        except BaseException as error:
            if db is not None:
                db.close()
            for ending in ("", "-wal", "-shm", "-journal"):  # all of it is ours
                with contextlib.suppress(OSError):
                    beside(path, ending).unlink()
            if code(error) == sqlite3.SQLITE_FULL:
                raise no_room(path, error) from error
            if isinstance(error, UNREADABLE):
                raise not_created(path, error) from error
            raise

    @classmethod
    def resume(cls, folder: str | os.PathLike[str], *, power_safe: bool = False) -> Ledger:
        """Open a ledger to write on; one of an earlier format is brought to this one in one transaction.

        Raises:
            RunError: there is none, it is damaged, it was written by a newer version of Ramet, or we may not write it.
        """
        path = Path(folder, NAME)
        if not path.is_file():
            raise RunError(f"{folder} holds no run: there is no {NAME} in it")
        why = why_not_writable(path) or why_not_writable(path.absolute().parent)
        if why is not None:
            raise RunError(
                f"the run cannot go on: {why}; copy the run's folder to where you may write, and resume that"
            )
        db = None
        try:
            db = to_write(path, power_safe, resumed=True)
            if checked_format(db, path) < FORMAT:
                upgraded(db, path)
            resumed = cls(db, path)
            resumed._seq = resumed._last()
            return resumed
        except BaseException as error:
            if db is not None:
                db.close()
            if not isinstance(error, UNREADABLE):
                raise
            raise unreadable(path, error) from error

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> Ledger:
        """Open a ledger to read, also while a run writes to it, and also where nothing can be written.

        Raises:
            RunError: there is none, it is damaged, or it was written by a newer version of Ramet.
        """
        path = Path(folder, NAME)
        if not path.is_file():
            raise RunError(f"{folder} holds no run: there is no {NAME} in it")
        db, copy = None, None
        try:
            db, copy = connected(path)
            opened = cls(db, path, checked_format(db, path), copy)
            # Without a write-ahead log, the writer waits while anything is half read.
            opened._at_once = opened.journal != "wal"
            return opened
        except BaseException as error:
            if db is not None:
                db.close()
            if copy is not None:
                copy.cleanup()
            if not isinstance(error, UNREADABLE):
                raise
            raise unreadable(path, error) from error

    @staticmethod
    def rebuild(
        folder: str | os.PathLike[str],
        happened: Iterable[EventRow | ReportRow],
        checkpoints: Iterable[CheckpointRow],
        meta: dict[str, str],
    ) -> Path:
        """Put a new ledger of these rows, numbered anew, in the place of a damaged one, which is kept beside it.

        Only while nothing writes to the old one. Whenever this is cut off, ``run.db`` is the old one or the new one.

        Returns:
            Where the damaged one lies now.

        Raises:
            RunError: there is none, or the folder cannot be written.
        """
        return repair.rebuild(Path(folder, NAME), happened, checkpoints, meta)

    @property
    def last(self) -> int:
        """The number of the last entry that was committed."""
        if self._seq is None:
            self._seq = self._last()
        return self._seq

    @property
    def journal(self) -> str:
        """How commits are kept whole: "wal", or "truncate" on a network's file system."""
        found = next(self._read("PRAGMA journal_mode"), ("",))[0]
        return "wal" if found == "wal" else "truncate"

    def commit(self, transaction: Transaction) -> None:
        """Make all of ``transaction`` durable, or nothing of it; what could not be committed may be tried again.

        Raises:
            DiskFullError: there is no room for it.
            RunError: the file is gone or cannot be written; what was committed before is whole.
        """
        if identity(self._place) != self._file:
            raise RunError(
                f"{self.path} vanished or was replaced while its run was under way: nothing more can be kept in it; "
                "put the run's folder back in its place and resume it, or start the run anew"
            )
        db, seq, count, begun = self._db, self.last, self._events, False
        events: list[tuple[object, ...]] = []
        reports: list[tuple[object, ...]] = []
        try:
            ending = marked(transaction.happened)
            for at, row in enumerate(transaction.happened):
                seq += 1
                count += isinstance(row, EventRow)
                ends = count + 1 if at in ending else 0
                if isinstance(row, EventRow):
                    events.append((seq, *row[:-1], ends, event_crc(seq, *row[:-1], ends)))
                else:
                    reports.append((seq, *row[:-1], ends, report_crc(seq, *row[:-1], ends)))
            checkpoints = [(*row, checkpoint_crc(*row)) for row in transaction.checkpoints]
            if db.in_transaction:  # an interrupt came while another one was dealt with
                db.execute("ROLLBACK")
            cursor = self._writing  # one for all: each statement on the connection would make one of its own
            cursor.execute("BEGIN IMMEDIATE")
            begun = True
            if events:
                cursor.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)", events)
            if reports:
                cursor.executemany("INSERT INTO reports VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", reports)
            # After the rows, for what failed may have handed some over with its last words; none is made anew before
            # this is committed.
            if transaction.rewound:
                cursor.executemany("DELETE FROM reports WHERE segment = ? AND last > ?", transaction.rewound)
            if checkpoints:
                cursor.executemany("INSERT OR REPLACE INTO checkpoints VALUES (?, ?, ?, ?, ?, ?, ?)", checkpoints)
            if transaction.deleted:
                cursor.executemany("DELETE FROM checkpoints WHERE segment = ? AND iteration = ?", transaction.deleted)
            cursor.execute("COMMIT")
            self._seq, self._events = seq, count
        except BaseException as error:  # an interrupt too must leave nothing half written
            if db.in_transaction:
                with contextlib.suppress(sqlite3.Error):  # what is told is what went wrong first
                    db.execute("ROLLBACK")
            elif begun and not isinstance(error, sqlite3.Error):
                self._seq, self._events = seq, count  # interrupted right after it was committed
            if isinstance(error, (*UNREADABLE, TypeError, ValueError)):
                raise self._unwritten(error) from error
            raise

    def _unwritten(self, error: Exception) -> RunError:
        """Return what to raise when writing failed."""
        kind = code(error)
        # A disk that is full over a quota, or only under the memory that readers share, shows as one that fails.
        if kind == sqlite3.SQLITE_FULL or (kind == sqlite3.SQLITE_IOERR and is_full(os.path.dirname(self._place))):
            return no_room(self.path, error)
        return RunError(f"cannot write to the run's ledger {self.path}: {error}")

    def cut(self, last: int, present: Collection[tuple[int, int]]) -> None:
        """Forget all entries after ``last``, where a transaction ended, and all checkpoints but those ``present`` then.

        Raises:
            DiskFullError: there is no room for it.
            RunError: the file cannot be written.
        """
        try:
            repair.cut(self._db, last, present)
        except UNREADABLE as error:
            raise self._unwritten(error) from error
        self._seq = self._last()

    def sync(self) -> None:
        """Make all that was committed survive a power cut: to be called before anything is deleted because of it.

        Raises:
            DiskFullError: there is no room for it.
            RunError: the disk fails.
        """
        if self.journal != "wal":  # every commit was synced
            return
        try:
            # SQLite holds no lock on this file that closing it could drop; it does on the ledger itself.
            with contextlib.suppress(FileNotFoundError):  # all of it is in the ledger
                sync(self._place + "-wal")
            if not self._folder_synced:
                sync(os.path.dirname(self._place))
                self._folder_synced = True
        except OSError as error:
            if error.errno in FULL:
                raise no_room(self.path, error) from error
            raise RunError(f"cannot sync the run's ledger {self.path}: {error}") from error

    def happened(self) -> Iterator[EventRow | ReportRow]:
        """Return events and reports in the order in which they happened; a damaged one raises `RunError`."""
        return (row for _, row in self._entries(self._read(self._happened % ("", "")), None, 0))

    def since(self, seq: int, events: int, most: int) -> Iterator[tuple[int, EventRow | ReportRow]]:
        """As `happened`, at most ``most`` after entry ``seq``, with numbers; by then there were so many ``events``."""
        query = f"{self._happened % (('WHERE seq > ?1',) * 2)} LIMIT ?2"
        return self._entries(self._read(query, seq, most), seq, events)

    def _entries(self, found: Iterable[Any], before: int | None, events: int) -> Iterator[tuple[int, Any]]:
        format = self._format
        for seq, is_report, kind, segment, data, first, last, elapsed, at, ends, crc in found:
            if is_report:
                whole = report_is_whole((seq, segment, first, last, data, elapsed, at, ends), crc, format)
            else:
                whole = event_is_whole(seq, kind, segment, data, ends, crc, format)
                events += 1
            # In the table of reports there may be gaps, but no event is ever dropped.
            missed = format > 1 and whole and ends and ends != events + 1
            if not whole or missed or (before is not None and seq <= before):
                raise self._damaged("reports" if is_report else "events", f"seq {seq!r:.40}")
            before = seq
            row = (segment, first, last, data, elapsed, at, ends)
            yield seq, ReportRow._make(row) if is_report else EventRow(kind, segment, data, ends)

    def damages(self, *, besides_entries: bool = False) -> Iterator[str]:
        """Return all that is wrong with the file, each damage in a sentence.

        ``besides_entries`` leaves out what `happened` finds, for whoever has read that.
        """
        return repair.damages(self._db, self._format, besides_entries=besides_entries)

    def reports(self, segments: Iterable[int] | None = None) -> Iterator[ReportRow]:
        """Return the reports of ``segments`` (of all by default), by segment and iteration; a damaged one raises."""
        if segments is None:
            for *row, crc in self._read(f"{self._reports} ORDER BY segment, first"):
                yield self._report(row, crc)
            return
        for segment in segments:
            for *row, crc in self._read(f"{self._reports} WHERE segment = ? ORDER BY first", segment):
                found = self._report(row, crc)
                if found.segment != segment:
                    raise self._damaged("reports_by_segment", f"segment {segment}")
                yield found

    def _report(self, row: list[Any], crc: Any) -> ReportRow:
        if not report_is_whole(row, crc, self._format):
            raise self._damaged("reports", f"seq {row[0]!r:.40}, segment {row[1]!r:.40}")
        return ReportRow._make(row[1:])

    def checkpoint(self, segment: int, iteration: int) -> CheckpointRow | None:
        """Return the checkpoint of that name, None if it is not there (any more).

        Raises:
            DamageError: it is there, and is not what was committed.
            RunError: the file cannot be read now.
        """
        try:
            row = self._db.execute(self._checkpoint % "", (segment, iteration)).fetchone()
            if row is None:  # an index may have lost it
                row = self._db.execute(self._checkpoint % "NOT INDEXED", (segment, iteration)).fetchone()
        except UNREADABLE as error:
            if code(error) in CIRCUMSTANCES or isinstance(error, OverflowError | sqlite3.ProgrammingError):
                raise unreadable(self.path, error) from error
            raise self._damaged_checkpoint(segment, iteration, f" ({error})") from error
        if row is None:
            return None
        *values, crc = row
        if values[:2] != [segment, iteration] or not checkpoint_is_whole(values, crc, self._format):
            raise self._damaged_checkpoint(segment, iteration)
        return CheckpointRow._make(values)

    def checkpoints(self) -> Iterator[CheckpointRow]:
        """Return all checkpoints without the bytes of small ones, by segment and iteration.

        Raises:
            RunError: one of them is damaged; of small ones, whose bytes are not read, only what is told of them counts.
        """
        found: dict[tuple[int, int], CheckpointRow] = {}
        for segment, iteration, kind, size, data_is, path_is, path, crc in self._read(self._checkpoints):
            row = CheckpointRow(segment, iteration, kind, size, None, path)
            if data_is == "null":
                whole = checkpoint_is_whole(row, crc, self._format)
            else:
                whole = data_is == "blob" and path_is == "null" and checkpoint_is_whole((*row[:4], b"", None), 0, 1)
            if not whole or (segment, iteration) in found:
                raise self._damaged("checkpoints", f"segment {segment!r:.40}, iteration {iteration!r:.40}")
            found[segment, iteration] = row
        return iter([found[name] for name in sorted(found)])

    def meta(self) -> dict[str, str]:
        """Return the facts about the file. Raises a `RunError` where one of them is damaged."""
        found = dict(self._read("SELECT key, value FROM meta"))
        for key, value in found.items():
            if type(key) is not str or type(value) is not str:
                raise self._damaged("meta", f"key {key!r:.40}")
        return found

    def close(self) -> None:
        """Close the file."""
        self._db.close()
        if self._copy is not None:
            self._copy.cleanup()

    def _last(self) -> int:
        self._events = next(self._read("SELECT count(*) FROM events NOT INDEXED"))[0]
        query = "SELECT max(seq) FROM (SELECT max(seq) seq FROM events UNION ALL SELECT max(seq) FROM reports)"
        last = next(self._read(query))[0] or 0
        if type(last) is not int:
            raise self._damaged("events or reports", f"seq {last!r:.40}")
        return last

    def _read(self, query: str, *values: object) -> Iterator[Any]:
        """Return the rows of a query; what is wrong with the file is found while it is read."""
        failed = None
        try:
            found: Iterable[Any] = self._db.execute(query, values)
            if self._at_once:
                rows: list[Any] = []
                try:
                    rows.extend(found)
                except UNREADABLE as error:  # what came before it counts
                    failed = error
                found = rows
            # One by one: what is left half read must not touch the file when it is thrown away.
            for row in found:  # noqa: UP028
                yield row
        except UNREADABLE as error:
            failed = error
        if failed is not None:
            raise unreadable(self.path, failed) from failed

    def _damaged(self, table: str, which: str) -> RunError:
        return RunError(f"{self.path} is damaged in its table {table} at {which}: {way_out(self.path)}")

    def _damaged_checkpoint(self, segment: int, iteration: int, why: str = "") -> DamageError:
        return DamageError(
            f"checkpoint (segment {segment}, iteration {iteration}) in {self.path} is not what was committed{why}: "
            f"{way_out(self.path)}"
        )
