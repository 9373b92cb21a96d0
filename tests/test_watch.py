"""``ramet watch``: another process looks on; it sees everything once, and the run never notices."""

from __future__ import annotations

import contextlib
import json
import math
import os
import pty
import re
import select
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from ramet import cli
from ramet.core.blocks import encoded, encoded_seconds
from ramet.core.events import Began, Ended, Event, Failed, Kept, Noted, Opened, Reported, Resumed
from ramet.core.messages import StoredCheckpoint
from ramet.core.population import Population
from ramet.demo import train_population
from ramet.errors import RunError
from ramet.following import Follower
from ramet.record import Record
from ramet.store.ledger import Ledger
from ramet.store.lock import RunLock, is_held
from ramet.view.table import Scene, frame
from ramet.view.trails import Trails
from ramet.view.wording import brief, plain, told

PATIENCE = 60.0


class Work(NamedTuple):
    """What an executor's work shows of itself."""

    member: int
    waiting: bool = False


SCRIPT = """
import sys, time
from pathlib import Path
import ramet

def train(config):
    # It goes on when it is told to, by the last number in a file.
    allowed = Path(config["allowed"])
    checkpoint = ramet.get_checkpoint()
    step = checkpoint.to_dict()["step"] if checkpoint else 0
    while True:
        while int(allowed.read_text() or 0) <= step:
            time.sleep(0.005)
        step += 1
        ramet.report({"score": step * config["lr"]}, checkpoint=ramet.Checkpoint.from_dict({"step": step}))

if __name__ == "__main__":
    pbt = ramet.PopulationBasedTraining(
        time_attr="training_iteration", perturbation_interval=5, hyperparam_mutations={"lr": ramet.uniform(0.1, 1.0)}
    )
    ramet.Tuner(
        train,
        param_space={"lr": ramet.grid_search([0.1, 0.2, 0.3, 0.4]), "allowed": sys.argv[2]},
        tune_config=ramet.TuneConfig(metric="score", mode="max", scheduler=pbt, seed=1),
        run_config=ramet.RunConfig(
            name="walk", storage_path=sys.argv[1], stop={"training_iteration": 40}, verbose=0,
            executor=ramet.ProcessExecutor(slots=2),
        ),
    ).fit()
"""


def until(condition: Callable[[], Any], what: str) -> Any:
    """Wait until ``condition`` holds, and return what it returned."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.01)
    raise AssertionError(f"waited in vain for {what}")


class Run:
    """A run in a process of its own, which trains as far as it is let."""

    def __init__(self, folder: Path) -> None:
        self._allowed = folder / "allowed"
        self.let(0)
        script = folder / "script.py"
        script.write_text(textwrap.dedent(SCRIPT), encoding="utf-8")
        self.process = subprocess.Popen([sys.executable, str(script), str(folder), str(self._allowed)])
        self.folder = folder / "walk"
        until(lambda: self.folder.exists() and len(self.kinds()) > 4, "the run to begin")

    def let(self, step: int) -> None:
        """Let members train up to ``step``."""
        aside = self._allowed.with_suffix(".new")
        aside.write_text(str(step), encoding="utf-8")
        aside.replace(self._allowed)

    def kinds(self) -> list[str]:
        """Return the kinds of all entries so far; of none where there is no ledger yet."""
        try:
            record = Record.open(self.folder)
        except RunError:
            return []
        try:
            return [type(event).__name__ for event in record.events()]
        finally:
            record.close()


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    """A run that waits at its beginning."""
    run = Run(tmp_path)
    try:
        yield run
    finally:
        if run.process.poll() is None:
            run.process.kill()
        run.process.wait(PATIENCE)


def watching(folder: Path, *words: str, **how: Any) -> subprocess.Popen[bytes]:
    """Start ``ramet watch`` in a process of its own."""
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, "-m", "ramet", "watch", *words, str(folder)]
    # Unbuffered: what `readline` took ahead would be lost to `communicate`.
    return subprocess.Popen(command, bufsize=0, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, **how)


def as_told(record: Record) -> list[tuple[str, int | None]]:
    """Return what a ledger holds, as a reader of JSON compares it: kinds and segments."""
    return [(type(event).__name__, getattr(event, "segment", None)) for event in record.events()]


# ---------------------------------------------------------------------------------------------- runs of other processes


def test_a_watcher_sees_every_event_once_and_ends_with_the_run(run: Run) -> None:
    """With --json --all the lines are the ledger's entries, each once and in order, and the status is 0."""
    run.let(12)
    with watching(run.folder, "--json", "--all") as watcher:
        assert watcher.stdout is not None
        first = json.loads(watcher.stdout.readline())
        assert (first["kind"], first["seq"], first["members"]) == ("Began", 1, 4)
        run.let(1000)
        out, err = watcher.communicate(timeout=PATIENCE)
    assert run.process.wait(PATIENCE) == 0
    assert (watcher.returncode, err) == (0, b"")
    told = [first, *map(json.loads, out.splitlines())]
    record = Record.open(run.folder)
    assert [(each["kind"], each.get("segment")) for each in told] == as_told(record)
    record.close()
    assert [each["seq"] for each in told] == list(range(1, len(told) + 1))
    assert told[-1] == {"seq": len(told), "kind": "Ended", "reason": "every member is done"}
    reported = next(each for each in told if each["kind"] == "Reported")
    assert sorted(reported) == ["at", "first", "kind", "last", "member", "metrics", "segment", "seq"]


