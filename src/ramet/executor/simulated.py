"""Virtual time: slots of different speeds and seeded failures, for tests and for studying strategies."""

from __future__ import annotations

import functools
import heapq
import itertools
from typing import Any

from ramet.core.messages import Assignment, Handover, Lease, Setup
from ramet.draws import generator
from ramet.errors import ConfigError
from ramet.executor.base import Output
from ramet.executor.inline import InlineExecutor, Work


class _Timed(Work):
    """A function on a slot's virtual clock: each report takes ``duration`` seconds of it, however long it took."""

    __slots__ = ("_from", "_zero", "doomed", "duration", "simulation")

    def __init__(self, executor: SimulatedExecutor, slot: int, assignment: Assignment) -> None:
        super().__init__(executor, slot, assignment)
        self.simulation = executor
        self.duration = executor.duration(slot)
        self.doomed = executor.dooms(assignment)
        self._zero = executor.time
        self._from = assignment.iteration

    def now(self) -> float:
        """See `ramet.executor.channel.Channel`."""
        at = self._from if self.session is None else self.session.iteration
        return self._zero + (at - self._from) * self.duration

    def at(self) -> float:
        """See `ramet.executor.channel.Channel`."""
        return self.now()

    def resume(self) -> None:
        """Go on at the simulation's present."""
        if self.session is not None and self.now() < self.simulation.time:
            self._zero, self._from = self.simulation.time, self.session.iteration
        super().resume()

    def hand_over(self, handover: Handover) -> None:
        """Put the handover where it belongs in time, and go on when that has come."""
        if self.told_to_stop:
            return
        if self.doomed:
            handover = Handover(handover.work, error="simulated failure: the worker died")
        self.simulation.at(self.now(), self, handover)
        if self.doomed:
            self._away()  # for good: a dead worker is never switched to again
        elif not handover.waiting and handover.ended is None and handover.error is None:
            self.pause()

    def rest(self, seconds: float) -> None:
        """Rest in virtual time, and on the clock too, for a disk is what it is."""
        self._zero += seconds
        super().rest(seconds)


class SimulatedExecutor(InlineExecutor):
    """Runs the real functions, but tells of them in the order in which slots of their speeds would have.

    Args:
        slots: how many members train at once; by default all.
        seconds: virtual seconds that one report takes on a slot of speed 1, above 0.
        spread: standard deviation of the logarithm of the slots' speeds, at least 0; 0 makes all alike, 1 makes some
            several times as fast as others.
        failures: chance in [0, 1] that a stretch of work (from a start or an answer on) dies before it hands over.
        seed: of speeds and failures, apart from the run's own.

    ``time`` is the virtual time in seconds. Synchronous runs end the same at any speed; asynchronous ones repeat
    exactly, which no clock lets them do elsewhere.

    >>> from ramet import RunConfig
    >>> RunConfig(executor=SimulatedExecutor(slots=4, spread=0.5, failures=0.01)).executor
    SimulatedExecutor(slots=4)
    """

    def __init__(
        self,
        slots: int | None = None,
        *,
        seconds: float = 0.001,
        spread: float = 0.0,
        failures: float = 0.0,
        seed: int = 0,
    ) -> None:
        super().__init__(slots)
        if not seconds > 0 or not spread >= 0 or not 0 <= failures <= 1:
            raise ConfigError(
                f"SimulatedExecutor(seconds={seconds}, spread={spread}, failures={failures}): seconds must be above 0, "
                "spread at least 0, and failures a probability"
            )
        self.seconds, self.spread, self.failures, self.seed = seconds, spread, failures, seed
        self.time = 0.0
        self._speeds: dict[int, float] = {}
        self._heap: list[tuple[float, int, Work, Handover]] = []
        self._count_up = itertools.count()

    def __reduce__(self) -> Any:
        more: dict[str, Any] = {name: getattr(self, name) for name in ("seconds", "spread", "failures", "seed")}
        return functools.partial(type(self), self.slots, **more), ()

    def open(self, setup: Setup, trainable: Any, members: int) -> None:
        """Begin at virtual time 0."""
        super().open(setup, trainable, members)
        self.time, self._heap = 0.0, []

    def duration(self, slot: int) -> float:
        """Return the virtual seconds that one report takes in ``slot``."""
        if not self.spread:
            return self.seconds
        if slot not in self._speeds:
            self._speeds[slot] = float(generator(self.seed, "speed", slot).lognormal(0.0, self.spread))
        return self.seconds / self._speeds[slot]

    def dooms(self, assignment: Assignment) -> bool:
        """Return whether this stretch of work dies."""
        if not self.failures:
            return False
        return bool(generator(self.seed, "failure", assignment.work).random() < self.failures)

    def at(self, time: float, work: Work, handover: Handover) -> None:
        """Let ``handover`` come in at ``time``."""
        heapq.heappush(self._heap, (time, next(self._count_up), work, handover))

    def proceed(self, work: int, lease: Lease) -> None:
        """Answer; the answered stretch may be doomed too."""
        timed = self.works[work]
        if isinstance(timed, _Timed) and self.failures:
            at = timed.assignment.iteration if timed.session is None else timed.session.iteration
            timed.doomed = bool(generator(self.seed, "failure", work, at).random() < self.failures)
        super().proceed(work, lease)

    def poll(self, timeout: float) -> list[Handover | Output]:
        """Run everybody up to where they hand over, then return what comes in first in virtual time."""
        while self.queue:
            self._run_next(timeout)
        while self._heap:
            time, _, work, handover = heapq.heappop(self._heap)
            if self.works.get(handover.work) is work:
                self.time = max(self.time, time)
                if handover.ended is not None or handover.error is not None:
                    del self.works[handover.work]
                elif not handover.waiting:
                    self.queue.append(work)
                return [handover]
        return []

    def _make(self, slot: int, assignment: Assignment) -> Work:
        return _Timed(self, slot, assignment)
