"""The plots for the screen: each returns a figure of plotly."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ramet.errors import RametError
from ramet.plots.alike import plot
from ramet.plots.ink import Theme
from ramet.plots.picture import Picture
from ramet.plots.traced import traced

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


def shown(picture: Picture, theme: Theme, size: tuple[float, float] | None) -> Figure:
    """Return the figure of a picture.

    Raises:
        RametError: plotly is not installed.
    """
    try:
        from plotly.graph_objects import Figure
    except ImportError as error:
        raise RametError(f"plots for the screen need plotly ({error}): pip install 'ramet[plot]'") from error
    return Figure(traced(picture, theme, size))


lineage = plot("lineage", shown)
envelope = plot("envelope", shown)
schedules = plot("schedules", shown)
exploits = plot("exploits", shown)
replacements = plot("replacements", shown)
parameters = plot("parameters", shown)
diversity = plot("diversity", shown)
slots = plot("slots", shown)
parallel = plot("parallel", shown)
