"""Domains one by one: how each kind moves, draws, is placed, shown and compared, and what it refuses."""

from __future__ import annotations

import itertools
import math
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from ramet.errors import ConfigError, SpaceError
from ramet.space import (
    Domain,
    Ordered,
    Sampled,
    Space,
    choice,
    domain_from_plain,
    grid_search,
    lograndint,
    loguniform,
    qlograndint,
    qloguniform,
    qrandint,
    qrandn,
    quniform,
    randint,
    randn,
    sample_from,
    uniform,
)

NAN, INF = math.nan, math.inf


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize(
    ("domain", "value", "factor", "expected"),
    [
        (uniform(0, 1), 0.5, 1.2, 0.6),
        (uniform(0, 1), 0.9, 1.2, 1.0),  # clipped
        (uniform(0, 1), 1.0, 1.2, 0.8),  # stopped at a bound: inwards
        (uniform(0, 1), 0.0, 1.2, 0.02),  # zero is left
        (uniform(0, 1), 0.0, 0.8, 0.02),
        (uniform(0, 1), 0.5, 1, 0.5),  # a factor of 1 stays
        (uniform(0, 1), 7, 0.8, 0.8),  # clipped first
        (uniform(0, 1), -7, 1.2, 0.02),
        (uniform(-1, 1), -0.5, 1.2, -0.6),  # above 1 is away from zero
        (uniform(-1, 1), -0.5, 0.8, -0.4),
        (uniform(-1, 1), 0.0, 0.8, -0.04),
        (uniform(-2, -1), -1.0, 0.8, -1.2),
        (uniform(1e-4, 0.02), 0.001, 0.8, 0.0008),  # without zero there is no trap, and no other step
        (loguniform(1e-4, 1e-1), 10**-2.5, 1.2, 10**-2.2),  # on the log axis from the middle, .5, to .6
        (loguniform(1e-4, 1e-1), 10**-2.5, 0.8, 10**-2.8),
        (loguniform(1e-10, 1), 1e-5, 1.2, 1e-4),  # more decades, larger steps
        (loguniform(1e-4, 1e-1), 10**-1.3, 1.2, 0.1),  # clipped
        (loguniform(1e-4, 1e-1), 0.1, 1.2, 10**-1.6),  # stopped at the upper bound: inwards
        (loguniform(1e-4, 1e-1), 0.1, 0.8, 10**-1.6),
        (loguniform(1e-4, 1e-1), 1e-4, 1.2, 10**-3.94),  # the lower bound is left
        (loguniform(1e-4, 1e-1), 1e-4, 0.8, 10**-3.94),
        (loguniform(1e-4, 1e-1), 10**-3.85, 1.2, 10**-3.79),  # below a tenth of the axis by as much as at one
        (loguniform(1e-4, 1e-1), 10**-2.5, 1, 10**-2.5),
        (loguniform(1e-4, 1e-1), 7, 0.5, 10**-2.5),  # clipped first
        (loguniform(1, 100), 10, 1.2, 10**1.2),  # logarithms on both sides of zero are nothing special
        (loguniform(0.1, 10), 1, 0.8, 10**-0.2),
        (quniform(0, 0.9, 0.1), 0.9, 1.2, 0.8),
        (quniform(0, 0.9, 0.1), 0.3, 1.2, 0.4),
        (quniform(0, 0.9, 0.1), 0.3, 0.8, 0.2),
        (quniform(0, 0.9, 0.1), 0.0, 0.8, 0.1),
        (quniform(0, 0.9, 0.1), 0.4, 2.0, 0.8),
        (qloguniform(1e-3, 1e-1, 5e-4), 0.01, 1.2, 0.016),  # 10**-1.8, on the grid
        (qloguniform(1e-3, 1e-1, 5e-4), 0.1, 1.2, 0.0995),
        (qloguniform(1e-3, 1e-1, 5e-4), 1e-3, 0.8, 0.0015),
        (randint(0, 10), 0, 1.2, 1),
        (randint(0, 10), 0, 0.8, 1),
        (randint(0, 10), 1, 1.2, 2),
        (randint(0, 10), 1, 0.8, 0),
        (randint(0, 10), 2, 1.2, 3),
        (randint(0, 10), 2, 0.8, 1),
        (randint(0, 10), 9, 1.2, 8),
        (randint(-5, 6), 0, 0.8, -1),
        (randint(-5, 6), -2, 1.2, -3),
        (randint(3, 4), 3, 1.2, 3),  # nowhere to go
        (lograndint(1, 1001), 100, 1.2, 251),  # 10**2.4
        (lograndint(1, 1001), 1000, 1.2, 999),
        (lograndint(1, 1000), 1, 0.8, 2),
        (qrandint(32, 64, 32), 64, 1.2, 32),
        (qrandint(32, 64, 32), 64, 0.8, 32),
        (qlograndint(8, 64, 8), 8, 1.2, 16),
        (randn(), 0, 1.25, 0.1),
        (randn(), 2, 1.5, 3.0),
        (qrandn(0, 1, 0.5), 0.0, 0.9, -0.5),
    ],
)
def test_perturb_numbers(domain: Domain, value: Any, factor: float, expected: Any) -> None:
    """A number is multiplied, clipped and put on the grid, by one step at least, and turned inwards at a bound."""
    got = domain.perturb(value, rng(), (factor,))
    assert type(got) is type(expected)
    assert got == pytest.approx(expected, rel=1e-12) if isinstance(expected, float) else got == expected
    if getattr(domain, "q", None) is not None:
        assert got == expected


