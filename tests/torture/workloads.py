"""Runs to be tortured: each a second or two of work in two worker processes, the same in its result for ever.

What they train carries its own proof: a chain of hashes through the lineage, in every row and in every checkpoint.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

import ramet
from ramet.problems import triangle as wave

PACE = "RAMET_TORTURE_PACE"
"""How long a run lasts, as a factor in the environment: without it nobody waits. It is no part of the run."""

LARGE = 160 * 1024
"""Bytes of a checkpoint that does not fit into the ledger."""


def pause(seconds: float) -> None:
    """Let a step take a while, where somebody is to be killed in it."""
    if factor := float(os.environ.get(PACE, "0")):
        time.sleep(seconds * factor)


def triangle(config: Mapping[str, Any]) -> None:
    """The tutorial's triangle wave."""
    wave.train({**config, "pace": 0.004 * float(os.environ.get(PACE, "0"))})


def quadratic(config: Mapping[str, Any]) -> None:
    """The tutorial's ascent, with a checkpoint at every step."""
    h, theta, step = np.array([config["h0"], config["h1"]]), np.array([0.9, 0.9]), 0
    if checkpoint := ramet.get_checkpoint():
        state = checkpoint.to_dict()
        theta, step = state["theta"], state["step"]
    while True:
        theta = theta - config["lr"] * 2 * h * theta * np.array([3 / 4, 1])
        step += 1
        pause(0.015)
        metrics = {"Q": 1.2 - (3 / 4 * theta[0] ** 2 + theta[1] ** 2), "theta0": theta[0], "theta1": theta[1]}
        ramet.report(metrics, checkpoint=ramet.Checkpoint.from_dict({"theta": theta, "step": step}))


def link(chain: str, step: int, lr: float) -> str:
    """Return the next link: what was before it, which step this is, and under what it is trained."""
    return hashlib.sha256(f"{chain} {step} {lr!r}".encode()).hexdigest()[:16]


