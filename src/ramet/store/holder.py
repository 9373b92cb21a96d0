"""One controller works on a run in a store: the object ``holder.json`` says which, and is renewed while it does.

A store knows no locks. Who finds a holder that has not renewed for a while, or one whose process on this very machine
has ended, takes its place; before it publishes anything, each controller looks whether it has been replaced.
"""

from __future__ import annotations

import json
import os
import socket
import time
import uuid
from typing import Any

from ramet.errors import LockedError
from ramet.store.lock import state_of
from ramet.store.remote import Remote, plain

HOLDER = "holder.json"

_ours: set[str] = set()
"""Tokens of the runs that this process works on."""


class Holder:
    """The right to publish a run in ``remote``; ``token`` tells this controller from all others.

    Args:
        remote: where the run is kept.
        lease_s: seconds after which a holder that has not renewed counts as gone.
    """

    def __init__(self, remote: Remote, lease_s: float) -> None:
        self.remote, self.lease_s, self.token = remote, lease_s, uuid.uuid4().hex
        self._since = time.time()

    def take(self) -> None:
        """Become the holder.

        Raises:
            LockedError: another one is; the message says who and since when.
            StorageError: the store does not answer.
        """
        if not self.remote.create(HOLDER, self._told()):
            try:
                found = plain(self.remote.get(HOLDER))
            except FileNotFoundError:  # it has ended meanwhile
                found = {}
            if found and not self._is_gone(found):
                raise LockedError(
                    f"{_who(found)} works on the run in {self.remote.url}: wait for its end, or end that process; if "
                    f"it is gone, it counts as such {self.lease_s:g} s after it was last heard of"
                )
            self.remote.put(HOLDER, self._told())
        _ours.add(self.token)

    def renew(self) -> None:
        """Say that we are still at work, once it is sure that nobody has taken our place. As `check` else."""
        self.check()
        self.remote.put(HOLDER, self._told())

    def check(self) -> None:
        """Look whether we are the holder.

        Raises:
            LockedError: another one is.
            StorageError: the store does not answer.
        """
        try:
            found = plain(self.remote.get(HOLDER))
        except FileNotFoundError:
            return  # nobody is: whoever removed it has not taken it
        if found.get("token") != self.token:
            raise LockedError(
                f"{_who(found)} has taken over the run in {self.remote.url}, for this process was not heard of for "
                f"{self.lease_s:g} s: it goes on there, and ends here"
            )

    def leave(self) -> None:
        """Work on the run no more, though the store may still say so: on this machine that is known to be wrong."""
        _ours.discard(self.token)

    def release(self) -> None:
        """Stop being the holder. If the store does not answer, the lease runs out by itself (StorageError)."""
        self.leave()
        try:
            if plain(self.remote.get(HOLDER)).get("token") == self.token:
                self.remote.drop([HOLDER])
        except FileNotFoundError:
            pass

    def _told(self) -> bytes:
        state = state_of(os.getpid())
        told = {
            "token": self.token,
            "host": socket.gethostname(),
            "machine": _machine(),
            "process": os.getpid(),
            "start": None if state is None else state[1],
            "since": self._since,
            "renewed": time.time(),
        }
        return json.dumps(told).encode()

    def _is_gone(self, found: dict[str, Any]) -> bool:
        if found.get("token") in _ours:
            return False
        if found.get("machine") and found["machine"] == _machine():
            process = found.get("process")
            if process == os.getpid():
                return True
            state = state_of(process) if type(process) is int else None
            return state is None or state[0] in "ZX" or found.get("start") != state[1]
        return self._age(found) > self.lease_s

    def _age(self, found: dict[str, Any]) -> float:
        """Return how long ago a holder renewed, by the store's own clock where it tells the time."""
        probe = f".ramet-now-{self.token}"
        self.remote.put(probe, b"now")
        try:
            now, then = self.remote.modified(probe), self.remote.modified(HOLDER)
        finally:
            self.remote.drop([probe])
        if now is None or then is None:
            renewed = found.get("renewed")
            return time.time() - renewed if isinstance(renewed, (int, float)) else 0.0
        return now - then


def is_held(remote: Remote, lease_s: float) -> bool:
    """Return whether somebody works on the run in ``remote``, going by this machine's clock: a look writes nothing.

    Raises:
        StorageError: the store does not answer.
    """
    try:
        renewed = plain(remote.get(HOLDER)).get("renewed")
    except FileNotFoundError:
        return False
    return isinstance(renewed, (int, float)) and time.time() - renewed <= lease_s


def _who(found: dict[str, Any]) -> str:
    host = "".join(letter if letter.isprintable() else "?" for letter in str(found.get("host", "?"))[:100])
    who, since = f"process {found.get('process', '?')!s:.20} on {host}", found.get("since")
    if isinstance(since, (int, float)) and 0 <= since < 1e11:
        who += f" since {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(since))}"
    return who


def _machine() -> str | None:
    """Return what tells this machine, since it started, from all others, and where its processes are numbered."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return f"{file.read().strip()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return None
