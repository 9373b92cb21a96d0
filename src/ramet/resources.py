"""How many slots there are: the capacity that `init` sets, over what one member needs."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ramet.errors import ConfigError

_capacity: dict[str, float] | None = None


def init(num_cpus: float | None = None, num_gpus: float | None = None) -> None:
    """Set the capacity that runs of this process have by default.

    Args:
        num_cpus: CPUs to use, above 0; by default those that this process may run on. One member takes one, unless
            `with_resources` says otherwise, so this is how many members train at once.
        num_gpus: GPUs to use, at least 0; by default those that ``CUDA_VISIBLE_DEVICES`` or the driver shows.

    >>> init(num_cpus=2)
    >>> is_initialized()
    True
    >>> shutdown()
    """
    global _capacity
    cpus = usable_cpus() if num_cpus is None else _amount("init", "num_cpus", num_cpus)
    if cpus <= 0:
        raise ConfigError(f"init(num_cpus={num_cpus!r}) must be above 0: every member needs some CPU to run on")
    gpus = float(len(_visible_gpus())) if num_gpus is None else _amount("init", "num_gpus", num_gpus)
    _capacity = {"cpu": cpus, "gpu": gpus}


def is_initialized() -> bool:
    """Return whether `init` has set a capacity."""
    return _capacity is not None


def cpus() -> float:
    """Return how many CPUs the capacity is of that `init` has set, else how many this process may run on."""
    return usable_cpus() if _capacity is None else _capacity["cpu"]


def shutdown() -> None:
    """Forget the capacity that `init` set. Runs that are under way keep theirs."""
    global _capacity
    _capacity = None


@dataclass(frozen=True, slots=True)
class Slots:
    """By slot, the GPUs that its worker may see (None where no GPU is asked for)."""

    devices: list[str | None]

    @classmethod
    def of(cls, trainable: Any, *, limit: int | None = None, count: int | None = None) -> Slots:
        """Return the slots for ``trainable``: ``count`` of them, or as many as fit, at most ``limit``.

        Raises:
            ConfigError: not even one member fits; the message says what is short.
        """
        need = dict(getattr(trainable, "resources", None) or {"cpu": 1})
        have = _capacity or {"cpu": usable_cpus(), "gpu": float(len(_visible_gpus()))}
        cpu, gpu = need.get("cpu", 0.0), need.get("gpu", 0.0)
        seats = _gpu_seats(gpu, have["gpu"]) if gpu else []
        fit = min(math.floor(have["cpu"] / cpu + 1e-9) if cpu else 10**6, len(seats) if gpu else 10**6)
        if count is None and fit < 1:
            raise ConfigError(
                f"with_resources({need}) does not fit the capacity {have}: ask for less, or call "
                "ramet.init(num_cpus=…, num_gpus=…) with what there is"
            )
        if count is not None and gpu and count > len(seats):
            raise ConfigError(f"{count} slots with {need} do not fit the capacity {have}: use fewer slots")
        number = count if count is not None else min(fit, limit if limit is not None else fit)
        return cls([seats[slot] if gpu else None for slot in range(number)])


def check_resources(resources: Any) -> dict[str, float]:
    """Return the resources of one member as given to `with_resources`, or say what is wrong with them."""
    if not isinstance(resources, Mapping) or not resources:
        raise ConfigError(f"with_resources(resources={resources!r}) needs a dict, such as {{'cpu': 1, 'gpu': 0.5}}")
    checked = {}
    for name, amount in resources.items():
        key = str(name).lower()
        if key not in ("cpu", "gpu"):
            raise ConfigError(f"with_resources({{{name!r}: …}}): local slots are made of 'cpu' and 'gpu' only")
        checked[key] = _amount("with_resources", key, amount)
    if checked.get("gpu", 0) > 1 and checked["gpu"] != int(checked["gpu"]):
        raise ConfigError(f"with_resources(gpu={checked['gpu']}): take a fraction below 1, or whole GPUs")
    return checked


def _gpu_seats(need: float, have: float) -> list[str]:
    """Return the GPUs of each slot: several slots on one GPU for a fraction, several GPUs a slot for a whole number."""
    names = _visible_gpus() or [str(number) for number in range(int(have))]
    names = names[: int(have)]
    if need < 1:
        return [name for name in names for _ in range(math.floor(1 / need + 1e-9))]
    size = int(need)
    return [",".join(names[at : at + size]) for at in range(0, len(names) - size + 1, size)]


def _visible_gpus() -> list[str]:
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if listed is not None:
        return [name.strip() for name in listed.split(",") if name.strip() not in ("", "-1")]
    # One entry a GPU, without loading a driver library: a run on CPUs must not pay for it.
    root = "/proc/driver/nvidia/gpus"
    return [str(number) for number in range(len(os.listdir(root)))] if os.path.isdir(root) else []


def usable_cpus() -> float:
    """Return how many CPUs this process may run on."""
    return float(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def _amount(who: str, name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
        raise ConfigError(f"{who}({name}={value!r}) must be a number of at least 0")
    return float(value)
