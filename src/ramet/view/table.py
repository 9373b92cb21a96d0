"""The population as a table that always fits: the lines above it, a row for each member, what happened last."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len, set_cell_size

from ramet.core.population import Segment
from ramet.view.heading import STYLES, WIDEST, WORDS, Scene, heading, title
from ramet.view.sparkline import sparkline
from ramet.view.standing import Standing, donor, is_fresh, mutable, standings
from ramet.view.trails import LONGEST
from ramet.view.values import about, clean, finite, shown, tail
from ramet.view.wording import Line, cause

__all__ = [
    *("FEWEST_ROWS", "MOST_RECENT", "MOST_ROWS", "Column", "Scene"),
    *("causes", "columns_for", "frame", "unseen", "worth_seeing"),
]

MOST_ROWS = 24
"""Of those whom there is no room for all: more is not read."""
FEWEST_ROWS = 12
MOST_RECENT = 12
FEWEST_RECENT = 5
SHORTEST_TREND = 8
SHORTEST_ERROR = 12
LONGEST_ERROR = 40

TREND = "trend"
HIDDEN = "  +99"


@dataclass(slots=True)
class Column:
    """A header and its cells, each with a style; ``weight`` says how much it matters, 0 the most.

    ``least`` is the least width; ``counts`` says that it is told if there is no room for it.
    """

    header: str
    weight: int
    cells: list[tuple[str, str]]
    left: bool = False
    least: int = 0
    counts: bool = False

    @property
    def width(self) -> int:
        """How many cells of the terminal it takes."""
        return max(self.least, *map(cell_len, (self.header, *(text for text, _ in self.cells))))

    @property
    def is_trend(self) -> bool:
        """Whether its cells are for how the scores went; whoever draws fills them in."""
        return self.header == TREND and self.left  # a metric may have that name, too

    def lines(self) -> Line:
        """Return the header and the cells, all as wide as the column."""
        width = self.width
        found = []
        for text, style in ((self.header, "bold"), *self.cells):
            space = " " * (width - cell_len(text))
            found.append((text + space if self.left else space + text, style))
        return found


def frame(scene: Scene, width: int, height: int) -> list[Line]:
    """Return the lines to show on a terminal of ``width`` x ``height`` characters; they always fit.

    Members stand by number; if they are too many, the best, the worst and those that cloned last stand by rank. Where
    the width does not hold all columns, those that matter least are left out.
    """
    everybody = standings(scene.population, scene.running)
    heads, gap, latest, room = _layout(height - 1, len(everybody), len(scene.recent))
    head = [title(scene, width), *heading(scene, everybody, width)]
    # The lowest lines of the head matter least, but for the title: who looks knows what runs.
    head = head[:heads] if heads == len(head) else head[1 : 1 + heads]
    blank: list[Line] = [[]] * gap
    lines = [*blank, *head, *blank, *_rows(scene, everybody, room, width)]
    if latest:
        # Not to the very end, so that a ^C that the terminal echoes behind the last line does not move everything.
        lines += [*blank, *(_fitted(line, width - 2) for line in scene.recent[-latest:])]
    return [_fitted(line, width) for line in lines[: max(height - 1, 1)]]


def _layout(height: int, members: int, recent: int) -> tuple[int, int, int, int]:
    """Return how many lines of the head, blank lines and recent events there is room for, and lines for members."""
    choices = ((4, 1, FEWEST_RECENT, FEWEST_ROWS), (4, 1, 3, FEWEST_ROWS), (4, 0, 3, 9), (4, 0, 1, 5), (2, 0, 0, 2))
    for heads, gap, latest, fewest in choices:
        latest = min(latest, recent)
        room = height - heads - 1 - latest - gap * (2 + bool(latest))
        if room >= min(members, fewest):
            break
    else:
        heads, gap, latest, room = (1 if height > 1 else 0), 0, 0, height - 2
    spare = min(room - members, recent - latest, MOST_RECENT - latest)
    if spare > 0 and latest:
        latest, room = latest + spare, room - spare
    return heads, gap, latest, max(room, 0)


# ---------------------------------------------------------------------------------------------------- who has a row


def _rows(scene: Scene, everybody: Sequence[Standing], room: int, width: int) -> list[Line]:
    """Return the header and as many members as there is ``room`` for, those worth seeing if not all."""
    if len(everybody) <= room:
        return _drawn(scene, everybody, width)
    best, worst, changed = worth_seeing(scene, everybody, min(room, MOST_ROWS))
    told = unseen(everybody, [*best, *worst, *changed])
    lines = _drawn(scene, [*best, *worst, *changed], width)
    if changed:
        lines.insert(1 + len(best) + len(worst), [("cloned last:", "dim")])
    if room > 0:
        lines.insert(1 + len(best), [(told, "dim")])
    return lines


def unseen(everybody: Sequence[Standing], visible: Sequence[Standing]) -> str:
    """Return how many members are not among ``visible``, and their median score."""
    seen = {each.member for each in visible}
    others = [each.value for each in everybody if each.member not in seen and finite(each.value)]
    told = f"… {len(everybody) - len(seen):,} more"
    return f"{told}: median score {shown(statistics.median(others))}" if len(others) > 1 else told


def worth_seeing(
    scene: Scene, everybody: Sequence[Standing], room: int
) -> tuple[list[Standing], list[Standing], list[Standing]]:
    """Return the best, the worst, and of the others those that cloned last; with what parts them they fit ``room``."""
    by_rank = sorted(everybody, key=lambda each: (each.rank is None, each.rank or each.member))
    some = max(room - 1, 0)
    clones = list(scene.trails.clones) if scene.trails is not None else []
    for moved in range((some - 1) // 4 if some > 6 else 0, -1, -1):
        ends = some - moved - 1 if moved else some
        best, worst = by_rank[: ends - ends // 3], by_rank[len(by_rank) - ends // 3 :]
        seen = {each.member for each in (*best, *worst)}
        changed = [everybody[member] for member in reversed(clones) if member not in seen][:moved]
        if len(changed) == moved:
            break
    return best, worst, sorted(changed, key=lambda each: each.rank or len(everybody))


# ---------------------------------------------------------------------------------------------------- what is in it


def _drawn(scene: Scene, visible: Sequence[Standing], width: int) -> list[Line]:
    """Return the header and a row for each of ``visible``."""
    columns, hidden, left = _that_fit(columns_for(scene, visible), width)
    errors = causes(scene, visible) if left >= SHORTEST_ERROR + 2 else []
    if any(errors):
        longest = min(max(map(cell_len, errors)), LONGEST_ERROR, left - 2)
        left -= longest + 2
        cells = [(_cut(error, longest), "red") for error in errors]
        columns.append(Column("error", len(columns), cells, left=True, least=longest))
    for column in columns:
        if column.is_trend:
            # By fours, so that a number that becomes longer does not move everything.
            column.least = min(SHORTEST_TREND + max(left, 0) // 4 * 4, LONGEST)
            column.cells = _trends(scene, visible, column.least)
    lines: list[Line] = []
    for row in zip(*(column.lines() for column in columns), strict=True):
        line: Line = []
        for cell in row:
            line += [cell, ("  ", "")]
        lines.append(line[:-1])
    if hidden:
        lines[0].append((f"  +{hidden}", "dim"))
    return lines


def columns_for(scene: Scene, visible: Sequence[Standing]) -> list[Column]:
    """Return the columns in the order in which they stand."""
    population = scene.population
    segments = [population.current(each.member) if population.segments else None for each in visible]
    bold = ["bold" if each.rank == 1 else "" for each in visible]
    metric = population.facts.get("metric")
    columns = [Column("member", 0, [(str(each.member), style) for each, style in zip(visible, bold, strict=True)])]
    columns.append(Column("state", 3, [_state(scene, *each) for each in zip(visible, segments, strict=True)], True, 8))
    if metric is not None:
        ranks = [
            ("–" if each.rank is None else str(each.rank), style) for each, style in zip(visible, bold, strict=True)
        ]
        scores = [(_score(each), style) for each, style in zip(visible, bold, strict=True)]
        columns.insert(0, Column("rank", 2, ranks))
        columns += [
            Column(tail(clean(str(metric)), WIDEST), 1, scores),
            Column(TREND, 5, [("", "")] * len(visible), left=True, least=SHORTEST_TREND),
        ]
    columns.append(Column("iteration", 6, [(str(each.iteration), "") for each in visible]))
    for at, column in enumerate(_hyperparameters(scene, segments)):
        column.weight = (4, 7)[at] if at < 2 else 7 + at
        columns.append(column)
    if scene.trails is None:
        return columns
    ages = [_age(scene, each) for each in visible]
    if any(text for text, _ in ages):
        columns.append(Column("ago", 8, ages, least=6))
    clones = [scene.trails.clones.get(each.member) for each in visible]
    if any(clones):
        told = [(f"← {clone[0]} at {clone[1]}" if clone else "", "dim") for clone in clones]
        columns.append(Column("last clone", 1000, told, left=True))
    return columns


def _state(scene: Scene, standing: Standing, segment: Segment | None) -> tuple[str, str]:
    """Return what a member does; of one that was just made a clone, of whom."""
    if standing.state in ("training", "waiting", "queued") and segment is not None and is_fresh(segment):
        whose = donor(scene.population, segment)
        if whose is not None:
            return f"← {whose}", "cyan"
    return WORDS.get(standing.state, standing.state), STYLES.get(standing.state, "")


def _score(standing: Standing) -> str:
    return "" if standing.value is None else shown(standing.value, WIDEST)


def _trends(scene: Scene, visible: Sequence[Standing], width: int) -> list[tuple[str, str]]:
    if scene.trails is None:
        return [("", "")] * len(visible)
    return [(sparkline(scene.trails.scores(each.member), width), "cyan") for each in visible]


def _age(scene: Scene, standing: Standing) -> tuple[str, str]:
    """Return how long ago a live member reported."""
    heard = scene.trails.heard.get(standing.member) if scene.trails is not None else None
    if heard is None or standing.state in ("finished", "failed", "stopped"):
        return "", ""
    return about(scene.now - heard), "dim"


def causes(scene: Scene, visible: Sequence[Standing]) -> list[str]:
    """Return of each of ``visible`` why it failed; nothing where it did not."""
    members = scene.population.members
    return [cause(members[each.member].error or "") if each.state == "failed" else "" for each in visible]


def _hyperparameters(scene: Scene, segments: Sequence[Segment | None]) -> list[Column]:
    """Return a column for each hyperparameter that may change, with an arrow where the last exploit changed it."""
    population = scene.population
    values = [mutable(population, segment.hparams) if segment is not None else {} for segment in segments]
    before = [
        mutable(population, population.segments[segment.parent].hparams)
        if segment is not None and segment.parent is not None
        else {}
        for segment in segments
    ]
    columns = []
    for name in population.facts.get("mutable") or ():
        texts = [shown(each[name], WIDEST) if name in each else "" for each in values]
        arrows = [
            _arrow(old[name], new[name]) if name in old and name in new else ""
            for old, new in zip(before, values, strict=True)
        ]
        if any(arrows):
            texts = [f"{text} {arrow or ' '}" for text, arrow in zip(texts, arrows, strict=True)]
        header = tail(clean(str(name)), WIDEST)
        if any(arrows):
            header += "  "
        columns.append(Column(header, 0, [(text, "") for text in texts], counts=True))
    return columns


def _arrow(old: Any, new: Any) -> str:
    """Return which way a value went; nothing where that is not to be seen."""
    if shown(old, WIDEST) == shown(new, WIDEST):
        return ""
    if finite(old) and finite(new):
        return "↑" if new > old else "↓"
    return "≠"


# ---------------------------------------------------------------------------------------------------- what fits


def _that_fit(columns: Sequence[Column], width: int) -> tuple[list[Column], int, int]:
    """Return the columns that matter most, as many as fit, how many hyperparameters there is no room for, and the
    width that is left.
    """
    by_weight = sorted(columns, key=lambda column: column.weight)
    wide = [column.width + 2 for column in by_weight]
    for kept in range(len(columns), 1, -1):
        hidden = any(column.counts for column in by_weight[kept:])
        left = width - sum(wide[:kept]) + 2 - len(HIDDEN) * hidden
        if left >= 0:
            break
    else:
        kept, left = 1, 0
    held = {id(column) for column in by_weight[:kept]}
    return [column for column in columns if id(column) in held], sum(column.counts for column in by_weight[kept:]), left


def _cut(text: str, width: int) -> str:
    """Return ``text`` in at most ``width`` cells of the terminal."""
    return text if cell_len(text) <= width else f"{set_cell_size(text, max(width - 1, 0))}…" if width > 0 else ""


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
