"""What the page asks of one run, answered from its trace. Nothing here knows of a server: a report asks the same."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from ramet.analysis.frames import points
from ramet.analysis.run import Run
from ramet.space import flatten
from ramet.ui.board import Board
from ramet.ui.folder import stamp, updated
from ramet.ui.plain import named, numbers, plain, text
from ramet.ui.sentences import TOLD, sentences
from ramet.view.values import count, finite, size
from ramet.view.wording import cause

MOST_EVENTS = 1_000
MOST_ERRORS = 200
MOST_CHECKPOINTS = 2_000
LONGEST_TRACEBACK = 50_000


def brief(run: Run, board: Board) -> dict[str, Any]:
    """Return what changes all the time: counts, progress, and who is best."""
    state = run.state
    return {
        "version": run.trace.last,
        "state": state,
        "ended": None if run.ended is None else text(run.ended),
        "counts": counts(run, board),
        "progress": progress(run, state),
        "best": best(run, board),
        "updated": plain(updated(run.path)),
    }


def overview(run: Run, board: Board) -> dict[str, Any]:
    """Return what the run is, and where each of its members stands."""
    facts, trace = run.facts, run.trace
    strategy = facts.get("strategy")
    mutable = facts.get("mutable")
    return brief(run, board) | {
        "path": text(run.path.resolve(), 4096),
        "metric": plain(run.metric),
        "mode": plain(run.mode),
        "time_attr": plain(facts.get("time_attr")),
        "seed": plain(run.seed),
        "strategy": named(strategy) if isinstance(strategy, Mapping) else {"name": plain(strategy)},
        "mutable": named(mutable) if isinstance(mutable, Mapping) else {},
        "stop": plain(facts.get("stop")),
        "branched": plain(facts.get("branched")),
        "begun": begun(run),
        "notes": [text(told, 2000) for _, told in trace.noted],
        "members": members(run, board),
    }


def counts(run: Run, board: Board) -> dict[str, Any]:
    """Return how much of everything there is."""
    places = run.trace.places
    states = [run.trace.state(place) for place in places]
    kept, disk = board.disk(time.monotonic())
    return {
        "members": len(places),
        "training": states.count("training"),
        "finished": states.count("finished"),
        "failed": states.count("failed"),
        "stopped": states.count("stopped"),
        "reports": int(board.reports().sum()),
        "decisions": board.decisions,
        "exploits": sum(board.exploits.values()),
        "checkpoints": kept,
        "disk": disk,
        "disk_text": f"{count(kept, 'checkpoint')}, {size(disk)}",
    }


def begun(run: Run) -> float | None:
    """Return when the run began, in seconds since 1970, as far as its first report tells."""
    own = own_spans(run)
    first: float | None = plain(float(own["at"][0])) if len(own) else updated(run.path)
    return first


def own_spans(run: Run) -> Any:
    """Return the reports of the run itself, without those of the one that it was branched from."""
    spans = run.trace.spans
    return spans[run.trace.segments.member[spans["segment"]] >= 0] if len(spans) else spans


def progress(run: Run, state: str) -> dict[str, Any]:
    """Return how much of the run is done, in words too, and how long the rest takes if it goes on like that."""
    trace = run.trace
    places, ends, goal = trace.places, trace.ends, run.facts.get("goal") or 0
    over = sum(place.state != "training" for place in places)
    share, told = over / max(len(places), 1), f"{over} of {len(places)} members done"
    if finite(goal) and goal > 0:
        at = [int(ends[place.segment]) if place.segment >= 0 else 0 for place in places]
        live = [i for i, place in zip(at, places, strict=True) if place.state == "training"]
        done = sum(min(i, goal) if p.state == "training" else goal for i, p in zip(at, places, strict=True))
        low, high = min(live or at, default=0), max(live or at, default=0)
        share = done / (goal * max(len(places), 1))
        told = f"iteration {low if low == high else f'{low}–{high}'} of {goal:g}"
    if state in ("ended", "stopped"):
        told = f"{told}, {state}"
    first, last = begun(run), updated(run.path)
    left = None
    if state == "under way" and 0.01 < share < 1 and first is not None and last is not None and last > first:
        left = (1 - share) * (last - first) / share
    return {"share": plain(float(min(share, 1.0))), "text": told, "left_s": plain(left)}


def best(run: Run, board: Board) -> dict[str, Any] | None:
    """Return the member that is best, if any is."""
    member = board.best()
    if member is None:
        return None
    number = run.trace.places[member].segment
    return {
        "member": member,
        "value": plain(board.values[member]),
        "iteration": int(run.trace.ends[number]),
        "segment": number,
        "hparams": named(flatten(run.trace.segments.hparams[number])),
    }


def members(run: Run, board: Board, only: int | None = None) -> list[dict[str, Any]]:
    """Return a row for each member, or for one."""
    trace, ranks, reported = run.trace, board.ranks(), board.reports()
    rows = []
    for place in trace.places if only is None else [trace.places[only]]:
        number, member = place.segment, place.number
        there = number >= 0
        rows.append(
            {
                "member": member,
                "state": trace.state(place),
                "reason": None if place.reason is None else text(place.reason),
                "iteration": int(trace.ends[number]) if there else 0,
                "value": plain(board.values[member]),
                "rank": ranks.get(member),
                "reports": int(reported[member]),
                "exploits": board.exploits.get(member, 0),
                "failures": place.failures,
                "segment": number,
                "founder": board.roots[number] if there else None,
                "donor": board.donors.get(member),
                "error": text(cause(place.error)) if place.error else None,
                "hparams": named(flatten(trace.segments.hparams[number])) if there else {},
                "spark": numbers(board.sparks.get(member, ())),
            }
        )
    return rows


def events(run: Run, before: int | None, limit: int) -> dict[str, Any]:
    """Return the last ``limit`` events before number ``before``, the newest first."""
    trace = run.trace
    upto = trace.last + 1 if before is None else min(before, trace.last + 1)
    limit = min(max(limit, 1), MOST_EVENTS)
    found = trace.bulk.earlier(TOLD, upto, limit + 1)
    return {"events": list(sentences(trace, found[:limit])), "more": len(found) > limit}


def errors(run: Run, member: int | None = None) -> dict[str, Any]:
    """Return what members failed of, the newest first, each with its traceback."""
    trace, found = run.trace, []
    for seq, kind, event in reversed(trace.few):
        if kind != "Failed":
            continue
        try:
            segment = int(event["segment"])
            whose = int(trace.segments.member[segment])
        except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
            raise trace.bulk.damaged(f"an event Failed of it is none ({error!r:.80})") from error
        if member is None or whose == member:
            told = str(event.get("error"))
            found.append(
                {
                    "seq": seq,
                    "member": whose,
                    "segment": segment,
                    "final": bool(event.get("final")),
                    "cause": text(cause(told)),
                    "traceback": text(told, LONGEST_TRACEBACK),
                }
            )
        if len(found) >= MOST_ERRORS:
            break
    return {"errors": found}


def checkpoints(run: Run, before: int | None, limit: int, member: int | None = None) -> dict[str, Any]:
    """Return checkpoints that were kept, the newest first; ``before`` is the event number of the last one known."""
    trace, limit = run.trace, min(max(limit, 1), MOST_CHECKPOINTS)
    kept = trace.kept
    wanted = np.arange(len(kept))
    if before is not None:
        wanted = wanted[: np.searchsorted(kept["seq"], before)]
    owner = trace.segments.member
    if member is not None and len(kept):
        wanted = wanted[owner[kept["segment"][wanted]] == member]
    more, wanted = len(wanted) > limit, wanted[len(wanted) - min(limit, len(wanted)) :][::-1]
    sign = -1.0 if run.mode == "min" else 1.0
    rows = []
    for at in wanted.tolist():
        segment, iteration = int(kept["segment"][at]), int(kept["iteration"][at])
        there = trace.bulk.checkpoint(segment, iteration)
        rows.append(
            {
                "seq": int(kept["seq"][at]),
                "segment": segment,
                "iteration": iteration,
                "member": int(owner[segment]) if owner[segment] >= 0 else None,
                "score": plain(sign * float(kept["score"][at])),
                "size": int(kept["size"][at]) or (there[1] if there else 0),
                "pinned": bool(kept["pinned"][at]),
                "there": there is not None,
                "kind": text(there[0], 40) if there else None,
            }
        )
    return {"checkpoints": rows, "more": more}


def story(run: Run, board: Board, number: int) -> dict[str, Any]:
    """Return all that happened to one member, and how the model that it has now came to be."""
    from ramet.analysis.descent import lived_on
    from ramet.ui.sentences import changes

    trace = run.trace
    found, kept = trace.segments, trace.kept
    mine = np.flatnonzero(found.member == number)
    sign = -1.0 if run.mode == "min" else 1.0
    lived, last = lived_on(trace), np.full(len(found), math.nan)
    last[kept["segment"]] = sign * kept["score"]
    rows = points(trace, found.parent[mine], found.start[mine])
    begins = np.where(rows >= 0, sign * kept["score"][rows], math.nan) if len(kept) else np.full(len(mine), math.nan)
    told = []
    for segment, begin in zip(mine.tolist(), begins.tolist(), strict=True):
        donor, parent = int(found.donor[segment]), int(found.parent[segment])
        told.append(
            {
                "segment": segment,
                "start": int(found.start[segment]),
                "last": int(trace.ends[segment]),
                "why": text(found.why(segment), 80),
                "parent": parent if parent >= 0 else None,
                "donor": donor if donor >= 0 else None,
                "donor_score": plain(begin) if donor >= 0 else None,
                "score_start": plain(begin),
                "score_last": plain(float(last[segment])),
                "lived_on": int(lived[segment]) if lived[segment] > found.start[segment] else None,
                "changed": changes(trace, segment),
                "hparams": named(flatten(found.hparams[segment])),
            }
        )
    return members(run, board, only=number)[0] | {
        "story": told,
        "lineage": [
            {"segment": s.segment, "member": s.member, "first": s.first, "last": s.last}
            | {"hparams": named(flatten(s.hparams)), "elsewhere": bool(found.member[s.segment] < 0)}
            for s in run.lineage(number)
        ],
        "checkpoints": checkpoints(run, None, MOST_CHECKPOINTS, number)["checkpoints"],
        "errors": errors(run, number)["errors"],
    }


def row(run: Run, board: Board) -> dict[str, Any]:
    """Return the run's row in the list of runs."""
    told = brief(run, board)
    leader, goal = told["best"], run.facts.get("goal")
    return {
        "state": told["state"],
        "error": None,
        "members": told["counts"]["members"],
        "training": told["counts"]["training"],
        "failed": told["counts"]["failed"],
        "metric": plain(run.metric),
        "mode": plain(run.mode),
        "best": leader and {"member": leader["member"], "value": leader["value"]},
        "iteration": int(run.trace.ends.max(initial=0)),
        "goal": plain(goal),
        "exploits": told["counts"]["exploits"],
        "reports": told["counts"]["reports"],
        "begun": begun(run),
        "updated": told["updated"],
        "size": sum(length for _, length, _ in stamp(run.path)) + _outside(told),
    }


def _outside(told: Mapping[str, Any]) -> int:
    return int(told["counts"]["disk"])
