"""A strategy that is an exploit rule and an explore rule."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from ramet.core.scene import COPY
from ramet.errors import ConfigError
from ramet.space import Path, Space
from ramet.strategy.base import Decision, Scene, Strategy
from ramet.strategy.constraints import Constraint, meeting
from ramet.strategy.exploit import Choice, Exploit, Truncation, quantile_size
from ramet.strategy.explore import Explore, inherit


class Composition(Strategy):
    """Whoever the ``exploit`` rule has a donor for becomes its clone, and ``explore`` changes what it took over.

    Attributes:
        exploit, explore: the rules.
        fraction: share of the population that may take the place of a failed member.
        private: keys that never travel.
        constraints: what founders have to meet; for clones that is in ``explore``.
        weights: (keep, fresh), what a clone's weights are made of.
    """

    exploit: Exploit = Truncation()
    explore: Explore
    fraction: float = 0.25
    private: tuple[Path, ...] = ()
    constraints: Sequence[Constraint] = ()
    weights: tuple[float, float] = COPY

    def take_mutations(self, mutations: Mapping[str, Any] | None, *instead: Any) -> Space:
        """Take over what may be changed, and return it as a space; ``instead`` are arguments that may stand for it.

        Raises:
            ConfigError: there is nothing to mutate, or what cannot be mutated.
        """
        who = type(self).__name__
        if not mutations and all(argument is None for argument in instead):
            or_else = " or custom_explore_fn: with neither" if instead else ": without it"
            raise ConfigError(
                f"{who} needs hyperparam_mutations (what may change, and within which domain){or_else} every clone "
                "would be a plain copy"
            )
        if mutations is not None and not isinstance(mutations, Mapping):
            raise ConfigError(
                f"hyperparam_mutations={mutations!r} is a {type(mutations).__name__}: give a "
                "dict from key to domain, list, function, or dict of these"
            )
        self.mutations = dict(mutations or {})
        return Space(None, self.mutations)  # refuses what cannot be mutated, before any work starts

    def founders(self, configs: Sequence[Mapping[str, Any]], space: Space, seed: int) -> list[Mapping[str, Any]]:
        """Return the configurations that members begin with: those that break a constraint are drawn again."""
        return meeting(self.constraints, configs, space, seed) if self.constraints else list(configs)

    def decide(self, scene: Scene) -> list[Decision]:
        """Return a clone for each ready member that the exploit rule has a donor for."""
        choices, decisions = self.exploit(scene), []
        if len(choices) > 1:
            changed = [m for m, c in choices.items() if (c.explores if c.donor is None else c.explores is not False)]
            scene = scene.expecting(changed, [("explore", *path) for path in scene.space.mutable])
        for member, choice in choices.items():
            if choice.donor is not None:
                score = scene.points[member].score
                told = None if math.isnan(score) else score
                decisions.append(self._clone(scene, member, choice, score=told))
            elif choice.explores:
                decisions.append(self._explored(scene, member, choice.reason))
            else:
                decisions.append(Decision(member, "skip" if choice.tried else "continue", choice.reason))
        return decisions

    def replace(self, scene: Scene, member: int) -> Decision | None:
        """Return a clone of a member of the highest quantile (of the best one, where that is empty)."""
        points = scene.points
        donors = points.best(max(quantile_size(len(points), self.fraction), 1))
        if not donors:
            return None
        donor = points.at(donors[scene.index(member, len(donors), "donor")])
        return self._clone(scene, member, Choice(donor, True, "took the place of a failed one"))

    def _clone(self, scene: Scene, member: int, choice: Choice, **info: Any) -> Decision:
        assert choice.donor is not None
        point, own = scene.points[choice.donor], scene.population.hparams(member)
        source = choice.donor if choice.source is None else choice.source
        base = own if source == member else inherit(scene.hparams(source), own, self.private)
        info = {"donor": choice.donor, "donor_score": point.score, **info}
        if source != choice.donor:
            info["source"] = source
        hparams, reason = base, choice.reason
        if choice.explores is not False:
            hparams, reason, more = self._changed(scene, member, base, reason)
            info |= more
        return Decision(member, "exploit", reason, point.checkpoint, hparams, info, self.weights)

    def _explored(self, scene: Scene, member: int, reason: str) -> Decision:
        hparams, reason, info = self._changed(scene, member, scene.hparams(member), reason)
        if not info["changed"]:  # nothing was drawn that differs
            return Decision(member, "continue", reason)
        return Decision(member, "explore", reason, scene.points[member].checkpoint, hparams, info)

    def _changed(
        self, scene: Scene, member: int, config: Mapping[str, Any], reason: str
    ) -> tuple[Mapping[str, Any], str, dict[str, Any]]:
        hparams, changed, *more = self.explore(scene, member, config)
        info = {"changed": changed, **(more[0] if more else {})}
        if "constraints" in info:
            reason = f"{reason}; constraints met after it was {info['constraints']}"
        return hparams, reason, info

    def describe(self) -> dict[str, Any]:
        """Return the strategy's name, settings and rules as plain data, for the record."""
        return {
            **super().describe(),
            "exploit": _told(self.exploit),
            "explore": _told(self.explore),
            "private": ["/".join(path) for path in self.private],
            **({"weights": list(self.weights)} if self.weights != COPY else {}),
            **({"constraints": [_told(each) for each in self.constraints]} if self.constraints else {}),
        }


def _told(rule: Any) -> str:
    """Return a rule as text that is the same wherever it is loaded: functions and objects by name, without address."""
    told = re.sub(r"<(?:[\w.]+\.)?(\w+) object at 0x\w+>", r"\1", repr(rule))
    return re.sub(r"<[a-z -]+? ([^ ]+)(?: of [^ ]+)? at 0x\w+>", r"\1", told)
