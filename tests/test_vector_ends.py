"""How a population in one program ends, early or wounded: budgets, failures, damage, and what is kept of it."""

import errno
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

jax = pytest.importorskip("jax")

import jax.numpy as jnp  # noqa: E402
from vectors import WALK, happened, init, pbt, same_states, states, step, told, tuner  # noqa: E402

import ramet  # noqa: E402
from ramet import fsck, loop  # noqa: E402
from ramet.record import Record  # noqa: E402
from ramet.store import stacks  # noqa: E402


def directories(results):
    """Return the names of the directories of checkpoints, which are those that the ledger names."""
    record = Record.open(results.experiment_path)
    try:
        rows = list(record.ledger.checkpoints())
        named = {row.path for row in rows if row.path is not None}
        assert {(row.segment, row.iteration) for row in rows} == record.population().alive()
    finally:
        record.close()
    assert set(os.listdir(Path(results.experiment_path, "checkpoints"))) == named
    return named


class EndsAt(ramet.Callback):
    """Uses up the time of a run when a member comes to so many reports."""

    def __init__(self, at):
        self.at = at

    def on_report(self, member, iteration, metrics):
        if iteration >= self.at:
            Over.over = True


class Over:
    """Whether the time is up."""

    over = False


@pytest.mark.parametrize("stop", [{"training_iteration": 30}, {"training_iteration": 30, "score": 0.0}])
@pytest.mark.parametrize("every", [1, 100])
def test_a_run_whose_time_is_up_leaves_its_models(tmp_path, monkeypatch, every, stop):
    """With the budget used up every member's latest checkpoint is on disk, and the run can be taken up from there."""
    monkeypatch.setattr(Over, "over", False)
    monkeypatch.setattr(loop.Loop, "_is_over_time", lambda self: Over.over)
    executor = ramet.VectorExecutor(checkpoint_every=every)
    results = tuner(
        tmp_path / "run", executor, stop=stop, tune={"time_budget_s": 1e6}, callbacks=[EndsAt(7)], pairs=2
    ).fit()
    assert "time budget" in results.population.ended
    assert not results.population.ahead
    for result in results:
        assert result.checkpoint.to_dict()["steps"] >= 2 * 6
        assert result.iteration >= 7
    Over.over = False
    again = ramet.Tuner.restore(results.experiment_path, WALK, time_budget_s=2e6, callbacks=[]).fit()
    assert [result.iteration for result in again] == [30] * 4
    assert happened(again.experiment_path, "Lost") == []
    directories(again)


class EndsEverything(ramet.Stopper):
    """Ends the whole run at report 7 of member 1."""

    over = False

    def __call__(self, trial, row):
        self.over = self.over or (trial == "00001" and row["training_iteration"] == 7)
        return False

    def stop_all(self):
        return self.over


def test_a_stopper_that_ends_the_run_leaves_its_models(tmp_path):
    """Members that came as far as the one that ended the run are heard of too, and all their models are kept."""
    results = tuner(tmp_path / "run", ramet.VectorExecutor(checkpoint_every=100), stop=EndsEverything(), pairs=2).fit()
    assert results.population.ended == "EndsEverything ended the run"
    assert [result.iteration for result in results] == [7] * 4
    assert [int(state["steps"]) for state in states(results)] == [14] * 4
    directories(results)


class Trips:
    """A function that fails at its n-th call: once, or ever after."""

    def __init__(self, at, *, ever=False):
        self.at, self.ever, self.calls = at, ever, 0

    def __call__(self, _):
        self.calls += 1
        if self.calls == self.at or (self.ever and self.calls > self.at):
            raise ValueError("the data are gone")
        return np.float32(0)


def tripping(trips):
    """Return walks that call ``trips`` on the host once a report."""

    def evaluate(state, hparams, key):
        fine = jax.pure_callback(trips, jax.ShapeDtypeStruct((), jnp.float32), state["steps"], vmap_method="sequential")
        return {"fine": fine}

    return ramet.VectorTrainable(init, step, evaluate, steps_per_report=2)


@pytest.mark.parametrize("every", [1, 100])
@pytest.mark.parametrize("rows", [None, 3])
def test_an_error_in_the_middle_sends_members_back(tmp_path, every, rows):
    """A function that fails once takes all members back to what is on disk, or to the start, and the run ends."""
    failing = tripping(Trips(25))
    executor = ramet.VectorExecutor(rows, checkpoint_every=every)
    results = tuner(
        tmp_path / "run", executor, pbt(2), trainable=failing, pairs=2, stop=12,
        failure_config=ramet.FailureConfig(max_failures=2),
    ).fit()  # fmt: skip
    assert results.errors == []
    assert [result.iteration for result in results] == [12] * 4
    assert [int(state["steps"]) for state in states(results)] == [24] * 4
    failures = happened(results.experiment_path, "Failed")
    assert failures
    assert not any(failure.final for failure in failures)
    assert all("the data are gone" in failure.error for failure in failures)
    assert fsck.check(Path(results.experiment_path)) == []
    directories(results)


