"""What can be done with a damaged ledger: tell everything that is wrong with it, and put a whole one in its place."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

from ramet.errors import DiskFullError, RunError
from ramet.store.faults import UNREADABLE
from ramet.store.journal import FULL, sync, why_not_writable
from ramet.store.readers import BESIDE, PATIENCE, beside, code
from ramet.store.rows import (
    FORMAT,
    SCHEMA,
    CheckpointRow,
    EventRow,
    ReportRow,
    checkpoint_crc,
    checkpoint_is_whole,
    columns,
    event_crc,
    event_is_whole,
    report_crc,
    report_is_whole,
)

LINES = 100
"""How many lines of SQLite's own check are told."""

_STEPS = 20_000
"""How many entries are tried, one by one, to get past those that cannot be read."""


CUTS = "cuts"
"""The key of `meta` that counts how often entries were taken back, so that who has read them begins anew."""


def cut(db: sqlite3.Connection, last: int, present: Collection[tuple[int, int]]) -> None:
    """Delete all entries after ``last``, and all checkpoints that are not ``present``, in one transaction."""
    with db:
        db.execute("BEGIN IMMEDIATE")
        for table in ("events", "reports"):
            db.execute(f"DELETE FROM {table} WHERE seq > ?", (last,))
        there = db.execute("SELECT segment, iteration FROM checkpoints").fetchall()
        gone = [name for name in there if name not in present]
        db.execute(
            "INSERT INTO meta VALUES (?, '1') ON CONFLICT (key) DO UPDATE SET value = CAST(value AS INTEGER) + 1",
            (CUTS,),
        )
        db.executemany("DELETE FROM checkpoints WHERE segment = ? AND iteration = ?", gone)


def damages(db: sqlite3.Connection, format: int, *, besides_entries: bool = False) -> Iterator[str]:
    """Return all that is wrong with a ledger, or only besides its entries, each damage in a sentence. Never raises."""
    checks: list[tuple[str, Callable[[Any], str | None]]] = [
        (f"PRAGMA integrity_check({LINES})", lambda row: None if row == ("ok",) else f"SQLite finds: {row[0]!s:.300}"),
        (
            "SELECT key, value FROM meta",
            lambda row: None if {type(each) for each in row} == {str} else f"meta {row[0]!r:.40} is no text",
        ),
    ]
    tables = [("checkpoints", "rowid")]
    if not besides_entries:
        query = "SELECT seq FROM events INTERSECT SELECT seq FROM reports LIMIT 100"
        checks.append((query, lambda row: f"events and reports both have an entry {row[0]!r:.40}"))
        tables = [("events", "seq"), ("reports", "seq"), *tables]
    for query, told in checks:
        try:
            yield from filter(None, map(told, db.execute(query)))
        except UNREADABLE as error:
            yield f"SQLite cannot check it: {error}"
    for table, key in tables:
        for row in _rows(db, table, key, ", ".join(columns(table, format))):
            if isinstance(row, str):
                yield row
            elif not _is_whole(table, row[1:], format):
                name = f"seq {row[1]!r:.40}" if key == "seq" else f"(segment {row[1]!r:.40}, iteration {row[2]!r:.40})"
                yield f"{table} {name} is not what was written"


def _is_whole(table: str, row: tuple[Any, ...], format: int) -> bool:
    values, crc = (row[:-1], row[-1]) if format > 1 else (row, None)
    if table == "checkpoints":
        return checkpoint_is_whole(values, crc, format)
    if format == 1:
        values = (*values, 1)
    if table == "reports":
        return report_is_whole(values, crc, format)
    seq, kind, segment, data, ends = values
    return event_is_whole(seq, kind, segment, data, ends, crc, format)


def _rows(db: sqlite3.Connection, table: str, key: str, names: str) -> Iterator[Any]:
    """Return the rows of a table, its key first, and in the place of those that cannot be read a sentence."""
    query = f"SELECT {key}, {names} FROM {table} NOT INDEXED WHERE {key} > ? ORDER BY {key}"
    after, back = -(2**63), 0
    for _ in range(LINES):
        try:
            for row in db.execute(query, (after,)):
                if type(row[0]) is not int:
                    yield f"{table} cannot be read past {after}: its {key} {row[0]!r:.40} is no number"
                    return
                if row[0] <= after:  # pages that lead to each other are met again and again
                    back += 1
                    if back > LINES:
                        return
                    yield f"{table} {key} {row[0]} stands behind {after}"
                # Never back, or a damage could be met for ever.
                after = max(after, row[0])
                yield row
            return
        except UNREADABLE as error:
            last, why = max(after, 0), error
        beyond = _beyond(db, table, key, last)
        if beyond is None:
            break
        yield f"{table} cannot be read from {key} {last + 1} to {beyond}: {why}"
        after = beyond
    yield f"{table} cannot be read past {key} {last}: {why}"


