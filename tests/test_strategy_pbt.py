"""PopulationBasedTraining: how often what is drawn, how many clone whom, and what a custom function may do."""

import collections
import inspect
import json
import math
import random
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pure import Pure

import ramet
from ramet.core.events import Decided, Opened
from ramet.core.scene import Scene
from ramet.errors import ConfigError, StrategyError
from ramet.seeding import call_seeded
from ramet.space import Space
from ramet.strategy.exploit import quantile_size
from ramet.testing.strategies import population_of

LR = {"lr": ramet.uniform(0.0, 1.0)}


def pbt(mutations=None, **arguments):
    """A scheduler on iterations."""
    given = {"time_attr": "training_iteration", "perturbation_interval": 5}
    return ramet.PopulationBasedTraining(
        hyperparam_mutations=LR if mutations is None else mutations, **{**given, **arguments}
    )


def decided(scheduler, scores, config=None, *, seed=0, ready=None):
    """The decisions about members with such scores, all with the same configuration."""
    configs = [dict(config or {"lr": 0.5}) for _ in scores]
    population = population_of(scores, configs, seed=seed)
    space = Space(None, scheduler.mutations, call=call_seeded)
    return scheduler.decide(Scene.of(population, space, range(len(scores)) if ready is None else ready))


def clones(scheduler, scores=(1.0, 2.0), config=None, *, seeds=1000):
    """The decisions of all members that became clones, over many seeds."""
    found = [decision for seed in range(seeds) for decision in decided(scheduler, scores, config, seed=seed)]
    return [decision for decision in found if decision.verdict == "exploit"]


def likely(count, total, probability):
    """Whether so many of so many are within five standard deviations; seeds are fixed, so this is decided once."""
    return abs(count - total * probability) <= 5 * math.sqrt(total * probability * (1 - probability)) + 1e-9


# ---------------------------------------------------------------------- distributions


@pytest.mark.parametrize("probability", [0.0, 0.1, 0.25, 0.9, 1.0])
def test_keys_are_drawn_anew_as_often_as_asked(probability):
    """The share of keys that are drawn anew is resample_probability; the others are perturbed by a factor."""
    drawn = [decision.hparams["lr"] for decision in clones(pbt(resample_probability=probability))]
    perturbed = collections.Counter(value for value in drawn if value in (0.6, 0.4))
    assert likely(len(drawn) - perturbed.total(), len(drawn), probability)
    assert likely(perturbed[0.6], perturbed.total(), 0.5)


def test_what_is_drawn_anew_is_spread_over_the_domain():
    """Draws fill the domain evenly: every tenth of it has about a tenth of them."""
    values = [decision.hparams["lr"] for decision in clones(pbt(resample_probability=1.0))]
    counts = collections.Counter(int(10 * value) for value in values)
    assert sorted(counts) == list(range(10))
    assert all(likely(count, len(values), 0.1) for count in counts.values())


@pytest.mark.parametrize("factors", [(1.2, 0.8), (2.0, 0.5, 1.5), (1.1,), [0.9, 1.1, 1.2, 0.7]], ids=repr)
def test_each_factor_is_drawn_equally_often(factors):
    """Perturbed values are the old one times one of the factors, each as often as any other."""
    values = [
        decision.hparams["lr"] for decision in clones(pbt(resample_probability=0.0, perturbation_factors=factors))
    ]
    counts = collections.Counter(min(factors, key=lambda factor: abs(value - 0.5 * factor)) for value in values)
    assert all(abs(value - 0.5 * factor) < 1e-12 for value in values for factor in [round(2 * value, 9)])
    assert set(counts) == set(factors)
    assert all(likely(count, len(values), 1 / len(factors)) for count in counts.values())


