"""Large checkpoints: immutable directories, committed by rename, forked by reference.

A directory is filled under a temporary name in the same folder, its files are synced, a manifest of their sizes and
checksums is written last, and then it is renamed. What has no manifest under its final name is not a checkpoint.
Nothing is ever written to a committed one, so a clone starts from its donor's directory itself and no byte is copied.

A run's folder may be anybody's, and a disk may lie: nothing that is read here is believed before it is looked at.
"""

from __future__ import annotations

import os
import re
import uuid
from contextlib import suppress
from pathlib import Path

from ramet.errors import CheckpointError, DamageError
from ramet.store.manifest import MANIFEST, contents, listed, verified, written
from ramet.store.trees import copy, copy_all, leads_inside, real, remove, sync, walk

_SCRATCH = "tmp-"
_SCRATCH_NAME = re.compile(f"{_SCRATCH}[0-9a-f]{{16}}")


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

    def take(self, scratch: Path, final: str) -> Path:
        """Make the folder ``final`` within ``scratch``, which holds a whole checkpoint, one of this store; return it.

        Another process may have been faster: then that one stays.
        """
        path = self._within(final)
        try:
            os.rename(scratch / final, path)
        except OSError:
            if not os.path.lexists(path / MANIFEST):
                raise
        return path

    def _commit(self, scratch: Path, name: str) -> tuple[str, int]:
        manifest = scratch / MANIFEST
        manifest.unlink(missing_ok=True)  # of a committed one, or of a commit that failed
        self._replace_links(scratch)
        final = f"{name}-{uuid.uuid4().hex[:8]}"
        size = written(scratch, final)
        os.rename(scratch, self.root / final)
        try:
            sync(self.root)
        except OSError:
            os.rename(self.root / final, scratch)  # so that it can be committed again
            raise
        return final, size

    def _replace_links(self, scratch: Path) -> None:
        """Put copies in the place of symbolic links, for what they lead to may change, go, or be called otherwise."""
        links = [entry.path for _, entry in real(scratch) if entry.is_symlink()]
        if links:
            list(contents(scratch))  # refuses what must not be followed before anything is changed
        for link in links:
            room = self.scratch()
            try:
                made = room / "copy"
                if os.path.isdir(link):
                    made.mkdir()
                    copy_all(walk(link), made)
                    os.unlink(link)
                else:
                    copy(link, made)
                os.replace(made, link)
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
            return sum(size for size, _ in listed(self._within(final)).values())
        except (DamageError, OSError):
            return 0

    def names(self) -> list[str]:
        """Return the names of what is ours here: committed checkpoints, and scratch that was left behind."""
        with suppress(OSError):
            return sorted(filter(self._is_ours, os.listdir(self.root)))
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
        """Delete checkpoints that are not in ``live``, and scratch; return the names. Only while nothing writes.

        What cannot be removed stays, and is not among them, and so does what is not ours.
        """
        return [name for name in self.names() if name not in live and remove(self.root / name)]

    def set_aside(self, live: set[str]) -> Path | None:
        """Move checkpoints that are not in ``live`` to a folder beside this one; return it, None if there are none."""
        names = [name for name in self.names() if name not in live and not _SCRATCH_NAME.fullmatch(name)]
        aside = self.root.with_name(f"{self.root.name}.damaged")
        for name in names:
            aside.mkdir(exist_ok=True)
            os.rename(self.root / name, aside / name)
        return aside if names else None

    def _is_ours(self, name: str) -> bool:
        return _SCRATCH_NAME.fullmatch(name) is not None or os.path.lexists(self.root / name / MANIFEST)

    def _temporary(self) -> Path:
        return self.root / f"{_SCRATCH}{uuid.uuid4().hex[:16]}"

    def _within(self, final: str) -> Path:
        """Return the path of ``final``. The name may come from anybody's ledger, so it must not lead anywhere else."""
        if not leads_inside(final) or "/" in final or os.sep in final:
            raise DamageError(f"checkpoint {final!r:.200} is not in {self.root}: that is no name of one")
        return self.root / final
