"""Where a run stands, kept up to date by what is new: an update costs what has happened, not what the run has been."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np

from ramet.analysis.frames import scores_at, value_of
from ramet.analysis.run import Run
from ramet.core.population import FOREBEAR
from ramet.view.values import finite

SPARK = 24
"""Decision scores of a member that its spark line shows."""

DISK_EVERY = 5.0
"""Seconds after which checkpoints are counted again: that reads all their names."""


class Board:
    """What the overview of ``run`` needs of its past, by member; `update` takes in what the run has read anew.

    ``values`` holds the metric as last reported, ``sparks`` the last scores, ``founders``, ``donors``, ``reports`` and
    ``exploits`` what their names say; ``decisions`` counts them all.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self._forget()

    def _forget(self) -> None:
        self._file: Any = None
        self._seen = self._segments = self._restarts = 0
        self.decisions = 0
        self.roots: list[int] = []
        self.values: list[Any] = []
        self.fresh: list[bool] = []
        self.donors: dict[int, int] = {}
        self.exploits: dict[int, int] = {}
        self.sparks: dict[int, deque[float]] = {}
        self._scores: dict[tuple[int, int], float] = {}
        self._disk: tuple[float, int, tuple[int, int]] | None = None
        self._reports: tuple[Any, Any] = (None, None)

    def update(self) -> None:
        """Bring everything up to what the run's trace has taken in."""
        trace = self.run.trace
        if trace.present.file != self._file or trace.last < self._seen:
            self._forget()
            self._file = trace.present.file
        members = len(trace.places)
        restarts = sum(kind in ("Failed", "Resumed") for _, kind, _ in trace.few)
        # What was rewound is no longer among the reports of anybody.
        touched = set(range(members)) if restarts != self._restarts or not self._seen else set[int]()
        touched |= set(range(len(self.values), members))
        touched |= self._take_segments()
        touched |= self._take_scores()
        spans = trace.spans
        new = spans["segment"][np.searchsorted(spans["seq"], self._seen, side="right") :]
        owner = trace.segments.member
        touched |= set(np.unique(owner[new]).tolist()) - {FOREBEAR}
        self.decisions += trace.bulk.counted("Decided", self._seen, trace.last)
        self._take_values(touched, members)
        self._seen, self._restarts = trace.last, restarts

    def _take_segments(self) -> set[int]:
        """Take in segments that were opened, and return whose."""
        segments, first = self.run.trace.segments, self._segments
        if first == len(segments):
            return set()
        parents, donors = segments.parent[first:].tolist(), segments.donor[first:].tolist()
        owners, whys = segments.member[first:].tolist(), segments.columns["why"][first:].tolist()
        words = segments.columns.words("why")
        for number, (parent, donor, owner, why) in enumerate(
            zip(parents, donors, owners, whys, strict=True), start=first
        ):
            self.roots.append(number if parent < 0 else self.roots[parent])
            if owner < 0:  # of the run that this one was branched from
                continue
            if donor >= 0:
                self.donors[owner] = donor
            if words[why] == "exploit":
                self.exploits[owner] = self.exploits.get(owner, 0) + 1
        self._segments = len(segments)
        return {owner for owner in owners if owner >= 0}

    def _take_scores(self) -> set[int]:
        """Take in the scores at checkpoints: of the past only as many as are shown."""
        trace, wanted = self.run.trace, SPARK * len(self.run.trace.places)
        after = self._seen
        # Every checkpoint is mostly one of four events. Who has not been heard of for long is looked for in all.
        if not after and trace.last > 16 * wanted:
            after = trace.last - 8 * wanted
            if not self._read_scores(after) >= set(range(len(trace.places))):
                self.sparks.clear()
                self._read_scores(0)
            return set()
        return self._read_scores(after)

    def _read_scores(self, after: int) -> set[int]:
        trace = self.run.trace
        sign, owner = -1.0 if trace.facts.get("mode") == "min" else 1.0, trace.segments.member
        found = set()
        try:
            for _, _, event in trace.bulk.events(["Kept"], after, trace.last):
                segment, score = event["segment"], sign * float(event["score"])
                member = int(owner[segment])
                self._scores[segment, event["iteration"]] = score
                if member >= 0:
                    self.sparks.setdefault(member, deque(maxlen=SPARK)).append(score)
                    found.add(member)
        except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
            raise trace.bulk.damaged(f"an event Kept of it is none ({error!r:.80})") from error
        for name in list(self._scores)[: -2 * SPARK * max(len(trace.places), 1)]:
            del self._scores[name]
        return found

    def _take_values(self, touched: set[int], members: int) -> None:
        """Read again what the members of ``touched`` have reported last. See `ramet.analysis.frames.standings`."""
        trace = self.run.trace
        found, ends, metric = trace.segments, trace.ends, trace.facts.get("metric")
        self.values = (self.values + [None] * members)[:members]
        self.fresh = (self.fresh + [False] * members)[:members]
        parents, starts = found.parent, found.start
        for member in touched:
            number = trace.places[member].segment
            self.fresh[member] = number >= 0 and bool(parents[number] >= 0 and ends[number] == starts[number])
            if metric is None or number < 0:
                self.values[member] = None
            elif self.fresh[member]:
                self.values[member] = self._score(int(parents[number]), int(starts[number]))
            else:
                self.values[member] = value_of(trace, trace.places[member], self.reports)

    def _score(self, segment: int, iteration: int) -> float:
        known = self._scores.get((segment, iteration))
        if known is not None:
            return known
        return float(scores_at(self.run.trace, np.array([segment]), np.array([iteration]))[0])

    # ------------------------------------------------------------------ what it says

    def ranks(self) -> dict[int, int]:
        """Return members' ranks by their values; 1 is the best, and of equals the one that trained there."""
        sign = 1.0 if self.run.mode == "min" else -1.0

        def place(member: int) -> tuple[bool, float, bool, int]:
            value = self.values[member]
            known = finite(value)
            return not known, sign * float(value) if known else 0.0, self.fresh[member], member

        order = sorted((member for member, value in enumerate(self.values) if value is not None), key=place)
        return {member: rank for rank, member in enumerate(order, 1)}

    def best(self) -> int | None:
        """Return who is best, if anybody has a value that can be compared."""
        ranked = self.ranks()
        return next((m for m, rank in ranked.items() if rank == 1 and finite(self.values[m])), None)

    def reports(self) -> Any:
        """Return how many reports each member has made, without those of another run that it was branched from."""
        trace = self.run.trace
        if self._reports[0] != trace.present:
            self._reports = trace.present, self._counted()
        return self._reports[1]

    def _counted(self) -> Any:
        trace = self.run.trace
        spans, owner = trace.spans, trace.segments.member
        own = owner[spans["segment"]] >= 0
        weights = (spans["last"] - spans["first"] + 1)[own]
        whose = owner[spans["segment"][own]]
        return np.bincount(whose, weights=weights, minlength=len(trace.places)).astype("i8")

    def disk(self, now: float) -> tuple[int, int]:
        """Return how many checkpoints there are, and their bytes, as of some seconds ago while the run goes on."""
        last, known = self.run.trace.last, self._disk
        over = self.run.ended is not None
        if known is None or (known[1] != last and (over or now - known[0] > DISK_EVERY)):
            known = self._disk = (now, last, self.run.trace.bulk.disk())
        return known[2]
