"""Pictures of a run, drawn from its results alone: trajectories, scores, schedules, and who descends from whom.

All speak one language. What is drawn *strongly* made weights that are in a final model; what is *faint or thin* made
weights that were given up when their member became a clone. The *lineage* is the path along which the best model (or,
given a `Result` in place of the grid, that one) was made: a black line, or a grey band behind the lines of up to eight
members, which have colours of their own. Of more members nobody can tell the colours apart; those are grey.

Every function draws into the axes that it is given or makes a figure, and returns what it drew into; none shows or
saves. They need matplotlib, which is loaded when one is called: ``pip install matplotlib``.
"""

from ramet.view.plots.histories import parameter_history, score_history
from ramet.view.plots.tree import lineage_tree
from ramet.view.plots.values import schedules

__all__ = ["lineage_tree", "parameter_history", "schedules", "score_history"]


def __dir__() -> list[str]:
    """Return the names of the functions that draw, and nothing of what they are made of."""
    return list(__all__)
