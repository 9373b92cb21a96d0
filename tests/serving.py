"""The dashboard for tests: served from a thread of this process, asked as a browser asks, and gone with the test."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
from pathlib import Path

import pytest

import ramet
from ramet.executor.simulated import SimulatedExecutor

HOST = "127.0.0.1"
LONG = 60.0
"""Seconds that a test waits for what must come at once, before it says that it did not."""


class Answer:
    """What was answered: ``status``, ``headers`` by lower-case name, and the ``body``."""

    def __init__(self, response):
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = response.read()

    @property
    def json(self):
        """The body, which is JSON without NaN."""
        return json.loads(self.body, parse_constant=pytest.fail)


class Served:
    """A dashboard under way at ``port``."""

    def __init__(self, port, server):
        self.port, self.server = port, server
        self.base = f"http://{HOST}:{port}"

    def ask(self, path, headers=None, method="GET"):
        """Return the answer to one request; ``path`` goes out as it is."""
        with contextlib.closing(http.client.HTTPConnection(HOST, self.port, timeout=LONG)) as connection:
            connection.putrequest(method, path, skip_host="Host" in (headers or {}), skip_accept_encoding=True)
            for name, value in (headers or {}).items():
                connection.putheader(name, value)
            connection.endheaders()
            with contextlib.closing(connection.getresponse()) as response:
                return Answer(response)

    def get(self, path):
        """Return what is answered with status 200, as JSON."""
        answer = self.ask(path)
        assert answer.status == 200, answer.body
        return answer.json

    def key(self, name=None):
        """Return the key of the run of that name, or of the only one."""
        runs = [run for run in self.get("/api/runs")["runs"] if name in (None, run["name"])]
        assert len(runs) == 1
        return runs[0]["key"]

    def raw(self, data):
        """Return all that is answered to bytes that need not be a request."""
        with socket.create_connection((HOST, self.port), timeout=LONG) as connection:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: connection.recv(65536), b""))

    @contextlib.contextmanager
    def stream(self, path):
        """Yield what yields the data of a stream's events."""
        with contextlib.closing(http.client.HTTPConnection(HOST, self.port, timeout=LONG)) as connection:
            connection.request("GET", path)
            with contextlib.closing(connection.getresponse()) as response:
                assert response.status == 200
                assert response.headers["content-type"].startswith("text/event-stream")
                yield (json.loads(line[6:]) for line in response if line.startswith(b"data: "))


@contextlib.contextmanager
def serving(folder, host=HOST, token=None):
    """Serve the runs in ``folder`` until the end of the block."""
    pytest.importorskip("starlette")
    pytest.importorskip("uvicorn")
    from ramet.ui.folder import Runs
    from ramet.ui.server import bound, server

    with bound(host, 0, 0) as sock:
        made = server(Runs(folder), sock, host, token)
        thread = threading.Thread(target=made.run, args=([sock],))
        thread.start()
        try:
            yield Served(sock.getsockname()[1], made)
        finally:
            made.should_exit = True
            thread.join(LONG)
            assert not thread.is_alive()


def until(events, wanted):
    """Return the first event that is ``wanted``."""
    return next(event for event in events if wanted(event))


def train(config):
    """Climb, with a checkpoint at every fifth step."""
    checkpoint = ramet.get_checkpoint()
    step, level = checkpoint.to_dict().values() if checkpoint else (0, 0.0)
    while True:
        step += 1
        level += 0.1 * config["lr"] * (1 - config["lr"]) - 0.01 * level
        held = ramet.Checkpoint.from_dict({"step": step, "level": level}) if step % 5 == 0 else None
        ramet.report({"score": level}, checkpoint=held)


def carried_out(folder: Path, function=train, *, members=4, stop=20, metric="score", mode="max", space=None, **more):
    """Carry out a run in ``folder`` and return it; ``more`` are arguments of `RunConfig`."""
    ramet.Tuner(
        function,
        param_space=space or {"lr": ramet.uniform(0.05, 1.0)},
        tune_config=ramet.TuneConfig(
            metric=metric,
            mode=mode,
            num_samples=members,
            seed=2,
            scheduler=ramet.PopulationBasedTraining(
                time_attr="training_iteration",
                perturbation_interval=5,
                quantile_fraction=0.5,
                hyperparam_mutations=space or {"lr": ramet.uniform(0.05, 1.0)},
            ),
        ),
        run_config=ramet.RunConfig(
            name=folder.name, storage_path=folder.parent, executor=SimulatedExecutor(slots=2), verbose=0,
            **{"stop": {"training_iteration": stop}} | more,
        ),
    ).fit()  # fmt: skip
    return folder
