"""Where the quadratic example starts, and its two pictures.

Ray's tutorial "Visualizing Population Based Training" imports a module of this name, so with this one beside it the
tutorial's script runs as it stands: ``python -m ramet.compat.ray pbt_visualization.py``.
"""

import numpy as np

from ramet.view import plots


def get_init_theta():
    """The parameters that every model starts with."""
    return np.array([0.9, 0.9])


def plot_parameter_history(results, colors, labels, perturbation_interval=None, ax=None):
    """Each member's way through the plane of theta0 and theta1; larger points where decisions are taken."""
    return plots.parameter_history(
        results, "theta0", "theta1", colors, labels, perturbation_interval=perturbation_interval, ax=ax
    )


def plot_Q_history(results, colors, labels, ax=None):
    """Q of each member, the value that is maximised, by iteration."""
    return plots.score_history(results, "Q", colors, labels, ax=ax)
