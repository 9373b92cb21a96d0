"""Stop rules: each by hand, and each through real runs that must stop at exactly the right row."""

import datetime
import math
import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ramet
from ramet.core.stopping import Threshold, stop_rules
from ramet.errors import ConfigError

NAN, INF = math.nan, math.inf


def stopped_at(rule, values, metric="a"):
    """The number (from 1) of the value at which a rule stops, or None if it never does; a value of None is missing."""
    state = rule.start()
    for number, value in enumerate(values, start=1):
        row = {"other": 1.0} if value is None else {metric: value}
        state, reason = rule.step(state, row)
        if reason is not None:
            return number
    return None


def plateau(**arguments):
    """A plateau of 3 values without grace, of no width."""
    return ramet.TrialPlateauStopper("a", **{"std": 0.0, "num_results": 3, "grace_period": 0, **arguments})


MEMBER_RULES = {
    "reaches": (Threshold("a", 3), [1, 2, 3, 4], 3),
    "passes": (Threshold("a", 2.5), [1, 2, 3, 4], 3),
    "never": (Threshold("a", 9), [1, 2, 3, 4], None),
    "at least, for losses too": (Threshold("a", 1), [3, 2, 1], 1),
    "infinity": (Threshold("a", 9), [1, INF], 2),
    "NaN is below everything": (Threshold("a", -9), [NAN, NAN], None),
    "words are no numbers": (Threshold("a", 1), ["9", None, 2], 3),
    "truth is 1": (Threshold("a", 1), [False, True], 2),
    "flat at once": (plateau(), [5, 5, 5, 5], 3),
    "flat in the end": (plateau(), [9, 8, 7, 7, 7], 5),
    "flat for too short a time": (plateau(), [7, 7, 8, 8, 9, 9], None),
    "exactly flat though rounded": (plateau(num_results=3), [0.1, 0.1, 0.1], 3),
    "a width that is just reached": (plateau(std=1.0, num_results=4), [0, 2, 0, 2], 4),
    "a width that is just missed": (plateau(std=0.99, num_results=4), [0, 2, 0, 2], None),
    "one result is flat": (plateau(num_results=1), [3], 1),
    "grace": (plateau(grace_period=5), [1, 1, 1, 1, 1, 1], 5),
    "grace shorter than the window": (plateau(grace_period=1), [1, 1, 1, 1], 3),
    "defaults": (ramet.TrialPlateauStopper("a"), [1.0, 2.0, 1.0, 1.005, 1.0, 1.01], 6),
    "high and flat, wanted low": (plateau(metric_threshold=2, mode="min"), [5, 5, 5, 5], None),
    "low and flat, wanted low": (plateau(metric_threshold=2, mode="min"), [5, 5, 5, 1, 1, 1], 6),
    "just low enough": (plateau(metric_threshold=2, mode="min"), [2, 2, 2], 3),
    "low and flat, wanted high": (plateau(metric_threshold=2, mode="max"), [1, 1, 1, 1], None),
    "high and flat, wanted high": (plateau(metric_threshold=2, mode="max"), [1, 1, 1, 3, 3, 3], 6),
    "just high enough": (plateau(metric_threshold=2, mode="max"), [2, 2, 2], 3),
    "rows without the metric do not count": (plateau(), [5, None, 5, None, None, 5], 6),
    "NaN is no plateau": (plateau(std=9), [NAN, NAN, NAN, NAN], None),
    "NaN in the window is no plateau": (plateau(std=9), [1, 1, NAN, 1, 1, 1], 6),
    "infinity is no plateau": (plateau(std=9), [INF, INF, INF, -INF, INF], None),
    "huge values are values": (plateau(std=9), [1e308, -1e308, 1e308, 1e308, 1e308], 5),
    "function": (ramet.FunctionStopper(lambda trial_id, result: result["a"] > 2), [1, 2, 3], 3),
}


