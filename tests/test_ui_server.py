"""The dashboard's answers: they agree with what the run's own tables say, and go on when the run does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import zipfile
from contextlib import closing
from io import BytesIO
from pathlib import Path

import pytest
from serving import LONG, carried_out, serving, until

import ramet

GOES_ON = """
import sys, time
from pathlib import Path
import ramet
folder, restored = Path(sys.argv[1]), sys.argv[2:] == ["again"]
def train(config):
    checkpoint = ramet.get_checkpoint()
    step = checkpoint.to_dict()["step"] if checkpoint else 0
    while True:
        while step >= 10 and not (folder.parent / "go").exists():
            time.sleep(0.01)
        step += 1
        ramet.report({"score": config["lr"] * step}, checkpoint=ramet.Checkpoint.from_dict({"step": step}))
if restored:
    tuner = ramet.Tuner.restore(folder, train)
else:
    tuner = ramet.Tuner(
        train, param_space={"lr": ramet.uniform(0.1, 1)},
        tune_config=ramet.TuneConfig(metric="score", mode="max", num_samples=3, scheduler=ramet.PopulationBasedTraining(
            time_attr="training_iteration", perturbation_interval=5,
            hyperparam_mutations={"lr": ramet.uniform(0.1, 1)})),
        run_config=ramet.RunConfig(name=folder.name, storage_path=folder.parent, verbose=0,
                                   stop={"training_iteration": 20}))
tuner.fit()
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder with one run that is over."""
    folder = tmp_path_factory.mktemp("runs")
    carried_out(folder / "first")
    return folder


@pytest.fixture
def served(runs):
    with serving(runs) as dashboard:
        yield dashboard


# ---------------------------------------------------------------------- what is answered


def test_the_overview_says_what_the_runs_tables_say(served, runs):
    """Members, values, ranks, founders and counts are those of `ramet.open(…).members()`."""
    told = served.get(f"/api/run/{served.key()}")

    with ramet.open(runs / "first") as run:
        table, decisions = run.members(), run.decisions()
        assert len(told["members"]) == len(table) == 4
        for row, wanted in zip(told["members"], table.to_dict("records"), strict=True):
            for name in ("member", "state", "iteration", "segment", "founder", "reports", "exploits", "failures"):
                assert row[name] == wanted[name], name
            assert (row["value"], row["rank"]) == (wanted["value"], wanted["rank"])
            assert row["hparams"] == {"lr": wanted["config/lr"]}
        assert told["counts"]["decisions"] == len(decisions)
        assert told["counts"]["exploits"] == int((decisions.verdict == "exploit").sum())
        assert told["best"]["member"] == run.best().member
        assert told["best"]["value"] == run.best().value
        assert told["version"] == run.trace.last
    assert told["state"] == "ended"
    assert told["progress"]["share"] == 1.0


def test_a_spark_line_is_the_members_last_scores(served, runs):
    """The spark line of a member ends with the score of its last checkpoint, and is no longer than 24."""
    told = served.get(f"/api/run/{served.key()}")

    with ramet.open(runs / "first") as run:
        kept = run.checkpoints()
    for row in told["members"]:
        assert row["spark"] == kept[kept.member == row["member"]].score.tolist()[-24:]


def test_a_members_story_says_what_the_segments_say(served, runs):
    """A story has the member's segments in their order, with donors, scores and what lived on."""
    key = served.key()

    with ramet.open(runs / "first") as run:
        segments = run.segments()
        for member in range(4):
            told = served.get(f"/api/run/{key}/member/{member}")
            wanted = segments[segments.member == member].astype(object).where(lambda frame: frame.notna(), None)
            for name in ("segment", "start", "last", "why", "score_start", "score_last"):
                assert [part[name] for part in told["story"]] == wanted[name].tolist(), name
            for name in ("parent", "donor", "lived_on"):
                assert [-1 if part[name] is None else part[name] for part in told["story"]] == wanted[name].tolist()
            lineage = [(step.segment, step.member, step.first, step.last) for step in run.lineage(member)]
            assert [tuple(s[n] for n in ("segment", "member", "first", "last")) for s in told["lineage"]] == lineage


