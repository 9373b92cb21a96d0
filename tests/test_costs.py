"""What a boundary costs, in the controller and in a worker, is no more than it was. Counted, not timed.

Numbers are those found when this was written, for one boundary, and unless said otherwise nothing else may happen. To
lower one is fine; whoever must raise one says why.
"""

from __future__ import annotations

import gc
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import counting
import pytest
from counting import EVERY, LARGE, METERS, run

import ramet
from ramet import memory

pytestmark = [
    pytest.mark.skipif(not os.path.exists("/proc/self/io"), reason="this system does not tell how many bytes moved"),
    pytest.mark.skipif(memory.ROOT is None, reason="this system has no folder in memory"),
]

BOUNDARIES = 20
ENDS = 0.1
"""How much two runs may differ in how they begin and end, divided by `BOUNDARIES`: two messages more or less, say."""


def controller(meter: str, folder: Path, boundaries: int = BOUNDARIES, **how: Any) -> Counter[str]:
    """What a boundary costs the controller: a run that is twice as long costs so much more."""
    run(folder, 3, **how)  # loads what is loaded once
    found = []
    for length in (boundaries, 2 * boundaries):
        with METERS[meter]() as counts:
            run(folder, length, **how)
        found.append(counts)
    return per(boundaries, Counter({what: count - found[0][what] for what, count in found[1].items()}))


def in_worker(
    meter: str, folder: Path, first: int = 2 * EVERY, last: int = 12 * EVERY, boundaries: int = 13, **how: Any
) -> Counter[str]:
    """What it costs the worker to go from after step ``first`` to after step ``last``."""
    run(folder, boundaries, meter=meter, first=first, last=last, told=str(folder), **how)
    return Counter(json.loads((folder / "0.json").read_text()))


def per(times: int, counts: Counter[str]) -> Counter[str]:
    """What each of so many ``times`` costs."""
    return Counter({what: count / times for what, count in counts.items()})


def beyond(counts: Counter[str], most: dict[str, float]) -> dict[str, float]:
    """What happened more often than ``most`` allows, which is never for what it does not name."""
    assert counts["sent"] >= 1 - ENDS, "nothing was counted"
    assert counts["os.write()"] > 0
    return {what: count for what, count in counts.items() if count > most.get(what, 0) + ENDS}


ONE_EACH_WAY = {"sent": 1, "received": 1, "os.write()": 1, "os.readv()": 1}

TAKEN_OVER: dict[str, dict[str, float]] = {
    # 1,035 bytes are the checkpoint's, as a pickle: they go into the message.
    "dict": {"bytes sent": 1450, "wchar": 1500, "rchar": 100},
    # The user makes a directory in memory and a file; we open the file and the directory to read and to remove them.
    "files": {
        "bytes sent": 1450,
        "wchar": 2500,
        "rchar": 1200,
        "event open": 3,
        "event os.mkdir": 1,
        "event os.listdir": 2,
        "event os.remove": 1,
        "event os.rmdir": 1,
        "os.stat()": 4,
    },
    # The user's own write is the only one, and for the checksum all is read once. To survive a power cut the file, its
    # manifest, their directory and its name are synced; the file and the manifest are opened to write, too.
    "large": {
        "bytes sent": 550,
        "wchar": LARGE + 1000,
        "rchar": LARGE + 100,
        "event open": 7,
        "event os.mkdir": 1,
        "event os.listdir": 2,
        "event os.scandir": 1,
        "event os.remove": 1,  # a manifest that a copy of a checkpoint may have brought
        "event os.rename": 1,
        "os.fsync()": 4,
        "os.stat()": 7,
        "on the disk": 12,
    },
}


