"""What hostile or unlucky training functions do to a run: each once found to hang it, starve it or bend its numbers."""

import contextlib
import multiprocessing
import os
import signal
import threading
import time

import pytest

import ramet
from ramet.errors import StrategyError, TrainableError
from ramet.executor import workers
from ramet.testing import story


def pbt(interval=4, **more):
    """A scheduler over one rate."""
    mutations = {"rate": ramet.uniform(0.1, 2.0)}
    return ramet.PopulationBasedTraining(
        time_attr="training_iteration", perturbation_interval=interval, hyperparam_mutations=mutations, **more
    )


def run(tmp_path, function, executor, *, members=4, stop=12, scheduler=None, space=None, retries=0, budget=None):
    """Train; return the results."""
    return ramet.Tuner(
        function,
        param_space={"rate": ramet.uniform(0.1, 2.0), **(space or {})},
        tune_config=ramet.TuneConfig(
            metric="score", mode="max", scheduler=scheduler, num_samples=members, seed=1, time_budget_s=budget
        ),
        run_config=ramet.RunConfig(
            name="run",
            storage_path=tmp_path,
            stop={"training_iteration": stop} if isinstance(stop, int) else stop,
            verbose=0,
            executor=executor,
            failure_config=ramet.FailureConfig(max_failures=retries),
        ),
    ).fit()


def steps():
    """Count from the checkpoint on."""
    checkpoint = ramet.get_checkpoint()
    step = checkpoint.to_dict()["step"] if checkpoint else 0
    while True:
        step += 1
        yield step, ramet.Checkpoint.from_dict({"step": step})


def _draws_now_and_then(config):
    checkpoint = ramet.get_checkpoint()
    state = checkpoint.to_dict() if checkpoint else {"i": 0, "sum": 0.0}
    for i in range(state["i"], 40):
        x = ramet.rng().random() if i % 3 in (0, 2) else 0.0
        state = {"i": i + 1, "sum": state["sum"] + x}
        saved = ramet.Checkpoint.from_dict(state) if i % 4 == 3 else None
        ramet.report({"score": state["sum"], "x": x}, checkpoint=saved)


def test_rng_does_not_depend_on_when_it_is_first_asked_for(tmp_path):
    """A function that draws from rng() in some steps only tells the same story wherever it is started anew."""
    kinds = [
        ramet.InlineExecutor(),
        ramet.InlineExecutor(1),
        ramet.ProcessExecutor(2),
        ramet.SimulatedExecutor(2, failures=0.3),
    ]
    stories = [
        story(
            run(
                tmp_path / str(n), _draws_now_and_then, kind, members=5, stop=40, scheduler=pbt(synch=True), retries=-1
            ).experiment_path
        )
        for n, kind in enumerate(kinds)
    ]
    assert stories[1:] == stories[:1] * 3


@pytest.mark.parametrize("habit", ["sleeps", "prints"])
def test_a_worker_that_does_not_leave_blocks_nobody(tmp_path, monkeypatch, habit):
    """What is large waits for a worker that unwinds slowly, or prints much at its end; the controller does not."""
    monkeypatch.setattr(workers, "UNWIND_SECONDS", 1.0)

    def train(config):
        try:
            for step, checkpoint in steps():
                ramet.report({"score": config["rate"] * step}, checkpoint=checkpoint)
        finally:
            if habit == "prints":
                print("x" * 400_000)
            elif ramet.get_context().member == 0:
                time.sleep(60)

    results = run(tmp_path, train, ramet.ProcessExecutor(2), scheduler=pbt(), space={"large": "q" * 1_000_000})
    assert [result.iteration for result in results] == [12] * 4


@pytest.mark.parametrize("executor", [ramet.InlineExecutor, ramet.ProcessExecutor])
@pytest.mark.parametrize("synch", [True, False])
def test_a_member_that_always_fails_starves_nobody(tmp_path, executor, synch):
    """One that fails at once and is tried again for ever leaves the slot to the others in between."""

    def train(config):
        for step, checkpoint in steps():
            if ramet.get_context().member == 0 and step == 2:
                raise ValueError("again")
            ramet.report({"score": config["rate"] * step}, checkpoint=checkpoint if step % 4 == 0 else None)

    class Enough(ramet.Callback):
        failures = 0

        def on_member_failed(self, member, error, final):
            self.failures += 1

    results = run(tmp_path, train, executor(1), scheduler=pbt(synch=synch), retries=40)
    assert [result.iteration for result in results][1:] == [12] * 3
    assert results[0].state == "failed"


