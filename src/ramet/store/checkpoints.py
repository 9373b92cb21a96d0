"""Large checkpoints: immutable directories, committed by rename, forked by reference.

A directory is filled under a temporary name in the same folder, its files are synced, a manifest of their sizes and
checksums is written last, and then it is renamed. What has no manifest under its final name is not a checkpoint.
Nothing is ever written to a committed one, so a clone starts from its donor's directory itself and no byte is copied.

A run's folder may be anybody's, and a disk may lie: nothing that is read here is believed before it is looked at.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import stat
import uuid
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from ramet.errors import CheckpointError, DamageError

MANIFEST = ".ramet-manifest.json"
FORMAT = 2
DEEPEST = 100
"""Folders may lie this deep in each other: beyond a thousand, Python itself cannot remove them any more."""

_SCRATCH = "tmp-"
_SCRATCH_NAME = re.compile(f"{_SCRATCH}[0-9a-f]{{16}}")
_LONGEST = 32 * 2**20
_CHUNK = 2**18
_LARGE = 2**20
_OURS_TO_MEND = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""What this process ran out of says nothing about a checkpoint."""

Files = dict[str, tuple[int, int | None]]
"""What a manifest lists: size and checksum of each file; format 1 had no checksums."""

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class CheckpointStore:
    """The folder ``root`` of committed checkpoints, shared by the controller and its workers."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root)

    def scratch(self) -> Path:
        """Hand out a new empty directory that `commit` can take over without a copy."""
        path = self._temporary()
        path.mkdir(parents=True)
        return path

    def owns(self, path: str | os.PathLike[str]) -> bool:
        """Return whether ``path`` was handed out by `scratch`."""
        path = Path(path)
        return path.name.startswith(_SCRATCH) and path.parent == self.root

    def commit(self, source: str | os.PathLike[str], name: str) -> tuple[str, int]:
        """Make the directory ``source`` the checkpoint ``name``, durably; return its final name and its size in bytes.

        A directory from `scratch` is renamed; any other is copied, for it is the user's. Links are stored as what they
        lead to. The final name carries a unique ending, so that work that was started twice never writes to the same
        place. A commit that fails can be made again: a directory from `scratch` is still there, and nothing else is.

        Raises:
            CheckpointError: ``source`` is no directory, or holds what is no file.
            OSError: it cannot be read or written, the disk being full, say.
        """
        source = Path(source)
        if not source.is_dir():
            raise CheckpointError(f"Checkpoint directory {str(source)!r} is not there: report it before it is removed")
        if self.owns(source):
            return self._commit(source, name)
        copy = self.scratch()
        try:
            copy_all(contents(source), copy)
            return self._commit(copy, name)
        except BaseException:
            remove(copy)
            raise

    def _commit(self, scratch: Path, name: str) -> tuple[str, int]:
        manifest = scratch / MANIFEST
        manifest.unlink(missing_ok=True)  # of a committed one, or of a commit that failed
        self._replace_links(scratch)
        entries = list(contents(scratch))
        files = [entry for entry in entries if not entry.is_folder]
        sums = _each(
            lambda entry: _checksum(entry.path, sync=True), files, sum(entry.status.st_size for entry in files)
        )
        listed = {entry.name: found for entry, found in zip(files, sums, strict=True)}
        text = json.dumps({"format": FORMAT, "files": listed})
        if len(text) > _LONGEST:
            raise CheckpointError(f"a checkpoint of {len(files)} files is too many for one: save them as an archive")
        for entry in entries:
            if entry.is_folder:
                _sync(entry.path)
        manifest.write_text(text)
        _sync(manifest)
        _sync(scratch)
        final = f"{name}-{uuid.uuid4().hex[:8]}"
        os.rename(scratch, self.root / final)
        try:
            _sync(self.root)
        except OSError:
            os.rename(self.root / final, scratch)  # so that it can be committed again
            raise
        return final, sum(size for size, _ in sums)

    def _replace_links(self, scratch: Path) -> None:
        """Put copies in the place of symbolic links, for what they lead to may change, go, or be called otherwise."""
        links = [entry.path for _, entry in _real(scratch) if entry.is_symlink()]
        if links:
            list(contents(scratch))  # refuses what must not be followed before anything is changed
        for link in links:
            room = self.scratch()
            try:
                copy = room / "copy"
                if os.path.isdir(link):
                    copy.mkdir()
                    copy_all(_walk(link), copy)
                    os.unlink(link)
                else:
                    _copy(link, copy)
                os.replace(copy, link)
            finally:
                remove(room)

    def path(self, final: str) -> Path:
        """Return where the committed checkpoint ``final`` lies; `verify` says whether it is whole.

        Raises:
            DamageError: it is not there, or was never committed.
        """
        path = self._within(final)
        if not os.path.isfile(path / MANIFEST):
            raise DamageError(f"checkpoint {final!r} is not in {self.root}: it was deleted, or never committed")
        return path

    def verify(self, final: str) -> None:
        """Read the whole checkpoint ``final`` and compare it with what was committed.

        Raises:
            DamageError: it is gone, or anything else than what was committed.
        """
        verified(self._within(final))

    def bytes_of(self, final: str) -> int:
        """Return the size of the checkpoint ``final`` as its manifest tells it, 0 if that cannot be read."""
        try:
            return sum(size for size, _ in _listed(self._within(final)).values())
        except (DamageError, OSError):
            return 0

    def names(self) -> list[str]:
        """Return the names of all that lies here: committed checkpoints, and what was left behind."""
        with suppress(OSError):
            return sorted(os.listdir(self.root))
        return []

    def delete(self, final: str) -> None:
        """Delete a committed checkpoint; deleting it again does nothing. It stops being one before its files go.

        What cannot be removed now is left to `sweep`.

        Raises:
            CheckpointError: the name leads out of the store.
        """
        path = self._within(final)
        if not os.path.lexists(path / MANIFEST):
            return  # a ledger may be anybody's: only what was committed goes
        doomed = self._temporary()
        with suppress(OSError):
            os.rename(path, doomed)
            remove(doomed)

    def sweep(self, live: set[str]) -> list[str]:
        """Delete everything but the committed checkpoints in ``live``; return the names. Only while nothing writes.

        What cannot be removed stays, and is not among them. Where the folder itself is a link, which may lead anywhere,
        only what is a checkpoint or scratch goes.
        """
        elsewhere = self.root.is_symlink()
        gone = []
        for name in self.names():
            path = self.root / name
            if name in live or (elsewhere and not (_SCRATCH_NAME.fullmatch(name) or (path / MANIFEST).is_file())):
                continue
            if remove(path):
                gone.append(name)
        return gone

    def _temporary(self) -> Path:
        return self.root / f"{_SCRATCH}{uuid.uuid4().hex[:16]}"

    def _within(self, final: str) -> Path:
        """Return the path of ``final``. The name may come from anybody's ledger, so it must not lead anywhere else."""
        if not leads_inside(final) or "/" in final or os.sep in final:
            raise DamageError(f"checkpoint {final!r:.200} is not in {self.root}: that is no name of one")
        return self.root / final


