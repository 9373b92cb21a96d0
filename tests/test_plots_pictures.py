"""Plots of a run, for paper and for the screen: every plot of every kind of run, small, odd, hostile and large."""

from __future__ import annotations

import inspect
import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure as Printed
from plotly.graph_objects import Figure as Shown

import ramet
from ramet.errors import ConfigError, RunError
from ramet.executor.simulated import SimulatedExecutor
from ramet.plots import PLOTS, alike, paper, printed, screen, specs, thinning, traced
from ramet.plots.ink import FEW, THEMES
from ramet.plots.picture import MOST, Cells, Lines
from ramet.plots.source import Source

HOSTILE = "<img src=x onerror=alert(1)>$\\frac$%{x}\x1b[31m\x00" + "w" * 200
OLD = Path(__file__).parent / "data" / "runs" / "format3-finished"


def hill(config):
    """Climb, the faster the better the learning rate."""
    checkpoint = ramet.get_checkpoint()
    score = checkpoint.to_dict()["score"] if checkpoint else 0.0
    while True:
        score += math.exp(-((math.log10(config["optim"]["lr"]) + 2) ** 2)) + 0.01 * ramet.rng().normal()
        ramet.report({"score": score, "other": -score}, checkpoint=ramet.Checkpoint.from_dict({"score": score}))


def odd(config):
    """Do all that a picture may stumble over: NaN, an infinite and a huge score, failures at once and later."""
    where = ramet.get_context()
    if where.member == 1:
        raise ValueError("cannot even start")
    checkpoint = ramet.get_checkpoint()
    x = checkpoint.to_dict()["x"] if checkpoint else 0.0
    while True:
        x += 0.1
        if where.member == 2 and where.iteration == 7:
            raise RuntimeError("dies")
        score = {3: math.nan, 4: 1e300, 5: -math.inf}.get(where.member, x)
        ramet.report({"score": score}, checkpoint=ramet.Checkpoint.from_dict({"x": x}))


def nowhere(config):
    """Report a score that is no number."""
    while True:
        ramet.report({"score": math.nan}, checkpoint=ramet.Checkpoint.from_dict({}))


def silent(config):
    """End before anything is reported."""


def hostile(config):
    """Report under a name that is no name."""
    while True:
        ramet.report({HOSTILE: config[HOSTILE]["lr"]}, checkpoint=ramet.Checkpoint.from_dict({}))


MUTATIONS = {
    "optim": {"lr": ramet.loguniform(1e-4, 1)},
    "momentum": ramet.uniform(0.5, 0.99),
    "batch": ramet.lograndint(16, 1024),
    "act": ramet.choice(["relu", "<b>gelu</b>", "tanh"]),
}

RUNS = {
    "four": {"members": 4},
    "asynchronous": {"members": 6, "synch": False},
    "many": {"members": 24},
    "one": {"members": 1},
    "odd": {"train": odd, "members": 7},
    "nowhere": {"train": nowhere, "members": 3},
    "silent": {"train": silent, "members": 2},
    "unscored": {"members": 2, "metric": None, "mutations": None},
    "searched": {"members": 3, "mutations": None},
    "hostile": {
        "train": hostile,
        "members": 3,
        "metric": HOSTILE,
        "mutations": {HOSTILE: {"lr": ramet.loguniform(1e-4, 1), HOSTILE: ramet.choice([HOSTILE, "other"])}},
    },
    "barren": {"members": 3, "space": {}, "mutations": None, "train": nowhere},
}