def test_donors_are_drawn_evenly_from_the_upper_quantile():
    """Each member of the lower quantile clones each of the upper one equally often, whatever their order in it."""
    found = clones(pbt(quantile_fraction=0.5), [3.0, 7.0, 1.0, 5.0, 2.0, 8.0, 4.0, 6.0], seeds=400)
    donors = collections.defaultdict(collections.Counter)
    for decision in found:
        donors[decision.member][decision.info["donor"]] += 1
    assert set(donors) == {0, 2, 4, 6}
    for counts in donors.values():
        assert set(counts) == {1, 3, 5, 7}
        assert all(likely(count, 400, 0.25) for count in counts.values())


@pytest.mark.parametrize(("value", "neighbours"), [(1, {2}), (2, {1, 4}), (4, {2, 8}), (8, {4})])
def test_lists_move_to_a_neighbour(value, neighbours):
    """A value in a list moves to one beside it, to each as often."""
    found = clones(pbt({"n": [1, 2, 4, 8]}, resample_probability=0.0), config={"n": value}, seeds=300)
    counts = collections.Counter(decision.hparams["n"] for decision in found)
    assert set(counts) == neighbours
    assert all(likely(count, 300, 1 / len(neighbours)) for count in counts.values())


def test_functions_are_called_to_draw_and_multiplied_to_perturb():
    """A function's values are drawn by calling it, with the globals seeded; its numbers are perturbed like others."""
    scheduler = pbt({"lr": lambda: random.uniform(10, 20)}, resample_probability=0.5)
    values = [decision.hparams["lr"] for decision in clones(scheduler, config={"lr": 0.5}, seeds=300)]
    perturbed = [value for value in values if value in (0.6, 0.4)]
    drawn = [value for value in values if 10 <= value <= 20]
    assert len(perturbed) + len(drawn) == len(values)
    assert likely(len(drawn), len(values), 0.5)
    assert len(set(drawn)) == len(drawn)


# ---------------------------------------------------------------------- who clones

SIZES = {
    (1, 0.5): 0, (2, 0.25): 1, (3, 0.25): 1, (4, 0.25): 1, (5, 0.25): 2, (8, 0.25): 2, (9, 0.25): 3, (10, 0.2): 2,
    (2, 0.5): 1, (3, 0.5): 1, (5, 0.5): 2, (6, 0.5): 3, (7, 0.4): 3, (20, 0.01): 1, (4, 0.0): 0, (100, 0.0): 0,
}  # fmt: skip


@pytest.mark.parametrize(("members", "fraction"), SIZES)
def test_so_many_clone(members, fraction):
    """The number of clones is the quantile's size: rounded up, but never more than half."""
    scores = (
        [float((7 * member) % members) for member in range(members)]
        if members % 7
        else list(map(float, range(members)))
    )
    decisions = decided(pbt(quantile_fraction=fraction), scores)
    exploited = {decision.member for decision in decisions if decision.verdict == "exploit"}
    worst = sorted(range(members), key=lambda member: scores[member])[: SIZES[members, fraction]]
    assert quantile_size(members, fraction) == SIZES[members, fraction]
    assert exploited == set(worst)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.one_of(st.floats(-9, 9), st.just(math.nan)), min_size=1, max_size=12),
    st.floats(0, 0.5),
    st.integers(0, 9),
)
def test_the_laws_of_truncation(scores, fraction, seed):
    """Donors are strictly better, finite and of the upper quantile; who is not among the worst, or NaN, goes on."""
    size = quantile_size(len(scores), fraction)
    order = sorted(
        range(len(scores)), key=lambda m: (not math.isnan(scores[m]), scores[m] if scores[m] == scores[m] else 0, m)
    )
    lower, upper = set(order[:size]), set(order[len(order) - size :])
    for decision in decided(pbt(quantile_fraction=fraction), scores, seed=seed):
        score = scores[decision.member]
        if decision.verdict == "exploit":
            donor = decision.info["donor"]
            assert donor in upper
            assert not math.isnan(scores[donor])
            assert math.isnan(score) or scores[donor] > score
            assert decision.member in lower or math.isnan(score)
            assert decision.start == (donor, 5)
            assert decision.info["donor_score"] == scores[donor]
            assert repr(decision.info["score"]) == repr(None if math.isnan(score) else score)
        elif decision.verdict == "skip":
            better = [
                donor
                for donor in upper
                if not math.isnan(scores[donor]) and (math.isnan(score) or scores[donor] > score)
            ]
            assert better == []
            assert decision.member in lower or math.isnan(score)
        else:
            assert size == 0 or (decision.member not in lower and not math.isnan(score))


