"""Everything that reads runs reads those of a population in one program, over, under way and broken off."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("jax")

from test_analysis import check, folded
from vectors import SPACE, WALK, init, pbt, same_states, states, step, told, tuner

import ramet
from ramet import fsck
from ramet.analysis.trace import Trace
from ramet.cli import main
from ramet.plots import PLOTS
from ramet.store.ledger import Ledger

KINDS = ("whole", "resumed", "ahead", "few are kept", "one by one", "uneven", "as they come")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return the folder of a run of each kind, made once."""
    home, folders = tmp_path_factory.mktemp("readers"), {}

    def make(name):
        folder = home / name
        if name == "ahead":  # as a death leaves it
            real = Ledger.commit

            def commit(self, transaction):
                real(self, transaction)
                if not folder.exists() and folded(home / "dying").ahead:
                    shutil.copytree(home / "dying", folder, ignore=shutil.ignore_patterns("lock*"))

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(Ledger, "commit", commit)
                tuner(home / "dying", ramet.VectorExecutor(checkpoint_every=2)).fit()
            assert folded(folder).ahead
        elif name == "resumed":
            tuner(folder, ramet.VectorExecutor(checkpoint_every=1), stop=6).fit()
            ramet.Tuner.restore(folder, WALK, stop={"training_iteration": 9}, num_samples=4).fit()
        elif name == "few are kept":
            tuner(folder, ramet.VectorExecutor(checkpoint_every=1),
                  checkpoint_config=ramet.CheckpointConfig(num_to_keep=1)).fit()  # fmt: skip
        elif name == "uneven":
            space = {**SPACE, "pace": ramet.grid_search([2, 3, 5])}
            tuner(folder, scheduler=pbt(20, synch=False, time_attr="pace"), space=space).fit()
        elif name == "as they come":
            tuner(folder, scheduler=pbt(synch=False)).fit()
        else:
            tuner(folder, "inline" if name == "one by one" else ramet.VectorExecutor(checkpoint_every=1)).fit()
        return str(folder)

    return lambda name: folders[name] if name in folders else folders.setdefault(name, make(name))


@pytest.mark.parametrize("name", KINDS)
def test_what_is_read_in_bulk_is_what_the_fold_says(made, name):
    """Members, segments, standings and donors are the same whether folded or read as columns."""
    trace = Trace(made(name))
    check(trace, folded(made(name)))
    trace.close()


@pytest.mark.parametrize("name", KINDS)
def test_tables_are_what_the_fold_and_the_disk_say(made, name):
    """Reports, decisions, exploits and checkpoints that are there are those of the fold, and files of the folder."""
    run, population = ramet.open(made(name)), folded(made(name))
    table = run.members()
    assert table["reports"].tolist() == [member.compute for member in population.members]
    assert table["decisions"].tolist() == [member.decisions for member in population.members]
    assert table["exploits"].tolist() == [member.exploits for member in population.members]
    assert len(run.reports()) == sum(segment.last - segment.start for segment in population.segments)
    assert len(run.decisions()) == sum(member.decisions for member in population.members)
    kept = run.checkpoints()
    there = kept[kept["there"]]
    assert {*zip(there["segment"], there["iteration"], strict=True)} == population.alive() - population.retention.held
    for path in there["path"].dropna().unique():
        assert Path(made(name), "checkpoints", path, "stack.bin").is_file()


@pytest.mark.parametrize("name", KINDS)
def test_every_model_that_is_there_can_be_had(made, name, tmp_path):
    """Each member's last checkpoint is a dict of arrays and a folder of files, if it is on disk."""
    results = ramet.ResultGrid(made(name))
    for result in results:
        if name == "ahead" and result._member.point.checkpoint not in results.kept():
            continue
        state = result.checkpoint.to_dict()
        assert sorted(state) == ["params/w", "steps"]
        assert state["params/w"].shape == (3,)
        assert state["steps"] == 2 * result._member.point.iteration
        folder = result.checkpoint.to_directory(str(tmp_path / str(result.member)))
        for file in Path(folder).glob("*.npz"):
            with np.load(file) as arrays:
                assert sorted(arrays) == sorted(state)
                assert all(arrays[leaf].tobytes() == np.asarray(state[leaf]).tobytes() for leaf in state)
        assert any(Path(folder).iterdir())
    assert name == "ahead" or len(results.get_dataframe()) == len(results)


