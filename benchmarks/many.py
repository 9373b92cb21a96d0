"""Times the controller alone: many members on the simulated executor whose functions do nothing but report.

    python benchmarks/many.py --members 10000 --synch
    python benchmarks/many.py --members 10000 --slots 500 --spread 0.3

Prints JSON: reports (rows) in a second of the whole run, memory, and what a decision costs in the first and in the last
quarter of the run, which should be the same.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from array import array
from typing import Any

import ramet


class Moments(ramet.Callback):
    """The processor's time when each decision was committed, and when the run was over; results are read after that."""

    def __init__(self) -> None:
        self.decisions = array("d")
        self.start = self.end = self.worked = 0.0

    def on_run_start(self, *_: Any) -> None:
        """See `ramet.Callback`."""
        self.start = time.perf_counter()

    def on_checkpoint(self, *_: Any) -> None:
        """See `ramet.Callback`."""
        self.decisions.append(time.process_time())

    def on_run_end(self, *_: Any) -> None:
        """See `ramet.Callback`."""
        self.end, self.worked = time.perf_counter(), time.process_time()

    def per_decision(self, began: int, ended: int) -> float:
        """Return the processor's microseconds that one decision took between two, the reports before it included."""
        return round(1e6 * (self.decisions[ended] - self.decisions[began]) / (ended - began), 1)


def train(config: dict[str, Any]) -> None:
    """Report as fast as reports are taken, with a small checkpoint where one is wanted."""
    checkpoint = ramet.get_checkpoint()
    step, score = (0, 0.0) if checkpoint is None else checkpoint.to_dict()["state"]
    while True:
        step, score = step + 1, score + config["lr"]
        metrics = {"score": score, "loss": 1.0 / step, "norm": 0.5}
        if ramet.should_checkpoint():
            ramet.report(metrics, checkpoint=ramet.Checkpoint.from_dict({"state": (step, score)}))
        else:
            ramet.report(metrics)


def peak() -> int:
    """Return the most memory that this process has had so far, in bytes."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def run(asked: argparse.Namespace, members: int, folder: str) -> Moments:
    """Make one run."""
    moments = Moments()
    ramet.Tuner(
        train,
        param_space={"lr": ramet.uniform(0.0, 1.0)},
        tune_config=ramet.TuneConfig(
            metric="score",
            mode="max",
            num_samples=members,
            seed=0,
            scheduler=ramet.PopulationBasedTraining(
                time_attr="training_iteration",
                perturbation_interval=asked.reports,
                hyperparam_mutations={"lr": ramet.uniform(0.0, 1.0)},
                synch=asked.synch,
            ),
        ),
        run_config=ramet.RunConfig(
            name="many",
            storage_path=folder,
            stop={"compute_iterations": asked.reports * asked.intervals},
            executor=ramet.SimulatedExecutor(asked.slots, spread=asked.spread),
            callbacks=[moments],
            verbose=0,
        ),
    ).fit()
    return moments


def measured(asked: argparse.Namespace, folder: str) -> dict[str, Any]:
    """Return what one run costs, imports apart."""
    run(asked, 2, folder)
    before = peak()
    began, worked = time.perf_counter(), time.process_time()
    moments = run(asked, asked.members, folder)
    seconds = time.perf_counter() - began
    decisions, rows = len(moments.decisions), asked.members * asked.reports * asked.intervals
    quarter = decisions // 4
    return {
        **vars(asked),
        "reports_per_second": round(rows / (moments.end - began)),
        "reports_per_cpu_second": round(rows / (moments.worked - worked)),
        "seconds": {
            "begin": round(moments.start - began, 2),
            "run": round(moments.end - moments.start, 2),
            "read_results": round(began + seconds - moments.end, 2),
        },
        "decisions": decisions,
        "cpu_us_per_decision": {
            "all": moments.per_decision(0, decisions - 1),
            "first_quarter": moments.per_decision(0, quarter),
            "last_quarter": moments.per_decision(decisions - 1 - quarter, decisions - 1),
        },
        "peak_MB": round(peak() / 1e6, 1),
        "before_MB": round(before / 1e6, 1),
        "bytes_per_member": round((peak() - before) / asked.members),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--members", type=int, default=1000)
    parser.add_argument("--slots", type=int, default=None, help="by default one for each member")
    parser.add_argument("--synch", action="store_true")
    parser.add_argument("--reports", type=int, default=15, help="in an interval")
    parser.add_argument("--intervals", type=int, default=8)
    parser.add_argument("--spread", type=float, default=0.0, help="of the slots' speeds")
    parser.add_argument("--folder", default=None, help="where the run is written; by default a temporary folder")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
        del asked.folder
        print(json.dumps(measured(asked, folder), indent=1))


if __name__ == "__main__":
    main()
