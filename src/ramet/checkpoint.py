"""What a training function saves and reads: a dict or a directory, wherever it is kept."""

from __future__ import annotations

import contextlib
import os
import pickle
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import cloudpickle
import numpy as np

from ramet import memory
from ramet.core.messages import StoredCheckpoint
from ramet.errors import CheckpointError, DamageError
from ramet.store import stacks
from ramet.store.bundles import BUNDLES, bundled, checked, unbundled
from ramet.store.checkpoints import CheckpointStore
from ramet.store.manifest import MANIFEST, Files, contents, copy_committed, verified
from ramet.store.trees import copy_all, place, remove

SMALL = 128 * 1024
"""Checkpoints of at most this many bytes travel in the message and lie in the ledger; larger ones are directories."""

_DICT_FILE = "dict_checkpoint.pkl"
_ROW_FILE = "state.npz"


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
        timed: Callable[[], contextlib.AbstractContextManager[None]] = contextlib.nullcontext,
    ) -> None:
        if sum(source is not None for source in (path, data, stored)) != 1:
            raise CheckpointError("a Checkpoint holds one thing: use Checkpoint.from_dict or Checkpoint.from_directory")
        self._path = None if path is None else Path(path)
        self._data, self._stored, self._on_read, self._timed = data, stored, on_read, timed
        self._copy: str | None = None
        self._files: Files | None = None

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
            DamageError: the checkpoint is not what was saved any more.
        """
        if self._data is not None:
            return dict(self._data)
        with self._timed():
            data: dict[str, Any] = self._loaded()
        self._has_been_read()
        return data

    def _loaded(self) -> Any:
        kind = self._kind()
        if kind == "pickle":
            return pickle.loads(self._bytes())
        if kind == "row":
            return self._row()
        with self.as_directory() as directory:
            names = set(os.listdir(directory) if self._files is None else self._files) - {MANIFEST}
            if _DICT_FILE not in names or not Path(directory, _DICT_FILE).is_file():
                raise CheckpointError(
                    f"the checkpoint holds the files {sorted({name.split('/')[0] for name in names})}, not a dict: "
                    "read it with as_directory()"
                )
            return pickle.loads(Path(directory, _DICT_FILE).read_bytes())

    def to_directory(self, path: str | os.PathLike[str] | None = None) -> str:
        """Write the files to the directory ``path`` (a new temporary one by default, yours to remove); return it.

        Raises:
            DamageError: the checkpoint is not what was saved any more.
        """
        if path is None:
            made = tempfile.mkdtemp(prefix="ramet-")
            try:
                return self.to_directory(made)
            except BaseException:
                remove(Path(made))
                raise
        if not os.path.isdir(path):
            os.makedirs(path, exist_ok=True)
        with self._timed():
            self._write_to(Path(path))
        self._has_been_read()
        return str(Path(path))

    def _write_to(self, target: Path) -> None:
        kind = self._kind()
        if self._data is not None:
            place(target, _DICT_FILE).write_bytes(_pickled(dict(self._data)))
        elif kind == "pickle":
            place(target, _DICT_FILE).write_bytes(self._bytes())
        elif kind == "row":
            arrays: dict[str, Any] = self._row()
            np.savez(place(target, _ROW_FILE), **arrays)
        elif kind in BUNDLES:
            unbundled(self._bytes(), kind, target)
        else:
            directory = self._directory()
            if self._files is None:
                copy_all(contents(directory), target)
            else:
                copy_committed(directory, self._files, target)

    @contextlib.contextmanager
    def as_directory(self) -> Iterator[str]:
        """Give the files as a directory for a ``with`` block. Read only: it may be the stored one itself."""
        with self._timed():
            if self._data is None and self._kind() == "directory":
                yield str(self._directory())
            else:
                with memory.folder() as directory:
                    yield self.to_directory(directory)
        self._has_been_read()

    @property
    def path(self) -> str:
        """The files as a directory that lasts as long as this object: the stored one, or a copy of a small one."""
        if self._data is None and self._kind() == "directory":
            return str(self._directory())
        if self._copy is None:
            self._copy = self.to_directory()
            weakref.finalize(self, shutil.rmtree, self._copy, ignore_errors=True)
        return self._copy

    def __repr__(self) -> str:
        if self._data is not None:
            return f"Checkpoint(dict with {sorted(map(str, self._data))})"
        if self._stored is not None and self._stored.path is None:
            return f"Checkpoint({self._stored.kind}, {self._stored.size} bytes)"
        return f"Checkpoint({str(self._path or (self._stored and self._stored.path))!r})"

    def __reduce__(self) -> Any:
        return (_restored, (self._path, self._data, self._stored))

    def _kind(self) -> str:
        """Return how it is kept, once that is one of the ways; nothing else of a stored one may be used before."""
        if self._stored is None:
            return "pickle" if self._path is None else "directory"
        kind = self._stored.kind
        if stacks.number(kind) is not None and isinstance(self._stored.path, str):
            return "row"
        if kind not in ("pickle", *BUNDLES, "directory"):
            raise DamageError(f"a checkpoint is of the kind {kind!r:.200}, which is none: update Ramet, or use another")
        if not (isinstance(self._stored.path, str) if kind == "directory" else isinstance(self._stored.data, bytes)):
            raise DamageError(f"a checkpoint of the kind {kind!r} has lost its content: use an earlier one")
        return kind

    def _row(self) -> dict[str, np.ndarray[Any, Any]]:
        """Return the arrays of one member's state, by name, from those of many."""
        number = None if self._stored is None else stacks.number(self._stored.kind)
        assert number is not None
        return stacks.row(self._directory(), number)

    def verify(self) -> None:
        """Read what is stored in a directory, and compare it with what was committed.

        Raises:
            DamageError: it is something else.
        """
        if self._kind() in ("directory", "row"):
            self._directory()

    def _bytes(self) -> bytes:
        assert self._stored is not None
        assert self._stored.data is not None
        return self._stored.data

    def _directory(self) -> Path:
        """Return where the files lie; those of a stored one are verified before their first use."""
        if self._stored is None:
            path = Path(str(self._path))
            if not path.is_dir():
                raise CheckpointError(f"the checkpoint's directory {str(path)!r} is gone")
            return path
        path = Path(str(self._stored.path))
        if self._files is None or not path.is_dir():
            with self._timed():
                self._files = verified(path, fresh=self._stored.fresh)
        return path

    def _has_been_read(self) -> None:
        if self._on_read is not None:
            self._on_read()

    def pack(self, store: CheckpointStore, name: str) -> StoredCheckpoint:
        """Take the content over: into bytes if it is small, else into ``store`` under ``name``. For workers."""
        if self._stored is not None:
            return self._packed_again(store, name, self._stored)
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
            return _filled(store, name, lambda scratch: (scratch / _DICT_FILE).write_bytes(data))
        directory = self._directory()
        small = bundled(directory, SMALL)
        if small is not None:
            if store.owns(directory) or memory.is_lent(directory):
                remove(directory)
            return StoredCheckpoint("files", small, size=len(small))
        final, size = store.commit(directory, name)
        if memory.is_lent(directory):
            remove(directory)
        return StoredCheckpoint("directory", path=str(store.root / final), size=size)

    def _packed_again(self, store: CheckpointStore, name: str, stored: StoredCheckpoint) -> StoredCheckpoint:
        """Take over what was stored before: verified, or damage would get a checksum that vouches for it."""
        kind = self._kind()
        if kind == "row":
            return Checkpoint.from_dict(self._row()).pack(store, name)
        if kind in BUNDLES:
            checked(self._bytes(), kind)
        if kind != "directory":
            return stored
        # Copied, not shared: each checkpoint is deleted by itself.
        directory = self._directory()
        assert self._files is not None
        files = self._files
        return _filled(store, name, lambda scratch: copy_committed(directory, files, scratch))


