"""Connections that write: with the journal that the file system bears, to a file that is a ledger."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from ramet.errors import RunError
from ramet.store.journal import journal_mode
from ramet.store.readers import PATIENCE, code
from ramet.store.rows import COLUMNS, FORMAT, READABLE, columns

LOG_PAGES = 10_000
"""Pages of 4 KiB in the write-ahead log, at which a commit brings them home and waits for the disk.

SQLite's own 1,000 let every hundredth commit wait, which was two thirds of the time of all of them.
"""


def to_write(path: Path, power_safe: bool, *, resumed: bool = False) -> sqlite3.Connection:
    """Open a connection that writes, with the journal that the file system bears."""
    db = connection(path)
    try:
        told = ""
        if resumed:
            checked_format(db, path)  # before anything is changed
        if journal_mode(path.absolute().parent) == "WAL":
            try:
                told = db.execute("PRAGMA journal_mode=WAL").fetchone()[0]
                # That it can be written shows only now.
                db.execute("BEGIN IMMEDIATE")
                db.execute("ROLLBACK")
            except sqlite3.OperationalError as error:
                if code(error) == sqlite3.SQLITE_FULL:
                    raise
                # No memory can be shared here, whatever the mounts say. Alone, SQLite gets along without.
                told = ""
                db.close()
                db = connection(path)
                db.execute("PRAGMA locking_mode=EXCLUSIVE")
        if told != "wal":
            told = db.execute("PRAGMA journal_mode=TRUNCATE").fetchone()[0]
            if told != "truncate":
                raise RunError(f"{path} is open elsewhere, so that its journal cannot be changed: close what reads it")
            db.execute("PRAGMA locking_mode=NORMAL")
            db.execute("SELECT 1 FROM sqlite_master").fetchone()  # lets go of it
        db.execute(f"PRAGMA wal_autocheckpoint={LOG_PAGES}")
        # Without a write-ahead log, NORMAL may leave a torn file after a power cut, be it the server's.
        db.execute(f"PRAGMA synchronous={'FULL' if power_safe or told != 'wal' else 'NORMAL'}")
    except BaseException:
        db.close()
        raise
    return db


def connection(path: Path) -> sqlite3.Connection:
    """Open a database that is there to write."""
    # As a URI proper, for a run's name may hold any character.
    db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, isolation_level=None, timeout=PATIENCE)
    db.execute("PRAGMA trusted_schema=OFF")
    return db


def checked_format(db: sqlite3.Connection, path: Path) -> int:
    """Return the format of a ledger, once it is sure that it is one: its tables are tables, and have its columns."""
    _check_table(db, path, "meta", 1)  # before it is read: a view can be without end
    found = db.execute("SELECT value FROM meta WHERE key = 'format'").fetchone()
    told = None if found is None else found[0]
    if told not in READABLE:
        raise RunError(f"{path} has format {told!s:.40}, this version of Ramet reads up to {FORMAT}: update Ramet")
    for table in COLUMNS:
        _check_table(db, path, table, int(told))
    return int(told)


def _check_table(db: sqlite3.Connection, path: Path, table: str, format: int) -> None:
    """Refuse a table that is a view, or has a trigger, or the like: that would be a program, and a stranger's."""
    kinds = db.execute(
        "SELECT DISTINCT CASE WHEN sql LIKE 'CREATE TABLE%' THEN type ELSE 'odd' END FROM sqlite_master "
        "WHERE lower(tbl_name) = ? AND type != 'index'", (table,)
    ).fetchall()  # fmt: skip
    made = db.execute(f"PRAGMA table_xinfo({table})").fetchall() if kinds == [("table",)] else []
    names = tuple(column[1] for column in made)
    if names != columns(table, format) or any(column[6] for column in made):
        why = f"it has no table {table} of format {format}"
        if not made and table == "meta":
            why += f"; if it was copied, {path.name}-wal belongs to it"
        raise RunError(f"{path} cannot be read as a run's ledger: {why}")
