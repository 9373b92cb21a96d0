"""A problem of ramet.problems as arrays, or on a Tuner.

python problems.py --problem toy-plain --members 10000
python problems.py --tuner --members 32
"""

import argparse
import json
import time

import numpy as np

import ramet
from ramet.problems import PROBLEMS

STEPS = 20


def arrays(name, members, repeats):
    """Return member-steps a second, of each repeat."""
    problem, rng = PROBLEMS[name], np.random.default_rng(0)
    config = {key: np.array([domain.sample(rng) for _ in range(members)]) for key, domain in problem.mutations.items()}
    problem.step(problem.begin(members), config, rng)  # what is loaded at the first step is not counted
    rates = []
    for _ in range(repeats):
        state, began = problem.begin(members), time.perf_counter()
        for _ in range(STEPS):
            state, _ = problem.step(state, config, rng)
        rates.append(members * STEPS / (time.perf_counter() - began))
    return rates


def tuner(members, repeats):
    """Return the seconds of each run of the deceptive toy; the first run, which loads things, is not counted."""
    problem, seconds = PROBLEMS["toy-deceptive"], []
    for seed in range(repeats + 1):
        began = time.perf_counter()
        ramet.Tuner(
            problem.train,
            param_space=dict(problem.space),
            tune_config=ramet.TuneConfig(
                metric=problem.metric,
                mode=problem.mode,
                num_samples=members,
                seed=seed,
                scheduler=ramet.PopulationBasedTraining(
                    time_attr="training_iteration",
                    perturbation_interval=5,
                    hyperparam_mutations=dict(problem.mutations),
                    synch=True,
                ),
            ),
            run_config=ramet.RunConfig(
                verbose=0,
                executor="inline",
                stop={"compute_iterations": problem.steps},
                checkpoint_config=ramet.CheckpointConfig(num_to_keep=1),
            ),
        ).fit()
        seconds.append(time.perf_counter() - began)
    return seconds[1:]


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--problem")
    parser.add_argument("--members", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--tuner", action="store_true")
    asked = parser.parse_args()
    if asked.tuner:
        seconds = tuner(asked.members, asked.repeats)
        reports = asked.members * PROBLEMS["toy-deceptive"].steps
        told = {"seconds": seconds, "per_second": [reports / each for each in seconds]}
    else:
        told = {"per_second": arrays(asked.problem, asked.members, asked.repeats)}
    print(json.dumps(told))
