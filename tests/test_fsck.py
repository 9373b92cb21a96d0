"""Damage to a run's folder: named, mended where it can be, and the run goes on from what is whole."""

import os
import shutil
import sqlite3
from pathlib import Path

import numpy as np
import pytest

import ramet
from ramet import fsck, settings
from ramet.cli import main
from ramet.errors import CheckpointError, DamageError, RunError
from ramet.record import Record
from ramet.store.manifest import MANIFEST
from ramet.testing import story


def train(config):
    """A walk whose checkpoints are large for half of the members."""
    checkpoint = ramet.get_checkpoint()
    state = checkpoint.to_dict() if checkpoint else {"i": 0, "x": np.zeros(config["size"])}
    i, x = state["i"], state["x"]
    while True:
        i, x = i + 1, x + config["lr"] * ramet.rng().random()
        ramet.report({"score": float(x[0])}, checkpoint=ramet.Checkpoint.from_dict({"i": i, "x": x}))


class Stopped(BaseException):
    """Ends a run from within."""


class StopAt(ramet.Callback):
    """Breaks the run off after so many checkpoints."""

    def __init__(self, left):
        self.left = left

    def on_checkpoint(self, member, segment, iteration, score):
        self.left -= 1
        if self.left == 0:
            raise Stopped


def begin(folder, size, callbacks=None, keep=None):
    """Start a run of four members that trains to iteration 12."""
    scheduler = ramet.PopulationBasedTraining(
        time_attr="training_iteration",
        perturbation_interval=3,
        hyperparam_mutations={"lr": ramet.uniform(0.1, 1.0)},
        synch=True,
    )
    return ramet.Tuner(
        train,
        param_space={"lr": ramet.uniform(0.1, 1.0), "size": size},
        tune_config=ramet.TuneConfig(metric="score", mode="max", num_samples=4, scheduler=scheduler, seed=6),
        run_config=ramet.RunConfig(
            name="run", storage_path=folder, stop={"training_iteration": 12}, verbose=0, executor="inline",
            callbacks=callbacks, checkpoint_config=ramet.CheckpointConfig(num_to_keep=keep),
        ),
    ).fit()  # fmt: skip


SMALL, LARGE = 10, 25_000


@pytest.fixture(params=[SMALL, LARGE], ids=["small", "large"])
def broken(request, tmp_path):
    """A run that broke off in the middle, and the story of the whole one."""
    whole = begin(tmp_path / "whole", request.param)
    with pytest.raises(Stopped):
        begin(tmp_path, request.param, [StopAt(22)])
    db = sqlite3.connect(tmp_path / "run" / "run.db")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    return tmp_path / "run", story(whole.experiment_path)


def flip(path, at):
    """Turn one bit of a file."""
    data = bytearray(path.read_bytes())
    data[at] ^= 4
    path.write_bytes(bytes(data))


def test_a_whole_run_has_no_damage(broken):
    """Nothing is said of a run to which nothing happened but that it broke off."""
    folder, _ = broken
    assert fsck.check(folder) == []
    assert fsck.repair(folder) == []
    assert fsck.check(folder) == []


def test_a_damaged_entry_is_named_and_the_run_goes_back(broken, capsys):
    """The ledger is cut where it was whole, what was damaged is kept beside it, and the run ends as it would have."""
    folder, truth = broken
    db = sqlite3.connect(folder / "run.db")
    (seq,) = db.execute("SELECT seq FROM events WHERE kind = 'Decided' ORDER BY seq DESC LIMIT 1").fetchone()
    db.execute("UPDATE events SET data = replace(data, 'continue', 'conTinue') WHERE seq = ?", (seq,))
    db.execute("UPDATE events SET data = replace(data, 'exploit', 'exploiT') WHERE seq = ?", (seq,))
    db.commit()
    db.close()
    with pytest.raises(RunError, match=r"damaged.*ramet check --repair"):
        ramet.ResultGrid(folder)
    assert main(["check", str(folder)]) == 1
    out = capsys.readouterr().out
    assert f"seq {seq}" in out
    assert "--repair" in out
    assert main(["check", "--repair", str(folder)]) == 0
    assert "went back to entry" in capsys.readouterr().out
    assert (folder / "run.db.damaged").exists()
    assert fsck.check(folder) == []
    ramet.Tuner.restore(folder, train, callbacks=[]).fit()
    assert story(folder) == truth


