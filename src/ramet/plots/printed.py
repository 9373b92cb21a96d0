"""Pictures on paper: drawn with matplotlib."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ramet.errors import RametError
from ramet.plots.ink import PRINT, Theme, strand
from ramet.plots.picture import (
    Band,
    Bars,
    Cells,
    Columns,
    Layer,
    Lines,
    Panel,
    Picture,
    Points,
    Shade,
    Strands,
    Words,
)
from ramet.plots.tints import colours
from ramet.view.values import clean

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

HEAD = 11.0
INCH = 13
"""Letters of a label that fit into an inch, about."""
MARKS = {"o": "o", "ring": "o", "x": "X"}


def plain(text: str) -> str:
    """Return text in which matplotlib finds no formula."""
    return clean(text).replace("$", r"\$")


def printed(picture: Picture, theme: Theme, size: tuple[float, float] | None = None) -> Figure:
    """Return the figure of a picture.

    Raises:
        RametError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise RametError(f"plots for paper need matplotlib ({error}): pip install 'ramet[plot]'") from error
    figure = Figure(figsize=size or picture.size, layout="constrained", facecolor=theme.paper, dpi=100)
    axes = _axes(figure, picture)
    width = figure.get_size_inches()[0]
    mapped = None
    for ax, panel in zip(axes, picture.panels, strict=True):
        _dress(ax, panel, theme)
        for order, layer in enumerate(panel.layers):
            mapped = _draw(ax, layer, theme, picture.shade, 2 + order) or mapped
        _measure(ax, panel, picture, theme)
    _outer_labels(axes, picture)
    if mapped is not None and picture.shade is not None:
        _colour_bar(figure, axes, picture, mapped, theme)
    title = "\n".join(textwrap.wrap(plain(picture.title), int(12.2 * width)))
    if title:
        look: dict[str, Any] = {"fontsize": HEAD, "fontweight": "bold", "color": theme.ink}
        figure.suptitle(title, x=0.01, ha="left", **look)
    if picture.note:
        note = "\n".join(textwrap.wrap(plain(picture.note), int(14 * width)))
        axes[0].set_title(note, loc="left", fontsize=PRINT, color=theme.muted)
    _legend(figure, axes, theme, width)
    return figure


