"""Who stands where, and who is better: kept in order, so that a decision need not look at everybody."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ramet.core.population import Point


class Ranking(Mapping[int, "Point"]):
    """By member, the point that it is compared at; read like a dict, in the order of the members' numbers.

    Ranks go from the worst, 0, to the best. NaN is worst, and ties stand by number, so that ranks never depend on who
    arrived first.

    >>> from ramet.core.population import Point
    >>> ranking = Ranking({number: Point(number, 5, 5.0, score, 0.0, 0.0) for number, score in [(0, 2.0), (1, 1.0)]})
    >>> list(ranking), ranking.rank(0), [ranking.at(rank) for rank in ranking.best(2, above=1.0)]
    ([0, 1], 1, [0])
    """

    __slots__ = ("_order", "_points")

    def __init__(self, points: Mapping[int, Point] | None = None) -> None:
        self._points = dict(points or {})
        self._order = sorted(_key(member, point) for member, point in self._points.items())

    def place(self, member: int, point: Point | None) -> None:
        """Let ``member`` stand at ``point``, or nowhere."""
        before = self._points.get(member)
        if before is point:
            return
        if before is not None:
            del self._order[bisect_left(self._order, _key(member, before))]
        if point is None:
            del self._points[member]
        else:
            self._points[member] = point
            insort(self._order, _key(member, point))

    # ------------------------------------------------------------------ as a mapping

    def __getitem__(self, member: int) -> Point:
        return self._points[member]

    def __iter__(self) -> Iterator[int]:
        return iter(sorted(self._points))

    def __len__(self) -> int:
        return len(self._points)

    # ------------------------------------------------------------------ in order

    def rank(self, member: int) -> int:
        """How many stand below ``member``."""
        return bisect_left(self._order, _key(member, self._points[member]))

    def best(self, size: int, *, above: float = math.nan) -> range:
        """The ranks of those among the ``size`` best whose scores are strictly better than ``above``; NaN never is."""
        order = self._order
        worse = bisect_left(order, _KNOWN) if math.isnan(above) else bisect_right(order, (1, above, math.inf))
        return range(max(worse, len(order) - size), len(order))

    def at(self, rank: int) -> int:
        """The member at that rank."""
        return int(self._order[rank][2])


_KNOWN = (1, -math.inf, -1.0)
"""Sorts after all that is NaN and before all that is not."""


def _key(member: int, point: Point) -> tuple[int, float, float]:
    return (0, 0.0, member) if math.isnan(point.score) else (1, point.score, member)
