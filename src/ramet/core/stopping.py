"""Stop rules as data.

A *member rule* judges one member's rows and travels with the lease, so the worker applies it to the very row that meets
it, without asking. It is a value with two pure functions, ``start()`` and ``step(state, row)``; its state is plain,
kept with every checkpoint, so that a restart goes on counting where the checkpoint was.

A *run rule* (`Stopper`) judges rows of all members and lives with the controller; a run that has one asks after every
report. `TimeoutStopper` needs no rows, only the clock that the controller reads.

Names and arguments are those of Ray Tune's stoppers, which scripts use.
"""

from __future__ import annotations

import inspect
import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from ramet.errors import ConfigError

Row = Mapping[str, Any]


@runtime_checkable
class MemberRule(Protocol):
    """What a rule that a worker can apply alone looks like."""

    def start(self) -> Any:
        """Return the state before the first row: plain data, None where the rule remembers nothing."""

    def step(self, state: Any, row: Row) -> tuple[Any, str | None]:
        """Return the state after ``row``, and why the member stops, or None where it goes on."""


class Stopper:
    """A run rule: subclass it to judge every report of every member.

    Override `__call__` to stop one member and `stop_all` to end the run. With such a rule workers wait for an answer
    after every report, so prefer a dict, a function or a built-in stopper where one will do.

    >>> class Enough(Stopper):
    ...     def __call__(self, trial_id, result):
    ...         return result["loss"] < 0.1
    """

    def __call__(self, trial_id: str, result: Row) -> bool:
        """Return whether the member ``trial_id`` stops after the report ``result``."""
        raise NotImplementedError(f"{type(self).__name__} must define __call__(trial_id, result)")

    def begin(self) -> None:
        """A run begins: forget what an earlier one left."""

    def stop_all(self) -> bool:
        """Return whether the whole run ends now; asked after each report."""
        return False


@dataclass(frozen=True, slots=True)
class Threshold:
    """Stop once ``metric >= value``, whatever ``mode`` is, as in Ray Tune. True counts as 1."""

    metric: str
    value: float

    def start(self) -> None:
        """Nothing to remember."""

    def step(self, state: None, row: Row) -> tuple[None, str | None]:
        """Compare; a row without the metric does not stop."""
        value = row.get(self.metric)
        return state, self.reason if isinstance(value, (int, float)) and value >= self.value else None

    @property
    def reason(self) -> str:
        """What is said of a member that this stopped."""
        return self.metric if self.value is True else f"{self.metric} >= {self.value}"


class MaximumIterationStopper(Threshold):
    """Stop a member after ``max_iter`` reports of its own, counted over exploits and never rewound by them.

    Differs from ``stop={"training_iteration": n}``, which looks at the model's iteration: a clone continues from its
    donor's.
    """

    def __init__(self, max_iter: int) -> None:
        _positive("MaximumIterationStopper", "max_iter", max_iter)
        super().__init__("compute_iterations", max_iter)


@dataclass(frozen=True, slots=True)
class FunctionStopper:
    """Stop a member once ``function(trial_id, result)`` is true. The function is called in the worker: it may look
    at its arguments, but what it remembers is not kept.
    """

    function: Callable[[str, Row], bool]

    def __post_init__(self) -> None:
        if not callable(self.function):
            raise ConfigError(
                f"FunctionStopper(function={self.function!r}) is not callable: give function(trial_id, result)"
            )
        try:
            inspect.signature(self.function).bind("", {})
        except TypeError as error:
            raise ConfigError(
                f"RunConfig(stop={self.function!r}) cannot be called with (trial_id, result): {error}"
            ) from error
        except ValueError:  # some built-ins do not tell their signature
            return

    def start(self) -> None:
        """Nothing to remember."""

    def step(self, state: None, row: Row) -> tuple[None, str | None]:
        """Ask the function."""
        stop = self.function(row["trial_id"], row)
        return state, f"{getattr(self.function, '__name__', 'stop function')} said so" if stop else None