def _beyond(db: sqlite3.Connection, table: str, key: str, last: int) -> int | None:
    """Return the end of a stretch after ``last`` that cannot be read, None if nothing behind it can."""
    query = f"SELECT * FROM {table} NOT INDEXED WHERE {key} > ? ORDER BY {key} LIMIT 1"
    for after in range(last + 1, min(last + _STEPS, 2**63)):
        try:
            found = db.execute(query, (after,)).fetchone()
        except UNREADABLE:
            continue
        return None if found is None else after
    return None


def rebuild(
    path: Path, happened: Iterable[EventRow | ReportRow], checkpoints: Iterable[CheckpointRow], meta: dict[str, str]
) -> Path:
    """Put a new ledger of these rows in the place of the one at ``path``; return where that one lies now."""
    if not path.is_file():
        raise RunError(f"{path.parent} holds no run: there is no {path.name} in it")
    why = why_not_writable(path) or why_not_writable(path.absolute().parent)
    if why is not None:
        raise RunError(
            f"the run cannot be repaired: {why}; copy the run's folder to where you may write, and repair that"
        )
    new = beside(path, ".new")
    try:
        _write(new, happened, checkpoints, meta)
        aside = _kept_aside(path)
        _fold(path)
        # What is left of them would be taken for a part of the new one. From here on all of the old is in one file.
        _unlink(path, ("-wal", "-shm", "-journal"))
        os.replace(new, path)
        _unlink(path, ("-wal", "-shm", "-journal"))  # of who looked at the old one in between
        sync(path.absolute().parent)
    except (*UNREADABLE, OSError) as error:
        if code(error) == sqlite3.SQLITE_FULL or (isinstance(error, OSError) and error.errno in FULL):
            raise DiskFullError(
                f"there is no room to repair {path} ({error}): make room, and repair it again"
            ) from error
        raise RunError(f"{path} cannot be repaired: {error}; what it holds is as it was") from error
    return aside


def _write(
    path: Path, happened: Iterable[EventRow | ReportRow], checkpoints: Iterable[CheckpointRow], meta: dict[str, str]
) -> None:
    """Write a ledger that is one file, durably."""
    path.unlink(missing_ok=True)
    _unlink(path, ("-wal", "-shm", "-journal"))  # of an attempt that was cut off
    db = sqlite3.connect(path, isolation_level=None)
    try:
        db.executescript(SCHEMA)
        db.execute("BEGIN IMMEDIATE")
        facts = {**meta, "format": str(FORMAT)}
        db.executemany("INSERT INTO meta VALUES (?, ?)", facts.items())
        count = 0
        for seq, row in enumerate(happened, 1):
            count += isinstance(row, EventRow)
            ends = count + 1 if row.ends else 0
            if isinstance(row, EventRow):
                event = (seq, *row[:-1], ends)
                db.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)", (*event, event_crc(*event)))
            else:
                report = (seq, *row[:-1], ends)
                db.execute("INSERT INTO reports VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", (*report, report_crc(*report)))
        for kept in checkpoints:
            values = (*kept, checkpoint_crc(*kept))
            db.execute("INSERT OR REPLACE INTO checkpoints VALUES (?, ?, ?, ?, ?, ?, ?)", values)
        db.execute("COMMIT")
        db.close()
        sync(path)
    except BaseException:
        db.close()
        path.unlink(missing_ok=True)
        _unlink(path, ("-wal", "-shm", "-journal"))
        raise


def _kept_aside(path: Path) -> Path:
    """Copy a damaged ledger, with what belongs to it, under the first name that is free."""
    number = 1
    while True:
        aside = beside(path, ".damaged" if number == 1 else f".damaged-{number}")
        if not any(os.path.lexists(each) for each in (aside, *(beside(aside, ending) for ending in BESIDE))):
            break
        number += 1
    for ending in (*BESIDE, ""):  # itself last: where it is, it is whole
        with contextlib.suppress(FileNotFoundError):
            shutil.copy2(beside(path, ending), beside(aside, ending))
            sync(beside(aside, ending))
    sync(path.absolute().parent)
    return aside


def _fold(path: Path) -> None:
    """Bring what lies beside a database into it, so that it is whole without. A file that SQLite cannot open has none.

    Raises:
        RunError: somebody reads it all the time.
    """
    db = sqlite3.connect(path, isolation_level=None, timeout=PATIENCE)
    try:
        db.execute("SELECT 1 FROM sqlite_master").fetchone()  # takes back what a journal says was not finished
        busy = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    except sqlite3.Error as error:
        busy = code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    finally:
        db.close()
    if busy:
        raise RunError(f"{path} cannot be repaired while it is read: close what reads the run, and repair it again")


def _unlink(path: Path, endings: Iterable[str]) -> None:
    for ending in endings:
        beside(path, ending).unlink(missing_ok=True)
