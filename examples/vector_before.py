"""One small network on scikit-learn's digits, as JAX has it: what vector_after.py makes a population of."""

import jax
import jax.numpy as jnp
import optax
from sklearn.datasets import load_digits

images, labels = load_digits(return_X_y=True)
images, labels = jnp.asarray(images / 16), jnp.asarray(labels)
adam = optax.scale_by_adam()


def init(key):
    first, second = jax.random.split(key)
    params = {"w1": jax.random.normal(first, (64, 32)) / 8, "w2": jax.random.normal(second, (32, 10)) / 6}
    return params, adam.init(params)


def logits(params, x):
    return jax.nn.relu(x @ params["w1"]) @ params["w2"]


def loss(params, x, y):
    return optax.softmax_cross_entropy_with_integer_labels(logits(params, x), y).mean()


@jax.jit
def step(state, key):
    params, remembered = state
    at = jax.random.randint(key, (64,), 0, 1400)
    value, gradient = jax.value_and_grad(loss)(params, images[at], labels[at])
    updates, remembered = adam.update(gradient, remembered)
    params = jax.tree.map(lambda weight, update: weight - 1e-3 * update, params, updates)
    return (params, remembered), {"loss": value}


def accuracy(state):
    return (logits(state[0], images[1400:]).argmax(1) == labels[1400:]).mean()


state = init(jax.random.key(0))
for number in range(1000):
    state, metrics = step(state, jax.random.key(number))
print(f"accuracy {accuracy(state):.3f}")
