"""Hosts of their own on this machine: each has its address, its name, its temporary folder and its processes alone.

A switch joins them, which has an address too. All of it is in namespaces that live as long as one process of each, so
nothing is left on this machine, not even when the test is killed. It needs root.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

HOST = Path(__file__).parent / "scripts" / "ray_host.py"

NETWORK = "10.213.77"
SWITCH = f"{NETWORK}.254"
"""A private network that nobody outside of these namespaces sees."""

_APART = ["unshare", "--net", "--mount", "--uts", "--pid", "--fork", "--kill-child"]

_RAY = {
    "RAY_AUTH_MODE": "disabled",  # nobody else is on this network, and whoever has used Ray here may have a token
    "RAY_health_check_initial_delay_ms": "1000",
    "RAY_health_check_period_ms": "500",
    "RAY_health_check_timeout_ms": "1000",
    "RAY_health_check_failure_threshold": "3",
}
"""The head finds out within seconds that a node is away, not after half a minute."""


def impossible() -> str | None:
    """Return why there can be no such hosts here; None if there can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "namespaces need root, on Linux"
    lacking = [tool for tool in ("ip", "mount", "nsenter", "unshare") if shutil.which(tool) is None]
    if lacking:
        return f"there is no {' and no '.join(lacking)} here"
    tried = subprocess.run([*_APART, "ip", "link", "add", "br0", "type", "bridge"], capture_output=True, text=True)
    return f"no namespaces here: {tried.stderr.strip()}" if tried.returncode else None


class Host:
    """One host: its first process, by number, and its address."""

    def __init__(self, name: str, place: int) -> None:
        self.name, self.place, self.address = name, place, f"{NETWORK}.{place}"
        self._first = subprocess.Popen(
            [*_APART, sys.executable, str(HOST), name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._first.stdout is not None
        told = self._first.stdout.readline().strip()
        if not told:
            raise RuntimeError(f"the host {name} ended with status {self._first.wait()}")
        self.number = int(told)
        self._started: list[subprocess.Popen[Any]] = []

    @property
    def root(self) -> Path:
        """Its files, as they are seen from outside."""
        return Path("/proc", str(self.number), "root")

    def start(self, command: Sequence[str], environment: Mapping[str, str], **how: Any) -> subprocess.Popen[Any]:
        """Start a process there."""
        inside = ["nsenter", "-t", str(self.number), "-n", "-m", "-u", "-p", "--", *command]
        process = subprocess.Popen(inside, env={**os.environ, "TMPDIR": "/tmp", **_RAY, **environment}, **how)
        self._started.append(process)
        return process

    def close(self) -> None:
        """End it with everything that runs there, as if it had lost power."""
        for pipe in (self._first.stdin, self._first.stdout):
            assert pipe is not None
            pipe.close()
        self._first.wait(30)
        for process in self._started:
            process.wait(30)
            if process.stdout is not None:
                process.stdout.close()


class Hosts:
    """A switch, and hosts that are joined to it by cables, which can be cut; the first may be a Ray cluster's head."""

    def __init__(self) -> None:
        self._switch = subprocess.Popen(["unshare", "--net", "cat"], stdin=subprocess.PIPE)
        self.hosts: list[Host] = []
        self.port = 6379
        self._wait_for_switch()
        for line in ("add br0 type bridge", "set br0 up", "set lo up"):
            self._ip("link", *line.split())
        self._ip("addr", "add", f"{SWITCH}/24", "dev", "br0")

    def __enter__(self) -> Hosts:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def cluster(self) -> str:
        """The address of the Ray cluster, whose head the first host is."""
        return f"{self.hosts[0].address}:{self.port}"

    def add(self, name: str) -> Host:
        """Start a host, and join it to the others."""
        host = Host(name, len(self.hosts) + 1)
        self.hosts.append(host)
        port, switch, number = f"port{host.place}", str(self._switch.pid), str(host.number)
        cable = ["ip", "link", "add", port, "netns", switch, "type", "veth", "peer", "name", "eth0", "netns", number]
        subprocess.run(cable, check=True)
        self._ip("link", "set", port, "master", "br0", "up")
        for line in (f"addr add {host.address}/24 dev eth0", "link set eth0 up", f"route add default via {SWITCH}"):
            subprocess.run(["nsenter", "-t", number, "-n", "ip", *line.split()], check=True)
        return host

    def ray(self, host: Host, environment: Mapping[str, str], **resources: Any) -> None:
        """Keep Ray up on a host: on the first one as the head, on others as a node, started again whenever it ends."""
        whose = ["--head", f"--port={self.port}", "--include-dashboard=false"]
        if host is not self.hosts[0]:
            whose = [f"--address={self.cluster}"]
        given = [f"--{name.replace('_', '-')}={value}" for name, value in resources.items()]
        start = [sys.executable, "-m", "ray.scripts.scripts", "start", *whose, *given, "--block"]
        start += [f"--node-ip-address={host.address}", "--object-store-memory=100000000", "--disable-usage-stats"]
        always = ["sh", "-c", 'while true; do "$@" >>/tmp/ray.log 2>&1; sleep 1; done', "ray", *start]
        host.start(always, environment)

    def cut(self, host: Host) -> None:
        """Cut a host's cable."""
        self._ip("link", "set", f"port{host.place}", "down")

    def mend(self, host: Host) -> None:
        """Join a host again."""
        self._ip("link", "set", f"port{host.place}", "up")

    @contextlib.contextmanager
    def at_the_switch(self) -> Iterator[None]:
        """Have this thread, and those that it starts, on the network of the hosts; sockets stay where they are made."""
        with open("/proc/thread-self/ns/net") as before, open(f"/proc/{self._switch.pid}/ns/net") as there:
            _enter(there.fileno())
            try:
                yield
            finally:
                _enter(before.fileno())

    def close(self) -> None:
        """End all of it."""
        for host in reversed(self.hosts):
            host.close()
        assert self._switch.stdin is not None
        self._switch.stdin.close()
        self._switch.wait(30)

    def _ip(self, *words: str) -> None:
        subprocess.run(["nsenter", "-t", str(self._switch.pid), "-n", "ip", *words], check=True)

    def _wait_for_switch(self) -> None:
        """Wait until `unshare` has made the namespace: it is another program then."""
        command = Path("/proc", str(self._switch.pid), "cmdline")
        while not command.read_bytes().startswith(b"cat"):
            assert self._switch.poll() is None, "there is no switch"


def _enter(namespace: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(namespace, 0) != 0:
        raise OSError(ctypes.get_errno(), "no namespace of the network")