def test_events_come_in_pages_without_a_gap(served):
    """Pages of any size, one after the other, tell the same events as one large page."""
    key = served.key()
    whole = served.get(f"/api/run/{key}/events?limit=1000")
    assert not whole["more"]

    pages, before = [], ""
    while True:
        page = served.get(f"/api/run/{key}/events?limit=7{before}")
        pages += page["events"]
        if not page["more"]:
            break
        before = f"&before={page['events'][-1]['seq']}"

    assert pages == whole["events"]
    assert [event["seq"] for event in pages] == sorted((event["seq"] for event in pages), reverse=True)


def test_checkpoints_come_in_pages_without_a_gap(served, runs):
    """Pages of checkpoints, one after the other, are those of the run's table."""
    key, found, before = served.key(), [], ""
    while True:
        page = served.get(f"/api/run/{key}/checkpoints?limit=5{before}")
        found += page["checkpoints"]
        if not page["more"]:
            break
        before = f"&before={page['checkpoints'][-1]['seq']}"

    with ramet.open(runs / "first") as run:
        table = run.checkpoints()
    assert [(each["segment"], each["iteration"]) for each in reversed(found)] == list(
        zip(table.segment, table.iteration, strict=True)
    )


def test_every_failure_is_told_with_its_traceback(tmp_path):
    """Errors tell member, cause and traceback, in the run's list and in the member's story."""

    def fails(config):
        ramet.report({"score": 1.0}, checkpoint=ramet.Checkpoint.from_dict({"step": 1}))
        raise ValueError("no such luck")

    carried_out(tmp_path / "failing", fails, members=2)
    with serving(tmp_path) as dashboard:
        key = dashboard.key()
        errors = dashboard.get(f"/api/run/{key}/errors")["errors"]
        story = dashboard.get(f"/api/run/{key}/member/1")

    assert {error["member"] for error in errors} == {0, 1}
    assert all(error["cause"] == "ValueError: no such luck" for error in errors)
    assert all("Traceback" in error["traceback"] for error in errors)
    assert story["errors"] == [error for error in errors if error["member"] == 1]


def test_runs_are_compared(tmp_path):
    """A comparison has a row for each run, names what differs and nothing else, and a curve for each."""
    carried_out(tmp_path / "a")
    carried_out(tmp_path / "b", members=3)
    with serving(tmp_path) as dashboard:
        keys = [dashboard.key("a"), dashboard.key("b")]
        told = dashboard.get(f"/api/compare?runs={','.join(keys)}")

    assert [row["name"] for row in told["rows"]] == ["a", "b"]
    assert told["differs"] == {"members": [4, 3]}
    assert [curve["name"] for curve in told["plot"]["data"]] == ["a", "b"]
    for curve, row in zip(told["plot"]["data"], told["rows"], strict=True):
        assert curve["y"] == sorted(curve["y"])
        assert curve["y"][-1] >= row["best"]["value"]


def test_plotlys_script_is_fetched_once_and_then_asked_after(served):
    """A browser that has the script is told that it is still the one, and no more."""
    first = served.ask("/static/plotly.min.js")
    again = served.ask("/static/plotly.min.js", {"If-None-Match": first.headers["etag"]})
    other = served.ask("/static/plotly.min.js", {"If-None-Match": '"another"'})

    assert (first.status, again.status, other.status) == (200, 304, 200)
    assert again.body == b""
    assert len(first.body) == len(other.body) > 1_000_000


def test_a_schedule_is_taken_away_as_it_is_saved(served, runs, tmp_path):
    """The file of a member's schedule is what `Schedule.load` reads."""
    answer = served.ask(f"/api/run/{served.key()}/schedule/1")
    (tmp_path / "schedule.json").write_bytes(answer.body)

    assert "attachment" in answer.headers["content-disposition"]
    with ramet.open(runs / "first") as run:
        assert ramet.Schedule.load(tmp_path / "schedule.json") == run.schedule(1)


# ---------------------------------------------------------------------- checkpoints as files