@pytest.mark.parametrize(("rule", "values", "expected"), MEMBER_RULES.values(), ids=MEMBER_RULES)
def test_a_member_rule_stops_where_it_should(rule, values, expected):
    """Each rule stops at the value that was worked out by hand, and at no other."""
    if isinstance(rule, ramet.FunctionStopper):
        rows = [{"a": value, "trial_id": "00000"} for value in values]
        assert [rule.step(None, row)[1] is not None for row in rows] == [n == expected for n in range(1, len(rows) + 1)]
    else:
        assert stopped_at(rule, values) == expected


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.sampled_from([0.0, 1.0, 1.5, 2.0]), max_size=15),
    st.integers(1, 5), st.integers(0, 6), st.sampled_from([0.0, 0.3, 1]),
)  # fmt: skip
def test_a_plateau_is_what_statistics_says_it_is(values, length, grace, std):
    """A member stops at the first window, after the grace, whose standard deviation is small enough."""
    flat = [
        n
        for n in range(max(length, grace, 1), len(values) + 1)
        if statistics.pstdev(values[n - length : n]) <= std + 1e-12
    ]
    rule = plateau(num_results=length, grace_period=grace, std=std + 1e-12)
    assert stopped_at(rule, values) == (flat[0] if flat else None)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from([1.0, 2.0, NAN]), max_size=12), st.integers(0, 12))
def test_the_state_of_a_rule_is_a_value(values, cut):
    """Going on from a state that was written down counts on as if nothing had happened, and changes nothing in it."""
    rule = plateau()
    state = rule.start()
    for value in values[:cut]:
        state, _ = rule.step(state, {"a": value})
    before = repr(state)
    whole = [rule.step(state, {"a": value}) for value in values[cut:]]
    assert repr(state) == before
    assert repr([rule.step(eval(before, {"nan": NAN}), {"a": value}) for value in values[cut:]]) == repr(whole)


RUN_RULES = {
    "flat": ({"top": 3}, [3, 2, 1, 1, 1, 0], 5),
    "at once": ({"top": 2}, [1, 1, 9], 2),
    "the worst do not matter": ({"top": 2}, [5, 1, 9, 1], 4),
    "the best are the largest": ({"top": 2, "mode": "max"}, [5, 1, 9, 1, 9], 5),
    "a new best one opens it again": ({"top": 2, "patience": 2}, [1, 1, 0, 0, 0], 5),
    "patience": ({"top": 2, "patience": 3}, [1, 1, 1, 1], 4),
    "patience of one": ({"top": 2, "patience": 1}, [1, 1, 1], 2),
    "a width": ({"top": 2, "std": 0.5}, [1, 3, 2], 3),
    "too few": ({"top": 4}, [1, 1, 1], None),
    "NaN is no value": ({"top": 2}, [NAN, NAN, 1, NAN, 1], 5),
    "infinity is no value": ({"top": 2}, [-INF, -INF, 1, 1], 4),
    "rows without the metric": ({"top": 2}, [None, 1, None, 1], 4),
}


@pytest.mark.parametrize(("arguments", "values", "expected"), RUN_RULES.values(), ids=RUN_RULES)
def test_an_experiment_plateau_ends_the_run_where_it_should(arguments, values, expected):
    """The run ends at the report that was worked out by hand, whichever member made it."""
    stopper = ramet.ExperimentPlateauStopper("a", **{"std": 0.0, **arguments})
    ended = None
    for number, value in enumerate(values, start=1):
        row = {} if value is None else {"a": value}
        told = stopper(f"{number % 2:05d}", row)
        assert told == stopper.stop_all()
        if told:
            ended = number
            break
    assert ended == expected


# ---------------------------------------------------------------------- how rules are given


def function(trial_id, result):
    """Stop at 7."""
    return result["score"] >= 7


class Custom(ramet.Stopper):
    """Stop a member at 7."""

    def __call__(self, trial_id, result):
        """Say so."""
        return result["score"] >= 7


