"""DexPBT: whom a member sees at its own experience, and what is mutated how often."""

import math

import pytest

import ramet
from ramet.core.events import Began, Decided, Kept, Opened, Reported
from ramet.core.population import Population
from ramet.core.scene import Scene
from ramet.errors import ConfigError
from ramet.schedulers import GapThreshold
from ramet.space import Space
from ramet.strategy.dex import as_seen
from ramet.testing.strategies import population_of

LR = {"lr": ramet.uniform(0.0, 1.0)}
ALL = GapThreshold(worst=0.5, best=0.3, deviations=0.0, relative=0.0, own_hparams=0.0)


def dex(mutations=None, **arguments):
    """A strategy on iterations without a burn-in."""
    given = {"time_attr": "training_iteration", "perturbation_interval": 5, "burn_in_period": 0}
    return ramet.DexPBT(LR if mutations is None else mutations, **{**given, **arguments})


def told(*members, keep=None):
    """A population whose members made such scores, one each five iterations, and decided at each of them."""
    population = Population()
    population.apply(Began(0, len(members), {"num_to_keep": keep}))
    for number in range(len(members)):
        population.apply(Opened(number, number, None, 0, {"lr": 0.5}))
    for number, scores in enumerate(members):
        for at, score in enumerate(scores):
            grown(population, number, 5 * at, score)
    population.garbage()
    return population


def grown(population, member, start, score):
    """Let a member train five iterations from ``start``, and decide."""
    segment = population.members[member].segment
    population.apply(Reported(segment, start + 1, start + 5, {"score": score}, "", "", 0.0))
    population.apply(Kept(segment, start + 5, float(start + 5), score, float(start), 0.0))
    population.apply(Decided(member, segment, start + 5, "continue", ""))


def seen(population, member):
    """Where ``member`` sees everybody: (iteration, score) by member."""
    scene = as_seen(Scene.of(population, Space(None, LR), [member]), member)
    assert [*scene.ready] == [member]
    return {number: (point.iteration, point.score) for number, point in scene.points.items()}


# ---------------------------------------------------------------------- whom a member sees


def test_others_are_seen_where_they_were_at_ones_own_experience():
    """A young member sees older ones at its own time, an old one sees young ones where they are."""
    population = told([1.0, 2.0, 3.0], [4.0, 5.0], [6.0])
    assert seen(population, 0) == {0: (15, 3.0), 1: (10, 5.0), 2: (5, 6.0)}
    assert seen(population, 1) == {0: (10, 2.0), 1: (10, 5.0), 2: (5, 6.0)}
    assert seen(population, 2) == {0: (5, 1.0), 1: (5, 4.0), 2: (5, 6.0)}


def test_only_checkpoints_that_are_there_are_seen():
    """Where the checkpoint of that time is gone, the one before it is seen, or nobody."""
    population = told([1.0, 2.0, 3.0], [4.0], keep=1)
    assert (0, 5) not in population.present
    assert seen(population, 1) == {1: (5, 4.0)}


def test_a_clone_is_not_seen_as_its_donor():
    """Before it was cloned a model was its donor's, which is seen by itself: nobody counts twice."""
    population = told([1.0, 2.0], [3.0, 4.0], [5.0])
    population.apply(Opened(3, 0, 1, 10, {"lr": 0.5}))
    assert seen(population, 2) == {1: (5, 3.0), 2: (5, 5.0)}
    grown(population, 0, 10, 6.0)
    assert seen(population, 2) == {1: (5, 3.0), 2: (5, 5.0)}
    assert seen(population, 1) == {1: (10, 4.0), 2: (5, 5.0)}
    population.apply(Opened(4, 0, 3, 15, {"lr": 0.5}))  # went on from its own weights
    grown(population, 0, 15, 7.0)
    grown(population, 1, 10, 8.0)
    assert seen(population, 1) == {0: (15, 6.0), 1: (15, 8.0), 2: (5, 5.0)}


def test_the_donor_is_cloned_where_it_was_seen():
    """The clone starts from the donor's checkpoint of that time, and is told with its score of that time."""
    population = told([1.0], [2.0, 9.0])
    (decision,) = dex(exploit=ALL).decide(Scene.of(population, Space(None, LR), [0]))
    assert decision.verdict == "exploit"
    assert decision.start == (1, 5)
    assert (decision.info["donor"], decision.info["donor_score"]) == (1, 2.0)


def test_one_who_was_worse_at_that_time_is_no_donor():
    """A member that leads only because it is older is not cloned."""
    population = told([3.0, 3.0], [1.0, 2.0, 90.0])
    (decision,) = dex(exploit=ALL).decide(Scene.of(population, Space(None, LR), [0]))
    assert decision.verdict != "exploit"


def test_members_decided_together_see_for_themselves():
    """In one decision of members of different ages each is judged at its own."""
    population = told([1.0, 5.0], [4.0], [2.0, 2.0])
    decisions = {d.member: d for d in dex(exploit=ALL).decide(Scene.of(population, Space(None, LR), [0, 1, 2]))}
    assert {member: d.verdict for member, d in decisions.items()} == {0: "continue", 1: "continue", 2: "exploit"}
    assert decisions[2].start == (0, 10)


# ---------------------------------------------------------------------- what is mutated


