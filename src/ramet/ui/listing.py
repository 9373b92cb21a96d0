"""The list of runs: a row for each, read again only where a run has changed, and never waited for too long."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing
from typing import Any, NamedTuple

from ramet.analysis.run import Run
from ramet.errors import RametError
from ramet.store.lock import is_held
from ramet.ui import answers
from ramet.ui.board import Board
from ramet.ui.folder import Place, Runs, stamp, updated
from ramet.ui.plain import text
from ramet.ui.readers import Readers, told_as_damage

PATIENCE = 0.7
"""Seconds that the list waits for rows that have to be read; what is not there then follows."""


class _Known(NamedTuple):
    of: Any
    row: dict[str, Any]


class Listing:
    """The rows of all runs of ``runs``."""

    def __init__(self, runs: Runs, readers: Readers) -> None:
        self.runs, self.readers = runs, readers
        self._known: dict[str, _Known] = {}
        self._under_way: dict[str, Future[None]] = {}
        self._lock = threading.Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ramet-ui-list")

    def rows(self, patience: float = PATIENCE) -> list[dict[str, Any]]:
        """Return a row for each run; what could not be read in time is None in it, or of an earlier moment."""
        places = self.runs.look()
        asked = [job for place in places if (job := self._asked(place)) is not None]
        wait(asked, patience)
        return [self._row(place) for place in places]

    def moment(self) -> dict[str, Any]:
        """Return, by key, what changes whenever a run's row may have changed: also when it has been read."""
        found = {}
        for place in self.runs.look():
            self._asked(place)
            known = self._known.get(place.key)
            found[place.key] = None if known is None else known.of
        return found

    def close(self) -> None:
        """Read nothing more."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _asked(self, place: Place) -> Future[None] | None:
        """See that a row that may be old is read again, and return what can be waited for."""
        now = _moment(place)
        with self._lock:
            known, under_way = self._known.get(place.key), self._under_way.get(place.key)
            if known is not None and known.of == now:
                return None
            if under_way is None or under_way.done():
                under_way = self._under_way[place.key] = self._thread.submit(self._read, place, now)
            return under_way

    def _read(self, place: Place, now: Any) -> None:
        try:
            row = self.readers.row(place, now[1])
            if row is None:
                with told_as_damage(place.path), closing(Run(place.path)) as run:
                    board = Board(run)
                    board.update()
                    row = answers.row(run, board)
        except RametError as error:
            row = {"state": "damaged", "error": text(error, 1000)}
        self._known[place.key] = _Known(now, row)

    def _row(self, place: Place) -> dict[str, Any]:
        known = self._known.get(place.key)
        row = known.row if known is not None else {"state": "under way" if is_held(place.path) else "ended"}
        empty = dict.fromkeys(ROW) | {"updated": updated(place.path)}
        return {"key": place.key, "name": text(place.name), "path": text(place.path, 4096)} | empty | row


ROW = ("state", "error", "members", "training", "failed", "metric", "mode", "best", "iteration", "goal", "exploits",
       "reports", "begun", "updated", "size")  # fmt: skip
"""What a row tells, or would if the run could be read."""


def _moment(place: Place) -> tuple[Any, bool]:
    return stamp(place.path), is_held(place.path)
