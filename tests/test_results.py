"""What came of a run, read from its folder: values by hand, frames without gaps, schedules that agree with the rows."""

import math
import os
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ramet
from ramet.errors import ConfigError, MemberError
from ramet.schedule import Schedule, Step
from ramet.space import flatten

NAN, INF = math.nan, math.inf


def telling(config):
    """Report the values of the configuration, one after the other; None is a report without the metric."""
    for value in config["values"]:
        ramet.report({"other": 1} if value is None else {"score": value, "twice": 2 * value if value != "a" else 0})
    if config.get("fails"):
        raise RuntimeError(f"member {ramet.get_context().member} is out of luck")


def told(folder, *members, mode="max", **config):
    """The results of members that reported such values."""
    return ramet.Tuner(
        telling,
        param_space={"values": ramet.grid_search([list(values) for values in members]), **config},
        tune_config=ramet.TuneConfig(metric="score", mode=mode),
        run_config=ramet.RunConfig(storage_path=folder, verbose=0, executor="inline"),
    ).fit()


# ---------------------------------------------------------------------- the best result

MEMBERS = ([1.0, 9.0, 2.0], [5.0, 5.0, 5.0], [3.0, 3.0, 6.0, NAN], [7.0, None, -INF])
BEST = {
    ("last", "max"): (1, 5.0),
    ("last", "min"): (0, 2.0),
    ("all", "max"): (0, 9.0),
    ("all", "min"): (0, 1.0),
    ("avg", "max"): (1, 5.0),
    ("avg", "min"): (0, 4.0),
    ("last-5-avg", "max"): (1, 5.0),
    ("last-10-avg", "min"): (0, 4.0),
}


@pytest.mark.parametrize(("scope", "mode"), BEST)
def test_the_best_by_each_scope(tmp_path, scope, mode):
    """The best member by each scope and mode is the one found by hand; those without a finite value are passed over."""
    best = told(tmp_path, *MEMBERS, mode=mode).get_best_result(scope=scope)
    assert (best.member, best.value("score", mode, scope)) == BEST[scope, mode]


@pytest.mark.parametrize(("length", "scope"), [(5, "last-5-avg"), (10, "last-10-avg"), (12, "avg")])
def test_averages_are_of_the_last_values(tmp_path, length, scope):
    """An average of the last 5 or 10 is of exactly so many, and of as many as there are if they are fewer."""
    values = [float(2**n) for n in range(12)]
    results = told(tmp_path, values, values[:3])
    assert results[0].value("score", "max", scope) == sum(values[-length:]) / length
    assert results[1].value("score", "max", scope) == sum(values[:3]) / 3


def test_what_is_not_finite_is_passed_over_unless_asked_for(tmp_path):
    """NaN and infinities are no best values, unless the filter is off; then infinity wins, and NaN loses to all."""
    results = told(tmp_path, [NAN], [INF], [1.0], [NAN])
    assert results.get_best_result().member == 2
    assert results.get_best_result(filter_nan_and_inf=False).member == 1
    assert results.get_best_result(mode="min", filter_nan_and_inf=False).member == 2
    nothing = told(tmp_path, [NAN], [INF], ["a"])
    with pytest.raises(ConfigError, match="reported, but nowhere as a finite number"):
        nothing.get_best_result()
    assert math.isnan(told(tmp_path, [NAN]).get_best_result(filter_nan_and_inf=False).metrics["score"])


def test_the_first_of_equals_is_the_best(tmp_path):
    """Ties go to the lower number."""
    assert told(tmp_path, [1.0], [2.0], [2.0]).get_best_result().member == 1


def test_other_metrics_can_be_asked_for(tmp_path):
    """Any reported or automatic metric can be what is best, in any scope; an unknown one is a ConfigError."""
    results = told(tmp_path, [1.0, 2.0], [3.0], [0.0, 0.0, 0.0])
    for scope in ("last", "all"):
        assert results.get_best_result("twice", "min", scope).member == 2
        assert results.get_best_result("training_iteration", "max", scope).member == 2
    with pytest.raises(ConfigError, match=r"metric='acc'.*\['score', 'twice'\]"):
        results.get_best_result("acc")