def test_perturb_draws_each_factor_equally_often() -> None:
    """Each factor is drawn with the same probability."""
    draw, domain = rng(), uniform(0.1, 10)
    counts = Counter(domain.perturb(1.0, draw, (1.2, 0.8, 2.0)) for _ in range(3000))
    assert sorted(counts) == [0.8, 1.2, 2.0]
    assert min(counts.values()) > 900


def test_perturb_defaults_to_the_factors_of_the_paper() -> None:
    """Without factors a number is multiplied by 1.2 or 0.8."""
    draw = rng()
    assert {uniform(0.1, 10).perturb(1.0, draw) for _ in range(50)} == {1.2, 0.8}


@pytest.mark.parametrize("factors", [(), (0,), (-1,), (NAN,), (INF,), ("2",), (None,), (True,)], ids=repr)
@pytest.mark.parametrize("domain", [uniform(0, 1), randint(0, 9), Sampled(float, probe=1.0)], ids=repr)
def test_perturb_refuses_factors_that_are_none(domain: Domain, factors: Any) -> None:
    """A factor that no number can be multiplied by is the caller's fault and named."""
    with pytest.raises(SpaceError, match=r"factors=.* such as \(1.2, 0.8\)"):
        domain.perturb(0.5, rng(), factors)


def test_type_never_follows_the_current_value() -> None:
    """An int in a float domain does not make it integer for ever, nor a float an integer domain float (Ray #54755)."""
    draw = rng()
    value: Any = 0
    for _ in range(20):
        value = uniform(0.005, 0.5).perturb(value, draw)
        assert type(value) is float
    value = 8.0
    for _ in range(20):
        value = randint(0, 100).perturb(value, draw)
        assert type(value) is int


@pytest.mark.parametrize("decades", [1, 3, 10, 100])
def test_a_log_domain_is_crossed_however_many_decades_it_has(decades: int) -> None:
    """The low end of a log domain is no trap: 18 times 1.2 lead from there to the upper end of any."""
    draw, domain = rng(), loguniform(10.0**-decades, 1)
    value, places = 10.0**-decades, []
    for _ in range(18):
        value = domain.perturb(value, draw, (1.2,))
        places.append(domain.encode(value))
    assert places[:6] == pytest.approx([0.02, 0.04, 0.06, 0.08, 0.1, 0.12])
    assert places[-2] < 1.0
    assert value == 1.0
    reached = 0.0
    for value in itertools.accumulate(range(2000), lambda at, _: domain.perturb(at, draw), initial=10.0**-decades):
        reached = max(reached, domain.encode(value))
    assert reached > 0.9


