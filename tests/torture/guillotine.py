"""A process that dies right before, or right after, the k-th step by which a run changes its folder."""

from __future__ import annotations

import functools
import os
import shutil
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ramet.running  # noqa: F401 - now, and not in every fork
from ramet import sealed
from ramet.store.checkpoints import CheckpointStore
from ramet.store.ledger import Ledger

DEAD = 9

STEPS: tuple[tuple[Any, str], ...] = (
    *((Ledger, name) for name in ("create", "resume", "rebuild", "commit", "sync", "close")),
    *((CheckpointStore, name) for name in ("scratch", "commit", "delete", "sweep")),
    (sealed, "write"),
    *((os, name) for name in ("mkdir", "rename", "replace", "fsync", "unlink", "rmdir")),
    (shutil, "rmtree"),
    (shutil, "copy2"),
)
"""What changes a folder, from the coarse to the fine: each is a step of its own, and so are those inside it."""


class Guillotine:
    """Counts the moments before and after each step; falls at moment ``at`` (1 is the first, 0 never comes)."""

    def __init__(self, at: int, synced: Path) -> None:
        self.at, self.synced = at, synced
        self.moments: list[str] = []

    def mount(self) -> None:
        """From now on, in this process, count."""
        for owner, name in STEPS:
            found = owner.__dict__[name]
            if isinstance(found, classmethod | staticmethod):
                setattr(owner, name, type(found)(self._around(owner, name, found.__func__)))
            else:
                setattr(owner, name, self._around(owner, name, found))

    def _around(self, owner: Any, name: str, step: Callable[..., Any]) -> Callable[..., Any]:
        label = f"{getattr(owner, '__name__', owner)}.{name}"

        @functools.wraps(step)
        def counted(*args: Any, **kwargs: Any) -> Any:
            self._moment(f"before {label}")
            result = step(*args, **kwargs)
            if label == "Ledger.sync":  # what a power cut cannot take any more
                path = Path(f"{args[0].path}-wal")
                self.synced.write_text(str(path.stat().st_size if path.exists() else 0))
            self._moment(f"after {label}")
            return result

        return counted

    def _moment(self, label: str) -> None:
        self.moments.append(label)
        if len(self.moments) == self.at:
            os._exit(DEAD)


def beheaded(work: Callable[[], Any], at: int, beside: Path) -> tuple[int, list[str]]:
    """Do ``work`` in a fork that dies at moment ``at``; return its status and the moments that it lived to tell.

    Files of its own go to the folder ``beside``.
    """
    told, error, synced = beside / "moments", beside / "error", beside / "synced"
    told.unlink(missing_ok=True)
    synced.write_text("0")
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            guillotine = Guillotine(at, synced)
            guillotine.mount()
            work()
            guillotine.at = 0
            told.write_text("\n".join(guillotine.moments))
            status = 0
        except BaseException:
            error.write_text(traceback.format_exc())
        finally:
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status not in (0, DEAD):
        raise RuntimeError(error.read_text() if error.exists() else f"exit status {status}")
    return status, told.read_text().split("\n") if told.exists() else []
