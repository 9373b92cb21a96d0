"""What ends a run from outside, gently: Ctrl-C, SIGTERM, SIGUSR1, a time limit. A second signal ends it at once."""

from __future__ import annotations

import contextlib
import math
import signal
import threading
import time
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

LATER = 75
"""Exit status after a time limit: what sysexits.h calls a temporary failure, and invites to try again."""

INTERRUPTED = 128 + signal.SIGINT

_DEFAULTS = {
    signal.SIGINT: signal.default_int_handler,
    signal.SIGTERM: signal.SIG_DFL,
    signal.SIGUSR1: signal.SIG_DFL,
}


class Signals:
    """Holds back SIGINT, SIGTERM and SIGUSR1 inside a ``with`` block, and looks at the clock.

    ``limit`` is the time limit of this process in seconds from now, None for none. Whoever has a handler of their own
    keeps it, and a thread that is not the main one gets no signals anyway.
    """

    def __init__(self, limit: float | None = None) -> None:
        self._limit = limit
        self._until = math.inf if limit is None else time.monotonic() + limit
        self._asked: int | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        self.hold()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, before in self._before.items():
            if signal.getsignal(number) == self._come:
                signal.signal(number, before)
        if kind is KeyboardInterrupt and self._asked not in (None, INTERRUPTED):
            raise self.ending() from None

    def hold(self) -> None:
        """Hold back the signals that are nobody's; once more after what may take them, as Ray does when it starts."""
        if threading.current_thread() is threading.main_thread():
            for number, default in _DEFAULTS.items():
                if _is_nobodys(number, default):
                    self._before[number] = signal.signal(number, self._come)

    def _come(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self._asked is not None:
            raise KeyboardInterrupt  # whatever it was: a training function in this process may not take it for its own
        self._asked = 128 + number

    @property
    def asked(self) -> int | None:
        """The exit status that was asked for; None as long as nothing was."""
        if self._asked is None and self._until < math.inf and time.monotonic() >= self._until:
            self._asked = LATER
        return self._asked

    def ending(self) -> BaseException:
        """Return what leaves the program as the signal would have: KeyboardInterrupt, or SystemExit with its status."""
        return KeyboardInterrupt() if self._asked == INTERRUPTED else SystemExit(self._asked)

    @property
    def reason(self) -> str:
        """What to say of it."""
        assert self._asked is not None
        if self._asked == LATER:
            return f"the time limit of {self._limit:g} s came"
        if self._asked == INTERRUPTED:
            return "interrupted from the keyboard"
        return f"ended by {signal.Signals(self._asked - 128).name}"


def _is_nobodys(number: signal.Signals, default: Any) -> bool:
    """Whether nobody handles a signal; Ray's own handler, which every program that starts Ray has, is nobody's."""
    handler = signal.getsignal(number)
    if number == signal.SIGUSR1 and _is_caught_in_c(number):  # where faulthandler.register put it, say
        return False
    return handler == default or (getattr(handler, "__module__", None) or "").startswith("ray.")


def _is_caught_in_c(number: signal.Signals) -> bool:
    """Whether a signal has a handler of which Python knows nothing, as far as the system tells (Linux)."""
    if signal.getsignal(number) != signal.SIG_DFL:
        return False
    with contextlib.suppress(OSError, ValueError, IndexError):
        caught = Path("/proc/self/status").read_text().partition("SigCgt:")[2].split()[0]
        return bool(int(caught, 16) >> (number - 1) & 1)
    return False