@pytest.mark.parametrize("scores", [[1.0, 2.0, 3.0, 4.0], [math.nan, 1.0, 2.0, 3.0], [math.nan] * 4], ids=repr)
def test_a_quantile_of_zero_never_exploits(scores):
    """With quantile_fraction=0 everybody goes on, diverged or not, and the reason is told."""
    decisions = decided(pbt(quantile_fraction=0), scores)
    assert {(decision.verdict, decision.reason) for decision in decisions} == {("continue", "quantile_fraction is 0")}


def test_only_members_that_are_ready_decide_but_all_are_compared():
    """A member's rank counts all that have a score, though only those that are ready may move."""
    population = population_of([1.0, 2.0, 3.0, 4.0], [{"lr": 0.5}] * 4)
    for member in range(4):
        population.apply(Decided(member, member, 5, "continue", ""))
    for ready, verdict in ((0, "exploit"), (1, "continue")):
        (decision,) = pbt().decide(Scene.of(population, Space(None, LR), [ready]))
        assert (decision.member, decision.verdict) == (ready, verdict)


def test_what_travels():
    """A clone has its donor's configuration, with the mutable keys explored; private keys are its own."""
    configs = [{"lr": 0.5, "width": 10 * m, "seed": m, "data": {"fold": m, "path": f"p{m}"}} for m in range(2)]
    scheduler = pbt(private=("seed", "data/fold"), resample_probability=0.0)
    (clone,) = [
        decision
        for decision in scheduler.decide(Scene.of(population_of([1.0, 2.0], configs), Space(None, LR), [0, 1]))
        if decision.verdict == "exploit"
    ]
    lr = clone.hparams["lr"]
    assert clone.hparams == {"lr": lr, "width": 10, "seed": 0, "data": {"fold": 0, "path": "p1"}}
    assert clone.info["changed"] == {"lr": [0.5, lr]}
    assert configs[1] == {"lr": 0.5, "width": 10, "seed": 1, "data": {"fold": 1, "path": "p1"}}, (
        "the donor's is untouched"
    )


# ---------------------------------------------------------------------- independence


def test_members_that_clone_the_same_donor_explore_apart():
    """Two clones of one donor, decided together, draw from streams of their own."""
    same = 0
    for seed in range(200):
        one, other = [
            decision.hparams["lr"]
            for decision in decided(
                pbt(resample_probability=1.0, quantile_fraction=0.5), [1.0, 2.0, 3.0, 4.0], seed=seed
            )
            if decision.verdict == "exploit"
        ]
        same += one == other
    assert same == 0


def test_successive_decisions_of_a_member_draw_apart():
    """The same member in the same place draws other numbers at its next decision."""
    values = []
    for decisions in range(50):
        population = population_of([1.0, 2.0], [{"lr": 0.5}] * 2)
        population.members[0].decisions = decisions
        scene = Scene.of(population, Space(None, LR), [0, 1])
        values += [d.hparams["lr"] for d in pbt(resample_probability=1.0).decide(scene) if d.hparams is not None]
    assert len(set(values)) == 50


def test_a_key_draws_the_same_whatever_other_keys_there_are():
    """Adding or removing a mutable key changes neither what another one draws nor whom anybody clones."""
    alone = pbt({"a": ramet.uniform(0, 1)})
    among = pbt({"z": [1, 2, 3], "a": ramet.uniform(0, 1), "deep": {"b": ramet.randint(0, 9)}})
    config = {"a": 0.5, "z": 2, "deep": {"b": 4}}
    one, other = (
        clones(scheduler, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], config, seeds=50) for scheduler in (alone, among)
    )
    assert [(d.member, d.info["donor"], d.hparams["a"]) for d in one] == [
        (d.member, d.info["donor"], d.hparams["a"]) for d in other
    ]


