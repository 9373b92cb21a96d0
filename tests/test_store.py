"""The durable side, large checkpoints: directories that are moved, not rewritten, and are whole or absent."""

import json
import os
import shutil
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from ramet.core.events import Began, Kept, Opened
from ramet.core.messages import StoredCheckpoint
from ramet.errors import CheckpointError, DamageError
from ramet.record import Record
from ramet.store import manifest
from ramet.store.checkpoints import CheckpointStore
from ramet.store.manifest import MANIFEST
from ramet.store.trees import DEEPEST


@pytest.fixture
def store(tmp_path):
    """A checkpoint store in a folder that is not there yet."""
    return CheckpointStore(tmp_path / "run" / "checkpoints")


def filled(directory):
    """Write some files into ``directory``."""
    (directory / "deep" / "er").mkdir(parents=True)
    (directory / "model.bin").write_bytes(bytes(5000))
    (directory / "deep" / "er" / "step.txt").write_text("12")
    return directory


def content(directory):
    """All files below ``directory`` but the manifest."""
    files = {
        path.relative_to(directory).as_posix(): path.read_bytes() for path in directory.rglob("*") if path.is_file()
    }
    files.pop(MANIFEST, None)
    return files


def test_a_directory_of_the_stores_own_is_taken_over_as_it_is(store):
    """What scratch() handed out is renamed: the very same files, now under the final name, with a manifest."""
    scratch = filled(store.scratch())
    inodes = (scratch.stat().st_ino, (scratch / "model.bin").stat().st_ino)

    final, size = store.commit(scratch, "000001-00000005")

    path = store.path(final)
    assert (path.stat().st_ino, (path / "model.bin").stat().st_ino) == inodes
    assert not scratch.exists()
    assert final.startswith("000001-00000005-")
    assert size == 5002
    told = json.loads((path / MANIFEST).read_text())
    sums = {"model.bin": [5000, zlib.crc32(bytes(5000))], "deep/er/step.txt": [2, zlib.crc32(b"12")]}
    assert told == {"format": 2, "name": final, "files": sums}


def test_a_directory_of_the_users_is_copied(tmp_path, store):
    """A directory that the store did not hand out stays where it is, and changing it later does no harm."""
    own = filled(tmp_path / "own")
    before = content(own)

    final, _ = store.commit(own, "a")

    assert content(own) == before
    assert not (own / MANIFEST).exists()
    (own / "model.bin").write_bytes(b"changed")
    assert content(store.path(final)) == before
    assert os.listdir(store.root) == [final], "no scratch is left behind"


def test_an_old_manifest_is_no_part_of_a_new_checkpoint(tmp_path, store):
    """A committed directory that is committed again, copied or moved, counts its files once and its manifest not."""
    first, size = store.commit(filled(store.scratch()), "a")
    scratch = store.scratch()
    shutil.copytree(store.path(first), scratch, dirs_exist_ok=True)
    for source in (store.path(first), scratch):
        again, same = store.commit(source, "b")
        assert same == size
        told, before = (json.loads((store.path(name) / MANIFEST).read_text()) for name in (again, first))
        assert told == {**before, "name": again}


def test_links_to_directories_are_followed(tmp_path, store):
    """What lies behind a symbolic link in the user's directory is part of the checkpoint."""
    own = tmp_path / "own"
    own.mkdir()
    (own / "latest").symlink_to(filled(tmp_path / "elsewhere"))
    final, size = store.commit(own, "a")
    shutil.rmtree(tmp_path / "elsewhere")
    assert size == 5002
    assert set(content(store.path(final))) == {"latest/model.bin", "latest/deep/er/step.txt"}


def test_the_same_name_twice_is_two_checkpoints(store):
    """Work that was started twice never writes to the same place."""
    one, _ = store.commit(filled(store.scratch()), "a")
    other, _ = store.commit(filled(store.scratch()), "a")
    assert one != other
    store.delete(one)
    assert store.path(other).is_dir()


