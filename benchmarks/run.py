"""Measures what Ramet costs on this machine, all in one run, and prints it.

    python benchmarks/run.py                       a table, and benchmarks/results.json
    python benchmarks/run.py --write-docs          docs/benchmarks.md besides
    python benchmarks/run.py --ray PATH/TO/PYTHON  time Ray Tune besides, with an interpreter that has it

Everything is the median of its repeats. Clocks of different processes are compared: `time.perf_counter` is one for the
whole machine on Linux and macOS.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

import ramet

HERE = Path(__file__).parent
ROOT = HERE.parent
METRICS = {"loss": 0.25, "score": 0.75, "lr": 0.001, "norm": 1.5, "entropy": 2.25}


@dataclass(frozen=True)
class Figure:
    """One measured quantity: its median, its spread (lowest and highest, or the 99th percentile), and of how many."""

    name: str
    unit: str
    median: float
    low: float
    high: float
    p99: float | None
    repeats: int

    @classmethod
    def of(cls, name: str, unit: str, values: list[float], *, tail: bool = False) -> Figure:
        """Sum up ``values``."""
        p99 = float(np.percentile(values, 99)) if tail else None
        return cls(name, unit, statistics.median(values), min(values), max(values), p99, len(values))

    def told(self) -> str:
        """Return the median with its unit."""
        return f"{digits(self.median)} {self.unit}"

    def spread(self) -> str:
        """Return the spread."""
        tail = "" if self.p99 is None else f", 99 % below {digits(self.p99)}"
        return f"{digits(self.low)} to {digits(self.high)} {self.unit}{tail}, {self.repeats} times"


def digits(value: float) -> str:
    """Return three digits of a number, without an exponent."""
    return f"{float(f'{value:.3g}'):,.0f}" if value >= 1000 else f"{value:.3g}"


# ---------------------------------------------------------------------- whole processes


def whole(command: list[str], environment: dict[str, str], folder: Path) -> float:
    """Return the seconds that a command takes from start to end."""
    began = time.perf_counter()
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - began
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
    return seconds


def whole_processes(folder: Path, repeats: int, ray: str | None) -> list[Figure]:
    """Time the triangle wave in each style, short and long, one after the other in turn."""
    environment = {**os.environ, "RAMET_RUNS": str(folder / "runs")}
    quiet = {**environment, "RAY_DEDUP_LOGS": "1", "RAY_USAGE_STATS_ENABLED": "0", "RAY_AIR_NEW_OUTPUT": "0"}
    figures = []
    for iterations in (10, 1000):
        styles = {
            "two bare processes": [sys.executable, str(HERE / "triangle_bare.py")],
            "Ramet": [sys.executable, str(HERE / "triangle_ramet.py")],
            "a Ray script on Ramet": [sys.executable, "-m", "ramet.compat.ray", str(HERE / "triangle_ray.py")],
        }
        times: dict[str, list[float]] = {style: [] for style in styles}
        for _ in range(repeats):  # in turn, so that a slow moment of the machine falls on all of them
            for style, command in styles.items():
                times[style].append(whole([*command, str(iterations)], environment, folder))
        if ray and iterations == 10:
            command = [ray, str(HERE / "triangle_ray.py"), str(iterations)]
            times["the same Ray script on Ray"] = [whole(command, quiet, folder) for _ in range(min(repeats, 3))]
        figures += [
            Figure.of(f"triangle wave, 8 members x {iterations} iterations, {style}", "s", values)
            for style, values in times.items()
        ]
    return figures


def imports(repeats: int) -> list[Figure]:
    """Time imports in fresh interpreters."""
    figures = []
    for told, statement in {
        "import ramet": "import ramet",
        "import ramet, and use Tuner": "import ramet; ramet.Tuner",
    }.items():
        code = f"import time; began = time.perf_counter(); {statement}; print(time.perf_counter() - began)"
        values = []
        for _ in range(repeats + 1):
            done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
            values.append(1000 * float(done.stdout))
        figures.append(Figure.of(told, "ms", values[1:]))
    return figures


# ---------------------------------------------------------------------- inside workers


def plain_reports(config: dict[str, Any]) -> None:
    """Time reports that are no boundary, by the ten thousand; nothing else is done in between."""
    values = []
    for _ in range(config["repeats"]):
        began = time.perf_counter()
        for _ in range(10_000):
            ramet.report(METRICS)
        values.append(100 * (time.perf_counter() - began))
    Path(config["out"]).write_text(json.dumps(values))


def boundaries(config: dict[str, Any]) -> None:
    """Time reports that carry a small checkpoint and wait for the answer."""
    values = []
    for step in range(config["repeats"]):
        state = {"step": step, "weights": [0.0] * 10}
        began = time.perf_counter()
        ramet.report(METRICS, checkpoint=ramet.Checkpoint.from_dict(state))
        values.append(1e6 * (time.perf_counter() - began))
    Path(config["out"]).write_text(json.dumps(values))


def exploits(config: dict[str, Any]) -> None:
    """Time from the report at which member 0 is told to become a clone to the clone's first step, state loaded."""
    checkpoint = ramet.get_checkpoint()
    steps = 0 if checkpoint is None else checkpoint.to_dict()["step"]
    member, out = ramet.get_context().member, Path(config["out"])
    if member == 0 and checkpoint is not None:
        with out.open("a") as file:
            file.write(f"{time.perf_counter()} first step\n")
    while True:
        steps += 1
        time.sleep(0.002)  # member 1 must keep its checkpoint ahead, or there is nobody to clone
        if member == 0:
            with out.open("a") as file:
                file.write(f"{time.perf_counter()} report\n")
        ramet.report({"score": float(member or 0)}, checkpoint=ramet.Checkpoint.from_dict({"step": steps}))


