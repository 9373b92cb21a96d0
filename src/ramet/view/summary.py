"""What came of a run, in a few lines; loud where nothing was ever exploited."""

from __future__ import annotations

import contextlib
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from ramet.core.population import Population
from ramet.errors import RunError
from ramet.store.away import HOME
from ramet.view import stragglers
from ramet.view.logs import ERRORS
from ramet.view.logs import NAME as LOG
from ramet.view.standing import best, disk, mutable, reports, standings
from ramet.view.values import clean, clip, count, duration, finite, number, shown, tail
from ramet.view.wording import LOUD, Line, cause, folded

INDENT = 13
MOST_STEPS = 8
MOST_KEYS = 6
MOST_ERRORS = 3


def summary(population: Population, folder: Path, elapsed: float, width: int | None = None) -> list[Line]:
    """Return the lines that close a run: how it ended, what was decided, who is best and how it came to be.

    With ``width`` they are broken between words, and the schedule has as many columns as fit.
    """
    ended = clip(clean(" ".join((population.ended or "it was left off").split())), 300)
    lines: list[Line] = [
        [],
        [("run ", ""), (clean(folder.name), "bold cyan"), (f" ended after {duration(elapsed)}: {ended}", "")],
        _entry("members", _members(population)),
    ]
    lines += [_entry("branched", text) for text in _branched(population)]
    lines += [_entry("", line, "red") for line in _errors(population)]
    if _all_failed(population) and not population.verdicts:
        if _could_decide(population):
            lines.append(_entry("decisions", "all members failed before a decision"))
    elif _could_decide(population):
        lines += [_entry(name, text) for name, text in _decisions(population)]
        if not _verdicts(population, "exploit"):
            lines.append([(f"  {'note:':<{INDENT - 2}}", LOUD), (_why_none(population), LOUD)])
    lines += [_entry("waits", clean(text)) for text in stragglers.sentences(population.noted.items())]
    lines += _best(population, width)
    lines += _front(population)
    kept = [name for name in ("run.db", "checkpoints/", LOG, ERRORS) if (folder / name).exists()]
    lines.append(_entry("folder", clean(str(folder))))
    if kept:
        lines.append(_entry("", f"{', '.join(kept)}; {disk(population)}"))
    if (folder / HOME).exists():
        from ramet.store.snapshots import home  # here, for most runs have none

        with contextlib.suppress(RunError):  # who reads the run is told of that elsewhere
            found = home(folder)
            lines += [] if found is None else [_entry("store", clean(found.url))]
    if how := go_on(population, folder):
        lines.append(_entry("go on", how))
    return lines if width is None else [part for line in lines for part in folded(line, width, INDENT)]


def go_on(population: Population, folder: Path) -> str:
    """Return the call that takes the run up again; nothing where there is nothing left to do."""
    failed = any(member.state == "failed" for member in population.members)
    if not population.training and not failed:
        return ""
    name = clean(str(population.facts.get("trainable", "train")))
    how = ", resume_errored=True" if failed else ""
    return f"ramet.Tuner.restore({clean(repr(str(folder)))}, {name}{how}).fit()"


def _entry(name: str, text: str, style: str = "") -> Line:
    return [(f"  {name:<{INDENT - 2}}", "dim"), (text, style)]


def _members(population: Population) -> str:
    states = [member.state for member in population.members]
    told = [count(states.count("finished"), "finished", "finished")]
    if failed := states.count("failed"):
        told.append(f"{failed:,} failed")
    if stopped := states.count("training"):
        told.append(f"{stopped:,} stopped before their end")
    return f"{', '.join(told)}; {count(reports(population), 'report')}"


def _branched(population: Population) -> Iterator[str]:
    if told := population.facts.get("branched"):
        run, segment, at, member = (shown(told.get(name), 80) for name in ("run", "segment", "iteration", "member"))
        yield f"from {run} at segment {segment}, iteration {at} (member {member})"


def _errors(population: Population) -> Iterator[str]:
    failed = {member.number: cause(member.error or "") for member in population.members if member.state == "failed"}
    causes = Counter(failed.values()).most_common()
    for reason, times in causes[:MOST_ERRORS]:
        who = next(number for number, each in failed.items() if each == reason)
        yield f"{f'member {who}' if times == 1 else count(times, 'member')}: {reason}"
    if rest := sum(times for _, times in causes[MOST_ERRORS:]):
        yield f"… {rest:,} more failed"


def _all_failed(population: Population) -> bool:
    return bool(population.members) and all(member.state == "failed" for member in population.members)


# ---------------------------------------------------------------------------------------------------- decisions


def _could_decide(population: Population) -> bool:
    strategy = population.facts.get("strategy") or {}
    able = population.facts.get("mutable") or strategy.get("custom_explore_fn")
    return strategy.get("name") != "FIFO" and bool(able)


def _verdicts(population: Population, *verdicts: str) -> int:
    return sum(times for (verdict, _), times in population.verdicts.items() if verdict in verdicts)


def _reasons(population: Population, *verdicts: str) -> str:
    """Return the reasons of these verdicts, the most frequent first, each with how often."""
    found = [(times, reason) for (verdict, reason), times in population.verdicts.items() if verdict in verdicts]
    return ", ".join(f"{shown(reason, 80)}: {times:,}" for times, reason in sorted(found, key=lambda f: (-f[0], f[1])))


def _decisions(population: Population) -> Iterator[tuple[str, str]]:
    went, explored = _verdicts(population, "continue"), _verdicts(population, "explore")
    done, skipped = _verdicts(population, "exploit"), _verdicts(population, "skip")
    told = count(went + explored + done + skipped, "decision")
    if went:
        told += f": {went:,} went on ({_reasons(population, 'continue')})"
    yield "decisions", told
    if explored:
        yield "", f"{explored:,} explored ({_reasons(population, 'explore')})"
    told = f"{done + skipped:,} tried, {done:,} done"
    if skipped:
        told += f", {skipped:,} skipped ({_reasons(population, 'skip')})"
    yield "exploits", told