def test_a_run_without_a_metric_has_to_be_asked_for_one(tmp_path):
    """Without metric and mode in the run, they are given here, or when the results are opened."""
    path = ramet.Tuner(
        telling, param_space={"values": ramet.grid_search([[1.0], [2.0]])},
        run_config=ramet.RunConfig(storage_path=tmp_path, verbose=0, executor="inline"),
    ).fit().experiment_path  # fmt: skip
    with pytest.raises(ConfigError, match="needs both"):
        ramet.ResultGrid(path).get_best_result()
    with pytest.raises(ConfigError, match="needs both"):
        ramet.ResultGrid(path).get_best_result("score")
    assert ramet.ResultGrid(path).get_best_result("score", "max").member == 1
    assert ramet.ResultGrid(path, metric="score", mode="min").get_best_result().member == 0


# ---------------------------------------------------------------------- the grid


def test_results_are_a_sequence(tmp_path):
    """One result for each member, in their order: by index, by slice, by iteration."""
    results = told(tmp_path, [1.0], [2.0], [3.0])
    assert len(results) == 3
    assert [result.member for result in results] == [0, 1, 2]
    assert (results[0].member, results[-1].member) == (0, 2)
    assert [result.member for result in results[1:]] == [1, 2]
    assert "3 members, 0 errors" in repr(results)
    assert "member 1, finished, iteration 1, score=2.0" in repr(results[1])


def test_errors_are_those_of_the_members_that_failed(tmp_path):
    """Members that failed have an error with their traceback, the others none; both are counted."""
    results = told(tmp_path, [1.0], [2.0], fails=ramet.grid_search([True, False]))
    failed = [result for result in results if result.error is not None]
    assert [result.config["fails"] for result in failed] == [True, True]
    assert (results.num_errors, results.num_terminated, len(results.errors)) == (2, 2, 2)
    for result in results:
        assert result.state == ("failed" if result.config["fails"] else "finished")
    for result, error in zip(failed, results.errors, strict=True):
        assert isinstance(error, MemberError)
        assert f"member {result.member} is out of luck" in str(error)
        assert "Traceback" in str(error)
        assert result.metrics["score"] == result.config["values"][-1], "what it reported is still there"


def test_a_member_that_never_reported_has_nothing(tmp_path):
    """No metrics, no rows, no checkpoint, and no part in the best; everything can be asked for all the same."""
    results = told(tmp_path, [], [1.0])
    silent = results[0]
    assert (silent.metrics, silent.checkpoint, silent.iteration, silent.best_checkpoints) == (None, None, 0, [])
    assert len(silent.metrics_dataframe) == len(silent.lineage_dataframe) == len(silent.schedule) == 0
    automatic = set(results[1].metrics_dataframe) - {"score", "twice"}
    assert set(silent.metrics_dataframe) == set(silent.lineage_dataframe) == automatic, "columns are there without rows"
    assert silent.value("score", "max", "all") is None
    assert results.get_best_result().member == 1
    assert len(results.get_dataframe()) == 2
    assert list(results.get_dataframe("score", "max")["member"]) == [1]


def test_the_last_report_comes_with_the_automatic_metrics(tmp_path):
    """``metrics`` holds what was reported, each metric as it was last seen, and what every row has."""
    (result,) = told(tmp_path, [1.0, 2.0, None])
    metrics = result.metrics
    assert (metrics["score"], metrics["other"], metrics["training_iteration"], metrics["trial_id"]) == (
        2.0,
        1,
        3,
        "00000",
    )
    assert metrics["config"] == {"values": [1.0, 2.0, None]}
    assert metrics["time_total_s"] >= metrics["time_this_iter_s"] >= 0