def test_whether_to_draw_anew_and_by_which_factor_are_independent_between_keys():
    """Over many seeds, what happens to one key says nothing about another: all pairs of moves are equally frequent."""
    scheduler = pbt({"a": ramet.uniform(0, 1), "b": ramet.uniform(0, 1)}, resample_probability=0.0)
    found = clones(scheduler, config={"a": 0.5, "b": 0.5}, seeds=800)
    pairs = collections.Counter((decision.hparams["a"] > 0.5, decision.hparams["b"] > 0.5) for decision in found)
    assert all(likely(pairs[one, other], len(found), 0.25) for one in (True, False) for other in (True, False))


def test_the_donor_says_nothing_about_the_factor():
    """Whom a member clones and what it then draws are independent."""
    found = clones(pbt(quantile_fraction=0.5, resample_probability=0.0), [1.0, 2.0, 3.0, 4.0], seeds=600)
    pairs = collections.Counter((d.info["donor"], d.hparams["lr"] > 0.5) for d in found if d.member == 0)
    assert all(likely(pairs[donor, up], 600, 0.25) for donor in (2, 3) for up in (True, False))


# ---------------------------------------------------------------------- a custom function


def test_a_custom_function_is_called_once_for_each_clone_with_what_was_mutated():
    """It sees the whole mutated configuration, and what it returns is what the clone trains with."""
    seen = []

    def custom(config):
        seen.append(dict(config))
        return {**config, "extra": len(seen), "lr": 0.125}

    config = {"lr": 0.5, "width": 3}
    found = clones(
        pbt(custom_explore_fn=custom, resample_probability=0.0, quantile_fraction=0.5),
        [1.0, 2.0, 3.0, 4.0],
        config,
        seeds=5,
    )
    assert len(found) == len(seen) == 2 * 5
    assert all(config.keys() == {"lr", "width"} and config["lr"] in (0.6, 0.4) for config in seen)
    assert [decision.hparams for decision in found] == [{"lr": 0.125, "width": 3, "extra": n} for n in range(1, 11)]
    assert all(decision.info["changed"] == {"lr": [0.5, 0.125]} for decision in found)


def test_a_custom_function_alone_is_enough():
    """Without any mutations the function decides what changes."""
    scheduler = ramet.PopulationBasedTraining(custom_explore_fn=lambda config: {**config, "lr": config["lr"] * 3})
    assert [decision.hparams for decision in clones(scheduler, seeds=1)] == [{"lr": 1.5}]


def _drawing(config):
    return {**config, "lr": random.random(), "normal": float(np.random.normal())}


def test_what_a_custom_function_draws_repeats():
    """The global generators are seeded for each call: the same decision draws the same, another one other numbers."""
    scheduler = pbt(custom_explore_fn=_drawing, quantile_fraction=0.5)
    random.seed(1)
    first = [decision.hparams for decision in clones(scheduler, [1.0, 2.0, 3.0, 4.0], seeds=20)]
    random.seed(2)
    assert [decision.hparams for decision in clones(scheduler, [1.0, 2.0, 3.0, 4.0], seeds=20)] == first
    assert len({config["lr"] for config in first}) == len({config["normal"] for config in first}) == len(first)


def test_a_custom_function_leaves_the_callers_generators_alone():
    """What the script draws after a decision is what it would have drawn without."""
    random.seed(3)
    np.random.seed(3)
    expected = random.random(), np.random.random()
    random.seed(3)
    np.random.seed(3)
    clones(pbt(custom_explore_fn=_drawing), seeds=3)
    assert (random.random(), np.random.random()) == expected


