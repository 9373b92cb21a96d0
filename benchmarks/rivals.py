"""Makes an environment of its own for each rival, in the folder .rivals, where run.py finds them.

    python benchmarks/rivals.py                          all of them, of the versions below
    python benchmarks/rivals.py ray --version 2.58.0     one of them, of another version

Nothing of it is needed to use Ramet, or to measure it alone.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import venv
from pathlib import Path

FOLDER = Path(__file__).parent.parent / ".rivals"
PACKAGES = {"ray": "ray[tune]", "syne": "syne-tune"}
VERSIONS = {"ray": "2.60.0", "syne": "0.16.*"}


def python(rival: str) -> str | None:
    """Return the interpreter that has ``rival``, None if it is not installed."""
    path = FOLDER / rival / "bin" / "python"
    return str(path) if (FOLDER / rival / "complete").exists() and path.exists() else None


def install(rival: str, version: str) -> None:
    """Make the environment of ``rival`` anew.

    Raises:
        CalledProcessError: pip could not install it.
    """
    folder = FOLDER / rival
    venv.create(folder, clear=True, with_pip=True)
    command = [folder / "bin" / "python", "-m", "pip", "install", "--quiet", f"{PACKAGES[rival]}=={version}", "numpy"]
    subprocess.run(command, check=True)
    (folder / "complete").write_text(f"{version}\n", encoding="utf-8")


def main() -> None:
    """Install what is asked for, and say what could not be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rivals", nargs="*", default=sorted(PACKAGES), metavar="RIVAL", help="ray, syne, or both")
    parser.add_argument("--version", help="another version, of a single rival")
    asked = parser.parse_args()
    if unknown := set(asked.rivals) - PACKAGES.keys():
        parser.error(f"{sorted(unknown)} are none of {sorted(PACKAGES)}")
    if asked.version and len(asked.rivals) != 1:
        parser.error("--version is of one rival: name it")
    failed = []
    for rival in asked.rivals:
        version = asked.version or VERSIONS[rival]
        print(f"{rival}: {PACKAGES[rival]} {version}", flush=True)
        try:
            install(rival, version)
        except subprocess.CalledProcessError as error:
            print(f"{rival}: could not be installed and is left out (pip ended with {error.returncode})", flush=True)
            failed.append(rival)
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
