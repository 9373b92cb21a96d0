"""Spaces: where every hyperparameter may start, and within what it may be changed.

``Space(param_space, mutations)`` is checked whole when it is made, before any work starts. It gives the founders'
configurations (``Space.founders``) and the domains that strategies explore in (``Space.mutable``).
"""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ramet import draws
from ramet.domains import Call, Domain, GridSearch, Ordered, Sampled, SampleFrom, call_plainly, holds_domain
from ramet.errors import SpaceError
from ramet.nested import Path, leaves, shown
from ramet.space.founders import Founder


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

    >>> from ramet.space import grid_search, loguniform
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
        for path, _ in leaves(self._tree):
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

        >>> from ramet.space import grid_search, sample_from
        >>> space = Space({"x": grid_search([1, 2]), "y": sample_from(lambda spec: 10 * spec.config["x"])})
        >>> space.founders(num_samples=1, seed=0)
        [{'x': 1, 'y': 10}, {'x': 2, 'y': 20}]
        """
        num_samples, seed = _count("num_samples", num_samples, 1), _count("seed", seed, 0)
        grids = self._grids()
        # itertools.product turns the last wheel fastest, so the wheels go in and come out reversed.
        paths = [path for path, _ in reversed(grids)]
        product = itertools.product(*(values for _, values in reversed(grids)))
        chosen = [dict(zip(paths, values, strict=True)) for values in product] * num_samples
        return [Founder(self._tree, self.call, seed, index, grid).config() for index, grid in enumerate(chosen)]

    def members(self, num_samples: int) -> int:
        """Return how many founders there are; nothing is drawn.

        >>> from ramet.space import grid_search
        >>> Space({"x": grid_search([1, 2]), "y": grid_search([1, 2, 3])}).members(num_samples=4)
        24
        """
        return num_samples * math.prod(len(values) for _, values in self._grids())

    def _grids(self) -> list[tuple[Path, tuple[Any, ...]]]:
        return sorted((path, leaf.values) for path, leaf in leaves(self._tree) if isinstance(leaf, GridSearch))

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
    where = f"{whose} {shown(above)}" if above else whose
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
        raise SpaceError(f"{whose} {shown(path)}: {error}") from error


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
                f"param_space {shown(path)} is a {type(value).__name__} with a domain inside, which would reach the "
                "training function undrawn; give the domain a key of its own"
            )
        checked[path[-1]] = leaf
    return checked


def _mutations(tree: Any, above: Path, call: Call) -> Iterator[tuple[Path, Domain]]:
    for path, value in _items("mutations", tree, above):
        where = f"mutations {shown(path)}"
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
        raise SpaceError(f"mutations {shown(path)}: {said}") from error


def _graft(tree: dict[str, Any], path: Path, domain: Domain) -> None:
    """Put a mutable key that ``param_space`` lacks into its tree, so that founders draw it like any other."""
    here = tree
    for depth, key in enumerate(path[:-1], start=1):
        here = here.setdefault(key, {})
        if not isinstance(here, dict):
            raise SpaceError(
                f"mutations {shown(path)} leads through {shown(path[:depth])}, which is no dict in param_space but "
                f"{here!r}; give both the same shape"
            )
    if isinstance(here.setdefault(path[-1], domain), dict):
        raise SpaceError(
            f"mutations {shown(path)} is {domain!r}, but param_space has a dict there; give both the same shape"
        )
