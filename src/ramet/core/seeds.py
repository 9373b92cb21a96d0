"""The generators of many draws at once: the very same ones, at an eighth of the price.

What a generator costs is its seed: numpy's `SeedSequence` takes 12 µs to mix one, and a generator that is given the
mixed words 1 µs. Here they are mixed for all draws together, by the same steps.

Source: O'Neill (2015), "Developing a seed_seq alternative", as in numpy's ``bit_generator.pyx``, which promises to stay
as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.random.bit_generator import ISpawnableSeedSequence, SeedSequence

Array = np.ndarray[Any, np.dtype[Any]]


class Mixed(ISpawnableSeedSequence):
    """The `SeedSequence` of ``entropy``, of which the ``words`` are known that a generator begins with."""

    __slots__ = ("entropy", "whole", "words")

    def __init__(self, entropy: int, words: Array) -> None:
        self.entropy, self.words = entropy, words
        self.whole: SeedSequence | None = None

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> Array:
        """Return the words that numpy's would."""
        if n_words == 4 and dtype is np.uint64:
            return self.words
        return self._whole().generate_state(n_words, dtype)

    def spawn(self, n_children: int) -> list[Any]:
        """Return the children that numpy's would have."""
        return self._whole().spawn(n_children)

    def _whole(self) -> SeedSequence:
        if self.whole is None:  # kept, for it counts its children
            self.whole = SeedSequence(self.entropy)
        return self.whole


def mixed(entropies: Sequence[int]) -> list[Mixed]:
    """Return the seeds of generators for integers of at most 128 bits.

    >>> one, other = mixed([5, 6])
    >>> np.random.PCG64(one).state == np.random.PCG64(SeedSequence(5)).state
    True
    """
    plain = b"".join(entropy.to_bytes(16, "little") for entropy in entropies)
    pool = [column.copy() for column in np.frombuffer(plain, "<u4").reshape(-1, 4).T.astype(np.uint32)]
    for number, constant in enumerate(_constants(0x43B0D7E5, 0x931E8875, 4)):
        pool[number] = _hashed(pool[number], *constant)
    pairs = [(source, to) for source in range(4) for to in range(4) if source != to]
    for (source, to), constant in zip(pairs, _constants(0x43B0D7E5, 0x931E8875, 16)[4:], strict=True):
        sum_: Array = pool[to] * np.uint32(0xCA01F9DD) - _hashed(pool[source], *constant) * np.uint32(0x4973F715)
        pool[to] = sum_ ^ (sum_ >> 16)
    words = [_hashed(pool[n % 4], *constant) for n, constant in enumerate(_constants(0x8B51F9DD, 0x58F38DED, 8))]
    joined = [low | high.astype(np.uint64) << np.uint64(32) for low, high in zip(words[::2], words[1::2], strict=True)]
    return [Mixed(entropy, row) for entropy, row in zip(entropies, np.column_stack(joined), strict=True)]


def _constants(at: int, by: int, count: int) -> list[tuple[np.uint32, np.uint32]]:
    """Return what each step in turn has its value crossed with, and then multiplied by."""
    chain = [at]
    for _ in range(count):
        chain.append(chain[-1] * by & 0xFFFFFFFF)
    return [(np.uint32(one), np.uint32(next_)) for one, next_ in pairwise(chain)]


def _hashed(values: Array, cross: np.uint32, factor: np.uint32) -> Array:
    values = (values ^ cross) * factor
    return values ^ (values >> 16)