def test_what_is_no_directory_is_not_committed(tmp_path, store):
    """Committing what is not there is a CheckpointError that says when to report."""
    with pytest.raises(CheckpointError, match="before it is removed"):
        store.commit(tmp_path / "gone", "a")


def test_what_was_never_committed_is_no_checkpoint(store):
    """A directory without a manifest, such as one that a dead worker was writing, has no path."""
    scratch = filled(store.scratch())
    with pytest.raises(CheckpointError, match="never committed"):
        store.path(scratch.name)


def test_deleting_is_final_and_may_be_repeated(store):
    """A deleted checkpoint is gone with all its files; deleting it again, or what never was, does nothing."""
    final, _ = store.commit(filled(store.scratch()), "a")
    kept, _ = store.commit(filled(store.scratch()), "b")
    for name in (final, final, "never-was"):
        store.delete(name)
    with pytest.raises(CheckpointError, match="was deleted"):
        store.path(final)
    assert os.listdir(store.root) == [kept]


# A store that does not refuse a name deletes what it leads to: every one of them stays within the test's own folder.
@pytest.mark.parametrize("name", ["", ".", "..", "../own", "a/b", "a/../../own", "{own}", "a\0b"])
def test_a_name_that_leads_elsewhere_is_refused(tmp_path, store, name):
    """Names come from a ledger that may be anybody's: none of them reaches a file outside the store."""
    own = filled(store.root.parent / "own")
    name = name.format(own=own)
    assert not name.startswith("/") or Path(name).is_relative_to(tmp_path)
    (own / MANIFEST).write_text("{}")
    (store.root.parent / MANIFEST).write_text("{}")
    store.commit(filled(store.scratch()), "a")
    before = sorted(tmp_path.rglob("*"))
    for refuse in (store.path, store.delete):
        with pytest.raises(CheckpointError, match="is not in"):
            refuse(name)
    assert sorted(tmp_path.rglob("*")) == before


def test_sweeping_keeps_what_is_live_and_nothing_else(store):
    """Sweeping deletes committed checkpoints that are not live, and scratch that was left; what is not ours stays."""
    assert store.sweep(set()) == []
    live, _ = store.commit(filled(store.scratch()), "a")
    dead, _ = store.commit(filled(store.scratch()), "b")
    left = filled(store.scratch()).name
    (store.root / "stray.txt").write_text("")
    (store.root / "link").symlink_to(store.root / live)
    assert store.sweep({live, "never-was"}) == sorted([dead, left, "link"])
    assert sorted(os.listdir(store.root)) == sorted([live, "stray.txt"])
    assert set(content(store.path(live))) == {"model.bin", "deep/er/step.txt"}
    assert store.sweep({live}) == []


# ---------------------------------------------------------------------- verifying


def committed(store, name="a"):
    """Commit some files; return the final name and the path."""
    final, _ = store.commit(filled(store.scratch()), name)
    return final, store.path(final)


def listing(path, **files):
    """Write a manifest of ``files`` over that of ``path``."""
    (path / MANIFEST).write_text(json.dumps({"format": 2, "files": files}))


def _replaced(path, make):
    path.unlink()
    make(path)


def _led_elsewhere(path):
    shutil.move(path / "deep", path.parent.parent / "deep")
    (path / "deep").symlink_to(path.parent.parent / "deep")