def test_members_that_fail_for_good_end_the_run(tmp_path):
    """Without retries an error ends all members, each with the message, and the run with them."""
    results = tuner(tmp_path / "run", None, pbt(2), trainable=tripping(Trips(20, ever=True)), pairs=2).fit()
    assert len(results.errors) == 4
    assert [result.state for result in results] == ["failed"] * 4
    assert results.population.ended == "every member is done"
    directories(results)


def test_fail_fast_ends_the_run_at_the_first_error(tmp_path):
    """With fail_fast the run is over with the first failure, and can be taken up from what is on disk."""
    failing = tripping(trips := Trips(40))
    results = tuner(
        tmp_path / "run", ramet.VectorExecutor(checkpoint_every=1), pbt(2), trainable=failing, pairs=2,
        failure_config=ramet.FailureConfig(fail_fast=True),
    ).fit()  # fmt: skip
    assert "fail_fast" in results.population.ended
    assert trips.calls == 40
    again = ramet.Tuner.restore(results.experiment_path, failing, resume_errored=True).fit()
    assert [result.iteration for result in again] == [12] * 4
    assert again.errors == []
    directories(again)


# ---------------------------------------------------------------------- damage


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """A run of four walks that ended at report 6, its states written at every decision point."""
    folder = tmp_path_factory.mktemp("ended") / "run"
    return tuner(
        folder, ramet.VectorExecutor(checkpoint_every=1), pbt(3, quantile_fraction=0.25), pairs=2, stop=7
    ).fit()


def flip(stack):
    data = bytearray((stack / "stack.bin").read_bytes())
    data[5] ^= 1
    (stack / "stack.bin").write_bytes(data)


def cut(stack):
    os.truncate(stack / "stack.bin", 10)


def forge(stack):
    (stack / "stack.json").write_text('{"version": 1, "arrays": [{"name": "x", "dtype": "O", "shape": [9], "at": 0}]}')


DAMAGES = {"a bit": flip, "cut off": cut, "another header": forge, "gone": shutil.rmtree}


@pytest.mark.parametrize("name", DAMAGES)
@pytest.mark.parametrize("how_many", ["the last", "all"])
def test_members_whose_states_are_damaged_go_on_from_older_ones(tmp_path, ended, name, how_many):
    """A damaged stack costs what was trained since the one before, all of them all; the run says so, and ends."""
    folder = tmp_path / "run"
    shutil.copytree(ended.experiment_path, folder)
    written = sorted(Path(folder, "checkpoints").iterdir(), key=lambda path: path.name.split("-")[2])
    assert len(written) == 3
    for stack in written[-1:] if how_many == "the last" else written:
        DAMAGES[name](stack)
    assert len(fsck.check(folder)) >= 4
    again = ramet.Tuner.restore(folder, WALK, stop={"training_iteration": 12}).fit()
    assert again.errors == []
    assert [result.iteration for result in again] == [12] * 4
    assert [int(state["steps"]) for state in states(again)] == [24] * 4
    lost = happened(folder, "Lost")
    assert {name for event in lost for name in [(event.segment, event.iteration)]} >= {
        member.point.checkpoint for member in ended.population.members
    }
    begun = [event.iteration for event in happened(folder, "Opened") if event.info.get("why") == "lost"]
    assert set(begun) == ({6} if how_many == "the last" else {0, 3, 6} & set(begun) | {0})
    assert how_many == "all" or fsck.check(folder) == []  # older ones that nobody needed are damaged still


# ---------------------------------------------------------------------- what is kept


@pytest.mark.parametrize(
    ("kept", "most"),
    [({"num_to_keep": 1}, 4), ({"num_to_keep": 2, "keep_lineage": True}, 99), ({"max_bytes": 200}, 4), ({}, 5)],
)
def test_stacks_are_deleted_when_nobody_needs_a_row_of_them(tmp_path, kept, most):
    """Only what the rules of the run keep is there, in as few directories, and each member has its last model."""
    results = tuner(
        tmp_path / "run", ramet.VectorExecutor(checkpoint_every=1), stop=13,
        checkpoint_config=ramet.CheckpointConfig(**kept),
    ).fit()  # fmt: skip
    assert len(directories(results)) <= most
    assert [int(state["steps"]) for state in states(results)] == [26] * 6
    for result in results:
        assert len(result.best_checkpoints) >= 1
        if kept.get("num_to_keep") == 1:
            assert len(result.best_checkpoints) <= 2


