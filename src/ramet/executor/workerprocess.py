"""One worker process as the controller sees it: what it works on, what it printed last, since when it is silent."""

from __future__ import annotations

import contextlib
import math
import os
import re
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field

from ramet.executor.endings import CUT_OFF
from ramet.executor.surroundings import deaf
from ramet.executor.wire import Wire

CHUNK = 1 << 16
"""Bytes of output that are read at once: what a pipe holds, and a flood is no more than that at a time."""

WORDS = 1 << 12
"""Characters of output that are told as last words."""

_LOADED = re.compile(r"^Extension modules: .*\n?", re.MULTILINE)
"""What `faulthandler` ends with: hundreds of names in some workers, and none of them the reason."""

_BOOT = "import sys; from ramet.executor.child import main; main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))"


@dataclass(slots=True, eq=False)
class WorkerProcess:
    """One slot's process.

    ``beginning`` is the message that its work began with, ``pending`` the same until it is sent. ``leaving`` holds the
    works that it was told to leave, or that are over, each with the moment by which it must have left. ``silent_from``
    is when it was last heard of its work; infinity while nothing is expected of it.
    """

    slot: int
    process: subprocess.Popen[bytes]
    wire: Wire
    output: int
    ready: bool = False
    work: int | None = None
    member: int | None = None
    beginning: bytes = b""
    pending: bytes = b""
    recalled: bool = False
    leaving: dict[int, float] = field(default_factory=dict)
    silent_from: float = math.inf
    asked_at: float | None = None
    words: bytes = b""
    _tail: bytes = b""

    @classmethod
    def spawn(cls, slot: int, devices: str | None) -> WorkerProcess:
        """Start a fresh interpreter that sees the GPUs ``devices`` (None: all)."""
        ours, theirs = socket.socketpair()
        reading, writing = os.pipe()
        environment = dict(os.environ, PYTHONUNBUFFERED="")
        if devices is not None:
            environment["CUDA_VISIBLE_DEVICES"] = devices
        # The interpreter must find this very ramet, wherever it was imported from.
        here = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [here, environment.get("PYTHONPATH")]))
        try:
            with deaf():
                process = subprocess.Popen(
                    [sys.executable, "-c", _BOOT, str(theirs.fileno()), str(slot), str(os.getpid())],
                    stdin=subprocess.DEVNULL,
                    stdout=writing,
                    stderr=writing,
                    pass_fds=(theirs.fileno(),),
                    env=environment,
                )
        except BaseException:
            ours.close()
            os.close(reading)
            raise
        finally:
            theirs.close()
            os.close(writing)
        os.set_blocking(reading, False)
        return cls(slot, process, Wire(ours.detach()), reading)

    def send(self, data: bytes) -> None:
        """Send; that it has just died is noticed at the next poll, by its end of file."""
        with contextlib.suppress(OSError):
            self.wire.send(data)

    def release(self) -> None:
        """Send what the wire holds, likewise."""
        with contextlib.suppress(OSError):
            self.wire.release()

    def leaves(self, work: int, deadline: float) -> None:
        """It is to leave ``work``, or has, by ``deadline``: what it prints from here on may be of the next already."""
        self.leaving[work] = deadline
        self.words = b""

    def heard(self, *, waits: bool = False) -> None:
        """It said something of its work, or was answered; one that ``waits`` is expected to say nothing."""
        self.silent_from = math.inf if waits else time.monotonic()
        self.asked_at = None

    def read(self) -> tuple[str, bool]:
        """Return the whole lines that it printed, as far as they are there, and whether there may be more to come."""
        try:
            data = os.read(self.output, CHUNK)
        except BlockingIOError:
            return "", True
        self.words = (self.words + data)[-4 * WORDS :]
        text = self._tail + data
        cut = text.rfind(b"\n") + 1
        if len(text) - cut > CHUNK or not data:
            cut = len(text)
        self._tail = text[cut:]
        return text[:cut].decode(errors="replace"), bool(data)

    def bury(self, patience: float) -> tuple[int, str]:
        """Wait ``patience`` seconds for its end, then kill it; return its exit status and the rest of its output."""
        self.wire.close()
        try:
            status = self.process.wait(patience)
        except subprocess.TimeoutExpired:  # it hung up, and lives
            self.process.kill()
            self.process.wait()
            status = CUT_OFF
        text, _ = self.read()
        text, self._tail = text + self._tail.decode(errors="replace"), b""
        os.close(self.output)
        return status, text

    def last_words(self) -> str:
        """Return what it printed last since it left the work before."""
        return _LOADED.sub("", self.words.decode(errors="replace"))[-WORDS:]
