"""Start a run, or take it up if there is one: python controller.py WORKLOAD FOLDER.

This is the script of a user whose machine is not to be relied on: it is started again until it ends by itself.
"""

from __future__ import annotations

import sys
from pathlib import Path

import ramet


def main(name: str, folder: Path) -> None:
    """Do what is left to do of the run in ``folder``."""
    from workloads import TUNERS, go_on, set_aside

    if ramet.Tuner.can_restore(folder):
        go_on(name, folder)
    else:
        set_aside(folder)
        TUNERS[name](folder).fit()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
