"""Checkpoints: whatever is saved is read again, whole, in either way, wherever it was kept."""

import gc
import json
import os
import pickle
import shutil
import tempfile
import zipfile
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ramet
from ramet.checkpoint import SMALL, Checkpoint
from ramet.core.messages import StoredCheckpoint
from ramet.errors import CheckpointError, DamageError
from ramet.store import bundles
from ramet.store.checkpoints import CheckpointStore
from ramet.store.manifest import MANIFEST

DICTS = {
    "empty": {},
    "small": {"step": 3, "nested": {"words": ["a", (1, 2.5)]}, 7: None},
    "arrays": {
        "w": np.arange(12.0).reshape(3, 4),
        "f": np.ones((2, 3), order="F"),
        "empty": np.zeros(0),
        "0-d": np.array(1),
    },
    "large": {"weights": bytes(SMALL + 1), "step": 4},
}
TREES = {
    "empty": {},
    "small": {"model.txt": b"weights"},
    "nested": {"a/b/c.bin": b"\x00\xff", "a/b/d.bin": b"", "top": b"1", "ü ☃.txt": b"snow"},
    "empty folders": {"a/": None, "b/c/": None, "b/d/file": b"1"},
    "large": {"deep/er/weights.bin": bytes(SMALL + 1), "step.txt": b"4"},
    "many": {f"{number:03d}": bytes(10_000) for number in range(20)},
    "named like ours": {"MANIFEST.json": b"mine", "deep/MANIFEST.json": b"mine too", "dict.pkl": b"no pickle"},
}


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """Whatever is made in a temporary folder goes with the test's own."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))


@pytest.fixture
def store(tmp_path):
    """Where large checkpoints are kept."""
    return CheckpointStore(tmp_path / "checkpoints")


def planted(folder, tree):
    """Write the files of ``tree`` below ``folder``; names that end in a slash are empty folders."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in tree.items():
        path = folder / name
        if data is None:
            path.mkdir(parents=True, exist_ok=True)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    return folder


def tree_of(folder):
    """Read back what `planted` wrote."""
    found = {}
    for path in Path(folder).rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name != MANIFEST:
            found[name] = path.read_bytes()
        elif path.is_dir() and not any(path.iterdir()):
            found[f"{name}/"] = None
    return found


def same(one, other):
    """Compare dicts that may hold arrays."""
    return pickle.dumps(_listed(one)) == pickle.dumps(_listed(other))


def _listed(value):
    if isinstance(value, np.ndarray):
        return (value.dtype.str, value.shape, value.tolist())
    return {key: _listed(each) for key, each in value.items()} if isinstance(value, dict) else value


STATES = {
    "fresh": lambda checkpoint, store: checkpoint,
    "reported": lambda checkpoint, store: Checkpoint(stored=checkpoint.pack(store, "a")),
    "reported twice": lambda checkpoint, store: Checkpoint(
        stored=Checkpoint(stored=checkpoint.pack(store, "a")).pack(store, "b")
    ),
    "sent": lambda checkpoint, store: pickle.loads(pickle.dumps(checkpoint)),
    "reported and sent": lambda checkpoint, store: pickle.loads(
        pickle.dumps(Checkpoint(stored=checkpoint.pack(store, "a")))
    ),
}
WAYS = {
    "to_directory": lambda checkpoint, folder: checkpoint.to_directory(),
    "to_directory(path)": lambda checkpoint, folder: checkpoint.to_directory(folder / "new" / "one"),
    "to_directory(existing)": lambda checkpoint, folder: checkpoint.to_directory(planted(folder / "old", {})),
    "path": lambda checkpoint, folder: shutil.copytree(checkpoint.path, folder / "copied"),
    "as_directory": lambda checkpoint, folder: _copied(checkpoint, folder / "copied"),
}


def _copied(checkpoint, target):
    with checkpoint.as_directory() as directory:
        return shutil.copytree(directory, target)


# ---------------------------------------------------------------------- read in every way, in every state


