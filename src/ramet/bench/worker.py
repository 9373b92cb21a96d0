"""One run of a comparison, and the process that carries out one after the other.

``python -m ramet.bench.worker`` reads jobs from its standard input, a line of JSON each, and writes an outcome for
each, a line of JSON, to its standard output, until the input ends.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ramet
from ramet.bench.entries import ENTRIES
from ramet.bench.plan import Job
from ramet.problems import PROBLEMS, Problem


def carry_out(job: Job, folder: Path, keep: bool = False) -> dict[str, Any]:
    """Carry out one run with the real `ramet.Tuner` and return its outcome as plain data.

    Args:
        job: what to run.
        folder: where the run's own folder is made.
        keep: leave the run's folder there.

    Returns:
        ``problem``, ``strategy``, ``seed``; ``score``, what `Problem.summarise` says of the run, or None where that is
        no number; ``seen``, the best last report of the metric that strategies see; ``reports``, how many all members
        made together; and ``error``, None or the line that says what went wrong.
    """
    outcome: dict[str, Any] = {"problem": job.problem, "strategy": job.strategy, "seed": job.seed}
    outcome |= {"score": None, "seen": None, "reports": 0, "error": None}
    try:
        outcome |= _run(job, folder)
    except Exception as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        outcome["error"] = lines[-1] if lines else type(error).__name__
    finally:
        if not keep:
            shutil.rmtree(folder / job.name, ignore_errors=True)
    return outcome


def _run(job: Job, folder: Path) -> dict[str, Any]:
    problem = dataclasses.replace(PROBLEMS[job.problem], steps=job.steps)
    scheduler = ENTRIES[job.strategy].make(problem, job.interval, job.members)
    tuner = ramet.Tuner(
        problem.train,
        param_space=dict(problem.space),
        tune_config=ramet.TuneConfig(
            metric=problem.metric if scheduler.metric is None else None,
            mode=problem.mode if scheduler.mode is None else None,
            num_samples=job.members // problem.founders,
            scheduler=scheduler,
            seed=job.seed,
        ),
        run_config=ramet.RunConfig(
            name=job.name,
            storage_path=folder,
            # A member's reports in all, which never go back: a clone's training_iteration is its donor's.
            stop={"compute_iterations": job.steps},
            checkpoint_config=ramet.CheckpointConfig(num_to_keep=1),
            executor=ramet.SimulatedExecutor() if job.executor == "simulated" else "inline",
            verbose=0,
        ),
    )
    results = tuner.fit()
    if results.errors:
        raise results.errors[0]
    members: list[list[Mapping[str, Any]]] = [[] for _ in results]
    # Segments are numbered in time, so the reports of each member are in the order in which it made them.
    for row in results.rows([(segment, segment.last) for segment in results.population.segments]):
        members[row["member"]].append(row)
    return {
        "score": _finite(problem.summarise(members)),
        "seen": _seen(problem, members),
        "reports": sum(map(len, members)),
    }


def _seen(problem: Problem, members: list[list[Mapping[str, Any]]]) -> float | None:
    last = [rows[-1][problem.metric] for rows in members if rows]
    numbers = [value for value in last if math.isfinite(value)]
    return (max if problem.mode == "max" else min)(numbers, default=None)


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None


def main() -> None:
    """Answer every job of the standard input; the first line says where runs are kept, and whether for good."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever else is printed is no answer
    setup = json.loads(sys.stdin.readline())
    for line in sys.stdin:
        outcome = carry_out(Job(**json.loads(line)), Path(setup["folder"]), setup["keep"])
        answers.write(f"{json.dumps(outcome)}\n")
        answers.flush()


if __name__ == "__main__":
    main()
