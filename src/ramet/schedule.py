"""A schedule: which hyperparameters were in force at which iterations of one model's training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ramet.errors import ConfigError
from ramet.space import flatten

if TYPE_CHECKING:
    import pandas as pd


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

    def frame(self) -> pd.DataFrame:
        """Return a row for each step: first, last, member, segment, and a column for each hyperparameter."""
        import pandas as pd

        rows = [
            {"first": s.first, "last": s.last, "member": s.member, "segment": s.segment, **flatten(s.hparams)}
            for s in self._steps
        ]
        return pd.DataFrame(rows)
