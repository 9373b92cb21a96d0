"""A store as bad as they come: an S3 server of its own on loopback, and a proxy before it that spoils what it is told.

`Cloud` is both. What goes over is counted where it goes over, not where it is sent.
"""

from __future__ import annotations

import contextlib
import http.client
import itertools
import os
import random
import re
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

FAULTS = ("500", "503", "hang", "cut", "half", "unanswered", "lost")
"""Errors, silence, a body that ends in the middle on its way there or back, an answer that is lost, and an object."""

BUCKET = "bucket"

_ERRORS = {
    "401": b"<Error><Code>NoAuthenticationInformation</Code><Message>Who are you</Message></Error>",
    "403": b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>",
    "404": b"<Error><Code>NoSuchBucket</Code><Message>There is no such bucket</Message></Error>",
    "500": b"<Error><Code>InternalError</Code><Message>We made a mistake.</Message></Error>",
    "503": b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>",
}


@dataclass(frozen=True)
class Call:
    """One request that reached the proxy: its method and path, the bytes of both bodies, and how it was spoilt."""

    method: str
    path: str
    up: int
    down: int
    fault: str | None


@dataclass
class Cloud:
    """Where the store is to be found, what has gone over, and what is to go wrong: a fault, or None, for each call."""

    endpoint: str
    calls: list[Call] = field(default_factory=list)
    spoil: Callable[[str, str], str | None] = lambda method, path: None
    hang: float = 5.0
    over: threading.Event = field(default_factory=threading.Event)
    all_of_it: Any = None

    def moved(self, part: str = "") -> tuple[int, int]:
        """Return the bytes up and down of calls whose path has ``part`` in it."""
        calls = [call for call in list(self.calls) if part in call.path]
        return sum(call.up for call in calls), sum(call.down for call in calls)

    def chance(self, seed: int, share: float, most: int, faults: tuple[str, ...] = FAULTS) -> None:
        """Spoil a ``share`` of all calls from now on, ``most`` in all, each in a way that came least till then.

        So every way comes, however the calls fall. No object is hit more often than a call is made again: what is
        tested is that faults pass, not luck.
        """
        dice, lock, left, hits = random.Random(seed), threading.Lock(), itertools.count(), Counter[str]()
        came = dict.fromkeys(faults, 0)

        def spoil(method: str, path: str) -> str | None:
            with lock:
                if dice.random() >= share or hits[path] >= 4 or next(left) >= most:
                    return None
                hits[path] += 1
                fitting = {fault: times for fault, times in came.items() if fault != "lost" or _makes(method, path)}
                drawn = dice.choice([fault for fault, times in fitting.items() if times == min(fitting.values())])
                came[drawn] += 1
                return drawn

        self.spoil = spoil

    def spoilt(self) -> int:
        """Return how many calls were."""
        return sum(call.fault is not None for call in list(self.calls))


def _makes(method: str, path: str) -> bool:
    """Return whether such a call makes an object at one stroke, so that the object can be lost."""
    return method == "PUT" and "uploadId" not in path


