"""Jobs of a real Slurm: the scripts of the documentation, ended in every way that Slurm has, and taken up again."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from slurm import NotThereError, Slurm
from test_docs import ROOT, block

import ramet
from ramet.testing import story

PAGE = ROOT / "docs" / "slurm.md"

SLOW = """
import os, time
import ramet

def train(config):
    checkpoint = ramet.get_checkpoint()
    i, x = (checkpoint.to_dict()["i"], checkpoint.to_dict()["x"]) if checkpoint else (0, 0.0)
    while True:
        time.sleep(float(os.environ.get("PAUSE", 0)))
        i, x = i + 1, x + config["lr"] * float(ramet.rng().random())
        ramet.report({"score": x}, checkpoint=ramet.Checkpoint.from_dict({"i": i, "x": x}))

def begin(name):
    pbt = ramet.PopulationBasedTraining(time_attr="training_iteration", perturbation_interval=5, synch=True,
                                        hyperparam_mutations={"lr": ramet.uniform(0.1, 1.0)})
    return ramet.Tuner(
        train,
        param_space={"lr": ramet.uniform(0.1, 1.0)},
        tune_config=ramet.TuneConfig(metric="score", mode="max", num_samples=4, scheduler=pbt, seed=3),
        run_config=ramet.RunConfig(name=name, storage_path="runs", stop={"training_iteration": 40},
                                   executor=os.environ.get("EXECUTOR") or ramet.ProcessExecutor(2))).fit()

if __name__ == "__main__":
    begin("population")
"""
"""As the page's own ``train.py``, and slow enough to be disturbed."""


@pytest.fixture(scope="module")
def slurm():
    """A cluster for the tests of this file."""
    try:
        with Slurm() as cluster:
            yield cluster
    except NotThereError as error:
        if os.environ.get("RAMET_TEST_SLURM") == "require":
            raise
        pytest.skip(f"no Slurm starts here: {error}")


@pytest.fixture
def room(tmp_path, monkeypatch):
    """A folder to submit from, with the page's script for one node and a slow function."""
    (tmp_path / "job.sh").write_text(block(PAGE, "one-node"))
    (tmp_path / "train.py").write_text(SLOW)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The story of the run that nothing happened to."""
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "train.py").write_text(SLOW)
    subprocess.run([sys.executable, "train.py"], check=True, cwd=folder, capture_output=True, timeout=60)
    return story(folder / "runs" / "population")


def until(done, said, seconds=60):
    """Wait for something that happens in a job; what it printed is told if it never does."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, f"it never came; the job says:\n{said()}"
        time.sleep(0.05)


def said(room):
    """What the jobs printed."""
    return "".join(path.read_text() for path in sorted(Path(room).glob("slurm-*.out")))


def reports(room):
    """How many reports of the run are durable."""
    if not ramet.Tuner.can_restore(room / "runs" / "population"):
        return 0
    return sum(result.iteration for result in ramet.ResultGrid(room / "runs" / "population"))


def under_way(slurm, room, beyond=0):
    """Wait until members have reported more often than that, in a run that is far from its end."""
    until(lambda: reports(room) > beyond + 8, lambda: said(room) + slurm.log())
    return reports(room)


def is_in(slurm, job, *states):
    """Whether a job is in one of these states."""
    return slurm.job(job)["JobState"] in states


def to_the_end(slurm, room, job, restarts="0"):
    """Wait for a job's end, which has to be a good one."""
    until(lambda: is_in(slurm, job, "COMPLETED", "FAILED", "CANCELLED", "TIMEOUT"), lambda: said(room) + slurm.log())
    found = slurm.job(job)
    assert (found["JobState"], found["ExitCode"], found["Restarts"]) == ("COMPLETED", "0:0", restarts), (
        said(room) + slurm.log()
    )


def put_back(slurm, room, job, ended):
    """Wait until a job is in the queue again, its run having ended like that, and let it begin soon."""
    until(lambda: is_in(slurm, job, "PENDING") and slurm.is_idle(), lambda: said(room) + slurm.log())
    assert ramet.ResultGrid(room / "runs" / "population").population.ended == ended
    slurm.begin_soon(job)


def test_the_documented_job_runs_a_population_to_its_end(slurm, room):
    """The page's script with the page's function: it begins the run, and a second job has nothing left to do."""
    (room / "train.py").write_text(block(PAGE, "train.py"))
    to_the_end(slurm, room, slurm.submit(room / "job.sh"))
    results = ramet.ResultGrid(room / "runs" / "population")
    assert [result.iteration for result in results] == [20] * 8
    assert "holds no run, or one that never began" in said(room)
    to_the_end(slurm, room, slurm.submit(room / "job.sh"))
    assert "run population: nothing is left to train" in said(room)
    assert [path.name for path in (room / "runs").iterdir()] == ["population"]


