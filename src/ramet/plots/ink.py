"""Colours and sizes: what the colour-blind can tell apart, on a light ground and on a dark one."""

from __future__ import annotations

from dataclasses import dataclass

from ramet.errors import ConfigError
from ramet.plots.picture import Color
from ramet.view.plots.story import ATTENTION, COLORS

DARK_COLORS = ("#56B4E9", "#E69F00", "#1FBF92", "#CC79A7", "#F0E442", "#3F8FD2", "#C9A26B", "#A6A6A6")
"""Source: Okabe and Ito (2008), "Color Universal Design". Differs in that blue and green are lighter, and ochre and
grey stand for black and vermilion, which are kept for the ground and for what calls for attention.
"""

FEW = len(COLORS)
"""Members that have a colour each. Of more nobody can tell the colours apart."""

PRINT = 9.0
"""Points of the smallest letters on paper."""

SCREEN = 12
"""Pixels of the smallest letters on the screen."""


@dataclass(frozen=True, slots=True)
class Theme:
    """The colours of all roles: what is written and stressed, what stands back, grid lines, the ground, no value, what
    calls for attention, the members. ``floor`` is where scales of colours begin, as a share of their length.
    """

    ink: str
    muted: str
    grid: str
    paper: str
    missing: str
    attention: str
    members: tuple[str, ...]
    floor: float

    def of(self, color: Color) -> str:
        """Return the colour of a role or a member."""
        if isinstance(color, int):
            return self.members[color % len(self.members)]
        return str(getattr(self, color))


THEMES = {
    "light": Theme("#1a1a1a", "#757575", "#e4e4e4", "#ffffff", "#d4d4d4", ATTENTION, COLORS, 0.0),
    "dark": Theme("#ececec", "#9a9a9a", "#33373d", "#16181c", "#3a3f46", "#FF7A33", DARK_COLORS, 0.2),
}


def theme_of(name: str) -> Theme:
    """Return the theme called ``name``.

    Raises:
        ConfigError: there is no such theme.
    """
    if name not in THEMES:
        raise ConfigError(f"theme={name!r} is none of {', '.join(map(repr, THEMES))}")
    return THEMES[name]


def strand(count: int) -> tuple[float, float]:
    """Return how opaque and how wide each of so many lines is."""
    if count <= 12:
        return 0.9, 1.8
    return (0.65, 1.1) if count <= 100 else (0.4, 0.8)
