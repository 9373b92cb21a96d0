"""Folders in memory: gone with their block, or with the next who comes, and never those of the living."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import ramet
from ramet import memory


def test_a_folder_is_gone_with_its_block():
    """It is there inside the block, and not after it."""
    with memory.folder() as folder:
        assert os.path.isdir(folder)
    assert not os.path.exists(folder)


def test_those_of_the_dead_are_swept_and_no_others(tmp_path, monkeypatch):
    """A process that was killed leaves its folder to the next sweep; one that lives keeps it."""
    monkeypatch.setattr(memory, "ROOT", str(tmp_path))
    script = (
        f"from ramet import memory; import os; memory.ROOT = {str(tmp_path)!r}; folder = memory.made(); "
        "print(folder, flush=True); os.kill(os.getpid(), 9)"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    left = ran.stdout.strip()
    assert os.path.isdir(left), ran.stderr
    (tmp_path / "ramet-mine").mkdir()
    with memory.folder() as mine:
        assert memory.sweep() == [os.path.basename(left)]
        assert sorted(os.listdir(tmp_path)) == sorted(["ramet-mine", os.path.basename(mine)])


def train_in_small_directories(config):
    """Saves small directories, then one that is large, then small ones; says where each was, and leaves one unused."""
    seen = []
    for step in range(1, 7):
        directory = ramet.checkpoint_dir()
        seen.append(str(directory).startswith("/dev/shm/"))
        (directory / "state").write_bytes(bytes(2**18 if step == 3 else 10))
        ramet.report({"step": step}, checkpoint=ramet.Checkpoint.from_directory(directory))
        assert not directory.exists()
    ramet.checkpoint_dir()
    ramet.report({"step": 7, "where": str(seen)})


@pytest.mark.skipif(memory.ROOT is None, reason="this system has no folder in memory")
@pytest.mark.parametrize("executor", ["inline", "process"])
def test_directories_lie_in_memory_while_checkpoints_are_small(tmp_path, executor):
    """The first goes to the disk, those after a small one to memory, and one that grows is kept whole all the same."""
    before = set(os.listdir(memory.ROOT))
    results = ramet.Tuner(
        train_in_small_directories,
        run_config=ramet.RunConfig(
            storage_path=tmp_path,
            executor=executor,
            verbose=0,
            checkpoint_config=ramet.CheckpointConfig(num_to_keep=None),
        ),
    ).fit()
    assert results[0].error is None
    assert results[0].metrics["where"] == str([False, True, True, False, True, True])
    kept = [checkpoint for checkpoint, _ in results[0].best_checkpoints]
    assert [len((Path(checkpoint.to_directory()) / "state").read_bytes()) for checkpoint in kept] == [
        10,
        10,
        2**18,
        *[10] * 3,
    ]
    assert set(os.listdir(memory.ROOT)) <= before, "nothing is left in memory"
    assert [name for name in os.listdir(Path(results.experiment_path, "checkpoints")) if name.startswith("tmp-")] == []


@pytest.mark.skipif(memory.ROOT is None, reason="this system has no folder in memory")
def test_what_as_directory_gave_is_not_taken_over(tmp_path):
    """A directory that is only lent for reading may be reported again, and stays until its block ends."""

    def train(config):
        ramet.report({"x": 1}, checkpoint=ramet.Checkpoint.from_dict({"a": 1}))
        with ramet.get_checkpoint().as_directory() as directory:
            ramet.report({"x": 2}, checkpoint=ramet.Checkpoint.from_directory(directory))
            assert os.listdir(directory)

    results = ramet.Tuner(train, run_config=ramet.RunConfig(storage_path=tmp_path, executor="inline", verbose=0)).fit()
    assert results[0].error is None
    assert results[0].checkpoint.to_dict() == {"a": 1}
