"""A small exact Gaussian process whose past fades: the model behind PB2, on numpy alone.

    k = variance * exp(-|x - x'|^2 / length) * (1 - fading)^(|t - t'| / 2)                       (Parker-Holder 2020)

and where rows hold categories too, of which a share ``same`` is equal in both, with k_x = exp(-|x - x'|^2 / length):

    k = variance * ((1 - mixing) (k_x + same) + mixing k_x same) * (1 - fading)^(|t - t'| / 2)   (Parker-Holder 2021)
"""

from __future__ import annotations

from copy import copy
from typing import Any, NamedTuple

import numpy as np

from ramet.strategy.descent import lowest
from ramet.strategy.products import product

Array = np.ndarray[Any, np.dtype[Any]]


class Theta(NamedTuple):
    """What a process is like: see the kernel above; ``noise`` is the variance that comes on top of it in each row."""

    variance: float = 1.0
    length: float = 0.3
    fading: float = 0.1
    noise: float = 0.3
    mixing: float = 0.5


LEAST = Theta(0.05, 1e-5, 0.0, 1e-3, 0.0)
MOST = Theta(10.0, 1.0, 0.5, 5.0, 1.0)
"""Between these the likeliest are sought, for values with mean 0 and variance 1. The least noise keeps all matrices
of up to some hundred rows well conditioned, equal rows included."""

BLOCK = 64
"""Matrices up to about this size are not worth several threads, which in a controller among busy workers cost most."""

_LOGARITHMIC = np.array([True, True, False, True, False])
_LOW, _HIGH = (np.where(_LOGARITHMIC, np.log(np.maximum(end, 1e-9)), end) for end in (LEAST, MOST))


class Rows(NamedTuple):
    """Where something was tried: ``x`` (n, d) in about [0, 1], ``t`` (n,), codes of categories ``h`` (n, c)."""

    x: Array
    t: Array
    h: Array

    def and_(self, more: Rows) -> Rows:
        """Return these rows, and then ``more``."""
        return Rows(*(np.concatenate(both) for both in zip(self, more, strict=True)))


class Gaps(NamedTuple):
    """How far rows are apart: squared in ``x``, in ``t``, and the share of equal categories (None without any)."""

    x: Array
    t: Array
    same: Array | None

    @classmethod
    def between(cls, a: Rows, b: Rows) -> Gaps:
        """Return the gaps between each row of ``a`` and each of ``b``."""
        x = np.zeros((len(a.t), len(b.t)))
        for one, other in zip(a.x.T, b.x.T, strict=True):
            x += np.subtract.outer(one, other) ** 2
        same = (a.h[:, None, :] == b.h[None, :, :]).mean(axis=2) if a.h.shape[1] else None
        return cls(x, np.abs(np.subtract.outer(a.t, b.t)), same)


def covariance(theta: Theta, gaps: Gaps) -> Array:
    """Return k for each pair of rows, without noise.

    >>> rows = Rows(np.array([[0.0], [1.0]]), np.array([0.0, 2.0]), np.zeros((2, 0)))
    >>> covariance(Theta(length=1.0, fading=0.5), Gaps.between(rows, rows)).round(3).tolist()
    [[1.0, 0.184], [0.184, 1.0]]
    """
    near, fades = _near(theta, gaps), _fades(theta, gaps)
    if gaps.same is not None:
        near = (1 - theta.mixing) * (near + gaps.same) + theta.mixing * near * gaps.same
    return theta.variance * near * fades


def _near(theta: Theta, gaps: Gaps) -> Array:
    near: Array = np.exp(gaps.x / -theta.length)
    return near


def _fades(theta: Theta, gaps: Gaps) -> Array:
    fades: Array = np.exp(np.log1p(-theta.fading) / 2 * gaps.t)
    return fades


def evidence(theta: Theta, gaps: Gaps, y: Array) -> tuple[float, Array]:
    """Return the log-likelihood of the values ``y`` at rows with these gaps, and its gradient by ``theta``.

    With K = k + noise I and a = K^-1 y: log p = -(y a + log |K| + n log 2 pi) / 2, and by any of theta
    tr((a a' - K^-1) dK) / 2 (Rasmussen and Williams 2006, equations 2.30 and 5.9).
    """
    k = covariance(theta, gaps)
    noisy = k + theta.noise * np.eye(len(y))
    logarithm, inverse = np.linalg.slogdet(noisy)[1], np.linalg.inv(noisy)
    a = inverse @ y
    value = -(y @ a + logarithm + len(y) * np.log(2 * np.pi)) / 2
    w = np.outer(a, a) - inverse
    wk, by_mixing = w * k, 0.0
    by_near = wk  # w times what is multiplied by k_x, which without categories is all of k
    if gaps.same is not None:
        near, by_k = _near(theta, gaps), theta.variance * w * _fades(theta, gaps)
        by_near = by_k * near * (1 - theta.mixing + theta.mixing * gaps.same)
        by_mixing = float(np.vdot(by_k, near * gaps.same - near - gaps.same))
    gradient = [
        wk.sum() / theta.variance,
        np.vdot(by_near, gaps.x) / theta.length**2,
        -np.vdot(wk, gaps.t) / 2 / (1 - theta.fading),
        np.trace(w),
        by_mixing,
    ]
    return float(value), np.array(gradient) / 2