@pytest.mark.parametrize("state", STATES.values(), ids=STATES)
@pytest.mark.parametrize("data", DICTS.values(), ids=DICTS)
def test_a_dict_comes_back_as_a_dict(store, data, state):
    """What from_dict took, to_dict returns: same keys, values and types, small or large, reported or not."""
    checkpoint = state(Checkpoint.from_dict(data), store)
    assert same(checkpoint.to_dict(), data)
    assert same(checkpoint.to_dict(), data), "reading changes nothing"


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("state", STATES.values(), ids=STATES)
@pytest.mark.parametrize("tree", TREES.values(), ids=TREES)
def test_a_directory_comes_back_as_a_directory(tmp_path, store, tree, state, way):
    """All files and folders below a directory come back, in every way of reading it, and no others."""
    checkpoint = state(Checkpoint.from_directory(planted(tmp_path / "own", tree)), store)
    assert tree_of(way(checkpoint, tmp_path)) == tree


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("state", STATES.values(), ids=STATES)
@pytest.mark.parametrize("data", DICTS.values(), ids=DICTS)
def test_a_dict_can_be_kept_as_a_directory(tmp_path, store, data, state, way):
    """A dict that is read as a directory is a dict again when that directory is given."""
    directory = way(state(Checkpoint.from_dict(data), store), tmp_path)
    assert same(Checkpoint.from_directory(directory).to_dict(), data)


@pytest.mark.parametrize("state", STATES.values(), ids=STATES)
@pytest.mark.parametrize("kind", ["small", "large", "nested"])
def test_files_are_no_dict(tmp_path, store, kind, state):
    """Reading files as a dict is a CheckpointError that names the files and the right way."""
    checkpoint = state(Checkpoint.from_directory(planted(tmp_path / "own", TREES[kind])), store)
    with pytest.raises(CheckpointError) as caught:
        checkpoint.to_dict()
    assert "as_directory()" in str(caught.value)
    assert str(sorted({name.split("/")[0] for name in TREES[kind]})) in str(caught.value)


def test_size_decides_where_a_checkpoint_lies(tmp_path, store):
    """What fits the limit travels as bytes; what does not is a directory of the store."""
    fitting = planted(tmp_path / "fits", {"a": bytes(SMALL)})
    larger = planted(tmp_path / "larger", {"a": bytes(SMALL), "b": b"1"})
    assert Checkpoint.from_directory(fitting).pack(store, "a").kind == "files"
    assert Checkpoint.from_directory(larger).pack(store, "a").kind == "directory"
    assert Checkpoint.from_dict({"a": bytes(1000)}).pack(store, "a").kind == "pickle"
    assert Checkpoint.from_dict({"a": bytes(SMALL)}).pack(store, "a").kind == "directory"


# ---------------------------------------------------------------------- equal content, equal bytes

NAMES = st.text("abcé_", min_size=1, max_size=4)
FILES = st.dictionaries(st.lists(NAMES, min_size=1, max_size=3).map("/".join), st.binary(max_size=20), max_size=6)


def _possible(tree):
    """A name cannot be a file and a folder at once."""
    return not any(other.startswith(f"{name}/") for name in tree for other in tree)


@settings(max_examples=60, deadline=None)
@given(FILES.filter(_possible), st.randoms(use_true_random=False))
def test_equal_files_give_equal_bytes(tmp_path_factory, tree, shuffle):
    """The bytes of a small directory depend on its files alone: not on their order, their age, or where they lie."""
    folder = tmp_path_factory.mktemp("equal")
    store = CheckpointStore(folder / "store")
    packed = []
    for name, age in (("one", 1e9), ("other", 1.5e9)):
        order = list(tree.items())
        shuffle.shuffle(order)
        directory = planted(folder / name, dict(order))
        for path in directory.rglob("*"):
            os.utime(path, (age, age))
        packed.append(Checkpoint.from_directory(directory).pack(store, name).data)
    assert packed[0] == packed[1]
    shutil.rmtree(folder)


ARRAYS = st.tuples(
    st.sampled_from(["float64", "float32", "int8", "uint16", "bool", "complex64"]),
    st.lists(st.integers(0, 3), max_size=3).map(tuple),
    st.booleans(),
)


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(NAMES, st.one_of(st.integers(), st.floats(), NAMES, ARRAYS), max_size=5))
def test_what_was_loaded_is_saved_in_the_same_bytes(tmp_path_factory, described):
    """A state saved, loaded and saved again gives the same bytes, though its arrays were computed at first."""
    store = CheckpointStore(tmp_path_factory.mktemp("bytes"))
    data = {}
    for name, value in described.items():
        if isinstance(value, tuple):
            kind, shape, turned = value
            value = (np.ones(shape, kind) * 2).astype(kind)
            value = value.T if turned else value
        data[name] = value
    stored = Checkpoint.from_dict(data).pack(store, "a")
    again = Checkpoint.from_dict(Checkpoint(stored=stored).to_dict()).pack(store, "a")
    assert stored.data == again.data
    assert stored.kind == "pickle"


