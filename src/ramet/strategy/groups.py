"""Groups: a population of populations, in each of which an exploit rule sees nobody else."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ramet.errors import ConfigError
from ramet.strategy.base import Scene
from ramet.strategy.exploit import Choice, Exploit, Truncation


@dataclass(frozen=True, slots=True)
class Groups:
    """``count`` groups that never mix; within each, ``rule`` decides who clones whom.

    Args:
        count: how many, at least 1. Member m is in group m % count, so that added members change nobody's group.
        rule: an exploit rule.

    >>> Groups(4).count
    4
    """

    count: int
    rule: Exploit = field(default_factory=Truncation)

    def __post_init__(self) -> None:
        if isinstance(self.count, bool) or not isinstance(self.count, int) or self.count < 1:
            raise ConfigError(f"Groups(count={self.count!r}) must be an integer of at least 1")
        if not callable(self.rule):
            raise ConfigError(f"Groups(rule={self.rule!r}) is no exploit rule: give one such as Truncation(0.25)")

    def __call__(self, scene: Scene) -> dict[int, Choice]:
        """Return the choice of every ready member."""
        choices: dict[int, Choice] = {}
        for group, ready in by_group(scene.ready, self.count):
            inside = in_group(group, self.count, len(scene.population.members))
            choices |= self.rule(scene.among(inside, ready=ready))
        return choices


def by_group(members: Iterable[int], count: int) -> list[tuple[int, list[int]]]:
    """Return the groups that ``members`` are in, in order, each with those of them that are in it.

    >>> by_group([1, 2, 4], 3)
    [(1, [1, 4]), (2, [2])]
    """
    groups: dict[int, list[int]] = {}
    for member in members:
        groups.setdefault(member % count, []).append(member)
    return sorted(groups.items())


def in_group(group: int, count: int, members: int) -> range:
    """Return the members of a group.

    >>> [*in_group(1, 3, 8)]
    [1, 4, 7]
    """
    return range(group, members, count)
