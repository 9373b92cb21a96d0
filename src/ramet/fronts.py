"""The results that no other one beats in all objectives at once, and how much room they dominate."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ramet.core.pareto import front, hypervolume
from ramet.core.scores import signed
from ramet.errors import ConfigError

if TYPE_CHECKING:
    from ramet.results import Result


def front_of(results: Sequence[Result], metrics: Mapping[str, str]) -> list[Result]:
    """Return the results that no other one beats, the best of the first metric first."""
    vectors = [_vector(result, metrics) for result in results]
    return [results[at] for at in sorted(front(vectors), key=lambda at: (*(-v for v in vectors[at]), at))]


def volume_of(results: Sequence[Result], metrics: Mapping[str, str], reference: Any) -> float:
    """Return the hypervolume of the results beyond ``reference``.

    Raises:
        ConfigError: the reference has not one finite number for each metric.
    """
    if not isinstance(reference, Mapping) or reference.keys() != metrics.keys():
        raise ConfigError(f"hypervolume(reference={reference!r}) must be a dict with a value for each of {[*metrics]}")
    for name, at in reference.items():
        if isinstance(at, bool) or not isinstance(at, (int, float)) or not math.isfinite(at):
            raise ConfigError(f"hypervolume(reference={{{name!r}: {at!r}}}) must be a finite number")
    corner = [signed(reference[name], mode) for name, mode in metrics.items()]
    return hypervolume([_vector(result, metrics) for result in results], corner)


def asked(verb: str, metrics: Any, recorded: Any) -> Mapping[str, str]:
    """Return the metrics that are compared: those that were asked for, else those of the run.

    Raises:
        ConfigError: they are no such metrics, or none were asked for and the run has no objectives.
    """
    if metrics is None:
        metrics = recorded
    if not metrics:
        raise ConfigError(
            f"{verb}(metrics=None): the run was not after several objectives; give metrics, such as "
            "{'accuracy': 'max', 'size': 'min'}"
        )
    if not isinstance(metrics, Mapping) or any(mode not in ("min", "max") for mode in metrics.values()):
        raise ConfigError(f"{verb}(metrics={metrics!r}) must be a dict from reported metric to 'max' or 'min'")
    return metrics


def _vector(result: Result, metrics: Mapping[str, str]) -> tuple[float, ...]:
    """Return the last report of each metric, larger better; NaN where there is none."""
    values = ((result.value(name, mode, "last"), mode) for name, mode in metrics.items())
    return tuple(math.nan if value is None else signed(value, mode) for value, mode in values)
