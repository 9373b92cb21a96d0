"""Large checkpoints: immutable directories, committed by rename, forked by reference.

A directory is filled under a temporary name in the same folder, its files are synced, a manifest is written last, and
then it is renamed. What has no manifest under its final name is not a checkpoint. Nothing is ever written to a
committed one, so a clone starts from its donor's directory itself and no byte is copied.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from pathlib import Path

from ramet.errors import CheckpointError

MANIFEST = ".ramet-manifest.json"
_SCRATCH = "tmp-"


class CheckpointStore:
    """The folder ``root`` of committed checkpoints, shared by the controller and its workers."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root)

    def scratch(self) -> Path:
        """Hand out a new empty directory that `commit` can take over without a copy."""
        path = self.root / f"{_SCRATCH}{uuid.uuid4().hex[:16]}"
        path.mkdir(parents=True)
        return path

    def owns(self, path: str | os.PathLike[str]) -> bool:
        """Return whether ``path`` was handed out by `scratch`."""
        path = Path(path)
        return path.name.startswith(_SCRATCH) and path.parent == self.root

    def commit(self, source: str | os.PathLike[str], name: str) -> tuple[str, int]:
        """Make the directory ``source`` the checkpoint ``name``, durably; return its final name and its size in bytes.

        A directory from `scratch` is renamed; any other is copied, for it is the user's. The final name carries a
        unique ending, so that work that was started twice never writes to the same place.

        Raises:
            CheckpointError: ``source`` is no directory.
        """
        source = Path(source)
        if not source.is_dir():
            raise CheckpointError(f"Checkpoint directory {str(source)!r} is not there: report it before it is removed")
        if not self.owns(source):
            copy = self.scratch()
            shutil.copytree(source, copy, dirs_exist_ok=True, ignore=shutil.ignore_patterns(MANIFEST))
            source = copy
        (source / MANIFEST).unlink(missing_ok=True)  # of a committed one that is committed again
        files = {}
        for folder, _, names in os.walk(source):
            for file in names:
                path = Path(folder, file)
                name_within = path.relative_to(source).as_posix()
                if not path.is_file():  # a pipe would never be read to its end, a broken link has none
                    raise CheckpointError(f"a checkpoint holds files, and {name_within!r} is none: leave it out")
                files[name_within] = path.stat().st_size
                _sync(path)
            _sync(Path(folder))
        manifest = source / MANIFEST
        manifest.write_text(json.dumps({"format": 1, "files": files}))
        _sync(manifest)
        _sync(source)
        final = f"{name}-{uuid.uuid4().hex[:8]}"
        os.rename(source, self.root / final)
        _sync(self.root)
        return final, sum(files.values())

    def path(self, final: str) -> Path:
        """Return where the committed checkpoint ``final`` lies.

        Raises:
            CheckpointError: it is not there, or was never committed.
        """
        path = self._within(final)
        if not (path / MANIFEST).is_file():
            raise CheckpointError(f"checkpoint {final!r} is not in {self.root}: it was deleted, or never committed")
        return path

    def delete(self, final: str) -> None:
        """Delete a committed checkpoint; deleting it again does nothing. It stops being one before its files go.

        Raises:
            CheckpointError: the name leads out of the store.
        """
        path = self._within(final)
        doomed = self.root / f"{_SCRATCH}{uuid.uuid4().hex[:16]}"
        try:
            os.rename(path, doomed)
        except FileNotFoundError:
            return
        shutil.rmtree(doomed, ignore_errors=True)

    def sweep(self, live: set[str]) -> list[str]:
        """Delete everything but the committed checkpoints in ``live``; return the names. Only while nothing writes."""
        gone = []
        if self.root.is_dir():
            for path in sorted(self.root.iterdir()):
                if path.name not in live:
                    if path.is_symlink() or not path.is_dir():
                        path.unlink()
                    else:
                        shutil.rmtree(path, ignore_errors=True)
                    gone.append(path.name)
        return gone

    def _within(self, final: str) -> Path:
        """Return the path of ``final``. The name may come from anybody's ledger, so it must not lead anywhere else."""
        if not final or final in (".", "..") or "/" in final or os.sep in final or "\0" in final:
            raise CheckpointError(f"checkpoint {final!r} is not in {self.root}: that is no name of one")
        return self.root / final


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
