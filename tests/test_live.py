"""What a run shows on a terminal and in a file: exact where it matters, never more than fits, never in the way."""

from __future__ import annotations

import ast
import contextlib
import doctest
import fcntl
import importlib
import io
import math
import os
import pty
import re
import struct
import subprocess
import sys
import termios
import textwrap
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console, Group
from rich.text import Text

import ramet.view
from ramet.core.events import Began, Decided, Ended, Event, Failed, Finished, Kept, Noted, Opened, Reported
from ramet.core.population import Population
from ramet.view import screen as screen_module
from ramet.view.lines import LinesDisplay, opening
from ramet.view.live import Display, GuardedDisplay, display_for
from ramet.view.logs import ErrorLog
from ramet.view.screen import ScreenDisplay
from ramet.view.sparkline import BLOCKS, sparkline
from ramet.view.standing import best, latest, standings
from ramet.view.summary import summary
from ramet.view.table import Scene, frame
from ramet.view.timeleft import TimeLeft
from ramet.view.trails import Trails
from ramet.view.wording import Line, brief, cause, folded, plain, printed, told, wording

PBT = {"name": "PopulationBasedTraining", "interval": 5, "burn_in": 0.0, "synch": False}
FACTS = {
    "run": "r",
    "metric": "score",
    "mode": "max",
    "time_attr": "training_iteration",
    "strategy": PBT,
    "mutable": {"lr": {}, "model/width": {}},
    "goal": 20.0,
}


@dataclass
class Work:
    """What an executor's work shows of itself."""

    member: int
    waiting: bool = False


class Terminal(io.StringIO):
    """A standard output that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return super().isatty() or True


def founded(members: int, facts: Mapping[str, Any] | None = None, **hparams: Any) -> Population:
    """Return a population of founders."""
    population = Population()
    population.apply(Began(7, members, {**FACTS, **(facts or {})}))
    for number in range(members):
        config = {"lr": 0.001 * (number + 1), "model": {"width": 8 + number}, "fixed": "x", **hparams}
        population.apply(Opened(number, number, None, 0, config, {"why": "founder"}))
    return population


def trained(population: Population, member: int, to: int, score: float) -> list[Event]:
    """Let ``member`` report up to a checkpoint at ``to``, and return the events."""
    segment = population.current(member)
    mode = population.facts["mode"]
    signed = -score if mode == "min" else score
    events: list[Event] = [
        Reported(segment.number, segment.last + 1, to, {population.facts["metric"]: score}, "", "", 0.0),
        Kept(segment.number, to, float(to), signed, signed, 1.0),
    ]
    return applied(population, *events)


def cloned(population: Population, member: int, donor: int, **hparams: Any) -> list[Event]:
    """Let ``member`` become a clone of ``donor``, and return the events."""
    source, own = population.members[donor].point, population.members[member].point
    assert source is not None
    assert own is not None
    before = population.segments[source.segment].hparams
    config = {**before, **hparams}
    changed = {name: [before[name], value] for name, value in hparams.items()}
    number = len(population.segments)
    info = {"why": "exploit", "donor": donor, "score": own.score, "donor_score": source.score, "changed": changed}
    return applied(
        population,
        Decided(member, own.segment, own.iteration, "exploit", "cloned a better member"),
        Opened(number, member, source.segment, source.iteration, config, info),
    )


def applied(population: Population, *events: Event) -> list[Event]:
    """Apply and return ``events``."""
    for event in events:
        population.apply(event)
    return list(events)


def text_of(lines: list[Line]) -> str:
    """Return lines as they are read."""
    return "\n".join(plain(line).rstrip() for line in lines)


@contextlib.contextmanager
def on_terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    """Put a terminal of 100 x 30 in the place of standard output (no fixture: pytest puts its own back between)."""
    fake = Terminal()
    for name, value in {"COLUMNS": "100", "LINES": "30", "TERM": "xterm-256color"}.items():
        monkeypatch.setenv(name, value)
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", fake)
        yield fake
        assert sys.stdout is fake


# ---------------------------------------------------------------------------------------------------- which display


@pytest.mark.parametrize(
    ("verbose", "tty", "term", "interactive", "kind"),
    [
        (0, True, "xterm", False, Display),
        (False, True, "xterm", False, Display),
        (None, False, "xterm", False, Display),
        (1, True, "xterm", False, ScreenDisplay),
        (True, True, "xterm", False, ScreenDisplay),
        (3, True, "xterm", False, ScreenDisplay),
        (1, True, "dumb", False, LinesDisplay),
        (1, True, "xterm", True, LinesDisplay),
        (1, False, "xterm", False, LinesDisplay),
        (2, False, "xterm", True, LinesDisplay),
    ],
)
def test_display_for(
    monkeypatch: pytest.MonkeyPatch, verbose: Any, tty: bool, term: str, interactive: bool, kind: type[Display]
) -> None:
    """Only a real terminal that no training function shares gets a table, and verbose=0 gets nothing at all."""
    monkeypatch.setattr(sys, "stdout", Terminal() if tty else io.StringIO())
    monkeypatch.setenv("TERM", term)
    display = display_for(verbose, interactive)
    inner = display.inner if isinstance(display, GuardedDisplay) else display
    assert type(inner) is kind
    if isinstance(inner, LinesDisplay):
        assert inner.coloured == (tty and term != "dumb")
    if verbose:
        assert getattr(inner, "verbose", None) == int(verbose)


@pytest.mark.parametrize("stdout", [None, "closed", "latin-1"])
def test_display_for_odd_stdout(monkeypatch: pytest.MonkeyPatch, stdout: str | None) -> None:
    """Without a usable standard output, or one that lacks our signs, plain lines are chosen and nothing is raised."""
    fake = Terminal() if stdout else None
    if fake is not None and stdout == "closed":
        fake.close()
    elif fake is not None:
        fake.encoding = "latin-1"  # type: ignore[misc]
    monkeypatch.setattr(sys, "stdout", fake)
    display = display_for(1, interactive=False)
    assert isinstance(display, GuardedDisplay)
    assert isinstance(display.inner, LinesDisplay)
    population = founded(1)
    display.start(Path("/tmp/r"), population)
    display.close(population)


def test_import_is_cheap() -> None:
    """Importing the tuner's view of us loads no rich; a silent run never does."""
    code = "import sys; from ramet.view.live import display_for; display_for(0, False); sys.exit('rich' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_views_read_only() -> None:
    """No view imports the tuner or an executor."""
    for path in Path(ramet.view.__path__[0]).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not [name for name in names if name.startswith(("ramet.tuner", "ramet.executor"))], path


