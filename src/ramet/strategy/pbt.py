"""Population based training as published: truncation, then perturb or resample."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ramet.errors import ConfigError
from ramet.strategy.arguments import number, paths, shares
from ramet.strategy.composition import Composition
from ramet.strategy.constraints import Constraint, checked, explore_of
from ramet.strategy.exploit import Exploit, Truncation
from ramet.strategy.explore import Explore, Mutation
from ramet.strategy.rules import Rule


class PopulationBasedTraining(Composition):
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
        exploit: who clones whom, instead of truncation by ``quantile_fraction``: a rule of `ramet.schedulers`, such as
            ``BinaryTournament()``, ``WelchTest()``, ``Groups(4)``, or a function of the scene that returns choices.
        explore: what becomes of the hyperparameters: a dict from key to rule for keys that something else is to be done
            to (``{"gamma": OneMinus()}``); or an explore rule for all; or a list of such, one after the other.
        constraints: functions of the configuration that must be true, such as
            ``lambda c: c["batch"] % c["minibatch"] == 0``: what breaks one is drawn again, or repaired, and counted.
        weights: what a clone's weights are: ``"copy"``, ``"fresh"`` (newly initialised ones, for a clone of
            hyperparameters alone) or (keep, fresh), factors of both; these need `ramet.inherited` in the function.

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
        exploit: Exploit | None = None,
        explore: Explore | Mapping[str, Rule] | Sequence[Explore] | None = None,
        constraints: Sequence[Constraint] = (),
        weights: str | tuple[float, float] = "copy",
    ) -> None:
        del log_config, require_attrs
        super().__init__(time_attr, metric, mode, synch)
        who = type(self).__name__
        space = self.take_mutations(hyperparam_mutations, custom_explore_fn, explore)
        self.interval = number(f"{who}(perturbation_interval=…)", perturbation_interval, above=0.0)
        self.burn_in = number(f"{who}(burn_in_period=…)", burn_in_period, above=None)
        self.fraction = Truncation(quantile_fraction).fraction
        if exploit is not None and not callable(exploit):
            raise ConfigError(f"{who}(exploit={exploit!r}) is no exploit rule: give one such as BinaryTournament()")
        self.exploit: Exploit = Truncation(quantile_fraction) if exploit is None else exploit
        self.mutation = Mutation(resample_probability, perturbation_factors, custom_explore_fn)
        self.constraints = checked(constraints)
        self.explore = explore_of(explore, self.mutation, self.constraints, space)
        self.private, self.weights = paths("private", private), shares(weights)

    def describe(self) -> dict[str, Any]:
        """Return the strategy's name and settings as plain data, for the record."""
        mutation = self.mutation
        told = super().describe()
        told.pop("fraction")  # it has Ray Tune's name, and runs of earlier versions know no other
        if isinstance(self.exploit, Truncation):
            told.pop("exploit")
        if self.explore is mutation:
            told.pop("explore")
        return {
            **told,
            "quantile_fraction": self.fraction,
            "resample_probability": mutation.resample_probability,
            "perturbation_factors": list(mutation.factors),
            "custom_explore_fn": getattr(mutation.custom, "__name__", None) if mutation.custom else None,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take up what an earlier version pickled with a run, before rules other than the two could be given."""
        vars(self).update(state)
        vars(self).setdefault("mutation", self.explore)
        vars(self).setdefault("fraction", getattr(self.exploit, "fraction", self.fraction))
