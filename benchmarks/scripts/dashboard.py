"""A run of simulated members beside a dashboard, which is a process of its own; prints JSON.

The dashboard is watched as its page does it: a stream of events, and at each event the overview again. In turns it is
watched for some seconds and for some it is not, all in one run: what watching costs is the ratio of the two speeds.
With --pause the run waits at every boundary, for a moment at which it can be told how long an update takes.

    python dashboard.py --members 64 --boundaries 1000 --reports 20 --seconds 2
"""

import argparse
import contextlib
import http.client
import itertools
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import ramet

HOST = "127.0.0.1"
QUIET = 0.7
"""Seconds without a commit after which the next one is heard of at once."""


def trainer(reports, pause, begins):
    """Return a training function that makes a checkpoint at every boundary."""

    def train(config):
        checkpoint = ramet.get_checkpoint()
        state = checkpoint.to_dict() if checkpoint else {"step": 0, "score": 0.0}
        step, score = state["step"], state["score"]
        rng = ramet.rng()
        while True:
            rate = config["lr"]
            step += 1
            score += 0.01 * rate / (rate + 0.05) * (1 - score) + 0.0005 * rng.normal()
            row = {"score": score, "loss": 1 - score}
            if step % reports:
                ramet.report(row)
                continue
            if pause and step > begins and ramet.get_context().member == 0:
                time.sleep(pause)
            ramet.report(row, checkpoint=ramet.Checkpoint.from_dict({"step": step, "score": score}))

    return train


def train(asked, folder):
    """Carry out the run."""
    executor = asked.executor
    if executor == "simulated":
        from ramet.executor.simulated import SimulatedExecutor

        executor = SimulatedExecutor(slots=8, spread=0.3)
    ramet.Tuner(
        trainer(asked.reports, asked.pause, asked.reports * (asked.boundaries - asked.pairs - 5)),
        param_space={"lr": ramet.loguniform(1e-4, 1), "momentum": ramet.uniform(0.5, 0.99)},
        tune_config=ramet.TuneConfig(
            metric="score",
            mode="max",
            num_samples=asked.members,
            seed=3,
            scheduler=ramet.PopulationBasedTraining(
                time_attr="training_iteration",
                perturbation_interval=asked.reports,
                synch=True,
                hyperparam_mutations={"lr": ramet.loguniform(1e-4, 1), "momentum": ramet.uniform(0.5, 0.99)},
            ),
        ),
        run_config=ramet.RunConfig(
            name=folder.name, storage_path=folder.parent, executor=executor, verbose=0,
            stop={"training_iteration": asked.boundaries * asked.reports},
        ),
    ).fit()  # fmt: skip


