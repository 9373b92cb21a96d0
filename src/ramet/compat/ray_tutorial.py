"""The helper module of Ray's tutorial "Visualizing Population Based Training", as the tutorial's text uses it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from ramet.results import ResultGrid


def get_init_theta() -> np.ndarray:
    """Return where the optimisation starts."""
    return np.array([0.9, 0.9])


def plot_parameter_history(
    results: ResultGrid,
    colors: Sequence[Any],
    labels: Sequence[str],
    perturbation_interval: int | None = None,
    ax: Any = None,
) -> Any:
    """Draw each member's way through the plane of ``theta``; see `ramet.view.plots.parameter_history`."""
    from ramet.view.plots import parameter_history

    return parameter_history(
        results,
        x="theta0",
        y="theta1",
        colors=colors,
        labels=labels,
        perturbation_interval=perturbation_interval,
        ax=ax,
    )


def plot_Q_history(results: ResultGrid, colors: Sequence[Any], labels: Sequence[str], ax: Any = None) -> Any:  # noqa: N802
    """Draw ``Q`` over the iterations of each member; see `ramet.view.plots.score_history`."""
    from ramet.view.plots import score_history

    return score_history(results, metric="Q", colors=colors, labels=labels, ax=ax)
