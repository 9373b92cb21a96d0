"""What a notebook shows of results: `ResultGrid`, `Result`, `Schedule` and `Run` as tables of bounded size."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from ramet.notebook.markup import entry, line, row, said, styled, table, told, wide
from ramet.space import flatten
from ramet.view.values import clip, count, shown
from ramet.view.wording import cause

if TYPE_CHECKING:
    from ramet.analysis.run import Run
    from ramet.results import Result, ResultGrid
    from ramet.schedule import Schedule, Step

__all__ = ["of_grid", "of_result", "of_run", "of_schedule", "told"]

MOST_ROWS = 50
MOST_COLUMNS = 12
LONGEST = 60
"""Characters of a value."""


def of_grid(grid: ResultGrid) -> str:
    """Return the members, the best first, and what came of the run as a whole."""
    # Loaded here, for a schedule needs none of it.
    from ramet.notebook.scenery import drawn, rows, shown_columns
    from ramet.view.heading import Scene
    from ramet.view.standing import disk, exploits, reports, standings
    from ramet.view.trails import Trails

    population = grid.population
    by_rank = sorted(standings(population, None), key=lambda each: (each.rank is None, each.rank or each.member))
    visible = by_rank[:MOST_ROWS]
    scene = Scene(population, None, grid._path, trails=Trails(population))
    columns = shown_columns(scene, visible)
    mutable = population.facts.get("mutable") or ()
    configs = [flatten(grid[each.member].config) for each in visible]
    fixed = [name for name in _names(configs) if name not in mutable]
    room = max(MOST_COLUMNS - len(columns), 0)
    cells = rows(columns, [(name, [_value(config, name) for config in configs]) for name in fixed[:room]])
    if hidden := len(by_rank) - len(visible):
        cells.append(wide(f"… {hidden:,} more", len(columns) + len(fixed[:room])))
    states = Counter(each.state for each in by_rank)
    facts = [
        count(len(by_rank), "member"),
        *(f"{number:,} {state}" for state, number in states.items()),
        count(reports(population), "report"),
        count(exploits(population), "exploit"),
        disk(population),
    ]
    return (
        line([("ResultGrid  ", "bold"), (", ".join(facts), "")])
        + entry("folder", grid.experiment_path)
        + drawn(columns, cells, fixed[:room])
        + _left_out("hyperparameter", len(fixed) - room)
    )


def of_result(result: Result) -> str:
    """Return the score, the configuration, the schedule, and the members whose hands the model went through."""
    from ramet.view.standing import latest

    population, metric = result._grid.population, result._grid._metric
    value = latest(population, result._member) if metric == population.facts.get("metric") else None
    if value is None and metric is not None:
        value = result._member.metrics.get(metric)
    facts = [f"member {result.member}", result.state, f"iteration {result.iteration}"]
    if value is not None:
        facts.append(f"{shown(metric, LONGEST)} {shown(value, LONGEST)}")
    parts = [line([("Result  ", "bold"), (", ".join(facts), "")])]
    if result.state == "failed":
        parts.append(line([(cause(result._member.error or ""), "red")]))
    parts.append(entry("folder", result.path))
    config = list(flatten(result.config).items())
    found = [row([said(clip(name, LONGEST)), said(shown(held, LONGEST))], (True,)) for name, held in config[:MOST_ROWS]]
    if len(config) > MOST_ROWS:
        found.append(wide(f"… {len(config) - MOST_ROWS:,} more", 2))
    if config:
        parts.append(table(("config", "at the end"), found, (True,)))
    schedule = result.schedule
    if len(schedule):
        parts += [_steps(schedule), entry("lineage", _path(schedule))]
    return "".join(parts)


def of_schedule(schedule: Schedule) -> str:
    """Return the steps; of a long schedule the beginning and the end."""
    return line([("Schedule  ", "bold"), (f"{count(len(schedule), 'step')}, to iteration {schedule.last}", "")]) + (
        _steps(schedule)
    )


def of_run(run: Run) -> str:
    """Return how the run stands, and its members, the best first."""
    from ramet.analysis.frames import standings

    trace = run.trace
    standing = standings(trace)
    order = sorted(range(len(standing)), key=lambda number: (standing[number][1] is None, standing[number][1], number))
    facts = [
        run.state + (f": {clip(' '.join(run.ended.split()), 200)}" if run.ended else ""),
        shown((run.facts.get("strategy") or {}).get("name"), LONGEST),
        f"seed {run.seed}",
        count(len(order), "member"),
        count(len(trace.segments), "segment"),
    ]
    names = [str(name) for name in run.facts.get("mutable") or ()]
    visible = order[:MOST_ROWS]
    seen = [flatten(trace.segments.hparams[at]) if (at := trace.places[n].segment) >= 0 else {} for n in visible]
    names = (names or _names(seen))[:MOST_COLUMNS]
    found = []
    for number, config in zip(visible, seen, strict=True):
        (value, rank), place = standing[number], trace.places[number]
        cells = [
            "–" if rank is None else str(rank),
            str(number),
            styled(place.state, "bold red" if place.state == "failed" else ""),
            *([] if run.metric is None else [said("" if value is None else shown(value))]),
            str(int(trace.ends[place.segment])) if place.segment >= 0 else "0",
            *(_value(config, name) for name in names),
        ]
        found.append(row(cells, (False, False, True)))
    metric = [] if run.metric is None else [clip(run.metric, LONGEST)]
    header = ["rank", "member", "state", *metric, "iteration", *(clip(name, LONGEST) for name in names)]
    if len(order) > MOST_ROWS:
        found.append(wide(f"… {len(order) - MOST_ROWS:,} more", len(header)))
    return (
        line([("Run  ", "bold"), (run.name, "bold cyan"), (f"  {', '.join(facts)}", "")])
        + entry("folder", str(run.path))
        + table(header, found, (False, False, True))
    )


def _steps(steps: Sequence[Step]) -> str:
    """Return a table of steps; of many the first and the last."""
    hparams = [flatten(step.hparams) for step in steps]
    every = _names(hparams)
    # What never changed tells nothing of a schedule, unless nothing ever did.
    varied = [name for name in every if len({repr(each.get(name)) for each in hparams}) > 1] or every
    names = varied[:MOST_COLUMNS]
    rows = [
        row([f"{step.first}–{step.last}", str(step.member), *(_value(each, name) for name in names)])
        for step, each in zip(steps, hparams, strict=True)
    ]
    if len(rows) > MOST_ROWS:
        half = MOST_ROWS // 2
        more = wide(f"… {count(len(rows) - MOST_ROWS, 'more step')}", len(names) + 2)
        rows = [*rows[:half], more, *rows[-half:]]
    header = ("iterations", "member", *(clip(name, LONGEST) for name in names))
    return table(header, rows) + _left_out("hyperparameter", len(varied) - len(names))


def _path(lineage: Sequence[Step]) -> str:
    """Return the members that trained a model, each with the iterations that it did."""
    runs = [list(steps) for _, steps in groupby(lineage, key=lambda step: step.member)]
    told = [f"member {steps[0].member} ({steps[0].first}–{steps[-1].last})" for steps in runs]
    if len(told) > MOST_COLUMNS:
        half = MOST_COLUMNS // 2
        told = [*told[:half], f"… {len(told) - 2 * half:,} more …", *told[-half:]]
    return " → ".join(told)


def _names(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(str(name) for config in configs for name in config))


def _value(config: Mapping[str, Any], name: str) -> str:
    return said(shown(config[name])) if name in config else ""


def _left_out(what: str, number: int) -> str:
    return line([(f"… {count(number, f'more {what}')}", "dim")]) if number > 0 else ""
