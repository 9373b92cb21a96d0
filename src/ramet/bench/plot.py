"""A comparison as a picture: on each problem the mean of every strategy with its interval, and the optimum."""

from __future__ import annotations

import math
from pathlib import Path

from ramet.bench.results import Results
from ramet.bench.summary import standings
from ramet.view.values import clean

COLUMNS = 3
INK, BEST = "#0072B2", "#D55E00"


def plot(results: Results, file: Path) -> None:
    """Save the picture; the suffix of ``file`` is its format.

    Raises:
        OSError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    problems, strategies = list(results.problems), list(results.strategies)
    columns = min(COLUMNS, len(problems))
    rows = math.ceil(len(problems) / columns)
    figure = Figure(figsize=(4.6 * columns, rows * (1.3 + 0.32 * len(strategies))), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
    for ax, problem in zip(axes, problems, strict=False):
        about = results.problems[problem]
        for row in standings(results, problem):
            place = strategies.index(row.strategy)
            half = 0.0 if math.isnan(row.half) else row.half
            ax.errorbar([row.mean], [place], xerr=[half], fmt="o", color=INK, capsize=3, markersize=5)
        ax.axvline(about["optimum"], color=BEST, linestyle="--", linewidth=1)
        ax.set_title(clean(problem).replace("$", r"\$"), fontsize="medium", loc="left")
        ax.set_yticks(range(len(strategies)), [clean(name).replace("$", r"\$") for name in strategies])
        ax.set_ylim(len(strategies) - 0.5, -0.5)
        ax.locator_params(axis="x", nbins=5)
        ax.grid(axis="x", linewidth=0.3)
        for side in ("top", "right"):
            ax.spines[side].set_visible(False)
    for ax in axes[len(problems) :]:
        ax.set_visible(False)
    told = f"Mean and 95 % interval of {results.settings.get('seeds')} runs; dashed: the optimum"
    figure.suptitle(told, x=0.01, ha="left", fontsize="medium")
    figure.savefig(file, dpi=150)