def test_one_that_comes_later_begins_where_the_run_is(run: Run) -> None:
    """Without --all the first line tells of the attachment, and then come the entries after it and no others."""
    run.let(5)
    until(lambda: run.kinds().count("Kept") >= 4, "some checkpoints")
    with watching(run.folder, "--json") as watcher:
        assert watcher.stdout is not None
        attached = json.loads(watcher.stdout.readline())
        assert (attached["kind"], attached["members"]) == ("Attached", 4)
        assert attached["seq"] > 4
        run.let(1000)
        out, _ = watcher.communicate(timeout=PATIENCE)
    numbers = [json.loads(line)["seq"] for line in out.splitlines()]
    assert numbers == list(range(attached["seq"] + 1, len(run.kinds()) + 1))


def test_a_pipe_is_told_in_lines_and_the_summary(run: Run) -> None:
    """Where the output is no terminal there are plain lines, as a run prints them itself, and the summary."""
    with watching(run.folder) as watcher:
        assert watcher.stdout is not None
        assert watcher.stdout.readline().startswith(b"run walk: 4 members")
        run.let(1000)
        out = watcher.communicate(timeout=PATIENCE)[0].decode()
    assert watcher.returncode == 0
    assert all(line.isprintable() for line in out.splitlines())
    assert re.search(r"^t=\d+  member \d \([\d.]+\) ← member \d \([\d.]+ at iteration \d+\)  lr ", out, re.MULTILINE)
    assert re.search(r"^run walk ended after .*: every member is done$", out, re.MULTILINE)


def test_a_killed_run_is_told_with_the_way_to_go_on(run: Run) -> None:
    """When SIGKILL ends the process that ran it, the watcher says so, how to go on, and ends with status 1."""
    run.let(7)
    until(lambda: run.kinds().count("Kept") >= 4, "some checkpoints")
    with watching(run.folder) as lines, watching(run.folder, "--json") as objects:
        assert lines.stdout is not None
        assert objects.stdout is not None
        lines.stdout.readline()
        objects.stdout.readline()
        run.process.kill()
        out, err = (each.decode() for each in lines.communicate(timeout=PATIENCE))
        last = json.loads(objects.communicate(timeout=PATIENCE)[0].splitlines()[-1])
    go_on = f"ramet.Tuner.restore({str(run.folder)!r}, train).fit()"
    assert (lines.returncode, objects.returncode) == (1, 1)
    assert err == f"ramet watch: the process that ran it is gone; go on: {go_on}\n"
    assert ": the process that ran it is gone\n" in out
    assert last == {"kind": "Gone", "go_on": go_on}
    assert "Ended" not in run.kinds()


def test_detaching_leaves_the_run_as_it_is(run: Run) -> None:
    """Ctrl-C ends the watcher with status 130; the run goes on to its end, and its folder holds nothing new."""
    run.let(7)
    until(lambda: run.kinds().count("Kept") >= 4, "some checkpoints")
    before = sorted(path.name for path in run.folder.iterdir())
    with watching(run.folder) as watcher:
        assert watcher.stdout is not None
        watcher.stdout.readline()
        watcher.send_signal(signal.SIGINT)
        _, err = watcher.communicate(timeout=PATIENCE)
    assert watcher.returncode == 130
    assert err == b"detached: the run goes on\n"
    assert run.process.poll() is None
    assert sorted(path.name for path in run.folder.iterdir()) == before
    run.let(1000)
    assert run.process.wait(PATIENCE) == 0
    assert run.kinds()[-1] == "Ended"


def test_a_terminal_has_the_live_table_and_is_given_back(run: Run) -> None:
    """On a terminal the same table is drawn; after Ctrl-C the cursor is there again."""
    run.let(7)
    until(lambda: run.kinds().count("Kept") >= 4, "some checkpoints")
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30", "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, "-m", "ramet", "watch", str(run.folder)]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as watcher:
        os.close(theirs)
        data = b""
        sent = False
        with contextlib.suppress(OSError):  # how Linux says that the other side has closed
            while select.select([ours], [], [], PATIENCE)[0] and (part := os.read(ours, 1 << 16)):
                data += part
                if not sent and data.count(b"iteration") >= 4:
                    watcher.send_signal(signal.SIGINT)
                    sent = True
        if not sent:
            watcher.kill()
        os.close(ours)
        assert watcher.wait(PATIENCE) == 130
    text = data.decode()
    seen = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    assert re.search(r"\d+ %   iteration \S+ of 40", seen)
    assert "detached: the run goes on" in seen
    assert "busy" not in seen  # nobody knows from outside who has a slot
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")


