"""A member of a population that is its own program, on executors of training functions."""

from __future__ import annotations

import contextlib
import gc

import pytest

import ramet

jax = pytest.importorskip("jax")


def init(key, hparams):
    return {"x": jax.random.normal(key, ())}


def step(state, hparams, key):
    x = state["x"] * 0.9
    return {"x": x}, {"score": -(x**2)}


@pytest.mark.parametrize("enabled", [True, False])
def test_the_garbage_collector_is_left_as_it_was(tmp_path, enabled):
    """A run pauses it between dispatches; afterwards it is on if it was on before, also where the run failed."""
    before = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        for callbacks in ([], [Stops()]):
            tuner = ramet.Tuner(
                ramet.VectorTrainable(init, step),
                run_config=ramet.RunConfig(
                    storage_path=tmp_path, stop={"training_iteration": 3}, callbacks=callbacks, verbose=0
                ),
            )
            with pytest.raises(SystemExit) if callbacks else contextlib.nullcontext():
                tuner.fit()
            assert gc.isenabled() == enabled
    finally:
        (gc.enable if before else gc.disable)()


class Stops(ramet.Callback):
    """Ends the program while a run is under way."""

    def on_checkpoint(self, *_):
        raise SystemExit


def test_resources_leave_a_population_one_program(tmp_path):
    """What is given with resources, which rows have no use for, is trained as rows all the same."""
    tuner = ramet.Tuner(
        ramet.with_resources(ramet.VectorTrainable(init, step), {"cpu": 1}),
        tune_config=ramet.TuneConfig(metric="score", mode="max", num_samples=2, seed=1),
        run_config=ramet.RunConfig(storage_path=tmp_path, stop={"training_iteration": 3}, verbose=0),
    )
    assert isinstance(tuner._executor(), ramet.VectorExecutor)
    assert [result.iteration for result in tuner.fit()] == [3, 3]


@pytest.mark.parametrize("executor", ["inline", "process", "vector"])
def test_who_is_ended_by_a_count_of_reports_leaves_its_model(tmp_path, executor):
    """Where nothing is ever decided too, each member's last state is there, and is the one that it reported."""
    tuner = ramet.Tuner(
        ramet.VectorTrainable(init, step),
        tune_config=ramet.TuneConfig(metric="score", mode="max", num_samples=2, seed=1),
        run_config=ramet.RunConfig(storage_path=tmp_path, stop={"training_iteration": 7}, executor=executor, verbose=0),
    )
    for result in tuner.fit():
        assert result.iteration == 7
        x = float(result.checkpoint.to_dict()["x"])
        assert result.metrics["score"] == pytest.approx(-(x**2))
