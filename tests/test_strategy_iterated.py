"""IteratedPBT: when it restarts, what becomes of weights, hyperparameters and interval, and that it keeps nothing."""

import collections
import math
import re

import numpy as np
import pytest
from pure import Pure
from toys import best_of

import ramet
from ramet.core.events import Decided, Opened
from ramet.core.scene import Scene
from ramet.errors import ConfigError
from ramet.space import Space
from ramet.strategy.curves import smoothed
from ramet.strategy.stagnation import best_by_step, stagnates

LR = {"lr": ramet.uniform(0.0, 1.0)}


def ipbt(**arguments):
    """A scheduler on iterations, with an interval of 5."""
    return ramet.IteratedPBT(**{"perturbation_interval": 5, "hyperparam_mutations": LR, **arguments})


def run_of(scores, rounds, members=4, seed=0, **arguments):
    """A run in which round after round every member reports what ``scores`` says of it at that round."""
    run = Pure(members, strategy=ipbt(**arguments), seed=seed)
    for number in range(rounds):
        for member in range(members):
            run.report(member, scores(member, number))
    return run


def rising(member, number):
    """Scores that rise steadily."""
    return number + member / 100


def flat(member, number):
    """Scores that rise for three rounds, and fall from then on."""
    return (number if number < 3 else 3 - 0.5 * number) + member / 100


def restarts(run):
    """By number of the restart, the segments that it opened."""
    opened = collections.defaultdict(list)
    for event in run.events:
        if isinstance(event, Opened) and "restart" in event.info and event.info["restarted_at"] == event.iteration:
            opened[event.info["restart"]].append(event)
    return dict(opened)


# ---------------------------------------------------------------------- whether progress has stopped


@pytest.mark.parametrize(
    "best",
    [
        np.arange(30.0),
        np.arange(14.0) ** 2,
        -np.exp(-np.arange(14.0) / 5),
        1e6 + np.arange(8.0),
        np.arange(8.0) * 1e-6,
    ],
    ids=["line", "parabola", "saturating", "far from 0", "small"],
)
def test_progress_is_no_stagnation(best):
    """While the best score rises at a rate, whatever its unit, nothing stagnates."""
    assert not any(stagnates(list(best[:size]), 3) for size in range(len(best) + 1))


def test_so_many_steps_must_fail_in_a_row():
    """With patience p stagnation begins at the p-th step in a row that is worse than the one before it."""
    best = [0.0, 1.0, 2.0, 3.0, 2.5, 2.0, 1.5, 1.0]
    for patience in (1, 2, 3, 4):
        first = next(size for size in range(len(best) + 1) if stagnates(best[:size], patience))
        assert first == 4 + patience


def test_a_step_that_improves_resets_the_count():
    """Two bad steps, a good one and two bad ones are not four."""
    best = [0.0, 1.0, 2.0, 1.5, 1.0, 3.0, 2.5, 2.0]
    assert not any(stagnates(best[:size], 3) for size in range(len(best) + 1))


def test_a_slow_population_stagnates_at_once():
    """From the 15th step on a gain of less than a standard deviation over 14 steps is stagnation, though it is one."""
    best = [0.0, 10.0, 20.0, *(20 + 0.01 * number for number in range(1, 13))]
    assert len(best) == 15
    fast = [float(number) for number in range(15)]
    slow = [*np.linspace(0, 10, 10), *np.linspace(10.01, 10.2, 15)]
    assert not stagnates(fast, 99)
    assert stagnates(slow, 99)
    assert not stagnates(best, 99), "the gain is that over the 14 last steps"


def test_smoothing_takes_noise_out_and_leaves_the_curve():
    """The smoothed curve is nearer to the truth than what was seen, and a straight line stays as it is."""
    x = np.linspace(0, 1, 50)
    truth, noise = np.sin(3 * x), np.random.default_rng(0).normal(0, 0.2, 50)
    assert np.abs(smoothed(truth + noise) - truth).mean() < 0.7 * np.abs(noise).mean()
    assert np.allclose(smoothed(truth), truth, atol=1e-3)
    assert smoothed([]).tolist() == []
    assert smoothed([2.0] * 5).tolist() == [2.0] * 5


def test_best_scores_are_by_step_and_finite():
    """A step's best score is the best finite one of all members within it, whatever became of them since."""
    run = run_of(lambda member, number: [math.nan, 5.0, 2.0, math.inf][member] if number == 1 else 0.0, 3)
    assert best_by_step(run.population, lambda time: time / 5) == [0.0, 5.0, 0.0]
    assert best_by_step(run.population, lambda time: (time - 5) / 5) == [5.0, 0.0]
    assert best_by_step(run.population, lambda time: time / 10) == [5.0, 0.0]


# ---------------------------------------------------------------------- restarts


def test_no_restart_while_it_gets_better():
    """A population that improves steadily does what population based training does, decision by decision."""
    run = run_of(rising, 20)
    assert restarts(run) == {}
    plain = Pure(4, strategy=ramet.PopulationBasedTraining("training_iteration", perturbation_interval=5,
                                                           hyperparam_mutations=LR, synch=True))  # fmt: skip
    for number in range(20):
        for member in range(4):
            plain.report(member, rising(member, number))
    assert run.events[1:] == plain.events[1:]


