"""Which runs there are: found below a folder, named by keys that tell no path, and never through a link."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ramet.store.readers import BESIDE, beside
from ramet.store.rows import NAME

DEEPEST = 3
MOST_LOOKED_AT = 20_000
MOST_RUNS = 2_000


class Place(NamedTuple):
    """A run's folder: its key, the path, and what it is called in the list."""

    key: str
    path: Path
    name: str


Stamp = tuple[tuple[int, int, int], ...]
"""What tells whether a ledger may have changed: device, inode, size and age of its files."""


class Runs:
    """The run in ``path``, or all below it; a folder that is not there yet holds none.

    Known are the runs that the last `look` found, so that nobody's request names a path.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.folder = Path(path).expanduser().resolve()
        self.known: dict[str, Place] = {}
        self.look()

    @property
    def is_one(self) -> bool:
        """Whether the path is that of a run, and not of a folder of runs."""
        return _is_run(self.folder)

    def look(self) -> list[Place]:
        """Return the runs that are there now, by name; at most `MOST_RUNS`."""
        if self.is_one:
            found = [Place(key_of(self.folder), self.folder, self.folder.name)]
        else:
            found = [Place(key_of(path), path, name) for path, name in _below(self.folder)]
        # A run that was deleted stays known, so that its page can say so.
        self.known |= {place.key: place for place in found}
        return found


def key_of(path: Path) -> str:
    """Return what a run is called in addresses.

    >>> len(key_of(Path("anywhere")))
    16
    """
    return hashlib.blake2b(os.fsencode(path), digest_size=8).hexdigest()


def stamp(path: Path) -> Stamp:
    """Return what the ledger of the run in ``path`` looks like from outside, which costs next to nothing."""
    found = []
    for file in (path / NAME, *(beside(path / NAME, ending) for ending in BESIDE)):
        try:
            status = os.lstat(file)
            found.append((status.st_ino, status.st_size, status.st_mtime_ns))
        except OSError:
            found.append((0, 0, 0))
    return tuple(found)


def updated(path: Path) -> float | None:
    """Return when the ledger was last written to, in seconds since 1970; None if it is not there."""
    latest = max(at for _, _, at in stamp(path))
    return latest / 1e9 if latest else None


def _is_run(path: Path) -> bool:
    try:
        return stat.S_ISREG(os.lstat(path / NAME).st_mode)
    except (OSError, ValueError):
        return False


def _below(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield the runs below a folder with their names there; no link is followed, and nothing inside a run is one."""
    waiting, looked, found = [(folder, "", 0)], 0, 0
    while waiting:
        path, prefix, depth = waiting.pop()
        try:
            with os.scandir(path) as listed:
                entries = sorted((e for e in listed if e.is_dir(follow_symlinks=False)), key=lambda e: e.name)
        except OSError:
            continue
        deeper = []
        for entry in entries:
            looked += 1
            if looked > MOST_LOOKED_AT or found >= MOST_RUNS:
                return
            here = Path(entry.path)
            if _is_run(here):
                found += 1
                yield here, prefix + entry.name
            elif depth + 1 < DEEPEST and not entry.name.startswith("."):
                deeper.append((here, f"{prefix}{entry.name}/", depth + 1))
        waiting += reversed(deeper)
