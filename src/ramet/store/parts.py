"""A large file, brought in parts: some at once, and one that is cut costs itself alone."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

PART = 32 * 2**20
AT_ONCE = 4


def bring(read: Callable[[int, int], bytes], path: Path, size: int) -> None:
    """Write a file of ``size`` bytes to ``path``, of which ``read`` returns those from a first up to a last one."""
    path.touch()

    def part(start: int) -> None:
        data = read(start, min(start + PART, size))
        with open(path, "r+b") as file:
            file.seek(start)
            file.write(data)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(part, range(0, size, PART)))
