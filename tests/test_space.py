"""Spaces and domains: whatever goes in, what comes out lies in the domain, has its type, and can move on."""

from __future__ import annotations

import doctest
import itertools
import json
import math
import random
from collections import Counter
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ramet.domains
import ramet.space
from ramet.errors import ConfigError, SpaceError
from ramet.space import (
    Categorical,
    Domain,
    Float,
    Normal,
    Ordered,
    Sampled,
    Space,
    choice,
    domain_from_plain,
    flatten,
    get,
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
    with_values,
)

NAN, INF = math.nan, math.inf
FACTORS = [(1.2, 0.8), (1.2,), (0.8,), (1.0001, 0.9999), (2, 0.5), (1e300,), (1e-300,)]
FACTORS += [(np.float64(1.5), np.float32(0.5)), np.array([1.5, 0.5])]
ODD_VALUES = [
    NAN,
    INF,
    -INF,
    None,
    "x",
    True,
    False,
    10**400,
    -(10**400),
    1e308,
    -1e308,
    0,
    -0.0,
    0.5,
    1,
    2,
    -1,
    5e-324,
]
ODD_VALUES += [np.float32(0.5), np.int64(3), np.bool_(True), np.array([1.0, 2.0]), [], {}, object(), 1j, b"x"]

# Domains at the edges of what floats can do, and all the ordinary kinds once.
DOMAINS = [
    uniform(0, 1),
    uniform(-1, 0),
    uniform(-3, 5),
    uniform(-5, -2),
    uniform(1e-4, 0.02),
    uniform(0, 5e-324),
    uniform(1e16, 1e16 + 2),
    uniform(-8e307, 8e307),
    quniform(0, 0.9, 0.1),
    quniform(-1, 1, 0.25),
    quniform(0, 2 / 3, 1 / 3),
    quniform(0, 1, 1),
    quniform(1e-7, 1, 1e-7),
    loguniform(1e-4, 1e-1),
    loguniform(5e-324, 1e-300),
    loguniform(1e-300, 1e300),
    loguniform(1.0, math.nextafter(1.0, 2.0)),
    loguniform(1e10, math.nextafter(1e10, 2e10)),
    qloguniform(1e-4, 1e-1, 5e-5),
    randn(),
    randn(-100, 3),
    randn(1e308, 1e300),
    qrandn(0, 1, 0.1),
    qrandn(0, 1e300, 1e300),
    randint(0, 3),
    randint(-7, 8),
    randint(0, 1_000_000),
    randint(-(2**53), 2**53),
    randint(3, 4),
    qrandint(32, 64, 32),
    qrandint(-10, 10, 5),
    qrandint(0, 10),
    lograndint(1, 1000),
    lograndint(1, 3),
    qlograndint(8, 1024, 8),
    choice(["adam", "sgd", None]),
    choice([[1, 2], {"a": 1}, np.array([1, 2]), NAN]),
    Ordered([1, 2, 4, 8]),
    Ordered((0.1, 0.01)),
    Ordered([1, 1, 2]),
    Ordered(["a"]),
    Ordered([True, 1, 1.0, "1", None]),
]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def same(a: Any, b: Any) -> bool:
    return a is b or (type(a) is type(b) and a == b)


def assert_lawful(domain: Domain, value: Any) -> None:
    """Assert what must hold of every value that a domain gives back."""
    assert domain.contains(value)
    if domain.type is not object:
        assert type(value) is domain.type
    if getattr(domain, "q", None) is not None:
        k = round(value / domain.q)
        assert value in (float(f"{k * domain.q:.12g}"), k * domain.q, domain._low, domain._high)  # type: ignore[attr-defined]


# -------------------------------------------------------------------------------------------------------- strategies

DECIMALS = st.integers(-9999, 9999).map(lambda n: n / 100)
ANY_FLOAT = st.floats(-1e300, 1e300)
POSITIVE = st.floats(1e-300, 1e300)
QUANTA = st.sampled_from([0.1, 0.05, 0.25, 1e-4, 5e-5, 3.0, 1 / 3, 0.7, 1e-300, 1e200])


def pairs(values: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, Any]]:
    return st.tuples(values, values).filter(lambda pair: pair[0] != pair[1]).map(lambda pair: (min(pair), max(pair)))


def multiples(low: int, high: int) -> st.SearchStrategy[tuple[int, int]]:
    return pairs(st.integers(low, high))


