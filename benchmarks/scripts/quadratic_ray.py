"""The quadratic tutorial as a script for Ray Tune: with population based training, and without, and the figures' data.

python -m ramet.compat.ray quadratic_ray.py 100      (Ramet)
python quadratic_ray.py 100                          (Ray Tune, if it is installed)
python quadratic_ray.py 100 127.0.0.1:6379           (the same, on a Ray cluster of 4 CPUs)
"""

import json
import os
import sys
import tempfile
import time

import numpy as np
import ray
from hill import INTERVAL, START, climb, drawn, told
from moments import mark
from ray import tune
from ray.tune import Checkpoint
from ray.tune.schedulers import PopulationBasedTraining


def train(config):
    """Climb until stopped."""
    theta, step = np.array(START), 0
    checkpoint = tune.get_checkpoint()
    if checkpoint:
        with checkpoint.as_directory() as directory, open(os.path.join(directory, "state.json")) as file:
            state = json.load(file)
        theta, step = np.array(state["theta"]), state["step"]
    mark()
    while True:
        theta = climb(theta, config)
        step += 1
        if step % INTERVAL == 0:
            with tempfile.TemporaryDirectory() as directory:
                with open(os.path.join(directory, "state.json"), "w") as file:
                    json.dump({"theta": theta.tolist(), "step": step}, file)
                mark(INTERVAL)
                tune.report(told(theta, config, step), checkpoint=Checkpoint.from_directory(directory))
        else:
            tune.report(told(theta, config, step))


def run(lr, scheduler):
    """Let two members climb."""
    return tune.Tuner(
        train,
        param_space={
            "lr": lr,
            "h0": tune.grid_search([0.0, 1.0]),
            "h1": tune.sample_from(lambda spec: 1.0 - spec.config["h0"]),
        },
        tune_config=tune.TuneConfig(metric="Q", mode="max", num_samples=1, scheduler=scheduler),
        run_config=tune.RunConfig(verbose=0, storage_path=os.getcwd(), stop={"training_iteration": int(sys.argv[1])}),
    ).fit()


if __name__ == "__main__":
    if sys.argv[2:]:
        from joined import join

        join(sys.argv[2], 4)
    else:
        ray.init(num_cpus=2)
    pbt = PopulationBasedTraining(
        time_attr="training_iteration",
        perturbation_interval=INTERVAL,
        quantile_fraction=0.5,
        resample_probability=0.5,
        hyperparam_mutations={
            "lr": tune.qloguniform(1e-4, 1e-1, 5e-5),
            "h0": tune.uniform(0.0, 1.0),
            "h1": tune.uniform(0.0, 1.0),
        },
        synch=True,
    )
    began = time.perf_counter()
    for results in (run(tune.qloguniform(1e-3, 1e-1, 5e-4), pbt), run(0.05, None)):
        ways, _ = drawn(results)
        print(results.get_best_result().metrics["Q"], [len(way) for way in ways])
    print(json.dumps({"fit": time.perf_counter() - began}))
