"""``ramet ui`` and ``ramet report``: runs in the browser."""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib.util
import os
import secrets
import sys
from pathlib import Path

from ramet.cli.out import document, say
from ramet.cli.words import place, run, run_option, runs
from ramet.errors import ConfigError

PORT = 6180
"""Where the dashboard is served, if nobody else is there: a number with no other known use."""

COLLECT_EVERY = 50_000
"""New objects after which Python looks for garbage."""

NICE = 10
"""How far the dashboard stands back where a run wants the processor."""


def ui(arguments: argparse.Namespace) -> int:
    """Show runs in the browser, live.

    Serves a page on this machine: a list of runs, and of each its members, lineage, schedules, events, errors and
    checkpoints. It reads the runs' folders, also while they are written by another process, and changes nothing.
    Ctrl-C ends it.

    With --json: url, port, path (of the run, or of the folder of runs); then it serves as it does otherwise.

        $ ramet ui
        $ ramet ui demo --open
        $ ramet ui --host 0.0.0.0 --port 8080
    """
    need("ui", "starlette", "uvicorn", "plotly")
    from ramet.ui.folder import Runs, key_of
    from ramet.ui.gate import is_loopback
    from ramet.ui.server import address, bound, server

    found = Runs(arguments.path or runs())
    if found.folder.exists() and not found.folder.is_dir():
        raise ConfigError(f"{found.folder} is no folder: name a run's folder, or one of runs")
    if arguments.path is not None and not found.folder.exists():
        raise ConfigError(f"{found.folder} is not there: name a run's folder, or one of runs")
    if not found.folder.exists() and not arguments.json:
        say(f"{str(found.folder)!r} is not there yet; its runs are listed as soon as they are.")
    token = arguments.token
    if token is None and not is_loopback(arguments.host):
        token = secrets.token_urlsafe(24)
    sock = bound(arguments.host, arguments.port, PORT)
    with sock:
        key = key_of(found.folder) if found.is_one else None
        where = address(sock, arguments.host, token, key)
        port = sock.getsockname()[1]
        if arguments.json:
            document({"url": where, "port": port, "path": found.folder})
        else:
            if arguments.port is None and port != PORT:
                say(f"Port {PORT} is taken, so a free one is used.")
            what = "Run" if found.is_one else "Runs in"
            say(f"{what} {str(found.folder)!r}: {where}  (Ctrl-C ends it)")
            if arguments.host in ("0.0.0.0", "::"):
                say("From another machine put the name or address of this one in the place of 127.0.0.1.")
        sys.stdout.flush()
        _stand_back()
        if arguments.open:
            import webbrowser

            webbrowser.open(where)
        try:
            server(found, sock, arguments.host, token).run([sock])
        except KeyboardInterrupt:
            if not arguments.json:
                say("")
    return 0


def ui_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `ui`."""
    add = parser.add_argument
    add(
        "path", type=run, nargs="?", metavar="RUN|FOLDER",
        help="a run, or a folder of runs (default: where runs are stored: RAMET_RUNS, else ~/ramet_runs)",
    )  # fmt: skip
    add("--open", action="store_true", help="open the page in the browser")
    add(
        "--host", default="127.0.0.1", metavar="ADDRESS",
        help="the address to serve at; beyond this machine a token is needed to get in (default: 127.0.0.1)",
    )  # fmt: skip
    add("--port", type=_port, metavar="N", help=f"the port (default: {PORT}, or a free one; 0: a free one)")
    add("--token", type=_token, metavar="TEXT", help="ask for this token (default: none here, a random one elsewhere)")


def report(arguments: argparse.Namespace) -> int:
    """Write a run down as one page that opens without a network.

    It holds what ramet ui shows of the run at this moment: tables, members' stories, events, errors and figures.

    With --json: run, wrote (the file), bytes.

        $ ramet report demo
        $ ramet report demo -o demo.html
    """
    need("report", "plotly")
    from ramet.analysis.run import Run
    from ramet.ui.frozen import frozen

    with Run(arguments.run) as looked:
        page, name = frozen(looked), looked.name
    out: Path = arguments.out
    if out.is_dir():
        out = out / "report.html"
    written = out.with_name(f".{out.name}.{secrets.token_hex(4)}")
    try:
        written.write_bytes(page)
        os.replace(written, out)
    finally:
        written.unlink(missing_ok=True)
    if arguments.json:
        document({"run": name, "wrote": out.absolute(), "bytes": len(page)})
    else:
        say(f"wrote {out}: {len(page) / 1e6:.1f} MB")
    return 0


def report_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `report`."""
    run_option(parser)
    parser.add_argument(
        "-o", "--out", type=place, default=Path("report.html"), metavar="PATH",
        help="the file, or a folder for it (default: report.html)",
    )  # fmt: skip


def need(verb: str, *libraries: str) -> None:
    """Say what is missing, if something is.

    Raises:
        ConfigError: a library is not installed.
    """
    missing = [name for name in libraries if importlib.util.find_spec(name) is None]
    if missing:
        *some, last = libraries
        told = f"{', '.join(some)} and {last}" if some else last
        raise ConfigError(f"ramet {verb} needs {told}: pip install 'ramet[ui]'")


def _stand_back() -> None:
    """Let a run that wants the processor have it."""
    with contextlib.suppress(AttributeError, OSError):  # not everywhere
        os.nice(NICE)
    # What is read of a run is kept: to look for garbage in it every seven hundred objects finds none.
    gc.set_threshold(COLLECT_EVERY)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port")
    return int(text)


def _token(text: str) -> str:
    if not text or not all(letter.isascii() and (letter.isalnum() or letter in "-_.~") for letter in text):
        raise argparse.ArgumentTypeError("a token is made of letters, digits and -_.~")
    return text
