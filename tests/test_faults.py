"""Every way in which a training function can fail, and what its user sees of it: states, errors, the log, the story.

Exceptions of their own kinds, bad reports and functions that will not unwind are in the executors' public suite.
"""

import ctypes
import os
import re
import resource
import signal
import sys
import time
from pathlib import Path

import pytest

import ramet
from ramet.errors import MemberError
from ramet.testing import story

MEMBERS = 3


def exhaust_memory():
    """Ask for more memory than is allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (8 << 30, hard))
    try:
        bytearray(1 << 40)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def fail():
    """Raise."""
    raise RuntimeError("out of luck")


FAULTS = {
    "an exception": (fail, "RuntimeError: out of luck"),
    "sys.exit": (lambda: sys.exit(3), r"the training function called sys.exit\(3\); return to end training"),
    "os._exit(0)": (
        lambda: os._exit(0),
        r"ended the whole process with status 0 \(os._exit\(0\), say\): return instead",
    ),
    "os._exit(7)": (lambda: os._exit(7), "the worker process died: exit status 7"),
    "a segmentation fault": (
        lambda: ctypes.string_at(0),
        r"the worker process died: signal 11 \(SIGSEGV\). Its last words:\n(.*\n)*Fatal Python error: Segm.*\n"
        r"(.*\n)*.* in (train|each_its_own)\b",
    ),
    "an abort": (os.abort, r"signal 6 \(SIGABRT\)(.*\n)*.* in (train|each_its_own)\b"),
    "kill -9": (lambda: os.kill(os.getpid(), signal.SIGKILL), r"signal 9 \(SIGKILL\), .*the system ran out of memory"),
    "no memory": (exhaust_memory, "MemoryError"),
    "closed descriptors": (lambda: os.closerange(3, 4096), "closed the worker's own descriptors"),
}
HANGS = {
    "a hang": (lambda: time.sleep(3600), r"\(FailureConfig\(report_timeout_s=1.0\)\)(.*\n)*.* in train\b"),
    "a hang in C": (lambda: re.match("(a+)+$", "a" * 64 + "b"), r"no report for 1 s .*was here:\n(.*\n)*.* in train\b"),
    "a stop": (lambda: os.kill(os.getpid(), signal.SIGSTOP), "no report for 1 s .*did not say where it was"),
}


def strikes(name, limit=1):
    """Return whether a fault is to strike now: it does so ``limit`` times, counted in the folder of the environment."""
    folder = Path(os.environ["FAULTS"])
    count = len(list(folder.glob(f"{name}-*")))
    if count < limit:
        (folder / f"{name}-{count}").touch()
    return count < limit


def steps(every=1):
    """Count from the checkpoint on, and save now and then."""
    checkpoint = ramet.get_checkpoint()
    step = checkpoint.to_dict()["step"] if checkpoint else 0
    while step < 99:
        step += 1
        yield step, ramet.Checkpoint.from_dict({"step": step}) if step % every == 0 else None


def train(config):
    """Train, and be struck in the middle between two checkpoints."""
    struck = os.environ.get("FAULT")
    for step, checkpoint in steps(every=2):
        if struck and step == 6 and ramet.get_context().member == 1 and strikes("once"):
            {**FAULTS, **HANGS}[struck][0]()
        ramet.report({"score": config["rate"] * step, "drawn": ramet.rng().random()}, checkpoint=checkpoint)


def run(folder, function=train, *, synch=True, space=None, members=MEMBERS, executor=None, stop=8, **failure):
    """Train with decisions every 4 iterations; return the results."""
    rate = ramet.uniform(0.1, 2.0)
    scheduler = ramet.PopulationBasedTraining(
        time_attr="training_iteration", perturbation_interval=4, hyperparam_mutations={"rate": rate}, synch=synch
    )
    return ramet.Tuner(
        function,
        param_space={"rate": rate, **(space or {})},
        tune_config=ramet.TuneConfig(metric="score", mode="max", scheduler=scheduler, num_samples=members, seed=4),
        run_config=ramet.RunConfig(
            name="run",
            storage_path=folder,
            stop={"training_iteration": stop},
            verbose=0,
            executor=executor or ramet.ProcessExecutor(2),
            failure_config=ramet.FailureConfig(**failure),
        ),
    ).fit()


@pytest.fixture(autouse=True)
def _counted(tmp_path, monkeypatch):
    """Count strikes in a folder that workers find through the environment."""
    (tmp_path / "strikes").mkdir()
    monkeypatch.setenv("FAULTS", str(tmp_path / "strikes"))
    monkeypatch.delenv("FAULT", raising=False)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The story of a run that nothing happened to."""
    return story(run(tmp_path_factory.mktemp("calm"), executor=ramet.InlineExecutor()).experiment_path)


