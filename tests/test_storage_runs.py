"""A run that is kept in a store: whatever goes wrong there, it ends as it would have, and can be had back."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

pytest.importorskip("fsspec")
pytest.importorskip("s3fs")
pytest.importorskip("moto")

import clouds
import runs
from stored import SYNC, named, run

import ramet
from ramet import fsck
from ramet.cli import main
from ramet.errors import ConfigError, LockedError, RunError, StorageError
from ramet.record import Record
from ramet.store import shipping
from ramet.store.holder import HOLDER, Holder
from ramet.store.remote import Remote
from ramet.store.retries import Retries
from ramet.store.shipping import Shipping
from ramet.store.snapshots import POINTER, Home, here, home, newest
from ramet.testing import story

LIMIT = 60
"""Seconds that only a failing test waits."""


@pytest.fixture(scope="module")
def server():
    """One S3 server for all of this file, which the surroundings point at."""
    from fsspec.config import conf

    with clouds.cloud() as made, pytest.MonkeyPatch.context() as patch:
        for name, value in {**clouds.SURROUNDINGS, "AWS_ENDPOINT_URL": made.endpoint}.items():
            patch.setenv(name, value)
        patch.setitem(conf, "s3", json.loads(clouds.SURROUNDINGS["FSSPEC_S3"]))
        yield made


@pytest.fixture
def sky(server):
    """The server, as long as nothing is done to it."""
    server.spoil = lambda method, path: None
    server.calls.clear()
    yield server
    server.spoil = lambda method, path: None


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch):
    """Pause a hundredth of a second before a call is made again."""
    monkeypatch.setattr(Retries, "pause", lambda self, number: 0.01)


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Be on a machine, by its name: what is there is in a folder of its own."""

    def be(name: str) -> Path:
        monkeypatch.setenv("RAMET_RUNS", str(tmp_path / name))
        return tmp_path / name

    be("first")
    return be


@pytest.fixture
def store(tmp_path):
    """The URL of a store that nobody has used."""
    return f"file://{tmp_path}/store"


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    """The story of the same run on this machine alone."""
    return story(run(tmp_path_factory.mktemp("local")))


def whole(url: str) -> None:
    """Check that a store holds exactly one run, and all of it."""
    remote = Remote(url)
    found = newest(remote)
    assert found is not None
    assert {f"ledger/{name}" for name in remote.sizes("ledger")} == found.objects
    assert not remote.has(HOLDER)


# ---------------------------------------------------------------------- a whole run


@pytest.mark.parametrize("kind", ["memory", "file", "s3"])
def test_a_run_in_a_store_is_the_run_of_a_machine(kind, sky, machine, tmp_path, local):
    """A run that is kept in a store tells the story of a local one, here and from its URL on another machine."""
    place = {
        "memory": f"memory://{tmp_path.name}",
        "file": f"file://{tmp_path}/s",
        "s3": f"s3://bucket/{tmp_path.name}",
    }
    path = run(place[kind])
    assert path == str(tmp_path / "first" / "run")
    assert story(path) == local
    url = f"{place[kind]}/run"
    whole(url)
    assert Remote(url).names() == dict.fromkeys(named(path), True)
    assert fsck.check(Path(path)) == []
    shutil.rmtree(path)
    machine("second")
    grid = ramet.ResultGrid(url)
    assert grid.experiment_path == str(tmp_path / "second" / "run")
    assert os.listdir(tmp_path / "second" / "run" / "checkpoints") == []
    with grid.get_best_result().checkpoint.as_directory() as folder:
        assert Path(folder, "step").read_text() == "12"
    assert story(grid.experiment_path) == local
    assert ramet.open(url).best().iteration == 12


def test_a_hundred_faults_are_not_noticed(sky, machine, tmp_path, local):
    """With a hundred calls spoilt in all ways the run ends right, and what is in the store is whole and no more."""
    sky.chance(seed=5, share=0.2, most=100)
    url, number = f"s3://bucket/{tmp_path.name}", 0
    while sky.spoilt() < 100:  # how many calls a run makes is a matter of time
        number += 1
        path = run(url, stop=12)
        assert story(path) == local
    sky.spoil = lambda method, path: None
    for at in range(1, number + 1):
        name = "run" if at == 1 else f"run_{at}"
        whole(f"{url}/{name}")
        assert {final for final, done in Remote(f"{url}/{name}").names().items() if done} == named(
            tmp_path / "first" / name
        )
        machine("second")
        assert story(ramet.ResultGrid(f"{url}/{name}").experiment_path) == local
    came = Counter(call.fault for call in sky.calls)
    assert min(came[fault] for fault in clouds.FAULTS) >= 5


