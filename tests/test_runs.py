"""Whole runs through the front door: what the plan promises about meaning, loudness and repetition."""

import math
import subprocess
import sys
import time
from pathlib import Path

import pytest

import ramet
from ramet.core.events import Noted
from ramet.record import Record
from ramet.testing import story
from ramet.testing.executors import counting


def pbt(**arguments):
    """A scheduler over one rate, every 5 iterations."""
    given = {
        "time_attr": "training_iteration",
        "perturbation_interval": 5,
        "hyperparam_mutations": {"rate": ramet.uniform(0.1, 2.0)},
    }
    return ramet.PopulationBasedTraining(**{**given, **arguments})


def run(tmp_path, function, scheduler=None, *, stop=30, members=4, executor="inline", seed=0, space=None, **more):
    """Train ``function`` and return the results."""
    return ramet.Tuner(
        function,
        param_space={"rate": ramet.uniform(0.1, 2.0), **(space or {})},
        tune_config=ramet.TuneConfig(metric="score", mode="max", scheduler=scheduler, num_samples=members, seed=seed),
        run_config=ramet.RunConfig(
            name="run",
            storage_path=tmp_path,
            stop={"training_iteration": stop} if isinstance(stop, int) else stop,
            verbose=0,
            executor=executor,
            **more,
        ),
    ).fit()


def notes(results):
    """What the run said to its user, by kind."""
    record = Record.open(results.experiment_path)
    try:
        return {event.kind: event.text for event in record.events() if isinstance(event, Noted)}
    finally:
        record.close()


@pytest.mark.parametrize("synch", [True, False])
def test_misaligned_checkpoints_still_exploit(tmp_path, synch):
    """Checkpoints every 3 and an interval of 5 never meet exactly, and still members are cloned."""
    results = run(tmp_path, counting, pbt(synch=synch), space={"every": 3})
    assert results.population.exploits > 0
    assert results.num_errors == 0
    assert [result.iteration for result in results] == [30] * 4


@pytest.mark.parametrize("executor", ["inline", "process"])
def test_a_trainable_that_never_checkpoints_is_told_so(tmp_path, executor):
    """Without checkpoints nothing can be cloned; that is said by the second interval, and the run ends all the same."""
    noted = []

    class Listen(ramet.Callback):
        def on_report(self, member, iteration, metrics):
            noted.append((member, iteration))

    results = run(tmp_path, _without_checkpoints, pbt(), executor=executor, callbacks=[Listen()])
    assert "without a checkpoint" in notes(results)["no-checkpoint"]
    assert [result.iteration for result in results] == [30] * 4
    assert len(noted) == 120
    record = Record.open(results.experiment_path)
    seen = 0
    for event in record.events():
        if isinstance(event, Noted):
            break
        seen = max(seen, getattr(event, "last", 0))
    record.close()
    assert seen <= 10, "said within two intervals"


def _without_checkpoints(config):
    while True:
        ramet.report({"score": config["rate"]})


def _leaping(config):
    checkpoint = ramet.get_checkpoint()
    steps = checkpoint.to_dict()["steps"] if checkpoint else 0
    while True:
        steps += 1000
        ramet.report(
            {"score": steps * config["rate"], "steps": steps}, checkpoint=ramet.Checkpoint.from_dict({"steps": steps})
        )


@pytest.mark.parametrize("executor", ["inline", "process"])
def test_leaps_larger_than_the_interval_never_block(tmp_path, executor):
    """A report that overtakes many decision points at once decides once, and a synchronous run goes on."""
    results = run(
        tmp_path, _leaping, pbt(time_attr="steps", perturbation_interval=300, synch=True), stop={"steps": 10_000},
        executor=executor,
    )  # fmt: skip
    assert [result.metrics["steps"] for result in results] == [10_000] * 4
    assert results.population.exploits > 0


def _ragged(config):
    """Ends in its own way and at its own time: return, raise, or train on."""
    checkpoint = ramet.get_checkpoint()
    step = checkpoint.to_dict()["step"] if checkpoint else 0
    member = ramet.get_context().member
    while True:
        step += 1
        if member == 0 and step == 8:
            return
        if member == 1 and step == 13:
            raise RuntimeError("out of luck")
        score = math.nan if member == 2 and checkpoint is None else step * config["rate"]
        ramet.report({"score": score}, checkpoint=ramet.Checkpoint.from_dict({"step": step}))


