"""Make a run to be kept for ever: python make.py FOLDER [--break-off]. See README.md."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import ramet

STOP = 8
BREAK_OFF = "RAMET_TEST_BREAK_OFF"
LARGE = 128 * 1024 + 1
"""Bytes that do not fit into the ledger; one model saves so many, once."""


def train(config):
    """A random walk, saved at every second step; what member 1 saves at its fourth is large."""
    checkpoint = ramet.get_checkpoint()
    step, x = 0, 0.0
    if checkpoint:
        with checkpoint.as_directory() as directory:
            step, x = (float(word) for word in Path(directory, "state").read_bytes().rstrip(b"\0").split())
    step = int(step)
    while True:
        step += 1
        x += config["lr"] * float(ramet.rng().normal())
        member = ramet.get_context().member
        if os.environ.get(BREAK_OFF) and (member, step) == (2, 6):
            os._exit(0)
        if step % 2:
            ramet.report({"score": x})
            continue
        with tempfile.TemporaryDirectory() as directory:
            state = f"{step} {x!r}".encode()
            Path(directory, "state").write_bytes(state.ljust(LARGE if (member, step) == (1, 4) else 0, b"\0"))
            ramet.report({"score": x}, checkpoint=ramet.Checkpoint.from_directory(directory))


def arguments():
    """Return what a resume of a run of format 1 has to be given, for it kept none of it."""
    return {
        "param_space": {"lr": ramet.uniform(0.1, 1.0), "kind": ramet.choice(["a", "b"])},
        "scheduler": ramet.PopulationBasedTraining(
            time_attr="training_iteration",
            perturbation_interval=2,
            synch=True,
            hyperparam_mutations={"lr": ramet.uniform(0.1, 1.0)},
        ),
        "stop": {"training_iteration": STOP},
    }


def main(folder: Path) -> None:
    """Train four members, in this process."""
    given = arguments()
    ramet.Tuner(
        train,
        param_space=given["param_space"],
        tune_config=ramet.TuneConfig(metric="score", mode="max", num_samples=4, seed=3, scheduler=given["scheduler"]),
        run_config=ramet.RunConfig(
            name=folder.name,
            storage_path=folder.parent,
            stop=given["stop"],
            checkpoint_config=ramet.CheckpointConfig(num_to_keep=2),
            executor="inline",
            verbose=0,
        ),
    ).fit()


if __name__ == "__main__":
    where = Path(sys.argv[1]).absolute()
    if "--break-off" in sys.argv:
        subprocess.run([sys.executable, __file__, str(where)], env={**os.environ, BREAK_OFF: "1"}, check=True)
    else:
        main(where)
    # So that run.db is all there is of the ledger.
    with contextlib.closing(sqlite3.connect(where / "run.db")) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
