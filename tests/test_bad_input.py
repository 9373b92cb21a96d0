"""What cannot work is refused before any work starts, in words that name the argument, the value, and the way out.

What a training function does wrong is found when it does it, and is that member's failure alone.
"""

import contextlib
import datetime
import functools
import math
import os
import threading
from typing import Any

import numpy as np
import pytest

import ramet
from ramet import errors
from ramet.errors import CheckpointError, ConfigError, RunError, SpaceError, TrainableError
from ramet.executor.workerprocess import WorkerProcess
from ramet.store.ledger import Ledger


@pytest.fixture
def idle(monkeypatch):
    """No worker is given work in the test; one that was started ahead of it is gone at the end."""
    started, given = [], []
    spawn = WorkerProcess.spawn
    monkeypatch.setattr(WorkerProcess, "spawn", lambda *of: started.append(spawn(*of)) or started[-1])
    monkeypatch.setattr(ramet.ProcessExecutor, "open", lambda *setup: given.append(setup))
    yield
    assert given == [], "the workers were to work"
    assert [worker for worker in started if worker.process.returncode is None] == [], "a worker was left behind"


@pytest.fixture
def untouched(tmp_path, monkeypatch, idle):
    """A folder of runs that does not exist; the test fails if it is made, or if a worker is given work."""
    runs = tmp_path / "runs"
    monkeypatch.setenv("RAMET_RUNS", str(runs))
    yield runs
    assert not runs.exists(), "the folder of a run was made"


def train(config):
    """Do nothing; every error here comes before it is called."""
    raise AssertionError("called")


def pbt(mutations=None, **arguments):
    """A scheduler, all arguments of which but the given ones can work."""
    return ramet.PopulationBasedTraining(
        **{"hyperparam_mutations": {"lr": ramet.uniform(0, 1)} if mutations is None else mutations, **arguments}
    )


def tuner(space=None, trainable=train, *, run=None, **tune):
    """A tuner, all arguments of which but the given ones can work."""
    return ramet.Tuner(
        trainable,
        param_space={"lr": ramet.uniform(0, 1)} if space is None else space,
        tune_config=ramet.TuneConfig(**{"metric": "score", "mode": "max", **tune}),
        run_config=ramet.RunConfig(**{"verbose": 0, **(run or {})}),
    )


def started_by(make):
    """Carry out what ``make`` builds as far as it goes; a tuner is run."""
    made = make()
    if isinstance(made, ramet.Tuner):
        made.fit()


def restored(path="/nowhere", trainable=train, **changes):
    """A tuner that takes up a run."""
    return ramet.Tuner.restore(path, trainable, **changes)


class Unknown(ramet.Stopper):
    """A stopper, to be given as a class by mistake."""