# ---------------------------------------------------------------------- what is taken over


def test_a_dict_that_is_changed_later_is_as_it_was_reported(store):
    """Packing takes the dict as it is now, however deep the change comes afterwards."""
    data = {"step": 1, "weights": [1, 2], "array": np.zeros(3)}
    stored = Checkpoint.from_dict(data).pack(store, "a")
    data["step"] = 2
    data["weights"].append(3)
    data["array"] += 1
    assert same(Checkpoint(stored=stored).to_dict(), {"step": 1, "weights": [1, 2], "array": np.zeros(3)})


@pytest.mark.parametrize("kind", ["small", "large"])
def test_a_directory_of_the_users_stays_and_may_go(tmp_path, store, kind):
    """Reporting leaves the user's directory as it is; removing it afterwards does no harm."""
    own = planted(tmp_path / "own", TREES[kind])
    stored = Checkpoint.from_directory(own).pack(store, "a")
    assert tree_of(own) == TREES[kind]
    assert not (own / MANIFEST).exists()
    shutil.rmtree(own)
    assert tree_of(Checkpoint(stored=stored).to_directory()) == TREES[kind]


@pytest.mark.parametrize("kind", ["small", "large"])
def test_a_directory_of_the_stores_own_is_gone_once_it_is_taken_over(store, kind):
    """What checkpoint_dir() handed out is moved, or emptied into bytes; nothing is left behind."""
    own = planted(store.scratch(), TREES[kind])
    stored = Checkpoint.from_directory(own).pack(store, "a")
    assert not own.exists()
    assert os.listdir(store.root) == ([Path(stored.path).name] if stored.path else [])
    assert tree_of(Checkpoint(stored=stored).to_directory()) == TREES[kind]


@pytest.mark.parametrize("kind", ["small", "large"])
@pytest.mark.parametrize("given", [True, False], ids=["handed out", "own"])
def test_a_directory_that_is_gone_is_no_empty_checkpoint(tmp_path, store, kind, given):
    """Reporting a directory that was removed, or taken over before, is a CheckpointError, not a loss of all weights."""
    own = planted(store.scratch() if given else tmp_path / "own", TREES[kind])
    checkpoint = Checkpoint.from_directory(own)
    if given:
        checkpoint.pack(store, "a")
    else:
        shutil.rmtree(own)
    with pytest.raises(CheckpointError, match="is gone"):
        checkpoint.pack(store, "b")
    with pytest.raises(CheckpointError, match="is gone"):
        checkpoint.to_directory()


def test_a_large_checkpoint_that_is_reported_again_has_files_of_its_own(tmp_path, store):
    """Each checkpoint is deleted by itself, so two of them never share a directory, not even between two runs."""
    stored = Checkpoint.from_directory(planted(tmp_path / "own", TREES["large"])).pack(store, "a")
    other = CheckpointStore(tmp_path / "other run")
    for target in (store, other):
        again = Checkpoint(stored=stored).pack(target, "b")
        assert Path(again.path).parent == target.root
        assert again.path != stored.path
        assert again.size == stored.size
    store.delete(Path(stored.path).name)
    assert tree_of(again.path) == TREES["large"]


@pytest.mark.parametrize("size", [10, SMALL + 1], ids=["small", "large"])
def test_links_are_followed(tmp_path, store, size):
    """Files and folders behind symbolic links, such as ``latest``, are part of the checkpoint, however large it is."""
    elsewhere = planted(tmp_path / "elsewhere", {"step-3/model": b"3" * size})
    own = planted(tmp_path / "own", {"file": b"1"})
    (own / "latest").symlink_to(elsewhere / "step-3")
    (own / "model").symlink_to(elsewhere / "step-3" / "model")
    stored = Checkpoint.from_directory(own).pack(store, "a")
    shutil.rmtree(elsewhere)
    expected = {"file": b"1", "latest/model": b"3" * size, "model": b"3" * size}
    assert tree_of(Checkpoint(stored=stored).to_directory()) == expected


