"""Whole runs of a population in one program: every strategy, and the same as members that train one by one."""

import itertools

import numpy as np
import pytest

pytest.importorskip("jax")

import jax.numpy as jnp
from vectors import MUTATIONS, SPACE, WALK, happened, init, pbt, same_states, states, step, told, tuner

import ramet

TIMES = {"time_attr": "training_iteration", "perturbation_interval": 3}
GOALS = {"score": "max", "steps": "min"}
REFERENCE = {"score": -99, "steps": 99}
BOUNDED = {"lr": ramet.uniform(0.001, 0.5)}


def _of(kind, *arguments, **given):
    return lambda synch: kind(*arguments, **{**TIMES, "hyperparam_mutations": MUTATIONS, "synch": synch, **given})


STRATEGIES = {
    "PBT": _of(ramet.PopulationBasedTraining),
    "PBT that begins later": _of(ramet.PopulationBasedTraining, burn_in_period=4),
    "PB2": _of(ramet.PB2, hyperparam_mutations=BOUNDED),
    "FirePBT": _of(ramet.FirePBT, evaluations=3),
    "MultiFrequencyPBT": _of(ramet.MultiFrequencyPBT, frequencies=(2, 3), perturbation_interval=1),
    "PairwisePBT": _of(ramet.PairwisePBT),
    "DexPBT": lambda synch: ramet.DexPBT(MUTATIONS, burn_in_period=0, synch=synch, **TIMES),
    "ASHA": lambda synch: ramet.ASHA(max_t=12, grace_period=3, reduction_factor=2, synch=synch),
    "IteratedPBT": _of(ramet.IteratedPBT, time_attr="training_iteration", perturbation_interval=2),
    "LadderPBT": _of(ramet.LadderPBT, perturbation_interval=2),
    "MultiObjectivePBT": _of(ramet.MultiObjectivePBT, GOALS, reference=REFERENCE),
    "RandomSearch": lambda synch: ramet.RandomSearch(),
    "FIFO": lambda synch: ramet.FIFO(),
    "ScheduleReplay": lambda synch: ramet.ScheduleReplay([(1, {"lr": 0.25}), (5, {"lr": 0.01})]),
}
NEVER_JOINT = ("RandomSearch", "FIFO", "ScheduleReplay")
ASYNCHRONOUS = [name for name in STRATEGIES if name not in (*NEVER_JOINT, "IteratedPBT")]
OWN_SPACE = {
    "PB2": {**SPACE, **BOUNDED},
    "ScheduleReplay": {"spread": ramet.uniform(0.5, 1.0), "pace": ramet.grid_search([1, 2])},
}


def run(folder, name, synch, executor, **more):
    """Run eight members under the strategy called ``name``."""
    return tuner(folder, executor, STRATEGIES[name](synch), pairs=4, space=OWN_SPACE.get(name), **more).fit()


def is_sound(results):
    """Nobody failed, nothing was lost or is to be told, every row is there, and every lineage begins at a founder."""
    assert results.errors == []
    assert happened(results.experiment_path, "Lost", "Failed", "Noted") == []
    population = results.population
    assert population.ended == "every member is done"
    assert not population.retention.held
    for result in results:
        chain = population.lineage(population.members[result.member].segment)
        assert chain[0].parent is None
        for part, after in itertools.pairwise(chain):
            assert after.start in [point.iteration for point in part.points]
        state = result.checkpoint.to_dict()
        assert state["steps"] == 2 * result.iteration
        assert np.isfinite(state["params/w"]).all()


@pytest.mark.parametrize(
    ("name", "synch"), [*((name, True) for name in STRATEGIES), *((name, False) for name in ASYNCHRONOUS)]
)
def test_every_strategy_runs_in_one_program(tmp_path, name, synch):
    """A run under any strategy ends without failures, every last model is on disk, and every lineage is whole."""
    results = run(tmp_path / "run", name, synch, ramet.VectorExecutor(checkpoint_every=3))
    is_sound(results)
    if name not in ("ASHA", *NEVER_JOINT):
        assert results.population.exploits > 0


@pytest.mark.parametrize("name", ["PBT", "FirePBT", "MultiFrequencyPBT", "ASHA", "IteratedPBT", "FIFO"])
def test_members_in_turn_are_members_at_once(tmp_path, name):
    """With fewer rows on the device than members, events, rows and models are the same, bit for bit."""
    whole = run(tmp_path / "whole", name, True, ramet.VectorExecutor(checkpoint_every=2))
    turns = run(tmp_path / "turns", name, True, ramet.VectorExecutor(rows=3, checkpoint_every=5))
    assert told(turns.experiment_path) == told(whole.experiment_path)
    assert same_states(states(turns), states(whole))


@pytest.mark.parametrize("name", ["PBT", "PB2", "FirePBT", "IteratedPBT"])
def test_one_program_is_members_one_by_one(tmp_path, name):
    """A synchronous run decides, opens and scores as the same trainable does where every member is its own program.

    Scores are held to a relative 1e-5, for what a compiler fuses may differ; here they are the same to the last bit.
    """
    whole = run(tmp_path / "whole", name, True, ramet.VectorExecutor())
    alone = run(tmp_path / "alone", name, True, "inline")
    one, other = told(whole.experiment_path), told(alone.experiment_path)
    assert decisions(one) == decisions(other)
    assert one["rows"].keys() == other["rows"].keys()
    for name, row in one["rows"].items():
        assert row == pytest.approx(other["rows"][name], rel=1e-5)


