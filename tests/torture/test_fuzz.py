"""Bytes of real runs are damaged at random: what is told is a part of the truth, or a sentence says what is wrong."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import io
import json
import os
import random
import re
import shutil
import signal
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import ramet
from ramet import fsck
from ramet.aside import OBJECTS
from ramet.cli import main
from ramet.core.events import Event, Lost
from ramet.core.population import Population
from ramet.errors import RametError, RunError
from ramet.record import Record
from ramet.settings import NAME as SETTINGS
from ramet.testing import story

SHORT, LONG = 30, 420
"""Cases for each of the runs."""

PATIENCE = 60
"""Seconds after which a case hangs."""

PAGE = 4096
LARGE = 130 * 1024


@dataclasses.dataclass(frozen=True)
class Thing:
    """A value of the search space that is no plain data."""

    size: int


class StoppedError(Exception):
    """Ends a run from within."""


class CopyAt(ramet.Callback):
    """Copies the run's folder while it is open, after so many reports, and breaks the run off then."""

    def __init__(self, reports: int, source: Path, target: Path) -> None:
        self.left, self.source, self.target = reports, source, target

    def on_report(self, member, iteration, metrics):
        self.left -= 1
        if self.left == 0:
            shutil.copytree(self.source, self.target)
            raise StoppedError


def small(config):
    """A random walk with a dict at every second step."""
    checkpoint = ramet.get_checkpoint()
    state = checkpoint.to_dict() if checkpoint else {"i": 0, "x": 0.0}
    while True:
        size = config["thing"].size if "thing" in config else 1
        state = {"i": state["i"] + 1, "x": state["x"] + size * config["lr"] * float(ramet.rng().normal())}
        saved = ramet.Checkpoint.from_dict(state) if state["i"] % 2 == 0 else None
        ramet.report({"score": state["x"], "note": f"step {state['i']}"}, checkpoint=saved)


def large(config):
    """The same, with directories that do not fit into the ledger."""
    checkpoint = ramet.get_checkpoint()
    i, x = 0, 0.0
    if checkpoint:
        with checkpoint.as_directory() as directory:
            i, x = json.loads(Path(directory, "state.json").read_text())
    while True:
        i, x = i + 1, x + config["lr"] * float(ramet.rng().normal())
        if i % 2:
            ramet.report({"score": x})
            continue
        directory = Path(ramet.checkpoint_dir())
        (directory / "state.json").write_text(json.dumps([i, x]))
        (directory / "weights").mkdir()
        (directory / "weights" / "w.bin").write_bytes(random.Random(repr(x)).randbytes(LARGE))
        ramet.report({"score": x}, checkpoint=ramet.Checkpoint.from_directory(directory))


@dataclasses.dataclass(frozen=True)
class Kind:
    """A run to be damaged: what is trained, by how many, until when, and after how many reports it is copied."""

    train: Any
    members: int
    stop: int
    at: int | None
    objects: bool = False

    @property
    def given(self) -> dict[str, Any]:
        """What the run is set up with, and what a resume is given, where all that is kept may be damaged."""
        space: dict[str, Any] = {"lr": ramet.uniform(0.1, 1.0)}
        if self.objects:
            space["thing"] = ramet.choice([Thing(2), Thing(3)])
        return {
            "param_space": space,
            "scheduler": ramet.PopulationBasedTraining(
                time_attr="training_iteration",
                perturbation_interval=4,
                hyperparam_mutations={"lr": ramet.uniform(0.1, 1.0)},
                synch=True,
            ),
            "stop": {"training_iteration": self.stop},
            "num_samples": self.members,
            "checkpoint_config": ramet.CheckpointConfig(num_to_keep=2),
            "failure_config": ramet.FailureConfig(),
            "max_concurrent_trials": None,
            "time_budget_s": None,
            "callbacks": [],
            "verbose": 0,
            "executor": "inline",
            "durability": "process",
        }


KINDS = {
    "finished": Kind(small, 4, 12, None),
    "with its log": Kind(small, 4, 12, 33),
    "objects": Kind(small, 3, 12, 25, objects=True),
    "directories": Kind(large, 3, 8, None),
    "directories, with its log": Kind(large, 3, 12, 23),
}


