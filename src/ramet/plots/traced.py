"""Pictures on the screen: as the traces and the layout that plotly draws, plain data without plotly.

Text of the user's is everywhere: in names of metrics, hyperparameters, words. plotly takes some of HTML for markup,
``$`` for the begin of a formula and ``%{`` for a place to fill in, so that all text goes through `html`.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np

from ramet.plots.ink import SCREEN, Theme, strand
from ramet.plots.picture import (
    Axis,
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
from ramet.plots.tints import colours, colours_of, scale
from ramet.view.values import clean

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
HEAD = 16
INCH = 92
"""Pixels that an inch of a picture's height takes."""
LETTER = 7.4
"""Pixels that a letter is wide, about."""
DIGITS = 6
SHADES = 24
"""Colours that lines are drawn in where each has a value of its own."""
MARKS = {"o": "circle", "ring": "circle-open", "x": "x"}
_ESCAPED = {ord(each): f"&#{ord(each)};" for each in "&<>\"'$%{}"}


def html(text: str) -> str:
    """Return text of which plotly takes nothing for markup; a line feed begins a new line.

    >>> html("<b>50 %{x}</b>")
    '&#60;b&#62;50 &#37;&#123;x&#125;&#60;/b&#62;'
    """
    return "<br>".join(clean(line).translate(_ESCAPED) for line in text.split("\n"))


def plain(values: Any) -> list[Any]:
    """Return numbers as JSON has them: with six digits, and None for what is no finite number.

    >>> plain(np.array([1.0, 0.123456789, np.nan]))
    [1, 0.123457, None]
    """
    found = np.asarray(values)
    if found.dtype.kind in "iub":
        return list(found.tolist())
    return [_short(value) for value in found.tolist()]


def _short(value: float) -> float | int | None:
    if value - value != 0:  # NaN or infinite
        return None
    if value == int(value) and abs(value) < 1e15:
        return int(value)
    return float(f"{value:.{DIGITS}g}")


def traced(picture: Picture, theme: Theme, size: tuple[float, float] | None = None) -> dict[str, Any]:
    """Return what plotly draws: ``data`` and ``layout``. Without ``size`` it is as wide as there is room."""
    height = round(size[1] if size is not None else INCH * picture.size[1] + 40)
    layout: dict[str, Any] = {
        "font": {"family": FONT, "size": SCREEN, "color": theme.ink},
        "paper_bgcolor": theme.paper,
        "plot_bgcolor": theme.paper,
        "height": height,
        "hovermode": "closest",
        "hoverlabel": {"font": {"family": FONT, "size": SCREEN}},
        "barmode": "overlay",
        "bargap": 0,
        "annotations": [],
    }
    if size is not None:
        layout["width"] = round(size[0])
    data: list[dict[str, Any]] = []
    for at, panel in enumerate(picture.panels):
        _panel(layout, picture, at, theme)
        for layer in panel.layers:
            data += _traces(layer, panel, picture.shade, at, theme)
    _unrepeated(data)
    below = _legend(data, layout, theme)
    _head(layout, picture, theme, height, below)
    if picture.shade is not None:
        layout["coloraxis"] = _colour_axis(picture, theme, int((height - 130) / LETTER))
    return {"data": data, "layout": layout}


def _head(layout: dict[str, Any], picture: Picture, theme: Theme, height: int, below: int) -> None:
    note = html(picture.note)
    above = 20 + (30 if picture.title else 0) + (18 if note else 0)
    layout["margin"] = {"l": 70, "r": 30, "t": above, "b": 52 + below}
    if picture.title:
        shown: dict[str, Any] = {"text": html(picture.title), "font": {"size": HEAD, "color": theme.ink, "weight": 600}}
        shown |= {"x": 0, "xref": "container", "xanchor": "left", "pad": {"l": 14}}
        shown |= {"y": 1 - 22 / height, "yref": "container", "yanchor": "middle"}
        if note:
            shown["subtitle"] = {"text": note, "font": {"size": SCREEN, "color": theme.muted}}
        layout["title"] = shown


