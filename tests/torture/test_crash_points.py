"""A run dies at every single step by which it changes its folder, and is taken up; it dies again while it is.

And the machine dies with it: of what was not synced, only a beginning is left.
"""

from __future__ import annotations

import contextlib
import random
import shutil
import sqlite3
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import laws
import pytest
from guillotine import DEAD, beheaded
from workloads import TUNERS, go_on, set_aside

import ramet
from ramet.errors import RunError
from ramet.record import Record
from ramet.testing import story


def simulated(**more: Any) -> ramet.SimulatedExecutor:
    """Two slots."""
    return ramet.SimulatedExecutor(2, **more)


RUNS: dict[str, tuple[str, Callable[[], Any], dict[str, Any]]] = {
    "small": ("triangle", simulated, {"stop": 15}),
    "directories": ("directories", simulated, {"stop": 9}),
    "failures": ("directories", lambda: simulated(failures=0.15, seed=3), {"stop": 12, "large": False}),
    "objects": ("directories", simulated, {"stop": 9, "large": False, "things": True}),
    "kept": ("quadratic", simulated, {"stop": 12}),
    "inline": ("directories", ramet.InlineExecutor, {"stop": 6}),
}


class Scene:
    """One run to be beheaded, over and over."""

    def __init__(self, name: str, place: Path) -> None:
        self.workload, self.executor, self.more = RUNS[name]
        self.place, self.folder = place, place / "run"
        self.fresh()
        status, self.moments = beheaded(self.begin, 0, place)
        assert status == 0
        self.story = story(self.folder)

    def begin(self) -> None:
        """Start the run and let it go on to its end."""
        TUNERS[self.workload](self.folder, executor=self.executor(), **self.more).fit()

    def take_up(self) -> None:
        """Do what its user would: take it up if that is possible, else begin it."""
        if ramet.Tuner.can_restore(self.folder):
            go_on(self.workload, self.folder)
        else:
            set_aside(self.folder)
            self.begin()

    def fresh(self) -> None:
        """Forget everything."""
        for path in self.place.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def die(self, at: int) -> None:
        """Begin anew, and die at moment ``at``."""
        self.fresh()
        assert beheaded(self.begin, at, self.place)[0] == DEAD

    def is_as_ever(self) -> None:
        """The run is over, and nothing shows of what happened to it."""
        laws.is_clean(self.folder)
        assert story(self.folder) == self.story


def sampled(moments: list[str], each: int, draw: random.Random) -> list[int]:
    """Return the numbers of some moments, ``each`` of every sort."""
    sorts: dict[str, list[int]] = defaultdict(list)
    for number, label in enumerate(moments, 1):
        sorts[label].append(number)
    return sorted(number for of in sorts.values() for number in draw.sample(of, min(each, len(of))))


@pytest.mark.parametrize("name", RUNS)
def test_a_run_dies_at_any_step(place, long, count, name):
    """Wherever a run dies, taking it up ends in the undisturbed story and in a clean folder."""
    scene = Scene(name, place)
    every = range(1, len(scene.moments) + 1)
    points = every if long else sampled(scene.moments, 1, random.Random(name))[::3]
    wrong = []
    for at in points:
        scene.die(at)
        try:
            assert beheaded(scene.take_up, 0, place)[0] == 0
            scene.is_as_ever()
        except Exception as error:
            wrong.append(f"{at} of {len(every)}, {scene.moments[at - 1]}: {told(error)}")
        count[f"deaths at a step: {name}, of {len(every)} steps"] += 1
    assert not wrong, "\n".join([f"{len(wrong)} of {len(points)}", *wrong[:20]])


