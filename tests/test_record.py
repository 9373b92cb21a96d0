"""Events as rows of the ledger and back: nothing is lost, and nothing that might be harmful is ever loaded."""

import json
import math
import os
import pickle
import re
import shutil
import string
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ramet
from ramet import settings as run_settings
from ramet.aside import OBJECTS, Aside, Shown
from ramet.core.events import (
    KINDS,
    Began,
    Decided,
    Ended,
    Failed,
    Finished,
    Kept,
    Lost,
    Noted,
    Opened,
    Reported,
    Resumed,
    Saved,
    Sent,
)
from ramet.core.messages import StoredCheckpoint
from ramet.core.population import Population
from ramet.errors import CheckpointError, RunError
from ramet.record import Record
from ramet.store.ledger import NAME, EventRow, Transaction

SMALL = StoredCheckpoint("pickle", b"x", size=1)


def population():
    """A population of one member, which has opened its segment."""
    made = Population()
    made.apply(Began(0, 1, {}))
    made.apply(Opened(0, 0, None, 0, {}))
    return made


def rewritten(folder, events, aside=None):
    """Write ``events`` in a new run and return what another reader finds there."""
    record = Record.create(folder, {})
    stored = {(event.segment, event.iteration): SMALL for event in events if isinstance(event, Kept)}
    stored |= {name: SMALL for event in events if isinstance(event, Saved) for name in event.names}
    record.commit(events, stored)
    record.close()
    reader = Record.open(folder, aside)
    found = list(reader.events())
    reader.close()
    return found


# ---------------------------------------------------------------------- every event comes back

# Lone surrogates come back as they were; a pair of them is the character that it stands for, in JSON as elsewhere.
WORDS = st.one_of(st.text(), st.text(st.characters(categories=["Cs", "Lu", "So"]))).filter(
    lambda text: re.search("[\ud800-\udbff][\udc00-\udfff]", text) is None
)
NUMBERS = st.one_of(st.floats(), st.integers(), st.integers(-(10**400), 10**400))
COUNTS = st.integers(0, 2**62)
FEW = st.integers(0, 1)  # as many members as the entries may open
NAMES = st.text(string.ascii_letters + "/é ☃", min_size=1)
PLAIN = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, WORDS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=8,
)
WITH_TUPLES = st.recursive(
    PLAIN,
    lambda inner: st.one_of(
        st.tuples(inner, inner), st.lists(inner, max_size=2), st.dictionaries(NAMES, inner, max_size=2)
    ),
    max_leaves=8,
)
DICTS = st.dictionaries(NAMES, PLAIN, max_size=4)


@st.composite
def reports(draw):
    """Rows with their last one as metrics, as a worker makes them."""
    columns = draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))
    scalars = st.one_of(st.none(), st.booleans(), NUMBERS, WORDS)
    rows = draw(st.lists(st.tuples(*[scalars] * len(columns)).map(list), min_size=1, max_size=3))
    first = draw(st.integers(1, 1000))
    return Reported(
        draw(COUNTS), first, first + len(rows) - 1, dict(zip(columns, rows[-1], strict=True)),
        json.dumps({"columns": columns, "rows": rows}), json.dumps([0.5] * len(rows)), draw(st.floats(0, 1e12)),
    )  # fmt: skip


EVENTS = {
    "Began": st.builds(Began, COUNTS, FEW, DICTS),
    "Opened": st.builds(
        Opened,
        COUNTS,
        COUNTS,
        st.one_of(st.none(), COUNTS),
        COUNTS,
        st.dictionaries(NAMES, WITH_TUPLES, max_size=4),
        DICTS,
    ),
    "Reported": reports(),
    "Kept": st.builds(
        Kept,
        COUNTS,
        COUNTS,
        st.floats(),
        st.floats(),
        st.floats(),
        st.floats(),
        st.lists(PLAIN, max_size=3).map(tuple),
        COUNTS,
        st.booleans(),
        st.one_of(st.just(()), st.tuples(*[COUNTS] * 5)),
    ),
    "Saved": st.builds(Saved, st.lists(COUNTS, max_size=6).map(tuple)),
    "Sent": st.builds(Sent, st.lists(COUNTS, max_size=6).map(tuple)),
    "Decided": st.builds(Decided, COUNTS, COUNTS, COUNTS, WORDS, WORDS),
    "Failed": st.builds(Failed, COUNTS, WORDS, st.just(True)),
    "Finished": st.builds(Finished, COUNTS, WORDS),
    "Lost": st.builds(Lost, COUNTS, COUNTS, WORDS),
    "Resumed": st.builds(
        Resumed, FEW, st.lists(COUNTS, max_size=3).map(tuple), DICTS, st.booleans(), st.floats(0, 1e12)
    ),
    "Noted": st.builds(Noted, WORDS, WORDS),
    "Ended": st.builds(Ended, WORDS),
}


