"""The arguments of a run: defaults, what may be given, and what they are turned into."""

import dataclasses
import datetime
import os
from pathlib import Path

import pytest

import ramet
from ramet.config import LONGEST_NAME
from ramet.errors import ConfigError


def pbt(**arguments):
    """A scheduler."""
    return ramet.PopulationBasedTraining(hyperparam_mutations={"lr": [1, 2]}, **arguments)


OBJECTIVES = {
    "none": ({}, None, (None, None)),
    "in the config": ({"metric": "a", "mode": "min"}, None, ("a", "min")),
    "in the config, with a scheduler": ({"metric": "a", "mode": "min"}, {}, ("a", "min")),
    "in the scheduler": ({}, {"metric": "a", "mode": "max"}, ("a", "max")),
    "half here, half there": ({"metric": "a"}, {"mode": "max"}, ("a", "max")),
    "half there, half here": ({"mode": "min"}, {"metric": "a"}, ("a", "min")),
    "nested": ({"metric": "eval/accuracy", "mode": "max"}, None, ("eval/accuracy", "max")),
    "mode alone": ({"mode": "max"}, None, (None, "max")),
}


@pytest.mark.parametrize(("tune", "scheduler", "expected"), OBJECTIVES.values(), ids=OBJECTIVES)
def test_the_objective_is_found_where_it_was_given(tune, scheduler, expected):
    """Metric and mode come from the configuration or from the scheduler, each from where it is."""
    config = ramet.TuneConfig(**tune, scheduler=None if scheduler is None else pbt(**scheduler))
    assert config.objective() == expected


@pytest.mark.parametrize("name", ["metric", "mode"])
def test_even_equal_values_are_not_given_twice(name):
    """The same metric or mode in both places is refused too: one of them would be forgotten at the next change."""
    value = {"metric": "a", "mode": "max"}
    config = ramet.TuneConfig(**value, scheduler=pbt(**{name: value[name]}))
    with pytest.raises(ConfigError, match=f"{name} is given twice"):
        config.objective()


@pytest.mark.parametrize(
    ("given", "seconds"), [(3, 3.0), (0.5, 0.5), (datetime.timedelta(minutes=2), 120.0), (None, None)], ids=repr
)
def test_a_time_budget_is_seconds(given, seconds):
    """Numbers and timedeltas become seconds."""
    assert ramet.TuneConfig(time_budget_s=given).time_budget_s == seconds


