"""Explore rules: what a clone does to the hyperparameters that it took over.

A rule is a frozen value, called with the scene, the member and the configuration. It returns the configuration to train
with, what it changed, and if there is more to say of it, plain data that is kept with the decision.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ramet.domains.values import same
from ramet.errors import ConfigError, StrategyError
from ramet.space import Path, copied, get, with_values
from ramet.strategy.base import Scene
from ramet.strategy.rules import Perturb, Rule, check_probability

Config = Mapping[str, Any]
Changed = dict[str, Any]
Explored = tuple[Config, Changed] | tuple[Config, Changed, dict[str, Any]]


class Explore(Protocol):
    """What becomes of the hyperparameters; see the module."""

    def __call__(self, scene: Scene, member: int, config: Config) -> Explored:
        """Return the configuration to train with, and by changed key (from, to)."""


def inherit(donor: Config, own: Config, private: Sequence[Path]) -> Config:
    """Return the donor's configuration with the ``private`` keys of the member that takes it over.

    Everything else travels with the weights: an architecture must match them.
    """
    kept = {path: value for path in private if (value := get(own, path, _ABSENT)) is not _ABSENT}
    return with_values(donor, kept)


_ABSENT: Any = object()
_NO_RULES: Mapping[str, Rule] = {}


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
        check_probability("resample_probability", self.resample_probability)
        Perturb(self.factors)
        if self.custom is not None and not callable(self.custom):
            raise ConfigError(
                f"custom_explore_fn={self.custom!r} is not callable: give a function of the configuration"
            )

    def __call__(self, scene: Scene, member: int, config: Config) -> Explored:
        """Return the configuration to train with, and by changed key what was done to it (from, to)."""
        return self.mutated(scene, member, config, {})

    def mutated(self, scene: Scene, member: int, config: Config, rules: Mapping[str, Rule]) -> Explored:
        """Return the same, with another rule for some keys."""
        mutated = self.among(scene, member, config, scene.space.mutable, rules)
        if self.custom is not None:
            mutated = customised(self.custom, scene, member, mutated)
        return mutated, changes(scene, config, mutated)

    def among(
        self, scene: Scene, member: int, config: Config, keys: Collection[Path], rules: Mapping[str, Rule] = _NO_RULES
    ) -> Config:
        """Return the configuration with ``keys`` alone mutated."""
        values: dict[Path, Any] = {}
        for path in keys:
            domain, rng = scene.space.mutable[path], scene.generator(member, "explore", *path)
            if rules and (rule := rules.get("/".join(path))) is not None:
                values[path] = rule(domain, get(config, path), rng)
            elif rng.random() < self.resample_probability:
                values[path] = domain.sample(rng)
            else:
                values[path] = domain.perturb(get(config, path), rng, self.factors)
        return with_values(config, values)


@dataclass(frozen=True, slots=True)
class PerKey:
    """A rule of its own for some keys, and for all others what ``otherwise`` does to them.

    Args:
        rules: key -> rule (`Resample()`, `OneMinus()`, …).
        otherwise: how the others are mutated.

    >>> from ramet.schedulers import OneMinus
    >>> PerKey({"gamma": OneMinus()}).rules
    {'gamma': OneMinus(rule=Perturb(factors=(1.2, 0.8)))}
    """

    rules: Mapping[str, Rule]
    otherwise: Mutation = field(default_factory=Mutation)

    def __post_init__(self) -> None:
        for key, rule in self.rules.items():
            if not callable(rule):
                raise ConfigError(
                    f"explore={{{key!r}: {rule!r}}} is no rule: give one of ramet.schedulers, such as OneMinus()"
                )

    def __call__(self, scene: Scene, member: int, config: Config) -> Explored:
        """Return the configuration to train with, and by changed key what was done to it (from, to)."""
        return self.otherwise.mutated(scene, member, config, self.rules)


def changes(scene: Scene, before: Config, after: Config) -> Changed:
    """Return by mutable key that has another value (from, to)."""
    return {
        "/".join(path): [was, now]
        for path in scene.space.mutable
        if not same(now := get(after, path, None), was := get(before, path))
    }


@dataclass(frozen=True, slots=True)
class Then:
    """Several explore rules, one after the other."""

    steps: Sequence[Explore]

    def __call__(self, scene: Scene, member: int, config: Config) -> Explored:
        """Return what the last one makes of it."""
        after, noted = config, dict[str, Any]()
        for number, step in enumerate(self.steps):
            # A second rule of the same kind would draw the first one's numbers.
            after, _, *more = step(scene.again(1_000_000 * number + scene.attempt) if number else scene, member, after)
            noted |= more[0] if more else {}
        return after, changes(scene, config, after), noted


@dataclass(frozen=True, slots=True)
class Custom:
    """A function of the configuration that returns the one to use; see `Mutation`."""

    function: Callable[[dict[str, Any]], dict[str, Any]]

    def __call__(self, scene: Scene, member: int, config: Config) -> Explored:
        """Return what the function makes of it, brought into the domains."""
        after = customised(self.function, scene, member, config)
        return after, changes(scene, config, after)


def customised(
    function: Callable[[dict[str, Any]], dict[str, Any]], scene: Scene, member: int, config: Config
) -> Config:
    """Return what the user's ``function`` makes of ``config``, every mutable key in its domain.

    Raises:
        StrategyError: it raised, or returned what is no such configuration: the fault of the one who wrote it.
    """
    try:
        result = scene.space.call(function, scene.generator(member, "custom_explore_fn"), (copied(config),))
    except Exception as error:
        raise StrategyError(
            f"custom_explore_fn={function!r} raised {type(error).__name__}: {error}; it was given {config}"
        ) from error
    if not isinstance(result, Mapping):
        raise StrategyError(
            f"custom_explore_fn={function!r} returned {type(result).__name__}, not a configuration: it must "
            "return the dict that the clone trains with"
        )
    lost = ["/".join(path) for path in scene.space.mutable if get(result, path, _ABSENT) is _ABSENT]
    if lost:
        raise StrategyError(
            f"custom_explore_fn={function!r} returned a configuration without {lost}: it must return all that "
            "the clone trains with, changed or not"
        )
    return with_values(result, {path: domain.clip(get(result, path)) for path, domain in scene.space.mutable.items()})
