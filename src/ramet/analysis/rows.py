"""Reported rows as columns, a million in a second or two: blocks that look alike are decoded together."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ramet.core.blocks import decoded, decoded_seconds
from ramet.store.bulk import BulkReader, Stretch

_WIDTHS = {"d": "<f8", "q": "<i8", "?": "?"}


class Rows:
    """Rows of many stretches: ``where`` has a row for each stretch (its segment, first, last, at), the columns of
    metrics follow, and ``elapsed``, the model's training time in seconds after each row.
    """

    def __init__(self, segment: Any, iteration: Any, at: Any, elapsed: Any, metrics: dict[str, Any]) -> None:
        self.segment, self.iteration, self.at, self.elapsed = segment, iteration, at, elapsed
        self.metrics = metrics

    def __len__(self) -> int:
        return len(self.segment)


def rows_of(bulk: BulkReader, stretches: Iterable[Stretch]) -> Rows:
    """Return the rows of ``stretches``, in their order.

    A metric that some rows lack is NaN there if it is a number elsewhere, None otherwise.

    Raises:
        RunError: they are damaged.
    """
    found = list(stretches)
    try:
        return _rows(found)
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise bulk.damaged(f"its reports are none ({error!r:.80})") from error


def _rows(found: list[Stretch]) -> Rows:
    firsts, segments = np.array([e.first for e in found], "i8"), np.array([e.segment for e in found], "i8")
    counts = np.array([each.last - each.first + 1 for each in found], "i8")
    if (counts < 1).any() or counts.max(initial=0) > max((len(each.rows) for each in found), default=0):
        raise ValueError("it tells of rows that it has not")
    total = int(counts.sum())
    begins = np.cumsum(counts) - counts
    iteration = np.arange(total) - np.repeat(begins, counts) + np.repeat(firsts, counts)
    alike: dict[bytes, list[int]] = {}
    odd: list[int] = []
    elapsed = _seconds(found, total)
    for index, each in enumerate(found):
        head = _head(each.rows)
        alike.setdefault(head, []).append(index) if head else odd.append(index)
    metrics: dict[str, Any] = {}
    for head, indexes in alike.items():
        places = _places(begins, counts, indexes)
        for name, values in _together(head, [found[index] for index in indexes], counts[indexes]).items():
            _put(metrics, name, places, values, total)
    for index in odd:
        columns, rows = decoded(found[index].rows)
        if len(rows) != counts[index]:
            raise ValueError(f"a block of {counts[index]} rows tells of {len(rows)}")
        places = np.arange(begins[index], begins[index] + counts[index])
        for at, name in enumerate(columns):
            _put(metrics, name, places, _array([row[at] for row in rows]), total)
    last_elapsed = elapsed[begins + counts - 1] if total else elapsed
    handed = np.array([each.at for each in found], "f8")
    at = np.repeat(handed, counts) - (np.repeat(last_elapsed, counts) - elapsed)
    return Rows(np.repeat(segments, counts), iteration, at, elapsed, metrics)


def _seconds(found: list[Stretch], total: int) -> Any:
    if all(type(each.elapsed) is bytes for each in found):
        elapsed = np.frombuffer(b"".join(each.elapsed for each in found), "<f8")  # type: ignore[misc]
    else:
        elapsed = np.array([second for each in found for second in decoded_seconds(each.elapsed)], "f8")
    if len(elapsed) != total:
        raise ValueError("the times of its rows are cut off")
    return elapsed


def _head(rows: bytes | str) -> bytes:
    """Return the columns and kinds of a block as it tells them, if all of its values are numbers; else nothing."""
    if type(rows) is not bytes:
        return b""
    told = rows.partition(b"\n")[0].rpartition(b',"rows":')[0]
    return b"" if b"j" in told.rpartition(b'"kinds":')[2] or b'"columns":[]' in told else told


def _together(head: bytes, found: list[Stretch], counts: Any) -> dict[str, Any]:
    """Decode blocks that begin alike: their bodies are one array of records."""
    import json

    told = json.loads(head + b"}")
    columns, kinds = told["columns"], told["kinds"]
    if len(columns) != len(kinds) or len(set(columns)) < len(columns):
        raise ValueError("a block of rows has odd columns")
    kind = np.dtype({"names": [f"f{i}" for i in range(len(kinds))], "formats": [_WIDTHS[each] for each in kinds]})
    bodies = [bytes(each.rows).partition(b"\n")[2] for each in found]  # type: ignore[arg-type]
    if any(len(body) != kind.itemsize * count for body, count in zip(bodies, counts.tolist(), strict=True)):
        raise ValueError("a block of rows is cut off")
    records = np.frombuffer(b"".join(bodies), kind)
    return {name: records[f"f{at}"] for at, name in enumerate(columns)}


def _places(begins: Any, counts: Any, indexes: list[int]) -> Any:
    """Return which rows of all belong to some stretches; a slice where it is all of them in a row."""
    if len(indexes) == len(begins):
        return slice(None)
    each = counts[indexes]
    return np.arange(each.sum()) - np.repeat(np.cumsum(each) - each, each) + np.repeat(begins[indexes], each)


def _array(values: list[Any]) -> Any:
    """Return values of a column as an array of numbers where they all are, else of objects."""
    if all(type(value) in (int, float) for value in values):
        try:
            return np.array(values, "i8" if all(type(value) is int for value in values) else "f8")
        except OverflowError:
            pass
    found = np.empty(len(values), object)
    found[:] = values
    return found


def _put(metrics: dict[str, Any], name: str, places: Any, values: Any, total: int) -> None:
    """Put values of one column in their places among all rows; its type widens where it has to."""
    whole = isinstance(places, slice)
    if name not in metrics:
        if whole:
            metrics[name] = np.array(values)
            return
        # Rows that lack it are NaN, which only floats have a place for.
        number = values.dtype.kind in "fi"
        metrics[name] = np.full(total, np.nan) if number else np.full(total, None, object)
    known = metrics[name]
    if known.dtype.kind == "f" and values.dtype.kind not in "fi":
        old = known
        known = metrics[name] = np.full(total, None, object)
        there = ~np.isnan(old)
        known[there] = old[there]
    known[places] = values
