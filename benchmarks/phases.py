"""Where the time of a decision goes, in the worker and in the controller: each station timed as it is called.

    python benchmarks/phases.py                 a report at a decision point, 3,000 times

Timing costs a microsecond a call itself, and what is inside another counts in both. Prints microseconds, as a table.
"""

from __future__ import annotations

import functools
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import ramet

TIMES = 3000
METRICS = {"loss": 0.25, "score": 0.75, "lr": 0.001, "norm": 1.5, "entropy": 2.25}
Spent = dict[str, list[float]]


def timed(owner: Any, name: str, spent: Spent) -> None:
    """Let every call of a method leave how long it took."""
    method: Callable[..., Any] = getattr(owner, name)
    values = spent.setdefault(f"{owner.__name__}.{name}", [])

    @functools.wraps(method)
    def call(*arguments: Any, **more: Any) -> Any:
        began = time.perf_counter()
        try:
            return method(*arguments, **more)
        finally:
            values.append(1e6 * (time.perf_counter() - began))

    setattr(owner, name, call)


def train(config: dict[str, Any]) -> None:
    """Report at decision points alone, with every station of the worker timed."""
    from ramet.executor import batch, child, worker

    spent: Spent = {}
    for name in ("report", "_packed", "_send", "reseed", "_obey_answer"):
        timed(worker.Session, name, spent)
    timed(batch.Batch, "seal", spent)
    timed(child.Told, "send", spent)
    for step in range(TIMES):
        ramet.report(METRICS, checkpoint=ramet.Checkpoint.from_dict({"step": step, "weights": [0.0] * 10}))
    Path(config["out"]).write_text(json.dumps(spent))


def controller() -> Spent:
    """Time every station of the controller."""
    from ramet import loop, record
    from ramet.core import engine, roster
    from ramet.executor import process
    from ramet.store import ledger

    spent: Spent = {}
    for owner, names in (
        (process.ProcessExecutor, ("_read_messages", "proceed")),
        (loop.Loop, ("_take_in", "_commit", "_command", "_tell_all")),
        (engine.Engine, ("record", "decide")),
        (record.Record, ("commit", "_row")),
        (ledger.Ledger, ("commit",)),
        (roster.Roster, ("plan",)),
    ):
        for name in names:
            timed(owner, name, spent)
    return spent


def main() -> None:
    """Run, and print."""
    spent = controller()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "worker.json")
        scheduler = ramet.PopulationBasedTraining(
            time_attr="training_iteration",
            perturbation_interval=1,
            quantile_fraction=0.0,
            hyperparam_mutations={"lr": ramet.uniform(0.0, 1.0)},
        )
        results = ramet.Tuner(
            train,
            param_space={"out": str(out)},
            tune_config=ramet.TuneConfig(metric="score", mode="max", scheduler=scheduler),
            run_config=ramet.RunConfig(storage_path=folder, verbose=0),
        ).fit()
        if results.errors:
            sys.exit(str(results.errors[0]))
        inside: Spent = json.loads(out.read_text())
    print("| where | station | 10 % are below | median |\n|---|---|---|---|")
    for where, stations in (("worker", inside), ("controller", spent)):
        for name, values in stations.items():
            low, median = np.percentile(values, [10, 50])
            print(f"| {where} | `{name}` | {low:.0f} | {median:.0f} |")


if __name__ == "__main__":
    main()
