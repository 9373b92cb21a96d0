"""What the page on populations in one program shows is what the examples are."""

from __future__ import annotations

import difflib
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "vector.md"


def lines(name: str) -> list[str]:
    """Return the lines of an example."""
    return (ROOT / "examples" / name).read_text(encoding="utf-8").splitlines()


def test_the_difference_that_is_shown_is_that_of_the_examples():
    """The page shows how one loop becomes a population, line for line, and that it takes fewer than twenty lines."""
    made = list(difflib.unified_diff(lines("vector_before.py"), lines("vector_after.py"), lineterm="", n=1))[2:]
    shown = PAGE.read_text(encoding="utf-8").partition("<!-- diff -->\n```diff\n")[2].partition("\n```")[0]
    assert shown.splitlines() == made
    assert sum(line.startswith("+") and line != "+" for line in made) == 15
