"""Why a training function or its worker process ended, in words for its user."""

from __future__ import annotations

import contextlib
import signal
import traceback
from pathlib import Path

REFUSED = 97
"""Exit status of a worker whose training function would not unwind."""

CUT_OFF = 98
"""Exit status of a worker whose training function closed its socket."""


def how(status: int) -> str:
    """Return what an exit status means.

    >>> how(-11)
    'signal 11 (SIGSEGV)'
    """
    if status == REFUSED:
        return "its function caught the exception that ends it, and went on reporting"
    if status == CUT_OFF:
        return "its function closed the worker's own descriptors (os.closerange, say): close only what you opened"
    if status == 0:
        return (
            "its function ended the whole process with status 0 (os._exit(0), say): return instead, and only the "
            "training ends"
        )
    if status == -signal.SIGKILL:
        return (
            "signal 9 (SIGKILL), which Ramet did not send: if nobody else did, the system ran out of memory and "
            "ended it (dmesg tells): let fewer members train at once, or smaller ones"
        )
    if status < 0:
        with contextlib.suppress(ValueError):
            return f"signal {-status} ({signal.Signals(-status).name})"
    return f"exit status {status}"


def raised(error: BaseException, above: str) -> str:
    """Return the traceback of work that ended by ``error`` as text, without the frames of the file ``above`` it."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename == above and trace.tb_next is not None:
        trace = trace.tb_next
    if isinstance(error, SystemExit):
        return f"SystemExit: the training function called sys.exit({error.code!r}); return to end training"
    return "".join(traceback.format_exception(type(error), error, trace)).rstrip()


def where(error: BaseException) -> str:
    """Return which line of the user's raised an error, to follow its message; none of Ramet's or of a library."""
    ours = Path(__file__).parents[1]
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if ours not in path.parents and "site-packages" not in path.parts and path.exists():
            return f", at {path.name}:{frame.lineno} in {frame.name}"
    return ""


def death(status: int, words: str) -> str:
    """Return the error of work whose worker died, with what it printed last."""
    return f"the worker process died: {how(status)}{_quoted('. Its last words:', words)}"


def hang(seconds: float, words: str) -> str:
    """Return the error of work that was ended because it said nothing for ``seconds``, with the stack if it came."""
    here = _quoted(" It was here:", words) or (
        " It did not say where it was: it was stopped (SIGSTOP), or in a system call that nothing interrupts"
    )
    return f"no report for {seconds:g} s (FailureConfig(report_timeout_s={seconds!r})): the worker was ended.{here}"


def _quoted(title: str, words: str) -> str:
    return f"{title}\n{words.strip()}" if words.strip() else ""