ARGUMENTS: list[tuple[str, Any, type[errors.RametError], list[str]]] = [
    # ------------------------------------------------------------------ metric and mode
    ("pbt without metric", lambda: tuner(metric=None, scheduler=pbt()), ConfigError,
     ["PopulationBasedTraining", "metric=", "TuneConfig"]),
    ("pbt without metric and mode", lambda: tuner(metric=None, mode=None, scheduler=pbt()), ConfigError,
     ["metric=", "mode="]),
    ("metric without mode", lambda: tuner(mode=None), ConfigError, ["metric='score'", "mode", "'max' or 'min'"]),
    ("metric in the scheduler without mode", lambda: tuner(metric=None, mode=None, scheduler=pbt(metric="score")),
     ConfigError, ["metric='score'", "mode", "'max' or 'min'"]),
    ("metric twice", lambda: tuner(scheduler=pbt(metric="score")), ConfigError,
     ["metric is given twice", "TuneConfig(metric='score')", "PopulationBasedTraining(metric='score')", "keep one"]),
    ("mode twice", lambda: tuner(scheduler=pbt(mode="min")), ConfigError,
     ["mode is given twice", "TuneConfig(mode='max')", "PopulationBasedTraining(mode='min')", "keep one"]),
    ("unknown mode", lambda: tuner(mode="maximize"), ConfigError, ["TuneConfig(mode='maximize')", "'min' nor 'max'"]),
    ("unknown mode in the scheduler", lambda: pbt(mode="up"), ConfigError, ["mode='up'", "'min' nor 'max'"]),
    ("metric that is no name", lambda: tuner(metric=3), ConfigError, ["metric=3", "a str"]),
    ("empty metric", lambda: tuner(metric=""), ConfigError, ["metric=''"]),
    ("metric of the scheduler that is no name", lambda: pbt(metric=["score"]), ConfigError,
     ["metric=['score']", "a str"]),
    ("time_attr that is no name", lambda: pbt(time_attr=None), ConfigError, ["time_attr=None", "'training_iteration'"]),
    # ------------------------------------------------------------------ mutations
    ("no mutations", lambda: pbt({}), ConfigError, ["hyperparam_mutations", "custom_explore_fn"]),
    ("mutations that are a list", lambda: pbt(["lr"]), ConfigError,
     ["hyperparam_mutations=['lr']", "list", "give a dict"]),
    ("a number", lambda: pbt({"lr": 0.1}), SpaceError, ["'lr'", "0.1", "float", "uniform(0, 1)"]),
    ("a string", lambda: pbt({"lr": "log"}), SpaceError, ["'lr'", "'log'", "str", "give a domain"]),
    ("None", lambda: pbt({"lr": None}), SpaceError, ["'lr'", "None", "give a domain"]),
    ("a set", lambda: pbt({"lr": {1, 2}}), SpaceError, ["'lr'", "{1, 2}", "set", "give a domain"]),
    ("a number, deep", lambda: pbt({"opt": {"sgd": {"lr": 3}}}), SpaceError,
     ["'opt/sgd/lr'", "3", "int", "give a domain"]),
    ("an empty dict, deep", lambda: pbt({"opt": {"sgd": {}}}), SpaceError, ["'opt/sgd'", "empty dict", "remove it"]),
    ("an empty list", lambda: pbt({"lr": []}), SpaceError, ["'lr'", "empty", "at least one value"]),
    ("an empty tuple, deep", lambda: pbt({"opt": {"lr": ()}}), SpaceError, ["'opt/lr'", "empty", "at least one value"]),
    ("a list with a domain", lambda: pbt({"lr": [ramet.uniform(0, 1)]}), SpaceError,
     ["'lr'", "holds a domain", "a key of its own"]),
    ("a key that is no string", lambda: pbt({1: [1, 2]}), SpaceError, ["key 1", "int", "strings"]),
    ("a grid", lambda: pbt({"lr": ramet.grid_search([1, 2])}), SpaceError,
     ["'lr'", "grid_search", "initial values", "param_space"]),
    ("Ray's own grid, deep", lambda: pbt({"opt": {"lr": {"grid_search": [1, 2]}}}), SpaceError,
     ["'opt/lr'", "grid_search", "param_space"]),
    ("a sample_from", lambda: pbt({"lr": ramet.sample_from(lambda spec: 1)}), SpaceError,
     ["'lr'", "sample_from", "initial values", "param_space"]),
    ("a function with an argument", lambda: pbt({"lr": lambda spec: 1}), SpaceError, ["'lr'", "without any"]),
    ("a function that raises", lambda: pbt({"lr": lambda: 1 / 0}), SpaceError, ["'lr'", "ZeroDivisionError"]),
    ("a shape unlike param_space", lambda: tuner({"opt": 1}, scheduler=pbt({"opt": {"lr": [1, 2]}})), SpaceError,
     ["'opt/lr'", "'opt'", "the same shape"]),
    # ------------------------------------------------------------------ domains
    ("reversed bounds", lambda: ramet.uniform(2, 1), SpaceError, ["upper=1", "lower=2", "swap"]),
    ("equal bounds", lambda: ramet.uniform(1, 1), SpaceError, ["upper=1", "lower=1", "the value itself"]),
    ("logarithm of zero", lambda: ramet.loguniform(0, 1), SpaceError, ["lower=0", "above 0", "uniform"]),
    ("logarithm of a negative", lambda: ramet.lograndint(-4, 8), SpaceError, ["lower=-4", "above 0", "randint"]),
    ("an exponent for a bound", lambda: ramet.loguniform(-5, -1), SpaceError, ["lower=-5", "not its logarithm"]),
    ("a quantum that does not fit", lambda: ramet.quniform(0, 1, 0.3), SpaceError, ["q=0.3", "upper=1", "0.9 or 1.2"]),
    ("a quantum wider than the range", lambda: ramet.qrandint(0, 4, 8), SpaceError, ["q=8", "0 to 4", "smaller q"]),
    ("a quantum of zero", lambda: ramet.quniform(0, 1, 0), SpaceError, ["q=0", "above 0"]),
    ("an infinite bound", lambda: ramet.uniform(0, math.inf), SpaceError, ["upper=inf", "finite"]),
    ("a bound that is no number", lambda: ramet.uniform("0", 1), SpaceError, ["lower='0'", "str", "a number"]),
    ("a fraction for an integer", lambda: ramet.randint(0.5, 3), SpaceError, ["lower=0.5", "integer", "uniform"]),
    ("no categories", lambda: ramet.choice([]), SpaceError, ["choice", "empty", "at least one value"]),
    ("a string of categories", lambda: ramet.choice("adam"), SpaceError, ["'adam'", "str", "a list"]),
    ("an empty grid", lambda: ramet.grid_search([]), SpaceError, ["grid_search", "empty"]),
    ("a sample_from of a value", lambda: ramet.sample_from(3), SpaceError, ["sample_from", "3", "one argument"]),
    # ------------------------------------------------------------------ param_space
    ("param_space that is a list", lambda: tuner(["lr"]), SpaceError, ["param_space=['lr']", "list", "give a dict"]),
    ("a domain in a list", lambda: tuner({"lr": [ramet.uniform(0, 1)]}), SpaceError,
     ["'lr'", "domain", "key of its own"]),
    ("a sample_from that raises", lambda: tuner({"lr": ramet.sample_from(lambda spec: 1 / 0)}), SpaceError,
     ["'lr'", "ZeroDivisionError"]),
    ("a sample_from of nothing", lambda: tuner({"lr": ramet.sample_from(lambda spec: spec.config["rl"])}), SpaceError,
     ["'lr'", "'rl'", "keys are 'lr'"]),
    # ------------------------------------------------------------------ the scheduler's numbers
    ("quantile above a half", lambda: pbt(quantile_fraction=0.6), ConfigError, ["quantile_fraction=0.6", "[0, 0.5]"]),
    ("quantile below 0", lambda: pbt(quantile_fraction=-0.1), ConfigError, ["quantile_fraction=-0.1", "[0, 0.5]"]),
    ("quantile NaN", lambda: pbt(quantile_fraction=math.nan), ConfigError, ["quantile_fraction=nan", "[0, 0.5]"]),
    ("quantile that is no number", lambda: pbt(quantile_fraction="0.25"), ConfigError, ["quantile_fraction='0.25'"]),
    ("probability above 1", lambda: pbt(resample_probability=1.5), ConfigError, ["resample_probability=1.5", "[0, 1]"]),
    ("probability below 0", lambda: pbt(resample_probability=-1), ConfigError, ["resample_probability=-1", "[0, 1]"]),
    ("probability in per cent", lambda: pbt(resample_probability="25%"), ConfigError, ["resample_probability='25%'"]),
    ("no factors", lambda: pbt(perturbation_factors=()), ConfigError, ["perturbation_factors=()", "(1.2, 0.8)"]),
    ("a factor of 0", lambda: pbt(perturbation_factors=(1.2, 0)), ConfigError,
     ["perturbation_factors=(1.2, 0)", "above 0"]),
    ("a negative factor", lambda: pbt(perturbation_factors=[-1.2]), ConfigError, ["holds -1.2", "above 0"]),
    ("one factor alone", lambda: pbt(perturbation_factors=1.2), ConfigError,
     ["perturbation_factors=1.2", "(1.2, 0.8)"]),
    ("an interval of 0", lambda: pbt(perturbation_interval=0), ConfigError, ["perturbation_interval=0", "above 0"]),
    ("an infinite interval", lambda: pbt(perturbation_interval=math.inf), ConfigError,
     ["perturbation_interval=inf", "finite"]),
    ("a negative burn-in", lambda: pbt(burn_in_period=-1), ConfigError, ["burn_in_period=-1", "at least 0"]),
    ("an explore function that is none", lambda: pbt(custom_explore_fn="f"), ConfigError,
     ["custom_explore_fn='f'", "give a function"]),
    ("private keys as one string", lambda: pbt(private="seed"), ConfigError,
     ["private='seed'", "('seed', 'data/fold')"]),
    # ------------------------------------------------------------------ TuneConfig
    ("a scheduler that is a class", lambda: tuner(scheduler=ramet.PopulationBasedTraining), ConfigError,
     ["scheduler=", "PopulationBasedTraining(…)"]),
    ("a scheduler that is a string", lambda: tuner(scheduler="pbt"), ConfigError, ["scheduler='pbt'", "str", "None"]),
    ("no samples", lambda: tuner(num_samples=0), ConfigError, ["num_samples=0", "at least 1"]),
    ("samples without end", lambda: tuner(num_samples=-1), ConfigError, ["num_samples=-1", "at least 1"]),
    ("half a sample", lambda: tuner(num_samples=1.5), ConfigError, ["num_samples=1.5", "whole number"]),
    ("samples that are a truth", lambda: tuner(num_samples=True), ConfigError, ["num_samples=True", "whole number"]),
    ("a negative seed", lambda: tuner(seed=-1), ConfigError, ["seed=-1", "at least 0"]),
    ("a seed that is a string", lambda: tuner(seed="0"), ConfigError, ["seed='0'", "whole number"]),
    ("a seed that is a float", lambda: tuner(seed=1.0), ConfigError, ["seed=1.0", "whole number"]),
    ("no limit", lambda: ramet.RunConfig(time_limit_s=0), ConfigError, ["RunConfig(time_limit_s=0)", "above 0"]),
    ("no time", lambda: tuner(time_budget_s=0), ConfigError, ["time_budget_s=0", "above 0", "None"]),
    ("negative time", lambda: tuner(time_budget_s=datetime.timedelta(-1)), ConfigError, ["time_budget_s=", "above 0"]),
    ("time as text", lambda: tuner(time_budget_s="1h"), ConfigError, ["time_budget_s='1h'", "seconds"]),
    ("concurrency below 0", lambda: tuner(max_concurrent_trials=-2), ConfigError,
     ["max_concurrent_trials=-2", "at least 1"]),
    ("a search algorithm", lambda: tuner(search_alg=object()), ConfigError,
     ["search_alg", "param_space", "leave it out"]),
    # ------------------------------------------------------------------ RunConfig and its parts
    ("a name with a slash", lambda: ramet.RunConfig(name="a/b"), ConfigError, ["name='a/b'", "without '/'"]),
    ("an empty name", lambda: ramet.RunConfig(name=""), ConfigError, ["name=''", "folder"]),
    ("a blank name", lambda: ramet.RunConfig(name="  "), ConfigError, ["name='  '", "folder"]),
    ("the folder above as a name", lambda: ramet.RunConfig(name=".."), ConfigError, ["name='..'", "folder"]),
    ("a name that is a number", lambda: ramet.RunConfig(name=7), ConfigError, ["name=7", "folder"]),
    ("a name that no file system takes", lambda: ramet.RunConfig(name="x" * 300), ConfigError,
     ["name='xxx", "240 bytes"]),
    ("a name that cannot be encoded", lambda: ramet.RunConfig(name="\ud800"), ConfigError,
     ["name='\\ud800'", "folder"]),
    ("a URL that names no folder", lambda: ramet.RunConfig(storage_path="s3://"), ConfigError,
     ["storage_path='s3://'", "s3://bucket/runs"]),
    ("a URL with credentials", lambda: ramet.RunConfig(storage_path="s3://me:word@bucket/runs"), ConfigError,
     ["storage_path=", "holds credentials"]),
    ("a URL of no filesystem", lambda: tuner(run={"storage_path": "nowhere://bucket/runs"}), ConfigError,
     ["storage_path='nowhere://bucket/runs'"]),
    ("a sync_config that is none", lambda: ramet.RunConfig(sync_config=300), ConfigError,
     ["sync_config=300", "SyncConfig("]),
    ("a sync_period of nothing", lambda: ramet.SyncConfig(sync_period=0), ConfigError, ["sync_period=0", "seconds"]),
    ("a cache of less than nothing", lambda: ramet.SyncConfig(cache_bytes=-1), ConfigError, ["cache_bytes=-1"]),
    ("a storage_path that is a number", lambda: ramet.RunConfig(storage_path=3), ConfigError,
     ["storage_path=3", "path"]),
    ("an empty storage_path", lambda: ramet.RunConfig(storage_path=""), ConfigError, ["storage_path=''", "None"]),
    ("a storage_path with a NUL", lambda: ramet.RunConfig(storage_path="a\0b"), ConfigError,
     ["storage_path='a\\x00b'"]),
    ("a storage_path in a file", lambda: tuner(run={"storage_path": f"{__file__}/runs"}), RunError,
     [__file__, "storage_path="]),
    ("a storage_path that is a file", lambda: tuner(run={"storage_path": __file__}), RunError,
     [__file__, "storage_path="]),
    ("a storage_path that cannot be written", lambda: tuner(run={"storage_path": f"{os.devnull}/runs"}), RunError,
     [os.devnull, "storage_path="]),
    ("stop as a string", lambda: ramet.RunConfig(stop="score"), ConfigError,
     ["stop='score'", "str", "{metric: value}"]),
    ("stop as a number", lambda: ramet.RunConfig(stop=100), ConfigError, ["stop=100", "int", "{metric: value}"]),
    ("stop by a number's name", lambda: ramet.RunConfig(stop={1: 2}), ConfigError, ["{1: …}", "str", "int"]),
    ("stop at a word", lambda: ramet.RunConfig(stop={"a": "x"}), ConfigError, ["'a': 'x'", "give the number"]),
    ("stop at a word, deep", lambda: ramet.RunConfig(stop={"a": {"b": "x"}}), ConfigError,
     ["'a/b': 'x'", "give the number"]),
    ("stop at NaN", lambda: ramet.RunConfig(stop={"a": math.nan}), ConfigError, ["'a': nan", "give the number"]),
    ("stop at an array", lambda: ramet.RunConfig(stop={"a": np.zeros(2)}), ConfigError,
     ["'a': array", "give the number"]),
    ("a bad stop among good ones", lambda: ramet.RunConfig(stop=[{"a": 1}, ["b"]]), ConfigError, ["stop='b'"]),
    ("a stopper's class", lambda: ramet.RunConfig(stop=Unknown), ConfigError, ["Unknown", "class", "Unknown(…)"]),
    ("a built-in stopper's class", lambda: ramet.RunConfig(stop=[ramet.MaximumIterationStopper]), ConfigError,
     ["MaximumIterationStopper", "class", "MaximumIterationStopper(…)"]),
    ("a stopper that judges nothing", lambda: ramet.RunConfig(stop=ramet.Stopper()), ConfigError,
     ["Stopper", "__call__(trial_id, result)"]),
    ("a stop function of one argument", lambda: ramet.RunConfig(stop=lambda result: True), ConfigError,
     ["stop=", "(trial_id, result)"]),
    ("a failure_config that is a dict", lambda: ramet.RunConfig(failure_config={}), ConfigError,
     ["failure_config={}", "FailureConfig(…)"]),
    ("a checkpoint_config that is a dict", lambda: ramet.RunConfig(checkpoint_config={}), ConfigError,
     ["checkpoint_config={}", "CheckpointConfig(…)"]),
    ("callbacks that are functions", lambda: ramet.RunConfig(callbacks=[print]), ConfigError,
     ["callbacks", "print", "ramet.Callback"]),
    ("a callback alone", lambda: ramet.RunConfig(callbacks=ramet.Callback()), ConfigError, ["callbacks=", "a list"]),
    ("a callback's class", lambda: ramet.RunConfig(callbacks=[ramet.Callback]), ConfigError, ["class", "Callback(…)"]),
    ("verbose as a word", lambda: ramet.RunConfig(verbose="yes"), ConfigError, ["verbose='yes'", "0, 1, 2 or 3"]),
    ("too verbose", lambda: ramet.RunConfig(verbose=9), ConfigError, ["verbose=9", "0, 1, 2 or 3"]),
    ("an unknown executor", lambda: ramet.RunConfig(executor="threads"), ConfigError,
     ["executor='threads'", "'process', 'inline'", "ProcessExecutor(slots=4)"]),
    ("no executor", lambda: ramet.RunConfig(executor=0), ConfigError, ["executor=0", "'process', 'inline'"]),
    ("an executor's class", lambda: ramet.RunConfig(executor=ramet.InlineExecutor), ConfigError,
     ["InlineExecutor", "class", "InlineExecutor(…)"]),
    ("unknown durability", lambda: ramet.RunConfig(durability="disk"), ConfigError, ["durability='disk'", "'power'"]),
    ("failures below -1", lambda: ramet.FailureConfig(max_failures=-2), ConfigError,
     ["max_failures=-2", "at least -1"]),
    ("half a failure", lambda: ramet.FailureConfig(max_failures=0.5), ConfigError,
     ["max_failures=0.5", "whole number"]),
    ("unknown fail_fast", lambda: ramet.FailureConfig(fail_fast="no"), ConfigError, ["fail_fast='no'", "'raise'"]),
    ("fail_fast with retries", lambda: ramet.FailureConfig(max_failures=3, fail_fast=True), ConfigError,
     ["max_failures=3", "fail_fast=True", "contradict"]),
    ("nothing to keep", lambda: ramet.CheckpointConfig(num_to_keep=0), ConfigError, ["num_to_keep=0", "at least 1"]),
    ("unknown order", lambda: ramet.CheckpointConfig(checkpoint_score_order="desc"), ConfigError,
     ["checkpoint_score_order='desc'", "'min' nor 'max'"]),
    ("an attribute that is no name", lambda: ramet.CheckpointConfig(checkpoint_score_attribute=1), ConfigError,
     ["checkpoint_score_attribute=1", "metric"]),
    ("how often a class saves", lambda: ramet.CheckpointConfig(checkpoint_frequency=5), ConfigError,
     ["checkpoint_frequency", "report()"]),
    # ------------------------------------------------------------------ stoppers
    ("no iterations", lambda: ramet.MaximumIterationStopper(0), ConfigError,
     ["MaximumIterationStopper(max_iter=0)", "above 0"]),
    ("no timeout", lambda: ramet.TimeoutStopper(0), ConfigError, ["TimeoutStopper(timeout=0", "above 0"]),
    ("a timeout in words", lambda: ramet.TimeoutStopper("1h"), ConfigError,
     ["TimeoutStopper(timeout='1h')", "timedelta"]),
    ("a timeout of None", lambda: ramet.TimeoutStopper(None), ConfigError,
     ["TimeoutStopper(timeout=None)", "timedelta"]),
    ("a function stopper of nothing", lambda: ramet.FunctionStopper(5), ConfigError,
     ["function=5", "(trial_id, result)"]),
    ("a plateau of nothing", lambda: ramet.TrialPlateauStopper(""), ConfigError, ["TrialPlateauStopper(metric='')"]),
    ("a plateau of no results", lambda: ramet.TrialPlateauStopper("a", num_results=0), ConfigError,
     ["num_results=0", "at least 1"]),
    ("a plateau of half results", lambda: ramet.TrialPlateauStopper("a", num_results=2.5), ConfigError,
     ["num_results=2.5", "whole number"]),
    ("a plateau of negative width", lambda: ramet.TrialPlateauStopper("a", std=-1), ConfigError,
     ["std=-1", "at least 0"]),
    ("a negative grace period", lambda: ramet.TrialPlateauStopper("a", grace_period=-1), ConfigError,
     ["grace_period=-1", "at least 0"]),
    ("a threshold without a side", lambda: ramet.TrialPlateauStopper("a", metric_threshold=1.0), ConfigError,
     ["mode=None", "metric_threshold=1.0", "mode='min' or mode='max'"]),
    ("a plateau of one best", lambda: ramet.ExperimentPlateauStopper("a", top=1), ConfigError,
     ["ExperimentPlateauStopper(top=1)", "at least 2"]),
    ("a plateau of some best", lambda: ramet.ExperimentPlateauStopper("a", top="few"), ConfigError,
     ["top='few'", "at least 2"]),
    ("a plateau of impatience", lambda: ramet.ExperimentPlateauStopper("a", patience=-1), ConfigError,
     ["patience=-1", "at least 0"]),
    ("a plateau with a word for width", lambda: ramet.ExperimentPlateauStopper("a", std="thin"), ConfigError,
     ["std='thin'", "at least 0"]),
    ("a plateau of an unknown side", lambda: ramet.ExperimentPlateauStopper("a", mode="up"), ConfigError,
     ["mode='up'", "'min' nor 'max'"]),
    # ------------------------------------------------------------------ executors and resources
    ("no slots inline", lambda: ramet.InlineExecutor(0), ConfigError, ["InlineExecutor(slots=0)", "at least 1"]),
    ("no slots", lambda: ramet.ProcessExecutor(0), ConfigError, ["ProcessExecutor(slots=0)", "at least 1"]),
    ("slots as a truth", lambda: ramet.ProcessExecutor(True), ConfigError,
     ["ProcessExecutor(slots=True)", "at least 1"]),
    ("a chance that is none", lambda: ramet.SimulatedExecutor(failures=2), ConfigError, ["failures=2", "probability"]),
    ("resources that are a number", lambda: ramet.with_resources(train, 4), ConfigError, ["resources=4", "'cpu': 1"]),
    ("no resources", lambda: ramet.with_resources(train, {}), ConfigError, ["resources={}", "'cpu': 1"]),
    ("a resource of a cluster", lambda: ramet.with_resources(train, {"tpu": 1}), ConfigError,
     ["'tpu'", "'cpu' and 'gpu'"]),
    ("fewer than no CPUs", lambda: ramet.with_resources(train, {"cpu": -1}), ConfigError, ["cpu=-1", "at least 0"]),
    ("one and a half GPUs", lambda: ramet.with_resources(train, {"gpu": 1.5}), ConfigError, ["gpu=1.5", "whole GPUs"]),
    ("a capacity of no CPU", lambda: ramet.init(num_cpus=0), ConfigError, ["init(num_cpus=0)", "above 0"]),
    ("a capacity in words", lambda: ramet.init(num_cpus="all"), ConfigError, ["init(num_cpus='all')", "a number"]),
    ("a capacity of negative GPUs", lambda: ramet.init(num_gpus=-1), ConfigError, ["init(num_gpus=-1)", "at least 0"]),
    ("a capacity that is NaN", lambda: ramet.init(num_gpus=math.nan), ConfigError,
     ["init(num_gpus=nan)", "at least 0"]),
    # ------------------------------------------------------------------ the trainable
    ("a class", lambda: tuner(trainable=Unknown), TrainableError, ["Unknown", "class", "def train(config)"]),
    ("a string", lambda: tuner(trainable="PPO"), TrainableError, ["'PPO'", "str", "function of the configuration"]),
    ("None", lambda: tuner(trainable=None), TrainableError, ["None", "function of the configuration"]),
    ("a function of nothing", lambda: tuner(trainable=lambda: None), TrainableError,
     ["takes no configuration", "(config)"]),
    ("a function of keywords only", lambda: tuner(trainable=lambda *, config: None), TrainableError,
     ["takes no configuration", "(config)"]),
    ("a function of two arguments", lambda: tuner(trainable=lambda config, data: None), TrainableError,
     ["'data'", "with_parameters"]),
    ("a parameter that is not taken", lambda: tuner(trainable=ramet.with_parameters(train, data=1)), TrainableError,
     ["'data'", "with_parameters"]),
    ("a class with parameters", lambda: ramet.with_parameters(Unknown, data=1), TrainableError, ["Unknown", "class"]),
    ("a string with resources", lambda: ramet.with_resources("PPO", {"cpu": 1}), TrainableError, ["'PPO'", "str"]),
    ("a tune_config that is a dict", lambda: ramet.Tuner(train, tune_config={}), ConfigError,
     ["tune_config={}", "TuneConfig(…)"]),
    ("a run_config that is a dict", lambda: ramet.Tuner(train, run_config={}), ConfigError,
     ["run_config={}", "RunConfig(…)"]),
    # ------------------------------------------------------------------ checkpoints
    ("a checkpoint of a list", lambda: ramet.Checkpoint.from_dict([1]), CheckpointError, ["from_dict(list)", "a dict"]),
    ("a checkpoint of no directory", lambda: ramet.Checkpoint.from_directory("/nowhere"), CheckpointError,
     ["'/nowhere'", "no such directory"]),
    ("a checkpoint of a file", lambda: ramet.Checkpoint.from_directory(__file__), CheckpointError,
     [__file__, "no such directory"]),
    ("a checkpoint of None", lambda: ramet.Checkpoint.from_directory(None), CheckpointError, ["None", "path"]),
    ("a checkpoint of nothing", ramet.Checkpoint, CheckpointError, ["from_dict", "from_directory"]),
    # ------------------------------------------------------------------ what is kept, and what failures mean
    ("no bytes", lambda: ramet.CheckpointConfig(max_bytes=0), ConfigError, ["max_bytes=0", "at least 1"]),
    ("bytes as text", lambda: ramet.CheckpointConfig(max_bytes="1GB"), ConfigError,
     ["max_bytes='1GB'", "whole number"]),
    ("half a byte", lambda: ramet.CheckpointConfig(max_bytes=1e9), ConfigError,
     ["max_bytes=1000000000.0", "whole number"]),
    ("bytes that are a truth", lambda: ramet.CheckpointConfig(max_bytes=True), ConfigError, ["max_bytes=True"]),
    ("a lineage in words", lambda: ramet.CheckpointConfig(keep_lineage="yes"), ConfigError,
     ["keep_lineage='yes'", "True or False"]),
    ("a lineage as a number", lambda: ramet.CheckpointConfig(keep_lineage=1), ConfigError,
     ["keep_lineage=1", "True or False"]),
    ("no time to report", lambda: ramet.FailureConfig(report_timeout_s=0), ConfigError,
     ["FailureConfig(report_timeout_s=0)", "above 0", "None"]),
    ("time to report in words", lambda: ramet.FailureConfig(report_timeout_s="1m"), ConfigError,
     ["report_timeout_s='1m'", "seconds"]),
    ("infinite time to report", lambda: ramet.FailureConfig(report_timeout_s=math.inf), ConfigError,
     ["report_timeout_s=inf", "None"]),
    ("time to report as a truth", lambda: ramet.FailureConfig(report_timeout_s=True), ConfigError,
     ["report_timeout_s=True", "seconds"]),
    ("an unknown fate", lambda: ramet.FailureConfig(exhausted="restart"), ConfigError,
     ["exhausted='restart'", "'end' or 'replace'"]),
    ("a fate of None", lambda: ramet.FailureConfig(exhausted=None), ConfigError,
     ["exhausted=None", "'end' or 'replace'"]),
    ("a replacement in a run that ends", lambda: ramet.FailureConfig(exhausted="replace", fail_fast=True), ConfigError,
     ["exhausted='replace'", "fail_fast=True", "contradict"]),
    ("a replacement without clones", lambda: tuner(run={"failure_config": ramet.FailureConfig(exhausted="replace")}),
     ConfigError, ["exhausted='replace'", "FIFO", "PopulationBasedTraining(…)", "exhausted='end'"]),
    ("a hang that cannot be ended",
     lambda: tuner(run={"executor": "inline", "failure_config": ramet.FailureConfig(report_timeout_s=5)}), ConfigError,
     ["report_timeout_s=5", "InlineExecutor", "executor='process'"]),
    # ------------------------------------------------------------------ taking up a run
    ("a run that is nowhere", lambda: restored(path="/nowhere/at/all"), RunError, ["/nowhere/at/all", "no run"]),
    ("a run that is a file", lambda: restored(path=__file__), RunError, [__file__, "no run"]),
    ("a run in a folder of something else", lambda: restored(path=os.path.dirname(__file__)), RunError,
     [os.path.dirname(__file__), "no run", "run.db"]),
    ("results of a run that is nowhere", lambda: ramet.ResultGrid("/nowhere/at/all"), RunError,
     ["/nowhere/at/all", "no run"]),
    ("members left out", lambda: restored(resume_unfinished=False), ConfigError,
     ["resume_unfinished=False", "ResultGrid(path)"]),
    ("failed members on and anew", lambda: restored(resume_errored=True, restart_errored=True), ConfigError,
     ["resume_errored=True", "restart_errored=True", "keep one"]),
]  # fmt: skip


