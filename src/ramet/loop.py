"""The one loop that sees both sides: it commits what happened and passes on what follows, until nothing is left."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ramet.callbacks import Callback
from ramet.config import RunConfig
from ramet.core.blocks import as_dicts
from ramet.core.engine import COMPLETE, Engine
from ramet.core.events import Event, Failed, Finished, Kept, Noted, Opened, Reported
from ramet.core.messages import COPY, Assignment, Gone, Handover, Saved, Sent, Setup, StoredCheckpoint
from ramet.core.population import Checkpoint
from ramet.core.roster import Proceed, Roster, Start, Stop
from ramet.errors import CheckpointError, DiskFullError, RunError
from ramet.executor.base import Executor, Output
from ramet.record import Record
from ramet.signals import LATER, Signals
from ramet.space import copied
from ramet.view.live import Display
from ramet.view.logs import ErrorLog, MemberLogs
from ramet.view.stragglers import Watching

if TYPE_CHECKING:
    from ramet.store.shipping import Shipping

POLL_SECONDS = 0.1

ROOM_SECONDS = 1.0
"""How often it is looked whether there is room on a disk that was full."""

GOES_ON = ("lost", "restarted", "branched")
"""Why a member starts from a checkpoint that may be another one's without being its clone."""


class Loop:
    """One run under way: record -> decide -> commit -> plan -> command, until nothing is left to do."""

    def __init__(
        self,
        engine: Engine,
        record: Record,
        executor: Executor,
        display: Display,
        run: RunConfig,
        at_once: int | None,
        signals: Signals,
    ) -> None:
        self.engine, self.record, self.executor, self.display = engine, record, executor, display
        engine.together = executor.together
        self._fetches = record.shipping is not None and getattr(executor, "fetches", False)
        self._set_off: Callable[[], None] | None = getattr(executor, "set_off", None)
        self.population = engine.population
        self.callbacks = list(run.callbacks or ())
        self.logs = MemberLogs(record.folder)
        self.errors = ErrorLog(record.folder)
        self.at_once = at_once
        self._spent = self.population.spent
        # What was applied to the population and is not yet durable, with the checkpoints that it names.
        self.pending: list[Event] = []
        self.stored: dict[Checkpoint, StoredCheckpoint] = {}
        self.rewound: dict[int, int] = {}
        self._untold: deque[Event] = deque()
        self._durable = record.ledger.last
        self._waits = Watching(engine.strategy.synch, together=executor.together)
        self._is_down = False
        self._began = time.monotonic()
        self._signals = signals

    def run_to_end(self, setup: Setup, trainable: Any, members: int, begin: Callable[[], list[Event]]) -> None:
        """Open everything, loop, and close everything, whatever happens.

        ``begin`` gives the events that a run begins with, or is taken up with; ``members`` is how many will train.
        """
        with self._signals:
            self._run_to_end(setup, trainable, members, begin)

    def _run_to_end(self, setup: Setup, trainable: Any, members: int, begin: Callable[[], list[Event]]) -> None:
        try:
            try:
                self.executor.open(setup, trainable, min(members, self.at_once or members))
                self._signals.hold()
                self.pending += begin()
                self.display.start(self.record.folder, self.population)
                self._commit()
                self._tell("on_run_start", str(self.record.folder), self.population)
                self.pending += self.engine.decide()  # where it broke off, everyone may have been ready
                self._commit()
                self._loop()
                self._settle()
                if self.population.retention.held:  # by members that the strategy stopped, say
                    self._keep()
            finally:
                self.executor.close()
            if self.population.retention.held:  # nobody stands on them, and they went with the executor
                self.pending += self.engine.saved(())
            self.pending += self.engine.end(COMPLETE)
            self._commit()
            self.record.sweep()
        except BaseException as error:
            asked = self._signals.asked is not None and not isinstance(error, Exception)
            self._break_off(self._signals.reason if asked else _told(error))
            raise
        finally:
            try:
                self._tell_all()
                self._tell("on_run_end", self.population.ended or "", self.population)
                self._send_off()
            finally:
                self.display.close(self.population)
                self.logs.close()
                self.record.close()

    def _loop(self) -> None:
        self.roster = Roster(self.engine, ())
        elastic, slots = getattr(self.executor, "elastic", False), None
        while self.population.ended is None and self.population.training:
            if self._signals.asked is not None:
                self._wind_down()
                continue
            if elastic or slots is None:
                slots = self._slots(slots)
            self._command()
            if self._set_off is not None:
                self._set_off()
            if self.pending:  # a checkpoint was lost, and its members start from another one; or all have set off
                self._commit()
                continue
            # While the workers go on, and with nothing on the way to the ledger.
            self._tidy()
            self._tell_all()
            if not self.roster.running and not elastic:
                raise RunError(
                    f"nothing can run: {self.population.training} members wait, and {len(slots)} slots are free"
                )
            came = self.executor.poll(POLL_SECONDS)
            if came or self._is_over_time():
                self._take_in(came)
            self.display.update(self.population, self.roster.running)

    def _slots(self, before: Sequence[int] | None) -> Sequence[int]:
        """Return the slots that there are; the roster is told of them if they are not the same as ``before``."""
        slots = self.executor.capacity()
        if slots is not before:
            self.roster.offer(slots[: self.at_once])
            self.display.slots(len(slots[: self.at_once]))
        return slots

    def _is_over_time(self) -> bool:
        return self._spent + time.monotonic() - self._began >= self.engine.rules.seconds

    def _wind_down(self) -> None:
        """End gently: every lease ends at its next report, and what is handed over until then is kept."""
        running = self.roster.running
        told = f"waiting for the next report of {len(running)} members; once more ends the run at once"
        self.display.events([Noted("ending", f"{self._signals.reason}: {told}")], self.population)
        for work in running:
            self.executor.recall(work)
        while not all(work.waiting for work in running.values()):
            self._take_in(self.executor.poll(POLL_SECONDS))
            self._tidy()
            self._tell_all()
            self.display.update(self.population, running)
        self._keep()
        self._settle()
        self._commit()
        over = self.population.ended is not None or not self.population.training
        if not over or self._signals.asked != LATER:  # a run that is done needs no more time
            raise self._signals.ending()

    def _command(self) -> None:
        """Carry out the plan. Everything that it follows from is durable by now.

        But for an executor that holds all of its work in memory: what it trains is lost with this process anyway, and a
        device need not stand still while the ledger is written.
        """
        for command in self.roster.plan():
            match command:
                case Stop(work):
                    self.executor.stop(work)
                case Proceed(work, lease):
                    self.executor.proceed(work, lease)
                case Start(work, member, slot):
                    assignment = self._assignment(work, member)
                    if assignment is not None:
                        self.executor.start(slot, assignment)

    def _assignment(self, work: int, number: int) -> Assignment | None:
        """Return what ``number`` is to do; None, with events to commit, if the checkpoint for it is not there."""
        member = self.population.members[number]
        segment = self.population.current(number)
        point = member.point
        try:
            checkpoint = None if point is None else self._checkpoint(point.checkpoint)
        except CheckpointError as error:
            assert point is not None
            self.roster.ended(self.roster.running[work])
            self.pending += self.engine.lose(point.checkpoint, str(error))
            return None
        return Assignment(
            work=work,
            segment=segment.number,
            member=number,
            iteration=0 if point is None else point.iteration,
            config=segment.hparams,
            checkpoint=checkpoint,
            lease=self.engine.lease(number),
            elapsed=0.0 if point is None else point.elapsed,
            compute=member.kept_compute,
            stopping=member.stopping,
            # What it has handed over itself is mixed already.
            weights=COPY if segment.points else tuple(segment.info.get("weights", COPY)),
        )

    def _checkpoint(self, name: Checkpoint) -> StoredCheckpoint:
        if name in self.population.retention.held:
            return StoredCheckpoint.held(name)
        if self._fetches:
            return self.record.named(name)
        return self.stored.get(name) or self.record.checkpoint(name)

    def _take_in(self, came: Sequence[Handover | Output | Saved | Sent | Gone]) -> None:
        for message in came:
            if isinstance(message, Saved):
                self._saved(message)
                continue
            if isinstance(message, (Sent, Gone)):
                self._hear_of(message)
                continue
            if isinstance(message, Output):
                self.logs.write(message.member, message.text)
                self.display.output(message.member, message.text)
                continue
            work = self.roster.running.get(message.work)
            if work is None:
                continue  # about work that was ended meanwhile
            for block in message.blocks:
                if block.stored is not None:
                    self.stored[work.segment, block.last] = block.stored
            if message.fault != "checkpoint" or not self._is_lost(work.member):
                self.pending += self.engine.record(work.segment, message)
            if message.ended is not None or message.error is not None:
                self.roster.ended(work)
            else:
                self.roster.waits(work, waiting=message.waiting)
        self.pending += self.engine.decide()
        if self._is_over_time():
            self._end_in_time()
        if self.population.ended is not None:
            self._keep()
        if self._set_off is None or self.population.ended is not None:
            self._commit()

    def _end_in_time(self) -> None:
        """End the run; first let members hand over what they are, where the device has left what they stand on."""
        if self.population.ahead and not any(work.waiting for work in self.roster.running.values()):
            for work in self.roster.running:
                self.executor.recall(work)
            return
        self.pending += self.engine.end(f"the time budget of {self.engine.rules.seconds:g} s is used up")

    def _hear_of(self, message: Sent | Gone) -> None:
        """Checkpoints that one machine alone had are in the store by now, or lost with it."""
        if isinstance(message, Gone):
            for name in message.names:
                self.pending += self.engine.lose(name, message.reason)
        elif self.record.shipping is not None:
            self.record.shipping.learn(message.directories)
            self.pending += self.engine.sent(message.names)

    def _settle(self) -> None:
        """Wait until what other machines have made is in the store that keeps the run."""
        if self._fetches:
            before = self._signals.asked
            for message in self.executor.settle(lambda: self._signals.asked is not before):  # type: ignore[attr-defined]
                self._hear_of(message)

    def _saved(self, message: Saved) -> None:
        self.stored |= message.checkpoints
        self.pending += self.engine.saved(message.checkpoints)

    def _keep(self) -> None:
        """Let the executor make durable what it holds in its memory, for a run that ends."""
        keep = getattr(self.executor, "keep", None)
        saved = None if keep is None else keep()
        if saved is not None:
            self._saved(saved)

    def _is_lost(self, number: int) -> bool:
        """Look at the checkpoint that a worker found damaged; if it is, that is no failure of the member's."""
        point = self.population.members[number].point
        if point is None:
            return False
        try:
            self.record.verify(point.checkpoint)
        except CheckpointError as error:
            self.pending += self.engine.lose(point.checkpoint, str(error))
            return True
        return False

    def _commit(self) -> None:
        if not self.pending:
            return
        garbage = self.population.garbage()
        self.pending += self.engine.note_budget()
        self.pending = self._waits.told(self.pending, self.population)
        self._write(self.pending, garbage)
        events, self.pending, self.stored = self.pending, [], {}
        # Last: until then an interrupt finds that more is durable than this says, and writes nothing twice.
        self._durable = self.record.ledger.last
        self._untold += events

    def _write(self, events: list[Event], garbage: set[Checkpoint]) -> None:
        """Make ``events`` durable. On a full disk that waits until there is room; nothing else happens meanwhile."""
        self.rewound |= self.population.rewound()
        told = False
        while True:
            try:
                self.record.commit(events, self.stored, self.rewound, garbage)
                break
            except DiskFullError as error:
                if self._signals.asked is not None:
                    raise self._signals.ending() from error
                if not told:
                    note = Noted("full", f"{error}. The run waits for room, and goes on by itself")
                    self.display.events([note], self.population)
                    told = True
                time.sleep(ROOM_SECONDS)
        self.rewound = {}

    def _tidy(self) -> None:
        with contextlib.suppress(DiskFullError):  # what cannot be deleted now is next time
            deleted = self.record.tidy()
            if deleted and self._fetches:
                self.executor.forget(deleted)  # type: ignore[attr-defined]
        if self.record.shipping is not None:
            self._see_to(self.record.shipping)

    def _see_to(self, shipping: Shipping) -> None:
        """Look how the store that keeps the run does, and say so if it went down, or is back."""
        shipping.look()
        shipping.keep(self.record.directories(m.point.checkpoint for m in self.population.live if m.point is not None))
        trouble = shipping.trouble
        if (trouble is not None) == self._is_down:
            return
        self._is_down = trouble is not None
        told = f"{trouble}; what is sent there waits, and the training goes on" if trouble else "the store is back"
        note = Noted(f"store:{sum(kind.startswith('store:') for kind in self.population.noted)}", told)
        self.population.apply(note)
        self._write([note], set())
        self._durable = self.record.ledger.last
        self.display.events([note], self.population)

    def _send_off(self) -> None:
        """Wait until all of the run is in the store that keeps it; a signal ends that."""
        if self.record.shipping is None:
            return
        before = self._signals.asked
        left = self.record.shipping.finish(lambda: self._signals.asked is not before)
        if left is not None:
            self.display.events([Noted("store", left)], self.population)

    def _break_off(self, reason: str) -> None:
        """Make durable what had been applied when something went wrong, in its order, and say why the run ended.

        Nothing is deleted: what was to follow may never have come about. If the disk is what went wrong, the record
        stays as it was, which is whole.
        """
        if self.record.ledger.last != self._durable:  # interrupted right after a commit
            self.pending, self.stored, self.rewound = [], {}, {}
        self.rewound |= self.population.rewound()
        events = self._waits.told([*self.pending, *self.engine.end(reason)], self.population)
        with contextlib.suppress(RunError):
            self.record.commit(events, self.stored, self.rewound)
            self._tell_all()
            self.display.events(events, self.population)

    def _tell_all(self) -> None:
        """Tell callbacks, logs and the display of what has become durable since the last time, each once."""
        if not self._untold:
            return
        self.display.events(list(self._untold), self.population)
        while self._untold:
            self._tell_of(self._untold.popleft())

    def _tell_of(self, event: Event) -> None:
        if not self.callbacks and not isinstance(event, Failed):
            return
        segments = self.population.segments
        match event:
            case Reported(segment=number, last=last) if last > segments[number].last:
                pass  # handed over with a failure's last words, and dropped: they will be made again
            case Reported() if any(type(c).on_report is not Callback.on_report for c in self.callbacks):
                for iteration, metrics in enumerate(as_dicts(event.rows), start=event.first):
                    self._tell("on_report", segments[event.segment].member, iteration, metrics)
            case Kept():
                member = segments[event.segment].member
                self._tell("on_checkpoint", member, event.segment, event.iteration, event.score)
            case Opened(parent=int(parent), info=info) if info.get("why") not in GOES_ON and (
                segments[parent].member != event.member or "donor" in info
            ):
                donor = event.info.get("donor", segments[parent].member)
                self._tell("on_exploit", event.member, donor, copied(event.hparams), event.iteration)
            case Failed():
                segment = segments[event.segment]
                self.errors.write(segment.member, segment.last, event.error)
                self._tell("on_member_failed", segment.member, event.error, event.final)
            case Finished():
                self._tell("on_member_finished", segments[event.segment].member, event.reason)

    def _tell(self, hook: str, *what: Any) -> None:
        for callback in list(self.callbacks):
            try:
                getattr(callback, hook)(*what)
            except Exception as error:
                self.callbacks.remove(callback)
                name = type(callback).__name__
                text = f"the callback {name} was dropped: {name}.{hook} raised {type(error).__name__}: {error}"
                note = Noted(f"callback:{name}", text)
                self.population.apply(note)
                self._write([note], set())
                self._durable = self.record.ledger.last
                self.display.events([note], self.population)


def _told(error: BaseException) -> str:
    return (
        "interrupted from the keyboard" if isinstance(error, KeyboardInterrupt) else f"{type(error).__name__}: {error}"
    )
