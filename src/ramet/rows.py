"""One report as a flat dict of plain values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ramet.errors import ReportError

SCALARS = frozenset({float, int, bool, str, type(None)})


def plain(metrics: Any) -> dict[str, Any]:
    """Return the metrics as a flat dict of plain values, their own types kept.

    Raises:
        ReportError: it is no dict, or a value is nothing that can be written down.
    """
    if type(metrics) is dict:
        for value in metrics.values():
            if type(value) not in SCALARS:
                break
        else:
            if all(type(key) is str for key in metrics):
                return dict(metrics)
    if not isinstance(metrics, Mapping):
        raise ReportError(
            f"report({metrics!r}) is a {type(metrics).__name__}, not a dict: report metrics by name, such as "
            "report({'loss': 0.3})"
        )
    row: dict[str, Any] = {}
    _flatten(row, "", metrics)
    return row


def _flatten(row: dict[str, Any], prefix: str, metrics: Mapping[Any, Any]) -> None:
    for key, value in metrics.items():
        if not isinstance(key, str):
            raise ReportError(f"report({{{key!r}: …}}): a metric's name is a str, not {type(key).__name__}")
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            _flatten(row, f"{name}/", value)
        else:
            row[name] = _scalar(name, value)


def _scalar(name: str, value: Any) -> Any:
    if type(value) in SCALARS:
        return value
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, (int, np.integer)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return float(value)
    if isinstance(value, str):
        return str(value)
    shape = getattr(value, "shape", None)
    if shape is not None and hasattr(value, "item") and math.prod(shape) == 1:  # numpy, torch, jax
        return _scalar(name, value.item())
    if shape is not None and hasattr(value, "tolist"):
        return [_scalar(name, each) for each in value.tolist()]
    if isinstance(value, (list, tuple)):
        return [_scalar(name, each) for each in value]
    raise ReportError(
        f"report({{{name!r}: {value!r}}}) is a {type(value).__name__}, which is no metric: report numbers, strings, "
        "booleans, or lists of them"
    )
