"""Spaces: founders, mutable domains, nested configurations, and what is refused before any work starts."""

from __future__ import annotations

import doctest
import importlib
import itertools
import json
import math
import pkgutil
import random
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

import ramet.domains
import ramet.space
from ramet.errors import SpaceError
from ramet.space import (
    Categorical,
    Space,
    choice,
    domain_from_plain,
    flatten,
    get,
    grid_search,
    qloguniform,
    randint,
    randn,
    sample_from,
    uniform,
    with_values,
)

NAN = math.nan


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def seeded(func: Callable[..., Any], generator: np.random.Generator, args: tuple[Any, ...]) -> Any:
    """Seed the global generators first: what the impure door of the library does."""
    random.seed(generator.bytes(16))
    np.random.seed(generator.integers(0, 2**32, size=4))
    return func(*args)


def test_sampled_is_called_through_the_space() -> None:
    """A function that draws from the global generators repeats with the run's seed when the space seeds them."""
    functions = {"a": random.random, "b": lambda: np.random.randint(100), "c": {"d": lambda: random.choice("xyz")}}
    space = Space({}, functions, call=seeded)
    assert space.founders(3, 7) == space.founders(3, 7) != space.founders(3, 8)
    domain = space.mutable["a",]
    assert domain.sample(rng(1)) == domain.sample(rng(1)) != domain.sample(rng(2))
    assert space.call is seeded


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
                assert domain.contains(new)
                assert type(new) is domain.type
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


def test_examples_in_docstrings_run() -> None:
    """Every example in the docstrings gives what it says, and every module that users meet has some."""
    attempted = {}
    for package in (ramet.domains, ramet.space):
        for found in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            results = doctest.testmod(importlib.import_module(found.name))
            assert results.failed == 0
            attempted[found.name] = results.attempted
    assert sum(attempted.values()) > 30
    assert {name for name, number in attempted.items() if number == 0} == {
        "ramet.domains.checks",
        "ramet.domains.initial",
        "ramet.domains.numbers",
        "ramet.space.founders",
    }


def test_public_names_are_all_there() -> None:
    """What ``ramet.space`` says it offers, it has; constructors stand there with Ray's names."""
    assert [name for name in ramet.space.__all__ if not hasattr(ramet.space, name)] == []
    assert isinstance(choice([1]), Categorical)
    assert (
        repr(Space({"a": uniform(0, 1)}, {"a": [1]})) == "Space({'a': uniform(0.0, 1.0)}, mutable={'a': Ordered([1])})"
    )