def test_every_kind_of_event_is_in_the_table():
    """No kind of event goes without its round trip."""
    assert set(EVENTS) == set(KINDS)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.one_of(*EVENTS.values()), max_size=6))
def test_events_come_back_as_they_were(tmp_path_factory, events):
    """What was committed is read again in its order: same kinds, same values, same types, NaN and huge integers too."""
    folder = tmp_path_factory.mktemp("run")
    assert list(map(repr, rewritten(folder, events))) == list(map(repr, events))
    shutil.rmtree(folder)


@pytest.mark.parametrize(
    "event",
    [
        Kept(0, 1, 1.0, 1.0, 1.0, 1.0, (None, (3, (0.5, 0.25)))),
        Kept(0, 1, 1.0, 1.0, 1.0, 1.0, spent=(2, 500, 250, 0, 10**18)),
        Opened(0, 0, None, 0, {}, {"changed": {"shape": [(1, 2), (2, 1)]}}),
        Began(0, 1, {"shape": (1, 2)}),
    ],
)
def test_tuples_come_back_in_every_field(tmp_path, event):
    """The state of a stop rule (a tuple in a tuple), what a strategy remembers, and facts keep their tuples."""
    assert rewritten(tmp_path, [event]) == [event]


def test_a_failure_that_is_retried_takes_back_the_rows_past_the_checkpoint(tmp_path):
    """Rows that will be made again are dropped in the very commit that tells of the failure."""
    told = population()
    record = Record.create(tmp_path, {})
    events = [
        Reported(0, 1, 2, {"a": 1}, '{"columns":["a"],"rows":[[1],[1]]}', "[1,2]", 0.0),
        Kept(0, 2, 2.0, 1.0, 1.0, 2.0),
        Reported(0, 3, 4, {"a": 1}, '{"columns":["a"],"rows":[[1],[1]]}', "[3,4]", 0.0),
        Failed(0, "boom", final=False),
    ]
    for event in events:
        told.apply(event)
    record.commit(events, {(0, 2): SMALL}, told.rewound())
    assert [type(event).__name__ for event in record.events()] == ["Reported", "Kept", "Failed"]
    record.close()


# ---------------------------------------------------------------------- objects


class Thing:
    """No plain data."""

    def __init__(self, name):
        self.name = name

    def __repr__(self):
        return f"Thing({self.name})"


OBJECTS_OF_A_SPACE = {
    "an object": Thing("a"),
    "a function": math.sqrt,
    "bytes": b"abc",
    "a set": frozenset({1}),
    "a dict with numbers for keys": {1: 2},
    "a dict with reserved keys": {"$tuple": [1]},
    "another dict with reserved keys": {"$object": 0},
    "a complex number": 1j,
    "an array": np.arange(3),
}


@pytest.mark.parametrize("value", OBJECTS_OF_A_SPACE.values(), ids=OBJECTS_OF_A_SPACE)
def test_an_object_is_shown_to_readers_and_is_itself_to_those_who_have_it(tmp_path, value):
    """A reader sees what an object looked like, wherever it stands; whoever has the objects gets that very one."""
    hparams = {"plain": (1, 2), "object": value, "deep": {"list": [value, (value,)]}}
    record = Record.create(tmp_path, {})
    record.commit([Opened(0, 0, None, 0, hparams)], {})
    (mine,) = record.events()
    assert mine.hparams["object"] is mine.hparams["deep"]["list"][0] is mine.hparams["deep"]["list"][1][0] is value
    record.close()

    reader = Record.open(tmp_path)
    (theirs,) = reader.events()
    reader.close()
    shown = theirs.hparams["object"]
    assert isinstance(shown, Shown)
    assert repr(shown) == f"<{value!r}>"
    assert theirs.hparams == {"plain": (1, 2), "object": shown, "deep": {"list": [shown, (shown,)]}}


