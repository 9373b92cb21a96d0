"""Which slot did what when, and where the time went."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ramet.analysis.frames import points
from ramet.analysis.trace import Trace


class Stretches(NamedTuple):
    """Intervals on slots, each ending with a checkpoint: columns as arrays, times in seconds.

    ``begin`` and ``end`` are Unix times, in a simulation its virtual time. ``training``, ``restoring``, ``saving`` and
    ``waiting`` add up to the interval. ``row`` is the checkpoint's row in `Trace.kept`.
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
    row: Any


def stretches(trace: Trace) -> Stretches:
    """Return what the slots did, in the order in which it was reported; nothing for runs of earlier versions."""
    kept, spent = trace.kept, trace.spent
    rows = np.array([row for row, told in enumerate(spent) if told], "i8")
    try:
        told = np.array([spent[row] for row in rows.tolist()], "f8").reshape(-1, 5)
    except (TypeError, ValueError) as error:
        raise trace.bulk.damaged(f"what its slots did is told as no numbers ({error!r:.80})") from error
    segment, elapsed = kept["segment"][rows], kept["elapsed"]
    restoring, saving, waiting, end = (told[:, 1:] / 1e9).T
    training = np.maximum(elapsed[rows] - _stood(trace)[rows], 0.0)
    return Stretches(
        slot=told[:, 0].astype("i8"),
        member=trace.segments.member[segment],
        segment=segment,
        iteration=kept["iteration"][rows],
        begin=end - (training + restoring + saving + waiting),
        end=end,
        training=training,
        restoring=restoring,
        saving=saving,
        waiting=waiting,
        row=rows,
    )


def _stood(trace: Trace) -> Any:
    """Return, by checkpoint, the model's training time at the checkpoint before it, or where its segment was opened."""
    kept, segments = trace.kept, trace.segments
    segment, elapsed = kept["segment"], kept["elapsed"]
    order = np.argsort(segment, kind="stable")
    before = np.zeros(len(order))
    same = segment[order][1:] == segment[order][:-1]
    before[order[1:][same]] = elapsed[order[:-1][same]]
    first = order[np.concatenate([[True], ~same])] if len(order) else order
    parent = segments.parent[segment[first]]
    origin = points(trace, np.maximum(parent, 0), segments.start[segment[first]])
    cloned = (parent >= 0) & (origin >= 0)
    before[first] = np.where(cloned, elapsed[origin], 0.0) if len(first) else 0.0
    return before