def mutated(strategy, config, seeds=400):
    """The configurations after decisions of the worse of two members, over many seeds."""
    space = Space(None, strategy.mutations)
    found = []
    for seed in range(seeds):
        population = population_of([1.0, 100.0], [config] * 2, seed=seed)
        decision = strategy.decide(Scene.of(population, space, [0, 1]))[0]
        found.append(decision.hparams or config)
    return found


@pytest.mark.parametrize("probability", [0.0, 0.15, 1.0])
def test_keys_are_mutated_as_often_as_asked(probability):
    """Each key is multiplied or divided by 1.1 to 1.5 with the probability, else left as it is."""
    values = [config["lr"] for config in mutated(dex(mutation_probability=probability), {"lr": 0.3})]
    moved = [value for value in values if value != 0.3]
    assert abs(len(moved) - 400 * probability) <= 5 * math.sqrt(400 * probability * (1 - probability))
    assert all(1.1 - 1e-9 <= max(value / 0.3, 0.3 / value) <= 1.5 + 1e-9 for value in moved)
    if moved:
        assert 0.3 < sum(value > 0.3 for value in moved) / len(moved) < 0.7


def test_discounts_are_mutated_in_their_distance_from_one():
    """A key of one_minus moves by a factor of 1.1 to 1.2 of its distance from 1."""
    strategy = dex({"gamma": ramet.uniform(0.9, 0.9999)}, one_minus=["gamma"], mutation_probability=1.0)
    for config in mutated(strategy, {"gamma": 0.99}, seeds=100):
        factor = (1 - config["gamma"]) / 0.01
        assert 1.1 - 1e-6 <= max(factor, 1 / factor) <= 1.2 + 1e-6


def test_categories_are_drawn_anew():
    """What has no neighbours is drawn from its domain where it is mutated."""
    strategy = dex({"act": ramet.choice(["a", "b", "c"])}, mutation_probability=1.0)
    assert {config["act"] for config in mutated(strategy, {"act": "a"}, seeds=60)} == {"a", "b", "c"}


def test_without_a_gap_the_worst_mutate_their_own():
    """A member that is not far enough behind keeps its weights, and goes on with its own configuration, mutated."""
    configs = [{"lr": 0.3, "other": member} for member in range(2)]
    scene = Scene.of(population_of([99.0, 100.0], configs), Space(None, LR), [0, 1])
    decision = dex(mutation_probability=1.0).decide(scene)[0]
    assert (decision.verdict, decision.start) == ("explore", (0, 5))
    assert decision.hparams["other"] == 0
    assert decision.hparams["lr"] != 0.3


# ---------------------------------------------------------------------- arguments and runs


def test_the_defaults_are_those_of_the_paper():
    """Decisions are ten million steps apart, the first at twenty million; with an interval, at twice that."""
    strategy = ramet.DexPBT(LR)
    assert (strategy.interval, strategy.burn_in, strategy.synch) == (1e7, 2e7, False)
    assert ramet.DexPBT(LR, perturbation_interval=5).burn_in == 10
    assert "GapThreshold(worst=0.125, best=0.3, deviations=0.5, relative=0.05" in strategy.describe()["exploit"]


WRONG = [
    ({"hyperparam_mutations": {}}, "hyperparam_mutations"),
    ({"one_minus": ["beta"]}, "one_minus"),
    ({"one_minus": ["n"], "hyperparam_mutations": {"n": ramet.randint(1, 9)}}, "one_minus"),
    ({"mutation_probability": 2}, "mutation_probability"),
    ({"scale": (0.5, 1.5)}, "scale"),
    ({"scale": 1.2}, "scale"),
    ({"one_minus_scale": (1.3, 1.2)}, "one_minus_scale"),
    ({"perturbation_interval": 0}, "perturbation_interval"),
    ({"burn_in_period": -1}, "burn_in_period"),
    ({"exploit": "truncation"}, "exploit"),
]


@pytest.mark.parametrize(("arguments", "name"), WRONG, ids=repr)
def test_arguments_out_of_range_are_refused(arguments, name):
    """What cannot work is refused by the name of the argument, before any work."""
    with pytest.raises(ConfigError, match=name):
        ramet.DexPBT(**{"hyperparam_mutations": LR, **arguments})


def climbing(config):
    """Climb faster the larger the rate is."""
    checkpoint = ramet.get_checkpoint()
    x = checkpoint.to_dict()["x"] if checkpoint else 0.0
    while x < 1e9:
        x += config["lr"]
        ramet.report({"x": x}, checkpoint=ramet.Checkpoint.from_dict({"x": x}))


@pytest.mark.parametrize("slots", [1, 3])
def test_a_run_without_anybody_in_charge(tmp_path, slots):
    """A whole run, with fewer slots than members, clones, and on average gets further than a search."""

    def mean(scheduler, name):
        grid = ramet.Tuner(
            climbing,
            param_space={"lr": ramet.uniform(0.1, 0.5)},
            tune_config=ramet.TuneConfig(metric="x", mode="max", scheduler=scheduler, num_samples=8, seed=0),
            run_config=ramet.RunConfig(
                name=name,
                storage_path=tmp_path,
                verbose=0,
                executor=ramet.InlineExecutor(slots),
                stop={"training_iteration": 60},
            ),
        ).fit()
        assert grid.num_errors == 0
        return sum(result.metrics["x"] for result in grid) / len(grid), grid.population

    searched, _ = mean(None, "search")
    found, population = mean(dex(mutation_probability=0.5), "dex")
    assert population.exploits > 0
    assert found > searched