def test_every_snapshot_is_whole(machine, tmp_path, store, monkeypatch):
    """Whatever is published at any moment of a run names nothing that is not in the store, and so can be taken up."""
    seen = []
    put = Remote.put

    def watched(self, name, data):
        put(self, name, data)
        if name == POINTER:
            copy = tmp_path / f"copy{len(seen)}"
            shutil.copytree(f"{tmp_path}/store/run", copy)
            seen.append(copy)

    monkeypatch.setattr(Remote, "put", watched)
    run(store, stop=30)
    assert len(seen) > 1
    for number, copy in enumerate(seen):
        folder = here(f"file://{copy}", tmp_path / f"machine{number}")
        assert {final for final, done in Remote(f"file://{copy}").names().items() if done} >= named(folder)
        assert [told for told in fsck.check(folder) if "entries of" not in told] == []


def test_what_nobody_names_is_gone_at_the_end(machine, tmp_path, store):
    """What comes to the store when the run has let go of it, from another machine, say, is deleted at the end."""
    left = []

    class Late(ramet.Callback):
        def on_report(self, member, iteration, metrics):
            if iteration == 9 and not left:
                remote = Remote(f"{store}/run")
                remote.send("checkpoints/0-1-late/weights", b"1")
                remote.send("checkpoints/0-1-late/.ramet-manifest.json", b"{}")
                left.append(remote)

    path = run(store, callbacks=[Late()])
    assert left[0].names() == dict.fromkeys(named(path), True)


def test_a_signal_ends_the_wait_for_the_store(machine, tmp_path, store, monkeypatch):
    """At the end of a run that waits for its store a signal lets it go, with what has been kept; nothing is lost."""
    pipe, blocked = Remote._write, []

    def write(self, name, data):
        if blocked:
            raise OSError("no route to host")
        pipe(self, name, data)

    class Cut(ramet.Callback):
        def on_report(self, member, iteration, metrics):
            if iteration == 2:
                blocked.append(True)

    finish, told = Shipping.finish, []

    def finished(self, given_up=lambda: False):
        def end():
            while not self._ending:
                time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGTERM)

        if not told:
            threading.Thread(target=end).start()
        return finish(self, lambda: told.append(given_up()) or told[-1])

    monkeypatch.setattr(Remote, "_write", write)
    monkeypatch.setattr(Shipping, "finish", finished)
    path = run(store, stop=6, callbacks=[Cut()])
    blocked.clear()
    assert True in told
    assert fsck.check(Path(path)) != []
    ramet.Tuner.restore(path, runs._directory, callbacks=[]).fit()
    assert fsck.check(Path(path)) == []


def test_a_name_that_is_used_in_the_store_gets_a_number(machine, tmp_path, store):
    """A run never goes where another one is, be it only in the store."""
    run(store, stop=3)
    machine("second")
    assert run(store, stop=3) == str(tmp_path / "second" / "run_2")
    whole(f"{store}/run")
    whole(f"{store}/run_2")


def test_a_run_in_a_store_works_with_a_small_cache(machine, tmp_path, store, local):
    """With no room for copies a run is the same, though what it starts from comes back from the store."""
    path = run(store, sync_config=ramet.SyncConfig(sync_period=0.05, cache_bytes=0))
    assert story(path) == local
    whole(f"{store}/run")


# ---------------------------------------------------------------------- taken up