# ---------------------------------------------------------------------- reading leaves nothing behind


@pytest.mark.parametrize("checkpoint", [Checkpoint.from_dict({"a": 1}), None], ids=["dict", "directory"])
def test_a_temporary_directory_goes_with_the_block(tmp_path, store, checkpoint):
    """as_directory() of a small checkpoint removes its copy, also when the block raises."""
    if checkpoint is None:
        checkpoint = Checkpoint.from_directory(planted(tmp_path / "own", TREES["nested"]))
    stored = Checkpoint(stored=checkpoint.pack(store, "a"))
    seen = []

    def failing():
        with stored.as_directory() as directory:
            seen.append((directory, os.path.isdir(directory)))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing()
    assert seen[0][1]
    assert not os.path.exists(seen[0][0])


def test_a_path_lasts_as_long_as_its_checkpoint(store):
    """The path of a small checkpoint is one copy, made once, and removed with the object."""
    checkpoint = Checkpoint(stored=Checkpoint.from_dict({"a": 1}).pack(store, "a"))
    path = checkpoint.path
    assert checkpoint.path == path
    assert os.path.isdir(path)
    del checkpoint
    gc.collect()
    assert not os.path.exists(path)


def test_reading_is_told(tmp_path, store):
    """Whoever reads a checkpoint in any way is noticed when it has been read, for the generators are seeded then."""
    stored = Checkpoint.from_dict({"a": 1}).pack(store, "a")
    files = Checkpoint.from_directory(planted(tmp_path / "own", TREES["large"])).pack(store, "a")
    told = []
    Checkpoint(stored=stored, on_read=lambda: told.append("dict")).to_dict()
    Checkpoint(stored=files, on_read=lambda: told.append("directory")).to_directory()
    with Checkpoint(stored=files, on_read=lambda: told.append("block")).as_directory():
        assert told == ["dict", "directory"]
    assert told == ["dict", "directory", "block"]


# ---------------------------------------------------------------------- wrong kinds


@pytest.mark.parametrize("data", [[1], None, "text", 3, (("a", 1),)])
def test_only_a_dict_is_a_dict(data):
    """from_dict takes mappings alone, and says what it was given."""
    with pytest.raises(CheckpointError, match=rf"from_dict\({type(data).__name__}\) needs a dict"):
        Checkpoint.from_dict(data)


@pytest.mark.parametrize("path", [None, 3, b"/tmp", ["a"], "/nowhere/at/all", __file__, Path(__file__)])
def test_only_a_directory_is_a_directory(path):
    """from_directory takes the path of a directory alone, and says what it was given."""
    with pytest.raises(CheckpointError, match="from_directory"):
        Checkpoint.from_directory(path)


@pytest.mark.parametrize("arguments", [{}, {"path": "a", "data": {}}])
def test_a_checkpoint_holds_one_thing(arguments):
    """A checkpoint of nothing, or of two things, is refused."""
    with pytest.raises(CheckpointError, match="holds one thing"):
        Checkpoint(**arguments)


def test_a_checkpoint_that_does_not_pickle_is_named(store):
    """What cannot be saved is told with its keys and what to save instead."""
    with pytest.raises(CheckpointError) as caught:
        Checkpoint.from_dict({"step": 1, "pool": (i for i in range(3))}).pack(store, "a")
    for words in ("['pool', 'step']", "cannot be pickled", "state_dict", "from_directory"):
        assert words in str(caught.value)


def test_a_checkpoint_says_what_it_is(tmp_path, store):
    """Its repr names keys, size or path, and never the content."""
    assert repr(Checkpoint.from_dict({"b": 1, "a": bytes(9)})) == "Checkpoint(dict with ['a', 'b'])"
    assert "bytes" in repr(Checkpoint(stored=Checkpoint.from_dict({"a": 1}).pack(store, "a")))
    assert str(tmp_path) in repr(Checkpoint.from_directory(tmp_path))


# ---------------------------------------------------------------------- damage


