"""A real training: a small network learns handwritten digits by stochastic gradient descent, in numpy.

The network has 64 inputs (8 x 8 pixels), 64 hidden units (rectified, with dropout) and 10 outputs (softmax, cross
entropy). A report stands for 20 minibatches of 64 images, drawn with replacement, with momentum and weight decay, and
tells the accuracy and the loss on images that are never trained on: a quarter of all 1797, the same in every run. All
models begin with the same weights, so that only hyperparameters and draws tell them apart.

No schedule is known to be the best, so the optimum is not a proof but what a long search found. Data: scikit-learn's
``load_digits``, from Alpaydin and Kaynak (1998), "Optical Recognition of Handwritten Digits", UCI Machine Learning
Repository. It needs scikit-learn, which is loaded with the data: ``pip install 'ramet[problems]'``.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

import ramet
from ramet.errors import TrainableError
from ramet.problems.base import Optimum, Problem, State

HIDDEN = 64
"""Hidden units."""

BATCH = 64
"""Images of a minibatch."""

BATCHES = 20
"""Minibatches from one report to the next."""

_ONE_HOT = np.eye(10, dtype=np.float32)

WEIGHTS = ("w1", "b1", "w2", "b2")
"""The parts of a network; the velocity of each is kept as ``"v_w1"`` …"""


class Images(NamedTuple):
    """Images, a row of 64 values from 0 to 1 each, and what they show."""

    pixels: np.ndarray
    labels: np.ndarray


@functools.cache
def images() -> tuple[Images, Images]:
    """Return what is trained on and what is validated on, always the same.

    Raises:
        TrainableError: scikit-learn is not installed.

    >>> [len(part.labels) for part in images()]
    [1348, 449]
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise TrainableError(
            "the problem 'digits' takes its images from scikit-learn, which is not installed: "
            "pip install 'ramet[problems]'"
        ) from error
    pixels, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(labels))
    pixels, labels = (pixels[order] / 16).astype(np.float32), labels[order].astype(np.int64)
    held = len(labels) // 4
    return Images(pixels[held:], labels[held:]), Images(pixels[:held], labels[:held])