@pytest.mark.parametrize(
    "name", ["live", "values", "wording", "table", "standing", "summary", "lines", "screen", "sparkline"]
)
def test_doctests(name: str) -> None:
    """Examples in docstrings print what they say."""
    assert doctest.testmod(importlib.import_module(f"ramet.view.{name}")).failed == 0


# ---------------------------------------------------------------------------------------------------- plain lines


def test_plain_lines(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A whole run in plain lines: what begins, exploits, failures, notes, what was printed, and the summary."""
    folder = tmp_path / "walk"
    folder.mkdir()
    (folder / "run.db").touch()
    population = founded(3)
    display = LinesDisplay()
    display.start(folder, population)
    assert capsys.readouterr().out == (
        f"run walk: 3 members, PopulationBasedTraining, "
        f"seed 7 (asynchronous: draws repeat, timing does not), {folder}\n"
    )
    for number, score in enumerate((12.1, 30.0, 48.9)):
        display.events(trained(population, number, 35, score), population)
    display.update(population, {})
    assert capsys.readouterr().out == ""
    display.events(cloned(population, 0, 2, lr=0.0014), population)
    assert capsys.readouterr().out == ("t=35  member 0 (12.1) ← member 2 (48.9 at iteration 35)  lr 0.003 → 0.0014\n")
    error = 'Traceback (most recent call last):\n  File "a.py", line 3, in f\n    g()\nValueError: no [b]\nmore'
    display.events(applied(population, Failed(1, error, final=False)), population)
    display.events(applied(population, Failed(1, error, final=True)), population)
    assert capsys.readouterr().out == (
        "member 1 failed (failure 1) and starts again from iteration 35: ValueError: no [b]\n"
        + textwrap.indent(error, "    ")
        + "\nmember 1 failed for good at iteration 35: ValueError: no [b] (a.py:3 in f)\n"
    )
    display.events(applied(population, Noted("x", "something\nodd")), population)
    display.output(2, "one\ntwo [red]\n")
    display.output(None, "  0%|  \r 50%|= \r100%|==\n")
    assert capsys.readouterr().out == ("note: something odd\n[member 2] one\n[member 2] two [red]\n[worker] 100%|==\n")
    events = trained(population, 0, 40, 60.0) + trained(population, 2, 40, 55.0)
    display.events(events, population)
    for segment in (3, 2):
        display.events(applied(population, Finished(segment, "training_iteration >= 40")), population)
    display.events(applied(population, Ended("every member is done")), population)
    assert capsys.readouterr().out == (
        "member 0 (60) finished at iteration 40: training_iteration >= 40\n"
        "member 2 (55) finished at iteration 40: training_iteration >= 40\n"
    )
    display.close(population)
    out = re.sub(r"after \d\.\d s", "after 0.0 s", capsys.readouterr().out)
    assert [line.rstrip() for line in out.splitlines()] == [
        "",
        "run walk ended after 0.0 s: every member is done",
        "  members    2 finished, 1 failed; 115 reports",
        "             member 1: ValueError: no [b]",
        "  decisions  1 decision",
        "  exploits   1 tried, 1 done",
        "  best       member 0: score 60 at iteration 40",
        "  schedule   iterations      lr  model/width",
        "                   1–35   0.003           10",
        "                  36–40  0.0014           10",
        f"  folder     {folder}",
        "             run.db; 5 checkpoints",
        f"  go on      ramet.Tuner.restore({str(folder)!r}, train, resume_errored=True).fit()",
    ]


def test_min_mode_shows_values_as_reported(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """With mode="min" scores have the sign that the user reported, and the lowest is the best."""
    population = founded(2, {"mode": "min", "time_attr": "time_total_s"})
    trained(population, 0, 5, 0.25)
    trained(population, 1, 5, 2.0)
    display = LinesDisplay()
    display.start(tmp_path, population)
    display.events(cloned(population, 1, 0, lr=0.5), population)
    assert capsys.readouterr().out.splitlines()[1] == (
        "t=5 s  member 1 (2) ← member 0 (0.25 at iteration 5)  lr 0.001 → 0.5"
    )
    top = best(standings(population, {}))
    assert top is not None
    assert (top.member, top.value) == (0, 0.25)
    assert "best       member 0: score 0.25 at iteration 5" in text_of(summary(population, tmp_path, 1.0))


def test_verbose_two_tells_batches(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """verbose=2 has a line for each batch of reports, verbose=1 has none."""
    for verbose, expected in ((1, []), (2, ["member 0  iteration 1–5  score 1.5", "member 0  iteration 6  score nan"])):
        population = founded(1)
        display = LinesDisplay(verbose)
        display.start(tmp_path, population)
        display.events(trained(population, 0, 5, 1.5), population)
        display.events(trained(population, 0, 6, math.nan), population)
        assert capsys.readouterr().out.splitlines()[1:] == expected


@pytest.mark.parametrize("verbose", [1, 2])
def test_many_that_do_the_same_at_once_are_told_in_few_lines(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, verbose: int
) -> None:
    """Of a thousand members that end together some are named and the rest counted; notes, and verbose=2, tell all."""
    population = founded(50)
    display = LinesDisplay(verbose)
    display.start(tmp_path, population)
    events = [event for number in range(50) for event in trained(population, number, 5, float(number))]
    events += [event for number in range(50) for event in applied(population, Finished(number, "done"))]
    events += [event for number in range(30) for event in applied(population, Noted(f"{number}", f"note {number}"))]
    display.events(events, population)
    lines = capsys.readouterr().out.splitlines()[1:]

    assert sum("finished at iteration 5" in line for line in lines) == (20 if verbose == 1 else 50)
    assert sum(line.startswith("note: ") for line in lines) == 30
    assert (lines[-1] == "… and 30 more lines like these: RunConfig(verbose=2) writes all") == (verbose == 1)


def test_status_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A long silence is broken by a line that says how far the run is."""
    population = founded(2)
    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    display = LinesDisplay()
    display.start(tmp_path, population)
    trained(population, 0, 5, 1.5)
    clock[0] += 29
    display.update(population, {})
    assert len(capsys.readouterr().out.splitlines()) == 1
    clock[0] += 1
    display.update(population, {})
    display.update(population, {})
    assert capsys.readouterr().out == (
        "30 s   iteration 0–5 of 20   5 reports (0.2/s)   0 exploits   best member 0 (1.5)   about 4 min left\n"
    )


def test_changes_that_look_alike_are_left_out(tmp_path: Path) -> None:
    """A clone's line names what it changed, not what was touched and came out the same; many are counted."""
    population = founded(2)
    trained(population, 0, 5, 1.0)
    trained(population, 1, 5, 2.0)
    changed = {"lr": [0.1, 0.1], **{f"k{i}": [0, i + 1] for i in range(9)}}
    opened = Opened(2, 0, 1, 5, {}, {"donor": 1, "changed": changed})
    population.apply(opened)
    (line,) = wording(opened, None, population, tmp_path)
    assert plain(line).endswith("  k0 0 → 1  k1 0 → 2  k2 0 → 3  k3 0 → 4  k4 0 → 5  k5 0 → 6  … 3 more")


def test_explore_is_no_clone(tmp_path: Path) -> None:
    """A member that goes on from its own weights has no donor, and its last exploit stays where it was."""
    population = founded(2)
    trained(population, 0, 5, 1.0)
    trained(population, 1, 5, 2.0)
    cloned(population, 0, 1, lr=0.5)
    trained(population, 0, 10, 3.0)
    opened = Opened(3, 0, 2, 10, {"lr": 0.7, "model": {"width": 9}}, {"why": "explore"})
    events = applied(population, Decided(0, 2, 10, "explore", "it was time"), opened)
    ((event, decided),) = told(events, 1)
    (line,) = wording(event, decided, population, tmp_path)
    assert plain(line) == "t=10  member 0 (3) goes on with other hyperparameters  lr 0.5 → 0.7"
    assert Trails(population).clones == {0: (1, 5)}


def test_stdout_that_lacks_our_signs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where the output's encoding has no arrows, plainer signs stand for them."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    population = founded(2)
    trained(population, 0, 5, 1.0)
    trained(population, 1, 5, 2.0)
    display = LinesDisplay()
    display.start(tmp_path, population)
    display.events(cloned(population, 0, 1, lr=0.5), population)
    display.output(0, "é\n")
    assert raw.getvalue().decode().splitlines()[1:] == [
        "t=5  member 0 (1) <- member 1 (2 at iteration 5)  lr 0.002 -> 0.5",
        "[member 0] ?",
    ]


# ---------------------------------------------------------------------------------------------------- the summary


def test_summary_counts_every_reason(tmp_path: Path) -> None:
    """The summary counts exploits tried, done and skipped, and each reason."""
    population = founded(2)
    trained(population, 0, 5, 1.0)
    trained(population, 1, 5, 2.0)
    cloned(population, 0, 1, lr=0.5)
    for verdict, reason in (("skip", "no donor is better"), ("skip", "no donor is better"), ("continue", "fine")):
        population.apply(Decided(1, 1, 5, verdict, reason))
    text = text_of(summary(population, tmp_path, 61.0))
    assert "  decisions  4 decisions: 1 went on (fine: 1)" in text
    assert "  exploits   3 tried, 1 done, 2 skipped (no donor is better: 2)" in text
    assert "ended after 1 min 1 s: it was left off" in text
    assert "note:" not in text


def _without_checkpoint(population: Population) -> None:
    population.apply(Reported(0, 1, 9, {"score": 1.0}, "", "", 0.0))


def _undecided(population: Population) -> None:
    for number in (0, 1):
        trained(population, number, 4, 1.0)


def _past_due(population: Population) -> None:
    trained(population, 0, 8, 1.0)


def _nobody_better(population: Population) -> None:
    _undecided(population)
    population.apply(Decided(0, 0, 4, "skip", "no donor is better"))
    for _ in range(2):
        population.apply(Decided(1, 1, 4, "continue", "not among the worst"))


@pytest.mark.parametrize(
    ("happens", "strategy", "sentence"),
    [
        (lambda population: None, {}, "no decision was ever taken: no member ever reported anything"),
        (_without_checkpoint, {}, "no decision was ever taken: 9 reports came without a single checkpoint, and only"),
        (_undecided, {}, "the first was due at training_iteration 5, and the last checkpoint of the run came at tr"),
        (_undecided, {"burn_in": 90}, "was due at training_iteration 90, and the last checkpoint of the run came at"),
        (_past_due, {"synch": True}, "with synch=True it waits until every live member has a checkpoint that is due"),
        (_past_due, {}, "no member was still training at a checkpoint that was due, from training_iteration 5 on"),
        (_nobody_better, {}, "3 decisions led to no exploit (not among the worst: 2, no donor is better: 1)"),
    ],
)
def test_summary_is_loud_when_nothing_was_exploited(
    tmp_path: Path, happens: Any, strategy: dict[str, Any], sentence: str
) -> None:
    """A run that could exploit and never did says so in a loud sentence, with the reason."""
    population = founded(2, {"strategy": {**PBT, **strategy}})
    happens(population)
    (loud,) = [line for line in summary(population, tmp_path, 1.0) if plain(line).startswith("  note:")]
    assert plain(loud).startswith("  note:      nothing was ever exploited")
    assert sentence in plain(loud)
    assert {style for _, style in loud} == {"bold yellow"}


@pytest.mark.parametrize("facts", [{"strategy": {"name": "FIFO"}}, {"mutable": {}}])
def test_summary_is_calm_when_nothing_could_be(tmp_path: Path, facts: dict[str, Any]) -> None:
    """A run that could not exploit has nothing to say about decisions."""
    population = founded(2, facts)
    _undecided(population)
    text = text_of(summary(population, tmp_path, 1.0))
    assert "note:" not in text
    assert "exploit" not in text


@pytest.mark.parametrize(
    ("strategy", "repeats"),
    [(PBT, False), ({**PBT, "synch": True}, True), ({"name": "FIFO", "synch": False}, True), ({"name": "Own"}, True)],
)
def test_only_what_repeats_is_said_to(tmp_path: Path, strategy: dict[str, Any], repeats: bool) -> None:
    """An asynchronous run depends on timing, and its seed is not said to repeat it."""
    line = plain(opening(tmp_path, founded(2, {"strategy": strategy})))
    assert ("TuneConfig(seed=7) repeats it" in line) == repeats
    assert ("seed 7 (asynchronous: draws repeat, timing does not)" in line) == (not repeats)


def test_the_first_traceback_is_whole(tmp_path: Path) -> None:
    """Of a long traceback the end is shown, with the public way to all of it; later ones say where they are from."""
    population = founded(2)
    frames = "".join(f'  File "/x/a.py", line {at}, in f{at}\n    g()\n' for at in range(20))
    failed = Failed(1, f"Traceback (most recent call last):\n{frames}KeyError: 'wd'", final=True)
    population.apply(failed)
    ErrorLog(tmp_path).write(1, 0, failed.error)
    first, hidden, *trace, where, every = map(plain, wording(failed, None, population, tmp_path, whole=True))
    assert first == "member 1 failed for good at iteration 0: KeyError: 'wd'"
    assert hidden == "    … 17 lines before"
    assert len(trace) == 25
    assert trace[-3:] == ['      File "/x/a.py", line 19, in f19', "        g()", "    KeyError: 'wd'"]
    assert where == f"    in Python: ramet.ResultGrid({str(tmp_path)!r})[1].error"
    assert every == f"    every traceback: {tmp_path / 'errors.log'}"
    (later,) = wording(failed, None, population, tmp_path)
    assert plain(later) == f"{first} (/x/a.py:19 in f19)"


def test_errors_log(tmp_path: Path) -> None:
    """Every traceback is kept whole, with its member; a folder that is gone ends nothing."""
    log = ErrorLog(tmp_path)
    assert not (tmp_path / "errors.log").exists()
    log.write(1, 3, "Traceback:\n  a\nKeyError: 'wd'\n")
    log.write(2, 4, "ValueError: \ud800")
    text = (tmp_path / "errors.log").read_text(encoding="utf-8")
    assert "  member 1 failed at iteration 3:\nTraceback:\n  a\nKeyError: 'wd'\n\n" in text
    assert "  member 2 failed at iteration 4:\nValueError: ?\n\n" in text
    ErrorLog(tmp_path / "gone").write(1, 3, "x")


def test_summary_counts_equal_errors(tmp_path: Path) -> None:
    """Members that failed alike are one line."""
    population = founded(5)
    trained(population, 4, 5, 1.0)
    for number, error in enumerate(("KeyError: 'wd'", "ValueError: no", "KeyError: 'wd'", "KeyError: 'wd'")):
        population.apply(Failed(number, error, final=True))
    text = text_of(summary(population, tmp_path, 1.0))
    assert "             3 members: KeyError: 'wd'\n             member 1: ValueError: no\n" in text


def test_summary_when_all_failed(tmp_path: Path) -> None:
    """Where all members failed before a decision there is neither a best one nor advice on exploits."""
    population = founded(2)
    for number in (0, 1):
        population.apply(Reported(number, 1, 3, {"score": 1.0}, "", "", 0.0))
        population.apply(Failed(number, "KeyError: 'x'", final=True))
    text = text_of(summary(population, tmp_path, 1.0))
    assert "decisions  all members failed before a decision" in text
    for absent in ("note:", "best", "checkpoint=", "exploited"):
        assert absent not in text


def test_summary_says_that_the_best_failed(tmp_path: Path) -> None:
    """A best member that failed is said to have."""
    population = founded(2)
    trained(population, 0, 5, 9.0)
    trained(population, 1, 5, 2.0)
    population.apply(Failed(0, "KeyError: 'x'", final=True))
    assert "best       member 0: score 9 at iteration 5, then it failed" in text_of(summary(population, tmp_path, 1.0))


@pytest.mark.parametrize(
    ("members", "synch", "remedy"),
    [
        (3, False, "; members did not overlap in time: train longer, or synch=True"),
        (1, False, "; PBT needs at least two members: num_samples"),
        (1, True, "; PBT needs at least two members: num_samples"),
        (3, True, ""),
    ],
)
def test_summary_has_a_remedy_for_too_few_members(tmp_path: Path, members: int, synch: bool, remedy: str) -> None:
    """Where nobody could be compared with, what to do is said."""
    population = founded(members, {"strategy": {**PBT, "synch": synch}})
    trained(population, 0, 5, 1.0)
    population.apply(Decided(0, 0, 5, "continue", "too few members to compare"))
    assert f"(too few members to compare: 1){remedy}\n" in text_of(summary(population, tmp_path, 1.0))


def test_summary_shortens_a_long_schedule(tmp_path: Path) -> None:
    """Of a long lineage the first and last steps are shown, in at most eight lines; equal neighbours are one step."""
    population = founded(2)
    trained(population, 0, 5, 1.0)
    trained(population, 1, 5, 2.0)
    for turn in range(20):
        weak, strong = turn % 2, 1 - turn % 2
        cloned(population, weak, strong, lr=1.0 + turn // 2)
        trained(population, weak, 10 + 5 * turn, 10.0 + turn)
    lines = text_of(summary(population, tmp_path, 1.0)).splitlines()
    start = next(index for index, line in enumerate(lines) if "schedule" in line)
    end = next(index for index, line in enumerate(lines) if "folder" in line)
    steps = [" ".join(line.split()) for line in lines[start + 1 : end]]
    assert len(steps) == 8
    assert steps[:2] == ["1–5 0.002 9", "6–15 1 9"]
    assert steps[4] == "… 4 more steps"
    assert steps[-1] == "96–105 10 9"


def test_best_is_a_model_that_exists(tmp_path: Path) -> None:
    """A clone that has not reported has its donor's score; what its own weights reached before is gone with them."""
    population = founded(2)
    trained(population, 0, 5, 9.0)
    trained(population, 1, 5, 2.0)
    cloned(population, 0, 1)
    assert [latest(population, member) for member in population.members] == [2.0, 2.0]
    assert "best       member 1: score 2 at iteration 5" in text_of(summary(population, tmp_path, 1.0))


# ---------------------------------------------------------------------------------------------------- the table


def drawn(scene: Scene, width: int, height: int) -> list[str]:
    """Return a frame as a terminal of this size shows it."""
    lines = frame(scene, width, height)
    file = io.StringIO()
    console = Console(file=file, width=width, height=height, markup=False, highlight=False, emoji=False)
    console.print(Group(*(Text.assemble(*line) for line in lines)))
    return file.getvalue().split("\n")[:-1]


def crowd(members: int, **hparams: Any) -> Population:
    """Return a population of members that have all reported, the last the best."""
    population = founded(members, **hparams)
    for number in range(members):
        trained(population, number, 5 + number % 3, float(number))
    return population


@pytest.mark.parametrize("members", [4, 20, 400])
@pytest.mark.parametrize(("width", "height"), [(160, 50), (100, 30), (80, 24), (60, 16), (40, 12), (20, 5), (1, 1)])
def test_table_fits(members: int, width: int, height: int) -> None:
    """Whatever the size of the terminal and of the population, the table fits without a line being broken."""
    population = crowd(members)
    events = cloned(population, 0, members - 1, lr=0.5)
    recent = [brief(e, d, population, Path()) for e, d in told(events, 1)] * 5
    running = {1: Work(1), 2: Work(2, True)}
    scene = Scene(population, running, Path("/tmp/runs/some_run"), 3.2, 12.0, Trails(population), recent)
    lines = drawn(scene, width, height)
    assert len(lines) <= max(height - 1, 1)
    assert all(cell_len(line) <= width for line in lines)
    if height >= 12 and width >= 20:
        assert any("member" in line and "score" in line for line in lines)
    if width >= 80 and height >= 24:
        rows = [(int(found[1]), int(found[2])) for line in lines if (found := re.match(r" *(\d+) +(\d+)  ", line))]
        if members == 4:
            assert [member for _, member in rows] == [0, 1, 2, 3]
        if members == 400:
            (hidden,) = [line for line in lines if line.startswith("… ")]
            assert hidden.startswith(f"… {members - len(rows)} more: median score ")
            # The clone of the best has the best one's score; the worst but for it is member 1.
            assert rows[:2] == [(1, 399), (2, 0)]
            assert (400, 1) in rows
        assert len(rows) >= min(members, 9)


def test_table_shows_where_members_stand() -> None:
    """A row has state, iteration, value, rank, parent, iteration of the last exploit, error, what may be mutated."""
    population = crowd(4)
    population.apply(Reported(3, 9, 9, {"score": 3.0}, "", "", 1000.0))
    applied(population, Finished(2, "done"), Failed(1, "E: x", final=True))
    trails = Trails(population)
    trails.heard[3] = 1000.0
    cloned(population, 0, 3, lr=0.0005, model={"width": 11})
    trails.take_in([Opened(4, 0, 3, 5, {})], population)
    running = {9: Work(3, True), 8: Work(0)}
    scene = Scene(population, running, Path("/tmp/r"), 75.0, 3.0, trails, [], 2, 64.0, 5 * 10**9, 1042.0)
    assert [line.rstrip() for line in drawn(scene, 120, 30)] == [
        "",
        "/tmp/r   PopulationBasedTraining   seed 7",
        "━━━━━━━━━━━━━━━━━━━━━━━━━───────────────  62 %   iteration 5 of 20   1 min 15 s   about 64 s left",
        "1 trains   1 waits   1 finished   1 failed   2 of 2 slots busy   23 reports   3/s",
        "best score 3 by member 3   1 exploit   4 checkpoints   5 GB free",
        "",
        "rank  member  state     score  trend                     iteration      lr    model/width     ago  last clone"
        "  error",
        "   2       0  ← 3           3  ▄│                                5  0.0005 ↓           11          ← 3 at 5",
        "   4       1  failed        1  ▄                                 6   0.002              9                    "
        "  E: x",
        "   3       2  finished      2  ▄                                 7   0.003             10",
        "   1       3  waits         3  ▄                                 5   0.004             11    42 s",
    ]
    population.apply(Ended("interrupted from the keyboard"))
    assert [each.state for each in standings(population, {})] == ["stopped", "failed", "finished", "stopped"]


def test_table_leaves_out_what_matters_least() -> None:
    """A narrow terminal loses what matters least, and says how many hyperparameters there was no room for."""
    names = [f"parameter_{letter}" for letter in "abcdef"]
    population = crowd(4, **dict.fromkeys(names, 0.5))
    population.facts = {**population.facts, "mutable": dict.fromkeys(names)}
    scene = Scene(population, {}, Path("/tmp/r"), trails=Trails(population))
    lines = {width: drawn(scene, width, 30)[1:] for width in (160, 80, 34, 10)}
    headers = {width: found[5].split() for width, found in lines.items()}
    assert headers[160] == ["rank", "member", "state", "score", "trend", "iteration", *names]
    assert headers[80] == ["rank", "member", "state", "score", "trend", "iteration", names[0], "+5"]
    assert headers[34] == ["rank", "member", "state", "score", "+6"]
    assert headers[10] == ["member", "+6"]


def test_progress_without_a_goal_counts_members() -> None:
    """Without an iteration to reach, progress is the share of members that are done."""
    population = crowd(4)
    population.facts = {**population.facts, "goal": None}
    population.apply(Finished(2, "done"))
    assert (
        drawn(Scene(population, {}, Path("/tmp/r")), 100, 30)[2]
        .rstrip()
        .endswith("  25 %   1 of 4 members done   0.0 s")
    )


# ---------------------------------------------------------------------------------------------------- what cannot be


NAMES = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        [
            "lr",
            "x" * 200,
            "漢字" * 40,
            "\x1b[2J\x1b[31m",
            "a\r\nb\tc",
            "👩\u200d🚀" * 9,
            "e\u0301" * 30,
            "\u202egnp",
            "",
        ]
    ),
)