def test_frames_of_all_members(tmp_path):
    """Without a filter a row is a member's last report, with one its best; members without the metric have none."""
    results = told(tmp_path, [1.0, 9.0, 2.0], [5.0, NAN, 4.0], [None], [NAN], ["a", 3.0, "a"])
    last = results.get_dataframe()
    assert list(last["member"]) == [0, 1, 2, 3, 4]
    assert list(last["score"])[:2] == [2.0, 4.0]
    assert list(last["config/values"])[3] is not None
    for mode, expected in (
        ("max", {0: (9.0, 2), 1: (5.0, 1), 4: (3.0, 2)}),
        ("min", {0: (1.0, 1), 1: (4.0, 3), 4: (3.0, 2)}),
    ):
        best = results.get_dataframe("score", mode)
        found = zip(best["member"], best["score"], best["training_iteration"], strict=True)
        assert {member: (score, iteration) for member, score, iteration in found} == expected


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"filter_metric": "acc", "filter_mode": "max"}, "filter_metric='acc'.*score"),
        ({"filter_metric": "score"}, "filter_mode=None"),
        ({"filter_metric": "score", "filter_mode": "up"}, "filter_mode='up'"),
    ],
)
def test_a_filter_of_what_is_not_there_is_refused(tmp_path, arguments, words):
    """An unknown metric or mode is a ConfigError that names what there is."""
    with pytest.raises(ConfigError, match=words):
        told(tmp_path, [1.0]).get_dataframe(**arguments)


# ---------------------------------------------------------------------- runs with exploits


def climbing(config):
    """Climb from the checkpoint on, at the pace of the rate."""
    checkpoint = ramet.get_checkpoint()
    state = checkpoint.to_dict() if checkpoint else {"step": 0, "score": 0.0}
    while state["step"] < config["end"]:
        state = {"step": state["step"] + 1, "score": state["score"] + config["rate"]}
        saved = ramet.Checkpoint.from_dict(state) if state["step"] % config["every"] == 0 else None
        ramet.report({**state, "by": config["rate"]}, checkpoint=saved)


def climbed(
    folder, *, members=4, interval=3, every=1, end=12, quantile=0.5, synch=True, slots=None, seed=0, keep=None, **run
):
    """The results of a small run with many exploits."""
    scheduler = ramet.PopulationBasedTraining(
        time_attr="training_iteration", perturbation_interval=interval, quantile_fraction=quantile, synch=synch,
        hyperparam_mutations={"rate": ramet.uniform(0.1, 2.0)},
    )  # fmt: skip
    return ramet.Tuner(
        climbing,
        param_space={"every": every, "end": end, "deep": {"er": ramet.randint(0, 100)}},
        tune_config=ramet.TuneConfig(metric="score", mode="max", num_samples=members, scheduler=scheduler, seed=seed),
        run_config=ramet.RunConfig(
            **{"storage_path": folder, "verbose": 0, "executor": ramet.InlineExecutor(slots), **run},
            checkpoint_config=ramet.CheckpointConfig(num_to_keep=keep),
        ),
    ).fit()


COLUMNS = {
    "training_iteration", "segment", "parent", "member", "trial_id", "time_total_s", "time_this_iter_s", "timestamp",
    "config/rate", "config/every", "config/end", "config/deep/er", "step", "score", "by",
}  # fmt: skip