MANIFESTS = {
    "empty": "",
    "no text": b"\xff\xfe\xfd",
    "no JSON": "{",
    "a list": "[]",
    "a number": "3",
    "no format": '{"files": {}}',
    "a truth for a format": '{"format": true, "files": {}}',
    "a word for a format": '{"format": "2", "files": {}}',
    "no files": '{"format": 2}',
    "a list of files": '{"format": 2, "files": ["model.bin"]}',
    "a file twice": '{"format": 2, "files": {"model.bin": [1, 1], "model.bin": [5000, 3638890152]}}',
    "so deep that no parser gets there": "[" * 100_000,
    "a number of too many digits": '{"format": 2, "files": {"a": [' + "9" * 10_000 + ", 0]}}",
    "longer than any": b" " * (32 * 2**20 + 1),
    **{
        f"the name {name!r}": json.dumps({"format": 2, "files": {name: [2, zlib.crc32(b"12")]}})
        for name in [
            "", ".", "..", "../outside", "deep/../../../outside", "{outside}", "/", "deep//er/step.txt", "deep/./er",
            "a\0b", "\ud800", MANIFEST, "deep/er", "deep/er/step.txt/", "n" * 300, "n/" * 5000 + "n",
        ]
    },
    **{
        f"the entry {entry!r}": json.dumps({"format": 2, "files": {"deep/er/step.txt": entry}})
        for entry in [
            2, None, "2", [], [2], [2, 3, 4], ["2", 3], [2, None], [2.0, 3], [True, 3], [-1, 0], {"2": 3},
            [float("nan"), 0], [2**80, 0],
        ]
    },
}  # fmt: skip
DAMAGES = {
    "it is gone": lambda path: shutil.rmtree(path),
    "it is a file": lambda path: (shutil.rmtree(path), path.write_text("")),
    "a file is gone": lambda path: (path / "model.bin").unlink(),
    "a folder is gone": lambda path: shutil.rmtree(path / "deep"),
    "a file is longer": lambda path: (path / "model.bin").write_bytes(bytes(5001)),
    "a file is shorter": lambda path: (path / "model.bin").write_bytes(bytes(4999)),
    "a file is another": lambda path: (path / "deep" / "er" / "step.txt").write_text("13"),
    "a file is a folder": lambda path: _replaced(path / "model.bin", Path.mkdir),
    "a file is a pipe": lambda path: _replaced(path / "model.bin", os.mkfifo),
    "a file is a link to the same": lambda path: _replaced(
        path / "model.bin", lambda file: file.symlink_to(filled(path.parent.parent / "same") / "model.bin")
    ),
    "a file is a broken link": lambda path: _replaced(path / "model.bin", lambda file: file.symlink_to("nothing")),
    "a file is a link to itself": lambda path: _replaced(path / "model.bin", lambda file: file.symlink_to(file)),
    "a folder is a link to the same": _led_elsewhere,
    "a folder is a file": lambda path: (shutil.rmtree(path / "deep"), (path / "deep").write_text("")),
    "the manifest is gone": lambda path: (path / MANIFEST).unlink(),
    "the manifest is a folder": lambda path: _replaced(path / MANIFEST, Path.mkdir),
    "the manifest is a pipe": lambda path: _replaced(path / MANIFEST, os.mkfifo),
    "the manifest is a link": lambda path: _replaced(
        path / MANIFEST, lambda file: file.symlink_to(shutil.copy(path / "model.bin", path.parent.parent))
    ),
    **{
        f"the manifest has {kind}": lambda path, text=text: (path / MANIFEST).write_bytes(
            text if isinstance(text, bytes) else text.replace("{outside}", str(path.parent.parent / "outside")).encode()
        )
        for kind, text in MANIFESTS.items()
    },
}


@pytest.mark.parametrize("spoil", DAMAGES.values(), ids=DAMAGES)
def test_damage_is_found_and_told(store, spoil):
    """Whatever is done to a committed directory, verifying it is a DamageError that names it, and nothing else."""
    final, path = committed(store)
    (store.root.parent / "outside").write_text("12")
    store.verify(final)
    spoil(path)
    with pytest.raises(DamageError, match=final):
        store.verify(final)
    assert store.bytes_of(final) >= 0


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        ("a file is gone", "'model.bin' is missing"),
        ("a file is longer", "'model.bin' has 5001 bytes, and was committed with 5000"),
        ("a file is another", "'deep/er/step.txt' is not what was committed"),
        ("a file is a pipe", "'model.bin' is no regular file"),
        ("a folder is a link to the same", "'deep', where it has a folder, is none"),
        ("the manifest is gone", f"'{MANIFEST}' is missing"),
    ],
)
def test_damage_is_told_in_words(store, spoil, words):
    """The message names the file, what is wrong with it, and what can be done."""
    final, path = committed(store)
    DAMAGES[spoil](path)
    with pytest.raises(DamageError) as caught:
        store.verify(final)
    assert words in str(caught.value)
    assert "use an earlier one" in str(caught.value)


