"""Consecutive rows as bytes, and back: numbers as they lie in memory, everything else as JSON.

A block of rows with the same columns is one line of JSON, ``{"columns": […], "kinds": "ddqj", "rows": n}``, a newline,
and then the values. Columns of kind ``d`` (a float), ``q`` (an integer of 64 bits) and ``?`` (a truth value) come
first, row by row, little-endian and without gaps; those of kind ``j`` (a text, nothing, a list, a larger integer, or
values of several kinds) follow as one JSON list for each row, in one list. A row without columns is a zero byte.
Seconds are floats.

Rows that earlier versions wrote are text: JSON, columns and lists of values. They are read all the same.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

_JSON = json.JSONEncoder(separators=(",", ":"))
_KINDS = {float: "d", int: "q", bool: "?"}
_WIDTHS = {"d": 8, "q": 8, "?": 1}
_LARGEST = 2**63 - 1


def kinds_of(types: Sequence[type]) -> str:
    """Return the kind of each column whose values have these types."""
    return "".join(_KINDS.get(kind, "j") for kind in types)


def encoded(columns: Sequence[str], kinds: str, values: list[Any], count: int) -> bytes:
    """Return ``count`` rows as bytes.

    Args:
        columns: their names.
        kinds: a letter for each, which all its values fit (an integer beyond 64 bits makes its column one of JSON).
        values: row after row, as many to each as there are columns.
        count: how many rows.

    >>> decoded(encoded(["loss", "note"], "dj", [0.5, "a", 0.25, None], 2))
    (['loss', 'note'], [[0.5, 'a'], [0.25, None]])
    """
    width = len(columns)
    if not width:
        body = bytes(count)  # so that no number of rows is believed that has no room
    elif kinds == "d" * width:
        body = _floats(values)
    else:
        rows = [values[at : at + width] for at in range(0, len(values), width)]
        try:
            body = _mixed(kinds, rows)
        except struct.error:
            narrow = [all(abs(row[at]) <= _LARGEST for row in rows) for at in range(width) if kinds[at] == "q"]
            fits = iter(narrow)
            kinds = "".join("j" if kind == "q" and not next(fits) else kind for kind in kinds)
            body = _mixed(kinds, rows)
    return _head(tuple(columns), kinds) + b"%d}\n" % count + body


@lru_cache(maxsize=256)
def _head(columns: tuple[str, ...], kinds: str) -> bytes:
    told = _JSON.encode({"columns": columns, "kinds": kinds})
    return f'{told[:-1]},"rows":'.encode()


def _floats(values: Sequence[float]) -> bytes:
    return struct.pack(f"<{len(values)}d", *values)


def _mixed(kinds: str, rows: list[list[Any]]) -> bytes:
    packed = [at for at, kind in enumerate(kinds) if kind != "j"]
    pack = struct.Struct("<" + "".join(kinds[at] for at in packed)).pack
    body = b"".join([pack(*[row[at] for at in packed]) for row in rows])
    if "j" not in kinds:
        return body
    told = [at for at, kind in enumerate(kinds) if kind == "j"]
    return body + _JSON.encode([[row[at] for at in told] for row in rows]).encode()


def decoded(rows: bytes | str) -> tuple[list[str], list[list[Any]]]:
    """Return the columns of a block and its rows, the values of each in their order.

    Raises:
        ValueError: it is none.
    """
    if isinstance(rows, str):
        return _told(json.loads(rows))
    line, _, body = rows.partition(b"\n")
    columns, kinds, count = _header(line)
    if not columns and len(body) == count:
        return columns, [[] for _ in range(count)]
    packed = [at for at, kind in enumerate(kinds) if kind != "j"]
    form = struct.Struct("<" + "".join(kinds[at] for at in packed))
    end = form.size * count
    if not columns or len(body) < end or ("j" not in kinds and len(body) != end):
        raise ValueError(f"a block of {count} rows is cut off")
    if "j" not in kinds:
        return columns, [list(row) for row in form.iter_unpack(body)]
    told = _texts(body[end:], count, kinds.count("j"))
    numbers = form.iter_unpack(body[:end]) if packed else ((),) * count
    return columns, [_merged(kinds, *each) for each in zip(numbers, told, strict=True)]


def last_row(rows: bytes | str, count: int) -> dict[str, Any]:
    """Return the last row of a block by name, without decoding the others where that can be.

    Raises:
        ValueError: it is no block of ``count`` rows.
    """
    if isinstance(rows, bytes):
        line, _, body = rows.partition(b"\n")
        columns, kinds, told = _header(line)
        width = sum(_WIDTHS.get(kind, 0) for kind in kinds)
        if "j" not in kinds and columns:
            if told != count or len(body) != width * count:
                raise ValueError(f"a block of {count} rows tells of {told}, or is cut off")
            return dict(zip(columns, struct.unpack_from(f"<{kinds}", body, width * (count - 1)), strict=True))
    names, values = decoded(rows)
    if len(values) != count:
        raise ValueError(f"a block of {count} rows tells of {len(values)}")
    return dict(zip(names, values[-1], strict=True))


def as_dicts(rows: bytes | str) -> Iterator[dict[str, Any]]:
    """Yield the rows of a block by name."""
    columns, values = decoded(rows)
    return (dict(zip(columns, row, strict=True)) for row in values)


def encoded_seconds(seconds: Sequence[float]) -> bytes:
    """Return times as bytes."""
    return _floats(seconds)


def decoded_seconds(seconds: bytes | str) -> list[float]:
    """Return the times of a block's rows.

    Raises:
        ValueError: they are none.
    """
    if isinstance(seconds, str):
        told: list[float] = json.loads(seconds)
        return told
    if len(seconds) % 8:
        raise ValueError("the times of a block are cut off")
    return list(struct.unpack(f"<{len(seconds) // 8}d", seconds))


@lru_cache(maxsize=256)
def _parsed(columns_and_kinds: bytes) -> tuple[list[str], str]:
    told = json.loads(columns_and_kinds)
    columns, kinds = (told.get("columns"), told.get("kinds")) if isinstance(told, dict) else (None, None)
    if not (isinstance(columns, list) and all(type(name) is str for name in columns) and type(kinds) is str):
        raise ValueError("a block of rows has no columns")
    if len(kinds) != len(columns) or not set(kinds) <= {"d", "q", "?", "j"} or len(set(columns)) < len(columns):
        raise ValueError(f"a block of rows has the columns {columns!r:.80} of the kinds {kinds!r:.80}")
    return columns, kinds


def _header(line: bytes) -> tuple[list[str], str, int]:
    """Read a block's first line. All but the number of rows is the same for thousands of them, and read once."""
    told, _, count = line.rpartition(b',"rows":')
    if not (told and count[:-1].isdigit() and count[-1:] == b"}" and len(count) <= 20):
        raise ValueError("a block of rows has no beginning")
    return *_parsed(told + b"}"), int(count[:-1])


def _texts(body: bytes, count: int, width: int) -> list[list[Any]]:
    told = json.loads(body)
    if not isinstance(told, list) or len(told) != count or not all(type(row) is list for row in told):
        raise ValueError(f"a block of {count} rows is cut off")
    if any(len(row) != width for row in told):
        raise ValueError(f"a block of {count} rows lacks a value")
    return told


def _merged(kinds: str, packed: Sequence[Any], told: Sequence[Any]) -> list[Any]:
    numbers, others = iter(packed), iter(told)
    return [next(others if kind == "j" else numbers) for kind in kinds]


def _told(rows_as_json: Any) -> tuple[list[str], list[list[Any]]]:
    """Take rows as earlier versions wrote them."""
    told = rows_as_json if isinstance(rows_as_json, dict) else {}
    columns, rows = told.get("columns"), told.get("rows")
    if not (isinstance(columns, list) and isinstance(rows, list) and all(type(name) is str for name in columns)):
        raise ValueError("a block of rows has no columns")
    if not all(type(row) is list and len(row) == len(columns) for row in rows):
        raise ValueError("a block of rows lacks a value")
    return columns, rows