class Duck:
    """A stopper that is derived from nothing, as Ray Tune's are."""

    def __call__(self, trial_id, result):
        """Say so."""
        return result["score"] >= 7

    def stop_all(self):
        """Never."""
        return False


GIVEN = {
    "nothing": (None, (0, 0, INF)),
    "an empty dict": ({}, (0, 0, INF)),
    "a dict": ({"a": 1, "b": 2}, (2, 0, INF)),
    "a nested dict": ({"a": {"b": 1, "c": {"d": 2}}}, (2, 0, INF)),
    "a function": (function, (1, 0, INF)),
    "a stopper": (ramet.TrialPlateauStopper("a"), (1, 0, INF)),
    "a custom one": (Custom(), (0, 1, INF)),
    "somebody else's": (Duck(), (0, 1, INF)),
    "a plateau of all": (ramet.ExperimentPlateauStopper("a"), (0, 1, INF)),
    "seconds": (ramet.TimeoutStopper(90), (0, 0, 90.0)),
    "a timedelta": (ramet.TimeoutStopper(datetime.timedelta(minutes=2)), (0, 0, 120.0)),
    "a list": ([{"a": 1}, function, None, Custom()], (2, 1, INF)),
    "a tuple in a list": ([({"a": 1}, ramet.TimeoutStopper(3)), ramet.TimeoutStopper(2)], (1, 0, 2.0)),
    "combined": (
        ramet.CombinedStopper(ramet.MaximumIterationStopper(3), {"a": 1}, ramet.TimeoutStopper(5)),
        (2, 0, 5.0),
    ),
    "combined twice": (ramet.CombinedStopper(ramet.CombinedStopper(function, Custom()), [function]), (2, 1, INF)),
}


@pytest.mark.parametrize(("stop", "counts"), GIVEN.values(), ids=GIVEN)
def test_rules_are_sorted_by_who_can_judge(stop, counts):
    """Whatever is given, alone, in lists or combined, ends up with the worker, the controller, or the clock."""
    rules = stop_rules(stop)
    assert (len(rules.member), len(rules.run), rules.seconds) == counts


def test_the_shorter_of_two_budgets_counts():
    """A time budget and a timeout together end the run at the earlier one."""
    assert stop_rules(ramet.TimeoutStopper(5), 3).seconds == 3
    assert stop_rules(ramet.TimeoutStopper(5), 8).seconds == 5
    assert stop_rules(None, 8).seconds == 8


def test_nested_names_are_flat_names():
    """``{"a": {"b": 1}}`` and ``{"a/b": 1}`` are the same rule."""
    assert stop_rules({"a": {"b": 1}}) == stop_rules({"a/b": 1})


@pytest.mark.parametrize("value", [np.float32(0.5), np.int64(1), True, 3, INF])
def test_numbers_of_any_kind_are_thresholds(value):
    """Values of numpy and truths can be given as what ends training."""
    (rule,) = stop_rules({"a": value}).member
    assert rule.value == float(value)


# ---------------------------------------------------------------------- through real runs


def counting(config):
    """Report 1, 2, 3 … under several names, with a checkpoint every so often; start again from it."""
    checkpoint = ramet.get_checkpoint()
    step = checkpoint.to_dict()["step"] if checkpoint else 0
    while step < 20:
        step += 1
        metrics = {
            "score": float(step),
            "flat": max(5 - step, 0),
            "deep": {"er": {"score": step}},
            "done": step == config["done"],
        }
        saved = config["every"] and step % config["every"] == 0
        ramet.report(metrics, checkpoint=ramet.Checkpoint.from_dict({"step": step}) if saved else None)
        if step == config["dies"] and checkpoint is None:
            raise RuntimeError("start me again")


