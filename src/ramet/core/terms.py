"""What the engine is given: a strategy, and how scores are read and failures counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ramet.core.forest import Member
from ramet.core.scene import Decision, Scene


@dataclass(frozen=True, slots=True)
class Terms:
    """How scores are read and failures are counted.

    Args:
        metric, mode: the reported score, and whether "max" or "min" is good; None where nothing is scored.
        rank_attribute, rank_order: the metric that retention orders checkpoints by; None keeps the newest.
        max_failures: failures that a member may have and still be started again; -1 for any number.
        fail_fast: end the run at the first failure.
        replace: let a strong member's clone take the place of one whose failures are too many.
        objectives: further metrics, with whether "max" or "min" is good, that every checkpoint's report must have.
    """

    metric: str | None = None
    mode: str | None = None
    rank_attribute: str | None = None
    rank_order: str = "max"
    max_failures: int = 0
    fail_fast: bool = False
    replace: bool = False
    objectives: Mapping[str, str] = field(default_factory=dict)


class Strategy(Protocol):
    """What the engine needs of a strategy (see `ramet.strategy.base.Strategy`)."""

    time_attr: str
    interval: float
    synch: bool

    @property
    def decides(self) -> bool: ...  # noqa: D102
    def due(self, member: Member) -> float: ...  # noqa: D102
    def decide(self, scene: Scene) -> Sequence[Decision]: ...  # noqa: D102
    def replace(self, scene: Scene, member: int) -> Decision | None: ...  # noqa: D102
