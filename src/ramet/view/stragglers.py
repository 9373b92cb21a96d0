"""The sentence that tells at the end of a run who was waited for, and the note in the ledger that holds it."""

from __future__ import annotations

import math
from collections.abc import Iterable

from ramet.analysis.stragglers import SLOW, Causes, blamed, median, table
from ramet.analysis.waits import Waits
from ramet.core.events import Ended, Event, Noted
from ramet.core.population import Population
from ramet.view.values import count, duration, number

NOTE = "stragglers"
"""The kind of the note; a later end of the same run adds its number to it."""

SHARE, SECONDS = 0.1, 1.0
"""What is worth a sentence: more than this share of the slots' time, and more than these seconds."""


class Watching:
    """Keeps count of who waits for whom while a run goes on, and says so where it ends.

    Args:
        synch: whether members wait for each other.
        together: whether one program trains them in step; then nobody is late, and nothing is counted.
    """

    def __init__(self, synch: bool, *, together: bool = False) -> None:
        self.waits = Waits(synch)
        self._said = False
        self._together = together

    def told(self, events: list[Event], population: Population) -> list[Event]:
        """Take in ``events``, which ``population`` knows already; return them, with a note before the run's end."""
        if self._together:
            return events
        self.waits.take(events, population)
        if population.ended is None or self._said:
            return events
        self._said = True
        text = sentence(self.waits)
        if not text:
            return events
        before = len(sentences(population.noted.items()))
        note = Noted(f"{NOTE}:{before + 1}" if before else NOTE, text)
        population.apply(note)
        at = next((at for at, event in enumerate(events) if type(event) is Ended), len(events))
        return [*events[:at], note, *events[at:]]


def is_note(kind: str) -> bool:
    """Whether a note of this kind tells of stragglers."""
    return kind.partition(":")[0] == NOTE


def sentences(noted: Iterable[tuple[str, str]]) -> list[str]:
    """Return what notes (kind, text) tell of stragglers, that of the run's first end first."""
    return [text for kind, text in noted if is_note(kind)]


def sentence(waits: Waits) -> str:
    """Return what is worth telling of ``waits``; nothing where little was lost."""
    waits.close()
    told = _of_rounds(waits) if waits.synch else _of_slots(waits)
    return f"since the run was taken up again, {told}" if told and waits.again else told


def _of_rounds(waits: Waits) -> str:
    lost = math.fsum(seconds for _, seconds in waits.costs.values())
    whole = lost + math.fsum(seconds for _, seconds in waits.pairs.values())
    if not _is_worth(lost, whole):
        return ""
    first = blamed(waits)[0]
    match first.cause:
        case "slot":
            who = f"slot {first.number}, which is slow whoever trains there{_pace(waits, 'slot', first.number)}"
        case "member":
            who = f"member {first.number}, which is slow where others are not{_pace(waits, 'member', first.number)}"
        case "both":
            who = f"member {first.number} on slot {first.slot}, both of which are slow"
        case "either":
            who = (
                f"member {first.number} on slot {first.slot}{_pace(waits, 'member', first.number)}, which nobody else "
                "trained on, so that either may be slow"
            )
        case _:
            who = _nobody(waits)
    told = f"{first.rounds:,} of {count(waits.count, 'round')} waited for {who}: "
    told += f"{duration(first.seconds)} of the others' time, {_percent(first.seconds / whole)}"
    return (
        told if first.seconds > 0.9 * lost else f"{told}. In all they waited {duration(lost)}, {_percent(lost / whole)}"
    )


def _nobody(waits: Waits) -> str:
    members, slots = len({member for member, _ in waits.pairs}), len({slot for _, slot in waits.pairs})
    if members > slots and members % slots:
        return f"the last of {members:,} members that take turns on {count(slots, 'slot')}, without any being slow"
    return "whoever came last, though no member and no slot is always slow"


def _of_slots(waits: Waits) -> str:
    """Tell what slow slots cost where nobody waits for them: the reports that were not made there."""
    causes = Causes(waits.pairs)
    slow = [row for row in table(waits, "slot") if row["relative"] <= SLOW and causes.is_slow(row["slot"])]
    lost = math.fsum(row["work"] * (1 - row["relative"]) for row in slow)
    whole = math.fsum(seconds for _, seconds in waits.pairs.values())
    if not _is_worth(lost, whole):
        return ""
    worst = min(slow, key=lambda row: row["relative"])["slot"]
    more = f", and so {'is' if len(slow) == 2 else 'are'} {len(slow) - 1:,} more" if len(slow) > 1 else ""
    return (
        f"slot {worst} is slow whoever trains there{_pace(waits, 'slot', worst)}{more}: at the median's pace the same "
        f"reports take {duration(lost)} less, {_percent(lost / whole)} of the slots' work"
    )


def _is_worth(lost: float, whole: float) -> bool:
    return lost > SECONDS and lost > SHARE * whole


def _pace(waits: Waits, by: str, which: int) -> str:
    rates = {row[by]: row["rate"] for row in table(waits, by)}
    return f" ({_two(rates[which])} reports a second, the median {_two(median(rates.values()))})"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _two(rate: float) -> str:
    return number(float(f"{rate:.2g}"))