def test_equal_objects_are_kept_apart_and_one_object_is_kept_once(tmp_path):
    """Objects are told apart by identity: what was one stays one, what was two stays two."""
    one, other = [Thing("a"), Thing("a")]
    record = Record.create(tmp_path, {})
    record.commit([Opened(0, 0, None, 0, {"a": one, "b": other, "c": one})], {})
    (event,) = record.events()
    assert (event.hparams["a"], event.hparams["b"], event.hparams["c"]) == (one, other, one)
    assert event.hparams["a"] is not event.hparams["b"]
    record.close()


def test_an_object_that_does_not_pickle_harms_no_run(tmp_path):
    """The run goes on and is read; that it cannot be taken up is said when somebody tries, with the reason."""
    record = Record.create(tmp_path, {})
    unpicklable = (number for number in range(3))
    record.commit([Opened(0, 0, None, 0, {"a": unpicklable, "b": b"kept"})], {})
    record.close()
    with pytest.raises(RunError, match=r"could not be pickled when the run began.*generator"):
        run_settings.aside(tmp_path)


@pytest.mark.parametrize(
    ("value", "python"), [(np.float64(0.1), 0.1), (np.int32(3), 3), (np.bool_(True), True), (np.str_("a"), "a")]
)
def test_scalars_of_numpy_become_pythons(tmp_path, value, python):
    """What numpy drew is kept as the Python value that it equals."""
    (event,) = rewritten(tmp_path, [Opened(0, 0, None, 0, {"a": value})])
    assert type(event.hparams["a"]) is type(python)
    assert event.hparams["a"] == python


class Unspeakable:
    """Raises when it is asked to show itself."""

    def __repr__(self):
        raise RuntimeError("no")


@pytest.mark.parametrize(
    "value",
    [np.datetime64("2020-01-01"), np.complex64(1), np.bytes_(b"a"), np.longdouble(1), Unspeakable()],
    ids=lambda v: type(v).__name__,
)
def test_any_value_can_be_written_down(tmp_path, value):
    """Whatever stands in a configuration, telling of it does not end the run."""
    (event,) = rewritten(tmp_path, [Opened(0, 0, None, 0, {"a": value})])
    assert isinstance(event.hparams["a"], Shown)


# ---------------------------------------------------------------------- nothing is unpickled by looking


