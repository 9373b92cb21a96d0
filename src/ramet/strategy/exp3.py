"""Which category to try: time-varying EXP3 with multiple plays, a bandit whose best arm may change."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

FALLBACK = 0.2
"""The share of plays that is spread evenly where there are no fewer plays a round than arms (the authors' code)."""


def probabilities(arms: int, rounds: Sequence[Sequence[tuple[int, float]]]) -> Array:
    """Return the probability of each arm in the next round, after what the rounds so far brought.

    Args:
        arms: how many there are, at least 1.
        rounds: the oldest first, each with its plays: the arm's number, and the reward in [0, 1].

    The weights are folded anew from the rounds at each call: nothing is kept.

    >>> probabilities(2, []).tolist()
    [0.5, 0.5]
    >>> good, bad = probabilities(2, [[(0, 0.9), (1, 0.1)]] * 20)
    >>> bool(good > 0.6), round(float(good + bad), 9)
    (True, 1.0)

    Source: Parker-Holder, Nguyen, Desai and Roberts (2021), "Tuning Mixed Input Hyperparameters on the Fly for
    Efficient Population Based AutoRL", arXiv 2106.15883, algorithm TV.EXP3.M, after Uchiya, Nakamura and Kudo (2010).
    Differs from the paper in that the number of rounds is that of the rounds so far, as nobody knows how many
    follow, and in that an arm that is played several times in a round counts each time.
    """
    plays = max((len(played) for played in rounds), default=1)
    gamma = mixing(arms, plays, len(rounds))
    alpha = 1 / max(len(rounds), 1)  # how fast the past is forgotten
    weights = np.full(arms, 1 / arms)
    for played in rounds:
        capped = _capped(weights, gamma, plays)
        weights = np.minimum(weights, capped)
        q = _distribution(weights, gamma)
        gains = np.zeros(arms)
        for arm, reward in played:
            # B gamma / C times the reward over its marginal probability B q; a capped arm keeps its weight.
            gains[arm] += gamma / arms * reward / q[arm] if weights[arm] < capped else 0.0
        weights = weights * np.exp(np.minimum(gains, 50.0)) + math.e * alpha / arms * weights.sum()
        weights /= weights.sum()
    return _distribution(np.minimum(weights, _capped(weights, gamma, plays)), gamma)


def mixing(arms: int, plays: int, rounds: int) -> float:
    """Return gamma, the share that is spread evenly: the smaller, the more plays and rounds there are.

    gamma = sqrt(C log(C / B) / ((e - 1) B n / 10)), with the authors' tenth of the rounds n, and at most 1.
    """
    if plays >= arms:
        return FALLBACK
    return min(1.0, math.sqrt(arms * math.log(arms / plays) / ((math.e - 1) * plays * max(rounds, 1) / 10)))


def _distribution(weights: Array, gamma: float) -> Array:
    mixed: Array = (1 - gamma) * weights / weights.sum() + gamma / len(weights)
    mixed /= mixed.sum()
    return mixed


def _capped(weights: Array, gamma: float, plays: int) -> float:
    """Return the weight above which an arm would be due more than once a round; infinity where none is.

    It is the v with v / sum(min(w, v)) = (1 / B - gamma / C) / (1 - gamma): with the k heaviest at v, and S the sum
    of the others, v = share S / (1 - k share).
    """
    arms = len(weights)
    if plays >= arms or gamma >= 1:
        return math.inf
    share = (1 / plays - gamma / arms) / (1 - gamma)
    order = np.sort(weights)[::-1]
    if order[0] < share * weights.sum():
        return math.inf
    for k in range(1, arms):
        if 1 - k * share <= 0:
            break
        v = share * float(order[k:].sum()) / (1 - k * share)
        if order[k] <= v:
            return v
    return math.inf