def made(folder, train=hill, members=4, metric="score", synch=True, mutations=MUTATIONS, space=MUTATIONS, stop=40):
    """Run a population in virtual time, and return its folder."""
    scheduler = None
    if mutations:
        scheduler = ramet.PopulationBasedTraining(
            time_attr="training_iteration", perturbation_interval=5, synch=synch, hyperparam_mutations=mutations
        )
    grid = ramet.Tuner(
        train,
        param_space=mutations or space,
        tune_config=ramet.TuneConfig(
            metric=metric, mode=metric and "max", num_samples=members, scheduler=scheduler, seed=2
        ),
        run_config=ramet.RunConfig(
            storage_path=folder,
            stop={"training_iteration": stop},
            verbose=0,
            executor=SimulatedExecutor(slots=3, spread=0.3),
        ),
    ).fit()
    return Path(grid.experiment_path)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run of each kind, opened."""
    found = {name: ramet.open(made(tmp_path_factory.mktemp(name), **kind)) for name, kind in RUNS.items()}
    cut = tmp_path_factory.mktemp("old") / "run"
    shutil.copytree(OLD, cut)
    found["old"] = ramet.open(cut)
    yield found
    for run in found.values():
        run.close()


def texts(spec):
    """Yield every text of a plotly figure that is drawn, with where it is."""
    if isinstance(spec, dict):
        for key, value in spec.items():
            if isinstance(value, str) and key in ("text", "name", "label", "hovertemplate", "texttemplate"):
                yield key, value
            elif key in ("ticktext", "text") and isinstance(value, list):
                yield from ((key, each) for each in value)
            else:
                yield from texts(value)
    elif isinstance(spec, list):
        for each in spec:
            yield from texts(each)


def axes_of(spec):
    """Return the axes of a plotly figure."""
    return [value for key, value in spec["layout"].items() if key.startswith(("xaxis", "yaxis"))]


# ---------------------------------------------------------------------- every plot of every run


@pytest.mark.parametrize("kind", [*RUNS, "old"])
@pytest.mark.parametrize("name", PLOTS)
def test_every_plot_of_every_kind_of_run_is_a_figure_of_both_libraries(runs, name, kind):
    """Whatever a run holds, a plot is drawn, or says in words why it is not; and it is plain data without NaN."""
    picture = PLOTS[name].picture(runs[kind])
    assert picture.title
    assert picture.points <= MOST
    assert all(bool(panel.layers) != bool(panel.empty) for panel in picture.panels)
    spec = getattr(specs, name)(runs[kind], theme="dark")
    json.dumps(spec, allow_nan=False)
    assert isinstance(getattr(screen, name)(runs[kind]), Shown)
    figure = getattr(paper, name)(runs[kind])
    assert isinstance(figure, Printed)
    figure.canvas.draw()


@pytest.mark.parametrize("name", PLOTS)
def test_a_plot_has_the_same_name_and_arguments_for_paper_and_for_the_screen(name):
    """What is written for one kind of figure works for the other, and help() tells of all arguments."""
    given = [inspect.signature(getattr(module, name)) for module in (paper, screen, specs)]
    assert given[0] == given[1] == given[2]
    assert next(iter(given[0].parameters)) == "run"
    assert {"theme", "size", "title"} < set(given[0].parameters)
    assert "theme:" in getattr(paper, name).__doc__


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("name", PLOTS)
def test_a_theme_colours_the_ground_and_all_text(runs, name, theme):
    """On a dark ground nothing is written in black."""
    figure = getattr(paper, name)(runs["four"], theme=theme)
    assert figure.get_facecolor()[:3] == pytest.approx(_rgb(THEMES[theme].paper))
    layout = getattr(specs, name)(runs["four"], theme=theme)["layout"]
    assert layout["paper_bgcolor"] == layout["plot_bgcolor"] == THEMES[theme].paper
    assert layout["font"]["color"] == THEMES[theme].ink


def _rgb(colour):
    return [each / 255 for each in bytes.fromhex(colour[1:])]


def test_themes_are_legible():
    """Text stands out from its ground by 7 to 1, what stands back by 4.5 to 1, the members by 2 to 1."""

    def light(colour):
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in _rgb(colour)]
        return float(np.dot(linear, (0.2126, 0.7152, 0.0722)))

    def contrast(one, other):
        low, high = sorted((light(one), light(other)))
        return (high + 0.05) / (low + 0.05)

    for theme in THEMES.values():
        assert contrast(theme.ink, theme.paper) > 7
        assert contrast(theme.muted, theme.paper) > 4.5
        assert all(contrast(colour, theme.paper) > 2 for colour in theme.members)
        assert len(set(theme.members)) == FEW


# ---------------------------------------------------------------------- what is shown


@pytest.mark.parametrize("name", PLOTS)
def test_both_kinds_show_the_same_numbers(runs, name):
    """Every line of the picture is a line of matplotlib's and a trace of plotly's, with the same points."""
    picture = PLOTS[name].picture(runs["asynchronous"])
    drawn = [line.get_xydata() for ax in getattr(paper, name)(runs["asynchronous"]).axes for line in ax.lines]
    traces = [
        np.array([trace["x"], trace["y"]], "f8").T
        for trace in getattr(specs, name)(runs["asynchronous"])["data"]
        if trace["type"] == "scatter" and trace["mode"] == "lines" and len(trace["x"]) == len(trace["y"])
    ]
    for panel in picture.panels:
        for layer in panel.layers:
            if isinstance(layer, Lines):
                own = np.column_stack([layer.x, layer.y])
                assert any(_same(own, each, 1e-9) for each in drawn)
                assert any(_same(own, each, 1e-4) for each in traces)


def _same(one, other, near):
    return one.shape == other.shape and np.allclose(one, other, rtol=near, atol=near, equal_nan=True)


def test_axes_are_logarithmic_where_domains_are(runs):
    """A hyperparameter with a logarithmic domain has such an axis in every plot that shows it, and says so."""
    for name in ("schedules", "parameters"):
        panels = PLOTS[name].picture(runs["many"]).panels
        axes = [panel.y if name == "schedules" else panel.x for panel in panels]
        assert [axis.log for axis in axes] == [True, False, True, False]
        assert "log scale" in axes[0].label
        spec = getattr(specs, name)(runs["many"])
        assert sum(axis.get("type") == "log" for axis in axes_of(spec)) == 2
        scales = [(ax.get_xscale(), ax.get_yscale()) for ax in getattr(paper, name)(runs["many"]).axes]
        assert sum("log" in each for each in scales) == 2
    assert PLOTS["lineage"].picture(runs["four"], color="config/optim/lr").shade.log


def test_the_envelope_reaches_from_the_lowest_to_the_highest_report(runs):
    """However coarse a picture is, no extreme is lost; and the best lineage ends at the best score."""
    source = Source(runs["many"])
    scores = source.scores()
    bands = PLOTS["envelope"].picture(runs["many"]).panels[0].layers
    assert bands[0].low.min() == scores.value.min()
    assert bands[0].high.max() == scores.value.max()
    assert bands[-1].label == "best lineage"
    assert bands[-1].y[-1] == pytest.approx(source.best_value)
    assert source.best_value == runs["many"].best().value


def test_a_lineage_is_that_of_the_run(runs):
    """The line that is stressed goes through the members that trained the best model, or the one that was asked for."""
    for member in (None, 2):
        (line,) = [
            layer
            for layer in PLOTS["lineage"].picture(runs["four"], member=member).panels[0].layers
            if isinstance(layer, Lines) and "lineage" in layer.label
        ]
        steps = runs["four"].lineage(member)
        assert line.y[::2].tolist() == [step.member for step in steps]
        assert line.x.tolist() == [at for step in steps for at in (step.first - 1, step.last)]


def test_exploits_are_those_of_the_decisions(runs):
    """There is a mark for every clone, in the row of the member, with the gain that the table of decisions tells."""
    table = runs["four"].decisions().query("verdict == 'exploit'")
    (marks,) = PLOTS["exploits"].picture(runs["four"]).panels[0].layers
    assert sorted(marks.y) == sorted(table["member"])
    assert sorted(marks.values) == pytest.approx(sorted(table["donor_score"] - table["score"]))
    cells = PLOTS["replacements"].picture(runs["four"]).panels[0].layers[0]
    assert np.nansum(cells.z) == len(table)


def test_a_matrix_of_very_many_members_puts_neighbours_together(runs, monkeypatch):
    """No exploit is lost where cells stand for several members."""
    monkeypatch.setattr("ramet.plots.what.exploits.CELLS", 5)
    picture = PLOTS["replacements"].picture(runs["many"])
    (cells,) = picture.panels[0].layers
    assert cells.z.shape == (5, 5)
    assert np.nansum(cells.z) == runs["many"].replacements().to_numpy().sum()
    assert "5 × 5" in picture.note


@pytest.mark.parametrize("color", ["score", "other", "config/act", "config/momentum", "member", "founder"])
def test_a_lineage_can_be_coloured_by_anything(runs, color, monkeypatch):
    """A score, another metric, words, numbers and members are colours, of bars and of a raster."""
    bars = PLOTS["lineage"].picture(runs["four"], color=color)
    assert bars.shade is not None
    monkeypatch.setattr("ramet.plots.what.lineage.BARS", 3)
    raster = PLOTS["lineage"].picture(runs["four"], color=color)
    cells = raster.panels[0].layers[0]
    assert isinstance(cells, Cells)
    shown = set(np.concatenate([layer.values for layer in bars.panels[0].layers if hasattr(layer, "height")]).tolist())
    assert set(cells.z[np.isfinite(cells.z)].tolist()) <= shown
    paper.lineage(runs["four"], color=color).canvas.draw()
    json.dumps(specs.lineage(runs["four"], color=color), allow_nan=False)


@pytest.mark.parametrize(
    ("name", "limit"), [("lineage", "lineage.BARS"), ("exploits", "exploits.MARKS"), ("slots", "slots.BARS")]
)
def test_what_is_too_much_for_single_marks_becomes_a_raster(runs, name, limit, monkeypatch):
    """Long runs are shown as a raster, which says how it is to be read."""
    monkeypatch.setattr(f"ramet.plots.what.{limit}", 3)
    picture = PLOTS[name].picture(runs["asynchronous"])
    assert isinstance(picture.panels[0].layers[0], Cells)
    assert "cell" in picture.note
    getattr(paper, name)(runs["asynchronous"]).canvas.draw()


def test_a_sample_of_reports_says_so(runs, monkeypatch):
    """Where not all reports are drawn, the picture says how many of how many are."""
    monkeypatch.setattr("ramet.plots.what.parameters.MARKS", 200)
    picture = PLOTS["parameters"].picture(runs["many"])
    assert "a sample of 50 of 960 reports" in picture.note
    assert picture.panels[0].layers[0].points == 50


def test_a_thinned_line_keeps_its_extremes_and_its_gaps():
    """Of a line of very many points, the lowest, the highest, the ends, and the places where it is broken stay."""
    x, y = np.arange(100_000.0), np.random.Generator(np.random.PCG64(1)).normal(size=100_000)
    y[70_000] = np.nan
    few = thinning.thinned(x, y, 1000)
    assert len(few[0]) <= 1001
    assert np.nanmin(few[1]) == np.nanmin(y)
    assert np.nanmax(few[1]) == np.nanmax(y)
    assert (few[0][0], few[0][-1]) == (0, 99_999)
    assert np.isnan(few[1]).sum() == 1


# ---------------------------------------------------------------------- what is given


def test_a_plot_is_made_of_a_run_its_path_or_its_results(runs):
    """All three show the same; anything else is told, and what is no run as well."""
    run = runs["four"]
    told = [specs.diversity(given) for given in (run, run.path, str(run.path), run.results)]
    assert all(each == told[0] for each in told)
    with pytest.raises(ConfigError, match="not of int"):
        paper.lineage(3)
    with pytest.raises(RunError, match="holds no run"):
        paper.lineage(run.path.parent / "nothing")


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("lineage", {"color": "nothing"}, "nobody reported 'nothing'"),
        ("lineage", {"color": "momentum"}, "color='config/momentum'"),
        ("lineage", {"color": "config/nothing"}, "no hyperparameter 'nothing'"),
        ("lineage", {"member": 99}, "members 0 to 3"),
        ("schedules", {"names": ["nothing"]}, "no hyperparameter 'nothing'"),
        ("schedules", {"members": [99]}, "members 0 to 3"),
        ("envelope", {"metric": "nothing"}, "nobody reported 'nothing'"),
        ("exploits", {"color": "nothing"}, "'gain' or 'donor'"),
        ("parameters", {"name": "nothing"}, "no hyperparameter 'nothing'"),
        ("diversity", {"theme": "pink"}, "theme='pink' is none of 'light', 'dark'"),
        ("diversity", {"size": 3}, "size=3"),
        ("diversity", {"size": (0, 1)}, "must be a width and a height"),
    ],
)
def test_what_cannot_be_drawn_is_told(runs, name, arguments, told):
    """An error names what was asked for, and what there is."""
    for module in (paper, specs):
        with pytest.raises((ConfigError, RunError), match=told):
            getattr(module, name)(runs["four"], **arguments)


def test_size_and_title_are_those_asked_for(runs):
    """A size is in inches on paper and in pixels on the screen; a title stands in place of the finding."""
    figure = paper.envelope(runs["four"], size=(5, 3), title="mine")
    assert figure.get_size_inches().tolist() == [5, 3]
    assert figure.get_suptitle() == "mine"
    layout = specs.envelope(runs["four"], size=(640, 480), title="")["layout"]
    assert (layout["width"], layout["height"]) == (640, 480)
    assert "title" not in layout
    assert "width" not in specs.envelope(runs["four"])["layout"]


@pytest.mark.parametrize("name", PLOTS)
def test_hostile_names_do_no_harm(runs, name):
    """No name of the user's is markup, formula or template: neither in matplotlib nor in plotly."""
    spec = getattr(specs, name)(runs["hostile"])
    for key, text in texts(spec):
        bare = text.replace("<br>", "").replace("<extra></extra>", "").replace("<extra>", "").replace("</extra>", "")
        assert "<" not in bare, key
        assert "$" not in bare, key
        assert "\x1b" not in bare
        assert len(text) < 1000
        for field in ("%{x}", "%{y}", "%{x:.0f}", "%{y:.0f}", "%{z}", "%{base}", "%{customdata}", "%{marker.color}"):
            bare = bare.replace(field, "")
        assert "%{" not in bare, key
    getattr(paper, name)(runs["hostile"]).canvas.draw()


