"""What is asked for: which runs, of which size. Whatever is wrong with it is found here, before any work starts."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ramet.bench.entries import ENTRIES, known
from ramet.errors import ConfigError
from ramet.problems import PROBLEMS, Problem

EXECUTORS = ("inline", "simulated")
QUICK_SEEDS, QUICK_MEMBERS, QUICK_STEPS = 2, 4, 20
"""The size of a comparison that is to show no more than that everything runs."""


@dataclass(frozen=True)
class Job:
    """One run: a strategy on a problem under a seed.

    Args:
        problem: name of the problem.
        strategy: name of the entry.
        seed: of the run.
        members: how many, a multiple of the problem's ``founders``.
        steps: reports of each member; all together make ``members * steps``, whatever the strategy.
        interval: reports between two decisions.
        executor: ``"inline"`` or ``"simulated"``.
    """

    problem: str
    strategy: str
    seed: int
    members: int
    steps: int
    interval: int
    executor: str = "inline"

    @property
    def name(self) -> str:
        """The name of the run's folder.

        >>> Job("toy-plain", "random search", 3, 22, 50, 5).name
        'toy-plain-random-search-3'
        """
        return f"{self.problem}-{self.strategy.replace(' ', '-')}-{self.seed}"


@dataclass(frozen=True)
class Plan:
    """All runs of a comparison.

    Args:
        problems: their names; None for all whose libraries are installed.
        strategies: names of entries; None for all.
        seeds: how many runs of each strategy on each problem, at least 1: under the seeds 0, 1, …
        members: of every population, at least 1; None for what each problem has by default.
        interval: reports between two decisions, at least 1.
        executor: ``"inline"``, where members take turns report by report, or ``"simulated"``, in virtual time.
        quick: a small size that only shows that everything runs; ``seeds`` and ``members`` still count if given.

    Raises:
        ConfigError: there is no such problem, strategy or executor, a number is too small, or a library is missing.

    >>> plan = Plan(problems=["toy-plain"], strategies=["PBT"], seeds=2)
    >>> [job.seed for job in plan.jobs()]
    [0, 1]
    """

    problems: Sequence[str] | None = None
    strategies: Sequence[str] | None = None
    seeds: int | None = None
    members: int | None = None
    interval: int = 5
    executor: str = "inline"
    quick: bool = False

    def __post_init__(self) -> None:
        asked = ENTRIES if self.strategies is None else self.strategies
        strategies = [known(name, list(ENTRIES), "--strategies") for name in asked]
        if self.problems is None:
            problems = [name for name in PROBLEMS if not lacking(PROBLEMS[name])]
        else:
            problems = [known(name, list(PROBLEMS), "--problems") for name in self.problems]
        for option, names in (("--problems", problems), ("--strategies", strategies)):
            if not names:
                raise ConfigError(f"{option} names none: name some, or leave it out for all")
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise ConfigError(f"{option} names {twice[0]!r} twice: name it once, and give --seeds for more runs")
        object.__setattr__(self, "problems", problems)
        object.__setattr__(self, "strategies", strategies)
        object.__setattr__(self, "seeds", (QUICK_SEEDS if self.quick else 20) if self.seeds is None else self.seeds)
        for option, value in (("--seeds", self.seeds), ("--members", self.members), ("--interval", self.interval)):
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise ConfigError(f"{option} {value!r} is no whole number of at least 1")
        if self.executor not in EXECUTORS:
            raise ConfigError(f"--executor {self.executor!r} is none of {', '.join(EXECUTORS)}")
        for name in problems:
            self._check(PROBLEMS[name])

    def _check(self, problem: Problem) -> None:
        if missing := lacking(problem):
            told = f"--problems: {problem.name} needs {' and '.join(missing)}, which is not installed"
            raise ConfigError(f"{told}: pip install 'ramet[problems]', or leave it out")
        members, founders = self.size(problem)[0], problem.founders
        if members % founders:
            told = f"--members {members}: the founders of {problem.name} come in groups of {founders}"
            raise ConfigError(f"{told}: give a multiple of {founders}, or leave {problem.name} out with --problems")

    def size(self, problem: Problem) -> tuple[int, int]:
        """Return how many members a population has, and how many reports each of them makes."""
        steps = min(problem.steps, QUICK_STEPS) if self.quick else problem.steps
        usual = min(problem.members, QUICK_MEMBERS) if self.quick else problem.members
        return self.members or usual, steps

    def jobs(self) -> list[Job]:
        """Return all runs in the order in which they are told: by problem, strategy, seed."""
        sizes = {name: self.size(PROBLEMS[name]) for name in self.problems or ()}
        return [
            Job(name, strategy, seed, *size, self.interval, self.executor)
            for name, size in sizes.items()
            for strategy in self.strategies or ()
            for seed in range(self.seeds or 0)
        ]

    def described(self) -> dict[str, Any]:
        """Return what is compared and how, as plain data for the results."""
        problems = {}
        for name in self.problems or ():
            problem = PROBLEMS[name]
            members, steps = self.size(problem)
            problems[name] = {
                "text": problem.text,
                "mode": problem.mode,
                "optimum": problem.optimum.value,
                "noisy": problem.truth != problem.metric,
                "members": members,
                "steps": steps,
            }
        return {
            "settings": {
                "seeds": self.seeds,
                "interval": self.interval,
                "executor": self.executor,
                "quick": self.quick,
            },
            "problems": problems,
            "strategies": {name: {"text": ENTRIES[name].text} for name in self.strategies or ()},
        }


def lacking(problem: Problem) -> list[str]:
    """Return the libraries that a problem needs and that are not installed."""
    return [library for library in problem.needs if importlib.util.find_spec(library) is None]
