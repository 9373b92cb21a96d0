"""What can be trained, brought to one shape: a function of the configuration."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable, Mapping
from typing import Any

import cloudpickle

from ramet.errors import TrainableError
from ramet.resources import check_resources

Function = Callable[[dict[str, Any]], Any]


class Prepared:
    """A training function with what it needs: ``parameters`` bound to it, and the ``resources`` of one member."""

    def __init__(self, function: Function, parameters: Mapping[str, Any], resources: Mapping[str, float] | None) -> None:
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
    check(trainable)
    return trainable if isinstance(trainable, Prepared) else Prepared(trainable, {}, None)


def check(trainable: Any) -> None:
    """Refuse what cannot be a training function.

    Raises:
        TrainableError: it is not callable, is a class, or takes no configuration.
    """
    if isinstance(trainable, Prepared):
        return
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
        name = getattr(trainable, "__name__", repr(trainable))
        raise TrainableError(f"Tuner(trainable={name}) takes no configuration: define it as def {name}(config): …")


def loaded(trainable: Any) -> Function:
    """Return the callable itself, for executors in this process."""
    function: Function = trainable
    return function


def pickled(trainable: Any, *more: Any) -> bytes:
    """Return (trainable, *more) as bytes for a worker; functions of ``__main__`` and of notebooks go by value.

    Raises:
        TrainableError: it cannot be pickled; the message names the culprit.
    """
    try:
        data: bytes = cloudpickle.dumps((trainable, *more), protocol=5)
    except Exception as error:
        name = getattr(trainable, "__name__", repr(trainable))
        culprit = _culprit(trainable) or _culprit(list(more)) or "something in it"
        raise TrainableError(
            f"Tuner(trainable={name}) cannot be sent to a worker: {culprit} cannot be pickled ({type(error).__name__}: "
            f"{error}). Create it inside the function, pass it by with_parameters(), or use "
            "RunConfig(executor='inline')"
        ) from error
    return data


def _culprit(thing: Any, depth: int = 3) -> str | None:
    """Return the name of what in ``thing`` cannot be pickled, looked for among closures, globals and attributes."""
    for name, value in _parts(thing):
        try:
            cloudpickle.dumps(value, protocol=5)
        except Exception:
            inner = _culprit(value, depth - 1) if depth else None
            return f"{name}: {inner}" if inner else f"{name} = {_short(value)}"
    return None


def _parts(thing: Any) -> list[tuple[str, Any]]:
    if isinstance(thing, Prepared):
        return [("the function", thing.function), *((f"parameter {k!r}", v) for k, v in thing.parameters.items())]
    if isinstance(thing, functools.partial):
        return [("the function", thing.func), *((f"argument {v!r}", v) for v in thing.args), *thing.keywords.items()]
    if isinstance(thing, types.MethodType):
        return [(f"its object {type(thing.__self__).__name__}", thing.__self__)]
    if isinstance(thing, types.FunctionType):
        found = inspect.getclosurevars(thing)
        return [
            *((f"variable {k!r}", v) for k, v in found.nonlocals.items()),
            *((f"global {k!r}", v) for k, v in found.globals.items() if not isinstance(v, types.ModuleType)),
        ]
    if isinstance(thing, dict):
        return [(f"[{k!r}]", v) for k, v in thing.items()]
    if isinstance(thing, (list, tuple)):
        return [(f"[{i}]", v) for i, v in enumerate(thing)]
    return [(f"attribute {k!r}", v) for k, v in vars(thing).items()] if hasattr(thing, "__dict__") else []


def _short(value: Any) -> str:
    told = repr(value)
    return told if len(told) < 80 else f"{told[:77]}…"
