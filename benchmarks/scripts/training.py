"""The training code that all styles share: one step of the triangle wave of Ray Tune's example."""

from __future__ import annotations

import random

import numpy as np

INTERVAL = 5
MIDPOINT = 100
TOLERANCE = 3
NOISE = 2


def step(lr: float, accuracy: float) -> tuple[float, dict[str, float]]:
    """Return the accuracy after one step at this learning rate, and what to report."""
    if accuracy < MIDPOINT:
        optimal = 0.01 * accuracy / MIDPOINT
    else:
        optimal = 0.01 - 0.01 * (accuracy - MIDPOINT) / MIDPOINT
    optimal = min(0.01, max(0.001, optimal))
    error = max(lr, optimal) / min(lr, optimal)
    if error < TOLERANCE:
        accuracy += (1.0 / error) * random.random()
    elif lr > optimal:
        accuracy -= (error - TOLERANCE) * random.random()
    accuracy = max(0.0, accuracy + NOISE * np.random.normal())
    return accuracy, {"mean_accuracy": accuracy, "cur_lr": lr, "optimal_lr": optimal, "q_err": error}
