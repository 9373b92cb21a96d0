"""The benchmarks run, and their page is made of what they measured; how fast anything is, no test says."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BENCHMARKS = ROOT / "benchmarks"

NEEDS = {
    "vector": "jax",
    "network": "sklearn",
    "digits": "sklearn",
    "triangle_ray": "ray",
    "quadratic_ray": "ray",
    **dict.fromkeys(("joined", "cluster_boundary", "cluster_clone", "cluster_overhead", "cluster_start"), "ray"),
}
"""Scripts that import at their top what need not be installed."""


@pytest.fixture(autouse=True)
def _importable(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))


def modules() -> list[str]:
    """Return the modules of the suite; importing ``__main__`` would run it."""
    paths = [path for path in BENCHMARKS.rglob("*.py") if "scripts" not in path.parts and path.stem != "__main__"]
    names = [path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".") for path in paths]
    return sorted(name.removesuffix(".__init__") for name in names)


@pytest.mark.parametrize("name", modules())
def test_a_module_of_the_suite_imports(name):
    """Every module of the suite imports, with nothing installed but Ramet."""
    importlib.import_module(name)


def test_the_scripts_import():
    """Every script that is timed imports alone, or says which library it lacks."""
    stems = sorted(path.stem for path in (BENCHMARKS / "scripts").glob("*.py"))
    code = (
        "import importlib, sys\n"
        f"for name in {stems}:\n"
        "    try:\n"
        "        importlib.import_module(name)\n"
        "    except ModuleNotFoundError as error:\n"
        "        print(name, error.name.split('.')[0])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=BENCHMARKS / "scripts"
    )

    assert done.returncode == 0, done.stderr
    lacking = dict(line.split() for line in done.stdout.splitlines())
    assert lacking.items() <= NEEDS.items()


def test_a_part_is_measured(tmp_path):
    """The suite measures a part at a tiny size, as the command that everybody uses, and writes what it found."""
    out = tmp_path / "results.json"
    command = [sys.executable, str(BENCHMARKS / "run.py"), "--only", "triangle", "--quick", "--alone", "--json"]
    done = subprocess.run([*command, str(out)], capture_output=True, text=True, check=False, timeout=120)

    assert done.returncode == 0, done.stderr
    told = json.loads(out.read_text(encoding="utf-8"))
    assert [one["why"] for one in told["skipped"]] == ["it is not installed"] * 2, done.stderr
    figures = {figure["name"]: figure for figure in told["figures"]}
    ratio = figures["training, Ramet ÷ the bare loop"]
    assert ratio["low"] <= ratio["median"] <= ratio["high"]
    assert ratio["target"] == {"text": "at most 1.5 x", "way": "at most", "number": 1.5}
    assert ratio["met"] == (ratio["median"] <= 1.5)


def test_a_section_is_measured_on_a_ray_cluster(tmp_path):
    """What a boundary costs on a Ray cluster is measured at a tiny size, beside a bare call, by its own command."""
    pytest.importorskip("ray", reason="Ray is not installed")
    out = tmp_path / "results.json"
    command = [sys.executable, str(BENCHMARKS / "ray_cluster.py"), "--only", "boundary", "--quick", "--alone", "--json"]
    done = subprocess.run([*command, str(out)], capture_output=True, text=True, check=False, timeout=300)

    assert done.returncode == 0, done.stderr
    told = json.loads(out.read_text(encoding="utf-8"))
    assert told["skipped"] == [], done.stderr
    figures = {figure["name"]: figure for figure in told["figures"]}
    boundary = figures["a boundary, from the answer to the next handover"]
    assert boundary["median"] <= figures["a boundary, from the answer to the next handover, 95th percentile"]["median"]
    assert boundary["target"] == {"text": "at most 3 ms", "way": "at most", "number": 3.0}
    assert "a bare call of an actor" in figures


def test_the_page_is_that_of_the_results():
    """The page on benchmarks is what the suite makes of its last results, byte for byte."""
    page = importlib.import_module("benchmarks.page").page
    paths = [path for name in ("results", "vector", "ray") if (path := BENCHMARKS / f"{name}.json").exists()]
    told = [json.loads(path.read_text(encoding="utf-8")) for path in paths]

    assert (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8") == page(*told)


def test_a_figure_is_written_down_whole():
    """A figure that was written as JSON and read again is the same, and says whether its target is met."""
    figures = importlib.import_module("benchmarks.figures")
    values = [3.0, 1.0, 2.0]
    made = figures.Figure.of("triangle", "a name", "s", values, figures.at_least(2), tail=True, note="a note")
    plain = json.loads(json.dumps(made.to_plain()))

    assert figures.Figure.from_plain(plain) == made
    assert (plain["median"], plain["low"], plain["high"], plain["p99"], plain["repeats"]) == (2.0, 1.0, 3.0, 3.0, 3)
    assert plain["met"] is True
    assert figures.Figure.of("triangle", "a name", "s", values).met is None
    assert figures.Figure.of("triangle", "a name", "s", values, figures.at_most(1.9)).met is False


@pytest.mark.parametrize(
    ("value", "told"), [(1234.5, "1,230"), (0.012345, "0.0123"), (99.96, "100"), (1.0, "1"), (0, "0"), (-0.5, "-0.5")]
)
def test_numbers_have_three_digits(value, told):
    """Numbers are told with three digits and without an exponent."""
    assert importlib.import_module("benchmarks.figures").digits(value) == told


def test_a_script_that_fails_says_how(tmp_path):
    """A script that ends in an error, or does not end, stops the measurement with what it said."""
    calling = importlib.import_module("benchmarks.calling")
    wrong, endless = tmp_path / "wrong.py", tmp_path / "endless.py"
    wrong.write_text("raise ValueError('it went wrong')", encoding="utf-8")
    endless.write_text("import time\nwhile True: time.sleep(1)", encoding="utf-8")

    with pytest.raises(calling.CallError, match="it went wrong"):
        calling.call(wrong)
    with pytest.raises(calling.CallError, match="was ended after"):
        calling.call(endless, limit=0.5)
