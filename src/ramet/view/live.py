"""What a run says while it goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ramet.core.events import Event
from ramet.core.population import Population


class Display:
    """Says nothing; the base of those that do."""

    def start(self, folder: Path, population: Population) -> None:
        """The run in ``folder`` begins."""

    def update(self, population: Population, running: Mapping[int, Any]) -> None:
        """Something may have changed; called often, so it must be cheap. ``running`` holds works with member and slot."""

    def events(self, events: Sequence[Event], population: Population) -> None:
        """These were committed."""

    def output(self, member: int | None, text: str) -> None:
        """``member`` printed whole lines."""

    def close(self, population: Population) -> None:
        """The run is over: say what came of it."""


def display_for(verbose: int | bool | None, interactive: bool) -> Display:
    """Return the display for this terminal, or lack of one."""
    return Display()