@pytest.mark.parametrize("returned", [None, 0.5, [("lr", 0.5)], "lr", {"lr"}], ids=repr)
def test_a_custom_function_that_returns_no_configuration_is_named(returned):
    """Anything but a dict is a StrategyError that names the function, what it returned and what it should."""

    def forgetful(config):
        return returned

    with pytest.raises(StrategyError) as caught:
        clones(pbt(custom_explore_fn=forgetful), seeds=1)
    for words in ("custom_explore_fn", "forgetful", type(returned).__name__, "return the dict"):
        assert words in str(caught.value)


def test_a_custom_function_that_changes_its_argument_changes_no_other_configuration():
    """The donor, which trains on, keeps its configuration, however deep the function reaches into its own."""

    def meddling(config):
        config["deep"]["momentum"] = -1
        config["layers"].append(9)
        return config

    configs = [{"lr": 0.5, "deep": {"momentum": 0.9}, "layers": [1]} for _ in range(2)]
    population = population_of([1.0, 2.0], configs)
    pbt(custom_explore_fn=meddling).decide(Scene.of(population, Space(None, LR), [0, 1]))
    assert population.hparams(1) == {"lr": 0.5, "deep": {"momentum": 0.9}, "layers": [1]}


def saving(config):
    """Train, the later members better."""
    checkpoint = ramet.get_checkpoint()
    step = checkpoint.to_dict()["step"] if checkpoint else 0
    while step < 12:
        step += 1
        ramet.report(
            {"score": step + ramet.get_context().member}, checkpoint=ramet.Checkpoint.from_dict({"step": step})
        )


def test_a_run_that_ends_by_a_custom_function_says_so(tmp_path):
    """The error comes out of fit(), and stands in the record of the run, whose members could go on."""
    scheduler = pbt(custom_explore_fn=lambda config: None, synch=True)
    with pytest.raises(StrategyError, match="custom_explore_fn"):
        ramet.Tuner(
            saving,
            tune_config=ramet.TuneConfig(metric="score", mode="max", num_samples=4, scheduler=scheduler),
            run_config=ramet.RunConfig(name="run", storage_path=tmp_path, verbose=0, executor="inline"),
        ).fit()
    opened = ramet.ResultGrid(tmp_path / "run")
    assert opened.population.ended.startswith("StrategyError: custom_explore_fn")
    assert {result.state for result in opened} == {"training"}


# ---------------------------------------------------------------------- arguments


@pytest.mark.parametrize("log_config", [True, False])
@pytest.mark.parametrize("require_attrs", [True, False])
def test_arguments_without_a_meaning_here_are_taken(log_config, require_attrs):
    """log_config and require_attrs change nothing."""
    given = pbt(log_config=log_config, require_attrs=require_attrs)
    assert given.describe() == pbt().describe()
    assert decided(given, [1.0, 2.0]) == decided(pbt(), [1.0, 2.0])


def test_defaults_are_ray_tunes():
    """Scripts that rely on defaults get those that they were written for."""
    parameters = inspect.signature(ramet.PopulationBasedTraining).parameters
    ours = {"private", "exploit", "explore", "constraints", "weights"}
    defaults = {name: parameter.default for name, parameter in parameters.items() if name not in ours}
    assert defaults == {
        "time_attr": "time_total_s", "metric": None, "mode": None, "perturbation_interval": 60.0, "burn_in_period": 0.0,
        "hyperparam_mutations": None, "quantile_fraction": 0.25, "resample_probability": 0.25,
        "perturbation_factors": (1.2, 0.8), "custom_explore_fn": None, "log_config": True, "require_attrs": True,
        "synch": False,
    }  # fmt: skip


def test_a_scheduler_describes_itself_in_plain_data():
    """All settings are in the record, as JSON."""
    told = pbt(
        metric="score", mode="max", burn_in_period=3, quantile_fraction=0.5, perturbation_factors=[2, 0.5], synch=True,
        custom_explore_fn=_drawing, private=("a/b",),
    ).describe()  # fmt: skip
    assert json.loads(json.dumps(told)) == told
    assert told == {
        "name": "PopulationBasedTraining", "time_attr": "training_iteration", "metric": "score", "mode": "max",
        "synch": True,
        "interval": 5, "burn_in": 3, "quantile_fraction": 0.5, "resample_probability": 0.25,
        "perturbation_factors": [2, 0.5],
        "custom_explore_fn": "_drawing", "private": ["a/b"],
    }  # fmt: skip


