"""A population in one program: what it costs to let it evolve, against the same loop written by hand.

vector.py overhead --members 256 --steps 100 --boundaries 20
vector.py exploit --members 1000 --width 1300
vector.py rate --members 64 --executor vector
"""

from __future__ import annotations

import argparse
import functools
import json
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import random
from sklearn.datasets import load_digits

import ramet
from ramet.executor.vector.executor import VectorExecutor
from ramet.executor.vector.jax import JaxProgram
from ramet.executor.vector.values import Values

BATCH, CLASSES = 32, 10


def data() -> tuple[Any, Any]:
    """Return scikit-learn's digits."""
    images, labels = load_digits(return_X_y=True)
    return jnp.asarray(images / 16.0, jnp.float32), jnp.asarray(labels)


IMAGES, LABELS = data()


def init(key: Any, hparams: Any) -> Any:
    """Return a network with one hidden layer, and what Adam remembers of it."""
    first, second = random.split(key)
    width = hparams["width"]
    params = {
        "w1": random.normal(first, (64, width)) / 8,
        "b1": jnp.zeros(width),
        "w2": random.normal(second, (width, CLASSES)) / width**0.5,
        "b2": jnp.zeros(CLASSES),
    }
    nothing = jax.tree.map(jnp.zeros_like, params)
    return {"params": params, "mean": nothing, "square": nothing, "count": jnp.float32(0)}


def loss_of(params: Any, images: Any, labels: Any) -> Any:
    """Return the cross entropy."""
    hidden = jnp.tanh(images @ params["w1"] + params["b1"])
    told = jax.nn.log_softmax(hidden @ params["w2"] + params["b2"])
    return -jnp.mean(jnp.take_along_axis(told, labels[:, None], 1))


def step(state: Any, hparams: Any, key: Any) -> Any:
    """Take one step of Adam (Kingma and Ba 2015, algorithm 1)."""
    at = random.randint(key, (BATCH,), 0, len(LABELS))
    loss, gradient = jax.value_and_grad(loss_of)(state["params"], IMAGES[at], LABELS[at])
    count = state["count"] + 1
    mean = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, state["mean"], gradient)
    square = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, state["square"], gradient)

    def moved(weight: Any, m: Any, v: Any) -> Any:
        return weight - hparams["lr"] * (m / (1 - 0.9**count)) / (jnp.sqrt(v / (1 - 0.999**count)) + 1e-8)

    params = jax.tree.map(moved, state["params"], mean, square)
    return {"params": params, "mean": mean, "square": square, "count": count}, {"loss": loss}


def by_hand(members: int, width: int, steps: int, boundaries: int) -> list[float]:
    """Train without evolution, by vmap and scan; return the seconds from each boundary to the next."""
    rates = jnp.asarray(10 ** np.random.default_rng(0).uniform(-4, -1, members), jnp.float32)
    keys = random.split(random.key(0), members)

    @functools.partial(jax.jit, donate_argnums=0)
    def train(state: Any, begin: Any) -> Any:
        def one(state: Any, at: Any) -> Any:
            now = jax.vmap(random.fold_in, (0, None))(keys, at)
            state, told = jax.vmap(lambda s, lr, key: step(s, {"lr": lr}, key))(state, rates, now)
            return state, told["loss"]

        state, losses = jax.lax.scan(one, state, begin + jnp.arange(steps))
        return state, losses.mean(0)

    state = jax.jit(jax.vmap(functools.partial(init, hparams={"width": width})))(keys)
    moments = []
    for boundary in range(boundaries):
        state, losses = train(state, boundary * steps)
        np.asarray(losses)  # the scores come out here too
        moments.append(time.perf_counter())
    return np.diff(moments[1:]).tolist()


class Watched(VectorExecutor):
    """Notes when results came in, and when the next dispatch had left."""

    def __init__(self, **how: Any) -> None:
        super().__init__(**how)
        self.came: list[float] = []
        self.left: list[float] = []

    def _collect(self) -> None:
        super()._collect()
        self.came.append(time.perf_counter())

    def set_off(self) -> None:
        """Note it, if anything set off."""
        before = bool(self._going)
        super().set_off()
        if self._going and not before:
            self.left.append(time.perf_counter())


