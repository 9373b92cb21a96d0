"""Which checkpoints must not be deleted: marks, kept while the population folds, and swept when it is asked.

A checkpoint is alive while somebody holds it (a member stands on it, or a segment that still counts starts from it),
while it is among the best that its maker keeps, or for good once it is pinned. Nothing else is.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Checkpoint = tuple[int, int]
"""A checkpoint's name: (segment, iteration) of the report that carried it."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A checkpoint that lies on disk: who made it as the how manieth, its size in bytes, and what it is ranked by."""

    member: int
    age: int
    rank: float
    size: int
    pinned: bool

    @property
    def worth(self) -> tuple[bool, float, int]:
        """What it is sorted by, the first to go first: NaN, then the lowest rank, then the oldest."""
        known = not math.isnan(self.rank)
        return known, self.rank if known else 0.0, self.age


class Retention:
    """The marks. ``present`` is what there is, ``bytes`` how much that is; `garbage` takes out what is dead.

    The rules are facts of the run: ``num_to_keep`` (best ones of each member; None keeps all), ``max_bytes`` (of all
    together; what is alive by need may be more), ``keep_lineage`` (segments count as long as something descends from
    them, not only while they are trained).
    """

    def __init__(self) -> None:
        self.keep: int | None = None
        self.max_bytes: int | None = None
        self.lineage = False
        self.present: dict[Checkpoint, Stored] = {}
        self.held: set[Checkpoint] = set()
        """Those of ``present`` that are not on disk: nobody keeps them but by need, and they weigh nothing."""
        self.bytes = 0
        self._holds: dict[Checkpoint, int] = {}
        self._best: dict[int, set[Checkpoint]] = {}
        self._doubtful: set[Checkpoint] = set()
        self._starts: list[Checkpoint | None] = []
        self._counts: list[int] = []
        # The budget's order of going. An entry may be stale; one that is held is put back when it is let go.
        self._queue: list[tuple[tuple[bool, float, int], Checkpoint]] = []
        self._age = 0

    def follow(self, facts: Mapping[str, Any]) -> None:
        """Take the rules from the run's facts; what they leave out stays as it is."""
        self.keep = facts.get("num_to_keep", self.keep)
        self.max_bytes = facts.get("max_bytes", self.max_bytes)
        self.lineage = bool(facts.get("keep_lineage", self.lineage))
        self._queue = [(stored.worth, name) for name, stored in self.present.items()]
        heapq.heapify(self._queue)
        for member in self._best:
            self._trim(member)

    # ------------------------------------------------------------------ what there is

    def add(self, member: int, name: Checkpoint, rank: float, size: int, *, pinned: bool, held: bool = False) -> None:
        """``member`` made a checkpoint, or made one again; ``held``: it is not on disk, and may come there."""
        self._drop(name)
        self._age += 1
        self.present[name] = Stored(member, self._age, rank, size, pinned)
        self.held.add(name)
        if not held:
            self.save(name)

    def save(self, name: Checkpoint) -> None:
        """A checkpoint that was held is on disk now. Nothing, if it was not."""
        if name not in self.held:
            return
        self.held.discard(name)
        stored = self.present[name]
        self.bytes += stored.size
        if self.max_bytes is not None:
            heapq.heappush(self._queue, (stored.worth, name))
        self._best.setdefault(stored.member, set()).add(name)
        self._trim(stored.member)

    def _trim(self, member: int) -> None:
        best = self._best[member]
        if self.keep is not None and len(best) > self.keep:
            worst = heapq.nsmallest(len(best) - self.keep, best, key=lambda name: self.present[name].worth)
            best.difference_update(worst)
            self._doubtful.update(worst)

    def _drop(self, name: Checkpoint) -> None:
        stored = self.present.pop(name, None)
        if name in self.held:
            self.held.discard(name)
        elif stored is not None:
            self.bytes -= stored.size
            self._best[stored.member].discard(name)

    def lose(self, name: Checkpoint) -> None:
        """It is gone, though nobody let it go."""
        self._drop(name)

    # ------------------------------------------------------------------ who needs it

    def hold(self, name: Checkpoint) -> None:
        """One more needs it."""
        self._holds[name] = self._holds.get(name, 0) + 1

    def release(self, name: Checkpoint) -> None:
        """One less needs it."""
        left = self._holds[name] - 1
        if left:
            self._holds[name] = left
            return
        del self._holds[name]
        self._doubtful.add(name)
        if self.max_bytes is not None and name in self.present:
            heapq.heappush(self._queue, (self.present[name].worth, name))

    def enter(self, start: Checkpoint | None) -> None:
        """The next segment is trained, from ``start``."""
        self._starts.append(start)
        self._counts.append(0)
        self._count(len(self._starts) - 1)

    def _count(self, segment: int) -> None:
        """One more counts on ``segment``: its member, or with ``lineage`` a segment that descends from it."""
        while True:
            self._counts[segment] += 1
            start = self._starts[segment]
            if self._counts[segment] > 1 or start is None:
                return
            self.hold(start)
            if not self.lineage:
                return
            segment = start[0]

    def leave(self, segment: int) -> None:
        """``segment`` is trained no more."""
        while True:
            self._counts[segment] -= 1
            start = self._starts[segment]
            if self._counts[segment] or start is None:
                return
            self.release(start)
            if not self.lineage:
                return
            segment = start[0]

    # ------------------------------------------------------------------ mark and sweep

    def alive(self, name: Checkpoint) -> bool:
        """Whether ``name`` must not be deleted."""
        stored = self.present.get(name)
        if stored is None or name in self._holds:
            return stored is not None
        return name not in self.held and (self.keep is None or stored.pinned or name in self._best[stored.member])

    def garbage(self, *, ahead: bool = False) -> set[Checkpoint]:
        """Take out what is dead, and with a budget the worst of what nobody needs; it counts as deleted from now on.

        Only what lost a tie since the last call is looked at. ``ahead``: members stand on checkpoints that are not on
        disk; what is there may have to be gone back to, so all of it stays. Returns what is to be deleted from disk.
        """
        doubtful = self._doubtful & self.held if ahead else self._doubtful
        dead = {name for name in doubtful if name in self.present and not self.alive(name)}
        self._doubtful = self._doubtful - doubtful
        gone = dead & self.held
        for name in dead:
            self._drop(name)
        dead -= gone
        if self.max_bytes is not None and not ahead:
            while self.bytes > self.max_bytes and self._queue:
                worth, name = heapq.heappop(self._queue)
                stored = self.present.get(name)
                if stored is None or stored.worth != worth or stored.pinned or name in self._holds:
                    continue
                self._drop(name)
                dead.add(name)
        return dead
