"""The quadratic of the paper's figure 2: a hill of which each of two models can climb one side only.

A model is two numbers, theta, both 0.9 at first. It is as good as Q = 1.2 - theta0**2 - theta1**2, which nobody can
follow; what is followed is the gradient of a surrogate, 1.2 - h0 theta0**2 - h1 theta1**2. With h = (1, 0) only theta0
is pushed to 0, with h = (0, 1) only theta1: a grid search over these two ends at 1.2 - 0.81 = 0.39. A population of the
same two, one of which takes over the other's weights and not only its own h, climbs to 1.2.

Source: Jaderberg et al. (2017), "Population Based Training of Neural Networks", arXiv 1711.09846, figure 2. The paper
does not say the learning rate nor the number of steps; 0.02 and 200 bring either side as close to the top as a picture
shows, for 0.96**200 = 0.0003. Differs from the tutorial of Ray Tune, whose Q has 3/4 at theta0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

import ramet
from ramet.problems.base import Optimum, Problem, State, train_one

START = 0.9
"""Both parameters of a model at the beginning."""

LR = 0.02
"""The learning rate."""


def begin(members: int) -> State:
    """Return the parameters of new models."""
    return {"theta0": np.full(members, START), "theta1": np.full(members, START)}


def score(state: State) -> np.ndarray:
    """Return Q of each model.

    >>> score(begin(1)).round(2).tolist()
    [-0.42]
    """
    q: np.ndarray = 1.2 - state["theta0"] ** 2 - state["theta1"] ** 2
    return q


def step(state: State, hparams: Mapping[str, Any], rng: np.random.Generator) -> tuple[State, Mapping[str, Any]]:
    """Follow the gradient of the surrogate for one step; nothing is drawn."""
    del rng
    after = {f"theta{i}": state[f"theta{i}"] * (1 - 2 * LR * np.asarray(hparams[f"h{i}"])) for i in (0, 1)}
    return after, {"Q": score(after), **after}


def train(config: Mapping[str, Any]) -> None:
    """Train one model until it is told to stop.

    Args:
        config: ``h0`` and ``h1``, the weights of the surrogate, from 0 to 1.

    Reports ``Q``, ``theta0`` and ``theta1`` after every step.
    """
    train_one(config, begin, step)


def _the_rest(spec: Any) -> float:
    return 1.0 - float(spec.config["h0"])


PROBLEM = Problem(
    name="quadratic",
    text="two parameters, of which each founder's surrogate moves one alone",
    metric="Q",
    mode="max",
    space={"h0": ramet.grid_search([1.0, 0.0]), "h1": ramet.sample_from(_the_rest)},
    mutations={"h0": ramet.uniform(0.0, 1.0), "h1": ramet.uniform(0.0, 1.0)},
    steps=200,
    members=2,
    optimum=Optimum(
        1.2,
        "the top of the hill; h = (1, 1) comes within 2e-7 of it",
        schedule=lambda _: {"h0": 1.0, "h1": 1.0},
        landmarks={"grid search": 1.2 - START**2},
    ),
    train=train,
    begin=begin,
    step=step,
    score=score,
    truth="Q",
    founders=2,
)
"""The quadratic, for a population of two as in the paper."""
