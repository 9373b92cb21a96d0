"""Constraints: whatever is drawn keeps to them, or it is said that nothing does."""

import pytest

import ramet
from ramet.core.scene import Scene
from ramet.errors import ConfigError, StrategyError
from ramet.schedulers import Constrained, Mutation
from ramet.space import Space
from ramet.testing.strategies import population_of

MUTATIONS = {"batch": [16, 24, 32, 48, 64], "minibatch": [8, 12, 16], "lr": ramet.uniform(0.0, 1.0)}
FITS = {"batch": 32, "minibatch": 8, "lr": 0.5}


def divides(config):
    """Whether minibatches fill the batch."""
    return config["batch"] % config["minibatch"] == 0


def pbt(*constraints, **more):
    return ramet.PopulationBasedTraining(
        time_attr="training_iteration",
        perturbation_interval=5,
        hyperparam_mutations=MUTATIONS,
        constraints=constraints,
        resample_probability=1.0,
        **more,
    )


def clones(strategy, seeds=range(60), config=FITS):
    for seed in seeds:
        scene = Scene.of(population_of([4.0, 1.0, 3.0, 2.0], [config] * 4, seed=seed), Space(None, MUTATIONS), range(4))
        yield from (decision for decision in strategy.decide(scene) if decision.verdict == "exploit")


def test_every_clone_meets_the_constraints():
    """Draws that break one are made again; how often that was is in the reason, which the summary counts."""
    strategy = pbt(divides)
    reasons = set()
    for decision in clones(strategy):
        assert divides(decision.hparams)
        reasons.add(decision.reason)
    assert reasons == {"cloned a better member", "cloned a better member; constraints met after it was drawn again"}
    assert not all(divides(decision.hparams) for decision in clones(pbt()))


def test_a_draw_that_meets_them_is_left_as_it_is():
    """Constraints change nothing where they are met anyway."""
    plain = [decision.hparams for decision in clones(pbt())]
    kept = [decision.hparams for decision in clones(pbt(divides))]
    assert all(one == other for one, other in zip(plain, kept, strict=True) if divides(one))


def test_what_no_draw_meets_is_repaired_key_by_key():
    """Where draws never meet them, what was changed is taken over as far as they allow."""
    for decision in clones(pbt(lambda config: config["batch"] == 32), range(20)):
        assert decision.hparams["batch"] == 32
    rare = pbt(lambda config: 0.4999 < config["lr"] < 0.5001)
    for decision in clones(rare, range(20)):
        assert decision.hparams["lr"] == 0.5
        assert decision.reason.endswith("repaired")
        assert decision.info["constraints"] == "repaired"
    assert any(decision.hparams["batch"] != 32 for decision in clones(rare))


def test_a_start_that_breaks_them_is_drawn_on():
    """Where the donor itself breaks a constraint there is nothing to go back to, and drawing goes on."""
    for decision in clones(pbt(divides), range(20), {"batch": 16, "minibatch": 12, "lr": 0.5}):
        assert divides(decision.hparams)


def test_what_cannot_be_met_is_said_with_its_name():
    """If nothing meets them the run ends with the constraint's name and a configuration that broke it."""
    never = pbt(lambda config: config["batch"] > 1000)
    with pytest.raises(StrategyError, match=r"lambda.*\{'batch'"):
        list(clones(never, [0], {"batch": 16, "minibatch": 12, "lr": 0.5}))


def test_a_constraint_that_raises_is_said_with_what_it_was_given():
    """An error in a constraint names it and the configuration."""
    with pytest.raises(StrategyError, match=r"KeyError: 'bacht'.*'batch'"):
        list(clones(pbt(lambda config: config["bacht"] > 0), [0]))


def test_a_constraint_may_change_what_it_is_given():
    """It gets a copy: what it does to that is nobody's configuration."""

    def spoils(config):
        config["batch"] = -1
        return True

    assert all(decision.hparams["batch"] > 0 for decision in clones(pbt(spoils), range(5)))


def test_founders_meet_them_too():
    """Members begin with configurations that meet the constraints, or the run does not begin."""
    space = Space({"fixed": 7}, MUTATIONS)
    drawn = space.founders(40, 0)
    founders = pbt(divides).founders(drawn, space, 0)
    assert all(map(divides, founders))
    assert [new == old for new, old in zip(founders, drawn, strict=True)] == [divides(config) for config in drawn]
    with pytest.raises(ConfigError, match="founder 0"):
        pbt(lambda config: False).founders(drawn, space, 0)
    with pytest.raises(ConfigError, match="KeyError"):
        pbt(lambda config: config["x"]).founders(drawn, space, 0)


def test_founders_of_a_grid_keep_their_place_in_it():
    """A founder that is drawn anew has the grid's value that it had."""
    space = Space({"seed": ramet.grid_search([1, 2, 3])}, MUTATIONS)
    founders = pbt(divides).founders(space.founders(5, 1), space, 1)
    assert [config["seed"] for config in founders] == [1, 2, 3] * 5
    assert all(map(divides, founders))


def test_a_whole_run_keeps_to_them():
    """In a run no configuration that was trained breaks a constraint."""

    def train(config):
        assert divides(config)
        for step in range(20):
            ramet.report({"score": config["lr"] * step}, checkpoint=ramet.Checkpoint.from_dict({}))

    results = ramet.Tuner(
        train,
        tune_config=ramet.TuneConfig(metric="score", mode="max", scheduler=pbt(divides), num_samples=8, seed=0),
        run_config=ramet.RunConfig(executor="inline", verbose=0),
    ).fit()
    assert results.num_errors == 0, results.errors


@pytest.mark.parametrize("constraints", ["batch", [3], {"a": divides}, 3])
def test_what_is_no_constraint_is_refused(constraints):
    """They are functions of the configuration, in a list."""
    with pytest.raises(ConfigError, match="constraints"):
        ramet.PopulationBasedTraining(hyperparam_mutations=MUTATIONS, constraints=constraints)


def test_any_explore_rule_can_be_constrained():
    """The rule is a value that wraps another one."""
    strategy = ramet.PopulationBasedTraining(
        hyperparam_mutations=MUTATIONS, explore=Constrained(Mutation(1.0), [divides])
    )
    assert all(divides(decision.hparams) for decision in clones(strategy))


def test_a_donors_values_that_break_them_beside_private_ones_are_no_end():
    """What 100 draws from the donor's cannot meet is met with the member's own: a run does not die of it."""
    mutations = {"lr": ramet.uniform(0.0, 1.0), "h": ramet.uniform(0.0, 1.0)}
    configs = [{"width": width, "lr": 0.5 / width, "h": 0.1 * width} for width in (1, 100, 1, 1)]

    def fits(config):
        return config["lr"] * config["width"] <= 1.0

    arguments = {
        "time_attr": "training_iteration",
        "perturbation_interval": 5,
        "hyperparam_mutations": mutations,
        "constraints": [fits],
        "private": ["width"],
    }
    for strategy in (
        ramet.PopulationBasedTraining(**arguments, resample_probability=0.0),
        ramet.LadderPBT(**arguments, rungs=(1,)),
    ):
        scene = Scene.of(population_of([4.0, 1.0, 3.0, 2.0], configs), Space(None, mutations), range(4))
        (clone,) = [each for each in strategy.decide(scene) if each.verdict == "exploit"]
        assert clone.member == 1
        assert (clone.hparams["width"], clone.hparams["lr"], clone.hparams["h"]) == (100, 0.005, 0.1)
        assert fits(clone.hparams)
