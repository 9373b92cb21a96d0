"""What the pictures take from a run: who was whose clone, which weights lived on, what was reported; and common ink."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ramet.core.population import Segment
from ramet.errors import ConfigError, RametError
from ramet.results import Result, ResultGrid
from ramet.schedule import Step
from ramet.space import flatten
from ramet.view.standing import donor
from ramet.view.values import clean, clip

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#882255", "#8C6D31", "#7F7F7F")
"""The members of a small population. Source: Okabe and Ito (2008), "Color Universal Design". Differs in that black is
kept for the lineage and vermilion for what calls for attention, and yellow is too pale for lines on white: wine, ochre
and grey stand for them.
"""

ATTENTION = "#D55E00"
GREY = "#7a7a7a"
DASHED = (0, (4, 3))
LONGEST = 100
"""Characters of a name that are drawn."""

FAR_OFF = 5
"""A report is far off if it lies more than so many times the usual range away from it: the range of a typical lineage
and of all reports but the highest and the lowest tenth, these being no more than 100 times as wide.
"""


class Story:
    """A run as the pictures see it.

    Args:
        results: of the run; with a `Result` the lineage is that one's, else the best one's, if any has a score.
        colors: one for each member, or None.
        labels: one for each member, or None.

    Attributes:
        survived: by segment, up to which iteration its weights are in a final model; given-up segments are not in it.
        path: the steps of the lineage.
        few: whether members have a colour each.

    Raises:
        ConfigError: there are not as many colours or labels as members.
    """

    def __init__(
        self, results: ResultGrid | Result, colors: Sequence[Any] | None = None, labels: Sequence[str] | None = None
    ) -> None:
        self.grid = results if isinstance(results, ResultGrid) else ResultGrid(results.path)
        population = self.grid.population
        self.segments, self.members, self.facts = population.segments, population.members, population.facts
        self.metric: str | None = self.facts.get("metric")
        self.better = {"max": "higher is better", "min": "lower is better"}.get(self.facts.get("mode") or "", "")
        self.hparams = [flatten(segment.hparams) for segment in self.segments]
        self._own: list[list[Segment]] = [[] for _ in self.members]
        for segment in self.segments:
            self._own[max(segment.member, 0)].append(segment)  # with the first, what a branch began from
        for name, given in (("colors", colors), ("labels", labels)):
            if given is not None and len(given) != len(self.members):
                raise ConfigError(f"{name}= holds {len(given)} for {len(self.members)} members: give one for each")
        self.few = colors is not None or len(self.members) <= len(COLORS)
        palette = colors or (COLORS if self.few else [GREY] * len(self.members))
        self.colors: list[Any] = list(palette)[: len(self.members)]
        self.labels = list(labels) if labels is not None else [f"member {member.number}" for member in self.members]
        self.faint = 0.4 if self.few else 0.25
        self.lineages = [result.lineage for result in self.grid]
        self.survived: dict[int, int] = {}
        for step in (step for lineage in self.lineages for step in lineage):
            self.survived[step.segment] = max(self.survived.get(step.segment, 0), step.last)
        chosen = self._best() if isinstance(results, ResultGrid) else results.member
        self.path: list[Step] = [] if chosen is None else self.lineages[chosen]
        self.whose = "the best model" if isinstance(results, ResultGrid) else f"the model of member {results.member}"

    def _best(self) -> int | None:
        try:
            return self.grid.get_best_result().member
        except ConfigError:  # it was not judged by anything, or nobody has a score
            return None

    def cut(self, segment: Segment) -> int:
        """Return the iteration up to which the weights of ``segment`` lived on, its start if none did."""
        return self.survived.get(segment.number, segment.start)

    def of(self, member: int) -> list[Segment]:
        """Return the segments that ``member`` trained, in order."""
        return self._own[member]

    def clones(self) -> Iterator[tuple[Segment, Segment, int]]:
        """Return each segment that was given up to become a clone, the clone's, and the number of the donor's."""
        before: dict[int, Segment] = {}
        for segment in self.segments:
            if segment.parent is not None and donor(self.grid.population, segment) is not None:
                yield before[segment.member], segment, segment.parent
            before[segment.member] = segment

    # ------------------------------------------------------------------ ink

    def draw_lines(self, ax: Axes, member: int, strong: Sequence[Any], faint: Sequence[Any]) -> None:
        """Draw the lines of ``member`` as two collections: of weights that lived on, and of those given up."""
        from matplotlib.collections import LineCollection

        look: dict[str, Any] = {"colors": [self.colors[member]], "linewidths": 1.3 if self.few else 0.6}
        ax.add_collection(LineCollection(list(strong), **look, zorder=2, label=f"_member {member}"))
        look.update(alpha=self.faint, zorder=1.5, label=f"_member {member}, given up")
        ax.add_collection(LineCollection(list(faint), **look))

    def draw_lineage(self, ax: Axes, points: Any) -> None:
        """Draw the lineage through ``points``, rows of x and y."""
        x, y = np.reshape(points, (-1, 2)).T
        if self.few:
            ax.plot(x, y, color="black", linewidth=7, alpha=0.13, zorder=1, solid_capstyle="round", label="_lineage")
        else:
            ax.plot(x, y, color="black", linewidth=1.5, zorder=5, label="_lineage")

    def legend(self, ax: Axes, more: Mapping[str, Mapping[str, Any]]) -> None:
        """Put the legend above the axes, where it covers no data, with lines that look as ``more`` says."""
        from matplotlib.lines import Line2D

        if self.few:
            lines = [Line2D([], [], color=c, label=label) for c, label in zip(self.colors, self.labels, strict=True)]
        else:
            lines = [Line2D([], [], color=GREY, linewidth=1, label=f"{len(self.members)} members")]
        if self.path:
            look: dict[str, Any] = {"linewidth": 7, "alpha": 0.13} if self.few else {"linewidth": 1.5}
            lines.append(Line2D([], [], color="black", label=f"lineage of {self.whose}", **look))
        if len(self.survived) < len(self.segments):
            lines.append(Line2D([], [], color=GREY, alpha=self.faint, label="given up"))
        lines += [Line2D([], [], label=label, **{"color": GREY, **look}) for label, look in more.items()]
        legend_above(ax, lines)


class Reports:
    """What was reported in some columns: by segment an array of (iteration, values …), NaN where there is no number.

    Attributes:
        extents: for each column but the first, from where to where it is worth showing, and how many reports lie
            outside: those that are far off (`FAR_OFF`). The score of one model that fell apart would make a flat line
            of all others. They are moved to just outside: a renderer may take for ever over a dashed line to 1e20.

    Raises:
        ConfigError: nobody reported such a column, though somebody reported something.
    """

    def __init__(self, story: Story, *names: str) -> None:
        self._story, self._names = story, names
        found: dict[int, list[tuple[float, ...]]] = {segment.number: [] for segment in story.segments}
        seen: dict[str, None] = {}
        for row in story.grid.rows([(segment, segment.last) for segment in story.segments]):
            found[row["segment"]].append((row["training_iteration"], *(plain_number(row.get(name)) for name in names)))
            seen.update(dict.fromkeys(row))
        for name in names:
            if seen and name not in seen:
                raise ConfigError(f"nobody reported {name!r}; reported were {', '.join(seen)}")
        self._rows = {number: np.reshape(np.array(rows, float), (-1, 1 + len(names))) for number, rows in found.items()}
        self.extents = [self._extent(column) for column in range(1, 1 + len(names))]
        for column, (low, high, _) in enumerate(self.extents, start=1):
            for rows in self._rows.values():
                rows[:, column] = np.clip(rows[:, column], 2 * low - high, 2 * high - low)

    def of(self, segment: int) -> np.ndarray:
        """Return the rows of ``segment``."""
        return self._rows[segment]

    def at(self, segment: int, iteration: int) -> np.ndarray:
        """Return the row of ``iteration``, NaN where there is none."""
        rows = self._rows[segment]
        here = rows[rows[:, 0] == iteration]
        return here[0] if len(here) else np.full(rows.shape[1], np.nan)

    def line(self, segment: Segment, first: int, last: int) -> np.ndarray:
        """Return the rows of ``segment`` from ``first`` to ``last``; at its start that is the donor's."""
        rows = self._rows[segment.number]
        if segment.parent is not None:
            rows = np.vstack([self.at(segment.parent, segment.start), rows])
        return rows[(rows[:, 0] >= first) & (rows[:, 0] <= last)]

    def along(self, lineage: Sequence[Step]) -> np.ndarray:
        """Return the rows along the steps of a lineage."""
        parts = [np.empty((0, 1 + len(self._names)))]
        for step in lineage:
            rows = self._rows[step.segment]
            parts.append(rows[(rows[:, 0] >= step.first) & (rows[:, 0] <= step.last)])
        return np.vstack(parts)

    def frame(self, axis: Any, column: int, told: str = "") -> None:
        """Label ``axis`` with the column's name and what is told of it; leave out what is far off, and say so."""
        low, high, outside = self.extents[column - 1]
        notes = [told] if told else []
        if outside:
            margin = 0.05 * (high - low)
            axis.set_view_interval(low - margin, high + margin, ignore=True)
            notes.append(f"{outside} {'report' if outside == 1 else 'reports'} beyond the frame")
        axis.set_label_text(caption(self._names[column - 1]) + (f" ({'; '.join(notes)})" if notes else ""))

    def _extent(self, column: int) -> tuple[float, float, int]:
        every = np.concatenate([np.empty(0), *(rows[:, column] for rows in self._rows.values())])
        every = every[np.isfinite(every)]
        ranges = []
        for lineage in self._story.lineages:
            values = self.along(lineage)[:, column]
            if np.isfinite(values).any():
                ranges.append((np.nanmin(values), np.nanmax(values)))
        if not ranges:
            return 0.0, 1.0, 0
        low, high = np.median(ranges, axis=0)
        lowest, highest = np.percentile(every, [10, 90])
        wide = 100 * (high - low)
        low, high = min(low, max(lowest, low - wide)), max(high, min(highest, high + wide))
        near = np.abs(every - (low + high) / 2) <= (FAR_OFF + 0.5) * (high - low)
        if high <= low or not near.any():
            near[:] = True
        return float(every[near].min()), float(every[near].max()), int((~near).sum())


