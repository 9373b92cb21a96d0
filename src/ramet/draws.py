"""Every draw has a name, and its own generator.

A run has one seed. Whatever is drawn in it (a founder's learning rate, which donor a weak member clones, the
numbers that user code takes from the global generators) is named by a path such as ``("explore", member, decision,
"lr")``, and seed and name together give the generator. So no generator state is ever saved, two draws never share a
stream, and asking for them in another order changes nothing.

Source: Salmon, Moraes, Dror and Shaw (2011), "Parallel random numbers: as easy as 1, 2, 3" (counter-based streams);
numpy's ``SeedSequence`` does the mixing.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

Name = str | int | tuple["Name", ...]


def entropy(seed: int, *name: Name) -> int:
    """Return the 128-bit integer that stands for ``name`` in the run with this ``seed``.

    Args:
        seed: the run's seed, any non-negative integer.
        name: what is being drawn; strings, integers and tuples of them. ``("a", "b")`` and ``("ab",)`` differ.

    >>> entropy(0, "founder", 3) == entropy(0, "founder", 3)
    True
    >>> entropy(0, "founder", 3) == entropy(1, "founder", 3)
    False
    """
    return int.from_bytes(hashlib.blake2b(repr((seed, name)).encode(), digest_size=16).digest(), "little")


def generator(seed: int, *name: Name) -> np.random.Generator:
    """Return a new generator for the draw called ``name``; the same arguments always give the same stream.

    >>> generator(0, "founder", 3, "lr").random() == generator(0, "founder", 3, "lr").random()
    True
    """
    import numpy as np  # here, for whoever names a draw and has none yet waits for no numpy

    return seeded(np.random.SeedSequence(entropy(seed, *name)))


def seeded(seed: Any) -> np.random.Generator:
    """Return a new generator that begins where ``seed`` says, numpy's `SeedSequence` or what stands for one."""
    import numpy as np

    return np.random.Generator(np.random.PCG64(seed))
