"""Configurations: nested dicts, whose values are found by the path of keys that leads to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ramet.errors import SpaceError

Path = tuple[str, ...]
"""Where a value stands in nested dicts: ``("optimizer", "lr")``."""

_REQUIRED: Any = object()


def get(config: Mapping[str, Any], path: Path, default: Any = _REQUIRED) -> Any:
    """Return the value that stands at ``path`` in nested dicts; ``default``, if given, where there is none.

    Raises:
        SpaceError: there is none and no ``default``: the caller's fault.

    >>> get({"optimizer": {"lr": 0.1}}, ("optimizer", "lr"))
    0.1
    """
    here: Any = config
    for key in path:
        if (type(here) is not dict and not isinstance(here, Mapping)) or key not in here:  # the first is much cheaper
            if default is not _REQUIRED:
                return default
            raise SpaceError(f"the configuration has no {shown(path)}; its keys are {keys(config)}")
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
                raise SpaceError(f"{shown(path)} leads through {shown(here)}, which is no dict but {inner!r}")
            copied[here] = above[here[-1]] = dict(inner)
        copied[path[:-1]][path[-1]] = value
    return whole


def copied(config: Any) -> Any:
    """Return nested dicts and lists as new ones, with the same values: for somebody who may change them.

    >>> given = {"layers": [64, 64]}
    >>> copied(given)["layers"].append(32)
    >>> given
    {'layers': [64, 64]}
    """
    if isinstance(config, Mapping):
        return {key: copied(value) for key, value in config.items()}
    return [copied(value) for value in config] if type(config) is list else config


def flatten(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested dicts as one dict whose names join the keys with "/", for display; an empty dict stays one.

    >>> flatten({"lr": 0.1, "model": {"width": 64, "extra": {}}})
    {'lr': 0.1, 'model/width': 64, 'model/extra': {}}
    """
    return {"/".join(map(str, path)): value for path, value in leaves(config)}


def leaves(tree: Mapping[str, Any], above: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield every value that is no dict, or an empty one, with its path."""
    for key, value in tree.items():
        path = (*above, key)
        if isinstance(value, dict) and value:
            yield from leaves(value, path)
        else:
            yield path, value


def shown(path: Path) -> str:
    """Return a path as messages show it."""
    return repr("/".join(path))


def keys(tree: Mapping[str, Any]) -> str:
    """Return all keys of nested dicts as messages show them."""
    return ", ".join(map(repr, flatten(tree))) or "none"
