"""A schedule as code for a training loop that knows nothing of Ramet: Python's source, a schedule for optax, PyTorch's
``LambdaLR``.

An *iteration* is what the population counted, from 1: one report. A *step* is what an optimiser counts, from 0. With n
steps to each iteration, step c belongs to iteration c // n + 1. After its last iteration a schedule stays as it is.
"""

from __future__ import annotations

import keyword
import math
import re
from bisect import bisect_right
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ramet.errors import ConfigError
from ramet.space import flatten

if TYPE_CHECKING:
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LambdaLR

    from ramet.schedule import Schedule

SOURCE = '''\
"""A schedule that a population found, as Ramet exported it: {count} for the iterations 1 to {last}."""

from bisect import bisect_right
from copy import deepcopy

_{name}_starts = [
{starts}
]
_{name}_values = [
{values}
]


def {name}(iteration):
    """Return the hyperparameters for an iteration, counted from 1; after iteration {last} they stay as they are."""
    if iteration < 1:
        raise ValueError(f"{name}({{iteration}}): iterations are counted from 1")
    return deepcopy(_{name}_values[bisect_right(_{name}_starts, iteration) - 1])
'''

NUMBERS = '''\
"""{what}, as Ramet exported it: {name!a} of a schedule for the iterations 1 to {last}.

An iteration is what the population counted, a report, from 1; a step is what an optimizer counts, from 0.
Step c belongs to iteration c // {n} + 1.
"""

{imports}

STEPS_PER_ITERATION = {n}
STARTS = [
{starts}
]
VALUES = [
{values}
]

{function}'''

OPTAX = '''
def {function}(step):
    """Return the value for a step of the optimizer; it may be traced."""
    piece = jnp.searchsorted(jnp.asarray(STARTS[1:], int), step // STEPS_PER_ITERATION + 1, side="right")
    return jnp.asarray(VALUES)[piece]
'''

TORCH = '''
def value(step):
    """Return the value for a step of the optimizer."""
    return VALUES[bisect_right(STARTS, step // STEPS_PER_ITERATION + 1) - 1]


class Scheduled(LambdaLR):
    """Sets the very values; its factors, which are relative to the optimizer's own learning rate, round."""

    def get_lr(self):
        return [value(self.last_epoch) for _ in self.base_lrs]


def {function}(optimizer):
    """Return the learning rate of an optimizer, made with one that is not 0; call its step() after the optimizer's."""
    base = optimizer.param_groups[0]["lr"]
    return Scheduled(optimizer, lambda step: value(step) / base)
'''


def source(schedule: Schedule, framework: str, name: str, steps_per_iteration: int) -> str:
    """Return the source of what `to_optax` (``framework="optax"``) or `to_torch` (``"torch"``) return, as a function
    that is called as the hyperparameter is.

    Raises:
        ConfigError: there is no such hyperparameter, or it is no number.
    """
    asked = f"a schedule of {name!r} for {framework}"
    starts, values = _numbers(schedule, name, asked)
    function = re.sub(r"\W", "_", name.rpartition("/")[2], flags=re.ASCII)
    if not function.isidentifier() or keyword.iskeyword(function) or function == "value":
        function = f"schedule_{function}"
    optax = framework == "optax"
    return NUMBERS.format(
        what="A schedule for optax" if optax else "A learning rate for PyTorch",
        name=name,
        last=schedule.last,
        n=_whole(steps_per_iteration, asked),
        imports="import jax.numpy as jnp"
        if optax
        else "from bisect import bisect_right\n\nfrom torch.optim.lr_scheduler import LambdaLR",
        starts="\n".join(f"    {start}," for start in starts),
        values="\n".join(f"    {_literal(value, ())}," for value in values),
        function=(OPTAX if optax else TORCH).format(function=function),
    )


def to_python(schedule: Schedule, name: str) -> str:
    """Return the source of a function. See `ramet.schedule.Schedule.to_python`."""
    if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name):
        raise ConfigError(f"Schedule.to_python(name={name!r}) is no name of a function: give one such as 'schedule'")
    starts, values = _pieces(schedule, "Schedule.to_python()", lambda hparams: hparams)
    return SOURCE.format(
        name=name,
        count="one assignment" if len(starts) == 1 else f"{len(starts)} assignments",
        last=schedule.last,
        starts="\n".join(f"    {start}," for start in starts),
        values="\n".join(f"    {_literal(value, ())}," for value in values),
    )