def caption(name: str) -> str:
    """Return the name of a metric or a hyperparameter as a picture shows it: a dollar begins no formula."""
    return clip(clean(name), LONGEST).replace("$", r"\$")


def legend_above(ax: Axes, handles: Sequence[Any]) -> None:
    """Put a legend of ``handles`` above the axes, to be read row by row."""
    columns = 3 if len(handles) in (3, 5, 6) else min(len(handles), 4)
    order = [at for column in range(columns) for at in range(column, len(handles), columns)]  # it is filled by columns
    ax.legend(
        handles=[handles[at] for at in order], ncols=max(columns, 1), loc="lower left", bbox_to_anchor=(0, 1.01),
        borderaxespad=0, frameon=False, fontsize="small", handlelength=1.6, columnspacing=1.4,
    )  # fmt: skip


def pyplot() -> Any:
    """Return ``matplotlib.pyplot``.

    Raises:
        RametError: it is not installed.
    """
    try:
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise RametError(f"pictures need matplotlib ({error}): pip install matplotlib") from error
    return plt


def new_axes(count: int, width: float, height: float) -> list[Axes]:
    """Return the axes, one above the other, of a new figure of that size in inches."""
    size = (width, height)
    _, grid = pyplot().subplots(count, sharex=True, squeeze=False, figsize=size, layout="constrained")
    for ax in grid[:, 0]:
        ax.spines[["top", "right"]].set_visible(False)
    return list(grid[:, 0])


def plain_number(value: Any) -> float:
    """Return a number that can be drawn, NaN for what is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not -math.inf < value < math.inf:
        return math.nan
    return float(max(min(value, 1e100), -1e100))  # far off is far off, and the difference of two is a number
