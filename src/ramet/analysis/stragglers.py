"""Who is slow, what that cost the others, and whether it is the member or the slot."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ramet.analysis.waits import Round, Waits

SLOW = 0.8
"""Slow is who makes at most this share of the median's reports in a second of work."""


_SAME = ["work", "reports", "rate", "relative"]
COLUMNS = {
    "member": ["member", "rounds", "last", "cost", "waited", "queued", *_SAME, "slot", "cause"],
    "slot": ["slot", "last", "cost", *_SAME, "member", "cause"],
    "round": ["round", *Round._fields],
}
"""What there is a table by, and its columns."""


class Causes:
    """Tells members that are slow from slots that are, by how fast each member was on each of its slots.

    Slow is at most `SLOW` of the median of all members on all their slots. Of several rates their median counts.

    Args:
        pairs: by member and slot, the reports, and the seconds of work on them.

    >>> fast, slow = (20, 10.0), (8, 10.0)
    >>> causes = Causes({(0, 0): fast, (1, 0): fast, (0, 1): slow, (1, 1): slow, (2, 0): fast})
    >>> causes.cause(0, 1), causes.cause(0, 0)
    ('slot', '')
    """

    def __init__(self, pairs: Mapping[tuple[int, int], Sequence[float]]) -> None:
        self._of = {pair: rate(*told) for pair, told in pairs.items() if told[0] > 0 and told[1] > 0}
        self._slow = SLOW * median(self._of.values())
        self._members: dict[int, list[float]] = defaultdict(list)
        self._slots: dict[int, list[float]] = defaultdict(list)
        for (member, slot), each in sorted(self._of.items(), key=lambda told: told[1]):
            self._members[member].append(each)
            self._slots[slot].append(each)

    def cause(self, member: int, slot: int) -> str:
        """Return why ``member`` is slow on ``slot``, by how others are there, and by how it is elsewhere.

        * ``"slot"``: the others are slow there too; or nobody else was there, and elsewhere it is not slow.
        * ``"member"``: it is slow elsewhere too; or it was nowhere else, and the others are not slow there.
        * ``"both"``: the others are slow there, and it is elsewhere.
        * ``"either"``: nobody else was there, and it was nowhere else: that cannot be told.
        * ``""``: it is not slow there, or neither is it slow elsewhere nor are others there.
        """
        own = self._of.get((member, slot), math.nan)
        if not own <= self._slow:
            return ""
        there = self._others_are_slow(self._slots[slot], own)
        elsewhere = self._others_are_slow(self._members[member], own)
        if there is None and elsewhere is None:
            return "either"
        if there:
            return "both" if elsewhere else "slot"
        if there is None:
            return "member" if elsewhere else "slot"
        return "" if elsewhere is False else "member"

    def is_slow(self, slot: int) -> bool:
        """Whether several members were on ``slot``, and the median of them was slow there."""
        rates = self._slots[slot]
        return len(rates) > 1 and median(rates) <= self._slow

    def _others_are_slow(self, rates: Sequence[float], own: float) -> bool | None:
        """Whether the median of the sorted ``rates`` without ``own`` is slow; None where nothing is left."""
        left = len(rates) - 1
        if not left:
            return None
        at, low, high = bisect_left(rates, own), (left - 1) // 2, left // 2
        return (rates[low + (low >= at)] + rates[high + (high >= at)]) / 2 <= self._slow


class Blame(NamedTuple):
    """What ``rounds`` rounds waited for, ``seconds`` in all: a `Causes.cause`, and which member or slot that is.

    ``slot`` is one that it was seen on; ``number`` is -1 where no member and no slot is slow.
    """

    cause: str
    number: int
    slot: int
    rounds: int
    seconds: float


def blamed(waits: Waits) -> list[Blame]:
    """Return what the rounds waited for, the dearest first."""
    causes, found = Causes(waits.pairs), dict[tuple[str, int], list[Any]]()
    for (member, slot), (rounds, seconds) in waits.costs.items():
        cause = causes.cause(member, slot)
        number = slot if cause == "slot" else member if cause else -1
        told = found.setdefault((cause, number), [slot, 0, 0.0])
        told[1] += rounds
        told[2] += seconds
    return sorted((Blame(*key, *told) for key, told in found.items()), key=lambda blame: -blame.seconds)


def table(waits: Waits, by: str) -> list[dict[str, Any]]:
    """Return a row for each ``"member"``, ``"slot"`` or ``"round"``, with the columns of `ramet.analysis.run.Run`."""
    if by == "round":
        return [{"round": number, **each._asdict()} for number, each in enumerate(waits.rounds)]
    causes, found = Causes(waits.pairs), _sums(waits, by)
    usual = median(told.rate for told in found.values() if told.work > 0)
    rows = []
    for number, told in sorted(found.items()):
        row: dict[str, Any] = {by: number, "last": told.last, "cost": told.cost}
        if by == "member":
            row |= {"rounds": waits.joined[number], "waited": waits.waited[number], "queued": waits.queued[number]}
        row |= {"work": told.work, "reports": told.reports, "rate": told.rate, "relative": told.rate / usual}
        row |= dict(zip(("member", "slot"), told.most, strict=True)) | {by: number, "cause": causes.cause(*told.most)}
        rows.append(row)
    return rows


class _Sum:
    """What one member did on all its slots, or one slot with all its members; ``most`` is the pair that cost most."""

    def __init__(self) -> None:
        self.last, self.cost, self.reports, self.work = 0, 0.0, 0, 0.0
        self.dearest, self.most = 0.0, (-1, -1)

    @property
    def rate(self) -> float:
        return rate(self.reports, self.work)


def _sums(waits: Waits, by: str) -> dict[int, _Sum]:
    found: dict[int, _Sum] = defaultdict(_Sum)
    for pair, (reports, work) in waits.pairs.items():
        told = found[pair[by == "slot"]]
        last, cost = waits.costs.get(pair, (0, 0.0))
        told.last, told.cost = told.last + int(last), told.cost + cost
        told.reports, told.work = told.reports + int(reports), told.work + work
        if cost > told.dearest:
            told.dearest, told.most = cost, pair
    return dict(found)


def median(values: Iterable[float]) -> float:
    """Return the median; NaN of none. The standard library's comes with all of its module, which is slow to load."""
    ordered = sorted(values)
    half = len(ordered) // 2
    return (ordered[half] + ordered[~half]) / 2 if ordered else math.nan


def rate(reports: float, seconds: float) -> float:
    """Return reports a second; NaN where there was no time."""
    return reports / seconds if seconds > 0 else math.nan