def _why_none(population: Population) -> str:
    """Return the sentence that says why a run that could exploit never did."""
    taken = sum(population.verdicts.values())
    if taken:
        reasons = _reasons(population, "continue", "skip", "explore")
        told = f"nothing was ever exploited: {count(taken, 'decision')} led to no exploit ({reasons})"
        return told + _remedy(population)
    told = "nothing was ever exploited, for no decision was ever taken: "
    times = [point.time for segment in population.segments for point in segment.points]
    if not times:
        if not reports(population):
            return told + "no member ever reported anything"
        return (
            f"{told}{count(reports(population), 'report')} came without a single checkpoint, and only a checkpoint can "
            "be cloned; pass checkpoint= to ramet.report()"
        )
    strategy = population.facts.get("strategy") or {}
    interval, burn_in = strategy.get("interval"), strategy.get("burn_in", 0.0)
    due = max(interval, burn_in) if finite(interval) and finite(burn_in) else math.nan
    on = f"{shown(population.facts.get('time_attr'))} "
    if max(times) < due:
        return (
            f"{told}the first was due at {on}{number(due)}, and the last checkpoint of the run came at "
            f"{on}{number(max(times))}; shorten perturbation_interval={shown(interval)} "
            f"(burn_in_period={shown(burn_in)}), train longer, or give checkpoints more often"
        )
    if strategy.get("synch"):
        return told + "with synch=True it waits until every live member has a checkpoint that is due: that never was"
    return f"{told}no member was still training at a checkpoint that was due, from {on}{shown(due)} on"


def _remedy(population: Population) -> str:
    """Return what to do where members had nobody to be compared with; nothing where that was not the reason."""
    reason = max(population.verdicts, key=lambda verdict: population.verdicts[verdict])[1]
    if reason != "too few members to compare":
        return ""
    if len(population.members) == 1:
        return "; PBT needs at least two members: num_samples"
    lasting = sum(member.state != "failed" for member in population.members)
    if lasting < 2 or (population.facts.get("strategy") or {}).get("synch"):
        return ""
    return "; members did not overlap in time: train longer, or synch=True"


# ---------------------------------------------------------------------------------------------------- the best


def _best(population: Population, width: int | None) -> list[Line]:
    if _all_failed(population):
        return []
    top = best(standings(population, {}))
    if top is None:
        metric = population.facts.get("metric")
        return [_entry("best", f"no member has a finite value of {shown(metric)}")] if metric is not None else []
    metric = shown(population.facts.get("metric"), 40)
    lines: list[Line] = [
        [
            (f"  {'best':<{INDENT - 2}}", "dim"),
            (f"member {top.member}", "bold"),
            (f": {metric} ", ""),
            (shown(top.value), "bold green"),
            (f" at iteration {top.iteration}", ""),
        ]
    ]
    if population.members[top.member].state == "failed":
        lines[0].append((", then it failed", "red"))
    return lines + _schedule(population, population.members[top.member].segment, width)


def _front(population: Population) -> list[Line]:
    if not population.facts.get("objectives") or _all_failed(population):
        return []
    from ramet.view.front import told  # which loads numpy, and few runs have a front

    said = told(population)
    return [] if said is None else [_entry("front", said)]


def _schedule(population: Population, segment: int, width: int | None) -> list[Line]:
    """Return the schedule that made a model as a small table; of a long one the beginning and the end."""
    names = list(population.facts.get("mutable") or ())
    steps = _steps(population, segment, names[:MOST_KEYS]) if names else []
    if not steps:
        return []
    header = ("iterations", *(tail(clean(name), 24) for name in names[:MOST_KEYS]))
    rows = [(f"{first}–{last}" if first != last else f"{first}", *words) for first, last, words in steps]
    hidden = max(len(rows) - MOST_STEPS + 1, 0) if len(rows) > MOST_STEPS else 0
    if hidden:
        half = MOST_STEPS // 2
        rows = rows[:half] + rows[half + hidden :]
    wide = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    while width is not None and len(wide) > 2 and sum(wide) + 2 * len(wide) + INDENT + 4 > width:
        wide.pop()
    lines = ["  ".join(f"{text:>{w}}" for text, w in zip(row, wide, strict=False)) for row in (header, *rows)]
    if len(names) > len(wide) - 1:
        lines[0] += f"  +{len(names) - len(wide) + 1}"
    entries = [_entry("schedule", lines[0], "dim"), *(_entry("", line) for line in lines[1:])]
    if hidden:
        entries.insert(1 + half, _entry("", f"{'…':>{wide[0]}}  {count(hidden, 'more step')}", "dim"))
    return entries


def _steps(population: Population, segment: int, names: Sequence[str]) -> list[tuple[int, int, tuple[str, ...]]]:
    """Return the schedule as (first iteration, last, what was in force then); equal neighbours are joined."""
    schedule = population.schedule(segment)
    ends = [start for start, _ in schedule[1:]] + [population.segments[segment].last]
    steps: list[tuple[int, int, tuple[str, ...]]] = []
    for (start, hparams), end in zip(schedule, ends, strict=True):
        values = mutable(population, hparams)
        words = tuple(shown(values[name]) if name in values else "" for name in names)
        if end <= start:
            continue
        if steps and steps[-1][2] == words:
            steps[-1] = (steps[-1][0], end, words)
        else:
            steps.append((start + 1, end, words))
    return steps