@settings(max_examples=150, deadline=None)
@given(FILES.filter(_possible), st.data())
def test_damage_of_a_single_bit_is_found_before_it_is_read(tmp_path_factory, tree, data):
    """What was committed is read as it was; once a bit is turned or an end is cut off, it is a DamageError at most."""
    folder = tmp_path_factory.mktemp("damage")
    store = CheckpointStore(folder / "store")
    final, _ = store.commit(planted(folder / "own", tree), "a")
    stored = StoredCheckpoint("directory", path=str(store.path(final)))
    store.verify(final)
    with Checkpoint(stored=stored).as_directory() as directory:
        assert tree_of(directory) == tree

    name = data.draw(st.sampled_from([MANIFEST, *(name for name, content in tree.items() if content)]))
    file = store.path(final) / name
    content = bytearray(file.read_bytes())
    at = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        del content[at:]
    else:
        content[at] ^= 1 << data.draw(st.integers(0, 7))
    file.write_bytes(content)
    try:
        store.verify(final)
    except DamageError:
        with pytest.raises(DamageError, match=final):
            Checkpoint(stored=stored).to_directory(folder / "copy")
        assert not (folder / "copy").exists() or not os.listdir(folder / "copy")
    else:
        assert name == MANIFEST
        assert tree_of(Checkpoint(stored=stored).to_directory(folder / "copy")) == tree
    shutil.rmtree(folder)


READING = {
    "to_dict": lambda checkpoint, store: checkpoint.to_dict(),
    "to_directory": lambda checkpoint, store: checkpoint.to_directory(),
    "as_directory": lambda checkpoint, store: checkpoint.as_directory().__enter__(),
    "path": lambda checkpoint, store: checkpoint.path,
    "pack": lambda checkpoint, store: checkpoint.pack(store, "again"),
}


def _file(store):
    stored = Checkpoint.from_dict(DICTS["large"]).pack(store, "a")
    (file,) = (file for file in Path(stored.path).iterdir() if file.name != MANIFEST)
    return stored, file