def test_what_the_manifest_does_not_list_does_no_harm(tmp_path, store):
    """Files, links and pipes that came later are no part of a checkpoint, and never waited for."""
    final, path = committed(store)
    (path / "later.txt").write_text("later")
    (path / "deep" / "link").symlink_to(tmp_path / "nothing")
    os.mkfifo(path / "pipe")
    store.verify(final)
    assert store.bytes_of(final) == 5002


def test_the_first_format_is_read_by_its_sizes(store):
    """A manifest without checksums is good for what it says: sizes."""
    final, path = committed(store)
    (path / MANIFEST).write_text('{"format": 1, "files": {"model.bin": 5000, "deep/er/step.txt": 2}}')
    (path / "deep" / "er" / "step.txt").write_text("13")
    store.verify(final)
    assert store.bytes_of(final) == 5002
    (path / "deep" / "er" / "step.txt").write_text("123")
    with pytest.raises(DamageError, match="has 3 bytes"):
        store.verify(final)


@pytest.mark.parametrize("form", [0, 3, -1, 10**30, None, [2], "newer"])
def test_an_unknown_format_is_named(store, form):
    """A manifest of another format is refused, and the format is told."""
    final, path = committed(store)
    (path / MANIFEST).write_text(json.dumps({"format": form, "files": {}}))
    with pytest.raises(DamageError) as caught:
        store.verify(final)
    assert f"of the format {form!r}" in str(caught.value)
    assert store.bytes_of(final) == 0


def test_large_files_are_compared_each(store):
    """Files that are large enough for threads are verified as well, every one of them."""
    scratch = store.scratch()
    for number in range(5):
        (scratch / str(number)).write_bytes(bytes([number]) * (2**20 + number))
    final, _ = store.commit(scratch, "a")
    store.verify(final)
    for number in range(5):
        with open(store.path(final) / str(number), "r+b") as file:
            file.seek(-1, os.SEEK_END)
            file.write(b"x")
        with pytest.raises(DamageError, match="'0'"):
            store.verify(final)
    (store.path(final) / "0").write_bytes(bytes(2**20))
    with pytest.raises(DamageError, match="'1'"):
        store.verify(final)


def test_names_and_sizes_are_told(store):
    """The store lists what is its own, committed or not, and how large by its manifest; elsewhere it is nothing."""
    assert store.names() == []
    final, path = committed(store)
    left = store.scratch().name
    os.mkdir(os.fsencode(store.root) + b"/\xff")
    assert store.names() == sorted([final, left])
    assert [store.bytes_of(name) for name in (final, left, "\udcff", "never-was", "..", "\ud800")] == [5002, *[0] * 5]
    path.rename(store.root / "b")
    assert store.bytes_of("b") == 0, "what lies under another name is another one's"


# ---------------------------------------------------------------------- links


LAYOUTS = {
    "an absolute link to its own file": lambda own: (own / "link").symlink_to(own / "model.bin"),
    "a relative link to its own file": lambda own: (own / "deep" / "link").symlink_to("../model.bin"),
    "a link to its own folder": lambda own: (own / "latest").symlink_to(own / "deep"),
    "a link to a link": lambda own: ((own / "b").symlink_to("c"), (own / "c").symlink_to(own / "deep" / "er")),
    "a link to elsewhere": lambda own: (own / "link").symlink_to(own.parent.parent / "elsewhere" / "model.bin"),
    "a link to a folder elsewhere": lambda own: (own / "link").symlink_to(own.parent.parent / "elsewhere" / "deep"),
    "links in a folder elsewhere": lambda own: (
        (own.parent.parent / "elsewhere" / "deep" / "l").symlink_to("../model.bin"),
        (own / "link").symlink_to(own.parent.parent / "elsewhere" / "deep"),
    ),
    "a link to a checkpoint": lambda own: (own / "base").symlink_to(own.parent.parent / "base"),
}


