"""Events as sentences: what `ramet.view.wording` says of a population, said of a trace."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ramet.analysis.frames import scores_at
from ramet.analysis.trace import Trace
from ramet.space import flatten
from ramet.ui.plain import name_of, plain, text
from ramet.view.values import count, shown
from ramet.view.wording import cause

TOLD = ("Began", "Opened", "Failed", "Finished", "Lost", "Resumed", "Noted", "Ended")
"""Kinds of events that are worth a line."""

MOST_CHANGES = 6

Found = tuple[int, str, Mapping[str, Any]]
"""An event's number, kind and fields."""


def sentences(trace: Trace, events: Sequence[Found]) -> Iterator[dict[str, Any]]:
    """Yield for each event when it was, whom it is about, and what to say of it."""
    asked = [seq for seq, _, _ in events]
    times = at(trace, asked)
    before, after = _opened_scores(trace, [event for _, kind, event in events if kind == "Opened"])
    for (seq, kind, event), time in zip(events, times, strict=True):
        try:
            member, level, told = _told(trace, kind, event, before, after)
        except (KeyError, TypeError, ValueError, IndexError, OverflowError, AttributeError) as error:
            raise trace.bulk.damaged(f"an event {kind} of it is none ({error!r:.80})") from error
        yield {"seq": seq, "kind": text(kind, 40), "at": time, "member": member, "level": level, "text": told}


def at(trace: Trace, events: Sequence[int]) -> list[float | None]:
    """Return when events with these numbers happened: when the last reports before them were handed over."""
    spans = trace.spans
    if not len(spans):
        return [None] * len(events)
    places = np.searchsorted(spans["seq"], np.array(events, "i8"), side="right") - 1
    return [plain(float(spans["at"][place])) if place >= 0 else None for place in places.tolist()]


def changes(trace: Trace, segment: int) -> dict[str, list[Any]]:
    """Return what a segment's hyperparameters are that its member's last ones, or its parent's, were not."""
    found = trace.segments
    parent = int(found.parent[segment])
    if parent < 0:
        return {}
    old, new = flatten(found.hparams[parent]), flatten(found.hparams[segment])
    return {
        name_of(name): [plain(old.get(name)), plain(value)] for name, value in new.items() if old.get(name) != value
    }


def _told(
    trace: Trace, kind: str, event: Mapping[str, Any], before: Mapping[int, float], after: Mapping[int, float]
) -> tuple[int | None, str, str]:
    """Return an event's member, how loud it is, and the sentence."""
    segments = trace.segments
    if kind == "Began":
        metric = trace.facts.get("metric")
        wanted = "" if metric is None else f", judged by {shown(metric)} ({shown(trace.facts.get('mode'))})"
        return None, "info", f"the run began with {count(int(event['members']), 'member')}{wanted}"
    if kind == "Opened":
        return int(event["member"]), *_opened(trace, event, before, after)
    if kind == "Resumed":
        again = event.get("again") or ()
        more = f", {len(again):,} of which had ended" if again else ""
        return None, "note", f"taken up again: members train on from their last checkpoints{more}"
    if kind == "Noted":
        return None, "note", text(" ".join(str(event.get("text")).split()))
    if kind == "Ended":
        return None, "good", f"the run is over: {text(event.get('reason'))}"
    segment = int(event["segment"])
    member = int(segments.member[segment])
    if kind == "Finished":
        return member, "good", f"member {member} finished: {text(event.get('reason'))}"
    if kind == "Lost":
        lost = f"its checkpoint of iteration {event['iteration']} is lost"
        return member, "error", f"member {member}: {lost}, for {text(event.get('reason'))}"
    fate = "failed for good" if event.get("final") else "failed and starts again from its last checkpoint"
    return member, "error", f"member {member} {fate}: {text(cause(str(event.get('error'))))}"


def _opened(
    trace: Trace, event: Mapping[str, Any], before: Mapping[int, float], after: Mapping[int, float]
) -> tuple[str, str]:
    segments = trace.segments
    number, member, iteration = int(event["segment"]), int(event["member"]), int(event["iteration"])
    why = segments.why(number)
    if event.get("parent") is None:
        told = ", ".join(f"{shown(name)} {shown(value)}" for name, value in _some(flatten(segments.hparams[number])))
        word = "begins" if why == "founder" else "goes on from the beginning"
        return "info", f"member {member} {word}{' with ' if told else ''}{told}"
    if why in ("lost", "restarted"):
        return "note", f"member {member} goes on from iteration {iteration}"
    donor = int(segments.donor[number])
    changed = changes(trace, number)
    told = "".join(f"  {shown(name)} {shown(old)} → {shown(new)}" for name, (old, new) in _some(changed))
    left = f"  … {len(changed) - MOST_CHANGES} more" if len(changed) > MOST_CHANGES else ""
    if donor < 0:
        why = "is inherited from another run" if why == "inherited" else "goes on with other hyperparameters"
        return "info", f"member {member}{_score(before.get(number))} {why}{told}{left}"
    whose = _score(after.get(number), f" at iteration {iteration}")
    return "info", f"member {member}{_score(before.get(number))} ← member {donor}{whose}{told}{left}"


def _some(values: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return list(values.items())[:MOST_CHANGES]


def _score(score: float | None, more: str = "") -> str:
    known = score is not None and score == score
    return f" ({shown(score)}{more})" if known else f" ({more.strip()})" if more else ""


def _opened_scores(trace: Trace, events: Sequence[Mapping[str, Any]]) -> tuple[dict[int, float], dict[int, float]]:
    """Return, by segment, the score that its member had when it was opened, and that of the checkpoint taken over."""
    try:
        opened = [int(event["segment"]) for event in events if event.get("parent") is not None]
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise trace.bulk.damaged(f"an event Opened of it is none ({error!r:.80})") from error
    if not opened or not len(trace.kept) or trace.facts.get("metric") is None:
        return {}, {}
    found, asked = trace.segments, np.array(opened)
    after = scores_at(trace, found.parent[asked], found.start[asked])
    # Where the member was: the last checkpoint of the segment that it trained before this one.
    sign = -1.0 if trace.facts.get("mode") == "min" else 1.0
    last = np.full(len(found), np.nan)
    last[trace.kept["segment"]] = sign * trace.kept["score"]
    order = np.lexsort((np.arange(len(found)), found.member))
    previous = np.full(len(found), -1)
    previous[order[1:]] = np.where(found.member[order[1:]] == found.member[order[:-1]], order[:-1], -1)
    earlier = previous[asked]
    before = np.where(earlier >= 0, last[earlier], np.nan)
    return dict(zip(opened, before.tolist(), strict=True)), dict(zip(opened, after.tolist(), strict=True))
