"""What the population is made of: members, the segments that they train, and the points where those can be cloned."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ramet.core.retention import Checkpoint


@dataclass(frozen=True, slots=True)
class Point:
    """A checkpointed report: what a clone can start from, and the score that it is judged by.

    ``time`` is on the run's ``time_attr``; ``score`` is signed so that larger is better, NaN is worst; ``rank`` orders
    the checkpoints that retention keeps; ``elapsed`` is the model's training time in seconds; ``objectives`` are the
    further scores of runs that have several, signed alike, in the order of the run's facts.
    """

    segment: int
    iteration: int
    time: float
    score: float
    rank: float
    elapsed: float
    objectives: tuple[float, ...] = ()

    @property
    def checkpoint(self) -> Checkpoint:
        """The name of the checkpoint that the report carried."""
        return (self.segment, self.iteration)


@dataclass(slots=True)
class Segment:
    """One member training under one assignment from one checkpoint (``parent``, ``start``), made at ``origin``."""

    number: int
    member: int
    parent: int | None
    start: int
    hparams: Mapping[str, Any]
    info: Mapping[str, Any]
    last: int
    origin: Point | None = None
    points: list[Point] = field(default_factory=list)


@dataclass(slots=True)
class Member:
    """One place in the population, and where it stands.

    ``point`` is its latest checkpoint (its own, or the one that it began from as a clone), ``decided`` the one at its
    last decision, ``since`` the time of that decision, from which the interval counts. ``compute`` counts its rows in
    the log and never goes back at an exploit; ``worked`` counts those too that were dropped to be made again.

    Where its ``point`` lies on one machine alone, ``coming`` is the first since ``safe`` that is on its way to the
    store, and ``safe`` the one that it could go back to (None: to its very beginning).
    """

    number: int
    segment: int = -1
    state: str = "training"
    point: Point | None = None
    decided: Point | None = None
    safe: Point | None = None
    coming: Point | None = None
    since: float = 0.0
    decisions: int = 0
    compute: int = 0
    worked: int = 0
    kept_compute: int = 0
    failures: int = 0
    exploits: int = 0
    metrics: Mapping[str, Any] = field(default_factory=dict)
    stopping: tuple[Any, ...] = ()
    error: str | None = None
    reason: str | None = None

    @property
    def live(self) -> bool:
        """Whether it still trains."""
        return self.state == "training"
