"""The rows of the ledger: their columns, what may stand in them, and the checksum that each carries.

A checksum is ``zlib.crc32`` over all other columns of its row: first the numbers and then the lengths of the texts in
characters, in the order of the columns and separated by commas; a semicolon; the texts themselves, in UTF-8, or the
bytes of rows and of a checkpoint. What is NULL is a minus sign among the numbers or lengths, and nothing later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from zlib import crc32

FORMAT = 4
READABLE = tuple(str(number) for number in range(1, FORMAT + 1))
NAME = "run.db"

SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE events (
    seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, segment INTEGER, data TEXT NOT NULL, ends INTEGER NOT NULL, crc INTEGER
);
CREATE TABLE reports (
    seq INTEGER PRIMARY KEY, segment INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
    rows BLOB NOT NULL, elapsed BLOB NOT NULL, at REAL NOT NULL, ends INTEGER NOT NULL, crc INTEGER
);
CREATE INDEX reports_by_segment ON reports (segment, first);
CREATE TABLE checkpoints (
    segment INTEGER NOT NULL, iteration INTEGER NOT NULL, kind TEXT NOT NULL, size INTEGER NOT NULL,
    data BLOB, path TEXT, crc INTEGER, PRIMARY KEY (segment, iteration)
);
"""

COLUMNS = {
    "meta": ("key", "value"),
    "events": ("seq", "kind", "segment", "data"),
    "reports": ("seq", "segment", "first", "last", "rows", "elapsed", "at"),
    "checkpoints": ("segment", "iteration", "kind", "size", "data", "path"),
}
"""The columns of format 1. From format 2 on all tables but ``meta`` have ``crc`` after them; entries ``ends``, too."""


def columns(table: str, format: int) -> tuple[str, ...]:
    """Return the columns of ``table`` in a ledger of ``format``."""
    if format < 2 or table == "meta":
        return COLUMNS[table]
    return (*COLUMNS[table], "crc") if table == "checkpoints" else (*COLUMNS[table], "ends", "crc")


class EventRow(NamedTuple):
    """An event as it lies on disk: its kind, the segment it is about if it is about one, and its JSON.

    ``ends`` is what `commit` makes of it: 0, or where a transaction ends one more than there are events so far. So a
    history can be cut where it was whole, and an event that is missing is missed. It ends at its last row; its last
    event says so, too, if reports follow it, for those may be dropped.
    """

    kind: str
    segment: int | None
    data: str
    ends: int = 0


class ReportRow(NamedTuple):
    """Consecutive rows of a segment; ``rows`` and ``elapsed`` are bytes, ``at`` a Unix time in seconds.

    Before format 3 both were text, and so they stay in a ledger that was brought here. ``ends`` is that of `EventRow`.
    """

    segment: int
    first: int
    last: int
    rows: bytes | str
    elapsed: bytes | str
    at: float
    ends: int = 0


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


# What is written passes here first: `:d` and `+` refuse other types, and a float is told as SQLite will return it.


def event_crc(seq: int, kind: str, segment: int | None, data: str, ends: int) -> int:
    """Return the checksum of a row of ``events``."""
    about = "-" if segment is None else f"{segment:d}"
    return crc32((f"{seq:d},{about},{ends:d},{len(kind)},{len(data)};" + kind + data).encode())


def report_crc(
    seq: int, segment: int, first: int, last: int, rows: bytes | str, elapsed: bytes | str, at: float, ends: int
) -> int:
    """Return the checksum of a row of ``reports``; ``at`` counts with 17 significant digits."""
    numbers = f"{seq:d},{segment:d},{first:d},{last:d},{at + 0.0:.17g},{ends:d},{len(rows)},{len(elapsed)};"
    return crc32(b"".join([numbers.encode(), _as_bytes(rows), _as_bytes(elapsed)]))


def _as_bytes(content: bytes | str) -> bytes:
    return content.encode() if isinstance(content, str) else content


def checkpoint_crc(segment: int, iteration: int, kind: str, size: int, data: bytes | None, path: str | None) -> int:
    """Return the checksum of a row of ``checkpoints``; the length of ``data`` is in bytes."""
    lengths = f"{len(kind)},{'-' if data is None else len(data)},{'-' if path is None else len(path)}"
    told = crc32((f"{segment:d},{iteration:d},{size:d},{lengths};" + kind + (path or "")).encode())
    return told if data is None else crc32(data, told)


def marked(rows: Sequence[EventRow | ReportRow]) -> set[int]:
    """Return which of the rows of a transaction are to say that it ends: its last one and its last event."""
    events = [at for at, row in enumerate(rows) if isinstance(row, EventRow)]
    return {len(rows) - 1, *events[-1:]}


# What is read passes here: SQLite keeps any value in any column, and the file may be a stranger's.


def event_is_whole(seq: Any, kind: Any, segment: Any, data: Any, ends: Any, crc: Any, format: int) -> bool:
    """Return whether a row of ``events`` is one, and as it was written."""
    return (
        type(seq) is type(ends) is int
        and type(kind) is str
        and type(data) is str
        and (segment is None or type(segment) is int)
        and (format < 2 or crc == event_crc(seq, kind, segment, data, ends))
    )


def report_is_whole(row: Sequence[Any], crc: Any, format: int) -> bool:
    """Return whether a row of ``reports`` (its seq first) is one, and as it was written."""
    seq, segment, first, last, rows, elapsed, at, ends = row
    return (
        type(seq) is type(segment) is type(first) is type(last) is type(ends) is int
        and type(rows) is type(elapsed)
        and (type(rows) is str or (type(rows) is bytes and format > 2))
        and type(at) is float
        and (format < 2 or crc == report_crc(seq, segment, first, last, rows, elapsed, at, ends))
    )


def checkpoint_is_whole(row: Sequence[Any], crc: Any, format: int) -> bool:
    """Return whether a row of ``checkpoints`` is one, with its bytes or its path, and as it was written."""
    segment, iteration, kind, size, data, path = row
    return (
        type(segment) is type(iteration) is type(size) is int
        and type(kind) is str
        and (type(data), type(path)) in ((bytes, type(None)), (type(None), str))
        and (format < 2 or crc == checkpoint_crc(segment, iteration, kind, size, data, path))
    )