def verified(path: Path) -> Files:
    """Read the committed directory ``path`` and return what it holds, once all of it is what was committed.

    Files that the manifest does not list are no part of it.

    Raises:
        DamageError: a listed file is missing, no file, of another size or of other content, or so is the manifest.
    """
    files = _listed(path)
    folders: set[str] = set()
    for name, (size, _) in files.items():
        try:
            # Through a link a file would be somebody else's.
            for end in (at for at, letter in enumerate(name) if letter == "/"):
                if name[:end] not in folders and not stat.S_ISDIR(os.lstat(path / name[:end]).st_mode):
                    raise _damage(path, f"{name[:end]!r:.200}, where it has a folder, is none")
                folders.add(name[:end])
            status = os.lstat(path / name)
        except OSError as error:
            raise _unreadable(path, name, error) from None
        if not stat.S_ISREG(status.st_mode):
            raise _damage(path, f"{name!r:.200} is no regular file")
        if status.st_size != size:
            raise _damage(path, f"file {name!r:.200} has {status.st_size} bytes, and was committed with {size}")

    def compare(name: str) -> None:
        try:
            found = _checksum(path / name)
        except OSError as error:
            raise _unreadable(path, name, error) from None
        if found != files[name]:
            raise _damage(path, f"the content of file {name!r:.200} is not what was committed (checksum)")

    summed = [name for name, (_, checksum) in files.items() if checksum is not None]
    _each(compare, summed, sum(files[name][0] for name in summed))
    return files


def copy_committed(path: Path, files: Files, target: Path) -> None:
    """Copy the folders and the ``files``, as `verified` returned them, of the committed directory ``path``."""
    for name, entry in _real(path):
        if entry.is_dir(follow_symlinks=False):
            place(target, name).mkdir(exist_ok=True)
    for name in files:
        _copy(path / name, place(target, name))


