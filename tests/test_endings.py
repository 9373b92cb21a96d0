"""How a run is ended from outside: gently by one signal, at once by two, and what is left of it."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import ramet
from ramet.signals import Signals
from ramet.testing import story

SCRIPT = """
import os, sys, time
import ramet

def train(config):
    checkpoint = ramet.get_checkpoint()
    i = checkpoint.to_dict()["i"] if checkpoint else 0
    x = checkpoint.to_dict()["x"] if checkpoint else 0.0
    while True:
        if os.path.exists(config["hang"]):
            time.sleep(3600)
        time.sleep(config["pause"])
        i, x = i + 1, x + config["lr"] * float(ramet.rng().random())
        if i > 2:
            open(os.path.join(config["pids"], str(os.getpid())), "w").close()
        ramet.report({"score": x}, checkpoint=ramet.Checkpoint.from_dict({"i": i, "x": x}))

def tuner(folder, name, executor, pause, verbose=1):
    pbt = ramet.PopulationBasedTraining(time_attr="training_iteration", perturbation_interval=4, synch=True,
                                        hyperparam_mutations={"lr": ramet.uniform(0.1, 1.0)})
    return ramet.Tuner(
        train,
        param_space={"lr": ramet.uniform(0.1, 1.0), "pause": pause, "hang": folder + "/hang", "pids": folder + "/pids"},
        tune_config=ramet.TuneConfig(metric="score", mode="max", num_samples=4, scheduler=pbt, seed=2),
        run_config=ramet.RunConfig(name=name, storage_path=folder, stop={"training_iteration": 12}, verbose=verbose,
                                   executor=executor))

if __name__ == "__main__":
    folder, executor = sys.argv[1:]
    tuner(folder, "run", ramet.ProcessExecutor(2) if executor == "process" else "inline", 0.05).fit()
"""


@pytest.fixture
def room(tmp_path, monkeypatch):
    """A folder with the script, importable as ``script``."""
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "pids").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("script", None)
    yield tmp_path
    sys.modules.pop("script", None)


def started(room, executor):
    """A controller whose members have reported a few times."""
    process = subprocess.Popen(
        [sys.executable, "script.py", str(room), executor],
        cwd=room,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    until(lambda: os.listdir(room / "pids") or process.poll() is not None)
    assert process.poll() is None, process.communicate()[0]
    return process


def until(done, seconds=60):
    """Wait for something that happens in another process."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.01)


def gone(room):
    """Whether no worker is left."""
    return not any(alive(int(pid)) for pid in os.listdir(room / "pids"))


def alive(pid):
    """Whether the process runs, and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("executor", ["process", "inline"])
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, -signal.SIGINT), (signal.SIGTERM, 143)])
def test_one_signal_ends_gently_and_the_run_goes_on_as_if_nothing_had_been(room, executor, number, status):
    """The summary says how to go on; nothing is left running; taken up, the run ends in the same bytes."""
    import script

    process = started(room, executor)
    process.send_signal(number)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == status, out
    reason = "interrupted from the keyboard" if number == signal.SIGINT else "ended by SIGTERM"
    assert "waiting for the next report of" in out
    assert f": {reason}" in out
    assert f"ramet.Tuner.restore({str(room / 'run')!r}, train).fit()" in out
    assert "members    0 finished, 4 stopped before their end" in out
    until(lambda: gone(room) or executor == "inline")
    assert not (room / "run" / "run.lock").exists()
    results = ramet.Tuner.restore(room / "run", script.train, verbose=0, executor="inline").fit()
    assert [result.iteration for result in results] == [12] * 4
    whole = script.tuner(str(room), "whole", "inline", 0.05, verbose=0).fit()
    assert story(results.experiment_path) == story(whole.experiment_path)


def test_a_gentle_end_keeps_the_report_that_was_under_way(tmp_path):
    """What a member hands over at its next report is kept, checkpoint and all."""

    def train(config):
        checkpoint = ramet.get_checkpoint()
        i = checkpoint.to_dict()["i"] if checkpoint else 0
        while True:
            i += 1
            if i == 3:
                os.kill(os.getpid(), signal.SIGINT)
            ramet.report({"i": i}, checkpoint=ramet.Checkpoint.from_dict({"i": i}))
            time.sleep(0.11 if i >= 3 else 0)

    with pytest.raises(KeyboardInterrupt):
        ramet.Tuner(
            train, run_config=ramet.RunConfig(name="run", storage_path=tmp_path, executor="inline", verbose=0)
        ).fit()
    results = ramet.ResultGrid(tmp_path / "run")
    assert results[0].iteration >= 3
    assert results[0].checkpoint.to_dict()["i"] == results[0].iteration
    assert results.population.ended == "interrupted from the keyboard"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_two_signals_end_at_once(room, number):
    """Members that never report again are not waited for any longer, and their workers are gone."""
    process = started(room, "process")
    (room / "hang").touch()
    time.sleep(0.3)  # let them hang; should they not, the first signal alone ends the run
    process.send_signal(number)
    with pytest.raises(subprocess.TimeoutExpired):
        process.communicate(timeout=1.5)
    process.send_signal(number)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == (-signal.SIGINT if number == signal.SIGINT else 143), out
    assert "ramet.Tuner.restore(" in out
    until(lambda: gone(room))
    assert ramet.Tuner.can_restore(room / "run")


def test_a_signal_to_the_whole_group_harms_no_worker(room):
    """Ctrl-C in a terminal, and a batch system's SIGTERM, reach the workers too: the controller alone ends them."""
    process = subprocess.Popen(
        [sys.executable, "script.py", str(room), "process"],
        cwd=room,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    until(lambda: len(os.listdir(room / "pids")) == 2)
    os.killpg(process.pid, signal.SIGTERM)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 143, out
    assert "failed" not in out


def test_handlers_of_ones_own_are_respected_and_all_are_given_back():
    """Signals that somebody handles stay theirs; others are held back inside the block only."""
    mine = []
    before = signal.signal(signal.SIGTERM, lambda *_: mine.append(1))
    try:
        with Signals() as signals:
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGINT)
            assert signals.asked is signal.SIGINT
        assert mine == [1]
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGTERM, before)


