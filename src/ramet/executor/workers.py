"""Worker processes of this machine, one to a slot: started, spoken to, watched; their deaths are survived."""

from __future__ import annotations

import contextlib
import math
import pickle
import selectors
import sys
import time
from collections.abc import Sequence
from typing import Any

from ramet import memory
from ramet.core.messages import Assignment, Handover, Lease, Setup
from ramet.errors import TrainableError
from ramet.executor.base import Output
from ramet.executor.batch import FLUSH_SECONDS
from ramet.executor.endings import death, hang, how
from ramet.executor.surroundings import ASK
from ramet.executor.wire import heard, told
from ramet.executor.workerprocess import WorkerProcess

PIPELINED = 1 << 15
"""Bytes that a socket takes without anybody reading, with room to spare."""

UNWIND_SECONDS = 30.0
"""How long a function may take to leave after it was told to stop, before its process is ended."""

LOOK_SECONDS = 0.2
"""How often it is looked whether a worker is gone that did not hang up, or hangs."""

LATE_SECONDS = 1.0
"""How late such a look may be; more than that is time in which nobody listened, and no worker's silence."""

TRIES = 3
"""How many workers in a row may die in one slot before they are ready, until the run is given up."""

ANSWER_SECONDS = 0.5
"""How long a worker that hangs has to tell its stack, before it is ended."""


