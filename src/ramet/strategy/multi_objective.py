"""Population based training towards a whole front: who is better in any of several objectives may stay."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ramet.core.pareto import hypervolume, selected
from ramet.core.scores import signed
from ramet.errors import ConfigError
from ramet.strategy.base import Decision, Scene
from ramet.strategy.exploit import Choice, quantile_size
from ramet.strategy.fronts import ParetoTruncation, objectives, unknown
from ramet.strategy.pbt import PopulationBasedTraining


class MultiObjectivePBT(PopulationBasedTraining):
    """Models that are good at different things: the population becomes a front of trade-offs, evenly spread.

    Every ``perturbation_interval`` a member in the lowest quantile takes weights and hyperparameters of one in the
    highest, and explores, as in `PopulationBasedTraining`. But who is low is told by fronts: the first is of those that
    no other member beats in all objectives, the second of those that only members of the first beat, and so on. Within
    the front that a quantile ends in, those stay that lie far apart, and those go that are crowded.

    Args:
        metrics: the objectives, two or more: reported metric -> ``"max"`` or ``"min"``. Every report with a checkpoint
            must have all of them; where it lacks one that member fails alone. Units play no part.
        metric: which of them is the run's score, that `ResultGrid.get_best_result`, the display and retention go by;
            the first by default. It plays no part in decisions. `TuneConfig` needs neither metric nor mode, and takes
            none.
        reference: metric -> a value that is just not good enough, in its own unit. With it every decision that makes a
            clone is kept with the hypervolume that the population had then, and the summary tells that of the run; see
            `ResultGrid.hypervolume`.
        arguments: those of `PopulationBasedTraining`, but ``mode``, which ``metrics`` gives. Mutation is as there by
            default. That of the paper is ``explore={"lr": Either(0.2, Resample(), Shift())}``, for every key.

    Ranking all N members takes each decision N log N steps with two objectives and up to N² with more: nothing beside
    a training step for hundreds of members.

    Raises:
        ConfigError: there are fewer than two objectives, or an argument is out of its range.

    >>> from ramet import loguniform
    >>> scheduler = MultiObjectivePBT(
    ...     {"accuracy": "max", "size": "min"},
    ...     time_attr="training_iteration",
    ...     perturbation_interval=5,
    ...     hyperparam_mutations={"l1": loguniform(1e-6, 1e-1)},
    ... )
    >>> scheduler.metric, scheduler.mode
    ('accuracy', 'max')

    Source: Dushatskiy, Chebykin, Alderliesten and Bosman (2023), "Multi-Objective Population Based Training", ICML,
    arXiv 2306.01436. Differs from the paper in the explore rule, which is that of PBT by default; in that distances
    are scaled by the range of the front that is thinned out; and in that the scattered subset always begins at the
    best of the first objective.
    """

    def __init__(
        self,
        metrics: Mapping[str, str],
        metric: str | None = None,
        reference: Mapping[str, float] | None = None,
        **arguments: Any,
    ) -> None:
        who = type(self).__name__
        if not isinstance(metrics, Mapping) or len(metrics) < 2 or not all(isinstance(m, str) and m for m in metrics):
            raise ConfigError(
                f"{who}(metrics={metrics!r}) must be a dict of two metrics or more, such as {{'accuracy': 'max', "
                "'size': 'min'}; for one, take PopulationBasedTraining"
            )
        for name, mode in metrics.items():
            if mode not in ("max", "min"):
                raise ConfigError(f"{who}(metrics={{{name!r}: {mode!r}}}) is neither 'max' nor 'min'")
        if "mode" in arguments:
            raise ConfigError(f"{who}(mode={arguments['mode']!r}): metrics= says for each metric whether max is good")
        metric = next(iter(metrics)) if metric is None else metric
        if metric not in metrics:
            raise ConfigError(f"{who}(metric={metric!r}) must be one of metrics={sorted(metrics)}")
        super().__init__(metric=metric, mode=metrics[metric], **arguments)
        self.objectives = dict(metrics)
        if arguments.get("exploit") is None:
            self.exploit = ParetoTruncation(self.fraction)
        if reference is not None and (not isinstance(reference, Mapping) or reference.keys() != metrics.keys()):
            raise ConfigError(
                f"{who}(reference={reference!r}) must have a value for each of {list(metrics)}, in a dict"
            )
        for name, at in (reference or {}).items():
            if isinstance(at, bool) or not isinstance(at, (int, float)) or not math.isfinite(at):
                raise ConfigError(f"{who}(reference={{{name!r}: {at!r}}}) must be a finite number")
        self.reference = None if reference is None else {name: float(reference[name]) for name in metrics}

    def decide(self, scene: Scene) -> list[Decision]:
        """Return a clone for each ready member that is dominated most, or in the most crowded place."""
        decisions = super().decide(scene)
        if self.reference is None or all(decision.hparams is None for decision in decisions):
            return decisions
        _, vectors = objectives(scene)
        if len(vectors[0]) != len(self.objectives):
            return decisions
        corner = [signed(self.reference[name], mode) for name, mode in self.objectives.items()]
        told = {"hypervolume": hypervolume(vectors, corner)}
        return [d if d.hparams is None else replace(d, info={**d.info, **told}) for d in decisions]

    def replace(self, scene: Scene, member: int) -> Decision | None:
        """Return a clone of one of the best, as `decide` has them, for the place of a failed member."""
        members, vectors = objectives(scene)
        size = max(quantile_size(len(members), self.fraction), 1)
        donors = sorted(members[at] for at in selected(vectors, size) if not unknown(vectors[at]))
        if not donors:
            return None
        donor = donors[scene.index(member, len(donors), "donor")]
        return self._clone(scene, member, Choice(donor, True, "took the place of a failed one"))

    def describe(self) -> dict[str, Any]:
        """Return the strategy's name and settings as plain data, for the record."""
        told = super().describe()
        if isinstance(self.exploit, ParetoTruncation):
            told.pop("exploit", None)
        return {**told, "reference": self.reference}
