"""Pictures: what is drawn is what happened, whatever happened."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.collections import LineCollection, PathCollection, PolyCollection
from matplotlib.patches import FancyArrowPatch

import ramet
from ramet.errors import ConfigError, RametError
from ramet.problems import triangle
from ramet.strategy.base import Decision
from ramet.view import plots
from ramet.view.plots import tree
from ramet.view.plots.story import Story


def hill(config):
    """Walk to the origin of a plane, along the axes that the hyperparameters h0 and h1 say."""
    theta = np.array([0.9, 0.9])
    if checkpoint := ramet.get_checkpoint():
        theta = checkpoint.to_dict()["theta"]
    while True:
        theta = theta - config["lr"] * np.array([config["h0"], config["h1"]]) * theta
        checkpoint = ramet.Checkpoint.from_dict({"theta": theta})
        ramet.report(
            {"Q": -float(theta @ theta) - theta[1] ** 2, "theta0": theta[0], "theta1": theta[1]}, checkpoint=checkpoint
        )


def odd(config):
    """Do all that a picture may stumble over: NaN, a huge loss, members that fail at once and later."""
    where = ramet.get_context()
    if where.member == 1:
        raise ValueError("cannot even start")
    x = 0.0
    if checkpoint := ramet.get_checkpoint():
        x = checkpoint.to_dict()["x"]
    while True:
        x += config["lr"] + 0.05 * ramet.rng().normal()
        if where.member == 2 and ramet.get_context().iteration == 12:
            raise RuntimeError("dies")
        loss = math.nan if config["lr"] > 0.8 else 1e20 if config["lr"] > 0.6 else math.exp(-x)
        ramet.report({"loss": loss, "note": "a word"}, checkpoint=ramet.Checkpoint.from_dict({"x": x}))


def nowhere(config):
    """Report a score that is no number."""
    while True:
        ramet.report({"loss": math.nan}, checkpoint=ramet.Checkpoint.from_dict({}))


def population(train, folder, mutations, *, space=None, metric="accuracy", mode="max", members=1, stop=40, synch=True):
    """Run a small population, or with no mutations a plain search, and return its results."""
    scheduler = None
    if mutations:
        scheduler = ramet.PopulationBasedTraining(
            time_attr="training_iteration",
            perturbation_interval=5,
            quantile_fraction=0.5,
            hyperparam_mutations=mutations,
            synch=synch,
        )
    return ramet.Tuner(
        train,
        param_space=space or {},
        tune_config=ramet.TuneConfig(metric=metric, mode=mode, num_samples=members, scheduler=scheduler, seed=1),
        run_config=ramet.RunConfig(
            storage_path=folder, stop={"training_iteration": stop}, verbose=0, executor="inline"
        ),
    ).fit()


LR = {"lr": ramet.loguniform(1e-4, 2e-2)}
GRID = {"lr": 0.1, "h0": ramet.grid_search([1.0, 0.0]), "h1": ramet.sample_from(lambda spec: 1 - spec.config["h0"])}
PLANE = {"h0": ramet.uniform(0.0, 1.0), "h1": ramet.uniform(0.0, 1.0)}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The results of all kinds of small runs, by name."""
    folder = tmp_path_factory.mktemp("runs")
    words = {"lr": ramet.uniform(0.0, 1.0), "opt": ramet.choice(["adam", "sgd"]), "batch": [16, 32, 64]}
    return {
        "hill": population(hill, folder, PLANE, space=GRID, metric="Q"),
        "grid": population(hill, folder, None, space=GRID, metric="Q"),
        "wave": population(triangle.train, folder, LR, members=4),
        "drifting": population(triangle.train, folder, LR, members=8, stop=80, synch=False),
        "crowd": population(triangle.train, folder, LR, members=30, stop=20),
        "alone": population(triangle.train, folder, LR, stop=12),
        "odd": population(odd, folder, words, metric="loss", mode="min", members=8),
        "nowhere": population(nowhere, folder, {"lr": [1, 2]}, metric="loss", mode="min", members=3, stop=6),
    }


ALL = ["hill", "grid", "wave", "drifting", "crowd", "alone", "odd", "nowhere"]


@pytest.fixture(autouse=True)
def _no_figure_is_left():
    yield
    plt.close("all")


def collection(ax, label):
    """Return the collection that was drawn under a label."""
    (found,) = (each for each in ax.collections if each.get_label() == label)
    return found


