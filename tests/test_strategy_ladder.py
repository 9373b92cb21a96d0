"""LadderPBT: rungs of different pace, upwards of which nothing greedy climbs, and ramps."""

import math

import pytest
from test_strategy_multi_frequency import at_round, decided

import ramet
from ramet.core.events import Decided, Kept, Opened, Reported
from ramet.core.scene import Scene
from ramet.errors import ConfigError
from ramet.space import Space

MUTATIONS = {"h": ramet.uniform(0.0, 1.0)}


def ladder(rungs=(1, 2), **more):
    return ramet.LadderPBT(
        **{
            "time_attr": "training_iteration",
            "perturbation_interval": 5,
            "hyperparam_mutations": MUTATIONS,
            "rungs": rungs,
            **more,
        }
    )


SCORES = [float(score) for score in (7, 1, 3, 8, 5, 2, 0, 6, 4, 9, 12, 14, 10, 13, 11, 15)]


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_nobody_clones_a_faster_rungs_member(number):
    """Donors stand on the clone's own rung or on a slower one, and are of the best quarter there."""
    seen = set()
    for seed in range(20):
        for member, decision in decided(ladder((1, 2, 4)), at_round(SCORES, number, seed=seed)).items():
            if decision.verdict != "exploit":
                continue
            donor = decision.info["donor"]
            pool = sorted((m for m in range(16) if m % 3 >= member % 3), key=lambda m: -SCORES[m])
            assert donor in pool[: math.ceil(len(pool) / 4)]
            seen.add((member % 3, donor % 3))
    assert (0, 1) in seen or (0, 2) in seen
    assert ((2, 2) in seen) == (number == 4)


def test_a_rung_decides_when_its_turn_has_come():
    """The rung of 2 waits in every other round, and its members do not move either."""
    for number in (1, 2):
        for member, decision in decided(ladder(), at_round(SCORES, number)).items():
            assert (decision.reason == "its rung's turn has not come") == (number == 1 and member % 2 == 1)


def test_the_worst_quarter_of_a_rung_clones():
    """Of eight on a rung the two worst set out as clones, and nobody else."""
    decisions = decided(ladder(), at_round(SCORES, 2))
    for rung in (0, 1):
        worst = sorted(range(rung, 16, 2), key=lambda member: SCORES[member])[:2]
        clones = {m for m, d in decisions.items() if d.verdict == "exploit" and m % 2 == rung}
        assert clones == set(worst)


def test_clones_of_one_decision_go_up_and_down_by_turns():
    """Of two clones one is multiplied, the other divided, by exp(rate / sqrt(rung)), from the donor's value."""
    for seed in range(10):
        scene = at_round(SCORES, 2, seed=seed)
        decisions = decided(ladder(rate=0.25), scene)
        for rung, speed in ((0, 0.25), (1, 0.25 / math.sqrt(2))):
            factors = []
            for member, decision in decisions.items():
                if decision.verdict == "exploit" and member % 2 == rung:
                    donor = scene.hparams(decision.info["donor"])["h"]
                    factors.append(decision.hparams["h"] / donor)
            assert sorted(factors) == pytest.approx([math.exp(-speed), math.exp(speed)])


def test_a_ramp_goes_on_until_the_member_is_cloned_over():
    """With each turn of its rung the value moves on by the same factor; founders have no ramp and stay."""
    scene = at_round(SCORES, 1)
    population = scene.population
    scene.population.apply(Opened(16, 10, 10, 5, {"h": 0.5}, {"ramps": {"h": [1, 0.5]}}))
    moved = ladder()._moved(scene, 10, 0.25, "continue", "")
    assert moved.verdict == "explore"
    assert moved.hparams["h"] == pytest.approx(0.5 * math.exp(0.25))
    assert moved.info["ramps"]["h"] == [1, pytest.approx(0.5 * math.exp(0.25))]
    stays = ladder()._moved(scene, 11, 0.25, "continue", "as it is")
    assert (stays.verdict, stays.reason) == ("continue", "as it is")
    assert population.hparams(11)["h"] == 0.511


def test_a_clone_of_one_under_way_sets_out_from_where_it_is():
    """An integer between two values is taken over exactly, not as the value that is trained with."""
    space = Space(None, {"n": ramet.randint(1, 100)})
    scene = at_round([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0], 1, [{"n": 10}] * 10)
    scene.population.apply(Opened(10, 9, 9, 5, {"n": 10}, {"ramps": {"n": [1, 10.4]}}))
    scene.population.apply(Reported(10, 6, 10, {"score": 10.0}, "", "", 0.0))
    scene.population.apply(Kept(10, 10, 10.0, 10.0, 0.0, 0.0))
    scene = Scene.of(scene.population, space, scene.ready)
    strategy = ladder((1,), hyperparam_mutations={"n": ramet.randint(1, 100)}, quantile_fraction=0.1)
    clone = decided(strategy, scene)[0]
    assert clone.info["donor"] == 9
    assert clone.info["ramps"]["n"][1] in (pytest.approx(10.4 * math.exp(0.25)), pytest.approx(10.4 / math.exp(0.25)))