@pytest.mark.parametrize("slots", [1, 3, 6])
@pytest.mark.parametrize("kind", [ramet.InlineExecutor, ramet.ProcessExecutor, ramet.SimulatedExecutor])
def test_members_that_leave_never_block_the_others(tmp_path, kind, slots):
    """Finishing, failing and diverging members leave a synchronous run or are replaced; the rest trains to the end."""
    results = run(tmp_path, _ragged, pbt(synch=True), members=6, executor=kind(slots))
    states = [result.state for result in results]
    assert states == ["finished", "failed", *["finished"] * 4]
    assert [result.iteration for result in results][2:] == [30] * 4
    assert "out of luck" in str(results.errors[0])
    # The diverged one was cloned over at the first decision.
    assert len(results[2].lineage) > 1
    assert results[2].lineage[0].member != 2


def test_nan_forever_is_replaced_again_and_again(tmp_path):
    """A population of which half diverges at every start keeps its healthy half as donors."""

    def train(config):
        checkpoint = ramet.get_checkpoint()
        step = checkpoint.to_dict()["step"] if checkpoint else 0
        while True:
            step += 1
            score = math.nan if ramet.get_context().member < 2 else float(step)
            ramet.report({"score": score}, checkpoint=ramet.Checkpoint.from_dict({"step": step}))

    results = run(tmp_path, train, pbt(synch=True))
    assert results.population.exploits == 2 * 5
    assert results.get_best_result().member >= 2


def test_without_a_scheduler_it_is_a_plain_search(tmp_path):
    """No scheduler: every member trains from start to end as it was drawn, with as many rows as it reported."""
    results = run(tmp_path, counting, stop=7, members=3)
    assert results.population.exploits == 0
    assert [len(result.metrics_dataframe) for result in results] == [7, 7, 7]
    assert all(len(result.schedule) == 1 for result in results)


@pytest.mark.parametrize("synch", [True, False])
def test_more_members_than_slots_stay_together(tmp_path, synch):
    """Members that share a slot take turns: none runs ahead of the others by more than an interval."""
    ahead = []

    class Watch(ramet.Callback):
        def on_run_start(self, path, population):
            self.population = population

        def on_checkpoint(self, member, segment, iteration, score):
            points = [m.point.iteration if m.point else 0 for m in self.population.live]
            if len(points) == 6:
                ahead.append(max(points) - min(points))

    run(tmp_path, counting, pbt(synch=synch), members=6, executor=ramet.InlineExecutor(2), callbacks=[Watch()])
    assert ahead
    assert max(ahead) <= 5


def test_max_concurrent_trials_bounds_slots_not_the_population(tmp_path):
    """All members are one population, however few train at once."""
    scheduler = pbt(synch=True)
    results = ramet.Tuner(
        counting,
        param_space={"rate": ramet.uniform(0.1, 2.0)},
        tune_config=ramet.TuneConfig(
            metric="score", mode="max", scheduler=scheduler, num_samples=6, max_concurrent_trials=2, seed=0
        ),
        run_config=ramet.RunConfig(
            storage_path=tmp_path, stop={"training_iteration": 20}, verbose=0, executor="inline"
        ),
    ).fit()
    donors = {segment.parent for segment in results.population.segments if segment.parent is not None}
    assert len(results) == 6
    assert results.population.verdicts["exploit", "cloned a better member"] == 2 * 3
    assert donors


def test_a_seed_is_drawn_and_recorded(tmp_path):
    """Without a seed one is drawn; with the recorded one the run repeats."""
    first = run(tmp_path / "a", counting, pbt(synch=True), seed=None)
    second = run(tmp_path / "b", counting, pbt(synch=True), seed=first.population.seed)
    third = run(tmp_path / "c", counting, pbt(synch=True), seed=None)
    assert story(first.experiment_path) == story(second.experiment_path)
    assert first.population.seed != third.population.seed


def test_asynchronous_runs_repeat_in_virtual_time(tmp_path):
    """The simulated executor makes an asynchronous run with uneven speeds and failures repeat exactly."""

    def once(where):
        executor = ramet.SimulatedExecutor(slots=3, spread=1.0, failures=0.05, seed=1)
        retry = ramet.FailureConfig(max_failures=-1)
        return run(tmp_path / where, counting, pbt(), members=6, executor=executor, failure_config=retry)

    first, second = once("a"), once("b")
    assert story(first.experiment_path) == story(second.experiment_path)
    assert sum(member.failures for member in first.population.members) > 0
    assert first.num_errors == 0


