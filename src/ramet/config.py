"""The arguments of a run, refused on construction where they cannot work."""

from __future__ import annotations

import inspect
import math
import operator
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ramet.callbacks import Callback
from ramet.core.stopping import stop_rules
from ramet.errors import ConfigError
from ramet.strategy.base import Strategy

LONGEST_NAME = 240
"""Bytes that a run's name may have; file systems take 255, and a name that is used already gets a number."""

_VERBS = ("open", "capacity", "start", "proceed", "stop", "recall", "poll", "close")


@dataclass(frozen=True)
class TuneConfig:
    """What is optimised, by which strategy, with how many members.

    Args:
        metric: name of the reported score; ``"a/b"`` for nested ones. Here or in the scheduler.
        mode: ``"max"`` or ``"min"``.
        scheduler: a strategy such as `PopulationBasedTraining`; None trains every member as it was drawn (grid or
            random search).
        num_samples: how often the space is sampled; with grids, each sample is their whole product. At least 1.
        max_concurrent_trials: how many members train at once at most; the others take turns. It never bounds the
            population. None leaves it to the slots.
        time_budget_s: seconds after which the run ends, None for no limit.
        seed: non-negative integer that decides every draw; without it one is drawn, recorded and shown.
        search_alg: refused if given; founders are drawn from ``param_space``.
        reuse_actors, trial_name_creator, trial_dirname_creator: taken from scripts that pass them, without effect:
            workers are always reused here, and members have numbers.

    Raises:
        ConfigError: an argument is out of its range.

    >>> TuneConfig(metric="accuracy", mode="max", num_samples=8).num_samples
    8
    """

    metric: str | None = None
    mode: str | None = None
    scheduler: Strategy | None = None
    num_samples: int = 1
    max_concurrent_trials: int | None = None
    time_budget_s: float | None = None
    seed: int | None = None
    reuse_actors: bool | None = None
    search_alg: Any = None
    trial_name_creator: Any = None
    trial_dirname_creator: Any = None

    def __post_init__(self) -> None:
        if self.metric is not None and (not isinstance(self.metric, str) or not self.metric):
            raise ConfigError(f"TuneConfig(metric={self.metric!r}) must be the name of a reported metric, a str")
        if self.mode not in (None, "min", "max"):
            raise ConfigError(f"TuneConfig(mode={self.mode!r}) is neither 'min' nor 'max'")
        if self.scheduler is not None and not isinstance(self.scheduler, Strategy):
            raise ConfigError(
                f"TuneConfig(scheduler={self.scheduler!r}) is a {type(self.scheduler).__name__}, no strategy: give an "
                "object such as PopulationBasedTraining(…), or None"
            )
        _whole(self, "num_samples", 1)
        if self.max_concurrent_trials not in (None, 0):
            _whole(self, "max_concurrent_trials", 1)
        if self.time_budget_s is not None:
            object.__setattr__(self, "time_budget_s", _seconds(self, "time_budget_s"))
        if self.seed is not None:
            _whole(self, "seed", 0)
        if self.search_alg is not None:
            raise ConfigError(
                f"TuneConfig(search_alg={self.search_alg!r}): founders are drawn from param_space here, and a search "
                "algorithm would fight with the scheduler over them: leave it out"
            )

    def objective(self) -> tuple[str | None, str | None]:
        """Return metric and mode, from here or from the scheduler.

        Raises:
            ConfigError: both name them, one is missing where it is needed, or the mode is missing.
        """
        scheduler = self.scheduler
        who = type(scheduler).__name__
        for name in ("metric", "mode"):
            here, there = getattr(self, name), getattr(scheduler, name, None)
            if here is not None and there is not None:
                raise ConfigError(
                    f"{name} is given twice, TuneConfig({name}={here!r}) and {who}({name}={there!r}): keep one"
                )
        metric = self.metric or getattr(scheduler, "metric", None)
        mode = self.mode or getattr(scheduler, "mode", None)
        if scheduler is not None and scheduler.decides and scheduler.needs_score and metric is None:
            raise ConfigError(
                f"{who} needs a score: give TuneConfig(metric=…), the name of a reported metric, and mode="
            )
        if metric is not None and mode is None:
            raise ConfigError(f"TuneConfig(metric={metric!r}) needs mode: say 'max' or 'min'")
        return metric, mode


