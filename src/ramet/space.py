# ruff: noqa: D413 - no blank line closes a docstring
"""Spaces: where every hyperparameter may start, and within what it may be changed.

``Space(param_space, mutations)`` is checked whole when it is made, before any work starts. It gives the founders'
configurations (``Space.founders``) and the domains that strategies explore in (``Space.mutable``). The constructors of
domains have Ray Tune's names and order of arguments, so that its users know them already.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from ramet import draws
from ramet.domains import (
    FACTORS,
    Call,
    Categorical,
    Domain,
    Factors,
    Float,
    GridSearch,
    Integer,
    Normal,
    Ordered,
    Sampled,
    SampleFrom,
    call_plainly,
    check_base,
    given_quantum,
    holds_domain,
    plain,
)
from ramet.errors import SpaceError

__all__ = [
    "FACTORS",
    "Call",
    "Categorical",
    "Domain",
    "Factors",
    "Float",
    "GridSearch",
    "Integer",
    "Normal",
    "Ordered",
    "Path",
    "SampleFrom",
    "Sampled",
    "Space",
    "call_plainly",
    "choice",
    "domain_from_plain",
    "flatten",
    "get",
    "grid_search",
    "lograndint",
    "loguniform",
    "plain",
    "qlograndint",
    "qloguniform",
    "qrandint",
    "qrandn",
    "quniform",
    "randint",
    "randn",
    "sample_from",
    "uniform",
    "with_values",
]

Path = tuple[str, ...]
"""Where a value stands in nested dicts: ``("optimizer", "lr")``."""

_REQUIRED: Any = object()


# ---------------------------------------------------------------------------------------------------- configurations


def get(config: Mapping[str, Any], path: Path, default: Any = _REQUIRED) -> Any:
    """Return the value that stands at ``path`` in nested dicts; ``default``, if given, where there is none.

    Raises:
        SpaceError: there is none and no ``default``: the caller's fault.

    >>> get({"optimizer": {"lr": 0.1}}, ("optimizer", "lr"))
    0.1
    """
    here: Any = config
    for key in path:
        if not isinstance(here, Mapping) or key not in here:
            if default is not _REQUIRED:
                return default
            raise SpaceError(f"the configuration has no {_shown(path)}; its keys are {_keys(config)}")
        here = here[key]
    return here


def with_values(config: Mapping[str, Any], values: Mapping[Path, Any]) -> dict[str, Any]:
    """Return ``config`` with ``values`` put at their paths. Only the dicts on the way are copied; the rest is shared.

    Args:
        config: nested dicts, which stay as they are.
        values: what to put where; dicts that are missing on the way are made.

    Raises:
        SpaceError: a path leads through something that is no dict: the caller's fault.

    >>> with_values({"a": 1, "b": {"c": 2}}, {("b", "d"): 3})
    {'a': 1, 'b': {'c': 2, 'd': 3}}
    """
    whole = dict(config)
    copied: dict[Path, dict[str, Any]] = {(): whole}
    for path, value in values.items():
        for depth in range(1, len(path)):
            here = path[:depth]
            if here in copied:
                continue
            above = copied[here[:-1]]
            inner = above.get(here[-1], {})
            if not isinstance(inner, Mapping):
                raise SpaceError(f"{_shown(path)} leads through {_shown(here)}, which is no dict but {inner!r}")
            copied[here] = above[here[-1]] = dict(inner)
        copied[path[:-1]][path[-1]] = value
    return whole


def flatten(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested dicts as one dict whose names join the keys with "/", for display; an empty dict stays one.

    >>> flatten({"lr": 0.1, "model": {"width": 64, "extra": {}}})
    {'lr': 0.1, 'model/width': 64, 'model/extra': {}}
    """
    return {"/".join(map(str, path)): value for path, value in _leaves(config)}


def _leaves(tree: Mapping[str, Any], above: Path = ()) -> Iterator[tuple[Path, Any]]:
    for key, value in tree.items():
        path = (*above, key)
        if isinstance(value, dict) and value:
            yield from _leaves(value, path)
        else:
            yield path, value


def _shown(path: Path) -> str:
    return repr("/".join(path))


