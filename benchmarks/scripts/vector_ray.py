"""The same population on Ray Tune: a trial for each member, two at a time.

vector_ray.py --members 8 --steps 100 --boundaries 10
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import pickle
import tempfile
import time
from typing import Any

BATCH, WIDTH, CLASSES = 32, 32, 10


def train(config: dict[str, Any]) -> None:
    """Train one network, in a program compiled for it."""
    import jax
    import jax.numpy as jnp
    import numpy as np
    from jax import random
    from ray import tune
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    images, labels = jnp.asarray(images / 16.0, jnp.float32), jnp.asarray(labels)

    def loss_of(params: Any, x: Any, y: Any) -> Any:
        told = jax.nn.log_softmax(jnp.tanh(x @ params["w1"] + params["b1"]) @ params["w2"] + params["b2"])
        return -jnp.mean(jnp.take_along_axis(told, y[:, None], 1))

    @functools.partial(jax.jit, static_argnums=2)
    def run(state: Any, lr: Any, steps: int, key: Any) -> Any:
        def one(state: Any, key: Any) -> Any:
            params, mean, square, count = state
            at = random.randint(key, (BATCH,), 0, len(labels))
            loss, gradient = jax.value_and_grad(loss_of)(params, images[at], labels[at])
            count += 1
            mean = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, mean, gradient)
            square = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, square, gradient)
            params = jax.tree.map(
                lambda w, m, v: w - lr * (m / (1 - 0.9**count)) / (jnp.sqrt(v / (1 - 0.999**count)) + 1e-8),
                params,
                mean,
                square,
            )
            return (params, mean, square, count), loss

        state, losses = jax.lax.scan(one, state, random.split(key, steps))
        return state, losses.mean()

    first, second, key = random.split(random.key(os.getpid()), 3)
    params = {
        "w1": random.normal(first, (64, WIDTH)) / 8,
        "b1": jnp.zeros(WIDTH),
        "w2": random.normal(second, (WIDTH, CLASSES)) / WIDTH**0.5,
        "b2": jnp.zeros(CLASSES),
    }
    nothing = jax.tree.map(jnp.zeros_like, params)
    state, iteration = (params, nothing, nothing, jnp.float32(0)), 0
    checkpoint = tune.get_checkpoint()
    if checkpoint:
        with checkpoint.as_directory() as folder, open(os.path.join(folder, "state.pkl"), "rb") as file:
            state, iteration = pickle.load(file)
    while iteration < config["boundaries"]:
        key, now = random.split(key)
        state, loss = run(state, config["lr"], config["steps"], now)
        iteration += 1
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "state.pkl"), "wb") as file:
                pickle.dump((jax.tree.map(np.asarray, state), iteration), file)
            metrics = {"loss": float(loss), "at": time.time(), "done_steps": config["steps"]}
            tune.report(metrics, checkpoint=tune.Checkpoint.from_directory(folder))


def main() -> None:
    """Run it, and print member-steps a second since every member has reported once."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--members", type=int, default=8)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--boundaries", type=int, default=10)
    given = parser.parse_args()
    import ray
    from ray import tune
    from ray.tune.schedulers import PopulationBasedTraining

    ray.init(num_cpus=2, include_dashboard=False, logging_level="ERROR")
    pbt = PopulationBasedTraining(
        time_attr="training_iteration",
        perturbation_interval=1,
        hyperparam_mutations={"lr": tune.loguniform(1e-4, 1e-1)},
        synch=True,
    )
    began = time.time()
    results = tune.Tuner(
        tune.with_resources(train, {"cpu": 1}),
        param_space={"lr": tune.loguniform(1e-4, 1e-1), "steps": given.steps, "boundaries": given.boundaries},
        tune_config=tune.TuneConfig(
            metric="loss", mode="min", scheduler=pbt, num_samples=given.members, reuse_actors=True
        ),
        run_config=tune.RunConfig(verbose=0, stop={"training_iteration": given.boundaries}),
    ).fit()
    # Ray Tune starts trials anew as it goes, each with a compilation: that is what it costs, so all of it counts.
    frames = [result.metrics_dataframe for result in results if result.metrics_dataframe is not None]
    moments = sorted(moment for frame in frames for moment in frame["at"])
    first = max(min(frame["at"]) for frame in frames)
    seconds, done = moments[-1] - first, sum(moment > first for moment in moments) * given.steps
    print(json.dumps({"rate": [done / seconds], "whole": moments[-1] - began}))


if __name__ == "__main__":
    main()
