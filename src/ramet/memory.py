"""Folders in memory for checkpoints that are small: a file on some disks costs a hundred times as much.

Each is removed by whoever made it. A process that is killed cannot see to that, so their names tell whose they are, and
whoever comes next removes those of the dead.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""Where memory looks like a folder; None where it does not: then it is the folder for temporary files."""

ROOM = 32 * 2**20
"""Bytes that must be free there for somebody else to write into it: memory can be little, and is everybody's."""

_LENT = "-lent"
_count = itertools.count()


def made(ending: str = "") -> str:
    """Make a new empty folder, which the caller removes; return its path."""
    while True:
        path = f"{_prefix(os.getpid())}{next(_count)}{ending}"
        with contextlib.suppress(FileExistsError):  # of a dead process that had our number
            os.mkdir(path, 0o700)
            return path


def lent() -> str | None:
    """Make a folder to be filled by user code, if that really is in memory, and there is room; None if not."""
    if ROOT is None:
        return None
    free = os.statvfs(ROOT)
    return made(_LENT) if free.f_bavail * free.f_frsize >= ROOM else None


def is_lent(path: str | os.PathLike[str]) -> bool:
    """Return whether ``path`` is a folder that this process has lent."""
    path, prefix = os.fspath(path), _prefix(os.getpid())
    return path.startswith(prefix) and path.endswith(_LENT) and "/" not in path[len(prefix) :]


@contextlib.contextmanager
def folder() -> Iterator[str]:
    """Give a new folder for a ``with`` block."""
    path = made()
    try:
        yield path
    finally:
        _removed(path)


def sweep() -> list[str]:
    """Remove the folders of processes of ours that are dead; return their names."""
    gone = []
    mine = re.compile(rf"ramet-{_space()}-(\d+)-[\w-]+")
    with contextlib.suppress(OSError), os.scandir(ROOT or tempfile.gettempdir()) as entries:
        for entry in entries:
            named = mine.fullmatch(entry.name)
            if named is not None and entry.is_dir(follow_symlinks=False) and not _is_alive(int(named[1])):
                with contextlib.suppress(OSError):
                    if entry.stat(follow_symlinks=False).st_uid == os.getuid() and _removed(entry.path):
                        gone.append(entry.name)
    return gone


def _removed(path: str) -> bool:
    from ramet.store.trees import remove  # here, for workers are started before the store is loaded

    return remove(Path(path))


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _prefix(process: int) -> str:
    return _prefix_in(ROOT or tempfile.gettempdir(), process)


@functools.lru_cache(maxsize=8)
def _prefix_in(root: str, process: int) -> str:
    return f"{root}/ramet-{_space()}-{process}-"


def _space() -> str:
    """Return what tells processes of one number apart: containers may share memory and not see each other."""
    with contextlib.suppress(OSError):
        return re.sub(r"\D", "", os.readlink("/proc/self/ns/pid"))
    return "0"
