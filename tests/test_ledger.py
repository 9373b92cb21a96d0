"""The ledger: transactions that are whole or absent, readers that see no half of one, damage that is told."""

import contextlib
import json
import os
import pickle
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ramet
from ramet.errors import DamageError, DiskFullError, RunError
from ramet.record import Record
from ramet.store import opening
from ramet.store.journal import journal_mode
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


def bare(rows):
    """Rows as they were before a ledger said of them what ends there."""
    return [row._replace(ends=0) for row in rows]


def happened(ledger):
    """All events and reports of a ledger, bare."""
    return bare(ledger.happened())


def readable(ledger):
    """Events and reports up to the first that is damaged."""
    found = []
    with contextlib.suppress(RunError):
        for row in ledger.happened():
            found.append(row)  # noqa: PERF402 - what came before the error counts
    return found


def whole(ledger):
    """All that a ledger holds."""
    return (
        happened(ledger),
        bare(ledger.reports()),
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
    assert happened(ledger) == [*GOOD.happened, event(5)]


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


@settings(max_examples=20, deadline=None)
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
    assert happened(ledger) == written
    ledger.close()
    reader = Ledger.open(folder)
    assert happened(reader) == written
    assert [row for row in written if isinstance(row, ReportRow)] == bare(reader.reports())
    reader.close()


@settings(max_examples=20, deadline=None)
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
    found = happened(ledger)
    assert [row for row in found if isinstance(row, ReportRow)] == expected
    assert [row for row in found if isinstance(row, EventRow)] == [event(0), event(1)]
    for segment in (0, 1, 2):
        assert bare(ledger.reports([segment])) == [b for b in expected if b.segment == segment]
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


# ---------------------------------------------------------------------- the ledger: where transactions end


HISTORY = [
    [event(0), event(1), event(2)],
    [report(0, 1, 2)],
    [report(0, 3, 3), report(1, 1, 1)],
    [report(0, 4, 4), event(3), event(4), report(1, 2, 3), report(0, 5, 5)],
    [event(5)],
    [event(6), report(1, 4, 4)],
    [report(1, 5, 5), event(7), event(8)],
    [event(9), event(10)],
]


def kept(folder, transactions=HISTORY):
    """Write a ledger of these transactions into ``folder``; return its rows as they are read, by their number."""
    ledger = Ledger.create(folder, {})
    for rows in transactions:
        ledger.commit(Transaction(rows))
    found = dict(enumerate(ledger.happened(), 1))
    ledger.close()
    return found


def marks(transactions):
    """What is to stand in ``ends`` of all rows."""
    expected, count = [], 0
    for rows in transactions:
        last = max((at for at, row in enumerate(rows) if isinstance(row, EventRow)), default=-1)
        for at, row in enumerate(rows):
            count += isinstance(row, EventRow)
            expected.append(count + 1 if at in (last, len(rows) - 1) else 0)
    return expected


def test_the_marks_of_a_history_are_known(tmp_path):
    """The numbers that this file reckons with are those that one counts by hand."""
    rows = kept(tmp_path)
    assert [row.ends for row in rows.values()] == [0, 0, 4, 4, 0, 4, 0, 0, 6, 0, 6, 7, 8, 8, 0, 0, 10, 0, 12]


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.sampled_from([event(0), report(0, 1, 1)]), max_size=4), max_size=6), st.data())
def test_a_transaction_is_marked_at_its_last_row_and_its_last_event(tmp_path_factory, transactions, data):
    """Those two, which may be one, hold one more than the number of events so far; every other row holds 0."""
    folder = tmp_path_factory.mktemp("ledger")
    half = data.draw(st.integers(0, len(transactions)))
    kept(folder, transactions[:half])
    ledger = Ledger.resume(folder)
    for rows in transactions[half:]:
        with pytest.raises(RunError):
            ledger.commit(Transaction([event(1), EventRow("a", 0, None)]))  # what failed is not counted
        ledger.commit(Transaction([row._replace(ends=99) for row in rows]))  # nor is it asked what the rows say
    assert [row.ends for row in ledger.happened()] == marks(transactions)
    ledger.close()


def _groups():
    """Sets of rows to lose: each event, the events of each transaction, and each transaction as a whole."""
    groups, seq = {}, 0
    for number, rows in enumerate(HISTORY):
        numbered = dict(enumerate(rows, seq + 1))
        seq += len(rows)
        events = [at for at, row in numbered.items() if isinstance(row, EventRow)]
        groups |= {(at,): f"event {at}" for at in events}
        groups.setdefault(tuple(events), f"events of {number}")
        groups.setdefault(tuple(numbered), f"transaction {number}")
    del groups[()]
    return [pytest.param(group, id=name) for group, name in groups.items()]


@pytest.mark.parametrize("lost", _groups())
def test_a_lost_event_is_missed_at_the_next_mark(tmp_path, lost):
    """A history in which events are missing is damaged where the next transaction ends, if any does after them."""
    rows = kept(tmp_path)
    gone = [at for at in lost if isinstance(rows[at], EventRow)]
    listed = ", ".join(map(str, lost))
    edited(tmp_path, *(f"DELETE FROM {table} WHERE seq IN ({listed})" for table in ("events", "reports")))
    left = {at: row for at, row in rows.items() if at not in lost}
    missed = next((at for at, row in left.items() if gone and at > gone[0] and row.ends), None)
    reader = Ledger.open(tmp_path)
    assert readable(reader) == [row for at, row in left.items() if missed is None or at < missed]
    if missed is not None:
        with pytest.raises(RunError, match=rf"damaged in its table (events|reports) at seq {missed}:"):
            list(reader.happened())
    elif gone:
        # The end of a history is missed only if a part of its transaction is left.
        assert (lost[-1], bool(list(left.values())[-1].ends)) == (len(rows), len(lost) > 1)
    reader.close()


def test_a_lost_event_stays_missed_when_the_run_goes_on(tmp_path):
    """What is written behind the gap does not hide it."""
    kept(tmp_path)
    edited(tmp_path, "DELETE FROM events WHERE seq = 8")
    ledger = Ledger.resume(tmp_path)
    for number in range(3):
        ledger.commit(Transaction([event(number)]))
        with pytest.raises(RunError, match="at seq 9:"):
            list(ledger.happened())
    ledger.close()