class _Proxy(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each small answer waits 40 ms for its second half
    cloud: Cloud
    behind: tuple[str, int]

    def do(self) -> None:
        fault = self.cloud.spoil(self.command, self.path)
        if fault == "lost" and not _makes(self.command, self.path):
            fault = "500"
        size = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(size // 2 if fault == "cut" else size) if size else b""
        if fault in _ERRORS:
            self._answer(int(fault), _ERRORS[fault], {}, len(body), fault)
            return
        if fault in ("cut", "hang"):
            self._told(len(body), 0, fault)
            if fault == "hang":
                self.cloud.over.wait(self.cloud.hang)
            self._hang_up()
            return
        if fault == "lost":
            self._answer(200, b"", {"ETag": '"0"'}, len(body), fault)
            return
        status, answer, headers = self._passed_on(body)
        if fault == "unanswered":
            self._told(len(body), 0, fault)
            self._hang_up()
            return
        self._answer(status, answer, headers, len(body), fault, half=fault == "half")

    def _passed_on(self, body: bytes) -> tuple[int, bytes, dict[str, str]]:
        with contextlib.closing(http.client.HTTPConnection(*self.behind, timeout=30)) as connection:
            headers = {k: v for k, v in self.headers.items() if k.lower() not in ("expect", "connection")}
            connection.request(self.command, self.path, body=body, headers=headers)
            answer = connection.getresponse()
            skip = ("connection", "transfer-encoding", "content-length", "server", "date")
            kept = {k: v for k, v in answer.getheaders() if k.lower() not in skip}
            if self.command == "HEAD":
                kept["Content-Length"] = answer.getheader("Content-Length") or "0"
            return answer.status, answer.read(), kept

    def _answer(
        self, status: int, body: bytes, headers: dict[str, str], came: int, fault: str | None, half: bool = False
    ) -> None:
        sent = body[: len(body) // 2] if half else body
        self._told(came, len(sent), fault)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(sent)
        if half:
            self._hang_up()

    def _told(self, up: int, down: int, fault: str | None) -> None:
        self.cloud.calls.append(Call(self.command, self.path, up, down, fault))

    def _hang_up(self) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.wfile.flush()
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def handle(self) -> None:
        with contextlib.suppress(OSError):  # who called has hung up
            super().handle()

    def log_message(self, format: str, *args: object) -> None:
        pass


for _verb in ("GET", "PUT", "POST", "DELETE", "HEAD"):
    setattr(_Proxy, f"do_{_verb}", _Proxy.do)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        pass


@contextlib.contextmanager
def cloud(host: str = "127.0.0.1") -> Iterator[Cloud]:
    """Have S3, with an empty bucket, for as long as the block runs; the proxy is at the address ``host``."""
    with serving([sys.executable, "-c", _S3]) as port, before(port, host) as made:
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
            connection.request("PUT", f"/{BUCKET}")
            assert connection.getresponse().status == 200
        yield made


@contextlib.contextmanager
def google(program: str) -> Iterator[Cloud]:
    """Have Google's, empty, for as long as the block runs: fake-gcs-server, which ``program`` is."""
    with socket.create_server(("127.0.0.1", 0)) as free:  # it takes no number that it is not told
        port = free.getsockname()[1]
    words = {"backend": "memory", "scheme": "http", "host": "127.0.0.1", "port": port, "log-level": "error"}
    command = [program, *(f"-{name}={value}" for name, value in words.items())]
    with subprocess.Popen(command) as process:
        try:
            until = time.monotonic() + 30
            while not _answers(port):
                assert time.monotonic() < until
                assert process.poll() is None
                time.sleep(0.02)
            with before(port) as made:
                yield made
        finally:
            process.terminate()
            process.wait(30)


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


@contextlib.contextmanager
def azure(program: str, folder: str) -> Iterator[Cloud]:
    """Have Microsoft's, empty, for as long as the block runs: Azurite, which ``program`` is, working in ``folder``."""
    command = [program, "--blobPort", "0", "--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry"]
    environment = {**os.environ, "AZURITE_ACCOUNTS": "here:aGVyZQ=="}
    with serving(command, env=environment, cwd=folder) as port, before(port) as made:
        yield made


@contextlib.contextmanager
def serving(command: list[str], **more: Any) -> Iterator[int]:
    """Have a server for as long as the block runs; yield its port, the last number on a line that it prints."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **more) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            told = (re.search(r"(\d+)$", line.strip()) for line in process.stdout)
            yield next(int(found[1]) for found in told if found and found[1] != "0")
        finally:
            process.stdin.close()  # which ours waits for
            process.kill()  # the others wait for all who were connected
            process.wait(30)


@contextlib.contextmanager
def before(port: int, host: str = "127.0.0.1") -> Iterator[Cloud]:
    """Put the proxy before the server at ``port``."""
    handler = type("Proxy", (_Proxy,), {"behind": ("127.0.0.1", port)})
    with _Server((host, 0), handler) as proxy:
        made = Cloud(f"http://{host}:{proxy.server_address[1]}")
        handler.cloud = made  # type: ignore[attr-defined]
        threading.Thread(target=proxy.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield made
        finally:
            made.over.set()
            proxy.shutdown()


_S3 = """
import logging, sys
logging.disable()
from moto.server import ThreadedMotoServer
from werkzeug.serving import WSGIRequestHandler
WSGIRequestHandler.disable_nagle_algorithm = True
server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
server.start()
print(server.get_host_and_port()[1], flush=True)
sys.stdin.read()
server.stop()
"""

SURROUNDINGS = {
    "AWS_ACCESS_KEY_ID": "AKIAEXAMPLEEXAMPLE00",
    "AWS_SECRET_ACCESS_KEY": "a-secret-that-nobody-must-see-anywhere",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_MAX_ATTEMPTS": "1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/nowhere",
    "AWS_SHARED_CREDENTIALS_FILE": "/nowhere",
    "FSSPEC_S3": '{"config_kwargs": {"read_timeout": 0.5, "connect_timeout": 2}}',
}
"""What a user would have in the environment; the last are so that what fails does so at once."""
