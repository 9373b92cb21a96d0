"""Products of matrices that keep to one thread.

numpy's library takes all cores for a product of more than about 64 x 64 x 64, and waits for them in a loop. In a
controller among busy workers, which have the cores, that is five times the processor's time, and as much waiting.
Nothing short of the environment tells it not to; pieces of that size it does on the spot.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]

TILE = 64


def product(a: Array, b: Array) -> Array:
    """Return ``a @ b``; ``b`` may be a vector. Pieces of ``b`` that are all zero, as in triangles, cost nothing.

    >>> product(np.eye(2), np.array([3.0, 4.0])).tolist()
    [3.0, 4.0]
    """
    columns = b if b.ndim == 2 else b[:, None]
    found = np.zeros((len(a), columns.shape[1]))
    for k in range(0, len(b), TILE):
        for j in range(0, columns.shape[1], TILE):
            piece = columns[k : k + TILE, j : j + TILE]
            if piece.any():
                for i in range(0, len(a), TILE):
                    found[i : i + TILE, j : j + TILE] += a[i : i + TILE, k : k + TILE] @ piece
    return found.reshape(len(a), *b.shape[1:])
