"""The hill of figure 2 of the paper of population based training, which the quadratic tutorial climbs."""

import numpy as np

START = (0.9, 0.9)
INTERVAL = 4


def height(theta):
    """Return Q, which is to be as large as possible."""
    return 1.2 - (3 / 4 * theta[0] ** 2 + theta[1] ** 2)


def climb(theta, config):
    """Return theta after one step along the gradient of the substitute."""
    h = np.array([config["h0"], config["h1"]], dtype=float)
    return theta - 2 * config["lr"] * h * theta * np.array([3 / 4, 1])


def told(theta, config, step):
    """Return what is reported after a step."""
    return {
        "Q": float(height(theta)),
        "theta0": float(theta[0]),
        "theta1": float(theta[1]),
        "h0": config["h0"],
        "h1": config["h1"],
        "train_step": step,
    }


def drawn(results):
    """Return what the two figures of a run show: each member's way, and its height by iteration."""
    frames = [result.metrics_dataframe for result in results]
    ways = [frame[["theta0", "theta1"]].to_numpy() for frame in frames]
    heights = [frame[["training_iteration", "Q"]].to_numpy() for frame in frames]
    return ways, heights
