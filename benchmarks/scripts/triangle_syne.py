"""The triangle wave on Syne Tune: this file is both the launcher and, with ``--lr``, the training script it starts.

Its members do not take turns: as many train as there are workers, and each clone is a process of its own.

    python triangle_syne.py --iterations 20 [--best]      (Syne Tune, if it is installed)
"""

import argparse
import json
import os
import sys

from moments import mark
from training import INTERVAL, step


def train(lr, folder):
    """Train one model until it has made its iterations, or is stopped."""
    from syne_tune import Reporter

    report = Reporter()
    accuracy, done = 0.0, 0
    path = os.path.join(folder, "checkpoint.json")
    if os.path.exists(path):
        with open(path) as file:
            state = json.load(file)
        accuracy, done = state["accuracy"], state["step"]
    os.makedirs(folder, exist_ok=True)
    mark()
    while True:
        accuracy, metrics = step(lr, accuracy)
        done += 1
        if done % INTERVAL == 0:
            with open(path, "w") as file:
                json.dump({"accuracy": accuracy, "step": done}, file)
            mark(INTERVAL)
        report(training_iteration=done, **metrics)
        if done >= int(os.environ["BENCHMARK_ITERATIONS"]):
            break


def launch(asked):
    """Tune the learning rate."""
    from syne_tune import StoppingCriterion, Tuner
    from syne_tune.backend import LocalBackend
    from syne_tune.config_space import uniform
    from syne_tune.optimizer.schedulers import PopulationBasedTraining

    os.environ["BENCHMARK_ITERATIONS"] = str(asked.iterations)
    scheduler = PopulationBasedTraining(
        config_space={"lr": uniform(0.0001, 0.02)},
        metric="mean_accuracy",
        do_minimize=False,
        time_attr="training_iteration",
        max_t=asked.iterations,
        population_size=asked.members,
        perturbation_interval=INTERVAL,
    )
    more = {"sleep_time": 0.01, "results_update_interval": 1000.0} if asked.best else {}
    Tuner(
        trial_backend=LocalBackend(entry_point=os.path.abspath(__file__)),
        scheduler=scheduler,
        stop_criterion=StoppingCriterion(max_num_evaluations=asked.members * asked.iterations),
        n_workers=2,
        **more,
    ).run()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--members", type=int, default=8)
    parser.add_argument("--iterations", type=int, default=20)
    parser.add_argument("--best", action="store_true", help="look for news every 10 ms instead of every 5 s")
    parser.add_argument("--lr", type=float)
    parser.add_argument("--st_checkpoint_dir")
    asked, _ = parser.parse_known_args()
    if asked.lr is None:
        launch(asked)
    else:
        sys.exit(train(asked.lr, asked.st_checkpoint_dir))
