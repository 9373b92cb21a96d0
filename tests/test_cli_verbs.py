"""The verbs: what each prints for people and for machines, its help, its errors, and the statuses that it ends with."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from test_docs import ROOT, table, ticked

import ramet
from ramet import cli
from ramet.analysis.export import FORMATS, TABLES
from ramet.cli import export, manual
from ramet.cli.doctor import LIBRARIES
from ramet.cli.going_on import function_of
from ramet.cli.parser import children, first_page, split
from ramet.errors import ConfigError
from ramet.plots import PLOTS
from ramet.store.ledger import Ledger
from ramet.store.lock import RunLock

FUNCTION = """\
import ramet


def train(config):
    step = 0
    if checkpoint := ramet.get_checkpoint():
        step = checkpoint.to_dict()["step"]
    while True:
        step += 1
        state = {"step": step, "weights": b"w" * config["size"]}
        score = {"score": config["lr"] * step, "loss": -step, "size": config["size"]}
        ramet.report(score, checkpoint=ramet.Checkpoint.from_dict(state))


def other(config):
    ramet.report({"score": 1.0})


if __name__ == "__main__":
    raise SystemExit("this is not to be run by an import")
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return a folder with a file of a training function, and with runs: one that ended, one that is damaged."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "clitrained.py").write_text(FUNCTION, encoding="utf-8")
    lr = ramet.loguniform(1e-3, 1.0)
    pbt = ramet.PopulationBasedTraining(
        time_attr="training_iteration", perturbation_interval=3, hyperparam_mutations={"lr": lr}, synch=True
    )
    ramet.Tuner(
        function_of(f"{folder / 'clitrained.py'}:train"),
        param_space={"lr": lr, "size": ramet.choice([10, 200_000])},
        tune_config=ramet.TuneConfig(metric="score", mode="max", num_samples=4, scheduler=pbt, seed=1),
        run_config=ramet.RunConfig(
            name="good", storage_path=folder / "runs", stop={"training_iteration": 9}, verbose=0, executor="inline"
        ),
    ).fit()
    (folder / "runs" / "bad").mkdir()
    (folder / "runs" / "bad" / "run.db").write_bytes(b"no ledger" * 1000)
    (folder / "runs" / "no run").mkdir()
    return folder


