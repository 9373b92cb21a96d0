"""Points with several objectives: which are better than which, how spread out they lie, how much room they dominate.

Everywhere larger is better, in every objective. One point dominates another if it is nowhere worse and somewhere
better. A point that holds NaN is dominated by all that hold none.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Points = Sequence[Sequence[float]] | npt.NDArray[np.float64]


def ranks(points: Points) -> npt.NDArray[np.int64]:
    """Return by point the number of its front: 0 where nothing dominates it, 1 where only points of front 0 do, …

    Those with NaN share the last front. Takes n log n steps for two objectives, and about n² for more.

    >>> ranks([(1.0, 3.0), (2.0, 2.0), (1.0, 1.0), (float("nan"), 9.0)]).tolist()
    [0, 0, 1, 2]
    """
    import numpy as np

    array = _array(points)
    found = np.zeros(len(array), dtype=np.int64)
    known = np.flatnonzero(~np.isnan(array).any(axis=1))
    if len(known):
        # The best of the first objective comes first, of equals the best of the second …: nobody is dominated by one
        # that comes later.
        order = known[np.lexsort(-array[known].T[::-1])]
        in_order = array[order]
        found[order] = _swept(in_order) if array.shape[1] <= 2 else _peeled(in_order)
    found[np.isnan(array).any(axis=1)] = found[known].max() + 1 if len(known) else 0
    return found


def _swept(points: npt.NDArray[np.float64]) -> list[int]:
    """Return the ranks of points in order, of at most two objectives (Jensen 2003: a sweep along the first one)."""
    highest: list[float] = []  # by front, minus the best second objective so far: it grows from front to front
    found: list[int] = []
    before: list[float] | None = None
    for point in points.tolist():
        if point != before:
            low = -point[1] if len(point) > 1 else 0.0
            front = bisect_right(highest, low)
            highest[front : front + 1] = [low]
            before = point
        found.append(front)
    return found


def _peeled(points: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Return the ranks of points in order: front by front, each point in it takes out those that it dominates."""
    import numpy as np

    found = np.zeros(len(points), dtype=np.int64)
    left, number = np.arange(len(points)), 0
    while len(left):
        rows, beaten, at = points[left], [left[:0]], 0
        while at < len(left):  # what has come so far is of this front, for none of those before it dominates it
            after = rows[at + 1 :]
            worse = (after <= rows[at]).all(axis=1) & (after != rows[at]).any(axis=1)
            if worse.any():
                stays = np.concatenate([np.ones(at + 1, dtype=bool), ~worse])
                beaten.append(left[~stays])
                rows, left = rows[stays], left[stays]
            at += 1
        found[left] = number
        left, number = np.sort(np.concatenate(beaten)), number + 1
    return found


def front(points: Points) -> list[int]:
    """Return which points nothing dominates; none that holds NaN.

    >>> front([(1.0, 3.0), (2.0, 2.0), (1.0, 1.0)])
    [0, 1]
    """
    import numpy as np

    array = _array(points)
    return np.flatnonzero((ranks(array) == 0) & ~np.isnan(array).any(axis=1)).tolist()


def scattered(points: Points, size: int) -> list[int]:
    """Return which ``size`` points to take for them to lie far apart, in the order in which they were chosen.

    The best of the first objective is first, then always the one that is farthest from its nearest chosen one. The
    objectives count alike: each is scaled by its range over ``points``. Of equals the first is taken.

    Source: the greedy scattered subset of Dushatskiy et al. (2023), "Multi-Objective Population Based Training"
    (there after Rodrigues et al., 2014); farthest-first traversal by Gonzalez (1985).

    >>> scattered([(0.0, 9.0), (1.0, 8.0), (5.0, 4.0), (9.0, 0.0)], 3)
    [3, 0, 2]
    """
    import numpy as np

    array = _array(points)
    size = min(size, len(array))
    if size <= 0:
        return []
    finite = np.where(np.isfinite(array), array, np.nan)
    known = ~np.isnan(finite).all(axis=0)
    low, high = np.zeros(array.shape[1]), np.zeros(array.shape[1])
    low[known], high[known] = np.nanmin(finite[:, known], axis=0), np.nanmax(finite[:, known], axis=0)
    # Halved, for the difference of two large numbers may be beyond all of them; what is infinite lies at the end.
    width = high / 2 - low / 2
    placed = np.clip(np.where(np.isnan(array), -np.inf, array), low, high) / 2 - low / 2
    scaled = np.ascontiguousarray((placed / np.where(width > 0, width, 1.0)).T)
    first = int(np.argmax(np.where(np.isnan(array[:, 0]), -np.inf, array[:, 0])))
    chosen, far = [first], ((scaled - scaled[:, [first]]) ** 2).sum(axis=0)
    far[first] = -1.0
    while len(chosen) < size:
        at = int(np.argmax(far))
        chosen.append(at)
        far = np.minimum(far, ((scaled - scaled[:, [at]]) ** 2).sum(axis=0))
        far[at] = -1.0
    return chosen


