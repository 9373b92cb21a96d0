"""``ramet doctor``: what this machine is for runs, and what on it is known to make trouble."""

from __future__ import annotations

import argparse
import contextlib
import os
import platform
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ramet import __version__
from ramet.cli.out import document, say

LIBRARIES = {
    "numpy": None,
    "cloudpickle": None,
    "greenlet": None,
    "pandas": None,
    "rich": None,
    "matplotlib": ("plots, and the picture of ramet demo", "pip install 'ramet[plot]'"),
    "plotly": ("plots for the screen", "pip install plotly"),
    "pyarrow": ("ramet export --format parquet", "pip install 'ramet[export]'"),
    "scikit-learn": ("the problem digits of ramet bench", "pip install 'ramet[problems]'"),
    "torch": ("schedules as LambdaLR", "pip install torch"),
    "jax": ("schedules for optax", "pip install jax"),
    "optax": ("nothing of its own; schedules for it", "pip install optax"),
}
"""Distributions: None for those that Ramet cannot do without, else what needs it and the way to it."""

LEAST_FREE = 2**30
LEAST_FILES = 256
SYNCS = 5
SPEEDS = ((0.002, "fast"), (0.02, "ordinary"), (float("inf"), "slow"))
"""Seconds that it may take to make a small file durable, and what such a disk is called."""


def no_options(parser: argparse.ArgumentParser) -> None:
    """Add none."""
    del parser


def doctor(arguments: argparse.Namespace) -> int:
    """Look at this machine, and name known troubles and the ways out.

    Told are versions, cores, memory, disk and GPUs. A small file is written where runs lie, a few times, to see how
    long that takes. The exit status is 1 if runs cannot be kept there.

    With --json: ramet, python, system, libraries (name: version, or null), cores, memory (bytes), shared_memory (path,
    free), runs (path, there, writable, file_system, journal, free, sync_seconds, speed), gpus (names), executor, slots
    (members that train at once), troubles, a list of: what, way_out, serious.

        $ ramet doctor
        $ RAMET_RUNS=/mnt/nfs/runs ramet doctor
    """
    found = looked()
    troubles = [dict(zip(("what", "way_out", "serious"), each, strict=True)) for each in _troubles(found)]
    status = 1 if any(each["serious"] for each in troubles) else 0
    if arguments.json:
        document({**found, "troubles": troubles})
        return status
    from ramet.view.values import count, size

    runs, memory = found["runs"], found["shared_memory"]
    say(f"Ramet {found['ramet']}, Python {found['python']}, {found['system']}")
    say(f"  executor      {found['executor']}, {count(found['slots'], 'member')} at once on {found['cores']} cores")
    say(f"  memory        {'unknown' if found['memory'] is None else size(found['memory'])}")
    say(f"  GPUs          {', '.join(found['gpus']) or 'none seen'}")
    place = "none" if memory["path"] is None else f"{memory['path']}, {size(memory['free'])} free"
    say(f"  in memory     {place}")
    say(f"  runs          {runs['path']}{'' if runs['there'] else ', which is made when a run needs it'}")
    if runs["free"] is not None:
        speed = "" if runs["speed"] is None else f", {runs['speed']} ({1000 * runs['sync_seconds']:.1f} ms a file)"
        say(f"                {runs['file_system']}, journal {runs['journal']}, {size(runs['free'])} free{speed}")
    for name, version in found["libraries"].items():
        need = LIBRARIES[name]
        told = version if version is not None else f"not installed; needed for {need[0]}: {need[1]}" if need else None
        say(f"  {name:<13} {told or 'not installed: pip install ramet again'}")
    for each in troubles:
        say(f"{'trouble' if each['serious'] else 'note'}: {each['what']}: {each['way_out']}")
    if not troubles:
        say("no known troubles")
    return status


