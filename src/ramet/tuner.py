"""`Tuner`, and the one loop that sees both sides: it commits what happened and passes on what follows. No policy."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from ramet.callbacks import Callback
from ramet.config import CheckpointConfig, FailureConfig, RunConfig, TuneConfig
from ramet.core.engine import Engine, Proceed, Running, Start, Stop, Terms
from ramet.core.events import Event, Failed, Finished, Kept, Noted, Opened, Reported
from ramet.core.messages import Assignment, Handover, Setup, StoredCheckpoint
from ramet.core.population import Checkpoint, Population
from ramet.core.stopping import Stopper, stop_rules
from ramet.errors import ConfigError, MemberError, RunError
from ramet.executor.base import Executor, Output
from ramet.executor.inline import InlineExecutor
from ramet.executor.process import ProcessExecutor
from ramet.record import CHECKPOINTS, Record
from ramet.results import ResultGrid
from ramet.seeding import call_seeded
from ramet.space import Space, copied
from ramet.strategy.base import FIFO
from ramet.trainable import check
from ramet.view.live import Display, display_for
from ramet.view.logs import ErrorLog, MemberLogs

POLL_SECONDS = 0.1


class Tuner:
    """Trains a population of ``trainable`` and returns what came of it.

    Args:
        trainable: a function of the configuration, which calls `ramet.report`; see also `with_resources` and
            `with_parameters`.
        param_space: name -> value or domain (`uniform`, `choice`, `grid_search`, `sample_from` …), nested as you like:
            the founders are drawn from it.
        tune_config: what is optimised, by which strategy, with how many members.
        run_config: where the run is kept, when it stops, how it is carried out.

    Raises:
        ConfigError: arguments that cannot work, alone or together; nothing has been started then.

    >>> import ramet
    >>> def train(config):
    ...     for step in range(3):
    ...         ramet.report({"loss": config["lr"] * step})
    >>> tuner = Tuner(
    ...     train,
    ...     param_space={"lr": ramet.grid_search([0.1, 0.2])},
    ...     tune_config=ramet.TuneConfig(metric="loss", mode="min", seed=0),
    ...     run_config=ramet.RunConfig(executor="inline", verbose=0),
    ... )
    >>> tuner.fit().get_best_result().config
    {'lr': 0.1}
    """

    def __init__(
        self,
        trainable: Any,
        *,
        param_space: Mapping[str, Any] | None = None,
        tune_config: TuneConfig | None = None,
        run_config: RunConfig | None = None,
    ) -> None:
        check(trainable)
        for name, given, kind in (("tune_config", tune_config, TuneConfig), ("run_config", run_config, RunConfig)):
            if given is not None and not isinstance(given, kind):
                raise ConfigError(f"Tuner({name}={given!r}) must be a {kind.__name__}(…)")
        self.trainable = trainable
        self.tune = tune_config or TuneConfig()
        self.run = run_config or RunConfig()
        self.strategy = self.tune.scheduler or FIFO()
        self.metric, self.mode = self.tune.objective()
        self.space = Space(param_space, self.strategy.mutations, call=call_seeded)

    def fit(self) -> ResultGrid:
        """Run to the end and return the results, one for each member.

        Members fail alone; look at ``results.errors``. The run is in a folder of its own, ``results.experiment_path``.

        Raises:
            RunError: the run's folder cannot be created or written.
            TrainableError: workers cannot load the training function.
            MemberError: a member failed, and ``fail_fast="raise"`` asked for this.
            KeyboardInterrupt: the run was interrupted; what was committed is in its folder.
        """
        seed = self.tune.seed if self.tune.seed is not None else secrets.randbits(32)
        founders = self.space.founders(self.tune.num_samples, seed)
        checkpoints = self.run.checkpoint_config or CheckpointConfig()
        failure = self.run.failure_config or FailureConfig()
        rules = stop_rules(self.run.stop, self.tune.time_budget_s)
        for stopper in rules.run:
            if isinstance(stopper, Stopper):
                stopper.begin()
        terms = Terms(
            self.metric,
            self.mode,
            checkpoints.checkpoint_score_attribute,
            checkpoints.checkpoint_score_order,
            failure.max_failures,
            bool(failure.fail_fast),
        )
        engine = Engine(Population(checkpoints.num_to_keep), self.strategy, self.space, rules, terms)
        executor = _executor(self.run.executor)
        executor.prepare(self.trainable, founders, rules.member)
        name = self.run.name or f"{_name(self.trainable)}_{datetime.now():%Y-%m-%d_%H-%M-%S}"
        folder = _new_folder(Path(self.run.folder), name)
        record = Record.create(folder, _meta(), power_safe=self.run.durability == "power")
        display = display_for(self.run.verbose, executor.interactive)
        loop = _Loop(engine, record, executor, display, self.run, at_once=self.tune.max_concurrent_trials or None)
        setup = Setup(
            run=folder.name,
            seed=seed,
            time_attr=self.strategy.time_attr,
            rules=rules.member,
            store=str(folder / CHECKPOINTS),
        )
        loop.run_to_end(setup, self.trainable, founders, self._facts(folder.name))
        if failure.fail_fast == "raise":
            for member in engine.population.members:
                if member.state == "failed":
                    raise MemberError(f"member {member.number} failed:\n{member.error}")
        return ResultGrid(folder, self.metric, self.mode, aside=record.aside)

    def _facts(self, name: str) -> dict[str, Any]:
        checkpoints = self.run.checkpoint_config or CheckpointConfig()
        return {
            "run": name,
            "trainable": _name(self.trainable),
            "metric": self.metric,
            "mode": self.mode,
            "time_attr": self.strategy.time_attr,
            "strategy": self.strategy.describe(),
            "mutable": self.space.mutable_to_plain(),
            "num_to_keep": checkpoints.num_to_keep,
            "stop": repr(self.run.stop),
            "goal": _goal(self.run.stop),
        }


class _Loop:
    """One run under way: record -> decide -> commit -> plan -> command, until nothing is left to do."""

    def __init__(
        self, engine: Engine, record: Record, executor: Executor, display: Display, run: RunConfig, at_once: int | None
    ) -> None:
        self.engine, self.record, self.executor, self.display = engine, record, executor, display
        self.population = engine.population
        self.callbacks = list(run.callbacks or ())
        self.logs = MemberLogs(record.folder)
        self.errors = ErrorLog(record.folder)
        self.at_once = at_once
        self.running: dict[int, Running] = {}
        # What was applied to the population and is not yet durable, with the checkpoints that it names.
        self.pending: list[Event] = []
        self.stored: dict[Checkpoint, StoredCheckpoint] = {}
        self._durable = record.ledger.last
        self._work = 0
        self._began = time.monotonic()

    def run_to_end(
        self, setup: Setup, trainable: Any, founders: list[dict[str, Any]], facts: Mapping[str, Any]
    ) -> None:
        """Open everything, loop, and close everything, whatever happens."""
        try:
            try:
                self.executor.open(setup, trainable, len(founders))
                self.pending += self.engine.begin(setup.seed, founders, facts)
                self._commit()
                self._tell("on_run_start", str(self.record.folder), self.population)
                self.display.start(self.record.folder, self.population)
                self._loop()
            finally:
                self.executor.close()
            self.pending += self.engine.end("every member is done")
            self._commit()
            self.record.sweep()
        except KeyboardInterrupt:
            self._break_off("interrupted from the keyboard")
            raise
        except BaseException as error:
            self._break_off(f"{type(error).__name__}: {error}")
            raise
        finally:
            self._tell("on_run_end", self.population.ended or "", self.population)
            self.display.close(self.population)
            self.logs.close()
            self.record.close()

    def _loop(self) -> None:
        slots = list(self.executor.capacity())[: self.at_once]
        while self.population.ended is None and self.population.live:
            taken = {work.slot for work in self.running.values()}
            self._command(slots=[slot for slot in slots if slot not in taken])
            if not self.running:
                raise RunError(
                    f"nothing can run: {len(self.population.live)} members wait, and {len(slots)} slots are free"
                )
            self._take_in(self.executor.poll(POLL_SECONDS))
            self.display.update(self.population, self.running)

    def _command(self, slots: list[int]) -> None:
        """Carry out the plan. Everything that it follows from is durable by now."""
        for command in self.engine.plan(self.running.values(), slots):
            match command:
                case Stop(work):
                    del self.running[work]
                    self.executor.stop(work)
                case Proceed(work, lease):
                    self.running[work].waiting = False
                    self.running[work].until = lease.until
                    self.executor.proceed(work, lease)
                case Start(member, slot):
                    assignment = self._assignment(member)
                    self.running[assignment.work] = Running(
                        assignment.work, assignment.segment, member, slot, until=assignment.lease.until
                    )
                    self.executor.start(slot, assignment)

    def _assignment(self, number: int) -> Assignment:
        member = self.population.members[number]
        segment = self.population.current(number)
        point = member.point
        self._work += 1
        return Assignment(
            work=self._work,
            segment=segment.number,
            member=number,
            iteration=0 if point is None else point.iteration,
            config=segment.hparams,
            checkpoint=None if point is None else self.record.checkpoint(point.checkpoint),
            lease=self.engine.lease(number),
            elapsed=0.0 if point is None else point.elapsed,
            compute=member.kept_compute,
            stopping=member.stopping,
        )

    def _take_in(self, came: list[Handover | Output]) -> None:
        for message in came:
            if isinstance(message, Output):
                self.logs.write(message.member, message.text)
                self.display.output(message.member, message.text)
                continue
            work = self.running.get(message.work)
            if work is None:
                continue  # about work that was ended meanwhile
            for block in message.blocks:
                if block.stored is not None:
                    self.stored[work.segment, block.last] = block.stored
            self.pending += self.engine.record(work.segment, message)
            work.waiting = message.waiting
            if message.ended is not None or message.error is not None:
                del self.running[message.work]
        self.pending += self.engine.decide()
        if time.monotonic() - self._began >= self.engine.rules.seconds:
            self.pending += self.engine.end(f"the time budget of {self.engine.rules.seconds:g} s is used up")
        self._commit()

    def _commit(self) -> None:
        if not self.pending:
            return
        self.record.commit(self.pending, self.stored, self.population, self.population.garbage())
        events, self.pending, self.stored = self.pending, [], {}
        self._durable = self.record.ledger.last
        for event in events:
            self._tell_of(event)
        self.display.events(events, self.population)

    def _break_off(self, reason: str) -> None:
        """Make durable what had been applied when something went wrong, in its order, and say why the run ended.

        Nothing is deleted: what was to follow may never have come about. If the disk is what went wrong, the record
        stays as it was, which is whole.
        """
        if self.record.ledger.last != self._durable:  # interrupted right after a commit
            self.pending, self.stored = [], {}
        events = [*self.pending, *self.engine.end(reason)]
        with contextlib.suppress(RunError):
            self.record.commit(events, self.stored, self.population)
            self.display.events(events, self.population)

    def _tell_of(self, event: Event) -> None:
        segments = self.population.segments
        match event:
            case Reported(segment=number, last=last) if last > segments[number].last:
                pass  # handed over with a failure's last words, and dropped: they will be made again
            case Reported() if any(type(c).on_report is not Callback.on_report for c in self.callbacks):
                data = json.loads(event.rows)
                for offset, row in enumerate(data["rows"]):
                    metrics = dict(zip(data["columns"], row, strict=True))
                    self._tell("on_report", segments[event.segment].member, event.first + offset, metrics)
            case Kept():
                member = segments[event.segment].member
                self._tell("on_checkpoint", member, event.segment, event.iteration, event.score)
            case Opened(parent=int(parent)) if segments[parent].member != event.member or "donor" in event.info:
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
                self.record.commit([note], {}, self.population)
                self._durable = self.record.ledger.last
                self.display.events([note], self.population)


def _executor(given: Any) -> Executor:
    if given == "process":
        return ProcessExecutor()
    if given == "inline":
        return InlineExecutor()
    executor: Executor = given
    return executor


def _new_folder(parent: Path, name: str) -> Path:
    """Create the run's folder; a name that is used gets a number."""
    try:
        parent.mkdir(parents=True, exist_ok=True)
        number = 1
        while True:
            folder = parent / (name if number == 1 else f"{name}_{number}")
            try:
                folder.mkdir()
                return folder
            except FileExistsError:
                number += 1
    except OSError as error:
        raise RunError(
            f"cannot create the run's folder in {parent}: {error}; choose another storage_path=, or RAMET_RUNS"
        ) from error


def _meta() -> dict[str, str]:
    from ramet import __version__

    return {"ramet": __version__, "created": datetime.now().astimezone().isoformat(), "process": str(os.getpid())}


def _name(trainable: Any) -> str:
    name = getattr(trainable, "__name__", type(trainable).__name__)
    return "lambda" if name == "<lambda>" else name


def _goal(stop: Any) -> float | None:
    """Return the iteration at which members stop, for a progress bar, if the stop rules name one."""
    goal = stop.get("training_iteration") if isinstance(stop, Mapping) else None
    return float(goal) if isinstance(goal, (int, float)) else None
