"""The same process, the same thread: members are suspended functions; ``breakpoint()`` works, nothing is pickled."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NoReturn

import greenlet

from ramet import session as door
from ramet.core.messages import Assignment, Handover, Lease, Setup
from ramet.errors import ConfigError
from ramet.executor.base import Output
from ramet.executor.channel import Order
from ramet.executor.worker import Session
from ramet.seeding import preserved
from ramet.trainable import loaded


class Work:
    """One suspended function, and its session's channel: to hand over is to switch to the controller."""

    __slots__ = (
        "assignment",
        "executor",
        "greenlet",
        "lease",
        "recalled",
        "rests_until",
        "session",
        "slot",
        "told_to_stop",
        "waits",
    )
    own_process = False

    def __init__(self, executor: InlineExecutor, slot: int, assignment: Assignment) -> None:
        self.executor, self.slot, self.assignment = executor, slot, assignment
        self.told_to_stop = self.recalled = self.waits = False
        self.rests_until = 0.0
        self.lease: Lease | None = None
        self.session: Session | None = None
        self.greenlet = greenlet.greenlet(self._run)

    def _run(self) -> None:
        assert self.executor.setup is not None
        self.session = Session(self.executor.setup, self.assignment, self, self.slot)
        self.session.run(self.executor.function)

    def resume(self) -> None:
        """Let the function run until it hands over."""
        self.greenlet.parent = greenlet.getcurrent()
        before = door.enter(self.session)
        try:
            self.greenlet.switch()
        finally:
            door.leave(before)

    def hand_over(self, handover: Handover) -> None:
        """See `ramet.executor.channel.Channel`. Whoever does not wait is the first to go on."""
        if not self.told_to_stop:
            self.executor.came.append(handover)
        if not handover.waiting and handover.ended is None and handover.error is None:
            self.executor.queue.appendleft(self)
            self.pause()

    def answer(self, *, at_checkpoint: bool) -> Lease | None:
        """See `ramet.executor.channel.Channel`."""
        self.waits, self.recalled = True, False
        if at_checkpoint:  # the session seeds the global generators anew when it goes on
            self._away()
        else:
            self.pause()
        return None if self.told_to_stop else self.lease

    def order(self) -> Order | None:
        """See `ramet.executor.channel.Channel`."""
        if self.told_to_stop:
            return "stop"
        return "recall" if self.recalled else None

    def rest(self, seconds: float) -> None:
        """See `ramet.executor.channel.Channel`. The others go on meanwhile."""
        self.rests_until = time.monotonic() + seconds
        self.executor.queue.append(self)
        self.pause()

    def now(self) -> float:
        """See `ramet.executor.channel.Channel`."""
        return time.perf_counter()

    def at(self) -> float:
        """See `ramet.executor.channel.Channel`."""
        return time.time()

    def refused(self) -> NoReturn:
        """See `ramet.executor.channel.Channel`: a function that will not unwind is never switched to again."""
        while True:
            self._away()

    def pause(self) -> None:
        """Give the controller its turn; it, and the user's callbacks in it, may draw."""
        with preserved():
            self._away()

    def _away(self) -> None:
        parent = self.greenlet.parent
        assert parent is not None
        parent.switch()


class InlineExecutor:
    """Runs members one at a time in this very thread, each as a suspended function.

    Args:
        slots: how many functions are suspended side by side; by default one for each member, so that none is ever
            called again but to become a clone. With fewer, members share slots, and go on from their checkpoints.

    Use it to debug (``breakpoint()`` stops in your function, exceptions have their own frames) and where a process
    costs more than a step. What functions print goes to the terminal as it is.

    >>> from ramet import RunConfig
    >>> RunConfig(executor=InlineExecutor(slots=2)).executor
    InlineExecutor(slots=2)
    """

    interactive = True
    kills = False
    together = False

    def __init__(self, slots: int | None = None) -> None:
        if slots is not None and (isinstance(slots, bool) or not isinstance(slots, int) or slots < 1):
            raise ConfigError(f"{type(self).__name__}(slots={slots!r}) must be a whole number, at least 1")
        self.slots = slots
        self.setup: Setup | None = None
        self.came: list[Handover | Output] = []
        self.queue: deque[Work] = deque()
        self.works: dict[int, Work] = {}
        self._count = 0
        self._callers = contextlib.ExitStack()  # the generators of whoever called fit()

    def __reduce__(self) -> Any:
        return type(self), (self.slots,)  # what it was asked for, not what it is at

    def __repr__(self) -> str:
        return f"{type(self).__name__}({f'slots={self.slots}' if self.slots else ''})"

    def prepare(
        self,
        trainable: Any,
        founders: Sequence[Mapping[str, Any]],
        rules: Sequence[Any],
        mutable: Collection[str] = (),
    ) -> None:
        """Nothing needs to be sent anywhere, so nothing is refused."""

    def open(self, setup: Setup, trainable: Any, members: int) -> None:
        """Keep the function; nothing else is needed."""
        self.setup, self.function = setup, loaded(trainable)
        self._count = min(self.slots or members, members)
        self._callers.enter_context(preserved())

    def capacity(self) -> Sequence[int]:
        """Return the numbers of the slots."""
        return range(self._count)

    def start(self, slot: int, assignment: Assignment) -> None:
        """Make a suspended function; the next poll runs it."""
        work = self._make(slot, assignment)
        self.works[assignment.work] = work
        self.queue.append(work)

    def _make(self, slot: int, assignment: Assignment) -> Work:
        return Work(self, slot, assignment)

    def proceed(self, work: int, lease: Lease) -> None:
        """Let the next poll go on with it."""
        answered = self.works[work]
        answered.lease, answered.waits = lease, False
        self.queue.append(answered)

    def stop(self, work: int) -> None:
        """Unwind the function now, so that its ``finally`` blocks run before anything else does."""
        stopped = self.works.pop(work, None)
        if stopped is not None:
            stopped.told_to_stop = True
            if not stopped.waits:  # else it is not in the queue, which may be long
                with contextlib.suppress(ValueError):
                    self.queue.remove(stopped)
            if stopped.session is not None and not stopped.greenlet.dead:
                stopped.resume()

    def recall(self, work: int) -> None:
        """Let it wait at its next flush."""
        recalled = self.works.get(work)
        if recalled is not None and not recalled.waits:
            recalled.recalled = True

    def poll(self, timeout: float) -> list[Handover | Output]:
        """Run one function until it hands over."""
        if self.queue:
            self._run_next(timeout)
        came, self.came = self.came, []
        for handover in came:
            if isinstance(handover, Handover) and (handover.ended is not None or handover.error is not None):
                self.works.pop(handover.work, None)
        return came

    def _run_next(self, timeout: float) -> None:
        """Run the first that does not rest; if all do, rest with them."""
        for work in self.queue:
            if not work.rests_until or work.rests_until <= time.monotonic():
                break
        else:
            rest = min(work.rests_until for work in self.queue) - time.monotonic()
            time.sleep(max(0.0, min(timeout, rest)))
            return
        self.queue.remove(work)
        work.rests_until = 0.0
        work.resume()

    def close(self) -> None:
        """Unwind every function that is still suspended."""
        for work in list(self.works):
            self.stop(work)
        self.queue.clear()
        self._callers.close()