def to_optax(schedule: Schedule, name: str, steps_per_iteration: int) -> Callable[[Any], Any]:
    """Return a schedule for optax. See `ramet.schedule.Schedule.to_optax`."""
    asked = f"Schedule.to_optax({name!r})"
    numbers = _numbers(schedule, name, asked)
    n = _whole(steps_per_iteration, asked)
    try:
        import jax.numpy as jnp
    except ImportError as error:
        raise ConfigError(f"{asked} needs JAX, which is not installed: pip install jax") from error
    starts, values = numbers
    before = np.array(starts[1:], "i8")  # in iterations: what is after so many of them

    def value(step: Any) -> Any:
        """Return the value for an optimiser's step, counted from 0; it may be traced."""
        piece = jnp.searchsorted(jnp.asarray(before), jnp.asarray(step) // n + 1, side="right")
        return jnp.asarray(values)[piece]

    return value


def to_torch(schedule: Schedule, optimizer: Optimizer, name: str, steps_per_iteration: int) -> LambdaLR:
    """Return a schedule for PyTorch. See `ramet.schedule.Schedule.to_torch`."""
    asked = f"Schedule.to_torch({name!r})"
    starts, values = _numbers(schedule, name, asked)
    n = _whole(steps_per_iteration, asked)
    try:
        from torch.optim.lr_scheduler import LambdaLR
    except ImportError as error:
        raise ConfigError(f"{asked} needs PyTorch, which is not installed: pip install torch") from error
    bases = sorted({float(group.get("initial_lr", group["lr"])) for group in optimizer.param_groups})
    if len(bases) > 1:
        raise ConfigError(
            f"{asked}: the optimizer's groups have the learning rates {bases}, and the schedule is one learning rate: "
            "give them the same, or write a LambdaLR with Schedule.to_python()"
        )
    base = bases[0]
    if not base or not math.isfinite(base):
        raise ConfigError(
            f"{asked}: LambdaLR multiplies the optimizer's own learning rate, and from {base} nothing leads to the "
            f"schedule's values: make the optimizer with another one, such as lr={values[0]!r}"
        )

    def value(step: int) -> float:
        return float(values[bisect_right(starts, step // n + 1) - 1])

    def get_lr(scheduler: LambdaLR) -> list[Any]:
        return [value(scheduler.last_epoch) for _ in scheduler.base_lrs]

    # The factors are relative to the optimizer's own learning rate, and round; what is set is the very value.
    exact = type("ScheduledLR", (LambdaLR,), {"get_lr": get_lr, "__doc__": f"{name} of a schedule that Ramet found."})
    found: LambdaLR = exact(optimizer, lambda step: value(step) / base)
    return found


def _pieces(schedule: Schedule, asked: str, of: Callable[[Mapping[str, Any]], Any]) -> tuple[list[int], list[Any]]:
    """Return from which iterations on which values hold, neighbours that are the same as one."""
    if not len(schedule):
        raise ConfigError(f"{asked}: the schedule is empty, for nothing was trained")
    starts: list[int] = []
    values: list[Any] = []
    for step in schedule:
        value = of(step.hparams)
        if not values or repr(value) != repr(values[-1]):
            starts.append(step.first)
            values.append(value)
    return starts, values


def _numbers(schedule: Schedule, name: str, asked: str) -> tuple[list[int], list[float]]:
    """Return the same of one hyperparameter, which must be a number all the time."""

    def one(hparams: Mapping[str, Any]) -> float:
        flat = flatten(hparams)
        if name not in flat:
            raise ConfigError(f"{asked}: the schedule has no such hyperparameter; it has {', '.join(map(repr, flat))}")
        value = flat[name].item() if isinstance(flat[name], np.generic) else flat[name]
        if type(value) not in (int, float):
            raise ConfigError(f"{asked}: {value!r:.80} is no number; such values are in Schedule.to_python()")
        return value  # type: ignore[no-any-return]

    return _pieces(schedule, asked, one)


def _whole(steps: Any, asked: str) -> int:
    if type(steps) is not int or steps < 1:
        raise ConfigError(f"{asked}: steps_per_iteration={steps!r} must be a whole number of at least 1")
    return steps


def _literal(value: Any, path: tuple[str, ...]) -> str:
    """Return the source of a plain value; nothing else becomes source, for a repr may say anything."""
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or type(value) in (bool, int):
        return repr(value)
    if type(value) is str:
        return ascii(value)
    if type(value) is float:
        return repr(value) if math.isfinite(value) else f'float("{value!s}")'
    if type(value) in (list, tuple):
        told = [_literal(each, (*path, str(at))) for at, each in enumerate(value)]
        inner = ", ".join(told)
        return f"[{inner}]" if type(value) is list else f"({inner}{',' if len(told) == 1 else ''})"
    if isinstance(value, Mapping) and all(type(key) is str for key in value):
        return f"{{{', '.join(f'{key!a}: {_literal(each, (*path, key))}' for key, each in value.items())}}}"
    raise ConfigError(
        f"Schedule.to_python(): {'/'.join(path)} is {value!r:.80}, a {type(value).__name__}, of which there is no "
        "source; numbers, texts, booleans, None, and lists, tuples and dicts of them can be exported"
    )
