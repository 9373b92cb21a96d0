"""What configurations must keep to, as functions of them: met by drawing again, or by taking back what breaks them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ramet.draws import entropy, generator
from ramet.errors import ConfigError, StrategyError
from ramet.space import Space, copied, get, with_values
from ramet.strategy.base import Scene
from ramet.strategy.explore import Config, Explore, Explored, Mutation, PerKey, Then, changes

Constraint = Callable[[dict[str, Any]], Any]

TRIES = 100
"""How often a configuration is drawn anew before it is repaired."""


@dataclass(frozen=True, slots=True)
class Constrained:
    """An explore rule whose result meets all ``constraints``: functions of the configuration, true where it may be.

    What ``explore`` gives is drawn anew until it does. If none of the first ten draws does, what it changed is taken
    over key by key, as far as the constraints allow. If what it began from breaks them already, as a donor's values may
    beside the member's own private ones, drawing goes on, and at last the member keeps its own values where it must.

    Raises:
        StrategyError: a constraint raised, or nothing that was drawn meets them all.

    >>> Constrained(lambda scene, member, config: (config, {}), [lambda c: c["batch"] % c["minibatch"] == 0]).tries
    10
    """

    explore: Explore
    constraints: Sequence[Constraint]
    tries: int = 10

    def __call__(self, scene: Scene, member: int, config: Config) -> Explored:
        """Return the configuration, what was changed, and how it came to meet the constraints."""
        for attempt in range(TRIES):
            after, _, *more = self.explore(scene.again(attempt) if attempt else scene, member, config)
            info: dict[str, Any] = dict(*more)  # what the rule wants to remember, for its next decision
            if broken(self.constraints, after) is None:
                told = {"constraints": "drawn again"} if attempt else {}
                return after, changes(scene, config, after), {**info, **told}
            if attempt == self.tries - 1 and broken(self.constraints, config) is None:
                after = _repaired(self.constraints, scene, config, after)
                return after, changes(scene, config, after), {**info, "constraints": "repaired"}
        if (met := own_instead(self.constraints, scene, member, config)) is not None:
            return met, changes(scene, config, met), {**info, "constraints": "repaired"}
        raise StrategyError(
            f"constraints: none of {TRIES} configurations for member {member} meets {_name(self.constraints, after)}; "
            f"the last was {after}. Give domains in which the constraints are met more often"
        )


def _repaired(constraints: Sequence[Constraint], scene: Scene, before: Config, after: Config) -> Config:
    """Return ``before`` with as many of the changed keys as the constraints allow, in the order of the space."""
    kept = before
    for path in scene.space.mutable:
        trial = with_values(kept, {path: get(after, path)})
        if broken(constraints, trial) is None:
            kept = trial
    return kept


def own_instead(constraints: Sequence[Constraint], scene: Scene, member: int, config: Config) -> Config | None:
    """Return ``config`` with the member's own mutable values where the constraints ask for them; None if that breaks
    them too.
    """
    now = scene.population.hparams(member)
    own = with_values(config, {path: get(now, path, get(config, path)) for path in scene.space.mutable})
    return None if broken(constraints, own) is not None else _repaired(constraints, scene, own, config)


def broken(constraints: Sequence[Constraint], config: Config) -> Constraint | None:
    """Return the first constraint that ``config`` does not meet.

    Raises:
        StrategyError: a constraint raised.
    """
    for constraint in constraints:
        try:
            met = bool(constraint(copied(config)))
        except Exception as error:
            raise StrategyError(
                f"constraints: {_told(constraint)} raised {type(error).__name__}: {error}; it was given {config}"
            ) from error
        if not met:
            return constraint
    return None


def meeting(
    constraints: Sequence[Constraint], configs: Sequence[Config], space: Space, seed: int
) -> list[Mapping[str, Any]]:
    """Return the founders' ``configs``, those that break a constraint drawn anew.

    Raises:
        ConfigError: a founder breaks one, however often it is drawn; or a constraint raised.
    """
    found: list[Mapping[str, Any]] = []
    try:
        for index, config in enumerate(configs):
            attempt = 0
            while (wrong := broken(constraints, config)) is not None:
                attempt += 1
                if attempt > TRIES:
                    raise ConfigError(
                        f"constraints: founder {index} breaks {_told(wrong)} in each of {TRIES} draws, such as "
                        f"{config}: give a param_space in which it can be met"
                    )
                config = _again(space, entropy(seed, "constraints", attempt), index, len(configs))
            found.append(config)
    except StrategyError as error:
        raise ConfigError(str(error)) from error
    return found


def _again(space: Space, seed: int, index: int, members: int) -> Config:
    """Return another draw of the founder ``index``, with the same values of the grid."""
    return space.founders(max(members // space.members(1), 1), seed)[index]


def _name(constraints: Sequence[Constraint], config: Config) -> str:
    wrong = broken(constraints, config)
    return "all constraints" if wrong is None else _told(wrong)


def _told(constraint: Constraint) -> str:
    return getattr(constraint, "__qualname__", None) or repr(constraint)


def checked(constraints: Any) -> tuple[Constraint, ...]:
    """Return ``constraints`` as a tuple of functions.

    Raises:
        ConfigError: it is none.
    """
    if callable(constraints):
        constraints = (constraints,)
    if isinstance(constraints, (str, Mapping)) or not isinstance(constraints, Sequence):
        raise ConfigError(f"constraints={constraints!r} must be a list of functions of the configuration")
    for constraint in constraints:
        if not callable(constraint):
            raise ConfigError(
                f"constraints holds {constraint!r}: give functions of the configuration, such as "
                "lambda c: c['batch'] % c['minibatch'] == 0"
            )
    return tuple(constraints)


def explore_of(given: Any, mutation: Mutation, constraints: Sequence[Constraint], space: Space) -> Explore:
    """Return the explore rule that a strategy's arguments come to.

    Args:
        given: the argument ``explore``: None for ``mutation``, a dict from key to rule, a rule, or a list of rules.
        mutation: what there is without it.
        constraints: what the result has to meet.
        space: what may be changed.

    Raises:
        ConfigError: it is none of these, or a rule cannot work in its domain.
    """
    explore: Explore = mutation
    if isinstance(given, Mapping):
        unknown = sorted(given.keys() - {"/".join(path) for path in space.mutable})
        if unknown:
            raise ConfigError(f"explore={{{unknown[0]!r}: …}} is not among hyperparam_mutations: add it there")
        explore = PerKey(dict(given), mutation)
        for path, domain in space.mutable.items():
            if (rule := given.get("/".join(path))) is not None:  # what cannot work is refused before any work
                rng = generator(0, "probe", *path)
                rule(domain, domain.sample(rng), rng)
    elif isinstance(given, Sequence) and given and all(map(callable, given)):
        explore = Then(tuple(given))
    elif callable(given):
        explore = given
    elif given is not None:
        raise ConfigError(f"explore={given!r} must be a rule, a list of rules, or a dict from key to rule")
    return Constrained(explore, constraints) if constraints else explore