TAKEN_UP: list[tuple[str, dict[str, Any], list[str]]] = [
    ("another metric", {"metric": "loss"}, ["metric", "cannot be changed", "new run"]),
    ("another mode", {"mode": "min"}, ["mode", "cannot be changed", "new run"]),
    ("another seed", {"seed": 1}, ["seed", "cannot be changed", "new run"]),
    ("another name", {"name": "x"}, ["name", "the folder has it"]),
    ("another place", {"storage_path": "/tmp"}, ["storage_path", "move it while nothing runs"]),
    ("an unknown argument", {"max_iter": 3}, ["max_iter", "unknown", "stop"]),
    ("a whole RunConfig", {"run_config": ramet.RunConfig()}, ["run_config", "unknown", "executor"]),
    ("fewer members", {"num_samples": 1}, ["num_samples=1", "has 2", "added, not taken away"]),
    ("no members", {"num_samples": 0}, ["num_samples=0", "at least 1"]),
    ("another trainable", {"trainable": tuner}, ["trainable=tuner", "'counting'", "give that one"]),
    ("a trainable that is none", {"trainable": "PPO"}, ["'PPO'", "str", "function of the configuration"]),
    ("another scheduler", {"scheduler": ramet.FIFO()}, ["scheduler", "PopulationBasedTraining", "FIFO", "the same"]),
    ("a scheduler that is none", {"scheduler": "pbt"}, ["scheduler='pbt'", "str"]),
    ("another interval", {"scheduler": pbt(perturbation_interval=7)},
     ["scheduler", "interval: 2 then, 7 now", "the same"]),
    ("other mutations", {"scheduler": pbt({"lr": ramet.uniform(0, 9)}, perturbation_interval=2)},
     ["hyperparam_mutations", "lr", "9", "the same"]),
    ("a stop in words", {"stop": "soon"}, ["stop='soon'", "{metric: value}"]),
    ("no time", {"time_budget_s": 0}, ["time_budget_s=0", "above 0"]),
    ("negative concurrency", {"max_concurrent_trials": -1}, ["max_concurrent_trials=-1", "at least 1"]),
    ("an unknown executor", {"executor": "threads"}, ["executor='threads'", "'process', 'inline'"]),
    ("unknown durability", {"durability": "disk"}, ["durability='disk'", "'power'"]),
    ("callbacks that are none", {"callbacks": [print]}, ["callbacks", "print", "ramet.Callback"]),
    ("failures as a number", {"failure_config": 3}, ["failure_config=3", "FailureConfig(…)"]),
    ("checkpoints as a number", {"checkpoint_config": 3}, ["checkpoint_config=3", "CheckpointConfig(…)"]),
    ("too verbose", {"verbose": 9}, ["verbose=9", "0, 1, 2 or 3"]),
    ("a hang that cannot be ended", {"failure_config": ramet.FailureConfig(report_timeout_s=5)},
     ["report_timeout_s=5", "InlineExecutor", "executor='process'"]),
]  # fmt: skip