@settings(max_examples=20, deadline=None)
@given(
    members=st.integers(1, 5),
    interval=st.integers(1, 5),
    every=st.integers(1, 4),
    quantile=st.sampled_from([0.0, 0.25, 0.5]),
    synch=st.booleans(),
    slots=st.sampled_from([None, 1, 2]),
    seed=st.integers(0, 100),
    keep=st.sampled_from([None, 1, 2]),
)
def test_the_laws_of_lineages(tmp_path_factory, **arguments):
    """In any run, each model's curve has each iteration once, and its schedule, rows and checkpoints agree."""
    results = climbed(tmp_path_factory.mktemp("runs"), **arguments)
    stories = {}
    for result in results:
        own = result.metrics_dataframe
        assert set(own) == COLUMNS
        assert set(own["member"]) == {result.member}
        assert len(own) == results.population.members[result.member].compute
        assert list(own["segment"]) == sorted(own["segment"])
        for row in own.to_dict("records"):
            stories[row["segment"], row["training_iteration"]] = row
            assert row["config/rate"] == row["by"], "the row shows what was in force"

    for result in results:
        curve = result.lineage_dataframe
        assert list(curve["training_iteration"]) == list(range(1, result.iteration + 1)), "each iteration once"
        assert list(curve["step"]) == list(curve["training_iteration"]), "these weights saw all of them"
        assert curve["time_total_s"].is_monotonic_increasing
        assert list(curve["segment"]) == sorted(curve["segment"])
        total = 0.0
        for row in curve.to_dict("records"):
            assert stories[row["segment"], row["training_iteration"]]["score"] == row["score"]
            total += result.schedule.at(row["training_iteration"])["rate"]
            assert row["score"] == total, "the schedule explains the score to the last digit"
            step = next(step for step in result.lineage if step.first <= row["training_iteration"] <= step.last)
            assert (step.segment, step.member) == (row["segment"], row["member"])
            assert {name: row[f"config/{name}"] for name in flatten(step.hparams)} == flatten(step.hparams)
        assert [step.first for step in result.schedule] == [1, *(step.last + 1 for step in result.schedule[:-1])]
        assert result.schedule.last == result.iteration
        assert flatten(result.config) == flatten(result.lineage[-1].hparams)
        assert result.metrics["score"] == total
        if result.checkpoint is not None:
            saved = result.checkpoint.to_dict()
            assert saved["score"] == stories[_row_of(curve, saved["step"])]["score"]
        for checkpoint, report in result.best_checkpoints:
            assert checkpoint.to_dict() == {"step": report["step"], "score": report["score"]}

    best = max(results, key=lambda result: (result.metrics["score"], -result.member))
    assert results.get_best_result().member == best.member


def _row_of(curve, iteration):
    (row,) = curve[curve["training_iteration"] == iteration].to_dict("records")
    return row["segment"], row["training_iteration"]


def test_kept_checkpoints_are_the_best_ones(tmp_path):
    """best_checkpoints are as many as were to be kept, oldest first, and any other that something continues from."""
    results = climbed(tmp_path, quantile=0.0, keep=2)
    for result in results:
        assert [report["step"] for _, report in result.best_checkpoints] == [11, 12]
    assert len(results.kept()) == 2 * 4


def crashing(config):
    """Train, and die at once as a clone."""
    checkpoint = ramet.get_checkpoint()
    member = ramet.get_context().member
    if checkpoint is not None:
        raise RuntimeError("cannot load")
    for step in range(1, 9):
        score = step + 100.0 * (1 - member) if step < 4 else float(member)
        ramet.report({"score": score}, checkpoint=ramet.Checkpoint.from_dict({"step": step, "member": member}))


def test_a_clone_that_never_reported_is_its_donors_model(tmp_path):
    """A clone that died before its first report holds its donor's weights, and is judged and shown by their reports."""
    scheduler = ramet.PopulationBasedTraining(
        time_attr="training_iteration", perturbation_interval=4, quantile_fraction=0.5, synch=True,
        hyperparam_mutations={"x": [1, 2]},
    )  # fmt: skip
    results = ramet.Tuner(
        crashing,
        tune_config=ramet.TuneConfig(metric="score", mode="max", num_samples=2, scheduler=scheduler),
        run_config=ramet.RunConfig(storage_path=tmp_path, verbose=0, executor="inline", stop={"training_iteration": 8}),
    ).fit()
    clone = results[0]
    assert "cannot load" in str(clone.error)
    assert clone.checkpoint.to_dict() == {"step": 4, "member": 1}
    assert clone.metrics["score"] == clone.value("score", "max", "last") == 1.0
    assert clone.value("score", "max", "all") == 3.0, "its own 103 was of weights that are gone"
    assert list(clone.lineage_dataframe["member"]) == [1] * 4
    assert list(clone.metrics_dataframe["score"]) == [101.0, 102.0, 103.0, 0.0], "its own story is still told"
    assert clone.iteration == 4


