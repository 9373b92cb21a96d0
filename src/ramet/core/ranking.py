"""Who stands where, and who is better: kept in order, so that a decision need not look at everybody."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator, Mapping
from operator import itemgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ramet.core.population import Point


class Ranking(Mapping[int, "Point"]):
    """By member, the point that it is compared at; read like a dict, in the order of the members' numbers.

    Ranks go from the worst, 0, to the best. NaN is worst, and ties stand by number, so that ranks never depend on who
    arrived first.

    Attributes:
        known: the same as a plain dict in no order, for whoever looks at thousands.

    >>> from ramet.core.population import Point
    >>> ranking = Ranking({number: Point(number, 5, 5.0, score, 0.0, 0.0) for number, score in [(0, 2.0), (1, 1.0)]})
    >>> list(ranking), ranking.rank(0), [ranking.at(rank) for rank in ranking.best(2, above=1.0)]
    ([0, 1], 1, [0])
    """

    __slots__ = ("_keys", "_order", "known")

    def __init__(self, points: Mapping[int, Point] | None = None) -> None:
        self.known = dict(points or {})
        self._keys = _keys(self.known)
        self._order = _ordered(self._keys)

    def place(self, member: int, point: Point | None) -> None:
        """Let ``member`` stand at ``point``, or nowhere."""
        if self.known.get(member) is point:
            return
        before = self._keys.pop(member, None)
        if before is not None:
            del self._order[bisect_left(self._order, before)]
        if point is None:
            self.known.pop(member, None)
        else:
            self.known[member] = point
            self._keys |= _keys({member: point})
            insort(self._order, self._keys[member])

    def place_all(self, points: Mapping[int, Point | None]) -> None:
        """Let each of these members stand at its point, or nowhere; where they are many, all are put in order anew."""
        known = self.known
        if len(points) * FEW < len(known):
            for member, point in points.items():
                if known.get(member) is not point:
                    self.place(member, point)
            return
        for member in [member for member, point in points.items() if point is None and member in known]:
            self.place(member, None)
        standing = {member: point for member, point in points.items() if point is not None}
        known.update(standing)
        self._keys.update(_keys(standing))
        self._order = _ordered(self._keys)

    def among(self, members: Iterable[int]) -> Ranking:
        """Return the ranking of those of ``members`` that stand somewhere."""
        known, keys, found = self.known, self._keys, Ranking()
        found.known = {member: known[member] for member in members if member in known}
        found._keys = inside = {member: keys[member] for member in found.known}
        if len(inside) * 3 < len(known):  # sorting one costs as much as passing over three
            found._order = _ordered(inside)
        else:
            found._order = [key for key in self._order if key[2] in inside]
        return found

    # ------------------------------------------------------------------ as a mapping

    def __getitem__(self, member: int) -> Point:
        return self.known[member]

    def __iter__(self) -> Iterator[int]:
        return iter(sorted(self.known))

    def __len__(self) -> int:
        return len(self.known)

    # ------------------------------------------------------------------ in order

    def rank(self, member: int) -> int:
        """How many stand below ``member``."""
        return bisect_left(self._order, self._keys[member])

    def best(self, size: int, *, above: float = math.nan) -> range:
        """The ranks of those among the ``size`` best whose scores are strictly better than ``above``; NaN never is."""
        order = self._order
        worse = bisect_left(order, _KNOWN) if math.isnan(above) else bisect_right(order, (1, above, math.inf))
        return range(max(worse, len(order) - size), len(order))

    def lowest(self, size: int, members: Iterable[int]) -> list[int]:
        """Those of ``members`` that are among the ``size`` worst of all, or whose scores are NaN."""
        keys, order = self._keys, self._order
        if size >= len(order):
            return list(members)
        bound = max(order[size], _KNOWN)
        return [member for member in members if keys[member] < bound]

    def at(self, rank: int) -> int:
        """The member at that rank."""
        member: int = self._order[rank][2]
        return member

    def all_at(self, ranks: Iterable[int]) -> list[int]:
        """The members at these ranks."""
        order = self._order
        return [order[rank][2] for rank in ranks]

    def in_order(self) -> list[int]:
        """All members, the worst first."""
        return [member for _, _, member in self._order]

    def scores(self) -> list[float]:
        """All scores that are not NaN, the worst first."""
        return [score for _, score, _ in self._order[bisect_left(self._order, _KNOWN) :]]


FEW = 8
"""So many times fewer members than all are put in their places one by one; from there on sorting costs less."""

_Key = tuple[int, float, Any]

_KNOWN: _Key = (1, -math.inf, -1)
"""Sorts after all that is NaN and before all that is not."""


def _keys(points: Mapping[int, Point]) -> dict[int, _Key]:
    return {
        member: (0, 0.0, member) if math.isnan(score := point.score) else (1, score, member)
        for member, point in points.items()
    }


def _ordered(keys: Mapping[int, _Key]) -> list[_Key]:
    """Return the keys in order: as plain sorting would, but comparing numbers alone, which takes a third."""
    order = [keys[member] for member in sorted(keys)]
    order.sort(key=itemgetter(1))
    order.sort(key=itemgetter(0))
    return order
