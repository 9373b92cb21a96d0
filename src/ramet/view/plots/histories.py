"""What was reported over time: `score_history`, and `parameter_history`, the way through the plane of two values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ramet.errors import ConfigError
from ramet.results import Result, ResultGrid
from ramet.view.plots.story import DASHED, Reports, Story, new_axes, pyplot

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def parameter_history(
    results: ResultGrid | Result,
    x: str = "theta0",
    y: str = "theta1",
    colors: Sequence[Any] | None = None,
    labels: Sequence[str] | None = None,
    perturbation_interval: int | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw each member's way through the plane of two reported values, such as two parameters of its model.

    A point is a report, a cross where a member ended; dashed arrows lead from where one gave its weights up to where
    its donor stood. Values that are far off all others are left outside the frame, and the axis says how many.

    Args:
        results: of a run; a `Result` to see how that one was made rather than the best.
        x: name of the metric along the horizontal axis; ``"config/lr"`` is the hyperparameter ``lr``.
        y: name of the one along the vertical axis.
        colors: one for each member; by default some that the colour-blind can tell apart, and grey for more than 8.
        labels: one for each member; by default "member 0" ….
        perturbation_interval: iterations at whose multiples reports are drawn larger; by default only those are where
            weights were given up.
        ax: where to draw; a new figure by default.

    Returns:
        The axes that were drawn into.

    Raises:
        ConfigError: nobody reported ``x`` or ``y``, or there are not as many colours or labels as members.
        RametError: matplotlib is not installed.
    """
    story = Story(results, colors, labels)
    reports = Reports(story, x, y)
    pyplot()
    from matplotlib.colors import to_rgba

    ax = ax if ax is not None else new_axes(1, 6.4, 5.8)[0]
    clones = list(story.clones())
    left_at = {(left.number, left.last) for left, _, _ in clones}
    for member in range(len(story.members)):
        own = story.of(member)
        _draw_member(ax, story, reports, member, (1, 2))
        rows = np.vstack([reports.of(segment.number) for segment in own])
        large = np.array([(s.number, i) in left_at for s in own for i in reports.of(s.number)[:, 0]], bool)
        if perturbation_interval is not None:
            large |= rows[:, 0] % perturbation_interval == 0
        strong = [i <= story.cut(s) for s in own for i in reports.of(s.number)[:, 0]]
        shades = [to_rgba(story.colors[member], 0.9 if each else story.faint) for each in strong]
        size = np.where(large, 45, 9) * (1 if story.few else 0.25)
        ax.scatter(rows[:, 1], rows[:, 2], size, shades, linewidths=0, zorder=3)
    for left, clone, parent in clones:
        there, here = reports.at(left.number, left.last)[1:], reports.at(parent, clone.start)[1:]
        if np.isfinite([*there, *here]).all():
            _draw_jump(ax, there, here, story.colors[clone.member], story.few)
    for segment in (story.segments[member.segment] for member in story.members):
        _, x_end, y_end = reports.at(segment.number, segment.last)
        color, area = story.colors[segment.member], 80 if story.few else 30
        ax.scatter(x_end, y_end, area, [color], marker="X", edgecolors="white", linewidths=0.6, zorder=6)
    story.draw_lineage(ax, reports.along(story.path)[:, 1:])
    ax.autoscale_view()
    reports.frame(ax.xaxis, 1)
    reports.frame(ax.yaxis, 2)
    story.legend(ax, {"becomes a clone": {"linestyle": DASHED, "linewidth": 1}} if clones else {})
    return ax


def score_history(
    results: ResultGrid | Result,
    metric: str | None = None,
    colors: Sequence[Any] | None = None,
    labels: Sequence[str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw the score of every member by training iteration; a dashed line and a ring is where one became a clone.

    Scores that are far off all others are left outside the frame, and the axis says how many. In a population of more
    than 8 the jumps to donors are left out.

    Args:
        results: of a run; a `Result` to see how that one was made rather than the best.
        metric: name of a reported metric; by default the one that the run was judged by.
        colors: one for each member; by default some that the colour-blind can tell apart, and grey for more than 8.
        labels: one for each member; by default "member 0" ….
        ax: where to draw; a new figure by default.

    Returns:
        The axes that were drawn into.

    Raises:
        ConfigError: nobody reported ``metric``, or none is named and the run has none; or there are not as many colours
            or labels as members.
        RametError: matplotlib is not installed.
    """
    story = Story(results, colors, labels)
    metric = metric or story.metric
    if metric is None:
        raise ConfigError("score_history() needs metric=…, the name of a reported one: this run was not judged by any")
    reports = Reports(story, metric)
    ax = ax if ax is not None else new_axes(1, 7.5, 4.5)[0]
    for member in range(len(story.members)):
        _draw_member(ax, story, reports, member, (0, 1))
    clones = list(story.clones()) if story.few else []
    for left, clone, parent in clones:
        color, alpha = story.colors[clone.member], 1.0 if clone.number in story.survived else story.faint
        (x0, y0), (x1, y1) = reports.at(left.number, left.last), reports.at(parent, clone.start)
        ax.plot([x0, x1], [y0, y1], color=color, linewidth=0.9, linestyle=DASHED, alpha=alpha, zorder=2)
        ax.plot(x1, y1, "o", color=color, markerfacecolor="white", markersize=4.5, alpha=alpha, zorder=3)
    story.draw_lineage(ax, reports.along(story.path))
    ax.autoscale_view()
    ax.set_xlabel("training iteration")
    reports.frame(ax.yaxis, 1, story.better if metric == story.metric else "")
    ring = {"linestyle": DASHED, "linewidth": 1, "marker": "o", "markersize": 4.5, "markerfacecolor": "white"}
    story.legend(ax, {"becomes a clone": ring} if clones else {})
    return ax


def _draw_member(ax: Axes, story: Story, reports: Reports, member: int, columns: tuple[int, int]) -> None:
    own = story.of(member)
    strong = [reports.line(s, s.start, story.cut(s))[:, columns] for s in own]
    faint = [reports.line(s, story.cut(s), s.last)[:, columns] for s in own]
    story.draw_lines(ax, member, strong, faint)


def _draw_jump(ax: Axes, there: Any, here: Any, color: Any, few: bool) -> None:
    from matplotlib.patches import FancyArrowPatch

    if few:
        ax.add_patch(
            FancyArrowPatch(
                tuple(there), tuple(here), arrowstyle="-|>", mutation_scale=10, shrinkA=3, shrinkB=3, color=color,
                linewidth=0.9, linestyle=DASHED, alpha=0.7, zorder=4,
            )
        )  # fmt: skip
    else:
        ax.plot(*np.transpose([there, here]), color=color, linewidth=0.4, linestyle=DASHED, alpha=0.3, zorder=1)
