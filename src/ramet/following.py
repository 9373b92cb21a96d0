"""A run that another process works on, followed entry by entry: the fold of what is there, kept up to date."""

from __future__ import annotations

from pathlib import Path

from ramet.core.events import Event
from ramet.core.population import Population
from ramet.errors import RunError
from ramet.record import Record
from ramet.store.journal import identity
from ramet.store.ledger import EventRow, Ledger, ReportRow
from ramet.store.repair import CUTS

BATCH = 5000
"""Entries that are read at a time: what is there already may be more than is good to hold at once."""


def _file_of(record: Record) -> tuple[object, str]:
    """Return what tells whether a ledger still holds all that was read in it."""
    return identity(str(record.ledger.path)), record.ledger.meta().get(CUTS, "0")


class Follower:
    """Reads a run's ledger as it grows.

    Between two calls of `poll` the ledger is not even open: its writer never waits for anything, brings its write-ahead
    log home, and takes it away when it closes, as if nobody watched.

    Rows of reports that were made again are deleted; whoever has read them goes back when the event comes that says so,
    as the run itself did.

    Args:
        folder: the run's folder, in which nothing is written.

    Raises:
        RunError: there is no run, or it cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.population = Population()
        self.seq = 0
        """The number of the last entry that was taken in."""
        self.more = True
        """Whether there was more to read than `poll` took in the last time."""
        self._events = 0
        record = Record.open(folder)
        self._file = _file_of(record)
        record.close()

    def poll(self) -> list[tuple[int, Event]]:
        """Take in what came since the last time, in whole transactions, and return it with its numbers.

        Raises:
            RunError: the ledger is damaged, or another one lies in its place.
        """
        record = Record.open(self.folder)
        try:
            if _file_of(record) != self._file:
                path = record.ledger.path
                raise RunError(f"{path} was replaced, or cut by a resume that went back: watch the run anew")
            rows = self._rows(record.ledger)
        finally:
            record.close()
        came = []
        for seq, row in rows:
            came.append((seq, record.taken_in(row, self.population, rows[-1][0])))
            self.seq = seq
            self._events += isinstance(row, EventRow)
        return came

    def _rows(self, ledger: Ledger) -> list[tuple[int, EventRow | ReportRow]]:
        """Return the next rows up to the end of a transaction."""
        most = BATCH
        while True:
            rows = list(ledger.since(self.seq, self._events, most))
            self.more = len(rows) == most
            if not self.more:
                return rows
            whole = next((at for at in range(len(rows), 0, -1) if rows[at - 1][1].ends), 0)
            if whole:
                return rows[:whole]
            most *= 2