def test_the_interval_doubles_at_each_restart():
    """After the k-th restart decisions that may clone are 2**k first intervals apart, counted from the restart."""
    run = run_of(lambda member, number: -number + member / 100, 40, restarts="keep")
    found = restarts(run)
    began = {number: events[0].info["restarted_at"] for number, events in found.items()}
    # Of falling scores the 2nd, 3rd and 4th step fail: 4 steps of 5, then 4 of 10, then 4 of 20.
    assert began == {1: 20, 2: 60, 3: 140}
    for event in run.events:
        if isinstance(event, Decided) and event.verdict != "continue":
            number = max((n for n in began if began[n] < event.iteration), default=0)
            assert (event.iteration - began.get(number, 0)) % (5 * 2**number) == 0
    assert ("continue", "within a step") in run.population.verdicts


def test_all_members_restart_together():
    """At a restart every live member gets a new segment, from its own checkpoint or from one in the upper quantile."""
    run = run_of(flat, 8, members=8)
    (events,) = restarts(run).values()
    assert sorted(event.member for event in events) == list(range(8))
    best = max(range(8), key=lambda member: flat(member, 5))
    for event in events:
        assert event.info["donor" if "donor" in event.info else "restart"] in (6, 7, 1)
    starts = {event.member: event.parent for event in events}
    assert len(set(starts.values())) == 2
    assert starts[best] in set(starts.values())


@pytest.mark.parametrize(("max_t", "count"), [(None, 1), (50, 1), (49, 0), (30, 0)])
def test_no_restart_for_which_there_is_no_time(max_t, count):
    """A restart at time t is left out where two of the doubled steps do not fit until max_t."""
    run = run_of(flat, 7, max_t=max_t)
    found = restarts(run)
    assert len(found) == count
    assert all(event.iteration == 30 for events in found.values() for event in events)


@pytest.mark.parametrize(
    ("how", "mixes"),
    [("shrink", {(0.2, 0.1): 0.5, (0.0, 1.0): 0.5}), ("fresh", {(0.0, 1.0): 1.0}), ("keep", {None: 1.0})],
)
def test_weights_are_mixed_as_asked(how, mixes):
    """At a restart weights are shrunk, or with probability a half all new; or all new; or kept."""
    asked = collections.Counter()
    for seed in range(40):
        for events in restarts(run_of(flat, 7, members=8, seed=seed, restarts=how)).values():
            asked.update(tuple(event.info["weights"]) if "weights" in event.info else None for event in events)
    assert set(asked) == set(mixes)
    total = asked.total()
    assert total == 320
    for mix, share in mixes.items():
        assert abs(asked[mix] - share * total) <= 5 * math.sqrt(total * share * (1 - share))


def test_half_of_the_hyperparameters_are_drawn_anew_and_half_explore_the_best():
    """At a restart exactly half of the members have values from all over the domain, the others near the best's."""
    anew, places = [], collections.Counter()
    for seed in range(40):
        run = run_of(flat, 7, members=8, seed=seed, restarts="keep", resample_probability=0.0)
        ((_, events),) = restarts(run).items()
        best = max(range(8), key=lambda member: flat(member, 5))
        before = [event.hparams["lr"] for event in run.events if isinstance(event, Opened) and event.member == best]
        step = max(0.2 * before[0], 0.02)  # a fifth, or a step
        near = {round(min(before[0] + way, 1.0), 9) for way in (-step, step)}
        drawn = {e.member: e.hparams["lr"] for e in events if round(e.hparams["lr"], 9) not in near}
        assert len(drawn) == 4
        places.update(drawn)
        anew += drawn.values()
    assert set(np.histogram(anew, 4, (0, 1))[0] > 20) == {True}
    assert set(places) == set(range(8)), "which half it is, is drawn"


@pytest.mark.parametrize(("how", "explored"), [("keep", "last"), ("shrink", "first")])
def test_what_is_explored_at_a_restart(how, explored):
    """Kept models go on from the best one's hyperparameters, new ones from those that it began the iteration with."""

    def scores(member, number):
        # Member 0 is cloned by 3 at first, which then is the best.
        return {0: 3.0, 1: 2.0, 2: 1.0, 3: 0.0}[member] if number == 0 else flat(member, number) + 10

    run = run_of(scores, 9, restarts=how, resample_probability=0.0, perturbation_factors=(0.9,))
    hparams = collections.defaultdict(list)
    for event in run.events:
        if isinstance(event, Opened):
            hparams[event.member].append(event.hparams["lr"])
    clone = next(event for event in run.events if isinstance(event, Opened) and event.info.get("donor") == 0)
    assert clone.member == 3
    source = {"last": hparams[3][1], "first": hparams[0][0]}[explored]
    ((_, events),) = restarts(run).items()
    assert sum(math.isclose(event.hparams["lr"], source * 0.9) for event in events) == 2


