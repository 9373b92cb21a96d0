"""Folders in memory: gone with their block, or with the next who comes, and never those of the living."""

import os
import subprocess
import sys

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
        f"from ramet import memory; import os; memory.ROOT = {str(tmp_path)!r}; folder = memory.folder(); "
        "print(folder.name, flush=True); os.kill(os.getpid(), 9)"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    left = ran.stdout.strip()
    assert os.path.isdir(left), ran.stderr
    (tmp_path / "ramet-mine").mkdir()
    with memory.folder() as mine:
        assert memory.sweep() == [os.path.basename(left)]
        assert sorted(os.listdir(tmp_path)) == sorted(["ramet-mine", os.path.basename(mine)])