def errors_log(results):
    """What the run's folder says of failures."""
    return Path(results.experiment_path, "errors.log").read_text(encoding="utf-8")


def check_made_good(results, words, undisturbed):
    """One failure, told in the log; and besides that nothing is different."""
    assert [result.state for result in results] == ["finished"] * MEMBERS
    assert results.num_errors == 0
    assert [member.failures for member in results.population.members] == [0, 1, 0]
    assert re.search(words, errors_log(results)), errors_log(results)
    assert story(results.experiment_path) == undisturbed


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_is_made_good_leaves_no_trace(tmp_path, monkeypatch, undisturbed, fault):
    """A member that is tried again after a fault ends as if there had been none; the log says what it was."""
    monkeypatch.setenv("FAULT", fault)
    check_made_good(run(tmp_path, max_failures=1), FAULTS[fault][1], undisturbed)


@pytest.mark.parametrize("fault", HANGS)
def test_a_hang_that_is_made_good_leaves_no_trace(tmp_path, monkeypatch, undisturbed, fault):
    """A member that hangs is ended, tried again, and ends as if nothing had been; the log says where it hung."""
    monkeypatch.setenv("FAULT", fault)
    check_made_good(run(tmp_path, max_failures=1, report_timeout_s=1.0), HANGS[fault][1], undisturbed)


def each_its_own(config):
    """Fail in the way that the configuration names, if it names one."""
    for step, checkpoint in steps():
        if step == 3 and config["fault"]:
            FAULTS[config["fault"]][0]()
        ramet.report({"score": config["rate"] * step}, checkpoint=checkpoint)


def test_without_retries_each_fault_is_its_members_error_and_no_others(tmp_path):
    """Each member that fails for good says why in its own error; those that do not fail finish."""
    kinds = [*FAULTS, ""]
    results = run(tmp_path, each_its_own, space={"fault": ramet.grid_search(kinds)}, members=1, synch=False, stop=12)
    told = {result.config["fault"]: result for result in results}
    assert results.num_errors == len(FAULTS)
    assert len(results.errors) == len(FAULTS)
    for fault, (_, words) in FAULTS.items():
        assert told[fault].state == "failed"
        assert re.search(words, str(told[fault].error)), fault
        assert told[fault].iteration <= 2
        assert re.search(words, errors_log(results))
    assert (told[""].state, told[""].iteration, told[""].error) == ("finished", 12, None)


def test_last_words_are_those_of_the_failed_member(tmp_path):
    """What a member printed before its worker died is in its error; what another one printed there before is not."""

    def talks(config):
        member = ramet.get_context().member
        print("the words of", member, flush=True)
        if member == 1:
            os.kill(os.getpid(), signal.SIGSEGV)
        ramet.report({"score": 1.0}, checkpoint=ramet.Checkpoint.from_dict({}))

    results = run(tmp_path, talks, executor=ramet.ProcessExecutor(1), members=2)
    assert "the words of 1" in str(results[1].error)
    assert "the words of 0" not in str(results[1].error)