def test_every_value_is_reached_from_zero() -> None:
    """Zero is no trap: perturbation alone comes from zero to the far half of a domain."""
    for domain in (uniform(0, 1), quniform(0, 1, 0.01), randint(0, 1000), uniform(-1, 0), randint(-5, 6)):
        draw, value, reached = rng(1), domain.clip(0), 0.0
        for _ in range(2000):
            value = domain.perturb(value, draw)
            reached = max(reached, abs(value) / max(abs(domain.decode(0)), abs(domain.decode(1))))
        assert reached > 0.5, domain


@pytest.mark.parametrize(
    ("values", "value", "reached"),
    [
        ([1, 2, 4, 8], 4, {2, 8}),
        ([1, 2, 4, 8], 1, {2}),
        ([1, 2, 4, 8], 8, {4}),
        ([1, 1, 2], 1, {2}),  # repeats do not hold it
        ([1, 2, 1, 3], 1, {2, 3}),
        ([2, 1, 1], 1, {2}),
        ([1], 1, {1}),
        ([1, 2, 4, 8], 3, {1, 2, 4, 8}),  # not in the list: drawn anew
        ([0, 1, 5], True, {0, 1, 5}),  # True is not 1
        ([1, 2, 3], 2.0, {1, 3}),  # but 2.0 is 2 where no 2.0 stands
        ([1, 2, 2.0, 3], 2.0, {2, 3}),
        ([1, 2, 3], np.int64(2), {1, 3}),
        ([None, "a", "b"], "a", {None, "b"}),
        ([None, "a", "b"], None, {"a"}),
    ],
)
def test_perturb_ordered(values: list[Any], value: Any, reached: set[Any]) -> None:
    """A value of a list goes to a neighbour that differs, and one that is not in it is drawn anew."""
    draw, domain = rng(), Ordered(values)
    seen = Counter(domain.perturb(value, draw) for _ in range(400))
    assert set(seen) == reached
    assert min(seen.values()) > 400 / len(reached) / 2
    assert domain.moves == (len(set(map(repr, values))) > 1)


def test_perturb_choice_keeps_a_category_and_draws_what_is_none() -> None:
    """A category has no neighbours, so perturb keeps it; what is no category is drawn anew."""
    domain, draw = choice(["adam", "sgd", 1]), rng()
    assert domain.perturb("sgd", draw) == "sgd"
    assert not domain.moves
    for stranger in ("rmsprop", True, None, [], np.array([1, 2])):
        assert {domain.perturb(stranger, draw) for _ in range(60)} == {"adam", "sgd", 1}
    assert type(domain.perturb(1.0, draw)) is int


class Incomparable:
    """An object whose comparison fails."""

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("cannot be compared")

    __hash__ = None  # type: ignore[assignment]


def test_entries_may_be_anything() -> None:
    """Unhashable, elementwise-comparing and incomparable entries are found by identity or by equality of one type."""
    odd, array = Incomparable(), np.array([1, 2])
    for make in (choice, Ordered):
        domain = make([odd, array, [1], {"a": 1}, NAN])
        for value in (odd, array, array.copy(), [1], {"a": 1}, NAN, float("nan")):
            assert domain.contains(value)
            assert domain.contains(domain.perturb(value, rng()))
        for value in (Incomparable(), np.array([1, 3]), np.array([1.0, 2.0]), [1.0, [2]], {"a": 2}, 1):
            assert not domain.contains(value)
            assert domain.contains(domain.perturb(value, rng()))
        assert domain == make([odd, array.copy(), [1], {"a": 1}, NAN])
        assert domain != make([odd, array, [1], {"a": 1}])
        assert hash(domain) == hash(make([odd, array, [1], {"a": 1}, NAN]))
    assert choice([1]) != Ordered([1])
    assert choice([1]) != choice([True])


