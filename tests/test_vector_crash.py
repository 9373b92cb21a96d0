"""A population in one program that dies, is ended, or finds damage: it is taken up, and comes to the same."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("jax")

from vectors import WALK, happened, pbt, same_states, states, told, tuner

import ramet
from ramet import fsck
from ramet.executor.vector.writer import Writer
from ramet.record import Record
from ramet.store import stacks
from ramet.store.checkpoints import CheckpointStore
from ramet.store.ledger import Ledger

STOP = 13  # no decision point, so that the last reports end between two


def scheduler():
    """Return what all runs here are decided by."""
    return pbt(3, quantile_fraction=0.5)


def begin(folder, executor, **more):
    """Return what runs six walks in ``folder``."""
    return tuner(folder, executor, scheduler(), stop=STOP, **more)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The run that nothing happened to: its story and its models."""
    results = begin(tmp_path_factory.mktemp("whole") / "run", ramet.VectorExecutor()).fit()
    return told(results.experiment_path), states(results)


def is_the_same(results, whole):
    """The run came to the same rows, decisions and models, holds no directory in vain, and nothing is wrong with it."""
    assert results.errors == []
    assert told(results.experiment_path) == whole[0]
    assert same_states(states(results), whole[1])
    assert happened(results.experiment_path, "Lost", "Failed") == []
    is_tidy(results.experiment_path)


def is_tidy(folder):
    """Every directory is one that the ledger names, and the other way round."""
    assert fsck.check(Path(folder)) == []
    record = Record.open(folder)
    try:
        named = {row.path for row in record.ledger.checkpoints() if row.path is not None}
        assert {row.kind.split()[0] for row in record.ledger.checkpoints()} <= {"row"}
    finally:
        record.close()
    assert set(os.listdir(Path(folder, "checkpoints"))) == named


@contextlib.contextmanager
def pictures(run, into):
    """Copy the folder ``run``, as a death would leave it, before and after whatever changes what a resume finds."""
    taken = []

    def picture(label):
        while True:  # the thread that writes states may rename one under our eyes
            to = into / f"{len(taken):03d} {label}"
            try:
                shutil.copytree(run, to, ignore=shutil.ignore_patterns("lock*"))
            except shutil.Error:
                shutil.rmtree(to)
                continue
            taken.append(to)
            return

    def around(owner, name):
        real = getattr(owner, name)

        def photographed(*arguments, **more):
            picture(f"before {name}")
            result = real(*arguments, **more)
            picture(f"after {name}")
            return result

        patch.setattr(owner, name, photographed)

    with pytest.MonkeyPatch.context() as patch:
        for owner, name in ((Ledger, "commit"), (CheckpointStore, "delete"), (stacks, "written"), (Writer, "now")):
            around(owner, name)
        yield taken


@pytest.mark.parametrize(("every", "rows"), [(1, None), (2, None), (2, 4)])
def test_whenever_it_died_it_comes_to_the_same(tmp_path, whole, every, rows):
    """A picture of the folder from any moment, taken up, ends in the same rows, decisions and models."""
    run = tmp_path / "run"
    with pictures(run, tmp_path) as taken:
        begin(run, ramet.VectorExecutor(rows, checkpoint_every=every)).fit()
    began = [picture for picture in taken if ramet.Tuner.can_restore(picture)]
    assert len(began) > 10
    for picture in began[:: 3 if (every, rows) == (2, None) else 9]:
        assert [wrong for wrong in fsck.check(picture) if "belongs to nothing" not in wrong] == [], picture.name
        is_the_same(ramet.Tuner.restore(picture, WALK).fit(), whole)


