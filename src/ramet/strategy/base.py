"""What a strategy is: a pure function of the past, one decision for each member that is ready.

A strategy keeps nothing. It is asked with a `Scene`, which holds the population (its history is the strategy's
memory), the members that are ready, the points they are compared at, and generators that are named for what is drawn.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ramet.core.scene import Decision, Scene
from ramet.errors import ConfigError

if TYPE_CHECKING:
    from ramet.core.population import Member
    from ramet.space import Space

__all__ = ["FIFO", "Decision", "Scene", "Strategy"]


class Strategy:
    """The base of all strategies; itself the simplest one, which never decides anything.

    Args:
        time_attr: the reported or automatic metric that decisions are timed by; it must not fall.
        metric, mode: what is scored, and whether "max" or "min" is good; may be given in `TuneConfig` instead.
        synch: decide when every live member is ready, rather than for each as it becomes ready.

    A subclass overrides `decide`, `interval` or `due`, `replace` if it clones, and `founders` if it has a say in how
    members begin. Give it to `TuneConfig(scheduler=…)`.

    Attributes:
        mutations: what it may change, as in ``hyperparam_mutations``.
        interval: distance of decisions on ``time_attr``; infinity for never.
        burn_in: no decision before this time.
        objectives: further metrics that it looks at, each with "max" or "min": by member they are in
            ``scene.points[member].objectives``, in this order, signed so that larger is better.
        needs_score: whether it decides by a metric, so that a run without one is refused.
    """

    mutations: Mapping[str, Any] = {}
    interval: float = math.inf
    burn_in: float = 0.0
    objectives: Mapping[str, str] = {}
    needs_score: bool = True

    def __init__(
        self,
        time_attr: str = "training_iteration",
        metric: str | None = None,
        mode: str | None = None,
        synch: bool = False,
    ) -> None:
        who = type(self).__name__
        if not isinstance(time_attr, str) or not time_attr:
            raise ConfigError(f"{who}(time_attr={time_attr!r}) must name a metric, such as 'training_iteration'")
        if mode not in (None, "min", "max"):
            raise ConfigError(f"{who}(mode={mode!r}) is neither 'min' nor 'max'")
        if metric is not None and (not isinstance(metric, str) or not metric):
            raise ConfigError(f"{who}(metric={metric!r}) must be the name of a reported metric, a str")
        if synch not in (True, False):
            raise ConfigError(f"{who}(synch={synch!r}) must be True or False")
        self.time_attr, self.metric, self.mode, self.synch = time_attr, metric, mode, bool(synch)

    @property
    def decides(self) -> bool:
        """Whether there is anything to decide; else members train to their end undisturbed."""
        return math.isfinite(self.interval)

    def due(self, member: Member) -> float:
        """Return the time (on ``time_attr``) from which ``member``'s next checkpointed report brings a decision."""
        return max(member.since + self.interval, self.burn_in)

    def founders(self, configs: Sequence[Mapping[str, Any]], space: Space, seed: int) -> list[Mapping[str, Any]]:
        """Return the configurations that members begin with; ``configs`` were drawn from ``param_space``.

        Called before any work starts, and once more with all of them if members are added to a run.

        Raises:
            ConfigError: the strategy cannot work with such members.
        """
        del space, seed
        return list(configs)

    def decide(self, scene: Scene) -> list[Decision]:
        """Return one decision for each of ``scene.ready``."""
        return [Decision(member, "continue", "nothing is ever decided") for member in scene.ready]

    def replace(self, scene: Scene, member: int) -> Decision | None:
        """Return the decision that gives the failed ``member`` a strong one's clone; None if there is none to clone.

        Asked with every decision where ``FailureConfig(exhausted="replace")`` wants it. A strategy that does not
        override it cannot replace anybody.
        """
        del scene, member
        return None

    def describe(self) -> dict[str, Any]:
        """Return the strategy's name and settings as plain data, for the record."""
        plain = {k: v for k, v in vars(self).items() if isinstance(v, (str, int, float, bool, type(None)))}
        more = {"objectives": dict(self.objectives)} if self.objectives else {}
        return {"name": type(self).__name__, **plain, **more}


class FIFO(Strategy):
    """No population based training: every member trains from start to end under the configuration it was given.

    It makes a run a plain grid or random search, which is the honest baseline of any strategy.

    >>> FIFO().decides
    False
    """
