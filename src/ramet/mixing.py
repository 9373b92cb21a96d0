"""Weights made of those that a model had and new ones: shrink and perturb."""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import Any

from ramet.errors import ReportError
from ramet.nested import shown


def mixed(weights: Any, fresh: Any, keep: float, share: float, where: tuple[str, ...] = ()) -> Any:
    """Return ``keep * weights + share * fresh``, in the shape that both have.

    Both hold arrays, tensors and floats, nested in dicts, lists and tuples in the same way; ``keep`` and ``share`` are
    factors of at least 0, and ``where`` is the path to both, for messages.

    Raises:
        ReportError: they are not of the same shape.

    >>> mixed({"w": [1.0, 2.0], "batches": 7}, {"w": [10.0, 10.0], "batches": 0}, 0.5, 0.1)
    {'w': [1.5, 2.0], 'batches': 0}
    """
    if isinstance(weights, Mapping):
        if not isinstance(fresh, Mapping) or weights.keys() != fresh.keys():
            raise _unlike(
                where, sorted(map(str, weights)), sorted(map(str, fresh)) if isinstance(fresh, Mapping) else fresh
            )
        made = {key: mixed(value, fresh[key], keep, share, (*where, str(key))) for key, value in weights.items()}
        if not isinstance(weights, dict):
            return made
        result = copy(weights)  # an OrderedDict of tensors stays one
        result.update(made)
        return result
    if isinstance(weights, (list, tuple)):
        if not isinstance(fresh, (list, tuple)) or len(weights) != len(fresh):
            raise _unlike(where, weights, fresh)
        pairs = enumerate(zip(weights, fresh, strict=True))
        parts = [mixed(a, b, keep, share, (*where, str(at))) for at, (a, b) in pairs]
        return weights._make(parts) if hasattr(weights, "_make") else type(weights)(parts)  # a named tuple stays one
    if not _is_floating(weights):
        return fresh
    if getattr(weights, "shape", ()) != getattr(fresh, "shape", ()):
        raise _unlike(where, f"shape {tuple(weights.shape)}", f"shape {tuple(getattr(fresh, 'shape', ()))}")
    if keep == 0.0:  # for 0 * NaN is NaN, and new weights are to be new
        return share * fresh
    return keep * weights + share * fresh


def _is_floating(value: Any) -> bool:
    if isinstance(value, float):
        return True
    kind = getattr(value, "dtype", None)  # numpy's tell a letter, torch's whether they are floating
    return bool(getattr(kind, "is_floating_point", False)) or getattr(kind, "kind", "") in ("f", "c", "V")


def _unlike(where: tuple[str, ...], had: Any, new: Any) -> ReportError:
    at = f" at {shown(where)}" if where else ""
    return ReportError(
        f"inherited(weights, fresh){at}: the checkpoint has {had}, and fresh has {new}: give new weights of the same "
        "shape"
    )