def test_a_synchronous_run_does_not_depend_on_failures(tmp_path):
    """Workers that die and start again leave no trace in events, rows and checkpoints."""
    quiet = run(tmp_path / "quiet", counting, pbt(synch=True), members=6)
    for seed in range(3):
        executor = ramet.SimulatedExecutor(slots=4, spread=1.0, failures=0.2, seed=seed)
        retry = ramet.FailureConfig(max_failures=-1)
        stormy = run(
            tmp_path / str(seed), counting, pbt(synch=True), members=6, executor=executor, failure_config=retry
        )
        assert sum(member.failures for member in stormy.population.members) > 0
        assert story(stormy.experiment_path) == story(quiet.experiment_path)


def test_time_total_s_is_the_default_clock(tmp_path):
    """The scheduler's default time is seconds of training, and works."""

    def train(config):
        step = 0
        while True:
            step += 1
            time.sleep(0.002)
            ramet.report({"score": config["rate"]}, checkpoint=ramet.Checkpoint.from_dict({"step": step}))

    scheduler = ramet.PopulationBasedTraining(
        perturbation_interval=0.02, hyperparam_mutations={"rate": ramet.uniform(0.1, 2.0)}
    )
    results = run(tmp_path, train, scheduler, stop={"time_total_s": 0.15}, members=3, executor=ramet.ProcessExecutor(2))
    assert results.population.exploits > 0
    assert all(0.15 <= result.metrics["time_total_s"] < 0.3 for result in results)


def test_a_time_budget_ends_the_run(tmp_path):
    """The budget ends members that would train for ever, and what they did is kept."""
    results = ramet.Tuner(
        counting,
        param_space={"rate": 1.0},
        tune_config=ramet.TuneConfig(metric="score", mode="max", num_samples=1, time_budget_s=0.5),
        run_config=ramet.RunConfig(storage_path=tmp_path, verbose=0, executor="inline"),
    ).fit()
    assert "time budget" in results.population.ended
    assert results[0].state == "training"
    assert len(results[0].metrics_dataframe) == results[0].iteration > 0


def test_fail_fast_raises_if_asked(tmp_path):
    """fail_fast="raise" raises the member's error out of fit(), with its traceback as text."""

    def train(config):
        raise KeyError("weights")

    with pytest.raises(ramet.RametError, match="KeyError: 'weights'"):
        run(tmp_path, train, failure_config=ramet.FailureConfig(fail_fast="raise"))


def test_functions_may_return_or_yield_their_metrics(tmp_path):
    """A dict that is returned is a report, and so is each one that is yielded."""

    def returning(config):
        return {"score": 3.0}

    def yielding(config):
        for step in range(4):
            yield {"score": float(step)}

    assert [len(r.metrics_dataframe) for r in run(tmp_path / "r", returning, members=2)] == [1, 1]
    assert [len(r.metrics_dataframe) for r in run(tmp_path / "y", yielding, members=2)] == [4, 4]


def test_a_config_that_the_function_changes_is_its_own(tmp_path):
    """What a function does to its configuration reaches neither the record nor a clone."""

    def train(config):
        config["rate"] = -1.0
        config["layers"].append(9)
        ramet.report({"score": 1.0}, checkpoint=ramet.Checkpoint.from_dict({}))

    results = run(tmp_path, train, space={"layers": [1, 2]})
    assert all(result.config["layers"] == [1, 2] and result.config["rate"] > 0 for result in results)


def test_objects_in_the_space_reach_the_function(tmp_path):
    """What is no plain data in param_space arrives as the object that it is, through clones too."""

    def train(config):
        checkpoint = ramet.get_checkpoint()
        step = checkpoint.to_dict()["step"] if checkpoint else 0
        while True:
            step += 1
            score = config["activation"](float(step)) * config["rate"]
            ramet.report({"score": score}, checkpoint=ramet.Checkpoint.from_dict({"step": step}))

    space = {"activation": ramet.choice([abs, math.sqrt]), "shape": (2, 3)}
    for executor in ("inline", ramet.ProcessExecutor(2)):
        results = run(tmp_path, train, pbt(synch=True), space=space, executor=executor, stop=15)
        assert results.num_errors == 0, results.errors[0]
        assert all(result.config["activation"] in (abs, math.sqrt) for result in results)
        assert all(result.config["shape"] == (2, 3) for result in results)


def test_with_parameters_reach_every_worker(tmp_path):
    """Objects bound to a function arrive in the workers."""

    def train(config, data, scale=1):
        ramet.report({"score": float(sum(data) * scale)})

    bound = ramet.with_parameters(train, data=list(range(1000)), scale=2)
    results = run(tmp_path, bound, executor="process", members=2)
    assert [result.metrics["score"] for result in results] == [999_000.0] * 2


