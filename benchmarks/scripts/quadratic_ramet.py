"""The quadratic tutorial in Ramet's own style: with population based training, and without, and the figures' data.

python quadratic_ramet.py 100
python quadratic_ramet.py 100 127.0.0.1:6379      (on a Ray cluster of 4 CPUs)
"""

import json
import sys
import time

import numpy as np
from hill import INTERVAL, START, climb, drawn, told
from moments import mark

import ramet


def train(config):
    """Climb until stopped."""
    theta, step = np.array(START), 0
    checkpoint = ramet.get_checkpoint()
    if checkpoint:
        state = checkpoint.to_dict()
        theta, step = state["theta"], state["step"]
    mark()
    while True:
        theta = climb(theta, config)
        step += 1
        save = ramet.should_checkpoint()
        if save:
            mark(INTERVAL)
        state = ramet.Checkpoint.from_dict({"theta": theta, "step": step}) if save else None
        ramet.report(told(theta, config, step), checkpoint=state)


def run(lr, scheduler):
    """Let two members climb."""
    return ramet.Tuner(
        train,
        param_space={
            "lr": lr,
            "h0": ramet.grid_search([0.0, 1.0]),
            "h1": ramet.sample_from(lambda spec: 1.0 - spec.config["h0"]),
        },
        tune_config=ramet.TuneConfig(metric="Q", mode="max", scheduler=scheduler),
        run_config=ramet.RunConfig(verbose=0, stop={"training_iteration": int(sys.argv[1])}, executor=executor),
    ).fit()


if __name__ == "__main__":
    if sys.argv[2:]:
        from joined import join

        join(sys.argv[2], 4)
        executor = "ray"
    else:
        ramet.init(num_cpus=2)
        executor = "process"
    pbt = ramet.PopulationBasedTraining(
        time_attr="training_iteration",
        perturbation_interval=INTERVAL,
        quantile_fraction=0.5,
        resample_probability=0.5,
        hyperparam_mutations={
            "lr": ramet.qloguniform(1e-4, 1e-1, 5e-5),
            "h0": ramet.uniform(0.0, 1.0),
            "h1": ramet.uniform(0.0, 1.0),
        },
        synch=True,
    )
    began = time.perf_counter()
    for results in (run(ramet.qloguniform(1e-3, 1e-1, 5e-4), pbt), run(0.05, None)):
        ways, _ = drawn(results)
        print(results.get_best_result().metrics["Q"], [len(way) for way in ways])
    print(json.dumps({"fit": time.perf_counter() - began}))
