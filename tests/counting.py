"""A fixed run, and meters for what it costs: they count in the process that they are used in, controller or worker.

As a program it is that run alone: ``python counting.py FOLDER SAVES BOUNDARIES``.
"""

from __future__ import annotations

import contextlib
import gc
import json
import math
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ramet
from ramet import loop, memory, session
from ramet.executor import process, worker, workers
from ramet.executor.wire import Wire
from ramet.store.ledger import Ledger

EVERY = 5
"""Reports from one boundary to the next."""

LARGE = 4 * 2**20
"""Bytes of a checkpoint that is a directory on the disk."""

_CALLED = ("fsync", "fdatasync", "read", "readv", "write", "writev", "sendfile", "copy_file_range", "stat", "lstat")
_EVENTS = ("open", "os.", "shutil.", "socket.", "subprocess.", "sqlite3.", "tempfile.", "fcntl.")
_listening: list[Callable[[str, Any], None]] = []
sys.addaudithook(lambda event, what: [listen(event, what) for listen in _listening] and None)  # it stays for good


@contextlib.contextmanager
def costs() -> Iterator[Counter[str]]:
    """Count messages, commits, SQL statements, bytes moved, some functions of `os`, and what Python audits as events.

    Events with a path that leads elsewhere than to memory are besides counted "on the disk".
    """
    counts: Counter[str] = Counter()

    def happens(event: str, what: Any) -> None:
        if event.startswith(_EVENTS):
            counts[f"event {event}"] += 1
            path = what and isinstance(what[0], (str, bytes, Path)) and os.fsdecode(what[0])
            counts["on the disk"] += bool(path and os.path.isabs(path) and not path.startswith(str(memory.ROOT)))

    def count(owner: Any, name: str, what: str, note: Callable[..., object] = lambda *_: None) -> None:
        real = getattr(owner, name)

        def counted(*arguments: Any, **more: Any) -> Any:
            counts[what] += 1
            result = real(*arguments, **more)
            note(result, *arguments)
            return result

        setattr(owner, name, counted)
        undo.callback(setattr, owner, name, real)

    def commits(ledger: Ledger, transaction: Any) -> None:
        counts["commits"] += 1
        ledger._db.set_trace_callback(lambda _: counts.update(statements=1))
        try:
            commit(ledger, transaction)
        finally:
            ledger._db.set_trace_callback(None)

    with contextlib.ExitStack() as undo:
        count(Wire, "send", "sent", lambda _, wire, message: counts.update({"bytes sent": len(message)}))
        count(Wire, "hold", "sent", lambda _, wire, message: counts.update({"bytes sent": len(message)}))
        count(Wire, "receive", "received", lambda message, wire: counts.update({"bytes received": len(message)}))
        for name in filter(lambda name: hasattr(os, name), _CALLED):
            count(os, name, f"os.{name}()")
        commit, Ledger.commit = Ledger.commit, commits
        undo.callback(setattr, Ledger, "commit", commit)
        before = _moved()
        _listening.append(happens)
        undo.callback(_listening.remove, happens)
        try:
            yield counts
        finally:
            undo.close()
            counts.update({name: moved - before[name] for name, moved in _moved().items()})


