"""Makes a large run in virtual time, and times what it takes to look at it, each question in a process of its own."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import ramet

ASK = """
import json, sys, time
import ramet, pandas
run, told = None, {}
def timed(name, ask):
    began = time.perf_counter()
    found = ask()
    told[name] = time.perf_counter() - began
    return found
run = timed("open", lambda: ramet.open(sys.argv[1]))
for name in ("members", "reports", "segments", "decisions", "checkpoints", "founders", "replacements", "slots"):
    timed(name, getattr(run, name))
print(json.dumps(told))
"""

FOLD = """
import json, sys, time
import ramet, pandas
began = time.perf_counter()
grid = ramet.ResultGrid(sys.argv[1])
folded = time.perf_counter() - began
frames = [result.metrics_dataframe for result in grid]
print(json.dumps({"fold": folded, "rows": time.perf_counter() - began - folded}))
"""


def train(config):
    """Learn at a rate, with a report for each step and a checkpoint at each boundary."""
    checkpoint = ramet.get_checkpoint()
    step, level = checkpoint.to_dict()["state"] if checkpoint else (0, 0.0)
    draws = ramet.rng()
    while True:
        step += 1
        level += 0.01 * config["lr"] / (config["lr"] + 0.05) * (1 - level) + 0.0005 * draws.normal()
        row = {"score": level, "loss": 1 - level}
        due = step % config["interval"] == 0
        ramet.report(row, checkpoint=ramet.Checkpoint.from_dict({"state": (step, level)}) if due else None)


def made(folder, members, boundaries, interval):
    """Return the folder of the run."""
    mutations = {"lr": ramet.loguniform(1e-4, 1.0), "momentum": ramet.uniform(0.5, 0.99)}
    scheduler = ramet.PopulationBasedTraining(
        "training_iteration", perturbation_interval=interval, synch=True, hyperparam_mutations=mutations
    )
    tune = ramet.TuneConfig(metric="score", mode="max", num_samples=members, seed=3, scheduler=scheduler)
    stop = {"training_iteration": boundaries * interval}
    where = ramet.RunConfig(
        name="run", storage_path=folder, verbose=0, stop=stop, executor=ramet.SimulatedExecutor(slots=8, spread=0.3)
    )
    tuner = ramet.Tuner(train, param_space={**mutations, "interval": interval}, tune_config=tune, run_config=where)
    return tuner.fit().experiment_path


def main():
    parser = argparse.ArgumentParser()
    for name in ("members", "boundaries", "interval", "repeats"):
        parser.add_argument(f"--{name}", type=int, required=True)
    asked = parser.parse_args()
    told = {}
    with tempfile.TemporaryDirectory() as folder:
        run = made(folder, asked.members, asked.boundaries, asked.interval)
        told["megabytes"] = Path(run, "run.db").stat().st_size / 1e6
        for _ in range(asked.repeats):
            began = time.perf_counter()
            subprocess.run([sys.executable, "-m", "ramet", "show", run], check=True, stdout=subprocess.DEVNULL)
            told.setdefault("show", []).append(time.perf_counter() - began)
            for code in (ASK, FOLD):
                answer = subprocess.run(
                    [sys.executable, "-c", code, run], check=True, stdout=subprocess.PIPE, text=True
                )
                for name, seconds in json.loads(answer.stdout).items():
                    told.setdefault(name, []).append(seconds)
    print(json.dumps(told))


if __name__ == "__main__":
    main()