def test_it_goes_back_no_further_than_to_what_was_saved_last(tmp_path):
    """After a death the ledger is cut where all stood on what is on disk, and no report before that is made again."""
    run = tmp_path / "run"
    with pictures(run, tmp_path) as taken:
        begin(run, ramet.VectorExecutor(checkpoint_every=1)).fit()
    picture = [each for each in taken if "commit" in each.name and ramet.Tuner.can_restore(each)][-2]
    saved = happened(picture, "Saved")[-1]
    least = min(iteration for _, iteration in saved.names)
    before = {name: row for name, row in told(picture)["rows"].items() if name[1] <= least}
    assert least >= 9
    reported = []

    class Counts(ramet.Callback):
        def on_report(self, member, iteration, metrics):
            reported.append(iteration)

    results = ramet.Tuner.restore(picture, WALK, callbacks=[Counts()]).fit()
    assert min(reported) > least - 3
    assert before.items() <= told(results.experiment_path)["rows"].items()


def test_a_run_can_die_again_and_again(tmp_path, whole):
    """Taken up, and dying at the second commit after that, over and over, it comes to the same in the end."""
    folder, run = tmp_path / "now", tmp_path / "run"
    with pictures(run, tmp_path / "first") as taken:
        (tmp_path / "first").mkdir()
        begin(run, ramet.VectorExecutor(checkpoint_every=1)).fit()
    shutil.copytree(next(each for each in taken if ramet.Tuner.can_restore(each)), folder)
    for attempt in range(20):
        with pictures(folder, tmp_path / f"attempt {attempt}") as taken:
            (tmp_path / f"attempt {attempt}").mkdir()
            results = ramet.Tuner.restore(folder, WALK).fit()
        commits = [each for each in taken if each.name.endswith("after commit")]
        if len(commits) < 5:
            break
        shutil.rmtree(folder)
        shutil.copytree(commits[4], folder)
    assert attempt > 1
    is_the_same(results, whole)


CHILD = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
import vectors
folder, what, at = sys.argv[2], sys.argv[3], int(sys.argv[4])
vectors.compile_once = lambda: None
vectors.jax.config.update("jax_compilation_cache_dir", sys.argv[5])
vectors.jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
vectors.jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
import ramet
from ramet.store import stacks
from ramet.store.ledger import Ledger
number, count = getattr(signal, what.partition(" ")[0]), 0

def struck(owner, name):
    real = getattr(owner, name)
    def counted(*arguments, **more):
        global count
        count += 1
        if count == at:
            os.kill(os.getpid(), number)
        return real(*arguments, **more)
    setattr(owner, name, counted)

struck(*((stacks.os, "fsync") if "writing" in what else (Ledger, "commit")))
vectors.tuner(
    folder, ramet.VectorExecutor(checkpoint_every=2), vectors.pbt(3, quantile_fraction=0.5), stop=13
).fit()
"""


def child(folder, what, at):
    """Run it in a process of its own that gets a signal; return its exit status."""
    from vectors import compile_once

    script = [sys.executable, "-c", CHILD, str(Path(__file__).parent), str(folder), what, str(at), str(compile_once())]
    return subprocess.run(script, capture_output=True, timeout=100, check=False).returncode


@pytest.mark.parametrize(
    ("what", "at", "status"),
    [
        ("SIGKILL", 4, -signal.SIGKILL),
        ("SIGKILL while writing", 3, -signal.SIGKILL),
        ("SIGINT", 4, -signal.SIGINT),
        ("SIGTERM", 5, 128 + signal.SIGTERM),
    ],
)
def test_a_process_that_is_ended_leaves_what_can_be_taken_up(tmp_path, whole, what, at, status):
    """Killed at a commit or while it writes states, or ended gently, the run goes on to the same result."""
    assert child(tmp_path / "run", what, at) in (status, 1 if status == -signal.SIGINT else status)
    assert ramet.Tuner.can_restore(tmp_path / "run")
    gently = "KILL" not in what
    record = Record.open(tmp_path / "run")
    assert not (gently and record.population().ahead)
    record.close()
    results = ramet.Tuner.restore(tmp_path / "run", WALK).fit()
    if gently:  # who was called back has handed over a checkpoint of its own
        assert told(results.experiment_path)["rows"] == whole[0]["rows"]
        assert same_states(states(results), whole[1])
    else:
        is_the_same(results, whole)
