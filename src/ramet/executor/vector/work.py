"""One member's stretch of work: its lease, its stop rules, and how the metrics of its row become what it hands over."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ramet.core.blocks import encoded, encoded_seconds
from ramet.core.messages import COPY, HELD, Assignment, Block, Lease, Setup, StoredCheckpoint
from ramet.errors import ReportError
from ramet.executor.stops import Stops, automatic

Name = tuple[int, int]

_KINDS = {"b": "?", "i": "q", "u": "q"}


class Told(NamedTuple):
    """The metrics of a dispatch, of each (reports, rows): ``columns`` by name, ``kinds`` as blocks have them.

    ``values`` holds, where all are floats, an array (rows, reports, columns); else a list for each column.
    """

    columns: tuple[str, ...]
    kinds: str
    values: npt.NDArray[np.float64] | list[npt.NDArray[Any]]
    reports: int

    @classmethod
    def of(cls, metrics: Mapping[str, npt.NDArray[Any]]) -> Told:
        """Take metrics by name.

        Raises:
            ReportError: one of them is no number, or more than one for a member.
        """
        columns = tuple(metrics)
        for name, values in metrics.items():
            if values.ndim != 2 or values.dtype.kind in "cmMOSUV":
                raise ReportError(
                    f"the metric {name!r} is an array of shape {values.shape[2:]} and type {values.dtype} for each "
                    "member: a metric is one number"
                )
        kinds = "".join(_KINDS.get(values.dtype.kind, "d") for values in metrics.values())
        arrays = list(metrics.values())
        reports = len(arrays[0])
        if kinds == "d" * len(columns):
            return cls(columns, kinds, np.stack([array.T for array in arrays], 2).astype(np.float64), reports)
        return cls(columns, kinds, arrays, reports)

    def row(self, row: int) -> tuple[bytes, dict[str, Any]]:
        """Return all reports of one member as bytes, and its last one by name."""
        if isinstance(self.values, np.ndarray):
            flat = self.values[row].ravel().tolist()
        else:
            by_column = [array[:, row].tolist() for array in self.values]
            flat = [value for report in zip(*by_column, strict=True) for value in report]
        last = dict(zip(self.columns, flat[-len(self.columns) :], strict=True))
        return encoded(self.columns, self.kinds, flat, self.reports), last


class Work:
    """One stretch of work under way in a row."""

    __slots__ = (
        *(
            "assignment",
            "decided",
            "elapsed",
            "iteration",
            "latest",
            "lease",
            "over",
            "recalled",
            "row",
            "setup",
            "since",
            "standing",
            "stops",
        ),
        *("unmixed", "waiting"),
    )

    def __init__(self, setup: Setup, assignment: Assignment, row: int) -> None:
        self.setup, self.assignment, self.row = setup, assignment, row
        self.lease: Lease = assignment.lease
        self.iteration, self.elapsed = assignment.iteration, assignment.elapsed
        self.stops = Stops(setup.rules, assignment.stopping)
        self.waiting = self.recalled = self.over = False
        self.unmixed = assignment.weights != COPY
        self.since = 0.0  # when it handed over last: what is waited from then on is no training
        self.latest = -math.inf  # on the run's time_attr, where that is a metric
        start = assignment.checkpoint
        self.standing = start.name if start is not None and start.kind == HELD else None
        """The checkpoint that it goes on from, if that is held in memory."""
        self.decided: Name | None = None
        """The one at its last decision point: others that decide before its next one judge it there."""

    @property
    def name(self) -> Name:
        """The name of the checkpoint that its state is, if it is one."""
        return self.assignment.segment, self.iteration

    @property
    def compute(self) -> int:
        """The member's reports so far."""
        return self.assignment.compute + self.iteration - self.assignment.iteration

    def left(self, columns: tuple[str, ...]) -> float:
        """Return after how many reports it has to be looked at."""
        if (
            self.recalled
            or self.lease.each_report
            or self.stops.look_at_each
            or "done" in columns
            or (self.setup.time_attr != "training_iteration" and self.lease.until < math.inf)
        ):
            return 1
        counts = (self.stops.iteration - self.iteration, self.stops.compute - self.compute)
        return max(1, min(self.lease.until - self.iteration, *counts))

    @property
    def distance(self) -> float:
        """After how many reports it comes to its decision point, or is over; NaN where only those will tell."""
        if self.recalled:
            return 1
        if self.setup.time_attr != "training_iteration" and self.lease.until < math.inf:
            return math.nan
        counts = (self.stops.iteration - self.iteration, self.stops.compute - self.compute)
        return min(self.lease.until - self.iteration, *counts)

    @property
    def needs(self) -> list[Name]:
        """The checkpoints in memory that it goes on from, and is judged at."""
        return [name for name in (self.standing, self.decided) if name is not None]

    def stands(self) -> None:
        """It has handed over its state as a checkpoint."""
        self.standing = self.name
        if self.latest >= self.lease.until:
            self.decided = self.name

    def take_in(self, told: Told, seconds: float) -> tuple[Block, str | None]:
        """Take in the reports of a dispatch that took so long; return them without a checkpoint, and why it is over."""
        rows, last = told.row(self.row)
        count, first = told.reports, self.iteration + 1
        times = [self.elapsed + seconds * (at + 1) / count for at in range(count)]
        self.iteration += count
        before = times[-2] if count > 1 else self.elapsed
        self.elapsed = times[-1]

        def whole() -> dict[str, Any]:
            return last | automatic(self.assignment, self.iteration, self.compute, self.elapsed, before)

        reason = self.stops.reason(last, self.iteration, self.compute, whole)
        self.over = reason is not None
        block = Block(
            first=first,
            last=self.iteration,
            metrics=last,
            rows=rows,
            elapsed=encoded_seconds(times),
            at=time.time(),
            time=self._time(last),
            clock=self.elapsed,
        )
        return block, reason

    def _time(self, last: Mapping[str, Any]) -> float:
        attr = self.setup.time_attr
        if attr == "training_iteration":
            self.latest = self.iteration
        elif attr == "time_total_s":
            self.latest = self.elapsed
        elif isinstance(last.get(attr), (int, float)):
            self.latest = float(last[attr])
        elif self.lease.until < math.inf:
            raise ReportError(
                f"time_attr={attr!r} is not a number among the reported metrics {sorted(last)} of member "
                f"{self.assignment.member}: report it with every row, or choose time_attr='training_iteration'"
            )
        return self.latest

    @property
    def at_boundary(self) -> bool:
        """Whether it stands at or past the end of its lease, or was called back."""
        return self.latest >= self.lease.until or self.recalled or self.lease.each_report

    def carrying(self, block: Block, stored: StoredCheckpoint, waited: float, saving: float) -> Block:
        """Return ``block`` with the checkpoint that its last report carries."""
        spent = (self.row, 0, int(saving * 1e9), int(waited * 1e9), time.time_ns())
        return Block(*block[:8], stored, self.stops.states, False, spent)  # _replace takes eight times as long

    def held(self, size: int) -> StoredCheckpoint:
        """Return its state as a checkpoint that is held in memory."""
        return StoredCheckpoint.held(self.name, size)
