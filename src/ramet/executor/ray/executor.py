"""Members as actors on a Ray cluster: capacity follows the nodes, and what a lost one did is done again elsewhere."""

from __future__ import annotations

import math
import os
import pickle
import socket
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ramet import resources as capacity
from ramet.core.messages import PLACE, Assignment, Gone, Handover, Lease, Sent, Setup
from ramet.errors import ConfigError, RunError, TrainableError
from ramet.executor import pickling
from ramet.executor.base import Output
from ramet.executor.ray.asking import Asked
from ramet.executor.ray.words import HINT, HOPELESS, SAID_BY_US, is_memory, shown, why_lost
from ramet.executor.wire import heard
from ramet.store.checkpoints import CheckpointStore
from ramet.store.trees import remove

if TYPE_CHECKING:
    import ray

    from ramet.executor.ray.actor import Sign
    from ramet.executor.ray.cluster import Cluster
    from ramet.executor.ray.couriers import Couriers
    from ramet.executor.ray.seat import Seat

Message = Handover | Output | Sent | Gone

STILLBORN = 5
"""How many actors in a row may be lost before they have loaded the training function, while there is no other, until
the run is given up."""

LOSSES = 5
"""How often in a row a member may lose its place before it hands over a checkpoint, until that is its own failure."""

WAIT_SECONDS = 15.0
"""After how long without any slot it is said that the run waits for the cluster."""