class Workers:
    """Fresh interpreters, never forked, one to a slot; several members share a slot in turn.

    ``devices`` is by slot the GPUs that its worker may see (None: all that this process does); ``first`` is the number
    of the first slot.
    """

    def __init__(self, devices: Sequence[str | None] = (), first: int = 0) -> None:
        self.devices, self.first = devices, first
        self.preload = [name for name in ("ramet.compat.ray_installed",) if name in sys.modules]
        self._workers: dict[int, WorkerProcess] = {}
        self._slot_of: dict[int, int] = {}
        self._holding: list[WorkerProcess] = []
        self._selector: selectors.BaseSelector | None = None
        self._stillborn: dict[int, int] = {}
        self._look_at = math.inf
        self._timeout = math.inf
        self._payload: tuple[bytes, Setup] | None = None

    def serve(self, trainable: bytes, setup: Setup) -> None:
        """Let the workers load the pickled training function and rules; start those that are not started yet."""
        self._payload = (trainable, setup._replace(rules=()))
        self._timeout = math.inf if setup.report_timeout_s is None else setup.report_timeout_s
        memory.sweep()  # what a killed run left there
        self._look_at = time.monotonic() + LOOK_SECONDS
        self.spawn()

    @property
    def ready(self) -> bool:
        """Whether all workers have loaded the training function."""
        return all(worker.ready for worker in self._workers.values())

    def capacity(self) -> Sequence[int]:
        """Return the numbers of the slots."""
        return range(self.first, self.first + len(self.devices))

    def start(self, slot: int, assignment: Assignment) -> None:
        """Send the assignment; a worker that still unwinds reads it when it has."""
        from ramet.executor import pickling

        self.begin(slot, assignment.work, assignment.member, pickling.start(assignment))

    def begin(self, slot: int, work: int, member: int, message: bytes) -> None:
        """Send an assignment that has been pickled, for ``work`` of ``member``."""
        worker = self._workers[slot]
        worker.work, worker.member, worker.beginning = work, member, message
        worker.recalled, worker.silent_from, worker.asked_at = False, math.inf, None
        self._slot_of[work] = slot
        worker.pending = message
        self._send_pending(worker)

    def _send_pending(self, worker: WorkerProcess) -> None:
        """Send the start that waits, as soon as it cannot block: to a worker that reads, or in a few bytes.

        A worker that still unwinds does not read, and may itself be blocked in printing.
        """
        if worker.pending and worker.ready and (not worker.leaving or len(worker.pending) <= PIPELINED):
            data, worker.pending = worker.pending, b""
            worker.send(data)
            if worker.recalled:
                worker.send(_message("recall", worker.work))
            if not worker.leaving:
                worker.heard()

    def proceed(self, work: int, lease: Lease) -> None:
        """Send the new lease."""
        worker = self._workers[self._slot_of[work]]
        worker.heard()
        worker.send(_message("proceed", work, lease))

    def recall(self, work: int) -> None:
        """Tell the worker, once, to wait at its next report."""
        slot = self._slot_of.get(work)
        if slot is None or self._workers[slot].recalled:
            return
        worker = self._workers[slot]
        worker.recalled = True
        if not worker.pending:  # else it follows the start
            worker.send(_message("recall", work))

    def stop(self, work: int) -> None:
        """Tell the worker to unwind, and from now on ignore what it says of this work."""
        slot = self._slot_of.pop(work, None)
        if slot is None:
            return
        worker = self._workers[slot]
        if worker.work == work:
            worker.work = worker.asked_at = None
            if worker.pending:  # it never began
                worker.pending = b""
                return
        worker.leaves(work, time.monotonic() + UNWIND_SECONDS)
        worker.wire.hold(_message("stop", work))  # mostly another start follows at once
        self._holding.append(worker)

    def poll(self, timeout: float) -> list[Handover | Output]:
        """Wait for the first message, then take all that is there."""
        assert self._selector is not None
        self._release()
        self._end_the_unwilling()
        came: list[Handover | Output] = []
        found = [key for key, _ in self._selector.select(timeout)]
        # Output first: what was printed before a message is there as soon as that is.
        found.sort(key=lambda key: key.fd != key.data.output)
        for key in found:
            worker: WorkerProcess = key.data
            if self._workers.get(worker.slot) is not worker:
                continue
            if key.fd == worker.output:
                self._read_output(worker, came)
            else:
                self._read_messages(worker, came)
        if time.monotonic() >= self._look_at:
            self._look(came)
        return came

    def close(self, patience: float = UNWIND_SECONDS) -> None:
        """Hang up. Workers at work are killed; those that only have ``finally`` blocks to run get some seconds."""
        self._release()
        for worker in self._workers.values():
            self._deaf_to(worker)
            worker.wire.close()
        for worker in self._workers.values():
            worker.bury(patience=patience if worker.ready and worker.work is None else 0.0)
        self._workers.clear()
        memory.sweep()  # what those that were killed left there
        if self._selector is not None:
            self._selector.close()

    # ------------------------------------------------------------------

    def _release(self) -> None:
        while self._holding:
            self._holding.pop().release()

    def spawn(self, limit: int | None = None) -> None:
        """Start the workers, or the first ``limit``: they import until they are told what to serve."""
        if not self._workers:
            self._selector = selectors.DefaultSelector()
        for slot in self.capacity()[len(self._workers) : limit]:
            self._spawn(slot)

    def _spawn(self, slot: int) -> None:
        assert self._selector is not None
        worker = self._workers[slot] = WorkerProcess.spawn(slot, self.devices[slot - self.first])
        worker.send(told((sys.path, self.preload)))
        self._selector.register(worker.wire.fileno(), selectors.EVENT_READ, worker)
        self._selector.register(worker.output, selectors.EVENT_READ, worker)

    def _deaf_to(self, worker: WorkerProcess) -> None:
        if self._selector is not None:
            for key in [key for key in self._selector.get_map().values() if key.data is worker]:
                self._selector.unregister(key.fileobj)

    def _read_messages(self, worker: WorkerProcess, came: list[Handover | Output]) -> None:
        while True:
            try:
                data = worker.wire.receive()
            except (EOFError, OSError):
                self._died(worker, came)
                return
            self._take(worker, pickle.loads(data), came)
            if not worker.wire.holds_more:
                return
            self._read_output(worker, came)  # what was printed between the two

    def _take(self, worker: WorkerProcess, message: tuple[Any, ...], came: list[Handover | Output]) -> None:
        verb, what = message[:2]
        if verb == "handover":
            if what == worker.work:
                handover = heard(message)
                came.append(handover)
                worker.heard(waits=handover.waiting or handover.trouble is not None)
                worker.recalled = worker.recalled and not handover.waiting
                if handover.ended is not None or handover.error is not None:
                    self._slot_of.pop(what, None)
                    worker.work = None
                    worker.leaves(what, time.monotonic() + UNWIND_SECONDS)
        elif verb == "booted":  # only now does it read what may be large
            worker.send(told(("setup", self._payload)))
        elif verb == "ready":
            worker.ready = True
            self._send_pending(worker)
        elif verb == "idle":
            worker.leaving.pop(what, None)
            if worker.pending:
                self._send_pending(worker)
            elif worker.work is not None and not worker.leaving:
                worker.heard()
        elif verb == "unusable":
            raise TrainableError(f"a worker cannot load the training function:\n{what}")

    def _read_output(self, worker: WorkerProcess, came: list[Handover | Output]) -> None:
        text, more = worker.read()
        if text:
            came.append(Output(worker.slot, worker.member, text))
        if not more and self._selector is not None:
            with contextlib.suppress(KeyError):
                self._selector.unregister(worker.output)

    def _died(self, worker: WorkerProcess, came: list[Handover | Output]) -> None:
        """A worker is gone: say so of its work, and start another in its place."""
        del self._workers[worker.slot]
        self._deaf_to(worker)
        status, text = worker.bury(patience=1.0)
        if text:
            came.append(Output(worker.slot, worker.member, text))
        tries = self._stillborn[worker.slot] = 0 if worker.ready else self._stillborn.get(worker.slot, 0) + 1
        memory.sweep()
        if tries >= TRIES:
            raise TrainableError(
                f"{TRIES} workers in a row died before they could start, the last of {how(status)}: "
                f"{worker.last_words().strip() or 'it said nothing'}"
            )
        self._spawn(worker.slot)
        if worker.work is not None and (worker.leaving or not worker.ready):
            # It died of what it should have left, or of nothing at all; the work that waited is innocent.
            assert worker.member is not None
            self.begin(worker.slot, worker.work, worker.member, worker.beginning)
            if worker.recalled:
                self.recall(worker.work)
        elif worker.work is not None:
            self._slot_of.pop(worker.work, None)
            words = worker.last_words()
            told = death(status, words) if worker.asked_at is None else hang(self._timeout, words)
            came.append(Handover(worker.work, error=told))

    def _look(self, came: list[Handover | Output]) -> None:
        """Notice a worker that is gone though its socket is open, for a process that it forked may hold it, or hangs.

        The hang of one that has been asked where it is, and has had time to answer, is ended.
        """
        now = time.monotonic()
        missed = max(0.0, now - self._look_at - LATE_SECONDS)
        self._look_at = now + LOOK_SECONDS
        for worker in list(self._workers.values()):
            if worker.wire.waits(0):
                continue
            worker.silent_from += missed
            # A row may lie in the worker for as long as a flush.
            silent = now - worker.silent_from > self._timeout + FLUSH_SECONDS
            if worker.process.poll() is not None:
                self._died(worker, came)
            elif worker.asked_at is not None and now - worker.asked_at > ANSWER_SECONDS:
                worker.process.kill()  # its death is noticed like any other
            elif silent and worker.asked_at is None and worker.work is not None and not worker.leaving:
                worker.words, worker.asked_at = b"", now
                worker.process.send_signal(ASK)

    def _end_the_unwilling(self) -> None:
        now = time.monotonic()
        for worker in list(self._workers.values()):
            if worker.leaving and min(worker.leaving.values()) < now:
                worker.process.kill()
                worker.leaving = dict.fromkeys(worker.leaving, math.inf)  # its death is noticed like any other


def _message(verb: str, work: int | None, lease: Lease | None = None) -> bytes:
    return told((verb, work, None if lease is None else tuple(lease)))