@dataclass(frozen=True, slots=True)
class TrialPlateauStopper:
    """Stop a member whose last ``num_results`` values of ``metric`` have a standard deviation of at most ``std``.

    Args:
        metric: the reported metric to watch.
        std: largest standard deviation (of these values as a whole) that counts as a plateau; at least 0.
        num_results: how many of the latest values are looked at; at least 1.
        grace_period: reports before the first look; at least 0.
        metric_threshold: with it, only a plateau that has reached this value counts: at most it for ``mode="min"``,
            at least it for ``mode="max"``.
        mode: "min" or "max", needed with ``metric_threshold``.
    """

    metric: str
    std: float = 0.01
    num_results: int = 4
    grace_period: int = 4
    metric_threshold: float | None = None
    mode: str | None = None

    def __post_init__(self) -> None:
        who = "TrialPlateauStopper"
        _name(who, self.metric)
        _at_least(who, "std", self.std, 0)
        _at_least(who, "num_results", self.num_results, 1, whole=True)
        _at_least(who, "grace_period", self.grace_period, 0, whole=True)
        if self.metric_threshold is not None and self.mode not in ("min", "max"):
            raise ConfigError(
                f"TrialPlateauStopper(mode={self.mode!r}) does not say on which side of metric_threshold="
                f"{self.metric_threshold} a plateau counts: give mode='min' or mode='max'"
            )

    def start(self) -> tuple[int, tuple[float, ...]]:
        """Return (reports seen, latest values)."""
        return 0, ()

    def step(self, state: Any, row: Row) -> tuple[Any, str | None]:
        """Take in one value and look at the window."""
        value = row.get(self.metric)
        if not isinstance(value, (int, float)):
            return state, None
        seen, window = int(state[0]) + 1, (*state[1], float(value))[-self.num_results :]
        state = (seen, window)
        if self.metric_threshold is not None:
            reached = value <= self.metric_threshold if self.mode == "min" else value >= self.metric_threshold
            if not reached:
                return state, None
        if seen < max(self.grace_period, 1) or len(window) < self.num_results:
            return state, None
        return state, f"{self.metric} on a plateau" if _spread(window) <= self.std else None


class ExperimentPlateauStopper(Stopper):
    """End the run once the ``top`` best values of ``metric`` agree within ``std``, ``patience`` reports long.

    Args:
        metric: the reported metric to watch.
        std: largest standard deviation among the best values that counts as a plateau.
        top: how many best values are looked at; at least 2.
        mode: "min" or "max", which values are best.
        patience: consecutive reports for which the plateau must last; 0 is as good as 1.
    """

    def __init__(self, metric: str, std: float = 0.001, top: int = 10, mode: str = "min", patience: int = 0) -> None:
        if mode not in ("min", "max"):
            raise ConfigError(f"ExperimentPlateauStopper(mode={mode!r}) is neither 'min' nor 'max'")
        who = "ExperimentPlateauStopper"
        _name(who, metric)
        _at_least(who, "top", top, 2, whole=True)
        _at_least(who, "std", std, 0)
        _at_least(who, "patience", patience, 0, whole=True)
        self.metric, self.std, self.top, self.mode, self.patience = metric, std, top, mode, patience
        self.begin()

    def begin(self) -> None:
        """Forget all values."""
        self._best: list[float] = []
        self._lasting = 0

    def __call__(self, trial_id: str, result: Row) -> bool:
        """Take in one value; stops everyone or no one."""
        del trial_id
        value = result.get(self.metric)
        if isinstance(value, (int, float)) and math.isfinite(value):
            self._best = sorted([*self._best, float(value)], reverse=self.mode == "max")[: self.top]
            flat = len(self._best) == self.top and _spread(self._best) <= self.std
            self._lasting = self._lasting + 1 if flat else 0
        return self.stop_all()

    def stop_all(self) -> bool:
        """Return whether the plateau has lasted."""
        return self._lasting >= max(self.patience, 1)


@dataclass(frozen=True, slots=True)
class TimeoutStopper:
    """End the run ``timeout`` seconds after it began (a number, or a `datetime.timedelta`)."""

    timeout: Any

    def __post_init__(self) -> None:
        timeout = self.timeout
        seconds = timeout.total_seconds() if hasattr(timeout, "total_seconds") else timeout
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not seconds > 0:
            raise ConfigError(f"TimeoutStopper(timeout={timeout!r}) must be seconds above 0, or a datetime.timedelta")

    @property
    def seconds(self) -> float:
        """The budget in seconds."""
        return float(self.timeout.total_seconds() if hasattr(self.timeout, "total_seconds") else self.timeout)