def _spoiled(store):
    stored, file = _file(store)
    with open(file, "r+b") as opened:
        opened.seek(SMALL // 2)
        opened.write(b"x")
    return stored


def _removed(store):
    stored, _ = _file(store)
    store.delete(Path(stored.path).name)
    return stored


def _archive(store):
    return Checkpoint.from_directory(planted(store.root.parent / "own", TREES["nested"])).pack(store, "a")


BROKEN = {
    "a changed byte": _spoiled,
    "a directory that is gone": _removed,
    "an archive cut off": lambda store: _archive(store)._replace(data=_archive(store).data[:-30]),
    "an archive with a changed byte": lambda store: _archive(store)._replace(
        data=_archive(store).data.replace(b"snow", b"rain")
    ),
    "no archive": lambda store: StoredCheckpoint("zip", b"no archive"),
    "an unknown kind": lambda store: StoredCheckpoint("tar", b"", "", 3),
    "a kind that is none": lambda store: StoredCheckpoint(None, b""),
    "no bytes": lambda store: StoredCheckpoint("pickle", None),
    "words for bytes": lambda store: StoredCheckpoint("zip", "words"),
    "no path": lambda store: StoredCheckpoint("directory", b"bytes"),
    "a path that is none": lambda store: StoredCheckpoint("directory", path="a\0b"),
}


@pytest.mark.parametrize("read", READING.values(), ids=READING)
@pytest.mark.parametrize("make", BROKEN.values(), ids=BROKEN)
def test_a_damaged_checkpoint_is_told_however_it_is_read(tmp_path, store, make, read):
    """No way of reading hands out damaged content, reporting again spreads none, and nothing is left lying about."""
    checkpoint = Checkpoint(stored=make(store))
    before = store.names()
    repr(checkpoint)
    with pytest.raises(DamageError):
        read(checkpoint, store)
    assert store.names() == before
    assert os.listdir(tmp_path / "temporary") == []


def test_a_directory_is_verified_once_for_each_object(store):
    """Reading twice reads the disk's bytes once; another object, or another process, looks for itself."""
    stored, file = _file(store)
    checkpoint = Checkpoint(stored=stored)
    assert checkpoint.path == stored.path
    os.utime(file, (1, 1))
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    assert checkpoint.path == stored.path
    for other in (Checkpoint(stored=stored), pickle.loads(pickle.dumps(checkpoint))):
        with pytest.raises(DamageError, match="checksum"):
            _ = other.path


class Moved:
    """A class that will not be there when it is read."""


def test_what_the_users_own_code_lacks_is_no_damage(store, monkeypatch):
    """Unpickling fails with the user's own exception where their class is gone."""
    for ballast in (b"", bytes(SMALL)):
        stored = Checkpoint.from_dict({"model": Moved(), "ballast": ballast}).pack(store, "a")
        with monkeypatch.context() as patch:
            patch.delattr(f"{__name__}.Moved")
            with pytest.raises(AttributeError, match="Moved"):
                Checkpoint(stored=stored).to_dict()


@pytest.mark.parametrize("state", ["reported", "reported twice"])
def test_what_came_to_a_directory_later_is_no_part_of_it(tmp_path, store, state):
    """Strange files, links and pipes in a stored directory are neither copied, unpickled, nor reported again."""
    checkpoint = STATES[state](Checkpoint.from_directory(planted(tmp_path / "own", TREES["large"])), store)
    path = Path(checkpoint.path)
    (path / "dict_checkpoint.pkl").write_bytes(b"no pickle")
    (path / "deep" / "link").symlink_to(planted(tmp_path / "secret", {"key": b"1"}))
    os.mkfifo(path / "pipe")
    assert tree_of(checkpoint.to_directory()) == TREES["large"]
    assert tree_of(Checkpoint(stored=checkpoint.pack(store, "b")).to_directory()) == TREES["large"]
    with pytest.raises(CheckpointError, match=r"\['deep', 'step.txt'\], not a dict"):
        checkpoint.to_dict()


# ---------------------------------------------------------------------- anybody's archive


def archive(*members, compression=zipfile.ZIP_STORED):
    """An archive as a stranger may make it: of names, permissions and contents."""
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        for name, mode, content in members:
            info = zipfile.ZipInfo("placeholder")
            info.filename, info.compress_type, info.external_attr = name, compression, mode << 16
            made.writestr(info, content)
    return StoredCheckpoint("zip", buffer.getvalue())


STRANGE = {
    "a name above": lambda outside: archive(("../outside/file", 0o777, b"x")),
    "a name above, later": lambda outside: archive(("a/../../outside/file", 0o777, b"x")),
    "a name above for a folder": lambda outside: archive(("../outside/", 0o40777, b"")),
    "an absolute name": lambda outside: archive((f"{outside}/file", 0o777, b"x")),
    "an absolute folder": lambda outside: archive((f"{outside}/", 0o40777, b"")),
    "no name": lambda outside: archive(("", 0o777, b"x")),
    "the directory itself": lambda outside: archive((".", 0o777, b"x")),
    "the one above": lambda outside: archive(("..", 0o777, b"x")),
    "a file that is a folder": lambda outside: archive(("a", 0o777, b"x"), ("a/b", 0o777, b"x")),
    "folders without end": lambda outside: archive(("a/" * 500 + "a", 0o777, b"x")),
    "a bomb": lambda outside: archive(("a", 0o777, bytes(10**7)), compression=zipfile.ZIP_DEFLATED),
    "a tiny one that is compressed": lambda outside: archive(("a", 0o777, b""), compression=zipfile.ZIP_LZMA),
}


@pytest.mark.parametrize("make", STRANGE.values(), ids=STRANGE)
def test_no_archive_reaches_out_of_its_directory(tmp_path, make):
    """Archives that we never make are a DamageError; nothing is written, made larger, or given other permissions."""
    outside = planted(tmp_path / "outside", {"file": b"mine"})
    (outside / "file").chmod(0o600)
    outside.chmod(0o700)
    with pytest.raises(DamageError):
        Checkpoint(stored=make(outside)).to_directory(tmp_path / "inside")
    assert (outside / "file").read_bytes() == b"mine"
    assert ((outside / "file").stat().st_mode & 0o777, outside.stat().st_mode & 0o777) == (0o600, 0o700)
    assert os.listdir(tmp_path / "inside") == []


@pytest.mark.parametrize("kind", ["small", "large"])
def test_links_in_the_target_are_not_written_through(tmp_path, store, kind):
    """What lies behind a link in the user's target is not touched: the link gives way."""
    outside = planted(tmp_path / "outside", {"file": b"mine", "folder/er/weights.bin": b"mine"})
    target = planted(tmp_path / "target", {"other": b"stays"})
    (target / "step.txt").symlink_to(outside / "file")
    (target / "deep").symlink_to(outside / "folder")
    tree = {"step.txt": b"4", "deep/er/weights.bin": bytes(10 if kind == "small" else SMALL)}
    stored = Checkpoint.from_directory(planted(tmp_path / "own", tree)).pack(store, "a")
    Checkpoint(stored=stored).to_directory(target)
    assert tree_of(target) == {**tree, "other": b"stays"}
    assert tree_of(outside) == {"file": b"mine", "folder/er/weights.bin": b"mine"}


def test_permissions_of_an_archive_are_only_permissions(tmp_path):
    """Bits that make a program run as somebody else are not set, and links are written as the text that they are."""
    stored = archive(("run.sh", 0o104755, b"#!/bin/sh"), ("link", 0o120777, b"../outside"))
    target = Path(Checkpoint(stored=stored).to_directory())
    assert (target / "run.sh").stat().st_mode & 0o7777 == 0o755
    assert not (target / "link").is_symlink()
    assert (target / "link").read_bytes() == b"../outside"


@pytest.mark.parametrize("size", [10, SMALL], ids=["small", "large"])
def test_names_that_are_no_text_are_kept(tmp_path, store, size):
    """A file whose name is bytes comes back under the same bytes, however large it is."""
    own = planted(tmp_path / "own", {"\udcff": bytes(size), "a": b"1"})
    stored = Checkpoint.from_directory(own).pack(store, "a")
    assert tree_of(Checkpoint(stored=stored).to_directory()) == tree_of(own) == {"\udcff": bytes(size), "a": b"1"}


@pytest.mark.parametrize("size", [10, SMALL], ids=["small", "large"])
@pytest.mark.parametrize("link", [".", "..", "nothing", "link"])
def test_links_in_circles_are_refused_at_any_size(tmp_path, store, link, size):
    """Circles and broken links are a CheckpointError, small or large, and leave nothing behind."""
    own = planted(tmp_path / "own", {"a/model": bytes(size), "b": b"1"})
    (own / "a" / "link").symlink_to(link)
    with pytest.raises(CheckpointError, match="leave it out"):
        Checkpoint.from_directory(own).pack(store, "a")
    assert store.names() == []


# ---------------------------------------------------------------------- in a run


def saving(config):
    """Save in the way that the configuration names, spoil what was saved afterwards, and see that it does no harm."""
    checkpoint = ramet.get_checkpoint()
    step = 0
    if checkpoint is not None:
        step = checkpoint.to_dict()["step"] if config["way"] == "dict" else _step(checkpoint)
    while step < 6:
        step += 1
        if config["way"] == "dict":
            data = {"step": step, "ballast": bytearray(config["size"])}
            ramet.report({"score": float(step)}, checkpoint=Checkpoint.from_dict(data))
            data["step"] = data["ballast"] = None
        else:
            folder = ramet.checkpoint_dir() if config["way"] == "given" else Path(config["own"])
            planted(folder, {"deep/step.txt": str(step).encode(), "ballast": bytes(config["size"])})
            inode = (folder / "ballast").stat().st_ino
            ramet.report({"score": float(step)}, checkpoint=Checkpoint.from_directory(folder))
            assert folder.exists() == (config["way"] == "own")
            taken = ramet.get_checkpoint()
            if config["size"] > SMALL:
                assert (Path(taken.path, "ballast").stat().st_ino == inode) == (config["way"] == "given")
            shutil.rmtree(folder, ignore_errors=True)
        if step == config["dies"] and checkpoint is None:
            raise RuntimeError("start me again")
        assert (
            ramet.get_checkpoint().to_dict()["step"] if config["way"] == "dict" else _step(ramet.get_checkpoint())
        ) == step


def _step(checkpoint):
    with checkpoint.as_directory() as directory:
        return int(Path(directory, "deep", "step.txt").read_text())


@pytest.mark.parametrize("keep", [None, 1])
def test_checkpoints_in_a_run_survive_what_is_done_to_their_sources(tmp_path, keep):
    """Dicts changed and directories removed after a report are as they were, at a restart too; given ones are moved."""
    results = ramet.Tuner(
        saving,
        param_space={
            "way": ramet.grid_search(["dict", "own", "given"]),
            "size": ramet.grid_search([10, SMALL + 1]),
            "dies": 4,
            "own": str(tmp_path / "own"),
        },
        tune_config=ramet.TuneConfig(metric="score", mode="max", max_concurrent_trials=1),
        run_config=ramet.RunConfig(
            storage_path=tmp_path / "runs", verbose=0, executor="inline",
            failure_config=ramet.FailureConfig(max_failures=1),
            checkpoint_config=ramet.CheckpointConfig(num_to_keep=keep),
        ),
    ).fit()  # fmt: skip
    assert results.num_errors == 0, results.errors[0]
    assert [member.failures for member in results.population.members] == [1] * 6
    kept = keep or 6
    for result in results:
        assert len(result.best_checkpoints) == kept
        assert [report["score"] for _, report in result.best_checkpoints] == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0][-kept:]
    left = os.listdir(Path(results.experiment_path, "checkpoints"))
    assert len(left) == 3 * kept, "one directory for each large checkpoint that is kept, and no scratch"


