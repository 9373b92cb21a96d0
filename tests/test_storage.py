"""A store that a URL names, and a machine's own copies of what is in it: what is visible is whole, come what may."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

pytest.importorskip("fsspec")
pytest.importorskip("s3fs")
pytest.importorskip("moto")

import clouds

from ramet.errors import ConfigError, DamageError, StorageError
from ramet.store.checkpoints import CheckpointStore
from ramet.store.depot import Depot, fetched
from ramet.store.manifest import MANIFEST, verified
from ramet.store.remote import Remote
from ramet.store.retries import Retries, scrubbed
from ramet.store.urls import checked

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
        made.all_of_it = Remote(f"s3://{clouds.BUCKET}")
        yield made


@pytest.fixture
def sky(server):
    """The server, as long as nothing is done to it."""
    server.spoil = lambda method, path: None
    server.calls.clear()
    yield server
    server.spoil = lambda method, path: None


def url(kind: str, folder: Path) -> str:
    """Return a URL of a folder that nobody has used."""
    name = f"{os.getpid()}-{folder.name}-{random.getrandbits(40):x}"
    return {"s3": f"s3://{clouds.BUCKET}/{name}", "memory": f"memory://{name}", "file": f"file://{folder}/{name}"}[kind]


def bucket(sky: clouds.Cloud, folder: Path, tries: int = 8, name: str | None = None) -> Remote:
    """Return a folder in the bucket, one that nobody has used by default, with the connections of the others."""
    remote = sky.all_of_it.below(name or url("s3", folder).rpartition("/")[2])
    remote.retries = quick(tries)
    return remote


def quick(tries: int = 8) -> Retries:
    """Return retries that hardly wait."""
    return Retries(tries, 0.001, 0.01)


def made(root: Path, name: str = "0-1", size: int = 1000) -> str:
    """Commit a checkpoint of several files, one of them in a folder and one folder empty, and return its final name."""
    store = CheckpointStore(root)
    scratch = store.scratch()
    (scratch / "weights").write_bytes(random.Random(name).randbytes(size))
    (scratch / "sub" / "deep").mkdir(parents=True)
    (scratch / "sub" / "empty").mkdir()
    (scratch / "sub" / "deep" / "a b ü+%.txt").write_text(name)
    (scratch / "nothing").touch()
    return store.commit(scratch, name)[0]


def contents(path: Path) -> dict[str, bytes | None]:
    """Return all that lies below ``path``."""
    return {
        str(each.relative_to(path)): each.read_bytes() if each.is_file() else None for each in sorted(path.rglob("*"))
    }


def wait_for(what) -> None:
    """Wait until ``what()`` holds."""
    ending = time.monotonic() + LIMIT
    while not what():
        assert time.monotonic() < ending
        time.sleep(0.01)


# ---------------------------------------------------------------------- a store


@pytest.mark.parametrize("kind", ["memory", "file", "s3"])
def test_a_checkpoint_comes_back_as_it_went(kind, sky, tmp_path):
    """What is fetched from a store has the bytes and folders of what was committed to it, and is named as it was."""
    remote = Remote(url(kind, tmp_path), quick())
    remote.check()
    final = made(tmp_path / "here")
    assert remote.names() == {}
    assert not remote.holds(final)
    size = remote.commit(tmp_path / "here" / final, final)
    assert size == CheckpointStore(tmp_path / "here").bytes_of(final)
    assert remote.holds(final)
    assert remote.names() == {final: True}
    (tmp_path / "there").mkdir()
    path = remote.fetch(final, tmp_path / "there")
    assert path == tmp_path / "there" / final
    assert contents(path) == contents(tmp_path / "here" / final)
    verified(path)
    assert [each.name for each in (tmp_path / "there").iterdir()] == [final]
    remote.delete(final)
    remote.delete(final)
    assert remote.names() == {}
    with pytest.raises(DamageError, match="never committed"):
        remote.fetch(final, tmp_path)


@pytest.mark.parametrize("kind", ["memory", "file", "s3"])
def test_small_objects_are_written_over_and_listed(kind, sky, tmp_path):
    """An object that is put is what is read, by its newest content; listings give names and sizes below a folder."""
    remote = Remote(url(kind, tmp_path), quick()).below("run")
    remote.put("run.json", b"first")
    remote.put("run.json", b"second")
    remote.send("ledger/0", b"12345")
    assert remote.get("run.json") == b"second"
    assert remote.sizes("") == {"run.json": 6, "ledger/0": 5}
    assert remote.sizes("ledger") == {"0": 5}
    assert abs((remote.modified("run.json") or 0) - time.time()) < 3600
    remote.drop(["run.json", "ledger/0", "never"])
    assert remote.sizes("") == {}
    with pytest.raises(FileNotFoundError):
        remote.get("run.json")


VERBS = {
    "check": lambda remote, here, final: remote.check(),
    "put": lambda remote, here, final: remote.put("run.json", b"new"),
    "get": lambda remote, here, final: remote.get("old"),
    "sizes": lambda remote, here, final: remote.sizes(""),
    "drop": lambda remote, here, final: remote.drop(["old"]),
    "commit": lambda remote, here, final: remote.commit(here / final, final),
    "fetch": lambda remote, here, final: remote.fetch("0-0-old", here / "again"),
    "holds": lambda remote, here, final: remote.holds(final),
    "delete": lambda remote, here, final: remote.delete("0-0-old"),
    "names": lambda remote, here, final: remote.names(),
}


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    """A committed checkpoint with a name that is always the same."""
    root = tmp_path_factory.mktemp("old")
    final = made(root, "0-0", 3000)
    manifest = (root / final / MANIFEST).read_text()
    (root / final / MANIFEST).write_text(manifest.replace(final, "0-0-old"))
    return (root / final).rename(root / "0-0-old")


@pytest.mark.parametrize(
    ("verb", "fault"),
    [
        (verb, fault)
        for verb in VERBS
        for fault in clouds.FAULTS
        if fault != "hang" or verb in ("put", "commit", "fetch")  # each costs half a second
    ],
)
def test_a_fault_that_passes_is_not_noticed(verb, fault, sky, tmp_path, old):
    """Every verb does what it does without faults, whichever fault its first calls meet, and leaves the same behind."""
    left = {}
    for spoilt in (False, True):
        here = tmp_path / str(spoilt)
        (here / "again").mkdir(parents=True)
        remote = bucket(sky, here)
        final = made(here)
        remote.put("old", b"old")
        remote.commit(old, "0-0-old")
        hits = iter(range(1 if fault == "hang" else 2))
        sky.spoil = lambda method, path, hits=hits, spoilt=spoilt: (
            fault if spoilt and next(hits, None) is not None else None
        )
        told = VERBS[verb](remote, here, final)
        sky.spoil = lambda method, path: None
        if verb == "fetch":
            told = contents(told)
        left[spoilt] = told, {name.replace(final, "new"): size for name, size in remote.sizes("").items()}
    assert left[True] == left[False]


def test_what_was_cut_off_is_not_visible(sky, tmp_path):
    """However many calls of a commit get through before the store goes down, it is whole there or not there at all."""
    root = tmp_path / "here"
    final = made(root)
    seen = set()
    for through in range(12):
        remote = bucket(sky, tmp_path, 1)
        left = iter(range(through))
        sky.spoil = lambda method, path, left=left: None if next(left, None) is not None else "cut"
        try:
            remote.commit(root / final, final)
            done = True
        except StorageError:
            done = False
        sky.spoil = lambda method, path: None
        seen.add(done)
        there = tmp_path / f"there{through}"
        there.mkdir()
        if remote.holds(final):
            verified(remote.fetch(final, there))
        else:
            assert not done
            with pytest.raises(DamageError):
                remote.fetch(final, there)
            assert list(there.iterdir()) == []
            remote.commit(root / final, final, again=True)
            verified(remote.fetch(final, there))
    assert seen == {True, False}


@pytest.mark.parametrize("spoil", ["gone", "short", "long", "other"])
def test_what_is_damaged_in_the_store_is_told(spoil, tmp_path):
    """A file that the store holds otherwise than it was committed is damage, and nothing of it comes to lie here."""
    remote = Remote(url("memory", tmp_path), quick())
    final = made(tmp_path / "here")
    remote.commit(tmp_path / "here" / final, final)
    name = f"checkpoints/{final}/weights"
    data = remote.get(name)
    if spoil == "gone":
        remote.drop([name])
    else:
        remote.put(name, {"short": data[:-1], "long": data + b"0", "other": bytes([data[0] ^ 1]) + data[1:]}[spoil])
    (tmp_path / "there").mkdir()
    with pytest.raises(DamageError, match=final):
        remote.fetch(final, tmp_path / "there")
    assert list((tmp_path / "there").iterdir()) == []


def test_a_large_file_goes_in_parts(sky, tmp_path, monkeypatch):
    """A file beyond what goes in one call goes in parts both ways, also where some are cut, and comes back whole."""
    root = tmp_path / "here"
    final = made(root, size=101 * 2**20)
    from fsspec.config import conf

    monkeypatch.setitem(conf, "s3", {})  # the server takes its time to put the parts together
    remote = Remote(url("s3", tmp_path), quick())
    hits = iter(range(1))
    sky.spoil = lambda method, path: "cut" if "partNumber=2" in path and next(hits, None) is not None else None
    remote.commit(root / final, final)
    assert any("partNumber=2" in call.path and call.fault for call in sky.calls)
    (tmp_path / "there").mkdir()
    hits = iter(range(2))
    sky.spoil = lambda method, path: "half" if method == "GET" and next(hits, None) is not None else None
    sky.calls.clear()
    verified(remote.fetch(final, tmp_path / "there"))
    parts = [call.down for call in sky.calls if call.path.endswith("/weights") and call.fault is None]
    assert sum(parts) == 101 * 2**20
    assert len([part for part in parts if part]) == 4


REFUSED = [
    ("s3://me:secret@bucket/runs", "holds credentials"),
    ("s3://token@bucket/runs", "holds credentials"),
    ("s3://", "no URL of a folder"),
    ("s3:///", "no URL of a folder"),
    ("://bucket", "no URL of a folder"),
    ("s3://bucket/runs?X-Amz-Signature=abc", "no URL of a folder"),
    ("simplecache::s3://bucket/runs", "no URL of a folder"),
    ("s3://bucket/*", "no URL of a folder"),
    ("memory://runs/../others", "leads in a circle"),
]


@pytest.mark.parametrize(("given", "why"), REFUSED)
def test_a_url_that_is_none_is_refused_without_its_secrets(given, why):
    """A URL that cannot be that of a folder, or that holds credentials, is refused; the message holds none of them."""
    with pytest.raises(ConfigError, match=why) as told:
        checked(given)
    assert "secret" not in str(told.value)
    assert "abc" not in str(told.value)
    assert "token@" not in str(told.value)


def test_what_is_missing_is_told_in_one_line(sky, monkeypatch, tmp_path):
    """No package, no credentials, no bucket, no right to write, no answer: one line each, which says the way out."""
    told = {}

    def note(what, place, kind):
        with pytest.raises(kind) as error:
            Remote(place, quick(2)).check()
        told[what] = str(error.value)

    monkeypatch.setitem(sys.modules, "gcsfs", None)
    note("package", "gs://bucket/runs", ConfigError)
    note("protocol", "nothing://bucket/runs", ConfigError)
    note("bucket", "s3://no-such-bucket/runs", ConfigError)
    sky.spoil = lambda method, path: "503"
    note("down", f"s3://{clouds.BUCKET}/runs", StorageError)
    sky.spoil = lambda method, path: "403"
    note("right", f"s3://{clouds.BUCKET}/runs", ConfigError)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    note("credentials", f"s3://{clouds.BUCKET}/runs", ConfigError)
    for what, text in {
        "package": "needs gcsfs, which is not installed: pip install gcsfs, or 'ramet[cloud]'",
        "protocol": "nothing", "bucket": "no such bucket", "down": "is up",
        "right": "may not write", "credentials": "no credentials",
    }.items():  # fmt: skip
        assert text in told[what]
        assert "\n" not in told[what]
        assert "://" in told[what]


def test_without_fsspec_the_package_is_named(tmp_path):
    """Where fsspec is not installed, a URL says what to install, and the module can still be imported."""
    code = (
        "import sys\nsys.modules['fsspec'] = None\nfrom ramet.store.remote import Remote\n"
        "try:\n    Remote('s3://bucket/runs')\nexcept ValueError as error:\n    print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=LIMIT, check=True)
    assert "ramet[cloud]" in done.stdout
    assert done.stdout.count("\n") == 1


@pytest.mark.parametrize(
    "text",
    [
        "https://host/key?X-Amz-Signature=SECRET&X-Amz-Credential=SECRET",
        "cannot use AWS_SECRET_ACCESS_KEY=SECRET here",
        "{'aws_secret_access_key': 'SECRET', 'other': 1}",
        "DefaultEndpointsProtocol=https;AccountKey=SECRET;EndpointSuffix=x",
        "Authorization: AWS4-HMAC-SHA256 Credential=SECRET/2026, Signature=SECRET",
        "https://name:SECRET@host/path",
        "<AWSAccessKeyId>SECRET</AWSAccessKeyId>",
        "found hidden-in-the-environment somewhere",
    ],
)
def test_secrets_are_cut_out_of_what_is_told(text, monkeypatch):
    """No text of an error carries a key, a signature, a password, or a secret that the environment holds."""
    monkeypatch.setenv("MY_SECRET_KEY", "hidden-in-the-environment")
    assert "SECRET" not in scrubbed(text).replace("AWS_SECRET", "").replace("aws_secret", "")
    assert "hidden" not in scrubbed(text)


# ---------------------------------------------------------------------- a depot


@pytest.fixture
def depots(tmp_path):
    """Make depots, each on a machine of its own with the same store, and close them in the end."""
    place, opened = url("memory", tmp_path), []

    def one(name: str, remote: Remote | None = None, budget: int | None = None) -> Depot:
        root = tmp_path / name
        root.mkdir(exist_ok=True)
        depot = Depot(root, remote or Remote(place, quick()), budget)
        opened.append(depot)
        return depot

    yield one
    for depot in opened:
        depot.close()


def test_a_checkpoint_goes_from_one_machine_to_another_once(depots, tmp_path):
    """What one machine sends another one fetches, with one upload and one download; on its own it is read in place."""
    here, there = depots("here"), depots("there")
    final = made(tmp_path / "here", size=10**6)
    size = here.store.bytes_of(final)
    here.send(final)
    path = there.fetch(final, patience=LIMIT)
    assert contents(path) == contents(tmp_path / "here" / final)
    assert here.fetch(final) == tmp_path / "here" / final
    assert there.fetch(final) == path
    manifest = (path / MANIFEST).stat().st_size
    assert (here.remote.sent, here.remote.received) == (size + manifest, 0)
    assert (there.remote.sent, there.remote.received) == (0, size + manifest)
    wait_for(lambda: not here.pending)
    assert here.sent() == [final]
    assert here.sent() == []


def test_what_goes_over_is_one_upload_and_one_download(sky, depots, tmp_path):
    """Counted where it goes over: a clone on another machine costs one upload and one download, on its own neither."""
    place = bucket(sky, tmp_path)
    here, there = depots("here", place), depots("there", bucket(sky, tmp_path, name=place.url.rpartition("/")[2]))
    final = made(tmp_path / "here", size=10**7)
    here.send(final)
    for _ in range(3):  # clones of the same donor
        with fetched(there, final, LIMIT), fetched(here, final):
            pass
    wait_for(lambda: not here.pending)
    assert sky.moved(f"{final}/weights") == (10**7, 10**7)


PROCESS = """
import sys
from ramet.store.depot import Depot
from ramet.store.remote import Remote
depot = Depot(sys.argv[1], Remote(sys.argv[2]))
print(depot.fetch(sys.argv[3], 60), flush=True)
sys.stdin.read()
depot.close()
"""


def test_many_processes_of_a_machine_bring_a_checkpoint_once(sky, depots, tmp_path):
    """Processes that share a folder of a machine share what is brought to it."""
    here = depots("here", bucket(sky, tmp_path))
    final = made(tmp_path / "here", size=10**6)
    (tmp_path / "there").mkdir()
    words = [sys.executable, "-c", PROCESS, str(tmp_path / "there"), here.remote.url, final]
    others = [subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    try:
        here.send(final)
        assert {other.stdout.readline().strip() for other in others} == {str(tmp_path / "there" / final)}
        assert sky.moved(f"{final}/weights") == (10**6, 10**6)
    finally:
        for other in others:
            other.communicate()
    verified(tmp_path / "there" / final)


def test_many_threads_bring_a_checkpoint_once(depots, tmp_path):
    """However many ask for a checkpoint at once, it is brought once."""
    here, there = depots("here"), depots("there")
    final = made(tmp_path / "here")
    here.send(final)
    threads = [threading.Thread(target=there.fetch, args=(final, LIMIT)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)
    manifest = (tmp_path / "there" / final / MANIFEST).stat().st_size
    assert there.remote.received == there.store.bytes_of(final) + manifest


def test_a_store_that_is_down_is_waited_for_and_told_of(sky, depots, tmp_path):
    """While a store does not answer, sending waits and says so, nobody else does; when it is back, all arrives."""
    here = depots("here", bucket(sky, tmp_path))
    sky.spoil = lambda method, path: "503"
    finals = [made(tmp_path / "here", f"0-{at}") for at in range(3)]
    for final in finals:
        here.send(final)
    wait_for(lambda: here.trouble is not None)
    assert here.pending == set(finals)
    assert "503" in here.trouble or "reduce" in here.trouble
    assert here.sent() == []
    sky.spoil = lambda method, path: None
    wait_for(lambda: not here.pending)
    assert here.sent() == finals
    assert here.trouble is None


def test_who_needs_a_checkpoint_of_a_store_that_is_down_is_told(sky, depots, tmp_path):
    """A fetch waits for a store that does not answer as long as it is let, and then says that, not that it is lost."""
    there = depots("there", bucket(sky, tmp_path))
    sky.spoil = lambda method, path: "503"
    with pytest.raises(StorageError, match=r"reduce your request rate|Service Unavailable"):
        there.fetch("0-1-deadbeef", outage=0.05)
    sky.spoil = lambda method, path: None
    with pytest.raises(DamageError, match="never committed"):
        there.fetch("0-1-deadbeef")


def test_a_checkpoint_that_is_damaged_here_is_never_sent(depots, tmp_path):
    """What is no whole checkpoint here any more never becomes one in the store, and holds up nothing."""
    here = depots("here")
    bad, good = made(tmp_path / "here", "0-1"), made(tmp_path / "here", "0-2")
    (tmp_path / "here" / bad / "weights").unlink()
    here.send(bad)
    here.send(good)
    wait_for(lambda: not here.pending)
    assert here.sent() == [good]
    assert set(here.lost) == {bad}
    assert here.remote.names().get(bad, False) is False


def test_trouble_of_this_machine_loses_nothing(depots, tmp_path, monkeypatch):
    """A checkpoint that cannot be read for a while, as all descriptors are in use, is sent when it can be."""
    here = depots("here")
    final = made(tmp_path / "here")
    commit, told = Remote.commit, []

    def failing(self, *args, **more):
        if not told:
            told.append(OSError(24, "Too many open files"))
            raise told[0]
        return commit(self, *args, **more)

    monkeypatch.setattr(Remote, "commit", failing)
    here.send(final)
    wait_for(lambda: not here.pending)
    assert told
    assert here.sent() == [final]
    assert here.lost == {}


def test_what_is_let_go_is_not_sent(sky, depots, tmp_path):
    """A checkpoint that is let go before its turn is deleted here and never sent; one on its way goes afterwards."""
    here = depots("here", bucket(sky, tmp_path))
    first, second, third = (made(tmp_path / "here", f"0-{at}") for at in range(3))
    sky.spoil = lambda method, path: "503"
    for final in (first, second, third):
        here.send(final)
    wait_for(lambda: here.trouble is not None)
    here.forget(second)
    assert not (tmp_path / "here" / second).exists()
    here.forget(first)
    sky.spoil = lambda method, path: None
    wait_for(lambda: not here.pending)
    assert third in here.sent()
    assert second not in here.remote.names()
    wait_for(lambda: not (tmp_path / "here" / first).exists())


def test_what_a_snapshot_names_is_sent_first_and_whoever_lets_go_of_it(sky, depots, tmp_path):
    """What is held goes before all others and is sent although it was let go; afterwards it goes."""
    here = depots("here", bucket(sky, tmp_path))
    finals = [made(tmp_path / "here", f"0-{at}") for at in range(4)]
    sky.spoil = lambda method, path: "503"
    for final in finals:
        here.send(final)
    wait_for(lambda: here.trouble is not None)
    here.hold([finals[3]])
    here.forget(finals[3])
    sky.spoil = lambda method, path: None
    wait_for(lambda: not here.pending)
    assert here.sent() == [finals[0], finals[3], finals[1], finals[2]]
    assert here.remote.holds(finals[3])
    wait_for(lambda: not (tmp_path / "here" / finals[3]).exists())


def test_a_budget_lets_the_longest_unused_go(depots, tmp_path):
    """Over its budget a depot removes what is in the store and nobody uses, the longest unused first; it comes back."""
    here = depots("here", budget=2500)
    finals = [made(tmp_path / "here", f"0-{at}") for at in range(2)]
    for final in finals:
        here.send(final)
    wait_for(lambda: not here.pending)
    with fetched(here, finals[0]):
        pass  # so that the other one was used longest ago
    finals.append(made(tmp_path / "here", "0-2"))
    here.send(finals[2])
    wait_for(lambda: not (tmp_path / "here" / finals[1]).exists())
    assert (tmp_path / "here" / finals[0]).exists()
    with fetched(here, finals[1]) as path, fetched(here, finals[2]) as other:
        verified(path)
        verified(other)
        assert not (tmp_path / "here" / finals[0]).exists()


def test_what_another_process_uses_stays(depots, tmp_path):
    """A pin of another process on the machine keeps a copy from the budget, and from being let go, until it ends."""
    here = depots("here", budget=0)
    final = made(tmp_path / "here")
    code = (
        "import sys\nfrom pathlib import Path\nfrom ramet.store.pins import Pin\n"
        "pin = Pin.take(Path(sys.argv[1]), sys.argv[2])\nprint('has it', flush=True)\nsys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(here.store.root), final], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout.readline() == b"has it\n"
        here.send(final)
        wait_for(lambda: not here.pending)
        here.forget(final)
        assert (tmp_path / "here" / final).exists()
        other.stdin.close()
        other.wait(LIMIT)
    here.hold([])  # the next snapshot
    assert not (tmp_path / "here" / final).exists()


@pytest.mark.parametrize("seed", range(3))
def test_by_chance_nothing_is_lost_and_nothing_is_half_visible(seed, sky, depots, tmp_path):
    """With every fourth call spoilt, each checkpoint that is told as sent is whole in the store, and all are told."""
    here = depots("here", bucket(sky, tmp_path))
    finals = [made(tmp_path / "here", f"{at}-1", size=5000) for at in range(6)]
    sky.chance(seed, 0.25, 40)
    for final in finals:
        here.send(final)
    wait_for(lambda: not here.pending)
    assert here.sent() == finals
    there = depots("there", bucket(sky, tmp_path, name=here.remote.url.rpartition("/")[2]))
    for final in finals:
        assert contents(there.fetch(final)) == contents(tmp_path / "here" / final)
    assert sky.spoilt() > 5


def test_a_depot_that_closes_tells_what_it_did_not_send(sky, depots, tmp_path):
    """Closing waits as long as it is let, and returns what is not in the store, which is still here."""
    here = depots("here", bucket(sky, tmp_path))
    final = made(tmp_path / "here")
    sky.spoil = lambda method, path: "503"
    here.send(final)
    assert here.close(0.05) == {final}
    sky.spoil = lambda method, path: None
    assert not here.remote.holds(final)
    verified(tmp_path / "here" / final)


class _AnswerError(Exception):
    """What a package raises that has no error of its own for what is not there."""

    status_code = 404


def test_only_the_answer_itself_says_that_something_is_missing():
    """A 404 is a missing object; a connection that is lost after a 404 is a store that does not answer."""

    def missing():
        raise _AnswerError("no such object")

    def lost():
        try:
            missing()
        except _AnswerError:
            raise TimeoutError("nobody answers") from None

    def lost_meanwhile():
        try:
            missing()
        finally:
            raise TimeoutError("nobody answers")

    with pytest.raises(FileNotFoundError):
        quick(2).call("cannot read", missing)
    for call in (lost, lost_meanwhile):
        with pytest.raises(StorageError, match="nobody answers"):
            quick(2).call("cannot read", call)
