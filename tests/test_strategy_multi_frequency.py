"""MultiFrequencyPBT: groups of different pace."""

import math

import pytest

import ramet
from ramet.core.events import Decided, Kept, Reported
from ramet.core.scene import Scene
from ramet.errors import ConfigError
from ramet.schedulers import Truncation
from ramet.space import Space
from ramet.testing.strategies import population_of

MUTATIONS = {"h": ramet.uniform(0.0, 1.0)}
SPACE = Space(None, MUTATIONS)


def mf(frequencies=(1, 2), **more):
    return ramet.MultiFrequencyPBT(
        time_attr="training_iteration",
        perturbation_interval=5,
        hyperparam_mutations=MUTATIONS,
        frequencies=frequencies,
        **more,
    )


def at_round(scores, number, hparams=None, seed=0):
    """Return the scene of the ``number``-th round: everyone has decided to go on in all rounds before."""
    population = population_of(scores, hparams or [{"h": 0.5 + 0.001 * m} for m in range(len(scores))], seed=seed)
    for later in range(2, number + 1):
        for member, score in enumerate(scores):
            population.apply(Decided(member, member, 5 * (later - 1), "continue", ""))
            population.apply(Reported(member, 5 * later - 4, 5 * later, {"score": score}, "", "", 0.0))
            population.apply(Kept(member, 5 * later, 5.0 * later, score, 0.0, 0.0))
    return Scene.of(population, SPACE, range(len(scores)))


def decided(strategy, scene):
    return {decision.member: decision for decision in strategy.decide(scene)}


SCORES = [float(score) for score in (7, 1, 3, 8, 5, 2, 0, 6, 4, 9, 12, 14, 10, 13, 11, 15)]


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5, 6])
def test_a_group_acts_when_its_time_has_come(number):
    """The group of frequency f decides in rounds f, 2f, 3f … and waits in all others."""
    for member, decision in decided(mf((1, 3)), at_round(SCORES, number)).items():
        acts = member % 2 == 0 or number % 3 == 0
        assert (decision.reason == "its group's time has not come") == (not acts)


def test_quarters_of_a_group():
    """The worst quarter clones the best one pairwise by rank and explores; the better half goes on."""
    scene = at_round(SCORES, 1)
    decisions = decided(mf(), scene)
    order = sorted(range(0, 16, 2), key=lambda member: -SCORES[member])
    for worse, better in zip(order[-2:], order[:2], strict=True):
        assert decisions[worse].info["donor"] == better
        assert decisions[worse].hparams["h"] != scene.hparams(better)["h"]
    assert all(decisions[member].verdict == "continue" for member in order[:4])


def test_migrants_are_the_best_of_other_groups_each_once():
    """The quarter above the worst gives way to better members of other groups, which do not explore."""
    scene = at_round(SCORES, 1)
    decisions = decided(mf(), scene)
    order = sorted(range(0, 16, 2), key=lambda member: -SCORES[member])
    outsiders = sorted(range(1, 16, 2), key=lambda member: -SCORES[member])
    for member, migrant in zip(order[4:6], outsiders, strict=False):
        assert decisions[member].info["donor"] == migrant
        assert decisions[member].info.get("changed") is None


def test_hyperparameters_migrate_from_slower_groups_only():
    """A fast group takes a slow one's hyperparameters with the weights; a slow one keeps to those of its own best."""
    scene = at_round(SCORES, 2)  # both act
    decisions = decided(mf(), scene)
    for group in (0, 1):
        order = sorted(range(group, 16, 2), key=lambda member: -SCORES[member])
        for member in order[4:6]:
            migrant = decisions[member].info["donor"]
            assert migrant % 2 != group
            source = migrant if group == 0 else order[0]
            assert decisions[member].hparams == scene.hparams(source)
            assert decisions[member].start == scene.points[migrant].checkpoint


def test_whoever_is_not_better_does_not_migrate():
    """A group that is better than all others takes nobody in."""
    scores = [float(member + 100 * (member % 2 == 0)) for member in range(16)]
    decisions = decided(mf(), at_round(scores, 1))
    assert all(decision.info.get("donor", 0) % 2 == 0 for decision in decisions.values())


def test_nan_is_replaced_wherever_it_stands():
    """However many of a group have diverged, each becomes a clone of one that has not."""
    scores = [math.nan] * 8 + SCORES[8:]
    for decision in decided(mf(), at_round(scores, 2)).values():
        if decision.member < 8:
            assert decision.verdict == "exploit"


@pytest.mark.parametrize("seed", range(5))
def test_one_frequency_is_truncation(seed):
    """In the limit of one group the same members are replaced as by truncation, by members of the same quarter."""
    scene = at_round(SCORES, 1, seed=seed)
    decisions = decided(mf((1,)), scene)
    choices = Truncation(0.25)(scene)
    replaced = {member for member, choice in choices.items() if choice.donor is not None}
    assert {member for member, decision in decisions.items() if decision.verdict == "exploit"} == replaced
    assert all(SCORES[decisions[member].info["donor"]] >= 12 for member in replaced)


def test_asynchronously_a_member_decides_by_itself():
    """One that comes alone is treated as it would be among its group, where all others stand."""
    strategy = mf(synch=False)
    together = decided(strategy, at_round(SCORES, 1))
    for member in range(0, 16, 2):
        scene = at_round(SCORES, 1)
        for other in scene.population.members:
            other.decided = other.point
        alone = Scene.of(scene.population, SPACE, [member])
        assert strategy.decide(alone) == [together[member]]


@pytest.mark.parametrize(
    "arguments",
    [
        {"frequencies": ()},
        {"frequencies": (0, 1)},
        {"frequencies": (2, 1)},
        {"frequencies": (1, 1)},
        {"frequencies": (1.5,)},
        {"frequencies": "12"},
        {"quantile_fraction": 0.25},
        {"exploit": Truncation()},
        {"hyperparam_mutations": None},
    ],
)
def test_bad_arguments_are_refused(arguments):
    """What cannot work is refused when the strategy is made."""
    with pytest.raises(ConfigError):
        ramet.MultiFrequencyPBT(**{"hyperparam_mutations": MUTATIONS, **arguments})


def test_too_few_members_are_refused_before_any_work():
    """There must be four members in each group; the error says how many there are and what would do."""
    with pytest.raises(ConfigError, match=r"needs 8 members.*there are 7.*num_samples"):
        mf().founders([{"h": 0.5}] * 7, SPACE, 0)
    assert len(mf().founders([{"h": 0.5}] * 8, SPACE, 0)) == 8
