"""The inside of a worker: one `Session` for one stretch of work, the same in every executor.

The session counts, times, batches rows, applies the stop rules, hands over at the end of its lease and seeds the global
generators. A `ramet.executor.channel.Channel` is its only way out.
"""

from __future__ import annotations

import contextlib
import functools
import math
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import get_ident
from typing import Any, NoReturn

import numpy as np

from ramet import memory
from ramet import session as door
from ramet.checkpoint import Checkpoint
from ramet.core.messages import COPY, Assignment, Handover, Lease, Setup, StoredCheckpoint
from ramet.draws import entropy
from ramet.errors import CheckpointError, DamageError, ReportError
from ramet.executor.batch import FLUSH_ROWS, FLUSH_SECONDS, Batch
from ramet.executor.channel import Channel
from ramet.executor.endings import raised
from ramet.executor.room import ROOM_SECONDS, lacks_room
from ramet.executor.stops import Stops, automatic
from ramet.nested import copied
from ramet.rows import SCALARS, plain
from ramet.seeding import seed_globals
from ramet.store.bundles import BUNDLES
from ramet.store.checkpoints import CheckpointStore
from ramet.store.trees import remove


class Unwind(BaseException):
    """Raised by `report` to leave the training function: its place is needed, or its work is done.

    Derived from BaseException so that ``except Exception`` in user code lets it pass.
    """


@functools.lru_cache(maxsize=8)
def _store(root: str) -> CheckpointStore:
    return CheckpointStore(root)


def _others(thread: int) -> frozenset[int | None]:
    """Return the threads that are there, but for this one."""
    return frozenset(other.ident for other in threading.enumerate()) - {thread}