def counting(config):
    """Count to 4."""
    for step in range(1, 5):
        ramet.report({"score": float(step)}, checkpoint=ramet.Checkpoint.from_dict({"step": step}))


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """The folder of a run of two members that has ended."""
    folder = tmp_path_factory.mktemp("ended")
    run = {"name": "run", "storage_path": folder, "executor": "inline"}
    tuner(None, counting, run=run, scheduler=pbt(perturbation_interval=2), num_samples=2, seed=1).fit()
    return folder / "run"


def entries(folder):
    """All that is in a run's ledger, and what it was set up with."""
    with contextlib.closing(Ledger.open(folder)) as ledger:
        return [*ledger.happened(), *ledger.checkpoints(), (folder / "settings.pkl").read_bytes()]


@pytest.mark.parametrize(("given", "words"), [row[1:] for row in TAKEN_UP], ids=[row[0] for row in TAKEN_UP])
def test_a_run_is_not_taken_up_with_what_cannot_work(ended, given, words):
    """A bad change is refused by name and with the way out, and the run is as it was."""
    before = entries(ended)

    with pytest.raises((ConfigError, TrainableError)) as caught:
        restored(ended, **{"trainable": counting, **given}).fit()

    told = str(caught.value)
    assert [word for word in words if word not in told] == [], told
    assert entries(ended) == before


