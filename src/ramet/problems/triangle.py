r"""The triangle wave: a toy problem whose best learning rate first rises, then falls, as real ones often do.

A model is one number, its accuracy, which grows from 0 to 200 and fastest where the learning rate is the optimal one:

    optimal
    learning rate
     0.01  ^        /\
           |      /    \
           |    /        \
    0.001  |__/            \__
           +---------|---------|-->  accuracy
           0        100       200

No constant learning rate gets far, and a population finds the schedule by itself. Source: the example
``pbt_function`` of Ray Tune (Apache-2.0), https://docs.ray.io/en/latest/tune/examples/includes/pbt_function.html;
the dynamics are its, the code is ours.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import ramet

GOAL = 200.0
"""The accuracy at which a model is done."""

PEAK = 100.0
"""The accuracy at which the optimal learning rate is highest."""

TOLERANCE = 3.0
"""A learning rate that is wrong by a larger factor teaches nothing; too large a one does harm."""

NOISE = 2.0
"""Standard deviation of the accuracy's jumps from step to step."""


def optimal_lr(accuracy: float) -> float:
    """Return the learning rate at which a model of ``accuracy`` learns fastest.

    >>> [optimal_lr(accuracy) for accuracy in (0, 50, 100, 150, 200)]
    [0.001, 0.005, 0.01, 0.005, 0.001]
    """
    return min(0.01, max(0.001, 0.01 * (1 - abs(accuracy - PEAK) / PEAK)))


def train(config: Mapping[str, Any]) -> None:
    """Train one model until it is told to stop; report every step, with a checkpoint where a decision waits for one.

    Args:
        config: ``lr``, the learning rate, above 0; ``pace``, seconds that a step takes besides its arithmetic (0 by
            default), for a run that one wants to watch.

    Reports ``accuracy``, ``lr``, ``optimal_lr`` and ``done``, which is true once the accuracy has reached `GOAL`.
    """
    lr, pace = config["lr"], config.get("pace", 0)
    checkpoint = ramet.get_checkpoint()
    accuracy = checkpoint.to_dict()["accuracy"] if checkpoint else 0.0
    rng = ramet.rng()
    while True:
        best = optimal_lr(accuracy)
        error = max(lr, best) / min(lr, best)
        if error < TOLERANCE:
            accuracy += rng.random() / error
        elif lr > best:
            accuracy -= rng.random() * (error - TOLERANCE)
        accuracy = max(0.0, accuracy + NOISE * rng.normal())
        if pace:
            time.sleep(pace)
        done = accuracy >= GOAL
        save = ramet.should_checkpoint() or done
        ramet.report(
            {"accuracy": accuracy, "lr": lr, "optimal_lr": best, "done": done},
            checkpoint=ramet.Checkpoint.from_dict({"accuracy": accuracy}) if save else None,
        )
