"""What training functions print, and what ends them, in log files of the run that name the member."""

from __future__ import annotations

import contextlib
from datetime import datetime
from pathlib import Path
from typing import TextIO

NAME = "members.log"
ERRORS = "errors.log"


def lines(member: int | None, text: str) -> list[str]:
    """Return the lines of ``text``, each with the name of who printed it."""
    who = "worker" if member is None else f"member {member}"
    return [f"[{who}] {line}" for line in text.splitlines()]


class MemberLogs:
    """The file ``members.log`` in the run's folder; made when the first line comes."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self._file: TextIO | None = None

    def write(self, member: int | None, text: str) -> None:
        """Append what ``member`` printed."""
        if self._file is None:
            self._file = self._path.open("a", encoding="utf-8", errors="replace")
        self._file.write("\n".join(lines(member, text)) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


class ErrorLog:
    """The file ``errors.log`` in the run's folder: every failure's whole traceback; made when the first comes."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / ERRORS

    def write(self, member: int, iteration: int, error: str) -> None:
        """Append why ``member`` failed. What cannot be written is left out: no run ends of that."""
        told = f"{datetime.now():%Y-%m-%d %H:%M:%S}  member {member} failed at iteration {iteration}:"
        with contextlib.suppress(OSError), self._path.open("a", encoding="utf-8", errors="replace") as file:
            file.write(f"{told}\n{error.rstrip()}\n\n")