def _saves(config):
    step = 0
    while True:
        step += 1
        folder = ramet.checkpoint_dir()
        Path(folder, "deep").mkdir()
        Path(folder, "deep", "weights").write_bytes(bytes([step]) * config["bytes"])
        Path(folder, "step").write_text(str(step), encoding="utf-8")
        ramet.report({"score": config["lr"] * step}, checkpoint=ramet.Checkpoint.from_directory(folder))


@pytest.mark.parametrize("size", [100, 3_000_000])
def test_a_directory_is_taken_away_as_an_archive(size, tmp_path):
    """Small ones, which lie inside the ledger, and large ones arrive as a zip file with the files that were saved."""
    space = {"lr": ramet.uniform(0.1, 1)}
    folder = tmp_path / "saving"
    ramet.Tuner(
        _saves,
        param_space=space | {"bytes": size},
        tune_config=ramet.TuneConfig(metric="score", mode="max", num_samples=2),
        run_config=ramet.RunConfig(
            name=folder.name, storage_path=tmp_path, verbose=0, executor="inline", stop={"training_iteration": 2}
        ),
    ).fit()
    with serving(tmp_path) as dashboard:
        key = dashboard.key()
        last = dashboard.get(f"/api/run/{key}/checkpoints")["checkpoints"][0]
        answer = dashboard.ask(f"/api/run/{key}/checkpoint/{last['segment']}/{last['iteration']}")

    assert last["there"]
    assert last["kind"] == ("directory" if size > 10**6 else "files")
    with zipfile.ZipFile(BytesIO(answer.body)) as archive:
        assert archive.testzip() is None
        assert archive.read("step") == b"2"
        assert archive.read("deep/weights") == bytes([2]) * size


def test_a_pickle_is_taken_away_as_its_bytes(served, runs):
    """A checkpoint made of a dict is handed out as the pickle that it is, and nobody has unpickled it."""
    key = served.key()
    last = served.get(f"/api/run/{key}/checkpoints")["checkpoints"][0]

    answer = served.ask(f"/api/run/{key}/checkpoint/{last['segment']}/{last['iteration']}")

    with ramet.open(runs / "first") as run:
        wanted = run.trace.bulk.content(last["segment"], last["iteration"], 0, 10**6)
    assert answer.body == wanted
    assert answer.headers["content-length"] == str(last["size"])
    assert answer.headers["content-disposition"].endswith('.pkl"')


# ---------------------------------------------------------------------- while the run goes on


def _started(folder, *more):
    return subprocess.Popen([sys.executable, "-c", GOES_ON, str(folder), *more])


def test_a_run_that_is_killed_and_taken_up_again_goes_on_in_the_same_page(tmp_path):
    """One stream tells it all: under way, broken off when the process is killed, under way again, and ended."""
    folder = tmp_path / "runs" / "one"
    process = None
    with serving(folder.parent) as dashboard:
        with dashboard.stream("/api/stream") as changed:
            process = _started(folder)
            key = until(changed, lambda event: event["changed"])["changed"][0]
        with dashboard.stream(f"/api/stream?run={key}") as events:
            first = until(events, lambda event: event["counts"]["reports"] >= 15)
            assert (first["state"], first["version"] > 0) == ("under way", True)
            process.kill()
            process.wait(LONG)
            assert until(events, lambda event: event["state"] != "under way")["state"] == "broken off"
            process = _started(folder, "again")
            until(events, lambda event: event["state"] == "under way")
            (folder.parent / "go").touch()
            last = until(events, lambda event: event["state"] == "ended")
        process.wait(LONG)
        with ramet.open(folder) as run:
            assert last["counts"]["reports"] == len(run.reports())
        assert dashboard.get(f"/api/run/{key}")["version"] == last["version"]


def test_a_ledger_that_is_replaced_is_read_from_its_beginning(tmp_path):
    """Another run's ledger in the place of one that is shown is shown from then on, without a restart."""
    one, other = carried_out(tmp_path / "runs" / "one"), carried_out(tmp_path / "other", members=3, stop=10)
    with serving(tmp_path / "runs") as dashboard:
        key = dashboard.key()
        assert dashboard.get(f"/api/run/{key}")["counts"]["members"] == 4
        with dashboard.stream(f"/api/stream?run={key}") as events:
            assert next(events)["counts"]["members"] == 4
            os.replace(other / "run.db", one / "run.db")
            assert until(events, lambda event: event["counts"]["members"] == 3)["counts"]["reports"] == 30
        assert len(dashboard.get(f"/api/run/{key}")["members"]) == 3


