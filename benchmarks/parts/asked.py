"""What is asked of every part, and what a part says when it cannot do its work."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Asked:
    """How much is to be measured, and against whom.

    Args:
        repeats: how often a style is timed, at least 1; long ones are timed less often.
        rival_repeats: the same for the rivals, which are slow.
        ray, syne: interpreters that have Ray Tune and Syne Tune; None if there is none.
        quick: sizes so small that the figures say nothing, to see that everything runs.
        only: which sections of the part are measured, where it has any; all of them by default.
    """

    repeats: int = 7
    rival_repeats: int = 2
    ray: str | None = None
    syne: str | None = None
    quick: bool = False
    only: tuple[str, ...] = ()

    def size(self, usual: int, quick: int) -> int:
        """Return ``usual``, or ``quick`` where nothing but running is asked for."""
        return quick if self.quick else usual

    def fewer(self, most: int) -> int:
        """Return the repeats of something that takes long."""
        return min(self.repeats, most)


@dataclass(frozen=True)
class Skipped:
    """What was not measured in a ``part``, and why."""

    part: str
    what: str
    why: str
