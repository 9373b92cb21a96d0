"""Runs that somebody looks at: each is read by one thread of its own, and an answer is computed once."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from ramet.analysis.run import Run
from ramet.errors import RametError, RunError
from ramet.ui.answers import row
from ramet.ui.board import Board
from ramet.ui.folder import Place, stamp

IDLE = 300.0
"""Seconds after which a run that nobody asks for is closed."""

MOST_OPEN = 16
ROOM = 200 * 2**20
"""Bytes of ledgers that are open at a time; what is read of one takes about as much memory."""

LARGE = 4 * 2**20
"""Bytes of a ledger that takes a while to read, so that it is not read again as soon as somebody opens its page."""

JUST_NOW = 15.0
"""Seconds for which a run stays open whatever else is."""

MOST_ANSWERS = 64
MOST_BYTES = 32 * 2**20

_Answer = TypeVar("_Answer")


@contextmanager
def told_as_damage(path: Path) -> Iterator[None]:
    """Raise `RunError` for what only a damaged ledger leads to: whatever a stranger's run holds, it is an answer."""
    try:
        yield
    except RametError:
        raise
    except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError, RecursionError, MemoryError) as error:
        raise RunError(f"the run in {path} is damaged ({error!r:.200}): ramet check says more") from error


class Reader:
    """The run in ``path``, read in a thread of its own, to which an SQLite connection belongs.

    `ask` hands in a question, a function of the run and its board, which are brought up to date before. ``used`` is how
    many seconds of a processor all that has taken.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.asked = time.monotonic()
        self.used = 0.0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ramet-ui")
        self._run: Run | None = None
        self._board: Board | None = None
        self._stamp: Any = None
        self._answers: OrderedDict[str, Any] = OrderedDict()
        self._of: Any = None

    def ask(self, question: Callable[[Run, Board], _Answer]) -> Future[_Answer]:
        """Return what will be the answer to ``question``."""
        self.asked = time.monotonic()

        def answer() -> _Answer:
            began = time.thread_time()
            try:
                with told_as_damage(self.path):
                    return question(*self._fresh())
            finally:
                self.used += time.thread_time() - began

        return self._thread.submit(answer)

    def ask_about(self, name: str, question: Callable[[Run, Board], _Answer]) -> Future[_Answer]:
        """Return what will be the answer to the question of that ``name``, computed only if the run has gone on since.

        An answer is handed out again as it is, so nobody may change it.
        """

        def answer(run: Run, board: Board) -> _Answer:
            now = (run.trace.present, run.state)
            if now != self._of:
                self._answers.clear()
                self._of = now
            if name not in self._answers:
                self._answers[name] = question(run, board)
            self._answers.move_to_end(name)
            while len(self._answers) > MOST_ANSWERS or (len(self._answers) > 1 and self._bytes() > MOST_BYTES):
                self._answers.popitem(last=False)
            found: _Answer = self._answers[name]
            return found

        return self.ask(answer)

    def _bytes(self) -> int:
        return sum(len(each) for each in self._answers.values() if type(each) is bytes)

    def close(self) -> None:
        """Close the run's file, once what has been asked is answered."""

        def end() -> None:
            if self._run is not None:
                self._run.close()
            self._run = self._board = None

        self._thread.submit(end)
        self._thread.shutdown(wait=True)

    def _fresh(self) -> tuple[Run, Board]:
        """Return the run and its board, up to date."""
        now = stamp(self.path)
        try:
            if self._run is None or self._board is None:
                self._run = Run(self.path)
                self._board = Board(self._run)
                self._board.update()
            elif now != self._stamp and self._run.refresh():
                self._board.update()
        except BaseException:
            # Half of what is new may have been taken in: the next question begins anew.
            if self._run is not None:
                self._run.close()
            self._run = self._board = self._stamp = None
            raise
        self._stamp = now
        return self._run, self._board


class Readers:
    """The readers of the runs that were asked for in the last minutes, by key."""

    def __init__(self, idle: float = IDLE) -> None:
        self.idle = idle
        self._open: dict[str, Reader] = {}
        self._lock = threading.Lock()

    def of(self, place: Place) -> Reader:
        """Return the reader of a run."""
        with self._lock:
            reader = self._open.get(place.key)
            if reader is None:
                reader = self._open[place.key] = Reader(place.path)
            reader.asked = time.monotonic()
        return reader

    def row(self, place: Place, goes_on: bool) -> dict[str, Any] | None:
        """Return a run's row in the list, None where it would not stay open: it is then to be read on its own."""
        with self._lock:
            large = max(size for _, size, _ in stamp(place.path)) > LARGE
            if place.key not in self._open and (len(self._open) >= MOST_OPEN or not (goes_on or large)):
                return None
        return self.of(place).ask(row).result()

    def close_idle(self) -> None:
        """Close the runs that nobody has asked for in the last minutes."""
        now, room, left = time.monotonic(), ROOM, []
        with self._lock:
            latest_first = sorted(self._open.items(), key=lambda each: -each[1].asked)
            for number, (key, reader) in enumerate(latest_first):
                room -= sum(size for _, size, _ in stamp(reader.path))
                crowded = (room < 0 or number >= MOST_OPEN) and now - reader.asked > JUST_NOW
                if crowded or now - reader.asked > self.idle:
                    left.append(self._open.pop(key))
        for reader in left:
            reader.close()

    def close(self) -> None:
        """Close all runs."""
        with self._lock:
            left, self._open = list(self._open.values()), {}
        for reader in left:
            reader.close()
