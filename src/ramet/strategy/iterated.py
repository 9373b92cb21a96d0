"""Iterated population based training: it starts with a short interval, and doubles it whenever progress stops."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from ramet.errors import ConfigError
from ramet.space import Space
from ramet.strategy.arguments import number
from ramet.strategy.base import Decision, Scene
from ramet.strategy.constraints import Constraint, explore_of
from ramet.strategy.exploit import Exploit, quantile_size
from ramet.strategy.explore import Explore, Mutation, inherit
from ramet.strategy.pbt import PopulationBasedTraining
from ramet.strategy.rules import Rule
from ramet.strategy.stagnation import best_by_step, stagnates

if TYPE_CHECKING:
    from ramet.core.population import Population

WEIGHTS = {"shrink": (0.2, 0.1), "fresh": (0.0, 1.0), "keep": (1.0, 0.0)}
"""By the argument ``restarts``, (keep, fresh) of a member's weights at a restart."""


RESTARTED = "progress stopped, and all restart"


class Iteration(NamedTuple):
    """What goes on since the last restart: its ``number``, when it began, and how far decisions are apart."""

    number: int
    began: float
    every: float

    def steps(self, time: float) -> float:
        """Return how many steps have passed at that time; a step of 0.1 taken ten times is a little less than 1."""
        return round((time - self.began) / self.every, 9)