def test_a_clone_sets_out_from_what_made_its_weights():
    """A donor that has moved on since is taken as it stood: weights and ramp are of the same time."""
    scene = at_round([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 0.0, 99.0], 1)
    population = scene.population
    population.apply(Decided(7, 7, 5, "explore", "moved on along its ramp"))
    population.apply(Opened(8, 7, 7, 5, {"h": 0.9}, {"ramps": {"h": [1, 0.9]}}))
    clone = decided(ladder((1,)), Scene.of(population, scene.space, [6]))[6]
    assert clone.start == (7, 5)
    assert clone.info["ramps"]["h"][1] in (
        pytest.approx(0.507 * math.exp(0.25)),
        pytest.approx(0.507 * math.exp(-0.25)),
    )


@pytest.mark.parametrize("private", ["h", "deep"])
def test_a_private_number_does_not_travel_on_a_ramp(private):
    """A clone's private number sets out from where it was itself, whatever ramp the donor is on."""
    mutations = {"h": MUTATIONS["h"]} if private == "h" else {"deep": MUTATIONS}
    hparams = [{"h": 0.1}, {"h": 0.5}, {"h": 0.5}, {"h": 0.5}]
    hparams = hparams if private == "h" else [{"deep": each} for each in hparams]
    key = private if private == "h" else "deep/h"
    population = at_round([0.0, 1.0, 2.0, 3.0], 1, hparams).population
    population.apply(Opened(4, 3, 3, 5, hparams[3], {"ramps": {key: [1, 0.9]}}))
    population.apply(Reported(4, 6, 10, {"score": 3.0}, "", "", 0.0))
    population.apply(Kept(4, 10, 10.0, 3.0, 0.0, 0.0))
    strategy = ladder((1,), hyperparam_mutations=mutations, private=[private])
    clone = decided(strategy, Scene.of(population, Space(None, mutations), range(4)))[0]
    assert clone.info["donor"] == 3
    assert clone.info["ramps"][key][1] in (pytest.approx(0.1 * math.exp(0.25)), pytest.approx(0.1 * math.exp(-0.25)))


def test_what_has_no_direction_is_mutated_once():
    """Lists and categories of a clone are perturbed or drawn anew as usual, and have no ramp."""
    mutations = {"h": ramet.uniform(0.0, 1.0), "size": [16, 32, 64], "kind": ramet.choice(["a", "b"])}
    space, sizes = Space(None, mutations), set()
    for seed in range(20):
        scene = at_round(SCORES, 1, [{"h": 0.5, "size": 32, "kind": "a"}] * 16, seed=seed)
        scene = Scene(scene.population, space, scene.ready, scene.points)
        for decision in decided(ladder(hyperparam_mutations=mutations), scene).values():
            if decision.verdict == "exploit":
                assert set(decision.info["ramps"]) == {"h"}
                sizes.add(decision.hparams["size"])
    assert sizes >= {16, 64}


def test_a_ramp_ends_where_a_constraint_is_broken():
    """A step that would break a constraint is not taken."""
    strategy = ladder(constraints=[lambda config: config["h"] <= 0.55])
    scene = at_round(SCORES, 1)
    scene.population.apply(Opened(16, 10, 10, 5, {"h": 0.5}, {"ramps": {"h": [1, 0.5]}}))
    assert strategy._moved(scene, 10, 0.25, "continue", "").verdict == "continue"
    for decision in decided(strategy, at_round(SCORES, 2)).values():
        assert decision.hparams is None or decision.hparams["h"] <= 0.55


@pytest.mark.parametrize(
    ("members", "rungs"),
    [(1, (1,)), (3, (1,)), (4, (1, 4)), (9, (1, 4)), (10, (1, 2)), (15, (1, 2, 4)), (24, (1, 2, 4, 8)),
     (25, (1, 2, 4, 8, 16)), (1000, (1, 2, 4, 8, 16))],
)  # fmt: skip
def test_rungs_by_the_number_of_members(members, rungs):
    """Slow rungs are left out where they would be thinly populated."""
    assert ladder(None).rungs_of(members) == rungs


def test_nan_is_replaced_and_never_cloned():
    """Whoever has diverged becomes a clone of one of its own or a slower rung that has not."""
    scores = [math.nan] * 6 + SCORES[6:]
    for member, decision in decided(ladder(), at_round(scores, 2)).items():
        if member < 6:
            assert decision.verdict == "exploit"
            assert not math.isnan(scores[decision.info["donor"]])


@pytest.mark.parametrize(
    "arguments",
    [{"rungs": (2, 1)}, {"rungs": ()}, {"rate": 0}, {"rate": math.nan}, {"perturbation_interval": 0},
     {"quantile_fraction": 0.6}, {"hyperparam_mutations": {}}, {"private": "h"}, {"constraints": "h"}],
)  # fmt: skip
def test_bad_arguments_are_refused(arguments):
    """What cannot work is refused when the strategy is made."""
    with pytest.raises(ConfigError):
        ladder(**{"rungs": (1, 2), **arguments})


def test_the_record_tells_all_settings():
    """Two ladders that differ in any setting describe themselves differently, so that a restore tells them apart."""
    others = [
        ladder(),
        ladder(None),
        ladder(rate=0.2),
        ladder(quantile_fraction=0.5),
        ladder(private=["h"]),
        ladder(synch=False),
    ]
    told = [repr(each.describe()) for each in others]
    assert len(set(told)) == len(told)
    assert ladder().describe() == ladder().describe()
