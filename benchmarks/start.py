"""Measures how long a run takes to begin: from the start of ``python script.py`` to the first report of a worker.

    python benchmarks/start.py [--repeats 9]

Every figure is of fresh processes, in milliseconds since they were started, with byte code at hand (in a folder of its
own). `time.monotonic` is one clock for all processes of a machine on Linux and macOS.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parent.parent

IMPORTS = {
    "python": "pass",
    "numpy": "import numpy",
    "ramet": "import ramet",
    "ramet.Tuner": "import ramet; ramet.Tuner",
}
"""Name -> what a whole process does."""

RUN = """
import sys, time
marks = {"python": time.monotonic()}
sys.addaudithook(lambda event, _: marks.setdefault(event, time.monotonic()) if event == "subprocess.Popen" else None)

import ramet

marks["import ramet"] = time.monotonic()
ramet.Tuner, ramet.PopulationBasedTraining
marks["Tuner imported"] = time.monotonic()

def train(config):
    entered = time.monotonic()
    ramet.report({"loss": config["lr"], "entered": entered, "reported": time.monotonic()})

tuner = ramet.Tuner(
    train,
    param_space={"lr": ramet.loguniform(1e-4, 1e-1)},
    tune_config=ramet.TuneConfig(
        metric="loss",
        mode="min",
        num_samples=2,
        scheduler=ramet.PopulationBasedTraining(hyperparam_mutations={"lr": ramet.loguniform(1e-4, 1e-1)}),
    ),
    run_config=ramet.RunConfig(storage_path=sys.argv[1], verbose=int(sys.argv[2])),
)
marks["fit() entered"] = time.monotonic()
results = tuner.fit()
ended = time.monotonic()
first = min((result.metrics for result in results), key=lambda metrics: metrics["entered"])
marks["worker spawned"] = marks.pop("subprocess.Popen")
marks["function entered"], marks["first report"], marks["fit() returned"] = first["entered"], first["reported"], ended
import json
print("\\n" + json.dumps(marks))
"""


def environment(folder: Path) -> dict[str, str]:
    """Return an environment in which byte code is kept, as it is on a user's machine."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": str(folder / "pyc"), "PYTHONPATH": str(ROOT / "src")}


def once(folder: Path, verbose: int) -> dict[str, float]:
    """Return every figure, measured once."""
    figures = {}
    for name, code in IMPORTS.items():
        began = time.monotonic()
        subprocess.run([sys.executable, "-c", code], env=environment(folder), check=True)
        figures[f"whole process: {name}"] = time.monotonic() - began
    script = folder / "script.py"
    script.write_text(RUN, encoding="utf-8")
    began = time.monotonic()
    command = [sys.executable, str(script), str(folder / "runs"), str(verbose)]
    done = subprocess.run(command, env=environment(folder), check=True, capture_output=True, text=True)
    marks = json.loads(done.stdout.splitlines()[-1])
    return figures | {f"script: {name}": at - began for name, at in marks.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--verbose", type=int, default=1, help="what RunConfig(verbose=…) is")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        once(Path(temporary), given.verbose)  # compiles
        found = [once(Path(temporary), given.verbose) for _ in range(given.repeats)]
    told = {}
    for name in found[0]:
        values = [1000 * each[name] for each in found]
        median, low, high = statistics.median(values), min(values), max(values)
        told[name] = {"median": round(median, 1), "low": round(low, 1), "high": round(high, 1)}
    print(json.dumps({"unit": "ms", "repeats": given.repeats, "load": os.getloadavg()[0], "figures": told}, indent=1))


if __name__ == "__main__":
    main()