# ---------------------------------------------------------------------------------------------- without a process


FACTS = {"run": "r", "metric": "score", "mode": "max", "time_attr": "training_iteration", "goal": 20.0, "mutable": {}}


def row(segment: int, iteration: int, score: float) -> Reported:
    """Return a report."""
    rows, elapsed = encoded(["score"], "d", [score], 1), encoded_seconds([float(iteration)])
    return Reported(segment, iteration, iteration, {"score": score}, rows, elapsed, 1000.0 + iteration)


def reported(segment: int, iteration: int, score: float) -> list[Event]:
    """Return what a report with a checkpoint makes."""
    return [
        row(segment, iteration, score),
        Kept(segment, iteration, float(iteration), score, score, 1.0),
    ]


def committed(record: Record, *events: Event, rewound: dict[int, int] | None = None) -> None:
    """Commit ``events`` with tiny checkpoints."""
    stored = {
        (event.segment, event.iteration): StoredCheckpoint("dict", b"x", None, 1)
        for event in events
        if isinstance(event, Kept)
    }
    record.commit(events, stored, rewound or {})


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Record]:
    """A run of two members that is being written, by nobody who holds a lock."""
    folder = tmp_path / "r"
    folder.mkdir()
    record = Record.create(folder, {})
    founders = [Opened(number, number, None, 0, {"lr": 0.1}, {"why": "founder"}) for number in (0, 1)]
    committed(record, Began(1, 2, FACTS), *founders)
    yield record
    record.close()


def test_a_follower_holds_nothing_between_two_looks(record: Record) -> None:
    """While somebody follows, the write-ahead log can be brought home whole, and goes when the writer closes."""
    follower = Follower(record.folder)
    other = sqlite3.connect(record.ledger.path)
    for iteration in range(1, 4):
        committed(record, *reported(0, iteration, 0.5))
        assert [type(event).__name__ for _, event in follower.poll()][-2:] == ["Reported", "Kept"]
        busy, _, _ = other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        assert busy == 0
    other.close()
    assert follower.poll() == []
    record.close()
    assert not record.ledger.path.with_name("run.db-wal").exists()


def test_rows_that_were_made_again_are_followed_as_the_run_went(record: Record) -> None:
    """What is deleted because it is made again, seen before or not, leads to the same state as reading it afresh."""
    early, late = Follower(record.folder), Follower(record.folder)
    committed(record, *reported(0, 1, 0.5))
    late.poll()
    early.poll()
    committed(record, row(0, 2, 9.0))
    assert [type(event) for _, event in early.poll()] == [Reported]
    committed(record, Failed(0, "died", final=False), rewound={0: 1})
    committed(record, *reported(0, 2, 0.75))
    committed(record, Ended("broken off"), Resumed(2), Noted("x", "y"))
    for follower in (early, late):
        follower.poll()
        fresh = record_of(record.folder)
        assert follower.population.current(0).last == fresh.current(0).last == 2
        assert follower.population.members[0].compute == fresh.members[0].compute == 2
        assert follower.population.members[0].metrics == fresh.members[0].metrics == {"score": 0.75}
        assert follower.population.ended is None
        assert follower.seq == record.ledger.last


def record_of(folder: Path) -> Any:
    """Return the population of a run, read afresh."""
    record = Record.open(folder)
    try:
        return record.population()
    finally:
        record.close()


@pytest.mark.parametrize("batch", [1, 2, 3, 7])
def test_a_long_past_is_read_in_whole_transactions(record: Record, monkeypatch: pytest.MonkeyPatch, batch: int) -> None:
    """However little is read at a time, every entry comes once, and a look never ends within a transaction."""
    for iteration in range(1, 6):
        committed(record, *reported(0, iteration, 0.5), *reported(1, iteration, 0.25))
    monkeypatch.setattr("ramet.following.BATCH", batch)
    follower, seen, ends = Follower(record.folder), list[int](), list[int]()
    while follower.more:
        seen += [seq for seq, _ in follower.poll()]
        ends.append(follower.seq)
    assert seen == list(range(1, record.ledger.last + 1))
    assert set(ends) <= {3, 7, 11, 15, 19, 23}