def test_a_run_goes_on_from_its_url(machine, tmp_path, store):
    """A run that was stopped goes on from its URL on another machine as it would have where it was."""
    first = run(store, stop=6)
    machine("second")
    assert ramet.Tuner.can_restore(f"{store}/run")
    assert not ramet.Tuner.can_restore(f"{store}/other")
    grid = ramet.Tuner.restore(f"{store}/run", runs._directory, stop={"training_iteration": 12}).fit()
    alone = run(tmp_path / "alone", stop=6)
    ramet.Tuner.restore(alone, runs._directory, stop={"training_iteration": 12}).fit()
    assert story(grid.experiment_path) == story(alone)
    whole(f"{store}/run")
    assert Remote(f"{store}/run").names() == dict.fromkeys(named(grid.experiment_path), True)

    machine("first")  # where it began, and is older now
    with pytest.raises(RunError, match="gone on elsewhere"):
        ramet.Tuner.restore(first, runs._directory, stop={"training_iteration": 15}).fit()
    assert ramet.ResultGrid(f"{store}/run").experiment_path == first
    assert story(first) == story(alone)


def test_what_is_newer_here_is_used(machine, tmp_path, store):
    """A folder that has more of the run than the store is not gone back on, and a resume sends what is missing."""
    path = run(store, stop=6)
    old = tmp_path / "old"
    shutil.copytree(tmp_path / "store", old)
    ramet.Tuner.restore(path, runs._directory, stop={"training_iteration": 9}).fit()
    told = story(path)
    shutil.rmtree(tmp_path / "store")
    old.rename(tmp_path / "store")  # as if nothing had been sent
    assert any("entries of" in each for each in fsck.check(Path(path)))
    assert any("is not in" in each for each in fsck.check(Path(path)))
    assert ramet.ResultGrid(f"{store}/run").experiment_path == path
    assert story(path) == told
    ramet.Tuner.restore(f"{store}/run", runs._directory).fit()
    assert fsck.check(Path(path)) == []
    machine("second")
    assert story(ramet.ResultGrid(f"{store}/run").experiment_path) == told


def test_a_branch_begins_from_a_url(machine, tmp_path, store):
    """A new run begins from a point of one in a store, whose checkpoint comes from there."""
    run(store, stop=6)
    machine("second")
    more = ramet.RunConfig(name="new", stop={"training_iteration": 9}, executor="inline", verbose=0)
    grid = ramet.Tuner.branch(f"{store}/run", runs._directory, run_config=more).fit()
    assert {result.iteration for result in grid} == {9}
    assert home(grid.experiment_path) is None


KILLED = """
import os, sys, time
import ramet, runs
def train(config):
    checkpoint = ramet.get_checkpoint()
    step = 0
    if checkpoint:
        with checkpoint.as_directory() as folder:
            with open(f"{folder}/step") as file:
                step = int(file.read())
    while True:
        step += 1
        folder = ramet.checkpoint_dir()
        with open(f"{folder}/step", "w") as file:
            file.write(str(step))
        with open(f"{folder}/weights", "wb") as file:
            file.write(bytes(300_000))
        ramet.report({"score": config["lr"] * step}, checkpoint=ramet.Checkpoint.from_directory(folder))
        if step == 7 and "KILL" in os.environ:
            time.sleep(600)
if __name__ == "__main__":
    url = sys.argv[1]
    scheduler = runs.pbt(synch=True)
    sync = ramet.SyncConfig(sync_period=0.1)
    stop = {"training_iteration": 12}
    if sys.argv[2] == "begin":
        ramet.Tuner(
            train,
            param_space={"lr": ramet.uniform(0.0, 1.0)},
            tune_config=ramet.TuneConfig(metric="score", mode="max", num_samples=4, seed=4, scheduler=scheduler),
            run_config=ramet.RunConfig(name="run", storage_path=url, verbose=0, stop=stop, sync_config=sync,
                                       executor=ramet.ProcessExecutor(2)),
        ).fit()
    else:
        ramet.Tuner.restore(url, train, verbose=0).fit()
"""


