"""Make the pictures of docs/plots.md: ``python docs/make_gallery.py [FOLDER]``, by default docs/images/gallery.

Two populations train in virtual time, 6 members and 64, on a toy problem whose best learning rate falls while a model
gets better. The seeds are fixed, so the pictures change only if what draws them does.
"""

from __future__ import annotations

import argparse
import io
import math
import tempfile
from pathlib import Path

from PIL import Image

import ramet
from ramet.analysis.run import Run
from ramet.executor.simulated import SimulatedExecutor
from ramet.plots import paper

COLORS = 256

SPACE = {
    "optim": {"lr": ramet.loguniform(1e-4, 1)},
    "dropout": ramet.uniform(0, 0.6),
    "batch_size": ramet.lograndint(16, 1024),
    "activation": ramet.choice(["relu", "gelu", "tanh"]),
}

PICTURES = {
    "lineage-few": ("few", "lineage", {}),
    "lineage-many": ("many", "lineage", {}),
    "lineage-lr-dark": ("few", "lineage", {"color": "config/optim/lr", "theme": "dark"}),
    "envelope-few": ("few", "envelope", {}),
    "envelope-many": ("many", "envelope", {}),
    "schedules-few": ("few", "schedules", {"names": ["optim/lr", "activation"]}),
    "schedules-many": ("many", "schedules", {}),
    "exploits": ("many", "exploits", {}),
    "replacements": ("few", "replacements", {}),
    "parameters": ("many", "parameters", {}),
    "diversity": ("many", "diversity", {}),
    "slots": ("few", "slots", {}),
    "parallel": ("many", "parallel", {}),
}
"""File -> population, plot, arguments."""


def train(config):
    """Get better, the faster the nearer the learning rate is to the best one, which falls."""
    checkpoint = ramet.get_checkpoint()
    step, error = checkpoint.to_dict()["at"] if checkpoint else (0, 1.0)
    words = {"relu": 0.8, "gelu": 1.0, "tanh": 0.5}
    while True:
        best = math.log10(0.1) - 2 * (1 - error)
        fit = math.exp(-((math.log10(config["optim"]["lr"]) - best) ** 2) - (2 * config["dropout"] - 0.4) ** 2)
        speed = 0.025 * fit * words[config["activation"]] * (config["batch_size"] / 128) ** -0.05
        error = max(error * (1 - speed) + 0.0015 * ramet.rng().normal(), 0.01)
        step += 1
        saved = ramet.Checkpoint.from_dict({"at": (step, error)}) if step % 5 == 0 else None
        ramet.report({"accuracy": 1 - error}, checkpoint=saved)


def population(folder: str, name: str, members: int, slots: int, iterations: int) -> Run:
    """Train a population and return its run."""
    grid = ramet.Tuner(
        train,
        param_space=SPACE,
        tune_config=ramet.TuneConfig(
            metric="accuracy",
            mode="max",
            num_samples=members,
            seed=4,
            scheduler=ramet.PopulationBasedTraining(
                time_attr="training_iteration",
                perturbation_interval=10,
                quantile_fraction=0.2,
                synch=True,
                hyperparam_mutations=SPACE,
            ),
        ),
        run_config=ramet.RunConfig(
            name=name,
            storage_path=folder,
            stop={"training_iteration": iterations},
            executor=SimulatedExecutor(slots=slots, seconds=2.0, spread=0.25, seed=1),
            verbose=0,
        ),
    ).fit()
    return ramet.open(grid.experiment_path)


def main() -> None:
    """Make all pictures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).parent / "images" / "gallery")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as runs:
        opened = {
            "few": population(runs, "few", members=6, slots=3, iterations=150),
            "many": population(runs, "many", members=64, slots=16, iterations=160),
        }
        for name, (run, plot, arguments) in PICTURES.items():
            figure = getattr(paper, plot)(opened[run], **arguments)
            drawn = io.BytesIO()
            figure.savefig(drawn, dpi=100)
            with Image.open(drawn) as image:  # few colours make small files
                image.convert("RGB").quantize(COLORS).save(folder / f"{name}.png", optimize=True)
        for run in opened.values():
            run.close()


if __name__ == "__main__":
    main()
