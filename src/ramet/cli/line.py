"""`main`: from the words of a command line to an exit status, with every error in one line."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence

from ramet.bench import STANDARD_OUTPUT
from ramet.cli.out import NOT_BEGUN, VerbError, document, say
from ramet.cli.parser import parser
from ramet.errors import MemberError, RametError

GONE = 141
"""What shells tell of a program that SIGPIPE ended."""

STATUSES = {
    0: "all is well",
    1: "a run, or what was asked of it, failed: the line on standard error says why",
    2: "the command line is wrong: nothing was done",
    NOT_BEGUN: "resume found no run, or one that never began: begin it",
    75: "the time limit of a run came: it can be resumed",
    130: "interrupted (Ctrl-C), 143 if by SIGTERM, 138 by SIGUSR1: a run that was under way can be resumed",
    GONE: "who read what is printed is gone",
}
"""What each exit status means, as the help tells it."""

_HINTS = (
    (re.compile("holds no run"), "ramet ls, which lists the runs that there are"),
    (re.compile("is damaged(?!.*ramet check)"), "ramet check RUN, which names all damage"),
)
"""What to do about errors whose messages are the library's, which knows of no commands."""


def main(argv: Sequence[str] | None = None) -> int:
    """Carry out a command line and return its exit status.

    Args:
        argv: the words after ``ramet``; those that the process was started with by default.

    >>> main(["--version"])
    ramet 0.1.0
    0
    """
    words = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if getattr(stream, "errors", None) == "strict" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # not every terminal has a dash or an ellipsis
    try:
        return _carried_out(words)
    except BrokenPipeError:
        # Nothing more can be said, not even at the end of the process.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return GONE


def _carried_out(words: list[str]) -> int:
    whole = parser()
    try:
        arguments = whole.parse_args(words)
    except SystemExit as end:  # argparse has said what there is to say
        if end.code and _asks_for_json(words):
            document({"error": whole.told, "hint": whole.hint, "status": end.code})
        return int(end.code or 0)
    if arguments.verb is None:
        whole.print_help(sys.stderr)
        return 2
    try:
        status: int = arguments.verb(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except (RametError, OSError) as error:
        return _failed(arguments, _in_a_line(error), 1)
    except VerbError as error:
        return _failed(arguments, str(error), error.status)
    except KeyboardInterrupt:
        return _failed(arguments, "interrupted", 130)
    except SystemExit as end:  # SIGTERM, SIGUSR1 or a time limit, during a run
        return end.code if isinstance(end.code, int) else 1
    return status


def _failed(arguments: argparse.Namespace, told: str, status: int) -> int:
    hint = next((hint for pattern, hint in _HINTS if pattern.search(told)), None)
    say(f"ramet {arguments.command}: {told}", file=sys.stderr)
    if hint is not None:
        say(f"Try: {hint}", file=sys.stderr)
    if arguments.json in (True, STANDARD_OUTPUT):
        document({"error": told, "hint": hint, "status": status})
    return status


def _asks_for_json(words: list[str]) -> bool:
    """Return whether a line that cannot be parsed asks for JSON on standard output; bench may write it to a file."""
    if "--json" not in words:
        return False
    after = words[words.index("--json") + 1 :]
    return words[0] != "bench" or not after or after[0].startswith("-")


def _in_a_line(error: Exception) -> str:
    """Return what is wrong and what to do; of a member's traceback that is its last line."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    lines = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return f"a member failed: {lines[-1]}" if isinstance(error, MemberError) else lines[0]
