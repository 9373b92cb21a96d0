"""A session's way out of its worker: what is said, what is answered, what is ordered."""

from __future__ import annotations

from typing import Literal, NoReturn, Protocol

from ramet.core.messages import Handover, Lease

Order = Literal["stop", "recall"]


class Channel(Protocol):
    """A session's way out."""

    own_process: bool
    """Whether nothing else runs in this process: then a thread that the function started may report, and the global
    generators stay as they were seeded while an answer is waited for."""

    def hand_over(self, handover: Handover) -> None:
        """Send, without waiting."""

    def answer(self, *, at_checkpoint: bool) -> Lease | None:
        """Wait for the answer to a handover that waits: a lease to go on, or None to stop. It settles a recall."""

    def order(self) -> Order | None:
        """Return what this work was ordered to do, "stop" or "recall", and is not yet; never waits."""

    def rest(self, seconds: float) -> None:
        """Let so much time pass, or less if an order comes."""

    def now(self) -> float:
        """Return the time in seconds from some fixed moment: the clock, or the virtual one of a simulation."""

    def at(self) -> float:
        """Return the Unix time in seconds; in a simulation, the virtual time since it was opened."""

    def refused(self) -> NoReturn:
        """The function went on reporting after it was told to unwind: it loses its place, and never comes back."""
