"""What a store holds of a run besides its checkpoints: its ledger and small files, as they were at one moment.

Files lie in pieces of a megabyte, each an object whose name is used once. ``run.json`` is written last and says which
pieces make which file, so that there is always one whole snapshot, and no more goes over than has changed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import sqlite3
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from ramet.errors import DamageError, RunError, StorageError
from ramet.store.away import HOME
from ramet.store.ledger import NAME, Ledger
from ramet.store.lock import LOCK, RunLock, is_held
from ramet.store.readers import beside, connected
from ramet.store.remote import CHECKPOINTS, Remote, plain
from ramet.store.trees import leads_inside, place, real, remove

POINTER = "run.json"
PIECES = "ledger"
FORMAT = 1
PIECE = 2**20

_WORK = ".shipping"
_STAYS = (LOCK, HOME, _WORK, CHECKPOINTS)
"""What of a run's folder is of this machine alone, or goes its own way."""

ROUNDS = 5
"""How often a snapshot is looked for that stays for as long as it takes to read it."""


class Home(NamedTuple):
    """Where the run of a folder is kept: the URL, what tells it from others there, and whose work the folder holds.

    ``token`` is that of the controller that works or worked on it here, ``before`` of the one whose snapshot it began
    from: as long as the store has a snapshot by one of them, nobody has gone on elsewhere.
    """

    url: str
    run: str
    token: str = ""
    before: str = ""


