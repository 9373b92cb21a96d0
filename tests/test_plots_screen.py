"""Plots for the screen, looked at in a browser: everything is drawn, and no name of the user's does anything."""

from __future__ import annotations

import json
from pathlib import Path

import plotly
import pytest
from test_plots_pictures import HOSTILE, RUNS, made

import ramet
from ramet.plots import PLOTS, specs

SCRIPT = Path(plotly.__file__).parent / "package_data" / "plotly.min.js"


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """The folders of a run with ordinary names and of one with hostile ones."""
    return {kind: made(tmp_path_factory.mktemp(kind), **RUNS[kind]) for kind in ("asynchronous", "hostile")}


def drawn(page, spec):
    """Draw a figure in a page, and return what it says."""
    page.set_content("<div id=figure></div>")
    page.add_script_tag(path=SCRIPT)
    page.evaluate("s => Plotly.newPlot('figure', s.data, s.layout)", json.loads(json.dumps(spec, allow_nan=False)))
    return page.locator("#figure").inner_text()


@pytest.mark.parametrize("name", PLOTS)
def test_a_plot_is_drawn_without_complaints(page, folders, name):
    """The library takes what it is given: nothing is thrown or logged as an error, and the title is there."""
    spec = getattr(specs, name)(folders["asynchronous"])
    told = drawn(page, spec)
    assert PLOTS[name].picture(folders["asynchronous"]).title in told


@pytest.mark.parametrize("name", ["schedules", "envelope", "parameters", "parallel", "lineage"])
def test_hostile_names_are_shown_as_they_are_written(page, folders, name):
    """A name that looks like HTML is text: it makes no element, runs nothing, and is there to be read."""
    asked = []
    page.on("dialog", lambda dialog: (asked.append(dialog.message), dialog.dismiss()))
    told = drawn(page, getattr(specs, name)(ramet.open(folders["hostile"])))
    page.mouse.move(300, 200)
    assert page.locator("#figure img").count() == 0
    assert HOSTILE[:8] in told
    assert asked == []