def selected(points: Points, size: int, known: npt.NDArray[np.int64] | None = None) -> list[int]:
    """Return the best ``size`` points: front by front, and of a front that is too large a scattered subset.

    ``known`` are their `ranks`, if they have been found already. A smaller selection is the beginning of a larger one
    as sets go: ``selected(points, 3)`` is in ``selected(points, 4)``.

    >>> selected([(1.0, 3.0), (2.0, 2.0), (3.0, 1.0), (1.0, 1.0)], 2)
    [2, 0]
    """
    import numpy as np

    array = _array(points)
    found = ranks(array) if known is None else known
    taken: list[int] = []
    for number in range(int(found.max()) + 1 if len(found) else 0):
        if len(taken) >= size:
            break
        inside = np.flatnonzero(found == number)
        room = size - len(taken)
        taken += inside.tolist() if len(inside) <= room else inside[scattered(array[inside], room)].tolist()
    return taken


def hypervolume(points: Points, reference: Sequence[float]) -> float:
    """Return the volume of all that lies between ``reference`` and some point, each of which counts once: exactly.

    Points that are not above the reference in every objective, or hold NaN, add nothing. For two objectives it is one
    sort; beyond four, hundreds of points on the front take long, for exact volumes are exponential in the objectives.

    >>> hypervolume([(1.0, 3.0), (2.0, 2.0), (1.0, 1.0)], (0.0, 0.0))
    5.0

    Source: While, Bradstreet and Barone (2012), "A Fast Way of Calculating Exact Hypervolumes" (WFG).
    """
    import numpy as np

    with np.errstate(over="ignore", invalid="ignore"):  # what is beyond all floats is infinite
        array = _array(points) - _array([reference])
        return _volume(_lean(array[(array > 0).all(axis=1)]))


def _volume(points: npt.NDArray[np.float64]) -> float:
    """Return the volume above zero of distinct positive points that do not dominate each other."""
    import numpy as np

    if not len(points):
        return 0.0
    if points.shape[1] == 1:
        return float(points.max())
    points = points[np.argsort(points[:, -1], kind="stable")]
    if points.shape[1] == 2:
        return float((np.diff(points[:, 1], prepend=0.0) * points[:, 0]).sum())
    # What a point alone dominates of what those after it do not: they reach beyond it in the last objective, so that
    # it is as high as the point itself and has one objective less.
    return sum(
        float(point[-1]) * (float(point[:-1].prod()) - _volume(_lean(np.minimum(points[at + 1 :, :-1], point[:-1]))))
        for at, point in enumerate(points)
    )


def _lean(points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the points that nothing dominates, equal ones once."""
    import numpy as np

    points = points[np.lexsort(-points.T[::-1])]
    if points.shape[1] == 2 and len(points):
        second = np.maximum.accumulate(points[:, 1])
        rises: npt.NDArray[np.bool_] = np.append(True, second[1:] > second[:-1])
        return points[rises]
    at = 0
    while at < len(points):
        left = (points > points[at]).any(axis=1)
        left[at] = True
        points = points[left]
        at += 1  # none before it left, or it would have gone itself
    return points


def _array(points: Any) -> npt.NDArray[np.float64]:
    import numpy as np

    array: npt.NDArray[np.float64] = np.asarray(points, dtype=np.float64)
    return array if array.ndim == 2 else array.reshape(len(array), 1)  # nobody at all
