"""kill -9 of the controller, of workers, of both, at moments that nobody chose, again and again until the run ends.

A synchronous run must then tell the story of one that nothing happened to; an asynchronous one, whose story depends on
who comes first, must be whole.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache
from typing import Any

import laws
import pytest
from workloads import TUNERS
from wreck import KINDS, Wreck

import ramet
from ramet.testing import story

QUOTA = {"controller": 52, "worker": 52, "both": 14}
"""Kills on each workload, with --long. There are four of them."""

SHORT = {
    ("controller", "triangle"),
    ("controller", "quadratic"),
    ("controller", "directories"),
    ("controller", "asynchronous"),
    ("worker", "triangle"),
    ("worker", "directories"),
    ("both", "directories"),
}


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory) -> Callable[[str], Any]:
    """The story of a workload that nothing happened to."""

    @cache
    def told(workload: str) -> Any:
        folder = tmp_path_factory.mktemp("undisturbed") / workload
        return story(TUNERS[workload](folder, executor=ramet.InlineExecutor()).fit().experiment_path)

    return told


@pytest.mark.parametrize("workload", TUNERS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_run_survives_kills(tmp_path, undisturbed, long, count, kind, workload):
    """Whatever was killed, the run ends with the undisturbed story, whole and clean, and leaves no process behind."""
    if not long and (kind, workload) not in SHORT:
        pytest.skip("with --long")
    number = hits = 0
    while hits < (QUOTA[kind] if long else 1):
        number += 1
        assert number <= 10 * QUOTA[kind], "nothing is ever hit"
        seed = f"{kind}, {workload}, {number}"
        wreck = Wreck(workload, tmp_path / f"run{number}", random.Random(seed), count, long)
        wreck.until_it_ends(kind)
        hits += wreck.hits
        laws.is_clean(wreck.folder)
        if workload in ("directories", "asynchronous"):
            laws.is_whole(wreck.folder, members=4, stop=60)
        if workload != "asynchronous":
            assert story(wreck.folder) == undisturbed(workload), seed