class CombinedStopper:
    """Stop when any of ``stoppers`` says so."""

    def __init__(self, *stoppers: Any) -> None:
        self.stoppers = stoppers


@dataclass(frozen=True, slots=True)
class StopRules:
    """All that can stop a member or the run, sorted by who can judge it."""

    member: tuple[MemberRule, ...] = ()
    run: tuple[Stopper, ...] = ()
    seconds: float = math.inf


def stop_rules(stop: Any, time_budget_s: float | None = None) -> StopRules:
    """Sort what the user gave as ``stop`` into rules.

    Args:
        stop: None, a dict {metric: value} (stop at ``>= value``), a function of (trial_id, result), a stopper, or a
            list of these; any one of them stops.
        time_budget_s: seconds for the whole run, None for no limit.

    Raises:
        ConfigError: something else was given.

    >>> stop_rules({"accuracy": 0.9}).member
    (Threshold(metric='accuracy', value=0.9),)
    """
    member: list[MemberRule] = []
    run: list[Stopper] = []
    seconds = math.inf if time_budget_s is None else float(time_budget_s)

    def add(one: Any) -> None:
        nonlocal seconds
        if one is None:
            return
        if inspect.isclass(one):
            raise ConfigError(f"RunConfig(stop={one.__name__}) is a class: give an object of it, {one.__name__}(…)")
        if isinstance(one, Mapping):
            member.extend(_thresholds(one))
        elif isinstance(one, (list, tuple)):
            for each in one:
                add(each)
        elif isinstance(one, CombinedStopper):
            add(one.stoppers)
        elif isinstance(one, TimeoutStopper):
            seconds = min(seconds, one.seconds)
        elif isinstance(one, Stopper) or (callable(one) and hasattr(one, "stop_all")):
            if type(one).__call__ is Stopper.__call__:
                raise ConfigError(
                    f"RunConfig(stop={one!r}) judges nothing: a Stopper must define __call__(trial_id, result)"
                )
            run.append(one)
        elif isinstance(one, MemberRule):
            member.append(one)
        elif callable(one):
            member.append(FunctionStopper(one))
        else:
            raise ConfigError(
                f"RunConfig(stop={one!r}) is a {type(one).__name__}: give a dict {{metric: value}}, a function of "
                "(trial_id, result), a stopper, or a list of these"
            )

    add(stop)
    return StopRules(tuple(member), tuple(run), seconds)


def _thresholds(stop: Mapping[Any, Any]) -> list[MemberRule]:
    rules: list[MemberRule] = []
    for metric, value in stop.items():
        if not isinstance(metric, str):
            raise ConfigError(
                f"RunConfig(stop={{{metric!r}: …}}): a metric's name is a str, not {type(metric).__name__}"
            )
        if isinstance(value, Mapping):  # nested metrics may be named nested or flat
            rules.extend(_thresholds({f"{metric}/{key}": inner for key, inner in value.items()}))
            continue
        try:
            number = float(value) if hasattr(value, "__float__") else math.nan
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if math.isnan(number):
            raise ConfigError(
                f"RunConfig(stop={{{metric!r}: {value!r}}}): give the number that ends training once reached"
            )
        rules.append(Threshold(metric, value if isinstance(value, (int, float)) else number))
    return rules


def _positive(who: str, name: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise ConfigError(f"{who}({name}={value!r}) must be a number above 0")


def _at_least(who: str, name: str, value: Any, least: int, *, whole: bool = False) -> None:
    try:
        fine = not isinstance(value, bool) and (operator.index(value) if whole else value) >= least
    except TypeError:
        fine = False
    if not fine:
        raise ConfigError(f"{who}({name}={value!r}) must be a {'whole ' if whole else ''}number of at least {least}")


def _name(who: str, metric: Any) -> None:
    if not isinstance(metric, str) or not metric:
        raise ConfigError(f"{who}(metric={metric!r}) must be the name of a reported metric")


def _spread(values: Sequence[float]) -> float:
    """Return the standard deviation of ``values`` as a whole; NaN, which is no plateau, if one is not finite."""
    if not all(map(math.isfinite, values)):
        return math.nan
    if min(values) == max(values):  # exactly, for a mean may be rounded
        return 0.0
    mean = math.fsum(value / len(values) for value in values)
    return math.hypot(*(value - mean for value in values)) / math.sqrt(len(values))
