"""The worker process: one socket, one loop. Started as a fresh interpreter by `ramet.executor.process`."""

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
from multiprocessing.connection import Connection
from typing import Any, NoReturn

REFUSED = 97
"""Exit status of a worker whose training function would not unwind."""


class Told:
    """A session's channel over the socket. What was read too early is kept for the main loop."""

    now = staticmethod(time.perf_counter)
    threads = True

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.work = -1
        self.early: list[Any] = []

    def send(self, message: Any) -> None:
        """Send; a controller that is gone ends this process, for workers never outlive it."""
        _flush()
        try:
            self.connection.send_bytes(pickle.dumps(message, protocol=5))
        except OSError:
            os._exit(1)

    def receive(self) -> Any:
        """Wait for the next message."""
        if self.early:
            return self.early.pop(0)
        try:
            return pickle.loads(self.connection.recv_bytes())
        except (EOFError, OSError):
            os._exit(0)

    def hand_over(self, handover: Any) -> None:
        """See `ramet.executor.worker.Channel`."""
        self.send(handover)

    def answer(self, *, at_checkpoint: bool) -> Any:
        """See `ramet.executor.worker.Channel`."""
        del at_checkpoint
        while True:
            verb, work, lease = self.receive()
            if work == self.work:
                return lease if verb == "proceed" else None

    def stopped(self) -> bool:
        """See `ramet.executor.worker.Channel`."""
        while self.connection.poll(0):
            message = self.receive()
            if message[0] == "stop" and message[1] == self.work:
                return True
            self.early.append(message)
        return False

    def refused(self) -> NoReturn:
        """See `ramet.executor.worker.Channel`."""
        os._exit(REFUSED)


def _flush() -> None:
    """What was printed goes out before the message that follows it, so that it is told to the right member."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()


def _die_with_parent() -> None:
    if sys.platform == "linux":
        with contextlib.suppress(Exception):
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def main(descriptor: int, slot: int, parent: int) -> None:
    """Serve one slot until the controller hangs up."""
    _die_with_parent()
    if os.getppid() != parent:
        os._exit(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the controller's to handle
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    told = Told(Connection(descriptor))
    told.send(("booted", slot))
    _, paths, preload, payload = told.receive()
    sys.path[:] = paths
    from ramet.executor.worker import Session

    try:
        for module in preload:
            importlib.import_module(module)
        function, rules = pickle.loads(payload[0])
        setup = payload[1]._replace(rules=rules)
    except BaseException:
        told.send(("unusable", traceback.format_exc()))
        return
    told.send(("ready", os.getpid()))
    while True:
        message = told.receive()
        if message[0] != "start":
            continue  # an order about work that has ended meanwhile
        assignment = message[1]
        told.work = assignment.work
        Session(setup, assignment, told, slot).run(function)
        told.work = -1
        told.send(("idle", assignment.work))