def decisions(story):
    """Return what was decided and opened."""
    return [event for event in story["events"] if event[0] in ("Decided", "Opened", "Finished", "Began", "Ended")]


@pytest.mark.parametrize("every", [1, 100])
@pytest.mark.parametrize("rows", [None, 4])
def test_members_that_decide_at_different_times_clone_what_others_stood_on(tmp_path, every, rows):
    """Where decision points are told by a metric and differ, whoever is cloned halfway is cloned at its last one."""
    space = {**SPACE, "pace": ramet.grid_search([2, 3, 5])}
    executor = ramet.VectorExecutor(rows, checkpoint_every=every)
    scheduler = pbt(20, synch=False, time_attr="pace", quantile_fraction=0.5)
    results = tuner(tmp_path / "run", executor, scheduler, space=space, stop=24).fit()
    is_sound(results)
    points = {segment.number: [point.iteration for point in segment.points] for segment in results.population.segments}
    behind = [
        segment
        for segment in results.population.segments
        if segment.parent is not None and max(points[segment.parent]) > segment.start
    ]
    assert behind, "nobody was cloned at a place that it had left"


def test_where_decision_points_differ_the_pace_of_saving_changes_nothing(tmp_path):
    """However often states are written, the same members are cloned, and the same models come of it."""
    space = {**SPACE, "pace": ramet.grid_search([2, 3, 5])}
    runs = [
        tuner(
            tmp_path / f"every-{every}",
            ramet.VectorExecutor(rows, checkpoint_every=every),
            pbt(20, synch=False, time_attr="pace", quantile_fraction=0.5),
            space=space,
            stop=24,
        ).fit()
        for every, rows in ((1, None), (3, None), (100, None), (2, 5))
    ]
    stories = [told(results.experiment_path) for results in runs]
    assert all(story == stories[0] for story in stories)
    assert all(same_states(states(results), states(runs[0])) for results in runs)


def test_members_that_a_strategy_stops_keep_their_models(tmp_path):
    """Whoever ASHA ends has its last model on disk, though nothing was written at that decision point."""
    results = run(tmp_path / "run", "ASHA", True, ramet.VectorExecutor(checkpoint_every=1000))
    assert {result.iteration for result in results} == {3, 6, 12}
    assert [int(state["steps"]) for state in states(results)] == [2 * result.iteration for result in results]


@pytest.mark.parametrize("stop", [{"score": -0.02}, {"training_iteration": 7, "score": -0.001}, {"steps": 9}])
def test_a_stop_rule_on_a_metric_ends_each_member_in_its_own_report(tmp_path, stop):
    """Members end in the first report that meets a rule, alone and with their models, and as they do one by one."""
    stop = {"training_iteration": 30, **stop}
    whole = tuner(tmp_path / "whole", scheduler=pbt(), stop=stop).fit()
    alone = tuner(tmp_path / "alone", "inline", pbt(), stop=stop).fit()
    is_sound(whole)
    assert [result.iteration for result in whole] == [result.iteration for result in alone]
    assert [result.metrics["score"] for result in whole] == [result.metrics["score"] for result in alone]
    for result in whole:
        assert any(result.metrics[name] >= least for name, least in stop.items())


def test_a_function_as_stop_rule_is_asked_about_every_report(tmp_path):
    """A function that judges each report sees all of them in order, and ends a member where it says so."""
    seen = []

    def enough(trial, row):
        seen.append((trial, row["training_iteration"]))
        return row["training_iteration"] >= 8 + int(trial) % 3

    results = tuner(tmp_path / "run", scheduler=pbt(), stop=enough).fit()
    is_sound(results)
    assert [result.iteration for result in results] == [8, 9, 10, 8, 9, 10]
    assert sorted(seen) == sorted({*seen})
    assert {trial for trial, _ in seen} == {f"{number:05d}" for number in range(6)}


def test_members_may_be_added_when_a_run_is_taken_up(tmp_path):
    """New members begin at nil beside old ones that go on, and all of them come to the same last report."""
    first = tuner(tmp_path / "run", scheduler=pbt(synch=False), stop=5).fit()
    again = ramet.Tuner.restore(
        first.experiment_path, WALK, stop={"training_iteration": 14}, num_samples=4, verbose=0
    ).fit()
    is_sound(again)
    assert [result.iteration for result in again] == [14] * 8


def test_done_ends_a_member_in_the_report_that_says_so(tmp_path):
    """A member that reports that it is done is over there, from the very first lease on, with its model of then."""

    def ended(state, hparams, key):
        after, metrics = step(state, hparams, key)
        return after, {**metrics, "done": after["steps"] >= 2 * hparams["pace"]}

    trainable = ramet.VectorTrainable(init, ended)
    results = tuner(tmp_path / "run", trainable=trainable, scheduler=ramet.FIFO(), stop=9).fit()
    assert [result.iteration for result in results] == [2, 4] * 3
    assert [int(state["steps"]) for state in states(results)] == [2, 4] * 3


def test_metrics_of_half_precision_are_numbers(tmp_path):
    """What is computed in half precision is reported as the mean of its steps, to more than half a precision."""

    def half(state, hparams, key):
        after, metrics = step(state, hparams, key)
        return after, {**metrics, "half": (1000 + after["steps"] % 2 * 8.0).astype(jnp.bfloat16)}

    trainable = ramet.VectorTrainable(init, half, steps_per_report=4)
    results = tuner(tmp_path / "run", trainable=trainable, scheduler=ramet.FIFO(), stop=2).fit()
    assert [result.metrics["half"] for result in results] == [1004.0] * 6
