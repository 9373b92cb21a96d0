"""Limits, in which one strategy is another."""

import itertools

import pytest

import ramet
from ramet.schedulers import Never
from ramet.testing.strategies import learning

SPACE = {"h": ramet.uniform(0.0, 1.0), "lr": ramet.loguniform(1e-4, 1e-1)}


def rows(tmp_path, scheduler, seed=0):
    results = ramet.Tuner(
        learning,
        param_space=SPACE,
        tune_config=ramet.TuneConfig(metric="score", mode="max", scheduler=scheduler, num_samples=8, seed=seed),
        run_config=ramet.RunConfig(
            storage_path=str(tmp_path), stop={"training_iteration": 12}, executor="inline", verbose=0
        ),
    ).fit()
    return [list(result.metrics_dataframe["score"]) for result in results], [result.config for result in results]


def pbt(kind=ramet.PopulationBasedTraining, **arguments):
    return kind(
        **{
            "time_attr": "training_iteration",
            "perturbation_interval": 3,
            "hyperparam_mutations": SPACE,
            "synch": True,
            **arguments,
        }
    )


@pytest.mark.parametrize("synch", [False, True])
def test_a_quantile_of_zero_is_random_search(tmp_path, synch):
    """Where nobody is replaced, members train to the end under the configurations that they were drawn with."""
    _, drawn = rows(tmp_path, ramet.RandomSearch())
    _, found = rows(tmp_path, pbt(quantile_fraction=0.0, synch=synch))
    assert found == drawn
    assert rows(tmp_path, pbt(exploit=Never(), synch=synch))[1] == drawn


def test_random_search_is_fifo(tmp_path):
    """It is the same under another name."""
    assert rows(tmp_path, ramet.RandomSearch()) == rows(tmp_path, ramet.FIFO()) == rows(tmp_path, None)


def test_without_exploit_all_members_explore_by_themselves(tmp_path):
    """In NoExploit nobody's weights travel, and everyone's hyperparameters change at each interval."""
    results = ramet.Tuner(
        learning,
        param_space=SPACE,
        tune_config=ramet.TuneConfig(metric="score", mode="max", scheduler=pbt(ramet.NoExploit), num_samples=4, seed=0),
        run_config=ramet.RunConfig(
            storage_path=str(tmp_path), stop={"training_iteration": 12}, executor="inline", verbose=0
        ),
    ).fit()
    for result in results:
        assert {step.member for step in result.lineage} == {result.member}
        values = [step.hparams["h"] for step in result.schedule]
        assert len(values) == 4
        assert all(one != other for one, other in itertools.pairwise(values)), values


@pytest.mark.parametrize("name", ["exploit", "quantile_fraction"])
def test_no_exploit_takes_no_exploit(name):
    """It refuses arguments that contradict its name."""
    with pytest.raises(ramet.RametError, match=name):
        pbt(ramet.NoExploit, **{name: 0.25})