def test_there_are_a_hundred_ways_to_be_wrong():
    """The tables stay long."""
    assert len(ARGUMENTS) + len(TAKEN_UP) + len(FAULTS) >= 100


@pytest.mark.parametrize(("make", "kind", "words"), [row[1:] for row in ARGUMENTS], ids=[row[0] for row in ARGUMENTS])
def test_an_argument_that_cannot_work_is_refused_before_any_work(untouched, make, kind, words):
    """A bad argument raises its own kind of error, says what and what instead, and leaves no worker and no folder."""
    with pytest.raises(errors.RametError) as caught:
        started_by(make)

    assert type(caught.value) is kind
    told = str(caught.value)
    assert [word for word in words if word not in told] == [], told


@pytest.mark.parametrize("number", [np.int64(3), np.uint8(3)])
def test_whole_numbers_of_numpy_are_whole_numbers(number):
    """Counts and seeds may come from numpy, and become Python's own, so that they give the same draws."""
    config = ramet.TuneConfig(num_samples=number, seed=number, max_concurrent_trials=number)
    assert [(type(v), v) for v in (config.num_samples, config.seed, config.max_concurrent_trials)] == [(int, 3)] * 3
    assert type(ramet.FailureConfig(max_failures=number).max_failures) is int
    assert type(ramet.CheckpointConfig(num_to_keep=number).num_to_keep) is int


