"""What an executor is: something that runs stretches of work in slots, and tells what they hand over."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ramet.core.messages import Assignment, Gone, Handover, Lease, Saved, Sent, Setup


@dataclass(frozen=True, slots=True)
class Output:
    """Text that user code printed in ``slot`` while ``member`` was at work there (None: nobody was)."""

    slot: int
    member: int | None
    text: str


class Executor(Protocol):
    """Runs work in numbered slots.

    The contract, which `ramet.testing.ExecutorSuite` checks:

    * `start` begins an assignment in a slot whose work has ended or was stopped; it does not wait.
    * `poll` returns what was handed over and printed since, in the order of each slot; it waits at most ``timeout``
      seconds for the first. After `stop` nothing more comes of that work.
    * After `recall` work hands over at its next report, and waits, whatever its lease says.
    * A checkpoint that is handed over as `HELD` is in this executor's memory, and may be started from as long as a
      member stands on it. It is durable once `Saved` names it.
    * Work that dies, however it dies, is handed over as an error; the slot is usable again.

    One whose slots take their time to start may have ``wake(trainable, members)`` besides: it is called before anything
    else of a new run, and `close` follows even where the run is then refused. One that holds checkpoints in its memory
    has ``keep()``, which makes them durable and returns `Saved`, or None; and ``set_off()``, which is called where its
    work has its orders and the ledger is about to be written. One that is ``elastic`` may gain and lose slots, be it
    all of them, while it is polled: work in a slot that was lost is handed over as an error with the fault
    `ramet.core.messages.PLACE`. One that knows the metrics before anything runs has their names in ``reported`` once it
    has prepared. One that ``fetches`` large checkpoints itself, where the run is kept at a URL, is told of them by
    name: the paths in assignments are then relative. Checkpoints that only the machine has which made them are handed
    over as ``away``; `Sent` tells that they are in the store, and `Gone` that their machine was lost before. It has
    ``forget(names)``, which deletes what is not kept, and ``settle(given_up)``, which waits until all are sent, and
    returns what came of it.
    """

    interactive: bool
    """Whether user code runs in this process, so that the terminal belongs to it."""

    kills: bool
    """Whether work that hangs can be ended, as ``Setup.report_timeout_s`` asks."""

    together: bool
    """Whether members come to their decision points at the same time, and are to be decided on at once."""

    def prepare(
        self,
        trainable: Any,
        founders: Sequence[Mapping[str, Any]],
        rules: Sequence[Any],
        mutable: Collection[str] = (),
    ) -> None:
        """Refuse what cannot be run here, before anything has been started or written.

        ``mutable`` names the hyperparameters that may change.
        """

    def open(self, setup: Setup, trainable: Any, members: int) -> None:
        """Get ready to run ``trainable`` for a population of ``members``; slots may be started ahead of work."""

    def capacity(self) -> Sequence[int]:
        """Return the numbers of the slots; the same object as long as they are the same."""

    def start(self, slot: int, assignment: Assignment) -> None:
        """Begin ``assignment`` in ``slot``."""

    def proceed(self, work: int, lease: Lease) -> None:
        """Answer ``work``, which waits, with leave to go on."""

    def stop(self, work: int) -> None:
        """End ``work`` at its next report, or now if it waits."""

    def recall(self, work: int) -> None:
        """Let ``work`` hand over at its next report, and wait. Nothing, if it waits already or is over."""

    def poll(self, timeout: float) -> Sequence[Handover | Output | Saved | Sent | Gone]:
        """Return what came in."""

    def close(self) -> None:
        """End all work and give everything back."""