def numbers() -> st.SearchStrategy[Domain]:
    """Number domains of every kind, from everyday to extreme."""
    kinds: list[st.SearchStrategy[Domain]] = [
        pairs(DECIMALS | ANY_FLOAT).map(lambda b: uniform(*b)),
        pairs(POSITIVE).map(lambda b: loguniform(*b)),
        st.tuples(multiples(-(10**6), 10**6), QUANTA).map(lambda a: quniform(a[0][0] * a[1], a[0][1] * a[1], a[1])),
        st.tuples(multiples(1, 10**6), QUANTA).map(lambda a: qloguniform(a[0][0] * a[1], a[0][1] * a[1], a[1])),
        st.tuples(DECIMALS, st.floats(1e-6, 1e6)).map(lambda a: randn(*a)),
        st.tuples(DECIMALS, st.floats(1e-3, 1e3), st.sampled_from([0.1, 0.5, 2.0])).map(lambda a: qrandn(*a)),
        multiples(-100, 100).map(lambda b: randint(*b)),
        multiples(1, 10**6).map(lambda b: lograndint(*b)),
        st.tuples(multiples(-50, 50), st.integers(1, 64)).map(lambda a: qrandint(a[0][0] * a[1], a[0][1] * a[1], a[1])),
        st.tuples(multiples(1, 50), st.integers(1, 64)).map(
            lambda a: qlograndint(a[0][0] * a[1], a[0][1] * a[1], a[1])
        ),
    ]
    return st.one_of(kinds)


ENTRIES = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([0.5, 1.0, "a", "b", (1, 2)])


def any_domain() -> st.SearchStrategy[Domain]:
    lists = st.lists(ENTRIES, min_size=1, max_size=6)
    return st.one_of(numbers(), numbers(), lists.map(Ordered), lists.map(choice))