def test_one_scheduler_may_serve_several_runs():
    """A strategy keeps nothing: used again, it decides as a new one would."""
    used = pbt(quantile_fraction=0.5)
    for seed in range(5):
        decided(used, [1.0, 2.0, 3.0, 4.0], seed=seed)
    assert decided(used, [4.0, 3.0, 2.0, 1.0]) == decided(pbt(quantile_fraction=0.5), [4.0, 3.0, 2.0, 1.0])


# ---------------------------------------------------------------------- synchronous or not


@settings(max_examples=25, deadline=None)
@given(st.permutations(range(5)), st.integers(0, 50))
def test_synchronous_decisions_are_those_of_the_whole_generation(order, seed):
    """However members arrive, a synchronous generation is decided as if all had come at once."""
    scores = [3.0, 1.0, 5.0, 2.0, 4.0]
    run = Pure(5, synch=True, seed=seed, quantile_fraction=0.4)
    before = [dict(run.population.hparams(member)) for member in range(5)]
    for member in order:
        run.report(member, scores[member])
    expected = {
        d.member: d for d in run.strategy.decide(Scene.of(_fresh(scores, before, seed), Space(None, LR), range(5)))
    }
    for event in run.events:
        if isinstance(event, Opened) and event.parent is not None:
            decision = expected[event.member]
            assert (event.parent, event.iteration) == decision.start
            assert event.hparams == decision.hparams


def _fresh(scores, configs, seed):
    return population_of(scores, configs, seed=seed)


def test_asynchronous_members_are_judged_as_they_come():
    """The first to arrive finds nobody to compare with and goes on; the last one is compared with all."""
    run = Pure(4, synch=False)
    verdicts = {}
    for member in (3, 2, 1, 0):
        events = run.report(member, float(member))
        (event,) = [event for event in events if isinstance(event, Decided)]
        verdicts[member] = (event.verdict, event.reason)
    assert verdicts[3] == ("continue", "too few members to compare")
    assert verdicts[0][0] == "exploit"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"private": 5}, "private=5"),
        ({"private": [""]}, "private="),
        ({"perturbation_interval": 10**400}, "perturbation_interval="),
        ({"synch": "False"}, "synch='False'"),
    ],
)
def test_more_that_is_refused(arguments, words):
    """Arguments of the wrong kind are refused by name, not by an error from deep inside."""
    with pytest.raises(ConfigError, match=re.escape(words)):
        ramet.PopulationBasedTraining(hyperparam_mutations={"lr": ramet.uniform(0, 1)}, **arguments)


def test_quantiles_are_not_rounded_up_by_dust():
    """100 * 0.07 is 7, whatever floats make of it."""
    assert quantile_size(100, 0.07) == 7
    assert quantile_size(100, 0.071) == 8


def test_what_a_custom_function_returns_is_brought_into_the_space():
    """A custom value outside its domain is clipped to it, and a lost key is refused by name."""

    def decided(function):
        run = Pure(
            4,
            strategy=ramet.PopulationBasedTraining(
                time_attr="training_iteration",
                perturbation_interval=5,
                hyperparam_mutations={"lr": ramet.uniform(0.25, 1.0)},
                custom_explore_fn=function,
                synch=True,
            ),
        )
        for member in range(4):
            run.report(member, float(member))
        return run.population.hparams(0)

    assert decided(lambda config: {**config, "lr": -5.0, "note": "mine"}) == {"lr": 0.25, "note": "mine"}
    with pytest.raises(StrategyError, match=r"without \['lr'\]"):
        decided(lambda config: {})
