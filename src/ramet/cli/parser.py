"""The parser, made from the table of verbs, and what it says: help like a manual, errors of one line with a hint."""

from __future__ import annotations

import argparse
import difflib
import inspect
import shutil
import textwrap
from typing import Any, NoReturn

from ramet import __version__

ABOUT = "Population based training: exact, fast, and visible."

EXAMPLES = {
    "ramet demo": "watch a population learn",
    "ramet ls": "the runs that there are",
    "ramet show RUN": "what came of one of them",
    "ramet schedule RUN --format python -o best.py": "what its best member was trained with",
    "ramet export RUN -o tables": "its tables, as CSV",
    "ramet resume RUN train.py:train": "go on where it was left",
}

RUNS = (
    "A RUN is a folder with a run.db in it, or the name of one in the folder of runs. All but resume, replay, branch, "
    "check --repair and gc --yes only read it; it may be under way, or another user's."
)

JSON = (
    "Every verb takes --json: standard output is then one JSON document, whose keys ramet VERB --help names. NaN is "
    'null, infinities are the texts "Infinity" and "-Infinity". An error is {"error", "hint", "status"}, beside the '
    "line on standard error."
)

ENVIRONMENT = {
    "RAMET_RUNS": "the folder of runs (default: ~/ramet_runs)",
    "CUDA_VISIBLE_DEVICES": "the GPUs that members may have",
    "TMPDIR": "where files lie for a moment, if memory is no folder (/dev/shm)",
}


class _Parser(argparse.ArgumentParser):
    """One that says what is wrong in one line, and where help is."""

    told = hint = ""
    root: _Parser | None = None

    def error(self, message: str) -> NoReturn:
        root = self.root or self
        root.told, root.hint = f"{self.prog}: {message}", f"{self.prog} --help"
        self.exit(2, f"{root.told}\nTry: {root.hint}\n")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """Take words that stand after options too, which argparse gives to nobody, and name the verb in a complaint."""
        found, left = super().parse_known_args(args, namespace)
        if left and self.root is not None:
            if any(word.startswith("-") for word in left) or not self._gave(found, left):
                self.error(f"unrecognized arguments: {' '.join(left)}")
            left = []
        return found, left

    def _gave(self, found: argparse.Namespace, left: list[str]) -> bool:
        """Give the words that are left to the last argument of the verb, if it may have them."""
        last = next((action for action in reversed(self._actions) if not action.option_strings), None)
        if last is None or last.nargs not in ("*", "?"):
            return False
        try:
            values = [self._get_value(last, word) for word in left]
        except argparse.ArgumentError as error:
            self.error(str(error))
        before = getattr(found, last.dest)
        if last.nargs == "?" and (before is not None or len(values) > 1):
            return False
        setattr(found, last.dest, values[0] if last.nargs == "?" else [*(before or ()), *values])
        return True

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if isinstance(action, argparse._SubParsersAction) and value not in action.choices:
            near = difflib.get_close_matches(value, action.choices, 1, 0.5)
            guess = f": did you mean {near[0]}?" if near else ""
            raise argparse.ArgumentError(None, f"there is no verb {value!r}{guess}")
        super()._check_value(action, value)


class _Whole(_Parser):
    """The parser of ``ramet`` itself, whose help is the first page of a manual."""

    def format_help(self) -> str:
        return first_page(_width())


def parser() -> _Parser:
    """Return the parser of the whole command line."""
    from ramet.cli.verbs import VERBS

    whole = _Whole(prog="ramet", description=ABOUT, allow_abbrev=False)
    whole.add_argument("--version", action="version", version=f"ramet {__version__}")
    whole.set_defaults(verb=None, json=False)
    children = whole.add_subparsers(metavar="VERB", dest="command", parser_class=_Parser)
    for verb in VERBS:
        text, examples = split(verb.run.__doc__ or "")
        child = children.add_parser(
            verb.name,
            help=brief(verb.run.__doc__),
            description="\n\n".join(textwrap.fill(each, _width()) for each in text),
            epilog=("examples:\n" + textwrap.indent(examples, "  ")) if examples else None,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        child.root = whole
        child.set_defaults(verb=verb.run)
        verb.options(child)
        if not any(action.dest == "json" for action in child._actions):
            child.add_argument("--json", action="store_true", help="print one JSON document")
    return whole


def children() -> dict[str, argparse.ArgumentParser]:
    """Return the parsers of the verbs, by name."""
    (verbs,) = (action for action in parser()._actions if isinstance(action, argparse._SubParsersAction))
    return dict(verbs.choices)


def first_page(width: int) -> str:
    """Return what ``ramet --help`` prints."""
    from ramet.cli.line import STATUSES
    from ramet.cli.verbs import GROUPS

    parts = ["usage: ramet VERB [RUN] [OPTIONS]\n       ramet VERB --help", ABOUT]
    for group, verbs in GROUPS.items():
        parts.append(_listed(group, {verb.name: brief(verb.run.__doc__) for verb in verbs}, width, 14))
    parts.append(_listed("Examples", EXAMPLES, width, 50))
    parts += [f"{name}:\n{textwrap.indent(textwrap.fill(text, width - 2), '  ')}" for name, text in _TEXTS.items()]
    parts.append(_listed("Exit status", {str(status): told for status, told in STATUSES.items()}, width, 14))
    parts.append(_listed("Environment", ENVIRONMENT, width, 24))
    return "\n\n".join(parts) + "\n"


_TEXTS = {"Runs": RUNS, "Machines": JSON}


def _listed(title: str, entries: dict[str, str], width: int, column: int) -> str:
    lines = [f"{title}:"]
    for name, text in entries.items():
        lines += textwrap.wrap(text, width, initial_indent=f"  {name:<{column - 2}}", subsequent_indent=" " * column)
    return "\n".join(lines)


def brief(doc: str | None) -> str:
    """Return the first sentence of a docstring, without its full stop."""
    return " ".join((doc or "").split()).partition(".")[0]


def split(doc: str) -> tuple[list[str], str]:
    """Return a docstring's paragraphs, each on one line, and its examples: what is indented."""
    parts = inspect.cleandoc(doc).split("\n\n")
    text = [" ".join(part.split()) for part in parts if not part.startswith("    ")]
    examples = "\n".join(textwrap.dedent(part) for part in parts if part.startswith("    "))
    return text, examples


def _width() -> int:
    return max(min(shutil.get_terminal_size().columns, 100) - 2, 50)
