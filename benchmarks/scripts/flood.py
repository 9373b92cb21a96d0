"""Steps of about 1 µs, each reported, in 2 processes: bare (rows kept, and written at the end) or on Ramet.

python flood.py --reports 300000 [--bare]
"""

import argparse
import json
import os
import subprocess
import sys

from moments import mark


def steps(count):
    """Yield what steps of about a microsecond report."""
    loss = 1.0
    for step in range(count):
        for _ in range(12):
            loss *= 0.999999
        yield {"loss": loss, "step": step}


def bare(count):
    """Take the steps of one process, and write the rows."""
    rows = []
    mark()
    for metrics in steps(count):
        rows.append(metrics)  # noqa: PERF402 -- the loop is what is timed
    with open(f"rows-{os.getpid()}.json", "w") as file:
        file.write(json.dumps(rows))
    mark(count)


def train(config):
    """Take the steps of one member, and report each."""
    import ramet

    mark()
    for metrics in steps(config["reports"]):
        ramet.report(metrics)
    mark(config["reports"])


def run(count):
    """Let both members take their steps."""
    import ramet

    results = ramet.Tuner(
        train,
        param_space={"reports": count},
        tune_config=ramet.TuneConfig(num_samples=2),
        run_config=ramet.RunConfig(verbose=0, executor=ramet.ProcessExecutor(2)),
    ).fit()
    mark()  # the end is when everything is recorded
    if results.errors:
        raise SystemExit(str(results.errors[0]))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--reports", type=int, default=300_000)
    parser.add_argument("--bare", action="store_true")
    parser.add_argument("--one", action="store_true", help="be one of the bare processes")
    asked = parser.parse_args()
    if asked.one:
        bare(asked.reports)
    elif asked.bare:
        command = [sys.executable, __file__, "--one", "--reports", str(asked.reports)]
        sys.exit(max(process.wait() for process in [subprocess.Popen(command) for _ in range(2)]))
    else:
        run(asked.reports)
