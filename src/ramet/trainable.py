"""What can be trained, brought to one shape: a function of the configuration."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from ramet.errors import TrainableError
from ramet.resources import check_resources

Function = Callable[[dict[str, Any]], Any]


class Prepared:
    """A training function with what it needs: ``parameters`` bound to it, and the ``resources`` of one member."""

    def __init__(
        self, function: Function, parameters: Mapping[str, Any], resources: Mapping[str, float] | None
    ) -> None:
        self.function, self.parameters, self.resources = function, dict(parameters), resources
        self.__name__ = getattr(function, "__name__", type(function).__name__)

    def __call__(self, config: dict[str, Any]) -> Any:
        """Call the function with its parameters."""
        return self.function(config, **self.parameters)


def with_resources(trainable: Any, resources: Mapping[str, float]) -> Prepared:
    """Return ``trainable`` with what one member of it needs.

    Args:
        trainable: a training function.
        resources: ``{"cpu": 1, "gpu": 0.5}``; a fraction of a GPU lets that many members share one, whole numbers give
            a member so many of its own. Capacity over this is the number of members that train at once.

    Raises:
        ConfigError: a resource that this machine has no notion of, or an amount that is no number.

    >>> with_resources(lambda config: None, {"cpu": 2}).resources
    {'cpu': 2.0}
    """
    known = _prepared(trainable)
    return Prepared(known.function, known.parameters, check_resources(resources))


def with_parameters(trainable: Any, **parameters: Any) -> Prepared:
    """Return ``trainable`` with large objects bound to it, which are sent to each worker once and not with each start.

    >>> with_parameters(lambda config, data: len(data), data=[1, 2, 3])({})
    3
    """
    known = _prepared(trainable)
    return Prepared(known.function, {**known.parameters, **parameters}, known.resources)


def _prepared(trainable: Any) -> Prepared:
    if isinstance(trainable, Prepared):
        return trainable
    _check_kind(trainable)
    return Prepared(trainable, {}, None)


def check(trainable: Any) -> None:
    """Refuse what cannot be a training function.

    Raises:
        TrainableError: it is not callable, is a class, takes no configuration, or needs more than that and the
            parameters bound to it.
    """
    prepared = _prepared(trainable)
    function, parameters = prepared.function, prepared.parameters
    try:
        inspect.signature(function).bind({}, **parameters)
    except TypeError as error:
        call = ", ".join(["config", *(f"{name}=…" for name in parameters)])
        raise TrainableError(
            f"Tuner(trainable={prepared.__name__}) cannot be called as {prepared.__name__}({call}): {error}. What it "
            "takes besides the configuration is bound by with_parameters()"
        ) from error
    except ValueError:  # some built-ins do not tell their signature
        return


def _check_kind(trainable: Any) -> None:
    if inspect.isclass(trainable):
        raise TrainableError(
            f"Tuner(trainable={trainable.__name__}) is a class; give a function of the configuration, such as "
            "def train(config): … report(…)"
        )
    if not callable(trainable):
        raise TrainableError(
            f"Tuner(trainable={trainable!r}) is a {type(trainable).__name__}, not a function of the configuration"
        )
    try:
        parameters = inspect.signature(trainable).parameters.values()
    except (TypeError, ValueError):
        return
    if not any(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD, p.VAR_POSITIONAL) for p in parameters):
        name = getattr(trainable, "__name__", None) or short(trainable)
        raise TrainableError(f"Tuner(trainable={name}) takes no configuration: define it as def train(config): …")


def loaded(trainable: Any) -> Function:
    """Return the callable itself, for executors in this process."""
    function: Function = trainable
    return function


def name_of(trainable: Any) -> str:
    """Return what a run of ``trainable`` is called."""
    name = getattr(trainable, "__name__", type(trainable).__name__)
    return "lambda" if name == "<lambda>" else name


def short(value: Any) -> str:
    """Return ``value`` as messages show it."""
    told = repr(value)
    return told if len(told) < 80 else f"{told[:77]}…"
