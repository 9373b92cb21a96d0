"""What is left to say when all kills have been made: how many there were, of which kind, on what."""

from __future__ import annotations

from collections import Counter

import pytest

COUNTS = pytest.StashKey[Counter[str]]()


@pytest.fixture
def long(pytestconfig):
    """Whether everything is tried, and not only a handful."""
    return pytestconfig.getoption("--long")


@pytest.fixture
def count(pytestconfig):
    """Counts what is told at the end of the test run."""
    return pytestconfig.stash.setdefault(COUNTS, Counter())


def pytest_terminal_summary(terminalreporter, config):
    """Tell the counts."""
    counts = config.stash.get(COUNTS, None)
    if counts:
        terminalreporter.section("torture")
        for name in sorted(counts):
            terminalreporter.write_line(f"{counts[name]:8}  {name}")