class Session:
    """One stretch of work, from its checkpoint to wherever it is led.

    A simulation has ten thousand of them at once, so each is kept small.
    """

    __slots__ = (
        *("setup", "assignment", "channel", "slot", "lease", "iteration", "over", "store"),
        *("_checkpoint", "_generator", "_batch", "_add_values", "_add_seconds", "_columns", "_types"),
        *("_time_attr", "_latest_time", "_overdue_at", "_now", "_thread", "_strangers", "_trouble", "_handed_out"),
        *("_stops", "_alone_until", "_zero", "_before", "_flush_at", "_seeded_at", "_seed", "_unmixed"),
        *("_restoring", "_waiting"),
    )

    def __init__(self, setup: Setup, assignment: Assignment, channel: Channel, slot: int) -> None:
        self.setup, self.assignment, self.channel, self.slot = setup, assignment, channel, slot
        self.lease = assignment.lease
        self.iteration = assignment.iteration
        self.over = False
        self.store = _store(setup.store)
        self._checkpoint = assignment.checkpoint
        self._generator: np.random.Generator | None = None
        self._batch = batch = Batch(assignment.iteration)
        self._add_values, self._add_seconds = batch.values.extend, batch.seconds.append
        self._columns: tuple[str, ...] | None = None
        self._types: tuple[type, ...] = ()
        self._time_attr = setup.time_attr
        self._latest_time = -math.inf
        self._overdue_at = math.inf
        self._now = channel.now
        self._thread = get_ident()
        # Where functions are suspended no thread may report, whosever it is.
        self._strangers = _others(self._thread) if channel.own_process else frozenset()
        self._trouble: str | None = None
        self._handed_out: tuple[str, ...] = ()
        self._seeded_at, self._seed = -1, 0
        self._unmixed = assignment.weights != COPY
        self._restoring = self._waiting = 0.0
        self._stops = Stops(setup.rules, assignment.stopping)
        self._set_lease(assignment.lease)
        now = self._now()
        self._zero = now - assignment.elapsed
        self._before = assignment.elapsed
        self._flush_at = now + FLUSH_SECONDS
        self._look_ahead()
        self.reseed()

    # ------------------------------------------------------------------ what user code calls

    def report(self, metrics: Any, checkpoint: Checkpoint | None, pin: bool = False) -> None:
        """Take in one row. What is done here is done for every step of every member: only what cannot wait."""
        if self.over:
            self.channel.refused()
        if get_ident() != self._thread:
            self._check_thread()
        if (
            type(metrics) is not dict
            or tuple(metrics) != self._columns
            or tuple(map(type, metrics.values())) != self._types
        ):
            metrics = self._unlike_the_last(metrics)
        self._add_values(metrics.values())
        self.iteration = iteration = self.iteration + 1
        now = self._now()
        elapsed = now - self._zero
        self._add_seconds(elapsed)
        if checkpoint is None and now < self._flush_at and iteration < self._alone_until:
            return
        self._consider(metrics, elapsed, checkpoint, pin)

    def _unlike_the_last(self, metrics: Any) -> dict[str, Any]:
        """Return a row that is not just like the one before it: flat, of plain values, its columns in their order."""
        row = plain(metrics)
        columns = tuple(row)
        if self._columns is not None and columns != self._columns and row.keys() == set(self._columns):
            columns, row = self._columns, {name: row[name] for name in self._columns}
        types = tuple(map(type, row.values()))
        if columns != self._columns:
            self._batch.turn(columns, types)
            self._columns = columns
            self._look_ahead()
        elif types != self._types:
            self._batch.vary(types)
        # A list is the user's, who may change it: each is copied, so no row with one is just like another.
        self._types = types if SCALARS.issuperset(types) else ()
        return row

    def _check_thread(self) -> None:
        """A thread that this function started may report; one that an earlier function left behind may not."""
        if get_ident() in self._strangers:
            raise ReportError(
                "report() was called by a thread that another member's training function left running: end a thread "
                "before its function ends"
            )
        if not self.channel.own_process:
            self._trouble = (
                "ReportError: report() was called from another thread than the training function's, which "
                "suspended functions cannot do: use RunConfig(executor='process')"
            )
            raise ReportError(self._trouble)

    def _consider(self, row: dict[str, Any], elapsed: float, checkpoint: Checkpoint | None, pin: bool) -> None:
        """Look at the row in full: does it stop, is it a boundary, is it time to flush?"""
        if checkpoint is not None and not isinstance(checkpoint, Checkpoint):
            raise CheckpointError(
                f"report(checkpoint={type(checkpoint).__name__}) is no Checkpoint: give Checkpoint.from_dict(…) or "
                "Checkpoint.from_directory(…)"
            )
        reason = self._stops.reason(row, self.iteration, self.compute, lambda: self._with_automatic(row, elapsed))
        self._before = elapsed
        if checkpoint is not None or reason is not None or self.lease.each_report:
            self._hand_over(row, elapsed, checkpoint, pin, reason)
            return
        overdue = self._time(row, elapsed) >= self._overdue_at
        if overdue:
            self._overdue_at += max(self.lease.interval, 1e-9)
        if overdue or self._now() >= self._flush_at or len(self._batch) >= FLUSH_ROWS:
            self._flush(overdue=overdue)
            self._look_ahead()

    def _look_ahead(self) -> None:
        """Find the iteration before which no report without a checkpoint can matter."""
        by_count = self._time_attr == "training_iteration"
        self._alone_until = min(
            self._stops.iteration,
            self._stops.compute - self.assignment.compute + self.assignment.iteration,
            self._overdue_at if by_count else math.inf,
            self.iteration + FLUSH_ROWS - len(self._batch),
        )
        timed = by_count or (self._time_attr == "time_total_s" and self._overdue_at == math.inf)
        ends = self._columns is not None and "done" in self._columns
        if self._stops.look_at_each or self.lease.each_report or ends or not timed:
            self._alone_until = -math.inf

    @property
    def compute(self) -> int:
        """The member's reports so far, those of its other segments included."""
        return self.assignment.compute + self.iteration - self.assignment.iteration

    def get_checkpoint(self) -> Checkpoint | None:
        """Return the checkpoint to continue from, or the one reported last."""
        if self._checkpoint is None:
            return None
        # Training on and training again from a checkpoint must draw the same numbers, so the generators are seeded
        # at the hand-over and, here, once it has been read; but never between reports of one stretch.
        fresh = self._checkpoint is self.assignment.checkpoint and self.iteration == self.assignment.iteration
        if not fresh:
            return Checkpoint(stored=self._checkpoint)
        self.reseed()
        return Checkpoint(stored=self._checkpoint, on_read=self._reseed_after_reading, timed=self._timed)

    def weights(self) -> tuple[float, float]:
        """Return the shares of the checkpoint's and of new weights that the function is to begin with."""
        self._unmixed = False
        return self.assignment.weights if self.iteration == self.assignment.iteration else COPY

    def should_checkpoint(self) -> bool:
        """Return whether the next report would meet a decision point."""
        if self._time_attr == "training_iteration":
            return self.iteration + 1 >= self.lease.until
        if self._time_attr == "time_total_s":
            return self._now() - self._zero >= self.lease.until
        return self._latest_time >= self.lease.until

    def is_last(self) -> bool:
        """Return whether a count of reports ends the work with the next one."""
        return self.iteration + 1 >= self._stops.iteration or self.compute + 1 >= self._stops.compute

    def rng(self) -> np.random.Generator:
        """Return the stretch's own generator, seeded anew at every checkpoint."""
        if self._generator is None:
            self._generator = np.random.Generator(np.random.PCG64(self._entropy("rng")))
        return self._generator

    def checkpoint_dir(self) -> str:
        """Return a new directory that is taken over without a copy.

        Where the last checkpoint was small it lies in memory; should the next one not be, that one is copied.
        """
        small = self._checkpoint is not None and self._checkpoint.kind in BUNDLES
        directory = (memory.lent() if small else None) or str(self.store.scratch())
        self._handed_out = (*self._handed_out[-7:], directory)  # older ones became checkpoints, or are swept
        return directory

    # ------------------------------------------------------------------ seeds

    def reseed(self) -> None:
        """Seed what user code draws from, for the stretch that begins at this iteration."""
        if self._seeded_at != self.iteration:
            self._seeded_at = self.iteration
            self._seed = self._entropy("globals")
        seed_globals(self._seed)
        if self._generator is not None:
            self._generator.bit_generator.state = np.random.PCG64(self._entropy("rng")).state

    def _entropy(self, what: str) -> int:
        # Named by the checkpoint that the stretch begins with, not by when something is first drawn.
        return entropy(self.setup.seed, what, self.assignment.segment, self._seeded_at)

    def _reseed_after_reading(self) -> None:
        if self.iteration == self.assignment.iteration:
            self.reseed()

    @contextlib.contextmanager
    def _timed(self) -> Iterator[None]:
        """Count what is done meanwhile as reading the checkpoint, unless the function trains on by its end."""
        since = self._now() - self._restoring  # one reading inside another is counted once
        yield
        if self.iteration == self.assignment.iteration:
            restoring = self._now() - since
            self._zero += restoring - self._restoring
            self._restoring = restoring

    def _with_automatic(self, row: dict[str, Any], elapsed: float) -> dict[str, Any]:
        return row | automatic(self.assignment, self.iteration, self.compute, elapsed, self._before)

    # ------------------------------------------------------------------ handing over

    def _set_lease(self, lease: Lease) -> None:
        self.lease = lease
        self._overdue_at = lease.until + lease.interval if self._checkpoint is None else math.inf

    def _time(self, row: dict[str, Any], elapsed: float) -> float:
        if self._time_attr == "training_iteration":
            return self.iteration
        if self._time_attr == "time_total_s":
            return elapsed
        value = row.get(self._time_attr)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:
            if self.lease.until == math.inf:
                return -math.inf
            raise ReportError(
                f"time_attr={self._time_attr!r} is not a number among the reported metrics {sorted(row)} of member "
                f"{self.assignment.member}: report it with every row, or choose time_attr='training_iteration'"
            )
        try:
            self._latest_time = float(value)
        except OverflowError:
            raise ReportError(f"time_attr={self._time_attr!r} was reported as a number beyond all floats") from None
        return self._latest_time

    def _hand_over(
        self, row: dict[str, Any], elapsed: float, checkpoint: Checkpoint | None, pin: bool, reason: str | None
    ) -> None:
        moment = self._time(row, elapsed)
        if checkpoint is not None:
            # What saving costs is no training time of the model; a clone would inherit it.
            before = self._now()
            stored = self._packed(checkpoint)
            saving = self._now() - before
            self._zero += saving
            restoring, waiting, at = int(self._restoring * 1e9), int(self._waiting * 1e9), int(self.channel.at() * 1e9)
            spent = (self.slot, restoring, int(saving * 1e9), waiting, at)
            self._restoring = self._waiting = 0.0
            self._batch.seal(self.iteration, stored, moment, self._stops.states, pinned=pin, spent=spent)
            self._checkpoint = stored
            self._overdue_at = math.inf
        if reason is not None:
            self.over = True
            self._send(ended=reason)
            raise Unwind
        boundary = checkpoint is not None and moment >= self.lease.until
        if boundary or self.lease.each_report:
            self._wait(at_checkpoint=checkpoint is not None)
        elif self._now() >= self._flush_at or self._batch.heavy:
            self._flush(at_checkpoint=checkpoint is not None)
        if checkpoint is not None and not (self.channel.own_process and self._seeded_at == self.iteration):
            self.reseed()
        self._look_ahead()

    def _packed(self, checkpoint: Checkpoint) -> StoredCheckpoint:
        """Take the checkpoint over. On a full disk say so, and try again until there is room."""
        name = f"{self.assignment.segment:06d}-{self.iteration:08d}"
        while True:
            try:
                return checkpoint.pack(self.store, name)
            except Exception as error:
                if not lacks_room(error):
                    raise
                why = getattr(error, "strerror", None) or "no room is left"
                trouble = (
                    f"its checkpoint of iteration {self.iteration} cannot be saved in {self.store.root} ({why}); it "
                    "tries again every second, and goes on by itself when there is room"
                )
            self._stand_by(trouble)

    def _stand_by(self, trouble: str) -> None:
        """Say what is wanting, and let time pass; the rows wait with the checkpoint that belongs to them."""
        self.channel.hand_over(Handover(self.assignment.work, trouble=trouble))
        self.channel.rest(ROOM_SECONDS)
        order = self.channel.order()
        if order == "recall":
            self.channel.hand_over(Handover(self.assignment.work, waiting=True, trouble=trouble))
            self._obey_answer(at_checkpoint=False)
        elif order == "stop":
            self._leave()

    def _flush(self, *, at_checkpoint: bool = False, overdue: bool = False) -> None:
        """Hand over what there is and do as ordered: go on, wait, or leave."""
        if self.channel.order() == "recall":
            self._wait(at_checkpoint=at_checkpoint, overdue=overdue)
            return
        self._send(overdue=overdue)
        order = self.channel.order()  # a suspended function gets its orders while it hands over
        if order == "stop":
            self._leave()
        elif order == "recall":
            self._flush_at = -math.inf  # at the next report

    def _wait(self, *, at_checkpoint: bool, overdue: bool = False) -> None:
        before = self._now()
        self._send(waiting=True, overdue=overdue)
        if at_checkpoint and self.channel.own_process:
            self.reseed()  # while the answer is under way; elsewhere others would draw meanwhile
        self._obey_answer(at_checkpoint=at_checkpoint)
        now = self._now()
        self._zero += now - before
        self._waiting += now - before
        self._flush_at = now + FLUSH_SECONDS

    def _obey_answer(self, *, at_checkpoint: bool) -> None:
        lease = self.channel.answer(at_checkpoint=at_checkpoint)
        if lease is None:
            self._leave()
        self._set_lease(lease)

    def _leave(self) -> NoReturn:
        self.over = True
        raise Unwind

    def _send(
        self,
        *,
        waiting: bool = False,
        ended: str | None = None,
        error: str | None = None,
        fault: str | None = None,
        overdue: bool = False,
    ) -> None:
        blocks = self._batch.taken(self.iteration)
        unmixed = self._unmixed and self._checkpoint is not self.assignment.checkpoint
        self._unmixed = self._unmixed and not unmixed
        work = self.assignment.work
        self.channel.hand_over(Handover(work, blocks, waiting, ended, error, fault, overdue, unmixed=unmixed))
        self._flush_at = self._now() + FLUSH_SECONDS

    # ------------------------------------------------------------------ the stretch as a whole

    def run(self, function: Callable[[dict[str, Any]], Any]) -> None:
        """Call the training function and hand over how it ended. Only an interrupt comes out."""
        before = door.enter(self)
        try:
            result = function(copied(self.assignment.config))
            if isinstance(result, Iterator):
                try:
                    for row in result:
                        self.report(row, None)
                finally:
                    getattr(result, "close", int)()  # so that the generator's own finally blocks run now
            elif result is not None:
                self.report(result, None)
            if self._trouble is not None and not self.over:
                raise ReportError(self._trouble)
            if not self.over:
                self.over = True
                self._send(ended="the function returned")
        except Unwind:
            pass
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            if not self.over:
                self.over = True
                self._send(error=raised(error, __file__), fault=self._fault(error))
        finally:
            door.leave(before)
            for directory in self._handed_out:  # what became a checkpoint is not there any more
                remove(Path(directory))

    def _fault(self, error: BaseException) -> str | None:
        """Return whose fault it is, as far as that says what to do next."""
        if isinstance(error, DamageError):
            started_from = self.assignment.checkpoint
            return "checkpoint" if started_from is not None and self._checkpoint is started_from else None
        return "report" if isinstance(error, (ReportError, CheckpointError)) else None
