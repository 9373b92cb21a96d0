"""PairwisePBT: places and velocities by hand, what travels with the decision, and what has no range."""

import math
import statistics

import pytest

import ramet
from ramet.core.events import Decided, Kept, Opened, Reported
from ramet.core.scene import Scene
from ramet.errors import ConfigError
from ramet.space import Space
from ramet.testing.strategies import population_of

LR = {"lr": ramet.uniform(0.0, 1.0)}


def pairwise(mutations=None, **arguments):
    """A strategy on iterations that draws nothing anew."""
    given = {"time_attr": "training_iteration", "perturbation_interval": 5, "resample_probability": 0.0}
    return ramet.PairwisePBT(hyperparam_mutations=LR if mutations is None else mutations, **{**given, **arguments})


def learned(strategy, slow, fast, *, velocity=None, seed=0):
    """The decision of a slow learner with this configuration and velocity, paired with a fast one."""
    population = population_of([1.0, 2.0], [slow, fast], seed=seed)
    if velocity is not None:
        population.apply(Decided(0, 0, 5, "exploit", ""))
        population.apply(Opened(2, 0, 0, 5, slow, {"velocity": velocity}))
        population.apply(Reported(2, 6, 10, {}, "", "", 0.0))
        population.apply(Kept(2, 10, 10.0, 1.0, 0.0, 0.0))
    (decision,) = strategy.decide(Scene.of(population, Space(None, strategy.mutations), [0, 1]))[:1]
    assert (decision.member, decision.verdict, decision.start) == (0, "exploit", (1, 5))
    return decision


def test_a_slow_learner_moves_towards_the_fast_one():
    """Without velocity it goes a share of the way, drawn between none and all of it."""
    moved = [learned(pairwise(), {"lr": 0.2}, {"lr": 0.6}, seed=seed).hparams["lr"] for seed in range(300)]
    assert min(moved) >= 0.2
    assert max(moved) <= 0.6
    assert statistics.fmean(moved) == pytest.approx(0.4, abs=5 * 0.4 / math.sqrt(12 * 300))


def test_velocity_is_a_share_of_itself_and_of_the_way():
    """From equal places what is left of the velocity is drawn between none and all; with both, they add."""
    coasting = [learned(pairwise(), {"lr": 0.5}, {"lr": 0.5}, velocity={"lr": 0.2}, seed=s) for s in range(300)]
    moved = [decision.hparams["lr"] for decision in coasting]
    assert min(moved) >= 0.5
    assert max(moved) <= 0.7
    assert statistics.fmean(moved) == pytest.approx(0.6, abs=5 * 0.2 / math.sqrt(12 * 300))
    assert all(d.info["velocity"]["lr"] == pytest.approx(d.hparams["lr"] - 0.5) for d in coasting)
    both = [
        learned(pairwise(), {"lr": 0.5}, {"lr": 0.7}, velocity={"lr": 0.2}, seed=s).hparams["lr"] for s in range(300)
    ]
    assert statistics.fmean(both) == pytest.approx(0.7, abs=5 * 0.3 / math.sqrt(12 * 300))
    assert max(both) > 0.75


def test_places_stay_in_the_domain():
    """A velocity that leads beyond a bound ends at it, and is kept as it was."""
    for seed in range(30):
        decision = learned(pairwise(), {"lr": 0.9}, {"lr": 1.0}, velocity={"lr": 5.0}, seed=seed)
        v = decision.info["velocity"]["lr"]
        assert decision.hparams["lr"] == pytest.approx(min(0.9 + v, 1.0))


def test_log_domains_are_moved_through_evenly():
    """The middle of the way from 1e-4 to 1e-2 is about 1e-3."""
    strategy = pairwise({"lr": ramet.loguniform(1e-5, 1e-1)})
    moved = [learned(strategy, {"lr": 1e-4}, {"lr": 1e-2}, seed=seed).hparams["lr"] for seed in range(300)]
    assert statistics.fmean(map(math.log10, moved)) == pytest.approx(-3, abs=5 * 2 / math.sqrt(12 * 300))


def test_integers_and_lists_move_between_the_two():
    """Integers and entries of a list end at one of those between the learner's and the donor's."""
    strategy = pairwise({"n": ramet.randint(1, 9), "deep": {"k": [1, 2, 4, 8]}})
    found = [
        learned(strategy, {"n": 2, "deep": {"k": 8}}, {"n": 6, "deep": {"k": 1}}, seed=seed).hparams
        for seed in range(100)
    ]
    assert {config["n"] for config in found} == {2, 3, 4, 5, 6}
    assert {config["deep"]["k"] for config in found} == {1, 2, 4, 8}


def test_categories_and_all_else_are_the_donors():
    """What has no places is taken over, or drawn anew as often as anything; so is what is not mutable."""
    strategy = pairwise({"act": ramet.choice(["a", "b", "c"])})
    slow, fast = {"act": "a", "width": 1, "seed": 1}, {"act": "b", "width": 2, "seed": 2}
    assert learned(strategy, slow, fast).hparams == {"act": "b", "width": 2, "seed": 2}
    kept = pairwise({"act": ramet.choice(["a", "b", "c"])}, private=["seed", "act"])
    assert learned(kept, slow, fast).hparams == {"act": "a", "width": 2, "seed": 1}
    drawn = pairwise({"act": ramet.choice(["a", "b", "c"])}, resample_probability=1.0)
    assert {learned(drawn, slow, fast, seed=seed).hparams["act"] for seed in range(40)} == {"a", "b", "c"}


