"""Values of any kind: what they are in plain Python, and which of them are the same.

numpy is loaded for values that may be its own: whoever builds a space of plain ones has not waited for it.
"""

from __future__ import annotations

from typing import Any

_PYTHONS = frozenset({float, int, bool, str, bytes, list, tuple, dict, type(None)})
"""Types of which it is plain that they are not numpy's."""


def plain(value: Any) -> Any:
    """Return a numpy scalar as the Python scalar that it stands for, and anything else as it is.

    >>> import numpy as np
    >>> plain(np.float64(0.5)), plain(np.int32(3)), plain("adam")
    (0.5, 3, 'adam')
    """
    if type(value) in _PYTHONS:
        return value
    import numpy as np

    if isinstance(value, np.floating):
        return float(value)
    return value.item() if isinstance(value, (np.number, np.bool_, np.str_)) else value


def as_number(value: Any) -> float | int | None:
    """Return ``value`` as a plain float or int, or None if it is no number (a bool is none)."""
    kind = type(value)
    if kind is float or kind is int:
        return value  # type: ignore[no-any-return]
    if kind in _PYTHONS:
        return None
    import numpy as np

    if isinstance(value, (float, np.floating)):
        return float(value)
    return int(value) if isinstance(value, (int, np.integer)) and not isinstance(value, bool) else None


def same(a: Any, b: Any) -> bool:
    """Tell whether two values of any kind are the same: identical, or equal and of one type."""
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    if type(a) not in _PYTHONS:
        import numpy as np

        if isinstance(a, np.ndarray):
            return a.dtype == b.dtype and np.array_equal(a, b)
    try:
        return bool(a == b) or (isinstance(a, float) and a != a and b != b)
    except Exception:  # user's __eq__ may do anything: what cannot be compared is not the same
        return False


def without_dust(x: float) -> float:
    """Return ``x`` without the dust of a multiplication: 3 * 0.1 becomes 0.3, while a third stays a third."""
    short = float(f"{x:.12g}")
    return short if abs(short - x) <= 1e-15 * abs(x) else x
