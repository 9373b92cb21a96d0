"""Values as people read them: short, on one line, and harmless to a terminal."""

from __future__ import annotations

import math
import numbers
import re
import reprlib
from typing import Any, TypeGuard

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\^_]?)")
_REPR = reprlib.Repr()
_REPR.maxother = _REPR.maxstring = _REPR.maxlong = 60


def clean(text: str) -> str:
    r"""Return ``text`` without what moves a cursor or changes colours: escape sequences go, other controls are blanks.

    >>> clean("a\x1b[31mred\x1b[0m\tb\x07")
    'ared    b '
    """
    if text.isprintable():
        return text
    text = _ESCAPES.sub("", text).replace("\t", "    ")
    return "".join(c if c.isprintable() else " " for c in text)


def clip(text: str, limit: int) -> str:
    """Return at most ``limit`` characters of the beginning of ``text``."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def tail(text: str, limit: int) -> str:
    """Return at most ``limit`` characters of the end of ``text``, where names in a hierarchy differ.

    >>> tail("optimizer/schedule/lr", 8)
    '…dule/lr'
    """
    return text if len(text) <= limit else "…" + text[len(text) - limit + 1 :]


def number(value: float) -> str:
    """Return a number with four significant digits; integers whole unless they are very long.

    >>> [number(v) for v in (12.1234, 0.00012, 3e-7, 12345.6, 8, 1e9, float("nan"))]
    ['12.12', '0.00012', '3e-7', '12346', '8', '1e9', 'nan']
    """
    if isinstance(value, numbers.Integral) and abs(value) < 10**15:
        return str(int(value))
    value = float(value)
    if 1e4 <= abs(value) < 1e7:
        return f"{value:.0f}"
    text = f"{value:.4g}"
    if "e" in text:
        mantissa, exponent = text.split("e")
        text = f"{mantissa}e{int(exponent)}"
    return "0" if text == "-0" else text


def shown(value: Any, limit: int = 24) -> str:
    """Return any value on one line, shortened to ``limit`` characters.

    >>> shown(0.1 + 0.2), shown("adam"), shown(None), shown([1] * 1000)
    ('0.3', 'adam', 'None', '[1, 1, 1, 1, 1, 1, ...]')
    """
    if isinstance(value, str):
        text = value[: 4 * limit]
    elif isinstance(value, numbers.Real) and not isinstance(value, bool):
        try:
            return number(value)  # type: ignore[arg-type]
        except (ArithmeticError, TypeError, ValueError):
            text = f"a huge {type(value).__name__}"
    else:
        text = _REPR.repr(value)
    return clip(clean(" ".join(text.split())), limit)


def finite(value: Any) -> TypeGuard[float]:
    """Return whether ``value`` is a number that can be compared with others."""
    try:
        return isinstance(value, (int, float)) and math.isfinite(value)
    except OverflowError:  # an integer that no float can hold
        return False


def duration(seconds: float) -> str:
    """Return a length of time.

    >>> [duration(s) for s in (0.004, 3.21, 42, 185, 7_380, 180_000)]
    ['0.0 s', '3.2 s', '42 s', '3 min 5 s', '2 h 3 min', '2 d 2 h']
    """
    if not math.isfinite(seconds):
        return "an unknown time"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for size, big, small in ((86400, "d", "h"), (3600, "h", "min"), (60, "min", "s")):
        if whole >= size:
            part = {"h": 3600, "min": 60, "s": 1}[small]
            return f"{whole // size} {big} {whole % size // part} {small}"
    return f"{whole} s"


def about(seconds: float) -> str:
    """Return a length of time in one unit, for what need not be known better.

    >>> [about(s) for s in (-0.1, 0.4, 42.4, 100, 7_380, 180_000)]
    ['0 s', '0 s', '42 s', '2 min', '2 h', '2 d']
    """
    if not math.isfinite(seconds):
        return "an unknown time"
    for least, unit, name in ((2 * 86400, 86400, "d"), (90 * 60, 3600, "h"), (90, 60, "min")):
        if seconds >= least:
            return f"{round(seconds / unit)} {name}"
    return f"{max(round(seconds), 0)} s"


def count(number: int, one: str, many: str | None = None) -> str:
    """Return how many there are of something.

    >>> count(1, "member"), count(12345, "report")
    ('1 member', '12,345 reports')
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def size(number: int) -> str:
    """Return a number of bytes.

    >>> size(0), size(2048), size(3_400_000)
    ('0 B', '2 KB', '3.4 MB')
    """
    value, unit = float(number), "B"
    for larger in ("KB", "MB", "GB", "TB"):
        if value < 1000:
            break
        value, unit = value / 1000, larger
    return f"{value:.0f} {unit}" if value >= 10 or value == int(value) or unit in ("B", "KB") else f"{value:.1f} {unit}"
