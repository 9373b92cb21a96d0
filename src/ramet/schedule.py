"""A schedule: which hyperparameters were in force at which iterations of one model's training."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ramet.errors import ConfigError
from ramet.space import flatten

if TYPE_CHECKING:
    import pandas as pd


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
        try:
            text = json.dumps({"format": FORMAT, "steps": [asdict(step) for step in self._steps]}, indent=1)
        except (TypeError, ValueError) as error:
            raise ConfigError(
                f"Schedule.save({str(path)!r}): {error}; hand the schedule itself to ScheduleReplay instead"
            ) from error
        where.write_text(text + "\n", encoding="utf-8")
        return where

    @classmethod
    def load(cls, path: str | os.PathLike[str], member: int | None = None) -> Schedule:
        """Return a schedule from a file that `save` wrote, or that of a run.

        Args:
            path: the file, or the run's folder.
            member: of a run, whose; the best member's by default.

        Raises:
            ConfigError: there is no schedule there.
        """
        where = Path(path).expanduser()
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
        import pandas as pd

        rows = [
            {"first": s.first, "last": s.last, "member": s.member, "segment": s.segment, **flatten(s.hparams)}
            for s in self._steps
        ]
        return pd.DataFrame(rows)
