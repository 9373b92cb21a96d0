"""The durable side: a ledger whose transactions are whole or absent, and checkpoints that are moved, not rewritten."""

import json
import os
import pickle
import shutil
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ramet
from ramet.errors import CheckpointError, RunError
from ramet.record import Record
from ramet.store.checkpoints import MANIFEST, CheckpointStore
from ramet.store.ledger import FORMAT, NAME, CheckpointRow, EventRow, Ledger, ReportRow, Transaction


def event(number, segment=None):
    """An event that is told from others by its number."""
    return EventRow("Noted", segment, json.dumps({"number": number}))


def report(segment, first, last, value=0.0):
    """Rows ``first`` to ``last`` of a segment."""
    rows = json.dumps({"columns": ["score"], "rows": [[value]] * (last - first + 1)})
    return ReportRow(segment, first, last, rows, json.dumps([0.0] * (last - first + 1)), 1.5)


def small(segment, iteration, data=b"x"):
    """A small checkpoint."""
    return CheckpointRow(segment, iteration, "pickle", len(data), data, None)


def whole(ledger):
    """All that a ledger holds."""
    return (
        list(ledger.happened()),
        list(ledger.reports()),
        [ledger.checkpoint(row.segment, row.iteration) for row in ledger.checkpoints()],
    )


@pytest.fixture
def ledger(tmp_path):
    """A new ledger."""
    made = Ledger.create(tmp_path, {"ramet": "test"})
    yield made
    made.close()


# ---------------------------------------------------------------------- the ledger: transactions


GOOD = Transaction([event(1), report(0, 1, 3), event(2)], [small(0, 3)])


def _interrupted():
    yield (0, 3)
    raise KeyboardInterrupt


BAD = {
    "an event without data": lambda: Transaction([event(3), EventRow("Noted", None, None)], [small(0, 4)]),
    "an event without a kind": lambda: Transaction([EventRow(None, 0, "{}"), report(0, 4, 4)]),
    "a report without rows": lambda: Transaction([event(3), report(0, 4, 5), report(0, 6, 6)._replace(rows=None)]),
    "a checkpoint without a kind": lambda: Transaction([event(3)], [small(0, 4), small(0, 5)._replace(kind=None)]),
    "a number beyond SQLite's": lambda: Transaction([event(3), event(4, segment=2**70)]),
    "a value that is no value": lambda: Transaction([event(3), EventRow("Noted", None, object())]),
    "text that is no text": lambda: Transaction([event(3), EventRow("Noted", None, "\ud800")]),
    "a row of another length": lambda: Transaction([event(3)], [], [(0, 1)], [(0, 3, 9)]),
    "a rewinding of another length": lambda: Transaction([event(3)], [], [(0,)]),
}


@pytest.mark.parametrize("make", BAD.values(), ids=BAD)
def test_a_transaction_that_fails_leaves_nothing(ledger, make):
    """If any row of a transaction cannot be written, none of it is there, and the next one can be."""
    ledger.commit(GOOD)
    before = whole(ledger)

    with pytest.raises(RunError, match="cannot write to the run's ledger"):
        ledger.commit(make())

    assert whole(ledger) == before
    ledger.commit(Transaction([event(5)]))
    assert list(ledger.happened()) == [*GOOD.happened, event(5)]


def test_an_interrupt_in_a_transaction_leaves_nothing(ledger):
    """Ctrl-C in the middle of a commit is a KeyboardInterrupt, leaves nothing of it, and the next commit works."""
    ledger.commit(GOOD)
    before = whole(ledger)

    with pytest.raises(KeyboardInterrupt):
        ledger.commit(Transaction([event(3)], [small(0, 4)], [], _interrupted()))

    assert whole(ledger) == before
    ledger.commit(Transaction([event(4)]))
    assert len(list(ledger.happened())) == 4


HAPPENED = st.lists(st.lists(st.one_of(st.just("event"), st.just("report")), max_size=5), max_size=8)