def run(function: Any, folder: Path, members: int, repeats: int, strategy: Any, **more: Any) -> Path:
    """Run ``function`` in as many workers as members; return the file that it wrote."""
    out = folder / f"{function.__name__}.txt"
    results = ramet.Tuner(
        function,
        param_space={"repeats": repeats, "out": str(out)},
        tune_config=ramet.TuneConfig(num_samples=members, scheduler=strategy, metric="score", mode="max", **more)
        if strategy is not None
        else ramet.TuneConfig(num_samples=members),
        run_config=ramet.RunConfig(
            storage_path=folder / "runs",
            verbose=0,
            executor=ramet.ProcessExecutor(slots=members),
            stop=ramet.MaximumIterationStopper(repeats) if function is exploits else None,
        ),
    ).fit()
    if results.errors:
        raise SystemExit(str(results.errors[0]))
    return out


def pbt(interval: float, fraction: float) -> ramet.PopulationBasedTraining:
    """Return a strategy that decides at every ``interval`` iterations."""
    return ramet.PopulationBasedTraining(
        time_attr="training_iteration",
        perturbation_interval=interval,
        quantile_fraction=fraction,
        hyperparam_mutations={"lr": ramet.uniform(0.0, 1.0)},
    )


def in_workers(folder: Path) -> list[Figure]:
    """Measure what a report, a boundary and an exploit cost on the process executor."""
    reports = json.loads(run(plain_reports, folder, 1, 50, None).read_text())
    trips = json.loads(run(boundaries, folder, 1, 2000, pbt(1, 0.0)).read_text())
    gaps = []
    before: tuple[float, str] | None = None
    for line in run(exploits, folder, 2, 500, pbt(1, 0.5)).read_text().splitlines():
        at, _, what = line.partition(" ")
        if what == "first step" and before is not None and before[1] == "report":
            gaps.append(1e6 * (float(at) - before[0]))
        before = (float(at), what)
    return [
        Figure.of("a report that is no boundary (5 values)", "µs", reports),
        Figure.of("a report at a decision point, until it is answered", "µs", trips[10:], tail=True),
        Figure.of("an exploit, from the report to the clone's first step", "µs", gaps[10:], tail=True),
    ]


