"""The page of the documentation about the command line, written from the parser: ``python -m ramet.cli.manual``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from ramet.cli.line import STATUSES
from ramet.cli.parser import ABOUT, ENVIRONMENT, EXAMPLES, JSON, RUNS, brief, children, split
from ramet.cli.verbs import GROUPS, Verb

HEAD = """\
# The command line

<!-- Written by python -m ramet.cli.manual > docs/cli.md; a test compares it. -->

{about} `ramet --help` is the first half of this page, `ramet VERB --help` a part of the second.
"""


def manual() -> str:
    """Return the page."""
    parsers = children()
    parts = [HEAD.format(about=ABOUT)]
    for group, verbs in GROUPS.items():
        rows = [(f"[`{verb.name}`](#{_anchor(verb.name)})", brief(verb.run.__doc__)) for verb in verbs]
        parts.append(f"**{group}**\n\n" + _table(("verb", "what it does"), rows))
    parts.append(_block("\n".join(f"{command:<50}# {what}" for command, what in EXAMPLES.items())))
    parts.append(f"{RUNS}\n\n{JSON}\n")
    parts.append("## Exit status\n\n" + _table(("status", "meaning"), [(f"{n}", told) for n, told in STATUSES.items()]))
    parts.append(
        "## Environment\n\n" + _table(("variable", "meaning"), [(f"`{n}`", t) for n, t in ENVIRONMENT.items()])
    )
    for verbs in GROUPS.values():
        parts += [_verb(verb, parsers[verb.name]) for verb in verbs]
    return "\n".join(parts)


def _verb(verb: Verb, parser: argparse.ArgumentParser) -> str:
    text, examples = split(verb.run.__doc__ or "")
    options = [action for action in parser._actions if action.dest != "help"]
    rows = [(_signature(action), action.help or "") for action in options]
    return "\n".join(
        [
            f"## ramet {verb.name}\n",
            *(f"{_escaped(paragraph)}\n" for paragraph in text),
            _table(("argument", "meaning"), rows),
            _block(examples),
        ]
    )


def _signature(action: argparse.Action) -> str:
    shown = action.metavar if isinstance(action.metavar, str) else None
    if action.choices is not None and shown is None:
        shown = "{" + ",".join(map(str, action.choices)) + "}"
    if not action.option_strings:
        return f"`{shown}`" + {"?": " (may be left out)", "*": " (none or more)"}.get(str(action.nargs), "")
    names = ", ".join(action.option_strings)
    value = "" if action.nargs == 0 else f" [{shown}]" if action.nargs == "?" else f" {shown}"
    return f"`{names}{value}`"


def _table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [heads, ("---",) * len(heads), *([_escaped(cell) for cell in row] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _block(text: str) -> str:
    return f"```sh\n{text}\n```\n"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def _anchor(name: str) -> str:
    return f"ramet-{name}"


if __name__ == "__main__":
    sys.stdout.write(manual())
