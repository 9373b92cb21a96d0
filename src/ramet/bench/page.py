"""A comparison as a table of Markdown, for documentation."""

from __future__ import annotations

import math
from collections.abc import Mapping

from ramet.bench.results import Results
from ramet.bench.summary import Standing, mean_ranks, standings


def markdown(results: Results) -> str:
    """Return one table: a row for each strategy, a column for each problem, and the mean rank.

    A cell holds the mean and half of its 95 % interval; the best mean of a problem is bold, and so is all that cannot
    be told from it, since the intervals overlap. A dash stands where a strategy does not fit the problem.
    """
    columns = {problem: {row.strategy: row for row in standings(results, problem)} for problem in results.problems}
    ranks = mean_ranks(results)
    lines = [f"| strategy | {' | '.join(columns)} | mean rank |", "|---" * (len(columns) + 2) + "|"]
    for strategy in (name for name in results.strategies if name in ranks):
        cells = [_cell(columns[problem], strategy) for problem in columns]
        rank, on = ranks[strategy]
        told = f"{rank:.1f}" + (f" (of {on})" if on < len(columns) else "")
        lines.append(f"| {strategy} | {' | '.join(cells)} | {told} |")
    return "\n".join(lines) + "\n"


def together(what: str, parts: Mapping[str, Results]) -> str:
    """Return one table of several comparisons of the same problems, which differ in ``what``.

    Args:
        what: the head of the first column.
        parts: by what stands there, the results.
    """
    problems = list(next(iter(parts.values())).problems)
    lines = [f"| {what} | strategy | {' | '.join(problems)} |", "|---" * (len(problems) + 2) + "|"]
    for label, results in parts.items():
        columns = {problem: {row.strategy: row for row in standings(results, problem)} for problem in problems}
        for strategy in results.strategies:
            cells = [_cell(columns[problem], strategy) for problem in problems]
            lines.append(f"| {label} | {strategy} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(rows: Mapping[str, Standing], strategy: str) -> str:
    if strategy not in rows:
        return "–"
    row, best = rows[strategy], min(rows.values(), key=lambda row: row.rank)
    halves = [each.half for each in rows.values() if each.half > 1e-9 * abs(each.mean)]
    digits = min(max(1 - math.floor(math.log10(sorted(halves)[len(halves) // 2])), 0), 5) if halves else 4
    told = f"{row.mean:.{digits}f} ± {row.half:.{digits}f}"
    if len(rows) == 1:
        return told
    if row is best:
        return f"**{told}**"
    gap, halves_of_both = abs(row.mean - best.mean), row.half + best.half
    return f"**{told}**" if gap <= halves_of_both else told
