"""Pins: while somebody on this machine uses a checkpoint, nobody on it removes the local copy.

A pin is a lock on a small file beside the checkpoints, which goes with the process that holds it. Where a file system
knows no such locks, pins hold within one process alone.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
from pathlib import Path

PINS = ".pins"

_TAKEN = (errno.EAGAIN, errno.EACCES)


class Pin:
    """A lock on a checkpoint's name: shared by those who use it, held alone by who brings it or removes it."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path, self._descriptor = path, descriptor

    @classmethod
    def take(cls, root: Path, final: str, *, alone: bool = False) -> Pin | None:
        """Return a pin on ``final``, None if somebody else's is in the way. It never waits."""
        path = root / PINS / final
        path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
            try:
                fcntl.flock(descriptor, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno in _TAKEN:
                    os.close(descriptor)
                    return None
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), os.stat(path, follow_symlinks=False)):
                    return cls(path, descriptor)
            os.close(descriptor)  # who held it alone has removed the file meanwhile

    def release(self, *, remove: bool = False) -> None:
        """Let go of it; who held it alone, and removed the checkpoint, removes its file too."""
        if remove:
            with contextlib.suppress(OSError):
                os.unlink(self._path)
        os.close(self._descriptor)