def test_a_flood_changes_nothing(tmp_path, monkeypatch):
    """A member that prints a megabyte with every step ends as one that prints nothing."""

    def prints(config):
        for step, checkpoint in steps():
            if os.environ.get("FAULT") and ramet.get_context().member == 1:
                print(("x" * 999 + "\n") * 1000)
            ramet.report({"score": config["rate"] * step, "drawn": ramet.rng().random()}, checkpoint=checkpoint)

    quiet = run(tmp_path / "quiet", prints, executor=ramet.InlineExecutor())
    monkeypatch.setenv("FAULT", "flood")
    loud = run(tmp_path / "loud", prints)
    assert loud.num_errors == 0
    assert story(loud.experiment_path) == story(quiet.experiment_path)
    assert Path(loud.experiment_path, "members.log").stat().st_size <= 16 << 20


def clinging(config):
    """Catch what ends the function, once, and go on reporting."""
    for step, checkpoint in steps():
        try:
            ramet.report({"score": config["rate"] * step}, checkpoint=checkpoint)
        except BaseException:
            if not os.environ.get("FAULT"):
                raise
            while True:
                ramet.report({"score": 0.0})


def test_functions_that_cling_to_their_place_change_nothing(tmp_path, monkeypatch):
    """Members that catch what unwinds them lose their workers, and the run is as with those that leave."""
    calm = run(tmp_path / "calm", clinging)
    monkeypatch.setenv("FAULT", "clings")
    results = run(tmp_path / "clinging", clinging)
    assert results.population.exploits > 0
    assert results.num_errors == 0
    assert story(results.experiment_path) == story(calm.experiment_path)


def unlucky(config):
    """Member 1 dies at its third step, as often as the configuration says."""
    for step, checkpoint in steps():
        if step == 3 and ramet.get_context().member == 1 and strikes("death", config["deaths"]):
            os.kill(os.getpid(), signal.SIGSEGV)
        ramet.report({"score": config["rate"] * step}, checkpoint=checkpoint)


def strikes_so_far():
    """How often a fault struck."""
    return len(list(Path(os.environ["FAULTS"]).iterdir()))


def test_max_failures_is_counted_exactly(tmp_path):
    """With max_failures=2 a member is begun three times and no more; the others finish without it."""
    results = run(tmp_path, unlucky, space={"deaths": 99}, max_failures=2)
    assert strikes_so_far() == 3
    assert results.population.members[1].failures == 3
    assert [result.state for result in results] == ["finished", "failed", "finished"]
    assert "signal 11 (SIGSEGV)" in str(results[1].error)
    assert len(re.findall(r"member 1 failed at iteration \d:", errors_log(results))) == 3


def test_the_last_failure_that_is_allowed_is_forgiven(tmp_path):
    """With max_failures=2 a member that fails twice finishes."""
    results = run(tmp_path, unlucky, space={"deaths": 2}, max_failures=2)
    assert [result.state for result in results] == ["finished"] * 3
    assert results.population.members[1].failures == strikes_so_far() == 2


def test_minus_one_forgives_everything(tmp_path):
    """With max_failures=-1 a member is tried again until it gets through."""
    results = run(tmp_path, unlucky, space={"deaths": 6}, max_failures=-1)
    assert [result.state for result in results] == ["finished"] * 3
    assert results.population.members[1].failures == strikes_so_far() == 6


@pytest.mark.parametrize("fail_fast", [True, "raise"])
def test_fail_fast_ends_the_run_at_a_death(tmp_path, fail_fast):
    """The first death ends the run, which says so; "raise" raises the member's error out of fit() besides."""
    if fail_fast == "raise":
        with pytest.raises(MemberError, match=r"member 1 failed:\n.*SIGSEGV"):
            run(tmp_path, unlucky, space={"deaths": 99}, stop=10**6, fail_fast=fail_fast)
        results = ramet.ResultGrid(tmp_path / "run")
    else:
        results = run(tmp_path, unlucky, space={"deaths": 99}, stop=10**6, fail_fast=fail_fast)
    assert results.population.ended == "fail_fast: member 1 failed"
    assert strikes_so_far() == 1
    assert results[1].state == "failed"
    assert "finished" not in [result.state for result in results]
