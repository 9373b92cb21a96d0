"""What training functions print, and what ends them, in log files of the run that name the member."""

from __future__ import annotations

import contextlib
import os
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

NAME = "members.log"
ERRORS = "errors.log"

LIMIT = 16 << 20
"""Bytes after which `NAME` becomes ``members.log.1`` and a new one begins: who prints without end fills no disk."""


def lines(member: int | None, text: str) -> list[str]:
    """Return the lines of ``text``, each with the name of who printed it."""
    who = "worker" if member is None else f"member {member}"
    return [f"[{who}] {line}" for line in text.splitlines()]


class MemberLogs:
    """The file ``members.log`` in the run's folder; made when the first line comes.

    What cannot be written, for the disk is full or the folder gone, is left out: no run ends of that.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self._file: BinaryIO | None = None

    def write(self, member: int | None, text: str) -> None:
        """Append what ``member`` printed."""
        told = "\n".join(lines(member, text)) + "\n"
        try:
            self._append(told.encode(errors="replace"))
        except OSError:
            self.close()

    def _append(self, data: bytes) -> None:
        if self._file is not None and self._file.tell() + len(data) > LIMIT:
            self.close()
            os.replace(self._path, f"{self._path}.1")
        if self._file is None:
            self._file = self._path.open("ab", buffering=0)
        self._file.write(data)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None


class ErrorLog:
    """The file ``errors.log`` in the run's folder: every failure's whole traceback; made when the first comes."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / ERRORS

    def write(self, member: int, iteration: int, error: str) -> None:
        """Append why ``member`` failed. What cannot be written is left out: no run ends of that."""
        told = f"{datetime.now():%Y-%m-%d %H:%M:%S}  member {member} failed at iteration {iteration}:"
        with contextlib.suppress(OSError), self._path.open("a", encoding="utf-8", errors="replace") as file:
            file.write(f"{told}\n{error.rstrip()}\n\n")
