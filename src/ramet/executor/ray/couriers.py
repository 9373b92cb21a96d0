"""The controller's view of the nodes' couriers: what each is to send, and what is lost if its node is."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Iterable
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from ramet.core.messages import Gone, Sent
from ramet.errors import StorageError
from ramet.executor.ray.courier import Courier
from ramet.store.remote import Remote

Name = tuple[int, int]

DRAIN_SECONDS = 60.0
"""How long the end of a run waits for couriers none of which gets anything sent."""

CLOSING_SECONDS = 10.0
"""How long they may take to delete the copies."""

_courier: Any = ray.remote(Courier)


class Couriers:
    """By node, the actor that sends its checkpoints to ``home``, and those that are not known to be there yet."""

    def __init__(self, home: str, cache: int | None, runtime_env: dict[str, Any] | None) -> None:
        self.home, self.cache = home, cache
        self._environment = {} if runtime_env is None else {"runtime_env": runtime_env}
        self._remote = Remote(home)
        self._actors: dict[str, Any] = {}
        self._roots: dict[str, str] = {}
        self._unsent: dict[str, dict[str, Name]] = {}
        self._bytes: dict[str, int] = {}
        self._asked: dict[Any, str] = {}

    def hire(self, node: str, root: str) -> None:
        """See that there is a courier for ``node``, whose copies lie in the folder ``root``."""
        if node not in self._actors:
            self._roots[node], self._unsent[node] = root, {}
            self._actors[node] = self._hired(node)

    def send(self, node: str, new: dict[str, Name]) -> None:
        """Have the checkpoints ``new``, which were committed on ``node``, sent."""
        self._unsent[node].update(new)
        self._actors[node].send.remote(list(new))

    def _hired(self, node: str) -> Any:
        there = NodeAffinitySchedulingStrategy(node, soft=False)
        options = {"num_cpus": 0, "scheduling_strategy": there, **self._environment}
        return _courier.options(**options).remote(self._roots[node], self.home, self.cache)

    def look(self, alive: Collection[str]) -> list[Sent | Gone]:
        """Return what the couriers have sent, and what is lost with nodes that are gone, or damaged there."""
        gone: list[Sent | Gone] = []
        for node in [node for node in self._actors if node not in alive]:
            gone += self._bereaved(node)
        if self._asked:
            for call in ray.wait(list(self._asked), num_returns=len(self._asked), timeout=0)[0]:
                gone += self._heard(self._asked.pop(call), call)
        waiting = set(self._asked.values())
        for node, actor in self._actors.items():
            if self._unsent[node] and node not in waiting:
                self._asked[actor.told.remote()] = node
        return gone

    def _heard(self, node: str, call: Any) -> list[Sent | Gone]:
        if node not in self._actors:
            return []
        try:
            told = ray.get(call)
        except ray.exceptions.RayError:  # the courier is lost, not its node: another one takes its place
            self._actors[node] = self._hired(node)
            self._actors[node].send.remote(list(self._unsent[node]))
            return []
        unsent = self._unsent[node]
        sent = [final for final in told.sent if final in unsent]
        self._bytes[node] = told.bytes
        heard: list[Sent | Gone] = [Sent(tuple(unsent.pop(final) for final in sent), tuple(sent))] if sent else []
        lost = {final: why for final, why in told.lost.items() if final in unsent}
        return heard + [Gone((unsent.pop(final),), why) for final, why in lost.items()]

    def _bereaved(self, node: str) -> list[Sent | Gone]:
        """A node is gone, and its courier: what had not been sent is lost."""
        del self._actors[node]
        unsent = self._unsent.pop(node)
        there = {final for final in unsent if self._holds(final)}
        gone = tuple(name for final, name in unsent.items() if final not in there)
        sent: list[Sent | Gone] = [Sent(tuple(unsent[final] for final in there), tuple(there))] if there else []
        return sent + ([Gone(gone, f"its node was lost before it was sent to {self.home}")] if gone else [])

    def _holds(self, final: str) -> bool:
        with contextlib.suppress(StorageError):
            return self._remote.holds(final)
        return True  # whoever needs it will find out

    def forget(self, finals: Iterable[str]) -> None:
        """Have the nodes delete what is kept no more, and not send it if they have not."""
        names = list(finals)
        for node, actor in self._actors.items():
            actor.forget.remote(names)
            for final in names:
                self._unsent[node].pop(final, None)

    def settle(self, alive: Collection[str], given_up: Callable[[], bool]) -> list[Sent | Gone]:
        """Wait until everything is sent, as long as something is being sent; return what came of it."""
        came: list[Sent | Gone] = []
        state, since = self._state(), time.monotonic()
        while any(self._unsent.values()) and time.monotonic() - since < DRAIN_SECONDS and not given_up():
            came += self.look(alive)
            if self._asked:
                ray.wait(list(self._asked), num_returns=1, timeout=0.2)
            if self._state() != state:
                state, since = self._state(), time.monotonic()
        return came

    def _state(self) -> tuple[int, int]:
        return sum(map(len, self._unsent.values())), sum(self._bytes.values())

    def close(self) -> None:
        """Let them go, and the nodes' copies."""
        calls = [actor.close.remote() for actor in self._actors.values()]
        if calls:
            ray.wait(calls, num_returns=len(calls), timeout=CLOSING_SECONDS)
        for actor in self._actors.values():
            with contextlib.suppress(Exception):
                ray.kill(actor)
        self._actors.clear()
