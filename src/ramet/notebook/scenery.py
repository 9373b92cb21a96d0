"""A run under way as HTML: what the terminal's table shows, with what was done as a bar and scores as curves."""

from __future__ import annotations

from collections.abc import Sequence

from ramet.notebook.markup import bar, curve, line, row, styled, table, wide
from ramet.view.heading import Scene, heading, pace, title
from ramet.view.standing import Standing, standings
from ramet.view.table import Column, causes, columns_for, unseen, worth_seeing
from ramet.view.trails import LONGEST
from ramet.view.values import clip

MOST_MEMBERS = 40
"""More are not all shown: the best, the worst, and those that cloned last."""
UNBOUNDED = 10_000
"""Characters of a line: the page breaks what does not fit."""
LONGEST_CAUSE = 120
LONGEST_NAME = 60


def scenery(scene: Scene) -> str:
    """Return the head, the members, and what happened last."""
    everybody = standings(scene.population, scene.running)
    share, ((percent, style), *words) = pace(scene, UNBOUNDED)
    _, states, best = heading(scene, everybody, UNBOUNDED)
    return "".join(
        [
            line(title(scene, UNBOUNDED)),
            bar(share),
            *map(line, ([(percent.lstrip(), style), *words], states, best)),
            members(scene, everybody),
            *map(line, scene.recent),
        ]
    )


def members(scene: Scene, everybody: Sequence[Standing]) -> str:
    """Return the table of members by number; of too many, of those worth seeing."""
    if len(everybody) <= MOST_MEMBERS:
        columns = shown_columns(scene, everybody)
        return drawn(columns, rows(columns))
    best, worst, changed = worth_seeing(scene, everybody, MOST_MEMBERS)
    visible = [*best, *worst, *changed]
    columns = shown_columns(scene, visible)
    found = rows(columns)
    if changed:
        found.insert(len(best) + len(worst), wide("cloned last:", len(columns)))
    found.insert(len(best), wide(unseen(everybody, visible), len(columns)))
    return drawn(columns, found)


Shown = tuple[Column, list[str]]
"""A column, and its cells as HTML."""


def shown_columns(scene: Scene, visible: Sequence[Standing]) -> list[Shown]:
    """Return all columns of the terminal's table, the trends drawn, and why members failed."""
    columns = columns_for(scene, visible)
    reasons = causes(scene, visible)
    if any(reasons):
        columns.append(Column("error", 0, [(reason[:LONGEST_CAUSE], "red") for reason in reasons], left=True))
    return [
        (column, trends(scene, visible) if column.is_trend else [styled(text, style) for text, style in column.cells])
        for column in columns
    ]


def trends(scene: Scene, visible: Sequence[Standing]) -> list[str]:
    """Return the members' curves."""
    if scene.trails is None:
        return [""] * len(visible)
    return [curve(scene.trails.scores(each.member), LONGEST) for each in visible]


More = Sequence[tuple[str, Sequence[str]]]
"""Further columns: the name of each, and its cells as HTML."""


def rows(columns: Sequence[Shown], more: More = ()) -> list[str]:
    """Return the rows that the columns make."""
    left = [column.left for column, _ in columns]
    cells = [*(cells for _, cells in columns), *(cells for _, cells in more)]
    return [row(each, left) for each in zip(*cells, strict=True)]


def drawn(columns: Sequence[Shown], found: Sequence[str], more: Sequence[str] = ()) -> str:
    """Return the table of these rows; ``more`` names the further columns."""
    header, left = [column.header.strip() for column, _ in columns], [column.left for column, _ in columns]
    return table([*header, *(clip(name, LONGEST_NAME) for name in more)], found, left)
