"""Two toys that look alike: in `PLAIN` it is best to be greedy, in `DECEPTIVE` greed leads nowhere.

A model is one number, theta, 0.9 at first, and as good as 1.2 - theta**2. A report stands for 20 gradient steps, each
of which multiplies theta by 1 - 0.002 * rate. In the plain toy the rate is 2 - h, so the least h is the best one, now
and always. In the deceptive toy every report's h has a target, which falls from 1 to 0 over the 50 reports, and all
that was missed in the model's whole history is paid for from then on:

    rate = max(0, 2 - h - 0.2 * (|h_0 - target_0| + … + |h_k - target_k|))

A small h is rewarded at once and punished later, so whoever compares members too often is led astray. What was missed
is part of the model, and is inherited with its weights. Factors of a perturbation multiply h itself.

Source: Chebykin, Alderliesten and Bosman (2025), "To Be Greedy, or Not to Be -- That Is the Question for Population
Based Training Variants", TMLR: the toys of its benchmark. The code is ours. Of the readings of "the k-th target" the
one with k from 0 (targets 1, 0.98, … 0.02, and what was missed in this report counting already) gives the numbers
that are known: 1.19793 on the schedule and 0.82697 for greed; with k from 1 they would be 1.19809 and 0.83478.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

import ramet
from ramet.problems.base import Optimum, Problem, State, train_one

STEPS = 50
"""Reports of one life."""

GRADIENT_STEPS = 20
"""Gradient steps from one report to the next."""

LEAST, MOST = 1e-4, 1.1
"""The bounds of h."""


def target(report: int) -> float:
    """Return what h should be on the way to a report of the deceptive toy, the first of which is number 0.

    >>> [target(report) for report in (0, 25, 49, 50)]
    [1.0, 0.5, 0.02, 0.0001]
    """
    return max(round(1 - report / STEPS, 12), LEAST)


_TARGETS = np.array([target(report) for report in range(STEPS + 1)])


def begin(members: int) -> State:
    """Return new models of the plain toy."""
    return {"theta": np.full(members, 0.9)}


def begin_deceptive(members: int) -> State:
    """Return new models of the deceptive toy: they know how many reports they made, and how much was missed."""
    return {"theta": np.full(members, 0.9), "missed": np.zeros(members), "reports": np.zeros(members, dtype=np.int64)}


def score(state: State) -> np.ndarray:
    """Return how good each model is, 1.2 at most."""
    q: np.ndarray = 1.2 - state["theta"] ** 2
    return q


def step(state: State, hparams: Mapping[str, Any], rng: np.random.Generator) -> tuple[State, Mapping[str, Any]]:
    """Take the 20 gradient steps of a report in the plain toy; nothing is drawn."""
    del rng
    after = {"theta": state["theta"] * _twenty_times(1 - 0.002 * (2 - np.asarray(hparams["h"])))}
    return after, {"score": score(after)}


def step_deceptive(
    state: State, hparams: Mapping[str, Any], rng: np.random.Generator
) -> tuple[State, Mapping[str, Any]]:
    """Take the 20 gradient steps of a report in the deceptive toy; nothing is drawn."""
    del rng
    h = np.asarray(hparams["h"])
    missed = state["missed"] + np.abs(h - _TARGETS[np.minimum(state["reports"], STEPS)])
    rate = np.maximum(2 - h - 0.2 * missed, 0.0)
    theta = state["theta"] * _twenty_times(1 - 0.002 * rate)
    after = {"theta": theta, "missed": missed, "reports": state["reports"] + 1}
    return after, {"score": score(after), "missed": missed}


def _twenty_times(factor: np.ndarray) -> np.ndarray:
    """Return ``factor ** 20``: by squaring, five times as fast as by logarithms, and the same for any array."""
    assert GRADIENT_STEPS == 20
    fourth = factor * factor
    fourth = fourth * fourth
    sixteenth = fourth * fourth
    sixteenth = sixteenth * sixteenth
    twentieth: np.ndarray = sixteenth * fourth
    return twentieth


def train(config: Mapping[str, Any]) -> None:
    """Train one model of the plain toy until it is told to stop.

    Args:
        config: ``h``, from 0.0001 to 1.1.

    Reports ``score``.
    """
    train_one(config, begin, step)


def train_deceptive(config: Mapping[str, Any]) -> None:
    """Train one model of the deceptive toy until it is told to stop.

    Args:
        config: ``h``, from 0.0001 to 1.1.

    Reports ``score`` and ``missed``, the sum of the distances of h from its targets.
    """
    train_one(config, begin_deceptive, step_deceptive)


def best_deceptive(report: int) -> Mapping[str, float]:
    """Return the best h for a report of the deceptive toy.

    It is the target, but for the last four reports, where what is missed is not paid for any more.

    >>> [best_deceptive(report)["h"] for report in (0, 45, 46)]
    [1.0, 0.1, 0.0001]
    """
    return {"h": target(report) if report < STEPS - 4 else LEAST}


_SHARED: Any = partial(
    Problem,
    metric="score",
    mode="max",
    space={"h": ramet.uniform(0.9, MOST)},
    mutations={"h": ramet.uniform(LEAST, MOST)},
    steps=STEPS,
    members=22,
    score=score,
    truth="score",
)

PLAIN: Problem = _SHARED(
    name="toy-plain",
    text="one parameter, and a hyperparameter that is best as small as it can be: greed pays",
    optimum=Optimum(
        1.2 - (0.9 * (1 - 0.002 * (2 - LEAST)) ** (STEPS * GRADIENT_STEPS)) ** 2,
        "by formula: the least h at every step",
        schedule=lambda _: {"h": LEAST},
        landmarks={"random search of 22": 1.1898},
    ),
    train=train,
    begin=begin,
    step=step,
)
"""The plain toy, for the population of the source."""

DECEPTIVE: Problem = _SHARED(
    name="toy-deceptive",
    text="the same, but what is best at once is paid for later: greed leads nowhere",
    optimum=Optimum(
        1.1979427,
        "by computation: on the targets, and for the last four reports below them, no change of h helps",
        schedule=best_deceptive,
        landmarks={"the targets": 1.19793, "greed": 0.82697, "random search of 22": 1.0457},
    ),
    train=train_deceptive,
    begin=begin_deceptive,
    step=step_deceptive,
)
"""The deceptive toy, for the population of the source."""
