"""A comparison as tables on the terminal, and how far it is while it runs."""

from __future__ import annotations

import contextlib
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ramet.bench.plan import Job
from ramet.bench.results import Results
from ramet.bench.summary import mean_ranks, standings
from ramet.view.values import clean

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table


def show(results: Results, console: Console | None = None) -> None:
    """Print a table for each problem, the mean ranks over all, and what failed."""
    from rich.console import Console
    from rich.text import Text

    console = console or Console(highlight=False)
    for problem in results.problems:
        for line in _about(results, problem):
            console.print(Text(clean(line)), style="bold")
        console.print(_table(results, problem))
    if len(results.problems) > 1:
        count = len(results.problems)
        told = ", ".join(
            f"{clean(strategy)} {rank:.2f}" + (f" (on {on})" if on < count else "")
            for strategy, (rank, on) in mean_ranks(results).items()
        )
        console.print(f"Mean rank over {count} problems: {told}", markup=False)
    for run in results.failed:
        told = f"failed: {run['strategy']} on {run['problem']}, seed {run['seed']}: {run['error']}"
        console.print(clean(told), style="red", markup=False)


def _about(results: Results, problem: str) -> list[str]:
    about = results.problems[problem]
    best = "highest" if about["mode"] == "max" else "lowest"
    size = f"{about['members']} members x {about['steps']} reports"
    return [f"{problem}: {about['text']}", f"{size}, {best} is best, optimum {about['optimum']:.6g}"]


def _table(results: Results, problem: str) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    noisy = results.problems[problem]["noisy"]
    table = Table(box=SIMPLE_HEAD)
    table.add_column("strategy")
    heads = ["true score" if noisy else "score", "95 % interval", *(["looked like"] if noisy else []), "runs", "rank"]
    for head in heads:
        table.add_column(head, justify="right")
    rows = standings(results, problem)
    digits = _digits([row.half for row in rows if row.half > 1e-9 * abs(row.mean)])
    for row in rows:
        cells = [f"{row.mean:.{digits}f}", "" if math.isnan(row.half) else f"± {row.half:.{digits}f}"]
        cells += [f"{row.seen:.{digits}f}"] if noisy else []
        cells += [str(row.runs), f"{row.rank:g}"]
        best = row.rank == min(other.rank for other in rows)
        table.add_row(Text(clean(row.strategy)), *cells, style="bold" if best else "")
    return table


def _digits(halves: Sequence[float]) -> int:
    """Return how many decimals tell intervals with two digits.

    >>> _digits([0.0123, 4.5])
    3
    """
    return min(max(1 - math.floor(math.log10(min(halves))), 0), 6) if halves else 4


@contextlib.contextmanager
def progress(jobs: Sequence[Job], workers: int) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Show how far the runs are, on the standard error; yield what is called with each outcome.

    On a terminal that is a bar, elsewhere a line for each strategy on each problem that is through.
    """
    from rich.console import Console

    console = Console(file=sys.stderr, highlight=False)
    left: dict[tuple[str, str], int] = {}
    for job in jobs:
        left[job.problem, job.strategy] = left.get((job.problem, job.strategy), 0) + 1
    console.print(f"{len(jobs)} runs, {min(workers, len(jobs))} at a time")
    if console.is_terminal:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task("", total=len(jobs))
            yield lambda outcome: bar.update(
                task, advance=1, description=f"{outcome['problem']}, {outcome['strategy']}"
            )
        return

    def line(outcome: dict[str, Any]) -> None:
        key = outcome["problem"], outcome["strategy"]
        left[key] -= 1
        if not left[key]:
            console.print(f"{key[0]}, {key[1]}: done", markup=False)

    yield line
