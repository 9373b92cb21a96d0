"""``ramet check`` and ``gc``: what is wrong with a run's folder, and what in it belongs to nothing."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from ramet.cli.out import document, say, warn
from ramet.cli.words import run, run_option


def check(arguments: argparse.Namespace) -> int:
    """Look for damage in a run's folder, and name all of it.

    Reads every entry and every checkpoint, and compares them with their checksums. With --repair what can be mended is:
    a damaged ledger goes back to its last whole state (the damaged file is kept beside it), members whose checkpoints
    are damaged will go on from older ones, and what belongs to nothing is removed. Then ramet resume, or Tuner.restore,
    takes it up. The exit status is 0 if all is whole, or was made so.

    With --json: run, damages (a list of texts), repaired (a list of texts, or null), left (what is damaged after that).

        $ ramet check demo
        $ ramet check --repair demo
    """
    from ramet import fsck
    from ramet.store.lock import RunLock

    found = fsck.check(arguments.run)
    repaired: list[str] | None = None
    left = found
    if found and arguments.repair:
        with RunLock.take(arguments.run):
            repaired = fsck.repair(arguments.run)
        left = fsck.check(arguments.run)
    if arguments.json:
        document({"run": arguments.run.absolute(), "damages": found, "repaired": repaired, "left": left})
        return 1 if left else 0
    for damage in found:
        say(damage)
    if not found:
        say(f"{arguments.run} is whole")
    elif repaired is None:
        say(f"{len(found)} found; ramet check --repair {arguments.run} mends what can be mended")
    for what in repaired or ():
        say(f"repaired: {what}")
    if repaired is not None:
        for damage in left:
            say(f"still there: {damage}")
    return 1 if left else 0


def check_options(parser: argparse.ArgumentParser) -> None:
    """Add the run and whether to mend it."""
    run_option(parser)
    parser.add_argument("--repair", action="store_true", help="mend what can be mended")


def gc(arguments: argparse.Namespace) -> int:
    """Delete what belongs to nothing, in a run or in a folder of runs.

    That is what processes that died at their work left behind in checkpoints/. Without --yes it only says what would
    go. Checkpoints that a run names are never touched; how many it keeps is set by CheckpointConfig. A run that is
    under way is refused, for what it is writing belongs to nothing yet; of a folder of runs those are passed over.

    With --json: removed (whether it was), bytes (of all), runs, a list of: name, path, left, a list of: name, bytes;
    and skipped, a list of: path, why.

        $ ramet gc demo
        $ ramet gc ~/ramet_runs --yes
    """
    from ramet.cli.ls import runs_in
    from ramet.errors import RametError, RunError
    from ramet.store.rows import NAME

    alone = os.path.lexists(arguments.run / NAME)
    found, skipped = list[dict[str, Any]](), list[dict[str, Any]]()
    runs = runs_in(arguments.run)
    if not runs:
        raise RunError(f"{arguments.run} holds no run, nor folders of runs")
    for path in runs:
        try:
            left = _swept(path) if arguments.yes else _left(path)
        except RametError as error:
            if alone:
                raise
            skipped.append({"path": path.absolute(), "why": str(error).splitlines()[0]})
            continue
        found.append({"name": path.absolute().name, "path": path.absolute(), "left": left})
    total = sum(each["bytes"] for each_run in found for each in each_run["left"])
    if arguments.json:
        document({"removed": arguments.yes, "bytes": total, "runs": found, "skipped": skipped})
        return 0
    from ramet.view.values import count, size

    for told in found:
        for each in told["left"]:
            say(f"{told['path']}/checkpoints/{each['name']}  {size(each['bytes'])}")
    for each in skipped:
        warn(f"passed over: {each['why']}")
    number = count(sum(len(told["left"]) for told in found), "folder")
    if not total and number.startswith("0 "):
        say("nothing is left behind")
    elif arguments.yes:
        say(f"removed {number}, {size(total)}")
    else:
        say(f"{number}, {size(total)}, would go: ramet gc --yes {arguments.run}")
    return 0


def gc_options(parser: argparse.ArgumentParser) -> None:
    """Add the run, or folder of runs, and whether to go ahead."""
    parser.add_argument("run", type=run, metavar="RUN|FOLDER", help="a run's folder or name, or a folder of runs")
    parser.add_argument("--yes", action="store_true", help="delete it")


def _left(folder: Path) -> list[dict[str, Any]]:
    """Return what belongs to nothing, while nobody is at work on the run.

    Raises:
        RunError: somebody is, or it is damaged.
    """
    from ramet.errors import LockedError
    from ramet.record import Record
    from ramet.store.lock import is_held

    if is_held(folder):
        raise LockedError(f"a process is at work on the run in {folder}: wait for its end")
    record = Record.open(folder)
    try:
        known = {row.path for row in record.ledger.checkpoints()}
        names = [name for name in record.store.names() if name not in known]
        return [{"name": name, "bytes": _bytes(record.store.root / name)} for name in names]
    finally:
        record.close()


def _swept(folder: Path) -> list[dict[str, Any]]:
    from ramet.record import Record
    from ramet.store.lock import RunLock

    sizes = {each["name"]: each["bytes"] for each in _left(folder)}
    with RunLock.take(folder):
        record = Record.resume(folder)
        try:
            record.check_there()
            return [{"name": name, "bytes": sizes.get(name, 0)} for name in record.sweep()]
        finally:
            record.close()


def _bytes(path: Path) -> int:
    if path.is_symlink() or not path.is_dir():
        return path.lstat().st_size
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            try:
                total += os.lstat(os.path.join(folder, name)).st_size
            except OSError:  # it is gone by now
                continue
    return total
