"""Faster improvement rate PBT: part of the population is judged by how fast its models could learn."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ramet.core.scene import Decision, Scene
from ramet.errors import ConfigError
from ramet.space import Space
from ramet.strategy.arguments import number
from ramet.strategy.constraints import Constraint
from ramet.strategy.curves import best_score_diff
from ramet.strategy.evaluations import (
    EVALUATOR,
    FEWEST,
    GREEDY,
    STEEP,
    Evaluation,
    having,
    longest_waiting,
    model_of,
    running,
)
from ramet.strategy.exploit import Choice, Exploit
from ramet.strategy.explore import Explore
from ramet.strategy.pbt import PopulationBasedTraining
from ramet.strategy.rules import Rule


class FirePBT(PopulationBasedTraining):
    """Population based training that what pays at once leads less astray: evaluators look for models that learn fast.

    The population has three parts. The greedy members do ordinary population based training on the score. The steep
    ones do it too, but are judged by how fast their models improve under good hyperparameters, and find out what pays
    later. Who is how fast, the evaluators find out: each takes the weights of a steep member, of those that are not
    evaluated the one that has waited longest, and the hyperparameters of the best greedy member, and trains. A steep
    member's fitness is by how much its evaluator gets higher than the other evaluators do, each pair compared from
    where both are equally high. An evaluator whose curve is beyond doubt better than that of the greedy member whose
    hyperparameters it has, from where both are equally high, overwrites that one's weights with its own.

    An evaluation ends with that, or when its steep or its greedy member is replaced; or when after ``max_eval`` the
    curves are nowhere equally high; or when the sign test on them gives more than 0.01 + max(0, 1 - T / max_eval)
    after time T. Member m is, by m % 11, greedy at 0, 3, 6, 8, steep at 1, 4, 7, 9, and an evaluator at 2, 5, 10: 8, 8
    and 6 of 22 members as in the paper, 3, 3 and 2 of 8, and 2 of each of the fewest, 6.

    Arguments are those of `PopulationBasedTraining`, and:

    Args:
        evaluations: how many points curves have in an interval, at least 1. That many times in each there must be a
            report with a checkpoint. A curve of fewer than 7 points shows nothing beyond doubt.
        max_eval: for how long, on ``time_attr``, an evaluation may go on undecided, above 0; None: 3 intervals.

    Raises:
        ConfigError: an argument is out of its range, there is nothing to mutate, or there are fewer than 6 members.

    >>> from ramet import uniform
    >>> scheduler = FirePBT(
    ...     time_attr="training_iteration", perturbation_interval=50, hyperparam_mutations={"lr": uniform(0.0001, 0.02)}
    ... )
    >>> scheduler.interval, scheduler.max_eval
    (5.0, 150.0)

    Source: Dalibard, Jaderberg (2021), "Faster Improvement Rate Population Based Training", arXiv 2109.13800. Differs
    from the paper in that there are two parts besides the evaluators, not any number; that evaluators train as founders
    until the first interval is over; that one with the best score of all takes up no new evaluation, so that the best
    model is not lost; in the process that smooths the curves; and in what follows where curves are nowhere equally
    high (see `ramet.strategy.curves`), or where two evaluators beat the same member (the greater difference wins).
    """

    def __init__(
        self,
        time_attr: str = "time_total_s",
        metric: str | None = None,
        mode: str | None = None,
        perturbation_interval: float = 60.0,
        burn_in_period: float = 0.0,
        hyperparam_mutations: Mapping[str, Any] | None = None,
        quantile_fraction: float = 0.25,
        resample_probability: float = 0.25,
        perturbation_factors: Sequence[float] = (1.2, 0.8),
        custom_explore_fn: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
        evaluations: int = 10,
        max_eval: float | None = None,
        synch: bool = False,
        private: Sequence[str] = (),
        exploit: Exploit | None = None,
        explore: Explore | Mapping[str, Rule] | Sequence[Explore] | None = None,
        constraints: Sequence[Constraint] = (),
    ) -> None:
        super().__init__(
            time_attr,
            metric,
            mode,
            perturbation_interval,
            burn_in_period,
            hyperparam_mutations,
            quantile_fraction,
            resample_probability,
            perturbation_factors,
            custom_explore_fn,
            synch=synch,
            private=private,
            exploit=exploit,
            explore=explore,
            constraints=constraints,
        )
        if isinstance(evaluations, bool) or not isinstance(evaluations, int) or evaluations < 1:
            raise ConfigError(f"FirePBT(evaluations={evaluations!r}) must be an integer of at least 1")
        self.step, self.interval = self.interval, self.interval / evaluations
        longest = 3.0 * self.step if max_eval is None else max_eval
        self.max_eval = number("FirePBT(max_eval=…)", longest, above=0.0)

    def founders(self, configs: Sequence[Mapping[str, Any]], space: Space, seed: int) -> list[Mapping[str, Any]]:
        """Return the configurations that members begin with.

        Raises:
            ConfigError: they are too few for three parts.
        """
        if len(configs) < FEWEST:
            raise ConfigError(
                f"FirePBT needs at least {FEWEST} members, two of each part, and there are {len(configs)}: raise "
                "TuneConfig(num_samples=…), or take PopulationBasedTraining"
            )
        return super().founders(configs, space, seed)

    def decide(self, scene: Scene) -> list[Decision]:
        """Return what each part does at the end of an interval; in between all go on."""
        passes = {member: scene.passes(member, self.step) for member in scene.ready}
        between = [Decision(m, "continue", "between two decisions") for m, passed in passes.items() if not passed]
        scene = replace(scene, ready=[member for member, passed in passes.items() if passed])
        if not scene.ready:
            return between
        if len(scene.population.members) < FEWEST:  # no run is like this, for founders() refuses it
            return [*between, *super().decide(scene)]
        evaluated = running(scene)
        steep = self._steep(scene, evaluated)
        greedy = {decision.member: decision for decision in super().decide(scene.among(having(scene, GREEDY)))}
        lost = {decision.member for decision in [*steep, *greedy.values()] if decision.start is not None}
        won: dict[int, Evaluation] = {}
        for one in sorted(evaluated.values(), key=lambda one: one.lead):
            if one.child in greedy and one.child not in lost and one.succeeded:
                won[one.child] = one
        for child, best in won.items():
            choice = Choice(best.evaluator, True, "took the weights of an evaluator that learns faster", child, False)
            greedy[child] = self._clone(scene, child, choice, succeeded=True)
        ended = lost | set(won)
        going_on = {e: one for e, one in evaluated.items() if not {one.parent, one.child} & ended}
        going_on = {e: one for e, one in going_on.items() if one.succeeded or not one.over(self.max_eval)}
        return [*between, *greedy.values(), *steep, *self._evaluators(scene, going_on, lost, won)]

    def _steep(self, scene: Scene, evaluated: Mapping[int, Evaluation]) -> list[Decision]:
        """Return the decisions of the steep members: those that are evaluated are compared by their fitness."""
        known = [one for one in evaluated.values() if len(one.curve) > 1]
        fitness = {one.parent: sum(best_score_diff(one.curve, other.curve) for other in known) for one in known}
        points = {
            member: replace(point, score=math.nan if math.isnan(point.score) else fitness[member])
            for member, point in scene.points.items()
            if member in fitness
        }
        ready = set(scene.ready)
        rest = [member for member in having(scene, STEEP) if member in ready and member not in points]
        decisions = super().decide(scene.among(points, points))
        return [*decisions, *(Decision(member, "continue", "not evaluated, so not compared") for member in rest)]

    def _evaluators(
        self, scene: Scene, going_on: Mapping[int, Evaluation], lost: set[int], won: Mapping[int, Evaluation]
    ) -> list[Decision]:
        """Return the decisions of the evaluators: those that are idle are given something to evaluate."""
        taken = lost | {one.parent for one in going_on.values()}
        waiting = longest_waiting(scene, [member for member in having(scene, STEEP) if member not in taken])
        ranked = scene.among([member for member in having(scene, GREEDY) if member not in lost]).points
        rank = ranked.best(1)  # who was replaced just now has hyperparameters that nobody has tried
        decisions = []
        for member in (member for member in having(scene, EVALUATOR) if member in scene.ready):
            if member in going_on:
                decisions.append(Decision(member, "continue", "evaluates"))
            elif not waiting or not rank:
                decisions.append(Decision(member, "continue", "nobody is left to be evaluated"))
            elif scene.points.rank(member) == len(scene.points) - 1:
                decisions.append(Decision(member, "skip", "the best of all evaluates no other"))
            else:
                child = ranked.at(rank[0])
                model = self._model(scene, child, won)
                choice = Choice(waiting.pop(0), True, "took up an evaluation", child, False)
                decisions.append(self._clone(scene, member, choice, child_model=model))
        return decisions

    def _model(self, scene: Scene, child: int, won: Mapping[int, Evaluation]) -> int:
        """Return what names the model that a greedy member has after this decision."""
        if child in won:
            return scene.points[won[child].evaluator].segment
        return model_of(scene.population, child)