def test_what_is_kept_is_the_same_however_often_it_was_killed(tmp_path):
    """With num_to_keep, models and rows of a run are those of one that keeps all of them."""
    one = tuner(tmp_path / "one", ramet.VectorExecutor(checkpoint_every=1)).fit()
    few = tuner(
        tmp_path / "few", ramet.VectorExecutor(checkpoint_every=1),
        checkpoint_config=ramet.CheckpointConfig(num_to_keep=1),
    ).fit()  # fmt: skip
    assert told(few.experiment_path)["rows"] == told(one.experiment_path)["rows"]
    assert same_states(states(few), states(one))
    assert len(directories(few)) < len(directories(one))


def test_weights_are_mixed_as_they_are_one_by_one(tmp_path):
    """Where a strategy mixes weights with new ones, one program and a program for each member come to the same."""
    scheduler = pbt(3, weights=(0.5, 0.25))
    whole = tuner(tmp_path / "whole", scheduler=scheduler).fit()
    turns = tuner(tmp_path / "turns", ramet.VectorExecutor(rows=4), scheduler=scheduler).fit()
    alone = tuner(tmp_path / "alone", "inline", scheduler=scheduler).fit()
    notes = [*happened(alone.experiment_path, "Noted"), *happened(whole.experiment_path, "Noted")]
    assert [note for note in notes if note.kind != "stragglers"] == []  # who was slow is the clock's business
    assert told(whole.experiment_path)["rows"] == told(alone.experiment_path)["rows"]
    assert told(whole.experiment_path) == told(turns.experiment_path)


def counts(state, hparams, key):
    """Weights with a count of batches among them."""
    after, metrics = step({"params": {"w": state["params"]["w"]}, "steps": state["steps"]}, hparams, key)
    batches = state["params"]["batches"] + 1
    return {"params": {"w": after["params"]["w"], "batches": batches}, "steps": after["steps"]}, {
        **metrics,
        "batches": batches,
    }


def test_counts_among_the_weights_begin_anew(tmp_path):
    """What is no floating point number is new wherever weights are mixed, and a share of nil lets nothing through."""

    def begin(key, hparams):
        state = init(key, hparams)
        return {"params": {**state["params"], "batches": 0}, "steps": 0}

    counting = ramet.VectorTrainable(begin, counts, weights="params")
    results = tuner(tmp_path / "run", None, pbt(3, weights=(0.5, 0.5)), trainable=counting, stop=9).fit()
    clones = [event for event in happened(results.experiment_path, "Opened") if event.parent is not None]
    rows = told(results.experiment_path)["rows"]
    assert clones
    for clone in clones:
        assert rows[clone.segment, clone.iteration + 1]["batches"] == 1


# ---------------------------------------------------------------------- the disk


@pytest.mark.parametrize("at", [1, 2, 3, 4])
def test_a_disk_that_is_full_for_a_while_costs_nothing(tmp_path, monkeypatch, at):
    """States that could not be written, while training went on or at the end, are written later; it is told once."""
    real, calls = stacks.written, []

    def written(directory, names, leaves):
        calls.append(directory)
        if len(calls) == at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(directory, names, leaves)

    monkeypatch.setattr(stacks, "written", written)
    monkeypatch.setattr("ramet.executor.vector.executor.ROOM_SECONDS", 0.0)
    results = tuner(tmp_path / "run", ramet.VectorExecutor(checkpoint_every=1), stop=9).fit()
    assert len(calls) >= 3
    assert results.errors == []
    assert [int(state["steps"]) for state in states(results)] == [18] * 6
    notes = happened(results.experiment_path, "Noted")
    assert len(notes) == (len(calls) >= at)
    assert all("cannot be saved" in note.text for note in notes)
    directories(results)
    assert not any(path.name.startswith("tmp-") for path in Path(results.experiment_path, "checkpoints").iterdir())


def test_a_disk_that_fails_ends_the_run(tmp_path, monkeypatch):
    """What is no lack of room is an error of the run, which can be taken up from what was saved before."""
    real, calls = stacks.written, []

    def written(directory, names, leaves):
        calls.append(directory)
        if len(calls) == 2:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(directory, names, leaves)

    monkeypatch.setattr(stacks, "written", written)
    with pytest.raises(OSError, match="Input/output"):
        tuner(tmp_path / "run", ramet.VectorExecutor(checkpoint_every=1), stop=12).fit()
    again = ramet.Tuner.restore(tmp_path / "run", WALK).fit()
    assert [int(state["steps"]) for state in states(again)] == [24] * 6
    directories(again)