def test_a_resume_repairs_by_itself_and_says_so(broken):
    """Who restores a damaged run need not know of the check; what was done is noted in the run."""
    folder, truth = broken
    db = sqlite3.connect(folder / "run.db")
    db.execute("DELETE FROM events WHERE seq = (SELECT max(seq) - 5 FROM events)")
    db.commit()
    db.close()
    results = ramet.Tuner.restore(folder, train, callbacks=[]).fit()
    assert story(folder) == truth
    assert any("went back to entry" in text for text in results.population.noted.values())


def latest(folder, member):
    """The name of a member's latest checkpoint, and its row."""
    record = Record.open(folder)
    try:
        name = record.population().members[member].point.checkpoint
        return name, record.ledger.checkpoint(*name)
    finally:
        record.close()


def damage(folder, member, how):
    """Damage a member's latest checkpoint; return its name."""
    name, row = latest(folder, member)
    if row.path is None:
        db = sqlite3.connect(folder / "run.db")
        if how == "gone":
            db.execute("DELETE FROM checkpoints WHERE segment = ? AND iteration = ?", name)
        else:
            data = bytearray(row.data)
            data[len(data) // 2] ^= 1
            values = (bytes(data), *name)
            db.execute("UPDATE checkpoints SET data = ? WHERE segment = ? AND iteration = ?", values)
        db.commit()
        db.close()
    elif how == "gone":
        shutil.rmtree(folder / "checkpoints" / row.path)
    else:
        (file,) = (folder / "checkpoints" / row.path).glob("*.pkl")
        flip(file, file.stat().st_size // 2)
    return name


@pytest.mark.parametrize("how", ["flipped", "gone"])
@pytest.mark.parametrize("repaired", [True, False])
def test_a_damaged_checkpoint_is_named_and_its_member_goes_back(broken, how, repaired, capsys):
    """To its next older one; nobody else notices, and the run trains to its end."""
    folder, _ = broken
    name = damage(folder, 2, how)
    assert any(str(name) in told for told in fsck.check(folder))
    result = ramet.ResultGrid(folder)[2]
    with pytest.raises(CheckpointError):
        result.checkpoint.to_dict()
    if repaired:
        assert main(["check", "--repair", str(folder)]) == 0
        assert f"checkpoint {name} is lost" in capsys.readouterr().out
    results = ramet.Tuner.restore(folder, train, callbacks=[], verbose=1).fit()
    assert [r.iteration for r in results] == [12] * 4
    assert results.num_errors == 0
    again = [s for s in results.population.segments if s.info.get("why") == "lost"]
    assert again
    assert all(s.start < name[1] for s in again)
    assert "is lost" in capsys.readouterr().out or repaired
    assert fsck.check(folder) == []
    for r in results:
        assert r.checkpoint.to_dict()["i"] == 12
        frame = r.lineage_dataframe
        assert frame["training_iteration"].tolist() == list(range(1, 13))


def test_with_no_checkpoint_left_a_member_begins_anew(broken):
    """A founder that lost everything trains again from nothing, under its founder's hyperparameters."""
    folder, _ = broken
    db = sqlite3.connect(folder / "run.db")
    db.execute("DELETE FROM checkpoints")
    db.commit()
    db.close()
    shutil.rmtree(folder / "checkpoints")
    (folder / "checkpoints").mkdir()
    results = ramet.Tuner.restore(folder, train, callbacks=[]).fit()
    assert [r.iteration for r in results] == [12] * 4
    assert results.num_errors == 0


def test_a_worker_that_finds_the_damage_costs_its_member_no_retry(tmp_path):
    """Where only reading shows it, the member goes back as well, though it has no retries."""
    with pytest.raises(Stopped):
        begin(tmp_path, LARGE, [StopAt(22)])
    damage(tmp_path / "run", 1, "flipped")
    for executor in ("inline", ramet.ProcessExecutor(1)):
        folder = tmp_path / f"copy{executor}"
        shutil.copytree(tmp_path / "run", folder)
        results = ramet.Tuner.restore(folder, train, callbacks=[], executor=executor).fit()
        assert results.num_errors == 0
        assert results.population.members[1].failures == 0
        assert [s for s in results.population.segments if s.info.get("why") == "lost"]


def test_reading_a_damaged_checkpoint_is_an_error_by_name(broken):
    """Results tell of the run as it was; only the content that is not what was saved is refused."""
    folder, _ = broken
    damage(folder, 0, "flipped")
    grid = ramet.ResultGrid(folder)
    assert len(grid[0].metrics_dataframe)
    with pytest.raises(DamageError):
        grid[0].checkpoint.to_dict()
    assert grid[1].checkpoint.to_dict()["i"]


def test_what_belongs_to_nothing_is_named_and_removed(broken):
    """Directories of workers that died while they saved are told of, and gone after a repair, or a resume."""
    folder, _ = broken
    (folder / "checkpoints" / "tmp-0123456789abcdef").mkdir(parents=True)
    (folder / "checkpoints" / "000009-00000009-abcdef01").mkdir()
    (folder / "checkpoints" / "000009-00000009-abcdef01" / MANIFEST).write_text("{}")
    (folder / "checkpoints" / "my notes").mkdir()
    assert len([told for told in fsck.check(folder) if "belongs to nothing" in told]) == 2
    assert len(fsck.repair(folder)) == 2
    assert fsck.check(folder) == []
    assert (folder / "checkpoints" / "my notes").exists(), "what is not ours is not touched"


@pytest.mark.parametrize("name", [settings.NAME])
def test_a_cut_pickle_is_told_without_loading_it(broken, name):
    """What only a resume needs is looked at too."""
    folder, _ = broken
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data[: len(data) // 2])
    assert any(name in told for told in fsck.check(folder))


def test_a_ledger_without_a_beginning_cannot_be_repaired(broken, capsys):
    """If not even the first entry is whole, that is said, and nothing is touched."""
    folder, _ = broken
    db = sqlite3.connect(folder / "run.db")
    db.execute("UPDATE events SET data = '{}' WHERE seq = 1")
    db.commit()
    db.close()
    before = (folder / "run.db").read_bytes()
    with pytest.raises(RunError, match="not even its beginning"):
        fsck.repair(folder)
    assert main(["check", "--repair", str(folder)]) == 1
    assert "not even its beginning" in capsys.readouterr().err
    assert (folder / "run.db").read_bytes() == before
    with pytest.raises(RunError):
        ramet.Tuner.restore(folder, train)


def test_what_is_no_run_is_refused(tmp_path, capsys):
    """The verbs name the folder and say that there is no run."""
    for verb in ("check", "show"):
        assert main([verb, str(tmp_path)]) == 1
        assert "holds no run" in capsys.readouterr().err


def test_show_tells_of_a_run_that_broke_off(broken, capsys):
    """The summary of a run, without starting anything, and how to go on with it."""
    folder, _ = broken
    before = sorted(os.listdir(folder))
    assert main(["show", str(folder)]) == 0
    out = capsys.readouterr().out
    assert "4 stopped before their end" in out
    assert "Tuner.restore(" in out
    assert "under way" not in out
    assert "checkpoints, " in out
    assert sorted(set(os.listdir(folder)) - {"run.db-wal", "run.db-shm"}) == before
    assert Path(folder, "run.db").exists()


@pytest.mark.parametrize("broken", [SMALL], indirect=True)
def test_a_ledger_that_was_cut_short_goes_back_to_its_last_whole_state(broken):
    """Without its last page, as after a machine's sudden end on a disk that lies, what is there is used."""
    folder, truth = broken
    os.truncate(folder / "run.db", (folder / "run.db").stat().st_size - 4096)
    assert fsck.check(folder)
    results = ramet.Tuner.restore(folder, train, callbacks=[]).fit()
    assert [r.iteration for r in results] == [12] * 4
    if not [s for s in results.population.segments if s.info.get("why") == "lost"]:
        assert story(folder) == truth


def test_one_of_which_hardly_anything_is_left_is_refused(broken):
    """Cut to its first page it is an error with the way out, and nothing is made up."""
    folder, _ = broken
    os.truncate(folder / "run.db", 4096)
    with pytest.raises(RunError, match=r"cannot be (read|repaired)"):
        ramet.Tuner.restore(folder, train, callbacks=[]).fit()


@pytest.mark.parametrize("broken", [LARGE], indirect=True)
def test_models_that_lie_under_each_others_names_are_told(broken):
    """Two whole checkpoints that were swapped are both damaged: no member trains another's model."""
    folder, _ = broken
    (one, first), (other, second) = latest(folder, 0), latest(folder, 3)
    place = folder / "checkpoints"
    os.rename(place / first.path, place / "between")
    os.rename(place / second.path, place / first.path)
    os.rename(place / "between", place / second.path)
    found = fsck.check(folder)
    assert any(str(one) in told and second.path in told for told in found)
    assert any(str(other) in told and first.path in told for told in found)
    results = ramet.Tuner.restore(folder, train, callbacks=[]).fit()
    assert [r.checkpoint.to_dict()["i"] for r in results] == [12] * 4


@pytest.mark.parametrize("broken", [LARGE], indirect=True)
@pytest.mark.parametrize("by_hand", [True, False])
def test_going_back_costs_no_model(broken, by_hand):
    """What only the damaged part of a ledger names is moved beside it, whole, and not deleted."""
    folder, truth = broken
    before = {name for name in os.listdir(folder / "checkpoints") if not name.startswith("tmp-")}
    db = sqlite3.connect(folder / "run.db")
    db.execute("UPDATE events SET data = data || ' ' WHERE seq = (SELECT min(seq) + 12 FROM events)")
    db.commit()
    db.close()
    if by_hand:
        fsck.repair(folder)
    results = ramet.Tuner.restore(folder, train, callbacks=[]).fit()
    aside = set(os.listdir(folder / "checkpoints.damaged"))
    assert aside
    assert before <= aside | set(os.listdir(folder / "checkpoints"))
    assert any("checkpoints.damaged/" in told for told in results.population.noted.values()) or by_hand
    assert story(folder) == truth


@pytest.mark.parametrize("broken", [LARGE], indirect=True)
def test_a_disk_that_is_not_there_is_no_lost_checkpoint(broken):
    """Where the folder of checkpoints is gone, or leads nowhere, nothing is done but to say so."""
    folder, truth = broken
    away = folder.parent / "away"
    os.rename(folder / "checkpoints", away)
    for act in (lambda: ramet.Tuner.restore(folder, train, callbacks=[]).fit(), lambda: fsck.repair(folder)):
        with pytest.raises(RunError, match=r"is gone: bring it back, or make an empty folder"):
            act()
    (folder / "checkpoints").symlink_to(folder.parent / "nowhere")
    with pytest.raises(RunError, match=r"leads to no folder: bring it back"):
        ramet.Tuner.restore(folder, train, callbacks=[]).fit()
    (folder / "checkpoints").unlink()
    (folder / "checkpoints").symlink_to(away)
    ramet.Tuner.restore(folder, train, callbacks=[]).fit()
    assert story(folder) == truth
