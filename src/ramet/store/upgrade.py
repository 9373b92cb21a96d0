"""A ledger of an earlier format becomes one of this format, in one transaction."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

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
    """Bring a ledger of format 1 to format 2: every row gets its checksum."""

    def event(seq: Any, kind: Any, segment: Any, data: Any) -> int:
        if not event_is_whole(seq, kind, segment, data, None, 1):
            raise ValueError(f"events {seq!r:.40}")
        return event_crc(seq, kind, segment, data)

    def report(*row: Any) -> int:
        if not report_is_whole(row, None, 1):
            raise ValueError(f"reports {row[0]!r:.40}")
        return report_crc(*row)

    def checkpoint(*row: Any) -> int:
        if not checkpoint_is_whole(row, None, 1):
            raise ValueError(f"checkpoints {row[:2]!r:.80}")
        return checkpoint_crc(*row)

    try:
        db.execute("BEGIN IMMEDIATE")
        if db.execute("SELECT value FROM meta WHERE key = 'format'").fetchone() == ("1",):
            for table, crc in {"events": event, "reports": report, "checkpoints": checkpoint}.items():
                db.create_function(f"crc_of_{table}", len(COLUMNS[table]), crc)
                db.execute(f"ALTER TABLE {table} ADD COLUMN crc INTEGER")
                db.execute(f"UPDATE {table} SET crc = crc_of_{table}({', '.join(COLUMNS[table])})")
            db.execute("UPDATE meta SET value = ? WHERE key = 'format'", (str(FORMAT),))
        db.execute("COMMIT")
    except BaseException as error:
        if db.in_transaction:
            db.execute("ROLLBACK")
        if code(error) in (sqlite3.SQLITE_FULL,):
            raise no_room(path, error) from error
        if isinstance(error, UNREADABLE):
            raise RunError(f"{path} cannot be brought to format {FORMAT} ({error}): {way_out(path)}") from error
        raise
