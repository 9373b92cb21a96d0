"""The triangle wave in the style of Ray Tune's example: a temporary directory for a checkpoint, made by the function.

python -m ramet.compat.ray triangle_ray.py --members 8 --iterations 1000      (Ramet)
python triangle_ray.py --members 8 --iterations 20 [--reuse] [--silent]                   (Ray Tune, if it is installed)
python triangle_ray.py --members 8 --iterations 20 --address 127.0.0.1:6379                (on a Ray cluster of 4 CPUs)
"""

import argparse
import json
import os
import tempfile
import time

import ray
from moments import mark
from ray import tune
from ray.tune import Checkpoint
from ray.tune.schedulers import PopulationBasedTraining
from training import INTERVAL, step


def train(config):
    """Train one model until it is stopped."""
    accuracy, done = 0.0, 0
    checkpoint = tune.get_checkpoint()
    if checkpoint:
        with checkpoint.as_directory() as directory, open(os.path.join(directory, "checkpoint.json")) as file:
            state = json.load(file)
        accuracy, done = state["accuracy"], state["step"]
    mark()
    while True:
        accuracy, metrics = step(config["lr"], accuracy)
        done += 1
        if done % INTERVAL == 0:
            with tempfile.TemporaryDirectory() as directory:
                with open(os.path.join(directory, "checkpoint.json"), "w") as file:
                    json.dump({"accuracy": accuracy, "step": done}, file)
                mark(INTERVAL)
                tune.report(metrics, checkpoint=Checkpoint.from_directory(directory))
        else:
            tune.report(metrics)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--members", type=int, default=8)
    parser.add_argument("--iterations", type=int, default=1000)
    parser.add_argument("--reuse", action="store_true", help="keep the actors of Ray Tune for the next trial")
    parser.add_argument("--silent", action="store_true", help="have Ray Tune write nothing down that it can leave out")
    parser.add_argument("--address", help="of a Ray cluster; by default one is started")
    asked = parser.parse_args()
    if asked.silent:  # no rows and no log files; the state of the experiment is written once
        os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
        os.environ["TUNE_GLOBAL_CHECKPOINT_S"] = "1000000"
    if asked.address:
        from joined import join

        join(asked.address, 4)
    else:
        ray.init(num_cpus=2)
    tuner = tune.Tuner(
        train,
        param_space={"lr": 0.0001},
        tune_config=tune.TuneConfig(
            metric="mean_accuracy",
            mode="max",
            num_samples=asked.members,
            reuse_actors=asked.reuse or None,
            scheduler=PopulationBasedTraining(
                time_attr="training_iteration",
                perturbation_interval=INTERVAL,
                hyperparam_mutations={"lr": tune.uniform(0.0001, 0.02)},
            ),
        ),
        run_config=tune.RunConfig(
            verbose=0,
            storage_path=os.getcwd(),
            stop={"training_iteration": asked.iterations},
            checkpoint_config=tune.CheckpointConfig(num_to_keep=2, checkpoint_score_attribute="mean_accuracy"),
        ),
    )
    began = time.perf_counter()
    results = tuner.fit()
    seconds = time.perf_counter() - began
    print("best learning rate:", results.get_best_result().config["lr"])
    print(json.dumps({"fit": seconds}))
