"""The triangle wave in Ramet's own style: a directory for a checkpoint, asked of Ramet where a decision waits for it.

python triangle_ramet.py --members 8 --iterations 1000 [--executor inline]
"""

import argparse
import json

from moments import mark
from training import INTERVAL, step

import ramet


def train(config):
    """Train one model until it is stopped."""
    accuracy, done = 0.0, 0
    checkpoint = ramet.get_checkpoint()
    if checkpoint:
        with checkpoint.as_directory() as directory, open(f"{directory}/checkpoint.json") as file:
            state = json.load(file)
        accuracy, done = state["accuracy"], state["step"]
    mark()
    while True:
        accuracy, metrics = step(config["lr"], accuracy)
        done += 1
        if ramet.should_checkpoint():
            directory = ramet.checkpoint_dir()
            with open(directory / "checkpoint.json", "w") as file:
                json.dump({"accuracy": accuracy, "step": done}, file)
            mark(INTERVAL)
            ramet.report(metrics, checkpoint=ramet.Checkpoint.from_directory(directory))
        else:
            ramet.report(metrics)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--members", type=int, default=8)
    parser.add_argument("--iterations", type=int, default=1000)
    parser.add_argument("--executor", default="process")
    asked = parser.parse_args()
    ramet.init(num_cpus=2)
    tuner = ramet.Tuner(
        train,
        param_space={"lr": 0.0001},
        tune_config=ramet.TuneConfig(
            metric="mean_accuracy",
            mode="max",
            num_samples=asked.members,
            scheduler=ramet.PopulationBasedTraining(
                time_attr="training_iteration",
                perturbation_interval=INTERVAL,
                hyperparam_mutations={"lr": ramet.uniform(0.0001, 0.02)},
            ),
        ),
        run_config=ramet.RunConfig(
            verbose=0,
            executor=asked.executor,
            # Each member makes as many reports as a bare model does, whomever it clones.
            stop={"compute_iterations": asked.iterations},
            checkpoint_config=ramet.CheckpointConfig(num_to_keep=1),
        ),
    )
    print("best learning rate:", tuner.fit().get_best_result().config["lr"])