@pytest.mark.parametrize("plot", PLOTS)
@pytest.mark.parametrize("name", ["whole", "ahead", "resumed"])
def test_every_plot_is_drawn(made, name, plot):
    """No plot stumbles over such a run, on paper or on the screen."""
    import matplotlib as mpl

    mpl.use("Agg")
    from ramet.plots import paper, screen

    run = ramet.open(made(name))
    for room in (paper, screen):
        assert getattr(room, plot)(run) is not None


VERBS = (["show"], ["lineage"], ["schedule"], ["best"], ["check"], ["gc"], ["ls"])


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
@pytest.mark.parametrize("name", ["whole", "ahead", "few are kept"])
def test_verbs_of_the_command_line_take_it(made, name, verb, capsys):
    """Every verb that looks at a run does so without an error, and check finds nothing wrong."""
    folder = made(name) if verb[0] != "ls" else str(Path(made(name)).parent)
    status = main([verb[0], folder, *verb[1:]])
    out = capsys.readouterr()
    assert status == 0, out.err
    assert out.out


def test_a_run_that_was_ahead_of_its_disk_is_whole(made, tmp_path):
    """Of a run that broke off ahead of its disk nothing is wrong, and it is taken up."""
    folder = tmp_path / "run"
    shutil.copytree(made("ahead"), folder)
    assert fsck.check(folder) == []
    assert [line for line in fsck.repair(folder) if "belonged to nothing" not in line] == []
    results = ramet.Tuner.restore(folder, WALK).fit()
    assert told(folder)["rows"] == told(made("whole"))["rows"]
    assert same_states(states(results), states(ramet.ResultGrid(made("whole"))))


@pytest.mark.parametrize(
    ("start", "executor"),
    [(None, "vector"), ("a segment", "vector"), ("a pair", "vector"), ("a result", "vector"), ("a pair", "inline")],
)
def test_a_run_can_be_branched_into_rows(made, tmp_path, start, executor):
    """From a checkpoint of a run of rows another run begins, in rows or one by one, with that model in all members."""
    old = ramet.ResultGrid(made("whole"))
    pair = min(old.kept())
    begin = {"a result": old[1], "a pair": pair, "a segment": pair[0]}.get(start)
    new = ramet.Tuner.branch(
        made("whole"), WALK, begin, param_space={"lr": ramet.uniform(0.01, 0.1)},
        tune_config=ramet.TuneConfig(num_samples=4, seed=1, metric="score", mode="max", scheduler=pbt()),
        run_config=ramet.RunConfig(
            name="new", storage_path=str(tmp_path), stop={"training_iteration": 18}, executor=executor, verbose=0
        ),
    ).fit()  # fmt: skip
    assert new.errors == []
    assert [result.iteration for result in new] == [18] * 4
    for result in new:
        assert result.lineage[0].first == 1
        assert result.lineage[-1].last == 18
    if executor == "vector":
        assert [int(state["steps"]) for state in states(new)] == [36] * 4


def test_a_run_one_by_one_can_be_taken_up_in_rows(made, tmp_path):
    """What was begun on another executor goes on in one program, from the checkpoints that it wrote, to the same."""
    first = tuner(tmp_path / "run", "inline", stop=6).fit()
    again = ramet.Tuner.restore(
        first.experiment_path, WALK, stop={"training_iteration": 12}, executor=ramet.VectorExecutor()
    ).fit()
    assert told(again.experiment_path)["rows"] == told(made("whole"))["rows"]


def test_a_run_in_rows_can_be_taken_up_one_by_one(made, tmp_path):
    """What was begun in one program goes on on another executor, from its stacks, to the same."""
    first = tuner(tmp_path / "run", ramet.VectorExecutor(), stop=6).fit()
    again = ramet.Tuner.restore(first.experiment_path, WALK, stop={"training_iteration": 12}, executor="inline").fit()
    assert told(again.experiment_path)["rows"] == told(made("whole"))["rows"]


def test_functions_of_another_state_are_told_what_is_missing(made, tmp_path):
    """A run that is taken up with functions of another state says which arrays it has, and which it should."""

    def other(key, hparams):
        return {**init(key, hparams), "more": 0.0}

    def stepped(state, hparams, key):
        after, metrics = step({name: state[name] for name in ("params", "steps")}, hparams, key)
        return {**after, "more": state["more"]}, metrics

    stepped.__name__ = "step"
    folder = tmp_path / "run"
    shutil.copytree(made("whole"), folder)
    again = ramet.Tuner.restore(
        folder, ramet.VectorTrainable(other, stepped, steps_per_report=2), stop={"training_iteration": 15}
    ).fit()
    assert len(again.errors) == 6
    assert all("train on with the functions that it was made by" in str(error) for error in again.errors)
    assert isinstance(again.get_dataframe(), pd.DataFrame)