def test_two_events_for_one_are_missed_too(tmp_path):
    """An event more than there were is as wrong as one less, though each for itself is as it was written."""
    kept(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    kept(other, [[report(0, 1, 1)], [event(0)], [report(0, 2, 2)] * 2, [event(1), event(2), event(3)]])
    database = sqlite3.connect(tmp_path / NAME)
    database.execute("ATTACH ? AS other", (str(other / NAME),))
    database.execute("DELETE FROM reports WHERE seq = 5")
    database.execute("INSERT INTO events SELECT * FROM other.events WHERE seq = 5")
    database.commit()
    database.close()
    reader = Ledger.open(tmp_path)
    with pytest.raises(RunError, match="table reports at seq 6:"):
        list(reader.happened())
    reader.close()


@pytest.mark.parametrize("iteration", [0, 2, 4])
@pytest.mark.parametrize("segments", [(0,), (1,), (0, 1)])
def test_dropped_reports_are_never_missed(tmp_path, segments, iteration):
    """Whatever reports are rewound, the history is sound, ends with a mark, and goes on."""
    rows = kept(tmp_path)
    ledger = Ledger.resume(tmp_path)
    ledger.commit(Transaction([event(11), report(2, 1, 1)], [], [(segment, iteration) for segment in segments]))
    left = [
        row for row in rows.values()
        if isinstance(row, EventRow) or row.segment not in segments or row.last <= iteration
    ]  # fmt: skip
    expected = [*left, event(11)._replace(ends=13), report(2, 1, 1)._replace(ends=13)]
    assert list(ledger.happened()) == expected
    ledger.commit(Transaction([event(12)]))
    assert list(ledger.happened()) == [*expected, event(12)._replace(ends=14)]
    assert list(ledger.damages()) == []
    ledger.close()


@pytest.mark.parametrize("cut", [0, 3, 7, 10, 13, 19])
def test_what_is_rebuilt_is_marked_as_it_was_and_goes_on(tmp_path, cut):
    """A history cut behind a mark has the same marks in its new ledger, gaps or not, and its count is gone on with."""
    kept(tmp_path)
    ledger = Ledger.resume(tmp_path)
    ledger.commit(Transaction([], [], [(0, 3)]))
    rows = list(ledger.happened())[:cut]
    ledger.close()
    rows = rows[: max((at for at, row in enumerate(rows, 1) if row.ends), default=0)]
    Ledger.rebuild(tmp_path, rows, [], {})
    ledger = Ledger.resume(tmp_path)
    assert list(ledger.happened()) == rows
    assert ledger.last == len(rows)
    count = 1 + sum(isinstance(row, EventRow) for row in rows)
    ledger.commit(Transaction([event(1), event(2)]))
    ledger.commit(Transaction([report(0, 4, 4)]))
    assert [row.ends for row in ledger.happened()][len(rows) :] == [0, count + 2, count + 2]
    assert list(ledger.damages()) == []
    ledger.close()


# ---------------------------------------------------------------------- the ledger: readers


def test_a_reader_sees_whole_transactions_and_never_blocks_the_writer(tmp_path):
    """A second connection sees each commit as soon as it is done, half-read queries keep what they began with."""
    writer = Ledger.create(tmp_path, {})
    reader = Ledger.open(tmp_path)
    written = []
    for number in range(20):
        rows = [event(3 * number), report(0, number + 1, number + 1), event(3 * number + 2)]
        begun = reader.happened()
        seen = bare([next(begun)]) if written else []
        writer.commit(Transaction(rows, [small(0, number + 1)]))
        assert seen + bare(begun) in (written, written + rows)
        written += rows
        assert happened(reader) == written
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


@settings(max_examples=15, deadline=None)
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


# ---------------------------------------------------------------------- checksums


FULL = Transaction(
    [event(1), report(0, 1, 3, 0.5), event(2, segment=0), EventRow("é", 7, "☃\0;,'"), report(1, 1, 2)],
    [small(0, 3, b"small"), CheckpointRow(1, 2, "directory", 9, None, "000001-00000002-abc"), small(2, 2, b"")],
)
CHECKPOINTS = {row[:2]: row for row in FULL.checkpoints}


@pytest.fixture
def full(tmp_path):
    """The folder of a ledger that holds `FULL`, in one file."""
    made = Ledger.create(tmp_path, {"ramet": "test"})
    made.commit(FULL)
    made.close()
    return tmp_path


def edited(folder, *statements):
    """Change a ledger behind its back."""
    _database(folder / NAME, *statements)


def test_a_checksum_is_what_the_format_says(full):
    """It is computed here from the words of the page alone."""
    database = sqlite3.connect(full / NAME)
    for table, texts in (("events", (1, 3)), ("reports", (4, 5)), ("checkpoints", (2, 5))):
        for *row, crc in database.execute(f"SELECT * FROM {table}"):
            data = row[4] if table == "checkpoints" else None
            blob = (4,) if table == "checkpoints" else ()
            numbers = [
                "-" if v is None else f"{v:.17g}" if type(v) is float else str(v)
                for at, v in enumerate(row) if at not in (*texts, *blob)
            ]  # fmt: skip
            lengths = ["-" if row[at] is None else str(len(row[at])) for at in sorted((*texts, *blob))]
            words = "".join(row[at] or "" for at in texts)
            told = (",".join([*numbers, *lengths]) + ";" + words).encode() + (data or b"")
            assert crc == zlib.crc32(told), (table, row)
    database.close()


def test_numbers_come_back_as_equal_rows(ledger):
    """A time that is a whole number, a minus zero or a truth value is read as what SQLite makes of it, and is whole."""
    times = [3, -0.0, True, 1e300, float("inf"), 2**60 + 1, 5e-324]
    rows = [report(True, number, number)._replace(at=at) for number, at in enumerate(times)]
    ledger.commit(Transaction([*rows, EventRow("a", False, "{}")]))
    assert [row.at for row in ledger.reports()] == [float(at) for at in times]
    assert happened(ledger)[-1] == EventRow("a", 0, "{}")


CHANGES = {
    "events.kind": ("UPDATE events SET kind = 'Ended' WHERE seq = 3", "events", "seq 3"),
    "events.data": ("UPDATE events SET data = replace(data, '2', '3') WHERE seq = 3", "events", "seq 3"),
    "events.segment": ("UPDATE events SET segment = NULL WHERE seq = 3", "events", "seq 3"),
    "events.seq": ("UPDATE events SET seq = 6 WHERE seq = 3", "events", "seq "),
    "events.crc": ("UPDATE events SET crc = crc + 1 WHERE seq = 3", "events", "seq 3"),
    "events.no crc": ("UPDATE events SET crc = NULL WHERE seq = 3", "events", "seq 3"),
    "events twice": (
        "INSERT INTO events SELECT 2, kind, segment, data, 0, crc FROM events WHERE seq = 1",
        "e",
        "seq 2",
    ),
    "events.ends": ("UPDATE events SET ends = 0 WHERE seq = 4", "events", "seq 4"),
    "events.no ends": ("UPDATE events SET ends = 2 WHERE seq = 3", "events", "seq 3"),
    "reports.ends": ("UPDATE reports SET ends = 0 WHERE seq = 5", "reports", "seq 5"),
    "reports.first": ("UPDATE reports SET first = first + 1 WHERE seq = 5", "reports", "seq 5"),
    "reports.rows": ("UPDATE reports SET rows = replace(rows, '0', '1') WHERE seq = 5", "reports", "seq 5"),
    "reports.at": ("UPDATE reports SET at = 1.5000000000000002 WHERE seq = 5", "reports", "seq 5"),
    "bytes for text": ("UPDATE reports SET rows = CAST(rows AS BLOB) WHERE seq = 5", "reports", "seq 5"),
    "text for a number": ("UPDATE reports SET segment = 'a' WHERE seq = 5", "reports", "seq 5"),
    "a fraction": ("UPDATE reports SET last = 2.5 WHERE seq = 5", "reports", "seq 5"),
    "no text": ("UPDATE events SET data = CAST(x'ff' AS TEXT) WHERE seq = 3", "", ""),
}


@pytest.mark.parametrize(("change", "table", "which"), CHANGES.values(), ids=CHANGES)
def test_a_changed_entry_is_told_and_never_handed_out(full, change, table, which):
    """The error names the file, the table, the entry and the way out; what came before it can be had."""
    edited(full, change)
    reader = Ledger.open(full)
    with pytest.raises(RunError) as caught:
        list(reader.happened())
    for word in (str(full / NAME), table, which, f"ramet check --repair {full}"):
        assert word in str(caught.value)
    before = bare(readable(reader))
    assert before
    assert before == FULL.happened[: len(before)]
    told = list(reader.damages())
    assert told
    assert any(which.replace("seq ", "") in sentence for sentence in told)
    if table == "reports":
        with pytest.raises(RunError, match="table reports"):
            list(reader.reports())
    reader.close()


CHECKPOINT_CHANGES = {
    "its bytes": ((0, 3), "UPDATE checkpoints SET data = x'00' WHERE segment = 0"),
    "its kind": ((0, 3), "UPDATE checkpoints SET kind = 'zip' WHERE segment = 0"),
    "no bytes": ((0, 3), "UPDATE checkpoints SET data = NULL WHERE segment = 0"),
    "text for bytes": ((0, 3), "UPDATE checkpoints SET data = 'small' WHERE segment = 0"),
    "its path": ((1, 2), "UPDATE checkpoints SET path = '000001-00000002-abd' WHERE segment = 1"),
    "no path": ((1, 2), "UPDATE checkpoints SET path = NULL WHERE segment = 1"),
    "bytes beside a path": ((1, 2), "UPDATE checkpoints SET data = x'' WHERE segment = 1"),
    "bytes for a path": ((1, 2), "UPDATE checkpoints SET path = x'00' WHERE segment = 1"),
    "its size": ((1, 2), "UPDATE checkpoints SET size = 10 WHERE segment = 1"),
    "its name": ((1, 4), "UPDATE checkpoints SET iteration = 4 WHERE segment = 1"),
}


@pytest.mark.parametrize(("name", "change"), CHECKPOINT_CHANGES.values(), ids=CHECKPOINT_CHANGES)
def test_a_changed_checkpoint_is_damage(full, name, change):
    """Asking for it is a DamageError that names it; the others are there; a flipped path is never listed."""
    edited(full, change)
    reader = Ledger.open(full)
    with pytest.raises(DamageError, match=rf"segment {name[0]}, iteration {name[1]}.* check --repair"):
        reader.checkpoint(*name)
    for other in CHECKPOINTS.keys() - {name, (1, 2)}:
        assert reader.checkpoint(*other) == CHECKPOINTS[other]
    if name[0] == 1:
        with pytest.raises(RunError, match=rf"table checkpoints at segment {name[0]}, iteration {name[1]}"):
            list(reader.checkpoints())
    assert [sentence for sentence in reader.damages() if f"(segment {name[0]}, iteration {name[1]})" in sentence]
    reader.close()


def test_an_index_that_lies_costs_no_checkpoint(full):
    """If the index has lost a checkpoint or leads to another one, it is found or damage is told; the list has all."""
    database = sqlite3.connect(full / NAME)
    (root,) = database.execute("SELECT rootpage FROM sqlite_master WHERE name LIKE 'sqlite_autoindex_checkpoints%'")
    (size,) = database.execute("PRAGMA page_size").fetchone()
    database.close()
    whole_file = (full / NAME).read_bytes()
    page = slice((root[0] - 1) * size, root[0] * size)
    for cells in (0, 1, 2):
        damaged = bytearray(whole_file)
        damaged[page.start + 3 : page.start + 5] = cells.to_bytes(2, "big")  # entries that are in it
        (full / NAME).write_bytes(damaged)
        reader = Ledger.open(full)
        assert {row[:2] for row in reader.checkpoints()} == set(CHECKPOINTS)
        assert {name: reader.checkpoint(*name) for name in CHECKPOINTS} == CHECKPOINTS
        assert any("index" in sentence for sentence in reader.damages())
        reader.close()


def in_order(some, all_of):
    """Whether ``some`` are among ``all_of`` in the same order."""
    rest = iter(all_of)
    return all(each in rest for each in some)


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    """A ledger of many pages, and what it holds."""
    folder = tmp_path_factory.mktemp("long")
    ledger = Ledger.create(folder, {})
    for number in range(60):
        happened = [EventRow("Noted", number, f"words {number} " * 20), report(number, 1, 30, number + 0.5)]
        kept = [
            small(number, 30, bytes([number]) * 3000),
            CheckpointRow(number, 31, "directory", 1, None, f"n{number}"),
        ]
        ledger.commit(Transaction(happened, kept))
    told = (list(ledger.happened()), list(ledger.reports()), {row[:2]: row for row in whole(ledger)[2]})
    ledger.close()
    return (folder / NAME).read_bytes(), told


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=8)), max_size=4),
    st.one_of(st.none(), st.floats(0, 1)),
)
def test_what_a_damaged_ledger_hands_out_is_what_was_written(tmp_path_factory, long, changes, cut):
    """Bytes changed or cut off: what is handed out is among what was written, as it was and in its order."""
    folder = tmp_path_factory.mktemp("damaged")
    content, (written, reports, checkpoints) = long
    damaged = bytearray(content)
    for where, data in changes:
        at = int(where * len(damaged))
        damaged[at : at + len(data)] = data[: len(damaged) - at]
    if cut is not None:
        del damaged[int(cut * len(damaged)) :]
    (folder / NAME).write_bytes(damaged)
    try:
        ledger = Ledger.open(folder)
    except RunError:
        return
    before = readable(ledger)
    assert not [row for row in before if row not in written]
    for read, all_of in ((lambda: before, written), (ledger.reports, reports)):
        with contextlib.suppress(RunError):
            assert in_order(read(), all_of)
    try:
        listed = [row for row in ledger.checkpoints() if row.path is not None]
        assert in_order(listed, [row for row in checkpoints.values() if row.path is not None])
    except RunError:
        pass
    for name in [(0, 30), (0, 31), (40, 30), (59, 31), (99, 0)]:
        with contextlib.suppress(DamageError, RunError):
            assert ledger.checkpoint(*name) in (None, checkpoints.get(name))
    try:
        assert ledger.meta().keys() <= {"format"} or damaged != content
        assert ledger.last is not None
    except RunError:
        pass
    assert all(isinstance(sentence, str) for sentence in ledger.damages())
    ledger.close()
    shutil.rmtree(folder)


