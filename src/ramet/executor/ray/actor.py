"""What runs on a node: an actor with one worker process, which is told what to do and listened to in turns.

User code never runs in the actor itself. What ends a function ends its worker, as on one machine, and the actor tells
of it and starts another in a fraction of a second; only what ends the actor too, or its node, is a lost slot.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import socket
import sys
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import ray

from ramet.core.messages import Handover, Lease, Setup
from ramet.errors import TrainableError
from ramet.executor.base import Output
from ramet.executor.wire import flat
from ramet.executor.workers import UNWIND_SECONDS, Workers

LISTEN_SECONDS = 0.5
"""How long a turn waits for something that cannot wait; rows are gathered meanwhile."""

CLOSING_SECONDS = 5.0
"""How long a function may take to leave once the run is over."""


class Where(NamedTuple):
    """Where an actor is: its node, by identifier and by name, and whether the run's folder is there too."""

    node: str
    host: str
    sees: bool


class Place:
    """The actor of one slot.

    Args:
        slot: its number.
        path: where the controller looks for modules.
        folder: its working directory, which is taken here too where it is there.
        environment: variables that its worker is to have.
        preload: modules that the worker needs before all others.
    """

    def __init__(
        self, slot: int, path: Sequence[str], folder: str | None, environment: dict[str, str], preload: Sequence[str]
    ) -> None:
        os.environ.update(environment, RAY_ADDRESS=ray.get_runtime_context().gcs_address)
        if folder is not None and os.path.isdir(folder):
            os.chdir(folder)
        there = [entry for entry in path if os.path.exists(entry)]
        sys.path[:] = [*there, *(entry for entry in sys.path if entry not in there)]
        self.working: int | None = None
        self.workers = Workers([None], first=slot)
        self.workers.preload = list(preload)
        self.workers.spawn()  # it imports until it is told what to serve

    def serve(self, trainable: bytes, setup: Setup, sign: str | None) -> Where | str:
        """Load the training function; return where this is, or why the function cannot be loaded.

        ``sign`` is a path that the controller has made in the run's folder.
        """
        try:
            self.workers.serve(trainable, setup)
            while not self.workers.ready:
                self.workers.poll(LISTEN_SECONDS)
        except TrainableError as error:
            return str(error)
        return Where(
            ray.get_runtime_context().get_node_id(),
            socket.gethostname(),
            sign is None or (os.path.isdir(sign) and os.access(sign, os.W_OK)),
        )

    def turn(self, said: Sequence[bytes]) -> bytes:
        """Pass on what is said, and return what comes, as soon as it cannot wait: a pickled list of tuples."""
        for each in said:
            self._pass_on(*pickle.loads(each))
        came: list[tuple[Any, ...]] = []
        until = time.monotonic() + LISTEN_SECONDS
        while True:
            urgent = self._listen(max(0.0, until - time.monotonic()), came)
            if urgent or self.working is None or time.monotonic() >= until:
                return pickle.dumps(came, protocol=5)

    def _pass_on(self, verb: str, work: int, *more: Any) -> None:
        if verb == "start":
            self.working = work
            self.workers.begin(self.workers.first, work, *more)
        elif verb == "proceed":
            self.working = work
            self.workers.proceed(work, Lease(*more))
        elif verb == "recall":
            self.workers.recall(work)
        else:
            self.working = None
            self.workers.stop(work)

    def _listen(self, seconds: float, came: list[tuple[Any, ...]]) -> bool:
        """Gather what comes within ``seconds``; return whether it wants an answer, or is bad news."""
        urgent = False
        try:
            for message in self.workers.poll(seconds):
                if isinstance(message, Output):
                    came.append(("output", message.member, message.text))
                elif isinstance(message, Handover):
                    over = message.ended is not None or message.error is not None
                    if over or message.waiting:
                        self.working = None
                    urgent |= over or message.waiting or message.trouble is not None
                    came.append(flat(message))
        except TrainableError as error:
            came.append(("unusable", str(error)))
            return True
        return urgent

    def close(self) -> None:
        """End the worker; a function that only has its ``finally`` blocks to run gets some time for it."""
        self.workers.close(patience=min(CLOSING_SECONDS, UNWIND_SECONDS))
        with contextlib.suppress(OSError):
            sys.stdout.flush()
