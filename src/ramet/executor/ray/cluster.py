"""A Ray cluster: reached or started, its nodes counted while it is in use, left again."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import ray

from ramet.errors import ConfigError, RunError
from ramet.executor.ray.seat import key
from ramet.executor.ray.words import SAID_BY_US

LOOK_SECONDS = 1.0
"""How often the nodes are counted."""

SILENT_SECONDS = 20.0
"""How long the head may say nothing; one that was started again is back by then. Ray's own library ends the whole
process after 60."""

CONNECT_SECONDS = 5.0

_connecting = threading.Lock()
_sharing: list[Cluster] = []
"""Those that use the connection which one of them made; the last one ends it."""


class Node(NamedTuple):
    """A node that is up, and all the resources that it has, in use or not."""

    name: str
    host: str
    resources: Mapping[str, float]


class Cluster:
    """The cluster that this process is connected to. A thread counts its nodes, for the head may be slow to answer."""

    def __init__(self, *, ours: bool) -> None:
        self.ours = ours
        self._nodes = _nodes()
        self._heard = self._asked = time.monotonic()
        self._trouble = ""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._count, name="ramet-nodes", daemon=True)
        self._thread.start()

    @classmethod
    def reach(cls, address: str | None, runtime_env: Mapping[str, Any] | None, cpus: float | None = None) -> Cluster:
        """Connect to the cluster at ``address``; None is the one that is running here, or else a new one here.

        Raises:
            ConfigError: there is none, it is another version's, or the real Ray is not there.
        """
        if not isinstance(getattr(ray, "__version__", None), str) or not hasattr(ray, "get_runtime_context"):
            raise ConfigError(
                "RayExecutor needs Ray itself, and `ray` is Ramet's stand-in for it in this process: run the script "
                "with python, not with python -m ramet.compat.ray"
            )
        with _connecting:  # several runs of one program share a connection
            ours = not ray.is_initialized()
            try:
                if ours:
                    with _signals_kept():
                        _connect(address, runtime_env, cpus)
                else:
                    _check_same(address)
                    _check_can_be_added(runtime_env)
                _hush()
                cluster = cls(ours=ours)
            except BaseException:  # such as Ctrl-C
                if ours:
                    with _signals_kept():
                        ray.shutdown()
                raise
            if ours or _sharing:
                _sharing.append(cluster)
        return cluster

    @property
    def up(self) -> list[Node]:
        """The nodes that were up when they were last counted, however long that is ago."""
        return self._nodes

    @property
    def answers(self) -> bool:
        """Whether the head was there a moment ago; who asks it for something while it is not stands still."""
        return time.monotonic() - self._heard < 3 * LOOK_SECONDS

    def nodes(self) -> list[Node]:
        """Return the nodes that were up when they were last counted.

        Raises:
            RunError: the head has not answered for a long time.
        """
        now, before = time.monotonic(), self._asked
        self._asked = now
        if now - before > SILENT_SECONDS:  # nor has this process done anything: it was stopped
            self._heard = now
        silent = now - self._heard
        if silent > SILENT_SECONDS:
            why = f" ({self._trouble})" if self._trouble else ""
            raise RunError(
                f"the head of the Ray cluster has not answered for {silent:.0f} s{why}: bring it back, or start "
                "another one, and take the run up again"
            )
        return self._nodes

    def _count(self) -> None:
        while not self._over.wait(LOOK_SECONDS):
            try:
                self._nodes = _nodes()
                self._heard = time.monotonic()
            except Exception as error:  # the head is away; `nodes` says so once it has been for long
                self._trouble = str(error).partition("\n")[0][:200]

    def leave(self) -> None:
        """Disconnect, and end the cluster if it was started here. One that the user is connected to stays as it is."""
        self._over.set()
        self._thread.join(LOOK_SECONDS)
        with _connecting:
            if self in _sharing:
                _sharing.remove(self)
                if not _sharing:
                    with _signals_kept():
                        ray.shutdown()


def room(nodes: Sequence[Node], bundles: Sequence[Mapping[str, float]], strategy: str, most: int) -> int:
    """Return how many members the nodes hold, at most ``most``, if nobody else uses them.

    >>> nodes = [Node("a", "a", {"CPU": 4.0, "GPU": 1.0}), Node("b", "b", {"CPU": 2.0})]
    >>> room(nodes, [{"cpu": 1}], "PACK", 9), room(nodes, [{"cpu": 1, "gpu": 0.5}], "PACK", 9)
    (6, 2)
    >>> room(nodes, [{"cpu": 1}, {"cpu": 1}], "STRICT_SPREAD", 9)
    2
    """
    left = [dict(node.resources) for node in nodes]
    count = 0
    while count < most and _takes(left, bundles, strategy):
        count += 1
    return count


def _takes(left: list[dict[str, float]], bundles: Sequence[Mapping[str, float]], strategy: str) -> bool:
    """Take the bundles of one member from what is left, if they fit: each from the first node that may give it."""
    together = strategy == "STRICT_PACK"
    for first in range(len(left)) if together else [0]:
        trial = [dict(node) for node in left]
        allowed = [first] if together else list(range(len(left)))
        for bundle in bundles:
            at = next((node for node in allowed if _fits(trial[node], bundle)), None)
            if at is None:
                break
            for name, amount in bundle.items():
                trial[at][key(name)] = trial[at].get(key(name), 0.0) - amount
            if strategy == "STRICT_SPREAD":
                allowed.remove(at)
        else:
            left[:] = trial
            return True
    return False


def _fits(node: Mapping[str, float], need: Mapping[str, float]) -> bool:
    return all(node.get(key(name), 0.0) >= amount - 1e-9 for name, amount in need.items())


def _nodes() -> list[Node]:
    return [
        Node(node["NodeID"], node.get("NodeManagerHostname", "?"), node["Resources"])
        for node in ray.nodes()
        if node["Alive"]
    ]


def _hush() -> None:
    """Have Ray not print over the table what the run tells of, also where the program had imported Ray already."""
    with contextlib.suppress(ImportError, AttributeError):
        from ray._private.ray_logging import stdout_deduplicator

        if stdout_deduplicator.skip_re is None:
            stdout_deduplicator.skip_re = re.compile(SAID_BY_US)


def _check_same(address: str | None) -> None:
    """Refuse an address that is not that of the cluster which the program is connected to already."""
    if address in (None, "auto", "local"):
        return
    connected = str(ray.get_runtime_context().gcs_address)
    if not str(address).startswith("ray://") and address != connected:
        raise ConfigError(
            f"RayExecutor(address={address!r}) is not the cluster that this program is connected to, {connected}: "
            "leave address= out, or call ray.shutdown() first"
        )


def _check_can_be_added(runtime_env: Mapping[str, Any] | None) -> None:
    """Refuse to send folders of this machine over a connection that was made without them: Ray cannot."""
    for name in ("working_dir", "py_modules"):
        given = (runtime_env or {}).get(name)
        for path in given if isinstance(given, (list, tuple)) else [given]:
            if isinstance(path, (str, os.PathLike)) and "://" not in str(path):
                raise ConfigError(
                    f"RayExecutor(runtime_env={{{name!r}: {str(path)!r}}}): this program is connected to Ray already, "
                    "and folders can only be sent when that is done: give it to ray.init(runtime_env=…), or let "
                    "RayExecutor connect"
                )


def _connect(address: str | None, runtime_env: Mapping[str, Any] | None, cpus: float | None) -> None:
    # Ray's own lines on the screen would tear the table; what members print comes through the actors.
    how: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if runtime_env:
        how["runtime_env"] = dict(runtime_env)
    given = address or os.environ.get("RAY_ADDRESS") or ("local" if _left_behind() else None)
    _check_somebody_there(given, "address=" if address else "RAY_ADDRESS=")
    try:
        if given != "local":
            try:
                ray.init(address=given or "auto", **how)
                return
            except ConnectionError:
                if given is not None:
                    raise
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nobody asked for it to phone home
        if cpus is not None:
            how["num_cpus"] = int(cpus)
        ray.init(address="local", include_dashboard=False, **how)
    except ImportError as error:
        raise ConfigError(f"RayExecutor(address={given!r}): {error}") from error
    except Exception as error:
        told = " ".join(str(error).split())[:300]
        silent = isinstance(error, ConnectionError) and given != "local" and "RAY_AUTH_MODE" not in os.environ
        if silent or "auth" in told.lower():  # Ray itself tells of a token in its log only
            told += "; a cluster that asks for a token is reached with RAY_AUTH_MODE=token in the environment"
        raise ConfigError(
            f"RayExecutor(address={given!r}) found no Ray cluster to work on ({type(error).__name__}: {told}): start "
            "one with `ray start --head`, or leave address= out for one of its own on this machine"
        ) from error


def _left_behind() -> bool:
    """Return whether the cluster that Ray remembers of this machine is gone: it would look for it for minutes."""
    note = Path(os.environ.get("RAY_TMPDIR") or tempfile.gettempdir(), "ray", "ray_current_cluster")
    try:
        host, _, port = note.read_text().strip().rpartition(":")
        socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()
    except FileNotFoundError:
        return False
    except (OSError, ValueError):
        return True
    return False


def _check_somebody_there(address: str | None, how: str) -> None:
    """Try whether a cluster answers: Ray itself would try for minutes, and then say so at length."""
    if address in (None, "auto", "local"):
        return
    host, colon, port = str(address).removeprefix("ray://").rpartition(":")
    if not colon or not port.isdigit():
        if "://" in str(address) and not str(address).startswith("ray://"):
            return  # some provider's own way to a cluster
        raise ConfigError(
            f"RayExecutor({how}{address!r}) is no address of a Ray cluster: give host:6379, ray://host:10001, or 'auto'"
        )
    way_out = (
        "start the cluster with `ray start --head` there, or leave address= out for one of its own on this machine"
    )
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT_SECONDS) as wire:
            answers = _speaks(wire)
    except OSError as error:
        raise ConfigError(f"RayExecutor({how}{address!r}): nobody answers there ({error}): {way_out}") from error
    if not answers and os.environ.get("RAY_USE_TLS", "0") == "0":
        raise ConfigError(f"RayExecutor({how}{address!r}): who listens there is no Ray cluster: {way_out}")


def _speaks(wire: socket.socket) -> bool:
    """Return whether the other end speaks HTTP/2, as gRPC does: it tells its settings as soon as it is greeted."""
    wire.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
    try:
        told = wire.recv(9)
    except TimeoutError:
        return False
    return len(told) == 9 and told[3] == 4  # the frame SETTINGS (RFC 9113, section 6.5)


@contextlib.contextmanager
def _signals_kept() -> Iterator[None]:
    """Keep the handlers of signals as they are: Ray would have SIGTERM end the program at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:
                signal.signal(number, handler)
