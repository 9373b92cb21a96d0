"""A picture before it is drawn: panels, axes and layers, as numbers and plain text, the same for paper and screen.

What a plot says is decided once, in `ramet.plots.what`, which returns a `Picture`. How it looks is decided once a kind,
by those who draw pictures: `ramet.plots.paper` and `ramet.plots.specs`. All text in a picture is plain: those who draw
it see to it that none of it is taken for markup.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Color = str | int
"""A role (a field of `ramet.plots.ink.Theme`), or the number of a member's colour."""

MOST = 20_000
"""Points that a picture has at most. More cannot be seen, and make a page heavy."""


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis. ``ticks`` are places with their texts, whose lines are parted by line feeds; of a ``whole`` one there is
    nothing between integers; of one that is not ``shown`` only the texts of its ticks are.
    """

    label: str = ""
    log: bool = False
    ticks: tuple[Sequence[float], Sequence[str]] | None = None
    limits: tuple[float, float] | None = None
    whole: bool = False
    shown: bool = True


@dataclass(frozen=True, slots=True)
class Shade:
    """How numbers become colours, for all layers of a picture. ``label`` stands beside the scale.

    ``low`` and ``high`` are the ends of the scale. ``log`` says that the scale is one of logarithms to base ten: its
    ends and ``ticks`` are such, values are not. ``steps`` is how many colours there are, 0 for a smooth scale.
    """

    label: str
    low: float
    high: float
    map: str = "viridis"
    ticks: tuple[Sequence[float], Sequence[str]] | None = None
    log: bool = False
    steps: int = 0

    def of(self, values: Any) -> Any:
        """Return where values lie on the scale."""
        return np.log10(values) if self.log else np.asarray(values)


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines in one look; NaN ends one and begins the next. A ``halo`` parts them from what lies below."""

    x: Any
    y: Any
    color: Color = "muted"
    width: float = 1.0
    alpha: float = 1.0
    dashed: bool = False
    halo: bool = False
    label: str = ""

    @property
    def points(self) -> int:
        """How much there is to draw."""
        return len(self.x)


@dataclass(frozen=True, slots=True)
class Points:
    """Marks of one kind: ``o``, ``ring`` or ``x``; in one colour, or shaded by ``values``."""

    x: Any
    y: Any
    color: Color = "muted"
    values: Any = None
    mark: str = "o"
    size: float = 5.0
    alpha: float = 1.0
    label: str = ""

    @property
    def points(self) -> int:
        """How much there is to draw."""
        return len(self.x)


@dataclass(frozen=True, slots=True)
class Bars:
    """Level bars from ``left`` to ``right`` around ``y``, ``height`` high; in one colour, or shaded by ``values``."""

    left: Any
    right: Any
    y: Any
    height: Any
    values: Any = None
    color: Color = "muted"
    label: str = ""

    @property
    def points(self) -> int:
        """How much there is to draw."""
        return len(self.left)


@dataclass(frozen=True, slots=True)
class Columns:
    """Upright bars that stand on zero: from ``left`` to ``right``, ``top`` high."""

    left: Any
    right: Any
    top: Any
    color: Color = "muted"
    label: str = ""

    @property
    def points(self) -> int:
        """How much there is to draw."""
        return len(self.left)


@dataclass(frozen=True, slots=True)
class Cells:
    """A raster: ``z`` has a row for each stretch between two of ``y``, a column for each between two of ``x``.

    With ``numbers`` each value is written into its cell.
    """

    x: Any
    y: Any
    z: Any
    numbers: bool = False

    @property
    def points(self) -> int:
        """How much there is to draw."""
        return int(self.z.size)


@dataclass(frozen=True, slots=True)
class Band:
    """What lies between ``low`` and ``high``."""

    x: Any
    low: Any
    high: Any
    color: Color = "muted"
    alpha: float = 0.3
    label: str = ""

    @property
    def points(self) -> int:
        """How much there is to draw."""
        return 2 * len(self.x)


@dataclass(frozen=True, slots=True)
class Strands:
    """Many lines through the same places ``x``: a row of ``rows`` for each, shaded by its one of ``values``.

    ``names`` says what each of them is.
    """

    x: Any
    rows: Any
    values: Any
    names: Sequence[str]

    @property
    def points(self) -> int:
        """How much there is to draw."""
        return int(self.rows.size)


@dataclass(frozen=True, slots=True)
class Words:
    """Texts to the right of some places."""

    x: Any
    y: Any
    texts: Sequence[str]

    @property
    def points(self) -> int:
        """How much there is to draw."""
        return len(self.texts)


Layer = Lines | Points | Bars | Columns | Cells | Band | Strands | Words


@dataclass(frozen=True, slots=True)
class Panel:
    """A pair of axes with what is drawn between them, the first layer at the bottom; without any, ``empty`` says why.

    ``height`` is its share of the picture's.
    """

    layers: Sequence[Layer]
    x: Axis = field(default_factory=Axis)
    y: Axis = field(default_factory=Axis)
    height: float = 1.0
    empty: str = ""


@dataclass(frozen=True, slots=True)
class Picture:
    """What a plot shows. ``title`` says what was found, ``note`` how to read it; ``size`` is in inches on paper.

    Panels stand below each other and share their horizontal axis; with ``columns`` they are laid out in rows of so many
    and share the vertical one.
    """

    title: str
    panels: Sequence[Panel]
    note: str = ""
    shade: Shade | None = None
    columns: int = 1
    size: tuple[float, float] = (7.2, 4.2)

    @property
    def points(self) -> int:
        """How much there is to draw."""
        return sum(layer.points for panel in self.panels for layer in panel.layers)


def nothing(title: str, why: str) -> Picture:
    """Return a picture that says in words why there is none."""
    return Picture(title, [Panel([], empty=why)], size=(7.2, 2.6))


LONG = 400
"""Points of a line from which on it is drawn thin, for else it would cover what lies below."""


def stressed(layers: Sequence[Layer], way: tuple[Any, Any], behind: bool) -> tuple[int, Lines]:
    """Return where among ``layers`` the lineage of the best model goes, and how it looks: a band behind lines of
    several colours, else a line before everything.
    """
    told = "best lineage"
    if behind:
        return 0, Lines(*way, "ink", 7.0, 0.16, label=told)
    return len(layers), Lines(*way, "ink", 1.8 if len(way[0]) < LONG else 1.0, halo=True, label=told)
