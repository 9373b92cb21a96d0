"""What training under some hyperparameters brought, as rows of a run's history: the data that bandits learn from."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from heapq import merge
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from ramet.core.population import Point, Population, Segment

Array = np.ndarray[Any, np.dtype[Any]]


class Stretch(NamedTuple):
    """One member's training from one checkpointed report to another, under ``hparams``."""

    member: int
    hparams: Mapping[str, Any]
    begin: Point
    end: Point

    @property
    def span(self) -> float:
        """How long it was, on ``time_attr``; above 0."""
        return self.end.time - self.begin.time

    @property
    def rate(self) -> float:
        """What it brought: improvement of the score per unit of time."""
        return (self.end.score - self.begin.score) / self.span


def stretches(population: Population, limit: int, span: float = 0.0) -> list[Stretch]:
    """Return the newest stretches of all members, the oldest first, and of one time in the order of the members.

    Args:
        population: whose history is read; a clone's first stretch begins where its donor stood.
        limit: how many at most, above 0.
        span: the least length of a stretch; reports in between are passed over, so that checkpoints that are
            closer to each other than decisions are do not make more and noisier rows.

    Those whose scores are not finite are left out. Not all history is looked at, but the present segments of all
    members and the newest others, twice ``limit`` of them: a segment that was left lately, but opened longer ago than
    all these, is missed.
    """
    current = {member.segment for member in population.members if member.segment >= 0}
    closed = (segment for segment in reversed(population.segments) if segment.number not in current)
    segments = [*(population.segments[number] for number in current), *islice(closed, 2 * limit)]
    newest = merge(*(_backwards(segment, span) for segment in segments), key=_newest_first)
    return list(islice(newest, limit))[::-1]


def _newest_first(stretch: Stretch) -> tuple[float, int, int]:
    return (-stretch.end.time, -stretch.member, -stretch.end.segment)


def _backwards(segment: Segment, span: float) -> Iterator[Stretch]:
    """Yield the segment's stretches, the newest first; they do not overlap."""
    points = segment.points
    end, least = (points[-1] if points else None), span * (1 - 1e-9)
    for at in range(len(points) - 2, -2, -1):
        begin = points[at] if at >= 0 else segment.origin
        if end is None or begin is None or not (end.time > begin.time and end.time - begin.time >= least):
            continue
        stretch, end = Stretch(segment.member, segment.hparams, begin, end), begin
        if math.isfinite(begin.score) and math.isfinite(stretch.rate):
            yield stretch


class Scale(NamedTuple):
    """Brings values between 0 and 1, those that are far out to the ends.

    Far out are those further than three times the distance of the quartiles from them (the outer fences of Tukey
    1977): one score of a diverged member must not make all others look the same.

    >>> Scale.of([1.0, 2.0, 3.0, 4.0, -1e300]).at([-1e300, 1.0, 4.0]).round(2).tolist()
    [0.0, 0.67, 1.0]
    """

    size: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Scale:
        """Return the scale for ``values``, at least one, all finite."""
        size = max(map(abs, values)) or 1.0  # within [-1, 1] nothing overflows
        scaled = np.array([value / size for value in values])
        below, above = np.quantile(scaled, (0.25, 0.75))
        reach = 3 * (above - below) or 2.0
        return cls(size, float(max(scaled.min(), below - reach)), float(min(scaled.max(), above + reach)))

    def at(self, values: Sequence[float]) -> Array:
        """Return the places of ``values``; all 0.5 where there is no distance between the ends."""
        if not self.high > self.low:
            return np.full(len(values), 0.5)
        scaled = np.clip(np.array([value / self.size for value in values]), self.low, self.high)
        places: Array = (scaled - self.low) / (self.high - self.low)
        return places


def standardised(values: Sequence[float]) -> Array:
    """Return ``values`` (at least one, all finite) with mean 0 and variance 1, clipped to [-2, 2]; 0 if all alike.

    >>> standardised([3.0, 5.0, 7.0]).round(3).tolist()
    [-1.225, 0.0, 1.225]
    """
    places = Scale.of(values).at(values)
    centred = places - places.mean()
    spread = centred.std()
    clipped: Array = np.clip(centred / spread, -2.0, 2.0) if spread > 1e-12 else np.zeros(len(places))
    return clipped