@pytest.mark.parametrize("given", [True, False], ids=["handed out", "own"])
@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
def test_links_are_stored_as_what_they_lead_to(tmp_path, store, layout, given):
    """A committed directory holds no link, and all that was read through its links, whatever becomes of their ends."""
    elsewhere = filled(store.root.parent / "elsewhere")
    shutil.move(committed(store)[1], store.root.parent / "base")
    own = filled(store.scratch() if given else store.root.parent / "users" / "own")
    layout(own)
    before = dict(_followed(own))
    final, _ = store.commit(own, "a")
    if not given:
        assert any(path.is_symlink() for path in own.rglob("*")), "the user's own directory is as it was"
        shutil.rmtree(own)
    shutil.rmtree(elsewhere)
    shutil.rmtree(store.root.parent / "base")
    store.verify(final)
    path = store.path(final)
    assert not any(each.is_symlink() for each in path.rglob("*"))
    after = {file.relative_to(path).as_posix(): file.read_bytes() for file in path.rglob("*") if file.is_file()}
    after.pop(MANIFEST)
    assert after == before
    assert store.names() == [final]


def _followed(folder):
    for top, _, names in os.walk(folder, followlinks=True):
        for name in names:
            yield os.path.relpath(f"{top}/{name}", folder), Path(top, name).read_bytes()


REFUSED = {
    "a broken link": lambda own: (own / "x").symlink_to("nothing"),
    "a link to itself": lambda own: (own / "x").symlink_to("x"),
    "a pipe": lambda own: os.mkfifo(own / "x"),
    "a link to a pipe": lambda own: (
        os.mkfifo(own.parent.parent / "pipe"), (own / "x").symlink_to(own.parent.parent / "pipe"),
    ),
    "a link to where it lies": lambda own: (own / "x").symlink_to("."),
    "a link to what is above": lambda own: (own / "deep" / "er" / "x").symlink_to(own),
    "links to each other": lambda own: (
        (own / "y").mkdir(), (own / "y" / "x").symlink_to(own / "deep"), (own / "deep" / "x").symlink_to(own / "y"),
    ),
    "folders without end": lambda own: (own / "/".join("x" * (DEEPEST + 1))).mkdir(parents=True),
}  # fmt: skip


@pytest.mark.parametrize("given", [True, False], ids=["handed out", "own"])
@pytest.mark.parametrize("spoil", REFUSED.values(), ids=REFUSED)
def test_what_is_no_tree_of_files_is_refused(store, spoil, given):
    """Broken links, circles and pipes end no worker and hang nobody: they are told, and can be mended."""
    own = filled(store.scratch() if given else store.root.parent / "users" / "own")
    spoil(own)
    (own / "good").symlink_to(own / "model.bin")
    before = sorted(own.rglob("*"))
    with pytest.raises(CheckpointError, match=r"leave it out|save it flatter") as caught:
        store.commit(own, "a")
    assert not isinstance(caught.value, DamageError)
    assert sorted(own.rglob("*")) == before
    assert store.names() == ([own.name] if given else [])
    for path in reversed(before):
        if path.name == "x":
            path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    store.verify(store.commit(own, "a")[0])


# ---------------------------------------------------------------------- what fails, and what cannot be removed