def _legend(data: Sequence[dict[str, Any]], layout: dict[str, Any], theme: Theme) -> int:
    """Put a legend below everything, and return how many pixels it takes."""
    names = [trace["name"] for trace in data if trace.get("showlegend")]
    layout["showlegend"] = bool(names)
    if not names:
        return 0
    rows = -(-sum(len(name) * 7 + 50 for name in names) // 760)
    layout["legend"] = {"orientation": "h", "x": 0, "xanchor": "left", "y": 0, "yref": "container", "yanchor": "bottom"}
    layout["legend"] |= {"font": {"color": theme.ink}, "bgcolor": "rgba(0,0,0,0)", "itemsizing": "trace"}
    return 8 + 20 * rows


# ---------------------------------------------------------------------------------------------- axes


def _name(which: str, at: int) -> str:
    return which if at == 0 else f"{which}{at + 1}"


def _panel(layout: dict[str, Any], picture: Picture, at: int, theme: Theme) -> None:
    """Lay out a panel's axes."""
    panel, panels = picture.panels[at], picture.panels
    columns = picture.columns
    rows = -(-len(panels) // columns)
    if columns > 1:
        gap = 0.03
        width = (1 - gap * (columns - 1)) / columns
        left = (at % columns) * (width + gap)
        across = (left, left + width)
        upright_gap = 0.24 if rows > 1 else 0
        high = (1 - upright_gap * (rows - 1)) / rows
        top = 1 - (at // columns) * (high + upright_gap)
        upright = (max(top - high, 0.0), top)
        last = True
    else:
        gap = 0.035
        room = 1 - gap * (len(panels) - 1)
        total = sum(each.height for each in panels)
        top = 1 - sum(each.height / total * room + gap for each in panels[:at])
        across, upright = (0.0, 1.0), (max(top - panel.height / total * room, 0.0), top)
        last = at == len(panels) - 1
    height = (upright[1] - upright[0]) * (layout["height"] - 130)  # without title and legend
    x = _axis(panel.x, theme, last, 90 // columns)
    y = _axis(panel.y, theme, columns == 1 or at % columns == 0, max(int(height / LETTER), 10))
    x |= {"domain": [round(each, 4) for each in across], "anchor": _name("y", at)}
    y |= {"domain": [round(each, 4) for each in upright], "anchor": _name("x", at)}
    if at and columns == 1:
        x["matches"] = "x"
    if at and columns > 1:
        y["matches"] = "y"
    if panel.height < 0.5:
        y["nticks"] = 3
    if not panel.layers:
        x["visible"] = y["visible"] = False
        words = {"text": html(panel.empty), "showarrow": False, "font": {"size": SCREEN + 2, "color": theme.muted}}
        layout["annotations"].append(words | {"x": 0.5, "y": 0.5, "xref": "paper", "yref": "paper"})
    for layer in panel.layers:
        if isinstance(layer, Words):
            layout["annotations"] += _words(layer, at, theme)
    plain_ = all(isinstance(layer, (Cells, Bars)) for layer in panel.layers[:1])
    x["showgrid"], y["showgrid"] = not plain_ and panel.x.shown, not plain_ and panel.y.shown
    layout[_name("xaxis", at)], layout[_name("yaxis", at)] = x, y


def _words(layer: Words, at: int, theme: Theme) -> list[dict[str, Any]]:
    look = {"showarrow": False, "xanchor": "left", "yanchor": "middle", "bgcolor": _faint(theme.paper, 0.75)}
    look |= {"xref": _name("x", at), "yref": _name("y", at), "xshift": 3, "borderpad": 0}
    places = zip(plain(layer.x), plain(layer.y), layer.texts, strict=True)
    return [look | {"x": x, "y": y, "text": html(text)} for x, y, text in places]


def _axis(axis: Axis, theme: Theme, labelled: bool, room: int) -> dict[str, Any]:
    found: dict[str, Any] = {"gridcolor": theme.grid, "linecolor": theme.muted, "zeroline": False, "showline": True}
    found |= {"ticks": "outside", "tickcolor": theme.muted, "ticklen": 4, "automargin": True}
    if labelled:
        found["title"] = {"text": "<br>".join(html(part) for part in textwrap.wrap(axis.label, room)), "standoff": 8}
    else:
        found["showticklabels"] = False
    if axis.log:
        found |= {"type": "log", "exponentformat": "power"}
    else:
        found["type"] = "linear"
        found["separatethousands"] = True
    if not axis.shown:
        found |= {"showline": False, "ticks": "", "showgrid": False, "showticklabels": axis.ticks is not None}
    if axis.limits is not None:
        ends = np.log10(axis.limits) if axis.log else axis.limits
        found["range"] = plain(np.asarray(ends, "f8"))
    if axis.ticks is not None:
        found |= {"tickvals": plain(axis.ticks[0]), "ticktext": [html(text) for text in axis.ticks[1]]}
    elif axis.whole:
        found["tickformat"] = ",d"
    return found


def _colour_axis(picture: Picture, theme: Theme, room: int) -> dict[str, Any]:
    shade = picture.shade
    if shade is None:
        return {}
    high = shade.high if shade.high > shade.low else shade.low + 1
    label = "<br>".join(html(part) for part in textwrap.wrap(shade.label, max(room, 10)))
    bar: dict[str, Any] = {"title": {"text": label, "side": "right"}, "thickness": 14, "outlinewidth": 0, "len": 1}
    bar |= {"tickcolor": theme.muted, "ticks": "outside", "ticklen": 4, "x": 1.01, "separatethousands": True}
    if shade.ticks is not None:
        bar |= {"tickvals": plain(shade.ticks[0]), "ticktext": [html(text) for text in shade.ticks[1]]}
    return {
        "cmin": _short(float(shade.low)),
        "cmax": _short(float(high)),
        "colorscale": scale(shade, theme),
        "colorbar": bar,
    }


# ---------------------------------------------------------------------------------------------- layers


def _traces(layer: Layer, panel: Panel, shade: Shade | None, at: int, theme: Theme) -> list[dict[str, Any]]:
    place = {"xaxis": _name("x", at), "yaxis": _name("y", at)}
    named: dict[str, Any] = {"name": html(getattr(layer, "label", "")), "showlegend": bool(getattr(layer, "label", ""))}
    if named["showlegend"]:
        named["legendgroup"] = named["name"]
    told = f"{html(_bare(panel.x))} %{{x}}<br>{html(_bare(panel.y))} %{{y}}"
    match layer:
        case Lines():
            return _lines(layer, place | named, told, theme)
        case Points():
            return [_points(layer, shade, place | named, told, theme)]
        case Bars():
            bars = _bars(layer, shade, place | named, panel, theme)
            return [bars, _beside(place)] if "customdata" in bars else [bars]
        case Columns():
            middle = (np.asarray(layer.left) + np.asarray(layer.right)) / 2
            bars = {
                "type": "bar",
                "x": plain(middle),
                "y": plain(layer.top),
                "marker": {"color": theme.of(layer.color)},
            }
            bars |= {"width": plain(np.subtract(layer.right, layer.left)), "hovertemplate": f"{told}<extra></extra>"}
            return [bars | place | named]
        case Cells():
            return [_cells(layer, shade, place, panel)]
        case Band():
            edge: dict[str, Any] = {"type": "scatter", "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip"}
            low = edge | {"x": plain(layer.x), "y": plain(layer.low), "showlegend": False} | place
            high = edge | {"x": plain(layer.x), "y": plain(layer.high), "fill": "tonexty"} | place | named
            high["fillcolor"] = _faint(theme.of(layer.color), layer.alpha)
            if named["showlegend"]:
                low["legendgroup"] = named["name"]
            return [low, high]
        case Strands():
            return _strands(layer, shade, place, theme)
        case Words():
            return []  # `_panel` has noted them


def _bare(axis: Axis | Shade) -> str:
    return axis.label.partition(" (")[0]


def _faint(colour: str, alpha: float) -> str:
    red, green, blue = bytes.fromhex(colour[1:])
    return f"rgba({red},{green},{blue},{alpha:g})"


def _lines(layer: Lines, common: dict[str, Any], told: str, theme: Theme) -> list[dict[str, Any]]:
    line: dict[str, Any] = {"color": theme.of(layer.color), "width": layer.width * 1.3}
    if layer.dashed:
        line["dash"] = "dash"
    found = {"type": "scatter", "mode": "lines", "x": plain(layer.x), "y": plain(layer.y), "line": line} | common
    found |= {"opacity": layer.alpha, "hovertemplate": f"{told}<extra>{common['name']}</extra>", "connectgaps": False}
    if not layer.halo:
        return [found]
    below = found | {"line": {"color": theme.paper, "width": 1.3 * layer.width + 2.4}, "showlegend": False}
    below.pop("hovertemplate")
    return [below | {"hoverinfo": "skip", "opacity": 1}, found]


def _points(layer: Points, shade: Shade | None, common: dict[str, Any], told: str, theme: Theme) -> dict[str, Any]:
    marker: dict[str, Any] = {"symbol": MARKS[layer.mark], "size": round(layer.size * 1.35, 1), "opacity": layer.alpha}
    extra = common["name"]
    if layer.values is not None and shade is not None:
        marker |= {"color": plain(shade.of(layer.values)), "coloraxis": "coloraxis", "line": {"width": 0}}
        told += f"<br>{html(_bare(shade))} %{{marker.color}}"
    else:
        marker["color"] = theme.of(layer.color)
        marker["line"] = {"width": 1.4 if layer.mark == "ring" else 0.5}
        if layer.mark != "ring":
            marker["line"]["color"] = theme.paper
    found = {"type": "scatter", "mode": "markers", "x": plain(layer.x), "y": plain(layer.y), "marker": marker}
    return found | common | {"hovertemplate": f"{told}<extra>{extra}</extra>"}


def _bars(layer: Bars, shade: Shade | None, common: dict[str, Any], panel: Panel, theme: Theme) -> dict[str, Any]:
    marker: dict[str, Any] = {"line": {"width": 0.5, "color": theme.paper}, "color": theme.of(layer.color)}
    told = f"{html(_bare(panel.y))} %{{y}}<br>{html(_bare(panel.x))} %{{base}} to %{{x}}"
    if layer.values is not None:
        marker |= {"color": theme.missing, "line": {"width": 0}}
    if layer.values is not None and shade is not None:
        marker["color"] = colours_of(shade, theme, layer.values)
        told += f"<br>{html(_bare(shade))} %{{customdata}}"
    height = layer.height if np.ndim(layer.height) == 0 else plain(layer.height)
    found: dict[str, Any] = {
        "type": "bar",
        "orientation": "h",
        "textposition": "none",
        "base": plain(layer.left),
        "x": plain(np.subtract(layer.right, layer.left)),
    }
    found |= {"y": plain(layer.y), "width": height, "marker": marker, "hovertemplate": f"{told}<extra></extra>"}
    if layer.values is not None and shade is not None:
        found["customdata"] = plain(layer.values)
    return found | common


def _cells(layer: Cells, shade: Shade | None, place: dict[str, Any], panel: Panel) -> dict[str, Any]:
    z = layer.z if shade is None else shade.of(layer.z)
    found: dict[str, Any] = {"type": "heatmap", "z": [plain(row) for row in z], "coloraxis": "coloraxis"}
    found |= {"x": plain(layer.x), "y": plain(layer.y), "hoverongaps": False}
    label = _bare(shade) if shade is not None else ""
    power = "10^" if shade is not None and shade.log else ""
    told = f"{html(_bare(panel.x))} %{{x:.0f}}<br>{html(_bare(panel.y))} %{{y:.0f}}<br>{html(label)} {power}%{{z}}"
    found["hovertemplate"] = f"{told}<extra></extra>"
    if layer.numbers:
        found |= {"texttemplate": "%{z}"}
    return found | place


def _strands(layer: Strands, shade: Shade | None, place: dict[str, Any], theme: Theme) -> list[dict[str, Any]]:
    """Return a trace for the lines of each shade, of which there are so many: a line has but one colour."""
    rows, count = np.asarray(layer.rows), len(layer.rows)
    alpha, width = strand(count)
    group = np.zeros(count, "i8")
    if shade is not None:
        group = np.round((np.asarray(layer.values) - shade.low) / max(shade.high - shade.low, 1e-300) * (SHADES - 1))
        group = np.clip(group, 0, SHADES - 1).astype("i8")
    found = []
    for each in np.unique(group).tolist():
        own = np.flatnonzero(group == each)
        gap = np.full((len(own), 1), np.nan)
        y = np.hstack([rows[own], gap]).ravel()
        x = np.hstack([np.broadcast_to(np.asarray(layer.x, "f8"), rows[own].shape), gap]).ravel()
        colour = theme.of(0) if shade is None else colours(shade, theme, SHADES)[each]
        names = [html(layer.names[row]) for row in own.tolist() for _ in range(rows.shape[1] + 1)]
        line = {"color": colour, "width": 1.3 * width}
        trace: dict[str, Any] = {"type": "scatter", "mode": "lines", "x": plain(x), "y": plain(y), "line": line}
        trace |= {"text": names, "hoverinfo": "text", "showlegend": False, "opacity": alpha, "connectgaps": False}
        found.append(trace | place)
    if shade is not None:
        found.append(_beside(place))
    return found


def _beside(place: dict[str, Any]) -> dict[str, Any]:
    """Return a trace that draws nothing, for whose sake the colours' scale is there."""
    marker = {"color": [0], "coloraxis": "coloraxis"}
    found: dict[str, Any] = {"type": "scatter", "mode": "markers", "x": [None], "y": [None], "marker": marker}
    return found | {"showlegend": False, "hoverinfo": "skip"} | place


def _unrepeated(data: Sequence[dict[str, Any]]) -> None:
    """Name what appears in several panels once in the legend."""
    seen: set[str] = set()
    for trace in data:
        if trace.get("showlegend"):
            trace["showlegend"] = trace["name"] not in seen
            seen.add(trace["name"])
