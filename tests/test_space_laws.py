"""The laws of domains: whatever goes in, what comes out lies in the domain, has its type, and can move on."""

from __future__ import annotations

import itertools
import json
import math
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ramet.domains
import ramet.space
from ramet.space import (
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
    lograndint,
    loguniform,
    qlograndint,
    qloguniform,
    qrandint,
    qrandn,
    quniform,
    randint,
    randn,
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


@settings(max_examples=10_000, deadline=None, derandomize=True, database=None)
@given(seed=st.integers(0, 2**64 - 1))
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


@pytest.mark.parametrize("domain", [*DOMAINS, Sampled(lambda: float(np.random.random()), probe=0.5)], ids=repr)
def test_sample_by_hand_follows_the_global_seed(domain: Domain) -> None:
    """Without a generator numpy's global state decides, so np.random.seed repeats a draw."""
    np.random.seed(3)
    first = [domain.sample() for _ in range(3)]
    np.random.seed(3)
    assert repr([domain.sample() for _ in range(3)]) == repr(first)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    bounds=pairs(st.floats(1e-300, 1e300)),
    u=st.floats(0, 1),
    factor=st.sampled_from([1.2, 0.8, 1.01, 0.5, 3.0]),
)
def test_law_log_domains_move_on_the_log_axis(bounds: tuple[float, float], u: float, factor: float) -> None:
    """In any log domain the place is multiplied as a value of uniform(0, 1) is, however many decades there are."""
    domain = loguniform(*bounds)
    value = domain.decode(u)
    place = domain.encode(value)
    # On a narrow axis floats are no continuum, and within dust of a bound the step to the bound is one.
    if bounds[1] > 2 * bounds[0] and 1e-6 < place < 1 - 1e-6:
        expected = uniform(0, 1).perturb(place, rng(), (factor,))
        assert domain.encode(domain.perturb(value, rng(), (factor,))) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("domain", [domain for domain in DOMAINS if getattr(domain, "log", False)], ids=repr)
def test_law_bounds_of_log_domains_are_met_exactly_and_left_inwards(domain: Domain) -> None:
    """The ends of a log axis are the bounds to the last digit, and a step that a bound stops goes inwards in full."""
    low, high = domain._low, domain._high  # type: ignore[attr-defined]
    assert (domain.decode(0), domain.decode(1)) == (low, high)
    whole = getattr(domain, "q", None) is None and high > 2 * low  # a grid, or a narrow axis, has no value so near
    for bound, factor in itertools.product((low, high), (1.2, 0.8)):
        moved = domain.perturb(bound, rng(), (factor,))
        assert low <= moved <= high
        assert moved != bound
        if whole:
            assert abs(domain.encode(moved) - domain.encode(bound)) == pytest.approx(
                0.02 if bound == low else 0.2, rel=0.05
            )