def test_a_machine_that_is_lost_costs_no_more_than_a_period(server, sky, tmp_path, capsys, monkeypatch):
    """After kill -9 of everything, another machine goes on from the URL alone, and the run ends as if nothing was.

    In a list of the store's runs it is under way, and broken off once it was not heard of for a while.
    """
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    url = f"s3://bucket/{tmp_path.name}"
    base = {**os.environ, "PYTHONPATH": f"{Path(__file__).parent}:{os.environ.get('PYTHONPATH', '')}"}

    def start(what, place, machine, **more):
        surroundings = {**base, "RAMET_RUNS": str(tmp_path / machine), **more}
        return subprocess.Popen([sys.executable, script, place, what], env=surroundings, start_new_session=True)

    def state():
        assert main(["ls", url, "--json"]) == 0
        return json.loads(capsys.readouterr().out)["runs"][0]["state"]

    with start("begin", url, "first", KILL="1") as first:
        try:
            remote = Remote(f"{url}/run")
            ending = time.monotonic() + LIMIT
            # It stands still before its second decision; all that it stands on has been kept by then.
            while not (found := newest(remote)) or len(remote.names()) < 4 or found.seq < 20:
                assert time.monotonic() < ending
                assert first.poll() is None
                time.sleep(0.05)
            assert state() == "under way"
        finally:
            os.killpg(first.pid, signal.SIGKILL)
    with monkeypatch.context() as patch:
        patch.setattr(shipping, "LEASE_SECONDS", 0.0)
        assert state() == "broken off"
    told = json.loads(remote.get(HOLDER))
    assert told["process"] == first.pid
    shutil.rmtree(tmp_path / "first")
    with start("go on", f"{url}/run", "second") as second:
        assert second.wait(LIMIT) == 0
    with start("begin", str(tmp_path / "alone"), "alone") as alone:
        assert alone.wait(LIMIT) == 0
    assert story(tmp_path / "second" / "run") == story(tmp_path / "alone" / "run")
    whole(f"{url}/run")


# ---------------------------------------------------------------------- one controller


def test_a_run_that_another_controller_holds_is_refused(machine, tmp_path, store):
    """Who takes up a run that a live controller works on is told who that is, before anything is changed."""
    path = run(store, stop=3)
    machine("second")
    other = Holder(Remote(f"{store}/run"), 60)
    other.take()
    with pytest.raises(LockedError, match=f"process {os.getpid()} on .* since .* works on the run in {store}/run"):
        ramet.Tuner.restore(f"{store}/run", runs._directory, stop={"training_iteration": 6}).fit()
    machine("first")
    with pytest.raises(LockedError):
        ramet.Tuner.restore(path, runs._directory, stop={"training_iteration": 6}).fit()
    other.release()
    assert len(ramet.Tuner.restore(path, runs._directory, stop={"training_iteration": 6}).fit()) == 4


def test_a_holder_that_is_gone_is_replaced_and_hears_of_it(tmp_path, store):
    """A lease that has run out is taken over at once, and the old holder may publish nothing any more."""
    remote = Remote(f"{store}/run")
    old, new = Holder(remote, 60), Holder(remote, -1)
    old.take()
    with pytest.raises(LockedError):
        Holder(remote, 60).take()
    told = json.loads(remote.get(HOLDER))
    remote.put(HOLDER, json.dumps({**told, "machine": "another"}).encode())
    from ramet.store import holder

    holder._ours.discard(old.token)
    new.take()
    new.check()
    with pytest.raises(LockedError, match="has taken over"):
        old.renew()
    old.release()
    assert remote.has(HOLDER)
    new.release()
    assert not remote.has(HOLDER)


def test_a_controller_that_was_replaced_ends(machine, tmp_path, store, monkeypatch):
    """A run whose place another controller has taken ends with an error that says so, and changes nothing there."""
    taken = []

    def train(config):
        if not taken:
            remote = Remote(f"{store}/run")
            while not remote.has(POINTER):
                time.sleep(0.01)
            remote.put(HOLDER, json.dumps({"token": "other", "host": "elsewhere", "process": 7}).encode())
            taken.append(remote)
        for _ in range(10**6):
            ramet.report({"score": 0.0})
            time.sleep(0.001)

    with pytest.raises(LockedError, match="process 7 on elsewhere has taken over"):
        ramet.Tuner(
            train,
            run_config=ramet.RunConfig(name="run", storage_path=store, verbose=0, executor="inline", sync_config=SYNC),
        ).fit()
    assert json.loads(taken[0].get(HOLDER))["token"] == "other"


def test_two_take_a_new_run_and_one_gets_it(store):
    """Of two controllers that begin a run of one name at the same moment, one is refused."""
    first, second = Holder(Remote(f"{store}/run"), 60), Holder(Remote(f"{store}/run"), 60)
    first.take()
    with pytest.raises(LockedError):
        second.take()
    first.check()


