"""The manifest of a committed checkpoint: which files it has, how long they are, and their checksums.

A run's folder may be anybody's, and a disk may lie: nothing that is read here is believed before it is looked at.
"""

from __future__ import annotations

import errno
import json
import os
import stat
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from ramet.errors import CheckpointError, DamageError
from ramet.store.trees import Entry, copy, leads_inside, place, real, sync, walk

MANIFEST = ".ramet-manifest.json"
FORMAT = 2

_LONGEST = 32 * 2**20
_CHUNK = 2**18
_LARGE = 2**20
_OURS_TO_MEND = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""What this process ran out of says nothing about a checkpoint."""

Files = dict[str, tuple[int, int | None]]
"""What a manifest lists: size and checksum of each file; format 1 had no checksums."""

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def contents(directory: str | os.PathLike[str]) -> Iterator[Entry]:
    """Yield what makes a checkpoint of ``directory``: all below it but a manifest, links followed."""
    return (entry for entry in walk(directory) if entry.name != MANIFEST)


def written(directory: Path, name: str) -> int:
    """Sync all that lies in ``directory``, and last of all its manifest, which says what it will be called.

    Returns the size of the files in bytes.

    Raises:
        CheckpointError: these are more files than a manifest holds, or something is no file.
    """
    entries = list(contents(directory))
    files = [entry for entry in entries if not entry.is_folder]
    sums = _each(lambda entry: _checksum(entry.path, sync=True), files, sum(entry.status.st_size for entry in files))
    listed = {entry.name: found for entry, found in zip(files, sums, strict=True)}
    text = json.dumps({"format": FORMAT, "name": name, "files": listed})
    if len(text) > _LONGEST:
        raise CheckpointError(f"a checkpoint of {len(files)} files is too many for one: save them as an archive")
    for entry in entries:
        if entry.is_folder:
            sync(entry.path)
    (directory / MANIFEST).write_text(text)
    sync(directory / MANIFEST)
    sync(directory)
    return sum(size for size, _ in sums)


def verified(path: Path, *, fresh: bool = False) -> Files:
    """Read the committed directory ``path`` and return what it holds, once all of it is what was committed.

    Files that the manifest does not list are no part of it. Of a ``fresh`` one, which was committed a while ago and not
    in another life, only files that have been touched since the manifest was written are read: a clone of a gigabyte
    should not wait for it to be read twice.

    Raises:
        DamageError: a listed file is missing, no file, of another size or of other content, or so is the manifest.
    """
    files = listed(path)
    # The time of a change cannot be set back, as that of the content can.
    written = os.lstat(path / MANIFEST).st_ctime_ns if fresh else -1
    folders, touched = set[str](), set[str]()
    for name, (size, _) in files.items():
        try:
            # Through a link a file would be somebody else's.
            for end in (at for at, letter in enumerate(name) if letter == "/"):
                if name[:end] not in folders and not stat.S_ISDIR(os.lstat(path / name[:end]).st_mode):
                    raise damage(path, f"{name[:end]!r:.200}, where it has a folder, is none")
                folders.add(name[:end])
            status = os.lstat(path / name)
        except OSError as error:
            raise _unreadable(path, name, error) from None
        if not stat.S_ISREG(status.st_mode):
            raise damage(path, f"{name!r:.200} is no regular file")
        if status.st_size != size:
            raise damage(path, f"file {name!r:.200} has {status.st_size} bytes, and was committed with {size}")
        if status.st_ctime_ns > written:
            touched.add(name)

    def compare(name: str) -> None:
        try:
            found = _checksum(path / name)
        except OSError as error:
            raise _unreadable(path, name, error) from None
        if found != files[name]:
            raise damage(path, f"the content of file {name!r:.200} is not what was committed (checksum)")

    summed = [name for name, (_, checksum) in files.items() if checksum is not None and name in touched]
    _each(compare, summed, sum(files[name][0] for name in summed))
    return files


def copy_committed(path: Path, files: Files, target: Path) -> None:
    """Copy the folders and the ``files``, as `verified` returned them, of the committed directory ``path``."""
    for name, entry in real(path):
        if entry.is_dir(follow_symlinks=False):
            place(target, name).mkdir(exist_ok=True)
    for name in files:
        copy(path / name, place(target, name))


def listed(path: Path) -> Files:
    """Return what the manifest of the directory ``path`` lists, once its shape is that of one."""
    if not os.path.isdir(path):
        raise damage(path, "it is gone")
    try:
        status = os.lstat(path / MANIFEST)
        if not stat.S_ISREG(status.st_mode) or status.st_size > _LONGEST:
            raise damage(path, f"its manifest {MANIFEST} is no file, or too long for one")
        told = json.loads((path / MANIFEST).read_bytes(), object_pairs_hook=_distinct)
    except OSError as error:
        raise _unreadable(path, MANIFEST, error) from None
    except (ValueError, RecursionError) as error:
        raise damage(path, f"its manifest {MANIFEST} is no JSON of one ({error!s:.200})") from None
    form = told.get("format") if isinstance(told, dict) else None
    if type(form) is not int or form not in (1, FORMAT):
        raise damage(path, f"its manifest is of the format {form!r:.200}, and this version knows 1 to {FORMAT}")
    # One that lies under another's name is another's, and none of these bytes would tell.
    if told.get("name", path.name) != path.name:
        raise damage(path, f"its manifest is that of {told['name']!r:.200}")
    files = told.get("files")
    if not isinstance(files, dict):
        raise damage(path, "its manifest lists no files")
    listed: Files = {}
    for name, entry in files.items():
        numbers = [entry, 0] if form == 1 else entry
        if not leads_inside(name) or name == MANIFEST:
            raise damage(path, f"its manifest lists {name!r:.200}, which is no file within it")
        if type(numbers) is not list or len(numbers) != 2 or any(type(n) is not int or n < 0 for n in numbers):
            raise damage(path, f"its manifest lists {name!r:.200} with {entry!r:.200}, which is no size and checksum")
        listed[name] = (numbers[0], None if form == 1 else numbers[1])
    return listed


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):  # a flipped bit can turn one name into another
        raise ValueError("a name is there twice")
    return found


def damage(path: Path, what: str) -> DamageError:
    """Return the error that names a damaged checkpoint and says ``what`` is wrong."""
    return DamageError(
        f"checkpoint {path.name!r} in {path.parent} is damaged: {what}; use an earlier one, or copy it from a backup"
    )


def _unreadable(path: Path, name: str, error: OSError) -> Exception:
    if error.errno in _OURS_TO_MEND:
        return error
    missing = error.errno in (errno.ENOENT, errno.ENOTDIR)
    return damage(path, f"file {name!r:.200} {'is missing' if missing else f'cannot be read ({error.strerror})'}")


def _checksum(path: str | os.PathLike[str], *, sync: bool = False) -> tuple[int, int]:
    """Return size and checksum of the regular file ``path``, synced if asked."""
    # Opening must neither follow a link nor wait for the other end of a pipe.
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb", buffering=0) as file:
        buffer = memoryview(bytearray(min(_CHUNK, os.fstat(file.fileno()).st_size + 1)))
        size = checksum = 0
        while count := file.readinto(buffer):
            checksum = zlib.crc32(buffer[:count], checksum)
            size += count
        if sync:
            os.fsync(file.fileno())
    return size, checksum


def _each(function: Callable[[_Item], _Result], items: Sequence[_Item], size: int) -> list[_Result]:
    """Return ``function`` of each item, in threads if they are large: summing and syncing wait for no lock."""
    if len(items) < 2 or size < len(items) * _LARGE:
        return [function(item) for item in items]
    from concurrent.futures import ThreadPoolExecutor  # rarely needed, and not cheap to import

    with ThreadPoolExecutor(min(4, len(items), os.cpu_count() or 1)) as pool:
        return list(pool.map(function, items))
