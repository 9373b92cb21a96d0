"""A hundred of the networks of vector_before.py as one program, whose learning rates evolve."""

import jax
import jax.numpy as jnp
import optax
from sklearn.datasets import load_digits

import ramet

images, labels = load_digits(return_X_y=True)
images, labels = jnp.asarray(images / 16), jnp.asarray(labels)
adam = optax.scale_by_adam()


def init(key, hparams):
    first, second = jax.random.split(key)
    params = {"w1": jax.random.normal(first, (64, 32)) / 8, "w2": jax.random.normal(second, (32, 10)) / 6}
    return params, adam.init(params)


def logits(params, x):
    return jax.nn.relu(x @ params["w1"]) @ params["w2"]


def loss(params, x, y):
    return optax.softmax_cross_entropy_with_integer_labels(logits(params, x), y).mean()


def step(state, hparams, key):
    params, remembered = state
    at = jax.random.randint(key, (64,), 0, 1400)
    value, gradient = jax.value_and_grad(loss)(params, images[at], labels[at])
    updates, remembered = adam.update(gradient, remembered)
    params = jax.tree.map(lambda weight, update: weight - hparams["lr"] * update, params, updates)
    return (params, remembered), {"loss": value}


def accuracy(state, hparams, key):
    return {"accuracy": (logits(state[0], images[1400:]).argmax(1) == labels[1400:]).mean()}


lr = {"lr": ramet.loguniform(1e-4, 0.1)}
pbt = ramet.PopulationBasedTraining("training_iteration", perturbation_interval=1, hyperparam_mutations=lr)
results = ramet.Tuner(
    ramet.VectorTrainable(init, step, accuracy, steps_per_report=100),
    tune_config=ramet.TuneConfig(metric="accuracy", mode="max", num_samples=100, scheduler=pbt),
    run_config=ramet.RunConfig(stop={"training_iteration": 10}),
).fit()
print(f"accuracy {results.get_best_result().metrics['accuracy']:.3f}")