@dataclass(frozen=True)
class FailureConfig:
    """What a member's failure means.

    Args:
        max_failures: how often a member is started again from its last checkpoint; -1 for ever, 0 never.
        fail_fast: True ends the run at the first failure; ``"raise"`` raises it out of ``fit()`` besides.
        report_timeout_s: seconds without a report after which a member's worker counts as hanging: it is killed, and
            the member has failed once. Above 0; None waits for ever. Count in the slowest step, and the first one,
            with all that is loaded and compiled before it. Needs worker processes.
        exhausted: what becomes of a member whose retries are used up: ``"end"``, or ``"replace"`` by an explored clone
            of a strong member, at the population's next decision. Needs a scheduler that clones.

    Raises:
        ConfigError: an argument is out of its range, or two contradict each other.

    >>> FailureConfig(max_failures=3).max_failures
    3
    """

    max_failures: int = 0
    fail_fast: bool | str = False
    report_timeout_s: float | None = None
    exhausted: str = "end"

    def __post_init__(self) -> None:
        _whole(self, "max_failures", -1)
        if self.report_timeout_s is not None:
            seconds = _seconds(self, "report_timeout_s")
            object.__setattr__(self, "report_timeout_s", seconds)
        if self.exhausted not in ("end", "replace"):
            raise ConfigError(f"FailureConfig(exhausted={self.exhausted!r}) must be 'end' or 'replace'")
        if self.fail_fast and self.exhausted == "replace":
            raise ConfigError(
                f"FailureConfig(exhausted='replace', fail_fast={self.fail_fast!r}) contradict each other: a run that "
                "ends at the first failure replaces nobody"
            )
        if self.fail_fast not in (True, False, "raise"):
            raise ConfigError(f"FailureConfig(fail_fast={self.fail_fast!r}) must be True, False or 'raise'")
        if self.fail_fast and self.max_failures:
            raise ConfigError(
                f"FailureConfig(max_failures={self.max_failures}, fail_fast={self.fail_fast!r}) contradict each other: "
                "a run that ends at the first failure starts no member again"
            )


@dataclass(frozen=True)
class CheckpointConfig:
    """Which checkpoints are kept besides those that are needed.

    Args:
        num_to_keep: how many best ones of each member; None keeps all. What a member continues from, or a clone
            starts from, is kept whatever this says, so 1 is safe.
        checkpoint_score_attribute: the metric that orders them; None keeps the newest.
        checkpoint_score_order: ``"max"`` or ``"min"``.
        max_bytes: how many bytes all checkpoints of the run may take together, as an int. The worst of those that
            nothing needs go first, whoever made them, those of ``num_to_keep`` too. What is needed stays even if it is
            more than that, and the run says so. None for no limit.
        keep_lineage: whether the checkpoints from which the present models descend, one for each exploit back to the
            founder, are kept besides.
        checkpoint_frequency, checkpoint_at_end: for class trainables, which a function has no use for; accepted as 0
            and None.

    >>> CheckpointConfig(num_to_keep=2, checkpoint_score_attribute="accuracy").checkpoint_score_order
    'max'
    """

    num_to_keep: int | None = None
    checkpoint_score_attribute: str | None = None
    checkpoint_score_order: str = "max"
    max_bytes: int | None = None
    keep_lineage: bool = False
    checkpoint_frequency: int | None = 0
    checkpoint_at_end: bool | None = None

    def __post_init__(self) -> None:
        if self.num_to_keep is not None:
            _whole(self, "num_to_keep", 1)
        if self.max_bytes is not None:
            _whole(self, "max_bytes", 1)
        if not isinstance(self.keep_lineage, bool):
            raise ConfigError(f"CheckpointConfig(keep_lineage={self.keep_lineage!r}) must be True or False")
        attribute = self.checkpoint_score_attribute
        if attribute is not None and (not isinstance(attribute, str) or not attribute):
            raise ConfigError(f"CheckpointConfig(checkpoint_score_attribute={attribute!r}) must name a reported metric")
        if self.checkpoint_score_order not in ("min", "max"):
            raise ConfigError(
                f"CheckpointConfig(checkpoint_score_order={self.checkpoint_score_order!r}) is neither 'min' nor 'max'"
            )
        if self.checkpoint_frequency or self.checkpoint_at_end:
            raise ConfigError(
                "CheckpointConfig(checkpoint_frequency=…, checkpoint_at_end=…) ask a class to save; a function decides "
                "itself when it passes checkpoint= to report()"
            )