def run(tmp_path, stop, executor="inline", *, every=1, done=99, dies=99, members=2, scheduler=None, retries=0):
    """Train under a stop rule; return the results."""
    return ramet.Tuner(
        counting,
        param_space={"every": every, "done": done, "dies": dies},
        tune_config=ramet.TuneConfig(metric="score", mode="max", num_samples=members, scheduler=scheduler, seed=0),
        run_config=ramet.RunConfig(
            storage_path=tmp_path, verbose=0, executor=executor, stop=stop,
            failure_config=ramet.FailureConfig(max_failures=retries),
        ),
    ).fit()  # fmt: skip


def rows(results):
    """How many reports each member made; every one was made once."""
    for result in results:
        frame = result.metrics_dataframe
        if frame.empty:
            continue
        assert list(frame["training_iteration"]) == list(range(1, len(frame) + 1))
        assert list(frame["score"]) == [float(n) for n in range(1, len(frame) + 1)]
    return [len(result.metrics_dataframe) for result in results]


AT_SEVEN = {
    "a metric": {"score": 7},
    "between two values": {"score": 6.5},
    "iterations": {"training_iteration": 7},
    "reports": ramet.MaximumIterationStopper(7),
    "a nested metric": {"deep": {"er": {"score": 7}}},
    "a nested metric, flat": {"deep/er/score": 7},
    "the first of several": [{"score": 9, "deep/er/score": 7}, {"training_iteration": 11}],
    "a plateau": ramet.TrialPlateauStopper("flat", std=0.0, num_results=3, grace_period=0),
    "a function": function,
    "a lambda": lambda trial_id, result: result["deep/er/score"] == 7,
    "a function of what comes by itself": lambda trial_id, result: (
        result["training_iteration"] >= 7 and trial_id[:4] == "0000"
    ),
    "a function of the configuration": lambda trial_id, result: result["score"] >= 7 and result["config"]["dies"] == 99,
    "a function stopper": ramet.FunctionStopper(function),
    "a custom stopper": Custom(),
    "a stopper of nobody's": Duck(),
    "combined": ramet.CombinedStopper(ramet.MaximumIterationStopper(9), ramet.FunctionStopper(function)),
}


@pytest.mark.parametrize("every", [0, 3], ids=["never saving", "saving at times"])
@pytest.mark.parametrize("stop", AT_SEVEN.values(), ids=AT_SEVEN)
def test_every_rule_stops_at_the_row_that_meets_it(tmp_path, stop, every):
    """Members end with the very report that meets the rule: it is there, none is after it, saved or not."""
    results = run(tmp_path, stop, every=every)
    assert rows(results) == [7, 7]
    assert [result.state for result in results] == ["finished"] * 2


@pytest.mark.parametrize(
    "name",
    ["a nested metric", "a plateau", "a function of the configuration", "a custom stopper"],
)
def test_workers_stop_at_the_row_that_meets_the_rule(tmp_path, name):
    """In processes, where reports are batched and nobody waits, members end with that very report too."""
    assert rows(run(tmp_path, AT_SEVEN[name], ramet.ProcessExecutor(1), every=3)) == [7, 7]


@pytest.mark.parametrize("executor", ["inline", ramet.ProcessExecutor(1)], ids=["inline", "process"])
def test_done_ends_a_member(tmp_path, executor):
    """A report with a true "done" is the member's last one, and stays in the record."""
    results = run(tmp_path, None, executor, done=7)
    assert rows(results) == [7, 7]
    assert all(result.metrics["done"] is True for result in results)
    assert {member.reason for member in results.population.members} == {"done"}


def test_without_a_rule_functions_end_by_themselves(tmp_path):
    """No rule, no end but the function's own."""
    results = run(tmp_path, None)
    assert rows(results) == [20, 20]
    assert {member.reason for member in results.population.members} == {"the function returned"}


def test_a_function_can_stop_one_member(tmp_path):
    """The name of the member tells them apart."""
    results = run(tmp_path, lambda trial_id, result: trial_id == "00001" and result["score"] >= 3, members=3)
    assert rows(results) == [20, 3, 20]


