"""What a run says while it goes on."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ramet.core.events import Decided, Event
from ramet.core.population import Population
from ramet.notebook import in_kernel
from ramet.view.trails import Trails


class Display:
    """Says nothing; the base of those that do."""

    def recall(self, trails: Trails, recent: Sequence[tuple[Event, Decided | None]]) -> None:
        """Before `start`, of a run that is under way: what is remembered of its members, and what happened last."""

    def start(self, folder: Path, population: Population) -> None:
        """The run in ``folder`` begins."""

    def slots(self, number: int) -> None:
        """So many members can train at a time."""

    def update(self, population: Population, running: Mapping[int, Any] | None) -> None:
        """Something may have changed; called often, so it must be cheap.

        ``running``: works with member and waiting; None where nobody knows what runs, as in another process.
        """

    def events(self, events: Sequence[Event], population: Population) -> None:
        """These were committed."""

    def output(self, member: int | None, text: str) -> None:
        """``member`` printed whole lines."""

    def leave(self, population: Population) -> None:
        """Whoever watched goes, and the run goes on: give the terminal back, and say nothing of it."""

    def close(self, population: Population) -> None:
        """The run is over: say what came of it."""


class GuardedDisplay(Display):
    """Passes everything on to ``inner`` and lets nothing out: a run never ends because it could not be shown.

    What goes wrong first is told once, on standard error.
    """

    def __init__(self, inner: Display) -> None:
        self.inner = inner
        self._told = False

    def recall(self, trails: Trails, recent: Sequence[tuple[Event, Decided | None]]) -> None:
        """See `Display.recall`."""
        self._guarded(self.inner.recall, trails, recent)

    def start(self, folder: Path, population: Population) -> None:
        """See `Display.start`."""
        self._guarded(self.inner.start, folder, population)

    def slots(self, number: int) -> None:
        """See `Display.slots`."""
        self._guarded(self.inner.slots, number)

    def update(self, population: Population, running: Mapping[int, Any] | None) -> None:
        """See `Display.update`."""
        try:
            self.inner.update(population, running)
        except Exception as error:
            self._tell(error)

    def events(self, events: Sequence[Event], population: Population) -> None:
        """See `Display.events`."""
        self._guarded(self.inner.events, events, population)

    def output(self, member: int | None, text: str) -> None:
        """See `Display.output`."""
        self._guarded(self.inner.output, member, text)

    def leave(self, population: Population) -> None:
        """See `Display.leave`."""
        self._guarded(self.inner.leave, population)

    def close(self, population: Population) -> None:
        """See `Display.close`."""
        self._guarded(self.inner.close, population)

    def _guarded(self, method: Callable[..., None], *arguments: Any) -> None:
        try:
            method(*arguments)
        except Exception as error:
            self._tell(error)

    def _tell(self, error: Exception) -> None:
        if not self._told:
            self._told = True
            with contextlib.suppress(Exception):
                print(
                    f"ramet: something could not be shown ({type(error).__name__}: {error}); the run goes on, and "
                    "everything is in its folder",
                    file=sys.stderr,
                )


def display_for(verbose: int | bool | None, interactive: bool, already: float = 0.0) -> Display:
    """Return the display for this notebook, this terminal, or lack of one.

    Args:
        verbose: 0, False or None for none at all; 2 or more for each batch of reports besides.
        interactive: whether training functions run in this process, so that the terminal belongs to them.
        already: seconds that the run has been trained for before it is shown.

    >>> type(display_for(verbose=0, interactive=False)).__name__
    'Display'
    """
    if not verbose:
        return Display()
    if in_kernel():
        from ramet.notebook.display import NotebookDisplay

        return GuardedDisplay(NotebookDisplay(int(verbose), already))
    coloured = shows_styles()
    if coloured and not interactive:
        from ramet.view.screen import ScreenDisplay

        return GuardedDisplay(ScreenDisplay(int(verbose), already))
    from ramet.view.lines import LinesDisplay

    return GuardedDisplay(LinesDisplay(int(verbose), coloured=coloured, already=already))


def shows_styles() -> bool:
    """Return whether standard output is a terminal that can move its cursor and show the signs that are used here."""
    try:
        terminal = sys.stdout.isatty()
    except (AttributeError, ValueError):
        return False
    encoding = (getattr(sys.stdout, "encoding", None) or "").lower().replace("-", "")
    return terminal and os.environ.get("TERM", "").lower() not in ("dumb", "unknown") and encoding.startswith("utf")