def fresh(members: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Return new weights for ``members`` networks, by He's rule."""
    weights = {}
    for number, shape in ((1, (64, HIDDEN)), (2, (HIDDEN, 10))):
        drawn = rng.standard_normal((members, *shape)) * (2 / shape[0]) ** 0.5
        weights[f"w{number}"] = drawn.astype(np.float32)
        weights[f"b{number}"] = np.zeros((members, 1, shape[1]), dtype=np.float32)
    return weights


def begin(members: int) -> State:
    """Return networks at rest, all with the same weights."""
    weights = {name: np.repeat(array, members, axis=0) for name, array in fresh(1, np.random.default_rng(0)).items()}
    return {**weights, **{f"v_{name}": np.zeros_like(array) for name, array in weights.items()}}


def step(state: State, hparams: Mapping[str, Any], rng: np.random.Generator) -> tuple[State, Mapping[str, Any]]:
    """Train every network on 20 minibatches of its own, and validate it."""
    train_images, _ = images()
    members = len(state["w1"])
    lr, momentum, decay, dropout = (
        np.broadcast_to(np.asarray(hparams[name], dtype=np.float32), members)[:, None, None]
        for name in ("lr", "momentum", "weight_decay", "dropout")
    )
    after = {name: array.copy() for name, array in state.items()}
    picks = rng.integers(0, len(train_images.labels), (BATCHES, members, BATCH))
    # A learning rate that is far too high ends in numbers that are none, which is its score and nobody's error.
    with np.errstate(all="ignore"):
        for pick in picks:
            keep = rng.random((members, BATCH, HIDDEN), dtype=np.float32) >= dropout
            slopes = _slopes(after, train_images.pixels[pick], train_images.labels[pick], keep / (1 - dropout))
            for name in WEIGHTS:
                velocity = after[f"v_{name}"]
                velocity *= momentum
                velocity -= lr * (slopes[name] + decay * after[name] if name[0] == "w" else slopes[name])
                after[name] += velocity
        accuracy, loss = _validated(after)
    return after, {"accuracy": accuracy, "loss": loss}


def score(state: State) -> np.ndarray:
    """Return the accuracy of each network on the images that it does not train on."""
    with np.errstate(all="ignore"):
        return _validated(state)[0]


def _slopes(
    weights: Mapping[str, np.ndarray], pixels: np.ndarray, labels: np.ndarray, keep: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the gradient of the mean cross entropy: of arrays with an axis of members before all others."""
    raw = pixels @ weights["w1"] + weights["b1"]
    hidden = np.maximum(raw, 0) * keep
    error = _softmax(hidden @ weights["w2"] + weights["b2"])
    error -= _ONE_HOT[labels]
    error /= labels.shape[1]
    back = (error @ weights["w2"].swapaxes(1, 2)) * keep * (raw > 0)
    return {
        "w1": pixels.swapaxes(1, 2) @ back,
        "b1": back.sum(1, keepdims=True),
        "w2": hidden.swapaxes(1, 2) @ error,
        "b2": error.sum(1, keepdims=True),
    }


def _softmax(raw: np.ndarray) -> np.ndarray:
    chances: np.ndarray = np.exp(raw - raw.max(-1, keepdims=True))
    chances /= chances.sum(-1, keepdims=True)
    return chances


def _validated(weights: Mapping[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return accuracy and mean cross entropy of each network on the held out images."""
    _, (pixels, labels) = images()
    hidden = np.maximum(pixels @ weights["w1"] + weights["b1"], 0)
    chances = _softmax(hidden @ weights["w2"] + weights["b2"])
    told = chances[:, np.arange(len(labels)), labels]
    return (chances.argmax(-1) == labels).mean(-1), -np.log(np.maximum(told, 1e-12)).mean(-1, dtype=np.float64)


def train(config: Mapping[str, Any]) -> None:
    """Train one network until it is told to stop.

    Args:
        config: ``lr``, the learning rate, above 0; ``momentum``, from 0 to below 1; ``weight_decay``, of the weights
            and not the biases, at least 0; ``dropout``, the share of hidden units that each image is shown without,
            from 0 to below 1.

    Reports ``accuracy`` and ``loss`` on held out images, with a checkpoint of weights and velocities where a decision
    waits for one.

    Raises:
        TrainableError: scikit-learn is not installed.
    """
    images()
    state = loaded(ramet.get_checkpoint())
    rng = ramet.rng()
    while True:
        state, metrics = step(state, config, rng)
        saved = None
        if ramet.should_checkpoint():
            saved = ramet.Checkpoint.from_dict({name: array[0] for name, array in state.items()})
        ramet.report({name: array.item() for name, array in metrics.items()}, checkpoint=saved)


def loaded(checkpoint: ramet.Checkpoint | None) -> State:
    """Return the network to go on with: a new one, or that of a checkpoint.

    The one place where weights come in: a strategy that wants them changed on their way is to be asked here.
    """
    if checkpoint is None:
        return begin(1)
    return {name: array[None] for name, array in checkpoint.to_dict().items()}


_DOMAINS = {
    "lr": ramet.loguniform(1e-3, 1.0),
    "momentum": ramet.uniform(0.0, 0.99),
    "weight_decay": ramet.loguniform(1e-6, 1e-1),
    "dropout": ramet.uniform(0.0, 0.8),
}

PROBLEM = Problem(
    name="digits",
    text="a network of numpy learns handwritten digits: no optimum is known but by search",
    metric="accuracy",
    mode="max",
    space=_DOMAINS,
    mutations=_DOMAINS,
    steps=30,
    members=16,
    optimum=Optimum(
        442 / 449,
        "by search: the best of 544 schedules drawn at random, a half of them decaying; no bound, for luck can beat it",
    ),
    train=train,
    begin=begin,
    step=step,
    score=score,
    truth="accuracy",
    needs=("sklearn",),
)
"""The digits."""
