"""What ``ramet bench`` does: makes a plan of what was asked, carries it out, shows it, and keeps it."""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import tempfile
from pathlib import Path

from ramet.analysis.plain import as_json
from ramet.bench import STANDARD_OUTPUT
from ramet.bench.crew import carry_out_all, cores
from ramet.bench.plan import Plan
from ramet.bench.results import Results
from ramet.bench.show import progress, show
from ramet.errors import ConfigError

_RUNS = {"problems", "strategies", "seeds", "members", "interval", "executor", "jobs", "keep", "quick"}


def planned(arguments: argparse.Namespace) -> Plan | None:
    """Return what is to be run, None where results are only to be drawn again.

    Raises:
        ConfigError: the options cannot be followed, or contradict each other, or what is made cannot be kept.
    """
    given = {name: value for name, value in vars(arguments).items() if name in _RUNS and value not in (None, False)}
    for option in ("json", "plot"):
        _check_file(option, getattr(arguments, option))
    if arguments.plot is not None and importlib.util.find_spec("matplotlib") is None:
        raise ConfigError("--plot needs matplotlib: pip install 'ramet[plot]', or leave it out")
    if arguments.results is not None:
        if given:
            told = f"--from draws what was run before, and --{sorted(given)[0]} is about runs"
            raise ConfigError(f"{told}: leave out one of them")
        return None
    if arguments.keep is not None:
        try:
            arguments.keep.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"--keep: cannot make {arguments.keep} ({error.strerror}); choose another") from error
    return Plan(**{name: value for name, value in given.items() if name not in ("jobs", "keep")})


def carry_out(plan: Plan | None, arguments: argparse.Namespace) -> int:
    """Run what was planned or read what was run, show it and write what is asked for; return the exit status."""
    results = Results.read(arguments.results) if plan is None else _run(plan, arguments)
    printed = arguments.json == STANDARD_OUTPUT
    if printed:
        print(as_json(json.loads(results.to_json()), indent=1))
    else:
        if arguments.json is not None:
            arguments.json.write_text(results.to_json(), encoding="utf-8")
        show(results)
    if arguments.plot is not None:
        from ramet.bench.plot import plot

        plot(results, arguments.plot)
    for path in (arguments.json, arguments.plot):
        if path is not None and path != STANDARD_OUTPUT:
            print(f"wrote {path}", file=sys.stderr if printed else sys.stdout)
    return 1 if results.failed else 0


def _run(plan: Plan, arguments: argparse.Namespace) -> Results:
    jobs, workers = plan.jobs(), arguments.jobs or cores()
    with tempfile.TemporaryDirectory(prefix="ramet-bench-", ignore_cleanup_errors=True) as folder:
        where = Path(folder) if arguments.keep is None else arguments.keep.resolve()
        with progress(jobs, workers) as told:
            runs = carry_out_all(jobs, workers, where, arguments.keep is not None, told)
    if arguments.keep is not None:
        print(f"kept the runs in {arguments.keep}", file=sys.stderr)
    return Results(runs=runs, **plan.described())


def _check_file(option: str, path: Path | None) -> None:
    if path is None or path == STANDARD_OUTPUT:
        return
    if path.is_dir() or not path.parent.is_dir():
        fault = "is a folder" if path.is_dir() else f"is in {path.parent}, which is no folder"
        raise ConfigError(f"--{option} {path} {fault}: give the path of a file in a folder that is there")
    try:
        new = not path.exists()
        path.open("ab").close()
        if new:
            path.unlink()
    except OSError as error:
        raise ConfigError(f"--{option}: cannot write {path} ({error.strerror}); choose another place") from error
