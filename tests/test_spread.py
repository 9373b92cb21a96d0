"""Exploit rules that look at how far apart scores are: thresholds by hand, and what cannot be told apart."""

import math
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ramet
from ramet.core.scene import Scene
from ramet.errors import ConfigError
from ramet.schedulers import GapThreshold, SpreadThreshold
from ramet.space import Space
from ramet.strategy.spread import moments
from ramet.testing.strategies import population_of

NAN, INF = math.nan, math.inf
SPACE = Space(None, {"lr": ramet.uniform(0.0, 1.0)})


def choices(rule, scores, seed=0, ready=None):
    """What a rule chooses for members with such scores."""
    population = population_of(scores, [{"lr": 0.5}] * len(scores), seed=seed)
    return rule(Scene.of(population, SPACE, range(len(scores)) if ready is None else ready))


def donors(rule, scores, seeds=50):
    """By member, all donors that it has over many seeds; None for going on with its own weights."""
    found = {}
    for seed in range(seeds):
        for member, choice in choices(rule, scores, seed).items():
            found.setdefault(member, set()).add(choice.donor)
    return found


# ---------------------------------------------------------------------- mean and deviation


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=9))
def test_moments_are_those_of_the_textbook(values):
    """Mean and standard deviation are those of the standard library."""
    mean, sd = moments(values)
    assert mean == pytest.approx(statistics.fmean(values), abs=1e-6)
    assert sd == pytest.approx(statistics.stdev(values), abs=1e-6)


@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(1, 60))
def test_equal_values_are_their_mean(value, count):
    """Of equal values the mean is exactly that value, and nothing deviates."""
    assert moments([value] * count) == (value, 0.0)


def test_moments_of_next_to_nothing_and_of_nearly_everything():
    """None, one, and numbers whose squares are beyond all floats have moments too."""
    assert moments([]) == moments([0.0]) == moments([0.0, 0.0]) == (0.0, 0.0)
    assert moments([3.0]) == (3.0, 0.0)
    mean, sd = moments([-1e308, -1e308, 1e308, 1e308])
    assert mean == 0
    assert sd > 1e308
    assert moments([-1e-320, 1e-320])[1] > 0


# ---------------------------------------------------------------------- SpreadThreshold


def test_laggards_clone_leaders():
    """Below the mean by the threshold a member clones one above it by as much, each of them; all others go on."""
    scores = [0.0, 4.9, 5.0, 5.1, 9.0, 10.0]  # mean 5.67, sd 3.6
    assert donors(SpreadThreshold(), scores) == {
        0: {4, 5}, 1: {4, 5}, 2: {4, 5}, 3: {4, 5}, 4: {None}, 5: {None},
    }  # fmt: skip
    assert donors(SpreadThreshold(deviations=0.5), scores) == {
        0: {4, 5}, 1: {None}, 2: {None}, 3: {None}, 4: {None}, 5: {None},
    }  # fmt: skip
    assert donors(SpreadThreshold(margin=4.0), scores) == {
        0: {5}, 1: {None}, 2: {None}, 3: {None}, 4: {None}, 5: {None},
    }  # fmt: skip


def test_a_laggard_without_a_leader_explores():
    """One far behind a field that is all alike has nobody to clone, and explores by itself."""
    found = choices(SpreadThreshold(deviations=0.5), [0.0, 10.0, 10.0, 10.0, 10.0])
    assert (found[0].donor, found[0].tried, found[0].explores) == (None, True, True)
    assert {found[m].explores for m in range(1, 5)} == {None}


@pytest.mark.parametrize("rule", [SpreadThreshold(), GapThreshold()], ids=repr)
@given(value=st.floats(-1e300, 1e300), members=st.integers(1, 12))
@settings(max_examples=100, deadline=None)
def test_equals_never_clone_each_other(rule, value, members):
    """A field of equal scores has no donors, however its mean is rounded."""
    found = choices(rule, [value] * members)
    assert {choice.donor for choice in found.values()} == {None}
    if isinstance(rule, SpreadThreshold):
        assert not any(choice.explores for choice in found.values())


