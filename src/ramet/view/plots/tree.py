"""Who descends from whom: `lineage_tree`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ramet.errors import ConfigError
from ramet.results import Result, ResultGrid
from ramet.view.plots.story import ATTENTION, GREY, Reports, Story, caption, legend_above, new_axes, pyplot
from ramet.view.plots.values import Scale

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PIECES = 5000
"""About how many pieces of colour a tree has at most; the bars of longer runs are coarser."""

LANES = 2
"""In how many lanes a member's row may be divided before its bars are laid along the member's own work instead."""

INK = "#333333"


def lineage_tree(
    results: ResultGrid | Result, color_by: str | None = None, ax: Axes | None = None, x: str | None = None
) -> Axes:
    """Draw who descends from whom: a row for each member, a bar for each stretch of training, a curve to each clone.

    A bar is thick as far as its weights are in a final model, thin where they were given up. A clone goes on from its
    donor's iteration; where a member passed iterations twice, its row has two lanes. A cross is a failure for good.

    Args:
        results: of a run; a `Result` to see how that one was made rather than the best.
        color_by: a hyperparameter or a reported metric; by default the metric that the run was judged by.
        ax: where to draw; a new figure by default, which grows with the population.
        x: ``"iteration"``, the model's own, as it goes from clone to clone; or ``"compute"``, the iterations that the
            member itself has trained, where bars follow each other without gap or overlap. By default the first, but
            the second where a member passed an iteration more than twice, as happens without ``synch=True``.

    Returns:
        The axes that were drawn into; the colours' scale is beside them.

    Raises:
        ConfigError: there is no such metric or hyperparameter, or ``x`` is something else.
        RametError: matplotlib is not installed.
    """
    if x not in (None, "iteration", "compute"):
        raise ConfigError(f"lineage_tree(x={x!r}) must be 'iteration' or 'compute'")
    story = Story(results)
    colouring = _Colouring(story, color_by or story.metric)
    rows = _Rows(story, by_compute=x == "compute")
    if x is None and rows.lanes > LANES:
        rows = _Rows(story, by_compute=True)
    pyplot()
    count = len(story.members)
    ax = ax if ax is not None else new_axes(1, 8.5, min(max(1.8 + 0.35 * count, 2.8), 13))[0]
    colouring.draw(ax, story, rows)
    _draw_descent(ax, story, rows)
    ax.set_yticks(range(0, count, next(step for step in (1, 2, 5, 10, 20, 50, 100, 500, count) if count <= 24 * step)))
    ax.set_ylim(count - 0.4, -0.6)
    ax.margins(x=0.02)
    ax.set_xlabel("iterations trained by the member" if rows.by_compute else "training iteration of the model")
    ax.set_ylabel("member")
    return ax


class _Rows:
    """Where each segment's bar lies: a lane in its member's row, and an offset along the horizontal axis."""

    def __init__(self, story: Story, by_compute: bool) -> None:
        self.by_compute = by_compute
        self.lanes = 1
        self.y: dict[int, float] = {}
        self.height: dict[int, float] = {}
        self._offset: dict[int, int] = {}
        for member in range(len(story.members)):
            ends: list[int] = []
            lanes: dict[int, int] = {}
            done = 0
            for segment in story.of(member):
                self._offset[segment.number] = done - segment.start if by_compute else 0
                done += segment.last - segment.start
                free = [lane for lane, end in enumerate(ends) if end <= self.x(segment.number, segment.start)]
                lane = lanes[segment.number] = free[0] if free else len(ends)
                ends[lane : lane + 1] = [self.x(segment.number, segment.last)]
            for number, lane in lanes.items():
                self.height[number] = 0.8 / len(ends)
                self.y[number] = member - 0.4 + (lane + 0.5) * self.height[number]
            self.lanes = max(self.lanes, len(ends))

    def x(self, segment: int, iteration: int) -> int:
        """Return where an iteration of a segment lies."""
        return iteration + self._offset[segment]


class _Colouring:
    """The colours of the bars: a metric's, report by report, or a hyperparameter's, bar by bar; grey for no value."""

    def __init__(self, story: Story, name: str | None) -> None:
        self._label, self._limits = caption(name or ""), None
        self._scale = Scale(story, name) if name and any(name in hparams for hparams in story.hparams) else None
        self._pieces: list[tuple[int, int, int, float]] = []
        if name is None or self._scale is not None:
            values = np.full(len(story.segments), np.nan) if self._scale is None else self._scale.at
            self._pieces = [(s.number, s.start, s.last, values[s.number]) for s in story.segments]
            return
        reports = Reports(story, name)
        self._limits = reports.extents[0][:2]
        if name == story.metric:
            self._label += f" ({story.better})"
        stride = max(1, sum(segment.last - segment.start for segment in story.segments) // PIECES)
        for segment in story.segments:
            first = segment.start
            for at, (iteration, value) in enumerate(reports.of(segment.number), start=1):
                if at % stride == 0 or iteration == segment.last:
                    self._pieces.append((segment.number, first, int(iteration), value))
                    first = int(iteration)

    def draw(self, ax: Axes, story: Story, rows: _Rows) -> None:
        """Draw the bars, thick where weights lived on and thin where not, and say what the colours mean."""
        from matplotlib import colormaps
        from matplotlib.collections import PolyCollection
        from matplotlib.colors import BoundaryNorm, LogNorm, Normalize

        boxes, values = [], []
        for number, first, last, value in self._pieces:
            cut = story.cut(story.segments[number])
            for start, end, share in ((first, min(last, cut), 0.95), (max(first, cut), last, 0.3)):
                if end > start:
                    left, right, half = rows.x(number, start), rows.x(number, end), rows.height[number] * share / 2
                    low, high = rows.y[number] - half, rows.y[number] + half
                    boxes.append([(left, low), (right, low), (right, high), (left, high)])
                    values.append(value)
        words = self._scale.words if self._scale is not None else None
        norm: Any = LogNorm() if self._scale is not None and self._scale.log else Normalize(*(self._limits or ()))
        if words is not None:
            norm = BoundaryNorm(np.arange(len(words) + 1) - 0.5, 256)
        cmap, shown = colormaps["viridis"].with_extremes(bad="#d0d0d0"), np.ma.masked_invalid(values)
        bars = PolyCollection(boxes, array=shown, cmap=cmap, norm=norm, antialiased=False, zorder=1, label="_bars")
        ax.add_collection(bars)
        ax.autoscale_view()
        if np.isfinite(values).any():
            inches = ax.get_window_extent().height / ax.figure.dpi
            bar = ax.figure.colorbar(bars, ax=ax, pad=0.015, fraction=0.05, aspect=max(15, 6 * inches))
            bar.set_label(self._label)
            if words is not None:
                bar.set_ticks(list(range(len(words))), labels=words)
                bar.minorticks_off()


def _draw_descent(ax: Axes, story: Story, rows: _Rows) -> None:
    """Draw a curve from each donor to its clone, the lineage and the failures, and the legend of these."""
    from matplotlib.collections import PathCollection
    from matplotlib.lines import Line2D
    from matplotlib.path import Path
    from matplotlib.patheffects import withStroke

    width = 0.02 * max([rows.x(segment.number, segment.last) for segment in story.segments], default=1)
    curves: dict[bool, list[Path]] = {False: [], True: []}
    tips = []
    for _, clone, parent in story.clones():
        x0, y0 = rows.x(parent, clone.start), rows.y[parent]
        x1, y1 = rows.x(clone.number, clone.start), rows.y[clone.number]
        # Bent, and the more the longer, so that those of one moment can be told apart.
        bend, dy = width * (0.3 + abs(y1 - y0) / len(story.members)), 0.2 * (y1 - y0)
        corners = [(x0, y0), (x0 - bend, y0 + dy), (x1 - bend, y1 - dy), (x1, y1)]
        curves[clone.number in story.survived].append(Path(corners, [Path.MOVETO] + 3 * [Path.CURVE4]))
        tips.append((x1, y1))
    for strong, alpha in ((False, story.faint if story.few else 0.12), (True, 0.8)):
        look: dict[str, Any] = {"facecolors": "none", "edgecolors": INK, "linewidths": 0.7}
        label = "_clones" if strong else "_clones given up"
        ax.add_collection(PathCollection(curves[strong], **look, alpha=alpha, zorder=2 + strong, label=label))
    if story.few:
        ax.plot(*np.reshape(tips, (-1, 2)).T, ".", color=INK, markersize=5)
    path = [(rows.x(s.segment, at), rows.y[s.segment]) for s in story.path for at in (s.first - 1, s.last)]
    line: dict[str, Any] = {"color": "black", "linewidth": 1.6}
    line["path_effects"] = [withStroke(linewidth=3.4, foreground="white")]
    ax.plot(*np.reshape(path, (-1, 2)).T, zorder=5, label="_lineage", **line)
    ends = [story.segments[member.segment] for member in story.members if member.state == "failed"]
    cross: dict[str, Any] = {"color": ATTENTION, "linestyle": "none", "markeredgecolor": "white", "markersize": 9}
    ax.plot([rows.x(s.number, s.last) for s in ends], [rows.y[s.number] for s in ends], marker="X", zorder=6, **cross)
    handles = [Line2D([], [], label=f"lineage of {story.whose}", **line)] if path else []
    if tips:
        handles.append(Line2D([], [], color=INK, linewidth=0.7, alpha=0.8, label="becomes a clone"))
    if len(story.survived) < len(story.segments):
        handles.append(Line2D([], [], color=GREY, linewidth=2, label="given up (thin)"))
    if ends:
        handles.append(Line2D([], [], label="failed", marker="X", **cross))
    if handles:
        legend_above(ax, handles)
