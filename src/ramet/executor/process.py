"""Long-lived local workers, one to a slot: fresh interpreters, never forked; their deaths are noticed and survived."""

from __future__ import annotations

import contextlib
import math
import os
import pickle
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

import cloudpickle

from ramet.core.messages import Assignment, Handover, Lease, Setup
from ramet.errors import ConfigError, TrainableError
from ramet.executor.base import Output
from ramet.executor.child import REFUSED
from ramet.resources import Slots
from ramet.space import flatten
from ramet.trainable import pickled

PIPELINED = 1 << 15
"""Bytes that a socket takes without anybody reading, with room to spare."""

UNWIND_SECONDS = 30.0
"""How long a function may take to leave after it was told to stop, before its process is ended."""

LOOK_SECONDS = 0.2
"""How often it is looked whether a worker is gone that did not hang up."""

TRIES = 3
"""How many workers in a row may die before they are ready, until the run is given up."""

_BOOT = "import sys; from ramet.executor.child import main; main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))"


@dataclass(slots=True)
class _Worker:
    """One slot's process: what it works on, what it was told to leave, what waits for it."""

    slot: int
    process: subprocess.Popen[bytes]
    connection: Connection
    output: int
    ready: bool = False
    work: int | None = None
    member: int | None = None
    assignment: Assignment | None = None
    pending: bytes = b""
    leaving: dict[int, float] = field(default_factory=dict)
    tail: bytes = b""


