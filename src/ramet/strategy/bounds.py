"""Bounds, as Ray Tune's PB2 takes them, as domains."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ramet.domains.constructors import uniform
from ramet.errors import ConfigError, SpaceError
from ramet.space import Path


def domains_of(who: str, bounds: Any, above: Path, whole: set[Path]) -> dict[str, Any]:
    """Return ``bounds`` as domains, and add their paths to ``whole``: Ray Tune keeps integers that are bounded so.

    Args:
        who: the strategy that they were given to, for messages.
        bounds: key -> [lowest, highest], or a dict of these.
        above: the path that leads to them.
        whole: a set that grows.

    Raises:
        ConfigError: something in it is no pair of different numbers: the caller's fault.
    """
    if not isinstance(bounds, Mapping):
        raise ConfigError(
            f"{who}(hyperparam_bounds={bounds!r}) must be a dict from key to [lowest, highest], or to a dict of these"
        )
    domains: dict[str, Any] = {}
    for key, value in bounds.items():
        path = (*above, key)
        if isinstance(value, Mapping):
            domains[key] = domains_of(who, value, path, whole)
            continue
        if not isinstance(value, (list, tuple)) or len(value) != 2:
            raise ConfigError(
                f"{who}: hyperparam_bounds {'/'.join(map(str, path))!r} is {value!r}: give [lowest, highest]; domains "
                "and lists of choices go into hyperparam_mutations"
            )
        low, high = value
        try:
            domains[key] = uniform(*sorted((low, high)))  # Ray Tune's own example has them the wrong way round
        except (SpaceError, TypeError) as error:
            raise ConfigError(f"{who}: hyperparam_bounds {'/'.join(map(str, path))!r}: {error}") from error
        whole.add(path)
    return domains


def merged(who: str, one: Mapping[str, Any], other: Mapping[str, Any], above: Path = ()) -> dict[str, Any]:
    """Return two trees of domains as one.

    Raises:
        ConfigError: a key is in both: the caller's fault.
    """
    both = {**one, **other}
    for key in one.keys() & other.keys():
        if not isinstance(one[key], Mapping) or not isinstance(other[key], Mapping):
            raise ConfigError(
                f"{who}: {'/'.join((*above, key))!r} is in both hyperparam_bounds and hyperparam_mutations; give one"
            )
        both[key] = merged(who, one[key], other[key], (*above, key))
    return both
