"""Faster improvement rate PBT: part of the population is judged by how fast its models could learn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ramet.core.scene import Decision, Scene
from ramet.errors import ConfigError
from ramet.space import Space
from ramet.strategy.arguments import number
from ramet.strategy.constraints import Constraint
from ramet.strategy.curves import Curve, best_score_diff, chance_of_no_better, overlap
from ramet.strategy.exploit import Choice, Exploit
from ramet.strategy.explore import Explore
from ramet.strategy.pbt import PopulationBasedTraining
from ramet.strategy.rules import Rule

GREEDY, STEEP, EVALUATOR = "greedy", "steep", "evaluator"

ROLES = tuple({"G": GREEDY, "S": STEEP, "E": EVALUATOR}[letter] for letter in "GSEGSEGSGSE")
"""By number modulo 11: 8, 8 and 6 of 22 as in the paper, and at least two of each from 6 members on."""

FEWEST = 6

CERTAIN = 0.01
"""A chance below this is none."""


def role(member: int) -> str:
    """Return the role of a member, which depends on its number alone: added members change nobody's.

    >>> [role(member) for member in range(6)]
    ['greedy', 'steep', 'evaluator', 'greedy', 'steep', 'evaluator']
    """
    return ROLES[member % len(ROLES)]
