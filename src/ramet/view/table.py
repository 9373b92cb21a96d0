"""The population as a table that always fits: title, progress, a row for each member, what happened last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.cells import cell_len, set_cell_size

from ramet.core.population import Population
from ramet.view.standing import Origin, Standing, disk, exploits, mutable, progress, reports, standings
from ramet.view.values import clean, clip, count, duration, shown, tail
from ramet.view.wording import Line, cause

MOST_ROWS = 20
FEWEST_ROWS = 10
MOST_RECENT = 5
WIDEST = 18
LONGEST_ERROR = 32
BAR = 40

_STYLES = {"waiting": "dim", "queued": "dim", "stopped": "yellow", "finished": "green", "failed": "bold red"}


@dataclass(frozen=True, slots=True)
class Scene:
    """What is drawn: the population, the works under way, and what the population does not know of itself.

    Args:
        folder: the run's folder.
        elapsed, rate: seconds since the start, and reports in a second lately.
        origins: see `ramet.view.standing.origins`.
        recent: what happened last, newest last.
    """

    population: Population
    running: Mapping[int, Any]
    folder: Path
    elapsed: float = 0.0
    rate: float = 0.0
    origins: Mapping[int, Origin] = field(default_factory=dict)
    recent: Sequence[Line] = ()


@dataclass(slots=True)
class _Column:
    """A header and its cells, each with a style; ``width`` follows from them."""

    header: str
    cells: list[tuple[str, str]]
    left: bool = False
    width: int = field(init=False)

    def __post_init__(self) -> None:
        self.width = max(map(cell_len, (self.header, *(text for text, _ in self.cells))))

    def at(self, row: int) -> tuple[str, str]:
        """Return the cell in ``row`` (-1: the header), as wide as the column."""
        text, style = (self.header, "bold") if row < 0 else self.cells[row]
        space = " " * (self.width - cell_len(text))
        return (text + space if self.left else space + text, style)


def frame(scene: Scene, width: int, height: int) -> list[Line]:
    """Return the lines to show on a terminal of ``width`` x ``height`` characters; they always fit.

    Members stand by number; if they are too many, the best and the worst stand by rank. Where the width does not hold
    all columns, the last ones are left out.
    """
    everybody = standings(scene.population, scene.running)
    gap, latest, room = _layout(height - 1, len(everybody), len(scene.recent))
    lines: list[Line] = [[]] * gap
    lines += [_title(scene, width), _figures(scene), _bar(scene, width)]
    lines += [[]] * gap
    lines += _rows(scene, everybody, min(room, MOST_ROWS + 1), width)
    if latest:
        lines += [[]] * gap
        # Not to the very end, so that a ^C that the terminal echoes behind the last line does not move everything.
        lines += [_fitted(line, width - 2) for line in scene.recent[-latest:]]
    return [_fitted(line, width) for line in lines[: max(height - 1, 1)]]


def _layout(height: int, members: int, recent: int) -> tuple[int, int, int]:
    """Return how many blank lines and recent events there is room for, and how many lines are left for members."""
    wanted = min(members, FEWEST_ROWS)
    for gap, latest in ((1, MOST_RECENT), (1, 3), (0, 3), (0, 1), (0, 0)):
        latest = min(latest, recent)
        room = height - 4 - latest - gap * (2 + bool(latest))
        if room >= wanted:
            break
    return gap, latest, max(room, 0)


def _title(scene: Scene, width: int) -> Line:
    facts = scene.population.facts
    strategy = shown((facts.get("strategy") or {}).get("name"), 40)
    end: Line = [(f"   {strategy}", ""), (f"   seed {scene.population.seed}", "dim")]
    left = width - sum(cell_len(text) for text, _ in end)
    name, parent = clean(scene.folder.name), clean(f"{scene.folder.parent}/")
    name = clip(name, max(left, 12))
    return [(tail(parent, max(left - cell_len(name), 2)), "dim"), (name, "bold cyan"), *end]


def _figures(scene: Scene) -> Line:
    population = scene.population
    made, cloned = reports(population), exploits(population)
    return [
        (f"{duration(scene.elapsed)}   {count(made, 'report')}", ""),
        (f" ({shown(round(scene.rate, 1) if scene.rate < 10 else round(scene.rate))}/s)", "dim"),
        (f"   {count(cloned, 'exploit')}", ""),
        (f"   {disk(population)}", "dim"),
    ]


def _bar(scene: Scene, width: int) -> Line:
    share, words = progress(scene.population)
    share = min(max(share, 0.0), 1.0)
    size = max(min(BAR, width - len(words) - 10), 4)
    full = int(share * size)
    bar: Line = [("━" * full, "cyan"), ("━" * (size - full), "dim")]
    return [*bar, (f" {int(share * 100):3d} %", "bold"), (f"   {words}", "")]


def _rows(scene: Scene, everybody: Sequence[Standing], room: int, width: int) -> list[Line]:
    """Return the header and as many members as there is ``room`` for, the best and the worst if not all."""
    best, worst, hidden = list(everybody), list[Standing](), 0
    if len(everybody) > min(room, MOST_ROWS):
        by_rank = sorted(everybody, key=lambda standing: (standing.rank is None, standing.rank or standing.member))
        some = room - 1
        best, worst = by_rank[: (some + 1) // 2], by_rank[len(by_rank) - some // 2 :] if some > 1 else []
        hidden = len(everybody) - len(best) - len(worst)
    columns, dropped = _that_fit(_columns(scene, [*best, *worst]), width)
    lines = [_joined(columns, row) for row in range(-1, len(best) + len(worst))]
    if dropped:
        lines[0].append((f"  +{dropped}", "dim"))
    if hidden and room > 0:
        lines.insert(1 + len(best), [(f"… {hidden:,} more", "dim")])
    return lines


def _columns(scene: Scene, visible: Sequence[Standing]) -> list[_Column]:
    """Return the columns by importance: those at the end are left out first."""
    population = scene.population
    segments = [population.current(each.member) if population.segments else None for each in visible]
    origins = [scene.origins.get(each.member) for each in visible]
    metric = population.facts.get("metric")
    columns = [
        _Column("member", [(str(each.member), "bold" if each.rank == 1 else "") for each in visible]),
        _Column("state", [(each.state, _STYLES.get(each.state, "")) for each in visible], left=True),
        _Column("iteration", [(str(each.iteration), "") for each in visible]),
    ]
    if metric is not None:
        scores = [(_value(each), "bold" if each.rank == 1 else "") for each in visible]
        columns += [
            _Column(tail(clean(str(metric)), WIDEST), scores),
            _Column("rank", [("–" if each.rank is None else str(each.rank), "") for each in visible]),
        ]
    if any(origins):
        columns += [
            _Column("parent", [(f"← {origin[0]}" if origin else "", "cyan") for origin in origins]),
            _Column("cloned at", [(str(origin[1]) if origin else "", "dim") for origin in origins]),
        ]
    errors = [population.members[each.member].error if each.state == "failed" else None for each in visible]
    if any(errors):
        causes = [(clip(cause(error), LONGEST_ERROR) if error else "", "red") for error in errors]
        columns.append(_Column("error", causes, left=True))
    values = [mutable(population, segment.hparams) if segment is not None else {} for segment in segments]
    for name in population.facts.get("mutable") or ():
        cells = [(shown(each[name], WIDEST) if name in each else "", "") for each in values]
        columns.append(_Column(tail(clean(str(name)), WIDEST), cells))
    return columns


def _value(standing: Standing) -> str:
    return "" if standing.value is None else shown(standing.value, WIDEST)


def _that_fit(columns: Sequence[_Column], width: int) -> tuple[list[_Column], int]:
    """Return the first columns, as many as fit, and how many are left out."""
    for end in range(len(columns), 1, -1):
        dropped = len(columns) - end
        wide = sum(column.width + 2 for column in columns[:end]) - 2 + (len(f"  +{dropped}") if dropped else 0)
        if wide <= width:
            return list(columns[:end]), dropped
    return list(columns[:1]), len(columns) - 1


def _joined(columns: Sequence[_Column], row: int) -> Line:
    line: Line = []
    for column in columns:
        line += [column.at(row), ("  ", "")]
    return line[:-1]


def _fitted(line: Line, width: int) -> Line:
    """Return ``line`` cut to ``width``, with an ellipsis where it was cut."""
    if sum(cell_len(text) for text, _ in line) <= width:
        return line
    cut: Line = []
    left = width - 1
    for text, style in line:
        if cell_len(text) > left:
            cut += [(set_cell_size(text, max(left, 0)), style), ("…" if width > 0 else "", "dim")]
            break
        cut.append((text, style))
        left -= cell_len(text)
    return cut