# ---------------------------------------------------------------------- strangers' files


LOOSE = """
CREATE TABLE meta (key, value); INSERT INTO meta VALUES ('format', '2');
CREATE TABLE events (seq INTEGER PRIMARY KEY, kind, segment, data, ends, crc);
CREATE TABLE reports (seq INTEGER PRIMARY KEY, segment, first, last, rows, elapsed, at, ends, crc);
CREATE TABLE checkpoints (segment, iteration, kind, size, data, path, crc);
"""
VALUES = ["NULL", "1", "-9223372036854775808", "1.5", "9e999", "'a'", "x'ff'", "CAST(x'ff' AS TEXT)", "zeroblob(9)"]
TABLES = {"events": 6, "reports": 9, "checkpoints": 7}


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(["1", "2"]), st.data())
def test_a_strangers_values_are_a_run_error(tmp_path_factory, format, data):
    """Columns without types and any value in them: RunError or DamageError, and nothing else."""
    folder = tmp_path_factory.mktemp("stranger")
    schema = LOOSE.replace("'2'", f"'{format}'")
    if format == "1":
        schema = schema.replace(", ends", "").replace(", crc", "")
    statements = [each for each in schema.split(";") if each.strip()]
    for table, number in TABLES.items():
        length = number if format == "2" else number - 1 - (table != "checkpoints")
        for seq in range(data.draw(st.integers(0, 2))):
            values = data.draw(st.lists(st.sampled_from(VALUES), min_size=length, max_size=length))
            if table != "checkpoints":
                values[0] = str(seq if table == "events" else 10 + seq)
            statements.append(f"INSERT INTO {table} VALUES ({', '.join(values)})")
    meta = data.draw(st.lists(st.sampled_from(VALUES), max_size=2))
    statements += [f"INSERT INTO meta VALUES ({value}, {value})" for value in meta]
    _database(folder / NAME, *statements)
    reader = Ledger.open(folder)
    for read in (
        lambda: list(reader.happened()), lambda: list(reader.reports()), lambda: list(reader.reports([1, 2**70])),
        lambda: list(reader.checkpoints()), lambda: reader.checkpoint(1, 1), lambda: reader.checkpoint(2**70, 1),
        reader.meta, lambda: reader.last,
    ):  # fmt: skip
        with contextlib.suppress(RunError, DamageError):
            read()
    readable(reader)
    assert all(isinstance(sentence, str) for sentence in reader.damages())
    reader.close()
    with contextlib.suppress(RunError):
        Ledger.resume(folder).close()
    shutil.rmtree(folder)


