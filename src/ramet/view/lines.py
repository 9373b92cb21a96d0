"""A run told in plain lines: into a file, through a pipe, or where the terminal belongs to the training functions."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ramet.core.events import Event, Failed, Noted
from ramet.core.population import Population
from ramet.view.live import Display
from ramet.view.standing import best, exploits, progress, reports, standings
from ramet.view.summary import summary
from ramet.view.timeleft import TimeLeft
from ramet.view.values import about, clean, count, duration, shown
from ramet.view.wording import Line, folded, plain, printed, told, wording

if TYPE_CHECKING:
    from rich.console import Console

STATUS_SECONDS = 30.0

AT_ONCE = 20
"""Lines on events of one kind that happen at once, at most: a thousand members that decide together are a thousand."""

_ASCII = str.maketrans({"←": "<-", "→": "->", "…": "...", "–": "-", "·": "-", "━": "-"})


class LinesDisplay(Display):
    """One line for whatever happens, and a status line every half minute.

    Args:
        verbose: 2 or more for a line for each batch of reports besides.
        coloured: whether the lines go to a terminal that shows styles.
        already: seconds that the run has been trained for before it is shown.
    """

    def __init__(self, verbose: int = 1, coloured: bool = False, already: float = 0.0) -> None:
        self.verbose, self.coloured, self._already = verbose, coloured, already
        self._console: Console | None = None
        self._folder: Path | None = None
        self._began = self._next = 0.0
        self._seen = (0.0, 0)
        self._left: TimeLeft | None = None
        self._failed = False

    def start(self, folder: Path, population: Population) -> None:
        """Say what begins, and how it is repeated."""
        self._folder = folder
        self._began = time.monotonic()
        self._next = self._began + (0.0 if self._already else STATUS_SECONDS)
        self._seen = (self._began - self._already, 0) if self._already else (self._began, reports(population))
        self._left = TimeLeft(self._began, population)
        self._write(self._folded([opening(folder, population)]))

    def update(self, population: Population, running: Mapping[int, Any] | None) -> None:
        """Write the status line when it is time."""
        now = time.monotonic()
        if now < self._next or self._folder is None:
            return
        left = self._left.at(now, population) if self._left is not None else None
        self._next = now + STATUS_SECONDS
        made = reports(population)
        rate = (made - self._seen[1]) / max(now - self._seen[0], 1e-9)
        self._seen = (now, made)
        figures = [
            duration(self._already + now - self._began),
            progress(population)[1],
            f"{count(made, 'report')} ({shown(max(round(rate, 1), 0.0))}/s)",
            count(exploits(population), "exploit"),
        ]
        top = best(standings(population, running))
        if top is not None:
            figures.append(f"best member {top.member} ({shown(top.value)})")
        if left is not None:
            figures.append(f"about {about(left)} left")
        self._write([[("   ".join(figures), "dim")]])

    def events(self, events: Sequence[Event], population: Population) -> None:
        """Write a line for each event that is worth one."""
        folder = self._folder or Path()
        lines: list[Line] = []
        kinds = Counter[type[Event]]()
        for event, decided in told(events, self.verbose):
            kinds[type(event)] += 1
            if self.verbose > 1 or kinds[type(event)] <= AT_ONCE or isinstance(event, Noted):
                lines += wording(event, decided, population, folder, whole=not self._failed)
            self._failed |= isinstance(event, Failed)
        left = sum(max(count - AT_ONCE, 0) for kind, count in kinds.items() if kind is not Noted)
        if left and self.verbose < 2:
            lines.append([(f"… and {left} more lines like these: RunConfig(verbose=2) writes all", "dim")])
        self._write(self._folded(lines))

    def output(self, member: int | None, text: str) -> None:
        """Pass on what ``member`` printed."""
        self._write(printed(member, text))

    def close(self, population: Population) -> None:
        """Write the summary."""
        if self._folder is not None:
            width = self._terminal().width if self.coloured else None
            self._write(summary(population, self._folder, self._already + time.monotonic() - self._began, width))

    def _folded(self, lines: list[Line]) -> list[Line]:
        """Break what ramet itself says between words, where the width is known."""
        if not self.coloured or not lines:
            return lines
        width = self._terminal().width
        return [part for line in lines for part in folded(line, width)]

    def _write(self, lines: list[Line]) -> None:
        if not lines or sys.stdout is None:
            return
        if self.coloured:
            show(self._terminal(), lines)
            return
        text = "".join(plain(line) + "\n" for line in lines)
        try:
            sys.stdout.write(text)
        except UnicodeEncodeError:
            encoding = getattr(sys.stdout, "encoding", None) or "ascii"
            sys.stdout.write(text.translate(_ASCII).encode(encoding, "replace").decode(encoding))
        sys.stdout.flush()

    def _terminal(self) -> Console:
        if self._console is None:
            self._console = terminal()
        return self._console


def opening(folder: Path, population: Population) -> Line:
    """Return the line that opens a run."""
    facts = population.facts.get("strategy") or {}
    strategy = shown(facts.get("name"), 40)
    # A FIFO decides nothing, so that nothing depends on who is first; and who come together, come in no order.
    together = population.facts.get("together") and population.facts.get("time_attr") != "time_total_s"
    drifts = facts.get("synch") is False and facts.get("name") != "FIFO" and not together
    seed = f"seed {population.seed} (asynchronous: draws repeat, timing does not)"
    return [
        ("run ", ""),
        (clean(folder.name), "bold cyan"),
        (f": {count(len(population.members), 'member')}, {strategy}, ", ""),
        (f"{seed if drifts else f'TuneConfig(seed={population.seed}) repeats it'}, ", ""),
        (clean(str(folder)), "dim"),
    ]


def terminal() -> Console:
    """Return a console that takes text as it is: no markup, no emoji codes, no colours of its own."""
    from rich.console import Console

    return Console(markup=False, emoji=False, highlight=False)


def show(console: Console, lines: Sequence[Line]) -> None:
    """Print lines in one go. The terminal breaks those that are too long, so that they can be copied whole."""
    from rich.console import Group
    from rich.text import Text

    console.print(Group(*(Text.assemble(*line) for line in lines)), soft_wrap=True)
