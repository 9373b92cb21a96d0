"""A folder in a store that a URL names (``s3://``, ``gs://``, ``az://``, ``memory://`` …), by way of fsspec.

Objects appear as a whole or not at all, under names that are used once; what is made of several is committed by the one
that is written last. No answer is believed: after a checkpoint is sent, the store is asked what it holds.

Credentials are the business of the filesystem package, which finds them in the environment. Ramet takes none, keeps
none, and passes on no text of an error before what may be a secret is cut out.
"""

from __future__ import annotations

import contextlib
import copy
import json
import os
import threading
import uuid
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from ramet.errors import ConfigError, DamageError, DiskFullError, StorageError
from ramet.store import parts
from ramet.store.checkpoints import CheckpointStore
from ramet.store.journal import FULL
from ramet.store.manifest import MANIFEST, listed, verified
from ramet.store.packages import opened, without_credentials
from ramet.store.retries import Retries, in_words, is_lasting, is_missing, lacks_credentials
from ramet.store.trees import leads_inside, place, real, remove
from ramet.store.urls import checked

CHECKPOINTS = "checkpoints"

_EMPTY = ".ramet-folder"
"""Stands for a folder that holds nothing, which a store of objects does not know."""

_ROUNDS = 3
"""How often what a store took and does not hold is sent again at once."""

_IN_PLACE = ("file", "local")
"""Where a file that is being written can be seen."""


class NotThereError(DamageError):
    """A checkpoint is not committed in a store: never, not yet, or not any more."""


