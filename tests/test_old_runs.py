"""Old runs open for ever: what earlier versions left is read, shown, checked and taken up by this one."""

import importlib.util
import shutil
from pathlib import Path

import pytest

import ramet
from ramet import fsck
from ramet.cli import main
from ramet.errors import ConfigError, RunError
from ramet.record import Record
from ramet.settings import NAME as SETTINGS
from ramet.store.ledger import FORMAT
from ramet.testing import story

RUNS = Path(__file__).parent / "data" / "runs"
FINISHED = sorted(path.name for path in RUNS.glob("*-finished"))
BROKEN_OFF = sorted(path.name for path in RUNS.glob("*-broken-off"))
SCORES = [3.3211387495756437, 4.62011452464138, 1.488123596729804, 1.8819671155014632]
"""What every one of these runs comes to in the end."""


def _made():
    """Load what made the runs, without a place in ``sys.modules`` that a pickle could find."""
    spec = importlib.util.spec_from_file_location("make", RUNS / "make.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MAKE = _made()


@pytest.fixture
def copied(tmp_path):
    """Returns the copy of a run, which may be written, as it comes out of a fresh clone."""

    def copied(name):
        folder = tmp_path / name
        shutil.copytree(RUNS / name, folder)
        checkpoints = folder / "checkpoints"
        if checkpoints.is_dir() and not any(checkpoints.iterdir()):
            checkpoints.rmdir()
        return folder

    return copied


def contents(folder):
    """Return everything in a folder, with its bytes; what SQLite leaves beside a ledger that is read is nothing."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.startswith("run.db-"))
    return {str(path): path.read_bytes() for path in files}


def given(name):
    """Return what a resume needs: a run of format 1 kept nothing of its set-up."""
    return {**MAKE.arguments(), "verbose": 0} if "format1" in name else {}


def told(folder):
    """Return the story of a run, without the sizes of checkpoints, which format 1 did not tell."""
    found = story(folder)
    for _, event in found["events"]:
        event.pop("size", None)
    return found


def test_there_are_runs_of_every_format():
    """Of each format that this version reads there is a finished and a broken-off run."""
    for format in range(1, FORMAT + 1):
        for kind in (FINISHED, BROKEN_OFF):
            assert [name for name in kind if f"format{format}" in name] != []


@pytest.mark.parametrize("name", FINISHED + BROKEN_OFF)
def test_an_old_run_is_read_and_left_as_it_is(copied, capsys, name):
    """It folds, its rows and checkpoints are read, it is shown and found whole, and not one of its bytes changes."""
    folder = copied(name)
    before = contents(folder)
    results = ramet.ResultGrid(folder)
    assert [result.state for result in results] == ["finished" if name in FINISHED else "training"] * 4
    for result in results:
        scores = result.lineage_dataframe["score"].tolist()
        assert len(scores) == result.iteration
        with result.checkpoint.as_directory() as directory:
            step, x = Path(directory, "state").read_bytes().rstrip(b"\0").split()
        assert float(x) == scores[int(step) - 1]
    if name in FINISHED:
        assert [result.metrics["score"] for result in results] == SCORES
    assert main(["show", str(folder)]) == 0
    assert ("4 finished" if name in FINISHED else "ramet.Tuner.restore(") in capsys.readouterr().out
    assert main(["check", str(folder)]) == 0
    assert ramet.Tuner.can_restore(folder)
    assert contents(folder) == before


@pytest.mark.parametrize("name", BROKEN_OFF)
def test_an_old_run_is_taken_up_to_the_end_that_it_would_have_had(copied, name):
    """Broken off by an earlier version and ended by this one, it tells the story of the undisturbed run."""
    folder = copied(name)
    results = ramet.Tuner.restore(folder, MAKE.train, **given(name)).fit()
    assert [result.metrics["score"] for result in results] == SCORES
    assert told(folder) == told(copied(name.replace("broken-off", "finished")))
    assert fsck.check(folder) == []
    record = Record.open(folder)
    assert record.ledger.meta()["format"] == str(FORMAT)
    record.close()


@pytest.mark.parametrize("name", FINISHED)
def test_an_old_run_that_is_complete_stays_as_it_is(copied, name):
    """Taking up what has ended returns its results."""
    folder = copied(name)
    before = story(folder)
    results = ramet.Tuner.restore(folder, MAKE.train, **given(name)).fit()
    assert [result.metrics["score"] for result in results] == SCORES
    assert story(folder) == before


@pytest.mark.parametrize("name", FINISHED)
def test_an_old_run_trains_on(copied, name):
    """With a later goal, runs of every format go on to the same scores."""
    folder = copied(name)
    more = {**given(name), "stop": {"training_iteration": MAKE.STOP + 4}}
    results = ramet.Tuner.restore(folder, MAKE.train, **more).fit()
    other = copied(next(each for each in FINISHED if each != name))
    more = {**given(other.name), "stop": {"training_iteration": MAKE.STOP + 4}}
    same = ramet.Tuner.restore(other, MAKE.train, **more).fit()
    assert [result.iteration for result in results] == [MAKE.STOP + 4] * 4
    assert [result.metrics["score"] for result in results] == [result.metrics["score"] for result in same]
    assert fsck.check(folder) == []


@pytest.mark.parametrize("name", [name for name in BROKEN_OFF if "format1" in name])
def test_a_run_that_kept_no_set_up_asks_for_it(copied, name):
    """What has to be given is named, and nothing is changed before."""
    folder = copied(name)
    before = contents(folder)
    with pytest.raises(ConfigError, match=r"scheduler was not recorded: give it again, .*scheduler=…"):
        ramet.Tuner.restore(folder, MAKE.train)
    assert contents(folder) == before


@pytest.mark.parametrize("name", [name for name in BROKEN_OFF if "format1" not in name])
def test_a_run_whose_set_up_cannot_be_loaded_any_more_is_given_it(copied, name):
    """Without its ``settings.pkl`` a run goes on as one that never had it."""
    folder = copied(name)
    (folder / SETTINGS).write_bytes(b"\x80\x05cnowhere\nNothing\n.")
    with pytest.raises(RunError, match=r"param_space=…, scheduler=…, stop=…"):
        ramet.Tuner.restore(folder, MAKE.train)
    results = ramet.Tuner.restore(folder, MAKE.train, **MAKE.arguments(), verbose=0).fit()
    assert [result.metrics["score"] for result in results] == SCORES


@pytest.mark.parametrize("name", BROKEN_OFF)
def test_a_damaged_old_run_is_repaired(copied, name):
    """A changed entry of an old ledger is found, gone back from, and made again."""
    folder = copied(name)
    data = (folder / "run.db").read_bytes()
    assert b'"verdict":"exploit"' in data
    (folder / "run.db").write_bytes(data.replace(b'"verdict":"exploit"', b'"verdikt":"exploit"'))
    assert fsck.check(folder) != []
    assert main(["check", "--repair", str(folder)]) == 0
    assert fsck.check(folder) == []
    results = ramet.Tuner.restore(folder, MAKE.train, **given(name)).fit()
    assert [result.iteration for result in results] == [MAKE.STOP] * 4
    if "format1" not in name:  # which does not tell where a transaction ends
        assert [result.metrics["score"] for result in results] == SCORES