@pytest.mark.parametrize("probability", [0.0, 0.25, 1.0])
def test_keys_are_drawn_anew_as_often_as_asked(probability):
    """The share that is drawn anew is resample_probability, and their velocity ends."""
    decisions = [
        learned(pairwise(resample_probability=probability), {"lr": 0.5}, {"lr": 0.5}, seed=seed) for seed in range(400)
    ]
    drawn = [d for d in decisions if "lr" not in d.info["velocity"]]
    assert abs(len(drawn) - 400 * probability) <= 5 * math.sqrt(400 * probability * (1 - probability))
    assert all(d.hparams["lr"] == 0.5 for d in decisions if d not in drawn)


def test_velocity_survives_constraints():
    """What the rule remembers is kept with the decision also where constraints are asked, and met."""
    strategy = pairwise(constraints=[lambda config: config["lr"] < 0.5])
    for seed in range(20):
        decision = learned(strategy, {"lr": 0.2}, {"lr": 0.7}, seed=seed)
        assert decision.hparams["lr"] < 0.5
        assert decision.hparams["lr"] == pytest.approx(0.2 + decision.info["velocity"]["lr"])


def test_leaders_clone_better_leaders_if_asked():
    """With leaders=True members of the highest quarter clone a better one of it; by default they go on."""
    scores = [float(m) for m in range(8)]
    for leaders, verdict in ((False, "continue"), (True, "exploit")):
        population = population_of(scores, [{"lr": 0.1 * m} for m in range(8)])
        decisions = pairwise(leaders=leaders).decide(Scene.of(population, Space(None, LR), range(8)))
        assert {d.member: d.verdict for d in decisions} == {
            0: "exploit", 1: "exploit", **dict.fromkeys(range(2, 6), "continue"), 6: verdict, 7: "continue",
        }  # fmt: skip
    assert decisions[6].info["donor"] == 7


def test_without_draws_a_population_draws_together():
    """Nothing leaves the range of what there was, where no velocity and no draw carries it out."""
    for seed in range(50):
        configs = [{"lr": 0.3 + 0.05 * m} for m in range(8)]
        population = population_of([float(m) for m in range(8)], configs, seed=seed)
        for decision in pairwise().decide(Scene.of(population, Space(None, LR), range(8))):
            assert decision.hparams is None or 0.3 <= decision.hparams["lr"] <= 0.65


WRONG = [
    ({"hyperparam_mutations": {}}, "hyperparam_mutations"),
    ({"hyperparam_mutations": None}, "hyperparam_mutations"),
    ({"hyperparam_mutations": {"deep": {"x": lambda: 0.1}}}, r"cannot move 'deep/x'.*ramet\.uniform"),
    ({"quantile_fraction": 0.6}, "quantile_fraction"),
    ({"resample_probability": -0.1}, "resample_probability"),
    ({"leaders": "yes"}, "leaders"),
    ({"perturbation_interval": 0}, "perturbation_interval"),
    ({"constraints": [1]}, "constraints"),
]


@pytest.mark.parametrize(
    ("arguments", "message"), WRONG, ids=[f"{message}{at}" for at, (_, message) in enumerate(WRONG)]
)
def test_arguments_out_of_range_are_refused(arguments, message):
    """What cannot work, functions among it, is refused by its name and with the way out."""
    with pytest.raises(ConfigError, match=message):
        ramet.PairwisePBT(**{"hyperparam_mutations": LR, **arguments})


def towards(config):
    """Climb faster the nearer the rate is to 0.8."""
    checkpoint = ramet.get_checkpoint()
    x = checkpoint.to_dict()["x"] if checkpoint else 0.0
    while True:
        x += 1 - abs(config["lr"] - 0.8)
        ramet.report({"x": x}, checkpoint=ramet.Checkpoint.from_dict({"x": x}))


@pytest.mark.parametrize("synch", [True, False])
def test_velocities_travel_through_a_run_and_its_resume(tmp_path, synch):
    """Velocities are kept with the segments, and a run that was taken up ends as a whole one."""

    def tuner(name, stop):
        return ramet.Tuner(
            towards,
            param_space={"lr": ramet.uniform(0.0, 1.0)},
            tune_config=ramet.TuneConfig(
                metric="x", mode="max", scheduler=pairwise(synch=synch), num_samples=6, seed=1
            ),
            run_config=ramet.RunConfig(name=name, storage_path=tmp_path, verbose=0, executor="inline", stop=stop),
        )

    whole = tuner("whole", {"training_iteration": 60}).fit()
    half = tuner("half", {"training_iteration": 30}).fit()
    again = ramet.Tuner.restore(half.experiment_path, towards, stop={"training_iteration": 60}).fit()
    assert whole.num_errors == again.num_errors == 0
    told = [segment.info["velocity"] for segment in whole.population.segments if segment.info.get("why") == "exploit"]
    assert len(told) > 3
    if synch:
        assert [(s.member, dict(s.hparams), dict(s.info)) for s in again.population.segments] == [
            (s.member, dict(s.hparams), dict(s.info)) for s in whole.population.segments
        ]
