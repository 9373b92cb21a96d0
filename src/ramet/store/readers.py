"""Connections that only read, also where nothing can be written: SQLite wants to leave files beside a ledger."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from pathlib import Path

from ramet.errors import RunError

PATIENCE = 30.0
"""Seconds that a reader and the writer wait for each other where they have to."""

BESIDE = ("-wal", "-journal")
"""Endings of the files beside a ledger that may hold a part of it."""

_UNWRITABLE = (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM)


def connected(path: Path) -> tuple[sqlite3.Connection, tempfile.TemporaryDirectory[str] | None]:
    """Open the database ``path`` to read, and return with it the folder that holds a copy, if one had to be made.

    Raises:
        sqlite3.Error: it cannot be read, or is no database.
        RunError: it cannot be copied, or is written all the time.
    """
    try:
        return _connected(path, "mode=ro"), None
    except sqlite3.OperationalError as error:
        if code(error) not in _UNWRITABLE or not os.access(path, os.R_OK):
            raise
    if not any(_size(beside(path, ending)) for ending in BESIDE):
        return _connected(path, "mode=ro&immutable=1"), None
    copy = _copied(path)
    try:
        # What is beside it is put in its place, for which this copy has to be written.
        return _connected(Path(copy.name, path.name), "mode=rw"), copy
    except BaseException:
        copy.cleanup()
        raise


def code(error: BaseException) -> int:
    """Return SQLite's primary code of an error, 0 if it has none."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def beside(path: Path, ending: str) -> Path:
    """Return the path of the file that SQLite keeps beside the database ``path``."""
    return path.with_name(path.name + ending)


def _connected(path: Path, how: str) -> sqlite3.Connection:
    # As a URI proper, for a run's name may hold any character.
    db = sqlite3.connect(f"{path.absolute().as_uri()}?{how}", uri=True, isolation_level=None, timeout=PATIENCE)
    try:
        db.execute("PRAGMA query_only=ON")
        # The file may be a stranger's.
        db.execute("PRAGMA trusted_schema=OFF")
        db.execute("PRAGMA cell_size_check=ON")
        # Nothing is written, but so a file that was cut short can be read up to there.
        db.execute("PRAGMA writable_schema=ON")
        db.execute("SELECT 1 FROM sqlite_master").fetchone()
    except BaseException:
        db.close()
        raise
    return db


def _copied(path: Path) -> tempfile.TemporaryDirectory[str]:
    """Copy a database with what is beside it, as it was at one moment."""
    try:
        copy = tempfile.TemporaryDirectory(prefix="ramet-")
        try:
            for _ in range(10):
                before = _stamps(path)
                for file, stamp in before.items():
                    if stamp is not None:
                        shutil.copyfile(file, Path(copy.name, file.name))
                if _stamps(path) == before:
                    return copy
                for left in Path(copy.name).iterdir():
                    left.unlink()
        except BaseException:
            copy.cleanup()
            raise
        copy.cleanup()
    except OSError as error:
        raise RunError(f"{path} can only be read as a copy, and none can be made: {error}") from error
    raise RunError(f"{path} can only be read as a copy, and is written all the time: try again when its run is over")


def _stamps(path: Path) -> dict[Path, tuple[int, int, int] | None]:
    stamps: dict[Path, tuple[int, int, int] | None] = {}
    for file in (path, *(beside(path, ending) for ending in BESIDE)):
        try:
            found = file.stat()
            stamps[file] = (found.st_ino, found.st_size, found.st_mtime_ns)
        except FileNotFoundError:
            stamps[file] = None
    return stamps


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
