"""The whole population as rows of one program."""

from __future__ import annotations

import gc
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ramet.core.messages import Assignment, Block, Handover, Lease, Saved, Setup
from ramet.errors import ConfigError, ReportError
from ramet.executor.base import Output
from ramet.executor.endings import raised
from ramet.executor.room import ROOM_SECONDS, lacks_room
from ramet.executor.vector.cohort import Cohort, program_of, vector_trainable
from ramet.executor.vector.held import Held, is_part
from ramet.executor.vector.values import Values
from ramet.executor.vector.work import Told, Work
from ramet.executor.vector.writer import Stored, Writer

MOST = 1000
"""Reports in one dispatch, at most: their metrics wait on the device."""

Ending = tuple[Work, Block, str | None]
"""What a work has done in a dispatch, and why it is over, if it is."""


class VectorExecutor:
    """Trains all members at once, as rows of one compiled program (`ramet.VectorTrainable`).

    A lease's steps are one dispatch for the whole population. A member that becomes a clone gets the donor's row
    written over its own, on the device; nobody else's row is touched. Scores come out and indices go in; decisions,
    ledger and lineage are those of every other executor, and are written while the device trains on.

    Args:
        rows: how many members are on the device at once, by default all. With fewer, they take turns, and their states
            wait in this process's memory; results are the same.
        devices: what to share the members out over: devices of the framework (``jax.devices()``), or how many of them.
            By default the first.
        checkpoint_every: at every how many decision points the states of all members are written to disk, while
            training goes on; at the end they always are. A run that is killed goes back to the last one, and comes to
            the same. A larger number writes less; until then checkpoints are in memory alone, and only the latest of
            each member is there.

    Members that are ready at the same time decide at the same time, also under strategies that wait for nobody: here
    all come to their decision points together.

    >>> from ramet import RunConfig
    >>> RunConfig(executor=VectorExecutor(checkpoint_every=5)).executor
    VectorExecutor(checkpoint_every=5)
    """

    interactive = True
    kills = False
    together = True

    def __init__(self, rows: int | None = None, *, devices: Any = None, checkpoint_every: int = 10) -> None:
        for name, given in (("rows", rows), ("checkpoint_every", checkpoint_every)):
            if not (name == "rows" and given is None) and (type(given) is not int or given < 1):
                raise ConfigError(f"VectorExecutor({name}={given!r}) must be a whole number, at least 1")
        self.rows, self.devices, self.checkpoint_every = rows, devices, checkpoint_every
        self._mutable: Collection[str] = ()
        self._founders: Sequence[Mapping[str, Any]] = ()
        self._writer: Writer | None = None
        self._members = 0
        self._paused_gc = False

    def __reduce__(self) -> Any:
        devices = self.devices if isinstance(self.devices, int) else None  # the others are of this process
        return _made, (self.rows, devices, self.checkpoint_every)

    def __repr__(self) -> str:
        given = {"rows": self.rows, "devices": self.devices, "checkpoint_every": self.checkpoint_every}
        told = [f"{name}={value!r}" for name, value in given.items() if value is not None]
        return f"VectorExecutor({', '.join(told)})"

    # ------------------------------------------------------------------ before and after

    def prepare(
        self,
        trainable: Any,
        founders: Sequence[Mapping[str, Any]],
        rules: Sequence[Any],
        mutable: Collection[str] = (),
    ) -> None:
        """Trace the trainable's functions, without training anything.

        Raises:
            ConfigError: it is no `VectorTrainable`, its framework is not installed, or the devices are not there.
            TrainableError: the functions cannot be mapped: they fail, or a hyperparameter that differs between members
                decides a shape or a branch.
        """
        del rules
        self._mutable, self._founders = mutable, founders
        known = vector_trainable(trainable)
        program = program_of(known, Values(founders, mutable), 1, 0, self.devices)
        self.reported = program.reported
        for part in known.weights:
            if not any(is_part(name, (part,)) for name in program.names()):
                raise ConfigError(
                    f"VectorTrainable(weights={known.weights}): nothing in the state that init returns is called "
                    f"{part!r}; it has {', '.join(program.names())}"
                )

    def open(self, setup: Setup, trainable: Any, members: int) -> None:
        """Compile, and make room for the members' rows."""
        known = vector_trainable(trainable)
        self._setup, self._members = setup, members
        self._cohort = Cohort(known, self._founders, self._mutable, members, self.rows, self.devices, setup.seed)
        self._held = Held(self._cohort, known.weights)
        self._writer = Writer(setup.store, self._cohort.program.names())
        self._works: dict[int, Work] = {}
        self._starting: list[Work] = []
        self._going: list[Work] = []  # what the dispatch under way trains
        self._dispatched = self._waited = 0.0
        self._endings: list[Ending] = []  # what a dispatch has come to, and is not yet handed over
        self._said: list[Handover] = []
        self._columns = tuple(self.reported)  # "done" ends a member in its own report, from the first one on
        self._row_of: dict[int, int] = {}
        self._boundaries = 0

    def close(self) -> None:
        """Give everything back; what is being written is finished first."""
        self._go_on_with_gc()
        if self._writer is not None:
            self._writer.close()
            del self._cohort, self._held
            self._writer = None

    def capacity(self) -> Sequence[int]:
        """Return the numbers of the rows."""
        return range(self._members)

    # ------------------------------------------------------------------ orders

    def start(self, slot: int, assignment: Assignment) -> None:
        """Let the next dispatch begin with it."""
        del slot  # a member keeps its row
        work = Work(self._setup, assignment, self._place(assignment.member))
        self._works[assignment.work] = work
        self._starting.append(work)

    def _place(self, member: int) -> int:
        if member not in self._row_of:
            free = set(range(self._members)) - set(self._row_of.values())
            self._row_of[member] = member if member in free else min(free)
        return self._row_of[member]

    def proceed(self, work: int, lease: Lease) -> None:
        """Let the next dispatch go on with it."""
        answered = self._works[work]
        answered.lease, answered.waiting, answered.recalled = lease, False, False

    def stop(self, work: int) -> None:
        """Forget it. Its row stays as it is until somebody trains in it."""
        stopped = self._works.pop(work, None)
        if stopped is not None:
            stopped.over = True

    def recall(self, work: int) -> None:
        """Let it wait at its next report."""
        recalled = self._works.get(work)
        if recalled is not None and not recalled.waiting:
            recalled.recalled = True

    # ------------------------------------------------------------------ work

    def set_off(self) -> None:
        """Dispatch what has leave to go on, and do not wait for it: there is a ledger to write meanwhile."""
        if self._going or self._endings:
            return
        going, begun = self._settled()
        if going:
            self._dispatch(going, begun)
        self._go_on_with_gc()

    def _dispatch(self, going: list[Work], begun: list[Work]) -> None:
        reports = int(min(MOST, *(work.left(self._columns) for work in going)))
        self._held.put_aside(going, self._works.values())
        self._held.use_up({work.row for work in going})
        self._going, self._dispatched = going, time.perf_counter()
        try:
            self._held.mix(begun)
            self._cohort.train([work.row for work in going], [work.iteration for work in going], reports)
        except Exception as error:
            self._fail(going, error)

    def _go_on_with_gc(self) -> None:
        if self._paused_gc:
            gc.enable()
        self._paused_gc = False

    def _settled(self) -> tuple[list[Work], list[Work]]:
        """Bring those that start to their rows; return all that go on, and those of them that have begun."""
        starting, self._starting = [work for work in self._starting if not work.over], []
        ready: list[Work] = []
        for work in starting:
            try:
                self._cohort.set(work.row, work.assignment.segment, work.assignment.config)
                ready.append(work)
            except Exception as error:
                self._end(work, error, "report")
        try:
            for work, lost in self._held.settle(ready) if ready else ():
                self._end(work, lost, "checkpoint")
        except Exception as error:
            self._fail(list(self._works.values()), error)
        return [work for work in self._works.values() if not work.waiting], [work for work in ready if not work.over]

    def _end(self, work: Work, error: BaseException, fault: str | None) -> None:
        work.over = True
        self._works.pop(work.assignment.work, None)
        self._said.append(Handover(work.assignment.work, error=raised(error, __file__), fault=fault))

    def _fail(self, works: Sequence[Work], error: BaseException) -> None:
        """Hand over an error of all: what was in the rows is used up."""
        self._going, self._endings = [], []
        self._held.use_up(range(self._members))
        self._cohort.lose()
        for work in works:
            if not work.over:
                self._end(work, error, "report" if isinstance(error, ReportError) else None)

    def poll(self, timeout: float) -> list[Handover | Output | Saved]:
        """Wait for the dispatch under way, and return what it makes known.

        What became durable meanwhile is told before anything that happened since: between the two is the place that a
        resume goes back to.
        """
        self.set_off()
        if self._going and not self._endings:
            try:
                if (stored := self._the_writer().finished()) is not None:
                    return [self._saved(stored)]
            except OSError as error:
                self._trouble(self._going[0], error)
            self._collect()
        came: list[Handover | Output | Saved] = [*self._said]
        self._said = []
        return came + (self._handed_over(timeout) if self._endings else [])

    def _collect(self) -> None:
        """Wait for the device, and see what has come of everybody."""
        going = [work for work in self._going if not work.over]
        try:
            told = Told.of(self._cohort.metrics())
            seconds = time.perf_counter() - self._dispatched
            self._columns = told.columns
            # Cycles are looked for while the device trains, not while it waits: a tenth of a second, at times.
            self._paused_gc = self._paused_gc or gc.isenabled()
            gc.disable()
            self._endings = [(work, *work.take_in(told, seconds)) for work in going]
            self._going = []
        except Exception as error:
            self._fail(going, error)

    def _handed_over(self, timeout: float) -> list[Handover | Output | Saved]:
        """Return what is handed over, once the states of those that end are on disk."""
        now = time.perf_counter()
        last = [work for work, _, reason in self._endings if reason is not None]
        stored: Stored = {}
        if last:
            try:
                names = [work.name for work in last]
                stored = self._the_writer().now(names, self._cohort.read([work.row for work in last]))
            except OSError as error:
                self._trouble(last[0], error)
                time.sleep(min(timeout, ROOM_SECONDS))
                came: list[Handover | Output | Saved] = [*self._said]
                self._said = []
                return came
        saving = time.perf_counter() - now
        endings, self._endings = self._endings, []
        came = [self._handover(work, block, reason, stored, saving) for work, block, reason in endings]
        waiting = [work for work, _, _ in endings if work.waiting]
        if waiting:
            self._boundaries += 1
            names, leaves = self._held.unsaved() if self._boundaries % self.checkpoint_every == 0 else ([], [])
            if names:
                self._the_writer().begin(names, leaves)
        return came

    def _handover(self, work: Work, block: Block, reason: str | None, stored: Stored, saving: float) -> Handover:
        waited = self._dispatched - work.since if work.since else 0.0
        work.since = time.perf_counter()
        number = work.assignment.work
        if reason is not None:
            self._works.pop(number, None)
            block = work.carrying(block, stored[work.name], waited, saving)
            return Handover(number, (block,), ended=reason, unmixed=work.unmixed)
        work.waiting = work.at_boundary
        if not work.waiting:
            return Handover(number, (block,))
        self._held.add(work.name, work.row)
        work.stands()
        unmixed, work.unmixed = work.unmixed, False
        block = work.carrying(block, work.held(self._cohort.size), waited, 0.0)
        return Handover(number, (block,), waiting=True, unmixed=unmixed)

    def _trouble(self, work: Work, error: OSError) -> None:
        """Tell of a disk that is full; everything else is an error of the run."""
        if not lacks_room(error):
            raise error
        told = f"the members' states cannot be saved ({error.strerror}); it is tried again, and training goes on"
        self._said.append(Handover(work.assignment.work, trouble=told))

    def keep(self) -> Saved | None:
        """Write now whatever is in memory alone, and return where it is: for a run that ends.

        Raises:
            OSError: it cannot be written.
        """
        writer = self._the_writer()
        stored = writer.finished() or {}
        self._held.saved(stored)
        names, leaves = self._held.unsaved()
        if names:
            stored |= writer.now(names, leaves)
        return self._saved(stored) if stored else None

    def _saved(self, stored: Stored) -> Saved:
        self._held.saved(stored)
        return Saved(stored)

    def _the_writer(self) -> Writer:
        assert self._writer is not None
        return self._writer


def _made(rows: int | None, devices: int | None, checkpoint_every: int) -> VectorExecutor:
    return VectorExecutor(rows, devices=devices, checkpoint_every=checkpoint_every)