class ProcessExecutor:
    """Runs members in worker processes, one to a slot; several members share a slot in turn.

    Args:
        slots: how many workers; by default as many as the capacity (`ramet.init`) holds of the trainable's resources
            (`ramet.with_resources`), but no more than there are members.

    A worker sees the GPUs of its slot alone, by ``CUDA_VISIBLE_DEVICES``; slots with a fraction of a GPU share it.

    >>> from ramet import RunConfig
    >>> RunConfig(executor=ProcessExecutor(slots=4)).executor
    ProcessExecutor(slots=4)
    """

    interactive = False

    def __init__(self, slots: int | None = None) -> None:
        if slots is not None and (isinstance(slots, bool) or not isinstance(slots, int) or slots < 1):
            raise ConfigError(f"ProcessExecutor(slots={slots!r}) must be a whole number of workers, at least 1")
        self.slots = slots
        self._workers: dict[int, _Worker] = {}
        self._slot_of: dict[int, int] = {}
        self._selector: selectors.BaseSelector | None = None
        self._devices: list[str | None] = []
        self._stillborn = 0
        self._look_at = 0.0
        self._trainable = b""
        self._payload: tuple[bytes, Setup] | None = None

    def __repr__(self) -> str:
        return f"ProcessExecutor(slots={self.slots})" if self.slots else "ProcessExecutor()"

    def prepare(self, trainable: Any, founders: Sequence[Mapping[str, Any]], rules: Sequence[Any]) -> None:
        """Pickle the trainable and the stop rules, and count the slots.

        Raises:
            TrainableError: the trainable cannot be pickled; the message names what in it cannot.
            ConfigError: what a member needs is more than there is, or a configuration cannot be pickled.
        """
        self._trainable = pickled(trainable, rules)
        for config in founders:
            for name, value in flatten(config).items():
                _check_can_be_sent(name, value)
        self._count_slots(trainable, len(founders))

    def _count_slots(self, trainable: Any, members: int) -> None:
        found = Slots.of(trainable, limit=members) if self.slots is None else Slots.of(trainable, count=self.slots)
        self._devices = found.devices

    def open(self, setup: Setup, trainable: Any, members: int) -> None:
        """Start the workers; they import while the run is being set up."""
        if not self._trainable:
            self.prepare(trainable, (), setup.rules)
            self._count_slots(trainable, members)
        self._payload, self._trainable = (self._trainable, setup._replace(rules=())), b""
        self._selector = selectors.DefaultSelector()
        for slot in range(len(self._devices)):
            self._spawn(slot)

    def capacity(self) -> Sequence[int]:
        """Return the numbers of the slots."""
        return range(len(self._devices))

    def start(self, slot: int, assignment: Assignment) -> None:
        """Send the assignment; a worker that still unwinds reads it when it has."""
        worker = self._workers[slot]
        worker.work, worker.member, worker.assignment = assignment.work, assignment.member, assignment
        self._slot_of[assignment.work] = slot
        # A configuration may hold functions and objects of __main__, which only cloudpickle sends by value.
        dumps = pickle.dumps if _is_plain(assignment.config) else cloudpickle.dumps
        worker.pending = dumps(("start", assignment), protocol=5)
        self._send_pending(worker)

    def _send_pending(self, worker: _Worker) -> None:
        """Send the start that waits, as soon as it cannot block: to a worker that reads, or in a few bytes.

        A worker that still unwinds does not read, and may itself be blocked in printing.
        """
        if worker.pending and worker.ready and (not worker.leaving or len(worker.pending) <= PIPELINED):
            data, worker.pending = worker.pending, b""
            self._send(worker, data)

    def proceed(self, work: int, lease: Lease) -> None:
        """Send the new lease."""
        self._send(self._workers[self._slot_of[work]], pickle.dumps(("proceed", work, lease), protocol=5))

    def stop(self, work: int) -> None:
        """Tell the worker to unwind, and from now on ignore what it says of this work."""
        slot = self._slot_of.pop(work, None)
        if slot is None:
            return
        worker = self._workers[slot]
        if worker.work == work:
            worker.work = None
            if worker.pending:  # it never began
                worker.pending = b""
                return
        worker.leaving[work] = time.monotonic() + UNWIND_SECONDS
        self._send(worker, pickle.dumps(("stop", work, None), protocol=5))

    def poll(self, timeout: float) -> list[Handover | Output]:
        """Wait for the first message, then take all that is there."""
        assert self._selector is not None
        self._end_the_unwilling()
        came: list[Handover | Output] = []
        for key, _ in self._selector.select(timeout):
            worker: _Worker = key.data
            if self._workers.get(worker.slot) is not worker:
                continue
            if key.fd == worker.output:
                self._read_output(worker, came)
            else:
                self._read_messages(worker, came)
        if time.monotonic() >= self._look_at:
            self._look_at = time.monotonic() + LOOK_SECONDS
            self._look_for_the_dead(came)
        return came

    def close(self) -> None:
        """Hang up. Workers at work are killed; those that only have their ``finally`` blocks to run get time for it."""
        for worker in self._workers.values():
            if self._selector is not None:
                self._selector.unregister(worker.connection.fileno())
            worker.connection.close()
        for worker in self._workers.values():
            self._bury(worker, patience=0.0 if worker.work is not None else UNWIND_SECONDS)
        self._workers.clear()
        if self._selector is not None:
            self._selector.close()

    # ------------------------------------------------------------------

    def _spawn(self, slot: int) -> None:
        assert self._selector is not None
        ours, theirs = socket.socketpair()
        reading, writing = os.pipe()
        environment = dict(os.environ, PYTHONUNBUFFERED="")
        devices = self._devices[slot]
        if devices is not None:
            environment["CUDA_VISIBLE_DEVICES"] = devices
        # The interpreter must find this very ramet, wherever it was imported from.
        here = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [here, environment.get("PYTHONPATH")]))
        process = subprocess.Popen(
            [sys.executable, "-c", _BOOT, str(theirs.fileno()), str(slot), str(os.getpid())],
            stdin=subprocess.DEVNULL,
            stdout=writing,
            stderr=writing,
            pass_fds=(theirs.fileno(),),
            env=environment,
        )
        theirs.close()
        os.close(writing)
        os.set_blocking(reading, False)
        connection = Connection(ours.detach())
        worker = _Worker(slot, process, connection, reading)
        self._workers[slot] = worker
        self._selector.register(connection.fileno(), selectors.EVENT_READ, worker)
        self._selector.register(reading, selectors.EVENT_READ, worker)

    def _send(self, worker: _Worker, data: bytes) -> None:
        # A worker that has just died is noticed at the next poll, by its end of file.
        with contextlib.suppress(OSError):
            worker.connection.send_bytes(data)

    def _read_messages(self, worker: _Worker, came: list[Handover | Output]) -> None:
        self._read_output(worker, came)  # what was printed before the message was sent
        try:
            data = worker.connection.recv_bytes()
        except (EOFError, OSError):
            self._died(worker, came)
        else:
            self._take(worker, pickle.loads(data), came)

    def _take(self, worker: _Worker, message: Any, came: list[Handover | Output]) -> None:
        if isinstance(message, Handover):
            if message.work == worker.work:
                came.append(message)
                if message.ended is not None or message.error is not None:
                    self._slot_of.pop(message.work, None)
                    worker.work = None
                    worker.leaving[message.work] = time.monotonic() + UNWIND_SECONDS
            return
        verb, what = message
        if verb == "booted":  # only now does it read what may be large
            preload = [name for name in ("ramet.compat.ray_installed",) if name in sys.modules]
            self._send(worker, pickle.dumps(("setup", list(sys.path), preload, self._payload), protocol=5))
        elif verb == "ready":
            worker.ready = True
            self._send_pending(worker)
        elif verb == "idle":
            worker.leaving.pop(what, None)
            self._send_pending(worker)
        elif verb == "unusable":
            raise TrainableError(f"a worker cannot load the training function:\n{what}")

    def _read_output(self, worker: _Worker, came: list[Handover | Output]) -> None:
        """Take whole lines; what a line lacks waits for its end."""
        try:
            data = os.read(worker.output, 1 << 16)
        except BlockingIOError:
            return
        if not data and self._selector is not None:
            with contextlib.suppress(KeyError):
                self._selector.unregister(worker.output)
        text = worker.tail + data
        cut = text.rfind(b"\n") + 1
        if len(text) - cut > 1 << 16:
            cut = len(text)
        worker.tail = text[cut:]
        if cut:
            came.append(Output(worker.slot, worker.member, text[:cut].decode(errors="replace")))

    def _died(self, worker: _Worker, came: list[Handover | Output]) -> None:
        """A worker is gone: say so of its work, and start another in its place."""
        del self._workers[worker.slot]
        status = self._bury(worker, patience=1.0)
        self._stillborn = 0 if worker.ready else self._stillborn + 1
        if self._stillborn >= TRIES:
            raise TrainableError(
                f"{TRIES} workers in a row died before they could start, the last of {_how(status)}: "
                f"{worker.tail.decode(errors='replace').strip() or 'it said nothing'}"
            )
        self._spawn(worker.slot)
        if worker.work is not None and (worker.leaving or not worker.ready):
            # It died of what it should have left, or of nothing at all; the work that waited is innocent.
            assert worker.assignment is not None
            self.start(worker.slot, worker.assignment)
        elif worker.work is not None:
            self._slot_of.pop(worker.work, None)
            told = worker.tail.decode(errors="replace")
            came.append(
                Handover(worker.work, error=f"the worker process died: {_how(status)}{': ' + told if told else ''}")
            )

    def _look_for_the_dead(self, came: list[Handover | Output]) -> None:
        """Notice a worker that is gone though its socket is open: a process that it forked may hold it."""
        for worker in list(self._workers.values()):
            if worker.process.poll() is not None and not worker.connection.poll(0):
                self._died(worker, came)

    def _end_the_unwilling(self) -> None:
        now = time.monotonic()
        for worker in list(self._workers.values()):
            if worker.leaving and min(worker.leaving.values()) < now:
                worker.process.kill()
                worker.leaving = dict.fromkeys(worker.leaving, math.inf)  # its death is noticed like any other

    def _bury(self, worker: _Worker, patience: float) -> int:
        if self._selector is not None:
            for key in [key for key in self._selector.get_map().values() if key.data is worker]:
                self._selector.unregister(key.fileobj)
        worker.connection.close()
        try:
            status = worker.process.wait(patience)
        except subprocess.TimeoutExpired:
            worker.process.kill()
            status = worker.process.wait()
        with contextlib.suppress(OSError):
            worker.tail += os.read(worker.output, 1 << 16)
        os.close(worker.output)
        return status


def _check_can_be_sent(name: str, value: Any) -> None:
    if _is_plain(value):
        return
    try:
        cloudpickle.dumps(value, protocol=5)
    except Exception as error:
        raise ConfigError(
            f"param_space has {value!r:.80} at {name!r}, which cannot be sent to a worker ({type(error).__name__}: "
            f"{error}): create it in the training function, or use RunConfig(executor='inline')"
        ) from error


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_is_plain, value.values()))
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    return value is None or type(value) in (str, int, float, bool)


def _how(status: int) -> str:
    if status == REFUSED:
        return "its function caught the exception that ends it, and went on reporting"
    if status < 0:
        with contextlib.suppress(ValueError):
            return f"signal {-status} ({signal.Signals(-status).name})"
    return f"exit status {status}"
