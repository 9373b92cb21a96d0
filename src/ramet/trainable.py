"""What can be trained, brought to one shape: a function of the configuration."""

from __future__ import annotations

import contextlib
import functools
import inspect
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import cloudpickle

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
        name = getattr(trainable, "__name__", None) or _short(trainable)
        raise TrainableError(f"Tuner(trainable={name}) takes no configuration: define it as def train(config): …")


def loaded(trainable: Any) -> Function:
    """Return the callable itself, for executors in this process."""
    function: Function = trainable
    return function


def pickled(trainable: Any, rules: Sequence[Any] = ()) -> bytes:
    """Return (trainable, rules) as bytes for a worker; functions of ``__main__`` and of notebooks go by value.

    Args:
        trainable: the training function.
        rules: stop rules that the worker applies; they may hold functions of the user's.

    Raises:
        TrainableError: it cannot be pickled; the message names the culprit.
    """
    try:
        data: bytes = cloudpickle.dumps((trainable, tuple(rules)), protocol=5)
    except Exception as error:
        name = getattr(trainable, "__name__", None) or _short(trainable)
        who, culprit = f"Tuner(trainable={name})", _culprit(trainable)
        if culprit is None and (culprit := _culprit(list(rules))):
            who = "RunConfig(stop=…)"
        raise TrainableError(
            f"{who} cannot be sent to a worker: {culprit or 'something in it'} cannot be pickled "
            f"({type(error).__name__}: {error}). Create it inside the function, or use RunConfig(executor='inline')"
        ) from error
    return data


def _culprit(thing: Any, depth: int = 5) -> str | None:
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
        return [("the function", thing.function), *_named("parameter", thing.parameters)]
    if isinstance(thing, functools.partial):
        arguments = [(f"argument {v!r}", v) for v in thing.args]
        return [("the function", thing.func), *arguments, *_named("argument", thing.keywords)]
    if isinstance(thing, types.MethodType):
        return [(f"its object {type(thing.__self__).__name__}", thing.__self__)]
    if isinstance(thing, types.FunctionType):
        return _parts_of_function(thing)
    if inspect.isclass(thing):
        own = {k: v for k, v in vars(thing).items() if not k.startswith("__") or isinstance(v, types.FunctionType)}
        return _named("attribute", own)
    if isinstance(thing, dict):
        return [(f"[{k!r}]", v) for k, v in thing.items()]
    if isinstance(thing, (list, tuple)):
        return [(f"[{i}]", v) for i, v in enumerate(thing)]
    slots = [name for kind in type(thing).__mro__ for name in getattr(kind, "__slots__", ()) if hasattr(thing, name)]
    attributes = {**{name: getattr(thing, name) for name in slots}, **getattr(thing, "__dict__", {})}
    return [*_named("attribute", attributes), (f"its class {type(thing).__name__}", type(thing))]


def _named(what: str, values: Mapping[str, Any]) -> list[tuple[str, Any]]:
    return [(f"{what} {name!r}", value) for name, value in values.items()]


def _parts_of_function(function: types.FunctionType) -> list[tuple[str, Any]]:
    code = function.__code__
    found: list[tuple[str, Any]] = []
    for name, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        with contextlib.suppress(ValueError):  # a variable that has no value yet
            found.append((f"variable {name!r}", cell.cell_contents))
    defaults = function.__defaults__ or ()
    given = zip(code.co_varnames[code.co_argcount - len(defaults) : code.co_argcount], defaults, strict=True)
    found += _named("default", {**dict(given), **(function.__kwdefaults__ or {})})
    used = {name: function.__globals__[name] for name in _names(code) if name in function.__globals__}
    return found + _named("global", {k: v for k, v in used.items() if not isinstance(v, types.ModuleType)})


def _names(code: types.CodeType) -> list[str]:
    """Return the names that a function uses, those of the functions in it included."""
    inner = [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]
    return [*code.co_names, *(name for each in inner for name in _names(each))]


def _short(value: Any) -> str:
    told = repr(value)
    return told if len(told) < 80 else f"{told[:77]}…"
