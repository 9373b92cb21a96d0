"""Which slot did what when, and where the time went."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ramet.analysis.frames import points
from ramet.analysis.trace import Trace


class Stretches(NamedTuple):
    """Intervals on slots, each ending with a checkpoint: columns as arrays, times in seconds.

    ``begin`` and ``end`` are Unix times, in a simulation its virtual time. ``training``, ``restoring``, ``saving`` and
    ``waiting`` add up to the interval. ``reports`` is how many were made in it, ``row`` the checkpoint's row in
    `Trace.kept`.
    """

    slot: Any
    member: Any
    segment: Any
    iteration: Any
    begin: Any
    end: Any
    training: Any
    restoring: Any
    saving: Any
    waiting: Any
    reports: Any
    row: Any


def stretches(trace: Trace) -> Stretches:
    """Return what the slots did, in the order in which it was reported; nothing for runs of earlier versions."""
    kept, spent = trace.kept, trace.spent
    rows = np.array([row for row, told in enumerate(spent) if told], "i8")
    try:
        told = np.array([spent[row] for row in rows.tolist()], "f8").reshape(-1, 5)
    except (TypeError, ValueError) as error:
        raise trace.bulk.damaged(f"what its slots did is told as no numbers ({error!r:.80})") from error
    segment, elapsed, iteration = kept["segment"][rows], kept["elapsed"], kept["iteration"]
    restoring, saving, waiting, end = (told[:, 1:] / 1e9).T
    before = _previous(trace)
    stood = np.where(before >= 0, iteration[before], trace.segments.start[kept["segment"]])
    training = np.maximum(elapsed[rows] - _stood(trace, before)[rows], 0.0)
    return Stretches(
        slot=told[:, 0].astype("i8"),
        member=trace.segments.member[segment],
        segment=segment,
        iteration=iteration[rows],
        begin=end - (training + restoring + saving + waiting),
        end=end,
        training=training,
        restoring=restoring,
        saving=saving,
        waiting=waiting,
        reports=np.maximum(iteration - stood, 0)[rows],
        row=rows,
    )


def _previous(trace: Trace) -> Any:
    """Return, by checkpoint, the row of the one before it in its segment; -1 where it is the first."""
    segment = trace.kept["segment"]
    order = np.argsort(segment, kind="stable")
    same = segment[order][1:] == segment[order][:-1]
    found = np.full(len(order), -1)
    found[order[1:][same]] = order[:-1][same]
    return found


def _stood(trace: Trace, before: Any) -> Any:
    """Return, by checkpoint, the model's training time at the checkpoint before it, or where its segment was opened."""
    kept, segments = trace.kept, trace.segments
    elapsed = kept["elapsed"]
    if not len(before):
        return elapsed
    segment = kept["segment"]
    parent = segments.parent[segment]
    origin = points(trace, np.maximum(parent, 0), segments.start[segment])
    opened = np.where((parent >= 0) & (origin >= 0), elapsed[origin], 0.0)
    return np.where(before >= 0, elapsed[before], opened)
