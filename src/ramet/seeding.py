"""The generators that user code draws from without naming them: Python's, numpy's, and torch's if it is loaded."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np


def seed_globals(entropy: int) -> None:
    """Seed ``random``, ``numpy.random`` and, where torch is loaded, all of torch's generators from ``entropy``."""
    import numpy as np  # here, for a script that sets up a run names this function and has nothing to seed

    random.seed(entropy)
    np.random.seed(entropy & 0xFFFFFFFF)  # all that users give it; an array of words takes six times as long
    torch = sys.modules.get("torch")
    if torch is not None and hasattr(torch, "manual_seed"):
        torch.manual_seed(entropy & 0x7FFFFFFFFFFFFFFF)


@contextmanager
def preserved() -> Iterator[None]:
    """Leave the global generators of this process as they were found."""
    import numpy as np

    python, numpy = random.getstate(), np.random.get_state()
    torch = sys.modules.get("torch")
    state = torch.get_rng_state() if torch is not None and hasattr(torch, "get_rng_state") else None
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        if state is not None and torch is not None:
            torch.set_rng_state(state)


def call_seeded(function: Callable[..., Any], rng: np.random.Generator, args: tuple[Any, ...]) -> Any:
    """Call a user's function that samples, with the global generators seeded from ``rng`` for this one call.

    >>> import numpy as np
    >>> draw = lambda: random.random()
    >>> first = call_seeded(draw, np.random.default_rng(0), ())
    >>> first == call_seeded(draw, np.random.default_rng(0), ())
    True
    """
    with preserved():
        seed_globals(int.from_bytes(rng.bytes(16), "little"))
        return function(*args)
