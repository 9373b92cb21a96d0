"""Starting controllers and killing them, or their workers, at a moment that nobody chose. Only our own are killed."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from pathlib import Path

from workloads import PACE

from ramet.core.events import Began, Ended, Event, Finished
from ramet.errors import RunError
from ramet.record import Record

HERE = Path(__file__).parent
PATIENCE = 120.0
"""Seconds after which something hangs."""

KINDS = ("controller", "worker", "both")
SECONDS = 1.5
"""What a run takes about, the start of its interpreter included."""

GIVEN_UP = "workers in a row died before they could start"


class Wreck:
    """One run that is started again and again, until it ends by itself; ``most`` times somebody is killed."""

    def __init__(self, workload: str, folder: Path, draw: random.Random, count: Counter[str], long: bool) -> None:
        self.workload, self.folder, self.draw, self.count = workload, folder, draw, count
        self.most = draw.randint(1, 10 if long else 2)
        self.mark = uuid.uuid4().hex
        self.environment = {**os.environ, PACE: "0.4", "RAMET_TORTURE": self.mark}
        self.hits = 0

    def until_it_ends(self, kind: str) -> None:
        """Kill, and start again, until the controller ends well."""
        self.tally("runs", kind)
        deadline = time.monotonic() + 10 * PATIENCE
        while True:
            assert time.monotonic() < deadline, f"{self.folder} never ends"
            if self._attempt(kind):
                break
            self.tally("restarts", kind)
        assert self.survivors() == []

    def tally(self, what: str, kind: str) -> None:
        """Count, by kind and by workload."""
        self.count[f"{what}: {kind} on {self.workload}"] += 1
        self.count[f"{what}: {kind} in all"] += 1

    def _attempt(self, kind: str) -> bool:
        """Run the controller, kill, and return whether it ended by itself and well."""
        said = self.folder.with_name(f"{self.folder.name}.said")
        with said.open("wb") as file:
            process = subprocess.Popen(
                [sys.executable, str(HERE / "controller.py"), self.workload, str(self.folder)],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                env=self.environment,
            )
        try:
            if kind == "worker":
                while self.hits < self.most and not self._ends_within(process, self._moment() / 2):
                    self._hit_a_worker(process, kind)
            elif self.hits < self.most and self._lives_to(process, self.draw.choice(("any", "any", "begin", "end"))):
                if kind == "both" and self.draw.random() < 0.5:
                    self._hit_a_worker(process, None)
                process.kill()
                if kind == "both":
                    self._hit_a_worker(process, None)
            status = process.wait(PATIENCE)
        finally:
            process.kill()
            process.wait()
        text = said.read_text(errors="replace")
        if status == 1 and GIVEN_UP in text:  # a user would look at the machine, and take it up again
            self.tally("given up", kind)
            return False
        if status == -signal.SIGKILL and kind != "worker":
            self.hits += 1
            self.tally("kills", kind)
            self.count[f"kills of a controller {self._where()}"] += 1
            return False
        assert status == 0, f"exit status {status}:\n{text}"
        return True

    def _kinds(self) -> list[type[Event]]:
        """Return the kinds of what happened so far, nothing where there is no ledger."""
        try:
            record = Record.open(self.folder)
        except RunError:
            return []
        try:
            return [type(event) for event in record.events()]
        finally:
            record.close()

    def _where(self) -> str:
        """Return how far the run in the folder is, now that its controller is dead."""
        kinds = self._kinds()
        if Began not in kinds:
            return "before the run began"
        if kinds[-1] is Ended:
            return "after its end"
        return "while members finished" if Finished in kinds else "under way"

    def _moment(self) -> float:
        """Draw when to strike: anywhere in a run, and more often where it begins and where the rest of one ends."""
        return self.draw.uniform(0.0, SECONDS * self.draw.choice((0.3, 1.0)))

    def _lives_to(self, process: subprocess.Popen[bytes], aim: str) -> bool:
        """Wait for a moment of that sort, and return whether the controller is still there."""
        while (aim == "begin" and not self.folder.exists()) or (aim == "end" and not self._has_finished()):
            if self._ends_within(process, 0.01):
                return False
        return not self._ends_within(process, self._moment() if aim == "any" else self.draw.uniform(0.0, 0.2))

    def _has_finished(self) -> bool:
        return Finished in self._kinds()

    @staticmethod
    def _ends_within(process: subprocess.Popen[bytes], seconds: float) -> bool:
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _hit_a_worker(self, controller: subprocess.Popen[bytes], kind: str | None) -> None:
        """Kill one child of the controller, if it has any, and surely no other process."""
        found = children(controller.pid)
        if not found:
            return
        child = self.draw.choice(found)
        with contextlib.suppress(ProcessLookupError):
            handle = os.pidfd_open(child)
            try:
                # The handle is of a process that was, at some moment since, our own child's child.
                if parent(child) == controller.pid and self.mark in environment(child):
                    signal.pidfd_send_signal(handle, signal.SIGKILL)
                    if kind is not None:
                        self.hits += 1
                        self.tally("kills", kind)
            finally:
                os.close(handle)

    def survivors(self) -> list[int]:
        """Return who is left of all that was started, once everybody had time to go."""
        deadline = time.monotonic() + PATIENCE
        while True:
            left = [pid for pid in processes() if self.mark in environment(pid)]
            if not left or time.monotonic() > deadline:
                return left
            time.sleep(0.01)


def processes() -> list[int]:
    """Return the numbers of all processes."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def parent(pid: int) -> int | None:
    """Return the parent of a process, None if it is gone."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[1])
    except (OSError, IndexError):
        return None


def children(pid: int) -> list[int]:
    """Return the children of a process, zombies included."""
    return [other for other in processes() if parent(other) == pid]


def environment(pid: int) -> str:
    """Return the environment that a process was started with; a zombie has none."""
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace")
    except OSError:
        return ""