@pytest.mark.parametrize("name", ["directories", "failures"])
def test_a_run_dies_again_while_it_is_taken_up(place, long, count, name):
    """Whatever step of the resume a second death comes at, the third start ends in the undisturbed story."""
    scene, draw = Scene(name, place), random.Random(name)
    firsts = draw.sample(range(1, len(scene.moments) + 1), 8 if long else 2)
    wrong = []
    for first in firsts:
        scene.die(first)
        saved = scene.place / "saved"
        if not scene.folder.exists():
            continue
        shutil.copytree(scene.folder, saved)
        _, moments = beheaded(scene.take_up, 0, place)
        seconds = range(1 + draw.randrange(7), len(moments) + 1, 7) if long else sampled(moments, 1, draw)[::8]
        for second in seconds:
            for path in scene.place.glob("run*"):
                shutil.rmtree(path)
            shutil.copytree(saved, scene.folder)
            try:
                assert beheaded(scene.take_up, second, place)[0] == DEAD
                assert beheaded(scene.take_up, 0, place)[0] == 0
                scene.is_as_ever()
            except Exception as error:
                wrong.append(f"{first} ({scene.moments[first - 1]}), {second} ({moments[second - 1]}): {told(error)}")
            count[f"second deaths: {name}"] += 1
    assert not wrong, "\n".join([f"{len(wrong)}", *wrong[:20]])


@pytest.mark.parametrize("name", RUNS)
def test_the_machine_dies(place, long, count, name):
    """Of the ledger's log any beginning that is no shorter than what was synced leads to the undisturbed story.

    Or, where not even the run's beginning is left, to a RunError that says so.
    """
    scene, draw = Scene(name, place), random.Random(name)
    points = sampled(scene.moments, 6 if long else 1, draw)
    wrong = []
    for at in points if long else points[::4]:
        scene.die(at)
        log, synced = scene.folder / "run.db-wal", int((place / "synced").read_text())
        if not log.exists() or log.stat().st_size <= synced:
            continue
        whole = log.read_bytes()
        kept = draw.choice((synced, draw.randint(synced, len(whole)), draw.randint(synced, len(whole))))
        log.write_bytes(whole[:kept]) if kept else log.unlink()
        log.with_name("run.db-shm").unlink(missing_ok=True)
        try:
            began = has_begun(scene.folder)
            assert ramet.Tuner.can_restore(scene.folder) == began
            if began:
                assert beheaded(scene.take_up, 0, place)[0] == 0
                scene.is_as_ever()
                count[f"machine deaths: {name}, taken up"] += 1
            else:
                with pytest.raises(RunError):
                    go_on(scene.workload, scene.folder)
                count[f"machine deaths: {name}, not even begun"] += 1
        except (Exception, pytest.fail.Exception) as error:
            wrong.append(f"{at} ({scene.moments[at - 1]}), {kept} of {len(whole)}, synced {synced}: {told(error)}")
    assert not wrong, "\n".join([f"{len(wrong)} of {len(points)}", *wrong[:20]])


def test_a_repair_dies_at_any_step(place, long, count):
    """Of a ledger that is damaged in its middle, a resume that dies anywhere leads to the undisturbed story."""
    scene, draw = Scene("kept", place), random.Random(0)
    wrong = []
    for damage in range(6 if long else 1):
        scene.fresh()
        scene.begin()
        with contextlib.closing(sqlite3.connect(scene.folder / "run.db")) as db:
            (entries,) = db.execute("SELECT max(seq) FROM events").fetchone()
            db.execute("UPDATE events SET data = data || ' ' WHERE seq >= ?", (draw.randint(entries // 4, entries),))
            db.commit()
        saved = scene.place / "saved"
        shutil.copytree(scene.folder, saved)
        _, moments = beheaded(scene.take_up, 0, place)
        for at in range(1, len(moments) + 1, 3) if long else sampled(moments, 1, draw):
            shutil.rmtree(scene.folder)
            shutil.copytree(saved, scene.folder)
            try:
                assert beheaded(scene.take_up, at, place)[0] == DEAD
                assert beheaded(scene.take_up, 0, place)[0] == 0
                scene.is_as_ever()
            except Exception as error:
                wrong.append(f"damage {damage}, {at} of {len(moments)} ({moments[at - 1]}): {told(error)}")
            count["deaths while a damaged ledger is repaired and its run taken up"] += 1
    assert not wrong, "\n".join([f"{len(wrong)}", *wrong[:20]])


def told(error: BaseException) -> str:
    """Return the end of what an error says."""
    return str(error).strip()[-600:]


def has_begun(folder: Path) -> bool:
    """Whether the ledger holds the run's beginning."""
    try:
        record = Record.open(folder)
    except RunError:
        return False
    try:
        return next(record.events(), None) is not None
    finally:
        record.close()
