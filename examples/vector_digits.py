"""Train 256 small networks at once on two cores, and let them find their learning rate and their regularisation.

    python vector_digits.py [--members N] [--seed N] [--out DIR] [--alone] [--smoke-test]

Each network reads handwritten digits (scikit-learn's, which come with the package). They differ in learning rate,
weight decay and in how much noise is added to what they see. All of them are rows of one JAX program: what is written
below is the training of one network, and ``ramet.VectorTrainable`` makes the population of it. The picture is
``vector_digits.png``.

It takes ``pip install ramet[jax,plot] optax scikit-learn``.
"""

import argparse
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
from sklearn.datasets import load_digits

import ramet
from ramet.plots import paper

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
# Three functions, each of one member. They are pure: all that changes is in the state, and all that is drawn comes from
# the key. hparams holds the member's hyperparameters, as numbers that are known only when the program runs.

HIDDEN, BATCH = 32, 64


def init(key, hparams):
    first, second = jax.random.split(key)
    weights = {
        "hidden": jax.random.normal(first, (64, HIDDEN)) / 8,
        "hidden_bias": jnp.zeros(HIDDEN),
        "out": jax.random.normal(second, (HIDDEN, 10)) / HIDDEN**0.5,
        "out_bias": jnp.zeros(10),
    }
    return {"weights": weights, "optimiser": optimiser(hparams).init(weights)}


def optimiser(hparams):
    # It is made anew for every step, from what is in force then; what it remembers is in the state, and is cloned.
    return optax.adamw(hparams["lr"], weight_decay=hparams["weight_decay"])


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


# Once per report, the network is looked at. The validation loss is the score: it still tells networks apart whose
# accuracies are the same.


def evaluate(state, hparams, key):
    del hparams, key  # neither noise nor chance here

    def accuracy(images, labels):
        return jnp.mean(logits(state["weights"], images).argmax(-1) == labels)

    return {
        "loss": loss(state["weights"], *validation),
        "accuracy": accuracy(*validation),
        "test_loss": loss(state["weights"], *test),
        "test_accuracy": accuracy(*test),
    }


# The population
# --------------
# A report is 40 steps; every fifth report the worst quarter become clones of the best. With --alone nobody does: then
# it is a random search among constants, with the same founders.

SPACE = {
    "lr": ramet.loguniform(1e-4, 1e-1),
    "weight_decay": ramet.loguniform(1e-4, 1.0),
    "noise": ramet.uniform(0.0, 2.0),
}


def run(arguments):
    scheduler = ramet.PopulationBasedTraining(
        time_attr="training_iteration", perturbation_interval=5, hyperparam_mutations=SPACE, synch=True
    )
    tuner = ramet.Tuner(
        ramet.VectorTrainable(init, step, evaluate, steps_per_report=40),
        param_space=SPACE,
        tune_config=ramet.TuneConfig(
            metric="loss",
            mode="min",
            num_samples=8 if arguments.smoke_test else arguments.members,
            scheduler=ramet.FIFO() if arguments.alone else scheduler,
            seed=arguments.seed,
        ),
        run_config=ramet.RunConfig(
            name="vector_digits",
            stop={"training_iteration": 10 if arguments.smoke_test else 60},
            checkpoint_config=ramet.CheckpointConfig(num_to_keep=1),  # what can still be cloned is kept besides
            verbose=0,  # of so many members, a summary at the end is enough
        ),
    )
    return tuner.fit()


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--members", type=int, default=256, metavar="N", help="how many networks (default: 256)")
    parser.add_argument("--seed", type=int, default=0, help="another seed, another population (default: 0)")
    parser.add_argument("--out", type=Path, default=Path(), metavar="DIR", help="folder for the picture")
    parser.add_argument("--alone", action="store_true", help="clone nobody: a random search")
    parser.add_argument("--smoke-test", action="store_true", help="few members, and end early")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)

    start = time.perf_counter()
    results = run(arguments)
    seconds = time.perf_counter() - start
    best = results.get_best_result()
    told = best.metrics
    print(
        f"{len(results)} networks, {best.iteration * 40} steps each, in {seconds:.0f} s. The best by validation loss:"
    )
    print(f"validation loss {told['loss']:.4f}, accuracy {told['accuracy']:.4f}")
    print(f"test       loss {told['test_loss']:.4f}, accuracy {told['test_accuracy']:.4f}")
    print(best.schedule.frame().to_string(index=False))
    paper.schedules(results).savefig(arguments.out / "vector_digits.png")
    print(f"The picture is {arguments.out / 'vector_digits.png'}")


if __name__ == "__main__":
    main()
