"""What a run takes it gives back: descriptors, processes, disk; and what it holds does not grow with its exploits."""

from __future__ import annotations

import gc
import os
import statistics
from pathlib import Path

import wreck
from workloads import LARGE, chained_tuner

import ramet
from ramet.core.events import Opened
from ramet.record import Record

MEMBERS = 2
PAGE = os.sysconf("SC_PAGE_SIZE")

GROWTH = 6_000
"""Bytes that the controller may grow by for each exploit: the run's history, which its population is the fold of."""


class Watch(ramet.Callback):
    """Looks at the disk and the memory, now and then, while the run is under way."""

    def __init__(self, every: int) -> None:
        self.every, self.count = every, 0
        self.folder = Path()
        self.disk: list[int] = []
        self.own: list[int] = []
        self.workers: list[int] = []

    def on_run_start(self, path, population):
        """Learn where the run is."""
        self.folder = Path(path)

    def on_checkpoint(self, member, segment, iteration, score):
        """Look."""
        self.count += 1
        if self.count % self.every == 0:
            self.disk.append(weight(self.folder / "checkpoints"))
            self.own.append(resident(os.getpid()))
            self.workers.append(max(map(resident, wreck.children(os.getpid())), default=0))


def weight(folder: Path) -> int:
    """Return the bytes of all files below a folder that is being written."""
    total = 0
    for inside, _, names in os.walk(folder):  # which passes over what is renamed meanwhile; rglob raises
        for name in names:
            try:
                total += os.stat(os.path.join(inside, name)).st_size
            except OSError:
                continue
    return total


def resident(pid: int) -> int:
    """Return the resident memory of a process in bytes, 0 if it is gone."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    except (OSError, IndexError):
        return 0


def open_files() -> list[str]:
    """Return what the descriptors of this process lead to."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{name}"))
        except OSError:
            continue
    return sorted(found)


def test_a_thousand_exploits_leave_nothing(place, long, count, monkeypatch):
    """Files, processes and zombies are as many as before, and the disk never holds more than what is alive."""
    monkeypatch.delenv("RAMET_TORTURE_PACE", raising=False)
    exploits = 10_000 if long else 1_000
    chained_tuner(place / "warm", members=MEMBERS, stop=2, every=1, interval=1).fit()
    gc.collect()
    files, processes = open_files(), sorted(wreck.children(os.getpid()))
    watch = Watch(every=exploits // 50)
    folder = place / "run"
    tuner = chained_tuner(
        folder, members=MEMBERS, stop=exploits + 1, every=1, interval=1, large=True, callbacks=[watch]
    )
    results = tuner.fit()
    assert results.num_errors == 0
    del results, tuner
    gc.collect()
    assert open_files() == files
    assert sorted(wreck.children(os.getpid())) == processes

    record = Record.open(folder)
    try:
        exploited = sum(isinstance(event, Opened) and event.parent is not None for event in record.events())
        assert exploited == exploits
        assert record.store.names() == sorted(row.path for row in record.ledger.checkpoints())
    finally:
        record.close()
    # A member keeps its best one, stands on one, and decided at one; others may be about to be deleted.
    assert max(watch.disk) <= 4 * MEMBERS * LARGE * 1.1
    quarter = len(watch.own) // 4
    grown = statistics.median(watch.own[-quarter:]) - statistics.median(watch.own[:quarter])
    of_workers = statistics.median(watch.workers[-quarter:]) - statistics.median(watch.workers[:quarter])
    count["exploits in one run"] = exploited
    count["most bytes in checkpoints/ at once, in those of one checkpoint (%)"] = round(100 * max(watch.disk) / LARGE)
    count["bytes that the controller grew by, per exploit"] = round(grown / (0.75 * exploits))
    count["bytes that the larger worker grew by, per exploit"] = round(of_workers / (0.75 * exploits))
    if long:
        assert grown / (0.75 * exploits) < GROWTH
        assert of_workers / (0.75 * exploits) < 200
