"""The worker process: one socket, one loop. Started as a fresh interpreter by `ramet.executor.workers`."""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import os
import pickle
import signal
import sys
import time
import traceback
from typing import TYPE_CHECKING, Any, NoReturn

from ramet.core.messages import Lease
from ramet.executor.endings import CUT_OFF, REFUSED
from ramet.executor.surroundings import Streams, identity, settle
from ramet.executor.wire import Wire, assignment_of, told

if TYPE_CHECKING:
    from ramet.executor.channel import Order


class Told:
    """A session's channel over the socket. What was read too early is kept for the main loop."""

    now = staticmethod(time.perf_counter)
    at = staticmethod(time.time)
    own_process = True

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.process = os.getpid()
        self.work = -1
        self.ordered: Order | None = None
        self.early: list[Any] = []
        self._socket = identity(wire.fileno())

    def begin(self, work: int) -> None:
        """From now on, listen to what is said of ``work``."""
        self.work, self.ordered = work, None

    def send(self, message: Any) -> None:
        """Send; a controller that is gone ends this process, for workers never outlive it."""
        Streams.flush()
        self._check_socket()
        try:
            self.wire.send(told(message))
        except OSError:
            os._exit(1)

    def receive(self) -> Any:
        """Wait for the next message. User code must not have run since the socket was looked at."""
        return self.early.pop(0) if self.early else self._read()

    def _read(self) -> Any:
        try:
            return pickle.loads(self.wire.receive())
        except (EOFError, OSError):
            os._exit(0)

    def _check_socket(self) -> None:
        """User code that closed all descriptors may have a file of its own under the same number by now.

        And a process that it forked has the socket too, but is not who is meant: it would take the worker's messages.
        """
        if os.getpid() != self.process:
            print("ramet: a process that the training function forked came to report(): it ends here", file=sys.stderr)
            Streams.flush()
            os._exit(1)
        if identity(self.wire.fileno()) != self._socket:
            os._exit(CUT_OFF)

    def hand_over(self, handover: Any) -> None:
        """See `ramet.executor.channel.Channel`."""
        self.send(handover)

    def answer(self, *, at_checkpoint: bool) -> Any:
        """See `ramet.executor.channel.Channel`. A recall that crossed the handover is met by it."""
        del at_checkpoint
        while self.ordered != "stop":
            verb, work, lease = self.receive()
            if work == self.work and verb != "recall":
                self.ordered = "stop" if verb == "stop" else None
                return None if lease is None else Lease(*lease)
        return None

    def order(self) -> Order | None:
        """See `ramet.executor.channel.Channel`."""
        self._check_socket()
        while self.ordered != "stop" and self.wire.waits(0):
            message = self._read()
            if message[0] in ("stop", "recall") and message[1] == self.work:
                self.ordered = message[0]
            else:
                self.early.append(message)
        return self.ordered

    def rest(self, seconds: float) -> None:
        """See `ramet.executor.channel.Channel`."""
        self._check_socket()
        self.wire.waits(seconds)

    def refused(self) -> NoReturn:
        """See `ramet.executor.channel.Channel`."""
        os._exit(REFUSED)


def _die_with_parent() -> None:
    if sys.platform == "linux":
        with contextlib.suppress(Exception):
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def main(descriptor: int, slot: int, parent: int) -> None:
    """Serve one slot until the controller hangs up."""
    _die_with_parent()
    if os.getppid() != parent:
        os._exit(1)
    settle()
    streams = Streams()
    channel = Told(Wire(descriptor))
    sys.path[:], preload = channel.receive()
    from ramet.executor.worker import Session

    channel.send(("booted", slot))
    _, payload = channel.receive()
    try:
        for module in preload:
            importlib.import_module(module)
        function, rules = pickle.loads(payload[0])
        setup = payload[1]._replace(rules=rules)
    except BaseException:
        channel.send(("unusable", traceback.format_exc()))
        return
    channel.send(("ready", os.getpid()))
    while True:
        message = channel.receive()
        if message[0] != "start":
            continue  # an order about work that has ended meanwhile
        assignment = assignment_of(message[1], setup.store)
        streams.restore()
        channel.begin(assignment.work)
        Session(setup, assignment, channel, slot).run(function)
        channel.begin(-1)
        channel.send(("idle", assignment.work))
