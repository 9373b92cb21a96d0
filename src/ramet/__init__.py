"""Ramet: population based training that repeats exactly, loses nothing, and shows what happened.

    import ramet

    def train(config):
        for step in range(100):
            ramet.report({"loss": …}, checkpoint=ramet.Checkpoint.from_dict({…}))

    results = ramet.Tuner(train, param_space={"lr": ramet.loguniform(1e-4, 1e-1)}, …).fit()

Every name is loaded when it is first used, so that importing the package costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from ramet import problems as problems
    from ramet import schedulers as schedulers
    from ramet.analysis.run import Run as Run
    from ramet.analysis.run import open as open
    from ramet.callbacks import Callback as Callback
    from ramet.checkpoint import Checkpoint as Checkpoint
    from ramet.config import CheckpointConfig as CheckpointConfig
    from ramet.config import FailureConfig as FailureConfig
    from ramet.config import RunConfig as RunConfig
    from ramet.config import SyncConfig as SyncConfig
    from ramet.config import TuneConfig as TuneConfig
    from ramet.core.stopping import CombinedStopper as CombinedStopper
    from ramet.core.stopping import ExperimentPlateauStopper as ExperimentPlateauStopper
    from ramet.core.stopping import FunctionStopper as FunctionStopper
    from ramet.core.stopping import MaximumIterationStopper as MaximumIterationStopper
    from ramet.core.stopping import Stopper as Stopper
    from ramet.core.stopping import TimeoutStopper as TimeoutStopper
    from ramet.core.stopping import TrialPlateauStopper as TrialPlateauStopper
    from ramet.errors import RametError as RametError
    from ramet.executor.inline import InlineExecutor as InlineExecutor
    from ramet.executor.process import ProcessExecutor as ProcessExecutor
    from ramet.executor.ray.executor import RayExecutor as RayExecutor
    from ramet.executor.simulated import SimulatedExecutor as SimulatedExecutor
    from ramet.executor.vector.executor import VectorExecutor as VectorExecutor
    from ramet.repeatability import check_repeatable as check_repeatable
    from ramet.resources import init as init
    from ramet.resources import is_initialized as is_initialized
    from ramet.resources import shutdown as shutdown
    from ramet.results import Result as Result
    from ramet.results import ResultGrid as ResultGrid
    from ramet.schedule import Schedule as Schedule
    from ramet.session import Context as Context
    from ramet.session import checkpoint_dir as checkpoint_dir
    from ramet.session import get_checkpoint as get_checkpoint
    from ramet.session import get_context as get_context
    from ramet.session import inherited as inherited
    from ramet.session import report as report
    from ramet.session import rng as rng
    from ramet.session import should_checkpoint as should_checkpoint
    from ramet.space import choice as choice
    from ramet.space import grid_search as grid_search
    from ramet.space import lograndint as lograndint
    from ramet.space import loguniform as loguniform
    from ramet.space import qlograndint as qlograndint
    from ramet.space import qloguniform as qloguniform
    from ramet.space import qrandint as qrandint
    from ramet.space import qrandn as qrandn
    from ramet.space import quniform as quniform
    from ramet.space import randint as randint
    from ramet.space import randn as randn
    from ramet.space import sample_from as sample_from
    from ramet.space import uniform as uniform
    from ramet.strategy.asha import ASHA as ASHA
    from ramet.strategy.base import FIFO as FIFO
    from ramet.strategy.base import Strategy as Strategy
    from ramet.strategy.baselines import NoExploit as NoExploit
    from ramet.strategy.baselines import RandomSearch as RandomSearch
    from ramet.strategy.dex import DexPBT as DexPBT
    from ramet.strategy.fire import FirePBT as FirePBT
    from ramet.strategy.iterated import IteratedPBT as IteratedPBT
    from ramet.strategy.ladder import LadderPBT as LadderPBT
    from ramet.strategy.multi_frequency import MultiFrequencyPBT as MultiFrequencyPBT
    from ramet.strategy.multi_objective import MultiObjectivePBT as MultiObjectivePBT
    from ramet.strategy.pairwise import PairwisePBT as PairwisePBT
    from ramet.strategy.pb2 import PB2 as PB2
    from ramet.strategy.pb2_mix import PB2Mix as PB2Mix
    from ramet.strategy.pbt import PopulationBasedTraining as PopulationBasedTraining
    from ramet.strategy.replay import ScheduleReplay as ScheduleReplay
    from ramet.trainable import with_parameters as with_parameters
    from ramet.trainable import with_resources as with_resources
    from ramet.tuner import Tuner as Tuner
    from ramet.vectorized import VectorTrainable as VectorTrainable

_HOMES = {
    "analysis.run": "Run open",
    "callbacks": "Callback",
    "checkpoint": "Checkpoint",
    "config": "CheckpointConfig FailureConfig RunConfig SyncConfig TuneConfig",
    "core.stopping": "CombinedStopper ExperimentPlateauStopper FunctionStopper MaximumIterationStopper Stopper "
    "TimeoutStopper TrialPlateauStopper",
    "errors": "RametError",
    "executor.inline": "InlineExecutor",
    "executor.process": "ProcessExecutor",
    "executor.ray.executor": "RayExecutor",
    "executor.simulated": "SimulatedExecutor",
    "executor.vector.executor": "VectorExecutor",
    "repeatability": "check_repeatable",
    "resources": "init is_initialized shutdown",
    "results": "Result ResultGrid",
    "schedule": "Schedule",
    "session": "Context checkpoint_dir get_checkpoint get_context inherited report rng should_checkpoint",
    "space": "choice grid_search lograndint loguniform qlograndint qloguniform qrandint qrandn quniform randint randn "
    "sample_from uniform",
    "strategy.asha": "ASHA",
    "strategy.base": "FIFO Strategy",
    "strategy.dex": "DexPBT",
    "strategy.multi_objective": "MultiObjectivePBT",
    "strategy.pairwise": "PairwisePBT",
    "strategy.baselines": "NoExploit RandomSearch",
    "strategy.ladder": "LadderPBT",
    "strategy.multi_frequency": "MultiFrequencyPBT",
    "strategy.pb2": "PB2",
    "strategy.pb2_mix": "PB2Mix",
    "strategy.fire": "FirePBT",
    "strategy.iterated": "IteratedPBT",
    "strategy.pbt": "PopulationBasedTraining",
    "strategy.replay": "ScheduleReplay",
    "trainable": "with_parameters with_resources",
    "tuner": "Tuner",
    "vectorized": "VectorTrainable",
}
_HOME = {name: f"ramet.{home}" for home, names in _HOMES.items() for name in names.split()}
_ROOMS = ("problems", "schedulers")
__all__ = ["__version__", *_ROOMS, *sorted(set(_HOME) - {"open"})]  # `from ramet import *` must not hide open()


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return importlib.import_module(f"ramet.{name}")
    if name not in _HOME:
        raise AttributeError(f"module 'ramet' has no name {name!r}; it has {', '.join(__all__)}")
    value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "open"]
