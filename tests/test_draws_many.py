"""Draws for many members at once are those of each alone."""

from __future__ import annotations

import copy
import pickle

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ramet.core.ranking import Ranking
from ramet.core.scene import Scene
from ramet.core.seeds import mixed
from ramet.core.shares import MANY, share, shares
from ramet.space import Space
from ramet.strategy.products import product
from ramet.testing.strategies import population_of


@given(st.lists(st.integers(0, 2**128 - 1), min_size=1, max_size=40))
def test_mixed_seeds_are_numpys(entropies):
    """A generator that is given a mixed seed is in the state that numpy would seed it to, whatever the integer."""
    for entropy, seed in zip(entropies, mixed(entropies), strict=True):
        assert np.random.PCG64(seed).state == np.random.PCG64(np.random.SeedSequence(entropy)).state


def test_a_generator_of_a_mixed_seed_is_a_generator_like_any_other():
    """It spawns, is copied and is pickled, with the numbers that numpy's own would give."""
    ours, numpys = (np.random.Generator(np.random.PCG64(seed)) for seed in (*mixed([5]), np.random.SeedSequence(5)))
    assert [child.random() for _ in range(2) for child in ours.spawn(2)] == [
        child.random() for _ in range(2) for child in numpys.spawn(2)
    ]
    known = numpys.random()
    assert pickle.loads(pickle.dumps(ours)).random() == copy.deepcopy(ours).random() == ours.random() == known


def test_expected_generators_are_the_same():
    """Making generators ready together changes no number, nor does another attempt draw theirs."""
    population = population_of([float(number) for number in range(MANY)])
    scene = Scene.of(population, Space(None, {}), range(MANY), Ranking())
    ahead = scene.expecting(range(MANY), [("explore", "lr"), ("explore", "deep", "k")])
    assert ahead.seeds
    for member in range(MANY):
        for name in (("explore", "lr"), ("explore", "deep", "k"), ("another",)):
            assert ahead.generator(member, *name).random() == scene.generator(member, *name).random()
            assert ahead.again(1).generator(member, *name).random() == scene.again(1).generator(member, *name).random()


@given(st.integers(0, 2**64 - 1), st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**9)), max_size=3 * MANY))
def test_shares_of_many_are_those_of_each(key, asked):
    """Asked together, by numpy, members get the numbers that they get alone, in [0, 1)."""
    members, decisions = [member for member, _ in asked], [decision for _, decision in asked]
    found = shares(key, members, decisions)
    assert found == [share(key, member, decision) for member, decision in asked]
    assert all(0 <= number < 1 for number in found)


def test_shares_are_even():
    """Shares of neighbouring members and decisions are uniform, and say nothing of each other."""
    count = 20_000
    drawn = np.array([shares(7, range(count), [decision] * count) for decision in range(3)])
    assert np.abs(np.histogram(drawn, 10, (0, 1))[0] / drawn.size - 0.1).max() < 0.005
    lagged = np.vstack([drawn[:, :-1], drawn[:, 1:]])
    assert np.abs(np.corrcoef(lagged) - np.eye(6)).max() < 0.03


@given(st.integers(0, 130), st.integers(0, 130), st.integers(0, 130))
def test_products_in_pieces_are_products(rows, inner, columns):
    """Pieces add up to the product, of any shapes, of triangles and of vectors."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(rows, inner)), np.tril(rng.normal(size=(inner, columns)))
    assert np.allclose(product(a, b), a @ b)
    assert np.allclose(product(a, b[:, :1].ravel()[:inner]) if columns else 0.0, a @ b[:, 0] if columns else 0.0)
