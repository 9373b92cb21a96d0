"""``ramet ls``: the runs in a folder, each in one line, read as little as that takes."""

from __future__ import annotations

import argparse
import os
from datetime import datetime
from pathlib import Path
from typing import Any

from ramet.cli.out import document, say, table
from ramet.cli.words import folder_or_url, runs


def ls(arguments: argparse.Namespace) -> int:
    """List the runs in a folder, or at a URL in a store, the newest last.

    A run is a folder with a run.db in it. It has ended, is under way, was stopped (told to end before its members had),
    or was broken off (nobody works on it, and it never came to an end); the last two can be resumed. What is damaged is
    listed as such, and ramet check tells more of it. The value is that of the best model that a member holds; exploits
    are how often a member became another one's clone.

    Of a store the newest snapshots are read, without a trace here or there.

    With --json: folder, and runs, a list of: name, path, state ("ended", "under way", "stopped", "broken off" or
    "damaged"), why (of damage), metric, mode, best, iteration (the furthest of a model that is there), members, failed,
    segments, exploits, begun (when), size (bytes).

        $ ramet ls
        $ ramet ls s3://bucket/runs
        $ ramet ls ~/experiments --json | jq -r '.runs[] | select(.state == "stopped") | .path'
    """
    folder = arguments.folder or runs()
    if isinstance(folder, str):
        from ramet.cli.stores import kept

        found = kept(folder, told)
    else:
        found, folder = [told(path) for path in runs_in(folder)], folder.absolute()
    found.sort(key=lambda run: (run["begun"] or "", run["name"]))
    if arguments.json:
        document({"folder": folder, "runs": found})
        return 0
    if not found:
        say(f"no runs in {folder}")
        return 0
    heads = ("name", "state", "members", "best", "iteration", "exploits", "begun", "size")
    table(heads, [_row(run) for run in found], right=("members", "best", "iteration", "exploits", "size"))
    return 0


def ls_options(parser: argparse.ArgumentParser) -> None:
    """Add the folder."""
    where = "a folder, or the URL of one in a store (default: the folder of runs)"
    parser.add_argument("folder", nargs="?", type=folder_or_url, metavar="FOLDER", help=where)


def runs_in(folder: Path) -> list[Path]:
    """Return the folders of the runs in ``folder``, or ``folder`` itself if it is a run's.

    Raises:
        RunError: it is no folder.
    """
    from ramet.errors import RunError
    from ramet.store.rows import NAME

    if os.path.lexists(folder / NAME):
        return [folder]
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if os.path.lexists(os.path.join(entry.path, NAME))]
    except FileNotFoundError:
        if folder == runs():  # nothing has ever run
            return []
        raise RunError(f"{folder} is not there: name a folder that holds runs") from None
    except NotADirectoryError:
        raise RunError(f"{folder} is no folder: name one that holds runs") from None
    return [folder / name for name in sorted(names)]


def told(path: Path) -> dict[str, Any]:
    """Return what a run is, in few words; of a damaged one that it is."""
    from ramet.errors import RametError

    try:
        return _told(path)
    except (RametError, OSError) as error:
        nothing = dict.fromkeys(("metric", "mode", "best", "iteration", "members", "failed", "segments", "exploits"))
        why = (str(error).splitlines() or [type(error).__name__])[0]
        size = _bytes(path)
        return {
            "name": path.name,
            "path": path.absolute(),
            "state": "damaged",
            "why": why,
            **nothing,
            "begun": None,
        } | {"size": size}


def _told(path: Path) -> dict[str, Any]:
    from ramet.analysis.run import Run
    from ramet.errors import ConfigError
    from ramet.store.ledger import Ledger

    with Run(path) as run:
        trace, found = run.trace, run.trace.segments
        try:
            best: float | None = run.best().value
        except ConfigError:  # nobody has a value, or nobody is judged
            best = None
        current = [place.segment for place in trace.places if place.segment >= 0]
        directories = sum(size for _, _, kind, size, _ in trace.bulk.checkpoints() if kind == "directory")
        answer = {
            "name": path.absolute().name,
            "path": path.absolute(),
            "state": run.state,
            "why": None,
            "metric": run.metric,
            "mode": run.mode,
            "best": best,
            "iteration": int(trace.ends[current].max()) if current else 0,
            "members": len(trace.places),
            "failed": sum(place.state == "failed" for place in trace.places),
            "segments": len(found),
            "exploits": sum(found.why(number) == "exploit" for number in range(len(found))),
        }
    ledger = Ledger.open(path)
    try:
        begun = ledger.meta().get("created")
    finally:
        ledger.close()
    return {**answer, "begun": begun, "size": _bytes(path) + directories}


def _bytes(path: Path) -> int:
    """Return how many bytes the files of a run have, without those in folders of it."""
    with os.scandir(path) as entries:
        return sum(entry.stat().st_size for entry in entries if entry.is_file(follow_symlinks=False))


def _row(run: dict[str, Any]) -> tuple[Any, ...]:
    from ramet.view.values import size

    if run["state"] == "damaged":
        return (run["name"], "damaged", None, None, None, None, None, size(run["size"]))
    try:
        begun: str | None = datetime.fromisoformat(run["begun"]).astimezone().strftime("%Y-%m-%d %H:%M")
    except (TypeError, ValueError):
        begun = None
    members = f"{run['members']} ({run['failed']} failed)" if run["failed"] else str(run["members"])
    return (
        *(run["name"], run["state"], members, run["best"], run["iteration"]),
        *(run["exploits"], begun, size(run["size"])),
    )
