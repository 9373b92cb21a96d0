"""The command line: what it prints, what it leaves, and with which status it ends."""

from __future__ import annotations

import importlib.util
import math
import os
import subprocess
import sys

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest

import ramet
from ramet import cli, demo
from ramet.errors import MemberError, RunError
from ramet.problems import triangle

PNG = b"\x89PNG\r\n"


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    """Run in a folder of one's own, runs and all."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAMET_RUNS", str(tmp_path / "runs"))
    yield
    plt.close("all")


def small(*more):
    """Return the words of a demo that takes no time."""
    return ["demo", "--members", "2", "--pace", "0", "--executor", "inline", *more]


# ---------------------------------------------------------------------- reading command lines


def test_the_version_is_told(capsys):
    """``ramet --version`` prints the version of the package."""
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"ramet {ramet.__version__}\n"


def test_help_names_every_verb(capsys):
    """``ramet --help`` lists each verb with a line of what it does, the first sentence of its docstring."""
    assert cli.main(["--help"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    for verb in cli.VERBS:
        assert f"{verb.name} {verb.run.__doc__.partition('.')[0]}" in told


def test_the_help_of_demo_tells_of_the_pace(capsys):
    """That the demo sleeps is said in its help, with the way to see the true speed."""
    assert cli.main(["demo", "--help"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "each training step sleeps" in told
    assert "0 for full speed" in told


def test_without_a_verb_there_is_help(capsys):
    """``ramet`` alone shows what there is, as a mistake."""
    assert cli.main([]) == 2
    assert "demo" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["dmeo"], "dmeo"),
        (["demo", "--members", "0"], "'0' is no whole number of at least 1"),
        (["demo", "--members", "two"], "'two' is no whole number of at least 1"),
        (["demo", "--seed", "-1"], "'-1' is no whole number of at least 0"),
        (["demo", "--pace", "nan"], "'nan' is no number of seconds"),
        (["demo", "--pace", "soon"], "'soon' is no number of seconds"),
        (["demo", "--executor", "gpu"], "gpu"),
        (["demo", "--out", "picture.doc"], "'picture.doc' ends in none of .png, .pdf, .svg"),
        (["demo", "--mem", "3"], "--mem"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_a_hint(capsys, tmp_path, words, told):
    """What is wrong is told in a line, the next says where help is, the status is 2, and nothing was begun."""
    assert cli.main(words) == 2
    out, err = capsys.readouterr()
    first, second = err.splitlines()
    assert told in first
    assert second.startswith("Try: ramet")
    assert second.endswith("--help")
    assert out == ""
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_the_run_is_one_line(capsys, monkeypatch):
    """A RametError ends a verb with status 1 and its message, without a traceback."""

    def fail(*_):
        raise RunError("cannot do it; try later")

    monkeypatch.setattr(demo, "train_population", fail)
    assert cli.main(small()) == 1
    assert capsys.readouterr().err == "ramet demo: cannot do it; try later\n"


def test_a_failed_member_is_told_by_the_last_line_of_its_traceback(capsys, monkeypatch):
    """Of a member's traceback the command line shows the line that says what went wrong."""

    def fail(*_):
        raise MemberError("Traceback (most recent call last):\n  File …\nValueError: no such thing\n")

    monkeypatch.setattr(demo, "train_population", fail)
    assert cli.main(small()) == 1
    assert capsys.readouterr().err == "ramet demo: a member failed: ValueError: no such thing\n"


def test_an_interrupt_is_no_traceback(capsys, monkeypatch):
    """Ctrl-C ends a verb with the status that shells expect."""

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "train_population", interrupt)
    assert cli.main(small()) == 130
    assert capsys.readouterr().err == "ramet demo: interrupted\n"


# ---------------------------------------------------------------------- the demo