_FULL = """
import errno, os, sys
from pathlib import Path

from ramet.checkpoint import Checkpoint
from ramet.store.checkpoints import CheckpointStore

disk = Path(sys.argv[1])
store = CheckpointStore(disk / "checkpoints")
own = disk.parent / "own"
own.mkdir()
(own / "model").write_bytes(bytes(600_000))
given = store.scratch()
(given / "small").write_bytes(bytes(100))
(given / "link").symlink_to(own / "model")
(disk / "ballast").write_bytes(bytes(700_000))


def full(work):
    try:
        work()
    except OSError as error:
        assert error.errno == errno.ENOSPC, error
    else:
        raise AssertionError("there was room")
    assert store.names() == [given.name], store.names()


for again in range(2):
    full(lambda: store.commit(own, "own"))
    full(lambda: Checkpoint.from_directory(own).pack(store, "own"))
    full(lambda: Checkpoint.from_dict({"model": bytes(600_000)}).pack(store, "dict"))
    full(lambda: store.commit(given, "given"))
    full(lambda: Checkpoint.from_directory(given).pack(store, "given"))
    assert (given / "link").is_symlink()
(disk / "ballast").unlink()
final, size = store.commit(given, "given")
assert size == 600_100
store.verify(final)

# Now there is no room for the manifest alone.
given = store.scratch()
(given / "small").write_bytes(bytes(100))
store.delete(final)
with open(disk / "ballast", "wb", buffering=0) as file:
    try:
        while file.write(bytes(4096)):
            pass
    except OSError:
        pass
for again in range(2):
    full(lambda: store.commit(given, "given"))
(disk / "ballast").unlink()
store.verify(store.commit(given, "given")[0])
print("done")
"""


def test_a_commit_on_a_full_disk_can_be_made_again(tmp_path):
    """Without room a commit is the system's own OSError and leaves nothing but what was handed out; later it works."""
    disk = tmp_path / "disk"
    disk.mkdir()
    alone = ["unshare", "-rm", "sh", "-c", 'mount -t tmpfs -o size=1m none "$1" && shift && exec "$@"', "sh", disk]
    if shutil.which("unshare") is None or subprocess.run([*alone, "true"], capture_output=True).returncode:
        pytest.skip("a small disk of one's own takes Linux with user namespaces")
    done = subprocess.run([*alone, sys.executable, "-c", _FULL, disk], capture_output=True, text=True, timeout=60)
    assert done.stdout == "done\n", done.stderr