class Remote:
    """The folder at ``url``, and what it holds of a run. Every verb may be called from any thread.

    ``sent`` and ``received`` count the bytes of files that went over.

    Args:
        url: any that fsspec knows; the options of its filesystem come from fsspec's configuration and the environment.
        retries: how often calls are made again.

    Raises:
        ConfigError: the URL is none, or the package for it is not installed.
    """

    def __init__(self, url: str, retries: Retries | None = None) -> None:
        self.url, self.retries = checked(url), retries or Retries()
        self.sent = self.received = 0
        self._counting = threading.Lock()
        self._kind = self.url.partition("://")[0]
        self._fs, base = opened(self.url)
        self._base = base.rstrip("/")

    def __repr__(self) -> str:
        return f"Remote({self.url!r})"

    def below(self, name: str) -> Remote:
        """Return the folder ``name`` in this one."""
        found = copy.copy(self)  # with the same connections
        found.url, found._base = checked(f"{self.url}/{name}"), f"{self._base}/{name}"
        found.sent = found.received = 0
        return found

    def end(self) -> None:
        """Make no call again from now on."""
        self.retries.end()

    # ------------------------------------------------------------------ before anything starts

    def check(self) -> None:
        """Write a small object, read it and delete it, before anything is trusted to the store.

        Raises:
            ConfigError: there are no credentials, no such bucket, or no right to do that.
            StorageError: the store does not answer.
        """
        name, data = f".ramet-probe-{uuid.uuid4().hex[:16]}", os.urandom(16).hex().encode()
        try:
            self._probe("write to", lambda: self._written(name, data))
        except FileNotFoundError:
            raise ConfigError(
                f"storage_path={self.url!r}: there is no such bucket or folder to write to: make it first"
            ) from None
        with contextlib.suppress(FileNotFoundError):  # an earlier try deleted it, and we did not hear of it
            self._probe("delete in", lambda: self._fs.rm_file(self._path(name)))

    def _written(self, name: str, data: bytes) -> None:
        self._write(name, data)
        try:
            found = self._fs.cat_file(self._path(name))
        except FileNotFoundError:
            found = None
        if found != data:
            raise OSError(f"{name} was taken, and is not what is read now")

    def _probe(self, verb: str, function: Callable[[], Any]) -> Any:
        def refused() -> Any:
            try:
                return function()
            except Exception as error:
                if is_missing(error):
                    raise
                told = in_words(error)
                if lacks_credentials(error):
                    raise ConfigError(without_credentials(self.url, told)) from None
                if isinstance(error, PermissionError) or is_lasting(error):
                    raise ConfigError(
                        f"storage_path={self.url!r}: we may not {verb} it ({told}): let this user do that, or use "
                        "another storage_path="
                    ) from None
                raise

        try:
            return self.retries.call(f"cannot {verb} {self.url}", refused)
        except StorageError as error:
            raise StorageError(f"{error}; see that it is up and can be reached, or use another storage_path=") from None

    # ------------------------------------------------------------------ small objects

    def put(self, name: str, data: bytes) -> None:
        """Write the object ``name`` as a whole, over one that is there, and see that it is what is read now.

        Raises:
            StorageError: it cannot be written.
        """
        self._call(f"write {name} to", lambda: self._written(name, data))
        self._count(sent=len(data))

    def create(self, name: str, data: bytes) -> bool:
        """Write the object ``name`` if there is none; return whether it is ours. Some stores have to be asked first."""

        def written() -> bytes:
            try:
                self._fs.pipe_file(self._path(name), data, mode="create")
            except FileExistsError:
                pass  # by another, or by an earlier try of ours
            except (NotImplementedError, TypeError, ValueError):
                with contextlib.suppress(FileNotFoundError):
                    return bytes(self._fs.cat_file(self._path(name)))
                self._write(name, data)
            try:
                return bytes(self._fs.cat_file(self._path(name)))
            except FileNotFoundError as error:
                raise OSError(f"{name} was taken, and is not there") from error

        if self._kind in _IN_PLACE:
            self._fs.makedirs(self._base, exist_ok=True)
        return self.retries.call(f"cannot write {name} to {self.url}", written) == data

    def send(self, name: str, data: bytes) -> None:
        """Write the object ``name``, which is new, without a look at what came of it; `sizes` tells."""
        self._call(f"write {name} to", lambda: self._write(name, data))
        self._count(sent=len(data))

    def get(self, name: str) -> bytes:
        """Return the content of the object ``name``.

        Raises:
            FileNotFoundError: there is none.
            StorageError: it cannot be read.
        """
        data = bytes(
            self.retries.call(f"cannot read {name} from {self.url}", lambda: self._fs.cat_file(self._path(name)))
        )
        self._count(received=len(data))
        return data

    def has(self, name: str) -> bool:
        """Return whether there is an object ``name``.

        Raises:
            StorageError: the store does not answer.
        """
        try:
            self.retries.call(f"cannot ask {self.url} for {name}", lambda: self._fs.info(self._path(name)))
        except FileNotFoundError:
            return False
        return True

    def modified(self, name: str) -> float | None:
        """Return when the object ``name`` was written by the clock of the store; None if it does not tell."""
        try:
            found = self.retries.call(f"cannot ask {self.url}", lambda: self._fs.modified(self._path(name)))
            return float(found.timestamp())
        except (FileNotFoundError, NotImplementedError, AttributeError, StorageError):
            return None

    def sizes(self, folder: str) -> dict[str, int]:
        """Return the sizes of all objects below ``folder``, by their names there."""
        top = self._path(folder) if folder else self._base

        def found() -> dict[str, int]:
            listing = self._fs.find(top, detail=True)
            above = len(top) + 1
            return {path[above:]: int(told["size"]) for path, told in listing.items() if told.get("type") == "file"}

        try:
            return self.retries.call(f"cannot list {folder} in {self.url}", found)
        except FileNotFoundError:
            return {}

    def folders(self) -> list[str]:
        """Return the names of the folders in this one.

        Raises:
            StorageError: the store does not answer.
        """
        try:
            found = self.retries.call(f"cannot list {self.url}", lambda: self._fs.ls(self._base, detail=True))
        except FileNotFoundError:
            return []
        return sorted(told["name"].rstrip("/").rpartition("/")[2] for told in found if told["type"] == "directory")

    def drop(self, names: Iterable[str]) -> None:
        """Delete objects; one that is not there is passed over.

        Raises:
            StorageError: one cannot be deleted.
        """
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                what = f"cannot delete {name} in {self.url}"
                self.retries.call(what, partial(self._fs.rm_file, self._path(name)))

    # ------------------------------------------------------------------ checkpoints

    def commit(self, directory: Path, final: str, *, again: bool = False) -> int:
        """Send the committed checkpoint in ``directory``; its manifest goes last. Return its size in bytes.

        Args:
            directory: what `CheckpointStore.commit` made.
            final: its name.
            again: whether it was begun before: what is there already is not sent twice.

        Raises:
            DamageError: ``directory`` holds no whole checkpoint, or has gone.
            StorageError: the store does not take it, for now; nothing of it is visible.
        """
        files, there = listed(directory), self._checkpoint(final)
        sizes = {name: size for name, (size, _) in files.items()}
        for name, entry in real(directory):
            if entry.is_dir(follow_symlinks=False) and not os.listdir(entry.path):
                sizes[f"{name}/{_EMPTY}"] = 0
        held = self.sizes(there) if again else {}
        for _ in range(_ROUNDS):
            for name, size in sizes.items():
                if held.get(name) != size:
                    self._send_file(directory, there, name, size)
            held = self.sizes(there)
            if all(held.get(name) == size for name, size in sizes.items()):
                break
        else:
            raise StorageError(f"cannot send checkpoint {final} to {self.url}: files that it took are not there")
        self.put(f"{there}/{MANIFEST}", (directory / MANIFEST).read_bytes())
        return sum(sizes.values())

    def _send_file(self, directory: Path, there: str, name: str, size: int) -> None:
        if name.endswith(_EMPTY):
            self.send(f"{there}/{name}", b"")
            return
        try:
            self._call(f"write {name} to", lambda: self._upload(directory / name, f"{there}/{name}"))
        except StorageError:
            if os.path.isfile(directory / name):
                raise
            raise DamageError(f"checkpoint {directory.name!r} in {directory.parent} lost {name!r:.200}") from None
        self._count(sent=size)

    def fetch(self, final: str, root: str | os.PathLike[str]) -> Path:
        """Bring the checkpoint ``final`` into the `CheckpointStore` at ``root``, where it appears when it is whole.

        Raises:
            NotThereError: it was never committed, or was deleted.
            DamageError: it is not what was committed.
            DiskFullError: there is no room for it here.
            StorageError: the store does not answer.
        """
        store = CheckpointStore(root)
        room = store.scratch()
        try:
            self._fetch(final, room / final)
            return store.take(room, final)
        except FileNotFoundError:
            raise NotThereError(
                f"checkpoint {final!r} is not in {self.url}: it was deleted, or never committed"
            ) from None
        except OSError as error:
            if error.errno in FULL:
                raise DiskFullError(f"there is no room for checkpoint {final} in {root}: make room there") from error
            raise
        finally:
            remove(room)

    def _fetch(self, final: str, target: Path) -> None:
        there = self._checkpoint(final)
        target.mkdir()
        manifest = self.get(f"{there}/{MANIFEST}")
        (target / MANIFEST).write_bytes(manifest)
        for number in range(1, _ROUNDS + 1):
            try:
                files = listed(target)
                for name, (size, _) in files.items():
                    path = place(target, name)
                    what = f"cannot read {name} of checkpoint {final} from {self.url}"
                    self._download(what, f"{there}/{name}", path, size)
                    self._count(received=size)
                verified(target)
                break
            except DamageError:  # of bytes that came over wrong, perhaps
                if number == _ROUNDS:
                    raise
        for name in self.sizes(there):
            if name.rpartition("/")[2] == _EMPTY and leads_inside(name):
                place(target, name).parent.mkdir(exist_ok=True)

    def holds(self, final: str) -> bool:
        """Return whether the checkpoint ``final`` is committed here.

        Raises:
            StorageError: the store does not answer.
        """
        return self.has(f"{self._checkpoint(final)}/{MANIFEST}")

    def delete(self, final: str) -> None:
        """Delete the checkpoint ``final``, its manifest first; deleting it again does nothing.

        Raises:
            StorageError: it cannot be deleted.
        """
        there = self._checkpoint(final)
        self.drop([f"{there}/{MANIFEST}"])
        with contextlib.suppress(FileNotFoundError):
            if self.sizes(there) or self._kind in _IN_PLACE:
                what = f"cannot delete {there} in {self.url}"
                self.retries.call(what, lambda: self._fs.rm(self._path(there), recursive=True))

    def names(self) -> dict[str, bool]:
        """Return the names of all checkpoints that something is here of, and whether each is committed.

        Raises:
            StorageError: the store does not answer.
        """
        found: dict[str, bool] = {}
        for path in self.sizes(CHECKPOINTS):
            final, _, name = path.partition("/")
            found[final] = found.get(final, False) or name == MANIFEST
        return found

    # ------------------------------------------------------------------ ways to the filesystem

    def _call(self, what: str, function: Callable[[], Any]) -> None:
        try:
            self.retries.call(f"cannot {what} {self.url}", function)
        except FileNotFoundError as error:  # the bucket has gone, or what was to be sent
            raise StorageError(f"cannot {what} {self.url}: {in_words(error)}") from None

    def _path(self, name: str) -> str:
        return f"{self._base}/{name}"

    def _checkpoint(self, final: str) -> str:
        if not leads_inside(final) or "/" in final:
            raise DamageError(f"checkpoint {final!r:.200} is not in {self.url}: that is no name of one")
        return f"{CHECKPOINTS}/{final}"

    def _write(self, name: str, data: bytes) -> None:
        if self._kind in _IN_PLACE:
            self._put_by_rename(name, lambda new: self._fs.pipe_file(new, data))
        else:
            self._fs.pipe_file(self._path(name), data)

    def _upload(self, source: Path, name: str) -> None:
        if self._kind in _IN_PLACE:
            self._put_by_rename(name, lambda new: self._fs.put_file(os.fspath(source), new))
            return
        try:
            self._fs.put_file(os.fspath(source), self._path(name))
        except FileNotFoundError as error:
            if not source.is_file():
                raise
            raise OSError(str(error)) from error  # of an upload in parts that another try has ended

    def _put_by_rename(self, name: str, write: Callable[[str], Any]) -> None:
        path = self._path(name)
        self._fs.makedirs(path.rpartition("/")[0], exist_ok=True)
        new = f"{path}.{uuid.uuid4().hex[:8]}.tmp"
        try:
            write(new)
            self._fs.mv(new, path)
        except BaseException:
            with contextlib.suppress(Exception):
                self._fs.rm_file(new)
            raise

    def _download(self, what: str, name: str, path: Path, size: int) -> None:
        """Bring a file, a large one in parts: a cut costs a part, and s3fs would begin it twice to do so itself."""
        if size <= parts.PART or self._kind in _IN_PLACE:
            self.retries.call(what, lambda: self._fs.get_file(self._path(name), os.fspath(path)))
        else:
            parts.bring(lambda start, end: self.retries.call(what, lambda: self._part(name, start, end)), path, size)

    def _part(self, name: str, start: int, end: int) -> bytes:
        data = bytes(self._fs.cat_file(self._path(name), start=start, end=end))
        if len(data) != end - start:
            raise OSError(f"{name} came short")
        return data

    def _count(self, sent: int = 0, received: int = 0) -> None:
        with self._counting:
            self.sent += sent
            self.received += received


def plain(data: bytes) -> dict[str, Any]:
    """Return the object of JSON that ``data`` is; an empty one if it is none."""
    try:
        told = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return told if isinstance(told, dict) else {}
