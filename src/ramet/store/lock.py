"""One process works on a run: a lock on the file ``run.lock`` in its folder, which says who holds it."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import math
import os
import socket
import stat
import struct
import sys
import time
import uuid
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from ramet.errors import DiskFullError, LockedError, RunError
from ramet.store.journal import FULL, why_not_writable

LOCK = "run.lock"

_TRIES = 100
_MOST = 4096
_TAKEN = (errno.EACCES, errno.EAGAIN)
_REFUSED = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)

# Folders whose locks this process holds, by device and inode: a lock of POSIX keeps out other processes only, and is
# dropped when its own process closes the file anywhere, so that the file must not even be opened again.
_held: dict[tuple[int, int], RunLock] = {}
# A forked child has none of them.
os.register_at_fork(after_in_child=_held.clear)


class _Holder(NamedTuple):
    """Who says in the file to hold the lock; ``start`` tells a process from a later one of the same number."""

    host: str
    process: int
    since: float
    start: int | None


class RunLock:
    """The right to work on a run. It ends with `release`, or with the process, however that ends."""

    def __init__(self, folder: Path, key: tuple[int, int]) -> None:
        self.folder, self.path = folder, Path(os.path.abspath(folder), LOCK)
        self._key, self._process = key, os.getpid()
        self._descriptor: int | None = None

    @classmethod
    def take(cls, folder: str | os.PathLike[str]) -> RunLock:
        """Take the lock of the run in ``folder``.

        Raises:
            LockedError: somebody holds it; the message says who.
            RunError: the folder is not there, or cannot be written.
        """
        folder = Path(folder)
        try:
            found = os.stat(folder)
        except OSError as error:
            raise RunError(f"{folder} holds no run: {error.strerror}") from error
        lock = cls(folder, (found.st_dev, found.st_ino))
        if _held.setdefault(lock._key, lock) is not lock:
            raise LockedError(
                f"the run in {folder} is under way in this very process ({os.getpid()}): wait for its end, or work on "
                "another run"
            )
        try:
            lock._take()
        except BaseException as error:
            lock.release()
            if not isinstance(error, OSError):
                raise
            if error.errno in FULL:
                raise DiskFullError(f"there is no room for {lock.path} ({error.strerror}): make room there") from error
            why = why_not_writable(lock.path if lock.path.exists() else folder) or f"{lock.path}: {error.strerror}"
            raise RunError(f"the run in {folder} cannot be worked on: {why}") from error
        return lock

    def release(self) -> None:
        """Give the lock back; doing it again, or in a forked child, does nothing."""
        if self._process != os.getpid():
            return
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            # First the name, while it is ours: who waits on this file finds that it is no longer the one in the folder.
            with contextlib.suppress(OSError):
                if _is_at(descriptor, self.path):
                    os.unlink(self.path)
            with contextlib.suppress(OSError):
                os.close(descriptor)
        if _held.get(self._key) is self:
            del _held[self._key]

    def __enter__(self) -> RunLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def _take(self) -> None:
        """Lock the file that is in the folder, whoever left it."""
        for _ in range(_TRIES):
            try:
                descriptor, made = self._open(os.O_CREAT | os.O_EXCL), True
            except FileExistsError:
                try:
                    descriptor, made = self._open(0), False
                except FileNotFoundError:
                    continue
            ours = False
            try:
                ours = self._has(descriptor, made)
            finally:
                if not ours:
                    os.close(descriptor)
            if ours:
                self._descriptor = descriptor
                _write(descriptor)
                return
        raise self._taken(None)

    def _has(self, descriptor: int, made: bool) -> bool:
        """Return whether the file is ours now; if not, it is no longer the one in the folder."""
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return _is_at(descriptor, self.path)  # else its holder unlinked it while we came
        except OSError as error:
            holder = None if made else _read(descriptor)
            if error.errno in _REFUSED:
                # Where there are no locks, who makes the file has it, and says in it who that is.
                if made:
                    return True
                if holder is not None and _is_gone(holder):
                    self._put_away(descriptor)
                    return False
            if error.errno in _TAKEN:
                raise self._taken(holder) from None
            if error.errno in _REFUSED:
                more = "if that process is gone, or its machine"
                raise self._taken(holder, f". This file system knows no locks: {more}, remove {self.path}") from None
            raise

    def _put_away(self, descriptor: int) -> None:
        """Remove the file of a dead holder, and no other that came in its place meanwhile."""
        doomed = self.path.with_name(f"{LOCK}.{uuid.uuid4().hex[:16]}")
        with contextlib.suppress(FileNotFoundError):
            if not _is_at(descriptor, self.path):
                return
            os.rename(self.path, doomed)
            if not _is_at(descriptor, doomed):
                try:
                    os.link(doomed, self.path)
                except FileExistsError:
                    pass
                except OSError:  # no links here
                    os.rename(doomed, self.path)
            os.unlink(doomed)

    def _open(self, how: int) -> int:
        # A link leads elsewhere, and a pipe waits: neither is ours.
        flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            descriptor = os.open(self.path, flags | how, 0o666)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO):
                raise RunError(f"{self.path} is no file of a run: remove it, and try again") from error
            raise
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise RunError(f"{self.path} is no file of a run: remove it, and try again")
        return descriptor

    def _taken(self, holder: _Holder | None, more: str = "") -> LockedError:
        if holder is None:
            who, end = "another process, which does not say which it is", "it"
        else:
            who, end = f"process {holder.process} on {holder.host}", "that process"
            with contextlib.suppress(ValueError, OverflowError, OSError):
                who += f" since {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(holder.since))}"
        return LockedError(f"{who} works on the run in {self.folder}: wait for its end, or end {end}{more}")


def is_held(folder: str | os.PathLike[str]) -> bool:
    """Return whether a process works on the run in ``folder``, as far as can be known, without getting in its way.

    The lock is only looked at: not even for a moment is it taken.
    """
    path = Path(folder, LOCK)
    try:
        found = os.stat(folder)
        if (found.st_dev, found.st_ino) in _held:  # and the file must not be opened
            return True
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return False
    except OSError:
        return os.path.lexists(path)
    try:
        told = _asked(descriptor)
        if told is not None:
            return told
        holder = _read(descriptor)
        return holder is None or not _is_gone(holder)
    finally:
        os.close(descriptor)


def _asked(descriptor: int) -> bool | None:
    """Return whether another process has a file locked; None where the system does not tell."""
    # struct flock: its fields have another order on the BSDs and on macOS.
    linux = sys.platform.startswith("linux")
    layout = "hhqqi4x" if linux else "qqihh4x"
    fields = (fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0) if linux else (0, 0, 0, fcntl.F_WRLCK, os.SEEK_SET)
    try:
        answer = struct.unpack(layout, fcntl.fcntl(descriptor, fcntl.F_GETLK, struct.pack(layout, *fields)))
    except (OSError, struct.error):
        return None
    return int(answer[0 if linux else 3]) != fcntl.F_UNLCK


def _is_at(descriptor: int, path: Path) -> bool:
    """Return whether an open file is the one that lies at ``path``."""
    try:
        there = os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return os.path.samestat(os.fstat(descriptor), there)


def _write(descriptor: int) -> None:
    told = {"host": socket.gethostname(), "process": os.getpid(), "since": time.time()}
    state = state_of(os.getpid())
    if state is not None:
        told["start"] = state[1]
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(told).encode(), 0)


def _read(descriptor: int) -> _Holder | None:
    """Return who says to hold the lock, None if what is there says nothing of the kind."""
    try:
        told = json.loads(os.pread(descriptor, _MOST, 0))
        host, process, since, start = told["host"], told["process"], told["since"], told.get("start")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    if type(host) is not str or type(process) is not int or type(since) not in (int, float):
        return None
    if not 0 < process < 2**31 or not 0 <= since < 1e11 or not math.isfinite(since):
        return None
    shown = "".join(each if each.isprintable() else "?" for each in host[:100])
    return _Holder(shown, process, float(since), start if type(start) is int else None)


def _is_gone(holder: _Holder) -> bool:
    """Return whether a holder is a process of this machine that has ended. Of another machine nobody knows."""
    if holder.host != socket.gethostname():
        return False
    if holder.process == os.getpid():  # we hold nothing: before an exec, or with the same number before a restart
        return True
    try:
        os.kill(holder.process, 0)
    except ProcessLookupError:
        return True
    except OSError:  # it is somebody else's
        pass
    state = state_of(holder.process)
    if state is None:
        return False
    return state[0] in "ZX" or (holder.start is not None and holder.start != state[1])


def state_of(process: int) -> tuple[str, int] | None:
    """Return the state of a process and when it started, in ticks since the machine did; None if that is not told."""
    try:
        # Its name, in parentheses, may hold anything.
        fields = Path(f"/proc/{process}/stat").read_bytes().rpartition(b")")[2].split()
        return fields[0].decode(), int(fields[19])
    except (OSError, ValueError, IndexError):
        return None
