"""What a training function saves and reads: a dict or a directory, wherever it is kept."""

from __future__ import annotations

import contextlib
import os
import pickle
import shutil
import tempfile
import weakref
import zipfile
from collections.abc import Callable, Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import cloudpickle
import numpy as np

from ramet.core.messages import StoredCheckpoint
from ramet.errors import CheckpointError
from ramet.store.checkpoints import MANIFEST, CheckpointStore

SMALL = 128 * 1024
"""Checkpoints of at most this many bytes travel in the message and lie in the ledger; larger ones are directories."""

_DICT_FILE = "dict_checkpoint.pkl"
_MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


class Checkpoint:
    """A saved state of training: a dict (`from_dict`), or the files of a directory (`from_directory`).

    Give it to `ramet.report`; the training function of a clone, or of a restarted member, gets it from
    `ramet.get_checkpoint`. What is reported is taken over at once: changing the dict or removing the directory
    afterwards does no harm.

    >>> Checkpoint.from_dict({"step": 3}).to_dict()
    {'step': 3}
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        data: Mapping[str, Any] | None = None,
        stored: StoredCheckpoint | None = None,
        on_read: Callable[[], None] | None = None,
    ) -> None:
        if sum(source is not None for source in (path, data, stored)) != 1:
            raise CheckpointError("a Checkpoint holds one thing: use Checkpoint.from_dict or Checkpoint.from_directory")
        self._path = None if path is None else Path(path)
        self._data, self._stored, self._on_read = data, stored, on_read
        self._copy: str | None = None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Checkpoint:
        """Return a checkpoint of ``data``, a dict of anything that pickles.

        Raises:
            CheckpointError: it is no dict.
        """
        if not isinstance(data, Mapping):
            raise CheckpointError(f"Checkpoint.from_dict({type(data).__name__}) needs a dict, such as {{'model': …}}")
        return cls(data=data)

    @classmethod
    def from_directory(cls, path: str | os.PathLike[str]) -> Checkpoint:
        """Return a checkpoint of all files below the directory ``path``.

        It is copied when it is reported, unless it was handed out by `ramet.checkpoint_dir`, which is moved.

        Raises:
            CheckpointError: it is no directory.
        """
        if not isinstance(path, (str, os.PathLike)):
            raise CheckpointError(f"Checkpoint.from_directory({path!r}) needs the path of a directory")
        if not os.path.isdir(path):
            raise CheckpointError(f"Checkpoint.from_directory({str(path)!r}): there is no such directory")
        return cls(path)

    def to_dict(self) -> dict[str, Any]:
        """Return the dict that was saved. Unpickles it: only read checkpoints of people you trust.

        Raises:
            CheckpointError: files were saved, not a dict.
        """
        if self._data is not None:
            return dict(self._data)
        if self._stored is not None and self._stored.kind == "pickle":
            assert self._stored.data is not None
            data: dict[str, Any] = pickle.loads(self._stored.data)
        else:
            with self.as_directory() as directory:
                file = Path(directory, _DICT_FILE)
                if not file.is_file():
                    names = sorted(set(os.listdir(directory)) - {MANIFEST})
                    raise CheckpointError(
                        f"the checkpoint holds the files {names}, not a dict: read it with as_directory()"
                    )
                data = pickle.loads(file.read_bytes())
        self._has_been_read()
        return data

    def to_directory(self, path: str | os.PathLike[str] | None = None) -> str:
        """Write the files to the directory ``path`` (a new temporary one by default, yours to remove); return it."""
        target = Path(path if path is not None else tempfile.mkdtemp(prefix="ramet-"))
        target.mkdir(parents=True, exist_ok=True)
        if self._data is not None:
            (target / _DICT_FILE).write_bytes(_pickled(dict(self._data)))
        elif self._stored is not None and self._stored.data is not None:
            if self._stored.kind == "zip":
                with zipfile.ZipFile(BytesIO(self._stored.data)) as archive:
                    archive.extractall(target)
                    for info in archive.infolist():  # which extracting passes over
                        if mode := info.external_attr >> 16 & 0o777:
                            (target / info.filename).chmod(mode)
            else:
                (target / _DICT_FILE).write_bytes(self._stored.data)
        else:
            shutil.copytree(self._directory(), target, dirs_exist_ok=True, ignore=shutil.ignore_patterns(MANIFEST))
        self._has_been_read()
        return str(target)

    @contextlib.contextmanager
    def as_directory(self) -> Iterator[str]:
        """Give the files as a directory for a ``with`` block. Read only: it may be the stored one itself."""
        if self._path is not None or (self._stored is not None and self._stored.data is None):
            yield str(self._directory())
        else:
            # Small ones live in memory; a file on some disks costs a hundred times as much.
            with tempfile.TemporaryDirectory(prefix="ramet-", dir=_MEMORY) as directory:
                yield self.to_directory(directory)
        self._has_been_read()

    @property
    def path(self) -> str:
        """The files as a directory that lasts as long as this object: the stored one, or a copy of a small one."""
        if self._path is not None or (self._stored is not None and self._stored.path is not None):
            return str(self._directory())
        if self._copy is None:
            self._copy = self.to_directory()
            weakref.finalize(self, shutil.rmtree, self._copy, ignore_errors=True)
        return self._copy

    def __repr__(self) -> str:
        if self._data is not None:
            return f"Checkpoint(dict with {sorted(map(str, self._data))})"
        if self._stored is not None and self._stored.data is not None:
            return f"Checkpoint({self._stored.kind}, {len(self._stored.data)} bytes)"
        return f"Checkpoint({str(self._path or (self._stored and self._stored.path))!r})"

    def __reduce__(self) -> Any:
        return (_restored, (self._path, self._data, self._stored))

    def _directory(self) -> Path:
        path = self._path if self._path is not None else Path(str(self._stored and self._stored.path))
        if not path.is_dir():
            raise CheckpointError(f"the checkpoint's directory {str(path)!r} is gone")
        return path

    def _has_been_read(self) -> None:
        if self._on_read is not None:
            self._on_read()

    def pack(self, store: CheckpointStore, name: str) -> StoredCheckpoint:
        """Take the content over: into bytes if it is small, else into ``store`` under ``name``. For workers."""
        if self._stored is not None and self._stored.path is None:
            return self._stored
        if self._data is not None:
            try:
                data = _pickled(dict(self._data))
            except Exception as error:
                raise CheckpointError(
                    f"Checkpoint.from_dict({sorted(map(str, self._data))}) cannot be pickled ({error}): save plain "
                    "data, such as a state_dict, or write files and use from_directory"
                ) from error
            if len(data) <= SMALL:
                return StoredCheckpoint("pickle", data, size=len(data))
            directory = store.scratch()
            (directory / _DICT_FILE).write_bytes(data)
            final, size = store.commit(directory, name)
            return StoredCheckpoint("directory", path=str(store.root / final), size=size)
        # A stored one that is reported again is copied too: each checkpoint is deleted by itself.
        directory = self._directory()
        small = _zipped(directory)
        if small is not None:
            if store.owns(directory):
                shutil.rmtree(directory, ignore_errors=True)
            return StoredCheckpoint("zip", small, size=len(small))
        final, size = store.commit(directory, name)
        return StoredCheckpoint("directory", path=str(store.root / final), size=size)


def _restored(path: Path | None, data: Mapping[str, Any] | None, stored: StoredCheckpoint | None) -> Checkpoint:
    return Checkpoint(path, data=data, stored=stored)


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """Writes numpy arrays by their content alone, so that the same state gives the same bytes.

    Numpy's own way writes the dtype object, once or twice depending on whether two arrays share it, which differs
    between an array that was computed and one that was loaded.
    """

    def reducer_override(self, obj: Any) -> Any:
        if type(obj) is np.ndarray and obj.dtype.kind in "biufc" and obj.dtype.isnative:
            order: Literal["C", "F"] = "F" if obj.flags.f_contiguous and not obj.flags.c_contiguous else "C"
            return _array, (obj.dtype.str, obj.shape, order, bytearray(obj.tobytes(order)))
        return super().reducer_override(obj)


def _array(dtype: str, shape: tuple[int, ...], order: Any, data: bytearray) -> np.ndarray[Any, Any]:
    return np.frombuffer(data, dtype=dtype).reshape(shape, order=order)


def _pickled(data: dict[str, Any]) -> bytes:
    buffer = BytesIO()
    _Pickler(buffer, protocol=5).dump(data)
    return buffer.getvalue()


def _size(directory: Path, limit: int) -> int | None:
    """Return the bytes below ``directory``, or None once they are more than ``limit``."""
    total = 0
    for folder, _, names in os.walk(directory, followlinks=True):
        for name in names:
            total += os.stat(os.path.join(folder, name)).st_size
            if total > limit:
                return None
    return total


def _zipped(directory: Path) -> bytes | None:
    """Return the files as a zip archive, the same bytes for the same content; None if they are not small."""
    if _size(directory, SMALL) is None:
        return None
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for folder, folders, names in os.walk(directory, followlinks=True):
            folders.sort()
            base = os.path.relpath(folder, directory)
            for name in sorted(names):
                # ZipInfo without a date, or the file's time would be in the bytes.
                info = zipfile.ZipInfo(name if base == "." else f"{base}/{name}")
                with open(os.path.join(folder, name), "rb") as file:
                    info.external_attr = (os.fstat(file.fileno()).st_mode & 0o777) << 16
                    archive.writestr(info, file.read())
            if not names and not folders and base != ".":
                archive.writestr(zipfile.ZipInfo(f"{base}/"), b"")
    return buffer.getvalue()
