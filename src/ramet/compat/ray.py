"""Runs a script written for Ray Tune's function API, unchanged, on Ramet: ``python -m ramet.compat.ray SCRIPT ARGS``.

``import ray`` in the script, in what it imports, and in its workers then means Ramet's stand-in, which has the part of
Ray Tune that population based training needs, and refuses every other name by its name. Importing this module changes
nothing; `install` does.
"""

from __future__ import annotations

import importlib
import importlib.machinery
import os
import sys
from collections.abc import Sequence
from types import CodeType, ModuleType

USAGE = """\
usage: python -m ramet.compat.ray SCRIPT [ARGS …]

Runs SCRIPT, which was written for Ray Tune's function API, unchanged on Ramet; ARGS are the script's own.
`import ray` then means Ramet's stand-in, in worker processes too, whether or not the real Ray is installed.
"""


def install() -> None:
    """Make ``import ray`` mean Ramet's stand-in, from now on, in this process and in the workers that it starts.

    Raises:
        RametError: the real Ray has been imported already.
    """
    # The process executor looks whether this module is loaded, and has its workers load it first of all.
    importlib.import_module("ramet.compat.ray_installed")


def main(arguments: Sequence[str]) -> int:
    """Run the script ``arguments[0]`` with the rest as its arguments; return the exit status, as of plain Python.

    The script's SystemExit, and an interrupt, pass through.
    """
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE, end="", file=sys.stdout if arguments else sys.stderr)
        return 0 if arguments else 2
    script = arguments[0]
    try:
        with open(script, "rb") as file:
            source = file.read()
    except OSError as error:
        print(f"python -m ramet.compat.ray: cannot read {script!r}: {error.strerror}", file=sys.stderr)
        return 2
    install()
    sys.argv[:] = arguments
    _set_path(os.path.dirname(os.path.realpath(script)))
    return _run(os.path.abspath(script), source)


def _set_path(folder: str) -> None:
    """Put the script's folder first on the path, as plain Python does; where the user stands comes last."""
    here = os.getcwd()
    if not sys.flags.safe_path and sys.path and sys.path[0] in ("", here):
        del sys.path[0]
    sys.path.insert(0, folder)
    if here not in sys.path:
        sys.path.append(here)


def _run(script: str, source: bytes) -> int:
    # Not by runpy: the script's module stays __main__ to the very end, for what is called at exit and for its threads.
    module = ModuleType("__main__")
    loader = importlib.machinery.SourceFileLoader("__main__", script)
    vars(module).update(__file__=script, __builtins__=__builtins__, __loader__=loader)
    sys.modules["__main__"] = module
    code: CodeType | None = None
    try:
        code = compile(source, script, "exec", dont_inherit=True)
        exec(code, vars(module))
    except Exception as error:
        # The traceback begins in the script, as with plain Python.
        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_code is not code:
            trace = trace.tb_next
        sys.excepthook(type(error), error.with_traceback(trace), trace)
        return 1
    return 0


if __name__ == "__main__":
    # The module under its own name, not this copy of it, which is about to lose __main__ to the script.
    sys.exit(importlib.import_module("ramet.compat.ray").main(sys.argv[1:]))
