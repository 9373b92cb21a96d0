"""Explore rules: what a clone does to the hyperparameters that it took over."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ramet.errors import ConfigError, StrategyError
from ramet.space import Path, copied, get, with_values
from ramet.strategy.base import Scene

Config = Mapping[str, Any]


def inherit(donor: Config, own: Config, private: Sequence[Path]) -> Config:
    """Return the donor's configuration with the ``private`` keys of the member that takes it over.

    Everything else travels with the weights: an architecture must match them.
    """
    kept = {path: value for path in private if (value := get(own, path, _ABSENT)) is not _ABSENT}
    return with_values(donor, kept)


_ABSENT: Any = object()


@dataclass(frozen=True, slots=True)
class Mutation:
    """Each mutable key by itself: drawn anew with some probability, else perturbed within its domain.

    Args:
        resample_probability: chance in [0, 1] that a key is drawn anew from its domain.
        factors: positive factors, one of which is drawn for each perturbed number; a larger spread explores faster.
        custom: function of the mutated configuration that returns the one to use; it runs with the global generators
            seeded for that draw, and what it gives a mutable key is brought into the key's domain.

    Each key has a stream of its own: perturbing one never changes what another draws.

    Source: Jaderberg et al. (2017), "Population Based Training of Neural Networks", section 4.1.1 (perturb by 0.8 or
    1.2, resample). Differs from the paper in that the result is always in the key's domain and always has its type.
    """

    resample_probability: float = 0.25
    factors: Sequence[float] = (1.2, 0.8)
    custom: Callable[[dict[str, Any]], dict[str, Any]] | None = None

    def __post_init__(self) -> None:
        p = self.resample_probability
        if isinstance(p, bool) or not isinstance(p, (int, float)) or not 0 <= p <= 1:
            raise ConfigError(f"resample_probability={p!r} is not a probability: give a number in [0, 1]")
        factors = self.factors
        if isinstance(factors, str) or not isinstance(factors, Sequence) or not factors:
            raise ConfigError(f"perturbation_factors={factors!r} must be a non-empty sequence, such as (1.2, 0.8)")
        for factor in factors:
            if isinstance(factor, bool) or not isinstance(factor, (int, float)) or not 0 < factor < float("inf"):
                raise ConfigError(f"perturbation_factors={factors!r} holds {factor!r}: every factor must be above 0")
        if self.custom is not None and not callable(self.custom):
            raise ConfigError(
                f"custom_explore_fn={self.custom!r} is not callable: give a function of the configuration"
            )

    def __call__(self, scene: Scene, member: int, config: Config) -> tuple[Config, dict[str, Any]]:
        """Return the configuration to train with, and by changed key what was done to it (from, to, how)."""
        values: dict[Path, Any] = {}
        for path, domain in scene.space.mutable.items():
            rng = scene.generator(member, "explore", *path)
            if rng.random() < self.resample_probability:
                values[path] = domain.sample(rng)
            else:
                values[path] = domain.perturb(get(config, path), rng, self.factors)
        mutated: Config = with_values(config, values)
        if self.custom is not None:
            mutated = customised(self.custom, scene, member, mutated)
        changed = {
            "/".join(path): [get(config, path), get(mutated, path, None)]
            for path in scene.space.mutable
            if get(mutated, path, None) is not get(config, path)
        }
        return mutated, changed


def customised(custom: Callable[[dict[str, Any]], dict[str, Any]], scene: Scene, member: int, config: Config) -> Config:
    """Return what the user's function ``custom`` makes of the configuration, its mutable keys within their domains.

    Raises:
        StrategyError: the function raised, or returned no configuration, or one that lacks a mutable key: the user's
            fault.
    """
    try:
        result = scene.space.call(custom, scene.generator(member, "custom_explore_fn"), (copied(config),))
    except Exception as error:
        raise StrategyError(
            f"custom_explore_fn={custom!r} raised {type(error).__name__}: {error}; it was given {config}"
        ) from error
    if not isinstance(result, Mapping):
        raise StrategyError(
            f"custom_explore_fn={custom!r} returned {type(result).__name__}, not a configuration: it must "
            "return the dict that the clone trains with"
        )
    lost = ["/".join(path) for path in scene.space.mutable if get(result, path, _ABSENT) is _ABSENT]
    if lost:
        raise StrategyError(
            f"custom_explore_fn={custom!r} returned a configuration without {lost}: it must return all that "
            "the clone trains with, changed or not"
        )
    return with_values(result, {path: domain.clip(get(result, path)) for path, domain in scene.space.mutable.items()})
