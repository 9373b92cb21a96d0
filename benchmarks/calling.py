"""Starts the scripts that are timed, each as a process of its own, and gathers when it trained and what it printed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SCRIPTS = Path(__file__).parent / "scripts"
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_DEDUP_LOGS": "1",
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
}


@dataclass(frozen=True)
class Call:
    """What came of a script, in seconds: the ``whole`` process, and until training ``begin``s in any of its processes.

    ``wall`` is from the first moment of training to the last. ``span`` is each process's own such time, on average:
    that processes do not begin at once is no training. ``reports`` is how many were made while training; ``told`` the
    JSON that the script printed, if any.
    """

    whole: float
    wall: float
    span: float
    begin: float
    reports: int
    told: Any


class CallError(Exception):
    """A script ended in an error, or did not end."""


def call(
    script: str | Path | Sequence[str],
    *arguments: object,
    python: str | None = None,
    before: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
    limit: float = 900.0,
) -> Call:
    """Run a script of the folder ``scripts`` (or a path), in an empty folder that is removed afterwards.

    Args:
        script: its name, or path.
        arguments: what it is given.
        python: the interpreter, by default this one; another one does not get to see this one's modules.
        before: what stands between interpreter and script, such as ``-m`` and a module.
        environment: variables besides the present ones.
        limit: seconds after which it is ended, with all processes that it started.

    Raises:
        CallError: it ended in an error, or was ended.
    """
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as folder:
        moments = Path(folder) / "moments"
        variables = {**os.environ, **QUIET, "BENCHMARK_MOMENTS": str(moments)}
        variables.update({"RAMET_RUNS": f"{folder}/runs", "SYNETUNE_FOLDER": f"{folder}/syne"})
        variables.update(environment or {})
        variables.pop("PYTHONDONTWRITEBYTECODE", None)  # or Ramet would be compiled at every start, and libraries not
        paths = variables.pop("PYTHONPATH", "")
        if python is None and paths:  # the script runs elsewhere, and is to have the same Ramet
            variables["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, paths.split(os.pathsep)))
        command = [python or sys.executable, *before, str(SCRIPTS / script), *map(str, arguments)]
        began = time.perf_counter()
        process = subprocess.Popen(
            command,
            env=variables,
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            out, err = process.communicate(timeout=limit)
        except BaseException as error:
            _end(process)
            if isinstance(error, subprocess.TimeoutExpired):
                raise CallError(f"{Path(script).name} was ended after {limit:g} s") from None
            raise
        whole = time.perf_counter() - began
        if process.returncode:
            raise CallError(f"{Path(script).name} {' '.join(map(str, arguments))} failed:\n{(out + err)[-2000:]}")
        noted = moments.read_text().splitlines() if moments.exists() else []
    return _summed(noted, began, whole, _last(out))


def _end(process: subprocess.Popen[str]) -> None:
    """End a script with all that it started, which is a process group of its own; Ray needs a moment to end its own."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.communicate(timeout=10)


def _summed(noted: Sequence[str], began: float, whole: float, told: Any) -> Call:
    """Return what the moments that the script's processes ``noted`` come to."""
    own: dict[str, list[float]] = {}
    reports = 0
    for line in noted:
        at, process, count = line.split()
        own.setdefault(process, []).append(float(at))
        reports += int(count)
    first = min((min(times) for times in own.values()), default=began)
    last = max((max(times) for times in own.values()), default=began)
    spans = [max(times) - min(times) for times in own.values()] or [0.0]
    return Call(whole, last - first, statistics.mean(spans), first - began, reports, told)


def _last(out: str) -> Any:
    """Return the JSON that a script printed: all of it, or its last line."""
    with contextlib.suppress(ValueError, IndexError):
        return json.loads(out[out.index("{") :]) if out.lstrip().startswith("{") else json.loads(out.splitlines()[-1])
    return None


def in_turn(repeats: int, styles: Mapping[str, Any]) -> dict[str, list[Call]]:
    """Call each style once, and all that again: a slow moment of the machine falls on all of them."""
    calls: dict[str, list[Call]] = {style: [] for style in styles}
    for _ in range(repeats):
        for style, make in styles.items():
            calls[style].append(make())
    return calls
