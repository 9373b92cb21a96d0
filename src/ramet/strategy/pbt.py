"""Population based training as published: truncation, then perturb or resample."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from ramet.errors import ConfigError
from ramet.space import Path, Space
from ramet.strategy.base import Decision, Scene, Strategy
from ramet.strategy.exploit import Truncation, quantile_size
from ramet.strategy.explore import Mutation, inherit


class PopulationBasedTraining(Strategy):
    """The weak become clones of the strong, with perturbed hyperparameters.

    Every ``perturbation_interval`` a member in the lowest ``quantile_fraction`` of the scores takes weights and
    hyperparameters of a member in the highest, drawn uniformly, and explores: each mutable key is drawn anew with
    ``resample_probability``, else moved by one of ``perturbation_factors`` (numbers) or to a neighbour (lists).

    Args:
        time_attr: what the interval counts: ``"time_total_s"`` (seconds of training), ``"training_iteration"``, or a
            metric that you report and that never falls. Repeatable runs need one that does not depend on the clock.
        metric: name of the reported score; here or in `TuneConfig`, not in both.
        mode: ``"max"`` or ``"min"``; here or in `TuneConfig`, not in both.
        perturbation_interval: distance of decisions on ``time_attr``, above 0. Short ones make the search greedy.
        burn_in_period: no decision before this time, at least 0.
        hyperparam_mutations: key -> domain (``ramet.uniform(…)``), list (ordered choices), function without arguments,
            or a dict of these. A key that ``param_space`` lacks is drawn from here for the founders too.
        quantile_fraction: share of the population that clones and that is cloned, in [0, 0.5]; 0 never exploits.
        resample_probability: chance in [0, 1] of drawing a key anew.
        perturbation_factors: positive numbers, one of which is drawn for every perturbed number. It multiplies the
            value, which moves by at most that share of the domain's width, or by one step where that is more: in
            ``uniform(0.9, 1.0)`` 1.2 leads from 0.95 to 0.97. In a log domain it multiplies the value's place between
            the bounds on the log axis (0 the lower, 1 the upper): in ``loguniform(1e-4, 1e-1)`` 1.2 leads from
            10**-2.5, place 0.5, to 10**-2.2, place 0.6.
        custom_explore_fn: function of the mutated configuration that returns the one to use.
        log_config: accepted for scripts that pass it; every decision is in the run's ledger anyway.
        require_attrs: accepted for scripts that pass it; a report that carries a checkpoint must have the metric, and
            where it lacks it that member fails alone.
        synch: decide when all live members are ready: repeatable from the seed, at the price of waiting.
        private: keys (``"seed"``, ``"data/fold"``) that never travel from donor to clone.

    Raises:
        ConfigError: an argument is out of its range, or there is nothing to mutate.

    >>> from ramet import uniform
    >>> scheduler = PopulationBasedTraining(
    ...     time_attr="training_iteration", perturbation_interval=5, hyperparam_mutations={"lr": uniform(0.0001, 0.02)}
    ... )
    >>> scheduler.interval
    5

    Source: Jaderberg et al. (2017), "Population Based Training of Neural Networks", arXiv 1711.09846. Names and
    defaults are Ray Tune's. Differs from the paper in the defaults (quantile 0.25), from both in what a factor does in
    log domains and in narrow ones (see ``perturbation_factors``), and from Ray Tune in that values stay in their
    domains, NaN is worst, a donor must be better, private keys stay, and every draw follows from the run's seed.
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
        log_config: bool = True,
        require_attrs: bool = True,
        synch: bool = False,
        private: Sequence[str] = (),
    ) -> None:
        del log_config, require_attrs
        super().__init__(time_attr, metric, mode, synch)
        who = type(self).__name__
        if not hyperparam_mutations and custom_explore_fn is None:
            raise ConfigError(
                f"{who} needs hyperparam_mutations (what may change, and within which domain) or "
                "custom_explore_fn: with neither every clone would be a plain copy"
            )
        if hyperparam_mutations is not None and not isinstance(hyperparam_mutations, Mapping):
            raise ConfigError(
                f"hyperparam_mutations={hyperparam_mutations!r} is a {type(hyperparam_mutations).__name__}: give a "
                "dict from key to domain, list, function, or dict of these"
            )
        if isinstance(private, str) or not isinstance(private, Collection) or not all(map(_is_name, private)):
            raise ConfigError(f"private={private!r} must be a sequence of keys, such as ('seed', 'data/fold')")
        self.mutations = dict(hyperparam_mutations or {})
        Space(None, self.mutations)  # refuses what cannot be mutated, before any work starts
        self.interval = _number(who, "perturbation_interval", perturbation_interval, above=0.0)
        self.burn_in = _number(who, "burn_in_period", burn_in_period, above=None)
        self.exploit = Truncation(quantile_fraction)
        self.explore = Mutation(resample_probability, perturbation_factors, custom_explore_fn)
        self.private: tuple[Path, ...] = tuple(tuple(key.split("/")) for key in private)

    def decide(self, scene: Scene) -> list[Decision]:
        """Return a clone for each ready member that the exploit rule has a donor for."""
        decisions = []
        for member, choice in self.exploit(scene).items():
            if choice.donor is None:
                decisions.append(Decision(member, "skip" if choice.tried else "continue", choice.reason))
                continue
            score = scene.points[member].score
            decisions.append(
                self._clone(scene, member, choice.donor, choice.reason, score=None if math.isnan(score) else score)
            )
        return decisions

    def replace(self, scene: Scene, member: int) -> Decision | None:
        """Return a clone of a member of the highest quantile (of the best one, where that is empty)."""
        points = scene.points
        donors = points.best(max(quantile_size(len(points), self.exploit.fraction), 1))
        if not donors:
            return None
        donor = points.at(donors[int(scene.generator(member, "donor").integers(len(donors)))])
        return self._clone(scene, member, donor, "took the place of a failed one")

    def _clone(self, scene: Scene, member: int, donor: int, reason: str, **info: Any) -> Decision:
        point = scene.points[donor]
        base = inherit(scene.hparams(donor), scene.population.hparams(member), self.private)
        hparams, changed = self.explore(scene, member, base)
        info = {"donor": donor, "donor_score": point.score, "changed": changed, **info}
        return Decision(member, "exploit", reason, point.checkpoint, hparams, info)

    def describe(self) -> dict[str, Any]:
        """Return the strategy's name and settings as plain data, for the record."""
        explore = self.explore
        return {
            **super().describe(),
            "quantile_fraction": self.exploit.fraction,
            "resample_probability": explore.resample_probability,
            "perturbation_factors": list(explore.factors),
            "custom_explore_fn": getattr(explore.custom, "__name__", None) if explore.custom else None,
            "private": ["/".join(path) for path in self.private],
        }


MAX_TIME = 1e300
"""Far beyond any time, and far enough below infinity to be added to."""


def _is_name(key: Any) -> bool:
    return isinstance(key, str) and bool(key)


def _number(who: str, name: str, value: Any, above: float | None) -> float:
    fine = isinstance(value, (int, float)) and not isinstance(value, bool) and -MAX_TIME <= value <= MAX_TIME
    if not fine or (value <= above if above is not None else value < 0):
        bound = f"above {above:g}" if above is not None else "of at least 0"
        raise ConfigError(f"{who}({name}={value!r}) must be a finite number {bound}")
    number: float = value
    return number