@settings(max_examples=40, deadline=None)
@given(HAPPENED)
def test_what_happened_is_read_in_the_order_in_which_it_was_written(tmp_path_factory, kinds):
    """Events and reports of all transactions come back as one sequence in their order, from another connection too."""
    folder = tmp_path_factory.mktemp("ledger")
    written = []
    ledger = Ledger.create(folder, {})
    for transaction in kinds:
        rows = []
        for kind in transaction:
            number = len(written) + len(rows)
            rows.append(event(number) if kind == "event" else report(0, number, number, value=number))
        ledger.commit(Transaction(rows))
        written += rows
    assert list(ledger.happened()) == written
    ledger.close()
    reader = Ledger.open(folder)
    assert list(reader.happened()) == written
    assert [row for row in written if isinstance(row, ReportRow)] == list(reader.reports())
    reader.close()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(1, 4)), max_size=12),
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 20)), max_size=3),
)
def test_rewinding_drops_later_rows_of_those_segments_alone(tmp_path_factory, lengths, rewound):
    """Rewinding drops exactly the blocks that reach past its iteration, those of the same transaction too."""
    folder = tmp_path_factory.mktemp("ledger")
    ledger = Ledger.create(folder, {})
    last = {0: 0, 1: 0, 2: 0}
    blocks = []
    for segment, length in lengths:
        blocks.append(report(segment, last[segment] + 1, last[segment] + length))
        last[segment] += length
    half = len(blocks) // 2
    ledger.commit(Transaction([event(0), *blocks[:half]]))
    ledger.commit(Transaction([*blocks[half:], event(1)], [], rewound))

    expected = [b for b in blocks if all(b.segment != segment or b.last <= end for segment, end in rewound)]
    happened = list(ledger.happened())
    assert [row for row in happened if isinstance(row, ReportRow)] == expected
    assert [row for row in happened if isinstance(row, EventRow)] == [event(0), event(1)]
    for segment in (0, 1, 2):
        assert list(ledger.reports([segment])) == [b for b in expected if b.segment == segment]
    ledger.close()


def test_a_checkpoint_that_is_made_again_replaces_the_first(ledger):
    """One name, one checkpoint: the one that was committed last."""
    ledger.commit(Transaction([], [small(0, 3, b"first")]))
    ledger.commit(Transaction([], [small(0, 3, b"second")]))
    assert ledger.checkpoint(0, 3) == small(0, 3, b"second")
    assert [row.size for row in ledger.checkpoints()] == [6]


def test_a_deleted_checkpoint_is_gone_and_no_other(ledger):
    """Deleting names one checkpoint; deleting what is not there does nothing."""
    ledger.commit(Transaction([], [small(0, 3), small(0, 4), small(1, 3)]))
    ledger.commit(Transaction([], [], [], [(0, 3), (7, 7)]))
    assert ledger.checkpoint(0, 3) is None
    assert [(row.segment, row.iteration) for row in ledger.checkpoints()] == [(0, 4), (1, 3)]


def test_a_checkpoint_is_there_before_it_is_deleted_in_the_same_transaction(ledger):
    """A transaction that brings and deletes a checkpoint leaves none."""
    ledger.commit(Transaction([], [small(0, 3)], [], [(0, 3)]))
    assert ledger.checkpoint(0, 3) is None


def test_listing_checkpoints_reads_no_bytes_of_them(ledger):
    """The list of checkpoints says how large they are without their content."""
    ledger.commit(Transaction([], [small(0, 3, bytes(1000))]))
    assert list(ledger.checkpoints()) == [CheckpointRow(0, 3, "pickle", 1000, None, None)]


# ---------------------------------------------------------------------- the ledger: readers


def test_a_reader_sees_whole_transactions_and_never_blocks_the_writer(tmp_path):
    """A second connection sees each commit as soon as it is done, half-read queries keep what they began with."""
    writer = Ledger.create(tmp_path, {})
    reader = Ledger.open(tmp_path)
    written = []
    for number in range(20):
        rows = [event(3 * number), report(0, number + 1, number + 1), event(3 * number + 2)]
        begun = reader.happened()
        seen = [next(begun)] if written else []
        writer.commit(Transaction(rows, [small(0, number + 1)]))
        assert seen + list(begun) in (written, written + rows)
        written += rows
        assert list(reader.happened()) == written
        assert len(list(reader.checkpoints())) == number + 1
    reader.close()
    writer.close()


def test_nothing_of_an_open_transaction_is_seen(tmp_path):
    """While a transaction is being written, a reader sees what was there before it."""
    writer, seen = Ledger.create(tmp_path, {}), []
    writer.commit(GOOD)
    reader = Ledger.open(tmp_path)

    def looking():
        seen.append(whole(reader))
        yield (0, 3)

    writer.commit(Transaction([event(3)], [small(0, 4)], [], looking()))
    assert seen == [([*GOOD.happened], [GOOD.happened[1]], [small(0, 3)])]
    assert len(whole(reader)[0]) == 4
    reader.close()
    writer.close()


def test_a_reader_cannot_write(tmp_path, ledger):
    """An opened ledger is for reading: writing to it is a RunError."""
    reader = Ledger.open(tmp_path)
    with pytest.raises(RunError, match="cannot write"):
        reader.commit(Transaction([event(1)]))
    reader.close()


