"""A slot of the cluster as the controller sees it: its actor, the calls under way, the work that is done there."""

from __future__ import annotations

import contextlib
import os
import pickle
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import ray
from ray.util.placement_group import PlacementGroup, placement_group, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from ramet.core.messages import Handover, Setup
from ramet.executor.ray.actor import Place, Sign, Where

GROUP = "RAMET_PLACEMENT_GROUP"
"""The variable that tells a training function the placement group of its member."""

_actor: Any = ray.remote(Place)


@dataclass(slots=True, eq=False)
class Seat:
    """One slot: ``where`` it is once its actor is there, and the ``work`` of a ``member`` that is done in it.

    ``held`` is what will be said with the next call. ``listening``: something is expected of its work.
    """

    number: int
    actor: Any
    group: PlacementGroup | None
    where: Where | None = None
    work: int | None = None
    member: int | None = None
    segment: int = 0
    listening: bool = False
    recalled: bool = False
    held: list[bytes] = field(default_factory=list)
    calls: int = 0

    @classmethod
    def ask_for(
        cls,
        number: int,
        bundles: Sequence[Mapping[str, float]],
        strategy: str,
        runtime_env: Mapping[str, Any] | None,
        folder: str | None,
    ) -> Seat:
        """Ask for an actor with the resources of the first bundle, and for the others beside it. It does not wait.

        Its working directory is to be ``folder``, where that is there.
        """
        environment: dict[str, str] = {}
        options: dict[str, Any] = {**_options(bundles[0]), "max_restarts": 0, "max_task_retries": 0}
        if runtime_env:
            options["runtime_env"] = dict(runtime_env)
        group = None
        if len(bundles) > 1:
            group = placement_group([_bundle(bundle) for bundle in bundles], strategy=strategy)
            environment[GROUP] = group.id.hex()
            options["scheduling_strategy"] = PlacementGroupSchedulingStrategy(
                group, placement_group_bundle_index=0, placement_group_capture_child_tasks=True
            )
        preload = [name for name in ("ramet.compat.ray_installed",) if name in sys.modules]
        actor = _actor.options(**options).remote(number, sys.path, folder, environment, preload)
        return cls(number, actor, group)

    def serve(self, trainable: ray.ObjectRef, setup: Setup, sign: Sign) -> ray.ObjectRef:
        """Let it load the training function; the answer tells where it is."""
        self.calls += 1
        return self.actor.serve.remote(trainable, setup, sign)

    def say(self, *messages: bytes) -> ray.ObjectRef:
        """Pass messages on, with those that are held, and listen."""
        said, self.held = [*self.held, *messages], []
        self.calls += 1
        return self.actor.turn.remote(said)

    def begins(self, work: int, member: int, segment: int) -> None:
        """From now on it works on this."""
        self.work, self.member, self.segment, self.listening, self.recalled = work, member, segment, True, False

    def named(self, handover: Handover) -> tuple[Handover, dict[str, tuple[int, int]]]:
        """Return a handover with its large checkpoints by name, as being away; and these, by that name."""
        blocks, new = list(handover.blocks), dict[str, tuple[int, int]]()
        for at, block in enumerate(blocks):
            stored = block.stored
            if stored is not None and stored.path is not None:
                final = os.path.basename(stored.path)
                new[final] = (self.segment, block.last)
                blocks[at] = block._replace(stored=stored._replace(path=final, away=True))
        return handover._replace(blocks=tuple(blocks)), new

    def gone(self) -> None:
        """Give back what it holds of the cluster; it may be lost already."""
        with contextlib.suppress(Exception):
            ray.kill(self.actor)
        if self.group is not None:
            with contextlib.suppress(Exception):
                remove_placement_group(self.group)


def order(verb: str, work: int, *more: Any) -> bytes:
    """Return what is said to an actor, as bytes."""
    return pickle.dumps((verb, work, *more), protocol=5)


def _options(need: Mapping[str, float]) -> dict[str, Any]:
    """Return resources as the options of an actor have them."""
    named = {"cpu": "num_cpus", "gpu": "num_gpus", "memory": "memory"}
    options: dict[str, Any] = {"num_cpus": 0} | {named[name]: need[name] for name in need if name in named}
    return options | {"resources": {name: amount for name, amount in need.items() if name not in named}}


def _bundle(need: Mapping[str, float]) -> dict[str, float]:
    """Return resources as a placement group has them."""
    return {key(name): amount for name, amount in need.items() if amount}


def key(name: str) -> str:
    """Return what Ray calls a resource: its own are in capitals.

    >>> key("gpu"), key("memory"), key("a100")
    ('GPU', 'memory', 'a100')
    """
    return name.upper() if name in ("cpu", "gpu") else name