def test_a_death_is_noticed_though_a_forked_child_lives(tmp_path):
    """A worker that is killed is missed at once, even if a process that it forked holds its socket."""

    def train(config):
        for step, checkpoint in steps():
            first = ramet.get_checkpoint() is None
            ramet.report({"score": config["rate"] * step}, checkpoint=checkpoint)
            if first and ramet.get_context().member == 0:
                child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(120,))
                child.start()
                os.kill(os.getpid(), signal.SIGKILL)

    began = time.monotonic()
    results = run(tmp_path, train, ramet.ProcessExecutor(2), members=2, retries=9, scheduler=pbt(1))
    assert [result.iteration for result in results] == [12, 12]
    assert time.monotonic() - began < 100, "it was not waited for the child"


def test_a_forked_child_that_reports_too_ends_and_harms_nobody(tmp_path):
    """A function that forgets that it has forked goes on in the worker alone; its child takes no message away."""

    def train(config):
        for step, checkpoint in steps():
            if step == 3 and ramet.get_checkpoint() is None:
                os.fork()
            ramet.report({"score": config["rate"] * step}, checkpoint=checkpoint)

    results = run(tmp_path, train, ramet.ProcessExecutor(2), scheduler=pbt(), retries=3)
    assert [result.iteration for result in results] == [12] * 4


def test_workers_that_cannot_start_are_said_so(tmp_path, monkeypatch):
    """An environment in which no interpreter starts ends the run with that, and leaves no process behind."""
    monkeypatch.setenv("PYTHONHOME", "/nonexistent")
    with pytest.raises(TrainableError, match="3 workers in a row died before they could start"):
        run(tmp_path, _draws_now_and_then, ramet.ProcessExecutor(2), space={"large": "q" * 3_000_000})
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_a_thread_that_is_left_behind_reports_for_nobody(tmp_path):
    """A thread that outlives its function cannot report into the next one in its process."""

    def train(config):
        def stray(value):
            while True:
                time.sleep(0.001)
                with contextlib.suppress(BaseException):
                    ramet.report({"score": value})

        member = float(ramet.get_context().member)
        if member == 0:
            threading.Thread(target=stray, args=(-1.0,), daemon=True).start()
            return
        for _ in range(30):
            time.sleep(0.002)
            ramet.report({"score": member})

    results = run(tmp_path, train, ramet.ProcessExecutor(1), members=3, stop=100)
    for result in list(results)[1:]:
        assert set(result.metrics_dataframe["score"]) == {float(result.member)}


def test_threads_cannot_report_inline(tmp_path):
    """A function that reports from a thread of its own fails inline with a sentence, and works in a process."""

    def train(config):
        thread = threading.Thread(target=lambda: ramet.report({"score": 1.0}))
        thread.start()
        thread.join()

    thrown = threading.excepthook
    threading.excepthook = lambda args: None
    try:
        inline = run(tmp_path / "inline", train, ramet.InlineExecutor(), members=1)
    finally:
        threading.excepthook = thrown
    assert "executor='process'" in str(inline.errors[0])
    worker = run(tmp_path / "process", train, ramet.ProcessExecutor(1), members=1)
    assert worker[0].metrics["score"] == 1.0


def test_a_stopper_does_not_start_functions_anew_for_every_report(tmp_path):
    """With a stop rule that the controller judges, members yield at decision points only."""
    calls = []

    class Never(ramet.Stopper):
        def __call__(self, trial_id, result):
            return result["training_iteration"] >= 40

    def train(config):
        calls.append(ramet.get_context().member)
        for step, checkpoint in steps():
            ramet.report({"score": config["rate"] * step}, checkpoint=checkpoint)

    run(tmp_path, train, ramet.InlineExecutor(1), stop=Never(), scheduler=pbt(10, synch=True))
    assert len(calls) <= 4 * 4


