"""What a verb prints: lines and tables for people, one JSON document for machines."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, TextIO

NOT_BEGUN = 3
"""Exit status of a resume that found nothing to take up, which a script answers by beginning the run."""


class VerbError(Exception):
    """What a verb fails with, and the exit ``status`` by which scripts know it."""

    def __init__(self, told: str, status: int) -> None:
        super().__init__(told)
        self.status = status


def say(text: str = "", file: TextIO | None = None) -> None:
    """Print a line that may quote a stranger's folder: nothing in it moves the cursor."""
    from ramet.view.values import clean

    print(clean(text), file=file)


def document(value: Any) -> None:
    """Print one JSON document. It has no NaN: see `ramet.analysis.plain`."""
    from ramet.analysis.plain import as_json

    print(as_json(value, indent=1))


def table(heads: Sequence[str], rows: Sequence[Sequence[Any]], *, right: Sequence[str] = ()) -> None:
    """Print rows under their heads, as wide as they are: who pipes them has no width.

    Args:
        heads: names of the columns.
        rows: their cells; what is no text is shown short.
        right: names of the columns that stand to the right, as numbers do.
    """
    from ramet.view.values import clean, shown

    cells = [[clean(c) if isinstance(c, str) else "-" if c is None else shown(c) for c in row] for row in rows]
    heads, right = [" ".join(clean(head).split()) for head in heads], [" ".join(clean(name).split()) for name in right]
    widths = [max(map(len, column)) for column in zip(heads, *cells, strict=True)]
    for row in (heads, *cells):
        padded = (
            cell.rjust(width) if head in right else cell.ljust(width)
            for head, cell, width in zip(heads, row, widths, strict=True)
        )
        print("  ".join(padded).rstrip())


def warn(text: str) -> None:
    """Print a line beside what was asked for."""
    say(text, file=sys.stderr)
