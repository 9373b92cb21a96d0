"""Several runs side by side: what came of each, and in what they differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ramet.analysis.run import Run
from ramet.errors import RametError
from ramet.ui import answers
from ramet.ui.board import Board
from ramet.ui.folder import Place
from ramet.ui.plain import name_of, numbers, plain, text
from ramet.ui.readers import Readers

MOST_POINTS = 500
COMPARED = ("metric", "mode", "time_attr", "stop", "num_to_keep", "goal")
"""Facts that two runs may differ in, beside the strategy's own and the domains."""


def compared(readers: Readers, places: Sequence[Place], theme: str) -> dict[str, Any]:
    """Return a row for each run, the facts in which they differ, and how the best score of each grew."""
    found = []
    for place in places:
        try:
            row, facts, curve = readers.of(place).ask(_told).result()
        except RametError as error:
            row, facts, curve = {"state": "damaged", "error": text(error, 1000)}, {}, ([], [])
        found.append(({"key": place.key, "name": text(place.name)} | row, facts, curve))
    names = list(dict.fromkeys(name for _, facts, _ in found for name in facts))
    values = {name: [facts.get(name) for _, facts, _ in found] for name in names}
    differs = {name: told for name, told in values.items() if any(each != told[0] for each in told)}
    metric = None if {"metric", "mode"} & differs.keys() else next(iter(values.get("metric", [])), None)
    return {
        "rows": [row for row, _, _ in found],
        "differs": differs,
        "plot": _plot([(row["name"], curve) for row, _, curve in found], metric, theme),
    }


def _told(run: Run, board: Board) -> tuple[dict[str, Any], dict[str, Any], tuple[list[Any], list[Any]]]:
    row = answers.row(run, board)
    spans = answers.own_spans(run)
    strategy = run.facts.get("strategy")
    strategy = strategy if isinstance(strategy, dict) else {"name": strategy}
    alive = {board.roots[place.segment] for place in run.trace.places if place.segment >= 0}
    row |= {
        "strategy": plain(strategy.get("name")),
        "seed": plain(run.seed),
        "survivors": len(alive),
        "wall_s": plain(float(spans["at"].max()) - float(spans["at"].min())) if len(spans) else None,
    }
    facts = {f"strategy/{name_of(name)}": plain(value) for name, value in strategy.items()}
    facts |= {name: plain(run.facts.get(name)) for name in COMPARED if name in run.facts}
    mutable = run.facts.get("mutable")
    facts |= {
        f"space/{name_of(n)}": plain(value) for n, value in (mutable if isinstance(mutable, dict) else {}).items()
    }
    facts |= {"members": len(run.trace.places), "seed": str(run.seed)}
    return row, facts, _best_so_far(run)


def _best_so_far(run: Run) -> tuple[list[Any], list[Any]]:
    """Return at which iterations the best score at a checkpoint rose, and to what; thinned where they are many."""
    kept = run.trace.kept
    if run.metric is None or not len(kept):
        return [], []
    order = np.argsort(kept["iteration"], kind="stable")
    iterations, scores = kept["iteration"][order], np.fmax.accumulate(kept["score"][order])
    last = np.flatnonzero(np.diff(iterations, append=iterations[-1] + 1))
    step = max(1, -(-len(last) // MOST_POINTS))
    picked = np.unique(np.append(last[::step], last[-1]))
    return iterations[picked].tolist(), numbers((-scores if run.mode == "min" else scores)[picked])


def _plot(curves: Sequence[tuple[str, tuple[list[Any], list[Any]]]], metric: Any, theme: str) -> dict[str, Any]:
    """Return the figure; ``metric`` is what all of them are judged by, None if that differs: then it says so."""
    ink, paper = ("#e6e6e6", "#1c1c1c") if theme == "dark" else ("#222222", "#ffffff")
    return {
        "data": [
            {"type": "scatter", "mode": "lines", "name": _escaped(name), "x": x, "y": y, "line": {"shape": "hv"}}
            for name, (x, y) in curves
        ],
        "layout": {
            "xaxis": {"title": {"text": "iteration"}},
            "yaxis": {
                "title": {
                    "text": f"best {_escaped(text(metric, 60))} so far"
                    if metric
                    else "best so far, each by its own metric"
                }
            },
            "font": {"color": ink},
            "paper_bgcolor": paper,
            "plot_bgcolor": paper,
            "showlegend": True,
        },
    }


def _escaped(told: str) -> str:
    """Return a text that Plotly, which knows some HTML, shows as it is."""
    return told.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