def test_time_on_the_models_own_clock(tmp_path):
    """``time_total_s`` counts training time alone; in virtual time the row that meets it is exact."""
    results = run(tmp_path, {"time_total_s": 7.0}, ramet.SimulatedExecutor(1, seconds=1.0), every=2)
    assert rows(results) == [7, 7]


@pytest.mark.parametrize("metric", ["time_this_iter_s", "timestamp"])
def test_automatic_metrics_can_stop_or_are_told(tmp_path, metric):
    """A rule on any automatic metric stops members, or the user hears that it cannot."""
    results = run(tmp_path, {metric: 0.5}, ramet.SimulatedExecutor(1, seconds=1.0))
    assert rows(results) == [1, 1] or f"stop:{metric}" in results.population.noted


RULES_WITH_MEMORY = {
    "a plateau": ramet.TrialPlateauStopper("flat", std=0.0, num_results=5, grace_period=0),
    "a plateau after grace": ramet.TrialPlateauStopper("flat", std=9.0, num_results=2, grace_period=9),
    "reports": ramet.MaximumIterationStopper(9),
    "iterations": {"training_iteration": 9},
}


@pytest.mark.parametrize(
    "executor",
    [ramet.InlineExecutor(), ramet.InlineExecutor(1), ramet.SimulatedExecutor(2, spread=1)],
    ids=repr,
)
@pytest.mark.parametrize("stop", RULES_WITH_MEMORY.values(), ids=RULES_WITH_MEMORY)
def test_what_a_rule_remembers_survives_a_restart(tmp_path, stop, executor):
    """A member that dies counts on from its checkpoint: rows that are made again are counted once."""
    for every, dies in ((1, 7), (3, 8)):
        results = run(tmp_path, stop, executor, every=every, dies=dies, retries=1)
        assert [member.failures for member in results.population.members] == [1, 1]
        assert rows(results) == [9, 9]


def test_what_a_rule_remembers_survives_in_workers(tmp_path):
    """The state of all rules travels to the worker that takes a member up again."""
    stop = [RULES_WITH_MEMORY["a plateau"], ramet.MaximumIterationStopper(15)]
    assert rows(run(tmp_path, stop, ramet.ProcessExecutor(1), every=3, dies=8, retries=1)) == [9, 9]


def pbt():
    """A scheduler that clones every 4 iterations."""
    return ramet.PopulationBasedTraining(
        time_attr="training_iteration", perturbation_interval=4, hyperparam_mutations={"lr": [1, 2, 3]}, synch=True
    )


def diverging(config):
    """Worse, the higher the member's number; counts from its checkpoint."""
    checkpoint = ramet.get_checkpoint()
    step = checkpoint.to_dict()["step"] if checkpoint else 0
    member = ramet.get_context().member
    while True:
        step += 2 if member == 0 and checkpoint is None else 1
        ramet.report({"score": float(step), "flat": 0.0}, checkpoint=ramet.Checkpoint.from_dict({"step": step}))


@pytest.mark.parametrize("executor", ["inline", ramet.ProcessExecutor(1)], ids=["inline", "process"])
def test_reports_are_counted_over_exploits(tmp_path, executor):
    """MaximumIterationStopper counts a member's own reports, whoever's clone it becomes."""
    results = ramet.Tuner(
        diverging,
        tune_config=ramet.TuneConfig(metric="score", mode="max", num_samples=4, scheduler=pbt(), seed=0),
        run_config=ramet.RunConfig(
            storage_path=tmp_path, verbose=0, executor=executor, stop=ramet.MaximumIterationStopper(13)
        ),
    ).fit()
    assert results.population.exploits > 0
    assert [len(result.metrics_dataframe) for result in results] == [13] * 4
    assert [member.compute for member in results.population.members] == [13] * 4


