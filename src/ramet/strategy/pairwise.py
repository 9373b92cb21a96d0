"""Population based training in which slow learners move towards fast ones, with the momentum of earlier moves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ramet.draws import generator
from ramet.errors import ConfigError, SpaceError
from ramet.space import Space, get, with_values
from ramet.strategy.arguments import number, paths
from ramet.strategy.base import Scene
from ramet.strategy.composition import Composition
from ramet.strategy.constraints import Constrained, Constraint, checked
from ramet.strategy.exploit import Choice, Exploit, Truncation, quantile_size
from ramet.strategy.explore import Config, Explore, Explored, changes
from ramet.strategy.rules import check_probability


@dataclass(frozen=True, slots=True)
class PairwiseLearning:
    """An explore rule: from one's own hyperparameters some way towards the donor's, and on in the direction kept.

    Args:
        resample_probability: chance in [0, 1] that a key is drawn anew instead, which ends its movement.

    It works on the place h of a value in its domain, in [0, 1] (on the log axis in log domains): the member's velocity
    becomes v <- r1 v + r2 (h_donor - h), and its place h + v, clipped to [0, 1]; r1 and r2 are drawn for each key
    between 0 and 1. The velocity is kept with the decision, by key. Categories have no places: they are the donor's.
    """

    resample_probability: float = 0.25

    def __post_init__(self) -> None:
        check_probability("resample_probability", self.resample_probability)

    def __call__(self, scene: Scene, member: int, config: Config) -> Explored:
        """Return the configuration to train with, what was changed, and the new velocities."""
        now = scene.population.current(member)
        before: Mapping[str, float] = now.info.get("velocity", {})
        values, velocity = {}, {}
        for path, domain in scene.space.mutable.items():
            key, rng = "/".join(path), scene.generator(member, "explore", *path)
            if rng.random() < self.resample_probability:
                values[path] = domain.sample(rng)
            elif not domain.moves:
                values[path] = domain.clip(get(config, path))
            else:
                r1, r2 = rng.random(2).tolist()
                here, there = (domain.encode(get(whose, path)) for whose in (now.hparams, config))
                # Doubt: where a bound stops it, the velocity stays as it was; r1 makes it die out.
                velocity[key] = r1 * before.get(key, 0.0) + r2 * (there - here)
                values[path] = domain.decode(min(max(here + velocity[key], 0.0), 1.0))
        after = with_values(config, values)
        return after, changes(scene, config, after), {"velocity": velocity}


@dataclass(frozen=True, slots=True)
class TruncationAmongLeaders:
    """Truncation, where also a member of the highest quantile clones a better one of it, drawn uniformly."""

    fraction: float = 0.25

    def __call__(self, scene: Scene) -> dict[int, Choice]:
        """Return the choice of every ready member."""
        points, size = scene.points, quantile_size(len(scene.points), self.fraction)
        choices = Truncation(self.fraction)(scene)
        for member in scene.ready:
            if size and choices[member].donor is None and points.rank(member) >= len(points) - size:
                donors = points.best(size, above=points[member].score)
                if donors:
                    donor = points.at(donors[scene.index(member, len(donors), "donor")])
                    choices[member] = Choice(donor, True, "a leader, and cloned a better one")
        return choices


class PairwisePBT(Composition):
    """Slow learners take over a fast learner's weights, and let their own hyperparameters move towards its.

    Every ``perturbation_interval`` a member in the lowest quantile, the slow learner, is paired with one of the highest
    drawn uniformly, the fast learner. It takes over the weights, and its hyperparameters move from where they are some
    way towards the fast learner's, further in the direction in which they moved before: see `PairwiseLearning`. So
    a slow learner's experience counts, where `PopulationBasedTraining` forgets it.

    Args:
        time_attr: what the interval counts; as in `PopulationBasedTraining`, as all that is not named here.
        metric, mode: what is scored, and whether "max" or "min" is good; here or in `TuneConfig`.
        perturbation_interval: distance of decisions on ``time_attr``, above 0.
        burn_in_period: no decision before this time, at least 0.
        hyperparam_mutations: key -> domain, list, or a dict of these. No functions: of these nobody knows a range.
        quantile_fraction: share of the population that learns and that is learned from, in [0, 0.5].
        resample_probability: chance in [0, 1] of drawing a key anew. It is what keeps the search going: without it all
            places lie between those that there were, and the population draws together.
        leaders: whether members of the highest quantile clone better ones of it too, as the authors' code lets them.
            False by default: the paper's text does not say so, and it costs variety at the top.
        synch: decide when all live members are ready.
        private: keys that never travel from donor to clone.
        constraints: functions of the configuration that must be true.

    Where an integer domain or a list has few values, less than half a step is rounded away: it moves by larger ones.

    Raises:
        ConfigError: an argument is out of its range, nothing may change, or what may has no known range.

    >>> from ramet import loguniform
    >>> PairwisePBT(
    ...     time_attr="training_iteration", perturbation_interval=5, hyperparam_mutations={"lr": loguniform(1e-4, 1e-1)}
    ... ).explore
    PairwiseLearning(resample_probability=0.25)

    Source: Bai and Cheng (2024), "Generalized Population-Based Training for Hyperparameter Optimization in
    Reinforcement Learning" (GPBT-PL), IEEE TETCI, arXiv 2404.08233. Differs from the paper in that places are those
    of the encoded domain, so that a log domain is moved through evenly; in that drawing anew ends a key's movement; and
    in that a fast learner must be strictly better.
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
        leaders: bool = False,
        synch: bool = False,
        private: Sequence[str] = (),
        constraints: Sequence[Constraint] = (),
    ) -> None:
        super().__init__(time_attr, metric, mode, synch)
        who = type(self).__name__
        if not isinstance(hyperparam_mutations, Mapping) or not hyperparam_mutations:
            raise ConfigError(
                f"{who}(hyperparam_mutations={hyperparam_mutations!r}) must be a dict from key to domain, list or "
                "dict of these: it says what may change"
            )
        self.mutations = dict(hyperparam_mutations)
        for path, domain in Space(None, self.mutations).mutable.items():
            try:
                domain.encode(domain.sample(generator(0, "probe", *path)))
            except SpaceError as error:
                raise ConfigError(
                    f"{who} cannot move {'/'.join(path)!r} of hyperparam_mutations, which is {domain!r}: nothing is "
                    "known of its range; give a domain such as ramet.uniform(0, 1), or a list of values"
                ) from error
        self.interval = number(f"{who}(perturbation_interval=…)", perturbation_interval, above=0.0)
        self.burn_in = number(f"{who}(burn_in_period=…)", burn_in_period, above=None)
        self.fraction = Truncation(quantile_fraction).fraction
        if leaders not in (True, False):
            raise ConfigError(f"{who}(leaders={leaders!r}) must be True or False")
        rule: Exploit = TruncationAmongLeaders(quantile_fraction) if leaders else Truncation(quantile_fraction)
        learning: Explore = PairwiseLearning(resample_probability)
        self.constraints = checked(constraints)
        self.exploit = rule
        self.explore = Constrained(learning, self.constraints) if self.constraints else learning
        self.private = paths("private", private)
