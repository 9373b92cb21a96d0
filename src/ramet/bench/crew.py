"""Many runs side by side: a few worker processes, each of which carries out one run after the other.

They are processes of their own even if there is only one, with one thread for linear algebra each, so that every run
is carried out alike and its outcome does not depend on how many there are.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ramet.bench.plan import Job
from ramet.errors import RunError

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def carry_out_all(
    jobs: Sequence[Job], workers: int, folder: Path, keep: bool, told: Callable[[dict[str, Any]], None]
) -> list[dict[str, Any]]:
    """Return the outcomes of ``jobs``, in their order.

    Args:
        jobs: the runs.
        workers: how many processes, at least 1.
        folder: where runs are kept while they last.
        keep: leave them there.
        told: called with each outcome as it comes, in this thread.

    Raises:
        RunError: a worker process died. Whatever is raised, the workers are ended.
    """
    waiting: queue.SimpleQueue[tuple[int, Job]] = queue.SimpleQueue()
    for numbered in enumerate(jobs):
        waiting.put(numbered)
    came: queue.SimpleQueue[tuple[int, dict[str, Any]] | RunError] = queue.SimpleQueue()
    processes = [_start(folder, keep) for _ in range(min(workers, len(jobs)))]
    threads = [threading.Thread(target=_serve, args=(process, waiting, came), daemon=True) for process in processes]
    outcomes: dict[int, dict[str, Any]] = {}
    try:
        for thread in threads:
            thread.start()
        while len(outcomes) < len(jobs):
            answer = came.get()
            if isinstance(answer, RunError):
                raise answer
            number, outcome = answer
            outcomes[number] = outcome
            told(outcome)
    finally:
        for process in processes:
            if len(outcomes) < len(jobs):
                process.kill()
            else:
                _close_input(process)
            process.wait()
        for thread in threads:
            thread.join()
        for process in processes:
            assert process.stdout is not None
            process.stdout.close()
            _close_input(process)
    return [outcomes[number] for number in range(len(jobs))]


def _start(folder: Path, keep: bool) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "ramet.bench.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env={**os.environ, **dict.fromkeys(THREADS, "1")},
        start_new_session=True,  # Ctrl-C is for the command, which ends its workers
    )
    _send(process, {"folder": str(folder), "keep": keep})
    return process


def _serve(
    process: subprocess.Popen[str],
    waiting: queue.SimpleQueue[tuple[int, Job]],
    came: queue.SimpleQueue[tuple[int, dict[str, Any]] | RunError],
) -> None:
    """Give a worker one job after the other."""
    assert process.stdout is not None
    while True:
        try:
            number, job = waiting.get_nowait()
        except queue.Empty:
            return
        _send(process, dataclasses.asdict(job))
        try:
            answer = process.stdout.readline()
        except (OSError, ValueError):  # closed, for the command is ending
            return
        if not answer:
            came.put(RunError(f"the worker process died of {job.name}; run that alone, with --jobs 1, to see why"))
            return
        came.put((number, json.loads(answer)))


def _send(process: subprocess.Popen[str], what: dict[str, Any]) -> None:
    assert process.stdin is not None
    with contextlib.suppress(OSError, ValueError):  # it has died, as who reads its answer sees
        process.stdin.write(f"{json.dumps(what)}\n")
        process.stdin.flush()


def _close_input(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    with contextlib.suppress(OSError):  # what was buffered for a process that has died
        process.stdin.close()