def test_a_job_whose_time_is_up_ends_gently_and_puts_itself_back(slurm, room, undisturbed, monkeypatch):
    """SIGUSR1 to all processes of the step, as --signal sends it: committed, requeued, and in the end undisturbed."""
    monkeypatch.setitem(slurm.environment, "PAUSE", "0.05")
    job = slurm.submit(room / "job.sh")
    made = under_way(slurm, room)
    slurm.tell("scancel", "--signal=USR1", job)
    put_back(slurm, room, job, "ended by SIGUSR1")
    assert f"ramet resume {room}/runs/population {room}/train.py:train\n" in said(room)
    under_way(slurm, room, made)
    slurm.tell("scancel", "--signal=USR1", job)
    put_back(slurm, room, job, "ended by SIGUSR1")
    to_the_end(slurm, room, job, restarts="2")
    assert story(room / "runs" / "population") == undisturbed
    assert 'File "' not in said(room)


def test_a_cancelled_job_is_gone_and_another_one_goes_on(slurm, room, undisturbed, monkeypatch):
    """SIGTERM ends the run gently within the time that Slurm leaves; who submits the script again goes on."""
    monkeypatch.setitem(slurm.environment, "PAUSE", "0.05")
    job = slurm.submit(room / "job.sh")
    under_way(slurm, room)
    slurm.tell("scancel", job)
    until(lambda: is_in(slurm, job, "CANCELLED"), lambda: said(room) + slurm.log())
    until(lambda: not (room / "runs" / "population" / "run.lock").exists(), lambda: said(room) + slurm.log())
    assert ramet.ResultGrid(room / "runs" / "population").population.ended == "ended by SIGTERM"
    to_the_end(slurm, room, slurm.submit(room / "job.sh"))
    assert story(room / "runs" / "population") == undisturbed


def test_a_job_whose_controller_was_killed_outright_goes_on(slurm, room, undisturbed, monkeypatch):
    """Where nothing could be said any more the job fails, and once it is put back it takes the run up all the same."""
    monkeypatch.setitem(slurm.environment, "PAUSE", "0.05")
    job = slurm.submit(room / "job.sh")
    under_way(slurm, room)
    os.kill(json.loads((room / "runs" / "population" / "run.lock").read_text())["process"], signal.SIGKILL)
    until(lambda: is_in(slurm, job, "FAILED"), lambda: said(room) + slurm.log())
    assert slurm.job(job)["ExitCode"] == "137:0"
    slurm.tell("scontrol", "requeue", job)
    put_back(slurm, room, job, None)
    to_the_end(slurm, room, job, restarts="1")
    assert story(room / "runs" / "population") == undisturbed


def test_a_job_that_slurm_puts_back_goes_on(slurm, room, undisturbed, monkeypatch):
    """``scontrol requeue``, which is what preemption does: SIGTERM, a gentle end, and the same job again."""
    monkeypatch.setitem(slurm.environment, "PAUSE", "0.05")
    job = slurm.submit(room / "job.sh")
    under_way(slurm, room)
    slurm.tell("scontrol", "requeue", job)
    put_back(slurm, room, job, "ended by SIGTERM")
    to_the_end(slurm, room, job, restarts="1")
    assert story(room / "runs" / "population") == undisturbed


def test_slurms_own_signal_comes_before_the_time_limit(slurm, room, undisturbed, monkeypatch, request):
    """``--signal=USR1@…`` as in the script, with a time limit of a minute; Slurm looks every half a minute."""
    if not request.config.getoption("--long"):
        pytest.skip("half a minute: --long")
    monkeypatch.setitem(slurm.environment, "PAUSE", "2")
    job = slurm.submit(room / "job.sh", "--time=1", "--signal=USR1@30")
    under_way(slurm, room)
    put_back(slurm, room, job, "ended by SIGUSR1")
    slurm.tell("scancel", job)
    monkeypatch.setitem(slurm.environment, "PAUSE", "0")
    until(lambda: is_in(slurm, job, "CANCELLED"), lambda: said(room) + slurm.log())
    to_the_end(slurm, room, slurm.submit(room / "job.sh"))
    assert story(room / "runs" / "population") == undisturbed


def test_the_documented_job_for_ray_runs_on_one_node(slurm, room, undisturbed, monkeypatch, request):
    """Ray as a step of the job, the controller beside it: USR1 to the shell alone ends the run, and it goes on."""
    if not request.config.getoption("--long"):
        pytest.skip("Ray is started twice: --long")
    pytest.importorskip("ray", reason="Ray is not installed")
    (room / "job.sh").write_text(block(PAGE, "ray"))
    (room / "token").touch(0o600)
    (room / "token").write_text(secrets.token_hex(32))
    monkeypatch.setitem(slurm.environment, "RAY_AUTH_TOKEN_PATH", str(room / "token"))
    monkeypatch.setitem(slurm.environment, "EXECUTOR", "ray")
    monkeypatch.setitem(slurm.environment, "PAUSE", "0.1")
    job = slurm.submit(room / "job.sh", "--nodes=1")
    under_way(slurm, room)
    slurm.tell("scancel", "--batch", "--signal=USR1", job)
    put_back(slurm, room, job, "ended by SIGUSR1")
    to_the_end(slurm, room, job, restarts="1")
    assert story(room / "runs" / "population") == undisturbed
