"""A run as one file: the page with everything it loads, and the answers to what it asks, inside."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

from ramet.analysis.run import Run
from ramet.errors import RametError
from ramet.ui import answers
from ramet.ui.board import Board
from ramet.ui.bundle import bundled
from ramet.ui.drawings import charts, drawn, script
from ramet.ui.folder import key_of
from ramet.ui.plain import encoded, text
from ramet.view.values import count

STATIC = Path(__file__).parent / "static"
MOST_EVENTS = 1_000
MOST_CHECKPOINTS = 1_000
MOST_OF_A_MEMBER = 100
"""Checkpoints in a member's story."""

ROOM = 16 * 2**20
"""Bytes of stories and figures together: more of them would make the file slow to open."""

_STYLE = re.compile(r'<link rel="stylesheet" href="static/([\w.-]+)">')
_AHEAD = re.compile(r'<link rel="modulepreload" href="static/[\w.-]+">\n')
_SCRIPT = re.compile(r'<script type="module" src="static/([\w.-]+)"[^>]*></script>')


def frozen(run: Run) -> bytes:
    """Return the report of ``run``, as it is now: an HTML page that loads nothing."""
    page = (STATIC / "index.html").read_text(encoding="utf-8")
    main = _SCRIPT.search(page)
    if main is None:
        raise RametError("the page loads no script of its own: Ramet is not installed as a whole")
    modules = {path.name: path.read_text(encoding="utf-8") for path in STATIC.glob("*.js")}
    code = _inside(bundled(modules, main[1]))
    plotly = _inside(script().read_text(encoding="utf-8"))
    policy = (
        f"default-src 'none'; script-src {_named(code)} {_named(plotly)}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )
    page = _SCRIPT.sub("", _AHEAD.sub("", page))
    page = _STYLE.sub(lambda found: f"<style>{_style(found[1])}</style>", page)
    meta = f'<meta charset="utf-8">\n<meta http-equiv="Content-Security-Policy" content="{policy}">'
    page = page.replace('<meta charset="utf-8">', meta, 1)
    page = re.sub(
        r"<title>.*?</title>", lambda _: f"<title>{escape(text(run.name, 200))} – Ramet</title>", page, count=1
    )
    told = _harmless(encoded(dict(asked(run))))
    parts = [
        f'<script type="application/json" id="frozen">{told}</script>',
        f"<script>{code}</script>",
        # Inert until a figure comes into view: to run it takes longer than all else together.
        f'<script type="text/plain" id="plotly-source">{plotly}</script>',
    ]
    head, end, tail = page.rpartition("</body>")
    return (head + "\n".join(parts) + "\n" + end + tail).encode("utf-8", "replace")


def asked(run: Run) -> Iterator[tuple[str, Any]]:
    """Yield what the page may ask of a run, each with its answer."""
    board = Board(run)
    board.update()
    key, left = key_of(run.path.resolve()), []
    first = {"key": key, "name": text(run.name)}
    base, room = f"/api/run/{key}", ROOM
    known = charts()
    pictures: list[dict[str, str]] = []
    for chart in known:
        try:
            figure = drawn(run, chart["name"], {"theme": "light"})
        except RametError as error:
            figure = {"error": text(error)}
        size = len(encoded(figure))
        if size > room:
            left.append(f"the figure {chart['title']}")
            continue
        room -= size
        if "error" not in figure:
            pictures.append(chart)
        yield f"{base}/plot/{chart['name']}", figure
    yield f"{base}/events", answers.events(run, None, MOST_EVENTS) | {"more": False}
    yield f"{base}/errors", answers.errors(run)
    yield f"{base}/checkpoints", _kept(answers.checkpoints(run, None, MOST_CHECKPOINTS)) | {"more": False}
    missing = 0
    ranks = board.ranks()
    for member in sorted(range(len(run.trace.places)), key=lambda number: (ranks.get(number, len(ranks) + 1), number)):
        if room <= 0:
            missing += 1
            continue
        story = answers.story(run, board, member)
        story["checkpoints"] = story["checkpoints"][:MOST_OF_A_MEMBER]
        story = _kept(story)
        size = len(encoded(story))
        room -= size
        if room < 0:
            missing += 1
            continue
        yield f"{base}/member/{member}", story
    if missing:
        left.append(count(missing, "member's story", "members' stories"))
    whole = first | answers.overview(run, board) | {"plots": pictures}
    if whole["counts"]["checkpoints"] > MOST_CHECKPOINTS:
        left.append("all but the last checkpoints")
    if left:
        whole["notes"] = [*whole["notes"], f"This report leaves out {', '.join(left)}: ramet ui shows them."]
    yield base, whole
    yield "/api/runs", {"folder": "", "one": True, "runs": [first | {"path": whole["path"]} | answers.row(run, board)]}


def _kept(answer: dict[str, Any]) -> dict[str, Any]:
    """Return an answer whose checkpoints cannot be downloaded, for a report has none."""
    return answer | {"checkpoints": [{**each, "there": False} for each in answer["checkpoints"]]}


def _style(name: str) -> str:
    return (STATIC / name).read_text(encoding="utf-8").replace("</", "<\\/")


def _inside(code: str) -> str:
    """Return a script as it may stand inside a page, where some of its texts would end it."""
    code = code.replace("\r\n", "\n").replace("\r", "\n").replace("<!--", "<\\!--")
    return re.sub(r"</(?=script)", r"<\\/", code, flags=re.IGNORECASE)


def _harmless(told: bytes) -> str:
    """Return JSON that holds nothing that a page could take for more than text."""
    found = told.decode("utf-8")
    for letter in "<>&\u2028\u2029":
        found = found.replace(letter, f"\\u{ord(letter):04x}")
    return found


def _named(code: str) -> str:
    """Return a script as a page's policy names it: by its checksum, so that no other script is run."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(code.encode()).digest()).decode()}'"
