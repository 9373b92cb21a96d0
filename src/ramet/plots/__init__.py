"""Plots of a run: the same ones for paper (`ramet.plots.paper`, matplotlib) and for the screen (`ramet.plots.screen`,
plotly).

Each is a function that takes a `Run`, the path of one or its `ResultGrid`, and returns the figure. Both kinds show the
same `Picture`, which is made without either library. `ramet.plots.specs` returns what plotly draws as plain data.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ramet.plots.picture import Picture
from ramet.plots.what.diversity import diversity
from ramet.plots.what.envelope import envelope
from ramet.plots.what.exploits import exploits, replacements
from ramet.plots.what.lineage import lineage
from ramet.plots.what.parallel import parallel
from ramet.plots.what.parameters import parameters
from ramet.plots.what.schedules import schedules
from ramet.plots.what.slots import slots


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot: what a list of plots calls it, and the function that makes its picture."""

    title: str
    picture: Callable[..., Picture]


PLOTS = {
    "lineage": Plot("Lineage", lineage),
    "envelope": Plot("Scores", envelope),
    "schedules": Plot("Schedules", schedules),
    "exploits": Plot("Exploits", exploits),
    "replacements": Plot("Who replaced whom", replacements),
    "parameters": Plot("Hyperparameters and scores", parameters),
    "diversity": Plot("Diversity", diversity),
    "slots": Plot("Slots", slots),
    "parallel": Plot("Parallel coordinates", parallel),
}
"""All plots, by the names of their functions in `ramet.plots.paper`, `ramet.plots.screen` and `ramet.plots.specs`."""

__all__ = ["PLOTS", "Picture", "Plot"]