# ---------------------------------------------------------------------- small directories as bytes


@given(
    st.dictionaries(
        st.from_regex(r"[a-zé]{1,3}(/[a-z ]{1,3}){0,2}", fullmatch=True), st.binary(max_size=20), max_size=5
    )
)
def test_law_a_small_directory_comes_back_as_it_was(files):
    """Names, contents, permissions and empty folders survive, the same files give the same bytes, and no part does."""
    with tempfile.TemporaryDirectory() as scratch:
        for name, content in files.items():
            path = Path(scratch, "own", name)
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            except OSError:  # a file where another one has a folder
                continue
            path.chmod(0o640)
        Path(scratch, "own", "empty", "one").mkdir(parents=True, exist_ok=True)
        data = bundles.bundled(Path(scratch, "own"), 1000)
        bundles.unbundled(data, "files", planted(Path(scratch, "other"), {}))
        assert tree_of(Path(scratch, "other")) == tree_of(Path(scratch, "own"))
        assert Path(scratch, "other", "empty", "one").is_dir()
        assert {path.stat().st_mode & 0o777 for path in Path(scratch, "other").rglob("*") if path.is_file()} <= {0o640}
        assert bundles.bundled(Path(scratch, "other"), 1000) == data
        for cut in range(len(data)):
            with pytest.raises(DamageError):
                bundles.checked(data[:cut], "files")


