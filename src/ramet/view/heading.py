"""The lines above the table: which run it is, how far, how long still, who works, who is best."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.cells import cell_len

from ramet.core.population import Population
from ramet.view.standing import Standing, best, disk, exploits, progress, reports, tried
from ramet.view.trails import Trails
from ramet.view.values import about, clean, clip, count, duration, shown, size, tail
from ramet.view.wording import Line

BAR = 40
LEAST_BAR = 8
WIDEST = 18

STYLES = {"waiting": "dim", "queued": "dim", "stopped": "yellow", "finished": "blue", "failed": "bold red"}
"""Of members' states: told apart without green and red, and by their words where there are no colours."""

WORDS = {"training": "trains", "waiting": "waits"}
_MANY = {"training": "train", "waiting": "wait"}


@dataclass(frozen=True, slots=True)
class Scene:
    """What is drawn: the population, the works under way, and what the population does not know of itself.

    Args:
        running: works with member and waiting; None where that is not known.
        folder: the run's folder.
        elapsed, rate: seconds of training, and reports in a second lately.
        trails: what is remembered of the members.
        recent: what happened last, newest last.
        slots: how many members can train at a time, if that is known.
        left: the seconds until the members' end, if that is known.
        free: bytes that are free on the disk, if that is known.
        now: Unix time.
    """

    population: Population
    running: Mapping[int, Any] | None
    folder: Path
    elapsed: float = 0.0
    rate: float = 0.0
    trails: Trails | None = None
    recent: Sequence[Line] = field(default_factory=list)
    slots: int | None = None
    left: float | None = None
    free: int | None = None
    now: float = 0.0


Piece = tuple[int, Line]
"""Something to say, and how much it matters: 0 the most."""


def heading(scene: Scene, everybody: Sequence[Standing], width: int) -> list[Line]:
    """Return the lines, those that matter most first."""
    return [_progress(scene, width), _states(scene, everybody, width), _best(scene, everybody, width)]


def title(scene: Scene, width: int) -> Line:
    """Return the line that names the run; of a long path the end is left, of a long name the beginning."""
    facts = scene.population.facts
    strategy = shown((facts.get("strategy") or {}).get("name"), 40)
    end: Line = [(f"   {strategy}", ""), (f"   seed {scene.population.seed}", "dim")]
    name, parent = clean(scene.folder.name), clean(f"{scene.folder.parent}/")
    while end and width < sum(cell_len(text) for text, _ in end) + min(cell_len(name), 12):
        end.pop()
    left = width - sum(cell_len(text) for text, _ in end)
    name = clip(name, max(left, 12))
    return [(tail(parent, max(left - cell_len(name), 2)), "dim"), (name, "bold cyan"), *end]


def packed(pieces: Sequence[Piece], width: int) -> Line:
    """Return ``pieces`` beside each other; where not all fit, those that matter least are left out."""
    kept = sorted(pieces, key=lambda piece: piece[0])
    while len(kept) > 1 and _wide(kept) > width:
        kept.pop()
    line: Line = []
    for piece in pieces:
        if piece in kept:
            line += [("   ", ""), *piece[1]] if line else piece[1]
    return line


def _wide(pieces: Sequence[Piece]) -> int:
    return sum(cell_len(text) for _, line in pieces for text, _ in line) + 3 * (len(pieces) - 1)


def pace(scene: Scene, width: int) -> tuple[float, Line]:
    """Return how much of the run is done, in [0, 1], and in words how far it is and how long still."""
    share, words = progress(scene.population)
    share = min(max(share, 0.0), 1.0)
    pieces: list[Piece] = [
        (0, [(f"{int(share * 100):3d} %", "bold")]),
        (2, [(words, "")]),
        (3, [(duration(scene.elapsed), "")]),
    ]
    if scene.left is not None:
        pieces.append((1, [(f"about {about(scene.left)} left", "bold")]))
    return share, packed(pieces, width)


def _progress(scene: Scene, width: int) -> Line:
    share, line = pace(scene, width - LEAST_BAR - 1)
    room = max(min(BAR, width - 1 - sum(cell_len(text) for text, _ in line)), LEAST_BAR)
    full = int(share * room)
    return [("━" * full, "cyan"), ("─" * (room - full), "dim"), (" ", ""), *line]


def _states(scene: Scene, everybody: Sequence[Standing], width: int) -> Line:
    """Return how many members are in which state, and how busy the slots are."""
    found = Counter(each.state for each in everybody)
    states: Line = []
    for state in ("training", "waiting", "queued", "finished", "stopped", "failed"):
        if number := found[state]:
            word = _MANY.get(state, state) if number != 1 else WORDS.get(state, state)
            states += [("   " if states else "", ""), (f"{number:,} {word}", STYLES.get(state, ""))]
    pieces: list[Piece] = [(0, states)] if states else []
    if scene.slots is not None and scene.running is not None and scene.population.ended is None:
        pieces.append((1, [(f"{len(scene.running):,} of {count(scene.slots, 'slot')} busy", "")]))
    rate = round(scene.rate, 1) if scene.rate < 10 else round(scene.rate)
    pieces.append((3, [(count(reports(scene.population), "report"), "")]))
    pieces.append((2, [(f"{shown(rate)}/s", "dim")]))
    return packed(pieces, width)


def _best(scene: Scene, everybody: Sequence[Standing], width: int) -> Line:
    """Return who is best, how many exploits there were, and what all that takes on the disk."""
    population, pieces = scene.population, list[Piece]()
    top = best(everybody)
    if top is not None:
        metric = tail(shown(population.facts.get("metric"), 40), WIDEST)
        who: Line = [(f"best {metric} ", ""), (shown(top.value), "bold"), (f" by member {top.member}", "")]
        pieces.append((0, who))
    done, wanted = exploits(population), tried(population)
    told = count(done, "exploit")
    pieces.append((1, [(told if wanted == done else f"{told} of {wanted:,} tried", "")]))
    pieces.append((2, [(disk(population), "dim")]))
    if scene.free is not None:
        pieces.append((3, [(f"{size(scene.free)} free", "dim")]))
    return packed(pieces, width)
