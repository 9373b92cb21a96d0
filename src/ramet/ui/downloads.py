"""Checkpoints as files to take away: a piece at a time, never unpickled, and nothing that a link leads to."""

from __future__ import annotations

import os
import stat
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

from ramet.analysis.run import Run
from ramet.errors import DamageError, RunError
from ramet.record import CHECKPOINTS
from ramet.store.bundles import BUNDLES, checked
from ramet.store.checkpoints import CheckpointStore
from ramet.store.manifest import damage, listed
from ramet.ui.readers import Reader

PIECE = 2**18
LARGEST_BUNDLE = 2**28
"""Bytes of a small directory inside a ledger that are unpacked: theirs are some thousand."""


class Download(NamedTuple):
    """A file's name, its length if that is known, and its content in pieces."""

    name: str
    length: int | None
    pieces: Iterator[bytes]


def download(reader: Reader, segment: int, iteration: int) -> Download | None:
    """Return a checkpoint as a file; None if there is no such one (any more).

    Raises:
        RunError: the ledger is damaged.
        DamageError: the checkpoint is.
    """
    found = reader.ask(lambda run, _: run.trace.bulk.checkpoint(segment, iteration)).result()
    if found is None:
        return None
    kind, size, path = found
    name = f"checkpoint-{segment}-{iteration}"
    if kind == "directory":
        root = reader.path / CHECKPOINTS
        if type(path) is not str:
            raise DamageError(f"checkpoint {segment}, {iteration} has lost its path: use an earlier one")
        CheckpointStore(root).path(path)  # refuses what is no name of one
        if root.is_symlink() or (root / path).is_symlink():
            raise DamageError(f"checkpoint {path!r:.200} is a link, and links out of a run are not followed")
        files = [(name, size) for name, (size, _) in listed(root / path).items()]
        for inside, length in files:
            _check(root / path, inside, length)
        return Download(f"{name}.zip", None, _zipped((n, _file(root / path, n, size)) for n, size in files))
    if type(size) is not int or kind not in ("pickle", *BUNDLES):
        raise DamageError(f"a checkpoint is of the kind {kind!r:.200}, which is none: update Ramet, or use another")

    def part(first: int, count: int) -> bytes:
        return reader.ask(lambda run, _: run.trace.bulk.content(segment, iteration, first, count)).result()

    if kind == "pickle":
        return Download(f"{name}.pkl", size, _parts(part, size))
    if size > LARGEST_BUNDLE:
        raise DamageError(f"a small checkpoint of {size} bytes is none: use an earlier one")
    bundle, _ = checked(b"".join(_parts(part, size)), kind)
    return Download(f"{name}.zip", None, _zipped((file.name, iter([file.content])) for file in bundle))


def schedule(run: Run, member: int) -> bytes:
    """Return the file that `Schedule.save` writes, of one member.

    Raises:
        ConfigError: it holds values that JSON has no word for.
    """
    return (run.schedule(member).to_json() + "\n").encode()


def _parts(part: Callable[[int, int], bytes], size: int) -> Iterator[bytes]:
    """Yield what lies inside the ledger; a reader that waits holds nothing that the run would wait for."""
    at = 0
    while at < size:
        piece = part(at, PIECE)
        if not piece:
            raise RunError("the checkpoint was deleted meanwhile: ask for a later one")
        yield piece
        at += len(piece)


def _file(root: Path, name: str, size: int) -> Iterator[bytes]:
    """Yield a committed file's content, no folder of it a link, and no more than was committed."""
    with open(_opened(root, name), "rb", buffering=0) as file:
        while size > 0 and (piece := file.read(min(PIECE, size))):
            size -= len(piece)
            yield piece


def _check(root: Path, name: str, size: int) -> None:
    """Refuse a file that is not what was committed, as far as can be told without reading it."""
    try:
        descriptor = _opened(root, name)
        status = os.fstat(descriptor)
        os.close(descriptor)
    except OSError as error:
        raise damage(root, f"file {name!r:.200} cannot be read ({error.strerror})") from None
    if not stat.S_ISREG(status.st_mode) or status.st_size != size:
        raise damage(root, f"file {name!r:.200} is not the one that was committed")


def _opened(root: Path, name: str) -> int:
    """Return the descriptor of a file below a folder; no part of its path may be a link."""
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        *folders, last = name.split("/")
        for folder in folders:
            above = descriptor
            descriptor = os.open(
                folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above
            )  # fmt: skip
            os.close(above)
        return os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=descriptor)
    finally:
        os.close(descriptor)


class _Outgoing:
    """A file that zipfile writes to and that cannot be sought in; `taken` is what has been written since."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        pass

    def taken(self) -> bytes:
        found, self._parts = b"".join(self._parts), []
        return found


def _zipped(files: Iterator[tuple[str, Iterator[bytes]]]) -> Iterator[bytes]:
    """Yield files as a zip archive, which is made while it is sent."""
    out = _Outgoing()
    with zipfile.ZipFile(cast("IO[bytes]", out), "w") as archive:
        for name, pieces in files:
            info = zipfile.ZipInfo(name)
            info.external_attr = 0o644 << 16
            with archive.open(info, "w", force_zip64=True) as entry:
                for piece in pieces:
                    entry.write(piece)
                    if told := out.taken():
                        yield told
    yield out.taken()