def content(chain: str) -> bytes:
    """Return what a large checkpoint of the model ``chain`` holds, to the byte."""
    return (chain.encode() * (LARGE // 16 + 1))[:LARGE]


class Thing:
    """No plain data: kept aside, and loaded by nobody but a resume."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"Thing({self.name!r})"


def chained(config: Mapping[str, Any]) -> None:
    """Link by link; every ``every`` steps a checkpoint, ``large`` ones as directories."""
    chain, step = "", 0
    if checkpoint := ramet.get_checkpoint():
        with checkpoint.as_directory() as directory:
            saved = Path(directory, "model").read_bytes()
        step = int(Path(checkpoint.path, "step").read_text())
        chain = saved[:16].decode()
        if config["large"]:
            assert saved == content(chain), "this is not what was saved"
    rng = ramet.rng()
    while True:
        step += 1
        chain = link(chain, step, config["lr"])
        pause(0.008)
        metrics = {"score": float(rng.normal() + config["lr"]), "chain": chain, "step": step, "lr": config["lr"]}
        if step % config["every"]:
            ramet.report(metrics)
            continue
        directory = Path(ramet.checkpoint_dir())
        (directory / "model").write_bytes(content(chain) if config["large"] else chain.encode())
        (directory / "step").write_text(str(step))
        ramet.report(metrics, checkpoint=ramet.Checkpoint.from_directory(directory))


def _pbt(interval: int, *, synch: bool = True, **more: Any) -> ramet.PopulationBasedTraining:
    return ramet.PopulationBasedTraining(
        time_attr="training_iteration", perturbation_interval=interval, synch=synch, **more
    )


def _tuner(
    folder: Path,
    trainable: Callable[..., None],
    space: Mapping[str, Any],
    scheduler: ramet.PopulationBasedTraining,
    *,
    metric: str,
    stop: int,
    members: int = 1,
    executor: Any = None,
    seed: int = 11,
    retries: int = -1,
    **run: Any,
) -> ramet.Tuner:
    return ramet.Tuner(
        trainable,
        param_space=space,
        tune_config=ramet.TuneConfig(metric=metric, mode="max", num_samples=members, scheduler=scheduler, seed=seed),
        run_config=ramet.RunConfig(
            name=folder.name,
            storage_path=folder.parent,
            stop={"training_iteration": stop},
            failure_config=ramet.FailureConfig(max_failures=retries),
            executor=executor or ramet.ProcessExecutor(2),
            verbose=0,
            **run,
        ),
    )


def triangle_tuner(folder: Path, *, stop: int = 60, **more: Any) -> ramet.Tuner:
    """Eight members share two workers; small checkpoints, of which the best are kept."""
    scheduler = _pbt(5, hyperparam_mutations={"lr": ramet.loguniform(0.0001, 0.02)})
    return _tuner(
        folder,
        triangle,
        {"lr": 0.0001},
        scheduler,
        metric="accuracy",
        members=8,
        stop=stop,
        checkpoint_config=ramet.CheckpointConfig(num_to_keep=1),
        **more,
    )


def quadratic_tuner(folder: Path, *, stop: int = 100, **more: Any) -> ramet.Tuner:
    """Two members, a checkpoint at every step, all of them kept."""
    domains = {
        "lr": ramet.qloguniform(1e-4, 1e-1, 5e-5),
        "h0": ramet.uniform(0.0, 1.0),
        "h1": ramet.uniform(0.0, 1.0),
    }
    space = {
        "lr": ramet.qloguniform(1e-3, 1e-1, 5e-4),
        "h0": ramet.grid_search([1.0, 0.0]),
        "h1": ramet.sample_from(lambda spec: 1.0 - spec.config["h0"]),
    }
    scheduler = _pbt(4, quantile_fraction=0.5, resample_probability=0.5, hyperparam_mutations=domains)
    return _tuner(folder, quadratic, space, scheduler, metric="Q", stop=stop, **more)


def chained_tuner(
    folder: Path,
    *,
    synch: bool = True,
    stop: int = 60,
    large: bool = True,
    every: int = 3,
    interval: int = 3,
    members: int = 4,
    things: bool = False,
    **more: Any,
) -> ramet.Tuner:
    """Four members; directories as checkpoints, of which each member keeps one."""
    domains: dict[str, Any] = {"lr": ramet.uniform(0.0, 1.0)}
    space = {**domains, "large": large, "every": every}
    if things:
        domains["thing"] = [Thing(name) for name in "abcdef"]
        space["thing"] = ramet.choice(domains["thing"])
    scheduler = _pbt(interval, synch=synch, quantile_fraction=0.5, hyperparam_mutations=domains)
    more.setdefault("checkpoint_config", ramet.CheckpointConfig(num_to_keep=1))
    return _tuner(folder, chained, space, scheduler, metric="score", stop=stop, members=members, **more)


def asynchronous_tuner(folder: Path, **more: Any) -> ramet.Tuner:
    """The same, everyone deciding alone."""
    return chained_tuner(folder, synch=False, **more)


TUNERS: dict[str, Callable[..., ramet.Tuner]] = {
    "triangle": triangle_tuner,
    "quadratic": quadratic_tuner,
    "directories": chained_tuner,
    "asynchronous": asynchronous_tuner,
}
TRAINABLES = {"triangle": triangle, "quadratic": quadratic, "directories": chained, "asynchronous": chained}


def go_on(name: str, folder: Path, **changes: Any) -> ramet.ResultGrid:
    """Take up the run in ``folder``, as its user would."""
    return ramet.Tuner.restore(folder, TRAINABLES[name], **changes).fit()


def set_aside(folder: Path) -> None:
    """Make room for a fresh start where there is a folder that holds no run yet."""
    if folder.exists():
        number = 1
        while os.path.lexists(aside := folder.with_name(f"{folder.name}.aborted-{number}")):
            number += 1
        folder.rename(aside)