def test_a_run_that_is_deleted_says_so(tmp_path):
    """A deleted run leaves the list; its page is told that it is not there, and hears of it when it is there again."""
    folder = carried_out(tmp_path / "runs" / "one")
    with serving(tmp_path / "runs") as dashboard:
        key = dashboard.key()
        with dashboard.stream(f"/api/stream?run={key}") as events:
            next(events)
            os.rename(folder, tmp_path / "away")
            gone = until(events, lambda event: event["state"] == "damaged")
            assert "run.db" in gone["error"]
            answer = dashboard.ask(f"/api/run/{key}")
            assert (answer.status, dashboard.get("/api/runs")["runs"]) == (409, [])
            assert "run.db" in answer.json["error"]
            os.rename(tmp_path / "away", folder)
            until(events, lambda event: event["state"] == "ended")


def test_a_run_appears_in_a_folder_that_was_not_there(tmp_path):
    """A dashboard of a folder that does not exist yet is empty, and lists the run once it has begun."""
    with serving(tmp_path / "later") as dashboard:
        assert dashboard.get("/api/runs")["runs"] == []
        with dashboard.stream("/api/stream") as changed:
            carried_out(tmp_path / "later" / "one")
            key = until(changed, lambda event: event["changed"])["changed"][0]
        assert dashboard.get(f"/api/run/{key}")["name"] == "one"


def test_nothing_of_a_run_is_written(tmp_path):
    """After all was looked at, the run's files are those that they were, byte for byte."""
    folder = carried_out(tmp_path / "one")
    before = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    with serving(tmp_path) as dashboard:
        key = dashboard.key()
        for path in ("", "/events", "/errors", "/checkpoints", "/member/0", "/checkpoint/0/5", "/schedule/0"):
            assert dashboard.ask(f"/api/run/{key}{path}").status == 200

    after = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    assert {n: b for n, b in after.items() if not n.endswith(("-shm", "-wal"))} == {
        n: b for n, b in before.items() if not n.endswith(("-shm", "-wal"))
    }


def test_the_log_of_a_watched_run_is_brought_home(tmp_path):
    """No look at a run keeps its write-ahead log from being emptied: nothing stays half read."""
    import sqlite3

    folder = carried_out(tmp_path / "one")
    with serving(tmp_path) as dashboard:
        key = dashboard.key()
        with dashboard.stream(f"/api/stream?run={key}") as events:
            next(events)
            dashboard.get(f"/api/run/{key}")
            with closing(sqlite3.connect(folder / "run.db")) as db:
                assert db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0] == 0


def test_fifty_pages_watch_one_run(served):
    """Fifty streams at once all hear how the run stands, and other answers come meanwhile."""
    from contextlib import ExitStack

    key = served.key()
    with ExitStack() as stack:
        streams = [stack.enter_context(served.stream(f"/api/stream?run={key}")) for _ in range(50)]
        assert {next(events)["state"] for events in streams} == {"ended"}
        assert served.get(f"/api/run/{key}")["state"] == "ended"


def test_the_server_ends_while_pages_are_open(runs):
    """A server that is told to end does so at once, and ends its streams."""
    with serving(runs) as dashboard:
        key = dashboard.key()
        with dashboard.stream(f"/api/stream?run={key}") as events:
            next(events)
            dashboard.server.should_exit = True
            assert list(events) == []


def test_ctrl_c_ends_the_command(runs):
    """``ramet ui`` prints the address, serves it, and ends with status 0 when it is interrupted."""
    import http.client
    import re

    command = [sys.executable, "-m", "ramet", "ui", str(runs), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        line = process.stdout.readline()
        port = int(re.search(r"http://127\.0\.0\.1:(\d+)/", line)[1])
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=LONG)) as connection:
            connection.request("GET", "/api/runs")
            assert len(json.loads(connection.getresponse().read())["runs"]) == 1
        process.send_signal(signal.SIGINT)
        assert process.wait(LONG) == 0