@pytest.mark.parametrize(
    ("func", "kind", "value", "factor", "expected"),
    [
        (lambda: 0.5, float, 0.5, 1.2, 0.6),
        (lambda: 0.5, float, 100.0, 1.2, 120.0),
        (lambda: 0.5, float, 0.0, 1.2, 0.5),  # zero is drawn anew
        (lambda: 0.5, float, "x", 1.2, 0.5),
        (lambda: 0.5, float, NAN, 1.2, 0.5),
        (lambda: 0.5, float, 1e308, 100.0, 0.5),
        (lambda: np.float64(0.5), float, np.float64(0.5), 2, 1.0),
        (lambda: 8, int, 10, 1.25, 12),
        (lambda: 8, int, 2, 1.2, 3),
        (lambda: 8, int, 2, 0.8, 1),
        (lambda: 8, int, 1, 0.8, 2),  # never to zero, which nothing says is allowed
        (lambda: 8, int, -1, 0.8, -2),
        (lambda: 8, int, -10, 1.2, -12),
        (lambda: 8, int, 0, 1.2, 8),
        (lambda: 8, int, 0.5, 1.2, 8),
        (lambda: 8, int, 10, 1, 10),
        (lambda: np.int64(8), int, np.int64(10), 2, 20),
        (lambda: "a", object, "b", 1.2, "a"),
        (lambda: True, object, False, 1.2, True),
        (lambda: None, object, 3, 1.2, None),
    ],
)
def test_perturb_sampled(func: Any, kind: type, value: Any, factor: float, expected: Any) -> None:
    """The kind of a function's values is read from its probe; numbers multiply, the rest is drawn anew."""
    domain = Space(None, {"x": func}).mutable["x",]
    assert isinstance(domain, Sampled)
    assert domain.type is kind
    assert domain.moves
    got = domain.perturb(value, rng(), (factor,))
    assert type(got) is type(expected)
    assert got == expected
    assert domain.contains(got)
    assert domain.contains(domain.clip(value))


def test_sampled_without_range_refuses_places() -> None:
    """What has no known range has no place in [0, 1], and says what to give instead."""
    domain = Space(None, {"x": random.random}).mutable["x",]
    with pytest.raises(SpaceError, match=r"Sampled\(Random.random\).*uniform"):
        domain.encode(0.5)
    with pytest.raises(SpaceError, match="no known range"):
        domain.decode(0.5)
    assert domain.to_plain() == {"domain": "Sampled", "func": "Random.random", "type": "float"}
    with pytest.raises(SpaceError, match=r"Random.random.*make its Space again"):
        domain_from_plain(domain.to_plain())


def test_sampled_draw_of_another_kind_is_handed_on() -> None:
    """The function decides: a draw of another kind than the probe is neither rounded nor cut, and drawn anew next."""
    draws = iter([4, 0.5, None])
    domain = Sampled(lambda: next(draws)).probed(rng())
    assert domain.type is int
    assert domain.perturb("x", rng()) == 0.5
    assert domain.perturb(0.5, rng()) is None
    assert Sampled(lambda: 1, probe=0.5).sample(rng()) == 1.0


def test_sample_stays_below_an_exclusive_upper_bound() -> None:
    """Continuous domains never draw their upper bound, and integers with q=1 end before theirs."""
    narrow = math.nextafter(1.0, 2.0)
    draw = rng()
    assert {uniform(1.0, narrow).sample(draw) for _ in range(100)} == {1.0}
    assert {loguniform(1.0, narrow).sample(draw) for _ in range(100)} == {1.0}
    for domain in (randint(0, 3), qrandint(0, 3), qrandint(0, 3, 1)):
        assert {domain.sample(draw) for _ in range(100)} == {0, 1, 2}
    for domain in (lograndint(1, 4), qlograndint(1, 4, 1)):
        assert {domain.sample(draw) for _ in range(200)} == {1, 2, 3}
    assert {qrandint(0, 6, 3).sample(draw) for _ in range(100)} == {0, 3, 6}
    assert {qlograndint(3, 9, 3).sample(draw) for _ in range(100)} == {3, 6, 9}


def test_sample_is_spread_as_promised() -> None:
    """Multiples are drawn equally often, ends included, and log domains evenly over their logarithm."""
    draw = rng()
    counts = Counter(quniform(0, 0.4, 0.1).sample(draw) for _ in range(5000))
    assert sorted(counts) == [0.0, 0.1, 0.2, 0.3, 0.4]
    assert min(counts.values()) > 850
    logs = np.log10([loguniform(1e-4, 1).sample(draw) for _ in range(4000)])
    assert np.histogram(logs, bins=4, range=(-4, 0))[0].min() > 900
    integers = Counter(lograndint(1, 4).sample(draw) for _ in range(4000))
    assert integers[1] == pytest.approx(4000 * math.log(2) / math.log(4), abs=150)
    normal = [randn(3, 2).sample(draw) for _ in range(4000)]
    assert np.mean(normal) == pytest.approx(3, abs=0.15)
    assert np.std(normal) == pytest.approx(2, abs=0.15)


