"""A ladder of intervals, so that nobody has to be told the right one, and hyperparameters that move along ramps."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from ramet.space import Path, get, with_values
from ramet.strategy.arguments import number, paths, rising
from ramet.strategy.base import Decision, Scene
from ramet.strategy.composition import Composition
from ramet.strategy.constraints import Constraint, broken, checked, own_instead
from ramet.strategy.exploit import NO_DONOR, check_fraction
from ramet.strategy.explore import Mutation, changes, inherit
from ramet.strategy.groups import by_group, in_group
from ramet.strategy.ramps import Ramp, glides
from ramet.strategy.tournament import is_better

if TYPE_CHECKING:
    from ramet.core.population import Segment

WAITS, GOES_ON = "its rung's turn has not come", "not among the worst of its rung"

LEAST = 5
"""Members that a rung should have; where there are fewer, the slowest rungs are left out."""


class LadderPBT(Composition):
    """Population based training that is told nothing about intervals: the one to begin with.

    Members stand on rungs, which decide at every interval, every second, fourth, eighth and sixteenth. When a rung's
    turn has come, each of its worst quarter becomes the clone of a member drawn from the best quarter of *its own and
    all slower rungs*, if that is better. Nobody ever clones a member of a faster rung: what gains at once and loses
    later cannot climb, while what pays off late spreads down.

    A clone does not jump. It sets out on a ramp: with every turn of its rung its numbers are multiplied by the same
    factor, up or down, until it is cloned over. Slow rungs, which are judged on long stretches, so try out schedules
    and not single values. Clones of one decision go up and down by turns.

    Args:
        time_attr, metric, mode, burn_in_period: as in `PopulationBasedTraining`.
        perturbation_interval: distance of the fastest rung's decisions on ``time_attr``, above 0. Make it short, a
            hundredth of the training or less, as long as saving a checkpoint costs little against it: that is all that
            it means here.
        hyperparam_mutations: as there. Numbers move along ramps; lists, categories and functions have no direction,
            and are perturbed or drawn anew when a member is cloned.
        rungs: how many intervals lie between a rung's decisions, rising; by default (1, 2, 4, 8, 16), of which the
            slowest are left out where fewer than 5 members would stand on a rung; (1, 4) below 10 members, and (1,)
            below 4. Member m stands on rung ``m % len(rungs)``.
        rate: how steep ramps are, above 0: a number is multiplied by exp(rate / sqrt(rung)), or divided by it.
        quantile_fraction: share of a rung that clones, and share of those above that is cloned, rounded up.
        synch: as there; True by default, for in rounds all that a rung knows is of the same time.
        private, constraints: as there. A ramp that leads into what breaks a constraint ends.

    Raises:
        ConfigError: an argument is out of its range, or there is nothing to mutate.

    >>> from ramet import loguniform
    >>> scheduler = LadderPBT(
    ...     time_attr="training_iteration", perturbation_interval=1, hyperparam_mutations={"lr": loguniform(1e-5, 1e-2)}
    ... )
    >>> scheduler.rungs_of(32), scheduler.rungs_of(8)
    ((1, 2, 4, 8, 16), (1, 4))

    Source: ours, and unpublished; it came out of a comparison of some thousand rules on the two toys of Chebykin et al.
    (2025), "To Be Greedy, or Not to Be", and on variants of them. Groups of different frequency are Doulazmi et al.'s
    (2025), "Multiple-Frequencies Population-Based Training"; that genes flow one way is the idea of age layers, Hornby
    (2006), "ALPS: The Age-Layered Population Structure".
    """

    def __init__(
        self,
        time_attr: str = "training_iteration",
        metric: str | None = None,
        mode: str | None = None,
        perturbation_interval: float = 1,
        burn_in_period: float = 0.0,
        hyperparam_mutations: Mapping[str, Any] | None = None,
        rungs: Sequence[int] | None = None,
        rate: float = 0.25,
        quantile_fraction: float = 0.25,
        synch: bool = True,
        private: Sequence[str] = (),
        constraints: Sequence[Constraint] = (),
    ) -> None:
        super().__init__(time_attr, metric, mode, synch)
        self.take_mutations(hyperparam_mutations)
        self.interval = number("LadderPBT(perturbation_interval=…)", perturbation_interval, above=0.0)
        self.burn_in = number("LadderPBT(burn_in_period=…)", burn_in_period, above=None)
        self.rate = number("LadderPBT(rate=…)", rate, above=0.0)
        check_fraction("quantile_fraction", quantile_fraction)
        self.fraction = quantile_fraction
        self.rungs = None if rungs is None else rising("rungs", rungs)
        self.private, self.constraints = paths("private", private), checked(constraints)
        self.explore = self.mutation = Mutation()

    def rungs_of(self, members: int) -> tuple[int, ...]:
        """Return the rungs that a population of ``members`` stands on."""
        if self.rungs is not None:
            return self.rungs
        if members >= 2 * LEAST:
            return (1, 2, 4, 8, 16)[: members // LEAST]
        return (1, 4) if members >= 4 else (1,)

    def describe(self) -> dict[str, Any]:
        """Return the strategy's name and settings as plain data, for the record."""
        return {**super().describe(), "rungs": None if self.rungs is None else list(self.rungs)}

    def decide(self, scene: Scene) -> list[Decision]:
        """Return for each ready member whether it clones, moves on along its ramp, or waits for its rung's turn."""
        rungs = self.rungs_of(len(scene.population.members))
        decisions = []
        for place, ready in by_group(scene.ready, len(rungs)):
            turn = set(scene.passing(ready, rungs[place] * self.interval))
            decisions += [Decision(member, "continue", WAITS) for member in ready if member not in turn]
            if turn:
                decisions += self._turn(scene, turn, rungs, place)
        return decisions

    def _turn(self, scene: Scene, turn: Collection[int], rungs: Sequence[int], place: int) -> list[Decision]:
        """Return the decisions of those of a rung whose turn has come."""
        donors = self.donors(scene, turn, rungs, place)
        speed, clones = self.rate / math.sqrt(rungs[place]), list[int]()
        cloned = [member for member, donor in donors.items() if donor is not None and donor != member]
        scene = scene.expecting(
            cloned, [("explore", *path) for path, domain in scene.space.mutable.items() if not glides(domain)]
        )
        decisions = []
        for member, donor in donors.items():
            if donor is None:
                decisions.append(self._moved(scene, member, speed, "continue", GOES_ON))
            elif donor == member:
                decisions.append(self._moved(scene, member, speed, "skip", NO_DONOR))
            else:
                clones.append(member)
                decisions.append(self._set_out(scene, member, donor, clones, speed))
        return decisions

    def donors(self, scene: Scene, turn: Collection[int], rungs: Sequence[int], place: int) -> dict[int, int | None]:
        """Return whom each clones: itself where it finds none that is better, None where it need not."""
        count, members, known = len(rungs), len(scene.population.members), scene.points.known
        own = scene.points.among(in_group(place, count, members))
        slower = chain.from_iterable(in_group(rung, count, members) for rung in range(place, count))
        above = sum(map(known.__contains__, slower))
        size = math.ceil(round(above * self.fraction, 9))
        strongest = scene.points.all_at(reversed(scene.points.best(len(known))))
        best = [*islice((member for member in strongest if member % count >= place), size)]
        order = [member for member in own.in_order() if member in turn]  # the worst first, whoever has which number
        worst = own.lowest(math.ceil(round(len(own) * self.fraction, 9)), order)
        donors: dict[int, int | None] = dict.fromkeys(order)
        for member, share in zip(worst, scene.shares(worst, "donor"), strict=True):
            donor = best[int(share * len(best))] if best else member
            donors[member] = donor if is_better(known[donor].score, known[member].score) else member
        return donors

    def _set_out(self, scene: Scene, member: int, donor: int, clones: Sequence[int], speed: float) -> Decision:
        """Return the decision that makes ``member`` a clone, on ramps of its own."""
        base = inherit(scene.hparams(donor), scene.population.hparams(member), self.private)
        there = scene.population.segments[scene.points[donor].segment]
        known, own, turn = _ramps(there), _ramps(scene.population.current(member)), 1 if len(clones) % 2 else -1
        values: dict[Path, Any] = {}
        ramps: dict[str, Ramp] = {}
        for path, domain in scene.space.mutable.items():
            key, value = "/".join(path), get(base, path)
            if glides(domain):
                up = scene.generator(clones[0], "direction", *path).random() < 0.5
                ramp = (own if self._is_private(path) else known).get(key)
                exact = float(domain.clip(value)) if ramp is None else ramp.exact
                ramps[key] = Ramp(turn if up else -turn, exact).moved(domain, speed)
                values[path] = ramps[key].value(domain)
        others = self.mutation.among(scene, member, base, [path for path in scene.space.mutable if path not in values])
        hparams: Mapping[str, Any] = with_values(others, values)
        if broken(self.constraints, hparams) is not None:
            met = own_instead(self.constraints, scene, member, base)
            if met is None:
                return Decision(member, "skip", "nothing of a better member meets the constraints")
            hparams, ramps = met, {}
        info = {
            "donor": donor,
            "donor_score": scene.points[donor].score,
            "changed": changes(scene, base, hparams),
            "ramps": {key: list(ramp) for key, ramp in ramps.items()},
        }
        reason = "cloned a better member of its own or a slower rung"
        return Decision(member, "exploit", reason, scene.points[donor].checkpoint, hparams, info)

    def _is_private(self, path: Path) -> bool:
        return any(path[: len(kept)] == kept for kept in self.private)

    def _moved(self, scene: Scene, member: int, speed: float, verdict: str, reason: str) -> Decision:
        """Return the decision that lets ``member`` move on along its ramps, or go on as it is if it has none."""
        now = scene.population.current(member)
        ramps, config = _ramps(now), now.hparams
        if not ramps:
            return Decision(member, verdict, reason)
        domains = {"/".join(path): (path, domain) for path, domain in scene.space.mutable.items()}
        after = {key: ramp.moved(domains[key][1], speed) for key, ramp in ramps.items() if key in domains}
        hparams = with_values(config, {domains[key][0]: ramp.value(domains[key][1]) for key, ramp in after.items()})
        changed = changes(scene, config, hparams)
        if (not changed and after == ramps) or broken(self.constraints, hparams) is not None:
            return Decision(member, verdict, reason)
        info = {"changed": changed, "ramps": {key: list(ramp) for key, ramp in after.items()}}
        return Decision(member, "explore", "moved on along its ramp", scene.points[member].checkpoint, hparams, info)


def _ramps(segment: Segment) -> dict[str, Ramp]:
    """Return the ramps that a model was on in ``segment``, as the decision that set it out has noted them."""
    return {key: Ramp(*ramp) for key, ramp in segment.info.get("ramps", {}).items()}