class IteratedPBT(PopulationBasedTraining):
    """Population based training that finds its own interval: whenever progress stops it restarts, with twice as long.

    Progress stops where the smoothed best score of a step is no better than the step's before, ``patience`` steps
    in a row; or where the best score gained less than a standard deviation over the last 15 steps. Then the interval
    doubles, members outside of the upper quantile clone one in it, and all begin with shrunk weights, every second
    with entirely new ones. Half of them draw their hyperparameters anew, the others explore those that the best model
    of the iteration began with. In between it is `PopulationBasedTraining`, whose other arguments it has.

    Args:
        perturbation_interval: the first interval on ``time_attr``, above 0. Short ones cost little, for they end where
            they lead nowhere: 1 % of the budget in the paper.
        patience: how many steps in a row must fail before a restart, at least 1.
        restarts: what becomes of the weights: ``"shrink"`` (0.2 of them and 0.1 of new ones; all new with probability
            0.5), ``"fresh"`` (all new) or ``"keep"``. The first two need `ramet.inherited` in the function. With
            ``"keep"`` models train on, and explore the hyperparameters that the best one has, not those it began with.
        max_t: the time at which training ends: a restart after which less than two steps would fit is left out. None:
            never.
        synch: must be True, for a restart is of all members at once.

    Raises:
        ConfigError: an argument is out of its range, or there is nothing to mutate.

    Decisions, and with them checkpoints, come at every first interval, however long it has grown: between steps
    members just go on. Where checkpoints are costly, begin with an interval that is not too short. The best model may
    be one from before a restart: keep it with ``CheckpointConfig(num_to_keep=…, checkpoint_score_attribute=…)``.

    >>> from ramet import uniform
    >>> scheduler = IteratedPBT(perturbation_interval=5, max_t=500, hyperparam_mutations={"lr": uniform(0.0001, 0.02)})
    >>> scheduler.restarts, scheduler.patience
    ('shrink', 3)

    Source: Chebykin, Alderliesten, Bosman (2025), "Iterated Population Based Training with Task-Agnostic Restarts",
    arXiv 2511.09190. Differs from the paper in that hyperparameters are explored by perturbation (give another rule as
    ``explore``) where it has Bayesian optimisation; at restarts too, where it has a process over all restarts: to
    explore what the best model began with is a simplification of ours. All members go on, where the paper begins with
    twice as many and keeps the better half. Numbers are drawn anew from ``hyperparam_mutations``. A step's best score
    is that of all its checkpoints. The process that smooths has the likeliest of a few lengths and noises.
    """

    def __init__(
        self,
        time_attr: str = "training_iteration",
        metric: str | None = None,
        mode: str | None = None,
        perturbation_interval: float = 1.0,
        burn_in_period: float = 0.0,
        hyperparam_mutations: Mapping[str, Any] | None = None,
        quantile_fraction: float = 0.25,
        resample_probability: float = 0.25,
        perturbation_factors: Sequence[float] = (1.2, 0.8),
        custom_explore_fn: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
        patience: int = 3,
        restarts: str = "shrink",
        max_t: float | None = None,
        synch: bool = True,
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
        if not self.synch:
            raise ConfigError("IteratedPBT(synch=False) cannot work: all members restart together; leave it True")
        if isinstance(patience, bool) or not isinstance(patience, int) or patience < 1:
            raise ConfigError(f"IteratedPBT(patience={patience!r}) must be an integer of at least 1")
        if not isinstance(restarts, str) or restarts not in WEIGHTS:
            raise ConfigError(f"IteratedPBT(restarts={restarts!r}) must be one of {', '.join(map(repr, WEIGHTS))}")
        self.patience, self.restarts = patience, restarts
        self.max_t = None if max_t is None else number("IteratedPBT(max_t=…)", max_t, above=0.0)
        anew = Mutation(1.0, perturbation_factors, custom_explore_fn)
        self.anew = explore_of(None, anew, self.constraints, Space(None, self.mutations))

    def decide(self, scene: Scene) -> list[Decision]:
        """Return what population based training does at the end of a step, or a restart of everybody."""
        if not scene.ready:
            return []
        iteration = self.iteration(scene.population)
        now = max(scene.points[member].time for member in scene.ready)
        before = max(scene.since(member) for member in scene.ready)
        if math.floor(iteration.steps(now)) <= math.floor(iteration.steps(before)):
            return [Decision(member, "continue", "within a step") for member in scene.ready]
        if self._stagnates(scene, iteration, now):
            return self._restarted(scene, iteration, now)
        return [_marked(decision, iteration) for decision in super().decide(scene)]

    def replace(self, scene: Scene, member: int) -> Decision | None:
        """Return a clone of a member of the highest quantile."""
        decision = super().replace(scene, member)
        return None if decision is None else _marked(decision, self.iteration(scene.population))

    def iteration(self, population: Population) -> Iteration:
        """Return which iteration goes on: every segment of one after the first says so."""
        told = [population.segments[member.segment].info for member in population.members if member.segment >= 0]
        last = max(told, key=lambda info: info.get("restart", 0), default={})
        count, root = last.get("restart", 0), population.forebear.point
        began = 0.0 if root is None else root.time  # a branch does not begin anew what another run began
        return Iteration(count, last.get("restarted_at", began), self.interval * 2.0**count)

    def _stagnates(self, scene: Scene, iteration: Iteration, now: float) -> bool:
        if len(scene.ready) < len(scene.population.live):
            return False  # in a run all are ready together
        if self.max_t is not None and round(now + 2 * (2 * iteration.every) - self.max_t, 9) > 0:
            return False
        return stagnates(best_by_step(scene.population, iteration.steps), self.patience)

    def _restarted(self, scene: Scene, ended: Iteration, now: float) -> list[Decision]:
        begun = Iteration(ended.number + 1, now, 2 * ended.every)
        points, ready = scene.points, scene.ready
        leaders = [points.at(rank) for rank in points.best(max(quantile_size(len(points), self.fraction), 1))]
        places = scene.generator(ready[0], "halves").permutation(len(ready))
        decisions = []
        for member, place in zip(ready, places, strict=True):
            base = scene.population.hparams(member)
            if leaders:
                base = inherit(self._explored_at_restart(scene, leaders[-1], ended), base, self.private)
            explore = self.anew if place < len(ready) // 2 else self.explore
            hparams, changed, *more = explore(scene, member, base)
            verdict, donor, info = "explore", member, {"changed": changed, **(more[0] if more else {})}
            if leaders and member not in leaders:
                verdict, donor = "exploit", leaders[scene.index(member, len(leaders), "donor")]
                info |= {"donor": donor, "donor_score": points[donor].score}
            weights = WEIGHTS[self.restarts]
            if self.restarts == "shrink" and scene.generator(member, "new weights").random() < 0.5:
                weights = WEIGHTS["fresh"]
            start = points[donor].checkpoint
            decisions.append(_marked(Decision(member, verdict, RESTARTED, start, hparams, info, weights), begun))
        return decisions

    def _explored_at_restart(self, scene: Scene, best: int, ended: Iteration) -> Mapping[str, Any]:
        """Return what the ``best`` model has, or where weights are new, what it had when the iteration began."""
        chain = scene.population.lineage(scene.points[best].segment)
        if self.restarts != "keep":
            while chain[-1].origin is not None and chain[-1].origin.time > ended.began:
                chain.pop()
        return chain[-1].hparams


def _marked(decision: Decision, iteration: Iteration) -> Decision:
    """Let a new segment say in which iteration it is."""
    if decision.start is None or not iteration.number:
        return decision
    mark = {"restart": iteration.number, "restarted_at": iteration.began}
    return replace(decision, info={**decision.info, **mark})