def _axes(figure: Figure, picture: Picture) -> list[Axes]:
    panels = picture.panels
    if picture.columns > 1:
        rows = -(-len(panels) // picture.columns)
        grid = figure.subplots(rows, picture.columns, sharey=True, squeeze=False).ravel()
        for ax in grid[len(panels) :]:
            ax.set_visible(False)
        return list(grid[: len(panels)])
    heights = [panel.height for panel in panels]
    return list(figure.subplots(len(panels), sharex=True, squeeze=False, height_ratios=heights)[:, 0])


def _dress(ax: Axes, panel: Panel, theme: Theme) -> None:
    ax.set_facecolor(theme.paper)
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(theme.muted)
    ax.tick_params(colors=theme.muted, labelcolor=theme.ink, labelsize=PRINT, which="both")
    if any(isinstance(layer, (Lines, Points, Band, Columns)) for layer in panel.layers):
        ax.grid(True, color=theme.grid, linewidth=0.6)
        ax.set_axisbelow(True)
    if not panel.layers:
        ax.set_axis_off()
        ax.text(0.5, 0.5, plain(panel.empty), ha="center", va="center", fontsize=PRINT + 1, color=theme.muted)


def _measure(ax: Axes, panel: Panel, picture: Picture, theme: Theme) -> None:
    """Give the axes their scales, limits and ticks, once everything is drawn."""
    from matplotlib.ticker import MaxNLocator

    if not panel.layers:
        return
    rows = picture.panels[:: picture.columns]
    heights = sum(each.height for each in rows)
    for about, which in ((panel.x, "x"), (panel.y, "y")):
        axis = getattr(ax, f"{which}axis")
        if about.log:
            getattr(ax, f"set_{which}scale")("log")
        if about.ticks is not None:
            axis.set_ticks(list(about.ticks[0]), labels=["\n".join(map(plain, t.split("\n"))) for t in about.ticks[1]])
            axis.minorticks_off()
        elif about.whole:
            axis.set_major_locator(MaxNLocator("auto", integer=True))
        if about.limits is not None:
            getattr(ax, f"set_{which}lim")(*about.limits)
        if not about.shown:
            ax.spines["left" if which == "y" else "bottom"].set_visible(False)
            axis.set_tick_params(length=0)
            ax.grid(False)
            if about.ticks is None:
                axis.set_ticks([])
        axis.label.set_size(PRINT)
        axis.label.set_color(theme.ink)
        room = int(INCH * (picture.size[1] - 1) * panel.height / heights) if which == "y" else 76 // picture.columns
        label = "\n".join(textwrap.wrap(plain(about.label), max(room, 10)))
        getattr(ax, f"set_{which}label")(label)
    if panel.height < 0.5:
        ax.yaxis.set_major_locator(MaxNLocator(2, integer=True))


def _outer_labels(axes: Sequence[Axes], picture: Picture) -> None:
    for at, ax in enumerate(axes):
        if picture.columns > 1 and at % picture.columns:
            ax.set_ylabel("")
        if picture.columns == 1 and at < len(axes) - 1:
            ax.set_xlabel("")
            ax.tick_params(labelbottom=False)


# ---------------------------------------------------------------------------------------------- layers


def _draw(ax: Axes, layer: Layer, theme: Theme, shade: Shade | None, order: int) -> Any:
    """Draw a layer, and return what a colour bar is made from if it has shades."""
    match layer:
        case Lines():
            _lines(ax, layer, theme, order)
        case Points():
            return _points(ax, layer, theme, shade, order)
        case Bars():
            return _bars(ax, layer, theme, shade, order)
        case Columns():
            width = np.subtract(layer.right, layer.left)
            ax.bar(layer.left, layer.top, width, align="edge", color=theme.of(layer.color), zorder=order)
        case Cells():
            return _cells(ax, layer, theme, shade, order)
        case Band():
            colour, label = theme.of(layer.color), plain(layer.label) or None
            ax.fill_between(
                layer.x, layer.low, layer.high, color=colour, alpha=layer.alpha, linewidth=0, label=label, zorder=order
            )
        case Strands():
            return _strands(ax, layer, theme, shade)
        case Words():
            box = {"facecolor": theme.paper, "edgecolor": "none", "alpha": 0.75, "pad": 0.6}
            for x, y, text in zip(layer.x, layer.y, layer.texts, strict=True):
                look: dict[str, Any] = {"fontsize": PRINT, "va": "center", "color": theme.ink, "zorder": order}
                ax.text(x, y, " " + plain(text), bbox=box, **look)
    return None


def _lines(ax: Axes, layer: Lines, theme: Theme, order: int) -> None:
    from matplotlib.patheffects import withStroke

    look: dict[str, Any] = {"linestyle": (0, (4, 2)) if layer.dashed else "-", "label": plain(layer.label) or None}
    if layer.halo:
        look["path_effects"] = [withStroke(linewidth=layer.width + 1.8, foreground=theme.paper)]
    ax.plot(
        layer.x, layer.y, color=theme.of(layer.color), linewidth=layer.width, alpha=layer.alpha, zorder=order, **look
    )


def _colours(shade: Shade, theme: Theme) -> tuple[Any, Any]:
    from matplotlib.colors import BoundaryNorm, ListedColormap, Normalize

    found = ListedColormap(colours(shade, theme))
    if shade.steps:
        norm: Any = BoundaryNorm(np.linspace(shade.low, shade.high, shade.steps + 1), shade.steps)
    else:
        norm = Normalize(shade.low, shade.high if shade.high > shade.low else shade.low + 1)
    return found.with_extremes(bad=theme.missing), norm


def _points(ax: Axes, layer: Points, theme: Theme, shade: Shade | None, order: int) -> Any:
    look: dict[str, Any] = {"marker": MARKS[layer.mark], "s": layer.size**2, "alpha": layer.alpha, "zorder": order}
    look["label"] = plain(layer.label) or None
    if layer.values is not None and shade is not None:
        tints, norm = _colours(shade, theme)
        shown = np.ma.masked_invalid(shade.of(layer.values))
        return ax.scatter(layer.x, layer.y, c=shown, cmap=tints, norm=norm, plotnonfinite=True, linewidths=0, **look)
    colour = theme.of(layer.color)
    if layer.mark == "ring":
        ax.scatter(layer.x, layer.y, facecolors="none", edgecolors=colour, linewidths=1.1, **look)
    else:
        ax.scatter(layer.x, layer.y, color=colour, edgecolors=theme.paper, linewidths=0.5, **look)
    return None


def _bars(ax: Axes, layer: Bars, theme: Theme, shade: Shade | None, order: int) -> Any:
    from matplotlib.collections import PolyCollection

    half = np.broadcast_to(np.asarray(layer.height, "f8") / 2, np.shape(layer.y))
    left, right, low, high = layer.left, layer.right, layer.y - half, layer.y + half
    boxes = np.stack([np.column_stack([left, right, right, left]), np.column_stack([low, low, high, high])], axis=2)
    look: dict[str, Any] = {
        "zorder": order,
        "linewidths": 0,
        "antialiaseds": False,
        "label": plain(layer.label) or None,
    }
    if layer.values is None or shade is None:
        colour = theme.of(layer.color) if layer.values is None else theme.missing
        look |= {"edgecolors": theme.paper, "linewidths": 0.5}
        ax.add_collection(PolyCollection(list(boxes), facecolors=colour, **look))
        ax.autoscale_view()
        return None
    tints, norm = _colours(shade, theme)
    bars = PolyCollection(
        list(boxes), array=np.ma.masked_invalid(shade.of(layer.values)), cmap=tints, norm=norm, **look
    )
    ax.add_collection(bars)
    ax.autoscale_view()
    return bars


def _cells(ax: Axes, layer: Cells, theme: Theme, shade: Shade | None, order: int) -> Any:
    shade = shade or Shade("", 0, 1)
    tints, norm = _colours(shade, theme)
    tints = tints.with_extremes(bad=theme.paper)
    cells = ax.pcolormesh(
        layer.x, layer.y, np.ma.masked_invalid(shade.of(layer.z)), cmap=tints, norm=norm, zorder=order
    )
    cells.set_rasterized(True)
    if layer.numbers:
        for row, column in zip(*np.nonzero(np.isfinite(layer.z)), strict=True):
            value = layer.z[row, column]
            x, y = (layer.x[column] + layer.x[column + 1]) / 2, (layer.y[row] + layer.y[row + 1]) / 2
            bright = norm(value) > 0.55
            look: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": PRINT, "zorder": order + 1}
            ax.text(x, y, f"{value:g}", color="#000000" if bright else "#ffffff", **look)
    return cells if shade.label else None


def _strands(ax: Axes, layer: Strands, theme: Theme, shade: Shade | None) -> Any:
    from matplotlib.collections import LineCollection

    lines = np.stack([np.broadcast_to(np.asarray(layer.x, "f8"), layer.rows.shape), layer.rows], axis=2)
    alpha, width = strand(len(lines))
    drawn = LineCollection(list(lines), alpha=alpha, linewidths=width, zorder=2)
    if shade is None:
        drawn.set_color(theme.of(0))
    else:
        tints, norm = _colours(shade, theme)
        drawn.set_array(np.asarray(layer.values))
        drawn.set_cmap(tints)
        drawn.set_norm(norm)
    ax.add_collection(drawn)
    return drawn if shade is not None else None


# ---------------------------------------------------------------------------------------------- what stands beside


def _colour_bar(figure: Figure, axes: Sequence[Axes], picture: Picture, mapped: Any, theme: Theme) -> None:
    shade = picture.shade
    if shade is None:
        return
    shaded = [
        ax
        for ax, panel in zip(axes, picture.panels, strict=True)
        if any(isinstance(e, Cells) or getattr(e, "values", None) is not None for e in panel.layers)
    ]
    bar = figure.colorbar(mapped, ax=shaded, pad=0.015, fraction=0.05, aspect=max(14, 5 * picture.size[1]))
    if bar.solids is not None:
        bar.solids.set_alpha(1)
    bar.outline.set_visible(False)
    label = "\n".join(textwrap.wrap(plain(shade.label), int(INCH * (figure.get_size_inches()[1] - 1))))
    bar.set_label(label, fontsize=PRINT, color=theme.ink)
    if shade.ticks is not None:
        bar.set_ticks(list(shade.ticks[0]), labels=[plain(text) for text in shade.ticks[1]])
    bar.ax.minorticks_off()
    bar.ax.tick_params(colors=theme.muted, labelcolor=theme.ink, labelsize=PRINT)


def _legend(figure: Figure, axes: Sequence[Axes], theme: Theme, width: float) -> None:
    from matplotlib.lines import Line2D

    found: dict[str, Any] = {}
    for ax in axes:
        for handle, label in zip(*ax.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    if not found:
        return
    handles = list(found.values())
    for at, handle in enumerate(handles):
        if isinstance(handle, Line2D):
            handles[at] = copied = Line2D([], [])
            copied.update_from(handle)
    columns = max(1, min(len(found), int((width - 0.1) / (0.52 + 0.068 * max(map(len, found))))))
    order = [at for column in range(columns) for at in range(column, len(handles), columns)]  # it is filled by columns
    handles, labels = [handles[at] for at in order], [list(found)[at] for at in order]
    figure.legend(
        handles, labels, loc="outside lower left", ncols=columns, fontsize=PRINT, frameon=False,
        labelcolor=theme.ink, handlelength=1.6, columnspacing=1.4,
    )  # fmt: skip
