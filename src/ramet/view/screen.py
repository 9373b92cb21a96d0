"""A run on a terminal: one table that is drawn over itself, and above it what should stay."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Group
from rich.live import Live
from rich.text import Text

from ramet.core.events import Decided, Event, Failed, Noted, Reported
from ramet.core.population import Population
from ramet.view.lines import opening, show, terminal
from ramet.view.live import Display
from ramet.view.onlooker import Onlooker
from ramet.view.summary import summary
from ramet.view.table import frame
from ramet.view.trails import Trails
from ramet.view.values import count
from ramet.view.wording import Line, folded, printed, told, wording

DRAW_SECONDS = 0.125
DRAW_SHARE = 0.05
MOST_ABOVE = 500


class _Drawing:
    """What the live display holds: whatever ``lines`` are when it is drawn, also below what others print."""

    def __init__(self) -> None:
        self.lines: list[Line] = []

    def __rich__(self) -> Group:
        return Group(*(Text.assemble(*line, no_wrap=True, overflow="crop") for line in self.lines))


class ScreenDisplay(Display):
    """The live table. Exploits and ends stand below it and give way to newer ones; failures, notes, what training
    functions print, and with ``verbose=2`` each batch of reports, go above it and stay.

    It is drawn by `update`, at most eight times a second and for at most a twentieth of the time; no thread.

    Args:
        verbose: 2 or more for a line for each batch of reports besides.
        already: seconds that the run has been trained for before it is shown.
    """

    def __init__(self, verbose: int = 1, already: float = 0.0) -> None:
        self.verbose = verbose
        self._console = terminal()
        self._live: Live | None = None
        self._drawing = _Drawing()
        self._onlooker = Onlooker(already)
        self._next = 0.0
        self._above: list[Line] = []
        self._unsaid = 0
        self._failed = False

    def recall(self, trails: Trails, recent: Sequence[tuple[Event, Decided | None]]) -> None:
        """Begin with what happened before."""
        self._onlooker.recall(trails, recent)

    def start(self, folder: Path, population: Population) -> None:
        """Say what begins, and draw for the first time."""
        self._onlooker.begin(folder, population)
        show(self._console, folded(opening(folder, population), self._console.width))
        # What goes to a file must not come back to the terminal: only streams that end here are led above the table.
        stderr = _is_terminal(sys.stderr)
        self._live = Live(
            self._drawing,
            console=self._console,
            auto_refresh=False,
            vertical_overflow="crop",
            redirect_stderr=stderr,
        )
        self._live.start()
        self._draw(population, {})

    def slots(self, number: int) -> None:
        """Remember how many members can train at a time."""
        self._onlooker.slots = number

    def update(self, population: Population, running: Mapping[int, Any] | None) -> None:
        """Draw if it is time."""
        if time.monotonic() >= self._next:
            self._draw(population, running)

    def events(self, events: Sequence[Event], population: Population) -> None:
        """Remember what to tell at the next drawing."""
        self._onlooker.take_in(events, population)
        for event, decided in told(events, self.verbose):
            if isinstance(event, (Failed, Noted, Reported)):
                lines = wording(event, decided, population, self._onlooker.folder or Path(), whole=not self._failed)
                self._failed |= isinstance(event, Failed)
                self._say([part for line in lines for part in folded(line, self._console.width)])
            else:
                self._onlooker.note((event, decided))

    def output(self, member: int | None, text: str) -> None:
        """Remember what ``member`` printed."""
        self._say(printed(member, text))

    def leave(self, population: Population) -> None:
        """Draw for the last time, and give the terminal back."""
        try:
            self._draw(population, None)
        finally:
            self._give_back()

    def close(self, population: Population) -> None:
        """Draw for the last time, give the terminal back, and print the summary."""
        folder = self._onlooker.folder
        if folder is None:
            return
        try:
            self._draw(population, {})
        finally:
            try:
                self._give_back()
            finally:
                show(self._console, summary(population, folder, self._onlooker.elapsed, self._console.width))

    def _say(self, lines: list[Line]) -> None:
        """Put lines above the table; of a flood only the beginning, the rest is in the run's folder."""
        fits = MOST_ABOVE - len(self._above)
        self._above += lines[:fits]
        self._unsaid += max(len(lines) - fits, 0)

    def _draw(self, population: Population, running: Mapping[int, Any] | None) -> None:
        live = self._live
        if live is None:
            return
        now = time.monotonic()
        self._next = now + DRAW_SECONDS
        above, self._above = self._above, []
        if self._unsaid:
            above.append([(f"… {count(self._unsaid, 'line')} not shown", "dim")])
            self._unsaid = 0
        width, height = self._console.size
        try:
            self._drawing.lines = frame(self._onlooker.scene(population, running), width, height)
        finally:
            # Both ways draw the table anew, the first below what it prints.
            if above:
                show(self._console, above)
            else:
                live.refresh()
        self._next = max(self._next, time.monotonic() + (time.monotonic() - now) / DRAW_SHARE)

    def _give_back(self) -> None:
        live, self._live = self._live, None
        if live is None:
            return
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()  # half a line that a callback printed
        live.stop()


def _is_terminal(stream: Any) -> bool:
    try:
        return bool(stream.isatty())
    except (AttributeError, ValueError, OSError):
        return False
