"""The Gaussian process behind PB2, against its formulas computed the long way, and against scikit-learn's."""

import math

import numpy as np
import pytest

from ramet.strategy.descent import lowest
from ramet.strategy.gp import LEAST, MOST, Gaps, Process, Rows, Theta, covariance, evidence, likeliest

THETAS = [
    Theta(),
    Theta(variance=2.0, length=0.05, fading=0.5, noise=0.01, mixing=0.0),
    Theta(variance=0.4, length=1.0, fading=0.0, noise=1.5, mixing=1.0),
    Theta(variance=0.1, length=0.001, fading=0.3, noise=0.001, mixing=0.25),
]


def rows(count, numbers=2, categories=0, seed=0):
    """Rows at random, four of each time."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 3, (count, categories)) / 2
    return Rows(rng.random((count, numbers)), np.arange(count) // 4 * 1.0, codes)


def values(at, seed=0):
    """A wave over the first number, with noise, standardised."""
    y = np.sin(5 * at.x[:, 0]) + 0.3 * np.random.default_rng(seed).normal(size=len(at.t))
    return (y - y.mean()) / y.std()


def naive(theta, a, b):
    """The kernel as the papers write it, pair by pair."""
    k = np.zeros((len(a.t), len(b.t)))
    for i in range(len(a.t)):
        for j in range(len(b.t)):
            near = math.exp(-sum((a.x[i] - b.x[j]) ** 2) / theta.length)
            if a.h.shape[1]:
                same = sum(p == q for p, q in zip(a.h[i], b.h[j], strict=True)) / a.h.shape[1]
                near = (1 - theta.mixing) * (near + same) + theta.mixing * near * same
            k[i, j] = theta.variance * near * (1 - theta.fading) ** (abs(a.t[i] - b.t[j]) / 2)
    return k


@pytest.mark.parametrize("theta", THETAS)
@pytest.mark.parametrize("categories", [0, 2])
def test_the_kernel_is_the_papers(theta, categories):
    """The covariance of every pair of rows is what the formula gives."""
    a, b = rows(11, 3, categories), rows(7, 3, categories, seed=1)
    assert covariance(theta, Gaps.between(a, b)) == pytest.approx(naive(theta, a, b), abs=1e-12)


@pytest.mark.parametrize("theta", THETAS)
@pytest.mark.parametrize("categories", [0, 2])
def test_the_evidence_is_the_density_of_the_values(theta, categories):
    """The log-likelihood is that of a multivariate normal distribution."""
    at = rows(15, 2, categories)
    y = values(at)
    k = naive(theta, at, at) + theta.noise * np.eye(15)
    expected = -(y @ np.linalg.inv(k) @ y + np.linalg.slogdet(k)[1] + 15 * math.log(2 * math.pi)) / 2
    assert evidence(theta, Gaps.between(at, at), y)[0] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("theta", [*THETAS[:2], Theta(0.4, 0.8, 0.2, 1.5, 0.7), Theta(3.0, 0.02, 0.05, 0.1, 0.9)])
@pytest.mark.parametrize("categories", [0, 2])
def test_the_gradient_is_the_slope(theta, categories):
    """Each component of the gradient is what a small difference of that parameter makes."""
    at = rows(20, 2, categories)
    gaps, y = Gaps.between(at, at), values(at)
    gradient = evidence(theta, gaps, y)[1]
    for i, value in enumerate(theta):
        step = 1e-6 * max(value, 0.1)
        up, down = (evidence(theta._replace(**{theta._fields[i]: value + d}), gaps, y)[0] for d in (step, -step))
        assert gradient[i] == pytest.approx((up - down) / (2 * step), rel=2e-4, abs=2e-4), theta._fields[i]


@pytest.mark.parametrize("count", [1, 2, 20, 63, 64, 65, 150])
@pytest.mark.parametrize("categories", [0, 1])
def test_mean_and_spread_are_the_posteriors(count, categories):
    """However many blocks the rows make, mean and standard deviation are those of the whole."""
    theta, at, new = Theta(fading=0.05), rows(count, 2, categories), rows(9, 2, categories, seed=5)
    y = np.random.default_rng(1).normal(size=count)
    mean, sd = Process(theta, at, y).at(new)
    inverse = np.linalg.inv(naive(theta, at, at) + theta.noise * np.eye(count))
    across = naive(theta, new, at)
    assert mean == pytest.approx(across @ inverse @ y, abs=1e-9)
    assert sd**2 == pytest.approx(np.diag(naive(theta, new, new) - across @ inverse @ across.T), abs=1e-9)


def test_pending_rows_lessen_the_spread_and_leave_the_mean():
    """The mean is that of the values alone, the spread that of all rows, whatever values the pending ones get."""
    theta, at, pending, new = Theta(), rows(30), rows(5, seed=3), rows(8, seed=4)
    y = values(at)
    known = Process(theta, at, y)
    mean, sd = known.expecting(pending).at(new)
    other_mean, other_sd = Process(theta, at.and_(pending), np.concatenate([y, np.full(5, 7.0)])).at(new)
    assert mean == pytest.approx(known.at(new)[0], abs=1e-12)
    assert sd == pytest.approx(other_sd, abs=1e-9)
    assert (sd <= known.at(new)[1] + 1e-12).all()
    assert (abs(other_mean - mean) > 1e-3).any()
    assert known.expecting(rows(0)).at(new)[1] == pytest.approx(known.at(new)[1], abs=1e-12)


def test_without_fading_it_is_scikit_learns():
    """With fading 0 the kernel is the ordinary squared exponential, and scikit-learn gives the same numbers."""
    gaussian = pytest.importorskip("sklearn.gaussian_process")
    kernels = gaussian.kernels
    theta, at, new = Theta(1.7, 0.2, 0.0, 0.05), rows(40), rows(10, seed=2)
    y = values(at)
    kernel = kernels.ConstantKernel(1.7) * kernels.RBF(math.sqrt(0.2 / 2))
    theirs = gaussian.GaussianProcessRegressor(kernel, alpha=0.05, optimizer=None).fit(at.x, y)
    mean, sd = theirs.predict(new.x, return_std=True)
    assert Process(theta, at, y).at(new)[0] == pytest.approx(mean, abs=1e-8)
    assert Process(theta, at, y).at(new)[1] == pytest.approx(sd, abs=1e-7)
    assert evidence(theta, Gaps.between(at, at), y)[0] == pytest.approx(theirs.log_marginal_likelihood_value_, rel=1e-9)


# ---------------------------------------------------------------------- fitting


@pytest.mark.parametrize("seed", range(8))
def test_nothing_around_is_likelier(seed):
    """No better likelihood is found on a grid through the whole box."""
    at = rows(40, 2, seed=seed)
    y, gaps = values(at, seed), Gaps.between(at, at)
    best = evidence(likeliest(at, y), gaps, y)[0]
    grid = [
        Theta(variance, length, fading, noise)
        for variance in (0.1, 0.5, 1.0, 3.0)
        for length in (0.001, 0.03, 0.1, 0.3, 1.0)
        for fading in (0.0, 0.05, 0.3)
        for noise in (0.01, 0.1, 0.3, 1.0)
    ]
    assert best >= max(evidence(theta, gaps, y)[0] for theta in grid) - 0.5


def test_what_made_the_values_is_found_again():
    """Of values that were drawn from a process, the noise and the length are recovered, to a factor."""
    truth, at = Theta(1.0, 0.2, 0.05, 0.1), rows(200, 1)
    k = naive(truth, at, at) + truth.noise * np.eye(200)
    y = np.linalg.cholesky(k) @ np.random.default_rng(0).normal(size=200)
    found = likeliest(at, y)
    assert 0.5 < found.noise / truth.noise < 2
    assert 0.3 < found.length / truth.length < 3
    assert 0.005 < found.fading < 0.3


STRANGE = {
    "one row": (1, lambda n: np.ones(n)),
    "two rows": (2, lambda n: np.arange(n) * 1.0),
    "all alike": (50, lambda n: np.zeros(n)),
    "noise": (90, lambda n: np.random.default_rng(0).normal(size=n)),
    "one of another kind": (90, lambda n: np.r_[2.0, np.zeros(n - 1)]),
}


@pytest.mark.parametrize("case", STRANGE)
@pytest.mark.parametrize("twin", [False, True])
def test_strange_values_are_no_error(case, twin):
    """Few, equal or meaningless values, at different rows or all at the same one, give numbers and no warning."""
    count, make = STRANGE[case]
    at, y = rows(count), make(count)
    if twin:
        at = Rows(np.full((count, 2), 0.5), np.zeros(count), np.zeros((count, 0)))
    theta = likeliest(at, y)
    assert all(low <= value <= high for low, value, high in zip(LEAST, theta, MOST, strict=True))
    mean, sd = Process(theta, at, y).expecting(rows(3)).at(rows(20, seed=1))
    assert np.isfinite(mean).all()
    assert (sd >= 0).all()
    assert np.isfinite(sd).all()


def test_rows_that_are_no_numbers_are_left_out():
    """A NaN among values, times or places counts as if the row were not there."""
    at, new = rows(20), rows(5, seed=1)
    y = values(at)
    y[3], at.t[5], at.x[7, 1] = math.nan, math.inf, math.nan
    fine = [i for i in range(20) if i not in (3, 5, 7)]
    mean, sd = Process(Theta(), at, y).at(new)
    expected = Process(Theta(), Rows(*(part[fine] for part in at)), y[fine]).at(new)
    assert mean.tolist() == expected[0].tolist()
    assert sd.tolist() == expected[1].tolist()


def test_without_rows_the_spread_is_the_priors():
    """A process of nothing has mean 0 and its own standard deviation everywhere."""
    mean, sd = Process(Theta(variance=4.0), rows(0), np.zeros(0)).at(rows(3))
    assert mean.tolist() == [0.0] * 3
    assert sd.tolist() == [2.0] * 3


@pytest.mark.parametrize(
    ("target", "expected"), [((0.3, 0.6), (0.3, 0.6)), ((-1.0, 0.5), (0.0, 0.5)), ((2, 3), (1, 1))]
)
def test_the_lowest_place_is_found_within_the_box(target, expected):
    """A bowl's lowest place in the box is found, whether its bottom is within or beyond an edge."""

    def bowl(z):
        away = z - np.array(target)
        return float(5 * away[0] ** 2 + away[1] ** 2), np.array([10 * away[0], 2 * away[1]])

    assert lowest(bowl, np.array([0.9, 0.1]), steps=50, enough=1e-12) == pytest.approx(expected, abs=1e-3)