SCRIPT = """
import ramet

offset = 10

class Model:
    def __init__(self, rate):
        self.rate = rate
    def step(self):
        return self.rate + offset

def make(scale):
    return lambda config: ramet.report({"score": Model(config["rate"]).step() * scale})

results = ramet.Tuner(
    make(2),
    param_space={"rate": ramet.grid_search([1.0, 2.0])},
    tune_config=ramet.TuneConfig(metric="score", mode="max"),
    run_config=ramet.RunConfig(storage_path=WHERE, verbose=0),
).fit()
print([result.metrics["score"] for result in results])
"""


@pytest.mark.parametrize("how", ["script", "stdin", "exec"])
def test_functions_of_main_without_a_guard(tmp_path, how):
    """Closures, lambdas and classes of a script, of standard input or of a notebook's cell train in workers."""
    script = SCRIPT.replace("WHERE", repr(str(tmp_path)))
    path = tmp_path / "script.py"
    path.write_text(script)
    command, text = {
        "script": ([sys.executable, str(path)], None),
        "stdin": ([sys.executable, "-"], script),
        "exec": ([sys.executable, "-c", f"exec({script!r})"], None),
    }[how]
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[22.0, 24.0]"


def test_a_clone_that_has_not_reported_is_judged_by_its_weights(tmp_path):
    """Where a run ends right after an exploit, results tell of the donor's weights, not of those thrown away."""

    class Enough(ramet.Stopper):
        def __call__(self, trial_id, result):
            self.seen = result["training_iteration"]
            return False

        def stop_all(self):
            return self.seen > 5

    results = run(tmp_path, counting, pbt(synch=True, quantile_fraction=0.5), stop=Enough(), members=2)
    fresh = [r for r in results if r.lineage[-1].last < r.lineage[-1].first]
    assert fresh, "a clone that was never trained"
    for result in fresh:
        donor = results[result.lineage[-2].member]
        row = donor.metrics_dataframe.query("training_iteration == 5").iloc[0]
        assert result.metrics["score"] == result.value("score", "max", "last") == row["score"]


MAIN_OBJECTS = """
import ramet

class Twice:
    def __call__(self, x):
        return 2 * x

def thrice(x):
    return 3 * x

limit = 4

def train(config):
    checkpoint = ramet.get_checkpoint()
    step = checkpoint.to_dict()["step"] if checkpoint else 0
    while True:
        step += 1
        ramet.report({"score": config["f"](step)}, checkpoint=ramet.Checkpoint.from_dict({"step": step}))

results = ramet.Tuner(
    train,
    param_space={"f": ramet.grid_search([Twice(), thrice])},
    tune_config=ramet.TuneConfig(metric="score", mode="max"),
    run_config=ramet.RunConfig(
        storage_path=WHERE, verbose=0, stop=lambda trial_id, row: row["training_iteration"] >= limit
    ),
).fit()
print([result.metrics["score"] for result in results], results.num_errors)
"""


def test_objects_and_stop_functions_of_main(tmp_path):
    """Functions and objects of a script in its space and its stop rule reach the workers."""
    path = tmp_path / "script.py"
    path.write_text(MAIN_OBJECTS.replace("WHERE", repr(str(tmp_path))))
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[8, 12] 0"


def test_a_stored_checkpoint_may_be_reported_again(tmp_path):
    """Reporting the checkpoint that one was given makes a checkpoint of its own, which outlives the first."""

    def train(config):
        checkpoint = ramet.get_checkpoint()
        for step in range(5):
            if checkpoint is None or step % 2:
                directory = ramet.checkpoint_dir()
                (directory / "weights").write_bytes(bytes([step]) * 200_000)
                checkpoint = ramet.Checkpoint.from_directory(directory)
            ramet.report({"score": float(step)}, checkpoint=checkpoint)
            checkpoint = ramet.get_checkpoint()

    results = run(tmp_path, train, members=1, checkpoint_config=ramet.CheckpointConfig(num_to_keep=1))
    assert results.num_errors == 0, results.errors
    with results[0].checkpoint.as_directory() as directory:
        assert (Path(directory) / "weights").read_bytes()[:1] == bytes([3])


def test_finally_blocks_run_before_a_worker_goes(tmp_path):
    """A function that is ended by a stop rule may clean up, also as the last one of the run."""

    def train(config):
        try:
            for step in range(100):
                ramet.report({"score": float(step)}, checkpoint=ramet.Checkpoint.from_dict({}))
        finally:
            time.sleep(0.3)
            (Path(config["where"]) / f"cleaned {ramet.get_context().member}").touch()

    run(tmp_path, train, stop=5, members=2, executor=ramet.ProcessExecutor(1), space={"where": str(tmp_path)})
    assert len(list(tmp_path.glob("cleaned *"))) == 2
