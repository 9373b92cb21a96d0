"""`Tuner`: the door. It checks what a run consists of, new or taken up again, wakes the workers and lets it run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ramet.config import CheckpointConfig, FailureConfig, RunConfig, TuneConfig
from ramet.errors import ConfigError, RunError, StorageError
from ramet.seeding import call_seeded
from ramet.space import Space
from ramet.strategy.base import FIFO, Strategy
from ramet.trainable import Prepared, check, name_of
from ramet.vectorized import VectorTrainable
from ramet.whereabouts import folder_of

if TYPE_CHECKING:
    from ramet.branch import Origin
    from ramet.executor.base import Executor
    from ramet.results import Result, ResultGrid
    from ramet.resume import Past

# What carries a run out is imported when one is: by then its workers are started, and import at the same time.


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
        self._origin: Origin | None = None

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
            path: the run's folder, or its URL: it goes on in a folder of this machine then, and is sent as before.
            trainable: the training function, which must be the same.
            resume_unfinished: must be True: members that were training go on.
            resume_errored: whether members that failed go on too, from their last checkpoints.
            restart_errored: whether members that failed begin anew, from nothing.
            changes: what the run is to go on with instead of what it was set up with, by the names of `TuneConfig` and
                `RunConfig`: ``stop`` (members that only the old rules ended go on), ``time_budget_s`` (of the whole
                run, what was spent included), ``num_samples`` (new members are added), ``max_concurrent_trials``,
                ``failure_config``, ``checkpoint_config``, ``callbacks``, ``verbose``, ``executor``, ``time_limit_s``,
                ``durability``; and ``param_space`` or ``scheduler``, unchanged, where what was kept cannot be loaded.

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
        from ramet import settings
        from ramet.resume import Past

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
        folder = folder_of(path)
        past = Past(folder, settings.aside(folder), resume_errored, restart_errored, changes)
        began = past.began()
        facts = began.facts
        name = name_of(trainable)
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

    @classmethod
    def branch(
        cls,
        path: str | os.PathLike[str],
        trainable: Any,
        start: int | tuple[int, int] | Result | None = None,
        *,
        param_space: Mapping[str, Any] | None = None,
        tune_config: TuneConfig | None = None,
        run_config: RunConfig | None = None,
    ) -> Tuner:
        """Return a tuner whose `fit` begins a new run from a point of the run in the folder ``path``.

        All members begin with the model of one checkpoint, each under hyperparameters of its own. The new run has a
        folder of its own, to which that checkpoint is copied, and what led to it: lineage, schedule and learning curve
        of its results reach back to the founder in the old run. The old run is only read: it may be another user's,
        and still under way.

        Args:
            path: the old run's folder, or its URL.
            trainable: the training function, which has to understand the checkpoint.
            start: the point: the number of a segment (its last checkpoint that is there), a pair (segment, iteration),
                or a `Result` of the run (that model's latest checkpoint). None: the best member's.
            param_space: name -> value or domain, nested as you like, as for a new run: what members begin with. What it
                does not name is as in the segment that made the checkpoint. A name that is new is no error.
            tune_config: as for a new run; its metric and mode are the old run's unless it, or its scheduler, names
                them. None: those, without a scheduler, and as many samples as the old run has members.
            run_config: as for a new run. Stop rules that count work (``compute_iterations``, budgets) begin at nil.
                What belongs to the model goes on: ``stop={"training_iteration": 500}`` after a start at iteration 400
                is 100 more, and so is time_total_s, and what schedulers time their decisions by.

        Raises:
            RunError: there is no run in ``path``, or it cannot be read.
            CheckpointError: that checkpoint is gone or damaged; the message names those that are there.
            ConfigError: there is no such point, a stop rule is met there already, hyperparameters that ``param_space``
                does not name are no plain data, or arguments cannot work. Nothing has been written then.

        Nothing of the old run is unpickled, but for the checkpoint by your own function.

        >>> import ramet
        >>> def train(config):
        ...     checkpoint = ramet.get_checkpoint()
        ...     x = checkpoint.to_dict()["x"] if checkpoint else 0.0
        ...     while True:
        ...         x += config["lr"]
        ...         ramet.report({"x": x}, checkpoint=ramet.Checkpoint.from_dict({"x": x}))
        >>> def run(iterations):
        ...     return ramet.RunConfig(stop={"training_iteration": iterations}, executor="inline", verbose=0)
        >>> tune = ramet.TuneConfig(metric="x", mode="max")
        >>> old = Tuner(train, param_space={"lr": 0.5}, tune_config=tune, run_config=run(4)).fit()
        >>> space = {"lr": ramet.grid_search([1.0, 2.0])}
        >>> new = Tuner.branch(old.experiment_path, train, (0, 2), param_space=space, run_config=run(4)).fit()
        >>> [(result.metrics["x"], result.schedule) for result in new]
        [(3.0, Schedule(1-2: {'lr': 0.5}, 3-4: {'lr': 1.0})), (5.0, Schedule(1-2: {'lr': 0.5}, 3-4: {'lr': 2.0}))]
        """
        from ramet import branch

        check(trainable)
        origin = branch.found(path, start)
        tune = origin.tune(tune_config)
        tuner = cls(trainable, param_space=origin.space(param_space), tune_config=tune, run_config=run_config)
        origin.check(tuner)
        tuner._origin = origin
        return tuner

    @staticmethod
    def can_restore(path: str | os.PathLike[str]) -> bool:
        """Return whether there is a run in the folder ``path``, or at that URL, that this version of Ramet can take up.

        Raises:
            ConfigError: the URL cannot be used.
            StorageError: the store at the URL does not answer.
        """
        from ramet.store.ledger import Ledger

        if isinstance(path, str) and "://" in path:
            from ramet.store.remote import Remote
            from ramet.store.snapshots import newest

            try:
                return newest(Remote(path)) is not None
            except StorageError:
                raise
            except RunError:
                return False
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
        Ctrl-C, SIGTERM, SIGUSR1 or ``RunConfig(time_limit_s=…)`` ends it gently: members train to their next report,
        what they hand over is kept, and `Tuner.restore` goes on from there. A second signal ends it at once.

        Raises:
            RunError: the run's folder cannot be created or written.
            LockedError: another process is at work on the run.
            TrainableError: workers cannot load the training function.
            MemberError: a member failed, and ``fail_fast="raise"`` asked for this.
            KeyboardInterrupt: the run was interrupted; what was committed is in its folder.
            SystemExit: likewise, with status 143 if it was by SIGTERM, 138 by SIGUSR1, and 75 by the time limit.
        """
        executor = self._executor()
        wake = getattr(executor, "wake", None)
        if self._past is not None:
            from ramet import running

            try:
                return running.go_on(self, executor, self._past)
            finally:
                if wake is not None:  # it may have been prepared for a run that has nothing left to do
                    executor.close()
        try:
            if wake is not None:
                members = self.space.members(self.tune.num_samples)
                wake(self.trainable, min(members, self.tune.max_concurrent_trials or members))
            from ramet import running

            return running.begin(self, executor)
        except BaseException:
            if wake is not None:
                executor.close()
            raise

    def _executor(self) -> Executor:
        given = self.run.executor
        if given is None:
            trained = self.trainable.function if isinstance(self.trainable, Prepared) else self.trainable
            given = "vector" if isinstance(trained, VectorTrainable) else "process"
        executor: Executor = _executor_called(given) if isinstance(given, str) else given
        if self.failure.report_timeout_s is not None and not getattr(executor, "kills", False):
            raise ConfigError(
                f"FailureConfig(report_timeout_s={self.failure.report_timeout_s:g}) needs an executor that can end a "
                f"function that hangs, and {type(executor).__name__} cannot: use RunConfig(executor='process')"
            )
        at_once = self.tune.max_concurrent_trials
        if at_once and getattr(executor, "together", False) and at_once < self.space.members(self.tune.num_samples):
            raise ConfigError(
                f"TuneConfig(max_concurrent_trials={at_once}) cannot be kept by {type(executor).__name__}, which "
                f"trains all members in one dispatch: for fewer on the device at once, VectorExecutor(rows={at_once})"
            )
        return executor


def _executor_called(name: str) -> Executor:
    """Return the executor of that name; each loads what the other has no use for."""
    if name == "process":
        from ramet.executor.process import ProcessExecutor

        return ProcessExecutor()
    if name == "ray":
        from ramet.executor.ray.executor import RayExecutor

        return RayExecutor()
    if name == "vector":
        from ramet.executor.vector.executor import VectorExecutor

        return VectorExecutor()
    from ramet.executor.inline import InlineExecutor

    return InlineExecutor()