def test_private_keys_and_constraints_hold_at_a_restart():
    """What never travels stays at restarts too, and what is drawn anew meets the constraints."""

    def small(config):
        return config["lr"] < 0.3

    run = Pure(4, strategy=ipbt(private=("seed",), constraints=[small]))
    for member in run.population.members:
        run.population.current(member.number).hparams = {"lr": 0.1, "seed": member.number}
    for number in range(8):
        for member in range(4):
            run.report(member, flat(member, number))
    ((_, events),) = restarts(run).items()
    assert all(event.hparams["seed"] == event.member and small(event.hparams) for event in events)


def test_a_restart_where_all_have_diverged():
    """Scores that are all NaN are no error: there is nobody to clone and nothing to smooth."""
    run = run_of(lambda member, number: math.nan if number > 3 else -number, 9)
    assert run.population.ended is None


def test_members_that_are_not_all_ready_do_not_restart():
    """A decision about some of the members is population based training, whatever came before."""
    run = run_of(flat, 5)
    for member in range(3):
        run.report(member, -9.0)
    decisions = run.strategy.decide(Scene.of(run.population, Space(None, LR), range(3)))
    assert all("restart" not in decision.info for decision in decisions)


def test_the_iteration_is_known_from_the_past_alone():
    """A strategy made anew at every decision does what one does that has seen them all."""
    one = run_of(flat, 12)
    other = Pure(4, strategy=ipbt())
    for number in range(12):
        for member in range(4):
            other.engine.strategy = other.strategy = ipbt()
            other.report(member, flat(member, number))
    assert one.events == other.events
    assert ipbt().iteration(one.population) == ipbt().iteration(other.population)
    assert ipbt().iteration(one.population).number == 1


def test_clones_and_replacements_say_in_which_iteration_they_are():
    """Every segment after a restart carries its number, so that a member's past need not be searched."""
    run = run_of(flat, 7)
    for number in range(7, 11):
        for member in range(4):
            run.report(member, rising(member, number))
    assert {run.population.current(member).info["restart"] for member in range(4)} == {1}
    replaced = run.strategy.replace(Scene.of(run.population, Space(None, LR), []), 0)
    assert replaced.info["restart"] == 1


def test_a_member_that_lost_its_checkpoint_does_not_set_the_iteration_back():
    """One segment that does not say in which iteration it is leaves the interval as it is."""
    run = run_of(flat, 7)
    before = ipbt().iteration(run.population)
    number, start = len(run.population.segments), run.population.members[1].point.checkpoint
    run.population.apply(Opened(number, 0, *start, {"lr": 0.5}, {"why": "lost"}))
    assert ipbt().iteration(run.population) == before
    assert before.number == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"synch": False}, "IteratedPBT(synch=False)"),
        ({"patience": 0}, "IteratedPBT(patience=0)"),
        ({"patience": True}, "IteratedPBT(patience=True)"),
        ({"restarts": "soft"}, "IteratedPBT(restarts='soft') must be one of 'shrink', 'fresh', 'keep'"),
        ({"restarts": ["keep"]}, "IteratedPBT(restarts=['keep'])"),
        ({"max_t": 0}, "IteratedPBT(max_t=0)"),
        ({"hyperparam_mutations": {}}, "IteratedPBT needs hyperparam_mutations"),
    ],
)
def test_what_cannot_work_is_refused(arguments, words):
    """An argument that is out of its range is refused by name before any work starts."""
    with pytest.raises(ConfigError, match=re.escape(words)):
        ipbt(**arguments)


def test_it_describes_itself():
    """Patience, restarts and the budget are in the record."""
    told = ipbt(patience=2, restarts="keep", max_t=100, metric="score", mode="max").describe()
    assert {
        "name": "IteratedPBT",
        "patience": 2,
        "restarts": "keep",
        "max_t": 100,
        "interval": 5,
    }.items() <= told.items()


# ---------------------------------------------------------------------- whole runs


def test_a_whole_run_repeats(tmp_path):
    """Two runs with the same seed are the same, restarts included."""
    found = []
    for folder in ("one", "other"):
        scheduler = ramet.IteratedPBT(hyperparam_mutations=LR | {"h": ramet.uniform(1e-4, 1.1)}, max_t=50)
        best, results = best_of(scheduler, tmp_path / folder, deceptive=False, mixes=True)
        found.append((best, [segment.hparams for segment in results.population.segments]))
        assert scheduler.iteration(results.population).number >= 1
    assert found[0] == found[1]


def test_where_greed_pays_it_finds_the_optimum(tmp_path):
    """On the plain toy it comes as near to the optimum as population based training does: 1.1997."""
    for restarts_as in ("keep", "fresh"):
        scheduler = ramet.IteratedPBT(
            hyperparam_mutations={"h": ramet.uniform(1e-4, 1.1)}, restarts=restarts_as, max_t=50
        )
        best, _ = best_of(scheduler, tmp_path / restarts_as, deceptive=False, members=8)
        assert best > 1.199