# ---------------------------------------------------------------------- trainables that cannot be sent


LOCK = threading.Lock()


def _by_value(source, **names):
    """Return the function ``f`` of ``source`` as a script's own: it is no module's, so it is sent by value."""
    namespace = {"__name__": "__main__", "ramet": ramet, **names}
    exec(source, namespace)
    return namespace["f"]


class _Holder:
    """A callable object with a lock."""

    def __init__(self):
        self.guard = threading.Lock()

    def __call__(self, config):
        """Train."""

    def method(self, config):
        """Train as well."""


def _closure():
    inner = threading.Lock()

    def f(config):
        return inner

    return f


def _taking(config, data):
    raise AssertionError("called")


def _after(data, config):
    raise AssertionError("called")


def _default():
    inner = threading.Lock()

    def f(config, *, guard=inner):
        return guard

    return f


UNPICKLABLE = {
    "a closure": (_closure, ["f", "variable 'inner'", "lock"]),
    "a list in a closure": (
        lambda: (lambda data: lambda config: data)([1, {"deep": threading.Lock()}]),
        ["variable 'data'", "[1]", "['deep']", "lock"],
    ),
    "a default": (_default, ["f", "default 'guard'", "lock"]),
    "a global": (lambda: _by_value("def f(config): return LOCK", LOCK=LOCK), ["f", "global 'LOCK'", "lock"]),
    "a global of an inner function": (
        lambda: _by_value("def f(config):\n  def inner(): return LOCK\n  return inner()", LOCK=LOCK),
        ["global 'LOCK'", "lock"],
    ),
    "a function in a global": (
        lambda: _by_value("def g(): return LOCK\ndef f(config): return g()", LOCK=LOCK),
        ["global 'g'", "global 'LOCK'", "lock"],
    ),
    "an attribute": (_Holder, ["_Holder", "attribute 'guard'", "lock"]),
    "a method": (lambda: _Holder().method, ["its object _Holder", "attribute 'guard'", "lock"]),
    "an attribute of a global": (
        lambda: _by_value("def f(config): return holder", holder=_Holder()),
        ["global 'holder'", "attribute 'guard'", "lock"],
    ),
    "a class of its own": (
        lambda: _by_value("class C:\n  def __call__(self, config): return LOCK\nf = C()", LOCK=LOCK),
        ["its class C", "attribute '__call__'", "global 'LOCK'", "lock"],
    ),
    "a parameter": (lambda: ramet.with_parameters(_taking, data=threading.Lock()), ["parameter 'data'", "lock"]),
    "a function with parameters": (
        lambda: ramet.with_parameters(_by_value("def f(config, data): return LOCK", LOCK=LOCK), data=1),
        ["the function", "global 'LOCK'", "lock"],
    ),
    "a function with resources": (
        lambda: ramet.with_resources(_closure(), {"cpu": 1}),
        ["the function", "variable 'inner'", "lock"],
    ),
    "a partial's argument": (lambda: functools.partial(_after, threading.Lock()), ["argument <unlocked", "lock"]),
    "a partial's keyword": (lambda: functools.partial(_taking, data=threading.Lock()), ["argument 'data'", "lock"]),
    "a partial's function": (lambda: functools.partial(_closure()), ["the function", "variable 'inner'", "lock"]),
}


