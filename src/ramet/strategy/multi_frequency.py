"""Sub-populations that decide at different paces, so that what pays off late is not lost to what pays off now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ramet.errors import ConfigError
from ramet.space import Space
from ramet.strategy.arguments import rising
from ramet.strategy.base import Scene
from ramet.strategy.exploit import CLONED, NO_DONOR, Choice
from ramet.strategy.groups import by_group, in_group
from ramet.strategy.pbt import PopulationBasedTraining
from ramet.strategy.tournament import is_better

WAITS = Choice(None, False, "its group's time has not come")

STAYS = Choice(None, False, "not among the worse half")


@dataclass(frozen=True, slots=True)
class Frequencies:
    """Who clones whom in `MultiFrequencyPBT`: within a group, and from other groups by migration.

    Args:
        frequencies: by group, how many intervals lie between two of its decisions.
        interval: that interval, on ``time_attr``.
    """

    frequencies: Sequence[int]
    interval: float

    def __call__(self, scene: Scene) -> dict[int, Choice]:
        """Return the choice of every ready member."""
        count, members = len(self.frequencies), len(scene.population.members)
        choices: dict[int, Choice] = {}
        for group, ready in by_group(scene.ready, count):
            choices |= dict.fromkeys(ready, WAITS)
            acting = scene.passing(ready, self.frequencies[group] * self.interval)
            chosen = self._chosen(scene, group, in_group(group, count, members)) if acting else {}
            choices |= {member: chosen.get(member, STAYS) for member in acting}
        return choices

    def _chosen(self, scene: Scene, group: int, members: range) -> dict[int, Choice]:
        """Return the choices of a group's worse half, as if all of it were ready."""
        inside = scene.points.among(members)
        order = inside.in_order()[::-1]  # the best first
        quarter = len(order) // 4
        best, bracket, worst = order[:quarter], order[len(order) - 2 * quarter : len(order) - quarter], order[-quarter:]
        if not quarter:
            return {}
        choices = {member: self._cloned(scene, member, donor) for member, donor in zip(worst, best, strict=True)}
        choices |= self._migrants(scene, group, bracket, members, order[0])
        for member in inside.lowest(0, order[quarter:]):  # diverged, wherever it stands
            if member not in choices or choices[member].donor is None:
                choices[member] = self._cloned(scene, member, best[scene.index(member, quarter, "donor")])
        return choices

    def _cloned(self, scene: Scene, member: int, donor: int) -> Choice:
        known = scene.points.known
        if is_better(known[donor].score, known[member].score):
            return Choice(donor, True, CLONED)
        return Choice(None, True, NO_DONOR)

    def _migrants(
        self, scene: Scene, group: int, bracket: Sequence[int], inside: range, leader: int
    ) -> dict[int, Choice]:
        """Return who of ``bracket`` gives way to the best of other groups, each of which migrates once."""
        known, count = scene.points.known, len(self.frequencies)
        waiting = (member for member in reversed(scene.points.in_order()) if member not in inside)
        choices = {}
        migrant = next(waiting, None)
        for member in bracket:
            if migrant is None or not is_better(known[migrant].score, known[member].score):
                continue
            slower = self.frequencies[migrant % count] > self.frequencies[group]
            # A faster group's hyperparameters are the greedy ones: of it the weights are taken alone.
            source = migrant if slower else leader
            choices[member] = Choice(migrant, True, "gave way to one of another group", source, explores=False)
            migrant = next(waiting, None)
        return choices


class MultiFrequencyPBT(PopulationBasedTraining):
    """Population based training in groups, one of which decides at every interval, others every so many.

    Frequent decisions find what helps now; rare ones what helps in the long run. When a group's time has come, its
    worst quarter clones its best quarter, pairwise by rank, and explores. The quarter above the worst gives way to
    members of other groups that are better: their weights are taken, their hyperparameters only if their group is
    slower, else those of the group's best; these migrants do not explore. So short-sighted gains reach the slow groups
    as weights, and never as hyperparameters.

    Args:
        time_attr, metric, mode, burn_in_period, hyperparam_mutations, custom_explore_fn, log_config, require_attrs,
            private, explore, constraints, weights: as in `PopulationBasedTraining`.
        perturbation_interval: distance of the fastest group's decisions on ``time_attr``, above 0. All members hand
            over a checkpoint at each, for they may be cloned then.
        frequencies: by group, its decisions' distance in intervals: different integers of at least 1, the fastest
            first. Member m is in group ``m % len(frequencies)``.
        resample_probability, perturbation_factors: as there, with the paper's defaults.
        synch: as there; True by default, for in rounds all that a group knows is of the same time.

    Raises:
        ConfigError: an argument is out of its range, or there are fewer than 4 members for each frequency.

    >>> from ramet import loguniform
    >>> scheduler = MultiFrequencyPBT(
    ...     time_attr="training_iteration", perturbation_interval=1, hyperparam_mutations={"lr": loguniform(1e-5, 1e-2)}
    ... )
    >>> scheduler.frequencies
    (1, 10, 25, 50)

    Source: Doulazmi et al. (2025), "Multiple-Frequencies Population-Based Training", arXiv 2506.03225. Differs from the
    paper in that groups need not be multiples of 4 (a quarter is rounded down), that who is to be cloned must be
    strictly better, that NaN is replaced at once, and that it may be used asynchronously: then one may migrate twice.
    """

    def __init__(
        self,
        time_attr: str = "time_total_s",
        metric: str | None = None,
        mode: str | None = None,
        perturbation_interval: float = 60.0,
        burn_in_period: float = 0.0,
        hyperparam_mutations: Mapping[str, Any] | None = None,
        frequencies: Sequence[int] = (1, 10, 25, 50),
        resample_probability: float = 0.0,
        perturbation_factors: Sequence[float] = (0.8, 1.25),
        synch: bool = True,
        **more: Any,
    ) -> None:
        if "quantile_fraction" in more or "exploit" in more:
            raise ConfigError(
                f"{type(self).__name__} clones quarters of its groups and takes neither quantile_fraction= nor "
                "exploit=: use PopulationBasedTraining(exploit=Groups(…))"
            )
        super().__init__(
            time_attr,
            metric,
            mode,
            perturbation_interval,
            burn_in_period,
            hyperparam_mutations,
            resample_probability=resample_probability,
            perturbation_factors=perturbation_factors,
            synch=synch,
            **more,
        )
        self.frequencies = rising("frequencies", frequencies)
        self.exploit = Frequencies(self.frequencies, self.interval)

    def founders(self, configs: Sequence[Mapping[str, Any]], space: Space, seed: int) -> list[Mapping[str, Any]]:
        """Return the configurations that members begin with.

        Raises:
            ConfigError: there are too few members.
        """
        least = 4 * len(self.frequencies)
        if len(configs) < least:
            raise ConfigError(
                f"{type(self).__name__}(frequencies={self.frequencies}) needs {least} members, 4 in each group, and "
                f"there are {len(configs)}: raise TuneConfig(num_samples=…), or give fewer frequencies"
            )
        return super().founders(configs, space, seed)
