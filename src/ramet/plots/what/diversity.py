"""How many founders live on, and whose descendants the population is made of."""

from __future__ import annotations

import numpy as np

from ramet.analysis.descent import descent
from ramet.plots.ink import FEW
from ramet.plots.picture import Axis, Band, Layer, Lines, Panel, Picture, nothing
from ramet.plots.source import Given, Source, log_axis
from ramet.view.values import count, number

MOMENTS = 250


def diversity(run: Given) -> Picture:
    """Show how many founders have descendants, how many equally frequent ones would be as diverse, and the families'
    shares.

    A founder survives as long as it has descendants; its family has the number of the member that it was. The largest
    families have a colour each, the others are one.

    Args:
        run: a `Run`, the path of one, or its `ResultGrid`.

    Raises:
        RunError: there is no such run.
    """
    source = Source(run)
    found = descent(source.trace, MOMENTS)
    if not len(found.moments) or source.iterations == 0:
        return nothing("Diversity", "No member has reported anything yet.")
    # Of the moments at one iteration the last one counts; what is so at the end stays so.
    last = np.append(np.flatnonzero(np.diff(found.time)), len(found.time) - 1)
    at = np.append(found.time[last], max(source.iterations, int(found.time[-1])))
    begins = at[0] > 0
    x = np.repeat(np.append(0, at) if begins else at, 2)[1:-1].astype("f8")
    first = [0] if begins else []

    def steps(values: np.ndarray) -> np.ndarray:
        chosen = values[[*first, *last.tolist()]]
        return np.repeat(chosen, 2)

    surviving, effective = found.surviving, found.effective
    lines: list[Layer] = [
        Lines(x, steps(surviving.astype("f8")), "ink", 1.6, label="surviving founders"),
        Lines(x, steps(effective), "attention", 1.6, dashed=True, label="effective founders"),
    ]
    share = found.shares / np.maximum(found.members[:, None], 1)
    order = np.argsort(-share.mean(axis=0) - share[-1], kind="stable")
    shown = order[: FEW - 1] if len(order) > FEW else order
    shown = np.sort(shown)
    member = source.trace.segments.member[found.founders]
    bands: list[Layer] = []
    low = np.zeros(len(x))
    for place, family in enumerate(shown.tolist()):
        high = low + steps(share[:, family])
        bands.append(Band(x, low, high, place, 0.85, f"family {member[family]}"))
        low = high
    if len(shown) < len(order):
        rest = f"{count(len(order) - len(shown), 'other family', 'other families')}"
        bands.append(Band(x, low, np.maximum(low, 1.0), "missing", 0.85, rest))
    along = Axis("training iteration (furthest member)", limits=(0, float(x[-1])))
    many = len(order) > 30
    top = Axis("founders", limits=(0, 1.05 * len(order)), whole=True)
    if many:
        top = log_axis("founders (log scale)", np.array([1.0, len(order)]))
    panels = [
        Panel(lines, along, top, height=1),
        Panel(bands, along, Axis("share of members", limits=(0, 1)), height=1.2),
    ]
    here = int(surviving[-1])
    title = f"{here} of {count(len(order), 'founder')} {'lives' if here == 1 else 'live'} on"
    title += f", as diverse as {number(float(f'{effective[-1]:.3g}'))}" if here > 1 else ""
    if here == 1 and len(order) > 1:
        since = found.time[int(np.flatnonzero(surviving > 1)[-1]) + 1] if (surviving > 1).any() else 0
        title += f": that of member {member[int(found.shares[-1].argmax())]}, alone since iteration {since:,}"
    return Picture(title, panels, size=(7.2, 5.0))