def _filled(store: CheckpointStore, name: str, fill: Callable[[Path], object]) -> StoredCheckpoint:
    """Commit a new directory that ``fill`` writes; if that fails nothing is left of it."""
    scratch = store.scratch()
    try:
        fill(scratch)
        final, size = store.commit(scratch, name)
    except BaseException:
        remove(scratch)
        raise
    return StoredCheckpoint("directory", path=str(store.root / final), size=size)


def _restored(path: Path | None, data: Mapping[str, Any] | None, stored: StoredCheckpoint | None) -> Checkpoint:
    return Checkpoint(path, data=data, stored=stored)


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc]
    """Writes numpy arrays by their content alone, so that the same state gives the same bytes.

    Numpy's own way writes the dtype object, once or twice depending on whether two arrays share it, which differs
    between an array that was computed and one that was loaded.
    """

    def reducer_override(self, obj: Any) -> Any:
        numbers = type(obj) is np.ndarray and obj.dtype.kind in "biufc" and obj.dtype.type.__module__ == "numpy"
        if numbers and obj.dtype.isnative:
            order: Literal["C", "F"] = "F" if obj.flags.f_contiguous and not obj.flags.c_contiguous else "C"
            return _array, (obj.dtype.str, obj.shape, order, bytearray(obj.tobytes(order)))
        return super().reducer_override(obj)


def _array(dtype: str, shape: tuple[int, ...], order: Any, data: bytearray) -> np.ndarray[Any, Any]:
    return np.frombuffer(data, dtype=dtype).reshape(shape, order=order)


def _pickled(data: dict[str, Any]) -> bytes:
    buffer = BytesIO()
    _Pickler(buffer, protocol=5).dump(data)
    return buffer.getvalue()