@dataclass(frozen=True)
class SyncConfig:
    """How a run is kept in the store that ``storage_path`` names by its URL. Without a URL it is of no effect.

    Args:
        sync_period: seconds between snapshots of the ledger in the store, above 0. A machine that is lost costs at most
            the training of that time, and what was being sent.
        cache_bytes: how many bytes the copies of checkpoints on this machine may take, as far as they are in the store
            and nobody needs them at the moment; None for no limit.
        sync_timeout, sync_artifacts, sync_artifacts_on_checkpoint: taken from scripts that pass them, without effect:
            calls to a store are made again until they do well, and all files of a run go there.

    Raises:
        ConfigError: an argument is out of its range.

    >>> SyncConfig(sync_period=300).sync_period
    300.0
    """

    sync_period: float = 30.0
    cache_bytes: int | None = None
    sync_timeout: float | None = None
    sync_artifacts: bool | None = None
    sync_artifacts_on_checkpoint: bool | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "sync_period", _seconds(self, "sync_period"))
        if self.cache_bytes is not None:
            _whole(self, "cache_bytes", 0)


@dataclass(frozen=True)
class RunConfig:
    """Where the run is kept, when it stops, and how it is carried out.

    Args:
        name: the run's name, and of its folder; a name that is used already gets a number. Drawn if not given.
        storage_path: folder of the runs; by default ``RAMET_RUNS`` of the environment, else ``~/ramet_runs``. Or the
            URL of one (``s3://bucket/runs``, ``gs://``, ``az://``, any that fsspec knows): the run works in the default
            folder then, and is sent there in the background. Needs ``ramet[cloud]``.
        stop: dict {metric: value} (a member stops at ``>= value``), function of (trial_id, result), a stopper, or a
            list of these.
        failure_config, checkpoint_config: see there.
        callbacks: `Callback` objects.
        verbose: 0 or False for silence, 1 for table, events and summary, 2 for every report besides.
        executor: ``"process"``, ``"inline"``, ``"vector"``, ``"ray"``, or an executor object. By default
            ``"process"``, and for a `VectorTrainable` ``"vector"``.
        time_limit_s: seconds, or a `datetime.timedelta`, from ``fit()`` after which this process ends gently, as by a
            signal, with exit status 75, and the run can be taken up. None for no limit. The end of the run itself is
            ``TuneConfig(time_budget_s=…)``.
        durability: ``"process"`` survives the death of any process; ``"power"`` syncs every commit, so that a power cut
            loses nothing either.
        sync_config: how a run is sent to a URL, see `SyncConfig`.
        progress_reporter, log_to_file: taken from scripts that pass them, without effect.

    >>> RunConfig(stop={"training_iteration": 100}).stop
    {'training_iteration': 100}
    """

    name: str | None = None
    storage_path: str | os.PathLike[str] | None = None
    stop: Any = None
    failure_config: FailureConfig | None = None
    checkpoint_config: CheckpointConfig | None = None
    callbacks: Sequence[Callback] | None = None
    verbose: int | bool | None = 1
    executor: Any = None
    time_limit_s: float | None = None
    durability: str = "process"
    progress_reporter: Any = None
    sync_config: Any = None
    log_to_file: Any = None

    def __post_init__(self) -> None:
        if self.name is not None and not _names_a_folder(self.name):
            raise ConfigError(
                f"RunConfig(name={self.name!r}) must be usable as the name of a folder: without '/', not blank, and of "
                f"at most {LONGEST_NAME} bytes"
            )
        path = self.storage_path
        if path is not None and (not isinstance(path, (str, os.PathLike)) or path == "" or "\0" in os.fspath(path)):
            raise ConfigError(f"RunConfig(storage_path={path!r}) must be the path of a folder, or None for the default")
        if self.url is not None:
            from ramet.store.urls import checked

            checked(self.url)
        stop_rules(self.stop)
        for name, kind in _PARTS.items():
            given = getattr(self, name)
            if given is not None and not isinstance(given, kind):
                raise ConfigError(f"RunConfig({name}={given!r}) must be a {kind.__name__}(…)")
        if not isinstance(self.callbacks, (list, tuple, type(None))):
            raise ConfigError(f"RunConfig(callbacks={self.callbacks!r}) must be a list of ramet.Callback objects")
        for callback in self.callbacks or ():
            _object_not_class("callbacks=[…]", callback)
            if not isinstance(callback, Callback):
                raise ConfigError(
                    f"RunConfig(callbacks=[…]) holds {callback!r}, a {type(callback).__name__}: derive it from "
                    "ramet.Callback"
                )
        if not isinstance(self.verbose, (int, type(None))) or not 0 <= int(self.verbose or 0) <= 3:
            raise ConfigError(f"RunConfig(verbose={self.verbose!r}) must be 0, 1, 2 or 3")
        known = self.executor is None or self.executor in ("process", "inline", "vector", "ray")
        _object_not_class("executor=", self.executor)
        if not known and not all(hasattr(self.executor, verb) for verb in _VERBS):
            raise ConfigError(
                f"RunConfig(executor={self.executor!r}) must be 'process', 'inline', 'vector', 'ray', or an executor "
                "such as ProcessExecutor(slots=4)"
            )
        if self.time_limit_s is not None:
            object.__setattr__(self, "time_limit_s", _seconds(self, "time_limit_s"))
        if self.durability not in ("process", "power"):
            raise ConfigError(f"RunConfig(durability={self.durability!r}) must be 'process' or 'power'")

    @property
    def url(self) -> str | None:
        """The URL of the store in which runs are kept, None if it is a folder of this machine."""
        return self.storage_path if isinstance(self.storage_path, str) and "://" in self.storage_path else None

    @property
    def folder(self) -> str:
        """The folder of this machine in which runs are kept, or work if they are kept in a store."""
        where = (
            (None if self.url else self.storage_path) or os.environ.get("RAMET_RUNS") or os.path.join("~", "ramet_runs")
        )
        return os.path.abspath(os.path.expanduser(os.fspath(where)))


