"""What ``ramet demo`` does: a population learns the triangle wave while one watches, then a picture shows how."""

from __future__ import annotations

import importlib.util
import math
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ramet.errors import RunError
from ramet.problems.triangle import train

if TYPE_CHECKING:
    from ramet.results import ResultGrid

ITERATIONS = 250
"""Where members stop that have not reached the goal by then; most have."""

SECONDS = 8.0
"""How long the demo takes, about, unless it is told a pace."""

BEFORE = """\
{models} a toy problem. The best learning rate first rises, then falls; nobody tells them.
Every 5 steps the worst become clones of the best, and try other learning rates.
"""

PICTURE = """
{picture} shows how they did it.
  Level lines are learning rates that members trained with; faint ones were given up for a better model.
  The emphasised path leads from clone to clone, and made the best model. Red is what was optimal at its
  accuracy: the closer the path, the faster it learned.\
"""

NO_PICTURE = """
There is no picture, for it needs matplotlib: pip install matplotlib, then ramet demo again.\
"""

AFTER = """
Next: examples/triangle_wave.py is the same in your own code, step by step. To look into this run in Python:
  import ramet
  results = ramet.ResultGrid({folder!r})
  results.get_best_result().schedule.frame()\
"""

AFTER_PICTURES = """\
  import ramet.view.plots
  ramet.view.plots.lineage_tree(results).figure.savefig("tree.png")\
"""


def watch(
    members: int,
    seed: int,
    executor: str,
    pace: float | None,
    out: Path | None,
    storage: str | None = None,
    *,
    quiet: bool = False,
) -> tuple[ResultGrid, Path | None]:
    """Train a population before the user's eyes, draw what came of it, and say what is to be seen.

    Returns the results and the picture's file, None if there is none.

    Args:
        members: see `train_population`, as for the next three.
        seed: see there.
        executor: see there.
        pace: see there.
        out: the picture's file, or a folder for it; None for no picture. Without matplotlib there is none either.
        storage: see `train_population`.
        quiet: print nothing.

    Raises:
        RametError: the picture or the run cannot be written, which is found before training, or a member failed.
    """
    drawable = importlib.util.find_spec("matplotlib") is not None
    picture = None if out is None else _file_for(out)
    _check_runs()
    say: Callable[[str], None] = (lambda _: None) if quiet else print
    say(BEFORE.format(models="1 model learns" if members == 1 else f"{members} models learn"))
    results = train_population(members, seed, executor, pace, 0 if quiet else 1, storage)
    if results.errors:
        raise results.errors[0]
    if picture is not None and not drawable:
        say(NO_PICTURE)
        picture = None
    elif picture is not None:
        draw(results, picture)
        say(PICTURE.format(picture=picture.resolve()))
    say(AFTER.format(folder=results.experiment_path))
    if drawable:
        say(AFTER_PICTURES)
    return results, picture


def _file_for(out: Path) -> Path:
    """Return the file to write, with its folder made, so that nothing is trained for a picture that cannot be kept."""
    folder, name = (out, "demo.png") if out.is_dir() or not out.suffix else (out.parent, out.name)
    file = folder / name
    try:
        _check_writable(folder)
        if file.exists():
            file.open("ab").close()
    except OSError as error:
        told = f"--out: cannot write {os.path.abspath(file)} ({error.strerror or error})"
        raise RunError(f"{told}; choose another place, or --no-plot") from error
    return file


def _check_runs() -> None:
    """Raise a RunError if runs cannot be kept where they belong."""
    from ramet.config import RunConfig

    folder = RunConfig().folder
    try:
        _check_writable(Path(folder))
    except OSError as error:
        told = f"cannot write the run into {folder} ({error.strerror or error})"
        raise RunError(f"{told}; set the environment variable RAMET_RUNS to another folder") from error


def _check_writable(folder: Path) -> None:
    """Make ``folder`` where it is not there, and raise an OSError if nothing can be written into it."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass


def train_population(
    members: int, seed: int, executor: str, pace: float | None = None, verbose: int = 1, storage: str | None = None
) -> ResultGrid:
    """Train ``members`` models on the triangle wave, with the live table, and return the results.

    Args:
        members: how many, at least 1; one alone has nobody to learn from.
        seed: decides every draw: the same seed gives the same results with any executor and pace.
        executor: ``"process"``, ``"inline"`` or ``"ray"``.
        pace: seconds that each training step sleeps; None for what makes it last about `SECONDS`.
        verbose: as in `RunConfig`.
        storage: where the run is kept, a folder or a URL; None for the usual folder.

    Raises:
        RametError: the run cannot be carried out.
    """
    import ramet

    scheduler = ramet.PopulationBasedTraining(
        time_attr="training_iteration",
        perturbation_interval=5,
        hyperparam_mutations={"lr": ramet.loguniform(0.0001, 0.02)},
        synch=True,
    )
    tuner = ramet.Tuner(
        train,
        param_space={"pace": default_pace(members, executor) if pace is None else pace},
        tune_config=ramet.TuneConfig(
            metric="accuracy", mode="max", num_samples=members, scheduler=scheduler, seed=seed
        ),
        run_config=ramet.RunConfig(
            name="demo",
            storage_path=storage,
            stop={"training_iteration": ITERATIONS},
            executor=executor,
            verbose=verbose,
        ),
    )
    return tuner.fit()


def default_pace(members: int, executor: str) -> float:
    """Return the seconds a step must take for the demo to last about `SECONDS` on this machine."""
    from ramet.resources import Slots

    at_once = len(Slots.of(train, limit=members).devices) if executor != "inline" else 1
    return SECONDS / (0.85 * ITERATIONS) / math.ceil(members / at_once)


def draw(results: ResultGrid, file: Path) -> None:
    """Save a picture of the learning rates of all members, the lineage of the best model, and what was optimal for it.

    Args:
        results: of `train_population`.
        file: where; its suffix is the format.

    Raises:
        RametError: matplotlib is not installed.
        OSError: the file cannot be written.
    """
    from ramet.view.plots import schedules
    from ramet.view.plots.story import ATTENTION

    ax = schedules(results, "lr")
    best = results.get_best_result().lineage_dataframe
    for color, width in (("white", 4), (ATTENTION, 2)):
        ax.plot(best["training_iteration"], best["optimal_lr"], color=color, linewidth=width, zorder=6)
    ax.set_ylabel("learning rate")
    members = "1 member" if len(results) == 1 else f"{len(results)} members"
    told = f"The learning rates of {members}, and in red the optimal one of the best model"
    figure: Any = ax.figure
    figure.suptitle(told, x=0.02, ha="left", fontsize="medium")
    figure.savefig(file, dpi=150)
