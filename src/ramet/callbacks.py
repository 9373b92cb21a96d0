"""Hooks into a run, called after what they tell of is durable."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ramet.core.population import Population


class Callback:
    """Subclass it, override what you need, and give it to ``RunConfig(callbacks=[…])``.

    Every hook is called in the controller, after the commit. An exception in one is recorded in the run, shown once,
    and the callback is dropped: it never harms the run.

    >>> class Announce(Callback):
    ...     def on_exploit(self, member, donor, hparams, iteration, **more):
    ...         print(f"member {member} is a clone of {donor} now")
    """

    def on_run_start(self, path: str, population: Population) -> None:
        """The run has been set up, or taken up again, in the folder ``path``."""

    def on_report(self, member: int, iteration: int, metrics: Mapping[str, Any]) -> None:
        """``member`` reported ``metrics``; called for each report, in order, at the latest at the next boundary."""

    def on_checkpoint(self, member: int, segment: int, iteration: int, score: float) -> None:
        """A checkpoint of ``member`` is durable; ``score`` is signed so that larger is better."""

    def on_exploit(self, member: int, donor: int, hparams: Mapping[str, Any], iteration: int) -> None:
        """``member`` became a clone of ``donor`` as of the donor's ``iteration``, and trains under ``hparams``."""

    def on_member_failed(self, member: int, error: str, final: bool) -> None:
        """``member`` failed with the traceback ``error``; unless ``final`` it starts again from its checkpoint."""

    def on_member_finished(self, member: int, reason: str) -> None:
        """``member`` is done."""

    def on_run_end(self, reason: str, population: Population) -> None:
        """The run is over."""