@pytest.mark.parametrize(("make", "words"), UNPICKLABLE.values(), ids=UNPICKLABLE)
@pytest.mark.usefixtures("idle")
def test_what_cannot_be_sent_to_a_worker_is_named(tmp_path, make, words):
    """A trainable that cannot be pickled is refused, with the way to the culprit and the way out; no worker works."""
    with pytest.raises(TrainableError) as caught:
        tuner(trainable=make(), run={"storage_path": tmp_path}).fit()

    told = str(caught.value)
    assert [word for word in [*words, "inside the function", "executor='inline'"] if word not in told] == [], told


def test_what_cannot_be_sent_to_a_worker_makes_no_folder(tmp_path):
    """A trainable that cannot be pickled is refused before the run has a folder."""
    with pytest.raises(TrainableError):
        tuner(trainable=_closure(), run={"storage_path": tmp_path / "runs"}).fit()
    assert not (tmp_path / "runs").exists()


def test_resources_that_do_not_fit_make_no_folder(tmp_path):
    """A member that needs more than there is is refused, with both amounts, before the run has a folder."""
    needy = ramet.with_resources(train, {"cpu": 1_000_000})
    with pytest.raises(ConfigError, match=r"1000000.* does not fit .*ask for less"):
        tuner(trainable=needy, run={"storage_path": tmp_path / "runs"}).fit()
    assert not (tmp_path / "runs").exists()


def test_what_cannot_be_sent_can_run_here(tmp_path):
    """The way out that the message names is one: inline, nothing has to be pickled."""
    lock = threading.Lock()

    def locked(config):
        with lock:
            ramet.report({"score": 1.0})

    results = tuner(trainable=locked, run={"storage_path": tmp_path, "executor": "inline"}).fit()
    assert results.num_errors == 0


# ---------------------------------------------------------------------- what a training function does wrong


def saved(step=1):
    """A checkpoint that can be taken."""
    return ramet.Checkpoint.from_dict({"step": step})


def locked():
    """A checkpoint that cannot be pickled."""
    return ramet.Checkpoint.from_dict({"lock": threading.Lock()})


