"""How a member begins: from nothing, or in a branch from the one checkpoint that all of its members began from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ramet.core.events import Opened
from ramet.core.population import Population


def beginning(population: Population, member: int, hparams: Mapping[str, Any], why: str) -> Opened:
    """Return the event by which ``member`` begins, or begins anew, under ``hparams``.

    >>> population = Population()
    >>> beginning(population, 0, {"lr": 0.1}, "founder")
    Opened(segment=0, member=0, parent=None, iteration=0, hparams={'lr': 0.1}, info={'why': 'founder'})
    """
    number, root = len(population.segments), population.forebear.point
    if root is None or root.checkpoint not in population.present:
        return Opened(number, member, None, 0, hparams, {"why": why})
    why = "branched" if why == "founder" else why
    return Opened(number, member, *root.checkpoint, hparams, {"why": why})
