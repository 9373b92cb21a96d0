"""Training one model under a schedule that a population has found."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ramet.errors import ConfigError
from ramet.space import Path, Space, copied, get, leaves, with_values
from ramet.strategy.arguments import paths
from ramet.strategy.base import Decision, Scene, Strategy

if TYPE_CHECKING:
    from ramet.core.population import Member


class ScheduleReplay(Strategy):
    """Every member trains under ``schedule``, whose hyperparameters change at exactly the recorded iterations.

    What a population has found is tried on another seed, on more data or on a larger model: with ``num_samples=5`` on
    five of them. The members begin with the schedule's first hyperparameters, and keep its last ones to the end.

    Args:
        schedule: ``result.schedule``, `Schedule.load` of a run's folder or of a file, or pairs of (from this iteration
            on, hyperparameters), the first from iteration 1 on.
        private: keys (``"seed"``, ``"data"``) that stay as ``param_space`` says; all others come from the schedule, and
            keys that it lacks from ``param_space``.

    Hyperparameters change at the report with a checkpoint at or past the boundary: ask `should_checkpoint`, or save at
    every report, and they change exactly there. What comes late says so in the summary.

    Raises:
        ConfigError: there is no schedule, or its steps do not begin at 1 and rise.

    >>> replay = ScheduleReplay([(1, {"lr": 0.1}), (6, {"lr": 0.05})])
    >>> replay.at(5), replay.at(6), replay.at(100)
    ({'lr': 0.1}, {'lr': 0.05}, {'lr': 0.05})

    Source: Li et al. (2019), "A Generalized Framework for Population Based Training", section 3.4 (training replay);
    Ho et al. (2019), "Population Based Augmentation". Weights are not replayed: where a strategy mixed them with new
    ones (`IteratedPBT`), the replay does not.
    """

    needs_score = False

    def __init__(self, schedule: Sequence[Any], private: Sequence[str] = ()) -> None:
        super().__init__("training_iteration")
        if isinstance(schedule, (str, Mapping)) or not isinstance(schedule, Sequence) or not len(schedule):
            raise ConfigError(
                f"ScheduleReplay(schedule={schedule!r}) is no schedule: give result.schedule, Schedule.load(path) for "
                "a run's folder or a file, or pairs of (iteration, hyperparameters)"
            )
        steps = [_step(step) for step in schedule]
        self.firsts = [first for first, _ in steps]
        if self.firsts[0] != 1 or self.firsts != sorted(set(self.firsts)):
            raise ConfigError(
                f"ScheduleReplay(schedule=…) has steps from the iterations {self.firsts} on: the first must be 1, and "
                "each later than the one before"
            )
        self.steps = [hparams for _, hparams in steps]
        self.private: tuple[Path, ...] = paths("private", private)
        self.interval = float(self.firsts[1] - 1) if len(steps) > 1 else math.inf

    def at(self, iteration: int) -> Mapping[str, Any]:
        """Return the hyperparameters for ``iteration``, from 1."""
        return self.steps[bisect_right(self.firsts, iteration) - 1]

    def due(self, member: Member) -> float:
        """Return the last iteration under ``member``'s present hyperparameters."""
        later = bisect_right(self.firsts, member.since + 1)
        return self.firsts[later] - 1 if later < len(self.firsts) else math.inf

    def founders(self, configs: Sequence[Mapping[str, Any]], space: Space, seed: int) -> list[Mapping[str, Any]]:
        """Return ``configs`` under the schedule's first hyperparameters."""
        del space, seed
        return [self._under(config, 1) for config in configs]

    def decide(self, scene: Scene) -> list[Decision]:
        """Return the change to what the schedule says for the next iteration."""
        decisions = []
        for member in scene.ready:
            point, own = scene.points[member], scene.population.hparams(member)
            hparams = self._under(own, point.iteration + 1)
            late = point.iteration + 1 - self.firsts[bisect_right(self.firsts, point.iteration + 1) - 1]
            reason = "as the schedule says" if not late else "late, for no report came with a checkpoint in time"
            info = {"late": late} if late else {}
            decisions.append(Decision(member, "explore", reason, point.checkpoint, hparams, info))
        return decisions

    def _under(self, config: Mapping[str, Any], iteration: int) -> Mapping[str, Any]:
        own = {path: value for path in self.private if (value := get(config, path, _ABSENT)) is not _ABSENT}
        return with_values(with_values(config, dict(leaves(self.at(iteration)))), own)

    def describe(self) -> dict[str, Any]:
        """Return the schedule as plain data, for the record."""
        steps = [[first, copied(hparams)] for first, hparams in zip(self.firsts, self.steps, strict=True)]
        return {**super().describe(), "schedule": steps, "private": ["/".join(path) for path in self.private]}


_ABSENT: Any = object()


def _step(step: Any) -> tuple[int, Mapping[str, Any]]:
    first, hparams = (step.first, step.hparams) if hasattr(step, "hparams") else (None, None)
    if hparams is None and isinstance(step, Sequence) and len(step) == 2:
        first, hparams = step
    if isinstance(first, bool) or not isinstance(first, int) or not isinstance(hparams, Mapping):
        raise ConfigError(f"ScheduleReplay(schedule=…) holds {step!r}: a step is (iteration, hyperparameters)")
    return first, dict(hparams)
