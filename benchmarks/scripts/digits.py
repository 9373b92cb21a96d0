"""A network trained on scikit-learn's digits, about 30 ms of arithmetic a step: bare, or on Ramet.

python digits.py --steps 120 --slots 2 [--bare]
"""

import argparse
import subprocess
import sys

import numpy as np
from moments import mark
from network import Network

INTERVAL = 10
MEMBERS = 2


def bare(steps, file):
    """Train one model without any library."""
    network = Network()
    mark()
    for step in range(1, steps + 1):
        network.step(0.5)
        if step % INTERVAL == 0:
            np.savez(file, *network.weights)
            mark(INTERVAL)


def train(config):
    """Train one model until it is stopped."""
    import ramet

    network = Network()
    checkpoint = ramet.get_checkpoint()
    if checkpoint:
        network.weights = [array.copy() for array in checkpoint.to_dict()["weights"]]
    mark()
    while True:
        accuracy = network.step(config["lr"])
        if ramet.should_checkpoint():
            mark(INTERVAL)
            ramet.report({"accuracy": accuracy}, checkpoint=ramet.Checkpoint.from_dict({"weights": network.weights}))
        else:
            ramet.report({"accuracy": accuracy})


def run(steps, slots):
    """Train the population."""
    import ramet

    ramet.Tuner(
        train,
        param_space={"lr": 0.5},
        tune_config=ramet.TuneConfig(
            metric="accuracy",
            mode="max",
            num_samples=MEMBERS,
            scheduler=ramet.PopulationBasedTraining(
                time_attr="training_iteration",
                perturbation_interval=INTERVAL,
                hyperparam_mutations={"lr": ramet.loguniform(0.1, 1.0)},
            ),
        ),
        run_config=ramet.RunConfig(
            verbose=0,
            executor=ramet.ProcessExecutor(slots),
            stop={"compute_iterations": steps},
            checkpoint_config=ramet.CheckpointConfig(num_to_keep=1),
        ),
    ).fit()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=120)
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--bare", action="store_true")
    parser.add_argument("--share", type=int, help="be one of the bare processes")
    asked = parser.parse_args()
    if asked.share is not None:
        for model in range(asked.share, MEMBERS, asked.slots):
            bare(asked.steps, f"model-{model}.npz")
    elif asked.bare:
        command = [sys.executable, __file__, *sys.argv[1:], "--share"]
        processes = [subprocess.Popen([*command, str(number)]) for number in range(asked.slots)]
        sys.exit(max(process.wait() for process in processes))
    else:
        run(asked.steps, asked.slots)
