"""What Ray's training functions call, and ``ray.init``. Workers load this file, so it knows nothing of the tuner."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from ramet import resources, session
from ramet.checkpoint import Checkpoint
from ramet.errors import ReportError

VERSION = "2.60.0+ramet"
"""Scripts that ask for the version get the names of both generations whatever they conclude."""


def init(
    address: str | None = None, *, num_cpus: float | None = None, num_gpus: float | None = None, **options: Any
) -> None:
    """Set the capacity from ``num_cpus`` and ``num_gpus``; all else that `ray.init` takes has no meaning here."""
    del address, options
    resources.init(num_cpus, num_gpus)


def report(
    metrics: Mapping[str, Any] | None = None,
    checkpoint: Checkpoint | None = None,
    checkpoint_dir_name: str | None = None,
    **named: Any,
) -> None:
    """Report one iteration: ``report({"loss": 0.1}, checkpoint=…)``, or as in older scripts ``report(loss=0.1)``.

    Raises:
        ReportError: there are no metrics, or they are given in both ways.
    """
    del checkpoint_dir_name
    if (metrics is None) == (not named):
        given = ", ".join([*(["{…}"] if metrics is not None else []), *(f"{name}=…" for name in named)])
        raise ReportError(
            f"report({given}) needs metrics in one way: by dict, report({{'loss': 0.1}}), or by name, report(loss=0.1)"
        )
    session.report(named if metrics is None else metrics, checkpoint)


class Context:
    """Where the training function is running; one process a member, so ranks are 0 and sizes 1."""

    def __init__(self) -> None:
        self._here = session.get_context()

    def get_trial_id(self) -> str | None:
        """Return the member's number, five digits; None outside a run."""
        return self._here.get_trial_id()

    def get_trial_name(self) -> str | None:
        """Return the same."""
        return self._here.get_trial_name()

    def get_experiment_name(self) -> str | None:
        """Return the run's name."""
        return self._here.get_experiment_name()

    def get_world_size(self) -> int:
        """Return 1."""
        return 1

    get_local_world_size = get_world_size

    def get_world_rank(self) -> int:
        """Return 0."""
        return 0

    get_local_rank = get_node_rank = get_world_rank

    def __getattr__(self, name: str) -> NoReturn:
        has = ", ".join(known for known in dir(Context) if known.startswith("get_"))
        raise AttributeError(f"get_context().{name} is not in Ramet's stand-in for Ray Tune; a context has {has}")


def get_context() -> Context:
    """Return where this function is running."""
    return Context()


def get_trial_id() -> str | None:
    """Return the member's number, five digits; None outside a run."""
    return Context().get_trial_id()


get_trial_name = get_trial_id


def get_experiment_name() -> str | None:
    """Return the run's name."""
    return Context().get_experiment_name()


def get_world_size() -> int:
    """Return 1: a member is one process."""
    return 1


get_local_world_size = get_world_size


def get_world_rank() -> int:
    """Return 0: a member is one process."""
    return 0


get_local_rank = get_node_rank = get_world_rank
