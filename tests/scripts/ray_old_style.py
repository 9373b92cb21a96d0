"""A script in the older styles of Ray Tune, with dicts as checkpoints; nothing in it knows of Ramet."""

import numpy as np
import ray
from ray import air, tune
from ray.air import session
from ray.air.checkpoint import Checkpoint
from ray.air.config import RunConfig
from ray.tune.schedulers.pbt import PopulationBasedTraining
from ray.tune.tune_config import TuneConfig
from ray.tune.tuner import Tuner
from ray_old_style_model import Model, tell


def train_model(config, data):
    model = Model(data)
    if session.get_checkpoint():
        model = session.get_checkpoint().to_dict()["model"]
    while True:
        model.update(config["lr"])
        tell(model, session.get_trial_name())


def grade(config):
    for _ in range(3):
        tune.report(grade=config["a"] * config["b"])


if ray.is_initialized():
    ray.shutdown()
ray.init(num_cpus=2)

results = Tuner(
    tune.with_resources(tune.with_parameters(train_model, data=np.arange(3.0)), {"cpu": 1}),
    param_space={"lr": tune.qloguniform(1e-3, 1e-1, 5e-4)},
    tune_config=TuneConfig(
        num_samples=3,
        metric="loss",
        mode="min",
        scheduler=PopulationBasedTraining(
            "training_iteration", perturbation_interval=2, hyperparam_mutations={"lr": tune.loguniform(1e-3, 1e-1)}
        ),
    ),
    run_config=RunConfig(stop={"training_iteration": 6}, verbose=False, local_dir="old_runs"),
).fit()
assert isinstance(results.get_best_result().checkpoint, Checkpoint)
print("models:", sorted(result.checkpoint.to_dict()["model"].updates for result in results))

results = Tuner(
    grade,
    param_space={"a": tune.grid_search([1, 2]), "b": tune.sample_from(lambda spec: 10 - spec.config["a"])},
    tune_config=TuneConfig(metric="grade", mode="max"),
    run_config=air.RunConfig(verbose=0),
).fit()
print("grades:", [result.metrics["grade"] for result in results], results.get_best_result().config)
