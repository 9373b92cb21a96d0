"""The triangle wave in the style of Ray Tune's example: a directory for a checkpoint, made by the function itself.

python -m ramet.compat.ray benchmarks/triangle_ray.py 1000      (Ramet)
python benchmarks/triangle_ray.py 1000                          (Ray Tune, if it is installed)
"""

import json
import os
import sys
import tempfile

import ray
from ray import tune
from ray.tune import Checkpoint
from ray.tune.schedulers import PopulationBasedTraining
from training import step

INTERVAL = 5


def train(config):
    accuracy, done = 0.0, 0
    checkpoint = tune.get_checkpoint()
    if checkpoint:
        with checkpoint.as_directory() as directory, open(os.path.join(directory, "checkpoint.json")) as file:
            state = json.load(file)
        accuracy, done = state["accuracy"], state["step"]
    while True:
        accuracy, metrics = step(config["lr"], accuracy)
        done += 1
        if done % INTERVAL == 0:
            with tempfile.TemporaryDirectory() as directory:
                with open(os.path.join(directory, "checkpoint.json"), "w") as file:
                    json.dump({"accuracy": accuracy, "step": done}, file)
                tune.report(metrics, checkpoint=Checkpoint.from_directory(directory))
        else:
            tune.report(metrics)


if __name__ == "__main__":
    ray.init(num_cpus=2)
    tuner = tune.Tuner(
        train,
        param_space={"lr": 0.0001},
        tune_config=tune.TuneConfig(
            metric="mean_accuracy",
            mode="max",
            num_samples=8,
            scheduler=PopulationBasedTraining(
                time_attr="training_iteration",
                perturbation_interval=INTERVAL,
                hyperparam_mutations={"lr": tune.uniform(0.0001, 0.02)},
            ),
        ),
        run_config=tune.RunConfig(
            verbose=0,
            stop={"training_iteration": int(sys.argv[1])},
            checkpoint_config=tune.CheckpointConfig(num_to_keep=2, checkpoint_score_attribute="mean_accuracy"),
        ),
    )
    print("best learning rate:", tuner.fit().get_best_result().config["lr"])
