"""Jupyter: a run that shows itself below the cell that called `Tuner.fit`, and results that show themselves as tables.

Nothing here has to be called. `NotebookDisplay` is what `fit` shows itself with inside a Jupyter kernel, and a
`ResultGrid`, `Result`, `Schedule` or `Run` at the end of a cell is shown as a table. All of it is HTML without
scripts, so that a saved notebook shows the same wherever it is looked at.
"""

from __future__ import annotations

import sys


def in_kernel() -> bool:
    """Return whether this process is a Jupyter kernel; IPython is not loaded to know it.

    >>> in_kernel()
    False
    """
    ipython = sys.modules.get("IPython")
    get = getattr(ipython, "get_ipython", None)
    return get is not None and getattr(get(), "kernel", None) is not None
