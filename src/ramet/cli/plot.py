"""``ramet plot``: a picture of a run."""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path
from typing import Any

from ramet.cli.out import document, say
from ramet.cli.words import place, run_option

PAPER = (".png", ".pdf", ".svg")
SCREEN = (".html",)


def plot(arguments: argparse.Namespace) -> int:
    """Draw a run, for paper or for the screen.

    The file's ending says which: .png, .pdf and .svg are for paper and need matplotlib, .html is for the screen, can be
    zoomed, and needs plotly. Without a NAME the plots that there are are listed.

    With --json: run, plot, wrote (the file); without a NAME: plots, a list of: name, title.

        $ ramet plot demo lineage -o lineage.pdf
        $ ramet plot demo schedules -o schedules.html
    """
    from ramet.errors import ConfigError
    from ramet.plots import PLOTS

    if arguments.name is None:
        if arguments.json:
            document({"plots": [{"name": name, "title": plot.title} for name, plot in PLOTS.items()]})
        else:
            for name, plot in PLOTS.items():
                say(f"{name:<16}{plot.title}")
        return 0
    if arguments.name not in PLOTS:
        raise ConfigError(f"there is no plot {arguments.name!r}; there are {', '.join(PLOTS)}")
    from ramet.analysis.run import Run

    out: Path = arguments.out or Path(f"{arguments.name}.png")
    screen = out.suffix.lower() in SCREEN
    if not screen and out.suffix.lower() not in PAPER:
        raise ConfigError(f"-o {out} ends in none of {', '.join((*PAPER, *SCREEN))}")
    with Run(arguments.run) as run:
        figure = _figure(run, arguments.name, screen)
        name = run.name
    out.parent.mkdir(parents=True, exist_ok=True)
    if screen:
        figure.write_html(out)
    else:
        figure.savefig(out, dpi=150)
    if arguments.json:
        document({"run": name, "plot": arguments.name, "wrote": out.absolute()})
    else:
        say(f"wrote {out}")
    return 0


def plot_options(parser: argparse.ArgumentParser) -> None:
    """Add the run, the plot and the file."""
    run_option(parser)
    parser.add_argument("name", nargs="?", metavar="NAME", help="of what; without it, what there is")
    parser.add_argument(
        "-o", "--out", type=place, metavar="FILE", help="the file, whose ending says as what (default: NAME.png)"
    )


def _figure(run: Any, name: str, screen: bool) -> Any:
    from ramet.errors import ConfigError

    library, kind = ("plotly", "screen") if screen else ("matplotlib", "paper")
    try:
        drawn = importlib.import_module(f"ramet.plots.{kind}")
        return getattr(drawn, name)(run)
    except ImportError as error:
        if (error.name or "").partition(".")[0] != library:
            raise
        raise ConfigError(f"{library} is not installed, which draws for {kind}: pip install {library}") from error