@pytest.fixture(autouse=True)
def _here(made, tmp_path, monkeypatch):
    """Run in a folder of one's own with copies of the runs."""
    shutil.copytree(made / "runs", tmp_path / "runs")
    shutil.copy(made / "clitrained.py", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAMET_RUNS", str(tmp_path / "runs"))
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in ("clitrained", "clifails"):  # of another test's folder
        monkeypatch.delitem(sys.modules, name, raising=False)


@pytest.fixture
def branched(monkeypatch):
    """Let a branch be a resume that notes what it was asked for."""
    asked = []

    def branch(path, trainable, start=None, *, run_config=None):
        asked.append((Path(path).name, trainable.__name__, start, run_config))
        return ramet.Tuner.restore(path, trainable, executor="inline", verbose=0, stop=run_config.stop)

    monkeypatch.setattr(ramet.Tuner, "branch", branch, raising=False)
    return asked


QUICK = ["--executor", "inline", "--quiet"]
CALLS = {
    "ls": [],
    "show": ["good"],
    "watch": ["good"],
    "lineage": ["good", "--member", "1"],
    "schedule": ["good"],
    "best": ["good"],
    "plot": ["good", "lineage", "-o", "out/x.png"],
    "report": ["good", "-o", "x.html"],
    "ui": [],
    "export": ["good", "members", "-o", "out"],
    "resume": ["good", "clitrained.py:train", "--stop", "training_iteration=12", *QUICK],
    "replay": ["good", "clitrained.py:train", *QUICK],
    "branch": ["good", "clitrained.py:train", "--stop", "training_iteration=12", *QUICK],
    "check": ["good"],
    "gc": ["good"],
    "doctor": [],
    "demo": ["--members", "2", "--pace", "0", "--executor", "inline", "--no-plot"],
    "bench": ["--quick", "--problems", "quadratic", "--strategies", "PBT", "--seeds", "2", "--jobs", "1"],
    "completion": ["bash"],
}
"""By verb, the words of a call that does well."""

WRONG = {
    "ls": (["nowhere"], 1, "nowhere is not there"),
    "show": (["nowhere"], 1, "nowhere holds no run"),
    "watch": (["nowhere"], 1, "nowhere holds no run"),
    "lineage": (["good", "--member", "9"], 1, "members 0 to 3"),
    "schedule": (["good", "--format", "torch", "--name", "momentum"], 1, "'momentum'"),
    "best": (["good", "--metric", "accuracy"], 1, "'accuracy'"),
    "plot": (["good", "pie"], 1, "no plot 'pie'; there are lineage"),
    "report": (["nowhere"], 1, "nowhere holds no run"),
    "ui": (["clitrained.py"], 1, "is no folder"),
    "export": (["good", "trials", "-o", "out"], 2, "no table 'trials'"),
    "resume": (["good", "clitrained.py:trian", *QUICK], 1, "has no trian; it has other, train"),
    "replay": (["nowhere.json", "clitrained.py:train", *QUICK], 1, "nowhere.json"),
    "branch": (["good", "clitrained.py:train", "--iteration", "99", *QUICK], 1, "iterations 1 to 9"),
    "check": (["nowhere"], 1, "nowhere holds no run"),
    "gc": (["no run"], 1, "holds no run"),
    "doctor": (["--fast"], 2, "--fast"),
    "demo": (["--out", "clitrained.py/x.png"], 1, "cannot write"),
    "bench": (["--problems", "nothing"], 2, "nothing"),
    "completion": (["tcsh"], 2, "tcsh"),
}
"""By verb, a call that fails: its words, its status, and what the message has."""

VERBS = [verb.name for verb in cli.VERBS]
ENDING = [name for name in VERBS if name != "ui"]
"""Those that end by themselves; the dashboard's own tests start it, and end it."""


def documented(name):
    """Return the keys that a verb's help names after "With --json"."""
    text, _ = split(next(verb.run.__doc__ for verb in cli.VERBS if verb.name == name))
    (told,) = (each for each in text if each.startswith("With --json: "))
    return set(re.findall(r"\w+", told))


def called(capsys, *words):
    """Carry out a command line; return its status and what it printed."""
    status = cli.main([str(word) for word in words])
    return status, *capsys.readouterr()


def strict(text):
    """Return a JSON document, which must not have what JSON has not."""
    return json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_every_verb_is_tried():
    """The two tables above have every verb."""
    assert list(CALLS) == list(WRONG) == VERBS


@pytest.mark.parametrize("name", ENDING)
def test_a_verb_prints_for_people(capsys, name):
    """Each verb does well, prints something that is no JSON, and nothing on standard error but how far it is."""
    status, out, err = called(capsys, name, *CALLS[name])

    assert status == 0
    assert out.strip()
    assert err == "" or name == "bench"
    with pytest.raises(ValueError, match=r".*"):
        json.loads(out)


@pytest.mark.parametrize("name", ENDING)
def test_a_verb_prints_one_json_document(capsys, name):
    """With --json standard output is one document without NaN, all keys of which the help names."""
    words = [word for word in CALLS[name] if word != "--quiet"]
    status, out, _ = called(capsys, name, *words, "--json")
    if name == "watch":  # which goes on, and prints one for each thing that happens
        assert all(strict(line)["kind"] for line in out.splitlines())
        return
    found = strict(out)

    assert status == 0
    assert found
    if name != "bench":
        assert documented(name) >= found.keys()


@pytest.mark.parametrize("name", VERBS)
def test_an_error_is_one_line_and_a_hint(capsys, name):
    """What goes wrong is one line that begins with the command, at most one more that begins with Try, and a status."""
    words, expected, told = WRONG[name]
    status, out, err = called(capsys, name, *words)
    first, *more = err.splitlines()

    assert status == expected
    assert first.startswith(f"ramet {name}: ")
    assert told in first
    assert len(more) <= 1
    assert all(line.startswith("Try: ramet ") for line in more)
    assert more or expected == 1
    assert out == ""


@pytest.mark.parametrize("name", VERBS)
def test_an_error_is_a_json_document_too(capsys, name):
    """With --json an error is on standard output besides, with its hint and the status, which stays the same."""
    words, expected, told = WRONG[name]
    status, out, err = called(capsys, name, *words, "--json")
    found = strict(out)

    assert status == found["status"] == expected
    assert told in found["error"]
    assert found.keys() == {"error", "hint", "status"}
    assert err


@pytest.mark.parametrize("name", VERBS)
def test_the_help_of_a_verb_is_a_page_of_a_manual(capsys, name):
    """It has a paragraph, an example that the parser takes, the keys of its JSON, and a word on each argument."""
    status, out, _ = called(capsys, name, "--help")

    assert status == 0
    assert out.startswith(f"usage: ramet {name} ")
    assert "With --json: " in out
    text, examples = split(next(verb.run.__doc__ for verb in cli.VERBS if verb.name == name))
    assert len(text) >= 3 or name == "completion"
    assert f"ramet {name}" in examples
    assert all(action.help for action in children()[name]._actions)
    assert max(map(len, out.splitlines())) <= 110


@pytest.mark.parametrize("example", [e for verb in cli.VERBS for e in split(verb.run.__doc__)[1].splitlines()])
def test_the_examples_can_be_parsed(example):
    """Each example of the help is a command line that the parser takes."""
    words = re.search(r"ramet ([^|>#)]*)", example)[1].split()
    parsers = children()

    assert parsers[words[0]].parse_args(words[1:])


def test_the_first_page_tells_all(capsys):
    """``ramet --help`` has the verbs in groups, each in one line, the statuses, the environment, and examples."""
    assert cli.main(["--help"]) == 0
    told = capsys.readouterr().out
    for name in VERBS:
        assert len(re.findall(rf"^  {name} {{2,}}\S", told, re.MULTILINE)) == 1
    for part in (*cli.GROUPS, "Examples:", "Exit status:", "RAMET_RUNS", "130", "--json"):
        assert part in told
    page = first_page(80)
    briefs = page[page.index("Looking at runs") : page.index("Examples")]
    assert sum(line.startswith("  ") for line in briefs.splitlines()) == len(VERBS), "a verb takes more than a line"


@pytest.mark.parametrize(
    ("words", "told", "hint"),
    [
        (["shwo", "good"], "ramet: there is no verb 'shwo': did you mean show?", "Try: ramet --help"),
        (["xyzzy"], "ramet: there is no verb 'xyzzy'", "Try: ramet --help"),
        (["show"], "ramet show: the following arguments are required: RUN", "Try: ramet show --help"),
        (["show", "good", "--member"], "ramet show: unrecognized arguments: --member", "Try: ramet show --help"),
        (["plot", "a", "b", "-o", "x.png", "c"], "ramet plot: unrecognized arguments: c", "Try: ramet plot --help"),
    ],
)
def test_a_wrong_word_is_named_with_the_nearest(capsys, words, told, hint):
    """Unknown verbs are told with the nearest there is, unknown options with the verb whose help is meant."""
    status, out, err = called(capsys, *words)

    assert (status, out) == (2, "")
    assert err.splitlines() == [told, hint]


def test_words_may_stand_after_options(capsys):
    """The last argument of a verb may come after its options."""
    assert called(capsys, "export", "good", "-o", "out", "members", "schedule")[0] == 0
    assert sorted(path.name for path in Path("out").iterdir()) == ["export.json", "members.csv", "schedule.csv"]
    assert called(capsys, "plot", "good", "-o", "x.png", "lineage")[0] == 0


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["show", "--help"], ["shwo"]])
def test_help_loads_no_library(words):
    """What only speaks of commands is there at once: it loads nothing that reads runs."""
    heavy = "{'numpy', 'pandas', 'rich', 'sqlite3', 'matplotlib', 'ramet.record', 'ramet.analysis.run', 'ramet.tuner'}"
    code = f"import sys, ramet.cli; ramet.cli.main({words}); sys.exit(repr({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)

    assert done.stderr.splitlines()[-1] == "set()"