@settings(max_examples=60, deadline=None)
@given(
    width=st.integers(20, 250),
    height=st.integers(1, 70),
    members=st.one_of(st.integers(0, 40), st.sampled_from([99, 300])),
    names=st.lists(NAMES, max_size=4, unique=True),
    metric=NAMES,
    value=NAMES,
    scores=st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=20),
    known=st.booleans(),
)
def test_whatever_the_names_the_frame_fits_and_moves_no_cursor(
    width: int,
    height: int,
    members: int,
    names: list[str],
    metric: str,
    value: str,
    scores: list[float],
    known: bool,
) -> None:
    """At any size, for any population and any names, no line is wider than the terminal nor has a control character."""
    population = founded(members, {"metric": metric, "mutable": dict.fromkeys(names)}, **dict.fromkeys(names, value))
    events: list[Event] = []
    for number in range(members):
        events += trained(population, number, 1 + number % 3, scores[number % len(scores)])
    for number in range(1, members, 3):
        events += cloned(population, number, 0, **dict.fromkeys(names, 0.5))
    if members:
        events += applied(population, Failed(population.members[0].segment, value, final=True), Noted("x", value))
    recent = [brief(event, decided, population, Path(value)) for event, decided in told(events, 1)][-12:]
    running = {number: Work(number, number % 2 > 0) for number in range(members // 2)} if known else None
    trails = Trails(population)
    trails.heard = dict.fromkeys(range(0, members, 2), 7.0)
    scene = Scene(population, running, Path("/runs", f"r{value}"), 9e9, 1e9, trails, recent, 10**6, 1e9, 10**17, 1e12)
    lines = [plain(line) for line in frame(scene, width, height)]
    assert len(lines) <= max(height - 1, 1)
    assert all(line.isprintable() for line in lines)
    assert max(map(cell_len, lines), default=0) <= width


@settings(deadline=None)
@given(scores=st.lists(st.floats(-1e6, 1e6) | st.just(math.nan), min_size=1, max_size=40), low=st.booleans())
def test_ranks_order_members_by_their_scores(scores: list[float], low: bool) -> None:
    """Every member that reported has a rank of its own, a better score a better one, and NaN is behind all numbers."""
    population = founded(len(scores), {"mode": "min" if low else "max"})
    for number, score in enumerate(scores):
        trained(population, number, 1, score)
    ranks = {each.rank: each.value for each in standings(population, None)}
    assert sorted(filter(None, ranks)) == list(range(1, len(scores) + 1))
    by_rank = [ranks[rank] for rank in sorted(filter(None, ranks))]
    numbers = [value for value in by_rank if not math.isnan(value)]
    assert numbers == sorted(numbers, reverse=not low)
    assert all(math.isnan(value) for value in by_rank[len(numbers) :])
    top = best(standings(population, None))
    assert (top.value if top else None) == (numbers[0] if numbers else None)


@given(st.lists(st.none() | st.floats(), max_size=40), st.integers(-1, 30))
def test_a_sparkline_is_as_high_as_its_numbers(values: list[float | None], width: int) -> None:
    """A character for each of the last values: of two numbers the higher is never lower, breaks are no blocks."""
    line = sparkline(values, width)
    shown = values[-width:] if width > 0 else []
    assert len(line) == cell_len(line) == len(shown)
    heights = {}
    for value, sign in zip(shown, line, strict=True):
        if value is None or not math.isfinite(value):
            assert sign == ("│" if value is None else "·")
        else:
            heights[value] = BLOCKS.index(sign)
    assert [heights[value] for value in sorted(heights)] == sorted(heights.values())
    if len(heights) == 1:
        assert set(heights.values()) == {len(BLOCKS) // 2}
    elif heights:
        assert (heights[min(heights)], heights[max(heights)]) == (0, len(BLOCKS) - 1)


def test_trails_remember_a_score_for_each_interval_and_where_a_model_was_left() -> None:
    """One score an interval, the latest, a break where it cloned; the same from events and from a population."""
    population, trails = founded(2), Trails(founded(2))
    for to, score in ((3, 0.1), (5, 0.2), (8, 0.3), (10, 0.4), (12, 0.5)):
        for member in (0, 1):
            trails.take_in(trained(population, member, to, score + member), population)
    assert trails.scores(0) == [0.2, 0.4, 0.5]
    trails.take_in(cloned(population, 0, 1), population)
    trails.take_in(cloned(population, 0, 1), population)
    trails.take_in(trained(population, 0, 14, 2.0), population)
    assert trails.scores(0) == Trails(population).scores(0) == [0.2, 0.4, 0.5, None, 2.0]
    assert trails.clones == Trails(population).clones == {0: (1, 12)}
    assert trails.heard == {0: 0.0, 1: 0.0}


def test_trails_have_scores_as_reported() -> None:
    """With mode="min" a curve that goes down goes down."""
    population = founded(1, {"mode": "min"})
    for to, score in ((5, 3.0), (10, 1.0)):
        trained(population, 0, to, score)
    assert Trails(population).scores(0) == [3.0, 1.0]


def test_the_time_left_is_calm_and_right_in_the_end() -> None:
    """With a steady pace what is left is right; one jump moves it little; without a goal nothing is said."""
    population = founded(3, {"goal": 1000.0})
    left = TimeLeft(0.0, population)
    assert left.at(0.0, population) is None
    told = []
    for second in range(1, 101):
        for member in range(3):
            trained(population, member, 2 * second, 1.0)
        told.append(left.at(float(second), population))
    assert told[:2] == [None, None]
    known = [each for each in told if each is not None]
    assert len(known) == 98
    assert known[-1] == pytest.approx(400.0, rel=0.01)
    population.facts = {**population.facts, "goal": 2000.0}  # as if it had been further all at once
    assert left.at(100.25, population) == pytest.approx(400.0, rel=0.02)
    population.facts = {**population.facts, "goal": None}
    assert left.at(101.0, population) is None
    population.apply(Ended("done"))
    assert left.at(102.0, population) is None


def test_the_screen_says_of_slots_only_what_is_known() -> None:
    """How many slots are busy stands there where a run shows itself, and not where another process looks on."""
    population = crowd(2)
    for running, slots, there in (({1: Work(0)}, 4, True), (None, 4, False), ({1: Work(0)}, None, False)):
        text = "\n".join(drawn(Scene(population, running, Path("/tmp/r"), slots=slots), 100, 30))
        assert ("1 of 4 slots busy" in text) == there
        assert ("2 train " in text) == (running is None)


class Hostile:
    """A value whose repr raises."""

    def __repr__(self) -> str:
        raise RuntimeError("no")


ODD = [math.nan, math.inf, None, "", "x" * 10_000, "[red]", "a\nb\x1b[2J", "\ud800", "漢字" * 20]
ODD += [b"\x00", [1] * 9999, np.float32(0.5), np.arange(3), 10**400, 10**5000, Hostile()]


@pytest.mark.parametrize("value", ODD, ids=range(len(ODD)))
def test_odd_values_are_shown(value: Any, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Any object is fine as a hyperparameter and as a score: short, on one line, without controls."""
    population = founded(3, lr=value)
    for number in (0, 1):
        trained(population, number, 5, 1.0 + number)
    events = cloned(population, 0, 1, lr=0.5)
    events += applied(population, Reported(2, 1, 2, {"score": value}, "", "", 0.0))
    events += applied(population, Finished(2, str(type(value))))
    events += applied(population, Noted("x", value[:50] if isinstance(value, str) else ""))
    display = LinesDisplay(2)
    display.start(tmp_path, population)
    display.events(events, population)
    display.close(population)
    text = capsys.readouterr().out
    text += "\n".join(drawn(Scene(population, {}, tmp_path, trails=Trails(population)), 80, 24))
    assert all(line.isprintable() and len(line) < 300 for line in text.splitlines())


def test_cause_of_a_failure() -> None:
    """Of a traceback the line that names the exception is told, whatever follows it."""
    frames = 'Traceback (most recent call last):\n  File "a.py", line 3, in f\n    g()\n    ^^^\n'
    assert cause(frames + "RuntimeError: CUDA error\nCompile with X to see\n  more") == "RuntimeError: CUDA error"
    assert cause("the worker process died: signal 9") == "the worker process died: signal 9"
    assert cause("") == "no reason given"


@pytest.mark.parametrize("width", [20, 40, 79, 200])
def test_folded_lines_keep_their_words_and_styles(width: int) -> None:
    """Folding changes blanks only, keeps each word's style, and leaves a line with an unbreakable word alone."""
    line: Line = [("note: ", "bold"), ("some words of a sentence that goes on ", "yellow"), ("to its end", "red")]
    found = folded(line, width)
    assert all(len(plain(part)) <= width for part in found)
    assert " ".join(plain(part).strip() for part in found).split() == plain(line).split()
    styles = [style for part in found for text, style in part for _ in text.split()]
    assert styles == [style for text, style in line for _ in text.split()]
    path: Line = [("folder ", ""), ("/" + "x" * 300, "")]
    assert folded(path, width) == [path]


# ---------------------------------------------------------------------------------------------------- the live screen


def test_screen_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """On a terminal there is a table, exploits below it, failures and prints above it, and the summary at the end."""
    with on_terminal(monkeypatch) as terminal:
        population = crowd(4)
        display = ScreenDisplay()
        display.start(tmp_path, population)
        assert sys.stdout is not terminal
        display.events(cloned(population, 0, 3, lr=0.5), population)
        display.events(applied(population, Failed(1, "ValueError: [red]", final=True), Noted("x", "odd")), population)
        display.output(2, "hello [bold]\n")
        print("a callback's own line")
        display._next = 0.0
        display.update(population, {1: Work(0)})
        display.events(applied(population, Ended("every member is done")), population)
        display.close(population)
        assert sys.stdout is terminal
        seen = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.getvalue())
        for text in (
            "seed 7 (asynchronous: draws repeat",
            "rank  member  state",
            "     0  ← 3 ",
            "t=5  0 ← 3  0 → 3  lr 0.004 → 0.5",
            "member 1 failed for good at iteration 6: ValueError: [red]",
            "note: odd",
            "[member 2] hello [bold]",
            "a callback's own line",
            "ended after",
        ):
            assert text in seen, text
        assert seen.rindex("rank  member") < seen.rindex("ended after")
        assert terminal.getvalue().rindex("\x1b[?25h") > terminal.getvalue().rindex("\x1b[?25l")


def test_screen_is_drawn_seldom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often update() is called, the table is drawn at most eight times a second."""
    with on_terminal(monkeypatch):
        population = crowd(4)
        display = ScreenDisplay()
        display.start(tmp_path, population)
        frames = []
        monkeypatch.setattr(screen_module, "frame", lambda *args: frames.append(args) or [])
        began = time.monotonic()
        while time.monotonic() < began + 0.5:
            display.update(population, {})
        assert 1 <= len(frames) <= 5
        display.close(population)


def test_screen_takes_a_flood(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Of very much at once a part is shown, and how much is not; events cost next to nothing."""
    with on_terminal(monkeypatch) as terminal:
        population = crowd(4)
        display = ScreenDisplay(2)
        display.start(tmp_path, population)
        events = cloned(population, 0, 3, lr=0.5)
        began = time.monotonic()
        for _ in range(20_000):
            display.events(events, population)
        for turn in range(2_000):
            display.output(1, f"line {turn}\n")
        assert time.monotonic() - began < 5.0
        assert len(display._above) <= 500
        display.close(population)
        assert "… 1,500 lines not shown" in terminal.getvalue()
        assert "line 499" in terminal.getvalue()
        assert "line 500" not in terminal.getvalue()


def test_screen_gives_the_terminal_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """If the table cannot be drawn, the run goes on, the terminal is given back, and the summary is there."""
    with on_terminal(monkeypatch) as terminal:

        def fails(*_: Any) -> Any:
            raise RuntimeError("cannot draw")

        population = crowd(4)
        display = GuardedDisplay(ScreenDisplay())
        display.start(tmp_path, population)
        monkeypatch.setattr(screen_module, "frame", fails)
        display.inner._next = 0.0  # type: ignore[attr-defined]
        display.update(population, {})
        display.close(population)
        assert sys.stdout is terminal
        assert "ended after" in terminal.getvalue()
        assert terminal.getvalue().count("cannot draw") + capsys.readouterr().err.count("cannot draw") == 1


def test_guarded_lets_nothing_out(capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever goes wrong in a display, the run does not hear of it; the user does, once."""

    class Broken(Display):
        def start(self, *_: Any) -> None:
            raise RuntimeError("broken")

        update = events = output = close = start

    display = GuardedDisplay(Broken())
    population = founded(1)
    display.start(Path(), population)
    display.update(population, {})
    display.events([], population)
    display.output(0, "x")
    display.close(population)
    assert capsys.readouterr().err.count("broken") == 1


def test_close_before_start_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that could not even begin has no summary; its error says it all."""
    with on_terminal(monkeypatch) as terminal:
        for display in (ScreenDisplay(), LinesDisplay(), LinesDisplay(coloured=True)):
            display.close(Population())
        assert terminal.getvalue() == ""


def test_printed_lines_have_no_controls() -> None:
    """What members print can neither move the cursor nor change colours nor be taken for markup."""
    (line,) = printed(3, "\x1b[31mred\x1b[0m \x1b]0;title\x07[bold]x\x07\n")
    assert plain(line) == "[member 3] red [bold]x "
    assert len(plain(printed(3, "x" * 100_000 + "\n")[0])) < 3000


SCRIPT = """
import sys, time
import ramet

def train(config):
    checkpoint = ramet.get_checkpoint()
    step = checkpoint.to_dict()["step"] if checkpoint else 0
    while True:
        time.sleep(0.01)
        step += 1
        if step == 3:
            print("hello [red]from[/red] a member")
        ramet.report({"score": step * config["lr"]}, checkpoint=ramet.Checkpoint.from_dict({"step": step}))

if __name__ == "__main__":
    pbt = ramet.PopulationBasedTraining(
        time_attr="training_iteration", perturbation_interval=5, hyperparam_mutations={"lr": ramet.uniform(0.1, 1.0)}
    )
    results = ramet.Tuner(
        train,
        param_space={"lr": ramet.grid_search([0.1, 0.2, 0.3, 0.4])},
        tune_config=ramet.TuneConfig(metric="score", mode="max", scheduler=pbt, seed=1),
        run_config=ramet.RunConfig(
            name="walk", storage_path=sys.argv[1], stop={"training_iteration": 40}, verbose=int(sys.argv[2]),
            executor=ramet.ProcessExecutor(slots=2),
        ),
    ).fit()
    print("RETURNED", len(results), results.num_errors)
"""


def _in_terminal(command: list[str], width: int, height: int) -> tuple[int, str]:
    """Run ``command`` on a terminal of its own; return its exit status and all that it wrote."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))
    environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR")}
    environment.update(TERM="xterm-256color", PYTHONIOENCODING="utf-8")
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        data = b""
        try:
            while part := os.read(ours, 1 << 16):
                data += part
        except OSError:
            pass  # how Linux says that the other side has closed
        finally:
            os.close(ours)
        return process.wait(60), data.decode()


def test_real_terminal(tmp_path: Path) -> None:
    """A real run on a real terminal shows its table, ends normally, and leaves the summary on the screen."""
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT), encoding="utf-8")
    status, data = _in_terminal([sys.executable, str(script), str(tmp_path), "1"], 100, 30)
    assert status == 0, data
    seen = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", data)
    assert "run walk: 4 members, PopulationBasedTraining, seed 1 (asynchronous" in seen
    assert seen.count("rank  member  state") >= 2
    assert "] hello [red]from[/red] a member" in seen
    assert re.search(r"t=\d+  \d ← \d  [\d.]+ → [\d.]+  lr ", seen)
    # After the last time that the cursor went up nothing overwrites what is there: the last table and the summary.
    final = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", data[data.rindex("\x1b[1A") :])
    for part in ("100 %   iteration 40 of 40", "finished", "walk ended after", "best       member", "RETURNED 4 0"):
        assert part in final, part
    assert data.rindex("\x1b[?25h") > data.rindex("\x1b[?25l")


def test_real_pipe(tmp_path: Path) -> None:
    """The same run into a pipe is plain text, a line each, without a control character."""
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent(SCRIPT), encoding="utf-8")
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path), "2"], capture_output=True, check=True, env=environment, timeout=120
    )
    lines = done.stdout.decode().splitlines()
    assert lines[0].startswith("run walk: 4 members")
    assert all(line.isprintable() for line in lines)
    assert any(re.fullmatch(r"member \d  iteration \d+(–\d+)?  score [\d.]+", line) for line in lines)
    exploit = r"t=\d+  member \d \([\d.]+\) ← member \d \([\d.]+ at iteration \d+\)  lr "
    assert any(re.match(exploit, line) for line in lines)
    assert any(line.endswith("] hello [red]from[/red] a member") for line in lines)
    assert "  members    4 finished; " in done.stdout.decode()
    assert lines[-1] == "RETURNED 4 0"