_PARTS = {"failure_config": FailureConfig, "checkpoint_config": CheckpointConfig, "sync_config": SyncConfig}


def _whole(config: Any, name: str, least: int) -> None:
    """Check a count, and make it Python's own int: numpy's has another repr, and would name other draws."""
    value = getattr(config, name)
    try:
        number = operator.index(value)
    except TypeError:
        number = least - 1
    if isinstance(value, bool) or number < least:
        raise ConfigError(f"{type(config).__name__}({name}={value!r}) must be a whole number of at least {least}")
    object.__setattr__(config, name, number)


def _seconds(config: Any, name: str) -> float:
    """Return a duration, a number or a `datetime.timedelta`, in seconds."""
    given = getattr(config, name)
    seconds = given.total_seconds() if hasattr(given, "total_seconds") else given
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 < seconds < math.inf:
        raise ConfigError(f"{type(config).__name__}({name}={given!r}) must be seconds above 0, or None")
    return float(seconds)


def _names_a_folder(name: Any) -> bool:
    if not isinstance(name, str) or not name.strip() or name in (".", "..") or "/" in name or "\0" in name:
        return False
    try:
        return len(os.fsencode(name)) <= LONGEST_NAME
    except UnicodeEncodeError:
        return False


def _object_not_class(argument: str, given: Any) -> None:
    if inspect.isclass(given):
        name = given.__name__
        raise ConfigError(f"RunConfig({argument}) was given the class {name}: give an object of it, {name}(…)")