def test_a_reader_that_goes_is_no_traceback():
    """Where nobody reads what is printed any more a verb ends like any program, without a word."""
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-W", "error", "-m", "ramet", "completion", "bash"]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)

    assert (done.returncode, done.stderr) == (141, "")


def test_a_run_is_found_by_its_name_wherever_one_is(capsys, tmp_path, monkeypatch):
    """A name is that of a folder here, else that of a run in the folder of runs."""
    assert json.loads(called(capsys, "best", "good", "--json")[1])["run"] == "good"
    shutil.copytree("runs/good", "good")
    shutil.rmtree("runs/good")
    assert called(capsys, "best", "good")[0] == 0
    assert called(capsys, "best", str(tmp_path / "good"))[0] == 0


def test_the_manual_is_that_of_the_parser():
    """docs/cli.md is what ``python -m ramet.cli.manual`` prints."""
    assert (ROOT / "docs" / "cli.md").read_text(encoding="utf-8") == manual.manual()


def test_the_tables_are_named_everywhere():
    """The command line and the page on exporting have the tables that there are, and the formats."""
    told = [ticked(row[0])[0] for row in table(ROOT / "docs" / "exporting.md", "tables")]

    assert list(export.TABLES) == list(TABLES) == told
    (format,) = (action for action in children()["export"]._actions if action.dest == "format")
    assert sorted(format.choices) == sorted(FORMATS)


# ---------------------------------------------------------------------- looking at runs


def test_ls_lists_what_is_damaged_as_such(capsys, tmp_path):
    """A damaged run is in the list with what is wrong, and harms no other one; a folder that is no run is not."""
    found = json.loads(called(capsys, "ls", "--json")[1])["runs"]
    told = {each["name"]: each for each in found}

    assert set(told) == {"bad", "good"}
    assert told["bad"]["state"] == "damaged"
    assert str(tmp_path) in told["bad"]["why"]
    run = ramet.open("runs/good")
    assert told["good"]["state"] == "ended"
    assert told["good"]["best"] == run.best().value
    assert told["good"]["members"] == 4
    assert told["good"]["iteration"] == 9
    assert told["good"]["exploits"] == run.members()["exploits"].sum() > 0
    assert told["good"]["begun"].startswith("20")
    whole = sum(path.stat().st_size for path in Path("runs/good").rglob("*") if path.is_file())
    assert 0.9 * whole < told["good"]["size"] <= 1.1 * whole
    lines = called(capsys, "ls")[1].splitlines()
    assert [line.split()[:2] for line in lines] == [["name", "state"], ["bad", "damaged"], ["good", "ended"]]


