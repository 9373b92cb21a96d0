"""A ledger of an earlier format becomes one of this format, in one transaction."""

from __future__ import annotations

import sqlite3
from bisect import bisect
from pathlib import Path

from ramet.errors import RunError
from ramet.store.faults import UNREADABLE, no_room, way_out
from ramet.store.readers import code
from ramet.store.rows import (
    COLUMNS,
    FORMAT,
    checkpoint_crc,
    checkpoint_is_whole,
    event_crc,
    event_is_whole,
    report_crc,
    report_is_whole,
)


def upgraded(db: sqlite3.Connection, path: Path) -> None:
    """Bring a ledger to this format. From format 1: every entry ends a transaction, and every row gets its checksum.

    What format 3 added is another content of rows, and format 4 a field of events; those that are there stay as they
    are.
    """
    try:
        db.execute("BEGIN IMMEDIATE")
        if db.execute("SELECT value FROM meta WHERE key = 'format'").fetchone() == ("1",):
            for table in ("events", "reports"):
                db.execute(f"ALTER TABLE {table} ADD COLUMN ends INTEGER NOT NULL DEFAULT 0")
            for table in ("events", "reports", "checkpoints"):
                db.execute(f"ALTER TABLE {table} ADD COLUMN crc INTEGER")
            before: list[int] = []
            for seq, kind, segment, data in db.execute(_all("events")).fetchall():
                before.append(seq)
                ends = len(before) + 1
                if not event_is_whole(seq, kind, segment, data, ends, None, 1):
                    raise ValueError(f"events {seq!r:.40}")
                crc = event_crc(seq, kind, segment, data, ends)
                db.execute("UPDATE events SET ends = ?, crc = ? WHERE seq = ?", (ends, crc, seq))
            for seq, *values in db.execute(_all("reports")).fetchall():
                ends = bisect(before, seq) + 1
                if not report_is_whole((seq, *values, ends), None, 1):
                    raise ValueError(f"reports {seq!r:.40}")
                crc = report_crc(*(seq, *values, ends))
                db.execute("UPDATE reports SET ends = ?, crc = ? WHERE seq = ?", (ends, crc, seq))
            for number, *row in db.execute(_all("checkpoints", "rowid, ")).fetchall():
                if not checkpoint_is_whole(row, None, 1):
                    raise ValueError(f"checkpoints {row[:2]!r:.80}")
                db.execute("UPDATE checkpoints SET crc = ? WHERE rowid = ?", (checkpoint_crc(*row), number))
        db.execute("UPDATE meta SET value = ? WHERE key = 'format'", (str(FORMAT),))
        db.execute("COMMIT")
    except BaseException as error:
        if db.in_transaction:
            db.execute("ROLLBACK")
        if code(error) == sqlite3.SQLITE_FULL:
            raise no_room(path, error) from error
        if isinstance(error, (*UNREADABLE, ValueError, TypeError)):
            raise RunError(f"{path} cannot be brought to format {FORMAT} ({error}): {way_out(path)}") from error
        raise


def _all(table: str, also: str = "") -> str:
    return f"SELECT {also}{', '.join(COLUMNS[table])} FROM {table} NOT INDEXED ORDER BY 1"