def test_a_run_in_a_thread_needs_no_signals(tmp_path):
    """Where signals cannot be held back, a run goes as well."""
    found = []

    def fit():
        config = ramet.RunConfig(storage_path=tmp_path, executor="inline", verbose=0, stop={"training_iteration": 2})
        found.append(ramet.Tuner(lambda config: [ramet.report({"x": 1}) for _ in range(9)] and None, run_config=config))
        found.append(found[0].fit())

    thread = threading.Thread(target=fit)
    thread.start()
    thread.join()
    assert found[1][0].iteration == 2


def test_the_summary_of_a_complete_run_offers_nothing_to_go_on_with(tmp_path, capsys):
    """The line that says how to go on is there only where there is something left to do."""
    config = ramet.RunConfig(storage_path=tmp_path, executor="inline", stop={"training_iteration": 2})
    ramet.Tuner(lambda config: [ramet.report({"x": 1}) for _ in range(9)] and None, run_config=config).fit()
    assert "restore" not in capsys.readouterr().out


@pytest.mark.parametrize("line", range(24))
def test_an_interrupt_at_any_line_of_a_commit_leaves_a_whole_record(tmp_path, line):
    """Wherever in a commit the second Ctrl-C falls, nothing is written twice, and the run can be read and taken up."""
    seen = 0

    def train(config):
        checkpoint = ramet.get_checkpoint()
        i = checkpoint.to_dict()["i"] if checkpoint else 0
        while True:
            i += 1
            ramet.report({"i": i}, checkpoint=ramet.Checkpoint.from_dict({"i": i}) if i % 50 == 0 else None)

    def within(frame, event, _):
        nonlocal seen
        seen += event == "line"
        if seen == line + 30:  # past the first commit
            sys.settrace(None)
            raise KeyboardInterrupt
        return within

    def trace(frame, event, _):
        here = frame.f_code.co_filename.endswith("ramet/loop.py")
        return within if here and frame.f_code.co_name in ("_commit", "_write", "_tell_all") else None

    config = ramet.RunConfig(
        name="run", storage_path=tmp_path, executor="inline", verbose=0, stop={"training_iteration": 500}
    )
    scheduler = ramet.PopulationBasedTraining(
        time_attr="training_iteration",
        perturbation_interval=50,
        quantile_fraction=0.0,
        hyperparam_mutations={"lr": ramet.uniform(0.0, 1.0)},
    )
    tune = ramet.TuneConfig(metric="i", mode="max", num_samples=2, seed=0, scheduler=scheduler)
    tuner = ramet.Tuner(train, tune_config=tune, run_config=config)
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        with pytest.raises(KeyboardInterrupt):
            tuner.fit()
    finally:
        sys.settrace(before)
    assert ramet.ResultGrid(tmp_path / "run").population.ended == "interrupted from the keyboard"
    results = ramet.Tuner.restore(tmp_path / "run", train).fit()
    assert [result.iteration for result in results] == [500, 500]
    assert not [kind for kind in results.population.noted if kind.startswith("repaired")]
