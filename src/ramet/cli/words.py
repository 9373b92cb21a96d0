"""The words of a command line as what they stand for: numbers, names, files, runs, functions."""

from __future__ import annotations

import argparse
import math
import os
from collections.abc import Callable
from pathlib import Path

PICTURES = (".png", ".pdf", ".svg")


def whole(least: int) -> Callable[[str], int]:
    """Return what reads a whole number of at least ``least``."""

    def number(text: str) -> int:
        if not text.strip().isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number of at least {least}")
        return int(text)

    return number


def names(text: str) -> list[str]:
    """Return the names in ``a,b,c``."""
    return [name.strip() for name in text.split(",") if name.strip()]


def seconds(text: str) -> float:
    """Return a length of time."""
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not 0 <= found < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds, 0 or more")
    return found


def picture(text: str) -> Path:
    """Return the file of a picture, or a folder for it."""
    path = Path(text).expanduser()
    if path.suffix and not path.is_dir() and path.suffix.lower() not in PICTURES:
        raise argparse.ArgumentTypeError(f"{text!r} ends in none of {', '.join(PICTURES)} and is no folder")
    return path


def place(text: str) -> Path:
    """Return a file or folder."""
    if not text or "\0" in text:
        raise argparse.ArgumentTypeError(f"{text!r} is no path")
    return Path(text).expanduser()


def run(text: str) -> Path:
    """Return a run's folder: the one that is called so, or the one of that name in the folder of runs.

    Of the URL of one that is kept in a store, the folder that has it here.
    """
    if "://" in text:
        return _brought(text)
    path = place(text)
    if path.name == text and not os.path.lexists(path):
        named = runs() / text
        if named.is_dir():
            return named
    return path


def folder_or_url(text: str) -> Path | str:
    """Return a folder as `run` does; a URL is left as it is."""
    return text if "://" in text else run(text)


def _brought(url: str) -> Path:
    from ramet.errors import RametError
    from ramet.whereabouts import folder_of

    try:
        return folder_of(url)
    except RametError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def runs() -> Path:
    """Return the folder in which runs are kept."""
    from ramet.config import RunConfig

    return Path(RunConfig().folder)


def threshold(text: str) -> tuple[str, float]:
    """Return (metric, value) of ``METRIC=VALUE``."""
    name, _, value = text.rpartition("=")
    try:
        found = float(value)
    except ValueError:
        found = math.nan
    if not name or math.isnan(found):
        raise argparse.ArgumentTypeError(f"{text!r} is not METRIC=VALUE, such as training_iteration=500")
    return name, int(found) if found == int(found) and abs(found) < 2**53 and "." not in value else found


def run_option(parser: argparse.ArgumentParser) -> None:
    """Add the run that a verb is about."""
    parser.add_argument("run", type=run, metavar="RUN", help="the run's folder, URL, or name in the folder of runs")


def member_option(parser: argparse.ArgumentParser) -> None:
    """Add the member that a verb is about."""
    parser.add_argument("--member", type=whole(0), metavar="N", help="whose (default: the best member's)")