def line(ax, label="_lineage"):
    """Return the points of the line that was drawn under a label."""
    (found,) = (each for each in ax.lines if each.get_label() == label)
    return found.get_xydata()


def entries(ax):
    """Return the texts of the legend."""
    return {text.get_text() for text in ax.get_legend().get_texts()}


def rows(results):
    """Return the number of reports in a run."""
    return sum(segment.last - segment.start for segment in results.population.segments)


# ---------------------------------------------------------------------- whatever happened


@pytest.mark.parametrize("name", ALL)
def test_every_run_can_be_drawn(runs, name, tmp_path):
    """All four pictures can be drawn and saved of one member, no exploit, NaN, huge scores, failures and silence."""
    results = runs[name]
    metric = results.population.facts["metric"]
    drawn = [
        plots.parameter_history(results, "config/lr" if name != "nowhere" else metric, metric, perturbation_interval=5),
        plots.score_history(results),
        plots.schedules(results, "lr"),
        plots.lineage_tree(results),
        plots.lineage_tree(results, color_by="lr", x="compute"),
        plots.lineage_tree(results, x="iteration"),
    ]
    for number, ax in enumerate(drawn):
        ax.figure.savefig(tmp_path / f"{number}.png")
        assert ax.get_xlabel()
        assert ax.get_ylabel()


@pytest.mark.parametrize("draw", [plots.parameter_history, plots.score_history, plots.lineage_tree])
def test_the_legend_covers_no_data(runs, draw):
    """The legend stands above the axes, not in them."""
    ax = draw(runs["hill"])
    ax.figure.canvas.draw()

    assert ax.get_legend().get_window_extent().y0 >= ax.get_window_extent().y1


def test_what_is_given_is_drawn_into(runs):
    """With ax= the pictures go there, are returned as such, and no other figure is made."""
    figure, axes = plt.subplots(2, 2)
    given = axes.ravel()
    made = [
        plots.parameter_history(runs["hill"], ax=given[0]),
        plots.score_history(runs["hill"], ax=given[1]),
        plots.schedules(runs["hill"], "h0", ax=given[2]),
        plots.lineage_tree(runs["hill"], ax=given[3]),
    ]

    assert made == list(given)
    assert plt.get_fignums() == [figure.number]


@pytest.mark.parametrize("module", ["matplotlib", "matplotlib.pyplot"])
@pytest.mark.parametrize("draw", [plots.parameter_history, plots.score_history, plots.schedules, plots.lineage_tree])
def test_without_matplotlib_the_way_to_it_is_told(runs, monkeypatch, draw, module):
    """Where matplotlib is missing, a RametError says how to install it."""
    monkeypatch.setitem(sys.modules, module, None)

    with pytest.raises(RametError, match="pip install matplotlib"):
        draw(runs["hill"])


def test_the_package_shows_only_what_draws():
    """What completion offers are the four functions."""
    assert dir(plots) == sorted(plots.__all__)
    assert len(plots.__all__) == 4


def test_unreported_names_are_answered_with_all_that_can_be_drawn(runs):
    """The names that exist are listed, those of hyperparameters too."""
    with pytest.raises(ConfigError, match=r"'theta1'.*accuracy.*config/lr"):
        plots.parameter_history(runs["wave"], "config/lr")


def test_matplotlib_is_loaded_when_something_is_drawn():
    """Importing the pictures does not load matplotlib."""
    code = "import sys, ramet.view.plots; sys.exit('matplotlib' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_members_colours_differ_and_a_crowd_is_grey(runs):
    """Up to eight members have a colour each, more have none of their own."""
    assert len(set(Story(runs["drifting"]).colors)) == 8
    assert len(set(Story(runs["crowd"]).colors)) == 1


def test_a_run_without_exploits_mentions_none(runs):
    """The legend of a plain search speaks neither of clones nor of what was given up."""
    for draw in (plots.parameter_history, plots.score_history, plots.lineage_tree):
        assert not entries(draw(runs["grid"])) & {"becomes a clone", "given up", "given up (thin)"}