def _keys(tree: Mapping[str, Any]) -> str:
    return ", ".join(map(repr, flatten(tree))) or "none"


# ------------------------------------------------------------------------------------------------------------- space


class Space:
    """Where hyperparameters start (``param_space``) and within what they may be changed (``mutations``).

    Args:
        param_space: initial values, in dicts nested as deep as you like: domains are drawn from, ``grid_search`` gives
            each value members of its own, ``sample_from`` computes from the other values, anything else (lists and
            functions too) is a constant that all members share.
        mutations: what strategies may change, nested in the same way: a domain, a list or tuple (values in an order,
            of which neighbours are tried), or a function without arguments (its range stays unknown). A key that
            ``param_space`` lacks starts with a draw from here.
        call: how the user's functions are called, ``call(func, rng, args)``: seed the global generators from ``rng``
            in it, leave them as they were found, and let all exceptions pass.

    Attributes:
        mutable: path -> domain of all that strategies may change, in the order of ``mutations``.
        call: as given.

    Raises:
        SpaceError: something in it could not work, named by its path: the caller's fault.

    >>> space = Space({"lr": loguniform(1e-4, 1e-2), "seed": grid_search([1, 2])}, {"lr": loguniform(1e-5, 1e-1)})
    >>> [founder["seed"] for founder in space.founders(num_samples=2, seed=0)]
    [1, 2, 1, 2]
    >>> space.mutable
    {('lr',): loguniform(1e-05, 0.1)}
    """

    def __init__(
        self,
        param_space: Mapping[str, Any] | None,
        mutations: Mapping[str, Any] | None = None,
        *,
        call: Call = call_plainly,
    ) -> None:
        self.call = call
        self._tree = _initial({} if param_space is None else param_space, ())
        self.mutable: dict[Path, Domain] = dict(_mutations({} if mutations is None else mutations, (), call))
        for path, domain in self.mutable.items():
            _graft(self._tree, path, domain)
        seen: set[str] = set()
        for path, _ in _leaves(self._tree):
            if (name := "/".join(path)) in seen:
                raise SpaceError(f"two keys are both shown as {name!r}; rename one of them so that it holds no '/'")
            seen.add(name)

    def founders(self, num_samples: int, seed: int) -> list[dict[str, Any]]:
        """Return the initial configurations: ``num_samples`` times the product of all ``grid_search`` values.

        The order is Ray Tune's: repetition by repetition, and in each the paths of the grids sorted and the *first*
        one varying fastest. Every draw has its own generator, named by the founder's index and the key's path: neither
        the order of the keys nor what other keys there are changes what a key draws.

        Args:
            num_samples: repetitions, at least 1.
            seed: the run's seed, an integer from 0.

        Raises:
            SpaceError: an argument is out of range; or a ``sample_from`` raised, reads a key that is not there, or
                depends on itself: the caller's fault.

        >>> space = Space({"x": grid_search([1, 2]), "y": sample_from(lambda spec: 10 * spec.config["x"])})
        >>> space.founders(num_samples=1, seed=0)
        [{'x': 1, 'y': 10}, {'x': 2, 'y': 20}]
        """
        num_samples, seed = _count("num_samples", num_samples, 1), _count("seed", seed, 0)
        grids = sorted((path, leaf.values) for path, leaf in _leaves(self._tree) if isinstance(leaf, GridSearch))
        # itertools.product turns the last wheel fastest, so the wheels go in and come out reversed.
        paths = [path for path, _ in reversed(grids)]
        product = itertools.product(*(values for _, values in reversed(grids)))
        chosen = [dict(zip(paths, values, strict=True)) for values in product] * num_samples
        return [_Founder(self._tree, self.call, seed, index, grid).config() for index, grid in enumerate(chosen)]

    def mutable_to_plain(self) -> dict[str, dict[str, Any]]:
        """Return the mutable domains as plain data by displayed name, for records.

        >>> Space(None, {"a": {"b": [1, 2]}}).mutable_to_plain()
        {'a/b': {'domain': 'Ordered', 'values': [1, 2]}}
        """
        return {"/".join(path): domain.to_plain() for path, domain in self.mutable.items()}

    def __repr__(self) -> str:
        mutable = {"/".join(path): domain for path, domain in self.mutable.items()}
        return f"Space({self._tree!r}, mutable={mutable!r})"


