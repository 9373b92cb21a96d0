"""Toys for tests of populations that are rows of one program: a walk in JAX, runs of it, and what came of them."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import numpy as np
import pytest

import ramet
from ramet.testing import story

jax = pytest.importorskip("jax")
import jax.numpy as jnp  # noqa: E402


@functools.cache
def compile_once():
    """Let JAX keep what it compiles for the length of the test run: runs of the same toy then take a tenth."""
    folder = Path(tempfile.gettempdir()) / "compiled"
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    return folder


def init(key, hparams):
    """Begin a walk: a parameter of three numbers, and a count of steps."""
    return {"params": {"w": jax.random.normal(key, (3,)) * hparams["spread"]}, "steps": 0}


def step(state, hparams, key):
    """Shrink the parameter by the rate and shake it; the score is larger the nearer it is to nil."""
    w = state["params"]["w"] * (1 - hparams["lr"]) + 0.01 * jax.random.normal(key, (3,))
    steps = state["steps"] + 1
    return {"params": {"w": w}, "steps": steps}, {
        "score": -jnp.sum(w**2),
        "steps": steps,
        "pace": steps * hparams["pace"],
    }


WALK = ramet.VectorTrainable(init, step, steps_per_report=2, weights="params")
SPACE = {"lr": ramet.loguniform(1e-3, 0.5), "spread": 1.0, "pace": ramet.grid_search([1, 2])}
MUTATIONS = {"lr": ramet.loguniform(1e-3, 0.5)}


def pbt(interval=3, **more):
    """Return the plain strategy, every three reports and for all at once."""
    given = {"synch": True, "hyperparam_mutations": MUTATIONS, "time_attr": "training_iteration", **more}
    return ramet.PopulationBasedTraining(perturbation_interval=interval, **given)


def tuner(folder, executor=None, scheduler=None, *, trainable=WALK, space=None, pairs=3, stop=12, tune=None, **run):
    """Return what would run twice so many walks as ``pairs``; ``tune`` and ``run`` go to the two configurations."""
    goals = {} if getattr(scheduler, "objectives", None) else {"metric": "score", "mode": "max"}
    compile_once()
    return ramet.Tuner(
        trainable,
        param_space=SPACE if space is None else space,
        tune_config=ramet.TuneConfig(
            **{**goals, "num_samples": pairs, "seed": 3, "scheduler": scheduler or pbt(), **(tune or {})}
        ),
        run_config=ramet.RunConfig(
            name=Path(folder).name,
            storage_path=str(Path(folder).parent),
            stop={"training_iteration": stop} if isinstance(stop, int) else stop,
            executor=executor or ramet.VectorExecutor(),
            verbose=0,
            **run,
        ),
    )


def told(path):
    """Return events and rows of a run but for what differs between executors: where checkpoints were, and when."""
    whole = story(path)
    events = []
    for kind, fields in whole["events"]:
        if kind == "Saved":
            continue
        events.append((kind, {name: value for name, value in fields.items() if name not in ("held", "size")}))
    return {"events": sorted(events, key=repr), "rows": whole["rows"]}


def states(results):
    """Return the arrays of every member's last checkpoint."""
    return [result.checkpoint.to_dict() for result in results]


def same_states(one, other):
    """Whether two populations are the same, bit for bit."""
    return len(one) == len(other) and all(
        mine.keys() == theirs.keys()
        and all(
            np.asarray(mine[name]).tobytes() == np.asarray(theirs[name]).tobytes()
            and np.asarray(mine[name]).dtype == np.asarray(theirs[name]).dtype
            for name in mine
        )
        for mine, theirs in zip(one, other, strict=True)
    )


def happened(path, *kinds):
    """Return the run's events of these kinds, in order."""
    record = ramet.record.Record.open(path)
    try:
        return [event for event in record.events() if type(event).__name__ in kinds]
    finally:
        record.close()
