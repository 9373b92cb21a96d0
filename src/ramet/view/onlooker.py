"""What somebody who watches a run has to remember to draw it: when it began, how fast it goes, what happened last."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ramet.core.events import Decided, Event
from ramet.core.population import Population
from ramet.view.heading import Scene
from ramet.view.standing import reports
from ramet.view.table import MOST_RECENT
from ramet.view.timeleft import TimeLeft
from ramet.view.trails import Trails
from ramet.view.wording import brief

RATE_SECONDS = 5.0
DISK_SECONDS = 5.0

Happened = tuple[Event, Decided | None]
"""Something worth telling, and the decision that it came of."""


class Onlooker:
    """Kept up to date by a display, which asks it for the `Scene` of the moment when it draws.

    Args:
        already: seconds that the run has been trained for before it is shown.
    """

    def __init__(self, already: float = 0.0) -> None:
        self.folder: Path | None = None
        self.slots: int | None = None
        self._already = already
        self._began = 0.0
        self._rate: deque[tuple[float, int]] = deque()
        self._trails: Trails | None = None
        self._left: TimeLeft | None = None
        self._free: tuple[float, int | None] = (-DISK_SECONDS, None)
        self._recent: deque[Happened] = deque(maxlen=MOST_RECENT)

    def recall(self, trails: Trails, recent: Sequence[Happened]) -> None:
        """Begin with what happened before."""
        self._trails = trails
        self._recent.extend(recent)

    def begin(self, folder: Path, population: Population) -> None:
        """The run in ``folder`` begins, or is seen for the first time."""
        self.folder = folder
        self._began = time.monotonic()
        if self._trails is None:
            self._trails = Trails(population)
        self._left = TimeLeft(self._began, population)
        if self._already:
            self._rate.append((self._began - self._already, 0))

    @property
    def elapsed(self) -> float:
        """Seconds of training."""
        return self._already + time.monotonic() - self._began

    def take_in(self, events: Sequence[Event], population: Population) -> None:
        """Remember of ``events``, which ``population`` has taken in already, what becomes of the members."""
        if self._trails is not None:
            self._trails.take_in(events, population)

    def note(self, happened: Happened) -> None:
        """Remember something that is told until newer things take its place."""
        self._recent.append(happened)

    def scene(self, population: Population, running: Mapping[int, Any] | None) -> Scene:
        """Return what there is to draw now."""
        folder, now = self.folder or Path(), time.monotonic()
        return Scene(
            population=population,
            running=running,
            folder=folder,
            elapsed=self._already + now - self._began,
            rate=self._per_second(now, population),
            trails=self._trails,
            recent=[brief(event, decided, population, folder) for event, decided in self._recent],
            slots=self.slots,
            left=self._left.at(now, population) if self._left is not None else None,
            free=self._free_bytes(now, folder),
            now=time.time(),
        )

    def _free_bytes(self, now: float, folder: Path) -> int | None:
        """Return how much room there is on the disk; looked at now and then."""
        if now - self._free[0] >= DISK_SECONDS:
            free = None
            with contextlib.suppress(OSError):
                free = shutil.disk_usage(folder).free
            self._free = (now, free)
        return self._free[1]

    def _per_second(self, now: float, population: Population) -> float:
        seen, made = self._rate, reports(population)
        if population.ended is not None:
            return made / max(self._already + now - self._began, 1e-9)
        seen.append((now, made))
        while len(seen) > 2 and seen[1][0] <= now - RATE_SECONDS:
            seen.popleft()
        return max(made - seen[0][1], 0) / max(now - seen[0][0], 1e-9)