@pytest.mark.parametrize("saves", TAKEN_OVER)
def test_what_a_worker_does_at_a_boundary(tmp_path: Path, saves: str) -> None:
    """It sends and gets one message; small checkpoints never touch the disk, and no byte of a large one is copied."""
    counts = per(10, in_worker("costs", tmp_path, saves=saves))
    assert beyond(counts, {**ONE_EACH_WAY, "bytes received": 40, **TAKEN_OVER[saves]}) == {}


@pytest.mark.parametrize("saves", TAKEN_OVER)
def test_what_the_controller_does_at_a_boundary(tmp_path: Path, saves: str) -> None:
    """It gets and sends one message and commits once, without a sync; what is not kept any more is removed."""
    most: dict[str, float] = {
        **ONE_EACH_WAY,
        "bytes sent": 40,
        "bytes received": TAKEN_OVER[saves]["bytes sent"],
        "commits": 1,
        # BEGIN, two events, the rows, the checkpoint and the one before it, which goes, COMMIT.
        "statements": 7,
        "os.stat()": 1,  # that the ledger is still there
        # The run's, for the system adds those of processes that have ended: five to six pages of the ledger, that is.
        "wchar": TAKEN_OVER[saves]["wchar"] + 24_000,
        "rchar": TAKEN_OVER[saves]["rchar"] + 2_500,
    }
    if saves == "large":  # deleted: once the ledger's log is synced, renamed first, so that it is whole or gone
        most |= {"event open": 2, "event os.remove": 2, "event os.rename": 1, "event os.listdir": 1}
        most |= {"event os.rmdir": 1, "os.fsync()": 1, "os.lstat()": 1, "on the disk": 4}
    assert beyond(controller("costs", tmp_path, saves=saves), most) == {}


@pytest.mark.parametrize("synch", [False, True])
def test_what_turns_cost(tmp_path: Path, synch: bool) -> None:
    """Where members share slots, every second boundary is another's turn: two messages in one write, and one back."""
    with METERS["costs"]() as counts:
        run(tmp_path, 50, members=4, slots=2, synch=synch)
    counts = per(4 * 50, counts)
    # Each with room for how the run begins and ends. How many come at once is up to the machine, but not these.
    most = {
        "sent": 1.6,
        "received": 1.6,
        "os.write()": 1.05,
        "os.readv()": 1.55,
        "os.read()": 0.6,  # what was printed between a handover and the word that it is over
        "bytes sent": 750,  # with the checkpoint, every second time
        "bytes received": 1500,
        "commits": 1.05,
        "statements": 7.2,
    }
    assert {what: counts[what] for what in most if not 0 < counts[what] <= most[what]} == {}


def test_a_clone_reads_its_donors_files(tmp_path: Path) -> None:
    """A clone's checkpoint is its donor's, the very file: verified, never copied, by whatever process or call."""
    seen = {}

    class Told(ramet.Callback):
        def on_report(self, member: int, iteration: int, metrics: Any) -> None:
            seen[member, iteration] = metrics

    run(tmp_path, 6, members=2, synch=True, quantile=0.5, saves="large", callback=Told())
    for boundary in range(EVERY, 6 * EVERY, EVERY):
        assert seen[0, boundary + 1]["read"] == seen[1, boundary]["saved"] > 0
    counts = controller("costs", tmp_path, 4, members=2, synch=True, quantile=0.5, saves="large")
    # Both save, and what each saves is summed once; the rest is the ledger's.
    assert 2 * LARGE < counts["wchar"] < 2 * LARGE + LARGE // 10
    assert 2 * LARGE < counts["rchar"] < 2 * LARGE + LARGE // 10


CALLS = {"dict": 93, "files": 177, "large": 330}
"""Found: 84, 161 and 297, the function's own reports and the making of the checkpoint included."""


@pytest.mark.parametrize("saves", CALLS)
def test_how_much_python_a_boundary_is_in_a_worker(tmp_path: Path, saves: str) -> None:
    """A boundary and its plain reports call few functions."""
    counts = per(10, in_worker("calls", tmp_path, saves=saves))
    assert counts["ramet.session.report"] == EVERY
    assert EVERY * 2 < counts["calls"] < CALLS[saves], counts