def evolved(members: int, width: int, steps: int, boundaries: int, executor: Any, fraction: float = 0.25) -> Any:
    """Train with evolution; return what came of it."""
    pbt = ramet.PopulationBasedTraining(
        time_attr="training_iteration",
        perturbation_interval=1,
        quantile_fraction=fraction,
        hyperparam_mutations={"lr": ramet.loguniform(1e-4, 1e-1)},
        synch=True,
    )
    return ramet.Tuner(
        ramet.VectorTrainable(init, step, steps_per_report=steps, weights="params"),
        param_space={"lr": ramet.loguniform(1e-4, 1e-1), "width": width},
        tune_config=ramet.TuneConfig(metric="loss", mode="min", scheduler=pbt, num_samples=members, seed=0),
        run_config=ramet.RunConfig(stop={"training_iteration": boundaries}, executor=executor, verbose=0),
    ).fit()


def overhead(given: argparse.Namespace) -> dict[str, Any]:
    """Return seconds a boundary, by hand and evolving, in turn; and how long the host took in between."""
    size = (given.members, given.width, given.steps, given.boundaries)
    plain, evolving, trips = list[float](), list[float](), list[float]()
    for _ in range(given.repeats):
        plain += [float(np.mean(by_hand(*size)))]
        watched = Watched(checkpoint_every=given.every)
        result = evolved(*size, watched)
        assert not result.errors
        # The last boundary also writes everybody's state, and ends.
        evolving += [float(np.mean(np.diff(watched.came[1:-1])))]
        trips += [left - came for came, left in zip(watched.came[1:-1], watched.left[2:], strict=False)]
    return {"plain": plain, "evolving": evolving, "trips": trips}


def exploit(given: argparse.Namespace) -> dict[str, Any]:
    """Return seconds to write a quarter of the rows over others, and for a step of all; bytes; what memory allows."""
    values = Values([{"lr": 0.1, "width": given.width}], ("lr",))
    trainable = ramet.VectorTrainable(init, step, steps_per_report=given.steps)
    program = JaxProgram(trainable, values, given.members, 0)
    segments, arrays = np.arange(given.members), {"lr": np.full(given.members, 0.001, np.float32)}
    state = program.begin(segments, arrays)
    rows = sum(leaf[:1].nbytes for leaf in program.take(state, [0]))
    size = sum(leaf.size for leaf in jax.tree.leaves(state["params"])) // given.members
    chosen = np.random.default_rng(0).permutation(given.members)
    count = max(1, given.members // 4)
    to, of = chosen[:count].tolist(), chosen[-count:].tolist()
    trained, moved, copied = list[float](), list[float](), list[float]()
    for turn in range(given.repeats + 1):
        began = time.perf_counter()
        state, pending = program.train(state, 1, segments, np.full(given.members, turn), arrays)
        program.metrics(pending)
        middle = time.perf_counter()
        state = jax.block_until_ready(program.move(state, to, of))
        trained.append(middle - began)
        moved.append(time.perf_counter() - middle)
    source = np.ones(max(count * rows // 8, 1))
    target = np.zeros_like(source)
    for _ in range(given.repeats + 1):
        began = time.perf_counter()
        np.copyto(target, source)
        copied.append(time.perf_counter() - began)
    return {
        "parameters": size,
        "bytes": rows,
        "exploits": count,
        "trained": [seconds / given.steps for seconds in trained[1:]],
        "moved": moved[1:],
        "copied": copied[1:],
    }


def rate(given: argparse.Namespace) -> dict[str, Any]:
    """Return member-steps a second of a whole run, from where every member has reported twice."""
    executor = Watched() if given.executor == "vector" else ramet.ProcessExecutor(slots=2)
    result = evolved(given.members, given.width, given.steps, given.boundaries, executor)
    assert not result.errors
    reports = ramet.open(result.experiment_path).reports()
    moments = reports["timestamp"].to_numpy()
    # Workers start and train is compiled before a member's first report, and what writes rows before the second.
    first = reports["training_iteration"].to_numpy() == 2
    seconds = float(moments.max() - moments[first].max())
    done = int((moments > moments[first].max()).sum()) * given.steps
    return {"rate": [done / seconds if seconds > 0 else float("nan")]}


def main() -> None:
    """Measure, and print JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=("overhead", "exploit", "rate"))
    parser.add_argument("--members", type=int, default=256)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--steps", type=int, default=100, help="between two decision points")
    parser.add_argument("--boundaries", type=int, default=10)
    parser.add_argument("--every", type=int, default=1000, help="boundaries between two states on disk")
    parser.add_argument("--executor", choices=("vector", "process"), default="vector")
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    print(json.dumps({"overhead": overhead, "exploit": exploit, "rate": rate}[given.what](given)))


if __name__ == "__main__":
    main()
