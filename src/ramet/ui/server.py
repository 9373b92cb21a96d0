"""The server of the dashboard: bound to this machine unless told otherwise, and gone with the process."""

from __future__ import annotations

import asyncio
import errno
import socket
from typing import Any

import uvicorn

from ramet.errors import ConfigError
from ramet.ui.app import Dashboard
from ramet.ui.folder import Runs
from ramet.ui.gate import Gate, is_loopback

PATIENCE = 2
"""Seconds that answers under way have when the server ends."""


class Server(uvicorn.Server):
    """One that ends its streams when it ends, for they would go on."""

    def __init__(self, config: uvicorn.Config, dashboard: Dashboard) -> None:
        super().__init__(config)
        self.dashboard = dashboard

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop answering."""
        self.dashboard.streams.close()
        await asyncio.sleep(0)
        await super().shutdown(sockets)


def bound(host: str, port: int | None, wanted: int) -> socket.socket:
    """Return a socket at ``port``; without one at ``wanted``, or a free one where that is taken.

    Raises:
        ConfigError: nothing can be bound there.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for number in (wanted, 0) if port is None else (port,):
        try:
            return socket.create_server((host, number), family=family, backlog=128)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or port is not None or number == 0:
                raise ConfigError(f"nothing can be served at {host}:{number}: {error.strerror or error}") from error
    raise AssertionError("a free port is always found or refused")


def server(runs: Runs, sock: socket.socket, host: str, token: str | None) -> Server:
    """Return the server of ``runs`` at a socket; ``run([sock])`` serves until it is told to end."""
    dashboard = Dashboard(runs)
    if runs.is_one:  # its page is what is asked for next
        for place in runs.look():
            dashboard.readers.of(place).ask(lambda run, _: run.state)
    names = (socket.gethostname().lower(),) if not is_loopback(host) else ()
    gate: Any = Gate(dashboard.application(), host, sock.getsockname()[1], token, names)
    config = uvicorn.Config(
        gate, http="h11", ws="none", loop="asyncio", lifespan="on", log_config=None, log_level="warning",
        access_log=False, timeout_graceful_shutdown=PATIENCE, server_header=False,
    )  # fmt: skip
    return Server(config, dashboard)


def address(sock: socket.socket, host: str, token: str | None, key: str | None) -> str:
    """Return the address to open in a browser."""
    port = sock.getsockname()[1]
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "": "127.0.0.1"}.get(host, f"[{host}]" if ":" in host else host)
    told = f"?token={token}" if token is not None else ""
    return f"http://{shown}:{port}/{told}{f'#/run/{key}' if key else ''}"