# ---------------------------------------------------------------------- telling


def machine() -> str:
    """Return what this was measured on."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        model = names[0] if names else model
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{model}, {cores} cores, {platform.system()}, Python {platform.python_version()}, numpy {np.__version__}"


def version_of_ray(python: str) -> str:
    """Return the version of the Ray that an interpreter has."""
    code = "import ray; print(ray.__version__)"
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def ratio(figure: Figure, figures: list[Figure]) -> str:
    """Return how many times as long a whole process takes as the bare ones do."""
    what, _, style = figure.name.rpartition(", ")
    for other in figures:
        if style and other.name == f"{what}, two bare processes" and other is not figure:
            return f"{figure.median / other.median:.2f}"
    return ""


def table(figures: list[Figure]) -> str:
    """Return the figures as a Markdown table."""
    lines = ["| what | median | spread | of bare |", "|---|---|---|---|"]
    lines += [f"| {f.name} | {f.told()} | {f.spread()} | {ratio(f, figures)} |" for f in figures]
    return "\n".join(lines)


PAGE = """# Benchmarks

What Ramet costs, as measured by `{command}` in one run. Run it to know what holds on your machine;
these figures are of {machine},
with run folders in its temporary folder, on {date}, and of Ramet {version}.

{table}

**Triangle wave.** The whole process, from starting Python to its end, of the toy problem of Ray Tune's example: 8
members on 2 slots, a decision every 5 iterations. *Two bare processes* run the same training code and write
checkpoints as often, each for half of the members one after the other, without any library and without any exploit:
what is above their time is what population based training, its record, and importing the library cost. With 8 members
on 2 slots nearly every decision is followed by another member's turn. *A Ray script on Ramet* makes a temporary
directory for each checkpoint, as such scripts do.{ray}

**A report that is no boundary** takes five floats and returns. The batches that are sent meanwhile are in it, and are
most of it.

**A report at a decision point** carries a checkpoint of a small dict: it is handed over, recorded, decided and
committed, and the answer is there. The decision is always to go on.

**An exploit** is counted from the call of the report to the clone's first step with the donor's state loaded: the
same as above, and leaving the function, starting it again and reading the checkpoint.

Commits are durable against the death of any process (`RunConfig(durability="process")`). They do not wait for the
disk, except now and then, when SQLite folds its log into the file.
"""

WITH_RAY = """ *The same Ray script on Ray* is the same file with Ray Tune {version} on the same machine; starting Ray
itself is in it, and it stops and starts a worker at each turn and each exploit."""


def main() -> None:
    """Measure, print, and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7, help="how often whole processes are timed")
    parser.add_argument("--json", type=Path, default=HERE / "results.json", help="where to write the figures")
    parser.add_argument("--ray", help="a Python that has Ray Tune installed")
    parser.add_argument("--write-docs", action="store_true", help="write docs/benchmarks.md")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ramet-bench-") as name:
        folder = Path(name)
        figures = in_workers(folder) + imports(20) + whole_processes(folder, arguments.repeats, arguments.ray)
    print(f"{machine()}\n\n{table(figures)}")
    told = {"machine": machine(), "ramet": ramet.__version__, "figures": [asdict(figure) for figure in figures]}
    arguments.json.write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    if arguments.write_docs:
        page = PAGE.format(
            command="python benchmarks/run.py --write-docs",
            machine=machine(),
            date=time.strftime("%Y-%m-%d"),
            version=ramet.__version__,
            table=table(figures),
            ray=WITH_RAY.format(version=version_of_ray(arguments.ray)) if arguments.ray else "",
        )
        (ROOT / "docs" / "benchmarks.md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
