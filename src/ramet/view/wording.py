"""What happened, as lines: one for an exploit, a failure, a note. Beside each piece of text stands its style."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ramet.core.events import Decided, Event, Failed, Finished, Lost, Noted, Opened, Reported, Resumed
from ramet.core.population import FOREBEAR, Point, Population, Segment
from ramet.view import stragglers
from ramet.view.logs import ERRORS, lines
from ramet.view.standing import donor, latest, mutable
from ramet.view.values import clean, clip, count, shown

Line = list[tuple[str, str]]
"""Pieces of one line, each with its style (rich's words for it, "" for none)."""

LOUD = "bold yellow"
MOST_CHANGES = 6
LONGEST = 2000
MOST_TRACEBACK = 25

_FRAME = re.compile(r'\s+File "(.*)", line (\d+)(?:, in (.+))?')


def plain(line: Line) -> str:
    """Return the text of ``line``."""
    return "".join(text for text, _ in line)


def folded(line: Line, width: int, hang: int = 4) -> list[Line]:
    """Return ``line`` broken between words into lines of at most ``width``, all but the first indented by ``hang``.

    A line with a word that does not fit, such as a path, stays as it is, so that it can be copied whole.
    """
    text = plain(line)
    room = width - hang
    if len(text) <= width or max(map(len, text.split())) > room:
        return [line]
    cuts, start = [0], text.rfind(" ", 0, width + 1) + 1
    while start > cuts[-1]:
        cuts.append(start)
        start = text.rfind(" ", start, start + room + 1) + 1 if len(text) - start > room else 0
    ends = [cut - 1 for cut in cuts[1:]]  # without the blank between
    pieces = [_slice(line, start, end) for start, end in zip(cuts, [*ends, len(text)], strict=True)]
    return [pieces[0], *([(" " * hang, ""), *piece] for piece in pieces[1:])]


def _slice(line: Line, start: int, end: int) -> Line:
    """Return the pieces of ``line`` from character ``start`` to ``end``."""
    found, at = [], 0
    for text, style in line:
        part = text[max(start - at, 0) : max(end - at, 0)]
        if part:
            found.append((part, style))
        at += len(text)
    return found


def told(events: Sequence[Event], verbose: int) -> Iterator[tuple[Event, Decided | None]]:
    """Yield the events that are worth a line, an `Opened` with the decision that led to it."""
    decided: Decided | None = None
    for event in events:
        kind = type(event)
        if kind is Decided:
            decided = event  # type: ignore[assignment]
        elif kind is Opened:
            if event.info.get("why") in ("lost", "restarted", "branched"):  # type: ignore[attr-defined]
                yield event, None
            elif event.parent is not None:  # type: ignore[attr-defined]
                yield event, decided
        elif kind is Noted and stragglers.is_note(event.kind):  # type: ignore[attr-defined]
            pass  # the summary tells it, at the same moment
        elif kind in (Failed, Finished, Lost, Noted, Resumed) or (kind is Reported and verbose >= 2):
            yield event, None


def wording(
    event: Event, decided: Decided | None, population: Population, folder: Path, whole: bool = False
) -> list[Line]:
    """Return what to say of ``event``; of a failure its traceback if ``whole``, else only where it was raised."""
    match event:
        case Opened(info={"why": "lost" | "restarted" | "branched"}):
            where = "the beginning" if event.parent is None else f"iteration {event.iteration}"
            return [[(f"member {event.member}", "bold"), (f" goes on from {where}", "")]]
        case Opened():
            return [_opened(event, decided, population)]
        case Lost():
            maker = population.segments[event.segment].member
            whose = "another run" if maker == FOREBEAR else f"member {maker}"
            told = f": its checkpoint of iteration {event.iteration} is lost, for {_one_line(event.reason)}"
            return [[(whose, "bold red"), (told, "red")]]
        case Resumed():
            again = f", {len(event.again):,} of which had ended" if event.again else ""
            training = count(population.training, "member trains on", "members train on")
            return [[(f"taken up again: {training} from the last checkpoint{again}", "bold")]]
        case Failed():
            return _failed(event, population, folder, whole)
        case Finished():
            segment = population.segments[event.segment]
            member = population.members[segment.member]
            value = latest(population, member)
            return [
                [
                    (f"member {segment.member}", "bold"),
                    (f"{_value(value)} finished at iteration {segment.last}: {shown(event.reason, 120)}", ""),
                ]
            ]
        case Reported():
            member_number = population.segments[event.segment].member
            span = f"{event.first}" if event.first == event.last else f"{event.first}–{event.last}"
            metric = population.facts.get("metric")
            value = event.metrics.get(metric or "")
            score = "" if value is None else f"  {shown(metric)} {shown(value)}"
            return [[(f"member {member_number}", "bold"), (f"  iteration {span}{score}", "")]]
        case Noted():
            return [[("note: ", LOUD), (_one_line(event.text), "yellow")]]
    return []


def brief(event: Event, decided: Decided | None, population: Population, folder: Path) -> Line:
    """Return what to say of ``event`` in one short line; of an exploit who, from whom, the scores, what changed."""
    lost = isinstance(event, Opened) and event.info.get("why") in ("lost", "restarted")
    if not isinstance(event, Opened) or lost:
        return next(iter(wording(event, decided, population, folder)), [])
    segment = population.segments[event.segment]
    whose = donor(population, segment)
    before = _point(population, decided.segment, decided.iteration) if decided is not None else None
    line: Line = [(f"t={_time(population, event, before)}", "dim"), (f"  {event.member}", "bold")]
    own = _bare(population, before).strip()
    if whose is None:
        line.append((f"  {own}  goes on" if own else "  goes on", ""))
    else:
        line += [(" ← ", "cyan"), (f"{whose}", "bold")]
        point = None if event.parent is None else _point(population, event.parent, event.iteration)
        if own and (theirs := _bare(population, point).strip()):
            line += [(f"  {own}", ""), (" → ", "cyan"), (theirs, "")]
    for name, old, new in _changes(population, segment):
        line += [(f"  {name} {old}", ""), (" → ", "cyan"), (new, "")]
    return line


def printed(member: int | None, text: str) -> list[Line]:
    """Return what a training function printed: whole lines, each with the member's name in front.

    Of a line that was written over (a progress bar) only the last state is left.
    """
    last = "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))
    found = []
    for line in lines(member, last):
        name, bracket, rest = line.partition("] ")
        found.append([(name + bracket, "cyan"), (clip(clean(rest), LONGEST), "")])
    return found


def _opened(event: Opened, decided: Decided | None, population: Population) -> Line:
    segment = population.segments[event.segment]
    whose = donor(population, segment)
    before = _point(population, decided.segment, decided.iteration) if decided is not None else None
    line: Line = [(f"t={_time(population, event, before)}  ", "dim"), (f"member {event.member}", "bold")]
    line.append((_score(population, before), ""))
    if whose is not None:
        assert event.parent is not None
        point = _point(population, event.parent, event.iteration)
        line += [(" ← ", "cyan"), (f"member {whose}", "bold")]
        line.append((f" ({_bare(population, point)}at iteration {event.iteration})", ""))
    else:
        line.append((" goes on with other hyperparameters", ""))
    changes = list(_changes(population, segment))
    for name, old, new in changes[:MOST_CHANGES]:
        line += [(f"  {name} {old}", ""), (" → ", "cyan"), (new, "")]
    if len(changes) > MOST_CHANGES:
        line.append((f"  … {len(changes) - MOST_CHANGES} more", "dim"))
    return line


def _changes(population: Population, segment: Segment) -> Iterator[tuple[str, str, str]]:
    """Yield what the clone changed of what it took over: name, value before and after; what looks alike is left out."""
    changed = segment.info.get("changed")
    pairs: dict[str, Any] = {}
    if isinstance(changed, Mapping):
        pairs = dict(changed)
    elif segment.parent is not None:
        old = mutable(population, population.segments[segment.parent].hparams)
        pairs = {name: (old.get(name), new) for name, new in mutable(population, segment.hparams).items()}
    for name, pair in pairs.items():
        before, after = (shown(value) for value in pair)
        if before != after:
            yield shown(name), before, after


def _failed(event: Failed, population: Population, folder: Path, whole: bool) -> list[Line]:
    segment = population.segments[event.segment]
    member = population.members[segment.member]
    if not event.counted:
        where = f"iteration {segment.last}" if segment.last else "the beginning"
        fate = f" lost its place, and starts again from {where}: "
    elif event.final:
        fate = f" failed for good at iteration {segment.last}: "
    elif segment.last:
        fate = f" failed (failure {member.failures}) and starts again from iteration {segment.last}: "
    else:
        fate = f" failed (failure {member.failures}) and starts again from the beginning: "
    line: Line = [(f"member {segment.member}", "bold red"), (fate, "red"), (cause(event.error), "red")]
    if not whole:
        at = _raised_at(event.error)
        return [[*line, (f" ({at})", "")] if at else line]
    found: list[Line] = [line]
    given = [each for each in event.error.splitlines() if each.strip()]
    if len(given) > 1:
        if len(given) > MOST_TRACEBACK:
            found.append([(f"    … {count(len(given) - MOST_TRACEBACK, 'line')} before", "dim")])
        found += [[(f"    {clip(clean(each), LONGEST)}", "")] for each in given[-MOST_TRACEBACK:]]
    if event.final:
        found.append([(f"    in Python: ramet.ResultGrid({str(folder)!r})[{segment.member}].error", "dim")])
    if (folder / ERRORS).exists():
        found.append([(f"    every traceback: {clean(str(folder / ERRORS))}", "dim")])
    return found


def _raised_at(error: str) -> str:
    """Return the last frame of a traceback as file:line in function; nothing where there is none."""
    frames = [frame for line in error.splitlines() if (frame := _FRAME.match(line))]
    if not frames:
        return ""
    file, number, function = frames[-1].groups()
    return clip(clean(f"{file}:{number}" + (f" in {function}" if function else "")), 300)


def cause(error: str) -> str:
    r"""Return the line of a traceback that says what was raised: the first below its last frame.

    >>> cause('Traceback …:\n  File "a.py", line 3, in f\n    g()\nValueError: no\n  such thing')
    'ValueError: no'
    """
    given = [line for line in error.splitlines() if line.strip()]
    if given and not given[0].startswith("Traceback"):  # of a death or a hang, where it was comes after
        return clip(clean(given[0].strip()), 300)
    frames = [index for index, line in enumerate(given) if _FRAME.match(line)]
    for line in given[frames[-1] + 1 :] if frames else ():
        if not line.startswith(" "):
            return clip(clean(line), 300)
    return clip(clean(given[-1].strip()), 300) if given else "no reason given"


def _one_line(text: str) -> str:
    return clip(clean(" ".join(text.split())), LONGEST)


def _point(population: Population, segment: int, iteration: int) -> Point | None:
    return next((p for p in reversed(population.segments[segment].points) if p.iteration == iteration), None)


def _time(population: Population, event: Opened, point: Point | None) -> str:
    seconds = " s" if population.facts.get("time_attr") == "time_total_s" else ""
    return f"{shown(point.time if point is not None else event.iteration)}{seconds}"


def _bare(population: Population, point: Point | None) -> str:
    """Return the score as it was reported, and a blank; nothing where nothing is scored."""
    if point is None or population.facts.get("metric") is None:
        return ""
    return f"{shown(-point.score if population.facts.get('mode') == 'min' else point.score)} "


def _score(population: Population, point: Point | None) -> str:
    bare = _bare(population, point).strip()
    return f" ({bare})" if bare else ""


def _value(value: Any) -> str:
    return "" if value is None else f" ({shown(value)})"
