"""What a problem is: a training function, the domains of its hyperparameters, and what is known of the best.

A problem is there twice, and the second form gives the first its meaning. `Problem.train` is an ordinary training
function for `ramet.Tuner`. `Problem.begin`, `Problem.step` and `Problem.score` are the same dynamics as pure functions
of arrays with a row for each member, with which a whole population takes a step in a few microseconds, without a run,
a ledger or checkpoints; `Problem.play` plays schedules with them.

>>> from ramet.problems import PROBLEMS
>>> problem = PROBLEMS["toy-plain"]
>>> problem.play({"h": [0.0001, 0.9]}).round(4).tolist()
[1.1997, 1.1901]
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import ramet

if TYPE_CHECKING:
    import numpy as np

State = Mapping[str, Any]
"""Of each part of a model an array whose first axis is the members; what a checkpoint holds, of one of them."""

Rows = Sequence[Mapping[str, Any]]
"""What one member reported, in the order in which it did."""


@dataclass(frozen=True)
class Optimum:
    """The best score that can be reached, ``how`` that is known, and what else is known by name.

    Args:
        value: what `Problem.summarise` returns at best; of problems that draw, what is reached but for chance.
        how: a sentence.
        schedule: where one is known, the step's number (from 0) -> the best hyperparameters for it.
        landmarks: what other ways of choosing hyperparameters reach.
    """

    value: float
    how: str
    schedule: Callable[[int], Mapping[str, float]] | None = None
    landmarks: Mapping[str, float] = field(default_factory=dict)


def best_at_the_end(problem: Problem, members: Sequence[Rows]) -> float:
    """Return the true score of the member whose last report is the best: whom a user would take.

    Where reports are noisy the best looking one need not be the best, and it is what it is, not what it looks like,
    that counts. A score that is no number is worst; if nobody has one, the result is NaN.
    """
    last = [rows[-1] for rows in members if rows and not math.isnan(rows[-1][problem.metric])]
    if not last:
        return math.nan
    pick = max if problem.mode == "max" else min
    return float(pick(last, key=lambda row: row[problem.metric])[problem.truth])


@dataclass(frozen=True)
class Problem:
    """A problem whose answer is known.

    Args:
        name: by which `ramet.problems.PROBLEMS` and the command line know it.
        text: what it is, in a line.
        metric: what is reported to be judged by.
        mode: ``"max"`` or ``"min"``.
        space: the ``param_space`` of a run, from which founders are drawn.
        mutations: by hyperparameter, the domain that strategies explore in.
        steps: reports of one member's life.
        members: how many members a population has, by default.
        optimum: the best that can be reached.
        train: the training function. It reports for ever; whoever runs it says when to stop.
        begin: number of members -> their states before the first step.
        step: states, hyperparameters (by name, a number for all or an array with one for each), generator -> the
            states after one step, and by metric what each reports. Pure but for the draws: it changes no array.
        score: states -> the true score of each.
        truth: the metric that holds the true score: another one than ``metric`` where reports are noisy.
        summarise_with: problem, the reports of each member -> what a run reached; see `summarise`.
        founders: how many members a sample of ``space`` makes: more than one where it holds grids.
        objectives: where there are several to be weighed against each other, metric -> mode.
        reference: with ``objectives``, the point that hypervolumes are measured from, in their order.
        needs: libraries that it imports and that Ramet does not depend on.
    """

    name: str
    text: str
    metric: str
    mode: str
    space: Mapping[str, Any]
    mutations: Mapping[str, Any]
    steps: int
    members: int
    optimum: Optimum
    train: Callable[[Mapping[str, Any]], None]
    begin: Callable[[int], State]
    step: Callable[[State, Mapping[str, Any], np.random.Generator], tuple[State, Mapping[str, Any]]]
    score: Callable[[State], np.ndarray]
    truth: str
    summarise_with: Callable[[Problem, Sequence[Rows]], float] = best_at_the_end
    founders: int = 1
    objectives: Mapping[str, str] = field(default_factory=dict)
    reference: tuple[float, ...] = ()
    needs: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Problem({self.name!r})"

    def summarise(self, members: Sequence[Rows]) -> float:
        """Return what a run reached, comparable with ``optimum.value``.

        Args:
            members: of each member all that it reported, in order; a member that never reported has none.
        """
        return self.summarise_with(self, members)

    def play(self, schedule: Mapping[str, Any], steps: int | None = None, seed: int = 0) -> np.ndarray:
        """Return the true scores of models that train side by side, none of which becomes another's clone.

        Args:
            schedule: by hyperparameter (all that ``space`` has), a number; an array with one for each model; or an
                array with a row for each step, of one number or one for each model.
            steps: how many, ``self.steps`` by default.
            seed: of all draws, at least 0.

        >>> from ramet.problems import PROBLEMS
        >>> falling = [[1 - k / 50] for k in range(50)]
        >>> PROBLEMS["toy-deceptive"].play({"h": falling}).round(5).tolist()
        [1.19793]
        """
        import numpy as np

        steps = self.steps if steps is None else steps
        given = {name: np.asarray(value, dtype=float) for name, value in schedule.items()}
        each = {
            name: value if value.ndim == 2 else np.broadcast_to(value, (steps, value.size))
            for name, value in given.items()
        }
        rng = np.random.default_rng(seed)
        state = self.begin(max(value.shape[1] for value in each.values()))
        for number in range(steps):
            state, _ = self.step(state, {name: value[number] for name, value in each.items()}, rng)
        return self.score(state)


def train_one(
    config: Mapping[str, Any],
    begin: Callable[[int], State],
    step: Callable[[State, Mapping[str, Any], np.random.Generator], tuple[State, Mapping[str, Any]]],
) -> None:
    """Train one model until it is told to stop: what a problem's ``train`` consists of.

    Args:
        config: the hyperparameters.
        begin: as of `Problem`.
        step: as of `Problem`.

    Reports after every step, with a checkpoint where a decision waits for one. Takes a step with a population of one,
    so that it does exactly what the arrays do.
    """
    import numpy as np

    checkpoint = ramet.get_checkpoint()
    if checkpoint is None:
        state = begin(1)
    else:
        had = {name: np.asarray(value)[None] for name, value in checkpoint.to_dict().items()}
        state = ramet.inherited(had, lambda: begin(1))
    rng = ramet.rng()
    while True:
        state, metrics = step(state, config, rng)
        saved = None
        if ramet.should_checkpoint():
            saved = ramet.Checkpoint.from_dict({name: array[0] for name, array in state.items()})
        ramet.report({name: array.item() for name, array in metrics.items()}, checkpoint=saved)
