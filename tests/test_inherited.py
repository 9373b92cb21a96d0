"""Mixed and new weights: what a strategy asks for, and what reaches the training function."""

from collections import OrderedDict, defaultdict
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pytest

import ramet
from ramet.errors import ReportError
from ramet.mixing import mixed


class Tensor:
    """As much of a tensor of torch as mixing looks at."""

    def __init__(self, value, floating=True):
        self.value, self.shape = value, ()
        self.dtype = type("dtype", (), {"is_floating_point": floating})()

    def __rmul__(self, factor):
        return Tensor(factor * self.value)

    def __add__(self, other):
        return Tensor(self.value + other.value)


def test_numbers_are_mixed_and_all_else_is_new():
    """Floats become keep * weights + share * fresh, at any depth; what is no float is taken from the new ones."""
    had = {
        "w": np.array([1.0, 2.0]),
        "deep": [{"b": 3.0}, (4.0,)],
        "batches": 7,
        "flags": np.array([True]),
        "t": Tensor(2.0),
    }
    new = {
        "w": np.array([10.0, 10.0]),
        "deep": [{"b": 10.0}, (10.0,)],
        "batches": 0,
        "flags": np.array([False]),
        "t": Tensor(1.0),
    }
    result = mixed(had, new, 0.5, 0.1)
    assert result["w"].tolist() == [1.5, 2.0]
    assert result["deep"] == [{"b": 2.5}, (3.0,)]
    assert result["batches"] == 0
    assert result["flags"].tolist() == [False]
    assert result["t"].value == pytest.approx(1.1)
    assert had["w"].tolist() == [1.0, 2.0]


class Moments(NamedTuple):
    mean: float
    step: int


def test_a_named_tuple_of_weights_stays_one():
    """The state of an optimiser as many libraries have it is mixed like any other tuple."""
    assert mixed({"opt": Moments(1.0, 7)}, {"opt": Moments(10.0, 0)}, 0.5, 0.1) == {"opt": Moments(1.5, 0)}
    assert type(mixed(Moments(1.0, 7), Moments(10.0, 0), 0.5, 0.1)) is Moments


def test_new_weights_are_new():
    """With nothing kept not even NaN is."""
    assert mixed({"w": np.array([np.nan])}, {"w": np.array([2.0])}, 0.0, 1.0)["w"].tolist() == [2.0]


@pytest.mark.parametrize(
    ("had", "new"),
    [
        ({"w": 1.0}, {"v": 1.0}),
        ({"w": [1.0]}, {"w": [1.0, 2.0]}),
        ({"w": np.ones(2)}, {"w": np.ones(3)}),
        ({"w": 1.0}, 3),
    ],
)
def test_weights_of_another_shape_are_refused(had, new):
    """Both must have the same shape, and the error says where they do not."""
    with pytest.raises(ReportError, match=r"same\s+shape"):
        mixed(had, new, 0.5, 0.5)


def test_outside_a_run_weights_are_as_they_are():
    """A function can be tried alone: nothing is mixed then, nor made."""
    weights = {"w": 1.0}
    assert ramet.inherited(weights, lambda: 1 / 0) is weights


def run(train, weights, tmp_path, synch=True, **more):
    scheduler = ramet.PopulationBasedTraining(
        time_attr="training_iteration",
        perturbation_interval=2,
        hyperparam_mutations={"h": ramet.uniform(0.0, 1.0)},
        quantile_fraction=0.5,
        weights=weights,
        synch=synch,
    )
    return ramet.Tuner(
        train,
        param_space={"h": ramet.grid_search([0.1, 0.9])},
        tune_config=ramet.TuneConfig(metric="score", mode="max", scheduler=scheduler, seed=0),
        run_config=ramet.RunConfig(
            storage_path=str(tmp_path),
            stop={"training_iteration": 6},
            verbose=0,
            executor="inline",
            checkpoint_config=ramet.CheckpointConfig(num_to_keep=None),
            **more,
        ),
    ).fit()


def mixing(config):
    """Train one weight that only grows, and tell what it began with."""
    checkpoint = ramet.get_checkpoint()
    begun = weight = ramet.inherited(checkpoint.to_dict()["weight"], lambda: 100.0) if checkpoint else 1.0
    while True:
        weight += config["h"]
        ramet.report({"score": weight, "begun": begun}, checkpoint=ramet.Checkpoint.from_dict({"weight": weight}))


@pytest.mark.parametrize(("weights", "keep", "share"), [("copy", 1, 0), ("fresh", 0, 1), ((0.25, 0.5), 0.25, 0.5)])
def test_a_clone_begins_with_what_the_strategy_asks_for(weights, keep, share, tmp_path):
    """A clone's first weights are the mixture of its donor's and new ones."""
    results = run(mixing, weights, tmp_path)
    assert results.num_errors == 0, results.errors
    population, seen = results.population, 0
    for segment in population.segments:
        if segment.info["why"] != "exploit" or segment.last == segment.start:
            continue
        donor = results.checkpoint(segment.origin.checkpoint).to_dict()["weight"]
        begun = results.rows([(segment, segment.last)])[0]["begun"]
        assert begun == pytest.approx(keep * donor + share * 100.0)
        assert segment.info.get("weights", [1.0, 0.0]) == [keep, share]
        seen += 1
    assert seen
    assert "weights" not in population.noted


def test_weights_are_mixed_once(tmp_path):
    """Whoever is started again from a checkpoint of its own goes on with that as it is."""

    def fails_once(config):
        checkpoint = ramet.get_checkpoint()
        state = checkpoint.to_dict() if checkpoint else {"weight": 1.0, "step": 0}
        weight, step = ramet.inherited(state["weight"], 100.0), state["step"]
        begun = weight
        while True:
            step += 1
            if step == 4 and not (tmp_path / "failed").exists():
                (tmp_path / "failed").touch()
                raise RuntimeError("once")
            weight += config["h"]
            ramet.report(
                {"score": weight, "begun": begun},
                checkpoint=ramet.Checkpoint.from_dict({"weight": weight, "step": step}),
            )

    results = run(fails_once, "fresh", tmp_path / "runs", failure_config=ramet.FailureConfig(max_failures=1))
    assert results.num_errors == 0
    failed = next(member for member in results.population.members if member.failures)
    rows = results[failed.number].metrics_dataframe
    assert (rows["begun"][rows["training_iteration"] >= 4] != 100.0).any()


def test_a_function_that_does_not_mix_is_told_of(tmp_path):
    """A strategy that asks for mixed weights, and a function that never asks how, are both named once."""

    def deaf(config):
        checkpoint = ramet.get_checkpoint()
        weight = checkpoint.to_dict()["weight"] if checkpoint else 1.0
        while True:
            weight += config["h"]
            ramet.report({"score": weight}, checkpoint=ramet.Checkpoint.from_dict({"weight": weight}))

    results = run(deaf, "fresh", tmp_path)
    assert "ramet.inherited" in results.population.noted["weights"]
    assert "PopulationBasedTraining" in results.population.noted["weights"]


@pytest.mark.parametrize("kind", [dict, OrderedDict, lambda pairs: defaultdict(list, pairs), MappingProxyType])
def test_whatever_holds_weights_is_mixed(kind):
    """Dicts of every sort are mixed by key and stay what they are; the given ones are not touched."""
    had = kind({"w": 1.0})
    result = mixed(had, {"w": 3.0}, 0.5, 0.5)
    assert dict(result) == {"w": 2.0}
    assert dict(had) == {"w": 1.0}
    assert type(result) is type(had) or type(had) is MappingProxyType
