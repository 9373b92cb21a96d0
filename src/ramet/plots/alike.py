"""What makes the functions of all kinds of figures alike: one of the same name and arguments for each plot."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from ramet.errors import ConfigError
from ramet.plots import PLOTS
from ramet.plots.ink import Theme, theme_of
from ramet.plots.picture import Picture

Figure = TypeVar("Figure")

LOOK = """
    All plots take besides:
        theme: ``"light"`` or ``"dark"``.
        size: width and height, in inches on paper and in pixels on the screen.
        title: in place of what was found; ``""`` for none.
"""


def plot(name: str, drawn: Callable[[Picture, Theme, tuple[float, float] | None], Figure]) -> Callable[..., Figure]:
    """Return the function that makes the picture of the plot ``name`` and has it ``drawn``."""
    picture = PLOTS[name].picture

    @wraps(picture)
    def made(
        *given: Any,
        theme: str = "light",
        size: tuple[float, float] | None = None,
        title: str | None = None,
        **named: Any,
    ) -> Figure:
        look = theme_of(theme)
        if size is not None and not _is_size(size):
            raise ConfigError(f"size={size!r} must be a width and a height")
        found = picture(*given, **named)
        if title is not None:
            found = dataclasses.replace(found, title=str(title))
        return drawn(found, look, size)

    own = inspect.signature(picture)
    common = [each for each in inspect.signature(made, follow_wrapped=False).parameters.values() if each.name in LOOK]
    only = [each for each in common if each.kind is inspect.Parameter.KEYWORD_ONLY]
    made.__signature__ = own.replace(  # type: ignore[attr-defined]
        parameters=[*own.parameters.values(), *only], return_annotation=inspect.Signature.empty
    )
    made.__doc__ = f"{inspect.cleandoc(picture.__doc__ or '')}\n\n{inspect.cleandoc(LOOK)}\n"
    return made


def _is_size(size: Any) -> bool:
    try:
        width, height = size
        return bool(0 < width < float("inf") and 0 < height < float("inf"))
    except (TypeError, ValueError):
        return False
