"""The triangle wave in Ramet's own style: a directory for a checkpoint, asked of Ramet where a decision waits for it.

python triangle_ramet.py --members 8 --iterations 1000 [--executor inline] [--slots 4]
python triangle_ramet.py --members 8 --iterations 20 --address 127.0.0.1:6379       (on a Ray cluster of 4 CPUs)
"""

import argparse
import json
import time

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


class Pace(ramet.Callback):
    """Notes when the first and the last report came in."""

    def __init__(self):
        self.times = []

    def on_report(self, member, iteration, metrics):
        """Note the moment."""
        del member, iteration, metrics
        self.times.append(time.perf_counter())


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--members", type=int, default=8)
    parser.add_argument("--iterations", type=int, default=1000)
    parser.add_argument("--executor", default="process")
    parser.add_argument("--slots", type=int, default=2)
    parser.add_argument("--address", help="of a Ray cluster, which is used instead of worker processes")
    asked = parser.parse_args()
    executor, pace = asked.executor, Pace()
    if asked.address:
        from joined import join

        join(asked.address, asked.slots)
        executor = ramet.RayExecutor(asked.slots)
    else:
        ramet.init(num_cpus=asked.slots)
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
            executor=executor,
            callbacks=[pace] if asked.address or asked.slots != 2 else [],
            # Each member makes as many reports as a bare model does, whomever it clones.
            stop={"compute_iterations": asked.iterations},
            checkpoint_config=ramet.CheckpointConfig(num_to_keep=1),
        ),
    )
    began = time.perf_counter()
    results = tuner.fit()
    seconds = time.perf_counter() - began
    print("best learning rate:", results.get_best_result().config["lr"])
    if pace.times:
        finished = sum(result.error is None for result in results)
        training = pace.times[-1] - pace.times[0]
        print(json.dumps({"fit": seconds, "training": training, "reports": len(pace.times), "finished": finished}))
