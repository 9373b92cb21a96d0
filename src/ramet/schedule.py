"""A schedule: which hyperparameters were in force at which iterations of one model's training."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ramet.errors import ConfigError
from ramet.framing import framed
from ramet.space import flatten
from ramet.whereabouts import folder_of

if TYPE_CHECKING:
    import pandas as pd
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LambdaLR


FORMAT = 1
"""Of the file that a schedule is saved to."""


@dataclass(frozen=True, slots=True)
class Step:
    """``hparams`` held for iterations ``first`` to ``last``, both included, trained by ``member`` in ``segment``."""

    first: int
    last: int
    hparams: Mapping[str, Any]
    member: int
    segment: int


class Schedule(Sequence[Step]):
    """The steps along the path that made a model, in order, without gaps.

    >>> schedule = Schedule([Step(1, 5, {"lr": 0.1}, 0, 0), Step(6, 9, {"lr": 0.05}, 2, 7)])
    >>> schedule.at(6)
    {'lr': 0.05}
    >>> len(schedule), schedule.last
    (2, 9)
    """

    def __init__(self, steps: Sequence[Step]) -> None:
        self._steps = tuple(steps)

    def __len__(self) -> int:
        return len(self._steps)

    def __getitem__(self, index: Any) -> Any:
        return self._steps[index]

    def __iter__(self) -> Iterator[Step]:
        return iter(self._steps)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Schedule) and self._steps == other._steps

    def __hash__(self) -> int:
        return hash(tuple((step.first, step.segment) for step in self._steps))

    def __repr__(self) -> str:
        told = ", ".join(f"{step.first}-{step.last}: {flatten(step.hparams)}" for step in self._steps)
        return f"Schedule({told})"

    def _repr_html_(self) -> str | None:
        from ramet.notebook.tables import of_schedule, told

        return told(of_schedule, self)

    @property
    def last(self) -> int:
        """The last iteration that was trained."""
        return self._steps[-1].last if self._steps else 0

    def at(self, iteration: int) -> Mapping[str, Any]:
        """Return the hyperparameters that iteration ``iteration`` (from 1) was trained with.

        Raises:
            ConfigError: nothing was trained at that iteration.
        """
        for step in self._steps:
            if step.first <= iteration <= step.last:
                return step.hparams
        trained = f"the iterations that were trained are 1 to {self.last}" if self._steps else "nothing was trained"
        raise ConfigError(f"Schedule.at({iteration}): {trained}")

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the schedule as JSON, for `load`, and return where.

        Raises:
            ConfigError: it holds values that JSON has no word for.

        >>> import tempfile
        >>> folder = tempfile.mkdtemp()
        >>> path = Schedule([Step(1, 5, {"lr": 0.1}, 0, 0)]).save(f"{folder}/best.json")
        >>> Schedule.load(path)
        Schedule(1-5: {'lr': 0.1})
        """
        where = Path(path).expanduser()
        where.write_text(self._json(f"Schedule.save({str(path)!r})") + "\n", encoding="utf-8")
        return where

    def to_json(self) -> str:
        """Return the schedule as JSON: what `save` writes and `load` reads.

        Raises:
            ConfigError: it holds values that JSON has no word for.
        """
        return self._json("Schedule.to_json()")

    def to_python(self, name: str = "schedule") -> str:
        """Return the source of a module with a function ``name(iteration)`` that returns the hyperparameters.

        It needs nothing but Python. Iterations are counted from 1; after the last one the hyperparameters stay as they
        are, as with `ScheduleReplay`.

        Raises:
            ConfigError: the schedule is empty or holds other values than numbers, texts, booleans, None and lists,
                tuples and dicts of them; or ``name`` is none.

        >>> source = Schedule([Step(1, 5, {"lr": 0.1}, 0, 0), Step(6, 9, {"lr": 0.05}, 2, 7)]).to_python()
        >>> exec(source)
        >>> schedule(5), schedule(6), schedule(100)
        ({'lr': 0.1}, {'lr': 0.05}, {'lr': 0.05})
        """
        from ramet import schedule_code

        return schedule_code.to_python(self, name)

    def to_optax(self, name: str = "lr", *, steps_per_iteration: int = 1) -> Callable[[Any], Any]:
        """Return hyperparameter ``name`` as a schedule for optax: a function of the step, which may be traced.

        Args:
            name: which one; ``"optimizer/lr"`` of a nested configuration. It must be a number.
            steps_per_iteration: how many optimiser steps one iteration, that is one report, stands for.

        optax counts steps from 0, Ramet iterations from 1: step c belongs to iteration c // steps_per_iteration + 1.
        Values are as exact as JAX holds a float: in 32 bits, unless ``jax_enable_x64`` is set.

        Raises:
            ConfigError: there is no such hyperparameter, it is no number, or JAX is not installed.
        """
        from ramet import schedule_code

        return schedule_code.to_optax(self, name, steps_per_iteration)

    def to_torch(self, optimizer: Optimizer, name: str = "lr", *, steps_per_iteration: int = 1) -> LambdaLR:
        """Return hyperparameter ``name`` as the learning rate of a PyTorch optimiser, a ``LambdaLR``.

        Call its ``step()`` after each step of the optimiser. Every group gets the schedule's very value.

        Args:
            optimizer: whose learning rate is set; all its groups must have been made with the same one, not 0.
            name: which hyperparameter; ``"optimizer/lr"`` of a nested configuration. It must be a number.
            steps_per_iteration: how many calls of ``step()`` one iteration, that is one report, stands for.

        Raises:
            ConfigError: there is no such hyperparameter, it is no number, the optimizer has learning rates that cannot
                be scheduled so, or PyTorch is not installed.
        """
        from ramet import schedule_code

        return schedule_code.to_torch(self, optimizer, name, steps_per_iteration)

    def _json(self, asked: str) -> str:
        try:
            # Field by field, for what stands for an object that was not loaded is a dataclass too, and no plain value.
            steps = [{each.name: getattr(step, each.name) for each in fields(step)} for step in self._steps]
            return json.dumps({"format": FORMAT, "steps": steps}, indent=1)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"{asked}: {error}; hand the schedule itself to ScheduleReplay instead") from error

    @classmethod
    def load(cls, path: str | os.PathLike[str], member: int | None = None) -> Schedule:
        """Return a schedule from a file that `save` wrote, or that of a run.

        Args:
            path: the file, or the run's folder.
            member: of a run, whose; the best member's by default.

        Raises:
            ConfigError: there is no schedule there.
        """
        where = folder_of(path)
        if where.is_dir():
            from ramet.results import ResultGrid

            grid = ResultGrid(where)
            if member is not None and not 0 <= member < len(grid):
                raise ConfigError(f"Schedule.load({str(path)!r}, member={member}): the run has {len(grid)} members")
            schedule: Schedule = (grid.get_best_result() if member is None else grid[member]).schedule
            return schedule
        try:
            told = json.loads(where.read_text(encoding="utf-8"))
            if told["format"] != FORMAT:
                raise ConfigError(f"{where} is a schedule of format {told['format']}; this version reads {FORMAT}")
            return cls([Step(**step) for step in told["steps"]])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigError(
                f"Schedule.load({str(path)!r}) is neither a run's folder nor a file of Schedule.save(): "
                f"{type(error).__name__}: {error}"
            ) from error

    def frame(self) -> pd.DataFrame:
        """Return a row for each step: first, last, member, segment, and a column for each hyperparameter."""
        rows = [
            {"first": s.first, "last": s.last, "member": s.member, "segment": s.segment, **flatten(s.hparams)}
            for s in self._steps
        ]
        return framed(rows)
