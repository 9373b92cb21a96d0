"""A bandit whose best arm drifts, and whose score is noisy: what looks best need not be, and what was best is not.

An arm is a number h from 0 to 1. The arm that is best goes from 0.1 to 0.9 and back while a model lives:

    target_k = 0.5 - 0.4 cos(2 pi k / 60)        for the step number k = 0 … 59

A step with h pays 1 - ((h - target) / 0.3)**2, or nothing where that is negative. The true score is the mean pay, of
60 steps, so far: what was paid is never lost, so it begins at 0 and nobody comes beyond 1, which following the target
reaches. No constant arm comes far. What is reported is the true score plus normal noise of standard deviation 0.1
(``noise`` of the configuration), new at each report: five steps of the best arm against none are worth 0.083. Who
clones whoever looks best clones luck as often as skill, so this is where comparing several reports, or testing whether
a difference is one, can show what it is worth; and they have to be quick, for the target moves on. Plain population
based training of 16 members, deciding every 5 steps, comes to 0.73 without noise, and to 0.54 with it (12 seeds each,
standard errors 0.03).

Designed for Ramet. Bandits whose arms drift under noise are the model of schedules in Parker-Holder, Nguyen and Roberts
(2020), "Provably Efficient Online Hyperparameter Optimization with Population-Based Bandits", arXiv 2002.02518.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

import ramet
from ramet.problems.base import Optimum, Problem, State, train_one

STEPS = 60
"""Steps of one life, one report each."""

WIDTH = 0.3
"""How far from the target an arm pays nothing."""

NOISE = 0.1
"""Standard deviation of what is reported around what is true, unless the configuration says otherwise."""


def target(step: int) -> float:
    """Return the best arm of a step, the first of which is number 0.

    >>> [round(target(step), 6) for step in (0, 15, 30, 45)]
    [0.1, 0.5, 0.9, 0.5]
    """
    return 0.5 - 0.4 * math.cos(2 * math.pi * step / STEPS)


_TARGETS = np.array([target(step) for step in range(STEPS)])


def begin(members: int) -> State:
    """Return models that were paid nothing yet."""
    return {"paid": np.zeros(members), "steps": np.zeros(members, dtype=np.int64)}


def score(state: State) -> np.ndarray:
    """Return the true scores."""
    mean: np.ndarray = state["paid"] / STEPS
    return mean


def step(state: State, hparams: Mapping[str, Any], rng: np.random.Generator) -> tuple[State, Mapping[str, Any]]:
    """Pull every model's arm once. After 60 steps nothing is paid any more."""
    steps = state["steps"]
    best = _TARGETS[np.minimum(steps, STEPS - 1)]
    pay = np.maximum(1 - ((np.asarray(hparams["h"]) - best) / WIDTH) ** 2, 0.0)
    after = {"paid": state["paid"] + np.where(steps < STEPS, pay, 0.0), "steps": steps + 1}
    true = score(after)
    seen = true + np.asarray(hparams.get("noise", NOISE)) * rng.standard_normal(true.shape)
    return after, {"score": seen, "true_score": true}


def train(config: Mapping[str, Any]) -> None:
    """Train one model until it is told to stop.

    Args:
        config: ``h``, the arm, from 0 to 1; ``noise``, the standard deviation of what is reported, at least 0 (0.1 by
            default).

    Reports ``score``, which is noisy, and ``true_score``, which no strategy may look at.
    """
    train_one(config, begin, step)


PROBLEM = Problem(
    name="drift",
    text="a drifting bandit: the best arm goes up and comes back, and reports are noisy",
    metric="score",
    mode="max",
    space={"h": ramet.uniform(0.0, 1.0), "noise": NOISE},
    mutations={"h": ramet.uniform(0.0, 1.0)},
    steps=STEPS,
    members=16,
    optimum=Optimum(
        1.0,
        "by design: the target at every step is paid in full",
        schedule=lambda number: {"h": target(number)},
        landmarks={"the best constant": 0.42469},
    ),
    train=train,
    begin=begin,
    step=step,
    score=score,
    truth="true_score",
)
"""The drifting bandit."""
