"""How a run is ended from outside: gently by one signal, at once by two, and what is left of it."""

import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta
from pathlib import Path
from textwrap import dedent

import pytest

import ramet
from ramet.cli.going_on import function_of
from ramet.core.engine import COMPLETE
from ramet.executor.wire import told
from ramet.executor.workerprocess import WorkerProcess
from ramet.loop import Loop
from ramet.signals import LATER, Signals
from ramet.testing import story
from ramet.view.farewell import function

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

def tuner(folder, name, executor, pause, verbose=1, limit=None):
    pbt = ramet.PopulationBasedTraining(time_attr="training_iteration", perturbation_interval=4, synch=True,
                                        hyperparam_mutations={"lr": ramet.uniform(0.1, 1.0)})
    return ramet.Tuner(
        train,
        param_space={"lr": ramet.uniform(0.1, 1.0), "pause": pause, "hang": folder + "/hang", "pids": folder + "/pids"},
        tune_config=ramet.TuneConfig(metric="score", mode="max", num_samples=4, scheduler=pbt, seed=2),
        run_config=ramet.RunConfig(name=name, storage_path=folder, stop={"training_iteration": 12}, verbose=verbose,
                                   executor=executor, time_limit_s=limit))

if __name__ == "__main__":
    folder, executor = sys.argv[1:]
    tuner(folder, "run", ramet.ProcessExecutor(2) if executor == "process" else "inline", 0.05).fit()
"""

LIMITED = """
import sys, json
import ramet, script

folder, executor, settings = sys.argv[1:]
settings = json.loads(settings)
if ramet.Tuner.can_restore(folder + "/run"):
    tuner = ramet.Tuner.restore(folder + "/run", script.train)
else:
    tuner = script.tuner(folder, "run", ramet.ProcessExecutor(2) if executor == "process" else "inline",
                         settings["pause"], limit=settings["limit"])
tuner.fit()
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
@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, -signal.SIGINT), (signal.SIGTERM, 143), (signal.SIGUSR1, 138)]
)
def test_one_signal_ends_gently_and_the_run_goes_on_as_if_nothing_had_been(room, executor, number, status):
    """The summary says how to go on; nothing is left running; taken up, the run ends in the same bytes."""
    import script

    process = started(room, executor)
    process.send_signal(number)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == status, out
    reason = "interrupted from the keyboard" if number == signal.SIGINT else f"ended by {number.name}"
    assert "waiting for the next report of" in out
    assert f": {reason}" in out
    assert f"ramet.Tuner.restore({str(room / 'run')!r}, train).fit()" in out
    assert f"  or         ramet resume {room / 'run'} {room / 'script.py'}:train\n" in out
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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
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
    assert process.returncode == (-signal.SIGINT if number == signal.SIGINT else 128 + number), out
    assert "ramet.Tuner.restore(" in out
    until(lambda: gone(room))
    assert ramet.Tuner.can_restore(room / "run")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_to_the_whole_group_harms_no_worker(room, number):
    """A batch system's signals, like Ctrl-C in a terminal, reach workers too: these neither die nor say anything."""
    process = subprocess.Popen(
        [sys.executable, "script.py", str(room), "process"],
        cwd=room,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    until(lambda: len(os.listdir(room / "pids")) == 2)
    os.killpg(process.pid, number)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 128 + number, out
    assert "failed" not in out
    assert 'File "' not in out
    assert not (room / "run" / "members.log").exists()
    assert not ramet.ResultGrid(room / "run").errors


def test_handlers_of_ones_own_are_respected_and_all_are_given_back():
    """Signals that somebody handles stay theirs; others are held back inside the block only."""
    mine = []
    before = signal.signal(signal.SIGTERM, lambda *_: mine.append(1))
    try:
        with Signals() as signals:
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGINT)
            assert signals.asked == 128 + signal.SIGINT
        assert mine == [1]
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGTERM, before)


