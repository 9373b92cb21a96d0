"""Figures of a run as Plotly takes them, and Plotly's own script."""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ramet.analysis.run import Run
from ramet.errors import ConfigError, RametError

THEMES = ("light", "dark")
MOST_NAMES = 50


class NoSuchPlotError(RametError):
    """There is no plot of that name."""


def charts() -> list[dict[str, str]]:
    """Return which figures there are: name and title."""
    from ramet.plots import PLOTS

    return [{"name": name, "title": plot.title} for name, plot in PLOTS.items()]


def drawn(run: Run, name: str, wishes: Mapping[str, str]) -> dict[str, Any]:
    """Return a figure of a run.

    Raises:
        NoSuchPlotError: there is no such figure.
        ConfigError: it cannot be drawn as was wished, or of this run.
    """
    from ramet.plots import PLOTS, specs

    if name not in PLOTS:
        raise NoSuchPlotError(f"there is no plot {name!r:.80}; those there are: {', '.join(PLOTS)}")
    known = inspect.signature(PLOTS[name].picture).parameters
    told: dict[str, Any] = {}
    for wish, value in wishes.items():
        if wish in ("member", "members") and wish in known:
            numbers = value.split(",")
            if not all(number.isdecimal() and len(number) < 10 for number in numbers):
                raise ConfigError(f"{wish}={value!r:.80} are no numbers of members")
            told[wish] = [int(number) for number in numbers] if wish == "members" else int(numbers[0])
        elif wish == "names" and wish in known:
            told[wish] = value.split(",")[:MOST_NAMES]
        elif wish in known and wish != "run":
            told[wish] = value
    theme = wishes.get("theme", "light")
    if theme not in THEMES:
        raise ConfigError(f"theme={theme!r:.40} is neither of {', '.join(THEMES)}")
    spec: dict[str, Any] = getattr(specs, name)(run, theme=theme, **told)
    return spec


def script() -> Path:
    """Return the file with Plotly's script, which the package ``plotly`` brings along.

    Raises:
        ConfigError: it is not installed.
    """
    found = importlib.util.find_spec("plotly")
    if found is None or not found.submodule_search_locations:
        raise ConfigError("plotly is not installed: pip install 'ramet[ui]'")
    return Path(found.submodule_search_locations[0], "package_data", "plotly.min.js")
