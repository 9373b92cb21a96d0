"""The browser that other tests look at pages with: found where there is one, and strict about what a page may do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import browser as looking
import pytest


@pytest.fixture
def bare(monkeypatch, tmp_path):
    """A machine with no browser on its PATH and no wish for one; what is put in this folder is on the PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv(looking.WISH, raising=False)
    return tmp_path


def program(folder, name):
    path = folder / (name + (".exe" if os.name == "nt" else ""))
    path.touch()
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("name", looking.NAMES)
def test_a_browser_is_found_by_any_of_its_names(name, bare):
    """Whatever the browser is called on this machine, it is the one that is taken."""
    path = program(bare, name)

    assert os.path.samefile(looking.find(), path)


def test_a_browser_can_be_named(bare, monkeypatch):
    """The browser that the variable names is taken before any that is on the PATH."""
    program(bare, "chromium")
    (bare / "own").mkdir()
    own = program(bare / "own", "mine")
    monkeypatch.setenv(looking.WISH, str(own))

    assert os.path.samefile(looking.find(), own)


def test_without_a_browser_a_test_is_skipped_and_told_how_to_get_one(bare):
    """Who has no browser sees skipped tests, whose reason names the programs and the variable."""
    with pytest.raises(pytest.skip.Exception, match=f"chromium.*install one, or name one in {looking.WISH}"):
        looking.find()


@pytest.mark.parametrize("wish", [looking.REQUIRE, "no-such-browser"])
def test_a_browser_that_was_asked_for_must_be_there(wish, bare, monkeypatch):
    """Where a browser is required or named, no test of a page passes for want of one."""
    monkeypatch.setenv(looking.WISH, wish)

    with pytest.raises(pytest.fail.Exception, match=looking.WISH):
        looking.find()


@pytest.mark.parametrize(("wish", "outcome"), [("", pytest.skip), (looking.REQUIRE, pytest.fail)])
def test_without_playwright_a_test_is_skipped_or_fails_in_the_same_way(wish, outcome, monkeypatch):
    """A missing driver counts like a missing browser, and the reason says how to install it."""
    monkeypatch.setenv(looking.WISH, wish)
    monkeypatch.setitem(sys.modules, "playwright", None)

    with pytest.raises(outcome.Exception, match="pip install"):
        looking.playwright()


def test_what_a_page_throws_is_a_complaint(page, complaints):
    """An error that no script of the page catches would fail the test."""
    with page.expect_event("pageerror"):
        page.set_content("<script>nothing.at.all</script>")

    assert complaints == ["uncaught: nothing is not defined"]
    complaints.clear()


def test_an_error_in_the_console_is_a_complaint_and_other_lines_are_not(page, complaints):
    """Of all that a page writes to its console, errors alone would fail the test."""
    with page.expect_console_message(lambda message: message.text == "last"):
        page.set_content("<script>console.info('first'); console.error('wrong'); console.info('last')</script>")

    assert complaints == ["wrong (about:blank)"]
    complaints.clear()


def test_a_page_that_loads_from_elsewhere_is_a_complaint(page, complaints):
    """A page must bring all that it needs: on no machine is it served anything by another."""
    with page.expect_console_message():
        page.set_content('<img src="http://ramet.example/logo.png">')

    assert len(complaints) == 1
    assert "ERR_NAME_NOT_RESOLVED" in complaints[0]
    assert "ramet.example" in complaints[0]
    complaints.clear()


def test_a_complaint_fails_the_test(tmp_path):
    """A test that asserts nothing still fails when its page has logged an error, and shows it."""
    looking.find()
    looking.playwright()
    script = "<script>console.error('from the page')</script>"
    (tmp_path / "test_it.py").write_text(f"def test_it(page): page.set_content({script!r})", encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "browser", "-p", "no:cacheprovider", "test_it.py"]
    surroundings = os.environ | {"PYTHONPATH": str(Path(looking.__file__).parent)}

    run = subprocess.run(command, cwd=tmp_path, env=surroundings, capture_output=True, text=True, check=False)

    assert run.returncode == 1, run.stdout + run.stderr
    assert "the page complained:\nfrom the page" in run.stdout
