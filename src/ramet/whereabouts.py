"""Where a run is: a folder of this machine, or the URL of one in a store, of which this machine then has a copy."""

from __future__ import annotations

import os
from pathlib import Path


def folder_of(path: str | os.PathLike[str]) -> Path:
    """Return the folder of the run at ``path``; of one that is kept in a store, the newest snapshot in a folder here.

    Raises:
        ConfigError: ``path`` is a URL that cannot be used.
        RunError: there is no run at the URL, or it cannot be brought here.
    """
    if not isinstance(path, str) or "://" not in path:
        return Path(path).expanduser()
    from ramet.config import RunConfig
    from ramet.store.snapshots import here

    return here(path, Path(RunConfig().folder))