def test_how_much_python_a_boundary_is_in_the_controller(tmp_path: Path) -> None:
    """From the message to the answer the controller calls few functions: 181 were found, and a tenth may be added."""
    counts = controller("calls", tmp_path)
    assert counts["ramet.loop.Loop._take_in"] == 1
    assert 50 < counts["calls"] < 200, counts


def test_a_plain_report_is_two_calls(tmp_path: Path) -> None:
    """`ramet.report` calls its session, which calls nothing that is written in Python."""
    counts = in_worker("calls", tmp_path, first=100, last=200, every=300, boundaries=1)
    assert counts["ramet.session.report"] == counts["ramet.executor.worker.Session.report"] == 100
    assert counts["calls"] < 200 + 10  # to end counting is a few


def test_what_reports_hold(tmp_path: Path) -> None:
    """A plain report holds its new numbers, here its score and its time, and nothing besides; a boundary holds none."""
    counts = in_worker("blocks", tmp_path, first=100, last=1100, every=1500, boundaries=1)
    assert 1000 < counts["blocks"] < 2 * 1000 + 50
    assert in_worker("blocks", tmp_path)["blocks"] < 10 * 2


def test_what_the_controller_holds(tmp_path: Path) -> None:
    """A boundary adds a few blocks to the history, late in a run as early."""

    class Told(ramet.Callback):
        def on_checkpoint(self, *_: Any) -> None:
            nonlocal boundary
            boundary += 1
            if boundary in (60, 126, 192):  # numbers below 257 are nobody's
                gc.collect()
                held.append(sys.getallocatedblocks())

    held: list[int] = []
    boundary = 0
    run(tmp_path, 193, callback=Told())
    early, late = held[1] - held[0], held[2] - held[1]
    # Found: 8 a boundary. At first it is 14: of every cursor the sqlite3 module keeps a reference until it has 200.
    assert 66 < late < 66 * 11
    assert late < early + 200 + 20


SYSTEM_CALLS = {"dict": (26, 0), "files": (69, 0), "large": (125, 5)}
"""Found: 24, 64 and 115, SQLite's among them: 10 or 11 to write five pages, 6 for its locks. And how many are syncs."""


@pytest.mark.skipif(not shutil.which("strace"), reason="strace is not installed")
@pytest.mark.parametrize("saves", SYSTEM_CALLS)
def test_how_many_system_calls_a_boundary_is(tmp_path: Path, saves: str) -> None:
    """Controller and worker together call the system so often, SQLite included, and no commit waits for the disk."""
    if subprocess.run(["strace", "-o", os.devnull, "true"], capture_output=True).returncode:
        pytest.skip("nothing may be traced here")
    found = []
    for boundaries in (3, BOUNDARIES, 2 * BOUNDARIES):
        told = tmp_path / "told"
        command = ["strace", "-f", "-qq", "-c", "-o", told, sys.executable, counting.__file__]
        subprocess.run([*command, tmp_path, saves, str(boundaries)], check=True, timeout=120)
        lines = re.findall(r"^ *[\d.]+ +[\d.]+ +\d+ +(\d+) +(?:\d+ +)?(\w+)$", told.read_text(), re.MULTILINE)
        found.append(Counter({name: int(count) for count, name in lines if name != "total"}))
    counts = per(BOUNDARIES, Counter({name: found[2][name] - found[1][name] for name in found[2]}))
    for by_chance in ("futex", "wait4", "clock_nanosleep", "brk", "mmap", "munmap"):
        del counts[by_chance]
    most, syncs = SYSTEM_CALLS[saves]
    assert counts["write"] >= 2 - ENDS, "nothing was counted"
    assert sum(counts.values()) <= most, counts
    assert counts["fsync"] + counts["fdatasync"] <= syncs + ENDS, counts
