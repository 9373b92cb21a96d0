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

from ramet.core.messages import PLACE, Handover, Lease, Setup
from ramet.errors import RametError, TrainableError
from ramet.executor.base import Output
from ramet.executor.ray.courier import CACHE, Bringing, made, place_of
from ramet.executor.wire import flat
from ramet.executor.workers import UNWIND_SECONDS, Workers
from ramet.store.depot import Depot
from ramet.store.remote import Remote

LISTEN_SECONDS = 0.5
"""How long a turn waits for something that cannot wait; rows are gathered meanwhile."""

CLOSING_SECONDS = 5.0
"""How long a function may take to leave once the run is over."""


class Where(NamedTuple):
    """Where an actor is: its node, by identifier and by name, and whether it sees what it has to.

    ``root`` is the folder of the node's own copies of checkpoints, None where they lie in the run's folder.
    """

    node: str
    host: str
    sees: bool
    root: str | None = None


class Sign(NamedTuple):
    """By what a node knows whether it sees the run's folder: a path that was made there, by which host."""

    path: str
    host: str


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
        self.depot: Depot | None = None
        self.bringing: Bringing | None = None
        self.brought: Bringing | None = None
        self.workers = Workers([None], first=slot)
        self.workers.preload = list(preload)
        self.workers.spawn()  # it imports until it is told what to serve

    def serve(self, trainable: bytes, setup: Setup, sign: Sign) -> Where | str:
        """Load the training function; return where this is, or why it cannot be done here."""
        host, root = socket.gethostname(), None
        sees = os.path.isdir(sign.path) and os.access(sign.path, os.W_OK)
        try:
            if setup.home is not None:
                if not sees or host != sign.host or CACHE in os.environ:
                    root = str(made(place_of(setup.home)))
                    setup = setup._replace(store=root)
                remote = Remote(str(setup.home))
                remote.check()  # this node has credentials of its own, or none
                self.depot = Depot(setup.store, remote, setup.cache)
            self.workers.serve(trainable, setup)
            while not self.workers.ready:
                self.workers.poll(LISTEN_SECONDS)
        except RametError as error:
            return f"node {host}: {error}"
        return Where(ray.get_runtime_context().get_node_id(), host, sees or root is not None, root)

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
            self._start(work, *more)
        elif verb == "proceed":
            self.working = work
            self.workers.proceed(work, Lease(*more))
        elif verb == "recall":
            self.workers.recall(work)
        else:
            self.working = None
            if self.bringing is not None:
                self.bringing.abandon()
                self.bringing = None
            self.workers.stop(work)

    def _start(self, work: int, member: int, message: bytes, final: str | None) -> None:
        """Begin, or first bring the checkpoint that it is to start from."""
        if self.brought is not None:
            self.brought.release()
            self.brought = None
        if final is None or self.depot is None:
            self.workers.begin(self.workers.first, work, member, message)
        else:
            self.bringing = Bringing(self.depot, final, (work, member, message))

    def _listen(self, seconds: float, came: list[tuple[Any, ...]]) -> bool:
        """Gather what comes within ``seconds``; return whether it wants an answer, or is bad news."""
        urgent = False
        if self.bringing is not None:
            if not self.bringing.done.wait(seconds):
                return False
            arrived, self.bringing = self.bringing, None
            if arrived.error:
                fault = "checkpoint" if arrived.damaged else PLACE
                came.append(flat(Handover(arrived.beginning[0], error=arrived.error, fault=fault)))
                self.working = None
                return True
            self.brought, seconds = arrived, 0.0
            self.workers.begin(self.workers.first, *arrived.beginning)
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
        if self.depot is not None:
            self.depot.close()
        with contextlib.suppress(OSError):
            sys.stdout.flush()
