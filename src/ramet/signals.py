"""Ctrl-C and SIGTERM while a run is under way: the first asks for a gentle end, a second one ends at once."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

_DEFAULTS = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}


class Signals:
    """Holds back SIGINT and SIGTERM inside a ``with`` block; ``asked`` is the one that came, None before.

    Whoever has a handler of their own keeps it, and a thread that is not the main one gets no signals anyway.
    """

    def __init__(self) -> None:
        self.asked: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number, default in _DEFAULTS.items():
                if signal.getsignal(number) == default:
                    self._before[number] = signal.signal(number, self._come)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def _come(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self.asked is not None:
            raise self.ending()
        self.asked = signal.Signals(number)

    def ending(self) -> BaseException:
        """Return what leaves the program as the signal would have: KeyboardInterrupt, or SystemExit(143)."""
        return SystemExit(128 + signal.SIGTERM) if self.asked is signal.SIGTERM else KeyboardInterrupt()

    @property
    def reason(self) -> str:
        """What to say of it."""
        return "interrupted from the keyboard" if self.asked is signal.SIGINT else "ended by SIGTERM"