def looked() -> dict[str, Any]:
    """Return what there is to be told of this machine."""
    from ramet import memory
    from ramet.config import RunConfig
    from ramet.resources import _visible_gpus, usable_cpus

    cores = int(usable_cpus())
    free = None
    if memory.ROOT is not None:
        free = _free(Path(memory.ROOT))
    return {
        "ramet": __version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "libraries": {name: _version(name) for name in LIBRARIES},
        "cores": cores,
        "memory": _memory(),
        "shared_memory": {"path": memory.ROOT, "free": free},
        "runs": _place(Path(RunConfig().folder)),
        "gpus": _visible_gpus(),
        "executor": RunConfig().executor,
        "slots": cores,
    }


def _troubles(found: dict[str, Any]) -> Iterator[tuple[str, str, bool]]:
    from ramet import memory

    runs, shared = found["runs"], found["shared_memory"]
    for name, version in found["libraries"].items():
        if version is None and LIBRARIES[name] is None:
            yield f"{name} is not installed", "pip install ramet again", True
    if not runs["writable"]:
        yield f"{runs['path']} cannot be written", "set RAMET_RUNS to another folder, or give storage_path=", True
    if runs["free"] is not None and runs["free"] < LEAST_FREE:
        yield f"{runs['path']} is nearly full", "make room (ramet gc), or set RAMET_RUNS to another folder", False
    if runs["journal"] not in (None, "WAL"):
        yield (
            f"{runs['path']} is on {runs['file_system']}, a network's file system, where every commit waits",
            "keep runs on a local disk, and copy them when they are over",
            False,
        )
    if runs["speed"] == "slow":
        yield f"{runs['path']} is slow to make files durable", "set RAMET_RUNS to a folder on another disk", False
    if shared["path"] is None:
        yield (
            "memory is no folder here (/dev/shm), so small checkpoints pass through the disk",
            "in a container, mount one: docker run --shm-size=1g",
            False,
        )
    elif shared["free"] < memory.ROOM:
        yield (
            f"{shared['path']} is nearly full, so small checkpoints pass through the disk",
            "make room there; in a container: docker run --shm-size=1g",
            False,
        )
    with contextlib.suppress(ImportError):
        import resource

        files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        if 0 <= files < LEAST_FILES:
            yield f"a process may open {files} files only", f"ulimit -n {4 * LEAST_FILES}", False


def _place(folder: Path) -> dict[str, Any]:
    """Return what the folder of runs is, or will be: of one that is not there yet its nearest parent tells."""
    from ramet.store.journal import file_system, journal_mode, why_not_writable

    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    told: dict[str, Any] = {
        "path": folder,
        "there": folder.is_dir(),
        "writable": there.is_dir() and why_not_writable(there) is None,
        "file_system": file_system(there) or "unknown",
        "journal": journal_mode(there),
        "free": _free(there),
        "sync_seconds": None,
        "speed": None,
    }
    if told["writable"]:
        try:
            told["sync_seconds"] = took = _sync_seconds(there)
            told["speed"] = next(name for limit, name in SPEEDS if took <= limit)
        except OSError:
            told["writable"] = False
    return told


def _sync_seconds(folder: Path) -> float:
    """Return the middle one of the times that it takes to make a small file durable."""
    taken = []
    for _ in range(SYNCS):
        begin = time.perf_counter()
        with tempfile.TemporaryFile(dir=folder, prefix=".ramet-doctor-") as file:
            file.write(b"x" * 4096)
            file.flush()
            os.fsync(file.fileno())
        taken.append(time.perf_counter() - begin)
    return sorted(taken)[SYNCS // 2]


def _free(place: Path) -> int | None:
    try:
        told = os.statvfs(place)
    except OSError:
        return None
    return told.f_bavail * told.f_frsize


def _memory() -> int | None:
    """Return how many bytes of memory we may have: the machine's, or less if a control group says so."""
    found = []
    with contextlib.suppress(OSError, ValueError, AttributeError):
        found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for limit in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError):
            found.append(int(Path(limit).read_text(encoding="ascii")))
    return min(found, default=None)


def _version(name: str) -> str | None:
    """Return which version of a library is installed, without loading it."""
    from importlib import metadata

    with contextlib.suppress(metadata.PackageNotFoundError):
        return metadata.version(name)
    return None