# ---------------------------------------------------------------------- a store that is down


def test_a_store_that_goes_down_holds_up_no_training(sky, machine, tmp_path):
    """While the store is down the run trains on and says so once; when it is back it says that, and all arrives."""
    seen, url = [], f"s3://bucket/{tmp_path.name}"

    class Watch(ramet.Callback):
        def on_report(self, member, iteration, metrics):
            told = notes()
            if iteration == 3:
                sky.spoil = lambda method, path: "503"
            if iteration > 3 and any("Unavailable" in text or "reduce" in text for text in told):
                seen.append(iteration)
                sky.spoil = lambda method, path: None

    def notes():
        record = Record.open(tmp_path / "first" / "run")
        try:
            return list(record.population().noted.values())
        finally:
            record.close()

    def train(config):
        while True:
            folder = ramet.checkpoint_dir()
            Path(folder, "weights").write_bytes(bytes(1000))
            ramet.report({"score": 0.0, "back": len(notes())}, checkpoint=ramet.Checkpoint.from_directory(folder))
            time.sleep(0.01)

    grid = ramet.Tuner(
        train,
        run_config=ramet.RunConfig(
            name="run", storage_path=url, verbose=0, executor="inline", sync_config=SYNC, stop={"back": 2},
            callbacks=[Watch()], checkpoint_config=ramet.CheckpointConfig(num_to_keep=2),
        ),
    ).fit()  # fmt: skip
    assert seen
    assert notes()[1] == "the store is back"
    assert fsck.check(Path(grid.experiment_path)) == []
    whole(f"{url}/run")


def test_an_end_without_the_store_says_what_is_missing(machine, tmp_path, store, monkeypatch, capsys):
    """If the store is down at the end the run says what has not arrived; taking up the folder sends it."""
    from ramet.store import shipping

    monkeypatch.setattr(shipping, "END_SECONDS", 0.1)
    blocked = []
    pipe = Remote._write

    def write(self, name, data):
        if blocked:
            raise OSError("no route to host")
        pipe(self, name, data)

    monkeypatch.setattr(Remote, "_write", write)

    class Cut(ramet.Callback):
        def on_report(self, member, iteration, metrics):
            if iteration == 2:
                blocked.append(True)

    path = run(store, stop=6, callbacks=[Cut()])
    blocked.clear()
    assert any("entries of" in told or "holds no run" in told for told in fsck.check(Path(path)))
    ramet.Tuner.restore(path, runs._directory, callbacks=[]).fit()
    assert fsck.check(Path(path)) == []


def test_what_cannot_work_is_refused_before_there_is_a_folder(sky, machine, tmp_path):
    """No bucket, no right to write, no answer: an error before training, and nothing is left behind here."""
    for url, fault, kind in [
        ("s3://no-such-bucket/runs", None, ConfigError),
        ("s3://bucket/runs", "403", ConfigError),
    ]:
        sky.spoil = lambda method, path, fault=fault: fault
        with pytest.raises(kind, match="storage_path="):
            run(url)
    assert not (tmp_path / "first").exists() or os.listdir(tmp_path / "first") == []


