"""Population based training without anybody in charge: each compares itself with others at its own experience."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from ramet.core.population import Point
from ramet.domains import Domain
from ramet.errors import ConfigError
from ramet.space import Space
from ramet.strategy.arguments import number, paths
from ramet.strategy.base import Decision, Scene
from ramet.strategy.composition import Composition
from ramet.strategy.constraints import Constraint, checked, explore_of
from ramet.strategy.exploit import Exploit
from ramet.strategy.explore import Mutation
from ramet.strategy.rules import Either, Keep, OneMinus, Resample, Rule, Scale, check_probability
from ramet.strategy.spread import GapThreshold


class DexPBT(Composition):
    """Each by itself: the worst take over one of the best if the gap is beyond doubt, else they mutate themselves.

    Every ``perturbation_interval`` a member compares its score with those of the others when they had at most its own
    experience: nobody is beaten for being younger, and workers of any speed go together. It is among the worst eighth,
    or goes on untouched. Else it draws one of the best 30 %. If that is ahead by more than half a standard deviation
    and by more than 5 %, it takes over its weights, and with equal chance its hyperparameters or keeps its own; if
    not, it keeps weights and hyperparameters. Whatever it has then is mutated, each key with a small probability.

    Args:
        hyperparam_mutations: key -> domain, list, function, or a dict of these; as in `PopulationBasedTraining`.
        one_minus: keys that are a discount or a decay, as 0.99: mutated is their distance from 1.
        time_attr: the metric that experience is counted by, which you report; by default the steps that were taken in
            the environment.
        metric, mode: what is scored, and whether "max" or "min" is good; here or in `TuneConfig`.
        perturbation_interval: distance of decisions on ``time_attr``, above 0; the default is for environment steps.
        burn_in_period: no decision before this time; by default two intervals, for members to become different.
        exploit: who clones whom, among those of the same experience; `GapThreshold` has the shares and thresholds.
        mutation_probability: chance in [0, 1] that a key is mutated. Categories, which have no neighbours, are then
            drawn anew.
        scale: (low, high), factors above 1: a number is multiplied or divided by one that is drawn between them.
        one_minus_scale: the same for the keys of ``one_minus``.
        synch: decide when all live members are ready. Made to be False.
        private: keys that never travel from donor to clone.
        constraints: functions of the configuration that must be true; as in `PopulationBasedTraining`.

    What others had at one's own experience is a checkpoint that must still be there: give
    ``CheckpointConfig(num_to_keep=…)`` room for as many decisions as members are apart, or all are kept by default.

    Raises:
        ConfigError: an argument is out of its range, or there is nothing to mutate.

    >>> from ramet import loguniform, uniform
    >>> scheduler = DexPBT(
    ...     {"lr": loguniform(1e-5, 1e-2), "gamma": uniform(0.9, 0.9999)},
    ...     one_minus=["gamma"],
    ...     perturbation_interval=1e6,
    ... )
    >>> scheduler.burn_in
    2000000.0

    Source: Petrenko, Allshire, State, Handa and Makoviychuk (2023), "DexPBT: Scaling up Dexterous Manipulation for
    Hand-Arm Systems with Population Based Training", RSS, arXiv 2305.12127; numbers are those of the paper and its
    code. Differs from the paper in what a factor does in log domains and narrow ones (see `PopulationBasedTraining`);
    in that others are looked for along the lineage of the models that they hold, so that weights which were given up
    are not; in that others stand at their last decisions at the latest; and in that a mutation stays in its domain.
    """

    def __init__(
        self,
        hyperparam_mutations: Mapping[str, Any],
        one_minus: Sequence[str] = (),
        time_attr: str = "timesteps_total",
        metric: str | None = None,
        mode: str | None = None,
        perturbation_interval: float = 10_000_000.0,
        burn_in_period: float | None = None,
        exploit: Exploit | None = None,
        mutation_probability: float = 0.15,
        scale: tuple[float, float] = (1.1, 1.5),
        one_minus_scale: tuple[float, float] = (1.1, 1.2),
        synch: bool = False,
        private: Sequence[str] = (),
        constraints: Sequence[Constraint] = (),
    ) -> None:
        super().__init__(time_attr, metric, mode, synch)
        who = type(self).__name__
        if not isinstance(hyperparam_mutations, Mapping) or not hyperparam_mutations:
            raise ConfigError(
                f"{who}(hyperparam_mutations={hyperparam_mutations!r}) must be a dict from key to domain, list, "
                "function or dict of these: it says what may change"
            )
        self.mutations = dict(hyperparam_mutations)
        space = Space(None, self.mutations)
        self.interval = number(f"{who}(perturbation_interval=…)", perturbation_interval, above=0.0)
        default = min(2 * self.interval, 1e300) if burn_in_period is None else burn_in_period
        self.burn_in = number(f"{who}(burn_in_period=…)", default, above=None)
        if exploit is not None and not callable(exploit):
            raise ConfigError(f"{who}(exploit={exploit!r}) is no exploit rule: give one such as GapThreshold()")
        self.exploit = GapThreshold() if exploit is None else exploit
        check_probability("mutation_probability", mutation_probability)
        discounts = paths("one_minus", one_minus)
        for path in discounts:
            if path not in space.mutable or space.mutable[path].type is not float:
                raise ConfigError(
                    f"{who}(one_minus=[{'/'.join(path)!r}]) must be a key of hyperparam_mutations whose values are "
                    "floats, such as uniform(0.9, 0.9999)"
                )
        by, near_one = (
            _scale(f"{who}({name}=…)", given)
            for name, given in (("scale", scale), ("one_minus_scale", one_minus_scale))
        )
        rules = {
            "/".join(path): Either(mutation_probability, _rule(domain, by, path in discounts, near_one), Keep())
            for path, domain in space.mutable.items()
        }
        self.constraints = checked(constraints)
        self.explore = explore_of(rules, Mutation(), self.constraints, space)
        self.private = paths("private", private)

    def decide(self, scene: Scene) -> list[Decision]:
        """Return a decision for each ready member, as it sees the others at its own experience."""
        decide = super().decide
        return [decision for member in scene.ready for decision in decide(as_seen(scene, member))]


def as_seen(scene: Scene, member: int) -> Scene:
    """Return the scene as ``member`` sees it: alone ready, and all others where they stood at most at its own time."""
    own = scene.points[member]
    found = {member: own}
    for other, point in scene.points.items():
        if other != member and (then := _at(scene, other, point, own.time)) is not None:
            found[other] = then
    return replace(scene.among(found, found), ready=[member])


def _at(scene: Scene, member: int, point: Point, time: float) -> Point | None:
    """Return where ``member``'s model stood at ``time`` at the latest, if it was its own then and can be cloned."""
    population = scene.population
    for earlier in population.trail(point):
        if earlier.time <= time and earlier.checkpoint in population.present:
            # Before it was cloned it was another's, which stands there by itself: nobody counts twice.
            return earlier if population.segments[earlier.segment].member == member else None
    return None


def _rule(domain: Domain, by: Scale, discount: bool, near_one: Scale) -> Rule:
    if discount:
        return OneMinus(near_one)
    return by if domain.moves else Resample()


def _scale(name: str, given: Any) -> Scale:
    try:
        low, high = map(float, given)
        return Scale(low, high)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{name.replace('…', repr(given))} must be (low, high) with 1 < low <= high") from error
