"""A number in [0, 1) for each of many members, by arithmetic: a hundredth of what a generator for each would cost.

A key, which stands for the run and the name of the draw, is mixed with the member, and that with its decision. Asked
alone or together with others, a member gets the same number.

Source: Steele, Lea and Flood (2014), "Fast splittable pseudorandom number generators" (SplitMix64).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from ramet.draws import Name, entropy

ALL, GOLDEN, FIRST, SECOND = (1 << 64) - 1, 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB

MANY = 32
"""From here on numpy is worth its calls."""


@lru_cache(maxsize=1024)
def key_of(seed: int, *name: Name) -> int:
    """Return the key of the draws called ``name`` in the run with this ``seed``; hashed once, for all members."""
    return entropy(seed, "shares", *name) & ALL


def share(key: int, member: int, decision: int) -> float:
    """Return the number of one member."""
    bits: int = _mixed((_mixed((key + member * GOLDEN) & ALL) + decision * GOLDEN) & ALL) >> 11
    return bits * 2.0**-53


def shares(key: int, members: Sequence[int], decisions: Sequence[int]) -> list[float]:
    """Return the numbers of ``members``, each at the decision of its own that has this number.

    >>> shares(7, [3, 4], [0, 2]) == [share(7, 3, 0), share(7, 4, 2)]
    True
    """
    if len(members) < MANY:
        return [share(key, member, decision) for member, decision in zip(members, decisions, strict=True)]
    import numpy as np  # here, for whoever has nothing to draw waits for no numpy

    member, decision = (np.array(numbers, np.uint64) * np.uint64(GOLDEN) for numbers in (members, decisions))
    found: list[float] = ((_mixed(_mixed(member + np.uint64(key)) + decision) >> 11) * 2.0**-53).tolist()
    return found


def _mixed(z: Any) -> Any:
    """Return 64 bits that all depend on all 64 of ``z``: an int, or an array of unsigned ones, which wrap by itself."""
    z = ((z ^ (z >> 30)) * FIRST) & ALL
    z = ((z ^ (z >> 27)) * SECOND) & ALL
    return z ^ (z >> 31)