def test_ls_tells_what_is_under_way_from_what_was_broken_off(capsys, made, tmp_path):
    """A run that a process works on is under way; the copy of its folder, which nobody does, was broken off."""
    found = []

    class Looking(ramet.Callback):
        def on_exploit(self, member, donor, hparams, iteration):
            if not found:
                shutil.copytree(
                    tmp_path / "new" / "run", tmp_path / "new" / "left", ignore=shutil.ignore_patterns("*.lock")
                )
                found.extend(strict(called(capsys, "ls", tmp_path / "new", "--json")[1])["runs"])
                called(capsys, "show", tmp_path / "new" / "run")
                called(capsys, "export", tmp_path / "new" / "run", "-o", tmp_path / "out")

    lr = ramet.loguniform(1e-3, 1.0)
    pbt = ramet.PopulationBasedTraining(
        time_attr="training_iteration", perturbation_interval=3, hyperparam_mutations={"lr": lr}, synch=True
    )
    grid = ramet.Tuner(
        function_of("clitrained.py:train"),
        param_space={"lr": lr, "size": 1},
        tune_config=ramet.TuneConfig(metric="score", mode="max", num_samples=4, scheduler=pbt, seed=1),
        run_config=ramet.RunConfig(
            name="run", storage_path=tmp_path / "new", stop={"training_iteration": 6}, verbose=0, executor="inline",
            callbacks=[Looking()],
        ),
    ).fit()  # fmt: skip

    assert not grid.errors
    assert {each["name"]: each["state"] for each in found} == {"run": "under way", "left": "broken off"}
    assert (tmp_path / "out" / "reports.csv").exists()


def test_ls_of_nothing_is_no_error(capsys, monkeypatch, tmp_path):
    """Where no run was ever made there is nothing to list; a folder that is asked for by name must be there."""
    monkeypatch.setenv("RAMET_RUNS", str(tmp_path / "never"))
    assert called(capsys, "ls")[:2] == (0, f"no runs in {tmp_path / 'never'}\n")
    assert called(capsys, "ls", tmp_path / "runs" / "no run")[0] == 0
    assert called(capsys, "ls", "clitrained.py")[0] == 1


def test_ls_of_a_run_is_that_run(capsys):
    """A run's own folder is listed by itself."""
    assert [each["name"] for each in json.loads(called(capsys, "ls", "runs/good", "--json")[1])["runs"]] == ["good"]


def test_names_of_strangers_move_no_cursor(capsys):
    """What a folder is called cannot write over the screen."""
    shutil.copytree("runs/good", "runs/x\x1b[2Jy\nz")
    out = called(capsys, "ls")[1]

    assert "\x1b" not in out
    assert len(out.splitlines()) == 4


def test_show_tells_machines_what_the_library_does(capsys):
    """The document of show has the members as the table has them, the best one, and how the run was set up."""
    found = strict(called(capsys, "show", "good", "--json")[1])
    run = ramet.open("runs/good")

    assert [each["value"] for each in found["members"]] == run.members()["value"].tolist()
    assert found["best"]["value"] == run.best().value
    assert found["facts"]["metric"] == "score"
    assert found["state"] == "ended"


def test_lineage_and_schedule_are_those_of_the_library(capsys):
    """Their documents have the steps of `Run.lineage` and `Run.schedule`, of the best member by default."""
    run = ramet.open("runs/good")
    lineage = strict(called(capsys, "lineage", "good", "--json")[1])
    schedule = strict(called(capsys, "schedule", "good", "--member", "2", "--json")[1])

    assert lineage["member"] == run.best().member
    assert [(s["segment"], s["first"], s["last"]) for s in lineage["lineage"]] == [
        (s.segment, s.first, s.last) for s in run.lineage()
    ]
    assert [(s["first"], s["last"], s["hparams"]) for s in schedule["steps"]] == [
        (s.first, s.last, dict(s.hparams)) for s in run.schedule(2)
    ]


@pytest.mark.parametrize("format", ["json", "python", "optax", "torch", "table"])
def test_a_schedule_is_written_as_code(capsys, format):
    """With -o the file holds what is printed without, a table as JSON; sources are Python, and JSON can be replayed."""
    printed = called(capsys, "schedule", "good", "--format", format)[1]
    status, out, _ = called(capsys, "schedule", "good", "--format", format, "-o", "file")
    text = Path("file").read_text(encoding="utf-8")

    assert (status, out) == (0, "wrote file\n")
    if format in ("json", "table"):
        assert ramet.Schedule.load("file") == ramet.open("runs/good").schedule()
    else:
        compile(text, "file", "exec")
        assert strict(called(capsys, "schedule", "good", "--format", format, "--json")[1])["source"] == text
    assert text == printed or format == "table"