def test_a_member_that_explores_on_its_own_weights_is_no_clone(tmp_path):
    """New hyperparameters on the same weights give a new level in the schedule, and neither arrow nor curve."""

    class Halving(ramet.Strategy):
        interval = 5

        def decide(self, scene):
            hparams = {member: dict(scene.hparams(member)) for member in scene.ready}
            return [
                Decision(m, "explore", "halved", scene.points[m].checkpoint, {**hparams[m], "lr": hparams[m]["lr"] / 2})
                for m in scene.ready
            ]

    results = ramet.Tuner(
        hill,
        param_space=GRID,
        tune_config=ramet.TuneConfig(metric="Q", mode="max", scheduler=Halving(), seed=0),
        run_config=ramet.RunConfig(
            storage_path=tmp_path, stop={"training_iteration": 15}, verbose=0, executor="inline"
        ),
    ).fit()

    assert len(results.population.segments) == 6
    assert plots.parameter_history(results).patches[:] == []
    assert len(collection(plots.lineage_tree(results), "_clones").get_paths()) == 0
    assert line(plots.schedules(results, "lr"))[:, 1].tolist() == [0.1, 0.1, 0.05, 0.05, 0.025, 0.025]


# ---------------------------------------------------------------------- trajectories and scores


def test_parameter_history_draws_every_report_as_a_point(runs):
    """There are as many points as reports; those at which weights were given up, or at each interval, are larger."""

    def points(ax):
        sizes = [each.get_sizes() for each in ax.collections if isinstance(each, PathCollection)]
        sizes = np.concatenate([each for each in sizes if len(each) > 1])  # the others are the crosses at the ends
        return len(sizes), int((sizes == sizes.max()).sum())

    results = runs["hill"]
    assert points(plots.parameter_history(results)) == (rows(results), results.population.exploits)
    assert points(plots.parameter_history(results, perturbation_interval=5)) == (rows(results), rows(results) // 5)


def test_parameter_history_draws_an_arrow_for_every_exploit(runs):
    """A dashed arrow leads from each abandoned point to its donor's."""
    results = runs["hill"]
    population = results.population
    ax = plots.parameter_history(results)
    arrows = [patch for patch in ax.patches if isinstance(patch, FancyArrowPatch)]
    frames = [result.metrics_dataframe for result in results]
    jumps = []
    for segment in population.segments:
        if segment.parent is not None:
            donor = frames[population.segments[segment.parent].member]
            row = donor[(donor["segment"] == segment.parent) & (donor["training_iteration"] == segment.start)].iloc[0]
            jumps.append((row["theta0"], row["theta1"]))

    assert len(arrows) == len(jumps) == population.exploits > 0
    assert np.allclose([arrow._posA_posB[1] for arrow in arrows], jumps)
    assert {"becomes a clone", "given up"} <= entries(ax)


def test_what_lived_on_and_what_was_given_up_are_drawn_apart(runs):
    """The strong lines hold exactly the reports that are in some final model, the faint ones the others."""
    results = runs["wave"]
    ax = plots.score_history(results)
    living = {tuple(row) for r in results for row in r.lineage_dataframe[["training_iteration", "accuracy"]].to_numpy()}
    every = {tuple(row) for r in results for row in r.metrics_dataframe[["training_iteration", "accuracy"]].to_numpy()}
    drawn = {}
    for suffix in ("", ", given up"):
        lines = [each for member in range(4) for each in collection(ax, f"_member {member}{suffix}").get_segments()]
        drawn[suffix] = {tuple(point) for each in lines if len(each) > 1 for point in each}

    assert drawn[""] == living
    assert drawn[", given up"] >= every - living > set()


@pytest.mark.parametrize("name", ["wave", "drifting", "crowd"])
def test_score_history_draws_the_training_curve_of_the_best_model(runs, name):
    """The lineage that is drawn out is the best model's training curve, row by row."""
    results = runs[name]
    curve = results.get_best_result().lineage_dataframe[["training_iteration", "accuracy"]].to_numpy()

    assert np.array_equal(line(plots.score_history(results)), curve)


@pytest.mark.parametrize("draw", [plots.score_history, plots.lineage_tree])
def test_a_result_in_place_of_the_grid_draws_its_own_lineage(runs, draw):
    """With a Result the path of that one is drawn out, and the legend says whose it is."""
    results = runs["wave"]
    other = next(result for result in results if result.member != results.get_best_result().member)
    ax = draw(other)

    assert line(ax)[-1][0] == other.iteration
    assert f"lineage of the model of member {other.member}" in entries(ax)


def test_score_history_says_which_way_is_better(runs):
    """The axis of the run's own metric names it and its direction; that of another metric only the name."""
    assert plots.score_history(runs["wave"]).get_ylabel() == "accuracy (higher is better)"
    assert plots.score_history(runs["wave"], "optimal_lr").get_ylabel() == "optimal_lr"


def test_a_score_beyond_all_others_is_left_out_and_counted(runs):
    """Losses of 1e20 do not flatten the others: they are outside the frame, and the axis says how many there are."""
    results = runs["odd"]
    ax = plots.score_history(results)
    far = sum(int((result.metrics_dataframe.get("loss", np.zeros(1)) > 1e10).sum()) for result in results)

    assert far > 0
    assert ax.get_ylabel() == f"loss (lower is better; {far} reports beyond the frame)"
    assert ax.get_ylim()[1] < 10
    for member in range(len(results)):
        for drawn in collection(ax, f"_member {member}, given up").get_segments():
            assert np.nanmax(drawn, initial=0.0) < 100


def test_a_report_is_not_far_off_because_the_best_model_stood_still(tmp_path):
    """What a tenth of all reports hold is in the frame, however narrow the way of the models that came out."""
    results = population(hill, tmp_path, PLANE, space={**GRID, "lr": 0.02}, metric="Q", stop=10)
    ax = plots.parameter_history(results)

    assert (ax.get_xlabel(), ax.get_ylabel()) == ("theta0", "theta1")


def test_scores_at_the_end_of_all_floats_are_drawn(tmp_path):
    """Scores of either sign, beyond what the difference of two floats can be, are no warning."""

    def train(config):
        for value in (1.0, -1e308, 1e308, 10**400, -math.inf, 2.0):
            ramet.report({"loss": value})

    results = population(train, tmp_path, None, metric="loss", mode="min", members=2)
    plots.score_history(results).figure.savefig(tmp_path / "x.png")
    plots.lineage_tree(results).figure.savefig(tmp_path / "y.png")


def test_colours_and_labels_are_those_given(runs):
    """Colours and labels go to the members in their order."""
    ax = plots.score_history(runs["hill"], colors=["black", "red"], labels=["first", "second"])

    assert {"first", "second"} <= entries(ax)
    assert np.array_equal(collection(ax, "_member 1").get_colors(), [mpl.colors.to_rgba("red")])


@pytest.mark.parametrize("argument", ["colors", "labels"])
def test_too_few_colours_or_labels_are_refused(runs, argument):
    """As many colours and labels are needed as there are members."""
    for draw in (plots.parameter_history, plots.score_history):
        with pytest.raises(ConfigError, match=f"{argument}= holds 1 for 2 members"):
            draw(runs["hill"], **{argument: ["red"]})


def test_an_unknown_metric_is_refused_with_the_known_ones(runs):
    """A metric that nobody reported is refused, and those that were are named."""
    for draw in (plots.score_history, lambda r, m: plots.parameter_history(r, m, "Q"), plots.lineage_tree):
        with pytest.raises(ConfigError, match=r"'loss'.*Q, theta0, theta1"):
            draw(runs["hill"], "loss")


def test_a_run_that_nothing_judged_needs_a_metric(tmp_path):
    """Without a metric score_history asks for one, and draws the one that it is given; the tree is grey."""
    results = population(hill, tmp_path, None, space=GRID, metric=None, mode=None, stop=4)
    with pytest.raises(ConfigError, match="needs metric="):
        plots.score_history(results)

    assert plots.score_history(results, "Q").get_ylabel() == "Q"
    assert len(plots.lineage_tree(results).figure.axes) == 1


# ---------------------------------------------------------------------- schedules


def test_schedules_draws_the_schedule_of_the_best_model(runs):
    """The lineage that is drawn out holds, iteration by iteration, what was in force along it."""
    best = runs["wave"].get_best_result()
    path = line(plots.schedules(runs["wave"], "lr"))
    expected = [(at, step.hparams["lr"]) for step in best.schedule for at in (step.first - 1, step.last)]

    assert path.tolist() == [list(point) for point in expected]


def test_every_stretch_of_training_is_a_level_line_at_its_value(runs):
    """Every segment's value is drawn by its member from its first to its last iteration."""
    results = runs["drifting"]
    ax = plots.schedules(results, "lr")
    level = {}
    for member in range(len(results)):
        for label in (f"_member {member}", f"_member {member}, given up"):
            for drawn in collection(ax, label).get_segments():
                for (x0, y0), (x1, y1) in itertools.pairwise(drawn):
                    if y0 == y1:
                        level[member, y0] = level.get((member, y0), 0) + x1 - x0
    expected = {}
    for segment in results.population.segments:
        key = (segment.member, segment.hparams["lr"])
        expected[key] = expected.get(key, 0) + segment.last - segment.start

    assert {key: value for key, value in level.items() if value} == {key: v for key, v in expected.items() if v}


def test_the_axis_is_logarithmic_where_the_domain_is(runs):
    """A log domain has a log axis, others have not."""
    assert plots.schedules(runs["wave"], "lr").get_yscale() == "log"
    assert plots.schedules(runs["hill"], "h0").get_yscale() == "linear"


def test_several_hyperparameters_have_a_panel_each(runs):
    """Without a key all that may change is drawn, one panel for each; words and list entries are the ticks."""
    panels = plots.schedules(runs["odd"]).axes

    assert [panel.get_ylabel() for panel in panels] == ["lr", "opt", "batch"]
    assert [tick.get_text() for tick in panels[1].get_yticklabels()] == ["adam", "sgd"]
    assert [tick.get_text() for tick in panels[2].get_yticklabels()] == ["16", "32", "64"]
    assert [bool(panel.get_xlabel()) for panel in panels] == [False, False, True]


def test_a_plain_search_draws_what_its_members_differ_in(runs, tmp_path):
    """Where no strategy changes anything, the keys with several values are drawn; where none has, one must be named."""
    assert [panel.get_ylabel() for panel in plots.schedules(runs["grid"]).axes] == ["h0", "h1"]

    same = population(hill, tmp_path, None, space={"lr": 0.1, "h0": 1, "h1": 1}, metric="Q", members=2, stop=2)
    with pytest.raises(ConfigError, match="name one, key="):
        plots.schedules(same)
    assert plots.schedules(same, "lr").get_ylabel() == "lr"


def test_schedules_refuses_what_it_cannot_place(runs):
    """An unknown key is refused with the known ones, and axes that are too few with both numbers."""
    with pytest.raises(ConfigError, match=r"no hyperparameter 'momentum'; the run's are h0, h1, lr|lr, h0, h1"):
        plots.schedules(runs["hill"], "momentum")
    with pytest.raises(ConfigError, match="1 axes for the 2 of"):
        plots.schedules(runs["hill"], ["h0", "h1"], ax=plt.figure().subplots())


def test_schedules_draws_into_as_many_axes_as_there_are_keys(runs):
    """Given axes are filled in the order of the keys, and their figure is returned."""
    figure, axes = plt.subplots(1, 2)

    assert plots.schedules(runs["hill"], ["h1", "h0"], ax=axes) is figure
    assert [ax.get_ylabel() for ax in axes] == ["h1", "h0"]


# ---------------------------------------------------------------------- the tree


def bars(ax):
    """Return the boxes of the bars as rows of left, right, low, high."""
    corners = np.array([path.vertices[:4] for path in collection(ax, "_bars").get_paths()])
    return np.column_stack([corners[:, 0, 0], corners[:, 1, 0], corners[:, 0, 1], corners[:, 2, 1]])


@pytest.mark.parametrize("x", ["iteration", "compute"])
@pytest.mark.parametrize("name", ALL)
def test_the_bars_of_a_tree_are_all_that_was_trained(runs, name, x):
    """The lengths of a tree's bars add up to the reports, and no bar lies upon another."""
    boxes = bars(plots.lineage_tree(runs[name], x=x))
    assert (boxes[:, 1] - boxes[:, 0]).sum() == rows(runs[name])

    middle = boxes[:, 2:].mean(axis=1)
    for row in np.unique(middle.round(6)):
        left, right = boxes[np.isclose(middle, row), :2][boxes[np.isclose(middle, row), 0].argsort()].T
        assert (left[1:] >= right[:-1]).all()


@pytest.mark.parametrize("name", ["hill", "wave", "drifting", "crowd"])
def test_a_tree_has_a_curve_for_every_exploit(runs, name):
    """There are as many curves as exploits, the strong ones to clones whose weights live on."""
    results = runs[name]
    ax = plots.lineage_tree(results)
    strong, faint = (len(collection(ax, label).get_paths()) for label in ("_clones", "_clones given up"))
    living = {step.segment for result in results for step in result.lineage}
    clones = [segment for segment in results.population.segments if segment.parent is not None]

    assert strong + faint == len(clones) == results.population.exploits
    assert strong == sum(segment.number in living for segment in clones)


@pytest.mark.parametrize("name", ["hill", "wave", "crowd"])
def test_the_path_of_a_tree_is_the_best_models_lineage(runs, name):
    """By iteration the drawn path goes from 0 to the best model's last iteration, along its members' rows."""
    best = runs[name].get_best_result()
    path = line(plots.lineage_tree(runs[name], x="iteration"))

    assert path[:, 0].tolist() == [at for step in best.lineage for at in (step.first - 1, step.last)]
    assert np.abs(path[::2, 1] - [step.member for step in best.lineage]).max() <= 0.4


def test_by_compute_the_bars_of_a_member_follow_each_other(runs):
    """Along its own work a member's row has one lane, from 0 to its compute, without a gap."""
    results = runs["drifting"]
    boxes = bars(plots.lineage_tree(results, x="compute"))
    for member in results.population.members:
        own = boxes[np.isclose(boxes[:, 2:].mean(axis=1), member.number)]
        own = own[own[:, 0].argsort()]
        assert own[0, 0] == 0
        assert (own[1:, 0] == own[:-1, 1]).all()
        assert own[-1, 1] == member.compute


def test_rows_that_would_be_divided_too_often_are_drawn_by_compute(runs, monkeypatch):
    """By default the axis is the model's iteration, unless a member passed an iteration more often than is readable."""
    lanes = tree._Rows(Story(runs["drifting"]), by_compute=False).lanes
    assert lanes > 1

    monkeypatch.setattr(tree, "LANES", lanes)
    assert plots.lineage_tree(runs["drifting"]).get_xlabel() == "training iteration of the model"
    monkeypatch.setattr(tree, "LANES", lanes - 1)
    assert plots.lineage_tree(runs["drifting"]).get_xlabel() == "iterations trained by the member"


def test_a_tree_is_coloured_by_what_it_is_told(runs):
    """The colours' scale names the metric and its direction, or the hyperparameter; words have a colour each."""
    names = {}
    for key in (None, "lr", "opt", "batch"):
        _, scale = plots.lineage_tree(runs["odd"], color_by=key).figure.axes
        names[scale.get_ylabel()] = [tick.get_text() for tick in scale.get_yticklabels()]

    assert list(names) == ["loss (lower is better)", "lr", "opt", "batch"]
    assert names["opt"] == ["adam", "sgd"]
    assert names["batch"] == ["16", "32", "64"]
    assert plots.lineage_tree(runs["wave"], "lr").figure.axes[1].get_yscale() == "log"


def test_a_tree_without_any_score_is_grey(runs):
    """Where no score is a number there is no scale of colours, and the bars are there all the same."""
    ax = plots.lineage_tree(runs["nowhere"])

    assert len(ax.figure.axes) == 1
    assert len(bars(ax)) > 0


def test_failures_are_crosses_in_the_tree(runs):
    """Each member that failed for good has a cross, also one that never reported."""
    ax = plots.lineage_tree(runs["odd"])
    (crosses,) = (each for each in ax.lines if each.get_marker() == "X")

    assert sorted(crosses.get_ydata().round().tolist()) == [1, 2]
    assert "failed" in entries(ax)


def test_the_rows_of_a_crowd_are_not_all_numbered(runs):
    """Tick labels are thinned, so that those of a large population can be read."""
    assert plots.lineage_tree(runs["wave"]).get_yticks().tolist() == [0, 1, 2, 3]
    assert len(plots.lineage_tree(runs["crowd"]).get_yticks()) <= 24


def test_long_runs_are_drawn_coarser(runs, monkeypatch):
    """A tree has about as many pieces of colour as it may, however many reports there were."""
    monkeypatch.setattr(tree, "PIECES", 100)
    ax = plots.lineage_tree(runs["drifting"])

    assert (bars(ax)[:, 1] - bars(ax)[:, 0]).sum() == rows(runs["drifting"])
    assert len(bars(ax)) < rows(runs["drifting"]) / 2


def test_an_axis_of_a_tree_that_there_is_not_is_refused(runs):
    """The horizontal axis is one of two."""
    with pytest.raises(ConfigError, match="must be 'iteration' or 'compute'"):
        plots.lineage_tree(runs["hill"], x="time")


def test_the_artists_are_few(runs):
    """A member is two collections of lines and a tree one of bars, however many segments there are."""
    ax = plots.schedules(runs["crowd"], "lr")
    assert sum(isinstance(each, LineCollection) for each in ax.collections) == 2 * len(runs["crowd"])

    ax = plots.lineage_tree(runs["crowd"])
    assert sum(isinstance(each, PolyCollection) for each in ax.collections) == 1
