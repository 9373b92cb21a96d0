"""Reading a ledger in bulk, for those who look at a whole run at once: many rows a query, and nothing kept open.

`Ledger` hands out one checked entry after the other, which is what going on with a run needs. Here nothing is compared
with its checksum (``ramet check`` does that), so that a million reports are read in seconds. What is not of the right
form is told all the same.
"""

from __future__ import annotations

import gc
import json
import os
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from ramet.errors import RunError
from ramet.store.faults import UNREADABLE, unreadable, way_out
from ramet.store.opening import checked_format
from ramet.store.readers import beside, connected
from ramet.store.repair import CUTS
from ramet.store.rows import NAME

AT_ONCE = 20_000
"""Rows that are parsed together: enough to be fast, and no more in memory at a time than that."""


class Present(NamedTuple):
    """What the ledger is at a moment: its file (device, inode, times cut) and the number of its last entry."""

    file: tuple[int, int, int]
    last: int


class Stretch(NamedTuple):
    """Consecutive rows of a segment as they lie in the ledger (`ramet.core.blocks`)."""

    seq: int
    segment: int
    first: int
    last: int
    at: float
    rows: bytes | str
    elapsed: bytes | str


class BulkReader:
    """Reads the ledger in ``folder``, also while a run writes to it; between two calls it holds no lock.

    Raises:
        RunError: there is none, or it cannot be read.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.path = Path(folder, NAME)
        self._db: sqlite3.Connection | None = None
        self._copy: tempfile.TemporaryDirectory[str] | None = None
        self._file = (0, 0)
        self._open()

    def present(self) -> Present:
        """Return what the ledger is now. Another file in its place is another story, to be read from its beginning."""
        try:
            if self._copy is not None or _identity(self.path) != self._file:
                self._open()
        except OSError as error:
            raise RunError(f"{self.path} is not there any more: {error}") from error
        last = self._rows(
            "SELECT max(seq) FROM (SELECT max(seq) seq FROM events UNION ALL SELECT max(seq) FROM reports)"
        )
        told = self._rows("SELECT value FROM meta WHERE key = ?", CUTS)
        cuts = int(told[0][0]) if told and str(told[0][0]).isdecimal() else 0
        return Present((*self._file, cuts), self._number(last[0][0] or 0, "seq"))

    def events(self, kinds: Sequence[str], after: int, upto: int) -> Iterator[tuple[int, str, dict[str, Any]]]:
        """Yield the events of ``kinds`` with their numbers, those after ``after`` up to ``upto``, in their order."""
        told = ",".join("?" * len(kinds))
        query = (
            f"SELECT seq, kind, data FROM events WHERE seq > ? AND seq <= ? AND kind IN ({told}) ORDER BY seq LIMIT ?"
        )
        while True:
            rows = self._rows(query, after, upto, *kinds, AT_ONCE)
            yield from zip(
                [row[0] for row in rows], [row[1] for row in rows], self._parsed([row[2] for row in rows]), strict=True
            )
            if len(rows) < AT_ONCE:
                return
            after = rows[-1][0]

    def earlier(self, kinds: Sequence[str], before: int, limit: int) -> list[tuple[int, str, dict[str, Any]]]:
        """Return the last ``limit`` events of ``kinds`` before number ``before``, the newest first."""
        told = ",".join("?" * len(kinds))
        rows = self._rows(
            f"SELECT seq, kind, data FROM events WHERE seq < ? AND kind IN ({told}) ORDER BY seq DESC LIMIT ?",
            before, *kinds, limit,
        )  # fmt: skip
        events = self._parsed([row[2] for row in rows])
        return [(seq, kind, event) for (seq, kind, _), event in zip(rows, events, strict=True)]

    def counted(self, kind: str, after: int, upto: int) -> int:
        """Return how many events of ``kind`` there are after number ``after`` up to ``upto``."""
        query = "SELECT count(*) FROM events WHERE seq > ? AND seq <= ? AND kind = ?"
        return int(self._rows(query, after, upto, kind)[0][0])

    def event(self, seq: int) -> dict[str, Any]:
        """Return one event."""
        found = self._rows("SELECT data FROM events WHERE seq = ?", seq)
        return self._parsed([row[0] for row in found])[0] if found else {}

    def at(self, seqs: Sequence[int]) -> Iterator[tuple[int, dict[str, Any]]]:
        """Yield the events of these numbers."""
        for begin in range(0, len(seqs), 500):  # no more values than any SQLite takes
            some = seqs[begin : begin + 500]
            rows = self._rows(f"SELECT seq, data FROM events WHERE seq IN ({','.join('?' * len(some))})", *some)
            yield from zip([row[0] for row in rows], self._parsed([row[1] for row in rows]), strict=True)

    def openings(self, inherited: str, upto: int) -> list[tuple[int, int, int, int | None, bool, int]]:
        """Return of each segment its event, number, member, parent, whether it was ``inherited``, and its start."""
        found = self._rows(
            "SELECT seq, segment, json_extract(data, '$.member'), json_extract(data, '$.parent'), "
            "json_extract(data, '$.info.why') IS ?, json_extract(data, '$.iteration') "
            "FROM events WHERE kind = 'Opened' AND seq <= ? ORDER BY seq", inherited, upto,
        )  # fmt: skip
        if any(not type(row[1]) is type(row[2]) is type(row[5]) is int or row[2] < 0 for row in found):
            raise self.damaged("a segment is of no member, or began nowhere")
        return found

    def verdicts(self, upto: int) -> dict[tuple[str, str], int]:
        """Return how often which verdict was given for which reason."""
        # What stands before the verdict differs in each; to compare the rest as text is far less than to parse it.
        found = self._rows(
            "SELECT substr(data, instr(data, '\"verdict\":')) told, count(*), min(seq) FROM events "
            "WHERE kind = 'Decided' AND seq <= ? GROUP BY told ORDER BY min(seq)", upto,
        )  # fmt: skip
        events = dict(self.at([row[2] for row in found]))
        counted: dict[tuple[str, str], int] = {}
        for _, times, seq in found:
            told = (str(events[seq].get("verdict")), str(events[seq].get("reason")))
            counted[told] = counted.get(told, 0) + times
        return counted

    def counts(self, upto: int) -> dict[int, tuple[int, int]]:
        """Return, by segment that has reported, its last iteration and how many reports there are of it."""
        found = self._rows(
            "SELECT segment, max(last), sum(last - first + 1) FROM reports WHERE seq <= ? GROUP BY segment", upto
        )
        if any(not type(segment) is type(last) is type(count) is int for segment, last, count in found):
            raise self.damaged("its reports are none")
        return {segment: (last, count) for segment, last, count in found}

    def span(self, after: int, upto: int, segment: int) -> float:
        """Return the seconds between the first and the last report with a number in that range, of segments from
        ``segment`` on.
        """
        found = self._rows(
            "SELECT max(at) - min(at) FROM reports WHERE seq > ? AND seq <= ? AND segment >= ?", after, upto, segment
        )
        return found[0][0] if type(found[0][0]) is float else 0.0

    def score(self, segment: int, iteration: int) -> float:
        """Return the score, signed, of a checkpointed report; NaN if there is none."""
        found = self._rows(
            "SELECT data FROM events WHERE kind = 'Kept' AND segment = ? AND json_extract(data, '$.iteration') = ?",
            segment, iteration,
        )  # fmt: skip
        told = [event.get("score") for event in self._parsed([row[0] for row in found])]
        last = told[-1] if told else None
        return float(last) if isinstance(last, (int, float)) else float("nan")

    def spans(self, after: int, upto: int) -> list[tuple[int, int, int, int, float]]:
        """Return (seq, segment, first, last, at) of all reports there are with a number in that range."""
        return self._rows(
            "SELECT seq, segment, first, last, at FROM reports WHERE seq > ? AND seq <= ? ORDER BY seq", after, upto
        )

    def stretches(self, segments: Sequence[int] | None = None, upto: int | None = None) -> Iterator[Stretch]:
        """Yield the reports of ``segments`` (of all by default), by segment and iteration."""
        query = "SELECT seq, segment, first, last, at, rows, elapsed FROM reports"
        ending = "" if upto is None else f" AND seq <= {int(upto)}"
        if segments is None:
            yield from map(Stretch._make, self._rows(f"{query} WHERE 1{ending} ORDER BY segment, first"))
            return
        for number in segments:
            found = self._rows(f"{query} WHERE segment = ?{ending} ORDER BY first", number)
            yield from map(Stretch._make, found)

    def latest(self, segment: int, before: int | None = None) -> Stretch | None:
        """Return the last reports of ``segment``, those before iteration ``before``; None if there are none."""
        found = self._rows(
            "SELECT seq, segment, first, last, at, rows, elapsed FROM reports WHERE segment = ? AND first < ? "
            "ORDER BY first DESC LIMIT 1", segment, 2**62 if before is None else before,
        )  # fmt: skip
        return Stretch._make(found[0]) if found else None

    def checkpoints(self) -> list[tuple[int, int, str, int, str | None]]:
        """Return (segment, iteration, kind, size, path) of the checkpoints that are there, without their content."""
        return self._rows("SELECT segment, iteration, kind, size, path FROM checkpoints ORDER BY segment, iteration")

    def checkpoint(self, segment: int, iteration: int) -> tuple[str, int, str | None] | None:
        """Return (kind, size, path) of one checkpoint, None if it is not there."""
        found = self._rows(
            "SELECT kind, coalesce(length(data), size), path FROM checkpoints WHERE segment = ? AND iteration = ?",
            segment, iteration,
        )  # fmt: skip
        return tuple(found[0]) if found else None

    def content(self, segment: int, iteration: int, first: int, count: int) -> bytes:
        """Return ``count`` bytes of a checkpoint inside the ledger, from byte ``first`` (0 for the beginning)."""
        found = self._rows(
            "SELECT substr(data, ?, ?) FROM checkpoints WHERE segment = ? AND iteration = ?",
            first + 1, count, segment, iteration,
        )  # fmt: skip
        return found[0][0] if found and type(found[0][0]) is bytes else b""

    def disk(self) -> tuple[int, int]:
        """Return how many checkpoints are there, and their bytes."""
        count, total = self._rows("SELECT count(*), total(size) FROM checkpoints NOT INDEXED")[0]
        return int(count), int(total)

    def room(self) -> int:
        """Return how many bytes the ledger has: it tells of fewer things than that, whatever its numbers say."""
        found = 0
        for path in (self.path, beside(self.path, "-wal")):
            with suppress(OSError):
                found += path.stat().st_size
        return found

    def close(self) -> None:
        """Close the file."""
        if self._db is not None:
            self._db.close()
        if self._copy is not None:
            self._copy.cleanup()
        self._db = self._copy = None

    def damaged(self, why: object) -> RunError:
        """Return what to raise where the ledger holds what is none of ours."""
        return RunError(f"{self.path} is damaged: {why!s:.200}; {way_out(self.path)}")

    def _open(self) -> None:
        self.close()
        if not self.path.is_file():
            raise RunError(f"{self.path.parent} holds no run: there is no {NAME} in it")
        try:
            self._file = _identity(self.path)
            self._db, self._copy = connected(self.path)
            checked_format(self._db, self.path)
        except UNREADABLE as error:
            self.close()
            raise unreadable(self.path, error) from error
        except BaseException:
            self.close()
            raise

    def _rows(self, query: str, *values: object) -> list[Any]:
        """Return all rows of a query at once, so that nothing is left half read for the writer to wait for."""
        if self._db is None:
            self._open()
        assert self._db is not None
        try:
            return self._db.execute(query, values).fetchall()
        except UNREADABLE as error:
            raise unreadable(self.path, error) from error

    def _parsed(self, texts: Sequence[Any]) -> list[dict[str, Any]]:
        try:
            with _no_collection():
                found = json.loads(f"[{','.join(texts)}]")
        except (ValueError, TypeError, RecursionError) as error:
            raise self.damaged(error) from error
        if len(found) != len(texts) or not all(type(each) is dict for each in found):
            raise self.damaged("it holds an entry that is no event")
        return found  # type: ignore[no-any-return]

    def _number(self, value: Any, what: str) -> int:
        if type(value) is not int:
            raise self.damaged(f"{what} {value!r:.40}")
        return value


@contextmanager
def _no_collection() -> Iterator[None]:
    """Parse a hundred thousand dicts without a search for garbage every seven hundred: there is none among them."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino
