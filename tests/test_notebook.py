"""Jupyter: a run shows itself in one output that is drawn over itself, and results show themselves as tables."""

from __future__ import annotations

import ast
import html.parser
import json
import sys
import types
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

import ramet
from ramet.core.events import Began, Finished, Kept, Opened, Reported
from ramet.core.population import Population
from ramet.notebook import display as display_module
from ramet.notebook import in_kernel
from ramet.notebook.display import NotebookDisplay
from ramet.notebook.markup import curve, page, said, told
from ramet.notebook.scenery import MOST_MEMBERS
from ramet.notebook.tables import MOST_ROWS
from ramet.schedule import Schedule, Step
from ramet.view.live import Display, GuardedDisplay, display_for

EXAMPLES = Path(__file__).parent.parent / "examples"
TUTORIALS = sorted(path.stem for path in (EXAMPLES / "notebooks").glob("*.ipynb"))

HOSTILE = "<img src=x onerror=alert(1)>&\"'"


class Elements(html.parser.HTMLParser):
    """Which elements and attributes a page has, and what is read on it."""

    ALLOWED = {
        "style",
        "div",
        "span",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "pre",
        "svg",
        "polyline",
        "circle",
        "line",
    }
    ATTRIBUTES = {
        "class",
        "style",
        "colspan",
        "width",
        "height",
        "viewbox",
        "points",
        "cx",
        "cy",
        "r",
        "x1",
        "x2",
        "y1",
        "y2",
    }

    def __init__(self, text):
        super().__init__()
        self.text, self.open = "", []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        assert tag in self.ALLOWED
        assert {name for name, _ in attrs} <= self.ATTRIBUTES
        self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data if "style" not in self.open else ""


def read(text):
    """Return what is read on a page, which has no element or attribute but those that ramet itself makes."""
    return Elements(text).text


# ---------------------------------------------------------------------- in a kernel


