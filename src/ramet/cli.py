"""The command ``ramet``. A verb is one function: its name is the verb, its docstring the help, and it returns the exit
status: 0 if all is well, 1 if a run or what was asked of it failed, 2 if the command line is wrong.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn, TextIO

from ramet import __version__
from ramet.errors import MemberError, RametError

FORMATS = (".png", ".pdf", ".svg")


def main(argv: Sequence[str] | None = None) -> int:
    """Carry out a command line and return its exit status.

    Args:
        argv: the words after ``ramet``; those that the process was started with by default.

    >>> main(["--version"])
    ramet 0.1.0
    0
    """
    parser = _parser()
    try:
        arguments = parser.parse_args(argv)
    except SystemExit as end:  # argparse has said what there is to say
        return int(end.code or 0)
    if arguments.verb is None:
        parser.print_help(sys.stderr)
        return 2
    try:
        status: int = arguments.verb(arguments)
    except (RametError, OSError) as error:
        _say(f"ramet {arguments.name}: {_in_a_line(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"ramet {arguments.name}: interrupted", file=sys.stderr)
        return 130
    return status


# ---------------------------------------------------------------------------------------------------------- the verbs


def demo(arguments: argparse.Namespace) -> int:
    """Watch a population learn, then see how it did.

    Trains models of a toy problem whose best learning rate first rises, then falls. Every few steps the worst become
    clones of the best, with changed learning rates; nobody tells them the schedule. At the end a picture shows the
    learning rates that were tried against the optimal ones.
    """
    from ramet.demo import watch

    out = arguments.out if arguments.plot else None
    watch(arguments.members, arguments.seed, arguments.executor, arguments.pace, out)
    return 0


def _demo_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", type=_whole(0), default=0, metavar="N", help="draw another population (default: 0)")
    parser.add_argument("--members", type=_whole(1), default=8, metavar="N", help="how many models (default: 8)")
    parser.add_argument(
        "--out", type=_picture, default=Path("demo.png"), metavar="PATH",
        help="the picture's file (.png, .pdf, .svg), or a folder for it (default: demo.png)",
    )  # fmt: skip
    parser.add_argument(
        "--executor", choices=("process", "inline"), default="process",
        help="worker processes, or all in this one; the results are the same (default: process)",
    )  # fmt: skip
    parser.add_argument(
        "--pace", type=_seconds, metavar="SECONDS",
        help="what each training step sleeps, for something to watch: without it the toy problem is over in a second "
        "(default: so much that the demo lasts about 8 s; 0 for full speed)",
    )  # fmt: skip
    parser.add_argument("--no-plot", dest="plot", action="store_false", help="draw no picture")


def show(arguments: argparse.Namespace) -> int:
    """Say what came of a run: how it ended, what was decided, who is best and how that came to be.

    Works on a run that is under way too, and never loads anything but its numbers and words.
    """
    from ramet.record import Record
    from ramet.store.lock import LOCK
    from ramet.view.summary import summary
    from ramet.view.wording import plain

    record = Record.open(arguments.run)
    try:
        population = record.population()
    finally:
        record.close()
    for line in summary(population, arguments.run.resolve(), population.spent):
        print(plain(line))
    if population.ended is None and (arguments.run / LOCK).exists():
        _say(f"  under way, or broken off: {LOCK} says that a process is at work on it")
    return 0


def check(arguments: argparse.Namespace) -> int:
    """Look for damage in a run's folder, and name all of it.

    Reads every entry and every checkpoint, and compares them with their checksums. With --repair what can be mended is:
    a damaged ledger goes back to its last whole state (the damaged file is kept beside it), members whose checkpoints
    are damaged will go on from older ones, and what belongs to nothing is removed. Then Tuner.restore takes it up.
    """
    from ramet import fsck
    from ramet.store.lock import RunLock

    found = fsck.check(arguments.run)
    for damage in found:
        _say(damage)
    if not found:
        _say(f"{arguments.run} is whole")
        return 0
    if not arguments.repair:
        _say(f"{len(found)} found; ramet check --repair {arguments.run} mends what can be mended")
        return 1
    with RunLock.take(arguments.run):
        done = fsck.repair(arguments.run)
    for what in done:
        _say(f"repaired: {what}")
    left = fsck.check(arguments.run)
    for damage in left:
        _say(f"still there: {damage}")
    return 1 if left else 0


def bench(arguments: argparse.Namespace) -> int:
    """Compare strategies on problems whose answers are known.

    Every strategy trains every problem under the same seeds and with the same number of member-steps. Told are the mean
    true score of the member that a user would take, its 95 % interval by Student's t, and ranks.
    """
    from ramet.bench import command
    from ramet.errors import ConfigError

    try:
        plan = command.planned(arguments)
    except ConfigError as error:
        _say(f"ramet bench: {error}", file=sys.stderr)
        print("Try: ramet bench --help", file=sys.stderr)
        return 2
    return command.carry_out(plan, arguments)


def _bench_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--problems", type=_names, metavar="A,B", help="names of problems (default: all)")
    add("--strategies", type=_names, metavar="A,B", help="names of strategies (default: all)")
    add("--seeds", type=_whole(1), metavar="N", help="runs of each strategy on each problem (default: 20)")
    add("--members", type=_whole(1), metavar="N", help="size of every population (default: that of each problem)")
    add("--interval", type=_whole(1), metavar="N", help="reports between two decisions (default: 5)")
    add(
        "--executor", choices=("inline", "simulated"),
        help="members take turns, or train in virtual time (default: inline)",
    )  # fmt: skip
    add("--jobs", type=_whole(1), metavar="N", help="runs at a time, each in a process (default: one for each core)")
    add("--quick", action="store_true", help="see that everything runs; the figures say nothing")
    add("--keep", type=Path, metavar="DIR", help="keep the runs' folders there")
    add("--json", type=Path, metavar="OUT", help="write the results to this file")
    add("--plot", type=_picture, metavar="OUT", help="draw them into this file (.png, .pdf, .svg)")
    add("--from", dest="results", type=Path, metavar="JSON", help="run nothing, show these results")


def _run_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", type=Path, metavar="RUN", help="the run's folder")


def _check_options(parser: argparse.ArgumentParser) -> None:
    _run_options(parser)
    parser.add_argument("--repair", action="store_true", help="mend what can be mended")


VERBS: tuple[tuple[Callable[[argparse.Namespace], int], Callable[[argparse.ArgumentParser], None]], ...] = (
    (demo, _demo_options),
    (show, _run_options),
    (check, _check_options),
    (bench, _bench_options),
)
"""Each verb with the function that adds its options."""


# ------------------------------------------------------------------------------------------------ reading command lines


def _say(text: str, file: TextIO | None = None) -> None:
    """Print a line that may quote a stranger's folder: nothing in it moves the cursor."""
    from ramet.view.values import clean

    print(clean(text), file=file)