PROGRAMS = {
    "a view": "DROP TABLE events; CREATE VIEW events AS SELECT 1 seq, 'a' kind, 0 segment, '{}' data, 2 ends, 0 crc",
    "a virtual table": "DROP TABLE events; CREATE VIRTUAL TABLE events USING fts5(seq, kind, segment, data, ends, crc)",
    "a trigger": "CREATE TRIGGER events_after AFTER INSERT ON events BEGIN DELETE FROM checkpoints; END",
    "a computed column": "DROP TABLE events; CREATE TABLE events (seq, kind, segment, data, ends, crc AS (1))",
    "another table": "DROP TABLE reports; CREATE TABLE reports (seq)",
    "no table": "DROP TABLE checkpoints",
}


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_a_ledger_that_is_a_program_is_refused(full, program):
    """Views, triggers and the like in the place of a ledger's tables are never run."""
    database = sqlite3.connect(full / NAME)
    database.executescript(program)
    database.close()
    for start in (Ledger.open, Ledger.resume):
        with pytest.raises(RunError, match="cannot be read as a run's ledger"):
            start(full)


# ---------------------------------------------------------------------- format 1


FORMAT_1 = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE events (seq INTEGER PRIMARY KEY, kind TEXT NOT NULL, segment INTEGER, data TEXT NOT NULL);
CREATE TABLE reports (
    seq INTEGER PRIMARY KEY, segment INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
    rows TEXT NOT NULL, elapsed TEXT NOT NULL, at REAL NOT NULL
);
CREATE INDEX reports_by_segment ON reports (segment, first);
CREATE TABLE checkpoints (
    segment INTEGER NOT NULL, iteration INTEGER NOT NULL, kind TEXT NOT NULL, size INTEGER NOT NULL,
    data BLOB, path TEXT, PRIMARY KEY (segment, iteration)
);
INSERT INTO meta VALUES ('format', '1'), ('ramet', '0.1.0');
"""


@pytest.fixture
def first(tmp_path):
    """The folder of a ledger as version 0.1.0 wrote it, with `FULL` in it."""
    database = sqlite3.connect(tmp_path / NAME, isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.executescript(FORMAT_1)
    for seq, row in enumerate(FULL.happened, 1):
        table = "events" if isinstance(row, EventRow) else "reports"
        database.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", (seq, *row[:-1]))
    database.executemany("INSERT INTO checkpoints VALUES (?, ?, ?, ?, ?, ?)", FULL.checkpoints)
    database.close()
    return tmp_path


def test_a_ledger_of_format_1_is_read_and_left_as_it_is(first):
    """Everything in it is found, it is sound, and reading does not change it."""
    before = (first / NAME).read_bytes()
    reader = Ledger.open(first)
    assert list(reader.happened()) == [row._replace(ends=1) for row in FULL.happened]
    assert bare(reader.reports([0])) == [FULL.happened[1]]
    assert {row[:2] for row in reader.checkpoints()} == set(CHECKPOINTS)
    assert {name: reader.checkpoint(*name) for name in CHECKPOINTS} == CHECKPOINTS
    assert reader.meta() == {"format": "1", "ramet": "0.1.0"}
    assert list(reader.damages()) == []
    reader.close()
    assert (first / NAME).read_bytes() == before


def test_resuming_a_ledger_of_format_1_makes_it_one_of_this_format(first, tmp_path_factory):
    """As if each of its entries had been written alone; it goes on and counts on, and a reader of before reads on."""
    reader = Ledger.open(first)
    ledger = Ledger.resume(first)
    assert ledger.meta() == {"format": str(FORMAT), "ramet": "0.1.0"}
    assert ledger.last == 5
    ledger.commit(Transaction([event(6)]))
    assert list(ledger.damages()) == []
    ledger.close()
    assert happened(reader) == [*FULL.happened, event(6)]
    reader.close()

    other = tmp_path_factory.mktemp("other")
    made = Ledger.create(other, {"ramet": "0.1.0"})
    for row in FULL.happened:
        made.commit(Transaction([row]))
    made.commit(Transaction([], FULL.checkpoints))
    made.commit(Transaction([event(6)]))
    assert [row.ends for row in made.happened()] == [2, 2, 3, 4, 4, 5]
    made.close()
    with sqlite3.connect(first / NAME) as one, sqlite3.connect(other / NAME) as two:
        for table in ("meta", "events", "reports", "checkpoints"):
            assert one.execute(f"SELECT * FROM {table}").fetchall() == two.execute(f"SELECT * FROM {table}").fetchall()
    one.close()
    two.close()


@pytest.mark.parametrize("rebuild", [False, True], ids=["upgraded", "rebuilt"])
def test_a_lost_event_of_what_was_format_1_is_missed(first, rebuild):
    """Every row says how many events there were, so that from then on none can be lost without a word."""
    if rebuild:
        reader = Ledger.open(first)
        Ledger.rebuild(first, reader.happened(), [], reader.meta())
        reader.close()
    ledger = Ledger.resume(first)
    assert list(ledger.happened()) == [
        row._replace(ends=ends) for row, ends in zip(FULL.happened, (2, 2, 3, 4, 4), strict=True)
    ]
    ledger.commit(Transaction([event(6), event(7), report(0, 4, 4)]))
    assert [row.ends for row in ledger.happened()] == [2, 2, 3, 4, 4, 0, 6, 6]
    ledger.close()
    edited(first, "DELETE FROM events WHERE seq = 3")
    reader = Ledger.open(first)
    with pytest.raises(RunError, match="table events at seq 4:"):
        list(reader.happened())
    reader.close()


def test_a_damaged_ledger_of_format_1_stays_one(first):
    """If a row is none, nothing is upgraded, and the way out is told."""
    edited(first, "UPDATE reports SET segment = 'a' WHERE seq = 5")
    with pytest.raises(RunError, match=rf"cannot be brought to format {FORMAT}.* check --repair"):
        Ledger.resume(first)
    reader = Ledger.open(first)
    assert reader.meta()["format"] == "1"
    assert len(readable(reader)) == 4
    reader.close()


def test_killed_in_an_upgrade_a_ledger_is_as_it_was(first):
    """The upgrade is one transaction: cut off after its last statement, it never was."""
    code = """
        import os, sqlite3, sys
        from ramet.store import opening
        from ramet.store.ledger import Ledger
        def dying(told):
            if told.startswith("COMMIT"):
                os._exit(9)
        connection = opening.connection
        def traced(path):
            db = connection(path)
            db.set_trace_callback(dying)
            return db
        opening.connection = traced
        Ledger.resume(sys.argv[1])
    """
    assert subprocess.run([sys.executable, "-c", textwrap.dedent(code), str(first)]).returncode == 9
    reader = Ledger.open(first)
    assert reader.meta()["format"] == "1"
    assert happened(reader) == FULL.happened
    reader.close()
    Ledger.resume(first).close()


# ---------------------------------------------------------------------- resuming


def test_a_resumed_ledger_goes_on_where_it_ended(full):
    """Entries are numbered on, and durability is as asked for."""
    for number, (power_safe, level) in enumerate(((False, 1), (True, 2))):
        ledger = Ledger.resume(full, power_safe=power_safe)
        assert ledger._db.execute("PRAGMA synchronous").fetchone() == (level,)
        assert ledger.last == 5 + number
        ledger.commit(Transaction([event(number)]))
        ledger.close()
    reader = Ledger.open(full)
    assert happened(reader) == [*FULL.happened, event(0), event(1)]
    assert reader.last == 7
    reader.close()


def test_what_cannot_be_resumed_is_a_run_error(tmp_path):
    """Nothing, a newer format, no database: each is told, and nothing is created or changed."""
    with pytest.raises(RunError, match="holds no run"):
        Ledger.resume(tmp_path)
    (tmp_path / NAME).write_text("this is no database, but it is long enough to look like one")
    with pytest.raises(RunError, match="cannot be read as a run's ledger"):
        Ledger.resume(tmp_path)
    (tmp_path / NAME).unlink()
    _with_format(tmp_path, FORMAT + 1)
    before = (tmp_path / NAME).read_bytes()
    with pytest.raises(RunError, match=rf"format {FORMAT + 1}.* up to {FORMAT}: update Ramet"):
        Ledger.resume(tmp_path)
    assert (tmp_path / NAME).read_bytes() == before


NOBODY = 65534
AS_NOBODY = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


def as_nobody(work):
    """What ``work`` returns as text, or says in a RunError, when somebody without any right does it."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.seteuid(NOBODY)
            os.write(write, repr(work()).encode())
        except RunError as error:
            os.write(write, str(error).encode())
        except BaseException as error:
            os.write(write, f"another exception: {error!r}".encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    os.close(write)
    with os.fdopen(read) as pipe:
        return pipe.read()


@pytest.fixture
def public():
    """A folder that everybody may enter and read, which is not so of pytest's."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


@AS_NOBODY
def test_somebody_elses_run_is_not_resumed(public):
    """The message says whose it is and who we are, and what to do."""
    Ledger.create(public, {}).close()
    said = as_nobody(lambda: Ledger.resume(public))
    assert f"{public / NAME} belongs to root, and we are " in said
    assert "copy the run's folder" in said
    os.chmod(public / NAME, 0o666)
    assert f"{public} belongs to root, and we are " in as_nobody(lambda: Ledger.resume(public))


# ---------------------------------------------------------------------- readers without rights


def read_as_nobody(folder, temporary):
    """All that somebody without rights reads, and the temporary files that are left of it."""

    def reading():
        tempfile.tempdir = str(temporary)
        ledger = Ledger.open(folder)
        found = repr((whole(ledger), list(ledger.damages())))
        ledger.close()
        assert os.listdir(temporary) == []
        return found

    return as_nobody(reading)


@pytest.mark.parametrize("under_way", [False, True], ids=["ended", "under way"])
@pytest.mark.parametrize("shared", [False, True], ids=["no memory", "memory"])
@AS_NOBODY
def test_a_run_is_read_without_any_right_to_write(public, under_way, shared):
    """Of an ended run, and of one whose latest commits are beside it, everything is read, and nothing is left."""
    run, temporary = public / "run", public / "temporary"
    run.mkdir()
    temporary.mkdir()
    temporary.chmod(0o777)
    ledger = Ledger.create(run, {})
    ledger.commit(FULL)
    expected = repr(repr((whole(ledger), [])))
    if not under_way:
        ledger.close()
    elif not shared:  # as on a copy, or where a reader may not use it
        (run / f"{NAME}-shm").chmod(0o600)
    before = sorted(os.listdir(run))
    assert read_as_nobody(run, temporary) == expected
    assert sorted(os.listdir(run)) == before
    ledger.close()


@AS_NOBODY
def test_a_run_that_may_not_even_be_read_is_a_run_error(public):
    """Nothing is copied, and the error names the file."""
    Ledger.create(public, {}).close()
    (public / NAME).chmod(0o600)
    assert as_nobody(lambda: Ledger.open(public)).startswith(f"{public / NAME} cannot be read")


def test_a_journal_that_a_dead_writer_left_is_read_by_those_who_cannot_roll_back(tmp_path, monkeypatch):
    """Without a write-ahead log, what a killed writer did not finish is not seen, not even by a reader of a copy."""
    on_a_network(monkeypatch, tmp_path)
    run = tmp_path / "run"
    run.mkdir()
    ledger = Ledger.create(run, {})
    ledger.commit(FULL)
    ledger._db.execute("PRAGMA cache_size=2")
    ledger._db.execute("BEGIN IMMEDIATE")
    ledger._db.execute("UPDATE events SET data = hex(zeroblob(9000))")  # spills into the file
    shutil.copytree(run, tmp_path / "dead")
    ledger._db.execute("ROLLBACK")
    ledger.close()
    assert (tmp_path / "dead" / f"{NAME}-journal").stat().st_size > 0
    reader = Ledger.open(tmp_path / "dead")
    assert happened(reader) == FULL.happened
    reader.close()


# ---------------------------------------------------------------------- journals


MOUNTS = """\
/dev/vda / ext4 rw,relatime 0 0
proc /proc proc rw 0 0
server:/home /home nfs4 rw,vers=4.2 0 0
/dev/sdb /home/local xfs rw 0 0
me@host:/ /home/local/far\\040away fuse.sshfs rw 0 0
a line that is none
/dev/sdc /mnt/fuse fuseblk rw 0 0
ntfs-3g /mnt/ntfs fuse.ntfs-3g rw 0 0
//server/share /mnt/Share cifs rw 0 0
tmpfs /mnt/Share/over tmpfs rw 0 0
server:/x /mnt/hidden nfs rw 0 0
/dev/sdd /mnt/hidden ext4 rw 0 0
scratch /lustre lustre rw 0 0
fs0 /gpfs gpfs rw 0 0
bee /beegfs beegfs rw 0 0
nine /nine 9p rw 0 0
"""


@pytest.mark.parametrize(
    ("folder", "mode"),
    {
        "/": "WAL", "/srv/runs": "WAL", "/home": "TRUNCATE", "/home/ann/runs": "TRUNCATE", "/homework": "WAL",
        "/home/local/runs": "WAL", "/home/local/far away/runs": "TRUNCATE", "/home/local/far": "WAL",
        "/mnt/fuse/a": "WAL", "/mnt/ntfs/a": "WAL", "/mnt/Share": "TRUNCATE", "/mnt/share": "WAL",
        "/mnt/Share/over/a": "WAL", "/mnt/hidden/a": "WAL", "/lustre/a": "TRUNCATE", "/gpfs/a": "TRUNCATE",
        "/beegfs/a": "TRUNCATE", "/nine/a": "TRUNCATE",
    }.items(),
)  # fmt: skip
def test_the_journal_goes_by_the_file_system(tmp_path, folder, mode):
    """The longest mount point that holds the folder decides, of two the later; a network's bears no shared memory."""
    (tmp_path / "mounts").write_text(MOUNTS)
    assert journal_mode(folder, tmp_path / "mounts") == mode


def test_without_a_table_of_mounts_the_journal_is_a_write_ahead_log(tmp_path):
    """So it is where the system has no such table, or one that says nothing, and by the real one for this folder."""
    assert journal_mode(tmp_path, tmp_path / "none") == "WAL"
    (tmp_path / "mounts").write_bytes(b"\xff \xff\n\n/\n" + b"x / 9p".replace(b" ", b"\t"))
    assert journal_mode(tmp_path, tmp_path / "mounts") == "WAL"
    assert journal_mode(tmp_path) in ("WAL", "TRUNCATE")


def on_a_network(monkeypatch, folder):
    """From now on, ``folder`` is taken for a network's."""
    mounts = folder / "mounts"
    mounts.write_text(f"/dev/vda / ext4 rw 0 0\nserver:/x {folder} nfs4 rw 0 0\n")
    monkeypatch.setattr(opening, "journal_mode", lambda folder: journal_mode(folder, mounts))


def test_on_a_network_a_ledger_has_no_log_and_is_synced(tmp_path, monkeypatch):
    """Every commit is synced and in the one file; a run that moves to a network and back changes its journal."""
    folder = tmp_path / "run"
    folder.mkdir()
    with monkeypatch.context() as patch:
        on_a_network(patch, tmp_path)
        ledger = Ledger.create(folder, {})
        assert ledger.journal == "truncate"
        assert ledger._db.execute("PRAGMA synchronous").fetchone() == (2,)
        ledger.commit(GOOD)
        ledger.sync()
        reader = Ledger.open(folder)
        half = reader.happened()
        assert next(half) == GOOD.happened[0]
        ledger.commit(Transaction([event(3)]))  # nobody waits for a reader that has not finished
        assert bare(half) == GOOD.happened[1:]
        assert len(list(reader.happened())) == 4
        assert reader.journal == "truncate"
        reader.close()
        ledger.close()
        assert not (folder / f"{NAME}-wal").exists()
    ledger = Ledger.resume(folder)
    assert ledger.journal == "wal"
    ledger.commit(Transaction([event(4)]))
    ledger.close()
    on_a_network(monkeypatch, tmp_path)
    ledger = Ledger.resume(folder)
    assert ledger.journal == "truncate"
    assert happened(ledger) == [*GOOD.happened, event(3), event(4)]
    ledger.close()


def test_without_a_log_readers_and_the_writer_wait_for_each_other(tmp_path, monkeypatch):
    """Several processes that read all the time, and a writer, on one file: nobody fails or sees a half."""
    on_a_network(monkeypatch, tmp_path)
    ledger = Ledger.create(tmp_path, {})
    code = """
        import sys
        from ramet.store.ledger import Ledger
        while True:
            ledger = Ledger.open(sys.argv[1])
            number = len(list(ledger.happened()))
            assert number % 2 == 0, number
            ledger.close()
            if number == 100:
                break
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)]
    readers = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    for number in range(50):
        ledger.commit(Transaction([event(number), event(number)]))
    assert [reader.communicate(timeout=60)[1] for reader in readers] == [""] * 3
    ledger.close()


@pytest.mark.parametrize("resumed", [False, True])
def test_where_no_memory_can_be_shared_there_is_no_log(tmp_path, resumed):
    """If the file that SQLite shares cannot be, whatever the mounts say, the ledger gets along without."""
    if resumed:
        Ledger.create(tmp_path, {}).close()
    (tmp_path / f"{NAME}-shm").mkdir()
    ledger = Ledger.resume(tmp_path) if resumed else Ledger.create(tmp_path, {})
    assert ledger.journal == "truncate"
    ledger.commit(GOOD)
    reader = Ledger.open(tmp_path)
    assert happened(reader) == GOOD.happened
    reader.close()
    ledger.close()


def test_a_ledger_that_cannot_be_created_leaves_nothing(tmp_path):
    """What was begun is taken away, so that the next one can be created there."""
    (tmp_path / f"{NAME}-wal").mkdir()
    with pytest.raises(RunError, match="choose another storage_path="):
        Ledger.create(tmp_path, {})
    assert os.listdir(tmp_path) == [f"{NAME}-wal"]


def test_syncing_reaches_the_log_and_the_folder(tmp_path, ledger, monkeypatch):
    """What is synced is the log in which the commits are, and once the folder in which it has its name."""
    synced, real = [], os.fsync

    def fsync(descriptor):
        synced.append(os.path.realpath(f"/proc/self/fd/{descriptor}"))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    ledger.commit(GOOD)
    assert synced == []
    ledger.sync()
    ledger.sync()
    log = str(tmp_path / f"{NAME}-wal")
    assert synced == [log, str(tmp_path), log]


# ---------------------------------------------------------------------- what happens to the file


GONE = {
    "deleted": lambda folder: (folder / NAME).unlink(),
    "deleted with its folder": lambda folder: shutil.rmtree(folder),
    "moved": lambda folder: folder.rename(folder.with_name("moved")),
    "replaced": lambda folder: (shutil.copy(folder / NAME, folder / "x"), os.replace(folder / "x", folder / NAME)),
}


@pytest.mark.parametrize("how", GONE.values(), ids=GONE)
def test_a_ledger_that_vanished_is_told_at_the_next_commit(tmp_path, how):
    """Nothing is written to a file that has no name any more, or is not the one that lies there now."""
    folder = tmp_path / "run"
    folder.mkdir()
    ledger = Ledger.create(folder, {})
    ledger.commit(GOOD)
    how(folder)
    for _ in range(2):
        with pytest.raises(RunError, match=r"run.run\.db vanished or was replaced while its run was under way"):
            ledger.commit(Transaction([event(3)]))
    assert ledger.last == 3
    ledger.close()


def test_user_code_may_go_to_another_folder(tmp_path, monkeypatch):
    """A ledger that was created by a relative path is the same wherever the process is later."""
    monkeypatch.chdir(tmp_path)
    ledger = Ledger.create(".", {})
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    ledger.commit(GOOD)
    ledger.sync()
    ledger.close()


@pytest.mark.parametrize("network", [False, True], ids=["log", "no log"])
def test_on_a_full_disk_the_same_commit_succeeds_once_there_is_room(tmp_path, monkeypatch, network):
    """No room is a DiskFullError that names the file and the way out; nothing is half written; trying again works."""
    if network:
        on_a_network(monkeypatch, tmp_path)
    ledger = Ledger.create(tmp_path, {})
    ledger.commit(GOOD)
    before = whole(ledger)
    pages = ledger._db.execute("PRAGMA page_count").fetchone()[0]
    ledger._db.execute(f"PRAGMA max_page_count={pages + 1}")
    large = Transaction([event(3), report(0, 4, 5)], [small(0, 5, bytes(100_000))])
    for _ in range(2):
        with pytest.raises(DiskFullError, match=rf"{NAME} .*make room"):
            ledger.commit(large)
        assert whole(ledger) == before
        assert ledger.last == 3
    ledger._db.execute("PRAGMA max_page_count=100000")
    ledger.commit(large)
    assert happened(ledger) == [*GOOD.happened, *large.happened]
    assert list(ledger.damages()) == []
    ledger.close()


TINY = """
import os, sys
from pathlib import Path
from ramet.errors import DiskFullError
from ramet.store import opening
from ramet.store.ledger import *
folder = Path(sys.argv[1])
if sys.argv[2] == "TRUNCATE":
    opening.journal_mode = lambda folder: "TRUNCATE"
ledger = Ledger.create(folder, {})
ledger.commit(Transaction([EventRow("a", None, "{}")]))
filler, full, number, done = folder / "filler", 0, 0, 0
while full < 8:
    # Less and less room, so that it ends at another place each time.
    room = os.statvfs(folder)
    filler.write_bytes(bytes(max(0, room.f_bavail * room.f_bsize - 4096 * (full + 1))))
    while True:
        number += 1
        kept = CheckpointRow(0, number % 3, "a", 1, bytes(9000), None)
        what = Transaction([EventRow("a", number, "x" * 500)], [kept])
        try:
            ledger.commit(what)
            done += 1
        except DiskFullError as error:
            assert "make room" in str(error)
            break
    full += 1
    assert len(list(ledger.happened())) == done + 1 == ledger.last
    filler.unlink()
    ledger.commit(what)
    done += 1
    ledger.sync()
assert list(ledger.damages()) == []
ledger.close()
try:
    filler.write_bytes(bytes(20_000_000))
except OSError:
    pass
(folder / "other").mkdir()
try:
    Ledger.create(folder / "other", {})
    raise AssertionError("there was room")
except DiskFullError:
    assert os.listdir(folder / "other") == []
print("well", done)
"""


@pytest.mark.parametrize("journal", ["WAL", "TRUNCATE"])
def test_a_disk_that_fills_up_again_and_again_loses_nothing(tmp_path, journal):
    """On a real small file system, wherever in a commit the room ends, that commit is none and can be tried again."""
    (tmp_path / "disk").mkdir()
    mounting = 'mount -t tmpfs -o size=16m none "$1" || exit 77; shift; exec "$@"'
    command = ["unshare", "-rm", "sh", "-c", mounting, "sh", str(tmp_path / "disk")]
    if not shutil.which("unshare") or subprocess.run([*command, "true"], capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    found = subprocess.run(
        [*command, sys.executable, "-c", TINY, str(tmp_path / "disk"), journal],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    assert found.stdout.startswith("well")


def test_an_interrupt_at_any_line_leaves_a_commit_whole_or_absent(ledger):
    """Wherever in the commit Ctrl-C comes, its rows are all there or none is, and the number of the last one fits."""
    lines = 0

    def interrupt_at(number):
        seen = 0

        def trace(frame, what, _):
            nonlocal seen
            if frame.f_code is not Ledger.commit.__code__:
                return None
            if what == "line":
                seen += 1
                if seen == number:
                    raise KeyboardInterrupt
            return trace

        return trace

    expected, number, former = [], 0, sys.gettrace()
    while True:
        number += 1
        rows = [event(number), report(0, number, number)]
        sys.settrace(interrupt_at(number))
        try:
            ledger.commit(Transaction(rows, [small(0, number)], [(9, 9)], [(0, number - 1)]))
            interrupted = False
        except KeyboardInterrupt:
            interrupted = True
        finally:
            sys.settrace(former)
        if ledger.last > len(expected):
            expected += rows
        assert happened(ledger) == expected
        assert ledger.last == len(expected)
        if not interrupted:
            break
        lines += 1
    assert lines > 15
    assert list(ledger.damages()) == []


def test_killed_at_any_time_a_writer_loses_nothing_that_it_told(tmp_path):
    """What a killed process had said to be committed is there, and nothing is half there."""
    code = """
        import sys
        from ramet.store.ledger import *
        ledger = Ledger.resume(sys.argv[1])
        for number in range(10**6):
            rows = [EventRow("a", number, "{}"), ReportRow(0, number, number, "[]", "[]", 1.0)]
            ledger.commit(Transaction(rows, [CheckpointRow(0, ledger.last, "pickle", 5000, bytes(5000), None)]))
            print(ledger.last, flush=True)
    """
    Ledger.create(tmp_path, {}).close()
    told = 0
    for patience in (1, 7, 40):
        command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            for _ in range(patience):
                told = int(process.stdout.readline())
            process.send_signal(signal.SIGKILL)
            told = max([told, *map(int, process.stdout.read().split("\n")[:-1])])
        reader = Ledger.open(tmp_path)
        assert reader.last >= told
        assert reader.last % 2 == 0
        assert len(list(reader.happened())) == reader.last == 2 * len(list(reader.checkpoints()))
        assert list(reader.damages()) == []
        reader.close()


# ---------------------------------------------------------------------- repair


def test_a_sound_ledger_has_no_damages(full):
    """Nothing is told of one in which nothing is wrong."""
    reader = Ledger.open(full)
    assert list(reader.damages()) == []
    assert bare(readable(reader)) == happened(reader) == FULL.happened
    reader.close()


def test_every_damage_is_told_each_by_its_name(tmp_path, long):
    """Several rows that were changed, and a page that cannot be read, are all told, with what lies behind them."""
    content, (happened, _, _) = long
    (tmp_path / NAME).write_bytes(content)
    edited(
        tmp_path,
        "UPDATE events SET data = 'a' WHERE seq IN (1, 117)",
        "UPDATE reports SET last = 31 WHERE seq = 118",
        "UPDATE checkpoints SET size = 1 WHERE segment = 20 AND iteration = 30",
    )
    damaged = bytearray((tmp_path / NAME).read_bytes())
    at = damaged.index(happened[60].data.encode(), len(damaged) // 3)
    page = at // 4096 * 4096
    damaged[page : page + 8] = b"\xee" * 8
    (tmp_path / NAME).write_bytes(damaged)
    reader = Ledger.open(tmp_path)
    told = list(reader.damages())
    reader.close()
    for word in (
        "events seq 1 ",
        "events seq 117 ",
        "reports seq 118 ",
        "(segment 20, iteration 30)",
        "cannot be read",
    ):
        assert [sentence for sentence in told if word in sentence], (word, told)
    assert any(sentence.startswith("SQLite ") for sentence in told)
    assert len(told) < 200


def test_telling_damages_comes_to_an_end(tmp_path, long):
    """Wherever in the heads of pages a bit is wrong, keys that lead back included, the sentences are few."""
    content, _ = long
    for number, at in enumerate(range(0, len(content), 4096)):
        bit = number % 8
        damaged = bytearray(content)
        damaged[at + (3, 7, 8, 11, 15, 3 + bit, 11 + bit)[number % 7]] ^= 1 << bit
        (tmp_path / NAME).write_bytes(damaged)
        try:
            reader = Ledger.open(tmp_path)
        except RunError:
            continue
        assert sum(1 for _ in reader.damages()) < 1000
        reader.close()


def rebuilt(folder):
    """Rebuild a ledger from what can be had of it."""
    ledger = Ledger.open(folder)
    kept = [row for row in FULL.checkpoints if row[:2] != (0, 3)]
    aside = Ledger.rebuild(folder, readable(ledger), kept, ledger.meta())
    ledger.close()
    return aside


def test_a_ledger_is_rebuilt_from_what_is_whole(full):
    """The new one holds the rows that were given, numbered anew; the damaged one lies beside it; both can be opened."""
    edited(full, "UPDATE reports SET last = 9 WHERE seq = 5")
    for number, name in enumerate(("run.db.damaged", "run.db.damaged-2", "run.db.damaged-3")):
        assert rebuilt(full) == full / name
        ledger = Ledger.resume(full)
        assert happened(ledger) == FULL.happened[:4]
        assert ledger.last == 4
        assert [ledger.checkpoint(*name) for name in ((0, 3), (1, 2))] == [None, CHECKPOINTS[1, 2]]
        assert ledger.meta() == {"format": str(FORMAT), "ramet": "test"}
        assert list(ledger.damages()) == []
        ledger.close()
        old = sqlite3.connect(full / name)
        assert old.execute("SELECT count(*), max(seq) FROM reports").fetchone() == ((2, 5) if not number else (1, 2))
        old.close()


def test_a_ledger_of_format_1_is_rebuilt_as_one_of_this_format(first):
    """Repair brings it to this version's format."""
    rebuilt(first)
    reader = Ledger.open(first)
    assert happened(reader) == FULL.happened
    assert reader.meta() == {"format": str(FORMAT), "ramet": "0.1.0"}
    assert list(reader.damages()) == []
    reader.close()


def died(folder):
    """Make ``folder`` that of a run whose writer died: its latest commits are in the log alone."""
    ledger = Ledger.create(folder, {"ramet": "test"})
    ledger._db.execute("PRAGMA wal_autocheckpoint=0")
    ledger.commit(FULL)
    for ending in ("", "-wal"):
        shutil.copy(folder / f"{NAME}{ending}", folder / f"copy{ending}")
    ledger.close()
    for ending in ("", "-wal"):
        os.replace(folder / f"copy{ending}", folder / f"{NAME}{ending}")
    assert (folder / f"{NAME}-wal").stat().st_size > 0


def test_what_only_the_log_holds_is_kept_aside_and_never_comes_back(tmp_path):
    """The log of the damaged one goes with it: it is not taken for the new one's, and the old one has all its rows."""
    died(tmp_path)
    reader = Ledger.open(tmp_path)
    Ledger.rebuild(tmp_path, list(reader.happened())[:2], [], {})
    reader.close()
    reader = Ledger.open(tmp_path)
    assert happened(reader) == FULL.happened[:2]
    reader.close()
    old = sqlite3.connect(tmp_path / "run.db.damaged")
    assert old.execute("SELECT (SELECT count(*) FROM events) + (SELECT count(*) FROM reports)").fetchone() == (5,)
    old.close()


STEPS = ("open", "os.rename", "os.remove", "sqlite3.connect", "shutil.copyfile", "os.utime", "os.chmod")


def cut_off(folder, number):
    """Rebuild from the first three rows in a process that dies before its step ``number``; return how it ended."""
    child = os.fork()
    if child == 0:
        seen, code = 0, 1

        def dying(what, _):
            nonlocal seen
            if what in STEPS:
                seen += 1
                if seen == number:
                    os._exit(9)

        try:
            ledger = Ledger.open(folder)
            rows = list(ledger.happened())[:3]
            ledger.close()
            sys.addaudithook(dying)
            Ledger.rebuild(folder, rows, [], {"by": "repair"})
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_repair_that_is_cut_off_leaves_the_old_ledger_or_the_new_one(tmp_path):
    """Killed before any of its steps, all of the old one is there or all of the new one, and repair works then."""
    died(tmp_path)
    shutil.copytree(tmp_path, tmp_path / "origin")
    outcomes, number, code = [], 0, 9
    while code == 9:
        number += 1
        folder = tmp_path / str(number)
        shutil.copytree(tmp_path / "origin", folder)
        code = cut_off(folder, number)
        reader = Ledger.open(folder)
        found, meta = happened(reader), reader.meta()
        assert list(reader.damages()) == []
        reader.close()
        assert (found, "by" in meta) in ((FULL.happened, False), (FULL.happened[:3], True))
        outcomes.append("by" in meta)
        if number % 3 == 0:
            Ledger.rebuild(folder, found[:1], [], {})
            reader = Ledger.open(folder)
            assert happened(reader) == found[:1]
            reader.close()
        shutil.rmtree(folder)
    assert code == 0
    assert outcomes == sorted(outcomes)
    assert len(outcomes) > 10


def test_what_cannot_be_rebuilt_is_a_run_error_and_stays(tmp_path, full):
    """Without a ledger there is nothing to repair; rows that are none leave the old one as it was."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(RunError, match="holds no run"):
        Ledger.rebuild(tmp_path / "empty", [], [], {})
    with pytest.raises(RunError, match="cannot be repaired"):
        Ledger.rebuild(full, [EventRow("a", 2**70, "{}")], [], {})
    assert not [name for name in os.listdir(full) if name.startswith(f"{NAME}.")]
    reader = Ledger.open(full)
    assert happened(reader) == FULL.happened
    reader.close()


def test_even_what_is_no_database_is_put_aside(full):
    """A file whose first bytes are lost is replaced by what somebody has of it elsewhere."""
    content = bytearray((full / NAME).read_bytes())
    content[:100] = bytes(100)
    (full / NAME).write_bytes(content)
    with pytest.raises(RunError, match="check --repair"):
        Ledger.open(full)
    aside = Ledger.rebuild(full, FULL.happened, FULL.checkpoints, {})
    assert aside.read_bytes() == content
    reader = Ledger.open(full)
    assert happened(reader) == FULL.happened
    reader.close()