def _listed(path: Path) -> Files:
    """Return what the manifest of the directory ``path`` lists, once its shape is that of one."""
    if not os.path.isdir(path):
        raise _damage(path, "it is gone")
    try:
        status = os.lstat(path / MANIFEST)
        if not stat.S_ISREG(status.st_mode) or status.st_size > _LONGEST:
            raise _damage(path, f"its manifest {MANIFEST} is no file, or too long for one")
        told = json.loads((path / MANIFEST).read_bytes(), object_pairs_hook=_distinct)
    except OSError as error:
        raise _unreadable(path, MANIFEST, error) from None
    except (ValueError, RecursionError) as error:
        raise _damage(path, f"its manifest {MANIFEST} is no JSON of one ({error!s:.200})") from None
    form = told.get("format") if isinstance(told, dict) else None
    if type(form) is not int or form not in (1, FORMAT):
        raise _damage(path, f"its manifest is of the format {form!r:.200}, and this version knows 1 to {FORMAT}")
    files = told.get("files")
    if not isinstance(files, dict):
        raise _damage(path, "its manifest lists no files")
    listed: Files = {}
    for name, entry in files.items():
        numbers = [entry, 0] if form == 1 else entry
        if not leads_inside(name) or name == MANIFEST:
            raise _damage(path, f"its manifest lists {name!r:.200}, which is no file within it")
        if type(numbers) is not list or len(numbers) != 2 or any(type(n) is not int or n < 0 for n in numbers):
            raise _damage(path, f"its manifest lists {name!r:.200} with {entry!r:.200}, which is no size and checksum")
        listed[name] = (numbers[0], None if form == 1 else numbers[1])
    return listed


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):  # a flipped bit can turn one name into another
        raise ValueError("a name is there twice")
    return found


def _damage(path: Path, what: str) -> DamageError:
    return DamageError(
        f"checkpoint {path.name!r} in {path.parent} is damaged: {what}; use an earlier one, or copy it from a backup"
    )


def _unreadable(path: Path, name: str, error: OSError) -> Exception:
    if error.errno in _OURS_TO_MEND:
        return error
    missing = error.errno in (errno.ENOENT, errno.ENOTDIR)
    return _damage(path, f"file {name!r:.200} {'is missing' if missing else f'cannot be read ({error.strerror})'}")


class Entry(NamedTuple):
    """A folder, or a regular file, below a directory: its name there, with slashes, and where it lies."""

    name: str
    path: str
    status: os.stat_result
    is_folder: bool


def contents(directory: str | os.PathLike[str]) -> Iterator[Entry]:
    """Yield all files and folders that make a checkpoint of ``directory``, links followed, in an order of their names.

    Raises:
        CheckpointError: it holds what is neither, such as a pipe or a broken link, or leads back into itself.
    """
    return (entry for entry in _walk(directory) if entry.name != MANIFEST)


def copy_all(entries: Iterable[Entry], target: Path) -> None:
    """Copy files and folders to the directory ``target``."""
    for entry in list(entries):  # listed before, as the target may lie among them
        path = place(target, entry.name)
        if entry.is_folder:
            path.mkdir(exist_ok=True)
        else:
            _copy(entry.path, path)


def place(target: Path, name: str) -> Path:
    """Make room for ``name`` below ``target`` and return its path. A link there gives way, as it may lead elsewhere."""
    path = target
    for part in name.split("/"):
        if path != target:
            path.mkdir(exist_ok=True)
        path = path / part
        if path.is_symlink():
            path.unlink()
    return path


def remove(path: Path) -> bool:
    """Remove ``path`` and all below it, never what a link leads to; return whether it is gone."""
    with suppress(OSError, RecursionError):  # the latter is for folders so deep that Python cannot go there
        if path.is_symlink() or not path.is_dir():
            path.unlink()
        else:
            shutil.rmtree(path, ignore_errors=True)
    return not os.path.lexists(path)


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


def _walk(directory: str | os.PathLike[str]) -> Iterator[Entry]:
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


def _real(directory: Path) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yield all that lies below ``directory`` itself, no link followed; what cannot be listed is passed over."""
    waiting = [("", str(directory))]
    while waiting:
        prefix, folder = waiting.pop()
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                yield prefix + entry.name, entry
                if entry.is_dir(follow_symlinks=False) and prefix.count("/") < DEEPEST - 1:
                    waiting.append((f"{prefix}{entry.name}/", entry.path))


def _copy(source: str | os.PathLike[str], target: Path) -> None:
    """Copy content, age and permissions, but no bits that make a program run as somebody else."""
    shutil.copyfile(source, target)
    status = os.stat(source)
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
    target.chmod(status.st_mode & 0o777)


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


def _sync(path: str | os.PathLike[str]) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
