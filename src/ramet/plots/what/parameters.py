"""Which values of a hyperparameter went with which scores, and when."""

from __future__ import annotations

import numpy as np

from ramet.plots import thinning
from ramet.plots.picture import Axis, Layer, Panel, Picture, Points, Shade, nothing
from ramet.plots.source import Given, Source
from ramet.view.values import count

MARKS = 6000
"""Reports that are drawn, over all panels."""
PANELS = 9


def parameters(run: Given, name: str | None = None) -> Picture:
    """Show the score of reports against a hyperparameter that was in force, coloured by the model's age in iterations.

    A ring is where a member stands now. Of very many reports a sample is drawn, and the picture says so.

    Args:
        run: a `Run`, the path of one, or its `ResultGrid`.
        name: of the hyperparameter, by default the first nine that the strategy may change, a panel each.

    Raises:
        ConfigError: there is no such hyperparameter.
        RunError: there is no such run.
    """
    source = Source(run)
    chosen = source.names if name is None else [name]
    if source.metric is None:
        return nothing("Hyperparameters and scores", "The run is not judged by any metric.")
    if not chosen:
        return nothing("Hyperparameters and scores", "All members have the same hyperparameters.")
    values = [source.values(each) for each in chosen[:PANELS]]
    scores = source.scores()
    there = np.flatnonzero(np.isfinite(scores.value))
    if not len(there):
        return nothing("Hyperparameters and scores", "No report has a finite score yet.")
    picked = there[thinning.sample(len(there), MARKS // len(values))]
    picked = picked[np.argsort(scores.iteration[picked], kind="stable")]
    age = scores.iteration[picked].astype("f8")
    shade = Shade("training iteration", 0, max(float(scores.iteration[there].max()), 1.0), "viridis")
    limits, outside = thinning.near(scores.value[there], source.best_value)
    now = [(place.segment, value) for place, (value, _) in zip(source.trace.places, source.standings, strict=True)]
    final = [
        (segment, float(v)) for segment, v in now if segment >= 0 and isinstance(v, (int, float)) and np.isfinite(v)
    ]
    ends, heights = np.array([segment for segment, _ in final], "i8"), np.array([value for _, value in final], "f8")
    panels, size = [], 4.0 if len(picked) <= 600 else 2.6
    for each in values:
        x = each.at[scores.segment[picked]]
        at = each.at[ends]
        if each.words is not None:
            beside = np.random.Generator(np.random.PCG64(1))
            x = x + beside.uniform(-0.3, 0.3, len(x))  # so that equal words can be told apart
            at = at + beside.uniform(-0.3, 0.3, len(at))
        layers: list[Layer] = [Points(x, scores.value[picked], values=age, size=size, alpha=0.75)]
        layers.append(
            Points(at, heights, "ink", mark="ring", size=6 if source.count <= 100 else 4, label="members now")
        )
        panels.append(Panel(layers, each.axis(x), Axis(source.scored(), limits=limits)))
    columns = 2 if len(panels) in (2, 4) else min(len(panels), 3)
    notes = []
    if len(picked) < len(there):
        notes.append(f"a sample of {len(picked):,} of {count(len(there), 'report')}")
    if not scores.every:
        notes.append("at checkpoints")
    if outside:
        notes.append(f"{count(outside, 'report')} beyond the frame")
    if len(chosen) > PANELS:
        notes.append(f"{count(len(chosen) - PANELS, 'more hyperparameter')} not shown: name one")
    rows = -(-len(panels) // columns)
    what = values[0].label.removesuffix(" (log scale)") if len(values) == 1 else "Hyperparameters"
    title = f"{what} and {source.scored().partition(' (')[0]}, {count(len(there), 'report')}"
    size_of = (7.2 if columns > 1 else 6.0, 1.5 + 2.5 * rows if columns > 1 else 4.4)
    return Picture(title, panels, "; ".join(notes), shade, columns=columns, size=size_of)
