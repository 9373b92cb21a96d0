"""Runs of every kind that a reader may meet, made in tenths of a second each."""

import math
import shutil
from pathlib import Path

import ramet
from ramet.executor.simulated import SimulatedExecutor


def _train(config):
    checkpoint = ramet.get_checkpoint()
    step, level = checkpoint.to_dict().values() if checkpoint else (0, 0.0)
    while True:
        step += 1
        level += 0.1 * config["lr"] * (1 - config["lr"]) - 0.01 * level
        held = ramet.Checkpoint.from_dict({"step": step, "level": level}) if step % 3 == 0 else None
        ramet.report({"score": level, "step": step}, checkpoint=held)


def _odd(config):
    """Reports rows that differ: in columns, in types, NaN and texts among them; the metric is not in every row."""
    checkpoint = ramet.get_checkpoint()
    for step in range(checkpoint.to_dict()["step"] + 1 if checkpoint else 1, 13):
        row = {"note": "even" if step % 2 == 0 else None, "big": 10**20 if step == 5 else step}
        if step % 2 == 0:
            row["loss"] = math.nan if step == 6 and config["optim"]["lr"] > 0.5 else config["optim"]["lr"] / step
        ramet.report(row, checkpoint=ramet.Checkpoint.from_dict({"step": step}) if step % 2 == 0 else None)


def _fails(config):
    checkpoint = ramet.get_checkpoint()
    for step in range(checkpoint.to_dict()["step"] + 1 if checkpoint else 1, 13):
        if config["lr"] > 0.7 and step == 8:
            raise ValueError("the rate is too high\nby far")
        ramet.report({"score": config["lr"] * step}, checkpoint=ramet.Checkpoint.from_dict({"step": step}))


def _directory(config):
    checkpoint = ramet.get_checkpoint()
    step = 0
    if checkpoint:
        with checkpoint.as_directory() as folder:
            step = int(Path(folder, "step").read_text(encoding="utf-8"))
    while True:
        step += 1
        folder = ramet.checkpoint_dir()
        with open(f"{folder}/step", "w", encoding="utf-8") as file:
            file.write(str(step))
        with open(f"{folder}/weights", "wb") as file:
            file.write(bytes(300_000))
        ramet.report({"score": config["lr"] * step}, checkpoint=ramet.Checkpoint.from_directory(folder))


def run(
    train, folder, *, members=6, scheduler=None, stop=12, slots=3, failures=0.0, space=None, metric="score", **more
):
    """Carry a run out in ``folder`` and return its own folder; ``more`` are arguments of `RunConfig`."""
    mode = more.pop("mode", "max" if metric else None)
    grid = ramet.Tuner(
        train,
        param_space=space or {"lr": ramet.uniform(0.0, 1.0)},
        tune_config=ramet.TuneConfig(metric=metric, mode=mode, num_samples=members, seed=4, scheduler=scheduler),
        run_config=ramet.RunConfig(
            name="run", storage_path=folder, verbose=0, stop=stop and {"training_iteration": stop},
            executor=SimulatedExecutor(slots=slots, spread=0.5, failures=failures, seed=1), **more,
        ),
    ).fit()  # fmt: skip
    return grid.experiment_path


def pbt(**more):
    """Return the plain strategy, every three reports."""
    mutations = more.pop("mutations", {"lr": ramet.uniform(0.0, 1.0)})
    return ramet.PopulationBasedTraining(
        "training_iteration", perturbation_interval=3, hyperparam_mutations=mutations, **more
    )


def _nested(folder):
    space = {"optim": {"lr": ramet.loguniform(1e-3, 1), "name": ramet.choice(["sgd", "adam"])}, "width": 3}
    mutations = {"optim": {"lr": ramet.loguniform(1e-3, 1), "name": ramet.choice(["sgd", "adam"])}}
    return run(_odd, folder, space=space, metric="loss", mode="min", scheduler=pbt(mutations=mutations), stop=None)


def _resumed(folder):
    first = run(_train, folder, scheduler=pbt(), stop=9)
    return ramet.Tuner.restore(first, _train, stop={"training_iteration": 15}, num_samples=8).fit().experiment_path


def _branched(folder):
    first = run(_train, Path(folder, "first"), scheduler=pbt())
    return ramet.Tuner.branch(
        first, _train, tune_config=ramet.TuneConfig(num_samples=5, seed=2, metric="score", mode="max", scheduler=pbt()),
        run_config=ramet.RunConfig(
            name="branch", storage_path=folder, verbose=0, stop={"training_iteration": 24}, executor="inline"
        ),
    ).fit().experiment_path  # fmt: skip


def _lost(folder):
    first = run(_directory, folder, scheduler=pbt(synch=True), stop=8, members=4)
    held = ramet.open(first).checkpoints()
    for path in held[held["there"]]["path"].tolist()[-3:]:
        shutil.rmtree(f"{first}/checkpoints/{path}")
    return ramet.Tuner.restore(first, _directory, stop={"training_iteration": 14}).fit().experiment_path


def _huge(config):
    """Reports integers that no float can hold."""
    for step in range(1, 13):
        score = 10**400 if config["lr"] > 0.5 else step
        ramet.report({"score": score}, checkpoint=ramet.Checkpoint.from_dict({"step": step}))


RUNS = {
    "synchronous": lambda folder: run(_train, folder, scheduler=pbt(synch=True)),
    "asynchronous": lambda folder: run(_train, folder, scheduler=pbt(), members=9),
    "one member": lambda folder: run(_train, folder, members=1),
    "nothing judged": lambda folder: run(_train, folder, metric=None, scheduler=ramet.FIFO()),
    "judged by iterations": lambda folder: run(_train, folder, metric="training_iteration", scheduler=pbt()),
    "judged by work": lambda folder: run(_train, folder, metric="compute_iterations", scheduler=pbt(synch=True)),
    "odd rows": _nested,
    "huge numbers": lambda folder: run(_huge, folder),
    "workers die": lambda folder: run(
        _train, folder, scheduler=pbt(), failures=0.1, failure_config=ramet.FailureConfig(max_failures=-1)
    ),
    "members fail": lambda folder: run(_fails, folder, failure_config=ramet.FailureConfig(max_failures=1)),
    "all fail": lambda folder: run(_fails, folder, space={"lr": 0.9}),
    "replaced": lambda folder: run(
        _fails, folder, scheduler=pbt(), failure_config=ramet.FailureConfig(exhausted="replace"), members=8
    ),
    "resumed": _resumed,
    "branched": _branched,
    "checkpoints lost": _lost,
    "few are kept": lambda folder: run(
        _directory, folder, scheduler=pbt(), members=4, checkpoint_config=ramet.CheckpointConfig(num_to_keep=1)
    ),
    "nothing reported": lambda folder: run(lambda config: None, folder, stop=None),
    "ladder": lambda folder: run(_train, folder, members=10,
        scheduler=ramet.LadderPBT(perturbation_interval=3, hyperparam_mutations={"lr": ramet.uniform(0.0, 1.0)}),
    ),
}  # fmt: skip
"""Name -> a function that makes such a run in a folder and returns the run's."""
