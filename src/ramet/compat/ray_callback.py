"""Ray Tune's callbacks on top of Ramet's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import ramet.callbacks
from ramet.core.population import Population
from ramet.errors import ConfigError

HOOKS = ("setup", "on_trial_result", "on_trial_complete", "on_trial_error", "on_experiment_end")


class Trial:
    """A member, as callbacks see it: ``trial_id``, ``config`` in force, ``status``, ``last_result``."""

    def __init__(self, member: int, config: Mapping[str, Any]) -> None:
        self.trial_id = f"{member:05d}"
        self.config = dict(config)
        self.status = "RUNNING"
        self.last_result: dict[str, Any] = {}

    def __str__(self) -> str:
        return self.trial_id


class Callback(ramet.callbacks.Callback):
    """Subclass it as in Ray; the hooks that are called are those of `HOOKS`, and `ramet.Callback`'s own.

    Another one of Ray's hooks is refused when the class is defined, for it would never be called.
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        known = {*HOOKS, *vars(ramet.callbacks.Callback)}
        lost = [name for name in dir(cls) if name.startswith("on_") and name not in known]
        if lost:
            raise ConfigError(
                f"{cls.__name__}.{lost[0]} would never be called: Ramet's stand-in for Ray Tune calls "
                f"{', '.join(HOOKS)}, and the hooks of ramet.Callback, such as on_exploit"
            )

    def setup(
        self, stop: Any = None, num_samples: int | None = None, total_num_samples: int | None = None, **info: Any
    ) -> None:
        """The run begins, with ``total_num_samples`` trials."""

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """``trial`` reported ``result``; ``iteration`` counts the reports of the run."""

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """``trial`` is done."""

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """``trial`` failed for good."""

    def on_experiment_end(self, trials: list[Trial], **info: Any) -> None:
        """The run is over."""

    # ------------------------------------------------------------------ how Ramet's hooks come to be Ray's

    # Set by the first hook, not in __init__, which a subclass may well not call.
    _trials: Sequence[Trial] = ()
    _reports = 0

    def on_run_start(self, path: str, population: Population) -> None:
        """See `ramet.Callback`."""
        del path
        # What is in force is followed here: at a hook of an earlier report the population is further on already.
        self._trials = [Trial(member.number, population.hparams(member.number)) for member in population.members]
        self._reports = 0
        self.setup(stop=None, num_samples=None, total_num_samples=len(self._trials))

    def on_report(self, member: int, iteration: int, metrics: Mapping[str, Any]) -> None:
        """See `ramet.Callback`."""
        trial = self._trials[member]
        self._reports += 1
        automatic = {"training_iteration": iteration, "trial_id": trial.trial_id, "config": trial.config}
        trial.last_result = {**metrics, **automatic}
        self.on_trial_result(iteration=self._reports, trials=list(self._trials), trial=trial, result=trial.last_result)

    def on_exploit(self, member: int, donor: int, hparams: Mapping[str, Any], iteration: int) -> None:
        """See `ramet.Callback`; call this with ``super()`` where you override it."""
        del donor, iteration
        self._trials[member].config = dict(hparams)

    def on_member_failed(self, member: int, error: str, final: bool) -> None:
        """See `ramet.Callback`."""
        del error
        if final:
            trial = self._trials[member]
            trial.status = "ERROR"
            self.on_trial_error(iteration=self._reports, trials=list(self._trials), trial=trial)

    def on_member_finished(self, member: int, reason: str) -> None:
        """See `ramet.Callback`."""
        del reason
        trial = self._trials[member]
        trial.status = "TERMINATED"
        self.on_trial_complete(iteration=self._reports, trials=list(self._trials), trial=trial)

    def on_run_end(self, reason: str, population: Population) -> None:
        """See `ramet.Callback`."""
        del reason, population
        self.on_experiment_end(trials=list(self._trials))