@pytest.mark.parametrize(
    ("domain", "inside", "outside"),
    [
        (uniform(0, 1), [0, 1, 0.5, np.float32(0.5)], [-0.001, 1.001, NAN, True, "0.5", None, np.array(0.5)]),
        (quniform(0, 0.9, 0.1), [0.3, 0.1 + 0.2, 0.9], [0.35, 1.0, -0.1]),
        (randint(0, 10), [0, 9, np.int8(3)], [10, -1, 5.0, 2.5, True, np.bool_(True)]),
        (qrandint(0, 10, 5), [0, 5, 10], [1, 15]),
        (randn(), [0, -1e300], [INF, 10**400]),
        (choice([1, "a"]), [1, "a"], [True, 1.0, "b"]),
        (Ordered([1, "a"]), [1, "a"], [True, 1.0, "b"]),
        (Sampled(float, probe=0.5), [3.0], [3, NAN, "a", True]),
        (Sampled(float), [3.0, "a", None], []),
    ],
)
def test_contains(domain: Domain, inside: list[Any], outside: list[Any]) -> None:
    """A domain contains its values by value and by type, with room for rounding dust only."""
    assert [value for value in inside if not domain.contains(value)] == []
    assert [value for value in outside if domain.contains(value)] == []


@pytest.mark.parametrize(
    ("domain", "value", "place"),
    [
        (uniform(-1, 1), 0, 0.5),
        (uniform(0, 1), -5, 0.0),
        (loguniform(1e-4, 1), 1e-2, 0.5),
        (quniform(0, 1, 0.25), 0.75, 0.75),
        (randint(0, 11), 10, 1.0),
        (randint(3, 4), 3, 0.0),
        (lograndint(1, 101), 10, 0.5),
        (Ordered(["a", "b", "c"]), "b", 0.5),
        (Ordered(["a"]), "a", 0.0),
        (choice(["a", "b"]), "b", 1.0),
        (randn(1, 2), 1, 0.5),
        (uniform(0, 1), "x", 0.5),
    ],
)
def test_encode(domain: Domain, value: Any, place: float) -> None:
    """The first value is at 0, the last at 1, and the others lie in between as they are drawn."""
    assert domain.encode(value) == pytest.approx(place)


def test_decode_refuses_nan() -> None:
    """NaN is no place, and is not turned into a value."""
    with pytest.raises(SpaceError, match="u=nan"):
        uniform(0, 1).decode(NAN)


@pytest.mark.parametrize(
    ("domain", "text"),
    [
        (uniform(0, 1), "uniform(0.0, 1.0)"),
        (quniform(0, 0.9, 0.1), "quniform(0.0, 0.9, 0.1)"),
        (loguniform(1e-4, 0.1), "loguniform(0.0001, 0.1)"),
        (qloguniform(1e-3, 0.1, 5e-4), "qloguniform(0.001, 0.1, 0.0005)"),
        (randn(), "randn(0.0, 1.0)"),
        (qrandn(0, 1, 0.5), "qrandn(0.0, 1.0, 0.5)"),
        (randint(0, 10), "randint(0, 10)"),
        (qrandint(0, 10, 1), "randint(0, 10)"),
        (qrandint(0, 10, 5), "qrandint(0, 10, 5)"),
        (lograndint(1, 10), "lograndint(1, 10)"),
        (qlograndint(5, 10, 5), "qlograndint(5, 10, 5)"),
        (choice(["a", 1]), "choice(['a', 1])"),
        (Ordered((1, 2)), "Ordered([1, 2])"),
        (grid_search([1, 2]), "grid_search([1, 2])"),
        (Sampled(random.random), "Sampled(Random.random)"),
        (sample_from(max), "sample_from(max)"),
    ],
)
def test_repr_reads_like_the_call(domain: Any, text: str) -> None:
    """A domain is shown as the call that makes it."""
    assert repr(domain) == text