def test_the_handler_that_ray_sets_in_every_program_is_nobodys():
    """One of Ray's is taken over, also where it came after ours, and given back; ours does not outstay another's."""

    def rays(number, frame):
        raise AssertionError

    rays.__module__ = "ray._private.worker"
    before = signal.signal(signal.SIGTERM, rays)
    try:
        with Signals() as signals:
            assert signal.getsignal(signal.SIGTERM) is not rays
            signal.signal(signal.SIGTERM, rays)
            signals.hold()
            os.kill(os.getpid(), signal.SIGTERM)
            assert signals.asked == 143
        assert signal.getsignal(signal.SIGTERM) is rays
        with Signals():
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="this system does not tell which signals are caught")
def test_a_traceback_by_sigusr1_stays_somebodys_own():
    """Where ``faulthandler`` prints where a program is, of which Python's own table says nothing, it goes on to."""
    code = """
        import faulthandler, os, signal
        from ramet.signals import Signals
        faulthandler.register(signal.SIGUSR1)
        with Signals() as signals:
            os.kill(os.getpid(), signal.SIGUSR1)
            assert signals.asked is None
        os.kill(os.getpid(), signal.SIGUSR1)
    """
    done = subprocess.run([sys.executable, "-c", dedent(code)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("Current thread") == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_a_worker_that_has_just_begun_takes_no_signals(number):
    """From its first instruction on a worker is not ended by what reaches everybody, and then answers."""
    worker = WorkerProcess.spawn(0, None)
    try:
        worker.process.send_signal(number)
        worker.send(told((sys.path, [])))
        assert pickle.loads(worker.wire.receive()) == ("booted", 0)
    finally:
        worker.bury(0.0)


@pytest.mark.parametrize("executor", ["process", "inline"])
def test_a_time_limit_ends_gently_again_and_again_until_the_run_is_over(room, executor):
    """Each process ends with a status of its own, and the run that they make together is the undisturbed one."""
    import script

    settings = {"limit": 0.3, "pause": 0.02}
    (room / "limited.py").write_text(LIMITED)
    endings = []
    while not endings or endings[-1] == 75:
        assert len(endings) < 30
        command = [sys.executable, "limited.py", str(room), executor, json.dumps(settings)]
        done = subprocess.run(command, cwd=room, capture_output=True, text=True, check=False, timeout=60)
        endings.append(done.returncode)
        if done.returncode == 75:
            run = room / "run"
            assert ramet.ResultGrid(run).population.ended == "the time limit of 0.3 s came", done.stderr
            assert done.stdout.endswith(f"  or         ramet resume {run} {room / 'script.py'}:train\n")
    assert endings[-1] == 0, done.stderr
    assert len(endings) > 1
    whole = script.tuner(str(room), "whole", "inline", 0.02, verbose=0).fit()
    assert story(room / "run") == story(whole.experiment_path)


def test_a_run_that_is_done_by_its_last_reports_needs_no_more_time(tmp_path, monkeypatch):
    """Where all members end while they are waited for, the run is complete, and the time limit has ended nothing."""
    began, waited_for = tmp_path / "began", tmp_path / "waited for"
    wind_down = Loop._wind_down

    def train(config):
        began.touch()
        while not waited_for.exists():
            time.sleep(0.01)
        ramet.report({"x": 1})

    def told(loop):
        waited_for.touch()
        wind_down(loop)

    monkeypatch.setattr(Loop, "_wind_down", told)

    def asked(signals):
        signals._asked = LATER if began.exists() else None
        return signals._asked

    monkeypatch.setattr(Signals, "asked", property(asked))
    config = ramet.RunConfig(
        storage_path=tmp_path,
        verbose=0,
        executor=ramet.ProcessExecutor(1),
        stop={"training_iteration": 1},
        time_limit_s=3600,
    )
    results = ramet.Tuner(train, run_config=config).fit()
    assert results[0].iteration == 1
    assert results.population.ended == COMPLETE


def test_a_time_limit_is_no_end_of_the_run(tmp_path):
    """What was kept of a limit holds for whoever takes the run up, until it is lifted; an error stays an error."""

    def train(config):
        while True:
            time.sleep(0.02)
            ramet.report({"x": 1})

    config = ramet.RunConfig(
        name="run",
        storage_path=tmp_path,
        executor="inline",
        verbose=0,
        stop={"training_iteration": 25},
        time_limit_s=timedelta(seconds=0.1),
    )
    with pytest.raises(SystemExit) as ended:
        ramet.Tuner(train, run_config=config).fit()
    assert ended.value.code == LATER
    with pytest.raises(SystemExit):
        ramet.Tuner.restore(tmp_path / "run", train).fit()
    assert ramet.Tuner.restore(tmp_path / "run", train, time_limit_s=None).fit()[0].iteration == 25


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_two_signals_in_a_function_of_this_process_are_no_failure_of_its(tmp_path, number):
    """Where members train in this process the second signal ends the run, and no member has failed by it."""

    def train(config):
        while True:
            ramet.report({"x": 1})
            os.kill(os.getpid(), number)
            os.kill(os.getpid(), number)

    config = ramet.RunConfig(name="run", storage_path=tmp_path, executor="inline", verbose=0)
    with pytest.raises((KeyboardInterrupt, SystemExit)) as ended:
        ramet.Tuner(train, run_config=config).fit()
    assert ended.type is KeyboardInterrupt if number == signal.SIGINT else ended.value.code == 128 + number
    assert not ramet.ResultGrid(tmp_path / "run").errors


def test_what_goes_on_is_told_where_a_run_is_silent(tmp_path, capsys):
    """A run that says nothing says one line when it ends before its end: why, and how to go on; and none else."""

    def train(config):
        os.kill(os.getpid(), signal.SIGUSR1)
        while True:
            ramet.report({"x": 1})
            time.sleep(0.11)

    config = ramet.RunConfig(name="run", storage_path=tmp_path, executor="inline", verbose=0)
    with pytest.raises(SystemExit):
        ramet.Tuner(train, run_config=config).fit()
    how = f"ramet.Tuner.restore({str(tmp_path / 'run')!r}, train).fit()"
    line = f"ramet: run run ended before its end (ended by SIGUSR1); go on: {how}\n"
    assert capsys.readouterr() == ("", line)


def test_the_command_that_goes_on_names_a_function_that_can_be_found(room):
    """It is that of a global name in a file of Python; bound parameters are part of what is named."""
    import script

    bound = ramet.with_resources(script.train, {"cpu": 2})
    assert function(script.train) == f"{room / 'script.py'}:train"
    assert function(bound) is None
    script.bound = bound
    assert function(bound) == f"{room / 'script.py'}:bound"
    assert function(lambda config: None) is None
    assert function_of(function(script.train)) is script.train


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
