"""What every strategy promises, as tests."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ramet.core.events import Began, Kept, Opened, Reported
from ramet.core.population import Population
from ramet.core.scene import Decision, Scene
from ramet.domains import Domain
from ramet.space import Space, get, loguniform, randint, uniform
from ramet.strategy.base import Strategy

MUTATIONS: dict[str, Any] = {
    "lr": loguniform(1e-4, 1e-1),
    "h": uniform(0.0, 1.0),
    "n": randint(1, 8),
    "deep": {"k": [1, 2, 4]},
}
"""What the suite lets strategies change: one of each sort of domain."""


def population_of(
    scores: Sequence[float], hparams: Sequence[Mapping[str, Any]] | None = None, *, seed: int = 0, iteration: int = 5
) -> Population:
    """Return a population in which every member has just handed over a checkpoint with its score, larger better.

    Args:
        scores: by member; NaN for a diverged one, None where a member has no checkpoint yet.
        hparams: by member; founders of `MUTATIONS` by default.
        seed: of the run.
        iteration: of the checkpoints.
    """
    population = Population()
    configs = hparams or Space(None, MUTATIONS).founders(len(scores), seed)
    population.apply(Began(seed, len(scores), {}))
    for number, config in enumerate(configs):
        population.apply(Opened(number, number, None, 0, config))
    for number, score in enumerate(scores):
        if score is not None:
            population.apply(Reported(number, 1, iteration, {"score": score}, "", "", 0.0))
            population.apply(Kept(number, iteration, float(iteration), score, 0.0, 0.0))
    return population


def learning(config: dict[str, Any]) -> None:
    """Learn at a pace that the hyperparameters set, from the checkpoint on; ``thrift`` falls where ``score`` rises."""
    import ramet

    checkpoint = ramet.get_checkpoint()
    weight = ramet.inherited(checkpoint.to_dict()["weight"], 0.0) if checkpoint is not None else 0.0
    while True:
        weight += config["h"] * (1.0 + 0.1 * float(ramet.rng().standard_normal()))
        saved = ramet.Checkpoint.from_dict({"weight": weight}) if ramet.should_checkpoint() else None
        ramet.report({"score": weight, "thrift": -weight * config["lr"]}, checkpoint=saved)


class StrategySuite:
    """Subclass it, define `make`, and pytest runs the suite::

        class TestMine(StrategySuite):
            def make(self, mutations):
                return MyStrategy(
                    time_attr="training_iteration", perturbation_interval=5, hyperparam_mutations=mutations
                )

    Attributes:
        members: how many members a run of it has; more where it needs them.
        draws: whether it draws anything; False where it is told all hyperparameters.
        clones_better: whether whoever is cloned is always better; False where some are cloned to be evaluated.
    """

    members = 8
    draws = True
    clones_better = True

    def make(self, mutations: Mapping[str, Any]) -> Strategy:
        """Return a new strategy that may change ``mutations``."""
        raise NotImplementedError(f"{type(self).__name__} must define make(mutations)")

    def _decide(self, population: Population, ready: Sequence[int] | None = None) -> list[Decision]:
        space = Space(None, MUTATIONS)
        members = range(len(population.members)) if ready is None else ready
        return sorted(self.make(MUTATIONS).decide(Scene.of(population, space, members)), key=lambda d: d.member)

    def test_one_decision_for_each_that_is_ready(self) -> None:
        """Exactly the ready members are decided about, whoever else there is."""
        population = population_of([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0])
        for ready in ([0], [7], [0, 3, 5], list(range(8))):
            assert [decision.member for decision in self._decide(population, ready)] == ready

    def test_nobody_ready(self) -> None:
        """With nobody ready nothing is decided."""
        assert self._decide(population_of([1.0, 2.0]), []) == []

    def test_one_member_alone(self) -> None:
        """A population of one never clones anybody."""
        assert all(decision.verdict != "exploit" for decision in self._decide(population_of([1.0])))

    def test_everything_stays_in_the_space(self) -> None:
        """Whatever a strategy makes of the hyperparameters is in its domain, and has the domain's type."""
        space = Space(None, MUTATIONS)
        for seed in range(50):
            population = population_of([float((7 * i + seed) % 8) for i in range(8)], seed=seed)
            for decision in self._decide(population):
                if decision.hparams is None:
                    continue
                for path, domain in space.mutable.items():
                    value = get(decision.hparams, path)
                    assert domain.contains(value), (path, value)
                    assert domain.type is object or type(value) is domain.type

    def test_starts_are_checkpoints_that_exist(self) -> None:
        """A new segment starts from a point of the scene, so a donor is never overwritten in the same decision."""
        population = population_of([float(i) for i in range(8)])
        scene = Scene.of(population, Space(None, MUTATIONS), range(8))
        points = {point.checkpoint for point in scene.points.values()}
        for decision in self._decide(population):
            assert decision.start is None or decision.start in points
            assert (decision.start is not None) == (decision.verdict in ("exploit", "explore"))

    def test_the_best_is_not_replaced(self) -> None:
        """The member with the highest score keeps its weights."""
        for decision in self._decide(population_of([3.0, 1.0, 8.0, 5.0, 2.0, 7.0])):
            assert decision.member != 2 or decision.verdict != "exploit"

    def test_nan_is_never_a_donor(self) -> None:
        """Nobody becomes the clone of a member whose score is NaN."""
        population = population_of([math.nan, 1.0, math.nan, 2.0, math.nan, math.nan])
        for decision in self._decide(population):
            if decision.verdict == "exploit":
                assert decision.start is not None
                assert not math.isnan(population.point(decision.start).score)

    def test_all_nan_and_all_equal(self) -> None:
        """Scores that tell nothing apart are no error, and nobody clones one that is not better."""
        for scores in ([math.nan] * 8, [1.0] * 8):
            decisions = self._decide(population_of(scores))
            assert len(decisions) == 8
            assert not self.clones_better or all(decision.verdict != "exploit" for decision in decisions)

    def test_a_donor_is_better(self) -> None:
        """Whoever is cloned has a better score than the one that gives way, ties and NaN in the field or not."""
        for scores in ([3.0, 1.0, 1.0, 2.0, 3.0, 1.0, 2.0, 3.0], [math.nan, 2.0, 2.0, math.nan, 1.0, 1.0, 2.0, 0.0]):
            for seed in range(20):
                population = population_of(scores, seed=seed)
                for decision in self._decide(population):
                    if self.clones_better and decision.verdict == "exploit" and decision.start is not None:
                        own, theirs = scores[decision.member], population.point(decision.start).score
                        assert theirs > own or (math.isnan(own) and not math.isnan(theirs))

    def rearranged(self, members: int) -> list[int]:
        """Return another order of the members, to which the strategy should be blind: by default it is reversed."""
        return list(reversed(range(members)))

    def test_members_are_only_names(self) -> None:
        """Whoever has which number, the same scores meet the same fate: as often, over many seeds."""
        scores = [5.0, 1.0, 7.0, 3.0, 2.0, 8.0, 6.0, 4.0] * (self.members // 8)
        scores = [score + 0.01 * place for place, score in enumerate(scores)]
        hparams = Space(None, MUTATIONS).founders(len(scores), 0)
        order, seeds = self.rearranged(len(scores)), 60
        fates: list[dict[tuple[float, str], int]] = [{}, {}]
        for fate, arranged in zip(fates, (range(len(scores)), order), strict=True):
            for seed in range(seeds):
                there, given = [scores[at] for at in arranged], [hparams[at] for at in arranged]
                for decision in self._decide(population_of(there, given, seed=seed)):
                    key = (there[decision.member], decision.verdict)
                    fate[key] = fate.get(key, 0) + 1
        for key in {*fates[0], *fates[1]}:
            one, other = (fate.get(key, 0) / seeds for fate in fates)
            assert abs(one - other) <= 5 * math.sqrt(0.5 / seeds), key

    def test_it_runs_on_every_executor(self, tmp_path: Path) -> None:
        """Through the tuner it ends without an error wherever work runs; and a synchronous one in the same story."""
        import ramet
        from ramet.testing.story import story

        stories = []
        executors = (ramet.InlineExecutor(3), ramet.SimulatedExecutor(2, spread=0.5), ramet.ProcessExecutor(2))
        for number, executor in enumerate(executors):
            strategy = self.make({"h": uniform(0.0, 1.0), "lr": loguniform(1e-4, 1e-1)})
            asks = strategy.metric is None and strategy.needs_score
            results = ramet.Tuner(
                learning,
                param_space={"h": uniform(0.0, 1.0), "lr": loguniform(1e-4, 1e-1)},
                tune_config=ramet.TuneConfig(
                    metric="score" if asks else None,
                    mode="max" if asks else None,
                    scheduler=strategy,
                    num_samples=self.members,
                    seed=3,
                ),
                run_config=ramet.RunConfig(
                    name=str(number),
                    storage_path=str(tmp_path),
                    stop={"compute_iterations": 23},
                    executor=executor,
                    verbose=0,
                ),
            ).fit()
            assert results.num_errors == 0, results.errors
            assert any(result.iteration > 0 for result in results)
            stories.append(story(results.experiment_path))
        if strategy.synch or not strategy.decides:
            assert stories[0] == stories[1] == stories[2]

    def test_the_same_past_gives_the_same_decision(self) -> None:
        """Deciding is a pure function: asked again, a fresh strategy says the same."""
        population = population_of([4.0, 1.0, 3.0, 2.0, 9.0, 0.0])
        assert self._decide(population) == self._decide(population)

    def test_another_seed_gives_other_draws(self) -> None:
        """Draws follow from the run's seed."""

        def drawn(seed: int) -> list[Any]:
            hparams = [{"lr": 0.01, "h": 0.5, "n": 4, "deep": {"k": 2}}] * 6
            return [d.hparams for d in self._decide(population_of([4.0, 1.0, 3.0, 2.0, 9.0, 0.0], hparams, seed=seed))]

        first = drawn(0)
        if self.draws and any(config is not None for config in first):
            assert any(drawn(seed) != first for seed in range(1, 20))

    def test_draws_of_different_keys_are_independent(self) -> None:
        """Perturbing one hyperparameter never moves another in step: over many seeds their moves are uncorrelated."""
        domain: Domain = uniform(0.0, 1.0)
        mutations = {"a": domain, "b": domain}
        moves = []
        for seed in range(300):
            population = population_of([1.0, 2.0, 3.0, 4.0], [{"a": 0.5, "b": 0.5}] * 4, seed=seed)
            scene = Scene.of(population, Space(None, mutations), range(4))
            configs = [decision.hparams for decision in self.make(mutations).decide(scene)]
            moves += [(config["a"] - 0.5, config["b"] - 0.5) for config in configs if config is not None]
        moves = [(a, b) for a, b in moves if a and b]  # a strategy may leave a key where it is
        if self.draws and moves:
            up = sum((a > 0) == (b > 0) for a, b in moves) / len(moves)
            assert abs(up - 0.5) < 4 * 0.5 / math.sqrt(len(moves))