def test_text_is_plain_to_either_library():
    """What would be markup is shown as it is written."""
    assert traced.html("<b>&$%{x}\n") == "&#60;b&#62;&#38;&#36;&#37;&#123;x&#125;<br>"
    assert printed.plain("a$b\x1b[31m") == r"a\$b"


def test_a_plot_is_the_same_each_time(runs):
    """Nothing is drawn by chance: samples and the places of words are the same ones every time."""
    for name in PLOTS:
        assert getattr(specs, name)(runs["asynchronous"]) == getattr(specs, name)(runs["asynchronous"])


def test_figures_of_matplotlib_touch_no_global_state(runs):
    """No window, no current figure, no settings of the user's are changed."""
    import matplotlib as mpl
    from matplotlib import pyplot as plt

    before = dict(mpl.rcParams)
    for name in PLOTS:
        getattr(paper, name)(runs["four"])
    assert plt.get_fignums() == []
    assert dict(mpl.rcParams) == before


def test_every_plot_is_in_all_modules():
    """A row of the table has its function for paper, for the screen and as plain data."""
    for module in (paper, screen, specs):
        assert {name for name, value in vars(module).items() if hasattr(value, "__wrapped__")} == set(PLOTS)
    assert alike.LOOK.count(":") >= 3


def test_a_run_under_way_is_drawn_as_far_as_it_has_come(tmp_path):
    """A run that was broken off in its midst has all plots, up to where it came."""
    shutil.copytree(OLD.parent / "format4-broken-off", tmp_path / "run")
    run = ramet.open(tmp_path / "run")
    assert run.state == "broken off"
    for name in PLOTS:
        json.dumps(getattr(specs, name)(run), allow_nan=False)
        getattr(paper, name)(run).canvas.draw()
