"""The explore rule of PB2: try what a model of the past promises most of, sure or not."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ramet.domains import Categorical, Domain
from ramet.domains.values import same
from ramet.space import Path, get, with_values
from ramet.strategy.base import Scene
from ramet.strategy.explore import Config, customised
from ramet.strategy.gp import Array, Rows
from ramet.strategy.past import Past, has_all

if TYPE_CHECKING:
    from ramet.core.population import Point

_MISSING: Any = object()

PENDING = 32
"""So many of the configurations that are being tried are taken into account at most: those nearest in their score."""

DRAWN, NEARBY = 256, (0.1, 0.03, 0.01)
"""So many places are tried, and a quarter of that around the best one at each of these distances."""


@dataclass(frozen=True, slots=True)
class Bandit:
    """All numbers together go where mean + kappa * sd of a Gaussian process is highest; categories are drawn anew.

    The process is given, of each stretch of training, where the hyperparameters lay in their domains, the score at its
    beginning, and its time; it learns by how much the score rose. Without any stretch each key is drawn from its
    domain.

    Args:
        span: least length of a stretch on ``time_attr``; the interval of the decisions.
        window: how many of the newest stretches are learned from, at least 1.
        kappa: weight of what is not known, from 0; None for sqrt(0.2 log(0.4 n)) with n stretches.
        custom: function of the configuration that returns the one to use, as for `Mutation`.
        whole: keys whose number stays an integer where it is one.
    """

    span: float = 0.0
    window: int = 200
    kappa: float | None = None
    custom: Callable[[dict[str, Any]], dict[str, Any]] | None = None
    whole: frozenset[Path] = frozenset()
    mixed: ClassVar[bool] = False

    def __call__(self, scene: Scene, member: int, config: Config) -> tuple[Config, dict[str, Any]]:
        """Return the configuration to train with, and by changed key what was done to it (from, to)."""
        return Batch(self, scene, {})(scene, member, config)

    def category(self, domain: Categorical, rng: np.random.Generator, path: Path, past: Past) -> Any:
        """Return the category to try."""
        del path, past
        return domain.sample(rng)

    def weight(self, rows: int) -> float:
        """Return kappa for so many rows; never less than for seven, or two rows would be believed."""
        return math.sqrt(0.2 * math.log(max(0.4 * rows, math.e))) if self.kappa is None else self.kappa


class Batch:
    """One decision's explore rule: it learns the past once, and remembers what it has chosen for the others.

    Args:
        rule: what to do.
        scene: whose past it is.
        donors: by member that becomes a clone in this decision, its donor. What a clone leaves behind is not pending.
    """

    def __init__(self, rule: Bandit, scene: Scene, donors: Mapping[int, int]) -> None:
        self.rule, self.donors, self.past = rule, donors, Past(scene, rule.window, rule.span, mixed=rule.mixed)
        self.trying: dict[int, tuple[Point, Config]] = {
            member.number: (member.point, config)
            for member in scene.population.live
            if member.number not in donors and member.point is not None and math.isfinite(member.point.score)
            if has_all(config := scene.population.hparams(member.number), scene.space.mutable)
        }

    def __call__(self, scene: Scene, member: int, config: Config) -> tuple[Config, dict[str, Any]]:
        """Return the configuration to train with, and by changed key what was done to it (from, to)."""
        rule, mutable = self.rule, scene.space.mutable
        point = scene.points[self.donors[member]] if member in self.donors else _stands(scene, config)
        self.trying.pop(member, None)
        rngs = {path: scene.generator(member, "explore", *path) for path in mutable}
        values: dict[Path, Any] = {}
        for path, domain in mutable.items():
            if isinstance(domain, Categorical):
                values[path] = rule.category(domain, rngs[path], path, self.past)
            elif point is None or not self.past.size:
                values[path] = domain.sample(rngs[path])
        left = {path: domain for path, domain in self.past.numbers.items() if path not in values}
        if left and point is not None:
            places = self._best(point, with_values(config, values), rngs)
            values.update({path: left[path].decode(u) for path, u in zip(left, places, strict=True)})
        for path in rule.whole & values.keys():
            if type(get(config, path)) is int and mutable[path].contains(number := round(values[path])):
                values[path] = number
        explored: Config = with_values(config, values)
        if rule.custom is not None:
            explored = customised(rule.custom, scene, member, explored)
        if point is not None:
            self.trying[member] = (point, explored)
        changes = {path: [get(config, path), get(explored, path)] for path in mutable}
        return explored, {"/".join(path): both for path, both in changes.items() if not same(*both)}

    def _best(self, point: Point, config: Config, rngs: Mapping[Path, np.random.Generator]) -> list[float]:
        """Return the most promising places for the numbers of a model that stands at ``point``.

        Only what is compared depends on the last digits of sums, not the places themselves: these are as drawn.
        """
        past = self.past
        near = sorted(self.trying.items(), key=lambda item: (abs(item[1][0].score - point.score), item[0]))[:PENDING]
        process, kappa = past.process.expecting(past.rows([both for _, both in near])), self.rule.weight(past.size)
        base, snap = past.rows([(point, config)]), [_snap(domain) for domain in past.numbers.values()]

        def best(places: Array) -> Array:
            snapped = np.column_stack([to(column) for to, column in zip(snap, places.T, strict=True)])
            count = len(snapped)
            x = np.hstack([np.repeat(base.x[:, :1], count, axis=0), snapped])
            mean, sd = process.at(Rows(x, np.repeat(base.t, count), np.repeat(base.h, count, axis=0)))
            found: Array = places[np.argmax(mean + kappa * sd)]
            return found

        draws = [rngs[path] for path in past.numbers]
        place = best(np.column_stack([rng.random(DRAWN) for rng in draws]))
        for far in NEARBY:
            steps = np.column_stack([rng.normal(0.0, far, DRAWN // 4) for rng in draws])
            place = best(np.clip(np.vstack([place, place + steps]), 0.0, 1.0))
        return [float(u) for u in place]


def _snap(domain: Domain) -> Callable[[Array], Array]:
    """Return what brings places to those that the domain has a value at."""
    if all(abs(domain.encode(domain.decode(u)) - u) < 1e-6 for u in (0.1234, 0.3817, 0.6271, 0.8393)):
        return lambda places: places
    known: dict[tuple[type, Any], float] = {}

    def place(u: float) -> float:
        value = domain.decode(u)
        try:
            key = type(value), value
            if key not in known:
                known[key] = domain.encode(value)
            return known[key]
        except TypeError:  # a list, say, has no hash
            return domain.encode(value)

    return lambda places: np.array([place(u) for u in places.tolist()])


def _stands(scene: Scene, config: Config) -> Point | None:
    """Return the best point whose model was trained with the mutable values of ``config``, else the best of all."""
    points, keys = scene.points, list(scene.space.mutable)
    ranked = [points.at(rank) for rank in reversed(points.best(len(points)))]
    for member in ranked:
        if all(same(get(scene.hparams(member), path, _MISSING), get(config, path, None)) for path in keys):
            return points[member]
    return points[ranked[0]] if ranked else None
