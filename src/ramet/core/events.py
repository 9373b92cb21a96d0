"""What can happen in a run: frozen, plain data, and the only truth on disk.

`Population.apply` folds these into the present state; nothing else changes it. A segment is named by its number, a
checkpoint by the pair (segment, iteration) of the report that carried it, so a late or repeated message is always
about something else and does nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class Event:
    """The common root. ``clocks`` names the fields that depend on the wall clock: two runs with the same seed agree in
    all the others.
    """

    clocks: ClassVar[tuple[str, ...]] = ()


@dataclass(frozen=True, slots=True)
class Began(Event):
    """The run was set up; ``facts`` says how (metric, mode, strategy, space, retention …), ``members`` how many."""

    seed: int
    members: int
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Opened(Event):
    """``member`` trains ``segment`` from now on, from checkpoint (``parent``, ``iteration``), under ``hparams``.

    A founder, or one that has to begin from nothing again, has no parent and iteration 0. ``info`` says why, and what
    the strategy wants remembered.
    """

    segment: int
    member: int
    parent: int | None
    iteration: int
    hparams: Mapping[str, Any]
    info: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reported(Event):
    """Rows ``first`` … ``last`` (iterations) of ``segment``; ``rows`` is what `ramet.core.blocks` makes of them.

    ``metrics`` is the last row. ``elapsed`` is the model's training time in seconds after each row, as bytes too. Both
    are text in runs of earlier versions.
    A block never reaches over a checkpoint, so that going back to one drops whole blocks.
    """

    clocks: ClassVar[tuple[str, ...]] = ("elapsed", "at")

    segment: int
    first: int
    last: int
    metrics: Mapping[str, Any]
    rows: bytes | str
    elapsed: bytes | str
    at: float


@dataclass(frozen=True, slots=True)
class Kept(Event):
    """The report at ``iteration`` of ``segment`` carried a checkpoint, which is now durable.

    ``time`` is the value of ``time_attr`` in that report; ``score`` the metric, signed so that larger is better, NaN
    where it was not finite in the good direction; ``rank`` the value of ``checkpoint_score_attribute``, signed alike;
    ``stopping`` the state of the stop rules; ``size`` its bytes; ``pinned`` whether it is kept for good.

    ``spent`` is where and how the time went: (slot, restoring, saving, waiting, at). ``restoring``, ``saving`` and
    ``waiting`` are what went since the checkpoint before, or since the stretch of work began: into reading what it
    began from, into taking this checkpoint over, and into standing still for an answer. None of them is training time,
    so that together with what ``elapsed`` has grown by they make up the time until ``at``, the Unix time at which the
    checkpoint was taken over; of a simulation, its virtual time. All are whole nanoseconds, for a float takes 10 times
    as long to write. In runs of earlier versions it is empty.

    ``held``: it is not durable yet. It lies in the memory of an executor that trains many members at once, and is gone
    with it, unless `Saved` follows. ``away``: it is durable on the machine that made it alone, until `Sent` follows.
    """

    clocks: ClassVar[tuple[str, ...]] = ("elapsed", "spent", "away")

    segment: int
    iteration: int
    time: float
    score: float
    rank: float
    elapsed: float
    stopping: tuple[Any, ...] = ()
    size: int = 0
    pinned: bool = False
    spent: tuple[int, int, int, int, int] | tuple[()] = ()
    held: bool = False
    away: bool = False


@dataclass(frozen=True, slots=True)
class Naming(Event):
    """The common root of what is told of several checkpoints; ``checkpoints`` has their numbers one after the other."""

    checkpoints: tuple[int, ...]

    @property
    def names(self) -> list[tuple[int, int]]:
        """The checkpoints (segment, iteration) by name."""
        return list(zip(self.checkpoints[::2], self.checkpoints[1::2], strict=False))


@dataclass(frozen=True, slots=True)
class Saved(Naming):
    """Checkpoints (segment, iteration) that were held are durable from now on; all others that were are no more.

    Until the next `Kept` that is held, the run can be taken up from here. What follows is lost with the executor: a
    resume goes back to the last place where every member stood on a checkpoint that is durable.
    """


@dataclass(frozen=True, slots=True)
class Sent(Naming):
    """Checkpoints that were away are in the store that keeps the run: the machine that made them may be lost now."""


@dataclass(frozen=True, slots=True)
class Decided(Event):
    """A decision was taken for ``member`` at the checkpoint (``segment``, ``iteration``).

    ``verdict`` is ``"continue"`` (same segment), or ``"exploit"`` or ``"explore"`` (an `Opened` follows in the same
    transaction); ``reason`` is a short sentence, counted in the summary.
    """

    member: int
    segment: int
    iteration: int
    verdict: str
    reason: str


@dataclass(frozen=True, slots=True)
class Failed(Event):
    """Work on ``segment`` ended in an error. ``final``: the member ends too; else it goes back to its checkpoint.

    ``counted``: it was the member's own doing, and counts among its failures. Where a machine was lost it is not.
    """

    segment: int
    error: str
    final: bool
    counted: bool = True


@dataclass(frozen=True, slots=True)
class Finished(Event):
    """A member is done with its ``segment``; ``reason`` names the stop rule, or says that the function returned."""

    segment: int
    reason: str


@dataclass(frozen=True, slots=True)
class Lost(Event):
    """The checkpoint (``segment``, ``iteration``) is damaged or gone, though it was needed; ``reason`` says how.

    A live member that stood on it gets an `Opened` from an older one: in the same transaction where the run is under
    way, with `Resumed` where it was not.
    """

    segment: int
    iteration: int
    reason: str


@dataclass(frozen=True, slots=True)
class Resumed(Event):
    """The run was taken up again: what was under way is lost, and live members go back to their last checkpoints.

    ``members`` is how many there are from now on; new ones are opened next. ``again`` had ended, and train on from
    their last checkpoints. ``facts`` holds what was changed; with ``rules`` the stop rules were, and count anew.
    """

    clocks: ClassVar[tuple[str, ...]] = ("at",)

    members: int
    again: tuple[int, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    rules: bool = False
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Noted(Event):
    """Something that the user should hear of; ``kind`` is a short slug, said once each."""

    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Ended(Event):
    """The run is over: nothing is left to train, or it was told to stop (``reason``)."""

    reason: str


KINDS: dict[str, type[Event]] = {
    kind.__name__: kind
    for kind in (Began, Opened, Reported, Kept, Saved, Sent, Decided, Failed, Finished, Lost, Resumed, Noted, Ended)
}