class Bomb:
    """Loading its pickle leaves a file behind."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return (Path.touch, (self.trace,))

    def __deepcopy__(self, memo):
        return self


def counting(config):
    """Count, and save each time."""
    step = 0
    while step < 3:
        step += 1
        checkpoint = ramet.Checkpoint.from_dict({"bomb": config["bomb"], "step": step})
        ramet.report({"score": float(step)}, checkpoint=checkpoint)


def test_looking_at_a_run_never_unpickles(tmp_path):
    """Whoever opens, shows and compares a run of strangers runs none of their code; loading a checkpoint does."""
    exploded = tmp_path / "exploded"
    bomb = Bomb(exploded)
    results = ramet.Tuner(
        counting,
        param_space={"bomb": bomb, "lr": ramet.uniform(0, 1)},
        tune_config=ramet.TuneConfig(metric="score", mode="max", num_samples=2),
        run_config=ramet.RunConfig(storage_path=tmp_path, verbose=0, executor="inline"),
    ).fit()
    folder = Path(results.experiment_path)
    exploded.unlink(missing_ok=True)
    (folder / OBJECTS).write_bytes(pickle.dumps([pickle.dumps(bomb), bomb]))

    opened = ramet.ResultGrid(folder)
    for result in opened:
        repr((opened, result, result.config, result.metrics, result.schedule, result.lineage, result.best_checkpoints))
        assert len(result.metrics_dataframe) == len(result.lineage_dataframe) == 3
        assert "Bomb" in repr(result.config["bomb"])
        repr(result.checkpoint)
        assert result.checkpoint.to_directory(tmp_path / str(result.member))
    opened.get_best_result()
    opened.get_dataframe()
    assert not exploded.exists()

    opened[0].checkpoint.to_dict()
    assert exploded.exists(), "it was a bomb"


# ---------------------------------------------------------------------- checkpoints


def large(record, name, size=10):
    """A large checkpoint in the store of ``record``."""
    scratch = record.store.scratch()
    (scratch / "model.bin").write_bytes(bytes(size))
    final, size = record.store.commit(scratch, name)
    return StoredCheckpoint("directory", path=str(record.store.root / final), size=size)


def test_checkpoints_are_found_by_their_names(tmp_path):
    """Small ones come back as bytes, large ones as their directory; one that was not kept is a CheckpointError."""
    record = Record.create(tmp_path, {})
    directory = large(record, "a")
    kept = [Kept(0, 1, 1.0, 1.0, 1.0, 1.0), Kept(0, 2, 2.0, 1.0, 1.0, 1.0)]
    record.commit(kept, {(0, 1): SMALL, (0, 2): directory})
    assert record.checkpoint((0, 1)) == SMALL
    assert record.checkpoint((0, 2)) == directory._replace(fresh=True)
    with pytest.raises(CheckpointError, match="was not kept"):
        record.checkpoint((0, 3))
    record.close()


def test_a_run_can_be_moved(tmp_path):
    """A run names its large checkpoints within its folder, so a moved or copied one is whole."""
    (tmp_path / "here").mkdir()
    record = Record.create(tmp_path / "here", {})
    record.commit([Kept(0, 1, 1.0, 1.0, 1.0, 1.0)], {(0, 1): large(record, "a")})
    record.close()
    os.rename(tmp_path / "here", tmp_path / "there")
    reader = Record.open(tmp_path / "there")
    assert Path(reader.checkpoint((0, 1)).path, "model.bin").stat().st_size == 10
    assert Path(reader.checkpoint((0, 1)).path).is_relative_to(tmp_path / "there")
    reader.close()


def test_garbage_is_forgotten_and_then_deleted(tmp_path):
    """The row of a checkpoint that is not needed goes with the commit, its directory when it is tidied; others stay."""
    record = Record.create(tmp_path, {})
    first, second = large(record, "a"), large(record, "b")
    kept = [Kept(0, 1, 1.0, 1.0, 1.0, 1.0), Kept(0, 2, 2.0, 1.0, 1.0, 1.0)]
    record.commit(kept, {(0, 1): first, (0, 2): second})
    record.commit([Noted("a", "b")], {}, garbage=[(0, 1), (7, 7)])
    record.tidy()
    assert not Path(first.path).exists()
    assert Path(second.path).exists()
    with pytest.raises(CheckpointError):
        record.checkpoint((0, 1))
    record.close()


def test_no_directory_is_deleted_before_the_commit_that_forgets_it(tmp_path):
    """If the commit fails, every checkpoint that the ledger still names is there."""
    record = Record.create(tmp_path, {})
    directory = large(record, "a")
    record.commit([Kept(0, 1, 1.0, 1.0, 1.0, 1.0)], {(0, 1): directory})
    impossible = Finished(2**80, "beyond what SQLite counts to")
    with pytest.raises(RunError, match="cannot write"):
        record.commit([impossible], {}, garbage=[(0, 1)])
    assert Path(record.checkpoint((0, 1)).path, "model.bin").exists()
    record.close()


# ---------------------------------------------------------------------- entries that are no events


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("Exploded", "{}"),
        ("Ended", "{"),
        ("Ended", "[1, 2]"),
        ("Ended", "null"),
        ("Ended", "{}"),
        ("Ended", '{"reason": "", "by": 1}'),
        ("Kept", '{"segment": 0}'),
        ("Opened", '{"segment": 0, "member": 0, "parent": null, "iteration": 0}'),
        ("Opened", '{"hparams": {"a": {"$tuple": 3}}}'),
    ],
)
def test_an_entry_that_is_no_event_is_a_run_error(tmp_path, kind, data):
    """Unknown kinds and wrong fields are told with the file and the entry."""
    record = Record.create(tmp_path, {})
    record.ledger.commit(Transaction([EventRow(kind, 0, data)]))
    with pytest.raises(RunError) as caught:
        list(record.events())
    assert NAME in str(caught.value)
    assert kind in str(caught.value)
    record.close()


@settings(max_examples=100, deadline=None)
@given(WITH_TUPLES)
def test_plain_values_are_json_and_come_back(value):
    """What is plain data is JSON on disk and itself again, without any object being kept aside."""
    aside = Aside()
    written = json.loads(json.dumps(aside.plain(value)))
    assert repr(Aside().restored(written)) == repr(value)
