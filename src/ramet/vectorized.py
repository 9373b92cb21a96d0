"""`VectorTrainable`: what a user writes for one member, and Ramet maps over the population."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from ramet.errors import ConfigError, TrainableError

if TYPE_CHECKING:
    from ramet.replaying import Replayed
    from ramet.results import Result

Framework = Literal["jax", "torch"]


class VectorTrainable:
    """A model's training as pure functions of one member, to be run for a whole population as one program.

    Args:
        init: ``init(key, hparams) -> state``: a new member. ``state`` is a pytree of arrays (nested dicts, lists, named
            tuples), whose shapes are the same for all members.
        step: ``step(state, hparams, key) -> (state, metrics)``: one step of training. ``metrics`` is a dict of numbers.
        evaluate: ``evaluate(state, hparams, key) -> metrics``: called at every report, for metrics that would cost too
            much at every step.
        steps_per_report: how many steps make up one report, at least 1. A report's metrics are the means over its
            steps, and those of ``evaluate``. One iteration (``training_iteration``, ``perturbation_interval``) is one
            report: a population of 1,000 that reports at every step of a microsecond writes more than it trains.
        weights: which parts of the state are the model's weights, by name: ``"params"``, or several; nested ones as
            ``"model/encoder"``. Strategies that shrink and perturb mix these with newly initialised ones, and need it.
        batched: whether the functions have the population's axis themselves: then keys, hyperparameters, state and
            metrics have it as their first one, and nothing is mapped.
        framework: ``"jax"`` or ``"torch"``; the functions are pure functions of that framework's arrays.

    ``key`` is what random numbers are drawn by (a key of `jax.random`; for torch, see
    `ramet.integrations.torch_random`). It depends on the run's seed, the member's segment and the step alone. So what
    comes out does not depend on how many members are trained together, on how many devices, or on what was killed on
    the way, but for the order in which floats are added up.

    ``hparams`` is the member's configuration. Where a value differs between members, or is mutated, it is an array
    without axes (float32, int32 or bool), for the program is compiled once for all of them; it can be calculated with,
    and no ``if`` can look at it. Everything else is what stood in ``param_space``: a width, a name, a data set.

    Give it to `ramet.Tuner` as it is. By default it runs in a `ramet.VectorExecutor`; on any other executor each member
    is a program of its own, with the same results.

    Raises:
        TrainableError: ``init``, ``step`` or ``evaluate`` is no function.
        ConfigError: ``steps_per_report`` or ``framework`` is none.

    >>> import ramet
    >>> def init(key, hparams):
    ...     return 0.0
    >>> def step(state, hparams, key):
    ...     return state + hparams["lr"], {"score": state + hparams["lr"]}
    >>> ramet.VectorTrainable(init, step, steps_per_report=10)
    VectorTrainable(init, step, steps_per_report=10)
    """

    def __init__(
        self,
        init: Callable[..., Any],
        step: Callable[..., Any],
        evaluate: Callable[..., Any] | None = None,
        *,
        steps_per_report: int = 1,
        weights: str | Sequence[str] = (),
        batched: bool = False,
        framework: Framework = "jax",
    ) -> None:
        for name, given in (("init", init), ("step", step), ("evaluate", evaluate)):
            if not callable(given) and not (name == "evaluate" and given is None):
                raise TrainableError(f"VectorTrainable({name}={given!r:.80}) must be a function of one member")
        if isinstance(steps_per_report, bool) or not isinstance(steps_per_report, int) or steps_per_report < 1:
            raise ConfigError(f"VectorTrainable(steps_per_report={steps_per_report!r}) must be a whole number above 0")
        if framework not in ("jax", "torch"):
            raise ConfigError(f"VectorTrainable(framework={framework!r}) must be 'jax' or 'torch'")
        self.init, self.step, self.evaluate = init, step, evaluate
        self.steps_per_report, self.batched, self.framework = steps_per_report, batched, framework
        self.weights = (weights,) if isinstance(weights, str) else tuple(weights)
        self.__name__ = getattr(step, "__name__", type(step).__name__)

    def __repr__(self) -> str:
        names = [getattr(part, "__name__", "…") for part in (self.init, self.step, self.evaluate) if part is not None]
        return f"VectorTrainable({', '.join(names)}, steps_per_report={self.steps_per_report})"

    def load(self, result: Result) -> Any:
        """Return the state of the model that ``result`` holds, of the kind that ``init`` returns.

        ``result.checkpoint.to_dict()`` gives the same as numpy arrays by name, without the framework.

        Raises:
            CheckpointError: there is none, or it was made by other functions.
        """
        from ramet.replaying import load

        return load(self, result)

    def replay(self, result: Result) -> Replayed:
        """Train the model that ``result`` holds again, alone, from its founder on, along its lineage.

        Each stretch is trained under its own hyperparameters and draws the numbers that it drew then. So ``metrics`` of
        what is returned, those of the last report, and ``state`` are those of the run, but for the rounding of floats:
        one row alone is not added up in the same order as one of many.

        Raises:
            ConfigError: the model began in another run (`Tuner.branch`).
        """
        from ramet.replaying import replay

        return replay(self, result)

    def __call__(self, config: dict[str, Any]) -> None:
        """Train one member alone: what other executors call."""
        from ramet.executor.vector.alone import train

        train(self, config)
