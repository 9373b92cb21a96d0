"""Where every member stands, from the few events that say whether one trains, and from who was opened when."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ramet.core.blocks import last_row
from ramet.core.population import FOREBEAR
from ramet.core.scores import AUTOMATIC
from ramet.store.bulk import BulkReader

FEW = ("Began", "Failed", "Finished", "Lost", "Resumed", "Noted", "Ended")
"""Kinds of events that are read at once and kept as they are, for there are few."""

Few = Sequence[tuple[int, str, Mapping[str, Any]]]
"""Events of those kinds: number, kind, content."""


@dataclass(slots=True)
class Place:
    """One member as it stands. ``state``, ``error`` and ``reason`` as in `ramet.core.population.Member`."""

    number: int
    segment: int = -1
    state: str = "training"
    error: str | None = None
    reason: str | None = None
    failures: int = 0


def places(bulk: BulkReader, few: Few, seqs: Sequence[int], owner: Sequence[int], most: int) -> list[Place]:
    """Return all members as they stand.

    Args:
        bulk: where it was read, for what is wrong with it.
        few: the events of the kinds `FEW`.
        seqs: by segment, the number of the event that opened it.
        owner: by segment, its member, `FOREBEAR` for what was trained in another run.
        most: the number of the last event: no run has more members.

    Raises:
        RunError: they are damaged.
    """
    told = [event.get("members") for _, kind, event in few if kind in ("Began", "Resumed")]
    again = [n for _, kind, event in few if kind == "Resumed" for n in event.get("again") or ()]
    numbers = [each for each in told if type(each) is int]
    known = len(numbers) == len(told) and all(type(each) is int and each >= 0 for each in (*numbers, *again))
    count = max([0, *numbers]) if known else -1
    # Whoever made this up should not be able to have a thousand million members made of it.
    if not max([-1, *owner, *again]) < count <= min(most, bulk.room()):
        raise bulk.damaged(f"it tells of {told!s:.80} members")
    found = [Place(number) for number in range(count)]
    for number, member in enumerate(owner):
        if member != FOREBEAR:
            found[member].segment = number
    for kind, member, event in _turns(few, seqs, owner, bulk.damaged):
        if member == FOREBEAR:
            raise bulk.damaged(f"an event {kind} of it is about what was trained elsewhere")
        place = found[member]
        if kind == "Finished":
            place.state, place.reason = "finished", str(event.get("reason"))
        elif kind == "Failed":
            place.failures += event.get("counted", True) is not False
            place.error = str(event.get("error"))
            place.state = "failed" if event.get("final") else place.state
        elif kind == "Resumed" or place.state != "training":  # opened after it had failed: replaced, or begun anew
            place.state, place.error, place.reason, place.failures = "training", None, None, 0
    return found


def _turns(
    few: Few, seqs: Sequence[int], owner: Sequence[int], damaged: Callable[[object], Exception]
) -> Iterator[tuple[str, int, Mapping[str, Any]]]:
    """Yield what changed whether a member trains, in its order: kind, member, event."""
    turns: list[tuple[int, str, int, Mapping[str, Any]]] = []
    for seq, kind, event in few:
        try:
            if kind in ("Failed", "Finished"):
                turns.append((seq, kind, owner[event["segment"]], event))
            elif kind == "Resumed":
                turns += [(seq, kind, number, event) for number in event.get("again") or ()]
        except (IndexError, KeyError, TypeError) as error:
            raise damaged(f"an event {kind} of it is none ({error!r:.80})") from error
    ended = {member for _, _, member, _ in turns}
    turns += [(seq, "Opened", m, {}) for seq, m in zip(seqs, owner, strict=True) if m in ended]
    return (turn[1:] for turn in sorted(turns, key=lambda turn: turn[0]))


def facts_of(bulk: BulkReader, few: Few) -> dict[str, Any]:
    """Return what a run said of itself when it began, and what was changed since."""
    found: dict[str, Any] = {}
    for _, kind, event in few:
        if kind in ("Began", "Resumed"):
            facts = event.get("facts") or {}
            if type(facts) is not dict:
                raise bulk.damaged("its facts are none")
            found |= facts
    return found


def ended(few: Few) -> str | None:
    """Return why a run is over; None if it is not."""
    told = None
    for _, kind, event in few:
        if kind == "Ended":
            told = str(event.get("reason"))
        elif kind == "Resumed":
            told = None
    return told


def latest_row(bulk: BulkReader, newest_first: Iterable[int], metric: str | None) -> dict[str, Any]:
    """Return the last row of a member's segments, with what earlier rows told of ``metric`` if that one lacks it."""
    found: dict[str, Any] = {}
    for number in newest_first:
        before = None
        while (told := bulk.latest(number, before)) is not None:
            try:
                found = last_row(told.rows, told.last - told.first + 1) | found
            except (ValueError, KeyError, TypeError) as error:
                raise bulk.damaged(f"the reports of segment {number} are none ({error})") from error
            # What every report has by itself stands in no row: it is not looked for in all of them.
            if metric is None or metric in found or metric in AUTOMATIC:
                return found
            before = told.first
    return found