def _in_a_line(error: Exception) -> str:
    """Return what is wrong and what to do; of a member's traceback that is its last line."""
    lines = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    return f"a member failed: {lines[-1]}" if isinstance(error, MemberError) else lines[0]


class _Parser(argparse.ArgumentParser):
    """One that says what is wrong in one line, and where help is."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\nTry: {self.prog} --help\n")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="ramet",
        description="Population based training: exact, fast, and visible.",
        epilog="ramet VERB --help tells more of a verb.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"ramet {__version__}")
    parser.set_defaults(verb=None)
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", dest="name")
    for verb, add_options in VERBS:
        about = " ".join((verb.__doc__ or "").split())
        brief = about.partition(".")[0]
        child = verbs.add_parser(verb.__name__, help=brief, description=about, allow_abbrev=False)
        child.set_defaults(verb=verb)
        add_options(child)
    return parser


def _whole(least: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not text.strip().isdecimal() or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number of at least {least}")
        return int(text)

    return number


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds, 0 or more")
    return seconds


def _picture(text: str) -> Path:
    path = Path(text).expanduser()
    if path.suffix and not path.is_dir() and path.suffix.lower() not in FORMATS:
        raise argparse.ArgumentTypeError(f"{text!r} ends in none of {', '.join(FORMATS)} and is no folder")
    return path
