"""Folders and the files below them: walked, copied and removed without ever being led elsewhere."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from ramet.errors import CheckpointError

DEEPEST = 100
"""Folders may lie this deep in each other: beyond a thousand, Python itself cannot remove them any more."""


class Entry(NamedTuple):
    """A folder, or a regular file, below a directory: its name there, with slashes, and where it lies."""

    name: str
    path: str
    status: os.stat_result
    is_folder: bool


def walk(directory: str | os.PathLike[str]) -> Iterator[Entry]:
    """Yield all files and folders below ``directory``, links followed, in an order of their names.

    Raises:
        CheckpointError: it holds what is neither, such as a pipe or a broken link, or leads back into itself.
    """
    top = os.stat(directory)
    waiting: list[tuple[str, str, tuple[object, ...]]] = [("", os.fspath(directory), ((top.st_dev, top.st_ino),))]
    while waiting:
        prefix, folder, above = waiting.pop()
        folders = []
        for name in sorted(os.listdir(folder)):
            entry = _entry(prefix + name, os.path.join(folder, name))
            if entry.is_folder:
                identity = (entry.status.st_dev, entry.status.st_ino)
                if identity in above:
                    raise CheckpointError(f"{entry.name!r:.200} of a checkpoint leads back to itself: leave it out")
                if len(above) >= DEEPEST:
                    raise CheckpointError(f"a checkpoint has over {DEEPEST} folders in each other: save it flatter")
                folders.append((f"{entry.name}/", entry.path, (*above, identity)))
            yield entry
        waiting += reversed(folders)


def _entry(name: str, path: str) -> Entry:
    try:
        status = os.stat(path)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            raise
        status = None
    # A pipe would never be read to its end, a broken link has none.
    if status is None or not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        raise CheckpointError(f"a checkpoint holds files, and {name!r:.200} is none: leave it out")
    return Entry(name, path, status, stat.S_ISDIR(status.st_mode))


def real(directory: Path) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yield all that lies below ``directory`` itself, no link followed; what cannot be listed is passed over."""
    waiting = [("", str(directory))]
    while waiting:
        prefix, folder = waiting.pop()
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                yield prefix + entry.name, entry
                if entry.is_dir(follow_symlinks=False) and prefix.count("/") < DEEPEST - 1:
                    waiting.append((f"{prefix}{entry.name}/", entry.path))


def copy_all(entries: Iterable[Entry], target: Path) -> None:
    """Copy files and folders to the directory ``target``."""
    for entry in list(entries):  # listed before, as the target may lie among them
        path = place(target, entry.name)
        if entry.is_folder:
            path.mkdir(exist_ok=True)
        else:
            copy(entry.path, path)


def copy(source: str | os.PathLike[str], target: Path) -> None:
    """Copy content, age and permissions, but no bits that make a program run as somebody else."""
    shutil.copyfile(source, target)
    status = os.stat(source)
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
    target.chmod(status.st_mode & 0o777)


def place(target: Path, name: str) -> Path:
    """Make room for ``name`` below ``target`` and return its path. A link there gives way, as it may lead elsewhere."""
    path, parts = os.fspath(target), name.split("/")
    for at, part in enumerate(parts):
        path = os.path.join(path, part)
        if os.path.islink(path):
            os.unlink(path)
        if at < len(parts) - 1:
            with suppress(FileExistsError):
                os.mkdir(path)
    return Path(path)


def remove(path: Path) -> bool:
    """Remove ``path`` and all below it, never what a link leads to; return whether it is gone."""
    if _removed_flat(path):
        return True
    with suppress(OSError, RecursionError):  # the latter is for folders so deep that Python cannot go there
        if path.is_symlink() or not path.is_dir():
            path.unlink()
        else:
            shutil.rmtree(path, ignore_errors=True)
    return not os.path.lexists(path)


def _removed_flat(path: Path) -> bool:
    """Remove a folder that holds files alone, which takes a third of the time; return whether it was one."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        for name in os.listdir(descriptor):
            os.unlink(name, dir_fd=descriptor)
        os.rmdir(path)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def leads_inside(name: object) -> bool:
    """Return whether ``name`` can be that of a file below a directory, and nowhere else."""
    if not isinstance(name, str) or "\0" in name:
        return False
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        return False
    parts = name.split("/")
    return len(parts) <= DEEPEST and not any(part in ("", ".", "..") for part in parts)


def sync(path: str | os.PathLike[str]) -> None:
    """Make a file, or the names in a folder, survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
