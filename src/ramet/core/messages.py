"""What controller and workers say to each other: plain data, the same for every executor.

Out go an `Assignment` (train this segment from here) and, at boundaries, a new `Lease` or the order to stop. Back comes
a `Handover`: rows, checkpoints, and how it ended if it did. They are named tuples, which pickle at half the cost of
dataclasses.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

HELD = "held"
"""The kind of a checkpoint that lies in the executor's own memory, and is gone with it until it is `Saved`."""

PLACE = "place"
"""The fault of an error that is no doing of the member's: the machine that it trained on was lost."""

COPY = (1.0, 0.0)
"""Weights as they are in the checkpoint: all of them, and nothing of newly initialised ones."""


class Lease(NamedTuple):
    """Leave to train alone until the first checkpointed report at or past ``until``, or until a stop rule fires.

    Args:
        until: the next decision point on the run's ``time_attr``; infinity where nothing is ever decided.
        interval: distance of decision points; a worker that passes one without a checkpoint says so every interval.
        each_report: wait for an answer after every report (a stop rule can only be judged by the controller).
    """

    until: float
    interval: float = float("inf")
    each_report: bool = False


class StoredCheckpoint(NamedTuple):
    """A committed checkpoint: ``data`` is a small one (``kind`` "pickle" or "files"), ``path`` leads to a large one.

    Of one that is `HELD`, ``path`` is its name, "segment/iteration". ``fresh``: it was committed since the run was
    begun or taken up. ``away``: only the machine that made it has it, and ``path`` is its name there.
    """

    kind: str
    data: bytes | None = None
    path: str | None = None
    size: int = 0
    fresh: bool = False
    away: bool = False

    @classmethod
    def held(cls, name: tuple[int, int], size: int = 0) -> StoredCheckpoint:
        """Return the checkpoint ``name`` (segment, iteration) as one that is `HELD`."""
        return cls(HELD, path=f"{name[0]}/{name[1]}", size=size)

    @property
    def name(self) -> tuple[int, int]:
        """The name of a checkpoint that is `HELD`."""
        segment, _, iteration = str(self.path).partition("/")
        return int(segment), int(iteration)


class Assignment(NamedTuple):
    """One stretch of work: train ``segment`` from ``checkpoint`` (None: from the start) under ``config``.

    ``work`` is the stretch's own name, never used twice in a process; whatever is said about another one is ignored.
    ``iteration``, ``elapsed`` and ``time`` are those of the checkpoint; ``compute`` counts the member's reports so far.
    ``weights``: the shares (of the checkpoint's, of new ones) that the weights are to be mixed from.
    """

    work: int
    segment: int
    member: int
    iteration: int
    config: Mapping[str, Any]
    checkpoint: StoredCheckpoint | None
    lease: Lease
    elapsed: float = 0.0
    compute: int = 0
    stopping: tuple[Any, ...] = ()
    weights: tuple[float, float] = COPY


class Block(NamedTuple):
    """Consecutive rows with the same columns; only the last one may carry a checkpoint, ``stored``.

    ``rows`` and ``elapsed`` are bytes (`ramet.core.blocks`). ``pinned``: the user asked to keep that checkpoint for
    good. ``spent``: what `ramet.core.events.Kept` tells of the time that it took.
    """

    first: int
    last: int
    metrics: Mapping[str, Any]
    rows: bytes | str
    elapsed: bytes | str
    at: float
    time: float | None = None
    clock: float = 0.0
    stored: StoredCheckpoint | None = None
    stopping: tuple[Any, ...] = ()
    pinned: bool = False
    spent: tuple[int, int, int, int, int] | tuple[()] = ()


class Handover(NamedTuple):
    """What a worker hands over about its ``work``.

    ``waiting``: it stands still until it is answered. ``ended``: why the function is over (a stop rule, or that it
    returned), ``error``: the traceback that ended it, with ``fault`` "report" where a retry cannot help, "checkpoint"
    where the checkpoint that it was to start from is damaged, `PLACE` where what it ran on was lost.
    ``overdue``: a decision point has passed and no checkpoint came.
    ``trouble``: what the worker waits for that only people can mend, such as room on the disk; it goes on by itself.
    ``unmixed``: the function was to mix its weights, and has handed over a checkpoint without having asked how.
    """

    work: int
    blocks: tuple[Block, ...] = ()
    waiting: bool = False
    ended: str | None = None
    error: str | None = None
    fault: str | None = None
    overdue: bool = False
    trouble: str | None = None
    unmixed: bool = False


class Saved(NamedTuple):
    """What an executor tells of checkpoints that it held in its memory: where they are stored now, by name."""

    checkpoints: Mapping[tuple[int, int], StoredCheckpoint]


class Sent(NamedTuple):
    """What an executor tells of checkpoints (segment, iteration) that were away: they are in the store by now.

    ``directories`` are their names there.
    """

    names: tuple[tuple[int, int], ...]
    directories: tuple[str, ...]


class Gone(NamedTuple):
    """What an executor tells of checkpoints (segment, iteration) that are lost with the machine that had them."""

    names: tuple[tuple[int, int], ...]
    reason: str


class Setup(NamedTuple):
    """What a worker has to know once, before any work: how to measure time, when to stop, where checkpoints go.

    ``report_timeout_s``: seconds without a word after which work counts as hanging and is ended; None for never.
    ``home``: the URL at which the run is kept, where other machines find its checkpoints and put theirs; ``cache``:
    bytes that copies of them may take on each.
    """

    run: str
    seed: int
    time_attr: str
    rules: tuple[Any, ...]
    store: str
    report_timeout_s: float | None = None
    home: str | None = None
    cache: int | None = None
