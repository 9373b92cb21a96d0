"""A long run's record: how large, how fast read, how fast taken up; prints JSON.

Each step is a process of its own, so that none profits from what another has in memory.

    python ledger.py --members 100 --rows 10000 --block 10 --repeats 3
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

from training import step

import ramet

BEGAN = []


def train(config):
    """Train one model until it is stopped; note when the first one begins."""
    if not BEGAN:
        BEGAN.append(time.perf_counter())
    checkpoint = ramet.get_checkpoint()
    accuracy = checkpoint.to_dict()["accuracy"] if checkpoint else 0.0
    while True:
        accuracy, metrics = step(config["lr"], accuracy)
        save = ramet.should_checkpoint()
        ramet.report(metrics, checkpoint=ramet.Checkpoint.from_dict({"accuracy": accuracy}) if save else None)


def build(asked):
    """Make the run, in this process."""
    began = time.perf_counter()
    results = ramet.Tuner(
        train,
        param_space={"lr": ramet.uniform(0.0001, 0.02)},
        tune_config=ramet.TuneConfig(
            metric="mean_accuracy",
            mode="max",
            num_samples=asked.members,
            seed=0,
            scheduler=ramet.PopulationBasedTraining(
                time_attr="training_iteration",
                perturbation_interval=asked.block,
                hyperparam_mutations={"lr": ramet.uniform(0.0001, 0.02)},
            ),
        ),
        run_config=ramet.RunConfig(
            name="ledger",
            storage_path=os.getcwd(),
            verbose=0,
            executor="inline",
            stop={"compute_iterations": asked.rows},
            checkpoint_config=ramet.CheckpointConfig(num_to_keep=1),
        ),
    ).fit()
    if results.errors:
        raise SystemExit(str(results.errors[0]))
    size = sum(path.stat().st_size for path in Path("ledger").glob("run.db*"))
    return {"bytes": size, "seconds": time.perf_counter() - began}


def fold(asked):
    """Let a population take in all that happened, as every reader of a run does."""
    from ramet.record import Record

    began = time.perf_counter()
    record = Record.open("ledger")
    population = record.population()
    seconds = time.perf_counter() - began
    record.close()
    assert sum(member.compute for member in population.members) == asked.members * asked.rows
    return {"seconds": seconds}


def resume(asked):
    """Take the run up, and end it again after one more report of each member."""
    ramet.Tuner  # noqa: B018 -- so that its import is not in it
    began = time.perf_counter()
    more = {"stop": {"compute_iterations": asked.rows + asked.again}, "executor": "inline", "verbose": 0}
    ramet.Tuner.restore("ledger", train, **more).fit()
    return {"seconds": BEGAN[0] - began}


def several(asked, verb):
    """Return the seconds of doing it again and again, in all about half a minute at most."""
    values, until = [], time.monotonic() + 30
    while len(values) < asked.repeats and (not values or time.monotonic() < until):
        values.append(child(asked, verb, len(values) + 1)["seconds"])
    return values


def child(asked, verb, again):
    """Do one of the three in a process of its own, and return what it printed."""
    command = [sys.executable, __file__, verb, "--again", str(again)]
    for name in ("members", "rows", "block"):
        command += [f"--{name}", str(getattr(asked, name))]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("verb", nargs="?", choices=["build", "fold", "resume"])
    parser.add_argument("--members", type=int, default=100)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--block", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--again", type=int, default=0, help="how often this is done")
    asked = parser.parse_args()
    if asked.verb:
        print(json.dumps({"build": build, "fold": fold, "resume": resume}[asked.verb](asked)))
    else:
        built = child(asked, "build", 0)
        told = {
            "bytes_per_row": built["bytes"] / (asked.members * asked.rows),
            "build_s": built["seconds"],
            "fold_s": several(asked, "fold"),
            "resume_s": several(asked, "resume"),
        }
        print(json.dumps(told))