def test_a_ledger_is_never_written_over(tmp_path, ledger):
    """Creating a second ledger in a folder, or one in no folder, is a RunError."""
    with pytest.raises(RunError, match="exists already"):
        Ledger.create(tmp_path, {})
    with pytest.raises(RunError, match="choose another storage_path="):
        Ledger.create(tmp_path / "nowhere", {})


def test_facts_about_the_file(tmp_path, ledger):
    """The facts that were given are kept, with the format."""
    assert ledger.meta() == {"format": str(FORMAT), "ramet": "test"}


@pytest.mark.parametrize(("power_safe", "level"), [(True, 2), (False, 1)])
def test_durability_is_how_sqlite_syncs(tmp_path, power_safe, level):
    """Against power cuts every commit is synced; either way the journal is a write-ahead log."""
    ledger = Ledger.create(tmp_path, {}, power_safe=power_safe)
    assert ledger._db.execute("PRAGMA synchronous").fetchone() == (level,)
    assert ledger._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    ledger.close()


# ---------------------------------------------------------------------- the ledger: what is no run


def _database(path, *statements):
    with sqlite3.connect(path) as database:
        for statement in statements:
            database.execute(statement)
    database.close()


_META = "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)"


def _with_format(folder, told):
    Ledger.create(folder, {}).close()
    _database(folder / NAME, f"UPDATE meta SET value = '{told}' WHERE key = 'format'")


def _said(folder, kind, data):
    ledger = Ledger.create(folder, {})
    ledger.commit(Transaction([EventRow(kind, 0, data)]))
    ledger.close()


BEGAN = json.dumps({"seed": 0, "members": 1, "facts": {}})
KEPT = {"segment": 0, "iteration": 1, "time": 1.0, "score": 1.0, "rank": 1.0, "elapsed": 1.0, "stopping": []}

NO_RUNS = {
    "no folder": lambda folder: shutil.rmtree(folder),
    "an empty folder": lambda folder: None,
    "a file": lambda folder: (shutil.rmtree(folder), folder.write_text("run")),
    "a folder for a ledger": lambda folder: (folder / NAME).mkdir(),
    "an empty file": lambda folder: (folder / NAME).touch(),
    "a text": lambda folder: (folder / NAME).write_text("this is no database, but it is long enough to look like one"),
    "an empty database": lambda folder: _database(folder / NAME, "CREATE TABLE other (a)"),
    "no format": lambda folder: _database(folder / NAME, _META),
    "meta alone": lambda folder: _database(folder / NAME, _META, f"INSERT INTO meta VALUES ('format', '{FORMAT}')"),
    "other columns": lambda folder: _database(
        folder / NAME, _META, f"INSERT INTO meta VALUES ('format', '{FORMAT}')", "CREATE TABLE events (a)",
        "CREATE TABLE reports (a)",
    ),
    "a newer format": lambda folder: _with_format(folder, FORMAT + 1),
    "a format that is no number": lambda folder: _with_format(folder, "new"),
    "a format that only looks like a number": lambda folder: _with_format(folder, "²"),
    "an unknown kind of event": lambda folder: _said(folder, "Exploded", "{}"),
    "an event that is no JSON": lambda folder: _said(folder, "Began", "{"),
    "an event that is a list": lambda folder: _said(folder, "Began", "[]"),
    "an event with a field too few": lambda folder: _said(folder, "Began", '{"seed": 0}'),
    "an event with a field too many": lambda folder: _said(folder, "Ended", '{"reason": "", "when": 0}'),
    "an event about no member": lambda folder: _said(folder, "Opened", json.dumps(
        {"segment": 0, "member": 0, "parent": None, "iteration": 0, "hparams": {}, "info": {}})),
    "an event about no segment": lambda folder: _said(folder, "Kept", json.dumps(KEPT)),
    "an event with words for numbers": lambda folder: _said(
        folder, "Began", '{"seed": 0, "members": "4", "facts": {}}'
    ),
    "members that never opened": lambda folder: _said(folder, "Began", BEGAN),
}  # fmt: skip


@pytest.mark.parametrize("make", NO_RUNS.values(), ids=NO_RUNS)
def test_what_is_no_run_is_a_run_error(tmp_path, make):
    """Opening what is no run, is damaged, or is newer raises RunError that names the path, and creates nothing."""
    folder = tmp_path / "some folder"
    folder.mkdir()
    make(folder)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(RunError) as caught:
        ramet.ResultGrid(folder)
    assert "some folder" in str(caught.value)
    assert [path for path in sorted(tmp_path.rglob("*")) if path.suffix not in (".db-wal", ".db-shm")] == before


def test_a_newer_format_is_told_with_the_way_out(tmp_path):
    """A ledger of a newer version names both formats and says to update."""
    _with_format(tmp_path, FORMAT + 41)
    with pytest.raises(RunError, match=rf"format {FORMAT + 41}.* up to {FORMAT}: update Ramet"):
        Record.open(tmp_path)


