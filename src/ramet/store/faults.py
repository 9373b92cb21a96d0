"""What goes wrong with a ledger, in words: whose fault it is, and the way out."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from ramet.errors import DiskFullError, RunError
from ramet.store.readers import code

# SQLite's own errors may quote the file in bytes that are no text; numbers in it may be beyond it.
UNREADABLE = (sqlite3.Error, UnicodeError, OverflowError)

# Errors that tell of the circumstances, and nothing about the bytes in the file.
CIRCUMSTANCES = frozenset(
    (
        sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_MISUSE, sqlite3.SQLITE_FULL,
    )
)  # fmt: skip


def not_created(path: Path, error: BaseException) -> RunError:
    """Return what to raise when it cannot be created."""
    return RunError(f"cannot create the run's ledger {path}: {error}; choose another storage_path=")


def unreadable(path: Path, error: BaseException) -> RunError:
    """Return what to raise when it cannot be read."""
    then = f"; if it was one, {way_out(path)}" if code(error) not in CIRCUMSTANCES else ""
    return RunError(f"{path} cannot be read as a run's ledger: {error}{then}")


def no_room(path: Path, error: BaseException) -> DiskFullError:
    """Return what to raise when there is no room to write to it."""
    return DiskFullError(
        f"there is no room to write to the run's ledger {path} ({error}): make room there, and the run goes on, or can "
        "be resumed"
    )


def way_out(path: Path) -> str:
    """Return what can be done about damage."""
    return f"`ramet check --repair {path.parent}` goes back to the last whole state"
