"""Which hyperparameters were in force: `schedules`, and the `Scale` that a hyperparameter's values are put on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from ramet.errors import ConfigError, SpaceError
from ramet.results import Result, ResultGrid
from ramet.space import Domain, domain_from_plain
from ramet.view.plots.story import Story, caption, new_axes, plain_number, pyplot

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Keys = list[str] | tuple[str, ...]

_ABSENT: Any = object()


class Scale:
    """Where the values of one hyperparameter lie on an axis.

    Attributes:
        at: by segment, the value; its place in ``words``, where those are not None; NaN where it has none.
        words: what is no number, and entries of a list, in their order.
        log: whether equal ratios are equal distances.

    Raises:
        ConfigError: no member had such a hyperparameter.
    """

    def __init__(self, story: Story, key: str) -> None:
        self.key = key
        given = [hparams.get(key, _ABSENT) for hparams in story.hparams]
        present = [value for value in given if value is not _ABSENT]
        if not present:
            known = ", ".join(dict.fromkeys(name for hparams in story.hparams for name in hparams)) or "none"
            raise ConfigError(f"there is no hyperparameter {key!r}; the run's are {known}")
        try:
            domain: Domain | None = domain_from_plain(story.facts["mutable"][key])
        except (KeyError, SpaceError):  # it does not change, or is drawn by a function
            domain = None
        self.log = bool(getattr(domain, "log", False))
        listed: tuple[Any, ...] = getattr(domain, "values", None) or getattr(domain, "categories", None) or ()
        self.words: list[str] | None = None
        if listed or not all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in present):
            words = {repr(value): caption(str(value)[:24]) for value in (*listed, *present)}
            place = {word: float(at) for at, word in enumerate(words)}
            self.at = np.array([place.get(repr(value), np.nan) for value in given])
            self.words = list(words.values())
        else:
            self.at = np.array([np.nan if value is _ABSENT else plain_number(value) for value in given])


def varied(story: Story) -> list[str]:
    """Return the keys that a strategy may change; where there are none, those in which segments differ."""
    if story.facts.get("mutable"):
        return list(story.facts["mutable"])
    keys = dict.fromkeys(name for hparams in story.hparams for name in hparams)
    return [key for key in keys if len({repr(hparams.get(key, _ABSENT)) for hparams in story.hparams}) > 1]


@overload
def schedules(results: ResultGrid | Result, key: str, ax: Axes | None = None) -> Axes: ...
@overload
def schedules(
    results: ResultGrid | Result, key: Keys | None = None, ax: Axes | Sequence[Axes] | None = None
) -> Figure: ...
def schedules(
    results: ResultGrid | Result, key: str | Keys | None = None, ax: Axes | Sequence[Axes] | None = None
) -> Axes | Figure:
    """Draw which values of a hyperparameter every member was trained with, iteration by iteration.

    Each stretch of training is a level line at its value; it hangs on the one that it was cloned from. The axis is
    logarithmic where the domain is; words and the entries of lists have a level each, in their order.

    Args:
        results: of a run; a `Result` to see the schedule of that one rather than of the best.
        key: the hyperparameter, nested ones as ``"optimizer/lr"``; several for a panel each. By default all that the
            strategy may change, or, where it changes none, all in which the members differ.
        ax: where to draw, as many as there are keys; a new figure by default.

    Returns:
        The axes of one ``key``; the figure where several, or none, are named.

    Raises:
        ConfigError: there is no such hyperparameter, or there are not as many axes as keys.
        RametError: matplotlib is not installed.
    """
    story = Story(results)
    keys = [key] if isinstance(key, str) else varied(story) if key is None else list(key)
    if not keys:
        raise ConfigError("schedules() has nothing to draw, all members had the same hyperparameters: name one, key=…")
    scales = [Scale(story, name) for name in keys]
    pyplot()
    given = None if ax is None else list(np.atleast_1d(np.asarray(ax, object)).ravel())
    panels = given or new_axes(len(keys), 7.5, 4.5 if len(keys) == 1 else 1 + 2.4 * len(keys))
    if len(panels) != len(keys):
        raise ConfigError(f"schedules(ax=…) has {len(panels)} axes for the {len(keys)} of {keys}: give one for each")
    for panel, scale in zip(panels, scales, strict=True):
        _draw(panel, story, scale)
    for panel in given or panels[-1:]:
        panel.set_xlabel("training iteration")
    story.legend(panels[0], {})
    figure: Any = panels[0].figure
    return panels[0] if isinstance(key, str) else figure


def _draw(ax: Axes, story: Story, scale: Scale) -> None:
    level = scale.at.copy()
    if scale.words is not None:  # the members side by side
        share = 0.5 / max(len(story.members) - 1, 1)
        level += [share * segment.member - 0.25 for segment in story.segments]
    for member in range(len(story.members)):
        strong: list[Any] = []
        faint: list[Any] = []
        for segment in story.of(member):
            here, cut = level[segment.number], story.cut(segment)
            before = here if segment.parent is None else level[segment.parent]
            hanging = strong if segment.number in story.survived else faint
            hanging.append([(segment.start, before), (segment.start, here), (cut, here)])
            faint.append([(cut, here), (segment.last, here)])
        story.draw_lines(ax, member, strong, faint)
    steps = [step for step in story.path if step.last >= step.first]
    story.draw_lineage(ax, [(at, level[step.segment]) for step in steps for at in (step.first - 1, step.last)])
    if scale.log and scale.words is None:
        ax.set_yscale("log")
    ax.autoscale_view()
    if scale.words is not None:
        ax.set_yticks(range(len(scale.words)), scale.words)
        ax.set_ylim(-0.5, len(scale.words) - 0.5)
    ax.set_ylabel(caption(scale.key))