def _moved() -> dict[str, int]:
    """Return how many bytes this process has read and written so far, by whatever call."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return {name: int(moved) for name, moved in (line.split(": ") for line in lines) if name in ("rchar", "wchar")}


@contextlib.contextmanager
def calls() -> Iterator[Counter[str]]:
    """Count the calls of functions that are written in Python, but for those of this file."""
    counts: Counter[str] = Counter()

    def profile(frame: Any, event: str, _: object) -> None:
        if event == "call" and frame.f_globals is not globals():
            counts["calls"] += 1
            counts[f"{frame.f_globals.get('__name__')}.{frame.f_code.co_qualname}"] += 1

    sys.setprofile(profile)
    try:
        yield counts
    finally:
        sys.setprofile(None)


@contextlib.contextmanager
def blocks() -> Iterator[Counter[str]]:
    """Count the blocks of memory that are there afterwards and were not before."""
    counts: Counter[str] = Counter()
    gc.collect()
    before = sys.getallocatedblocks()
    yield counts
    gc.collect()
    counts["blocks"] = sys.getallocatedblocks() - before


METERS = {"costs": costs, "calls": calls, "blocks": blocks}
_running = contextlib.ExitStack()  # of this process, for a clone is another call of `train`
_found: Counter[str] = Counter()


def _metered(config: dict[str, Any], step: int, member: int) -> None:
    """Begin to count after step ``first``; after step ``last`` tell in a file what was counted."""
    global _found
    if step == config["first"]:
        _found = _running.enter_context(METERS[config["meter"]]())
    elif step == config["last"]:
        _running.close()
        Path(config["told"], f"{member}.json").write_text(json.dumps(_found))


def train(config: dict[str, Any]) -> None:
    """Save every so often; report the numbers of the file that was read at the start and of the one saved last."""
    worker.FLUSH_SECONDS = session._current._flush_at = math.inf  # however slow this machine is
    context = ramet.get_context()
    step, member, read, saved = context.iteration, context.member, 0, 0
    _metered(config, step, member)
    if (checkpoint := ramet.get_checkpoint()) is not None and config["saves"] == "dict":
        assert len(checkpoint.to_dict()["weights"]) == 1000
    elif checkpoint is not None:
        with checkpoint.as_directory() as directory:
            read = os.stat(os.path.join(directory, "weights")).st_ino
    while True:
        step += 1
        checkpoint = None
        if step % config["every"] == 0 and config["saves"] == "dict":
            checkpoint = ramet.Checkpoint.from_dict({"step": step, "weights": bytes(1000)})
        elif step % config["every"] == 0:
            directory = ramet.checkpoint_dir()
            with open(os.path.join(directory, "weights"), "wb", buffering=0) as file:
                file.write(bytes(LARGE if config["saves"] == "large" else 1000))
                saved = os.fstat(file.fileno()).st_ino
            checkpoint = ramet.Checkpoint.from_directory(directory)
        ramet.report({"score": float(member), "read": read, "saved": saved}, checkpoint=checkpoint)
        _metered(config, step, member)


def run(
    folder: Path | str,
    boundaries: int,
    *,
    members: int = 1,
    slots: int | None = None,
    saves: str = "dict",
    every: int = EVERY,
    synch: bool = False,
    quantile: float = 0.0,
    callback: ramet.Callback | None = None,
    **metered: Any,
) -> ramet.ResultGrid:
    """Train to the last of ``boundaries`` in worker processes; nothing in it happens because time has passed."""
    constants = {"saves": saves, "every": every, "meter": "", "first": -1, "last": -1, "told": "", **metered}
    strategy = ramet.PopulationBasedTraining(
        time_attr="training_iteration",
        perturbation_interval=every,
        hyperparam_mutations={"x": ramet.uniform(0.0, 1.0)},
        quantile_fraction=quantile,
        synch=synch,
    )
    tuner = ramet.Tuner(
        train,
        param_space={"x": ramet.uniform(0.0, 1.0), **constants},
        tune_config=ramet.TuneConfig(metric="score", mode="max", scheduler=strategy, num_samples=members, seed=0),
        run_config=ramet.RunConfig(
            storage_path=tempfile.mkdtemp(dir=folder),
            stop={"training_iteration": boundaries * every},
            executor=process.ProcessExecutor(slots=slots or members),
            checkpoint_config=ramet.CheckpointConfig(num_to_keep=1),
            callbacks=[callback] if callback else None,
            verbose=0,
        ),
    )
    before = loop.POLL_SECONDS, workers.LOOK_SECONDS
    loop.POLL_SECONDS, workers.LOOK_SECONDS = 60.0, 3600.0
    try:
        results = tuner.fit()
    finally:
        loop.POLL_SECONDS, workers.LOOK_SECONDS = before
    assert [result.iteration for result in results] == [boundaries * every] * members, results.errors
    return results


if __name__ == "__main__":
    run(sys.argv[1], int(sys.argv[3]), saves=sys.argv[2])