def test_what_is_no_file_is_refused_in_a_checkpoint(tmp_path):
    """A pipe in a checkpoint directory fails its member instead of being read for ever."""

    def train(config):
        directory = ramet.checkpoint_dir()
        (directory / "weights").write_bytes(b"x" * 300_000)
        os.mkfifo(directory / "pipe")
        ramet.report({"score": 1.0}, checkpoint=ramet.Checkpoint.from_directory(directory))

    results = run(tmp_path, train, ramet.InlineExecutor(), members=1)
    assert "'pipe'" in str(results.errors[0])


def test_an_explore_function_that_raises_is_named(tmp_path):
    """An error in custom_explore_fn ends the run saying whose fault it is."""

    def explore(config):
        raise KeyError("momentum")

    def train(config):
        for step, checkpoint in steps():
            ramet.report({"score": config["rate"] * step}, checkpoint=checkpoint)

    with pytest.raises(StrategyError, match=r"custom_explore_fn.*KeyError.*momentum"):
        run(tmp_path, train, ramet.InlineExecutor(), scheduler=pbt(custom_explore_fn=explore))


@pytest.mark.parametrize("kind", [KeyboardInterrupt, ValueError])
@pytest.mark.parametrize("synch", [True, False])
def test_an_error_in_a_decision_costs_no_data(tmp_path, kind, synch):
    """Whatever a strategy raises in the middle of deciding, the record holds what happened, and all that it names."""

    class Raises(ramet.PopulationBasedTraining):
        asked = 0

        def decide(self, scene):
            self.asked += 1
            if self.asked == 6:
                raise kind("in the middle")
            return super().decide(scene)

    def train(config):
        for step, checkpoint in steps():
            ramet.report({"score": config["rate"] * step}, checkpoint=checkpoint)

    scheduler = Raises(
        time_attr="training_iteration",
        perturbation_interval=2,
        hyperparam_mutations={"rate": ramet.uniform(0.1, 2.0)},
        synch=synch,
    )
    with pytest.raises(kind):
        ramet.Tuner(
            train,
            param_space={"rate": ramet.uniform(0.1, 2.0)},
            tune_config=ramet.TuneConfig(metric="score", mode="max", scheduler=scheduler, num_samples=4, seed=1),
            run_config=ramet.RunConfig(
                name="run",
                storage_path=tmp_path,
                stop={"training_iteration": 40},
                verbose=0,
                executor="inline",
                checkpoint_config=ramet.CheckpointConfig(num_to_keep=1),
            ),
        ).fit()
    results = ramet.ResultGrid(tmp_path / "run")
    assert results.population.ended
    latest = [max(r.lineage_dataframe["training_iteration"], default=0) for r in results]
    assert [r.checkpoint.to_dict()["step"] if r.checkpoint else 0 for r in results] == latest
    assert max(latest) >= 4
    if synch:
        assert min(latest) == 12, "the reports that led to the decision are there too"


def test_an_error_after_some_decisions_keeps_the_record_whole(tmp_path):
    """Decisions of one message that were taken before another failed are told after the reports that led to them."""
    folder = tmp_path / "run"

    class Batch(ramet.InlineExecutor):
        """Hands over whatever all members have to say at once."""

        def poll(self, timeout):
            came = []
            while self.queue:
                came += super().poll(timeout)
            return came

    class RaisesLate(ramet.PopulationBasedTraining):
        exploited = False

        def decide(self, scene):
            if self.exploited:
                raise ValueError("after an exploit")
            decisions = super().decide(scene)
            RaisesLate.exploited = any(decision.verdict == "exploit" for decision in decisions)
            return decisions

    def train(config):
        score = [1.0, 0.5, 3.0, 2.0][ramet.get_context().member]
        for _, checkpoint in steps():
            ramet.report({"score": score}, checkpoint=checkpoint)

    scheduler = RaisesLate(
        time_attr="training_iteration", perturbation_interval=2, hyperparam_mutations={"rate": ramet.uniform(0.1, 2.0)}
    )
    with pytest.raises(ValueError, match="after an exploit"):
        run(tmp_path, train, Batch(), scheduler=scheduler)
    results = ramet.ResultGrid(folder)
    assert results.population.exploits == 1
    assert [result.checkpoint is not None for result in results] == [True] * 4
