"""Train 256 small networks at once on two cores, and let them find their learning rate and their regularisation.

    python vector_digits.py [--members N] [--seed N] [--out DIR] [--smoke-test]

Each network reads handwritten digits (scikit-learn's, which come with the package). They differ in learning rate, weight
decay and in how much noise is added to what they see. All of them are rows of one JAX program: what is written below is
the training of one network, and ``ramet.VectorTrainable`` makes the population of it. The picture is
``vector_digits.png``.

It takes ``pip install ramet[plot] jax optax scikit-learn``.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from sklearn.datasets import load_digits

# The problem
# -----------
# 1797 images of 8 by 8 pixels. Few are for training, so that a network can learn them by heart and regularisation has
# something to do. The validation images decide who is cloned; the test images decide nothing, and so tell the truth.

TRAIN, VALIDATION = 500, 600


def data():
    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.target))
    images = jnp.asarray(digits.data[order] / 8 - 1, jnp.float32)  # from 0..16 to -1..1
    labels = jnp.asarray(digits.target[order], jnp.int32)
    cuts = [TRAIN, TRAIN + VALIDATION]
    return list(zip(jnp.split(images, cuts), jnp.split(labels, cuts), strict=True))


(train_images, train_labels), validation, test = data()

# One network
# -----------

HIDDEN, BATCH = 32, 64


def optimiser(hparams):
    return optax.adamw(hparams["lr"], weight_decay=hparams["weight_decay"])


def init(key, hparams):
    first, second = jax.random.split(key)
    weights = {
        "hidden": jax.random.normal(first, (64, HIDDEN)) / 8,
        "hidden_bias": jnp.zeros(HIDDEN),
        "out": jax.random.normal(second, (HIDDEN, 10)) / HIDDEN**0.5,
        "out_bias": jnp.zeros(10),
    }
    return {"weights": weights, "optimiser": optimiser(hparams).init(weights)}


def logits(weights, images):
    hidden = jax.nn.relu(images @ weights["hidden"] + weights["hidden_bias"])
    return hidden @ weights["out"] + weights["out_bias"]


def loss(weights, images, labels):
    return optax.softmax_cross_entropy_with_integer_labels(logits(weights, images), labels).mean()


def step(state, hparams, key):
    pick, blur = jax.random.split(key)
    rows = jax.random.randint(pick, (BATCH,), 0, TRAIN)
    images = train_images[rows] + hparams["noise"] * jax.random.normal(blur, (BATCH, 64))
    value, slope = jax.value_and_grad(loss)(state["weights"], images, train_labels[rows])
    change, memory = optimiser(hparams).update(slope, state["optimiser"], state["weights"])
    return {"weights": optax.apply_updates(state["weights"], change), "optimiser": memory}, {"train_loss": value}


def evaluate(state, hparams, key):
    def accuracy(images, labels):
        return jnp.mean(logits(state["weights"], images).argmax(-1) == labels)

    return {
        "loss": loss(state["weights"], *validation),
        "accuracy": accuracy(*validation),
        "test_accuracy": accuracy(*test),
        "test_loss": loss(state["weights"], *test),
    }
