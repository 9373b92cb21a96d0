"""The overview's state is kept up to date by what is new, and is never other than one that was made from all."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing

import pytest
from runs import RUNS
from serving import carried_out

import ramet
from ramet.ui import answers
from ramet.ui.board import Board


def fails(config):
    checkpoint = ramet.get_checkpoint()
    for step in range(checkpoint.to_dict()["step"] + 1 if checkpoint else 1, 26):
        if config["lr"] > 0.6 and step == 13:
            raise ValueError("too high")
        ramet.report({"score": -step * config["lr"]}, checkpoint=ramet.Checkpoint.from_dict({"step": step}))


def cut(source, target, last):
    """Copy a run as it was after event ``last``, as far as its ledger still tells."""
    shutil.copytree(source, target)
    with closing(sqlite3.connect(target / "run.db")) as db:
        for table in ("events", "reports"):
            db.execute(f"DELETE FROM {table} WHERE seq > ?", (last,))
        db.commit()


def grow(source, target, last):
    """Add what a run did up to event ``last``."""
    with closing(sqlite3.connect(target / "run.db")) as db:
        db.execute("ATTACH ? AS whole", (str(source / "run.db"),))
        for table in ("events", "reports"):
            query = f"INSERT INTO main.{table} SELECT * FROM whole.{table} WHERE seq <= ? AND seq NOT IN "
            db.execute(f"{query}(SELECT seq FROM main.{table})", (last,))
        db.commit()


def told(run, board):
    overview = answers.overview(run, board)
    return {name: overview[name] for name in ("members", "best", "version", "ended")} | overview["counts"]


@pytest.mark.parametrize("step", [3, 40])
@pytest.mark.parametrize("mode", ["max", "min"])
@pytest.mark.parametrize("failing", [False, True])
def test_an_overview_that_grew_is_the_one_that_is_made_anew(failing, mode, step, tmp_path):
    """However a run's events come in, one by one or many at a time, the overview is that of a fresh look."""
    more = {"failure_config": ramet.FailureConfig(max_failures=1)} if failing else {}
    whole = carried_out(tmp_path / "whole", *[fails][: int(failing)], mode=mode, **more)
    with ramet.open(whole) as run:
        last = run.trace.last
    cut(whole, tmp_path / "grown", 6)
    with ramet.open(tmp_path / "grown") as run:
        board = Board(run)
        board.update()
        for upto in [*range(7, last, step), last]:
            grow(whole, tmp_path / "grown", upto)
            assert run.refresh() or run.trace.last == upto
            board.update()
            if upto % 5 and upto != last:
                continue
            with ramet.open(tmp_path / "grown") as fresh:
                anew = Board(fresh)
                anew.update()
                assert told(run, board) == told(fresh, anew), upto


def test_a_long_run_shows_the_same_last_scores_as_a_short_look_at_all(tmp_path, monkeypatch):
    """Of a long run only the end is read for the spark lines, and of members that ended long ago all of it."""
    from ramet.ui import board as boards

    whole = carried_out(tmp_path / "whole", stop=60)
    with ramet.open(whole) as run:
        everything = Board(run)
        everything.update()
        monkeypatch.setattr(boards, "SPARK", 2)
        short = Board(run)
        short.update()

    assert {member: list(scores)[-2:] for member, scores in everything.sparks.items()} == {
        member: list(scores) for member, scores in short.sparks.items()
    }
    assert everything.values == short.values


def test_numbers_beyond_all_floats_are_shown_and_nobody_is_best_by_them(tmp_path):
    """A score that no float can hold leaves the overview whole, and the best is who has a number that compares."""
    with ramet.open(RUNS["huge numbers"](tmp_path)) as run:
        board = Board(run)
        board.update()

        assert board.best() == run.best().member
        assert run.best().value == 12
        assert len(answers.overview(run, board)["members"]) == 6