@pytest.mark.parametrize(("framework", "n"), [("optax", 1), ("optax", 3), ("torch", 1), ("torch", 3)])
def test_the_source_for_a_framework_does_what_the_library_does(capsys, framework, n):
    """What is printed for optax and PyTorch gives the schedule's values, step by step."""
    module = pytest.importorskip({"optax": "jax", "torch": "torch"}[framework])
    words = ["good", "--format", framework, "--steps-per-iteration", n]
    names = {}
    exec(called(capsys, "schedule", *words)[1], names)
    schedule = ramet.open("runs/good").schedule()
    if framework == "torch":
        optimizer = module.optim.SGD([module.nn.Parameter(module.zeros(1))], lr=0.3)
        scheduler = names["lr"](optimizer)
    for step in range(n * schedule.last + 2):
        expected = schedule.at(min(step // n + 1, schedule.last))["lr"]
        if framework == "optax":
            assert float(module.jit(names["lr"])(step)) == pytest.approx(expected, rel=1e-6)
        else:
            assert optimizer.param_groups[0]["lr"] == expected
            optimizer.step()
            scheduler.step()


@pytest.mark.parametrize(("mode", "small"), [("min", True), ("max", False)])
def test_the_best_ones_checkpoint_can_be_taken_out(capsys, mode, small):
    """--checkpoint copies the files of the latest checkpoint, small or large, into a folder that was not there."""
    words = ["best", "good", "--metric", "size", "--mode", mode, "--checkpoint", "a/out"]
    found = strict(called(capsys, *words, "--json")[1])

    assert found["checkpoint"]["iteration"] == 9
    assert (found["checkpoint"]["path"] is None) == small
    grid = ramet.ResultGrid("runs/good")
    expected = Path(grid[found["member"]].checkpoint.to_directory("expected"))
    assert {p.name: p.read_bytes() for p in Path("a/out").iterdir()} == {
        p.name: p.read_bytes() for p in expected.iterdir()
    }
    status, _, err = called(capsys, *words)
    assert status == 1
    assert "is there already" in err
    assert sorted(path.name for path in Path("a").iterdir()) == ["out"]


def test_best_goes_by_the_metric_that_is_named(capsys):
    """--metric and --mode say what is best."""
    found = strict(called(capsys, "best", "good", "--metric", "loss", "--mode", "min", "--json")[1])

    assert (found["metric"], found["mode"], found["value"]) == ("loss", "min", -9)


def test_plots_are_listed_and_drawn_by_their_endings(capsys):
    """Without a name there is a list; the ending of the file says for what it is drawn; unknown ones are refused."""
    assert called(capsys, "plot", "good")[1].startswith("lineage         Lineage\n")
    listed = strict(called(capsys, "plot", "good", "--json")[1])["plots"]
    assert listed[0] == {"name": "lineage", "title": "Lineage"}
    assert [each["name"] for each in listed] == list(PLOTS)
    called(capsys, "plot", "good", "lineage")
    called(capsys, "plot", "good", "lineage", "-o", "new/x.html")
    assert Path("lineage.png").read_bytes().startswith(b"\x89PNG")
    assert "plotly" in Path("new/x.html").read_text(encoding="utf-8")
    status, _, err = called(capsys, "plot", "good", "lineage", "-o", "x.doc")
    assert status == 1
    assert ".html" in err


def test_a_drawing_library_that_is_missing_is_named(capsys, monkeypatch):
    """Without the library of a kind of picture the message has the command that gets it."""

    def missing(run):
        raise ModuleNotFoundError("No module named 'plotly'", name="plotly")

    monkeypatch.setattr("ramet.plots.screen.lineage", missing)
    status, _, err = called(capsys, "plot", "good", "lineage", "-o", "x.html")

    assert status == 1
    assert "pip install plotly" in err


# ---------------------------------------------------------------------- taking out, going on


def test_export_writes_what_the_library_does(capsys):
    """All tables go into the folder, a second time only with --force."""
    assert called(capsys, "export", "good", "-o", "a", "--format", "json")[0] == 0
    ramet.open("runs/good").export("b", "json")
    assert {p.name: p.read_bytes() for p in Path("a").iterdir()} == {
        p.name: p.read_bytes() for p in Path("b").iterdir()
    }
    assert called(capsys, "export", "good", "-o", "a", "--format", "json")[0] == 1
    assert called(capsys, "export", "good", "-o", "a", "--format", "json", "--force")[0] == 0


def test_resume_goes_on(capsys):
    """Members train to the new end, and no table is printed for machines."""
    found = strict(
        called(capsys, "resume", "good", "clitrained.py", "--stop", "training_iteration=12", "--executor", "inline",
               "--json")[1]
    )  # fmt: skip

    assert found["best"]["iteration"] == 12
    assert found["failed"] == 0
    assert ramet.open("runs/good").best().iteration == 12


def test_resume_works_with_worker_processes(tmp_path):
    """The function of a file is found by workers too, from whatever folder the command is called."""
    command = [sys.executable, "-W", "error", "-m", "ramet", "resume", "good", str(tmp_path / "clitrained.py:train")]
    done = subprocess.run(
        [*command, "--stop", "training_iteration=12", "--quiet"],
        capture_output=True, text=True, check=False, cwd=tmp_path / "runs", timeout=120,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert ramet.open(tmp_path / "runs" / "good").best().iteration == 12


@pytest.mark.parametrize("run", ["nowhere", "no run", "died"])
def test_a_resume_of_a_run_that_never_began_has_a_status_of_its_own(capsys, run):
    """Without a run, in an empty folder, and of one that died before its first entry: a script begins it then."""
    if run == "died":
        Path("runs/died/checkpoints").mkdir(parents=True)
        Path("runs/died/run.lock").touch()
        Ledger.create(Path("runs/died"), {}).close()
    status, out, err = called(capsys, "resume", Path("runs", run), "clitrained.py:train", "--json")

    assert status == 3
    assert strict(out)["status"] == 3
    assert "holds no run, or one that never began: begin it" in err


@pytest.mark.parametrize(
    ("run", "told"), [("bad", "cannot be read"), ("good", "works on the run"), ("strange", "no run.db")]
)
def test_a_resume_that_something_stands_against_is_not_taken_for_a_beginning(capsys, run, told):
    """A run that is damaged or under way, and a folder of somebody else's, are failures: nothing is to begin there."""
    Path("runs/strange").mkdir()
    Path("runs/strange/letter").touch()
    held = [sys.executable, "-c", "import sys; from ramet.store.lock import RunLock; l = RunLock.take('runs/good'); "
            "print('held', flush=True); sys.stdin.read()"]  # fmt: skip
    with subprocess.Popen(held, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout.readline()
        status, _, err = called(capsys, "resume", run, "clitrained.py:train", "--stop", "training_iteration=12", *QUICK)
        holder.stdin.close()

    assert status == 1
    assert told in err


def test_a_resume_can_be_repeated(capsys):
    """A time limit ends it with the status that says so, as often as it comes; after the end of the run it is 0."""
    words = ["resume", "good", "clitrained.py:train", *QUICK]
    status, _, err = called(capsys, *words, "--stop", "training_iteration=1000000", "--time-limit", "0.2")
    assert status == 75
    assert err.endswith(
        "; go on: ramet resume " + os.path.abspath("runs/good") + " " + os.path.abspath("clitrained.py:train") + "\n"
    )
    first = ramet.open("runs/good").best().iteration
    assert called(capsys, *words)[0] == 75
    reached = ramet.open("runs/good").best().iteration
    assert reached > first > 9
    status, out, _ = called(capsys, *words[:3], "--executor", "inline", "--json")
    assert status == 75
    assert strict(out)["ended"] == "the time limit of 0.2 s came"
    assert strict(out)["best"]["iteration"] > reached
    reached = ramet.open("runs/good").best().iteration

    more = ["--stop", f"training_iteration={reached + 50}", "--time-limit", "0"]
    assert called(capsys, *words, *more)[0] == 0
    for _ in range(2):
        status, out, _ = called(capsys, *words[:3], "--executor", "inline")
        assert (status, out) == (0, "run good: nothing is left to train\n")


def test_replay_trains_under_the_schedule(capsys):
    """A replay of a run, or of a file, has the schedule of its best member, to its end, and the run's metric."""
    called(capsys, "schedule", "good", "--format", "json", "-o", "best.json")
    schedule = ramet.open("runs/good").schedule()
    words = ["clitrained.py:train", "--executor", "inline", "--json", "--members", "2"]
    for number, source in enumerate((["good"], ["best.json", "--metric", "score", "--mode", "max"])):
        found = strict(called(capsys, "replay", *source, *words, "--name", f"again{number}")[1])
        again = ramet.open(f"runs/again{number}")
        assert found["run"] == f"again{number}"
        assert found["best"]["iteration"] == schedule.last
        assert len(again.members()) == 2
        assert [again.schedule(1).at(i) for i in range(1, 10)] == [schedule.at(i) for i in range(1, 10)]


def test_branch_hands_the_point_to_the_tuner(capsys, branched):
    """Segment and iteration name the point; an iteration alone is one of the best member's model."""
    words = ["branch", "good", "clitrained.py:train", "--stop", "training_iteration=12", *QUICK, "--name", "other"]
    steps = ramet.open("runs/good").lineage()
    for more, start in (
        ([], None),
        (["--segment", "2"], 2),
        (["--segment", "2", "--iteration", "3"], (2, 3)),
        (["--iteration", "4"], (next(s.segment for s in steps if s.first <= 4 <= s.last), 4)),
    ):
        assert called(capsys, *words, *more)[0] == 0
        name, function, asked, config = branched[-1]
        assert (name, function, asked) == ("good", "train", start)
        assert (config.name, config.stop, config.executor) == ("other", {"training_iteration": 12}, "inline")


def test_replay_refuses_what_was_not_loaded(capsys, tmp_path):
    """A schedule with an object of the run's space, which readers do not load, is told and not trained with."""
    function = function_of("clitrained.py:train")
    space = {"lr": 0.1, "size": 1, "where": Path("x")}
    config = ramet.RunConfig(
        name="odd", storage_path="runs", stop={"training_iteration": 2}, verbose=0, executor="inline"
    )
    tune = ramet.TuneConfig(metric="score", mode="max")
    ramet.Tuner(function, param_space=space, tune_config=tune, run_config=config).fit()
    status, _, err = called(capsys, "replay", "odd", "clitrained.py:train", *QUICK)

    assert status == 1
    assert "where=<PosixPath('x')>, an object" in err
    assert "private=['where']" in err
    assert called(capsys, "schedule", "odd", "--format", "json")[0] == 1
    assert strict(called(capsys, "schedule", "odd", "--json")[1])["steps"][0]["hparams"]["where"] == "<PosixPath('x')>"


@pytest.mark.parametrize(
    ("ending", "expected"), [(SystemExit(143), 143), (SystemExit(75), 75), (KeyboardInterrupt(), 130)]
)
def test_an_ending_from_outside_is_a_status(capsys, monkeypatch, ending, expected):
    """Signals and a time limit during a run end the command with the statuses that shells know."""

    def fit(self):
        raise ending

    monkeypatch.setattr(ramet.Tuner, "fit", fit)
    assert called(capsys, "replay", "good", "clitrained.py:train", *QUICK)[0] == expected


def test_a_terminal_without_a_dash_gets_an_escape():
    """What an output cannot encode is told by its number, and is no traceback."""
    shutil.copytree("runs/good", "runs/größe")
    command = [sys.executable, "-W", "error", "-m", "ramet", "ls"]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)

    assert (done.returncode, done.stderr) == (0, "")
    assert r"gr\xf6\xdfe" in done.stdout


def test_members_that_fail_are_a_status(capsys):
    """A run whose members failed ends with status 1, for scripts to see."""
    Path("clifails.py").write_text("def train(config):\n    raise ValueError('no')\n")
    status, out, _ = called(
        capsys, "replay", "good", "clifails.py:train", "--executor", "inline", "--members", "2", "--json"
    )

    assert status == 1
    assert strict(out)["failed"] == 2
    assert strict(out)["best"] is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("nofile.py:train", "there is no file nofile.py"),
        ("broken.py:train", r"broken.py cannot be loaded, ZeroDivisionError: division by zero"),
        ("no-name.py:train", "cannot be imported under that name"),
        ("json.py:train", "json is already the name of"),
        ("clitrained.py:nothing", "has no nothing; it has other, train"),
        ("nomodule:train", "nomodule cannot be loaded, ModuleNotFoundError"),
    ],
)
def test_a_function_that_is_not_there_is_named(text, told):
    """What FUNCTION names is told if it cannot be had, and why."""
    Path("broken.py").write_text("1 / 0\n")
    for name in ("no-name.py", "json.py"):
        Path(name).write_text("def train(config): ...\n")
    with pytest.raises(ConfigError, match=told):
        function_of(text)


# ---------------------------------------------------------------------- care


def test_check_names_damage_and_repairs(capsys):
    """A run that lacks a checkpoint is told with status 1, and with --repair made whole."""
    for path in Path("runs/good/checkpoints").iterdir():
        shutil.rmtree(path)
    status, out, _ = called(capsys, "check", "good", "--json")
    found = strict(out)
    assert found["damages"]
    assert status == 1
    assert found["repaired"] is None
    status, out, _ = called(capsys, "check", "--repair", "good", "--json")
    assert status == 0
    assert strict(out)["left"] == []
    assert called(capsys, "check", "good")[0] == 0


def test_gc_deletes_what_belongs_to_nothing_when_told(capsys):
    """What is left behind is told with its size, and goes with --yes alone; nothing else is touched."""
    before = sorted(Path("runs/good/checkpoints").rglob("*"))
    scratch = Path("runs/good/checkpoints/tmp-0123456789abcdef")
    scratch.mkdir()
    (scratch / "file").write_bytes(bytes(5000))
    found = strict(called(capsys, "gc", "good", "--json")[1])

    assert found["removed"] is False
    assert found["bytes"] == 5000
    assert found["runs"][0]["left"] == [{"name": scratch.name, "bytes": 5000}]
    out = called(capsys, "gc", "good")[1]
    assert scratch.name in out
    assert "ramet gc --yes" in out
    assert scratch.exists()
    status, out, err = called(capsys, "gc", "runs", "--yes")  # all of a folder, the damaged one is passed over
    assert status == 0
    assert "removed 1 folder, 5 KB" in out
    assert err.startswith("passed over: ")
    assert sorted(Path("runs/good/checkpoints").rglob("*")) == before


@pytest.mark.parametrize("more", [[], ["--yes"]])
def test_gc_leaves_a_run_alone_that_is_under_way(capsys, more):
    """What a process is writing belongs to nothing yet: while one is at work nothing is deleted."""
    scratch = Path("runs/good/checkpoints/tmp-0123456789abcdef")
    scratch.mkdir()
    with RunLock.take("runs/good"):
        status, _, err = called(capsys, "gc", "good", *more)
        assert status == 1
        assert "at work" in err
        status, out, _ = called(capsys, "gc", "runs", *more, "--json")
        assert status == 0
        assert {Path(each["path"]).name for each in strict(out)["skipped"]} == {"good", "bad"}
    assert scratch.exists()


def test_doctor_tells_of_the_machine(capsys, monkeypatch, tmp_path):
    """Versions, the GPUs that may be seen, and where runs lie are those that there are; nothing is left behind."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,3")
    monkeypatch.setenv("RAMET_RUNS", str(tmp_path / "not" / "yet"))
    found = strict(called(capsys, "doctor", "--json")[1])

    assert found["ramet"] == ramet.__version__
    assert found["gpus"] == ["0", "3"]
    assert found["runs"]["path"] == str(tmp_path / "not" / "yet")
    assert found["runs"]["there"] is False
    assert found["runs"]["writable"] is True
    assert found["runs"]["sync_seconds"] > 0
    assert set(found["libraries"]) == set(LIBRARIES)
    assert found["libraries"]["numpy"]
    assert not (tmp_path / "not").exists()


def test_doctor_names_what_is_in_the_way(capsys, monkeypatch, tmp_path):
    """Runs that cannot be kept are a trouble, with the way out, and a status for scripts."""
    monkeypatch.setenv("RAMET_RUNS", str(tmp_path / "clitrained.py"))
    status, out, _ = called(capsys, "doctor", "--json")
    (trouble,) = (each for each in strict(out)["troubles"] if each["serious"])

    assert status == 1
    assert "cannot be written" in trouble["what"]
    assert "RAMET_RUNS" in trouble["way_out"]
    assert called(capsys, "doctor")[0] == 1


# ---------------------------------------------------------------------- shells

BASH = shutil.which("bash")


def completed(words, runs):
    """Return what a real bash offers for the last of ``words``."""
    script = subprocess.run(
        [sys.executable, "-m", "ramet", "completion", "bash"], capture_output=True, text=True, check=True
    ).stdout
    listed = " ".join(f"'{word}'" for word in words)
    code = (
        f"{script}\ncompopt() {{ :; }}\nCOMP_WORDS=({listed}); COMP_CWORD={len(words) - 1}; _ramet\n"
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        [BASH, "-c", code], capture_output=True, text=True, check=False, env={**os.environ, "RAMET_RUNS": str(runs)}
    )
    assert done.stderr == ""
    return {line for line in done.stdout.splitlines() if line}


@pytest.mark.skipif(BASH is None, reason="there is no bash")
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["ramet", "sch"], {"schedule"}),
        (["ramet", ""], {*VERBS, "--help", "--version"}),
        (["ramet", "schedule", "--format", ""], {"table", "json", "python", "optax", "torch"}),
        (["ramet", "schedule", "--form"], {"--format"}),
        (["ramet", "show", "go"], {"good"}),
        (["ramet", "show", "good", "--js"], {"--json"}),
        (["ramet", "show", "runs/g"], {"runs/good"}),
        (["ramet", "export", "good", "re"], {"reports", "replacements"}),
        (["ramet", "resume", "good", "clit"], {"clitrained.py"}),
        (["ramet", "schedule", "good", "-o", "clit"], {"clitrained.py"}),
        (["ramet", "show", "a b"], {"a b c"}),
        (["ramet", "completion", "z"], {"zsh"}),
    ],
)
def test_bash_completes(words, offered, tmp_path):
    """A real bash is offered verbs, options, their values, files, and the names of runs, blanks and all."""
    shutil.copytree("runs/good", "runs/a b c")

    assert completed(words, tmp_path / "runs") == offered


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_is_one_that_the_shell_can_read(capsys, shell):
    """Each script names every verb and option, and where its shell is installed it finds no fault with it."""
    script = called(capsys, "completion", shell)[1]

    assert all(name in script for name in VERBS)
    assert "steps-per-iteration" in script
    if shutil.which(shell):
        Path("script").write_text(script)
        done = subprocess.run([shell, "-n", "script"], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