class Truth:
    """A run before it was damaged, and what it comes to."""

    def __init__(self, place: Path, kind: Kind) -> None:
        self.kind = kind
        whole = place / "whole"
        _fit(kind, whole, [])
        self.end = story(whole)
        self.folder = whole
        if kind.at is not None:
            self.folder = place / "copy"
            with contextlib.suppress(StoppedError):
                _fit(kind, place / "open", [CopyAt(kind.at, place / "open", self.folder)])
            assert (self.folder / "run.db-wal").stat().st_size > PAGE
        pristine = place / "pristine"  # opening a ledger may change the files beside it
        shutil.copytree(self.folder, pristine)
        grid = ramet.ResultGrid(pristine)
        record = Record.open(pristine)
        self.events = [repr(event) for event in record.events()]
        self.names = {(row.segment, row.iteration) for row in record.ledger.checkpoints()}
        self.contents = {name: content(ramet.Checkpoint(stored=record.checkpoint(name))) for name in self.names}
        record.close()
        self.rows = {(row["segment"], row["training_iteration"]): repr(row) for row in rows(grid)}
        self.segments = {
            segment.number: (segment.member, segment.parent, segment.start, repr(segment.hparams))
            for segment in grid.population.segments
        }
        self.files = sorted(path for path in self.folder.rglob("*") if path.is_file() and path.stat().st_size)
        self.files = [path for path in self.files if not path.name.endswith("-shm")]


def _fit(kind: Kind, folder: Path, callbacks: list[ramet.Callback]) -> None:
    given = kind.given
    names = ("scheduler", "num_samples", "max_concurrent_trials", "time_budget_s")
    tune = {name: given.pop(name) for name in names}
    ramet.Tuner(
        kind.train,
        param_space=given.pop("param_space"),
        tune_config=ramet.TuneConfig(metric="score", mode="max", seed=7, **tune),
        run_config=ramet.RunConfig(name=folder.name, storage_path=folder.parent, **{**given, "callbacks": callbacks}),
    ).fit()


def content(checkpoint: ramet.Checkpoint) -> str:
    """Return a digest of what a checkpoint holds, as a user reads it."""
    digest = hashlib.sha256()
    with contextlib.suppress(RametError):
        digest.update(repr(checkpoint.to_dict()).encode())
    with checkpoint.as_directory() as directory:
        for name in ("dict_checkpoint.pkl", "state.json", "weights/w.bin"):
            if Path(directory, name).exists():
                digest.update(name.encode() + Path(directory, name).read_bytes())
    return digest.hexdigest()


def rows(grid: ramet.ResultGrid) -> Iterator[dict[str, Any]]:
    """Yield all rows of all members, given up ones too."""
    for segment in grid.population.segments:
        yield from grid.rows([(segment, segment.last)])


# ---------------------------------------------------------------------- the damage


def damage(draw: random.Random, folder: Path, truth: Truth) -> list[str]:
    """Damage one or two places in the copied run; return which."""
    told = []
    for _ in range(draw.choice((1, 1, 1, 2))):
        # The ledger more often than its size among the files would have it.
        ledger = [path for path in truth.files if path.name.startswith("run.db")]
        target = draw.choice(ledger if draw.random() < 0.6 else truth.files)
        path = folder / target.relative_to(truth.folder)
        if not path.exists():
            continue
        data = bytearray(path.read_bytes())
        how = draw.choice(DAMAGES)
        if data:
            data = how(draw, data)
        path.write_bytes(data)
        told.append(f"{how.__name__} {path.relative_to(folder)}")
    return told


def flipped(draw: random.Random, data: bytearray) -> bytearray:
    """Change some bits."""
    for _ in range(draw.choice((1, 1, 2, 8, 64))):
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    return data


def overwritten(draw: random.Random, data: bytearray) -> bytearray:
    """Write random bytes over some."""
    at, size = draw.randrange(len(data)), draw.choice((1, 4, 100, PAGE))
    data[at : at + size] = draw.randbytes(min(size, len(data) - at))
    return data


