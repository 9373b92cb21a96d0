"""Two goals, gain and thrift, that cannot be had together: what there is to be had is a quarter of a circle.

A model has a skill, from 0 to 1, and an angle from 0 to pi/2 at which it spends it:

    gain = skill * cos(angle)        thrift = skill * sin(angle)

Both are good. Skill comes from a schedule: a step adds (1 - ((pace - target) / 0.3)**2) / 60, or nothing where that is
negative, and the target falls from 1 to 0 in the course of 60 steps. The angle, pi/4 at first, goes a tenth of the way
to ``aim`` * pi/2 at each step. So the front, which the target's schedule reaches at any aim, is the quarter of the unit
circle, and the part of the plane between it and the reference point (0, 0) is pi/4: the hypervolume of all models of a
population together, by which a run is measured. A finite population comes close: n models spread as well as can be
leave out about 1 / (2 n) of it.

For strategies that look at one number, ``product`` is gain times thrift, which is what a model dominates alone; the
whole population then goes for the middle of the front, and 1/2 is all it can get. Designed for Ramet.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import ramet
from ramet.problems.base import Optimum, Problem, Rows, State, train_one

STEPS = 60
"""Steps of one life, one report each."""

WIDTH = 0.3
"""How far from its target a pace teaches nothing."""

TURN = 0.1
"""The part of the way to its aim that an angle goes in a step."""


def target(step: int) -> float:
    """Return the best pace of a step, the first of which is number 0.

    >>> [target(0), target(30)]
    [1.0, 0.5]
    """
    return max(1 - step / STEPS, 0.0)


_TARGETS = np.array([target(step) for step in range(STEPS)])


def begin(members: int) -> State:
    """Return models without skill, halfway between the goals."""
    return {
        "taught": np.zeros(members),
        "angle": np.full(members, math.pi / 4),
        "steps": np.zeros(members, dtype=np.int64),
    }


def score(state: State) -> np.ndarray:
    """Return the product of gain and thrift of each model, 1/2 at most."""
    product: np.ndarray = (state["taught"] / STEPS) ** 2 * np.sin(2 * state["angle"]) / 2
    return product


def step(state: State, hparams: Mapping[str, Any], rng: np.random.Generator) -> tuple[State, Mapping[str, Any]]:
    """Take one step with every model; nothing is drawn. After 60 steps skill does not grow any more."""
    del rng
    steps = state["steps"]
    best = _TARGETS[np.minimum(steps, STEPS - 1)]
    taught = np.maximum(1 - ((np.asarray(hparams["pace"]) - best) / WIDTH) ** 2, 0.0)
    angle = state["angle"] + TURN * (math.pi / 2 * np.asarray(hparams["aim"]) - state["angle"])
    after = {"taught": state["taught"] + np.where(steps < STEPS, taught, 0.0), "angle": angle, "steps": steps + 1}
    skill = after["taught"] / STEPS
    return after, {"gain": skill * np.cos(angle), "thrift": skill * np.sin(angle), "product": score(after)}


def train(config: Mapping[str, Any]) -> None:
    """Train one model until it is told to stop.

    Args:
        config: ``pace`` and ``aim``, from 0 to 1 each.

    Reports ``gain``, ``thrift`` and their ``product``.
    """
    train_one(config, begin, step)


def area(points: Sequence[tuple[float, float]]) -> float:
    """Return the area between (0, 0) and ``points``: of all that at least one of them dominates.

    >>> area([(1.0, 0.5), (0.5, 1.0), (0.4, 0.4)])
    0.75
    """
    covered, height = 0.0, 0.0
    for gain, thrift in sorted(points, reverse=True):
        covered += max(gain, 0.0) * max(thrift - height, 0.0)
        height = max(height, thrift)
    return covered


def covered_at_the_end(problem: Problem, members: Sequence[Rows]) -> float:
    """Return the area that the last reports of all members cover together."""
    del problem
    return area([(rows[-1]["gain"], rows[-1]["thrift"]) for rows in members if rows])


PROBLEM = Problem(
    name="two-goals",
    text="gain and thrift compete, and a population is as good as the area that it covers",
    metric="product",
    mode="max",
    space={"pace": ramet.uniform(0.0, 1.0), "aim": ramet.uniform(0.0, 1.0)},
    mutations={"pace": ramet.uniform(0.0, 1.0), "aim": ramet.uniform(0.0, 1.0)},
    steps=STEPS,
    members=16,
    optimum=Optimum(
        math.pi / 4,
        "by design: the area of the quarter circle, which ever more members come ever closer to",
        landmarks={"one model": 0.5, "16 models, spread as well as can be": 0.76241},
    ),
    train=train,
    begin=begin,
    step=step,
    score=score,
    truth="product",
    summarise_with=covered_at_the_end,
    objectives={"gain": "max", "thrift": "max"},
    reference=(0.0, 0.0),
)
"""The two goals."""
