"""HTML for a notebook's cell: text that is only ever text, tables, and small curves.

Whatever a user named or printed goes through `said`. The colours are those of the page around, or mixed with its text's
colour where there are none, so that they can be read on light and on dark. Where a page takes away style sheets and
drawings plain tables are left.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Sequence
from math import isfinite
from typing import Any

from ramet.view.values import clean
from ramet.view.wording import Line

STYLE = """<style>
.ramet { --line: var(--jp-border-color2, color-mix(in srgb, currentColor 20%, transparent));
  --blue: color-mix(in srgb, var(--jp-brand-color1, #1976d2) 75%, currentColor);
  --yellow: color-mix(in srgb, var(--jp-warn-color0, #f57c00) 65%, currentColor);
  --red: color-mix(in srgb, var(--jp-error-color1, #d32f2f) 80%, currentColor);
  --green: color-mix(in srgb, var(--jp-success-color1, #388e3c) 75%, currentColor);
  color: var(--jp-content-font-color1, inherit); font-size: 13px; line-height: 1.5;
  max-width: 100%; overflow-x: auto }
.ramet .dim { opacity: 0.7 } .ramet .bold { font-weight: 600 } .ramet .cyan, .ramet .blue { color: var(--blue) }
.ramet .yellow { color: var(--yellow) } .ramet .red { color: var(--red) } .ramet .green { color: var(--green) }
.ramet .bar { height: 6px; border-radius: 3px; margin: 4px 0; max-width: 720px; background: var(--line) }
.ramet .bar div { height: 100%; border-radius: 3px; background: var(--blue) }
.ramet .line { white-space: pre-wrap; font-variant-numeric: tabular-nums }
.ramet table { border-collapse: collapse; border: 0; margin: 8px 0; font-size: 12px; width: auto;
  font-variant-numeric: tabular-nums; color: inherit; table-layout: auto }
.ramet th, .ramet td { padding: 2px 10px; border: 0; text-align: right; white-space: pre; vertical-align: middle;
  max-width: none; color: inherit; background: none }
.ramet th { font-weight: 600; border-bottom: 1px solid var(--line) }
.ramet tr { background: none } .ramet td { border-bottom: 1px solid var(--line) }
.ramet .left { text-align: left }
.ramet svg { display: block } .ramet polyline { fill: none; stroke: var(--blue); stroke-width: 1.5 }
.ramet circle { fill: var(--blue) } .ramet svg line { stroke: currentColor; opacity: 0.35; stroke-dasharray: 2 2 }
.ramet pre { margin: 8px 0; padding: 0; font-size: 12px; line-height: 1.45; white-space: pre-wrap; border: 0;
  font-family: var(--jp-code-font-family, monospace); color: inherit; background: none }
</style>"""

STEP, HEIGHT, MARGIN = 4, 16, 2
"""Of a curve: the pixels from a point to the next, the height, and what is left free of it above and below."""


def said(text: object) -> str:
    r"""Return anything as text of a page, whatever is in it.

    >>> said("<script>alert(1)</script>"), said('"&\x1b[31m')
    ('&lt;script&gt;alert(1)&lt;/script&gt;', '&quot;&amp;')
    """
    return html.escape(clean(str(text)))


def styled(text: str, style: str) -> str:
    """Return ``text`` in a style, in rich's words as on the terminal; "" for none."""
    return f'<span class="{said(style)}">{said(text)}</span>' if style else said(text)


def line(pieces: Line) -> str:
    """Return one line of text."""
    return f'<div class="line">{_pieces(pieces)}</div>'


def lines(many: Iterable[Line]) -> str:
    """Return lines as they would stand on a terminal."""
    return f"<pre>{chr(10).join(map(_pieces, many))}</pre>"


def entry(name: str, value: str) -> str:
    """Return a line that begins with what it is about."""
    return line([(f"{name}  ", "dim"), (value, "")])


def _pieces(pieces: Line) -> str:
    return "".join(styled(text, style) for text, style in pieces)


def bar(share: float) -> str:
    """Return a bar that is full up to ``share``, in [0, 1]."""
    return f'<div class="bar"><div style="width: {100 * share:.1f}%"></div></div>'


def row(cells: Sequence[str], left: Sequence[bool] = (), tag: str = "td") -> str:
    """Return a row of cells, which are HTML already; those that ``left`` says begin at the left."""
    aligned = [*left, *[False] * len(cells)]
    return (
        "<tr>"
        + "".join(
            f'<{tag} class="left">{cell}</{tag}>' if side else f"<{tag}>{cell}</{tag}>"
            for cell, side in zip(cells, aligned, strict=False)
        )
        + "</tr>"
    )


def wide(text: str, columns: int) -> str:
    """Return a row of one cell below all ``columns``."""
    return f'<tr><td class="left dim" colspan="{columns}">{said(text)}</td></tr>'


def table(header: Sequence[str], rows: Iterable[str], left: Sequence[bool] = ()) -> str:
    """Return a table: the texts of its header, and rows that are HTML already."""
    head = row([said(name) for name in header], left, "th")
    return f"<table><thead>{head}</thead><tbody>{''.join(rows)}</tbody></table>"


def curve(values: Sequence[float | None], room: int = 0) -> str:
    """Return how a number went as a small drawing: from the lowest to the highest, whole lines between breaks.

    What is no finite number is left out; None is a break, a dashed line: from there on it was another model.
    With ``room`` for more points than there are it is as wide as if they were there.
    """
    numbers = [value for value in values if value is not None and isfinite(value)]
    if not numbers:
        return ""
    low, high = min(numbers), max(numbers)
    # By halves, for the difference of two numbers may be more than a float holds.
    half, span = low / 2, high / 2 - low / 2
    drawn, run = "", list[str]()
    for at, value in enumerate(values):
        x = STEP * at + MARGIN
        if value is None or not isfinite(value):
            drawn += _stroke(run)
            run = []
            if value is None:
                drawn += f'<line x1="{x}" x2="{x}" y1="0" y2="{HEIGHT}"/>'
            continue
        share = (value / 2 - half) / span if span > 0 else 0.5
        run.append(f"{x},{HEIGHT - MARGIN - share * (HEIGHT - 2 * MARGIN):.1f}")
    drawn += _stroke(run)
    width = STEP * max(len(values), room)
    return f'<svg width="{width}" height="{HEIGHT}" viewBox="0 0 {width} {HEIGHT}">{drawn}</svg>'


def _stroke(points: Sequence[str]) -> str:
    if len(points) == 1:
        x, y = points[0].split(",")
        return f'<circle cx="{x}" cy="{y}" r="1.5"/>'
    return f'<polyline points="{" ".join(points)}"/>' if points else ""


def page(*parts: str) -> str:
    """Return what a cell shows: the parts below each other, with their style sheet."""
    return f'{STYLE}<div class="ramet">{"".join(parts)}</div>'


def told(build: Callable[[Any], str], thing: Any) -> str | None:
    """Return ``build(thing)``; None, whereupon a notebook shows its ``repr``, if that goes wrong."""
    try:
        return page(build(thing))
    except Exception:
        return None
