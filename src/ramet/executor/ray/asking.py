"""What a `RayExecutor` is asked for, checked without Ray."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from ramet.errors import ConfigError

STRATEGIES = ("PACK", "SPREAD", "STRICT_PACK", "STRICT_SPREAD")


@dataclass(frozen=True)
class Asked:
    """The arguments of `ramet.RayExecutor`; see there."""

    slots: int | None = None
    address: str | None = None
    resources: Mapping[str, float] | None = None
    bundles: Sequence[Mapping[str, float]] | None = None
    strategy: str = "PACK"
    runtime_env: Mapping[str, Any] | None = None
    grows: bool = False

    def __post_init__(self) -> None:
        slots = self.slots
        if slots is not None and (isinstance(slots, bool) or not isinstance(slots, int) or slots < 1):
            raise ConfigError(f"RayExecutor(slots={slots!r}) must be a whole number of actors, at least 1")
        if self.address is not None and (not isinstance(self.address, str) or not self.address):
            raise ConfigError(f"RayExecutor(address={self.address!r}) must be the address of a cluster, a str")
        if self.resources is not None and self.bundles is not None:
            raise ConfigError("RayExecutor(resources=…, bundles=…) both say what a member needs: keep one")
        if self.resources is not None:
            object.__setattr__(self, "resources", _checked("resources=", self.resources))
        if self.bundles is not None:
            if not isinstance(self.bundles, (list, tuple)) or not self.bundles:
                raise ConfigError(f"RayExecutor(bundles={self.bundles!r}) must be a list of dicts, at least one")
            object.__setattr__(self, "bundles", [_checked("bundles=", bundle) for bundle in self.bundles])
        if self.strategy not in STRATEGIES:
            raise ConfigError(f"RayExecutor(strategy={self.strategy!r}) must be one of {', '.join(STRATEGIES)}")
        if self.runtime_env is not None and not isinstance(self.runtime_env, Mapping):
            raise ConfigError(f"RayExecutor(runtime_env={self.runtime_env!r}) must be a dict, as Ray has it")
        if not isinstance(self.grows, bool):
            raise ConfigError(f"RayExecutor(grows={self.grows!r}) must be True or False")

    def given(self) -> dict[str, Any]:
        """Return the arguments that are not as by default."""
        pairs = ((field, getattr(self, field.name)) for field in fields(self))
        return {field.name: value for field, value in pairs if value != field.default}

    def need(self, trainable: Any) -> list[dict[str, float]]:
        """Return the bundles of resources that one member of ``trainable`` needs.

        Raises:
            ConfigError: the trainable says something else.
        """
        own = getattr(trainable, "resources", None)
        if own and (self.resources or self.bundles):
            raise ConfigError(
                f"with_resources({dict(own)}) and RayExecutor({'resources' if self.resources else 'bundles'}=…) both "
                "say what a member needs: keep one"
            )
        if self.bundles is not None:
            return [dict(bundle) for bundle in self.bundles]
        return [dict(self.resources or own or {"cpu": 1.0})]

    @staticmethod
    def shown(bundles: Sequence[Mapping[str, float]]) -> str:
        """Return what a member needs, in words.

        >>> Asked.shown([{"cpu": 1.0, "gpu": 0.5}, {"gpu": 1.0}])
        '1 cpu, 0.5 gpu + 1 gpu'
        """
        return " + ".join(", ".join(f"{amount:g} {name}" for name, amount in bundle.items()) for bundle in bundles)


def _checked(argument: str, need: Any) -> dict[str, float]:
    """Return resources by name, Ray's own in small letters."""
    if not isinstance(need, Mapping) or not need:
        raise ConfigError(f"RayExecutor({argument}{need!r}) needs a dict, such as {{'cpu': 1, 'gpu': 0.5}}")
    checked: dict[str, float] = {}
    for name, amount in need.items():
        known = isinstance(amount, (int, float)) and not isinstance(amount, bool)
        if not isinstance(name, str) or not known or not 0 <= amount < math.inf:
            raise ConfigError(
                f"RayExecutor({argument}{{{name!r}: {amount!r}}}): resources have a name, and a number of at least 0"
            )
        own = name.lower() if name.lower() in ("cpu", "gpu", "memory") else name
        checked[own] = float(amount)
        if own == "gpu" and amount > 1 and amount != int(amount):
            raise ConfigError(f"RayExecutor({argument}{{'gpu': {amount}}}): take a fraction below 1, or whole GPUs")
    if not any(checked.values()):
        raise ConfigError(f"RayExecutor({argument}{dict(need)}) asks for nothing: every member needs some resource")
    return checked