# ---------------------------------------------------------------------- reading from elsewhere

READ = """
import sys, ramet
results = ramet.ResultGrid(sys.argv[1])
best = results.get_best_result()
print(repr((len(results), best.member, best.metrics, best.config, best.checkpoint.to_dict(), best.schedule,
            best.lineage_dataframe.to_dict("records"), results.population.exploits)))
"""


def test_results_are_read_by_another_process(tmp_path):
    """Whoever has the folder has the results: another process, from a relative path, sees the very same."""
    results = climbed(tmp_path, name="run")
    best = results.get_best_result()
    expected = repr(
        (len(results), best.member, best.metrics, best.config, best.checkpoint.to_dict(), best.schedule,
         best.lineage_dataframe.to_dict("records"), results.population.exploits)
    )  # fmt: skip
    told = subprocess.run([sys.executable, "-c", READ, "run"], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert told.stdout.strip() == expected


def test_a_copied_run_is_the_same_run(tmp_path):
    """A folder that was moved elsewhere still has its large checkpoints."""
    results = ramet.Tuner(
        heavy, run_config=ramet.RunConfig(name="run", storage_path=tmp_path, verbose=0, executor="inline")
    ).fit()
    assert results[0].checkpoint.path.startswith(str(tmp_path / "run"))
    os.rename(tmp_path / "run", tmp_path / "moved")
    moved = ramet.ResultGrid(tmp_path / "moved")[0]
    assert moved.checkpoint.path.startswith(str(tmp_path / "moved"))
    assert len(moved.checkpoint.to_dict()["weights"]) == 1_000_000
    with pytest.raises(ramet.RametError, match="holds no run"):
        results[0].metrics_dataframe.to_dict()


def heavy(config):
    """Save a large checkpoint."""
    ramet.report({"score": 1.0}, checkpoint=ramet.Checkpoint.from_dict({"weights": bytes(1_000_000)}))


# ---------------------------------------------------------------------- schedules

STEPS = [Step(1, 5, {"lr": 0.1}, 0, 0), Step(6, 6, {"lr": 0.2, "a": {"b": 1}}, 1, 3), Step(7, 9, {"lr": 0.3}, 1, 4)]


def test_a_schedule_tells_what_was_in_force():
    """Each iteration has the hyperparameters of its step, the borders included."""
    schedule = Schedule(STEPS)
    assert [schedule.at(iteration)["lr"] for iteration in range(1, 10)] == [0.1] * 5 + [0.2] + [0.3] * 3
    assert (len(schedule), schedule.last, schedule[1], schedule[-1]) == (3, 9, STEPS[1], STEPS[2])
    assert list(schedule) == list(schedule[:]) == STEPS
    assert list(schedule.frame().columns) == ["first", "last", "member", "segment", "lr", "a/b"]
    assert "6-6: {'lr': 0.2, 'a/b': 1}" in repr(schedule)


@pytest.mark.parametrize("iteration", [0, 10, -1, 5.5])
def test_a_schedule_knows_where_it_ends(iteration):
    """An iteration that was not trained is a ConfigError with those that were."""
    with pytest.raises(ConfigError, match=rf"at\({iteration}\).*1 to 9"):
        Schedule(STEPS).at(iteration)


def test_a_schedule_is_a_value():
    """Equal steps make equal schedules, with the same hash; an empty one ends at 0."""
    assert Schedule(STEPS) == Schedule(list(STEPS))
    assert hash(Schedule(STEPS)) == hash(Schedule(STEPS))
    assert Schedule(STEPS) != Schedule(STEPS[:2])
    assert Schedule(STEPS) != STEPS
    assert (len(Schedule([])), Schedule([]).last) == (0, 0)
    with pytest.raises(ConfigError, match="nothing was trained"):
        Schedule([]).at(1)
