"""Fronts, scattered subsets and hypervolumes, against a brute force and by hand."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ramet.core.pareto import front, hypervolume, ranks, scattered, selected

NAN, INF = math.nan, math.inf


def sets(least=0, most=12, numbers=None):
    """Sets of points with one to four objectives, of few different values, so that many are equal in some of them."""
    number = st.integers(0, 4).map(float) if numbers is None else numbers
    return st.integers(1, 4).flatmap(lambda size: st.lists(st.tuples(*[number] * size), min_size=least, max_size=most))


ANY = st.one_of(st.integers(0, 4).map(float), st.floats(allow_nan=True, allow_infinity=False), st.just(-INF))


def dominates(one, other):
    """By its definition: nowhere worse, somewhere better; NaN is dominated by all that hold none."""
    if any(map(math.isnan, one)):
        return False
    if any(map(math.isnan, other)):
        return True
    return all(a >= b for a, b in zip(one, other, strict=True)) and tuple(one) != tuple(other)


def ranks_by_force(points):
    """Take away the points that nothing dominates, again and again."""
    found, left, number = [0] * len(points), set(range(len(points))), 0
    while left:
        best = {i for i in left if not any(dominates(points[j], points[i]) for j in left)}
        for i in best:
            found[i] = number
        left, number = left - best, number + 1
    return found


def volume_by_force(points, reference):
    """Count the cells of the grid that the points' coordinates span and some point covers."""
    axes = [sorted({reference[k], *(p[k] for p in points if p[k] > reference[k])}) for k in range(len(reference))]
    total = 0.0
    for cell in itertools.product(*(list(itertools.pairwise(axis)) for axis in axes)):
        if any(all(p[k] >= upper for k, (_, upper) in enumerate(cell)) for p in points):
            total += math.prod(upper - lower for lower, upper in cell)
    return total


@settings(max_examples=300, deadline=None)
@given(sets(numbers=ANY))
def test_ranks_are_those_of_the_definition(points):
    """Whatever the points, NaN and infinities among them, the fronts are those of taking away the best by hand."""
    assert ranks(points).tolist() == ranks_by_force(points)
    clean = [i for i, p in enumerate(points) if not any(map(math.isnan, p))]
    assert front(points) == [i for i in clean if ranks_by_force(points)[i] == 0]


@settings(max_examples=100, deadline=None)
@given(sets(least=1, numbers=ANY), st.randoms(use_true_random=False))
def test_ranks_do_not_depend_on_the_order(points, rng):
    """Points in another order have the same ranks."""
    order = rng.sample(range(len(points)), len(points))
    assert ranks([points[i] for i in order]).tolist() == ranks(points)[order].tolist()


def test_ranks_of_many_points():
    """Ten thousand points of two objectives have the ranks that the general way finds with a constant third one."""
    points = np.random.default_rng(0).random((10_000, 2)).round(2)
    assert (ranks(points) == ranks(np.column_stack([points, np.zeros(10_000)]))).all()


@settings(max_examples=200, deadline=None)
@given(sets(least=1), st.integers(0, 14))
def test_a_scattered_subset_begins_at_the_best_and_goes_on_with_the_farthest(points, size):
    """The first is best in the first objective, and each next one as far from its nearest chosen one as any is."""
    chosen = scattered(points, size)
    assert len(chosen) == len(set(chosen)) == min(size, len(points))
    if not chosen:
        return
    assert points[chosen[0]][0] == max(p[0] for p in points)
    widths = [max(column) - min(column) or 1.0 for column in zip(*points, strict=True)]

    def gap(i, among):
        return min(sum(((a - b) / w) ** 2 for a, b, w in zip(points[i], points[j], widths, strict=True)) for j in among)

    for at, index in enumerate(chosen[1:], start=1):
        rest = set(range(len(points))) - set(chosen[:at])
        assert gap(index, chosen[:at]) >= max(gap(i, chosen[:at]) for i in rest) - 1e-9


