"""What goes to a worker as bytes, and when it cannot, what in it is the culprit.

Functions and objects of ``__main__`` and of notebooks go by value, which only cloudpickle can.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import pickle
import types
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import cloudpickle

from ramet.core.messages import Assignment
from ramet.errors import ConfigError, TrainableError
from ramet.executor.wire import flat_assignment, told
from ramet.nested import flatten
from ramet.trainable import Prepared, short


def prepared(trainable: Any, founders: Iterable[Mapping[str, Any]], rules: Sequence[Any]) -> bytes:
    """Return (trainable, rules) as bytes for a worker, once all of ``founders`` can be sent too.

    Raises:
        TrainableError: the trainable cannot be pickled; the message names what in it cannot.
        ConfigError: a configuration cannot.
    """
    data = pickled(trainable, rules)
    for config in founders:
        for name, value in flatten(config).items():
            check_can_be_sent(name, value)
    return data


def pickled(trainable: Any, rules: Sequence[Any] = ()) -> bytes:
    """Return (trainable, rules) as bytes for a worker.

    Args:
        trainable: the training function.
        rules: stop rules that the worker applies; they may hold functions of the user's.

    Raises:
        TrainableError: it cannot be pickled; the message names the culprit.
    """
    try:
        data: bytes = cloudpickle.dumps((trainable, tuple(rules)), protocol=5)
    except Exception as error:
        name = getattr(trainable, "__name__", None) or short(trainable)
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
            return f"{name}: {inner}" if inner else f"{name} = {short(value)}"
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


def check_can_be_sent(name: str, value: Any) -> None:
    """Refuse a value of a configuration that no worker can be given.

    Raises:
        ConfigError: the message names the value.
    """
    if _is_plain(value):
        return
    try:
        cloudpickle.dumps(value, protocol=5)
    except Exception as error:
        raise ConfigError(
            f"param_space has {value!r:.80} at {name!r}, which cannot be sent to a worker ({type(error).__name__}: "
            f"{error}): create it in the training function, or use RunConfig(executor='inline')"
        ) from error


def start(assignment: Assignment) -> bytes:
    """Return the message that begins ``assignment``; most configurations are plain, and pickle is faster."""
    dumps = pickle.dumps if _is_plain(assignment.config) else cloudpickle.dumps
    return told(("start", flat_assignment(assignment)), dumps)


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(map(_is_plain, value.values()))
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    return value is None or type(value) in (str, int, float, bool)