def trees(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Nested dicts with at least one leaf in each."""
    names = st.sampled_from("abcdef")
    return st.recursive(
        st.dictionaries(names, leaves, min_size=1, max_size=2),
        lambda inner: st.dictionaries(names, leaves | inner, min_size=1, max_size=2),
        max_leaves=4,
    )


def random_domain(pick: random.Random) -> Domain:
    """Draw one domain cheaply, for the test that needs very many of them."""
    kind = pick.randrange(14)
    q = pick.choice([0.1, 0.05, 0.25, 1e-4, 3.0, 1 / 3])
    k = pick.choice([-1000, -10, -1, 0, 0, 1, 2, 50])
    steps = pick.choice([1, 2, 3, 9, 1000])
    low, width = pick.choice([-10.0, -1.0, 0.0, 0.0, 1e-4, 0.9]), pick.choice([1e-9, 0.1, 1.0, 1e6])
    positive, ratio, n = (
        pick.choice([1e-9, 1e-4, 1.0, 30.0]),
        pick.choice([1.001, 10.0, 1e6]),
        pick.choice([1, 2, 7, 16]),
    )
    makers: list[Callable[[], Domain]] = [
        lambda: uniform(low, low + width),
        lambda: uniform(-low - width, -low),
        lambda: loguniform(positive, positive * ratio),
        lambda: quniform(k * q, (k + steps) * q, q),
        lambda: qloguniform((abs(k) + 1) * q, (abs(k) + 1 + steps) * q, q),
        lambda: randn(low, width),
        lambda: qrandn(low, q * steps, q),
        lambda: randint(k, k + steps),
        lambda: lograndint(abs(k) + 1, abs(k) + 1 + steps),
        lambda: qrandint(k * n, (k + steps) * n, n),
        lambda: qlograndint((abs(k) + 1) * n, (abs(k) + 1 + steps) * n, n),
        lambda: Ordered(pick.choices([0, 1, 2, 2.0, True, "a", None, (1,)], k=pick.randint(1, 5))),
        lambda: Ordered(sorted(pick.choices(range(10), k=pick.randint(1, 5)))),
        lambda: choice(pick.choices([0, 1.5, True, "a", None], k=pick.randint(1, 4))),
    ]
    return makers[kind]()


def random_tree(pick: random.Random, depth: int = 0) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for name in pick.sample("abcd", pick.randint(1, 2)):
        tree[name] = random_tree(pick, depth + 1) if depth < 2 and pick.random() < 0.3 else random_domain(pick)
    return tree


# -------------------------------------------------------------------------------------------------------------- laws


@settings(max_examples=10_000, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**63))
def test_law_ten_thousand_spaces_stay_closed_under_perturbation(seed: int) -> None:
    """In 10,000 random spaces every perturbation stays in the domain and its type, and moves whatever can move."""
    pick, draw = random.Random(seed), rng(seed)
    space = Space(None, random_tree(pick))
    (config,) = space.founders(1, seed)
    factors = pick.choice([(1.2, 0.8), (1.5,), (0.9,), (1.001, 0.999), (3.0, 0.1, 1.1)])
    for step in range(2):
        new = {}
        for path, domain in space.mutable.items():
            before = (
                get(config, path) if step else pick.choice([get(config, path), 0, 1, 2, 0.0, pick.choice(ODD_VALUES)])
            )
            after = domain.perturb(before, draw, factors)
            assert_lawful(domain, after)
            if domain.moves and domain.contains(before):
                assert not same(after, before)
            assert 0.0 <= domain.encode(after) <= 1.0
            new[path] = after
        config = with_values(config, new)


@settings(max_examples=500, deadline=None, derandomize=True)
@given(
    domain=any_domain(), seed=st.integers(0, 2**32), factors=st.sampled_from(FACTORS), value=st.sampled_from(ODD_VALUES)
)
def test_law_any_domain_is_closed(domain: Domain, seed: int, factors: Any, value: Any) -> None:
    """Sampling, perturbing, clipping and decoding give values of the domain, from any value and with any factors."""
    draw = rng(seed)
    for start in (value, domain.sample(draw)):
        current = domain.clip(start)
        assert_lawful(domain, current)
        for _ in range(4):
            after = domain.perturb(current, draw, factors)
            assert_lawful(domain, after)
            assert not domain.moves or not same(after, current)
            current = after
        assert_lawful(domain, domain.perturb(start, draw, factors))
    assert_lawful(domain, domain.decode(draw.random()))


@settings(max_examples=500, deadline=None, derandomize=True)
@given(domain=any_domain(), u=st.floats(-0.5, 1.5), seed=st.integers(0, 2**32))
def test_law_encode_and_decode_are_inverse(domain: Domain, u: float, seed: int) -> None:
    """A value goes to [0, 1] and comes back as itself (floats to rounding); the ends are the first and last value."""
    for value in (domain.decode(u), domain.sample(rng(seed))):
        place = domain.encode(value)
        assert 0.0 <= place <= 1.0
        back = domain.decode(place)
        if isinstance(domain, Normal) and domain.q is None:
            assert back == pytest.approx(value, abs=1e-4 * domain.sd)  # probabilities near 1 are coarse
        elif isinstance(domain, Float) and domain.q is None:
            assert math.isclose(back, value, rel_tol=1e-9, abs_tol=1e-9 * (abs(domain.lower) + abs(domain.upper)))
        elif domain.type is not object:
            assert back == value
    assert domain.decode(-3) == domain.decode(0) or domain.type is object
    assert domain.decode(7) == domain.decode(1) or domain.type is object


@settings(max_examples=500, deadline=None, derandomize=True)
@given(domain=any_domain())
def test_law_plain_data_makes_the_same_domain(domain: Domain) -> None:
    """A domain survives JSON (tuples aside, which JSON does not have), equals its copy, and its repr makes it again."""
    data = domain.to_plain()
    assert domain_from_plain(data) == domain
    assert hash(domain_from_plain(data)) == hash(domain)
    assert eval(repr(domain), vars(ramet.space)) == domain
    if "(" not in json.dumps(data) and not any(
        isinstance(v, tuple) for v in data.get("values", data.get("categories", []))
    ):
        assert domain_from_plain(json.loads(json.dumps(data))) == domain


@settings(max_examples=300, deadline=None, derandomize=True)
@given(tree=trees(any_domain()), seed=st.integers(0, 2**32), num_samples=st.integers(1, 3))
def test_law_founders_lie_in_the_space(tree: dict[str, Any], seed: int, num_samples: int) -> None:
    """Founders have the shape of the space and values of its domains, from param_space and from mutations alike."""
    for space in (Space(tree), Space(None, tree), Space(tree, tree)):
        founders = space.founders(num_samples, seed)
        assert len(founders) == num_samples
        for founder in founders:
            assert flatten(founder).keys() == flatten(tree).keys()
            for name, domain in flatten(tree).items():
                assert_lawful(domain, get(founder, tuple(name.split("/"))))
    assert repr(Space(tree).founders(2, seed)) == repr(Space(None, tree).founders(2, seed))


@pytest.mark.parametrize("domain", DOMAINS, ids=repr)
def test_domain_is_closed_at_the_edges(domain: Domain) -> None:
    """Domains at the edges of floating point keep every law from every odd value, with every set of factors."""
    draw = rng()
    for start, factors in itertools.product(
        [*ODD_VALUES, domain.decode(0), domain.decode(1), domain.sample(draw)], FACTORS
    ):
        assert_lawful(domain, domain.clip(start))
        assert_lawful(domain, domain.perturb(start, draw, factors))
        current = domain.clip(start)
        after = domain.perturb(current, draw, factors)
        assert not domain.moves or not same(after, current)
        assert 0.0 <= domain.encode(start) <= 1.0
        assert isinstance(domain.contains(start), bool)
    for _ in range(50):
        assert_lawful(domain, domain.sample(draw))


# ------------------------------------------------------------------------------------------------------------ moving


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
        (loguniform(1e-4, 0.1), 0.1, 1.25, 0.08),
        (loguniform(1e-4, 0.1), 0.1, 0.5, 0.05),
        (quniform(0, 0.9, 0.1), 0.9, 1.2, 0.8),
        (quniform(0, 0.9, 0.1), 0.3, 1.2, 0.4),
        (quniform(0, 0.9, 0.1), 0.3, 0.8, 0.2),
        (quniform(0, 0.9, 0.1), 0.0, 0.8, 0.1),
        (quniform(0, 0.9, 0.1), 0.4, 2.0, 0.8),
        (qloguniform(1e-3, 1e-1, 5e-4), 0.01, 1.2, 0.012),
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
        (lograndint(1, 1000), 100, 1.2, 120),
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
    assert {loguniform(0.1, 10).perturb(1.0, draw) for _ in range(50)} == {1.2, 0.8}


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
    assert domain.moves == any(not same(v, values[0]) for v in values)


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


# ---------------------------------------------------------------------------------------------- functions as domains


def seeded(func: Callable[..., Any], generator: np.random.Generator, args: tuple[Any, ...]) -> Any:
    """Seed the global generators first: what the impure door of the library does."""
    random.seed(generator.bytes(16))
    np.random.seed(generator.integers(0, 2**32, size=4))
    return func(*args)


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


def test_sampled_is_called_through_the_space() -> None:
    """A function that draws from the global generators repeats with the run's seed when the space seeds them."""
    functions = {"a": random.random, "b": lambda: np.random.randint(100), "c": {"d": lambda: random.choice("xyz")}}
    space = Space({}, functions, call=seeded)
    assert space.founders(3, 7) == space.founders(3, 7) != space.founders(3, 8)
    domain = space.mutable["a",]
    assert domain.sample(rng(1)) == domain.sample(rng(1)) != domain.sample(rng(2))
    assert space.call is seeded


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


# ---------------------------------------------------------------------------------------------------------- sampling


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


@pytest.mark.parametrize("domain", [*DOMAINS, Sampled(lambda: float(np.random.random()), probe=0.5)], ids=repr)
def test_sample_by_hand_follows_the_global_seed(domain: Domain) -> None:
    """Without a generator numpy's global state decides, so np.random.seed repeats a draw."""
    np.random.seed(3)
    first = [domain.sample() for _ in range(3)]
    np.random.seed(3)
    assert repr([domain.sample() for _ in range(3)]) == repr(first)


# -------------------------------------------------------------------------------------------- contains, encode, plain


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
    for domain in DOMAINS:
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


# --------------------------------------------------------------------------------------------------------- bad input


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


def raises() -> Any:
    raise RuntimeError("no luck")


@pytest.mark.parametrize(
    ("param_space", "mutations", "words"),
    [
        (3, None, ["param_space=3", "int", "dict"]),
        ({1: 2}, None, ["param_space", "key 1", "int", "strings"]),
        ({"a": {"b": {1: 2}}}, None, ["'a/b'", "key 1"]),
        ({"a": [uniform(0, 1)]}, None, ["'a'", "list", "domain inside", "key of its own"]),
        ({"a": {"b": [(1, {"c": grid_search([1])})]}}, None, ["'a/b'", "domain inside"]),
        ({"a": MappingProxyType({"b": uniform(0, 1)})}, None, ["'a'", "mappingproxy", "domain inside"]),
        ({"a": {"grid_search": []}}, None, ["'a'", "grid_search", "empty"]),
        ({"a": {"grid_search": 3}}, None, ["'a'", "grid_search", "values=3"]),
        ({"a/b": 1, "a": {"b": 2}}, None, ["'a/b'", "rename"]),
        (None, 3, ["mutations=3", "int", "dict"]),
        (None, [uniform(0, 1)], ["mutations", "list", "dict"]),
        (None, {1: [1]}, ["mutations", "key 1"]),
        (None, {"a": {2: [1]}}, ["mutations 'a'", "key 2"]),
        (None, {"a": 0.1}, ["mutations 'a'", "0.1", "float", "uniform", "remove"]),
        (None, {"a": "adam"}, ["mutations 'a'", "str"]),
        (None, {"a": None}, ["mutations 'a'", "NoneType"]),
        (None, {"a": {1, 2}}, ["mutations 'a'", "set"]),
        (None, {"a": np.array([1, 2])}, ["mutations 'a'", "ndarray", "list"]),
        (None, {"a": {"b": {"c": 3}}}, ["mutations 'a/b/c'", "int"]),
        (None, {"a": []}, ["mutations 'a'", "empty"]),
        (None, {"a": {"b": ()}}, ["mutations 'a/b'", "empty"]),
        (None, {"a": [1, uniform(0, 1)]}, ["mutations 'a'", "holds a domain"]),
        (None, {"a": {}}, ["mutations 'a'", "empty dict", "remove"]),
        (None, {"a": {"b": {}}}, ["mutations 'a/b'", "empty dict"]),
        (None, {"a": grid_search([1])}, ["mutations 'a'", "grid_search", "param_space", "list"]),
        (None, {"a": {"b": {"grid_search": [1]}}}, ["mutations 'a/b'", "grid_search", "param_space"]),
        (None, {"a": {"b": sample_from(lambda spec: 1)}}, ["mutations 'a/b'", "sample_from", "param_space"]),
        (None, {"a": lambda x: x}, ["mutations 'a'", "needs arguments"]),
        (None, {"a": {"b": raises}}, ["mutations 'a/b'", "RuntimeError", "no luck"]),
        (None, {"a": lambda: NAN}, ["mutations 'a'", "nan", "finite"]),
        ({"a": 1}, {"a": {"b": [1]}}, ["mutations 'a/b'", "'a'", "no dict", "same shape"]),
        ({"a": {"b": uniform(0, 1)}}, {"a": {"b": {"c": [1]}}}, ["mutations 'a/b/c'", "'a/b'", "uniform"]),
        ({"a": {"b": 1}}, {"a": uniform(0, 1)}, ["mutations 'a'", "param_space", "dict"]),
        ({"a/b": 1}, {"a": {"b": [1]}}, ["'a/b'", "rename"]),
    ],
)
def test_bad_spaces_are_refused_at_construction(param_space: Any, mutations: Any, words: list[str]) -> None:
    """What could not work in a space is refused when it is made, at any depth, naming the path and the way out."""
    with pytest.raises(SpaceError) as caught:
        Space(param_space, mutations)
    assert [word for word in words if word not in str(caught.value)] == []


# ---------------------------------------------------------------------------------------------------------- founders


def test_founders_of_the_unmodified_tutorial() -> None:
    """The space of Ray's "Visualizing PBT" gives its two founders, and mutates within its bounds."""
    space = Space(
        {
            "lr": qloguniform(1e-3, 1e-1, 5e-4),
            "h0": grid_search([0.0, 1.0]),
            "h1": sample_from(lambda spec: 1.0 - spec.config["h0"]),
            "num_training_iterations": 100,
        },
        {"lr": qloguniform(1e-4, 1e-1, 5e-5), "h0": uniform(0.0, 1.0), "h1": uniform(0.0, 1.0)},
    )
    founders = space.founders(1, seed=0)
    assert [(f["h0"], f["h1"], f["num_training_iterations"]) for f in founders] == [(0.0, 1.0, 100), (1.0, 0.0, 100)]
    assert list(founders[0]) == ["lr", "h0", "h1", "num_training_iterations"]
    assert founders[0]["lr"] != founders[1]["lr"]
    assert list(space.mutable) == [("lr",), ("h0",), ("h1",)]
    draw = rng()
    for founder in founders:
        for path, domain in space.mutable.items():
            value = get(founder, path)
            for _ in range(50):
                new = domain.perturb(value, draw)
                assert new != value
                assert_lawful(domain, new)
                value = new
    plain = json.loads(json.dumps(space.mutable_to_plain()))
    assert {name: domain_from_plain(data) for name, data in plain.items()} == {
        "/".join(path): domain for path, domain in space.mutable.items()
    }


def test_founders_are_the_product_of_the_grids_times_the_samples() -> None:
    """All combinations come once a repetition, the grids' paths sorted and the first varying fastest, as in Ray."""
    space = Space({"b": grid_search(["x", "y"]), "a": {"z": {"grid_search": [1, 2, 3]}}, "c": uniform(0, 1)})
    founders = space.founders(2, seed=0)
    once = [(1, "x"), (2, "x"), (3, "x"), (1, "y"), (2, "y"), (3, "y")]
    assert [(f["a"]["z"], f["b"]) for f in founders] == once * 2
    assert len({f["c"] for f in founders}) == 12


def test_founders_of_nothing_are_empty() -> None:
    """A space without keys still has its members."""
    assert Space(None).founders(3, 0) == [{}, {}, {}]
    assert Space({"a": {}}).founders(1, 0) == [{"a": {}}]


def test_founders_depend_on_the_seed_alone() -> None:
    """The same seed gives the same founders, another seed others, whatever numpy's global state is."""
    space = Space({"a": uniform(0, 1), "b": {"c": randint(0, 10**6)}}, {"d": choice(range(1000))})
    first = space.founders(4, seed=1)
    np.random.seed(0)
    assert space.founders(4, seed=1) == first
    assert space.founders(2, seed=np.int64(1)) == first[:2]  # type: ignore[arg-type]
    assert all(a != b for a, b in zip(first, space.founders(4, seed=2), strict=True))


def test_founders_draw_each_key_by_itself() -> None:
    """Adding, removing or moving keys changes no other key's draw; equal keys at other paths draw differently."""
    leaves = {"a": uniform(0, 1), "b": sample_from(lambda spec: random.random()), "c": lambda: random.random()}
    base = Space({"a": leaves["a"], "b": leaves["b"]}, call=seeded).founders(3, 5)
    larger = Space(
        {"z": {"a": leaves["a"]}, "b": leaves["b"], "0": randn(), "a": leaves["a"]}, {"c": leaves["c"]}, call=seeded
    ).founders(3, 5)
    for small, large in zip(base, larger, strict=True):
        assert {"a": large["a"], "b": large["b"]} == small
        assert large["z"]["a"] != large["a"]
    assert len({f["b"] for f in larger} | {f["c"] for f in larger}) == 6


def test_founders_share_constants_and_own_their_dicts() -> None:
    """Constants are handed on as they are (functions, lists and objects too); no dict is shared with the caller."""
    thing, data = object(), [1, 2]
    given = {"fn": raises, "thing": thing, "deep": {"data": data, "none": {}}, "cls": int, "view": MappingProxyType({})}
    first, second = Space(given).founders(2, 0)
    assert first == given
    assert first["thing"] is thing
    assert first["deep"]["data"] is data
    assert first["fn"] is raises
    first["deep"]["more"] = first["deep"]["none"]["more"] = 1
    assert second == {**given, "deep": {"data": data, "none": {}}}
    assert "more" not in Space(given).founders(1, 0)[0]["deep"]


def test_founders_draw_mutable_keys_that_the_space_lacks() -> None:
    """Keys that only mutations has start with a draw from there, in dicts that are partly given too."""
    space = Space({"opt": {"lr": 0.1, "kind": "sgd"}, "x": {}}, {"opt": {"momentum": uniform(0, 1), "lr": [0.1, 0.2]},
                  "x": {"y": {"z": randint(5, 6)}}, "new": [3], "f": lambda: 7})  # fmt: skip
    (founder,) = space.founders(1, 0)
    momentum = founder["opt"]["momentum"]
    expected = {"opt": {"lr": 0.1, "kind": "sgd", "momentum": momentum}, "x": {"y": {"z": 5}}, "new": 3, "f": 7}
    assert founder == expected
    assert list(founder["opt"]) == ["lr", "kind", "momentum"]
    assert 0 <= momentum < 1
    assert set(space.mutable) == {("opt", "momentum"), ("opt", "lr"), ("x", "y", "z"), ("new",), ("f",)}


def test_space_does_not_change_what_it_was_given() -> None:
    """Both arguments are left as they were."""
    param_space, mutations = {"a": {"b": 1}}, {"a": {"c": [1, 2]}}
    Space(param_space, mutations).founders(2, 0)
    assert (param_space, mutations) == ({"a": {"b": 1}}, {"a": {"c": [1, 2]}})


@pytest.mark.parametrize(
    "read",
    [
        lambda spec: spec.config["x"],
        lambda spec: spec.config.x,
        lambda spec: spec["x"],
        lambda spec: spec.get("x"),
        lambda spec: spec.config.get("x"),
        lambda spec: spec["config"]["x"],
        lambda spec: spec.x,
        lambda spec: spec.config.deep.down.x,
        lambda spec: spec["deep"]["down"]["x"],
        lambda spec: spec.config["deep"].get("down").x,
        lambda spec: dict(spec.config)["x"],
        lambda spec: spec.config.other,
        lambda spec: spec.config.mutable - 2,
        lambda spec: getattr(spec.config, "nothing", 5),
        lambda spec: spec.get("nothing", 5),
        lambda spec: 5 if "x" in spec and "nothing" not in spec.config and not hasattr(spec, "nothing") else 0,
        lambda spec: len(spec.config),
        lambda spec: 5 - hasattr(spec, "__array__"),
        lambda spec: sorted(spec)[0] == "deep" and {**spec.config}["other"],
        lambda: 5,
    ],
)
def test_sample_from_reads_other_values(read: Callable[..., Any]) -> None:
    """A function reads the other values by key and by attribute, at any depth, before and after its own place."""
    tree = {
        "mine": sample_from(read),
        "x": grid_search([5]),
        "deep": {"down": {"x": randint(5, 6)}},
        "other": sample_from(lambda spec: spec.config["late"] + 1),
        "late": sample_from(lambda spec: 4),
    }
    (founder,) = Space(tree, {"mutable": [7]}).founders(1, 0)
    assert founder == {"mine": 5, "x": 5, "deep": {"down": {"x": 5}}, "other": 5, "late": 4, "mutable": 7}


def test_sample_from_does_not_depend_on_the_order_of_keys() -> None:
    """In every order of the keys, functions that wait for each other and draw globally give the same values."""
    tree = {
        "a": uniform(0, 1),
        "b": sample_from(lambda spec: random.random() + spec.config["d"] + random.random()),
        "c": sample_from(lambda spec: (spec.config.b, spec.config.d, np.random.rand())),
        "d": sample_from(lambda spec: random.random() + spec["a"]),
    }
    results = {
        repr(sorted(Space({name: tree[name] for name in order}, call=seeded).founders(1, 3)[0].items()))
        for order in itertools.permutations(tree)
    }
    assert len(results) == 1


def test_sample_from_survives_a_function_that_catches_everything() -> None:
    """A user's ``except Exception`` does not stop a value from being computed first."""

    def careful(spec: Any) -> Any:
        try:
            return spec.config["b"]
        except Exception:
            return "lost"

    (founder,) = Space({"a": sample_from(careful), "b": sample_from(lambda spec: 1)}).founders(1, 0)
    assert founder == {"a": 1, "b": 1}


@pytest.mark.parametrize(
    ("returned", "value"),
    [
        (lambda spec: np.float64(0.5), 0.5),
        (lambda spec: np.int32(3), 3),
        (lambda spec: np.bool_(True), True),
        (lambda spec: [np.int64(1), (np.float32(0.5),)], [1, (0.5,)]),
        (lambda spec: spec.config["sub"], {"y": {"z": 2}}),
        (lambda spec: {"copy": spec.config.sub.y}, {"copy": {"z": 2}}),
        (lambda spec: randint(spec.config.sub.y.z, 3), 2),
        (lambda spec: raises, raises),
    ],
)
def test_sample_from_returns_plain_values(returned: Callable[..., Any], value: Any) -> None:
    """Numpy scalars become Python's, views become dicts, and a domain that depends on other values is drawn from."""
    (founder,) = Space({"x": sample_from(returned), "sub": {"y": {"z": sample_from(lambda spec: 2)}}}).founders(1, 0)
    assert founder["x"] == value
    assert type(founder["x"]) is type(value)
    json.dumps(founder, default=lambda thing: thing.__name__)


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        ({"a": sample_from(lambda s: s.config["a"])}, ["'a' -> 'a'", "domain"]),
        ({"a": sample_from(lambda s: s.b), "b": sample_from(lambda s: s.a)}, ["'a' -> 'b' -> 'a'"]),
        (
            {
                "z": sample_from(lambda s: s.o.a),
                "o": {"a": sample_from(lambda s: s.b)},
                "b": sample_from(lambda s: s.o.a),
            },
            ["'o/a' -> 'b' -> 'o/a'"],
        ),
        ({"a": sample_from(lambda s: s.config["nope"]), "b": 1}, ["'a'", "reads 'nope'", "not there", "'a', 'b'"]),
        ({"o": {"a": sample_from(lambda s: s.config.o.nope)}}, ["'o/a'", "reads 'o/nope'"]),
        ({"a": sample_from(lambda s: 1 / 0)}, ["'a'", "ZeroDivisionError", "division"]),
        ({"a": sample_from(lambda s: [uniform(0, 1)])}, ["'a'", "domain inside"]),
        ({"a": sample_from(lambda s: grid_search([1]))}, ["'a'", "returned grid_search([1])"]),
    ],
)
def test_sample_from_errors_name_the_path(tree: Mapping[str, Any], words: list[str]) -> None:
    """A cycle, an unknown key and a function that raises are the caller's fault, and named by their path."""
    with pytest.raises(SpaceError) as caught:
        Space(tree).founders(1, 0)
    assert [word for word in words if word not in str(caught.value)] == []


