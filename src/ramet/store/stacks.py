"""The states of many members in one file: arrays one after the other, whose first axis is the row.

`HEADER` tells name, type, shape and place of each array, so that one row can be read without the others. Nothing is
unpickled, and nothing that the header says is believed before it is looked at.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ramet.errors import CheckpointError, DamageError

HEADER, DATA = "stack.json", "stack.bin"
ALIGNED = 64
"""Arrays begin at multiples of so many bytes, so that they can be mapped into memory."""

ROW = "row "
"""How the kind of a checkpoint begins that is one row of a stack; its number follows."""

_PLAIN = "biufc"
_WORDS = {1: "uint8", 2: "uint16", 4: "uint32", 8: "uint64"}


def written(directory: Path, names: Sequence[str], leaves: Sequence[npt.NDArray[Any]]) -> int:
    """Write ``leaves``, the arrays called ``names``, to ``directory``; return the bytes of one row.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> written(folder, ["w"], [np.arange(6.0).reshape(2, 3)])
    24
    >>> row(folder, 1)
    {'w': array([3., 4., 5.])}
    """
    told, at = [], 0
    with open(directory / DATA, "wb") as file:
        for name, leaf in zip(names, leaves, strict=True):
            file.write(bytes(-at % ALIGNED))
            at += -at % ALIGNED
            told.append({"name": name, "dtype": leaf.dtype.name, "shape": list(leaf.shape), "at": at})
            # What numpy has no letter for (bfloat16, say) is written as numbers of the same width.
            words = leaf if _is_numpys(leaf.dtype) else leaf.view(_WORDS[leaf.dtype.itemsize])
            file.write(np.ascontiguousarray(words.astype(words.dtype.newbyteorder("<"), copy=False)).data)
            at += leaf.nbytes
        file.flush()
        os.fsync(file.fileno())
    (directory / HEADER).write_text(json.dumps({"version": 1, "arrays": told}), encoding="utf-8")
    return sum(leaf[:1].nbytes for leaf in leaves)


def rows(directory: Path, which: Sequence[int]) -> dict[str, npt.NDArray[Any]]:
    """Return copies of some rows of every array in ``directory``, by name.

    Raises:
        DamageError: it holds no stack, or fewer rows.
    """
    try:
        told = json.loads((directory / HEADER).read_text(encoding="utf-8"))["arrays"]
        return {str(each["name"]): _mapped(directory / DATA, each)[list(which)] for each in told}
    except (OSError, ValueError, KeyError, TypeError, IndexError, OverflowError, RecursionError) as error:
        raise DamageError(f"{directory} holds no stack of states with the rows {list(which)[:5]}: {error}") from error


def number(kind: object) -> int | None:
    """Return which row a checkpoint of this kind is; None if it is none.

    >>> number("row 17"), number("pickle")
    (17, None)
    """
    told = kind[len(ROW) :] if isinstance(kind, str) and kind.startswith(ROW) else ""
    return int(told) if told.isdecimal() else None


def row(directory: Path, number: int) -> dict[str, npt.NDArray[Any]]:
    """Return one row of every array in ``directory``, by name, without its first axis."""
    return {name: leaf[0] for name, leaf in rows(directory, [number]).items()}


def _mapped(path: Path, told: Any) -> npt.NDArray[Any]:
    shape = tuple(told["shape"])
    if not shape or not all(type(size) is int and size >= 0 for size in shape) or type(told["at"]) is not int:
        raise ValueError(f"{told!r:.200} is no array")
    dtype = _dtype(told["dtype"])
    if 0 in shape:
        return np.zeros(shape, dtype)
    if told["at"] < 0 or told["at"] + math.prod(shape) * dtype.itemsize > path.stat().st_size:
        raise ValueError(f"{told!r:.200} lies beyond the end of {path.name}")
    plain = dtype if _is_numpys(dtype) else np.dtype(_WORDS[dtype.itemsize])
    mapped = np.memmap(path, plain.newbyteorder("<"), "r", told["at"], shape)
    return np.asarray(mapped).view(dtype)


def _is_numpys(dtype: np.dtype[Any]) -> bool:
    """Return whether it is a type of numbers of numpy's own; one of ml_dtypes may have the same letter."""
    return dtype.kind in _PLAIN and dtype.type.__module__ == "numpy"


def _dtype(name: Any) -> np.dtype[Any]:
    dtype: np.dtype[Any]
    if type(name) is not str:
        raise ValueError(f"{name!r:.40} is no name of a type")
    try:
        dtype = np.dtype(name)
    except TypeError:
        try:
            import ml_dtypes  # comes with jax, whose types these are
        except ImportError as error:
            if not name.startswith(("bfloat", "float4", "float6", "float8", "int2", "int4", "uint2", "uint4")):
                raise ValueError(f"{name!r:.40} is no type of numbers") from error
            raise CheckpointError(f"an array of type {name:.40} needs ml_dtypes: pip install ml_dtypes") from error
        dtype = np.dtype(getattr(ml_dtypes, name, None) or "O")
    if dtype.hasobject or (dtype.itemsize not in _WORDS and not _is_numpys(dtype)) or dtype.kind in "USMm":
        raise ValueError(f"{name!r:.40} is no type of numbers")
    return dtype