def zeroed(draw: random.Random, data: bytearray) -> bytearray:
    """Write zeros, as a file system does that lost what was written."""
    at, size = draw.randrange(len(data)), draw.choice((16, 512, PAGE, 4 * PAGE))
    if size >= PAGE:
        at -= at % PAGE
    data[at : at + size] = bytes(min(size, len(data) - at))
    return data


def cut(draw: random.Random, data: bytearray) -> bytearray:
    """Leave out the end."""
    return data[: draw.choice((0, draw.randrange(len(data)), len(data) // PAGE * PAGE, len(data) - 1))]


def doubled(draw: random.Random, data: bytearray) -> bytearray:
    """Write one page in the place of another one, or in between."""
    at, to = (draw.randrange(0, len(data), PAGE) for _ in range(2))
    data[to : to + draw.choice((0, PAGE))] = data[at : at + PAGE]
    return data


def dropped(draw: random.Random, data: bytearray) -> bytearray:
    """Leave a page out."""
    at = draw.randrange(0, len(data), PAGE)
    del data[at : at + PAGE]
    return data


DAMAGES = (flipped, flipped, overwritten, zeroed, cut, doubled, dropped)


# ---------------------------------------------------------------------- what has to hold


def told(folder: Path) -> tuple[list[Event], bool]:
    """Return the events that can be read, and whether there are no more."""
    found: list[Event] = []
    with contextlib.suppress(RametError):
        with contextlib.closing(Record.open(folder)) as record:
            found.extend(event for _, event in record.replayed(Population()))  # keeps what came before an error
        return found, True
    return found, False


def is_the_truth(folder: Path, truth: Truth, members: slice) -> None:
    """Read everything there is, of some members all that there are ways for. None of it may be false."""
    events, _ = told(folder)
    known = [repr(event) for event in events if not isinstance(event, Lost)]
    assert known == truth.events[: len(known)], "events that never happened, or not in this order"
    try:
        grid = ramet.ResultGrid(folder)
    except RametError:
        return
    for segment in grid.population.segments:
        made = (segment.member, segment.parent, segment.start, repr(segment.hparams))
        assert made == truth.segments[segment.number]
    reads: list[Any] = [
        lambda: list(check_rows(grid, truth)),
        grid.get_dataframe,
        lambda: grid.get_dataframe("score", "max"),
        lambda: grid.get_best_result(scope="all").config,
        lambda: grid.get_best_result().metrics,
        lambda: (grid.errors, grid.num_terminated, repr(grid)),
    ]
    for result in grid[members]:
        reads += [
            lambda result=result: (result.metrics, result.lineage, result.schedule.frame(), repr(result)),
            lambda result=result: (result.metrics_dataframe, result.lineage_dataframe),
            lambda result=result: [check_content(grid, point.checkpoint, truth)
                                   for _, point in grid.population.history(result.member)
                                   if point.checkpoint in grid.population.present],
            lambda result=result: [content(checkpoint) for checkpoint, _ in result.best_checkpoints],
            lambda result=result: content(result.checkpoint) if result.checkpoint else None,
        ]  # fmt: skip
    for read in reads:
        with contextlib.suppress(RametError):
            read()


def check_rows(grid: ramet.ResultGrid, truth: Truth) -> Iterator[None]:
    """Each row is one that was reported."""
    for row in rows(grid):
        assert repr(row) == truth.rows[row["segment"], row["training_iteration"]]
        yield


def check_content(grid: ramet.ResultGrid, name: tuple[int, int], truth: Truth) -> None:
    """A checkpoint that can be read holds what was saved."""
    found = content(grid.checkpoint(name))
    assert truth.contents.get(name, found) == found


def shown(folder: Path) -> tuple[int, str]:
    """Return the exit status of ``ramet show``, and all that it wrote."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        status = main(["show", str(folder)])
    return status, out.getvalue()


def case(folder: Path, truth: Truth, draw: random.Random, what: list[str], *, go_on: bool, thorough: bool) -> str:
    """Damage a copy, tell ``what``, and do all that a user may do with it; return what came of it."""
    shutil.copytree(truth.folder, folder)
    what[:] = damage(draw, folder, truth)
    one = draw.randrange(truth.kind.members)
    members = slice(None) if thorough else slice(one, one + 1)
    status, _ = shown(folder)
    assert status in (0, 1)
    is_the_truth(folder, truth, members)
    try:
        found = fsck.check(folder)
    except RunError:
        found = ["no ledger"]
    can = ramet.Tuner.can_restore(folder)
    repaired = not go_on or draw.random() < 0.5
    if repaired:
        outcome = mended(folder, truth, found, can, members)
        if outcome in ("refused", "never began") or not go_on:
            return outcome
    refused = None
    try:
        grid = ramet.Tuner.restore(folder, truth.kind.train, **truth.kind.given).fit()
    except RunError as error:
        refused = str(error)
    if refused is not None:
        if OBJECTS in refused:
            return "refused for its objects"
        if "never began" in refused:
            assert told(folder)[0] == []
            return "never began"
        assert found != [], f"nothing is wrong, and it cannot be taken up: {refused}"
        assert mended(folder, truth, found, can, members) == "refused", f"it could be repaired, and was not: {refused}"
        return "refused"
    assert [result.state for result in grid] == ["finished"] * truth.kind.members
    # What nobody trains on from was not looked at, unless by a repair.
    left = [each for each in fsck.check(folder) if not each.startswith((SETTINGS, OBJECTS))]
    assert left == [] or (not repaired and all(re.match(r"checkpoint .* is lost", each) for each in left))
    lost = has_lost(folder) or left != []
    assert lost or story(folder) == truth.end, "another end than that of the undisturbed run"
    return "lost checkpoints" if lost else "repaired" if found else "unharmed"


def has_lost(folder: Path) -> bool:
    """Return whether the run has lost checkpoints."""
    return any(isinstance(event, Lost) for event in told(folder)[0])


def mended(folder: Path, truth: Truth, found: list[str], can: bool, members: slice) -> str:
    """Repair what was damaged, and return what came of that."""
    refused = None
    try:
        fsck.repair(folder)
    except RunError as error:
        refused = str(error)
    if refused is not None:
        assert found != [], f"nothing is wrong, and it cannot be repaired: {refused}"
        return "refused"
    if not told(folder)[0]:
        return "never began"
    assert can, "what can be repaired can be restored"
    left = [each for each in fsck.check(folder) if not each.startswith((SETTINGS, OBJECTS))]
    assert left == [], "what is wrong is still there"
    is_the_truth(folder, truth, members)
    return "lost checkpoints" if has_lost(folder) else "repaired" if found else "unharmed"


@contextlib.contextmanager
def at_most(seconds: int) -> Iterator[None]:
    """Fail what takes longer."""

    def fail(number, frame):
        raise AssertionError(f"it takes longer than {seconds} s")

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("name", KINDS)
def test_damage_is_told_and_mended_and_never_believed(place, long, count, name):
    """Only RametErrors come out; what is told is true; a repair leaves a whole run, which goes on to its true end."""
    truth = Truth(place, KINDS[name])
    failed: list[str] = []
    first, cases = int(os.environ.get("RAMET_FUZZ_SEED", "0")), LONG if long else SHORT
    for seed in range(first, first + cases):
        folder, what, outcome = place / f"run{seed}", ["nothing"], "FAILED"
        try:
            with at_most(PATIENCE):
                outcome = case(
                    folder, truth, random.Random(f"{name} {seed}"), what, go_on=long or seed % 3 == 0, thorough=long
                )
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt):
                raise
            failed.append(f"{name}, seed {seed}, {what}: {''.join(traceback.format_exception(error, limit=-6))}")
        count[f"fuzz: {outcome}, {name}"] += 1
        count[f"fuzz: {outcome}, in all"] += 1
        shutil.rmtree(folder, ignore_errors=True)
    assert not failed, f"{len(failed)} of {cases}:\n" + "\n".join(failed[:8])