FAULTS: dict[str, tuple[Any, list[str]]] = {
    "a pin without a checkpoint": (
        lambda: ramet.report({"score": 1.0, "steps": 1}, pin=True), ["pin=True", "pass checkpoint=", "leave pin= out"]
    ),
    "a list": (lambda: ramet.report([1.0]), ["report([1.0])", "list", "not a dict", "report({'loss': 0.3})"]),
    "a number": (lambda: ramet.report(0.5), ["report(0.5)", "float", "not a dict"]),
    "nothing": (lambda: ramet.report(None), ["report(None)", "NoneType", "not a dict"]),
    "an object": (lambda: ramet.report({"score": object()}), ["'score'", "object", "no metric", "numbers, strings"]),
    "an object, deep": (lambda: ramet.report({"a": {"b": {1, 2}}}), ["'a/b'", "set", "no metric"]),
    "an object in a list": (lambda: ramet.report({"score": [1, b"2"]}), ["'score'", "bytes", "no metric"]),
    "a complex number": (lambda: ramet.report({"score": np.complex128(1)}), ["'score'", "complex", "no metric"]),
    "a name that is a number": (lambda: ramet.report({1: 2.0}), ["{1: …}", "str", "int"]),
    "a name that is a number, deep": (lambda: ramet.report({"a": {None: 2.0}}), ["{None: …}", "str", "NoneType"]),
    "a dict for a checkpoint": (
        lambda: ramet.report({"score": 1.0}, checkpoint={"step": 1}), ["checkpoint=dict", "Checkpoint.from_dict"]
    ),
    "a path for a checkpoint": (
        lambda: ramet.report({"score": 1.0}, checkpoint="/tmp"), ["checkpoint=str", "Checkpoint.from_directory"]
    ),
    "a checkpoint of a lock": (
        lambda: ramet.report({"score": 1.0, "steps": 1}, checkpoint=locked()),
        ["['lock']", "cannot be pickled", "from_directory"],
    ),
    "the metric is missing": (
        lambda: ramet.report({"steps": 1, "loss": 1.0}, checkpoint=saved()),
        ["metric='score'", "['loss', 'steps']", "report it with every checkpoint"],
    ),
    "the metric is None": (
        lambda: ramet.report({"steps": 1, "score": None}, checkpoint=saved()),
        ["metric='score'", "None", "report a number"],
    ),
    "the metric is a word": (
        lambda: ramet.report({"steps": 1, "score": "high"}, checkpoint=saved()),
        ["metric='score'", "'high'", "report a number"],
    ),
    "the metric is a list": (
        lambda: ramet.report({"steps": 1, "score": [1.0, 2.0]}, checkpoint=saved()),
        ["metric='score'", "list", "report a number"],
    ),
    "time_attr is missing": (
        lambda: ramet.report({"score": 1.0}, checkpoint=saved()),
        ["time_attr='steps'", "['score']", "report it with every row", "'training_iteration'"],
    ),
    "time_attr is a word": (
        lambda: ramet.report({"score": 1.0, "steps": "one"}, checkpoint=saved()), ["time_attr='steps'", "report it"]
    ),
}  # fmt: skip


def faulty(config):
    """Count to 3, but make one mistake on the way."""
    for step in (1, 2, 3):
        if step == 2 and config["fault"] is not None:
            FAULTS[config["fault"]][0]()
        ramet.report({"score": float(step), "steps": step}, checkpoint=saved(step))


def never_reporting(config):
    """Report all but the metric."""
    ramet.report({"loss": 1.0, "accuracy": 0.5})


@pytest.mark.parametrize("executor", ["inline", ramet.ProcessExecutor(2)], ids=["inline", "process"])
def test_a_bad_report_fails_that_member_alone(tmp_path, executor):
    """Each mistake ends the member that makes it, in words of its own and without a retry; all the others finish."""
    faults = [None, *FAULTS, None]
    results = ramet.Tuner(
        faulty,
        param_space={"fault": ramet.grid_search(faults)},
        tune_config=ramet.TuneConfig(
            metric="score", mode="max", scheduler=pbt({"lr": [1, 2]}, time_attr="steps", perturbation_interval=100)
        ),
        run_config=ramet.RunConfig(
            storage_path=tmp_path, verbose=0, executor=executor, failure_config=ramet.FailureConfig(max_failures=3)
        ),
    ).fit()

    assert [result.config["fault"] for result in results] == faults
    for fault, result in zip(faults, results, strict=True):
        if fault is None:
            assert (result.state, result.iteration) == ("finished", 3)
            continue
        words = FAULTS[fault][1]
        told = str(result.error)
        assert result.state == "failed", fault
        assert [word for word in words if word not in told] == [], (fault, told)
        assert results.population.members[result.member].failures == 1, "a retry cannot help"


def test_a_metric_that_nobody_reports_is_named_with_those_that_are(tmp_path):
    """If no member ever reports the metric, each of them fails and says what it did report."""
    results = tuner(
        trainable=never_reporting, num_samples=2, run={"storage_path": tmp_path, "executor": "inline"}
    ).fit()
    assert results.num_errors == 2
    for error in results.errors:
        assert "metric='score'" in str(error)
        assert "['accuracy', 'loss']" in str(error)
    with pytest.raises(ConfigError, match=r"metric='score'.*accuracy.*loss.*2 members failed, see \.errors"):
        results.get_best_result()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"metric": "acuracy"}, ["metric='acuracy'", "reported were ['score', 'steps']"]),
        ({"metric": ["score"]}, ["metric=['score']", "a str"]),
        ({"mode": "up"}, ["mode='up'", "'min' nor 'max'"]),
        ({"scope": "best"}, ["scope='best'", "'last', 'all', 'avg'"]),
        ({"scope": None}, ["scope=None", "'last', 'all', 'avg'"]),
    ],
)
def test_a_best_result_of_what_is_not_there_is_refused(tmp_path, arguments, words):
    """Asking for the best by an unknown metric, mode or scope raises ConfigError, which names what there is."""
    results = tuner({"fault": None}, faulty, run={"storage_path": tmp_path, "executor": "inline"}).fit()
    with pytest.raises(ConfigError) as caught:
        results.get_best_result(**arguments)
    assert [word for word in words if word not in str(caught.value)] == [], str(caught.value)
