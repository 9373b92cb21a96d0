"""Values as JSON takes them: no NaN, no objects, nothing without end, whatever a run's folder holds."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ramet.view.values import clip, shown

LONGEST_NAME = 300
LONGEST_TEXT = 500
MOST_NAMES = 300
MOST_ITEMS = 50
EXACT = 2**53
"""Larger integers lose digits in a browser, so they travel as text."""


def plain(value: Any, deep: int = 3) -> Any:
    """Return ``value`` as JSON and a browser take it: what is no number that can be compared is None.

    >>> plain(float("nan")), plain((1, True, "a")), plain(2**60)
    (None, [1, True, 'a'], '1152921504606846976')
    """
    if value is None or type(value) is bool:
        return value
    if isinstance(value, int):
        return int(value) if abs(value) <= EXACT else shown(value, 80) if abs(value) > 10**40 else str(int(value))
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, str):
        return text(value)
    if hasattr(value, "item") and getattr(value, "ndim", 1) == 0:  # one of numpy's
        return plain(value.item(), deep)
    if deep and isinstance(value, (list, tuple)):
        return [plain(each, deep - 1) for each in value[:MOST_ITEMS]]
    if deep and isinstance(value, Mapping):
        return named(value, deep - 1)
    return shown(value, 80)


def named(values: Mapping[Any, Any], deep: int = 2) -> dict[str, Any]:
    """Return a mapping as JSON takes it; of names that are too long, or too many, the beginning is told."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        if len(found) >= MOST_NAMES:
            break
        short = name_of(name)
        while short in found:
            short += "~"
        found[short] = plain(value, deep)
    return found


def name_of(name: Any) -> str:
    """Return a name of the user's that is short enough to be a name."""
    return clip(encodable(str(name)), LONGEST_NAME)


def text(value: Any, limit: int = LONGEST_TEXT) -> str:
    """Return a text of the user's, no longer than ``limit``."""
    return clip(encodable(str(value)), limit)


def encodable(value: str) -> str:
    """Return a text without halves of characters, which UTF-8 has no bytes for."""
    return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")


def numbers(values: Iterable[Any]) -> list[float | None]:
    """Return numbers with None for what cannot be compared."""
    return [float(each) if math.isfinite(each) else None for each in values]


def encoded(answer: Mapping[str, Any] | Sequence[Any]) -> bytes:
    """Return an answer as JSON, in UTF-8."""
    return json.dumps(answer, separators=(",", ":"), allow_nan=False, ensure_ascii=False).encode("utf-8", "replace")
