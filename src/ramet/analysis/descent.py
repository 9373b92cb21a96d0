"""Who descends from whom: the founders that live on, and who replaced whom."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ramet.analysis.trace import Trace


class Descent(NamedTuple):
    """How many members descend from each founder, at each moment at which a segment was opened.

    ``moments`` holds the numbers of those events; ``time`` the furthest iteration that any member had been opened at by
    then; ``members`` how many there were; ``shares`` has a row for each moment and a column for each of ``founders``
    (segments), with the number of members that descend from it.
    """

    moments: Any
    time: Any
    members: Any
    founders: Any
    shares: Any

    @property
    def surviving(self) -> Any:
        """How many founders have descendants, at each moment."""
        return (self.shares > 0).sum(axis=1)

    @property
    def effective(self) -> Any:
        """The number of equally frequent founders that would be as diverse: the exponential of the shares' entropy.

        Source: Hill (1973), "Diversity and Evenness: A Unifying Notation and Its Consequences", of order 1.
        """
        share = self.shares / np.maximum(self.shares.sum(axis=1, keepdims=True), 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            entropy = -np.where(share > 0, share * np.log(share), 0.0).sum(axis=1)
        return np.exp(entropy)


def founders(trace: Trace) -> Any:
    """Return the founder (a segment) that each segment descends from."""
    parents = trace.segments.parent.tolist()
    roots: list[int] = []
    for number, parent in enumerate(parents):
        roots.append(number if parent < 0 else roots[parent])
    return np.array(roots, "i8")


def descent(trace: Trace, most: int = 1000) -> Descent:
    """Return how the founders' families grew and died out, at no more than ``most`` moments."""
    segments, roots = trace.segments, founders(trace)
    member, count = segments.member, len(segments)
    names, family = np.unique(roots, return_inverse=True)
    # Looked at are the moments at which all founders are there, and then as many as asked for, the last among them.
    ready = _all_there(member)
    step = max(1, -(-(count - ready) // max(most, 1)))
    wanted = np.unique(np.append(np.arange(ready, count, step), count - 1)) if count else np.empty(0, "i8")
    now = np.full(len(trace.places), -1, "i8")
    shares = np.zeros((len(wanted), len(names)), "i4")
    present = np.zeros(len(wanted), "i4")
    before = 0
    for row, upto in enumerate(wanted.tolist()):
        opened = slice(before, upto + 1)
        own = member[opened] >= 0
        now[member[opened][own]] = family[opened][own]  # of several of one member the last one counts
        before = upto + 1
        here = now[now >= 0]
        shares[row] = np.bincount(here, minlength=len(names))
        present[row] = len(here)
    reached = np.maximum.accumulate(segments.start) if count else segments.start
    return Descent(segments.seq[wanted], reached[wanted], present, names, shares)


def _all_there(member: Any) -> int:
    """Return the number of the segment with whose opening every member that began with the run had one."""
    first = np.unique(member, return_index=True)[1]
    first.sort()
    # Members that joined later, at a resume, come after a gap.
    together = np.flatnonzero(np.diff(first, prepend=-1) == 1)
    return int(first[together[-1]]) if len(together) else 0


def replacements(trace: Trace) -> Any:
    """Return a matrix: how often the member of the row gave up its weights for those of the member of the column."""
    segments, members = trace.segments, len(trace.places)
    donor, member = segments.donor, segments.member
    clones = (donor >= 0) & (donor < members)
    found = np.zeros((members, members), "i8")
    np.add.at(found, (member[clones], donor[clones]), 1)
    return found


def lived_on(trace: Trace) -> Any:
    """Return, by segment, up to which iteration its weights are in a model that is there at the end; -1 for none."""
    segments, cut = trace.segments, np.full(len(trace.segments), -1, "i8")
    parents, starts, ends = segments.parent, segments.start, trace.ends
    for place in trace.places:
        number, end = place.segment, -1
        if number >= 0:
            end = int(ends[number])
        while number >= 0 and end > cut[number]:
            reached = cut[number] >= 0
            cut[number] = end
            if reached:  # from here on it is somebody else's way too
                break
            end, number = int(starts[number]), int(parents[number])
    return cut