def _count(name: str, value: Any, least: int) -> int:
    try:
        count = operator.index(value)
    except TypeError:
        count = least - 1
    if isinstance(value, bool) or count < least:
        raise SpaceError(f"{name}={value!r} cannot be used; give an integer of at least {least}")
    return count


def _items(whose: str, tree: Any, above: Path) -> Iterator[tuple[Path, Any]]:
    where = f"{whose} {_shown(above)}" if above else whose
    if not isinstance(tree, Mapping):
        raise SpaceError(f"{where}={tree!r} is of type {type(tree).__name__}; give a dict of names to values")
    for key, value in tree.items():
        if not isinstance(key, str):
            raise SpaceError(f"{where} has the key {key!r} of type {type(key).__name__}; give strings as keys")
        yield (*above, key), value


def _at(whose: str, path: Path, make: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return make(*arguments)
    except SpaceError as error:
        raise SpaceError(f"{whose} {_shown(path)}: {error}") from error


def _is_grid(value: Any) -> bool:
    """Tell whether ``value`` is how Ray Tune itself writes a grid_search."""
    return isinstance(value, Mapping) and set(value) == {"grid_search"}


def _initial(tree: Any, above: Path) -> dict[str, Any]:
    """Return a checked copy of ``param_space``: nested dicts whose leaves are domains and the like, or constants."""
    checked: dict[str, Any] = {}
    for path, value in _items("param_space", tree, above):
        leaf = value
        if _is_grid(value):
            leaf = _at("param_space", path, GridSearch, value["grid_search"])
        elif isinstance(value, dict):
            leaf = _initial(value, path)
        elif isinstance(value, (list, tuple, Mapping)) and holds_domain(value):
            raise SpaceError(
                f"param_space {_shown(path)} is a {type(value).__name__} with a domain inside, which would reach the "
                "training function undrawn; give the domain a key of its own"
            )
        checked[path[-1]] = leaf
    return checked


def _mutations(tree: Any, above: Path, call: Call) -> Iterator[tuple[Path, Domain]]:
    for path, value in _items("mutations", tree, above):
        where = f"mutations {_shown(path)}"
        if isinstance(value, GridSearch) or _is_grid(value):
            raise SpaceError(
                f"{where} is a grid_search, which gives initial values only; move it to param_space, and give a list "
                "of values or a domain here"
            )
        if isinstance(value, SampleFrom):
            raise SpaceError(
                f"{where} is a sample_from, which gives initial values only; move it to param_space, and give a "
                "domain or a function without arguments here"
            )
        if isinstance(value, Domain) and not isinstance(value, Sampled):
            yield path, value
        elif isinstance(value, Sampled) or callable(value):
            yield path, _sampled(value, path, call)
        elif isinstance(value, (list, tuple)):
            yield path, _at("mutations", path, Ordered, value)
        elif isinstance(value, Mapping):
            if not value:
                raise SpaceError(f"{where} is an empty dict; remove it, or give it keys to mutate")
            yield from _mutations(value, path, call)
        else:
            raise SpaceError(
                f"{where}={value!r} is of type {type(value).__name__}, which cannot be mutated; give a domain such as "
                "uniform(0, 1), a list of values, a function without arguments or a dict of these, or remove it to "
                "keep its value"
            )


def _sampled(value: Any, path: Path, call: Call) -> Sampled:
    """Return the domain of a user's function, with the probe draw that tells its kind."""
    sampled: Sampled = value if isinstance(value, Sampled) else _at("mutations", path, Sampled, value, call)
    try:
        # The probe is no part of a run: its name holds no seed of one, so a space has the same kinds in every run.
        return sampled.probed(draws.generator(0, "probe", *path))
    except Exception as error:
        said = str(error) if isinstance(error, SpaceError) else f"its function raised {type(error).__name__}: {error}"
        raise SpaceError(f"mutations {_shown(path)}: {said}") from error


def _graft(tree: dict[str, Any], path: Path, domain: Domain) -> None:
    """Put a mutable key that ``param_space`` lacks into its tree, so that founders draw it like any other."""
    here = tree
    for depth, key in enumerate(path[:-1], start=1):
        here = here.setdefault(key, {})
        if not isinstance(here, dict):
            raise SpaceError(
                f"mutations {_shown(path)} leads through {_shown(path[:depth])}, which is no dict in param_space but "
                f"{here!r}; give both the same shape"
            )
    if isinstance(here.setdefault(path[-1], domain), dict):
        raise SpaceError(
            f"mutations {_shown(path)} is {domain!r}, but param_space has a dict there; give both the same shape"
        )


# -------------------------------------------------------------------------------------------------------- one founder


class _NeededFirst(BaseException):
    """A sample_from read a value that is not computed yet. No ``Exception``: a user's ``except`` must not stop it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.path = path


class _NoSuchKeyError(KeyError, AttributeError):
    """What both ``spec.config["x"]`` and ``spec.config.x`` raise, so that ``get`` and ``hasattr`` work as usual."""


class _Founder:
    """The values of one founder: constants, grid values and draws first, then what is computed from them."""

    def __init__(self, tree: dict[str, Any], call: Call, seed: int, index: int, grid: dict[Path, Any]) -> None:
        self.tree, self.call, self.seed, self.index = tree, call, seed, index
        self.values: dict[Path, Any] = dict(grid)
        self.functions: dict[Path, SampleFrom] = {}
        for path, leaf in _leaves(tree):
            if isinstance(leaf, SampleFrom):
                self.functions[path] = leaf
            elif isinstance(leaf, Domain):
                self.values[path] = leaf.sample(self.generator(path))
            elif not isinstance(leaf, GridSearch):
                self.values[path] = leaf

    def generator(self, path: Path) -> np.random.Generator:
        return draws.generator(self.seed, "founder", self.index, *path)

    def config(self) -> dict[str, Any]:
        for path in self.functions:
            self.compute(path, ())
        return self.built(self.tree, ())

    def built(self, tree: dict[str, Any], above: Path) -> dict[str, Any]:
        return {
            key: self.built(leaf, (*above, key)) if isinstance(leaf, dict) else self.values[(*above, key)]
            for key, leaf in tree.items()
        }

    def compute(self, path: Path, waiting: tuple[Path, ...]) -> None:
        """Call the function at ``path``, from the start again after each value that turns out to be needed first.

        Starting again (rather than computing the other value from inside the running function) keeps a function's
        draws from the global generators apart from any other's, so that the order of keys changes nothing.
        """
        if path in waiting:
            chain = " -> ".join(map(_shown, (*waiting[waiting.index(path) :], path)))
            raise SpaceError(f"param_space: sample_from functions wait for each other, {chain}; make one a domain")
        function, failed = self.functions[path], f"param_space {_shown(path)}: its sample_from function"
        while path not in self.values:
            rng = self.generator(path)
            try:
                spec = (_Spec(self, path, (), self.tree),) if function.takes_spec else ()
                value = _settled(self.call(function.func, rng, spec))
            except _NeededFirst as needed:
                self.compute(needed.path, (*waiting, path))
                continue
            except _NoSuchKeyError as error:
                raise SpaceError(f"{failed} {error.args[0]}") from error
            except Exception as error:
                raise SpaceError(f"{failed} raised {type(error).__name__}: {error}") from error
            if isinstance(value, Domain):  # its bounds may depend on other values
                value = value.sample(rng)
            elif holds_domain(value):
                raise SpaceError(f"{failed} returned {value!r}, with a domain inside; return a value, or one domain")
            self.values[path] = value


class _View(Mapping[str, Any]):
    """What the sample_from at ``reader`` sees of a dict: read by key or by attribute; dicts in it are views too."""

    __slots__ = ("_above", "_founder", "_reader", "_tree")

    def __init__(self, founder: _Founder, reader: Path, above: Path, tree: dict[str, Any]) -> None:
        self._founder, self._reader, self._above, self._tree = founder, reader, above, tree

    def __getitem__(self, key: str) -> Any:
        path = (*self._above, key)
        if key not in self._tree:
            raise _NoSuchKeyError(f"reads {_shown(path)}, which is not there; the keys are {_keys(self._founder.tree)}")
        if isinstance(self._tree[key], dict):
            return _View(self._founder, self._reader, path, self._tree[key])
        if path not in self._founder.values:
            raise _NeededFirst(path)
        return self._founder.values[path]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # Python's own questions are not about keys
            raise AttributeError(name)
        return self[name]

    def __contains__(self, key: object) -> bool:
        return key in self._tree  # asking whether a key is there needs no value

    def __iter__(self) -> Iterator[str]:
        # Without the reader's own key, which has no value yet: dict(spec.config) must not wait for itself.
        return (key for key in self._tree if (*self._above, key) != self._reader)

    def __len__(self) -> int:
        return sum(1 for _ in self)


class _Spec(_View):
    """The whole: ``spec.config``, and ``spec["config"]`` if no key has that name, are views of it as well."""

    __slots__ = ()

    @property
    def config(self) -> _View:
        return _View(self._founder, self._reader, (), self._tree)

    def __getitem__(self, key: str) -> Any:
        return self.config if key == "config" and key not in self._tree else super().__getitem__(key)


def _settled(value: Any) -> Any:
    """Return what a function returned, with views made dicts and numpy scalars made Python's."""
    if isinstance(value, _View) or type(value) is dict:
        return {key: _settled(inner) for key, inner in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(_settled, value))
    return plain(value)


# ----------------------------------------------------------------------------------------------------- constructors


def uniform(lower: float, upper: float) -> Float:
    """Return the floats from ``lower`` to ``upper``; both belong to them, ``upper`` itself is never drawn.

    Raises:
        SpaceError: a bound is not a finite number, or ``upper`` is not above ``lower``: the caller's fault, as for all
            constructors here.

    >>> uniform(0, 1).perturb(0.5, np.random.default_rng(0))
    0.4
    """
    return Float(lower, upper)


def quniform(lower: float, upper: float, q: float) -> Float:
    """Return the multiples of ``q`` from ``lower`` to ``upper``, both included, all drawn equally often.

    Args:
        lower: the lowest value, a multiple of ``q``.
        upper: the highest value, a multiple of ``q``.
        q: the distance between neighbours, above 0.

    >>> quniform(0, 0.9, 0.1).clip(0.32)
    0.3
    """
    return Float(lower, upper, given_quantum("quniform", q))


def loguniform(lower: float, upper: float, base: float = 10) -> Float:
    """Return the floats from ``lower`` (above 0) to ``upper``, each order of magnitude drawn equally often.

    ``base`` (above 1) is taken for the sake of existing scripts and changes nothing: logarithms differ by a factor.

    >>> loguniform(1e-4, 1e-2).perturb(0.005, np.random.default_rng(0))
    0.004
    """
    check_base("loguniform", base)
    return Float(lower, upper, None, log=True)


def qloguniform(lower: float, upper: float, q: float, base: float = 10) -> Float:
    """Return the multiples of ``q`` from ``lower`` (above 0) to ``upper``, both included, drawn as by ``loguniform``.

    >>> qloguniform(1e-3, 1e-1, 5e-4).clip(0.0123)
    0.0125
    """
    check_base("qloguniform", base)
    return Float(lower, upper, given_quantum("qloguniform", q), log=True)


def randn(mean: float = 0.0, sd: float = 1.0) -> Normal:
    """Return all floats, drawn from the normal distribution with this ``mean`` and this ``sd`` (above 0).

    >>> randn(10, 2).encode(10)
    0.5
    """
    return Normal(mean, sd)


def qrandn(mean: float, sd: float, q: float) -> Normal:
    """Return the multiples of ``q`` (above 0), drawn as by ``randn`` and rounded.

    >>> qrandn(0, 1, 0.25).clip(0.3)
    0.25
    """
    return Normal(mean, sd, given_quantum("qrandn", q))


def randint(lower: int, upper: int) -> Integer:
    """Return the integers from ``lower`` to below ``upper``.

    >>> randint(0, 10).contains(9), randint(0, 10).contains(10)
    (True, False)
    """
    return Integer(lower, upper)


def qrandint(lower: int, upper: int, q: int = 1) -> Integer:
    """Return the multiples of ``q`` from ``lower`` to ``upper`` included; with ``q=1`` the same as ``randint``.

    That ``upper`` is excluded for ``q=1`` only is odd, and kept because existing scripts rely on it.

    >>> qrandint(32, 64, 32).perturb(64, np.random.default_rng(0))
    32
    """
    return Integer(lower, upper, q)


def lograndint(lower: int, upper: int, base: float = 10) -> Integer:
    """Return the integers from ``lower`` (above 0) to below ``upper``, drawn evenly in their logarithm.

    >>> lograndint(1, 1001).decode(0.5)
    32
    """
    check_base("lograndint", base)
    return Integer(lower, upper, log=True)


def qlograndint(lower: int, upper: int, q: int, base: float = 10) -> Integer:
    """Return the multiples of ``q`` from ``lower`` (above 0) to ``upper``, drawn evenly in their logarithm.

    ``upper`` is included, except for ``q=1``, which is the same as ``lograndint``.

    >>> qlograndint(8, 1024, 8).clip(99)
    96
    """
    check_base("qlograndint", base)
    return Integer(lower, upper, q, log=True)


def choice(categories: Iterable[Any]) -> Categorical:
    """Return values without an order, all drawn equally often. For values with one give ``mutations`` a plain list.

    Raises:
        SpaceError: ``categories`` is empty, a string, a set (it has no order, so no seed can repeat a draw), or holds a
            domain: the caller's fault.

    >>> choice(["adam", "sgd"]).perturb("adam", np.random.default_rng(0))
    'adam'
    """
    return Categorical(categories)  # type: ignore[arg-type]


def grid_search(values: Iterable[Any]) -> GridSearch:
    """Let each of ``values`` start members of its own, in every combination with other grids.

    Raises:
        SpaceError: as for ``choice``.

    >>> grid_search([0.0, 1.0])
    grid_search([0.0, 1.0])
    """
    return GridSearch(values)  # type: ignore[arg-type]


def sample_from(func: Callable[..., Any]) -> SampleFrom:
    """Let ``func(spec)`` give the initial value from the other initial values; ``func()`` may do without them.

    ``spec.config["x"]``, ``spec.config.x``, ``spec["x"]`` and ``spec.get("x")`` all read the value of key x.

    Raises:
        SpaceError: ``func`` cannot be called with one argument, nor with none: the caller's fault.

    >>> sample_from(lambda spec: 1 - spec.config["h0"]).takes_spec
    True
    """
    return SampleFrom(func)


_CONSTRUCTORS: dict[str, Callable[..., Domain]] = {
    made.__name__: made
    for made in (uniform, quniform, loguniform, qloguniform, randn, qrandn, randint, qrandint, lograndint, qlograndint)
} | {"choice": choice, "Ordered": Ordered}


def domain_from_plain(data: Mapping[str, Any]) -> Domain:
    """Return the domain that ``Domain.to_plain`` gave as ``data``.

    Raises:
        SpaceError: ``data`` is no such mapping, or stands for a function, which plain data cannot hold.

    >>> domain_from_plain(choice([1, "a"]).to_plain()) == choice([1, "a"])
    True
    """
    if not isinstance(data, Mapping) or not isinstance(data.get("domain"), str):
        raise SpaceError(f"{data!r} is no plain form of a domain; give what Domain.to_plain() returned")
    arguments = dict(data)
    name = arguments.pop("domain")
    if name == "Sampled":
        raise SpaceError(f"plain data cannot hold the function {arguments.get('func')!r}; make its Space again")
    if name not in _CONSTRUCTORS:
        raise SpaceError(f"{name!r} is no domain; known are {', '.join(_CONSTRUCTORS)}")
    try:
        return _CONSTRUCTORS[name](**arguments)
    except TypeError as error:
        raise SpaceError(f"{data!r} is no plain form of a domain: {error}") from error