def test_no_credentials_are_kept(sky, machine, tmp_path):
    """Nothing that a run leaves, here or in the store, holds what the environment has of credentials."""
    path = run(f"s3://bucket/{tmp_path.name}", stop=3)
    secrets = [clouds.SURROUNDINGS[name].encode() for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")]
    left = [file.read_bytes() for file in Path(path).rglob("*") if file.is_file()]
    remote = Remote(f"s3://bucket/{tmp_path.name}/run")
    left += [remote.get(name) for name in remote.sizes("")]
    assert len(left) > 5
    assert not any(secret in data for data in left for secret in secrets)


def test_damage_to_the_pointer_is_told(machine, tmp_path, store):
    """A ``run.json`` that is none, or of a later version, is an error that says so, and no run."""
    run(store, stop=3)
    remote = Remote(f"{store}/run")
    good = remote.get(POINTER)
    machine("second")
    for bad, why in [
        (b"{", "has format None"),
        (good.replace(b'"format": 1', b'"format": 9'), "has format 9.*update Ramet"),
        (b'{"format": 1}', "is damaged"),
        (good.replace(b'"run.db"', b'"../run.db"'), "is damaged"),
    ]:
        remote.put(POINTER, bad)
        with pytest.raises(RunError, match=why):
            ramet.ResultGrid(f"{store}/run")
    remote.put(POINTER, good)
    piece = next(iter(newest(remote).objects))
    remote.put(piece, remote.get(piece)[:-1] + b"?")
    with pytest.raises(ramet.RametError, match="not what was sent"):
        ramet.ResultGrid(f"{store}/run")


def test_a_store_that_does_not_answer_is_no_lost_checkpoint(machine, tmp_path, store, monkeypatch):
    """A check of a run whose checkpoints are in a store that is down says that; nothing counts as lost for it."""
    run(store, stop=6)
    machine("second")
    folder = here(f"{store}/run", tmp_path / "second")

    def down(*args, **more):
        raise StorageError("no route to host")

    monkeypatch.setattr(Remote, "holds", down)
    with pytest.raises(StorageError, match="no route"):
        fsck.check(folder)
    with pytest.raises(StorageError, match="no route"):
        fsck.repair(folder)
    monkeypatch.undo()
    assert fsck.check(folder) == []


def test_the_command_line_takes_urls(machine, tmp_path, store, capsys):
    """Verbs that look at a run take its URL in the place of its folder; a URL without a run is an error in one line."""
    from ramet.cli import main

    run(store, stop=6)
    machine("second")
    for words in (["show"], ["best"], ["lineage"], ["ls"], ["check"]):
        assert main([*words, f"{store}/run"]) == 0, capsys.readouterr()
    assert main(["show", f"{store}/other"]) != 0
    assert "holds no run" in capsys.readouterr().err


def test_homes_are_told_and_refused(tmp_path):
    """Where a run is kept is what its folder says; what says nothing of the kind is refused."""
    from ramet.store.snapshots import settle

    assert home(tmp_path) is None
    settle(tmp_path, Home("memory://a", "run", "token"))
    assert home(tmp_path) == Home("memory://a", "run", "token", "")
    (tmp_path / "storage.json").write_text("{}")
    with pytest.raises(RunError, match=r"storage\.json"):
        home(tmp_path)


def test_the_summary_says_where_a_run_is_kept(machine, tmp_path, store, capsys):
    """The URL stands below the folder, for whoever goes on elsewhere."""
    assert main(["show", run(store)]) == 0
    assert f"  store      {store}/run" in capsys.readouterr().out.replace("\n             ", "").splitlines()


# ---------------------------------------------------------------------- what there is


@pytest.mark.parametrize("kind", ["memory", "file", "s3"])
def test_the_runs_in_a_store_are_listed(kind, sky, machine, tmp_path, capsys):
    """`ramet ls` of a URL tells what it tells of a folder, of damage too, and leaves nothing behind, here or there."""
    url = {
        "memory": f"memory://{tmp_path.name}",
        "file": f"file://{tmp_path}/s",
        "s3": f"s3://bucket/{tmp_path.name}",
    }[kind]
    run(url)
    run(url, stop=3)
    assert main(["ls", str(tmp_path / "first"), "--json"]) == 0
    here_told = json.loads(capsys.readouterr().out)["runs"]
    Remote(url).put("three/run.json", b"{}")
    Remote(url).put("no-run/notes.txt", b"mine")
    before = Remote(url).sizes("")
    machine("second")
    assert main(["ls", url, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["folder"] == url
    told = {each["name"]: each for each in found["runs"]}
    assert list(told) == ["three", "run", "run_2"]
    for each in here_told:
        there = told[each["name"]]
        assert there.pop("path") == f"{url}/{each['name']}"
        assert there.pop("size") > 0
        assert there == {name: value for name, value in each.items() if name not in ("path", "size")}
    assert told["three"]["state"] == "damaged"
    assert "format None" in told["three"]["why"]
    assert Remote(url).sizes("") == before
    assert not (tmp_path / "second").exists()
    assert main(["ls", f"{url}/run_2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[1].split()[:2] == ["run_2", "ended"]