CONFIGS = {
    "TuneConfig": ramet.TuneConfig(metric="a", mode="max", seed=3),
    "RunConfig": ramet.RunConfig(name="a", stop={"a": 1}),
    "FailureConfig": ramet.FailureConfig(max_failures=2),
    "CheckpointConfig": ramet.CheckpointConfig(num_to_keep=2),
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_a_configuration_is_a_value(config):
    """It cannot be changed after it was checked, equals its like, and replacing a field checks again."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.seed = 4
    assert dataclasses.replace(config) == config
    wrong = {"num_samples": 0, "name": "a/b", "max_failures": -2, "num_to_keep": 0}
    (field,) = [field.name for field in dataclasses.fields(config) if field.name in wrong]
    with pytest.raises(ConfigError, match=f"{field}="):
        dataclasses.replace(config, **{field: wrong[field]})


GOOD = {
    "names": [ramet.RunConfig(name=name) for name in ("a", "a b", "ü☃", ".hidden", "...", "a\\b", "x" * LONGEST_NAME)],
    "verbosity": [ramet.RunConfig(verbose=level) for level in (0, 1, 2, 3, True, False, None)],
    "executors": [
        ramet.RunConfig(executor=executor)
        for executor in (
            "process",
            "inline",
            ramet.ProcessExecutor(1),
            ramet.InlineExecutor(),
            ramet.SimulatedExecutor(),
        )
    ],
    "callbacks": [ramet.RunConfig(callbacks=callbacks) for callbacks in (None, [], (ramet.Callback(),))],
    "durability": [ramet.RunConfig(durability=durability) for durability in ("process", "power")],
    "failures": [
        ramet.FailureConfig(-1),
        ramet.FailureConfig(0),
        ramet.FailureConfig(0, "raise"),
        ramet.FailureConfig(0, True),
    ],
    "concurrency": [ramet.TuneConfig(max_concurrent_trials=count) for count in (None, 0, 1, 100)],
    "seeds": [ramet.TuneConfig(seed=seed) for seed in (None, 0, 2**64, 10**40)],
    "what scripts pass": [
        ramet.TuneConfig(reuse_actors=True, trial_name_creator=None),
        ramet.RunConfig(progress_reporter=None, sync_config=None, log_to_file=False),
        ramet.CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
    ],
}


@pytest.mark.parametrize("configs", GOOD.values(), ids=GOOD)
def test_what_can_work_is_taken(configs):
    """Arguments within their ranges, the borders included, are taken as they are."""
    assert len(configs) > 1


def test_where_runs_are_kept(monkeypatch, tmp_path):
    """The argument goes before the environment, and that before the home folder; always as an absolute path."""
    monkeypatch.setenv("HOME", "/somewhere")
    monkeypatch.delenv("RAMET_RUNS", raising=False)
    assert ramet.RunConfig().folder == "/somewhere/ramet_runs"
    assert ramet.RunConfig(storage_path="~/mine").folder == "/somewhere/mine"
    monkeypatch.setenv("RAMET_RUNS", "~/env")
    assert ramet.RunConfig().folder == "/somewhere/env"
    assert ramet.RunConfig(storage_path=tmp_path).folder == str(tmp_path)
    assert ramet.RunConfig(storage_path="relative").folder == os.path.join(os.getcwd(), "relative")
    assert ramet.RunConfig(storage_path=Path("a") / "b").folder == os.path.join(os.getcwd(), "a", "b")


def train(config):
    """Report once."""
    ramet.report({"score": 1.0})


def test_a_name_that_is_used_gets_a_number(tmp_path):
    """A second run of the same name has a folder of its own, and the first is as it was."""
    paths = []
    for _ in range(3):
        results = ramet.Tuner(
            train, run_config=ramet.RunConfig(name="same", storage_path=tmp_path, verbose=0, executor="inline")
        ).fit()
        paths.append(Path(results.experiment_path).name)
        assert results.population.facts["run"] == paths[-1]
    assert paths == ["same", "same_2", "same_3"]
    assert sorted(os.listdir(tmp_path)) == paths
    assert all(len(ramet.ResultGrid(tmp_path / path)) == 1 for path in paths)


def test_a_run_without_a_name_is_named_for_its_function(tmp_path):
    """The name that is drawn begins with the function's and is a folder's."""
    for function, start in ((train, "train_"), (lambda config: None, "lambda_")):
        results = ramet.Tuner(
            function, run_config=ramet.RunConfig(storage_path=tmp_path, verbose=0, executor="inline")
        ).fit()
        assert Path(results.experiment_path).name.startswith(start)


def test_folders_on_the_way_are_made(tmp_path):
    """The folder of runs need not be there."""
    where = tmp_path / "a" / "b"
    ramet.Tuner(train, run_config=ramet.RunConfig(name="run", storage_path=where, verbose=0, executor="inline")).fit()
    assert os.listdir(where) == ["run"]


def test_the_run_records_what_was_asked_for(tmp_path):
    """Seed, metric, mode, strategy with all its settings, domains and stop rules are in the record."""
    scheduler = pbt(
        time_attr="training_iteration", quantile_fraction=0.4, perturbation_factors=(2, 0.5), private=("seed",)
    )
    results = ramet.Tuner(
        train,
        param_space={"lr": 1},
        tune_config=ramet.TuneConfig(metric="score", mode="min", seed=12, num_samples=2, scheduler=scheduler),
        run_config=ramet.RunConfig(
            storage_path=tmp_path, verbose=0, executor="inline", stop={"training_iteration": 9},
            checkpoint_config=ramet.CheckpointConfig(num_to_keep=3),
        ),
    ).fit()  # fmt: skip
    population = ramet.ResultGrid(results.experiment_path).population
    facts = population.facts
    assert population.seed == 12
    assert (facts["metric"], facts["mode"], facts["time_attr"]) == ("score", "min", "training_iteration")
    assert (facts["num_to_keep"], facts["goal"], facts["trainable"]) == (3, 9.0, "train")
    assert facts["mutable"] == {"lr": {"domain": "Ordered", "values": [1, 2]}}
    strategy = facts["strategy"]
    assert strategy["name"] == "PopulationBasedTraining"
    assert (strategy["quantile_fraction"], strategy["perturbation_factors"], strategy["private"]) == (
        0.4,
        [2, 0.5],
        ["seed"],
    )
    assert "training_iteration" in facts["stop"]
