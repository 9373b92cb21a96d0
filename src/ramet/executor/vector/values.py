"""Hyperparameters as a program sees them: arrays where members differ, plain values where all agree."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ramet.errors import TrainableError
from ramet.nested import flatten

_KINDS: dict[type, tuple[str, int]] = {bool: ("bool", 0), int: ("int32", 1), float: ("float32", 2)}


class Values:
    """Which hyperparameters of a population are arrays, and of which type; the rest is the same for all.

    Args:
        configs: configurations of members.
        mutable: names of hyperparameters that will change; those are arrays even where all begin alike.
        exactly: let nothing else be an array; else floats always are.

    Raises:
        TrainableError: values differ that no array can hold.

    >>> values = Values([{"lr": 0.1, "width": 8}, {"lr": 0.2, "width": 8}])
    >>> values.dtypes, values.whole({"lr": "an array"})
    ({'lr': 'float32'}, {'lr': 'an array', 'width': 8})
    """

    def __init__(
        self, configs: Sequence[Mapping[str, Any]], mutable: Collection[str] = (), *, exactly: bool = False
    ) -> None:
        flat = [flatten(config) for config in configs]
        self._config = configs[0]
        self.dtypes: dict[str, str] = {}
        for name, first in flat[0].items():
            values = [config.get(name) for config in flat]
            differ = any(not _same(value, first) for value in values)
            if not differ and name not in mutable and (exactly or type(first) is not float):
                continue
            kinds = {_KINDS.get(type(_plain(value))) for value in values}
            if None in kinds:
                wrong = next(value for value in values if type(_plain(value)) not in _KINDS)
                raise TrainableError(
                    f"the hyperparameter {name!r} is {wrong!r:.80} for some member, and members differ in it: in one "
                    "program for the whole population only numbers and truth values can. Number the choices "
                    "(ramet.choice([0, 1, 2]) and jax.lax.switch, or torch.where), let all members have the same, or "
                    "train with RunConfig(executor='process')"
                )
            self.dtypes[name] = max((kind for kind in kinds if kind is not None), key=lambda kind: kind[1])[0]

    def arrays(self, configs: Sequence[Mapping[str, Any]]) -> dict[str, npt.NDArray[Any]]:
        """Return the arrays, one entry for each of ``configs``."""
        flat = [flatten(config) for config in configs]
        return {name: np.array([config[name] for config in flat], dtype) for name, dtype in self.dtypes.items()}

    def differing(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return what in ``config`` is no array and not as all members had it."""
        first = flatten(self._config)
        others = {name: value for name, value in flatten(config).items() if name not in self.dtypes}
        return {name: value for name, value in others.items() if not _same(value, first.get(name))}

    def only(self, names: Collection[str]) -> Values:
        """Return the same values, of which ``names`` alone are arrays."""
        return Values([self._config], names, exactly=True)

    def whole(self, arrays: Mapping[str, Any]) -> dict[str, Any]:
        """Return a configuration in its own shape, with ``arrays`` where they belong."""
        return _replaced(self._config, arrays, "")


def _replaced(config: Mapping[str, Any], arrays: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    return {
        key: _replaced(value, arrays, f"{prefix}{key}/")
        if isinstance(value, Mapping)
        else arrays.get(f"{prefix}{key}", value)
        for key, value in config.items()
    }


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _same(value: Any, other: Any) -> bool:
    if value is other:
        return True
    try:
        return type(value) is type(other) and bool(value == other)
    except (TypeError, ValueError):  # arrays, say
        return False