@pytest.mark.parametrize("rule", [SpreadThreshold(), GapThreshold()], ids=repr)
@given(scores=st.lists(st.one_of(st.floats(-1e308, 1e308), st.sampled_from([NAN, -INF])), min_size=1, max_size=9))
@settings(max_examples=200, deadline=None)
def test_the_laws_of_thresholds(rule, scores):
    """A donor is strictly better than who clones it, and a number; the best clones nobody."""
    for member, choice in choices(rule, scores).items():
        if choice.donor is not None:
            assert not math.isnan(scores[choice.donor])
            assert math.isnan(scores[member]) or scores[choice.donor] > scores[member]


@pytest.mark.parametrize("rule", [SpreadThreshold(), GapThreshold()], ids=repr)
def test_one_that_diverged_clones_at_once(rule):
    """NaN, minus infinity, and a number beyond measure are far behind all others."""
    for worst in (NAN, -INF, -1e200):
        (member,) = [
            m for m, c in choices(rule, [1.0, 2.0, worst, 30.0, 3.0]).items() if c.donor is not None and m == 2
        ]
        assert member == 2


def test_all_nan_explore_by_themselves():
    """Where no score is a number there is no donor."""
    for rule in (SpreadThreshold(), GapThreshold()):
        assert {c.donor for c in choices(rule, [NAN] * 4).values()} == {None}


# ---------------------------------------------------------------------- GapThreshold


def test_the_worst_clone_one_of_the_best():
    """Of sixteen members the worst two clone, each of the best five."""
    scores = [float((7 * m) % 16) for m in range(16)]
    found = donors(GapThreshold(), scores, seeds=200)
    best = {m for m in range(16) if scores[m] >= 11}
    assert {m: d for m, d in found.items() if d != {None}} == {m: best for m in range(16) if scores[m] < 2}


@pytest.mark.parametrize(
    ("scores", "clones"),
    [
        ([100.0, 101.0, 102.0, 104.0], False),  # 4 behind: less than 5 % of 104
        ([100.0, 101.0, 102.0, 106.0], True),  # 6 behind: more than 5.3, and than half of sd 2.6
        ([1.0, 90.0, 5.0, 8.0], True),
        ([-106.0, -103.0, -102.0, -100.0], True),  # shares are of the absolute value
        ([-104.0, -103.0, -102.0, -100.0], False),
    ],
)
def test_the_gap_must_be_beyond_doubt(scores, clones):
    """A member clones only if the donor is ahead by a share of its own score; else it explores with its weights."""
    choice = choices(GapThreshold(best=0.25), scores)[0]
    assert (choice.donor is not None) == clones
    assert choice.tried
    assert choice.explores is (None if clones else True)


def test_the_gap_must_be_more_than_half_a_deviation():
    """The deviation is that of all but the worst fifth: one that crashed does not protect the others."""
    scores = [-1000.0, 40.0, 60.0, 80.0, 100.0]  # sd without the first is 25.8
    assert choices(GapThreshold(worst=0.4, best=0.2, deviations=2.3), scores)[1].donor == 4
    assert choices(GapThreshold(worst=0.4, best=0.2, deviations=2.4), scores)[1].donor is None
    assert choices(GapThreshold(worst=0.4, best=0.2, deviations=2.4), scores)[0].donor == 4


def test_half_of_the_clones_keep_their_own_hyperparameters():
    """With own_hparams the source of the hyperparameters is the member itself so often; the weights are the donor's."""
    for share in (0.0, 0.5, 1.0):
        own = [choices(GapThreshold(own_hparams=share), [1.0, 50.0], seed)[0].source == 0 for seed in range(400)]
        assert abs(sum(own) - 400 * share) <= 5 * math.sqrt(400 * share * (1 - share))


WRONG = [
    (SpreadThreshold, {"deviations": -0.1}),
    (SpreadThreshold, {"margin": NAN}),
    (SpreadThreshold, {"margin": True}),
    (GapThreshold, {"worst": 0.6}),
    (GapThreshold, {"best": -0.1}),
    (GapThreshold, {"deviations": INF}),
    (GapThreshold, {"relative": "5 %"}),
    (GapThreshold, {"own_hparams": 1.5}),
]


@pytest.mark.parametrize(("rule", "arguments"), WRONG, ids=repr)
def test_arguments_out_of_range_are_refused(rule, arguments):
    """What is no threshold, share or probability is refused by its name."""
    with pytest.raises(ConfigError, match=next(iter(arguments))):
        rule(**arguments)
