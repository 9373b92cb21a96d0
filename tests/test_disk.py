"""What happens to a run when something happens to its disk: it waits, or says what is wrong; nothing kept is lost."""

import os
import subprocess
import sys
import time

import pytest

import ramet
from ramet.errors import RunError
from ramet.testing import story

SCRIPT = """
import os, sys, threading, time
import numpy as np
import ramet

room, size = sys.argv[1], int(sys.argv[2])

def train(config):
    checkpoint = ramet.get_checkpoint()
    i = int(checkpoint.to_dict()["i"]) if checkpoint else 0
    while True:
        i += 1
        state = {"i": i, "x": np.full(config["size"], float(i))}
        ramet.report({"score": config["lr"] * i, "text": "x" * 2000}, checkpoint=ramet.Checkpoint.from_dict(state))

def fit(folder):
    pbt = ramet.PopulationBasedTraining(time_attr="training_iteration", perturbation_interval=4, synch=True,
                                        hyperparam_mutations={"lr": ramet.uniform(0.1, 1.0)})
    return ramet.Tuner(
        train,
        param_space={"lr": ramet.uniform(0.1, 1.0), "size": size},
        tune_config=ramet.TuneConfig(metric="score", mode="max", num_samples=4, scheduler=pbt, seed=2),
        run_config=ramet.RunConfig(name="run", storage_path=folder, stop={"training_iteration": 40},
                                   executor=ramet.ProcessExecutor(2),
                                   checkpoint_config=ramet.CheckpointConfig(num_to_keep=1)),
    ).fit()

def make_room():
    # Only once the disk has been full for a while: then nothing goes on by itself.
    full = 0
    while full < 5:
        time.sleep(0.2)
        left = os.statvfs(room)
        full = full + 1 if left.f_bavail * left.f_frsize < 200_000 else 0
    print("ROOM IS MADE", flush=True)
    os.unlink(os.path.join(room, "filler"))

if __name__ == "__main__":
    with open(os.path.join(room, "filler"), "wb") as file:
        file.write(b"x" * int(sys.argv[3]))
    threading.Thread(target=make_room, daemon=True).start()
    print(fit(room))
"""


def can_mount(tmp_path):
    """Whether this machine lets us have a small disk of our own."""
    probe = ["unshare", "-rm", "mount", "-t", "tmpfs", "-o", "size=64k", "none", str(tmp_path)]
    try:
        return subprocess.run(probe, capture_output=True, timeout=30).returncode == 0
    except OSError:
        return False


@pytest.mark.parametrize(("size", "disk", "filler"), [(10, 3_000_000, 2_200_000), (25_000, 6_000_000, 4_000_000)])
def test_a_full_disk_is_waited_for(tmp_path, size, disk, filler):
    """On a disk that is really full the run says so and waits; once there is room it goes on to the same end."""
    if not can_mount(tmp_path):
        pytest.skip("this machine mounts no file system for us")
    script, room, kept = tmp_path / "script.py", tmp_path / "room", tmp_path / "kept"
    script.write_text(SCRIPT)
    for folder in (room, kept):
        folder.mkdir()
    python = f"{sys.executable} {script} {room} {size} {filler}"
    command = f"mount -t tmpfs -o size={disk} none {room} && {python}; status=$?; cp -r {room}/run {kept}; exit $status"
    ran = subprocess.run(["unshare", "-rm", "sh", "-c", command], capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    said = ran.stdout[: ran.stdout.index("ROOM IS MADE")]
    assert "room" in said
    assert "No space left" in said or "full" in said
    assert "every member is done" in ran.stdout
    assert "failed" not in ran.stdout
    (tmp_path / "whole").mkdir()
    whole = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "whole"), str(size), "1"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert whole.returncode == 0, whole.stdout + whole.stderr
    assert story(kept / "run") == story(tmp_path / "whole" / "run")


def counting(config):
    """Count, and save every step."""
    checkpoint = ramet.get_checkpoint()
    i = checkpoint.to_dict()["i"] if checkpoint else 0
    while True:
        i += 1
        ramet.report({"i": i}, checkpoint=ramet.Checkpoint.from_dict({"i": i}))


def fit(folder, stop=30, callbacks=None, **more):
    """Train one member inline; return the results."""
    return ramet.Tuner(
        counting,
        tune_config=ramet.TuneConfig(seed=1),
        run_config=ramet.RunConfig(
            name="run", storage_path=folder, stop={"training_iteration": stop}, executor="inline", verbose=0,
            callbacks=callbacks, **more,
        ),
    ).fit()  # fmt: skip


class At(ramet.Callback):
    """Do something once, at the fifth checkpoint."""

    def __init__(self, what):
        self.what, self.count = what, 0

    def on_checkpoint(self, member, segment, iteration, score):
        self.count += 1
        if self.count == 5:
            self.what()


def test_a_folder_that_vanishes_is_said_so(tmp_path):
    """Nothing is written into a file that no name leads to any more; brought back, the run goes on."""
    with pytest.raises(RunError, match=r"vanished|gone|replaced"):
        fit(tmp_path, 20_000, [At(lambda: os.rename(tmp_path / "run", tmp_path / "elsewhere"))])
    os.rename(tmp_path / "elsewhere", tmp_path / "run")
    results = ramet.Tuner.restore(tmp_path / "run", counting, callbacks=[]).fit()
    assert results[0].iteration == 20_000


@pytest.fixture
def nobody(tmp_path):
    """Lets the test act as somebody who has no rights here, as root is who may do everything."""
    if os.geteuid() != 0:
        yield
        return
    for folder in [tmp_path, *tmp_path.parents][:-2]:
        if folder.stat().st_uid == 0 and "pytest" in str(folder):
            folder.chmod(folder.stat().st_mode | 0o055)
    os.seteuid(65534)
    yield
    os.seteuid(0)


def test_a_run_of_somebody_else_is_read_but_not_written(tmp_path, request):
    """A folder that we may not write is opened to read; going on is refused, with whose it is."""
    fit(tmp_path, 5)
    for path in [tmp_path / "run", *(tmp_path / "run").rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    request.getfixturevalue("nobody")
    assert ramet.ResultGrid(tmp_path / "run")[0].iteration == 5
    with pytest.raises(RunError, match=r"belongs to|owned|not writ|Permission"):
        ramet.Tuner.restore(tmp_path / "run", counting, stop={"training_iteration": 9}).fit()
    with pytest.raises(RunError, match="choose another storage_path"):
        fit(tmp_path / "run", 5)


def test_a_clock_that_is_set_back_changes_nothing(tmp_path, monkeypatch):
    """Neither order nor budget nor a resume depends on the time of day."""
    now = iter(range(10**9, 0, -1000))
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: float(next(now)))
        results = fit(tmp_path, 30)
        results = ramet.Tuner.restore(
            results.experiment_path, counting, stop={"training_iteration": 60}, time_budget_s=3600
        ).fit()
    assert results[0].iteration == 60
    assert results[0].metrics_dataframe["training_iteration"].tolist() == list(range(1, 61))
    assert results.population.spent == 0.0


def test_power_safe_commits_make_the_same_run(tmp_path):
    """``durability="power"`` changes how a run is kept, not what it is."""
    assert story(fit(tmp_path / "a").experiment_path) == story(fit(tmp_path / "b", durability="power").experiment_path)