# ---------------------------------------------------------------------- rules of the whole run


class Enough(ramet.Stopper):
    """End the run once somebody reached 5."""

    def __init__(self):
        self.seen = []
        self.enough = False

    def __call__(self, trial_id, result):
        """Listen."""
        self.seen.append((trial_id, result["training_iteration"]))
        self.enough = self.enough or (trial_id == "00001" and result["score"] >= 5)
        return False

    def stop_all(self):
        """Say so."""
        return self.enough


@pytest.mark.parametrize("executor", ["inline", ramet.ProcessExecutor(2)], ids=["inline", "process"])
def test_stop_all_ends_the_run(tmp_path, executor):
    """A run rule hears every report once and in order, and when it says so nobody makes another one."""
    stopper = Enough()
    results = run(tmp_path, stopper, executor, members=3)
    assert results.population.ended == "Enough ended the run"
    made = rows(results)
    assert made[1] == 5
    assert len(stopper.seen) == len(set(stopper.seen)) == sum(made)
    for member, count in enumerate(made):
        assert [n for trial, n in stopper.seen if trial == f"{member:05d}"] == list(range(1, count + 1))
    assert results[1].state == "training", "it could be taken up again"


def test_a_plateau_of_all_ends_the_run(tmp_path):
    """The built-in run rule works through a run as it does by hand."""
    results = run(tmp_path, ramet.ExperimentPlateauStopper("flat", top=6, std=0.0, mode="min"), members=2)
    assert "ExperimentPlateauStopper" in results.population.ended
    assert sum(rows(results)) == 2 * 4 + 6


def test_a_timeout_ends_members_that_would_train_for_ever(tmp_path):
    """The clock ends the run, and says so, whatever members do."""
    results = ramet.Tuner(
        diverging,
        tune_config=ramet.TuneConfig(metric="score", mode="max", num_samples=2),
        run_config=ramet.RunConfig(
            storage_path=tmp_path,
            verbose=0,
            executor="inline",
            stop=ramet.TimeoutStopper(datetime.timedelta(milliseconds=1)),
        ),
    ).fit()
    assert "time budget of 0.001 s is used up" in results.population.ended


def broken(trial_id, result):
    """Raise at the third report."""
    return 1 / (3 - result["score"]) < 0


@pytest.mark.parametrize("executor", ["inline", ramet.ProcessExecutor(1)], ids=["inline", "process"])
def test_a_stop_function_that_raises_fails_its_member(tmp_path, executor):
    """A mistake in a stop function is told as the failure of the member that it judged."""
    results = run(tmp_path, broken, executor)
    assert results.num_errors == 2
    assert all("ZeroDivisionError" in str(error) and "broken" in str(error) for error in results.errors)


def test_a_rule_that_cannot_be_sent_is_named(tmp_path):
    """A stop function that holds what no worker can have is refused before any worker starts."""
    generator = (n for n in range(3))
    with pytest.raises(ramet.RametError, match=r"RunConfig\(stop=…\) cannot be sent .*variable 'generator'"):
        run(tmp_path, lambda trial_id, result: next(generator) > 2, "process")
    with pytest.raises(ConfigError, match="give a dict"):
        stop_rules("score")


def test_a_stopper_that_raises_is_named(tmp_path):
    """An error in a stop rule of the run ends it, saying whose fault it is."""

    class Broken(ramet.Stopper):
        def __call__(self, trial_id, result):
            return result["no such metric"]

    with pytest.raises(ramet.RametError, match=r"Broken.*KeyError.*no such metric"):
        run(tmp_path, Broken())


def test_a_stopper_remembers_nothing_of_an_earlier_run(tmp_path):
    """One stopper object given to two runs ends both at the same report."""
    stopper = ramet.ExperimentPlateauStopper("score", top=3, std=5)
    ends = [rows(run(tmp_path / name, stopper)) for name in ("a", "b")]
    assert ends[0] == ends[1]
