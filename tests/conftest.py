"""Whatever a test, or a process that it starts, writes to the temporary folder is gone with the test run's own."""

import tempfile

import pytest
from browser import browser, complaints, page  # noqa: F401


@pytest.fixture(autouse=True, scope="session")
def _own_temporary_folder(tmp_path_factory):
    patch = pytest.MonkeyPatch()
    folder = str(tmp_path_factory.mktemp("temp"))
    patch.setenv("TMPDIR", folder)
    patch.setattr(tempfile, "tempdir", folder)
    patch.setenv("RAMET_RUNS", str(tmp_path_factory.mktemp("runs")))
    yield
    patch.undo()


def pytest_addoption(parser):
    """With --long the tests in ``torture`` try everything, for minutes."""
    parser.addoption("--long", action="store_true", help="let tests/torture try everything, for minutes")
