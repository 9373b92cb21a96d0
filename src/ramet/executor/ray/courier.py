"""A node's own copies of large checkpoints, where the run is kept at a URL: who brings them there, and who sends them.

Each node has one courier, an actor that sends what was committed on the node, so that a lost slot holds up no sending.
What a slot's next work starts from is brought by the slot itself, in a thread beside its turns.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import threading
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

from ramet.errors import CheckpointError, StorageError
from ramet.store.depot import Depot
from ramet.store.remote import Remote
from ramet.store.trees import remove

CACHE = "RAMET_CACHE"
"""The variable of a node that names the folder for its copies; a temporary one by default."""

PATIENCE_SECONDS = 3600.0
"""How long a start waits for a checkpoint that another node sends. The controller ends that, should it be lost."""

COPIES = "checkpoints"


class Sent(NamedTuple):
    """What a courier tells: the checkpoints that are in the store by now, those that never will be, and bytes moved."""

    sent: list[str]
    lost: dict[str, str]
    bytes: int


class Courier:
    """The actor that sends a node's checkpoints.

    Args:
        root: the folder of the node's copies.
        home: the URL at which the run is kept.
        cache: bytes that copies may take, None for no limit.
    """

    def __init__(self, root: str, home: str, cache: int | None) -> None:
        self.depot = Depot(root, Remote(home), cache)

    def send(self, names: Collection[str]) -> None:
        """Send these, in the background."""
        for final in names:
            self.depot.send(final)

    def told(self) -> Sent:
        """Return what has come of it since the last call."""
        return Sent(self.depot.sent(), self.depot.lost, self.depot.remote.sent)

    def forget(self, names: Collection[str]) -> None:
        """Delete the copies of what is kept no more."""
        for final in names:
            self.depot.forget(final)

    def close(self) -> None:
        """Stop sending. What is all in the store needs no copies here."""
        if not self.depot.close():
            remove(self.depot.store.root.parent)


class Bringing:
    """A checkpoint on its way to where work begins; once it is ``done``, it is there or ``error`` says why not."""

    def __init__(self, depot: Depot, final: str, beginning: tuple[Any, ...]) -> None:
        self.final, self.beginning, self.error = final, beginning, ""
        self.damaged = self.abandoned = False
        self.done = threading.Event()
        self._depot, self._lock = depot, threading.Lock()
        threading.Thread(target=self._bring, name="ramet-bringing", daemon=True).start()

    def _bring(self) -> None:
        try:
            self._depot.fetch(self.final, patience=PATIENCE_SECONDS)
        except CheckpointError as error:
            self.error, self.damaged = str(error), True
        except (StorageError, OSError) as error:
            self.error = str(error)
        with self._lock:
            self.done.set()
            if self.abandoned:
                self.release()

    def abandon(self) -> None:
        """Nobody waits for it any more: let go of it as soon as it comes."""
        with self._lock:
            self.abandoned = True
            if self.done.is_set():
                self.release()

    def release(self) -> None:
        """Let the copy go, should it be here and room be wanted."""
        if not self.error:
            self._depot.release(self.final)


def place_of(home: str) -> Path:
    """Return the folder of this node's copies of the run at ``home``."""
    own = Path(tempfile.gettempdir(), f"ramet-cache-{os.getuid()}")
    return Path(os.environ.get(CACHE) or own, hashlib.sha256(home.encode()).hexdigest()[:16], COPIES)


def made(root: Path) -> Path:
    """Make the folder of copies, for this user alone: nobody else is to put a checkpoint there."""
    root.parent.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with contextlib.suppress(OSError):
        if root.parent.parent.stat().st_uid != os.getuid():
            raise CheckpointError(f"{root.parent.parent} is somebody else's: set {CACHE} to a folder of yours")
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    return root