class RayExecutor:
    """Runs members on the nodes of a Ray cluster, one long-lived actor to a slot; members share slots in turn.

    Args:
        slots: how many actors to ask for, at least 1. By default as many as the nodes that are there hold, and no more
            than there are members: nodes that join are used, and members of nodes that leave go on elsewhere. With a
            number that many are asked for whatever is there, so that a cluster that grows on demand grows.
        address: of the cluster, ``"host:6379"``, ``"ray://host:10001"`` or ``"auto"``. None: the one that this program
            is connected to, else the one of ``RAY_ADDRESS``, else the one running on this machine, else a new one here
            that ends with the run.
        resources: what one member needs, such as ``{"cpu": 2, "gpu": 0.5}``; also ``"memory"`` in bytes, and resources
            of the cluster's own. By default those of `ramet.with_resources`, else one CPU.
        bundles: instead of ``resources``, for a member that spans several GPUs or nodes, a list of such dicts. The
            training function runs in the first; the others are reserved for what it starts itself, in the placement
            group that `ramet.integrations.ray.placement_group` returns there.
        strategy: how bundles lie: ``"PACK"`` close together, ``"SPREAD"`` apart, ``"STRICT_PACK"`` on one node,
            ``"STRICT_SPREAD"`` each on a node of its own.
        runtime_env: what the actors are to find, as Ray has it: ``{"working_dir": ".", "pip": [...], "env_vars": {}}``.
        grows: whether the cluster gets nodes on demand: resources that no node has now are then waited for.

    Raises:
        ConfigError: an argument is out of its range, or two contradict each other.

    A function that dies, hangs or will not leave costs its worker process only, as in `ProcessExecutor`. A lost actor
    or node costs the work since the member's last checkpoint, and none of its ``max_failures``. The controller is an
    ordinary process, wherever the cluster can be reached from; when it dies, or the head does, resume the run. Large
    checkpoints are written to the run's folder: all nodes have to see it, or ``storage_path`` has to be a URL.

    >>> RayExecutor(slots=4, resources={"cpu": 2, "gpu": 0.5})
    RayExecutor(slots=4, resources={'cpu': 2.0, 'gpu': 0.5})
    """

    interactive = False
    kills = True
    together = False
    elastic = True
    fetches = True

    def __init__(
        self,
        slots: int | None = None,
        *,
        address: str | None = None,
        resources: Mapping[str, float] | None = None,
        bundles: Sequence[Mapping[str, float]] | None = None,
        strategy: str = "PACK",
        runtime_env: Mapping[str, Any] | None = None,
        grows: bool = False,
    ) -> None:
        self._asked = Asked(slots, address, resources, bundles, strategy, runtime_env, grows)
        self._cluster: Cluster | None = None
        self._bundles: list[dict[str, float]] = []
        self._trainable = b""
        self._payload: tuple[Any, Setup, Sign] | None = None
        self._couriers: Couriers | None = None
        self._seats: dict[int, Seat] = {}
        self._calls: dict[Any, Seat] = {}
        self._slots: tuple[int, ...] = ()
        self._slot_of: dict[int, int] = {}
        self._members = 0
        self._look_at = self._idle_since = 0.0
        self._stillborn = 0
        self._losses: dict[int, int] = {}

    def __reduce__(self) -> Any:
        return _made, (self._asked.given(),)  # what it was asked for, not what it is at

    def __repr__(self) -> str:
        return f"RayExecutor({', '.join(f'{name}={value!r}' for name, value in self._asked.given().items())})"

    # ------------------------------------------------------------------ before anything runs

    def wake(self, trainable: Any, members: int) -> None:
        """Connect to the cluster and ask for the actors: they start while the run is being set up.

        Raises:
            ConfigError: there is no cluster, or no node of it can ever give what a member needs.
        """
        self._reach(trainable)
        self._members = members
        self._follow()

    def prepare(
        self,
        trainable: Any,
        founders: Sequence[Mapping[str, Any]],
        rules: Sequence[Any],
        mutable: Collection[str] = (),
    ) -> None:
        """Pickle the trainable and the stop rules, and see that the cluster can run them.

        Raises:
            TrainableError: the trainable cannot be pickled; the message names what in it cannot.
            ConfigError: there is no cluster, no node of it can ever give what a member needs, or a configuration cannot
                be pickled.
        """
        del mutable
        self._trainable = pickling.prepared(trainable, founders, rules)
        self._reach(trainable)

    def _reach(self, trainable: Any) -> None:
        if self._cluster is not None:
            return
        bundles = self._asked.need(trainable)
        # What is lost is told of by the run itself, once; Ray would print pages over its table.
        os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", SAID_BY_US)
        try:
            from ramet.executor.ray.cluster import Cluster, room
        except ImportError as error:
            raise ConfigError(f"RayExecutor needs Ray ({error}): pip install 'ramet[ray]'") from error
        cpus = capacity.cpus() if capacity.is_initialized() else None
        cluster = Cluster.reach(self._asked.address, self._asked.runtime_env, cpus)
        nodes = cluster.nodes()
        if not self._asked.grows and not room(nodes, bundles, self._asked.strategy, 1):
            cluster.leave()
            there = "; ".join(sorted({shown(node.resources) for node in nodes}))
            raise ConfigError(
                f"a member needs {self._asked.shown(bundles)}, and no node of the Ray cluster can ever give that (it "
                f"has {len(nodes)}: {there}): ask for less, or add such a node; if it comes on demand, give "
                "RayExecutor(grows=True)"
            )
        self._cluster, self._bundles = cluster, bundles

    # ------------------------------------------------------------------ the executor's verbs

    def open(self, setup: Setup, trainable: Any, members: int) -> None:
        """Send the training function to the cluster, once; actors that are there load it, and others as they come."""
        if not self._trainable:
            self.prepare(trainable, (), setup.rules)
        import ray

        from ramet.executor.ray.actor import Sign

        self._sign = CheckpointStore(setup.store).scratch()  # who sees it sees the run's folder
        sign = Sign(str(self._sign), socket.gethostname())
        self._payload = (ray.put(self._trainable), setup._replace(rules=()), sign)
        if setup.home is not None:
            from ramet.executor.ray.couriers import Couriers

            self._couriers = Couriers(setup.home, setup.cache, self._environment())
        self._trainable, self._members = b"", members
        self._idle_since = time.monotonic()
        for seat in self._seats.values():
            self._call(seat, seat.serve(*self._payload))
        self._follow()

    def capacity(self) -> Sequence[int]:
        """Return the numbers of the slots whose actors are there."""
        return self._slots

    def start(self, slot: int, assignment: Assignment) -> None:
        """Send the assignment."""
        seat, checkpoint = self._seats[slot], assignment.checkpoint
        seat.begins(assignment.work, assignment.member, assignment.segment)
        self._slot_of[assignment.work] = slot
        from ramet.executor.ray.seat import order

        final = None if checkpoint is None or self._couriers is None else checkpoint.path
        message = order("start", assignment.work, assignment.member, pickling.start(assignment), final)
        self._call(seat, seat.say(message))

    def proceed(self, work: int, lease: Lease) -> None:
        """Send the new lease."""
        seat = self._seats[self._slot_of[work]]
        seat.listening = True
        self._say(seat, "proceed", work, *lease)

    def recall(self, work: int) -> None:
        """Tell the worker, once, to wait at its next report."""
        slot = self._slot_of.get(work)
        if slot is not None and not self._seats[slot].recalled:
            self._seats[slot].recalled = True
            self._say(self._seats[slot], "recall", work)

    def stop(self, work: int) -> None:
        """Tell the worker to unwind, and from now on ignore what it says of this work."""
        slot = self._slot_of.pop(work, None)
        if slot is None:
            return
        from ramet.executor.ray.seat import order

        seat = self._seats[slot]
        seat.work, seat.listening = None, False
        seat.held.append(order("stop", work))  # mostly another start follows at once

    def forget(self, names: Collection[str]) -> None:
        """Let the nodes delete their copies of large checkpoints that are kept no more."""
        if self._couriers is not None:
            self._couriers.forget(names)

    def settle(self, given_up: Callable[[], bool]) -> list[Sent | Gone]:
        """Wait until the checkpoints that nodes alone have are in the store, or that is given up; return what came."""
        if self._couriers is None or self._cluster is None:
            return []
        return self._couriers.settle({node.name for node in self._cluster.up}, given_up)

    def poll(self, timeout: float) -> list[Message]:
        """Wait for the first answer, then take all that are there."""
        import ray

        came: list[Message] = []
        if time.monotonic() >= self._look_at:
            self._look(came)
        for seat in self._seats.values():
            if seat.held:
                self._call(seat, seat.say())
        if not self._calls:
            time.sleep(0 if came else timeout)
            return came
        ready, others = ray.wait(list(self._calls), num_returns=1, timeout=0 if came else timeout)
        if ready and others:
            ready += ray.wait(others, num_returns=len(others), timeout=0)[0]
        for call in ready:
            self._answered(call, came)
        return came

    def close(self) -> None:
        """End all work, and give everything back. Functions that only have ``finally`` blocks to run get some time."""
        if self._cluster is None:
            return
        import ray

        from ramet.executor.ray.actor import CLOSING_SECONDS

        leaving = [seat.actor.close.remote() for seat in self._seats.values() if seat.where and seat.work is None]
        if leaving:
            ray.wait(leaving, num_returns=len(leaving), timeout=2 * CLOSING_SECONDS)
        if self._couriers is not None:
            self._couriers.close()
            self._couriers = None
        for seat in self._seats.values() if self._cluster.answers else ():
            seat.gone()
        self._seats, self._calls, self._slots, self._slot_of = {}, {}, (), {}
        self._losses, self._stillborn = {}, 0
        if self._payload is not None:
            remove(self._sign)
            self._payload = None
        cluster, self._cluster = self._cluster, None
        cluster.leave()

    # ------------------------------------------------------------------

    def _call(self, seat: Seat, call: ray.ObjectRef) -> None:
        self._calls[call] = seat

    def _say(self, seat: Seat, verb: str, work: int, *more: Any) -> None:
        from ramet.executor.ray.seat import order

        self._call(seat, seat.say(order(verb, work, *more)))

    def _answered(self, call: ray.ObjectRef, came: list[Message]) -> None:
        import ray

        seat = self._calls.pop(call, None)
        if seat is None or self._seats.get(seat.number) is not seat:
            return
        seat.calls -= 1
        try:
            answer = ray.get(call)
        except ray.exceptions.RayError as error:
            self._lost(seat, error, came)
            return
        if isinstance(answer, bytes):
            for message in pickle.loads(answer):
                self._take(seat, message, came)
            if seat.listening and not seat.calls:
                self._call(seat, seat.say())
        elif isinstance(answer, str):
            raise TrainableError(answer + (HINT if "cannot load the training function" in answer else ""))
        else:
            self._arrived(seat, answer)

    def _take(self, seat: Seat, message: tuple[Any, ...], came: list[Message]) -> None:
        if message[0] == "output":
            came.append(Output(seat.number, *message[1:]))
        elif message[0] == "unusable":
            raise TrainableError(message[1])
        elif message[1] == seat.work:
            handover = heard(message)
            if self._couriers is not None and seat.where is not None and seat.where.root is not None:
                handover = self._entrusted(seat, handover)
            if handover.fault == PLACE:
                handover = handover._replace(fault=self._fault(seat.member or 0))
            came.append(handover)
            if any(block.stored is not None for block in handover.blocks):
                self._losses.pop(seat.member or 0, None)
            over = handover.ended is not None or handover.error is not None
            if over:
                self._slot_of.pop(handover.work, None)
                seat.work = None
            if over or handover.waiting:
                seat.listening = seat.recalled = False

    def _entrusted(self, seat: Seat, handover: Handover) -> Handover:
        """Have the large checkpoints of a handover, which are on its node alone, sent; return it with their names."""
        assert self._couriers is not None
        assert seat.where is not None
        handover, new = seat.named(handover)
        if new:
            self._couriers.send(seat.where.node, new)
        return handover

    def _arrived(self, seat: Seat, where: Any) -> None:
        """An actor has loaded the training function: its slot can be used."""
        if not where.sees:
            assert self._payload is not None
            raise RunError(
                f"node {where.host} of the Ray cluster does not see the run's folder {self._payload[1].store}: give "
                "RunConfig(storage_path=…) a folder that all nodes share, or a URL such as s3://bucket/runs"
            )
        seat.where, self._stillborn = where, 0
        if self._couriers is not None and where.root is not None:
            self._couriers.hire(where.node, where.root)
        self._slots = tuple(sorted((*self._slots, seat.number)))

    # ------------------------------------------------------------------ nodes come and go

    def _look(self, came: list[Message]) -> None:
        """See which nodes there are, and act on it."""
        from ramet.executor.ray.cluster import LOOK_SECONDS

        assert self._cluster is not None
        now = time.monotonic()
        self._look_at = now + LOOK_SECONDS
        alive = {node.name for node in self._cluster.nodes()}
        for seat in list(self._seats.values()):
            if seat.where is not None and seat.where.node not in alive:
                self._lost(seat, None, came)
        if self._couriers is not None:
            came += self._couriers.look(alive)
        self._follow()
        if self._slots:
            self._idle_since = now
        elif now - self._idle_since > WAIT_SECONDS:
            self._idle_since = math.inf  # once
            need = self._asked.shown(self._bundles)
            came.append(Output(-1, None, f"ramet: the run waits for the Ray cluster, where nobody has {need} free\n"))

    def _follow(self) -> None:
        """Ask for as many actors as there is room for; let those go that have not come and never will."""
        from ramet.executor.ray.cluster import room
        from ramet.executor.ray.seat import Seat

        assert self._cluster is not None
        if not self._cluster.answers:
            return
        asked = self._asked
        if asked.slots is not None:
            wanted = asked.slots
        else:
            wanted = room(self._cluster.nodes(), self._bundles, asked.strategy, self._members)
            wanted = max(wanted, 1)  # it is asked for until it comes
        number = 0
        while len(self._seats) < wanted:
            if number not in self._seats:
                folder = None if "working_dir" in (asked.runtime_env or {}) else os.getcwd()
                seat = Seat.ask_for(number, self._bundles, asked.strategy, self._environment(), folder)
                self._seats[number] = seat
                if self._payload is not None:
                    self._call(seat, seat.serve(*self._payload))
            number += 1
        coming = [seat for seat in self._seats.values() if seat.where is None and seat.work is None]
        for seat in sorted(coming, key=lambda seat: -seat.number)[: max(0, len(self._seats) - wanted)]:
            self._forget(seat)

    def _environment(self) -> dict[str, Any] | None:
        """Return what actors need besides what all of this program's have."""
        known = self._cluster is not None and self._cluster.ours
        return None if known or not self._asked.runtime_env else dict(self._asked.runtime_env)

    def _fault(self, member: int) -> str | None:
        """Return whose fault the loss of a place is: in the end the member's."""
        self._losses[member] = self._losses.get(member, 0) + 1
        return None if self._losses[member] >= LOSSES else PLACE

    def _lost(self, seat: Seat, error: Exception | None, came: list[Message]) -> None:
        """An actor is gone: tell of its work, if it had any, and ask for another."""
        self._forget(seat)
        why = "its node was lost" if error is None else why_lost(error)
        host = "" if seat.where is None else f" on {seat.where.host}"
        self._stillborn += seat.where is None and not self._slots
        if self._stillborn >= STILLBORN or why.startswith(HOPELESS):
            raise TrainableError(f"no actor can be started on the Ray cluster, because {why}{HINT}")
        if seat.work is not None:
            assert seat.member is not None
            self._slot_of.pop(seat.work, None)
            fault = None if is_memory(error) else self._fault(seat.member)
            times = self._losses.get(seat.member, 0)
            often = f" (for the {times}th time without a checkpoint in between)" if times >= LOSSES else ""
            text = f"the Ray actor of slot {seat.number}{host} was lost: {why}{often}"
            came.append(Handover(seat.work, error=text, fault=fault))
        if seat.where is not None:  # else it is asked for again after a while
            self._follow()

    def _forget(self, seat: Seat) -> None:
        del self._seats[seat.number]
        self._calls = {call: other for call, other in self._calls.items() if other is not seat}
        if seat.number in self._slots:
            self._slots = tuple(number for number in self._slots if number != seat.number)
        seat.gone()


def _made(given: dict[str, Any]) -> RayExecutor:
    return RayExecutor(**given)
