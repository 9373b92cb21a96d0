"""What the documentation says is so: its code runs, its links lead somewhere, its tables agree with the code."""

from __future__ import annotations

import dataclasses
import doctest
import importlib
import inspect
import os
import pkgutil
import re
import sqlite3
import subprocess
import sys
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import ramet
from ramet import checkpoint, session, settings
from ramet.core.events import KINDS
from ramet.executor import batch, worker, workers
from ramet.store import away, ledger, lock, manifest
from ramet.store.ledger import FORMAT, Ledger
from ramet.store.manifest import MANIFEST
from ramet.view import logs

ROOT = Path(__file__).parent.parent
PAGES = [path for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/*.md")) if path.is_file()]

SIDE_EFFECTS = {"ramet.compat.ray_installed"}
"""Modules that do something when they are imported, which is what they are for."""


def name_of(path: object) -> str:
    """Return a page's name for pytest's output."""
    return path.relative_to(ROOT).as_posix() if isinstance(path, Path) else str(path)


class Block(NamedTuple):
    """A fenced block of a page: its language, the comment before it (``<!-- name -->``), where its text begins."""

    language: str
    name: str | None
    line: int
    text: str


def blocks(path: Path) -> list[Block]:
    """Return the fenced blocks of a page."""
    found = []
    lines = path.read_text(encoding="utf-8").split("\n")
    start: int | None = None
    for number, line in enumerate(lines):
        if not line.startswith("```"):
            continue
        if start is None:
            start = number
            continue
        comment = re.fullmatch(r"<!-- (\S+) -->", lines[start - 1])
        text = "\n".join(lines[start + 1 : number]) + "\n"
        found.append(Block(lines[start][3:], comment and comment[1], start + 1, text))
        start = None
    assert start is None, f"{path}: the block of line {start} has no end"
    return found


def block(path: Path, name: str) -> str:
    """Return the text of the block that follows the comment ``<!-- name -->``."""
    (found,) = (block.text for block in blocks(path) if block.name == name)
    return found


def table(path: Path, name: str) -> list[list[str]]:
    """Return the cells of the table that follows the comment ``<!-- name -->``, without its head."""
    _, _, rest = path.read_text(encoding="utf-8").partition(f"<!-- {name} -->\n")
    rows = []
    for line in rest.split("\n"):
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows[2:]


def ticked(cell: str) -> list[str]:
    """Return what stands between backticks."""
    return re.findall(r"`([^`]+)`", cell)


def run(script: Path, folder: Path) -> str:
    """Run a script by itself, warnings as errors, and return what it prints."""
    environment = {**os.environ, "RAMET_RUNS": str(folder / "runs"), "MPLBACKEND": "Agg"}
    command = [sys.executable, "-W", "error", str(script)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=folder, env=environment, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# ---------------------------------------------------------------------- code


@pytest.mark.parametrize(
    "page", [page for page in PAGES if any(b.language == "python" for b in blocks(page))], ids=name_of
)
def test_the_code_of_a_page_runs(page, tmp_path):
    """The Python blocks of a page, one after the other, are a program that ends well."""
    lines = [""] * len(page.read_text(encoding="utf-8").split("\n"))
    for found in blocks(page):
        if found.language == "python":
            # At their own lines, so that a traceback points into the page.
            text = found.text.split("\n")
            lines[found.line : found.line + len(text)] = text
    for library in ("jax", "torch", "fsspec", "ray"):
        if any(re.match(rf"(import|from) {library}\b", line) for line in lines) and not find_spec(library):
            pytest.skip(f"{page.name} needs {library}, which is not installed")
    script = tmp_path / f"page_{page.stem}.py"  # ray.py would hide the package
    script.write_text("\n".join(lines), encoding="utf-8")

    run(script, tmp_path)


def test_the_readmes_example_prints_what_it_says(tmp_path):
    """The example in the README ends with the very lines that are shown below it."""
    script = tmp_path / "example.py"
    script.write_text(block(ROOT / "README.md", "example"), encoding="utf-8")

    assert run(script, tmp_path).endswith(block(ROOT / "README.md", "output"))


@pytest.mark.parametrize(("name", "extra", "program"), [("demo", "plot", "ramet demo"), ("test", "test", "pytest")])
def test_the_readmes_commands_need_nothing_but_python(name, extra, program):
    """Each of the two commands is one line that makes an environment, installs into it, and runs."""
    expected = rf"python3 -m venv \.venv && \.venv/bin/pip install (-q )?-e '\.\[{extra}\]' && \.venv/bin/{program}\n"

    assert re.fullmatch(expected, block(ROOT / "README.md", name))


def doctested() -> list[str]:
    """Return the modules whose docstrings hold examples."""
    names = ["ramet", *(module.name for module in pkgutil.walk_packages(ramet.__path__, "ramet."))]
    sources = {name: find_spec(name) for name in names if name not in SIDE_EFFECTS}
    return [name for name, spec in sources.items() if spec and spec.origin and ">>> " in Path(spec.origin).read_text()]


@pytest.mark.parametrize("name", doctested())
def test_the_examples_in_docstrings_are_true(name, tmp_path, monkeypatch):
    """What a docstring shows of an example is what it prints, each in a fresh session."""
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        if (error.name or "").partition(".")[0] in ("", "ramet"):
            raise
        pytest.skip(f"{name} needs {error.name}, which is not installed")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAMET_RUNS", str(tmp_path))
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS)
    told: list[str] = []
    extra = {"ramet": ramet, "np": np}
    for example in doctest.DocTestFinder(exclude_empty=True).find(module, name, extraglobs=extra):
        monkeypatch.setattr(session, "_alone", {})
        runner.run(example, out=told.append)

    assert not runner.failures, "".join(told)
    assert runner.tries


# ---------------------------------------------------------------------- links and names


def anchors(path: Path) -> set[str]:
    """Return the anchors that a page's headings have on the usual sites."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page):
    """Every relative link of a page leads to a file of the project, and to a heading where it names one."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    lost = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        path = (page.parent / file).resolve() if file else page
        if not path.exists() or (anchor and anchor not in anchors(path)):
            lost.append(target)
    lost += [name for name in re.findall(r"\[(#\d+)\]", text) if f"\n[{name}]: " not in text]

    assert lost == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_names_of_ramet_exist(page):
    """Every name that a page calls ``ramet.something`` is there."""
    missing = []
    for dotted in sorted(set(re.findall(r"\bramet((?:\.[A-Za-z_]\w*)+)", page.read_text(encoding="utf-8")))):
        value: object = ramet
        at = "ramet"
        for part in dotted.removeprefix(".").split("."):
            at = f"{at}.{part}"
            if not hasattr(value, part):
                try:
                    importlib.import_module(at)
                except ImportError:
                    missing.append(at)
                    break
            value = getattr(value, part)

    assert missing == []


def test_every_page_is_in_the_index():
    """The index of the documentation lists each of its pages."""
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")

    assert [page.name for page in (ROOT / "docs").glob("*.md") if f"({page.name})" not in index] == ["index.md"]


# ---------------------------------------------------------------------- strategies


STRATEGIES_PAGE = ROOT / "docs" / "strategies.md"
BASES = {"Choice", "Composition", "Decision", "Scene", "Strategy"}
COMMON = {"time_attr", "metric", "mode", "synch"}
POPULATION = COMMON | {"perturbation_interval", "burn_in_period", "hyperparam_mutations", "private", "constraints"}


def strategies() -> dict[str, type]:
    """Return the strategies that have a name, by it."""
    found = {name: getattr(ramet.schedulers, name) for name in ramet.schedulers.__all__}
    return {name: one for name, one in found.items() if name not in BASES and hasattr(one, "decide")}


def accepted(strategy: type) -> set[str]:
    """Return the arguments that a strategy takes."""
    parameters = inspect.signature(strategy).parameters.values()
    own = {one.name for one in parameters if one.kind not in (one.VAR_POSITIONAL, one.VAR_KEYWORD)}
    taken = own if len(own) == len(parameters) else own | accepted(strategy.__mro__[1])
    return taken - {"log_config", "require_attrs", "brackets"}


@pytest.mark.parametrize("name", ["strategies", "settings"])
def test_the_tables_of_strategies_have_all_of_them(name):
    """Both tables have every strategy, once."""
    assert sorted(name for row in table(STRATEGIES_PAGE, name) for name in ticked(row[0])) == sorted(strategies())


@pytest.mark.parametrize("row", table(STRATEGIES_PAGE, "settings"), ids=lambda row: row[0])
def test_the_settings_of_a_strategy_are_its_arguments(row):
    """Its own ones are those that the table tells; and it takes those that the sentence above the table tells."""
    own, _, others = row[1].partition("those of ")
    whose, *refused = ticked(others) or [None]
    told = set(ticked(own)) | (accepted(strategies()[whose]) - set(refused) if whose else set())

    for name in ticked(row[0]):
        taken = accepted(strategies()[name])
        assert told - POPULATION == taken - POPULATION - set(refused)
        if name != "ScheduleReplay":
            assert taken >= (COMMON if name in ("RandomSearch", "FIFO", "ASHA") else POPULATION)


def test_the_tables_of_rules_have_all_of_them():
    """The three tables together have every rule of ramet.schedulers, and each example is one."""
    rows = [row for kind in ("exploit rules", "explore rules", "rules by key") for row in table(STRATEGIES_PAGE, kind)]

    for name, _, example in rows:
        code = ticked(example)[0]
        assert type(eval(code, dict(vars(ramet.schedulers)))).__name__ == ticked(name)[0]
    rules = set(ramet.schedulers.__all__) - BASES - strategies().keys()
    assert sorted(ticked(name)[0] for name, *_ in rows) == sorted(rules)


# ---------------------------------------------------------------------- the format


FORMAT_PAGE = ROOT / "docs" / "format.md"


def test_the_table_of_events_is_that_of_the_code():
    """The page on the format lists the kinds of events in their order, each with its fields in their order."""
    told = [(ticked(kind)[0], ticked(fields)) for kind, fields, _ in table(FORMAT_PAGE, "events")]

    assert told == [(name, [field.name for field in dataclasses.fields(kind)]) for name, kind in KINDS.items()]


def test_the_table_of_tables_is_that_of_the_ledger(tmp_path):
    """The page on the format names the tables and columns that a new ledger has, and its version."""
    Ledger.create(tmp_path, {}).close()
    database = sqlite3.connect(tmp_path / "run.db")
    names = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    made = {name: [row[1] for row in database.execute(f"PRAGMA table_info({name})")] for name in names}
    database.close()

    assert {ticked(name)[0]: ticked(columns) for name, columns, _ in table(FORMAT_PAGE, "schema")} == made
    assert f"\nFormat {FORMAT}. " in FORMAT_PAGE.read_text(encoding="utf-8")


def test_the_table_of_files_is_what_a_run_leaves(tmp_path):
    """A run that prints, fails once, and has an object in its space, leaves the files that the page lists."""

    def train(config):
        print("hello")
        if ramet.get_context().member == 1:
            raise ValueError("a failure")
        ramet.report({"loss": 1.0}, checkpoint=ramet.Checkpoint.from_dict({"weights": b"0" * 200_000}))

    results = ramet.Tuner(
        train,
        param_space={"share": ramet.choice([Fraction(1, 3)])},
        tune_config=ramet.TuneConfig(metric="loss", mode="min", num_samples=2),
        run_config=ramet.RunConfig(storage_path=tmp_path, verbose=0),
    ).fit()

    assert results.num_errors == 1
    left = {f"{path.name}/" if path.is_dir() else path.name for path in Path(results.experiment_path).iterdir()}
    assert {ticked(name)[0] for name, *_ in table(FORMAT_PAGE, "files")} == left - {"run.db-wal", "run.db-shm"}


def test_the_table_of_passing_files_names_what_the_code_names(tmp_path):
    """The files that are there at times are called what the code calls them; the ledger's is seen after a repair."""
    folder = tmp_path / "run"
    folder.mkdir()
    Ledger.create(folder, {}).close()
    damaged = Ledger.rebuild(folder, [], [], {}).name
    beside = {f"{ledger.NAME}-{ending}" for ending in ("wal", "shm", "journal")}
    told = {name for names, *_ in table(FORMAT_PAGE, "passing") for name in ticked(names)}

    assert damaged == f"{ledger.NAME}.damaged"
    assert told == {lock.LOCK, *beside, damaged, away.HOME, f"{logs.NAME}.1"}


def test_the_table_of_changes_is_what_a_resume_takes():
    """The page on taking up a run lists every argument that can be given anew, and no other."""
    told = [name for names, _ in table(ROOT / "docs" / "resuming.md", "changes") for name in ticked(names)]

    assert sorted(told) == sorted([*settings.CHANGEABLE, "param_space"])


@pytest.mark.parametrize(
    ("page", "text"),
    [
        ("format.md", f"at most {checkpoint.SMALL // 1024} KiB"),
        ("format.md", f"    {MANIFEST} "),
        ("format.md", f'{{"format": {manifest.FORMAT}, "name": '),
        ("format.md", f"if that grew beyond {logs.LIMIT >> 20} MiB"),
        ("concepts.md", f"within {workers.UNWIND_SECONDS:g} s"),
        ("concepts.md", f"after {worker.FLUSH_SECONDS:g} s or {batch.FLUSH_ROWS} rows"),
    ],
)
def test_a_constant_in_a_page_is_that_of_the_code(page, text):
    """Where a page gives a limit or a name of the code, it is the one that the code has."""
    assert text in (ROOT / "docs" / page).read_text(encoding="utf-8")
