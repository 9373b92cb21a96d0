"""A browser for the tests of pages: found on the machine, driven by Playwright, and deaf to every other machine."""

from __future__ import annotations

import os
import shutil

import pytest

WISH = "RAMET_TEST_BROWSER"
"""The variable that names the browser to take, or is ``require``: either way a test that finds none then fails."""

REQUIRE = "require"

NAMES = ("chromium", "chromium-browser", "google-chrome")
"""What a browser that Playwright can drive is called, wherever one is installed."""

HERE_ONLY = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"
"""A page that loads anything from elsewhere fails on every machine, not just on one without a network."""

QUIET = ("--disable-gpu", "--disable-quic", "--no-first-run")
"""No test is about the graphics card, the newest protocol, or the browser's own welcome."""


def find() -> str:
    """Return the path of a browser; where there is none skip the test, or fail it if one was asked for."""
    wish = os.environ.get(WISH, "")
    for name in NAMES if wish in ("", REQUIRE) else (wish,):
        if path := shutil.which(name):
            return path
    if wish in ("", REQUIRE):
        return _none(f"none of {', '.join(NAMES)} is on the PATH: install one, or name one in {WISH}")
    return _none(f"{WISH} is {wish!r}, which is no program")


def playwright():
    """Return Playwright's synchronous interface; where it is not installed skip the test, or fail it as `find` does."""
    try:
        from playwright import sync_api
    except ModuleNotFoundError:
        return _none("Playwright is not installed: pip install -e '.[test]'")
    return sync_api


def _none(reason: str):
    if os.environ.get(WISH):
        pytest.fail(f"no browser for this test, and {WISH} asks for one: {reason}", pytrace=False)
    pytest.skip(f"no browser for this test: {reason}")


@pytest.fixture(scope="module")
def browser():
    """A browser without a window, for the tests of one file: beside it no other test could run an event loop."""
    program = find()
    with playwright().sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=program, args=[HERE_ONLY, *QUIET])
        yield chromium
        chromium.close()


@pytest.fixture
def complaints():
    """What `page` complained of: a test that expects a complaint looks at it here and clears the list."""
    return []


@pytest.fixture
def page(browser, complaints):
    """A page without cookies, cache or history; its test fails if the page has thrown or logged an error."""
    with browser.new_context() as context:
        yield listened(context.new_page(), complaints)
    if complaints:
        pytest.fail("the page complained:\n" + "\n".join(complaints), pytrace=False)


def listened(page, complaints):
    """Return the page, which from now on adds to ``complaints`` whatever it throws or logs as an error."""

    def hear(message):
        if message.type == "error":
            complaints.append(f"{message.text} ({message.location.get('url') or page.url})")

    page.on("console", hear)
    page.on("pageerror", lambda error: complaints.append(f"uncaught: {error}"))
    return page