def likeliest(rows: Rows, y: Array) -> Theta:
    """Return the theta within its bounds under which ``y`` is likeliest, found from the best of a few starts.

    More than `BLOCK` rows are dealt out to blocks like cards, whose likelihoods are multiplied: 200 rows in four
    blocks cost a tenth. Values that do not differ, or fewer than three, tell nothing: then it is `Theta()`.
    """
    if len(y) < 3 or not np.ptp(y) > 0:
        return Theta()
    count = -(-len(y) // BLOCK)
    parts = [(Rows(*(part[i::count] for part in rows)), y[i::count]) for i in range(count)]
    blocks = [(Gaps.between(part, part), values) for part, values in parts]

    def loss(z: Array, first: int | None = None) -> tuple[float, Array]:
        theta = _theta(z)
        found = [evidence(theta, gaps, values) for gaps, values in blocks[:first]]
        slope = sum(gradient for _, gradient in found) * np.where(_LOGARITHMIC, theta, 1.0) * (_HIGH - _LOW)
        return -sum(value for value, _ in found), -slope

    starts = [Theta(length=length, noise=noise) for length in (0.03, 0.3) for noise in (0.1, 0.7)]
    return _theta(lowest(loss, min(map(_unit, starts), key=lambda z: loss(z, first=1)[0])))


def _unit(theta: Theta) -> Array:
    """Return theta as a place in the unit box, logarithms where orders of magnitude are alike."""
    scaled: Array = (np.where(_LOGARITHMIC, np.log(np.maximum(theta, 1e-9)), theta) - _LOW) / (_HIGH - _LOW)
    return scaled


def _theta(z: Array) -> Theta:
    flat = _LOW + z * (_HIGH - _LOW)
    return Theta(*(float(v) for v in np.clip(np.where(_LOGARITHMIC, np.exp(flat), flat), LEAST, MOST)))


class Process:
    """The process given values ``y`` at ``rows``; those that are not finite are left out. It may have no rows at all.

    >>> rows = Rows(np.array([[0.0], [1.0]]), np.zeros(2), np.zeros((2, 0)))
    >>> mean, sd = Process(Theta(noise=0.001), rows, np.array([-1.0, 1.0])).at(rows)
    >>> mean.round(1).tolist(), sd.round(1).tolist()
    ([-1.0, 1.0], [0.0, 0.0])
    """

    def __init__(self, theta: Theta, rows: Rows, y: Array) -> None:
        fine = np.isfinite(y) & np.isfinite(rows.t) & np.isfinite(rows.x).all(axis=1)
        self.theta, self.rows, y = theta, Rows(*(part[fine] for part in rows)), y[fine]
        self._root = np.zeros((0, 0))  # lower triangular, K^-1 = root' root
        for start in range(0, len(y), BLOCK):
            block = Rows(*(part[start : start + BLOCK] for part in self.rows))
            self._root = self._grown(Rows(*(part[:start] for part in self.rows)), block)
        self._weights = product(self._root.T, product(self._root, y))

    def expecting(self, pending: Rows) -> Process:
        """Return the process that knows of ``pending`` rows too, which have no value yet.

        They lessen its spread, which never depends on values, and leave its mean alone (the hallucinated values of
        Desautels, Krause and Burdick 2014).
        """
        more = copy(self)
        more.rows, more._root = self.rows.and_(pending), self._grown(self.rows, pending)
        return more

    def _grown(self, rows: Rows, block: Rows) -> Array:
        """Return the root for ``rows``, of which it is known, and a ``block`` of further ones."""
        theta, old, new = self.theta, len(rows.t), len(block.t)
        within = covariance(theta, Gaps.between(block, block)) + theta.noise * np.eye(new)
        across = product(covariance(theta, Gaps.between(block, rows)), self._root.T)
        corner = np.linalg.inv(np.linalg.cholesky(within - product(across, across.T)))
        root = np.zeros((old + new, old + new))
        root[:old, :old], root[old:, old:], root[old:, :old] = (
            self._root,
            corner,
            product(product(-corner, across), self._root),
        )
        return root

    def at(self, rows: Rows) -> tuple[Array, Array]:
        """Return mean and standard deviation at each of ``rows``, of what is beneath the noise."""
        k = covariance(self.theta, Gaps.between(rows, self.rows))
        prior = self.theta.variance * (2 - self.theta.mixing if rows.h.shape[1] else 1.0)
        known = (product(k, self._root.T) ** 2).sum(axis=1)
        return product(k[:, : len(self._weights)], self._weights), np.sqrt(np.maximum(prior - known, 0.0))
