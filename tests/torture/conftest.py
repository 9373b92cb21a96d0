"""What is left to say when all kills have been made: how many there were, of which kind, on what."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

MEMORY = Path("/dev/shm")

COUNTS = pytest.StashKey[Counter[str]]()


@pytest.fixture
def long(pytestconfig):
    """Whether everything is tried, and not only a handful."""
    return pytestconfig.getoption("--long")


@pytest.fixture
def count(pytestconfig):
    """Counts what is told at the end of the test run."""
    return pytestconfig.stash.setdefault(COUNTS, Counter())


@pytest.fixture
def place(tmp_path) -> Iterator[Path]:
    """A folder in memory, where there is such a thing, for what does not try the disk."""
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else tmp_path, prefix="ramet-") as folder:
        yield Path(folder)


def pytest_terminal_summary(terminalreporter, config):
    """Tell the counts."""
    counts = config.stash.get(COUNTS, None)
    if counts:
        terminalreporter.section("torture")
        for name in sorted(counts):
            terminalreporter.write_line(f"{counts[name]:8}  {name}")