def counting(config):
    """Count, with a checkpoint each time."""
    for step in range(1, 9):
        ramet.report(
            {"score": step * config["lr"], "words": "é" * step}, checkpoint=ramet.Checkpoint.from_dict({"s": step})
        )


def trained(folder, **run):
    """A small run with exploits."""
    scheduler = ramet.PopulationBasedTraining(
        time_attr="training_iteration",
        perturbation_interval=2,
        hyperparam_mutations={"lr": ramet.uniform(0.1, 1)},
        synch=True,
    )
    return ramet.Tuner(
        counting,
        tune_config=ramet.TuneConfig(metric="score", mode="max", scheduler=scheduler, num_samples=4, seed=1),
        run_config=ramet.RunConfig(
            **{"storage_path": folder, "verbose": 0, "executor": "inline", "name": "run", **run}
        ),
    ).fit()


@pytest.fixture(scope="module")
def example(tmp_path_factory):
    """The ledger of a run, whole in one file."""
    results = trained(tmp_path_factory.mktemp("example"))
    database = sqlite3.connect(Path(results.experiment_path, NAME))
    database.execute("PRAGMA journal_mode=DELETE")
    database.close()
    return Path(results.experiment_path, NAME)


def read_all(folder):
    """Everything that a reader can ask of a run."""
    results = ramet.ResultGrid(folder)
    for result in results:
        repr((result, result.metrics, result.config, result.error, result.schedule, result.state))
        len(result.metrics_dataframe)
        len(result.lineage_dataframe)
        for checkpoint, _ in result.best_checkpoints:
            repr(checkpoint)
        repr(result.checkpoint)
    for scope in ("last", "all"):
        results.get_best_result(scope=scope)
    results.get_dataframe()


@settings(max_examples=75, deadline=None)
@given(
    st.one_of(st.none(), st.floats(0, 1)),
    st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=50)), max_size=3),
)
def test_a_damaged_ledger_is_never_another_exception(tmp_path_factory, example, cut, changes):
    """Whatever bytes of a ledger are changed or cut off, reading gives other numbers or a RametError, nothing else."""
    folder = tmp_path_factory.mktemp("damaged")
    damaged = bytearray(example.read_bytes())
    for where, data in changes:
        at = int(where * len(damaged))
        damaged[at : at + len(data)] = data
    if cut is not None:
        del damaged[int(cut * len(damaged)) :]
    (folder / NAME).write_bytes(damaged)
    try:
        read_all(folder)
    except ramet.RametError:
        pass
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize("name", ["50%41 #1?", "a&mode=rwc", "ü ☃", "file:x", "'quoted' \"twice\"", "back\\slash", "%"])
def test_a_run_may_have_any_name(tmp_path, name):
    """Characters that mean something in a URI, in SQL or in a shell are only characters in the name of a run."""
    results = trained(tmp_path, name=name)
    assert os.listdir(tmp_path) == [name]
    assert len(ramet.ResultGrid(tmp_path / name)) == 4
    assert results.get_best_result().metrics["score"] > 0


# ---------------------------------------------------------------------- the checkpoint store


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
    assert told == {"format": 1, "files": {"model.bin": 5000, "deep/er/step.txt": 2}}


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
        assert (store.path(again) / MANIFEST).read_text() == (store.path(first) / MANIFEST).read_text()


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
    """Sweeping deletes committed checkpoints that are not live, scratch that was left, and stray files, and says so."""
    assert store.sweep(set()) == []
    live, _ = store.commit(filled(store.scratch()), "a")
    dead, _ = store.commit(filled(store.scratch()), "b")
    left = filled(store.scratch()).name
    (store.root / "stray.txt").write_text("")
    (store.root / "link").symlink_to(store.root / live)
    assert store.sweep({live, "never-was"}) == sorted([dead, left, "stray.txt", "link"])
    assert os.listdir(store.root) == [live]
    assert set(content(store.path(live))) == {"model.bin", "deep/er/step.txt"}
    assert store.sweep({live}) == []


class _Bomb:
    """Its pickle writes a file when it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_the_ledger_hands_bytes_out_as_bytes(tmp_path, ledger):
    """Checkpoints that are pickles are not loaded by reading the ledger."""
    bomb = pickle.dumps(_Bomb(tmp_path / "exploded"))
    ledger.commit(Transaction([], [small(0, 1, bomb)]))
    reader = Ledger.open(tmp_path)
    assert reader.checkpoint(0, 1).data == bomb
    assert not (tmp_path / "exploded").exists()
    pickle.loads(bomb)
    assert (tmp_path / "exploded").exists(), "it was a bomb"
    reader.close()