def test_domains_are_compared_by_value_and_cannot_be_changed() -> None:
    """Equal arguments make equal, equally hashed domains; nothing in one can be set."""
    assert uniform(0, 1) == uniform(0.0, np.float64(1)) != uniform(0, 2)
    assert randint(0, 5.0) == randint(0, np.int64(5)) != lograndint(1, 5)  # type: ignore[arg-type]
    assert loguniform(1, 2, base=2) == loguniform(1, 2)
    assert len({uniform(0, 1), uniform(0, 1), randn(), Ordered([1]), Ordered([1])}) == 3
    assert grid_search([1]) == grid_search((1,)) != grid_search([True])
    assert hash(grid_search([1])) == hash(grid_search([2]))
    assert grid_search([1]) != 1
    assert uniform(0, 1) != 1
    assert choice([1]) != 1
    for domain in (uniform(0, 1), randint(0, 5), randn(), choice([1]), Ordered([1]), Sampled(float)):
        with pytest.raises(AttributeError):
            domain.lower = 3  # type: ignore[attr-defined]


def test_values_given_as_numpy_scalars_become_python_scalars() -> None:
    """No numpy scalar leaves a domain, however it was given."""
    for entry in np.array([1, 2]), np.array([0.5, 1]), np.array(["a", "b"]), np.array([True]):
        assert [type(value) for value in choice(entry).categories] == [type(value.item()) for value in entry]
    assert type(uniform(np.float32(0), np.float64(1)).lower) is float
    assert type(randint(np.int8(0), np.int64(9)).sample(rng())) is int


