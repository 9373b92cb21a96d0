"""PB2: population based training whose clones explore by a bandit's rule, not by chance."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from typing import Any

from ramet.domains import Sampled
from ramet.errors import ConfigError, SpaceError
from ramet.space import Path
from ramet.strategy.arguments import number, paths
from ramet.strategy.bandit import Bandit, Batch
from ramet.strategy.base import Decision, Scene
from ramet.strategy.bounds import domains_of, merged
from ramet.strategy.composition import Composition
from ramet.strategy.constraints import Constrained, Constraint, checked
from ramet.strategy.exploit import Truncation


class PB2(Composition):
    """The weak become clones of the strong, and train with what the whole past says is most worth trying.

    Who clones whom is as in `PopulationBasedTraining`. All numbers of a clone are then chosen anew, together: a
    Gaussian process learns from the newest stretches of all members how much the score rose under which
    hyperparameters, from which score, and how long ago that was. The clone gets what has the highest sum of expected
    rise and ``kappa`` times its standard deviation, where what other members are trying at the moment counts as
    tried. With nothing to learn from, at the first decision, it gets a draw. Made for few members, four to eight.

    Args:
        time_attr, metric, mode, perturbation_interval, quantile_fraction, custom_explore_fn, log_config, require_attrs,
            synch, burn_in_period, private, constraints: as for `PopulationBasedTraining`.
        hyperparam_bounds: key -> ``[lowest, highest]``, or a dict of these. Searched linearly; an integer stays one.
        hyperparam_mutations: key -> domain or list (ordered choices), or a dict of these; searched in the domain's own
            measure, such as logarithms. ``choice(…)`` has none: one of its values is drawn (see `PB2Mix`). A key
            stands here or in ``hyperparam_bounds``, and at least one key does.
        kappa: weight of what is not known, at least 0: 0 takes what was best so far, much above 2 is a search at
            random. None follows the paper: sqrt(0.2 log(0.4 n)) with n stretches, so 0.45 to 0.94.
        window: how many of the newest stretches to learn from, 1 to 1,000. Fewer forget faster; a decision takes time
            as the square.

    Raises:
        ConfigError: an argument is out of its range, there is nothing to change, or a key is a function, whose range
            nobody knows.

    >>> scheduler = PB2(
    ...     time_attr="training_iteration", perturbation_interval=5, hyperparam_bounds={"lr": [0.0001, 0.02]}
    ... )
    >>> scheduler.mutations
    {'lr': uniform(0.0001, 0.02)}

    Source: Parker-Holder, Nguyen and Roberts (2020), "Provably Efficient Online Hyperparameter Optimization with
    Population-Based Bandits", arXiv 2002.02518; arguments are Ray Tune's. Differs from the paper in that the newest 200
    stretches are learned from, whatever their likelihood; that the likelihood of more than 64 is that of blocks; that
    members which go on count as tried too; that outliers are brought in before values are standardised; and that
    categories are drawn. Differs from the authors' code in that, as in the paper, the past fades by intervals, not by
    shares of the window, that the deviation and not the variance is weighed, and that a clone's stretch begins at
    the score of its donor's newest point. What `PopulationBasedTraining` says of NaN, ties and seeds holds here.
    """

    rule: type[Bandit] = Bandit

    def __init__(
        self,
        time_attr: str = "time_total_s",
        metric: str | None = None,
        mode: str | None = None,
        perturbation_interval: float = 60.0,
        hyperparam_bounds: Mapping[str, Any] | None = None,
        quantile_fraction: float = 0.25,
        log_config: bool = True,
        require_attrs: bool = True,
        synch: bool = False,
        custom_explore_fn: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
        *,
        burn_in_period: float = 0.0,
        hyperparam_mutations: Mapping[str, Any] | None = None,
        private: Sequence[str] = (),
        constraints: Sequence[Constraint] = (),
        kappa: float | None = None,
        window: int = 200,
    ) -> None:
        who = type(self).__name__
        whole: set[Path] = set()
        bounds = domains_of(who, hyperparam_bounds or {}, (), whole)
        given = {} if hyperparam_mutations is None else hyperparam_mutations
        if not bounds and not given:
            raise ConfigError(
                f"{who} needs hyperparam_bounds, such as {{'lr': [0.0001, 0.02]}}, or hyperparam_mutations, such as "
                "{'lr': loguniform(0.0001, 0.1)}: without them there is nothing to explore"
            )
        del log_config, require_attrs
        super().__init__(time_attr, metric, mode, synch)
        space = self.take_mutations(merged(who, bounds, given) if isinstance(given, Mapping) else given)
        self.interval = number(f"{who}(perturbation_interval=…)", perturbation_interval, above=0.0)
        self.burn_in = number(f"{who}(burn_in_period=…)", burn_in_period, above=None)
        self.fraction = Truncation(quantile_fraction).fraction
        self.exploit = Truncation(quantile_fraction)
        self.private, self.constraints = paths("private", private), checked(constraints)
        if custom_explore_fn is not None and not callable(custom_explore_fn):
            raise ConfigError(
                f"custom_explore_fn={custom_explore_fn!r} is not callable: give a function of the configuration"
            )
        for path, domain in space.mutable.items():
            if isinstance(domain, Sampled):
                raise SpaceError(
                    f"{who}: hyperparam_mutations {'/'.join(path)!r} is a function, whose range {who} cannot search; "
                    "give a domain such as uniform(0, 1) or loguniform(1e-4, 1e-1), or bounds [lowest, highest]"
                )
        fine = isinstance(kappa, (int, float)) and not isinstance(kappa, bool) and 0 <= kappa <= 1e6
        if kappa is not None and not fine:
            raise ConfigError(f"{who}(kappa={kappa!r}) must be a number from 0 to 1e6, or None for the paper's")
        if isinstance(window, bool) or not isinstance(window, int) or not 1 <= window <= 1000:
            raise ConfigError(f"{who}(window={window!r}) must be an integer from 1 to 1000, of stretches to learn from")
        self.kappa, self.window = kappa, window
        self.bandit = self.rule(self.interval, window, kappa, custom_explore_fn, frozenset(whole))
        self.explore = self.bandit

    def decide(self, scene: Scene) -> list[Decision]:
        """Return a clone for each ready member that the exploit rule has a donor for; info has the ``rows`` learned."""
        donors = {member: choice.donor for member, choice in self.exploit(scene).items() if choice.donor is not None}
        if not donors:
            return super().decide(scene)
        now, batch = copy(self), Batch(self.bandit, scene, donors)
        # For this decision alone: each clone knows what those before it got.
        now.explore = Constrained(batch, self.constraints) if self.constraints else batch
        decisions = super(PB2, now).decide(scene)
        return [
            replace(decision, info={**decision.info, "rows": batch.past.size}) if decision.start else decision
            for decision in decisions
        ]

    def describe(self) -> dict[str, Any]:
        """Return the strategy's name and settings as plain data, for the record."""
        custom = self.bandit.custom
        told = {
            key: value for key, value in super().describe().items() if key not in ("exploit", "explore", "fraction")
        }
        return {
            **told,
            "quantile_fraction": self.fraction,
            "custom_explore_fn": getattr(custom, "__name__", None) if custom else None,
        }
