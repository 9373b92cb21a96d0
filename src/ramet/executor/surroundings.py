"""What user code shares with the worker that runs it, and may spoil: its streams, its signals, its forks."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
import sys
from collections.abc import Iterator
from typing import Any

ASK = signal.SIGRTMAX if hasattr(signal, "SIGRTMAX") else signal.SIGUSR2
"""The signal by which the controller asks a worker where it is: one that no batch system and no terminal sends."""

_SIGNALS: dict[signal.Signals, Any] = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGTERM: signal.SIG_DFL,
    signal.SIGUSR1: signal.SIG_DFL,
}
"""What reaches a whole terminal, or a whole job, each with what user code's own processes do with it."""


@contextlib.contextmanager
def deaf() -> Iterator[None]:
    """Let a process that is started meanwhile take none of those signals until it has settled."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def settle() -> None:
    """Leave it to the controller alone to end this process, and let it say where it is when it dies or is asked."""
    for number in _SIGNALS:
        # A handler that does nothing, for what is ignored would be ignored by the programs that user code starts too.
        signal.signal(number, _left_to_the_controller)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    os.register_at_fork(after_in_child=_as_anywhere)
    faulthandler.enable()
    if hasattr(faulthandler, "register"):
        faulthandler.register(ASK)


def _left_to_the_controller(number: int, frame: Any) -> None:
    pass


def _as_anywhere() -> None:
    """A fork is user code's own: `multiprocessing` ends its pools by SIGTERM."""
    for number, usual in _SIGNALS.items():
        if signal.getsignal(number) is _left_to_the_controller:
            signal.signal(number, usual)


class Streams:
    """Standard output and error as they were at the beginning."""

    def __init__(self) -> None:
        self._kept = {descriptor: os.dup(descriptor) for descriptor in (1, 2)}
        for stream in (sys.stdout, sys.stderr):
            stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
        self._streams = {"stdout": sys.stdout, "stderr": sys.stderr}

    def restore(self) -> None:
        """Put them back, whatever the function before has closed or replaced."""
        for descriptor, kept in self._kept.items():
            with contextlib.suppress(OSError):
                if identity(descriptor) != identity(kept):
                    os.dup2(kept, descriptor)
        for descriptor, (name, stream) in zip(self._kept, self._streams.items(), strict=True):
            if stream.closed:
                stream = open(descriptor, "w", buffering=1, errors="backslashreplace", closefd=False)  # noqa: SIM115
                self._streams[name] = stream
            setattr(sys, name, stream)

    @staticmethod
    def flush() -> None:
        """What was printed goes out before the message that follows it, so that it is told to the right member."""
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()


def identity(descriptor: int) -> tuple[int, int] | None:
    """Return which file a descriptor leads to, None if it is closed."""
    try:
        status = os.fstat(descriptor)
    except OSError:
        return None
    return status.st_dev, status.st_ino