@pytest.mark.parametrize(
    "data",
    [3, {}, {"domain": 3}, {"domain": "gamma"}, {"domain": "uniform"}, {"domain": "uniform", "lower": 0, "up": 1}],
    ids=repr,
)
def test_domain_from_plain_refuses_what_is_none(data: Any) -> None:
    """Data that no domain gave is refused by name."""
    with pytest.raises(SpaceError, match="domain"):
        domain_from_plain(data)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: uniform(1, 0), ["uniform", "upper=0", "lower=1", "swap"]),
        (lambda: uniform(1, 1), ["upper=1", "fixed value"]),
        (lambda: uniform(0, INF), ["upper=inf", "finite"]),
        (lambda: uniform(NAN, 1), ["lower=nan", "finite"]),
        (lambda: uniform(0, 10**400), ["upper", "finite"]),
        (lambda: uniform(-1e308, 1e308), ["finite distance", "narrow"]),
        (lambda: uniform("1e-4", 1), ["lower='1e-4'", "str", "number"]),
        (lambda: uniform(True, 2), ["lower=True", "bool"]),
        (lambda: uniform(0, None), ["upper=None", "NoneType"]),
        (lambda: loguniform(0, 1), ["loguniform", "lower=0.0", "above 0", "use uniform"]),
        (lambda: loguniform(-4, -1), ["lower=-4.0", "not its logarithm"]),
        (lambda: loguniform(1, 10, base=1), ["base=1", "above 1"]),
        (lambda: loguniform(1, 10, base="e"), ["base='e'", "str"]),
        (lambda: quniform(0, 1, 0), ["quniform", "q=0", "above 0"]),
        (lambda: quniform(0, 1, -0.1), ["q=-0.1", "above 0"]),
        (lambda: quniform(0, 1, None), ["q=None", "uniform"]),
        (lambda: quniform(0, 1, 2), ["q=2.0", "larger than the range", "smaller"]),
        (lambda: quniform(0, 0.95, 0.1), ["upper=0.95", "no multiple of q=0.1", "0.9 or 1.0"]),
        (lambda: quniform(0.05, 1, 0.1), ["lower=0.05", "0.0 or 0.1"]),
        (lambda: quniform(0, 1e12, 0.5), ["upper", "10**9 steps", "larger q", "uniform"]),
        (lambda: qloguniform(1e-3, 1e-1, 7e-4), ["qloguniform", "lower=0.001", "0.0007 or 0.0014"]),
        (lambda: qloguniform(0, 1, 0.1), ["lower=0.0", "quniform"]),
        (lambda: qloguniform(0.1, 1, None), ["q=None", "loguniform"]),
        (lambda: qloguniform(0.1, 1, 0.1, base=0), ["base=0"]),
        (lambda: randn(0, 0), ["randn", "sd=0.0", "above 0"]),
        (lambda: randn(0, -1), ["sd=-1.0"]),
        (lambda: randn("0", 1), ["mean='0'"]),
        (lambda: qrandn(0, 1, 0), ["qrandn", "q=0.0"]),
        (lambda: qrandn(0, 1, None), ["q=None", "randn"]),
        (lambda: qrandn(1e12, 1, 0.1), ["mean=", "10**9 steps"]),
        (lambda: randint(0, 2.5), ["randint", "upper=2.5", "not an integer", "uniform"]),
        (lambda: randint(5, 5), ["upper=5", "above lower=5"]),
        (lambda: randint(False, 5), ["lower=False", "bool"]),
        (lambda: randint(0, 2**60), ["upper", "2**53"]),
        (lambda: qrandint(0, 10, 0), ["q=0", "above 0"]),
        (lambda: qrandint(0, 10, 2.5), ["q=2.5", "not an integer", "quniform"]),
        (lambda: qrandint(0, 10, 3), ["upper=10", "multiple of q=3", "9 or 12"]),
        (lambda: qrandint(0, 10, 11), ["q=11", "larger than the range"]),
        (lambda: lograndint(0, 10), ["lograndint", "lower=0", "use randint"]),
        (lambda: lograndint(1, 10, base=-1), ["base=-1"]),
        (lambda: qlograndint(0, 10, 5), ["qlograndint", "lower=0", "use qrandint"]),
        (lambda: choice([]), ["choice", "categories", "empty"]),
        (lambda: choice("abc"), ["categories='abc'", "str", "list"]),
        (lambda: choice({"a", "b"}), ["set", "order", "list"]),
        (lambda: choice({"a": 1}), ["dict", "list"]),
        (lambda: choice(3), ["categories=3", "int", "list"]),
        (lambda: choice([uniform(0, 1)]), ["holds a domain", "key of its own", "sample_from"]),
        (lambda: grid_search([]), ["grid_search", "values", "empty"]),
        (lambda: grid_search(3), ["grid_search", "values=3"]),
        (lambda: grid_search([{"x": [grid_search([1])]}]), ["holds a domain"]),
        (lambda: Ordered([]), ["Ordered", "values", "empty"]),
        (lambda: sample_from(3), ["sample_from", "func=3", "function"]),
        (lambda: sample_from(lambda a, b: 1), ["sample_from", "one argument"]),
        (lambda: Sampled(3), ["func=3", "function"]),
        (lambda: Sampled(lambda x: x), ["needs arguments", "without any"]),
    ],
)
def test_bad_domains_are_refused_at_construction(make: Callable[[], Any], words: list[str]) -> None:
    """What cannot be a domain is refused when it is written, naming the argument, its value and the way out."""
    with pytest.raises(SpaceError) as caught:
        make()
    assert isinstance(caught.value, ConfigError)
    assert isinstance(caught.value, ValueError)
    assert [word for word in words if word not in str(caught.value)] == []


@pytest.mark.parametrize(
    ("domain", "value", "factor", "expected"),
    [
        (uniform(0.9, 1.0), 0.95, 1.2, 0.97),
        (uniform(0.9, 1.0), 0.95, 0.8, 0.93),
        (uniform(-1.0, -0.9), -0.95, 1.2, -0.97),
        (randint(100, 111), 105, 1.2, 107),
        (randint(100, 111), 105, 0.8, 103),
        (quniform(10.0, 11.0, 0.1), 10.5, 1.2, 10.7),
        (randn(100.0, 1.0), 100.0, 1.2, 100.8),
        (uniform(0.0, 1.0), 0.5, 1.2, 0.6),
    ],
    ids=repr,
)
def test_a_step_is_at_most_its_share_of_the_width(domain, value, factor, expected):
    """Far from zero a factor moves within the domain, rather than from bound to bound."""
    assert domain.perturb(value, np.random.default_rng(0), (factor,)) == pytest.approx(expected)
