"""`Tuner`: the door. It brings together what a run consists of, new or taken up again, and lets it run."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from ramet import resume, settings
from ramet.config import CheckpointConfig, FailureConfig, RunConfig, TuneConfig
from ramet.core.engine import Engine, Terms
from ramet.core.events import Event
from ramet.core.messages import Setup
from ramet.core.population import Population
from ramet.core.stopping import Stopper, stop_rules
from ramet.errors import ConfigError, LockedError, MemberError, RunError
from ramet.executor.base import Executor
from ramet.executor.inline import InlineExecutor
from ramet.executor.process import ProcessExecutor
from ramet.loop import Loop
from ramet.record import CHECKPOINTS, Aside, Record
from ramet.results import ResultGrid
from ramet.resume import Past
from ramet.seeding import call_seeded
from ramet.space import Space
from ramet.store.ledger import NAME, Ledger
from ramet.store.lock import LOCK, RunLock
from ramet.strategy.base import FIFO, Strategy
from ramet.trainable import check
from ramet.view.live import display_for


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
        self.param_space = param_space
        self.tune = tune_config or TuneConfig()
        self.run = run_config or RunConfig()
        self.strategy = self.tune.scheduler or FIFO()
        self.metric, self.mode = self.tune.objective()
        self.space = Space(param_space, self.strategy.mutations, call=call_seeded)
        self.checkpoints = self.run.checkpoint_config or CheckpointConfig()
        self.failure = self.run.failure_config or FailureConfig()
        if self.failure.exhausted == "replace" and type(self.strategy).replace is Strategy.replace:
            raise ConfigError(
                f"FailureConfig(exhausted='replace') needs a scheduler that clones, and {type(self.strategy).__name__} "
                "cannot: give TuneConfig(scheduler=PopulationBasedTraining(…)), or exhausted='end'"
            )
        self._past: Past | None = None

    # ------------------------------------------------------------------ taking up a run

    @classmethod
    def restore(
        cls,
        path: str | os.PathLike[str],
        trainable: Any,
        resume_unfinished: bool = True,
        resume_errored: bool = False,
        restart_errored: bool = False,
        **changes: Any,
    ) -> Tuner:
        """Return a tuner whose `fit` takes up the run in the folder ``path`` where it was left, however that was.

        Every member goes on from its last checkpoint; reports after that are made again. A synchronous run ends in
        the same bytes as if nothing had happened to it. Damage to the folder is repaired first, by going back to the
        last whole state; the run says so.

        Args:
            path: the run's folder.
            trainable: the training function, which must be the same.
            resume_unfinished: must be True: members that were training go on.
            resume_errored: whether members that failed go on too, from their last checkpoints.
            restart_errored: whether members that failed begin anew, from nothing.
            changes: what the run is to go on with instead of what it was set up with, by the names of `TuneConfig` and
                `RunConfig`: ``stop`` (members that only the old rules ended go on), ``time_budget_s`` (of the whole
                run, what was spent included), ``num_samples`` (new members are added), ``max_concurrent_trials``,
                ``failure_config``, ``checkpoint_config``, ``callbacks``, ``verbose``, ``executor``, ``durability``;
                and ``param_space`` or ``scheduler``, unchanged, where what was kept cannot be loaded.

        Raises:
            RunError: there is no run in ``path``, or it cannot be read.
            ConfigError: a change that cannot be made, or another function than the run's.

        This loads what the run kept aside, with pickle: restore runs of people you trust. Reading does not.

        >>> import ramet, tempfile
        >>> def train(config):
        ...     checkpoint = ramet.get_checkpoint()
        ...     step = checkpoint.to_dict()["step"] if checkpoint else 0
        ...     while True:
        ...         step += 1
        ...         ramet.report({"step": step}, checkpoint=ramet.Checkpoint.from_dict({"step": step}))
        >>> run = ramet.RunConfig(stop={"training_iteration": 2}, executor="inline", verbose=0)
        >>> path = Tuner(train, run_config=run).fit().experiment_path
        >>> Tuner.restore(path, train, stop={"training_iteration": 5}).fit()[0].iteration
        5
        """
        check(trainable)
        if not resume_unfinished:
            raise ConfigError(
                "Tuner.restore(resume_unfinished=False) would leave members out of the population that were training: "
                "read what there is with ResultGrid(path), or restore the run as it was"
            )
        if resume_errored and restart_errored:
            raise ConfigError(
                "Tuner.restore(resume_errored=True, restart_errored=True) contradict each other: keep one"
            )
        changes.pop("storage_filesystem", None)
        folder = Path(path).expanduser()
        past = Past(folder, settings.aside(folder), resume_errored, restart_errored, changes)
        began = past.began()
        facts = began.facts
        name = _name(trainable)
        if facts.get("trainable") != name:
            raise ConfigError(
                f"Tuner.restore(trainable={name}) is not the function of the run in {path}, "
                f"{facts.get('trainable')!r}: give that one"
            )
        param_space, tune, run = settings.load(past.folder, past.aside, facts, began.seed, changes)
        tuner = cls(trainable, param_space=param_space, tune_config=tune, run_config=run)
        settings.same_strategy(facts, tuner.strategy.describe(), tuner.space.mutable_to_plain())
        tuner._past = past
        return tuner

    @staticmethod
    def can_restore(path: str | os.PathLike[str]) -> bool:
        """Return whether there is a run in the folder ``path`` that this version of Ramet can take up."""
        try:
            ledger = Ledger.open(Path(path).expanduser())
        except RunError:
            return False
        try:
            return ledger.last > 0  # else it died before it began
        except RunError:
            return True  # what is damaged may be repaired
        finally:
            ledger.close()

    # ------------------------------------------------------------------ running

    def fit(self) -> ResultGrid:
        """Run to the end and return the results, one for each member.

        Members fail alone; look at ``results.errors``. The run is in a folder of its own, ``results.experiment_path``.
        Ctrl-C, or SIGTERM, ends it gently: members train to their next report, what they hand over is kept, and
        `Tuner.restore` goes on from there. A second one ends it at once.

        Raises:
            RunError: the run's folder cannot be created or written.
            LockedError: another process is at work on the run.
            TrainableError: workers cannot load the training function.
            MemberError: a member failed, and ``fail_fast="raise"`` asked for this.
            KeyboardInterrupt: the run was interrupted; what was committed is in its folder. SystemExit(143) if it was
                SIGTERM.
        """
        return self._begin() if self._past is None else self._go_on(self._past)

    def _begin(self) -> ResultGrid:
        seed = self.tune.seed if self.tune.seed is not None else secrets.randbits(32)
        founders = self.space.founders(self.tune.num_samples, seed)
        engine, executor = self._engine(), self._executor()
        executor.prepare(self.trainable, founders, engine.rules.member)
        name = self.run.name or f"{_name(self.trainable)}_{datetime.now():%Y-%m-%d_%H-%M-%S}"
        folder, lock = _new_folder(Path(self.run.folder), name)
        with lock:
            settings.save(folder, self.param_space, self.tune, self.run)
            aside = Aside(folder, together=(self.param_space, self.tune.scheduler))
            record = Record.create(folder, _meta(), aside, power_safe=self.run.durability == "power")
            facts = self._facts(folder.name)
            setup = self._setup(engine, folder, folder.name, seed)
            return self._run(
                setup, engine, record, executor, len(founders), lambda: engine.begin(seed, founders, facts)
            )

    def _go_on(self, past: Past) -> ResultGrid:
        engine, executor = self._engine(), self._executor()
        population = engine.population
        with RunLock.take(past.folder):
            power_safe = self.run.durability == "power"
            record, repaired = resume.retold(past, engine, power_safe=power_safe)
            try:
                record.sweep()  # what the dead left behind
                founders = resume.founders(past, population, self.space, self.tune.num_samples)
                again = sorted(resume.again(past, engine))
                if engine.rules.run:
                    resume.remind(record, engine, again)
                members = population.training + len(again) + len(founders) - len(population.members)
                facts = self._changed(past, population.facts)
                executor.prepare(self.trainable, founders, engine.rules.member)
            except BaseException:
                record.close()
                raise
            if resume.is_over(engine, members):
                record.close()
                if self.run.verbose:
                    print(resume.nothing_left(population, past.folder))
                return ResultGrid(past.folder, self.metric, self.mode, aside=record.aside)

            def begin() -> list[Event]:
                return resume.taken_up(past, record, engine, founders, again, facts, repaired)

            # First the settings: who repeats a call that died in between changes what it asked for once more.
            settings.save(past.folder, self.param_space, self.tune, self.run)
            setup = self._setup(engine, past.folder, population.facts.get("run", past.folder.name), population.seed)
            return self._run(setup, engine, record, executor, max(members, 1), begin)

    def _run(
        self,
        setup: Setup,
        engine: Engine,
        record: Record,
        executor: Executor,
        members: int,
        begin: Callable[[], list[Event]],
    ) -> ResultGrid:
        display = display_for(self.run.verbose, executor.interactive)
        loop = Loop(engine, record, executor, display, self.run, at_once=self.tune.max_concurrent_trials or None)
        loop.run_to_end(setup, self.trainable, members, begin)
        if self.failure.fail_fast == "raise":
            for member in engine.population.members:
                if member.state == "failed":
                    raise MemberError(f"member {member.number} failed:\n{member.error}")
        return ResultGrid(record.folder, self.metric, self.mode, aside=record.aside)

    def _engine(self) -> Engine:
        rules = stop_rules(self.run.stop, self.tune.time_budget_s)
        for stopper in rules.run:
            if isinstance(stopper, Stopper):
                stopper.begin()
        terms = Terms(
            self.metric,
            self.mode,
            self.checkpoints.checkpoint_score_attribute,
            self.checkpoints.checkpoint_score_order,
            self.failure.max_failures,
            bool(self.failure.fail_fast),
            self.failure.exhausted == "replace",
        )
        return Engine(Population(), self.strategy, self.space, rules, terms)

    def _executor(self) -> Executor:
        given = self.run.executor
        executor: Executor = given
        if isinstance(given, str):
            executor = ProcessExecutor() if given == "process" else InlineExecutor()
        if self.failure.report_timeout_s is not None and not getattr(executor, "kills", False):
            raise ConfigError(
                f"FailureConfig(report_timeout_s={self.failure.report_timeout_s:g}) needs an executor that can end a "
                f"function that hangs, and {type(executor).__name__} cannot: use RunConfig(executor='process')"
            )
        return executor

    def _setup(self, engine: Engine, folder: Path, name: str, seed: int) -> Setup:
        return Setup(
            run=name,
            seed=seed,
            time_attr=self.strategy.time_attr,
            rules=engine.rules.member,
            store=str(folder / CHECKPOINTS),
            report_timeout_s=self.failure.report_timeout_s,
        )

    def _facts(self, name: str) -> dict[str, Any]:
        return {
            "run": name,
            "trainable": _name(self.trainable),
            "metric": self.metric,
            "mode": self.mode,
            "time_attr": self.strategy.time_attr,
            "strategy": self.strategy.describe(),
            "mutable": self.space.mutable_to_plain(),
            **self._retention(),
            **self._stop(),
        }

    def _retention(self) -> dict[str, Any]:
        kept = self.checkpoints
        return {"num_to_keep": kept.num_to_keep, "max_bytes": kept.max_bytes, "keep_lineage": kept.keep_lineage}

    def _stop(self) -> dict[str, Any]:
        return {"stop": repr(self.run.stop), "goal": _goal(self.run.stop)}

    def _changed(self, past: Past, facts: Mapping[str, Any]) -> dict[str, Any]:
        """Return the facts of the run that are others from now on."""
        changed: dict[str, Any] = {}
        if "stop" in past.changes:
            changed |= self._stop()
        if "checkpoint_config" in past.changes:
            changed |= self._retention()
            if changed["keep_lineage"] != facts.get("keep_lineage", False):
                raise ConfigError(
                    f"Tuner.restore(checkpoint_config=CheckpointConfig(keep_lineage={changed['keep_lineage']})) cannot "
                    "be changed: what was let go does not come back. Keep it as it was"
                )
        return changed


def _new_folder(parent: Path, name: str) -> tuple[Path, RunLock]:
    """Create the run's folder, and lock it. A name that is used gets a number, unless that run died before it began."""
    number = 0
    try:
        parent.mkdir(parents=True, exist_ok=True)
        while True:
            number += 1
            folder = parent / (name if number == 1 else f"{name}_{number}")
            try:
                folder.mkdir()
            except FileExistsError:
                if not _never_began(folder):
                    continue
            with contextlib.suppress(LockedError):
                lock = RunLock.take(folder)
                if _never_began(folder):  # nor has it while we came
                    for left in (NAME, f"{NAME}-wal", f"{NAME}-shm", f"{NAME}-journal"):
                        (folder / left).unlink(missing_ok=True)
                    return folder, lock
                lock.release()
    except OSError as error:
        raise RunError(
            f"cannot create the run's folder in {parent}: {error}; choose another storage_path=, or RAMET_RUNS"
        ) from error


def _never_began(folder: Path) -> bool:
    """Whether a folder holds nothing but what a run lays out before its first entry."""
    laid_out = {NAME, f"{NAME}-wal", f"{NAME}-shm", f"{NAME}-journal", LOCK, settings.NAME, CHECKPOINTS}
    if not folder.is_dir() or not {each.name for each in folder.iterdir()} <= laid_out:
        return False
    if (folder / CHECKPOINTS).is_dir() and any((folder / CHECKPOINTS).iterdir()):
        return False
    if not (folder / NAME).exists() or not (folder / NAME).stat().st_size:
        return True
    try:
        ledger = Ledger.open(folder)
        try:
            return not ledger.last
        finally:
            ledger.close()
    except RunError:
        return False  # damaged, perhaps; it is somebody's


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
