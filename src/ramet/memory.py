"""Folders in memory for checkpoints that are small: a file on some disks costs a hundred times as much.

Each is gone when its ``with`` block ends. A process that is killed cannot see to that, so their names tell whose they
are, and whoever comes next removes those of the dead.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from pathlib import Path

ROOT = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""Where memory looks like a folder; None where it does not: then it is the folder for temporary files."""


def folder() -> tempfile.TemporaryDirectory[str]:
    """Return a new folder, for a ``with`` block."""
    return tempfile.TemporaryDirectory(prefix=f"ramet-{_space()}-{os.getpid()}-", dir=ROOT)


def sweep() -> list[str]:
    """Remove the folders of processes of ours that are dead; return their names."""
    gone = []
    mine = re.compile(rf"ramet-{_space()}-(\d+)-\w+")
    with contextlib.suppress(OSError), os.scandir(ROOT or tempfile.gettempdir()) as entries:
        for entry in entries:
            named = mine.fullmatch(entry.name)
            if named is not None and entry.is_dir(follow_symlinks=False) and not _is_alive(int(named[1])):
                with contextlib.suppress(OSError):
                    if entry.stat(follow_symlinks=False).st_uid == os.getuid():
                        shutil.rmtree(entry.path, ignore_errors=True)
                        gone.append(Path(entry.path).name)
    return gone


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _space() -> str:
    """Return what tells processes of one number apart: containers may share memory and not see each other."""
    with contextlib.suppress(OSError):
        return re.sub(r"\D", "", os.readlink("/proc/self/ns/pid"))
    return "0"
