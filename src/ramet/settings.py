"""What a run was set up with, kept beside its ledger so that it can be taken up again. Nothing else ever loads it."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cloudpickle

from ramet import sealed
from ramet.aside import OBJECTS, Aside
from ramet.config import RunConfig, TuneConfig
from ramet.errors import ConfigError, RunError

NAME = "settings.pkl"

_TUNE = ("scheduler", "num_samples", "max_concurrent_trials", "time_budget_s")
_RUN = (
    *("stop", "failure_config", "checkpoint_config", "callbacks"),
    *("verbose", "executor", "time_limit_s", "durability", "sync_config"),
)
CHANGEABLE = (*_TUNE, *_RUN)
"""What a resume may be given anew."""

_FIXED = {
    "metric": "decisions were taken by it",
    "mode": "decisions were taken by it",
    "seed": "everything was drawn by it",
    "name": "the folder has it",
    "storage_path": "the folder is where it is; move it while nothing runs, and restore it from there",
}


def save(folder: Path, param_space: Mapping[str, Any] | None, tune: TuneConfig, run: RunConfig) -> None:
    """Write down the set-up, each part by itself: what cannot be pickled has to be given again.

    Raises:
        RunError: the folder cannot be written.
    """
    parts: dict[str, Any] = {"param_space": param_space}
    parts |= {name: getattr(tune, name) for name in _TUNE} | {name: getattr(run, name) for name in _RUN}
    pickles: dict[str, bytes | str] = {}
    for name, value in parts.items():
        try:
            pickles[name] = cloudpickle.dumps(value)
        except Exception as error:
            pickles[name] = f"{type(error).__name__}: {error}"
    sealed.write(folder / NAME, pickle.dumps(pickles))


def load(
    folder: Path, aside: Aside, facts: Mapping[str, Any], seed: int, given: Mapping[str, Any]
) -> tuple[Mapping[str, Any] | None, TuneConfig, RunConfig]:
    """Return ``param_space`` and the configurations of the run in ``folder``, with what is ``given`` put in.

    Raises:
        ConfigError: something is given that cannot be changed, or has to be given and is not.
        RunError: the file cannot be read.
    """
    for name in given:
        if name in _FIXED:
            raise ConfigError(f"Tuner.restore({name}=…) cannot be changed: {_FIXED[name]}. Begin a new run instead")
        if name not in (*CHANGEABLE, "param_space"):
            raise ConfigError(f"Tuner.restore({name}=…) is unknown; what can be given is {', '.join(CHANGEABLE)}")
    pickles: dict[str, bytes | str] = {}
    if (folder / NAME).exists():
        try:
            pickles = pickle.loads(sealed.read(folder / NAME))
        except Exception as error:
            if missing := sorted({"param_space", "scheduler", "stop"} - set(given)):
                raise RunError(
                    f"{folder / NAME}, which holds what the run was set up with, is damaged ({error!r}): give it "
                    f"again, Tuner.restore({', '.join(f'{name}=…' for name in missing)})"
                ) from error
    parts: dict[str, Any] = {}
    if aside.together is not None:  # with the very objects that the ledger names
        parts["param_space"], parts["scheduler"] = aside.together
    for name in ("param_space", *CHANGEABLE):
        if name in parts and name not in given:
            continue
        if name in given:
            parts[name] = given[name]
        elif isinstance(pickled := pickles.get(name), bytes):
            try:
                parts[name] = pickle.loads(pickled)
            except Exception as error:
                raise ConfigError(_again(name, f"cannot be loaded ({type(error).__name__}: {error})")) from error
        elif pickled is not None:
            raise ConfigError(_again(name, f"could not be pickled when the run began ({pickled})"))
        elif (name == "scheduler" and (facts.get("strategy") or {}).get("name") != "FIFO") or (
            name == "stop" and facts.get("stop") != "None"
        ):
            raise ConfigError(_again(name, "was not recorded"))
    tune = {name: parts[name] for name in _TUNE if name in parts}
    run = {name: parts[name] for name in _RUN if name in parts}
    # The scheduler may name metric and mode itself; said twice they are refused.
    scheduler = tune.get("scheduler")
    for name in ("metric", "mode"):
        if getattr(scheduler, name, None) is None:
            tune[name] = facts.get(name)
    return parts.get("param_space"), TuneConfig(seed=seed, **tune), RunConfig(**run)


def aside(folder: Path) -> Aside:
    """Return the objects that the run in ``folder`` kept aside, and what refers to them.

    Raises:
        RunError: they cannot be loaded, or could not be pickled.
    """
    path = folder / OBJECTS
    if not path.exists():
        return Aside(folder)
    try:
        loaded = pickle.loads(sealed.read(path))
        if isinstance(loaded, list):  # of format 1: each by itself
            loaded = [pickle.loads(each) for each in loaded], None
    except Exception as error:
        raise RunError(
            f"{path} holds objects of param_space that cannot be loaded ({type(error).__name__}: {error}): make the "
            "modules that define them importable, as they were when the run began"
        ) from error
    if isinstance(loaded, str):
        raise RunError(
            f"{path} lacks the objects of param_space, which could not be pickled when the run began ({loaded}): such "
            "a run cannot be taken up"
        )
    objects, together = loaded
    return Aside(folder, objects, together)


def _again(name: str, why: str) -> str:
    return f"the run's {name} {why}: give it again, Tuner.restore(path, trainable, {name}=…)"


def same_strategy(facts: Mapping[str, Any], strategy: Mapping[str, Any], mutable: Mapping[str, Any]) -> None:
    """Refuse another strategy than the one that took the run's decisions so far.

    Raises:
        ConfigError: its name, its settings or its domains are not what was recorded.
    """
    mutations = "param_space, or the scheduler's hyperparam_mutations,"
    for who, recorded, now in (
        ("scheduler", comparable(facts.get("strategy") or {}), comparable(strategy)),
        (mutations, comparable(facts.get("mutable") or {}), comparable(mutable)),
    ):
        differ = sorted(key for key in {*recorded, *now} if recorded.get(key) != now.get(key))
        if differ:
            told = "; ".join(f"{key}: {recorded.get(key)!r} then, {now.get(key)!r} now" for key in differ)
            raise ConfigError(
                f"Tuner.restore: the {who} is not that of the run ({told}): give the same one, or begin a new run"
            )


def comparable(value: Any) -> Any:
    """Return ``value`` with objects as that alone: one that was pickled is another object, or not even at hand."""
    if isinstance(value, Mapping):
        return {key: comparable(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [comparable(each) for each in value]
    return value if value is None or isinstance(value, (str, int, float)) else "an object"
