"""The triangle wave for many members at once: `ramet.problems.triangle`, as arrays, and what is known of it.

Apart from its training function, so that a worker process that trains it loads no more than that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import ramet
from ramet.problems.base import Optimum, Problem, Rows, State
from ramet.problems.triangle import GOAL, NOISE, PEAK, TOLERANCE, train


def begin(members: int) -> State:
    """Return new models, which can nothing yet."""
    return {"accuracy": np.zeros(members)}


def score(state: State) -> np.ndarray:
    """Return the accuracy of each model."""
    accuracy: np.ndarray = state["accuracy"]
    return accuracy


def step(state: State, hparams: Mapping[str, Any], rng: np.random.Generator) -> tuple[State, Mapping[str, Any]]:
    """Take one step with every model, as `triangle.train` does: for a model that is alone, with the same draws."""
    before = state["accuracy"]
    lr = np.broadcast_to(np.asarray(hparams["lr"], dtype=float), before.shape)
    best = np.clip(0.01 * (1 - np.abs(before - PEAK) / PEAK), 0.001, 0.01)
    error = np.maximum(lr, best) / np.minimum(lr, best)
    learns = error < TOLERANCE
    harmed = ~learns & (lr > best)
    chance = np.zeros(before.shape)
    moved = learns | harmed
    chance[moved] = rng.random(int(moved.sum()))  # `triangle.train` draws nothing for a model that is not moved
    gain = np.where(learns, chance / error, np.where(harmed, -chance * (error - TOLERANCE), 0.0))
    after = {"accuracy": np.maximum(before + gain + NOISE * rng.normal(size=before.shape), 0.0)}
    return after, {"accuracy": after["accuracy"], "lr": lr, "optimal_lr": best, "done": after["accuracy"] >= GOAL}


def furthest(problem: Problem, members: Sequence[Rows]) -> float:
    """Return the highest accuracy that anybody ever reported, `GOAL` at most: beyond it a model is done."""
    del problem
    return min(max((row["accuracy"] for rows in members for row in rows), default=0.0), GOAL)


PROBLEM = Problem(
    name="triangle",
    text="accuracy grows fastest where the learning rate follows a triangle, and is noisy",
    metric="accuracy",
    mode="max",
    space={"lr": ramet.loguniform(0.0001, 0.02)},
    mutations={"lr": ramet.loguniform(0.0001, 0.02)},
    steps=150,
    members=8,
    optimum=Optimum(GOAL, "where a model is done; the best a run can come to is that one gets there"),
    train=train,
    begin=begin,
    step=step,
    score=score,
    truth="accuracy",
    summarise_with=furthest,
)
"""The triangle wave; how far its best member ever got is what counts, for an accuracy also falls by chance."""
