"""The two tutorials' numbers, over twenty seeds, and that one seed gives one run wherever it is trained.

The functions stand here in the shape that Ray Tune's users write them in: global generators, temporary directories,
checkpoints that are read at the start.
"""

import json
import os
import random
import statistics
import tempfile

import numpy as np
import pytest

import ramet
from ramet.testing import story

SEEDS = range(20)


def triangle(config):
    """Accuracy grows fastest at a learning rate that rises and falls with it; all noise is from global generators."""
    lr, every = config["lr"], config.get("checkpoint_interval", 1)
    accuracy, step = 0.0, 1
    checkpoint = ramet.get_checkpoint()
    if checkpoint:
        with checkpoint.as_directory() as directory, open(os.path.join(directory, "checkpoint.json")) as file:
            saved = json.load(file)
        accuracy, step = saved["acc"], saved["step"] + 1
    while True:
        best = 0.01 * accuracy / 100 if accuracy < 100 else 0.01 - 0.01 * (accuracy - 100) / 100
        best = min(0.01, max(0.001, best))
        error = max(lr, best) / min(lr, best)
        if error < 3:
            accuracy += (1.0 / error) * random.random()
        elif lr > best:
            accuracy -= (error - 3) * random.random()
        accuracy = max(0, accuracy + 2 * np.random.normal())
        metrics = {"mean_accuracy": accuracy, "cur_lr": lr, "optimal_lr": best, "q_err": error, "done": accuracy > 200}
        if step % every == 0:
            with tempfile.TemporaryDirectory() as directory:
                with open(os.path.join(directory, "checkpoint.json"), "w") as file:
                    json.dump({"acc": accuracy, "step": step}, file)
                ramet.report(metrics, checkpoint=ramet.Checkpoint.from_directory(directory))
        else:
            ramet.report(metrics)
        step += 1


def train_triangle(tmp_path, seed, executor, *, stop=400):
    scheduler = ramet.PopulationBasedTraining(
        time_attr="training_iteration",
        perturbation_interval=5,
        hyperparam_mutations={"lr": ramet.uniform(0.0001, 0.02), "some_other_factor": [1, 2]},
        synch=True,
    )
    return ramet.Tuner(
        triangle,
        param_space={"lr": 0.0001, "some_other_factor": 1, "checkpoint_interval": 5},
        tune_config=ramet.TuneConfig(metric="mean_accuracy", mode="max", scheduler=scheduler, num_samples=8, seed=seed),
        run_config=ramet.RunConfig(
            name="triangle",
            storage_path=tmp_path,
            stop={"done": True, "training_iteration": stop},
            verbose=0,
            executor=executor,
            checkpoint_config=ramet.CheckpointConfig(checkpoint_score_attribute="mean_accuracy", num_to_keep=2),
        ),
    ).fit()


def quadratic(config):
    """Gradient ascent on an estimate of Q = 1.2 - (3/4 x0^2 + x1^2) that weighs its two terms by h0 and h1."""
    h = np.array([config["h0"], config["h1"]]).astype(float)
    theta, step = np.array([0.9, 0.9]), 1
    if ramet.get_checkpoint():
        saved = ramet.get_checkpoint().to_dict()
        theta, step = saved["theta"], saved["train_step"] + 1
    while True:
        theta = theta + config["lr"] * -2 * h * theta * np.array([3 / 4, 1.0])
        checkpoint = None
        if step % config.get("checkpoint_interval", 1) == 0:
            checkpoint = ramet.Checkpoint.from_dict({"h": h, "train_step": step, "theta": theta})
        score = 1.2 - (3 / 4 * theta[0] ** 2 + theta[1] ** 2)
        ramet.report({"Q": score, "theta0": theta[0], "theta1": theta[1], "train_step": step}, checkpoint=checkpoint)
        step += 1


def train_quadratic(tmp_path, seed, executor="inline", *, pbt=True):
    scheduler = ramet.PopulationBasedTraining(
        time_attr="training_iteration",
        perturbation_interval=4,
        quantile_fraction=0.5,
        resample_probability=0.5,
        hyperparam_mutations={
            "lr": ramet.qloguniform(1e-4, 1e-1, 5e-5),
            "h0": ramet.uniform(0.0, 1.0),
            "h1": ramet.uniform(0.0, 1.0),
        },
        synch=True,
    )
    space = {"h0": ramet.grid_search([0.0, 1.0]), "h1": ramet.sample_from(lambda spec: 1.0 - spec.config["h0"])}
    more = {"lr": ramet.qloguniform(1e-3, 1e-1, 5e-4), "num_training_iterations": 100, "checkpoint_interval": 4}
    return ramet.Tuner(
        quadratic,
        param_space={**space, **(more if pbt else {"lr": 0.05})},
        tune_config=ramet.TuneConfig(
            num_samples=1, metric="Q", mode="max", scheduler=scheduler if pbt else None, seed=seed
        ),
        run_config=ramet.RunConfig(
            name="quadratic",
            storage_path=tmp_path,
            stop={"training_iteration": 100},
            failure_config=ramet.FailureConfig(max_failures=3),
            verbose=0,
            executor=executor,
        ),
    ).fit()


@pytest.mark.parametrize("seed", SEEDS)
def test_triangle_wave_passes_200(tmp_path, seed):
    """With eight members every seed passes accuracy 200 within 400 iterations."""
    results = train_triangle(tmp_path, seed, "inline")
    assert results.num_errors == 0
    assert max(result.metrics["mean_accuracy"] for result in results) > 200
    assert min(result.iteration for result in results if result.metrics["done"]) <= 400


def test_quadratic_reaches_the_optimum(tmp_path):
    """Over twenty seeds the median best Q is at least 1.199 and none is below 1.1; every member has its 100 rows."""
    best = []
    for seed in SEEDS:
        results = train_quadratic(tmp_path, seed)
        best.append(results.get_best_result().metrics["Q"])
        assert [len(result.metrics_dataframe) for result in results] == [100, 100]
    assert statistics.median(best) >= 1.199
    assert min(best) >= 1.1


def test_grid_search_is_stuck(tmp_path):
    """Without a scheduler the quadratic ends at 1.2 - 0.75 * 0.81 = 0.5925, each member with its 100 rows."""
    results = train_quadratic(tmp_path, 0, pbt=False)
    assert round(results.get_best_result().metrics["Q"], 4) == 0.5925
    assert [len(result.metrics_dataframe) for result in results] == [100, 100]


@pytest.mark.parametrize("train", [train_triangle, train_quadratic])
def test_one_seed_is_one_run(tmp_path, train):
    """Events, rows and final checkpoints are the same inline and in processes, with 1, 2 and 8 slots."""
    reference = story(train(tmp_path, 5, ramet.InlineExecutor()).experiment_path)
    assert len(reference["rows"]) >= 200
    for kind in (ramet.InlineExecutor, ramet.ProcessExecutor):
        for slots in (1, 2, 8):
            assert story(train(tmp_path, 5, kind(slots)).experiment_path) == reference, (kind, slots)
