"""A ledger that a resume has cut: what is left, and what those see who had read more."""

from __future__ import annotations

import pytest

import ramet
from ramet.core.blocks import encoded, encoded_seconds
from ramet.core.events import Began, Ended, Kept, Noted, Opened, Reported, Resumed, Saved
from ramet.core.messages import StoredCheckpoint
from ramet.core.population import Population
from ramet.errors import RunError
from ramet.following import Follower
from ramet.fsck import check
from ramet.record import Record
from ramet.resume import went_back
from ramet.store.lock import LOCK


def reported(segment, iteration):
    """Return the five reports up to that iteration."""
    rows = encoded(["loss"], "d", [1.0] * 5, 5)
    return Reported(segment, iteration - 4, iteration, {"loss": 1.0}, rows, encoded_seconds([1.0] * 5), 1.0)


def kept(segment, iteration, *, held=True):
    """Return what tells of the report's checkpoint."""
    return Kept(segment, iteration, float(iteration), 1.0, 1.0, float(iteration), held=held, size=3)


SMALL = StoredCheckpoint("pickle", b"abc", None, 3)
FOUNDERS = [Began(7, 2, {}), Opened(0, 0, None, 0, {"lr": 0.1}), Opened(1, 1, None, 0, {"lr": 0.2})]


def boundary(iteration, *, held=True):
    """Return what both members make known at a decision point."""
    return [each for segment in (0, 1) for each in (reported(segment, iteration), kept(segment, iteration, held=held))]


def saved(iteration):
    """Return what tells that both members' checkpoints are durable."""
    return [Saved((0, iteration, 1, iteration))]


@pytest.fixture
def record(tmp_path):
    """A record to which transactions are written."""
    record = Record.create(tmp_path, {})
    yield record
    record.close()


def commit(record, population, events):
    """Write one transaction, as a run does."""
    for event in events:
        assert population.apply(event)
    stored = {name: SMALL for event in events if isinstance(event, Saved) for name in event.names}
    stored |= {(e.segment, e.iteration): SMALL for e in events if isinstance(e, Kept) and not e.held}
    record.commit(events, stored, garbage=population.garbage())


STORIES = {
    "nothing was durable": ([boundary(5), boundary(10)], 0),
    "one was": ([boundary(5), saved(5), boundary(10), boundary(15)], 2),
    "two were": ([boundary(5), saved(5), boundary(10), saved(10), boundary(15)], 4),
    "all is": ([boundary(5), saved(5), boundary(10), saved(10)], 4),
    "ordinary checkpoints": ([boundary(5, held=False), boundary(10, held=False)], 2),
    "it ended": ([boundary(5), saved(5), boundary(10), [Ended("killed")]], 2),
    "it was taken up": ([boundary(5), saved(5), [Resumed(2)], boundary(10)], 3),
}


@pytest.mark.parametrize("name", STORIES)
@pytest.mark.parametrize("keep", [None, 1])
def test_a_run_goes_back_to_where_all_was_durable(record, name, keep):
    """What is left is the history up to there, its checkpoints are all there, and it is whole."""
    transactions, left = STORIES[name]
    began = Began(7, 2, {"num_to_keep": keep})
    population = Population()
    commit(record, population, [began, *FOUNDERS[1:]])
    for events in transactions:
        commit(record, population, events)
    want = [began, *FOUNDERS[1:], *(event for events in transactions[:left] for event in events)]

    folded = went_back(record)

    assert [repr(event) for event in record.events()] == [repr(event) for event in want]
    assert not folded.ahead
    assert list(record.missing(folded.alive())) == []
    rows = {(row.segment, row.iteration) for row in record.ledger.checkpoints()}
    assert rows == set(folded.present) - folded.retention.held
    (record.folder / LOCK).touch()
    assert check(record.folder) == []
    commit(record, folded, [Resumed(2)])
    assert isinstance([*record.events()][-1], Resumed)


def test_who_has_read_what_was_cut_begins_anew(record):
    """A follower says that the ledger was cut; a reader of the whole run has what is there, not what was."""
    population = Population()
    for events in ([*FOUNDERS], boundary(5), saved(5), boundary(10), boundary(15)):
        commit(record, population, events)
    follower, run = Follower(record.folder), ramet.open(record.folder)
    follower.poll()
    assert len(run.reports()) == 30
    folded = went_back(record)
    for number in range(20):  # further than it had come before
        commit(record, folded, [Noted(f"note {number}", "so")])

    with pytest.raises(RunError, match="cut by a resume"):
        follower.poll()
    assert run.refresh()
    assert run.reports()["training_iteration"].tolist() == [*range(1, 6)] * 2