def bundle(files, content=b"x", folders=()):
    """A bundle as a stranger may make it, its checksum in order."""
    data = json.dumps({"files": files, "folders": folders}).encode() + b"\n" + content
    return StoredCheckpoint("files", data + zlib.crc32(data).to_bytes(4, "little"))


ODD = {
    "a name above": lambda outside: bundle({"../outside/file": [1, 0o777]}),
    "a folder above": lambda outside: bundle({}, b"", ["../outside"]),
    "an absolute name": lambda outside: bundle({f"{outside}/file": [1, 0o777]}),
    "no name": lambda outside: bundle({"": [1, 0o777]}),
    "a file that is a folder": lambda outside: bundle({"a": [1, 0o777], "a/b": [0, 0o777]}),
    "a folder that is a file": lambda outside: bundle({"a": [1, 0o777]}, folders=["a"]),
    "less than it says": lambda outside: bundle({"a": [2, 0o777]}),
    "more than it says": lambda outside: bundle({"a": [0, 0o777]}),
    "a negative size": lambda outside: bundle({"a": [2, 0o777], "b": [-1, 0o777]}),
    "a size that is none": lambda outside: bundle({"a": ["1", 0o777]}),
    "permissions of another user": lambda outside: bundle({"a": [1, 0o4777]}),
    "no files": lambda outside: bundle([["a", 1, 0o777]]),
    "folders that are none": lambda outside: bundle({"a": [1, 0o777]}, folders="a"),
    "a folder that is no name": lambda outside: bundle({"a": [1, 0o777]}, folders=[3]),
}


@pytest.mark.parametrize("make", ODD.values(), ids=ODD)
def test_no_bundle_reaches_out_of_its_directory(tmp_path, make):
    """Bundles that we never make are a DamageError, and nothing is written."""
    outside = planted(tmp_path / "outside", {"file": b"mine"})
    with pytest.raises(DamageError):
        Checkpoint(stored=make(outside)).to_directory(tmp_path / "inside")
    assert tree_of(outside) == {"file": b"mine"}
    assert os.listdir(tmp_path / "inside") == []
