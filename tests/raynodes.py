"""A Ray cluster of several nodes on this machine, each with resources of its own, that come and go as told."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

KEEPER = Path(__file__).parent / "scripts" / "ray_nodes.py"


class Nodes:
    """A head without resources, and the nodes that `add` starts; a process of its own keeps them, and ends them."""

    def __init__(self) -> None:
        environment = dict(os.environ, RAY_USAGE_STATS_ENABLED="0")
        self._keeper = subprocess.Popen(
            [sys.executable, str(KEEPER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            bufsize=1,
            env=environment,
        )
        self.address = self._answer()
        self.names: list[str] = []

    def __enter__(self) -> Nodes:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, **resources: Any) -> str:
        """Start a node; return its name. It joins in a second or so."""
        name = self._ask("add " + json.dumps(resources or {"num_cpus": 2}))
        self.names.append(name)
        return name

    def kill(self, name: str) -> None:
        """Kill a node, as if its machine had lost power."""
        self.names.remove(name)
        self._ask(f"kill {name}")

    def kill_head(self) -> None:
        """Kill the head."""
        self._ask("head")

    def close(self) -> None:
        """End all of it."""
        if self._keeper.poll() is None:
            assert self._keeper.stdin is not None
            self._keeper.stdin.close()
            try:
                self._keeper.wait(30)
            except subprocess.TimeoutExpired:
                self._keeper.kill()
        assert self._keeper.stdout is not None
        self._keeper.stdout.close()
        self._keeper.wait()

    def _ask(self, line: str) -> str:
        assert self._keeper.stdin is not None
        self._keeper.stdin.write(line + "\n")
        return self._answer()

    def _answer(self) -> str:
        assert self._keeper.stdout is not None
        answer = self._keeper.stdout.readline().strip()
        if not answer:
            raise RuntimeError(f"the keeper of the Ray nodes ended with status {self._keeper.wait()}")
        return answer


def actors(kind: str = "Place") -> list[int]:
    """Return the process numbers of the actors that hold slots, or of another ``kind``, of all runs of this machine."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                told = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if told.startswith(f"ray::{kind}".encode()):
                found.append(int(entry.name))
    return sorted(found)


def left_alone(before: dict[int, int]) -> list[int]:
    """Return those processes of actors, of ``before``, whose node has gone while they live on, for a moment."""
    return [number for number, parent in parents().items() if before.get(number, parent) != parent]


def parents() -> dict[int, int]:
    """Return the processes of all actors of this machine, and which process started each."""
    found = {}
    for number in actors(""):
        with contextlib.suppress(OSError):
            found[number] = int(Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[1])
    return found


def kill_process(number: int) -> None:
    """Kill a process that may be gone already."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(number, signal.SIGKILL)


def segments(folder: Path, iteration: int) -> set[int]:
    """Return the segments that have a large checkpoint of ``iteration`` or later below ``folder``, which is in use."""
    folders = (name for _, names, _ in os.walk(folder) for name in names)  # it passes over what vanishes
    found = (name.split("-") for name in folders if re.fullmatch(r"\d{6}-\d{8}-\w+", name))
    return {int(segment) for segment, at, _ in found if int(at) >= iteration}