@pytest.mark.parametrize(("num_samples", "seed"), [(0, 0), (1.5, 0), (True, 0), ("3", 0), (1, -1), (1, None), (1, 0.5)])
def test_founders_refuse_counts_that_are_none(num_samples: Any, seed: Any) -> None:
    """Repetitions and seed must be integers in their range."""
    with pytest.raises(SpaceError, match=r"num_samples=.*at least 1|seed=.*at least 0"):
        Space({}).founders(num_samples, seed)


# ---------------------------------------------------------------------------------------------------- configurations


def test_get_reads_nested_values() -> None:
    """A path is followed through dicts; where it ends early the default is given, or the fault named."""
    config = {"a": {"b": None}, "c": 1}
    assert get(config, ("a", "b")) is None
    assert get(config, ("a", "x"), 3) == 3
    assert get(config, ("c", "x"), None) is None
    assert get(config, ()) is config
    with pytest.raises(SpaceError, match=r"'a/x'.*'a/b', 'c'"):
        get(config, ("a", "x"))


def test_with_values_copies_only_the_way() -> None:
    """Only the dicts on a path are copied, each once; everything else is the same object, and nothing is changed."""
    config = {"a": {"b": {"x": 1, "y": 2}, "keep": {}}, "keep": [1]}
    new = with_values(config, {("a", "b", "x"): 3, ("a", "b", "z"): 4, ("n", "m"): 5})
    assert new == {"a": {"b": {"x": 3, "y": 2, "z": 4}, "keep": {}}, "keep": [1], "n": {"m": 5}}
    assert config == {"a": {"b": {"x": 1, "y": 2}, "keep": {}}, "keep": [1]}
    assert new["keep"] is config["keep"]
    assert new["a"]["keep"] is config["a"]["keep"]  # type: ignore[index]
    assert with_values(config, {}) == config
    with pytest.raises(SpaceError, match=r"'keep/x' leads through 'keep'.*\[1\]"):
        with_values(config, {("keep", "x"): 1})


def test_flatten_names_every_value() -> None:
    """Nested keys are joined with a slash, in order."""
    assert list(flatten({"b": 1, "a": {"c": {"d": 2}}, "e": {}}).items()) == [("b", 1), ("a/c/d", 2), ("e", {})]


# ------------------------------------------------------------------------------------------------------- the modules


@pytest.mark.parametrize("module", [ramet.domains, ramet.space], ids=lambda module: module.__name__)
def test_examples_in_docstrings_run(module: Any) -> None:
    """Every example in the docstrings gives what it says, and the public functions have one."""
    results = doctest.testmod(module)
    assert results.failed == 0
    assert results.attempted > 5


def test_public_names_are_all_there() -> None:
    """What ``ramet.space`` says it offers, it has; constructors stand there with Ray's names."""
    assert [name for name in ramet.space.__all__ if not hasattr(ramet.space, name)] == []
    assert isinstance(choice([1]), Categorical)
    assert (
        repr(Space({"a": uniform(0, 1)}, {"a": [1]})) == "Space({'a': uniform(0.0, 1.0)}, mutable={'a': Ordered([1])})"
    )