def test_the_demo_draws_a_picture_and_says_where(capsys, tmp_path):
    """``ramet demo`` leaves demo.png where it was called, says where, and names the run's folder."""
    assert cli.main(small()) == 0
    out = capsys.readouterr().out
    assert (tmp_path / "demo.png").read_bytes().startswith(PNG)
    assert str(tmp_path / "demo.png") in out
    assert str(tmp_path / "runs" / "demo") in out


@pytest.mark.parametrize(
    ("out", "file"),
    [("a/b.svg", "a/b.svg"), ("there", "there/demo.png"), ("new", "new/demo.png"), ("x.y", "x.y/demo.png")],
)
def test_the_picture_goes_where_it_is_told_to(tmp_path, out, file):
    """--out is a file with a known suffix, or a folder, which is made where it is not there."""
    (tmp_path / "there").mkdir()
    (tmp_path / "x.y").mkdir()

    assert cli.main(small("--out", out)) == 0
    assert (tmp_path / file).stat().st_size > 1000


def test_a_place_that_cannot_be_written_is_found_before_training(capsys, tmp_path):
    """Nothing is trained for a picture that cannot be kept."""
    (tmp_path / "file").write_text("")

    assert cli.main(small("--out", "file/demo.png")) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"ramet demo: --out: cannot write {tmp_path / 'file' / 'demo.png'} (")
    assert not (tmp_path / "runs").exists()


def test_a_picture_that_is_there_is_not_touched_before_the_end(capsys, monkeypatch, tmp_path):
    """Looking whether a picture can be written leaves no file, and changes none."""

    def fail(*_):
        raise RunError("no")

    monkeypatch.setattr(demo, "train_population", fail)
    assert cli.main(small("--out", "there")) == 1
    assert list((tmp_path / "there").iterdir()) == []
    (tmp_path / "demo.png").write_text("old")
    assert cli.main(small()) == 1
    assert (tmp_path / "demo.png").read_text() == "old"