def test_a_commit_whose_last_step_fails_can_be_made_again(store, monkeypatch):
    """If the store itself cannot be synced, what was handed out is back under its own name."""
    scratch = filled(store.scratch())
    sync = os.fsync

    def refuse(descriptor):
        if os.fstat(descriptor).st_ino == store.root.stat().st_ino:
            raise OSError(28, "No space left on device")
        sync(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        with pytest.raises(OSError, match="No space left"):
            store.commit(scratch, "a")
    assert store.names() == [scratch.name]
    store.verify(store.commit(scratch, "a")[0])


def test_what_cannot_be_moved_or_removed_is_left_to_the_next_sweep(tmp_path, store, monkeypatch):
    """Deleting and sweeping never raise for the system's refusals: what stays is not told as gone, and goes later."""
    final, _ = committed(store)
    left = filled(store.scratch()).name

    def refuse(*arguments, **options):
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        for name in ("rename", "unlink", "rmdir"):
            patch.setattr(os, name, refuse)
        store.delete(final)
        assert store.sweep(set()) == []
    store.verify(final)
    assert store.sweep(set()) == sorted([final, left])
    assert store.names() == []


def test_sweeping_stumbles_over_no_name_and_no_depth(tmp_path, store):
    """Names that are no text, and folders deeper than Python can go, break no sweep and no other work."""
    live, _ = committed(store)
    strange = (b"\xff\xfe", b"new\nline", b"-rf")
    for name in strange:
        os.mkdir(os.fsencode(store.root) + b"/" + name)
        Path(os.fsdecode(os.fsencode(store.root) + b"/" + name), MANIFEST).write_text("{}")
    deep = store.scratch()
    at = os.open(deep, os.O_RDONLY)
    for _ in range(1200):
        os.mkdir("d", dir_fd=at)
        at, before = os.open("d", os.O_RDONLY, dir_fd=at), at
        os.close(before)
    os.close(at)
    gone = store.sweep({live})
    assert set(gone) >= {os.fsdecode(name) for name in strange}
    assert set(store.names()) == {live} | ({deep.name} - set(gone))
    if deep.name not in gone:
        subprocess.run(["rm", "-r", "--", deep], check=True)  # or pytest could not clear its own folder


def test_sweeping_stays_in_the_store(tmp_path, store):
    """Links are removed, never what they lead to; also where the store itself is one."""
    own = filled(tmp_path / "own")
    store.root.mkdir(parents=True)
    (store.root / "link").symlink_to(own)
    (store.root / "tmp-0123456789abcdef").symlink_to(own)
    filled(store.scratch()).joinpath("link").symlink_to(own)
    assert len(store.sweep(set())) == 2
    assert set(content(own)) == {"model.bin", "deep/er/step.txt"}

    linked = CheckpointStore(tmp_path / "linked")
    linked.root.symlink_to(own)
    live, _ = committed(linked)
    dead, _ = committed(linked)
    left = filled(linked.scratch()).name
    assert linked.sweep({live}) == sorted([dead, left])
    linked.delete("deep")
    assert sorted(os.listdir(linked.root)) == sorted([live, "deep", "model.bin"])


def test_permissions_and_ages_are_copied_and_nothing_that_gives_power(tmp_path, store):
    """A copied file has the permissions and the age of the user's, but no set-user-ID bit."""
    own = filled(tmp_path / "own")
    (own / "model.bin").chmod(0o4750)
    os.utime(own / "model.bin", (1e9, 1e9))
    status = (store.path(store.commit(own, "a")[0]) / "model.bin").stat()
    assert status.st_mode & 0o7777 == 0o750
    assert status.st_mtime == 1e9


def test_a_fresh_checkpoint_is_read_only_where_it_was_touched(store, monkeypatch):
    """What was committed in this life and not touched since is not read again; a changed byte in it is found still."""
    scratch = store.scratch()
    for name in ("a.bin", "b.bin"):
        (scratch / name).write_bytes(bytes(100))
    path = store.path(store.commit(scratch, "a")[0])
    read = []
    checksum = manifest._checksum
    monkeypatch.setattr(manifest, "_checksum", lambda path: read.append(Path(path).name) or checksum(path))
    assert set(manifest.verified(path, fresh=True)) == {"a.bin", "b.bin"}
    assert read == []
    assert set(manifest.verified(path)) == {"a.bin", "b.bin"}
    assert sorted(read) == ["a.bin", "b.bin"]

    read.clear()
    before = (path / "b.bin").stat()
    (path / "b.bin").write_bytes(bytes(99) + b"x")
    os.utime(path / "b.bin", ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(DamageError, match=r"b\.bin.*checksum"):
        manifest.verified(path, fresh=True)
    assert read == ["b.bin"]


def test_only_what_was_committed_since_the_run_was_taken_up_is_fresh(tmp_path):
    """A checkpoint is fresh for the record that committed it, and for no later one."""
    record = Record.create(tmp_path, {})
    scratch = record.store.scratch()
    (scratch / "file").write_bytes(bytes(10))
    name, size = record.store.commit(scratch, "a")
    stored = StoredCheckpoint("directory", path=str(record.store.root / name), size=size)
    events = [Began(0, 1, {}), Opened(0, 0, None, 0, {}), Kept(0, 1, 1.0, 0.0, 0.0, 1.0, (), size)]
    record.commit(events, {(0, 1): stored})
    assert record.checkpoint((0, 1)).fresh
    record.close()
    for opened in (Record.open(tmp_path), Record.resume(tmp_path)):
        assert not opened.checkpoint((0, 1)).fresh
        opened.close()
