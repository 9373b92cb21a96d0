"""A run below the cell that started it: one output that is drawn over itself."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ramet.core.events import Decided, Event, Failed, Noted, Reported
from ramet.core.population import Population
from ramet.notebook.markup import lines, page
from ramet.notebook.scenery import scenery
from ramet.view.heading import Scene
from ramet.view.live import Display
from ramet.view.onlooker import Onlooker
from ramet.view.summary import summary
from ramet.view.table import frame
from ramet.view.trails import Trails
from ramet.view.values import count
from ramet.view.wording import Line, plain, printed, told, wording

DRAW_SECONDS = 0.25
DRAW_SHARE = 0.05
WIDTH, HEIGHT = 100, 60
"""Of the text that stands beside the HTML, for what shows no HTML."""
MOST_AT_ONCE = 100
MOST_PRINTED = 5000
"""Lines of text below the table, between two drawings and altogether: a notebook is kept as a file, and grows slow."""


class NotebookDisplay(Display):
    """The live table as one output of the cell, HTML with plain text beside it; failures, notes, what training
    functions print, and with ``verbose=2`` each batch of reports, are text below it and stay.

    It is drawn by `update`, at most four times a second and for at most a twentieth of the time; no thread.

    Why no ipywidgets: an output that is updated by its display id is as live as a widget, and what it showed last is
    what the notebook is saved with, so that it is there on GitHub, in nbviewer, and after the kernel is gone. Of a
    widget only a reference is saved, and where its two halves do not match, the one in the kernel and the one in the
    browser, there is an error in its place. What a widget could do besides is a button, but a kernel that is busy with
    ``fit()`` hears of no click. The button to stop is the notebook's own, "interrupt the kernel": as Ctrl-C on a
    terminal it lets the members come to their next report, and a second one ends at once.

    Args:
        verbose: 2 or more for a line for each batch of reports besides.
        already: seconds that the run has been trained for before it is shown.
    """

    def __init__(self, verbose: int = 1, already: float = 0.0) -> None:
        self.verbose = verbose
        self._onlooker = Onlooker(already)
        self._output: Any = None
        self._next = 0.0
        self._below: list[str] = []
        self._printed = self._unsaid = 0
        self._failed = False

    def recall(self, trails: Trails, recent: Sequence[tuple[Event, Decided | None]]) -> None:
        """Begin with what happened before."""
        self._onlooker.recall(trails, recent)

    def start(self, folder: Path, population: Population) -> None:
        """Make the output, and draw for the first time."""
        self._onlooker.begin(folder, population)
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
                folder = self._onlooker.folder or Path()
                self._say(wording(event, decided, population, folder, whole=not self._failed))
                self._failed |= isinstance(event, Failed)
            else:
                self._onlooker.note((event, decided))

    def output(self, member: int | None, text: str) -> None:
        """Remember what ``member`` printed."""
        self._say(printed(member, text))

    def leave(self, population: Population) -> None:
        """Draw for the last time."""
        self._draw(population, None)

    def close(self, population: Population) -> None:
        """Draw for the last time, with the summary."""
        folder = self._onlooker.folder
        if folder is not None:
            self._draw(population, {}, summary(population, folder, self._onlooker.elapsed))

    def _say(self, more: list[Line]) -> None:
        """Put lines below the table; of a flood only the beginning, the rest is in the run's folder."""
        fits = min(MOST_AT_ONCE - len(self._below), MOST_PRINTED - self._printed - len(self._below))
        self._below += map(plain, more[: max(fits, 0)])
        self._unsaid += max(len(more) - max(fits, 0), 0)

    def _print(self) -> None:
        below, self._below = self._below, []
        if self._unsaid and self._printed < MOST_PRINTED:
            below.append(f"… {count(self._unsaid, 'line')} not shown; the run's folder has them")
        self._unsaid = 0
        self._printed += len(below)
        if below and sys.stdout is not None:
            sys.stdout.write("".join(f"{text}\n" for text in below))
            sys.stdout.flush()

    def _draw(self, population: Population, running: Mapping[int, Any] | None, end: Sequence[Line] = ()) -> None:
        begun = time.monotonic()
        self._next = begun + DRAW_SECONDS
        try:
            self._show(_bundle(self._onlooker.scene(population, running), end))
        finally:
            self._print()
        self._next = max(self._next, time.monotonic() + (time.monotonic() - begun) / DRAW_SHARE)

    def _show(self, bundle: dict[str, str]) -> None:
        if self._output is None:
            import IPython.display

            show: Any = IPython.display.display
            self._output = show(bundle, raw=True, display_id=True)
        else:
            self._output.update(bundle, raw=True)


def _bundle(scene: Scene, end: Sequence[Line]) -> dict[str, str]:
    """Return what is shown, in HTML and in text."""
    text = "\n".join(plain(each).rstrip() for each in (*frame(scene, WIDTH, HEIGHT), *end))
    return {"text/html": page(scenery(scene), lines(end[1:]) if end else ""), "text/plain": text}
