"""What there is to learn from in a population's history, and the model of it that bandits decide by."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from ramet.domains import Categorical
from ramet.space import Path, get
from ramet.strategy.base import Scene
from ramet.strategy.explore import Config
from ramet.strategy.gp import Process, Rows, likeliest
from ramet.strategy.improvements import Scale, standardised, stretches

if TYPE_CHECKING:
    from ramet.core.population import Point

_MISSING: Any = object()


class Past:
    """The newest stretches of training in a scene, and the process that explains what they brought.

    Args:
        scene: whose history it is.
        window: how many of the newest stretches are looked at, above 0.
        span: the least length of a stretch.
        mixed: whether the process is told of categories, or only of numbers.

    Columns are in the order of the keys' names, so that it does not matter how they were given.
    """

    def __init__(self, scene: Scene, window: int, span: float, *, mixed: bool) -> None:
        keys = sorted(scene.space.mutable.items())
        self.numbers = {path: domain for path, domain in keys if not isinstance(domain, Categorical)}
        self.listed = {path: domain for path, domain in keys if isinstance(domain, Categorical) and mixed}
        found = stretches(scene.population, window, span)
        self.found = [row for row in found if has_all(row.hparams, scene.space.mutable)]
        self.size = len(self.found)
        if not self.found:
            return
        self._unit = sorted(row.span for row in self.found)[self.size // 2]
        self._now = self.found[-1].end.time
        self._scores = Scale.of([row.begin.score for row in self.found])
        self.gains = standardised([row.rate for row in self.found])
        rows = self.rows([(row.begin, row.hparams) for row in self.found])
        self.process = Process(likeliest(rows, self.gains), rows, self.gains)

    def rows(self, tried: list[tuple[Point, Config]]) -> Rows:
        """Return what was tried, and from where, as rows of the process."""
        columns, count = {**self.numbers, **self.listed}, len(self.numbers)
        different = {id(config): config for _, config in tried}  # a segment's stretches share one
        places = {
            name: [domain.encode(get(config, path)) for path, domain in columns.items()]
            for name, config in different.items()
        }
        scores = self._scores.at([point.score for point, _ in tried])
        x = np.array([places[id(config)] for _, config in tried]).reshape(len(tried), len(columns))
        t = np.array([self.when(point) for point, _ in tried])
        return Rows(np.column_stack([scores, x[:, :count]]), t, x[:, count:])

    def when(self, point: Point) -> float:
        """Return the time of a point in stretches, before (or after) the newest one's end."""
        return min(max((point.time - self._now) / self._unit, -1e6), 1e6)

    def rounds(self, path: Path, domain: Categorical) -> list[list[tuple[int, float]]]:
        """Return the stretches that ended about the same time together: number of the category, gain in [0, 1]."""
        rounds: dict[int, list[tuple[int, float]]] = {}
        for row, gain in zip(self.found, self.gains, strict=True):
            arm = round(domain.encode(get(row.hparams, path)) * (len(domain.categories) - 1))
            rounds.setdefault(round(self.when(row.end)), []).append((arm, float(gain + 2) / 4))
        return [rounds[number] for number in sorted(rounds)]


def has_all(config: Config, paths: Iterable[Path]) -> bool:
    """Return whether ``config`` has a value at all ``paths``; one from before a key was added has not."""
    return all(get(config, path, _MISSING) is not _MISSING for path in paths)
