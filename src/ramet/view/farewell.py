"""The last line of a run that ends before its end: the command that goes on with it, ready to be copied."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
from pathlib import Path
from typing import Any

from ramet.core.population import Population
from ramet.trainable import Prepared
from ramet.view.summary import INDENT, go_on
from ramet.view.values import clean, clip


def farewell(population: Population, folder: Path, trainable: Any, *, silent: bool) -> None:
    """Say how to go on: below the summary, or for a ``silent`` run by itself, on standard error.

    Nothing is said of a run that never began, for it is begun anew, nor of one with nothing left to do.
    """
    if not population.members or not (how := go_on(population, folder)):
        return
    command = None
    if (where := function(trainable)) is not None:
        command = f"ramet resume {shlex.quote(os.path.abspath(folder))} {shlex.quote(where)}"
        if any(member.state == "failed" for member in population.members):
            command += " --errored resume"
    with contextlib.suppress(Exception):  # nobody may be there to read it
        if silent:
            ended = clip(" ".join((population.ended or "it broke off").split()), 300)
            text = f"ramet: run {folder.name} ended before its end ({ended}); go on: {command or how}"
            print(clean(text), file=sys.stderr, flush=True)
        elif command is not None:
            print(f"  {'or':<{INDENT - 2}}{clean(command)}", flush=True)


def function(trainable: Any) -> str | None:
    """Return the FILE.py:NAME by which ``ramet resume`` finds a training function, None where it cannot.

    It cannot where the function is no global name of a file: inside another function, a lambda, or in a notebook; nor
    in a script for Ray Tune, which an import alone does not bring over here.
    """
    if "ramet.compat.ray_installed" in sys.modules:
        return None
    inner = trainable.function if isinstance(trainable, Prepared) else trainable
    for name in (getattr(inner, "__module__", None), "__main__"):
        module = sys.modules.get(name or "")
        file = Path(getattr(module, "__file__", None) or "")
        if file.suffix == ".py" and file.stem.isidentifier():
            for called, value in vars(module).items():
                if value is trainable:
                    return f"{file.absolute()}:{called}"
    return None
