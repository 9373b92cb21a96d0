"""Values as JSON has words for them: for machines that read what the command line prints and what is exported."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping
from typing import Any


def plain(value: Any) -> Any:
    """Return ``value`` as JSON takes it: NaN as null, infinities as texts, what is no plain data as it looks.

    >>> plain({"loss": float("nan"), "best": float("-inf"), "layers": (64, 64), "on": None})
    {'loss': None, 'best': '-Infinity', 'layers': [64, 64], 'on': None}
    """
    kind = type(value)
    if value is None or kind in (str, bool, int):
        return value
    if kind is float:
        return value if math.isfinite(value) else _unusual(value)
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each) for each in value]
    if hasattr(value, "dtype") and hasattr(value, "tolist"):  # numpy's, be it one number or many
        inner = value.tolist()
        return plain(inner) if type(inner) is not kind else repr(value)
    if kind.__module__.startswith("pandas") and kind.__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, (str, int, float)):  # of a kind derived from these
        return plain(next(base(value) for base in (str, int, float) if isinstance(value, base)))
    return repr(value)


def as_json(value: Any, indent: int | None = None) -> str:
    """Return ``value`` as one JSON document, in ASCII, without NaN.

    >>> as_json({"lr": 0.1, "value": float("nan")})
    '{"lr": 0.1, "value": null}'
    """
    return json.dumps(plain(value), indent=indent, allow_nan=False)


def as_lines(names: Iterable[str], rows: Iterable[Iterable[Any]]) -> Iterable[str]:
    """Yield the lines of a JSON document that is a list of ``rows``, each an object on a line of its own."""
    heads = [f"{json.dumps(name)}: " for name in names]
    before = "[\n"
    for row in rows:
        cells = (head + _cell(value) for head, value in zip(heads, row, strict=True))
        yield f"{before}{{{', '.join(cells)}}}"
        before = ",\n"
    yield "[]\n" if before == "[\n" else "\n]\n"


def _cell(value: Any) -> str:
    kind = type(value)
    if kind is int or (kind is float and math.isfinite(value)):  # nearly all of them
        return repr(value)
    return json.dumps(plain(value), allow_nan=False)


def _unusual(value: float) -> str | None:
    return None if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
