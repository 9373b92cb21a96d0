"""Checkpoints that are too large to be copied about."""

from __future__ import annotations

import shutil
import statistics
import tempfile
from collections.abc import Iterator

from benchmarks.calling import call
from benchmarks.figures import Figure, at_most
from benchmarks.parts.asked import Asked, Skipped

PART = "large"
TITLE = "Large checkpoints"
ABOUT = """A directory with one file, written once by the training function into the directory that Ramet hands
out. *Written by user code* is that alone. *Reported* is from the call of the report until it is answered; *an
exploit* from the call of the report of the member that becomes a clone, which hands over as large a checkpoint of
its own, to the clone's first step with the path of the donor's files at hand, before it has read them. What Ramet
*writes* and *reads* meanwhile is counted by the system, in the worker and the controller: bytes read are for
checksums. The target of the exploit is that of a small one, and a rename."""

SIZES = [("1 MB", 10**6, 20), ("100 MB", 10**8, 5), ("1 GB", 10**9, 3)]


def measure(asked: Asked) -> Iterator[Figure | Skipped]:
    """Time writing, reporting and exploiting, and count the bytes, for each size that there is room for."""
    for told, size, rounds in SIZES[:1] if asked.quick else SIZES:
        if shutil.disk_usage(tempfile.gettempdir()).free < 8 * size:
            yield Skipped(PART, told, f"less than 8 x {told} are free in the temporary folder")
            continue
        values = call("large.py", "--bytes", size, "--rounds", min(rounds, 3 * asked.repeats)).told
        rename = values["rename_us"]
        target = at_most(round(500 + statistics.median(rename)) / 1000) if told == "1 GB" else None
        yield Figure.of(PART, f"{told}, written by user code", "ms", [1000 * one for one in values["write_s"]])
        yield Figure.of(PART, f"{told}, the directory renamed", "ms", [one / 1000 for one in rename])
        yield Figure.of(PART, f"{told}, reported, until answered", "ms", [1000 * one for one in values["answer_s"]])
        exploits = [1000 * one for one in values["exploit_s"]]
        yield Figure.of(PART, f"{told}, an exploit, from the report to the clone's first step", "ms", exploits, target)
        for verb, at in (("written", 1), ("read", 0)):
            counted = [one[at] / 1e6 for one in values["exploit_io"] if one is not None]
            name = f"{told}, {verb} by Ramet in an exploit"
            if counted:
                wanted = at_most(1) if verb == "written" and told == "1 GB" else None
                yield Figure.of(PART, name, "MB", counted, wanted)
            else:
                yield Skipped(PART, name, "this system does not count it")