class Dashboard:
    """The dashboard of ``folder``, in a process of its own."""

    def __init__(self, folder):
        command = [sys.executable, "-m", "ramet", "ui", str(folder), "--port", "0"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.port = int(re.search(r"http://[\d.]+:(\d+)/", self.process.stdout.readline())[1])

    def get(self, path):
        """Return what is answered, and after how many seconds."""
        began = time.perf_counter()
        connection = http.client.HTTPConnection(HOST, self.port, timeout=120)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
            assert answer.status == 200, body
        finally:
            connection.close()
        return body, time.perf_counter() - began

    def key(self):
        """Return the key of the one run there is, once it is there."""
        while True:
            runs = json.loads(self.get("/api/runs")[0])["runs"]
            if runs:
                return runs[0]["key"]
            time.sleep(0.1)

    def stream(self, key):
        """Open the stream of a run's events."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=60)
        connection.request("GET", f"/api/stream?run={key}")
        return connection, connection.getresponse()

    def used(self):
        """Return the megabytes that the process holds, the most that it held, and its seconds of a processor."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = [int(re.search(rf"{name}:\s+(\d+) kB", status)[1]) / 1024 for name in ("VmRSS", "VmHWM")]
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return *found, (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self):
        """End it, as Ctrl-C does."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(20)
        self.process.stdout.close()


def events(answer):
    """Yield the data of a stream's events, with when they came."""
    for line in answer:
        if line.startswith(b"data: "):
            yield json.loads(line[6:]), time.time()


def watch(dashboard, key, stop):
    """Do what a page does until ``stop``: hear, and ask again for what is shown."""
    connection, answer = dashboard.stream(key)

    def end():
        stop.wait()
        with contextlib.suppress(OSError):
            connection.sock.shutdown(2)

    ender = threading.Thread(target=end)
    ender.start()
    with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
        for _ in events(answer):
            dashboard.get(f"/api/run/{key}")
            dashboard.get(f"/api/run/{key}/events?limit=20")
    answer.close()
    connection.close()
    ender.join()


def progress(folder):
    """Return the number of the last event, and when it was looked at."""
    with contextlib.closing(sqlite3.connect(f"file:{folder}/run.db?mode=ro", uri=True)) as db:
        found = db.execute("SELECT max(seq) FROM events").fetchone()[0]
    return found, time.perf_counter()


def background(asked, folder, *more):
    """Start the run in a process of its own."""
    told = [f"--{name}={getattr(asked, name)}" for name in ("members", "boundaries", "reports", "executor", "pairs")]
    return subprocess.Popen([sys.executable, __file__, *told, "--run", str(folder), *more])


def wait_for(folder):
    """Wait until the run has begun."""
    while True:
        with contextlib.suppress(sqlite3.OperationalError):  # it has no file yet, or no tables
            if progress(folder)[0]:
                return
        time.sleep(0.05)


def compared(asked, folder):
    """Return, for each pair of spans, the time that an event took watched, in that of one alone."""
    run = background(asked, folder)
    wait_for(folder)
    dashboard = Dashboard(folder)
    ratios, used = [], []
    try:
        key = dashboard.key()
        dashboard.get(f"/api/run/{key}")
        speeds = {}
        turn = 0
        while run.poll() is None and len(ratios) < asked.pairs:
            # Alone and watched take turns at being first, for a run may become slower or faster.
            for watched in (False, True) if turn % 2 else (True, False):
                stop = threading.Event()
                watcher = threading.Thread(target=watch, args=(dashboard, key, stop)) if watched else None
                before = dashboard.used()[2]
                first = progress(folder)
                if watcher is not None:
                    watcher.start()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    run.wait(asked.seconds)
                last = progress(folder)
                stop.set()
                if watcher is not None:
                    watcher.join()
                    used.append((dashboard.used()[2] - before) / (last[1] - first[1]))
                speeds[watched] = (last[0] - first[0]) / (last[1] - first[1])
            if run.poll() is None and all(speeds.values()):
                ratios.append(speeds[False] / speeds[True])
            turn += 1
    finally:
        run.terminate()
        run.wait()
        dashboard.close()
    return {"ratios": ratios, "share": used}


def latencies(asked, folder):
    """Return the seconds from a commit to its event at a page, and until the overview is there too."""
    run = background(asked, folder, "--pause=1.2")
    wait_for(folder)
    dashboard = Dashboard(folder)
    heard, whole = [], []
    try:
        key = dashboard.key()
        dashboard.get(f"/api/run/{key}")
        connection, answer = dashboard.stream(key)
        commits = {}
        stop = threading.Event()

        def look():
            with contextlib.closing(sqlite3.connect(f"file:{folder}/run.db?mode=ro", uri=True)) as db:
                while not stop.is_set():
                    number = db.execute("SELECT max(seq) FROM reports").fetchone()[0]
                    commits.setdefault(number, time.time())
                    time.sleep(0.005)

        looker = threading.Thread(target=look)
        looker.start()
        taken = 0
        for told, at in events(answer):
            known = sorted(
                (number, moment) for number, moment in commits.items() if number and number <= told["version"]
            )
            # Of a burst of commits the first one counts, for the next event about those after it has to wait its turn.
            fresh = [
                now
                for (_, before), (number, now) in itertools.pairwise(known)
                if number > taken and now > before + QUIET
            ]
            if fresh and taken:
                heard.append(at - fresh[0])
                whole.append(heard[-1] + dashboard.get(f"/api/run/{key}")[1])
            taken = told["version"]
            if len(heard) >= asked.pairs or run.poll() is not None:
                break
        stop.set()
        looker.join()
        answer.close()
        connection.close()
    finally:
        run.terminate()
        run.wait()
        dashboard.close()
    return {"heard_s": heard, "whole_s": whole}


def first_answers(folder, rounds):
    """Return how long a run that nobody has looked at takes to be there, and what the server then holds."""
    found = {"list_s": [], "first_s": [], "again_s": [], "rss_mb": [], "peak_mb": []}
    for _ in range(rounds):
        dashboard = Dashboard(folder)
        try:
            began = time.perf_counter()
            key = dashboard.key()
            found["list_s"].append(time.perf_counter() - began)
            dashboard.get(f"/api/run/{key}")
            found["first_s"].append(time.perf_counter() - began)
            found["again_s"].append(dashboard.get(f"/api/run/{key}")[1])
            overview = json.loads(dashboard.get(f"/api/run/{key}")[0])
            for path in (
                "events",
                "errors",
                "checkpoints",
                "member/0",
                *(f"plot/{p['name']}" for p in overview["plots"]),
            ):
                dashboard.get(f"/api/run/{key}/{path}")
            rss, peak, _ = dashboard.used()
            found["rss_mb"].append(rss)
            found["peak_mb"].append(peak)
        finally:
            dashboard.close()
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for name, usual in (("members", 64), ("boundaries", 1000), ("reports", 20), ("pairs", 20), ("rounds", 3)):
        parser.add_argument(f"--{name}", type=int, default=usual)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--pause", type=float, default=0.0)
    parser.add_argument("--executor", default="simulated")
    parser.add_argument("--what", default="first,latency,ratio")
    parser.add_argument("--run", type=Path)
    parser.add_argument("--there", type=Path)
    asked = parser.parse_args()
    if asked.run is not None:
        train(asked, asked.run)
        raise SystemExit
    told = {}
    if "first" in asked.what:
        if asked.there is None:
            train(asked, Path("first").absolute())
        told |= first_answers(asked.there or Path("first").absolute(), asked.rounds)
    if "latency" in asked.what:
        told |= latencies(asked, Path("late").absolute())
    if "ratio" in asked.what:
        told |= compared(asked, Path("ratio").absolute())
    for name in ("first", "late", "ratio"):
        shutil.rmtree(name, ignore_errors=True)
    print(json.dumps(told))