@pytest.fixture
def execute(tmp_path, monkeypatch):
    """Return a function that executes a notebook in a kernel of this interpreter, which sees no settings of a user."""
    for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR", "RAMET_RUNS"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    kernel = tmp_path / "share" / "kernels" / "here"
    kernel.mkdir(parents=True)
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (kernel / "kernel.json").write_text(json.dumps({"argv": command, "display_name": "here", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "share"))
    monkeypatch.delenv("MPLBACKEND", raising=False)

    def run(notebook):
        NotebookClient(
            notebook, timeout=120, kernel_name="here", resources={"metadata": {"path": str(tmp_path)}}
        ).execute()
        return [cell.outputs for cell in notebook.cells if cell.cell_type == "code"]

    return run


@pytest.mark.parametrize("name", TUTORIALS)
def test_a_tutorials_notebook_runs(name, execute):
    """It says nothing on standard error; each fit() leaves one output, which shows how the run ended; results are
    tables, and pictures are there.
    """
    outputs = [
        output for found in execute(nbformat.read(EXAMPLES / "notebooks" / f"{name}.ipynb", 4)) for output in found
    ]

    assert {output.output_type for output in outputs} == {"display_data", "execute_result"}
    pages = [output.data for output in outputs if "text/html" in output.data]
    live = [found for found in pages if "ended after" in found["text/plain"]]
    assert len(live) == {"quadratic": 2, "triangle_wave": 1}[name]
    for found in live:
        text = read(found["text/html"])
        assert "100 %" in text
        assert "members    " in text
        assert "every member is done" in text
        assert "rank  member  state" in found["text/plain"]
        assert 'class="bar"' in found["text/html"]
        assert "<svg" in found["text/html"]
    kinds = [read(found["text/html"]).split("  ")[0] for found in pages if found not in live]
    assert set(kinds) >= {"ResultGrid", "Schedule"}
    assert any("image/png" in output.data for output in outputs)


def test_what_a_run_shows_in_a_kernel(execute):
    """Prints stand below the table and never in it, names are text, a failure is told, verbose=0 shows nothing, and
    interrupting the kernel ends a run gently, with its last state left standing.
    """
    setup = f"""
import os, signal
import ramet
HOSTILE = {HOSTILE!r}

def hostile(config):
    print("printed " + HOSTILE)
    ramet.report({{HOSTILE: 1.0}})
    if config[HOSTILE] == 1:
        raise ValueError(HOSTILE)

def endless(config):
    for step in range(1_000_000):
        ramet.report({{"score": step}}, checkpoint=ramet.Checkpoint.from_dict({{}}))
        if step == 3:
            os.kill(os.getpid(), signal.SIGINT)

def fit(train, metric, **more):
    space = {{HOSTILE: ramet.grid_search([1, 2])}}
    tune = ramet.TuneConfig(metric=metric, mode="max", seed=1)
    return ramet.Tuner(train, param_space=space, tune_config=tune, run_config=ramet.RunConfig(**more)).fit()
"""
    cells = [
        setup,
        'fit(hostile, HOSTILE, name="<b>run", executor="process")',
        "quiet = fit(hostile, HOSTILE, verbose=0, executor='process')",
        'try:\n    fit(endless, "score", executor="inline")\nexcept KeyboardInterrupt:\n    print("left")',
    ]
    nothing, shown, quiet, ended = execute(
        nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    )

    assert nothing == quiet == []
    table, result = (output.data for output in shown if output.output_type != "stream")
    printed = "".join(output.text for output in shown if output.output_type == "stream")
    assert {output.name for output in shown if output.output_type == "stream"} == {"stdout"}
    assert printed.count(f"] printed {HOSTILE}\n") == 2
    assert f"ValueError: {HOSTILE}" in printed
    for found in (table, result):
        text = read(found["text/html"])
        assert "printed" not in text
        assert "ValueError: <img" in text
        assert "<b>run" in text
    assert "1 finished, 1 failed" in read(table["text/html"])
    tables = [output.data for output in ended if output.output_type == "display_data"]
    assert len(tables) == 1
    assert "interrupted from the keyboard" in read(tables[0]["text/html"])
    assert "go on" in tables[0]["text/plain"]
    assert "left\n" in "".join(output.text for output in ended if output.output_type == "stream")


# ---------------------------------------------------------------------- what is drawn when


class Handle:
    """What IPython gives to update an output by."""

    def __init__(self):
        self.updates = []

    def update(self, bundle, raw):
        assert raw
        self.updates.append(bundle)


@pytest.fixture
def kernel(monkeypatch):
    """A stand-in for a Jupyter kernel: the outputs that were made, each with its updates."""
    made = []

    def display(bundle, raw, display_id):
        assert raw
        assert display_id is True
        made.append(Handle())
        made[-1].update(bundle, raw)
        return made[-1]

    fake, inner = types.ModuleType("IPython"), types.ModuleType("IPython.display")
    fake.get_ipython = lambda: types.SimpleNamespace(kernel=object())
    fake.display, inner.display = inner, display
    monkeypatch.setitem(sys.modules, "IPython", fake)
    monkeypatch.setitem(sys.modules, "IPython.display", inner)
    return made


def population(members, metric="score", name="lr"):
    """Return a population that has reported once."""
    facts = {"run": "r", "metric": metric, "mode": "max", "time_attr": "training_iteration", "goal": 10.0}
    found = Population()
    found.apply(Began(7, members, {**facts, "strategy": {"name": "P", "interval": 5}, "mutable": {name: {}}}))
    for number in range(members):
        found.apply(Opened(number, number, None, 0, {name: 0.1}, {"why": "founder"}))
        found.apply(Reported(number, 1, 5, {metric: float(number)}, "", "", 0.0))
        found.apply(Kept(number, 5, 5.0, float(number), float(number), 1.0))
    return found


def test_only_a_kernel_gets_it(kernel, monkeypatch):
    """In a kernel fit() shows itself in the notebook, wherever members train; outside, or in IPython on a terminal,
    it does not, and nobody loads IPython to know.
    """
    assert in_kernel()
    for interactive in (False, True):
        found = display_for(1, interactive)
        assert isinstance(found, GuardedDisplay)
        assert isinstance(found.inner, NotebookDisplay)
    assert type(display_for(0, False)) is Display
    sys.modules["IPython"].get_ipython = lambda: types.SimpleNamespace(kernel=None)
    assert not in_kernel()
    sys.modules["IPython"].get_ipython = lambda: None
    assert not in_kernel()
    monkeypatch.delitem(sys.modules, "IPython")
    assert not in_kernel()
    assert "IPython" not in sys.modules


def test_one_output_is_drawn_over_itself(kernel, monkeypatch, tmp_path, capsys):
    """However often a run calls, there is one output, no text but what was printed, and no drawing before its time."""
    monkeypatch.setattr(display_module, "DRAW_SECONDS", 1e9)
    display, people = NotebookDisplay(), population(3)
    display.start(tmp_path, people)
    for _ in range(1000):
        display.update(people, {})
    assert [len(handle.updates) for handle in kernel] == [1]
    for number in range(3):
        people.apply(Finished(number, "done"))
    display.events([Finished(0, "done")], people)
    display.close(people)
    (handle,) = kernel
    assert len(handle.updates) == 2
    assert "ended after" in read(handle.updates[-1]["text/html"])
    assert "member 0 (0) finished at iteration 5: done" in read(handle.updates[-1]["text/html"])
    assert capsys.readouterr() == ("", "")


def test_a_flood_of_prints_does_not_drown_the_notebook(kernel, tmp_path, capsys):
    """Of what is printed between two drawings only the beginning is shown, and altogether no more than a bound."""
    display, people = NotebookDisplay(), population(1)
    display.start(tmp_path, people)
    for _ in range(100):
        for number in range(1000):
            display.output(0, f"line {number}\n")
        display._next = 0.0
        display.update(people, {})
    told = capsys.readouterr().out.splitlines()
    assert told[:2] == ["[member 0] line 0", "[member 0] line 1"]
    assert told[display_module.MOST_AT_ONCE] == "… 900 lines not shown; the run's folder has them"
    assert len(told) <= display_module.MOST_PRINTED + 1


def test_of_many_members_those_worth_seeing_are_shown(kernel, tmp_path):
    """Four hundred members make a table of bounded size, that says how many are not in it."""
    display, people = NotebookDisplay(), population(400, metric="<b>", name="<i>")
    display.start(tmp_path, people)
    shown = kernel[0].updates[-1]["text/html"]
    assert shown.count("<tr>") <= MOST_MEMBERS + 2
    assert "more: median score" in read(shown)
    assert "best <b> 399 by member 399" in read(shown)
    assert "<i>" in read(shown)


# ---------------------------------------------------------------------- results


@pytest.fixture(scope="module")
def grid(tmp_path_factory):
    """Sixty members with hostile names, one of which fails."""

    def train(config):
        for step in range(1, 9):
            if config[HOSTILE] > 0.98:
                raise ValueError(HOSTILE)
            metrics = {HOSTILE: config[HOSTILE] / step}
            ramet.report(metrics, checkpoint=ramet.Checkpoint.from_dict({"step": step}))

    scheduler = ramet.PopulationBasedTraining(
        perturbation_interval=2, hyperparam_mutations={HOSTILE: ramet.uniform(0.0, 0.97)}, synch=True
    )
    return ramet.Tuner(
        train,
        param_space={HOSTILE: ramet.uniform(0.0, 1.0), "other": {"<i>": "<s>"}},
        tune_config=ramet.TuneConfig(metric=HOSTILE, mode="max", num_samples=60, seed=3, scheduler=scheduler),
        run_config=ramet.RunConfig(
            name="<u>", storage_path=tmp_path_factory.mktemp("grid"), verbose=0, executor="inline"
        ),
    ).fit()


def test_a_grid_is_a_table_of_its_members(grid):
    """The best stand first, with rank, state, score, curve and configuration; of many only the first, and how many
    more there are.
    """
    shown = grid._repr_html_()
    text = read(shown)
    assert shown.count("<tr>") == MOST_ROWS + 2
    assert "… 10 more" in text
    assert "60 members" in text
    assert "exploits" in text
    assert grid.experiment_path in text
    assert "<svg" in shown
    assert "other/<i>" in text
    first = grid.get_best_result().member
    assert f'<td><span class="bold">1</span></td><td><span class="bold">{first}</span></td>' in shown


def test_a_result_a_schedule_and_a_run_are_tables(grid):
    """Each shows what its repr says and more, and names are text."""
    best = grid.get_best_result()
    text = read(best._repr_html_())
    assert f"member {best.member}, finished, iteration 8" in text
    assert "other/<i>" in text
    assert "lineage" in text
    text = read(best.schedule._repr_html_())
    assert f"{len(best.schedule)} step" in text
    with ramet.open(grid.experiment_path) as run:
        text = read(run._repr_html_())
    assert "ended: " in text
    assert "60 members" in text
    assert "… 10 more" in text
    for result in grid:
        read(result._repr_html_())


def test_a_long_schedule_shows_its_beginning_and_its_end():
    """Of many steps those between are counted, of many hyperparameters those beyond; what never changed is left out."""
    steps = [
        Step(at + 1, at + 1, {"fixed": 1, **{f"h{number}": at for number in range(20)}}, at % 7, at)
        for at in range(300)
    ]
    text = read(Schedule(steps)._repr_html_())
    assert "300 steps, to iteration 300" in text
    assert "… 250 more steps" in text
    assert "300–300" in text
    assert "… 8 more hyperparameters" in text
    assert "fixed" not in text
    assert "0 steps" in read(Schedule([])._repr_html_())


def test_what_cannot_be_shown_as_a_table_is_shown_as_text():
    """A representation never raises: a notebook then shows the repr."""

    def fails(thing):
        raise RuntimeError(thing)

    assert told(fails, object()) is None
    assert object.__new__(ramet.ResultGrid)._repr_html_() is None


@pytest.mark.parametrize(
    "values", [[], [None], [1.0], [1.0, 2.0, None, 3.0], [float("nan"), 1.0], [-1.7e308, 1.7e308], [0.0, 5e-324]]
)
def test_a_curve_is_drawn_of_whatever_was_reported(values):
    """Breaks, single points, what is not finite, and numbers whose difference no float holds: all stay inside."""
    drawn = curve(values)
    assert "nan" not in drawn
    assert "inf" not in drawn
    read(page(drawn))


def test_text_is_only_ever_text():
    """Nothing that is said makes an element, an attribute, or a move of a terminal's cursor."""
    assert read(page(said(HOSTILE))) == HOSTILE
    assert said("\x1b[2J\ud800") == " "


# ---------------------------------------------------------------------- the notebooks in git


@pytest.mark.parametrize("name", TUTORIALS)
def test_a_notebook_tells_what_its_example_tells(name):
    """Its functions are those of the example of that name, word for word, and it is kept without outputs."""
    cells = nbformat.read(EXAMPLES / "notebooks" / f"{name}.ipynb", 4).cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    assert [(cell.outputs, cell.execution_count) for cell in code] == [([], None)] * len(code)

    def functions(text):
        found = [node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)]
        return {node.name: ast.get_source_segment(text, node) for node in found}

    there = functions((EXAMPLES / f"{name}.py").read_text(encoding="utf-8"))
    here = functions("\n".join(cell.source for cell in code))
    own = {"quadratic": {"run", "picture", "get_init_theta"}, "triangle_wave": set()}[name]
    assert {"train"} <= here.keys() - own
    assert {defined: here[defined] for defined in here.keys() - own} == {
        defined: there[defined] for defined in here.keys() - own
    }