def home(folder: str | os.PathLike[str]) -> Home | None:
    """Return where the run in ``folder`` is kept besides; None if it is of this machine alone.

    Raises:
        RunError: that cannot be read.
    """
    path = Path(folder, HOME)
    try:
        told = plain(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise RunError(f"{path}, which says where the run is kept, cannot be read: {error}") from error
    if not all(isinstance(told.get(name), str) for name in Home._fields):
        raise RunError(f"{path}, which should say where the run is kept, does not: restore the run from its URL")
    return Home(*(told[name] for name in Home._fields))


def settle(folder: Path, found: Home) -> None:
    """Write down where the run in ``folder`` is kept."""
    new = folder / f"{HOME}.tmp"
    new.write_text(json.dumps(found._asdict()))
    os.replace(new, folder / HOME)


class Piece(NamedTuple):
    """A part of a file: the object that holds it, its size and what sums up its content."""

    name: str
    size: int
    digest: str


@dataclass(frozen=True)
class Snapshot:
    """A run as it was at one moment: the ledger's last entry then, and each file as its pieces."""

    run: str
    token: str
    seq: int
    files: dict[str, list[Piece]] = field(default_factory=dict)

    @property
    def objects(self) -> set[str]:
        """The names of all its pieces."""
        return {piece.name for pieces in self.files.values() for piece in pieces}

    def encoded(self) -> bytes:
        """Return what ``run.json`` holds."""
        told = {"format": FORMAT, "run": self.run, "token": self.token, "seq": self.seq, "at": time.time()}
        return json.dumps({**told, "files": self.files}).encode()


def newest(remote: Remote) -> Snapshot | None:
    """Return the newest snapshot in ``remote``, None if there is none.

    Raises:
        RunError: it is damaged, or of a newer version of Ramet.
        StorageError: the store does not answer.
    """
    try:
        told = plain(remote.get(POINTER))
    except FileNotFoundError:
        return None
    if told.get("format") != FORMAT:
        raise RunError(
            f"{remote.url}/{POINTER} has format {told.get('format')!s:.40}, and this version of Ramet reads "
            f"up to {FORMAT}: update Ramet"
        )
    try:
        files = {name: [_piece(*piece) for piece in pieces] for name, pieces in told["files"].items()}
        run, token, seq = told["run"], told["token"], told["seq"]
        if not all(map(leads_inside, files)) or NAME not in files or type(seq) is not int:
            raise ValueError("its files are none of a run")
        return Snapshot(str(run), str(token), seq, files)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RunError(f"{remote.url}/{POINTER} is damaged ({error!s:.200}): it tells of no run") from None


def _piece(name: Any, size: Any, digest: Any) -> Piece:
    if not leads_inside(name) or type(size) is not int or type(digest) is not str:
        raise ValueError(f"{name!r:.80} is no piece")
    return Piece(name, size, digest)


@contextlib.contextmanager
def copied(folder: Path) -> Iterator[tuple[Path, int, set[str]]]:
    """Yield a copy of the ledger in ``folder``, its last entry, and the checkpoints in directories that it names.

    Raises:
        RunError: it cannot be read.
        OSError: there is no room for it.
    """
    work = folder / _WORK
    remove(work)
    work.mkdir()
    try:
        try:
            source, held = connected(folder / NAME)
            with contextlib.ExitStack() as ends:
                if held is not None:
                    ends.callback(held.cleanup)
                ends.callback(source.close)
                target = sqlite3.connect(work / NAME)
                ends.callback(target.close)
                source.backup(target)  # in one step, while the run writes on
        except sqlite3.Error as error:
            raise RunError(f"{folder / NAME} cannot be copied: {error}") from error
        ledger = Ledger.open(work)
        try:
            last, rows = ledger.last, list(ledger.checkpoints())
        finally:
            ledger.close()
        yield work / NAME, last, {row.path for row in rows if row.path is not None}
    finally:
        remove(work)


def small_files(folder: Path) -> list[str]:
    """Return the names of the files in ``folder`` that go with the ledger."""
    found = []
    for name, entry in real(folder):
        top = name.partition("/")[0]
        ours = top not in _STAYS and not top.startswith((f"{CHECKPOINTS}.", NAME))
        if ours and not name.endswith(".tmp") and entry.is_file(follow_symlinks=False):
            found.append(name)
    return found


def sent(
    remote: Remote, files: dict[str, Path], before: dict[str, list[Piece]], objects: set[str]
) -> dict[str, list[Piece]]:
    """Send ``files`` in pieces, those that have changed since ``before``, and return all that they are made of.

    The names of those that were sent are put into ``objects``, also if it fails.

    Raises:
        StorageError: the store does not take them.
        OSError: a file cannot be read.
    """
    made: dict[str, list[Piece]] = {}
    new: dict[str, int] = {}
    for name, path in files.items():
        known, pieces = before.get(name, []), list[Piece]()
        try:
            file = open(path, "rb")  # noqa: SIM115
        except FileNotFoundError:
            continue  # a log that was put aside meanwhile
        with file:
            while data := file.read(PIECE):
                digest = hashlib.blake2b(data, digest_size=16).hexdigest()
                at = len(pieces)
                if at < len(known) and known[at][1:] == (len(data), digest):
                    pieces.append(known[at])
                    continue
                piece = Piece(f"{PIECES}/{uuid.uuid4().hex}", len(data), digest)
                objects.add(piece.name)
                remote.send(piece.name, data)
                new[piece.name.rpartition("/")[2]] = len(data)
                pieces.append(piece)
        made[name] = pieces
    held = remote.sizes(PIECES) if new else {}
    if any(held.get(name) != size for name, size in new.items()):
        raise StorageError(f"cannot send the ledger to {remote.url}: parts that it took are not there")
    return made


def brought(remote: Remote, found: Snapshot, folder: Path) -> None:
    """Write the files of the snapshot ``found`` into ``folder``, over those that are there.

    Raises:
        FileNotFoundError: a newer snapshot has taken its place.
        DamageError: what the store holds is not what was sent.
        StorageError: the store does not answer.
    """
    work = folder / _WORK
    remove(work)
    work.mkdir(parents=True)
    try:
        for name, pieces in found.files.items():
            with open(place(work, name), "wb") as file:
                for piece in pieces:
                    data = remote.get(piece.name)
                    if (len(data), hashlib.blake2b(data, digest_size=16).hexdigest()) != piece[1:]:
                        raise DamageError(f"{remote.url}/{piece.name} is not what was sent (checksum)")
                    file.write(data)
        # First what belongs to the old ledger, for it must never be taken for a part of the new one.
        for ending in ("-wal", "-shm", "-journal"):
            beside(folder / NAME, ending).unlink(missing_ok=True)
        for name in found.files:
            if name != NAME:
                os.replace(work / name, place(folder, name))
        os.replace(work / NAME, folder / NAME)
    finally:
        remove(work)


def here(url: str, runs: Path) -> Path:
    """Return a folder of this machine that holds the run at ``url``: a new one in ``runs``, or the one that does.

    A folder that is at least as new as what the store has, or that is being worked on, is left as it is; an older one
    is brought up to date. Checkpoints come when somebody asks for them.

    Raises:
        RunError: there is no run at ``url``, or it cannot be written here.
        StorageError: the store does not answer.
    """
    remote = Remote(url)
    for _ in range(ROUNDS):
        found = newest(remote)
        if found is None:
            raise RunError(f"{remote.url} holds no run: there is no {POINTER} in it")
        with contextlib.suppress(FileNotFoundError):  # the run goes on, and its next snapshot came in between
            return _here(remote, found, runs)
    raise StorageError(f"{remote.url} changes faster than it can be read: try again")


def _here(remote: Remote, found: Snapshot, runs: Path) -> Path:
    name = remote.url.rpartition("/")[2]
    number = 0
    while True:
        number += 1
        folder = runs / (name if number == 1 else f"{name}_{number}")
        known = home(folder) if (folder / HOME).exists() else None
        if known is not None and known.run == found.run:
            break
        if not os.path.lexists(folder):
            known = None
            break
    try:
        if known is not None and (is_held(folder) or _is_newer(folder, known, found)):
            return folder
        folder.mkdir(parents=True, exist_ok=True)
        with RunLock.take(folder):
            (folder / CHECKPOINTS).mkdir(exist_ok=True)
            if known is not None and (folder / NAME).exists() and found.token not in known[2:]:
                shutil.copyfile(folder / NAME, beside(folder / NAME, ".superseded"))
            settle(folder, Home(remote.url, found.run, found.token))
            brought(remote, found, folder)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise RunError(f"cannot bring the run at {remote.url} to {folder}: {error}; set RAMET_RUNS") from error
    return folder


def _is_newer(folder: Path, known: Home, found: Snapshot) -> bool:
    """Return whether a folder has all that a snapshot has, and nobody has gone on elsewhere."""
    if found.token not in known[2:] or not (folder / NAME).exists():
        return False
    try:
        ledger = Ledger.open(folder)
    except RunError:
        return True  # damaged, which is for whoever opens it
    try:
        return ledger.last >= found.seq
    except RunError:
        return True
    finally:
        ledger.close()
