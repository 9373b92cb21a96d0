"""A population as far as a summary needs it, read by a handful of queries: half a second for a million reports.

The fold takes every event of a run in turn. Here the ledger itself counts the decisions and the reports, and a segment
is read when somebody asks for it. A test holds the summary of the one against that of the other.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from typing import Any, SupportsIndex, overload

from ramet.analysis.places import FEW, Place, ended, facts_of, latest_row, places
from ramet.aside import Aside
from ramet.core.population import FOREBEAR, INHERITED, Member, Point, Population, Segment
from ramet.record import Record
from ramet.store.bulk import BulkReader


def glance(folder: str | os.PathLike[str]) -> Population:
    """Return the population of the run in ``folder``, good for a summary and for the standings.

    Of a run that never decided anything, or has several objectives, the fold is returned: there a summary needs more.

    Raises:
        RunError: there is no run, or it is damaged.
    """
    bulk = BulkReader(folder)
    try:
        seen = Glimpse(bulk)
    finally:
        bulk.close()
    if seen.verdicts and not seen.facts.get("objectives"):
        return seen
    record = Record.open(folder)
    try:
        return record.population()
    finally:
        record.close()


class Glimpse(Population):
    """What a summary asks of a population. Segments have no points, and a member's ``point`` only where it has none of
    its own segment's: where it began as a clone.
    """

    def __init__(self, bulk: BulkReader) -> None:
        super().__init__()
        upto = bulk.present().last
        few = list(bulk.events(FEW, 0, upto))
        opened = bulk.openings(INHERITED, upto)
        owner = [FOREBEAR if row[4] else row[2] for row in opened]
        if [row[1] for row in opened] != list(range(len(opened))):
            raise bulk.damaged("its segments are not in their order")
        self.facts = facts_of(bulk, few)
        self.seed = next((event.get("seed", 0) for _, kind, event in few if kind == "Began"), 0)
        self.ended = ended(few)
        for _, kind, event in few:
            if kind == "Noted":
                self.noted.setdefault(str(event.get("kind")), str(event.get("text")))
        self.verdicts = bulk.verdicts(upto)
        found = places(bulk, few, [row[0] for row in opened], owner, upto)
        counts = bulk.counts(upto)
        own: list[list[int]] = [[] for _ in found]
        for number, member in enumerate(owner):
            if member != FOREBEAR:
                own[member].append(number)
        # Its segments are read as long as the file is open: all that a summary asks for.
        lazily = _Segments(bulk, opened, owner, counts)
        self.segments = lazily  # type: ignore[assignment]
        self.members = [self._member(bulk, place, own[place.number], counts, lazily) for place in found]
        self.training = sum(member.live for member in self.members)
        self.spent = _spent(bulk, few, owner, upto)
        self.retention = _Disk(*bulk.disk())  # type: ignore[assignment]
        lazily.read(self._asked())

    def _member(
        self, bulk: BulkReader, place: Place, own: list[int], counts: dict[int, tuple[int, int]], found: _Segments
    ) -> Member:
        member = Member(place.number, place.segment, place.state, failures=place.failures)
        member.error, member.reason = place.error, place.reason
        member.compute = sum(counts[number][1] for number in own if number in counts)
        if place.segment < 0:
            return member
        parent, start, last = found.parent(place.segment), found.start(place.segment), found.last(place.segment)
        if parent is not None and last == start:
            score = bulk.score(parent, start)
            member.point = Point(parent, start, 0.0, score, 0.0, 0.0)
        else:
            member.metrics = latest_row(bulk, own[::-1], self.facts.get("metric"))
        return member

    def _asked(self) -> list[int]:
        """Return the segments that a summary tells of: where members stand, and how the best came to be."""
        from ramet.view.standing import best, standings

        top = best(standings(self, {}))
        lazily: Any = self.segments
        return [] if top is None else lazily.chain(self.members[top.member].segment)


class _Disk:
    """Stands for the retention of a population of which only the size is known."""

    def __init__(self, count: int, size: int) -> None:
        self.present, self.bytes = range(count), size


class _Segments(Sequence[Segment]):
    """The segments of a run, each built when it is asked for; hyperparameters of those that `read` has read."""

    def __init__(
        self, bulk: BulkReader, opened: list[Any], owner: list[int], counts: dict[int, tuple[int, int]]
    ) -> None:
        self._bulk, self._opened, self._owner, self._counts = bulk, opened, owner, counts
        self._details: dict[int, dict[str, Any]] = {}

    def __len__(self) -> int:
        return len(self._opened)

    def parent(self, number: int) -> int | None:
        """Return from whose checkpoint a segment began."""
        parent = self._opened[number][3]
        if parent is not None and not (type(parent) is int and 0 <= parent < number):
            raise self._bulk.damaged("a segment comes before its parent")
        return parent

    def start(self, number: int) -> int:
        """Return the iteration that a segment began from."""
        return int(self._opened[number][5])

    def last(self, number: int) -> int:
        """Return the last iteration that a segment has reported."""
        return max(self.start(number), self._counts.get(number, (0, 0))[0])

    def chain(self, number: int) -> list[int]:
        """Return the segments of a lineage."""
        found, at = [], number if number >= 0 else None
        while at is not None:
            found.append(at)
            at = self.parent(at)
        return found

    def read(self, numbers: list[int]) -> None:
        """Read the hyperparameters of segments."""
        aside = Aside()
        for seq, event in self._bulk.at([self._opened[number][0] for number in numbers]):
            try:
                hparams, info = aside.restored(event["hparams"]), event.get("info") or {}
                if type(hparams) is not dict or type(info) is not dict:
                    raise ValueError("hyperparameters are no dict")
                self._details[event["segment"]] = {"hparams": hparams, "info": info}
            except (KeyError, TypeError, ValueError, RecursionError) as error:
                raise self._bulk.damaged(f"event {seq} of it is none ({error!r:.80})") from error

    @overload
    def __getitem__(self, number: SupportsIndex) -> Segment: ...
    @overload
    def __getitem__(self, number: slice) -> list[Segment]: ...
    def __getitem__(self, number: Any) -> Any:
        if isinstance(number, slice):
            return [self[at] for at in range(*number.indices(len(self)))]
        parent, start, last = self.parent(number), self.start(number), self.last(number)
        details = self._details.get(number, {"hparams": {}, "info": {}})
        return Segment(number, self._owner[number], parent, start, details["hparams"], details["info"], last)

    def __iter__(self) -> Iterator[Segment]:
        return (self[number] for number in range(len(self)))


def _spent(bulk: BulkReader, few: list[Any], owner: list[int], upto: int) -> float:
    """Return the seconds of training so far, by the reports' clock: those since each time that the run was taken up."""
    own = next((number for number, member in enumerate(owner) if member != FOREBEAR), 0)
    turns = [0, *(seq for seq, kind, _ in few if kind == "Resumed"), upto]
    return sum(bulk.span(after, before, own) for after, before in itertools.pairwise(turns))