def test_a_ledger_in_the_place_of_another_is_no_continuation(record: Record) -> None:
    """Who follows a run whose ledger was replaced is told, and shown nothing that is mixed of both."""
    follower = Follower(record.folder)
    follower.poll()
    other = record.folder.parent / "other"
    other.mkdir()
    Ledger.create(other, {}).close()
    os.replace(other / "run.db", record.ledger.path)
    with pytest.raises(RunError, match="was replaced, or cut"):
        follower.poll()


def test_a_held_lock_is_seen_and_not_touched(tmp_path: Path) -> None:
    """Whether somebody holds the lock is known from inside and outside, and asking takes it from nobody."""
    code = f"from ramet.store.lock import is_held; print(is_held({str(tmp_path)!r}))"

    def outside() -> str:
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    assert not is_held(tmp_path)
    assert outside() == "False"
    with RunLock.take(tmp_path):
        assert is_held(tmp_path)
        assert outside() == outside() == "True"
    assert not is_held(tmp_path)
    assert outside() == "False"


def test_a_lock_left_by_the_dead_is_not_held(tmp_path: Path) -> None:
    """The lock's file of a process that was killed says nothing."""
    code = (
        "import sys, time; from ramet.store.lock import RunLock\n"
        f"lock = RunLock.take({str(tmp_path)!r}); print('taken', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"taken\n"
        assert is_held(tmp_path)
        holder.kill()
        holder.wait(PATIENCE)
    assert (tmp_path / "run.lock").exists()
    assert not is_held(tmp_path)


def test_once_prints_the_table_and_ends(record: Record, capsys: pytest.CaptureFixture[str]) -> None:
    """--once shows where everybody stands, for a run under way with status 0, and of one that nobody runs says so."""
    committed(record, *reported(0, 1, 0.5), *reported(1, 1, 0.25))
    with RunLock.take(record.folder):
        assert cli.main(["watch", "--once", str(record.folder)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert re.search(r"^ +1 +0  trains +0\.5 ", out, re.MULTILINE)
    assert cli.main(["watch", "--once", str(record.folder)]) == 1
    out, err = capsys.readouterr()
    assert re.search(r"^ +1 +0  stopped +0\.5 ", out, re.MULTILINE)
    assert err.startswith("ramet watch: the process that ran it is gone; go on: ramet.Tuner.restore(")
    committed(record, Ended("every member is done"))
    assert cli.main(["watch", "--once", str(record.folder)]) == 0
    assert cli.main(["watch", str(record.folder)]) == 0
    assert "ended after" in capsys.readouterr().out


def test_json_is_plain(record: Record, capsys: pytest.CaptureFixture[str]) -> None:
    """Numbers that JSON does not know are null, and every line is an object that any reader takes."""
    committed(record, row(0, 1, math.nan), Ended("done"))
    assert cli.main(["watch", "--json", "--all", str(record.folder)]) == 0

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    lines = [json.loads(line, parse_constant=refuse) for line in capsys.readouterr().out.splitlines()]
    assert [each["kind"] for each in lines] == ["Began", "Opened", "Opened", "Reported", "Ended"]
    assert lines[3]["metrics"] == {"score": None}
    assert lines[1]["hparams"] == {"lr": 0.1}


def test_what_is_no_run_cannot_be_watched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder without a run is an error in a line, and stays empty."""
    assert cli.main(["watch", str(tmp_path)]) == 1
    told = capsys.readouterr().err.splitlines()[0]
    assert told == f"ramet watch: {tmp_path} holds no run: there is no run.db in it"
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------------------------------------- the page


def test_the_page_shows_what_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The picture of the terminal in the documentation is what the demo's population looks like half way."""
    monkeypatch.setenv("RAMET_RUNS", str(tmp_path))
    ledger = Path(train_population(8, 0, "inline", 0.0).experiment_path)
    record, population, events = Record.open(ledger), Population(), list[Event]()
    for row, event in record.replayed(population):
        events.append(event)
        if row.ends and sum(member.decisions for member in population.members) == 8 * 23:
            break
    record.close()
    trails = Trails(Population())
    trails.take_in(events, population)
    trails.heard = dict.fromkeys(range(8), 0.0)
    folder = Path("runs/demo")
    lines = frame(
        Scene(
            population=population,
            running={number: Work(number) for number in (0, 7)},
            folder=folder,
            elapsed=4.0,
            rate=230.0,
            trails=trails,
            recent=[brief(event, decided, population, folder) for event, decided in told(events, 1)][-12:],
            slots=2,
            left=5.0,
            free=79 * 10**9,
            now=0.0,
        ),
        100,
        24,
    )
    page = (Path(__file__).parent.parent / "docs" / "terminal.md").read_text(encoding="utf-8")
    shown = re.search(r"<!-- screen -->\n```text\n(.*?)```", page, re.DOTALL)
    assert shown is not None
    assert shown[1] == "".join(plain(line).rstrip() + "\n" for line in lines[1:])