def test_runs_that_cannot_be_kept_name_the_variable(capsys, monkeypatch, tmp_path):
    """Of a folder of runs that cannot be written the message names RAMET_RUNS, which the command line can set."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("RAMET_RUNS", str(tmp_path / "file"))

    assert cli.main(small()) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert str(tmp_path / "file") in line
    assert "RAMET_RUNS" in line
    assert "storage_path" not in line


def test_one_model_is_one_model(capsys):
    """A population of one is told of in the singular."""
    assert cli.main(["demo", "--members", "1", "--pace", "0", "--executor", "inline"]) == 0
    assert "1 model learns a toy problem" in capsys.readouterr().out


def test_no_picture_is_drawn_where_none_is_wanted(capsys, tmp_path):
    """--no-plot trains, and neither draws nor speaks of a picture."""
    assert cli.main(small("--no-plot")) == 0
    assert not (tmp_path / "demo.png").exists()
    assert "demo.png" not in capsys.readouterr().out


def test_without_matplotlib_the_demo_finishes_and_says_how_to_get_the_picture(capsys, monkeypatch, tmp_path):
    """Where matplotlib is missing the population is trained all the same."""
    found = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == "matplotlib" else found(name, *more)
    )

    assert cli.main(small()) == 0
    out = capsys.readouterr().out
    assert "pip install matplotlib" in out
    assert "lineage_tree" not in out
    assert not (tmp_path / "demo.png").exists()


def test_the_picture_holds_the_optimal_learning_rate_of_the_best_model(monkeypatch, tmp_path):
    """What is drawn as optimal is what the best model reported, on a logarithmic axis."""
    results = demo.train_population(2, 0, "inline", 0)
    figures = []
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", lambda figure, *_, **__: figures.append(figure))
    demo.draw(results, tmp_path / "x.png")
    best = results.get_best_result().lineage_dataframe
    (ax,) = figures[0].axes

    assert ax.get_yscale() == "log"
    assert np.array_equal(ax.lines[-1].get_ydata(), best["optimal_lr"])


def test_the_demo_is_the_same_with_every_executor_and_pace():
    """The seed alone decides what the demo shows."""
    first = demo.train_population(3, 5, "inline", 0)
    second = demo.train_population(3, 5, "process", 0.0005)

    assert [result.schedule for result in first] != []
    for one, other in zip(first, second, strict=True):
        assert one.lineage_dataframe["accuracy"].tolist() == other.lineage_dataframe["accuracy"].tolist()


@pytest.mark.parametrize("members", [1, 8, 64])
@pytest.mark.parametrize("executor", ["process", "inline"])
def test_the_default_pace_makes_the_demo_last_some_seconds(members, executor):
    """Whatever the size of the population and of the machine, the steps of a slot add up to about the promised time."""
    ramet.init(num_cpus=3)
    try:
        pace = demo.default_pace(members, executor)
    finally:
        ramet.shutdown()
    turns = math.ceil(members / (min(3, members) if executor == "process" else 1))

    assert 0.8 * demo.SECONDS <= pace * turns * 0.85 * demo.ITERATIONS <= 1.2 * demo.SECONDS


def test_python_m_ramet_is_the_command(tmp_path):
    """``python -m ramet demo`` in a process of its own, warnings as errors, with worker processes."""
    command = [sys.executable, "-W", "error", "-m", "ramet", "demo", "--members", "2", "--pace", "0", "--out", "tmp"]
    environment = {**os.environ, "MPLBACKEND": "Agg"}
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment, timeout=120
    )

    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert (tmp_path / "tmp" / "demo.png").read_bytes().startswith(PNG)


def test_the_command_starts_without_numpy():
    """Help and version come at once: they load none of the libraries that runs need."""
    code = "import sys, ramet.cli; ramet.cli.main(['--version']); sys.exit(bool({'numpy', 'rich'} & set(sys.modules)))"

    assert subprocess.run([sys.executable, "-c", code], check=False, capture_output=True).returncode == 0


# ---------------------------------------------------------------------- its problem


@pytest.mark.parametrize("accuracy", [-5, 0, 5, 10, 40, 99, 100, 101, 160, 195, 200, 300])
def test_the_optimal_learning_rate_is_a_triangle(accuracy):
    """It rises from 0.001 to 0.01 at the middle and falls back as it rose."""
    optimal = triangle.optimal_lr(accuracy)

    assert 0.001 <= optimal <= 0.01
    assert math.isclose(optimal, triangle.optimal_lr(2 * triangle.PEAK - accuracy))
    assert (optimal == 0.01) == (accuracy == triangle.PEAK)


def test_the_population_beats_the_best_constant(tmp_path):
    """At the same number of steps a population gets further than every constant learning rate does on the average."""

    def reached(scheduler, lr, seed):
        results = ramet.Tuner(
            triangle.train,
            param_space={"lr": lr},
            tune_config=ramet.TuneConfig(metric="accuracy", mode="max", num_samples=8, scheduler=scheduler, seed=seed),
            run_config=ramet.RunConfig(
                storage_path=tmp_path, stop={"training_iteration": 150}, verbose=0, executor="inline"
            ),
        ).fit()
        return [result.metrics["accuracy"] for result in results]

    scheduler = ramet.PopulationBasedTraining(
        time_attr="training_iteration",
        perturbation_interval=5,
        hyperparam_mutations={"lr": ramet.loguniform(0.0001, 0.02)},
        synch=True,
    )
    constants = [reached(None, lr, seed) for lr in (0.0005, 0.001, 0.002, 0.004, 0.008, 0.016) for seed in (0, 1)]
    populations = [reached(scheduler, ramet.loguniform(0.0001, 0.02), seed) for seed in (0, 1, 2)]

    assert min(max(each) for each in populations) > max(np.mean(each) for each in constants) + 10


def test_the_command_is_a_module_too():
    """``python -m ramet`` is the command, where its folder is not on the path."""
    ran = subprocess.run([sys.executable, "-m", "ramet", "--version"], capture_output=True, text=True, check=False)

    assert (ran.returncode, ran.stdout, ran.stderr) == (0, f"ramet {ramet.__version__}\n", "")