@pytest.mark.parametrize("factors", [(1.0, 1e9), (1e-9, 1.0), (1e300, 1e-300)])
def test_a_scattered_subset_does_not_depend_on_units(factors):
    """Objectives on very different scales count alike: what is chosen stays when one is told in another unit."""
    points = np.random.default_rng(1).random((40, 2))
    assert scattered(points * factors, 12) == scattered(points, 12)


def test_a_scattered_subset_of_what_is_not_finite():
    """What is infinitely bad lies at the end of what is finite, NaN too; equal points are taken in their order."""
    points = [(0.0, 1.0), (-INF, 2.0), (NAN, 0.0), (1.0, -INF)]
    assert sorted(scattered(points, 4)) == [0, 1, 2, 3]
    assert scattered(points, 1) == [3]
    assert scattered([(NAN, NAN)] * 3, 2) == [0, 1]
    assert scattered([(-INF, 1e308), (1e308, -1e308)], 2) == [1, 0]
    assert scattered([(1.0, 1.0)] * 3, 3) == [0, 1, 2]
    assert scattered([], 3) == []


@settings(max_examples=200, deadline=None)
@given(sets(least=1, numbers=ANY))
def test_a_selection_takes_better_fronts_first_and_grows(points):
    """Whoever is left out is in no better front than anybody who is in, and a larger selection holds a smaller one."""
    rank = ranks(points)
    before: set[int] = set()
    for size in range(len(points) + 2):
        chosen = set(selected(points, size))
        assert len(chosen) == min(size, len(points))
        assert before <= chosen
        left = set(range(len(points))) - chosen
        assert max((rank[i] for i in chosen), default=0) <= min((rank[i] for i in left), default=INF)
        before = chosen


@settings(max_examples=150, deadline=None)
@given(sets(most=7), st.integers(0, 2).map(float))
def test_the_hypervolume_is_that_of_counting_cells(points, corner):
    """For any number of objectives the volume is that of all cells of the grid that some point covers."""
    size = len(points[0]) if points else 2
    reference = [corner] * size
    assert hypervolume(points, reference) == pytest.approx(volume_by_force(points, reference))


@settings(max_examples=100, deadline=None)
@given(sets(least=1, most=8, numbers=st.floats(0, 9)))
def test_the_laws_of_the_hypervolume(points):
    """More points never have less of it, dominated ones nothing, and the order does not matter."""
    reference = [0.0] * len(points[0])
    whole = hypervolume(points, reference)
    assert hypervolume(points[:-1], reference) <= whole * (1 + 1e-9)
    assert hypervolume([points[i] for i in front(points)], reference) == pytest.approx(whole)
    assert hypervolume(points[::-1], reference) == pytest.approx(whole)
    assert max(math.prod(p) for p in points) <= whole * (1 + 1e-9)


def test_what_adds_nothing_to_the_hypervolume():
    """Points at the reference or below it in any objective, and those with NaN, count for nothing."""
    assert hypervolume([(2.0, 3.0), (0.0, 9.0), (9.0, -1.0), (NAN, 9.0), (9.0, -INF)], (0.0, 0.0)) == 6.0
    assert hypervolume([], (0.0, 0.0)) == 0.0
    assert hypervolume([(NAN,)], (0.0,)) == 0.0
    assert hypervolume([(-3.0, 0.5)], (-5.0, 0.0)) == 1.0


def test_the_hypervolume_of_many_points():
    """A quarter disc of many points has nearly its area, and an eighth of a ball nearly its volume."""
    angles = np.linspace(0, math.pi / 2, 10_000)
    assert hypervolume(np.column_stack([np.cos(angles), np.sin(angles)]), (0, 0)) == pytest.approx(math.pi / 4, 1e-3)
    rng = np.random.default_rng(0)
    ball = np.abs(rng.standard_normal((150, 3)))
    volume = hypervolume(ball / np.linalg.norm(ball, axis=1, keepdims=True), (0, 0, 0))
    assert 0.4 < volume < math.pi / 6
