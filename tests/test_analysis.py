"""What is read of a run in bulk is what the fold of its events says, entry by entry, at every moment."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from runs import RUNS, _train, pbt, run

import ramet
from ramet.analysis import frames
from ramet.analysis.descent import descent, founders, lived_on, replacements
from ramet.analysis.glance import glance
from ramet.analysis.trace import Trace
from ramet.errors import ConfigError, RunError
from ramet.record import Record
from ramet.results import ResultGrid
from ramet.view import standing
from ramet.view.summary import summary
from ramet.view.wording import plain

OLD = Path(__file__).parent / "data" / "runs"
FINISHED = sorted(path.name for path in OLD.iterdir() if (path / "run.db").exists())


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Returns the folder of a run by name; each is made once."""
    folders = {name: str(OLD / name) for name in FINISHED}

    def made(name):
        if name not in folders:
            folders[name] = RUNS[name](tmp_path_factory.mktemp("runs"))
        return folders[name]

    return made


def folded(folder):
    """Return what all events of a run lead to, one after the other."""
    record = Record.open(folder)
    try:
        return record.population()
    finally:
        record.close()


def same(left, right):
    """Return whether two values are equal, NaN being equal to itself."""
    if isinstance(left, float) and isinstance(right, float) and math.isnan(left):
        return math.isnan(right)
    return left == right


def check(trace, population):
    """Hold what was read in bulk against the fold."""
    assert trace.seed == population.seed
    assert trace.facts == population.facts
    assert trace.ended == population.ended
    assert [text for _, text in trace.noted] == list(population.noted.values())
    assert len(trace.segments) == len(population.segments)
    assert trace.ends.tolist() == [segment.last for segment in population.segments]
    assert trace.segments.hparams == [segment.hparams for segment in population.segments]
    assert trace.segments.parent.tolist() == [-1 if s.parent is None else s.parent for s in population.segments]
    told = [(place.segment, place.state, place.error, place.reason, place.failures) for place in trace.places]
    assert told == [(m.segment, m.state, m.error, m.reason, m.failures) for m in population.members]
    values = [(each.value, each.rank) for each in standing.standings(population, {})]
    for ours, theirs in zip(frames.standings(trace), values, strict=True):
        assert same(ours[0], theirs[0])
        assert ours[1] == theirs[1]
    donors = [standing.donor(population, segment) for segment in population.segments]
    assert trace.segments.donor.tolist() == [-1 if donor is None else donor for donor in donors]


EVERY = [*RUNS, *FINISHED]


@pytest.mark.parametrize("name", EVERY)
def test_what_is_read_in_bulk_is_what_the_fold_says(made, name):
    """Members, segments, standings and donors of a run are the same whether folded or read as columns."""
    trace = Trace(made(name))
    check(trace, folded(made(name)))
    trace.close()


@pytest.mark.parametrize("name", EVERY)
def test_the_table_of_members_is_that_of_the_fold(made, name):
    """Counts of reports, decisions and exploits of each member are those of the fold."""
    population = folded(made(name))
    table = ramet.open(made(name)).members()
    assert table["reports"].tolist() == [member.compute for member in population.members]
    assert table["decisions"].tolist() == [member.decisions for member in population.members]
    assert table["exploits"].tolist() == [member.exploits for member in population.members]
    assert table["state"].tolist() == [member.state for member in population.members]


@pytest.mark.parametrize("name", EVERY)
def test_the_table_of_reports_is_that_of_the_results(made, name):
    """Every report is there once, with the values that the results' own frames give."""
    table = ramet.open(made(name)).reports()
    grid = ResultGrid(made(name))
    own = [result.metrics_dataframe for result in grid]
    assert (table["member"] >= 0).sum() == sum(map(len, own))
    for member, frame in enumerate(own):
        ours = table[table["member"] == member].reset_index(drop=True)
        for column in frame.columns:
            if column in ("trial_id", "parent", "time_this_iter_s"):
                continue
            for left, right in zip(ours.get(column, []), frame[column], strict=True):
                close = isinstance(left, float) and isinstance(right, float) and abs(left - right) < 1e-3
                # A row that lacks a metric has nothing there, by whatever name.
                assert (pd.isna(left) and pd.isna(right)) or close or left == right, column


@pytest.mark.parametrize("name", EVERY)
def test_lineage_and_schedule_are_those_of_the_results(made, name):
    """The lineage and the schedule of every member, and who is best, are what its `Result` says."""
    run, grid = ramet.open(made(name)), ResultGrid(made(name))
    assert grid.run.path == run.path
    for result in grid:
        assert run.lineage(result.member) == result.lineage
        assert run.schedule(result.member) == result.schedule
    try:
        best = grid.get_best_result()
    except ConfigError:
        if name == "judged by work":  # which no report tells, so that a grid has no such metric; a summary has
            return
        with pytest.raises(ConfigError):
            run.best()
    else:
        assert run.best().value == best.metrics[grid._metric]
        assert run.best().hparams == best.config or run.best().member != best.member


@pytest.mark.parametrize("name", EVERY)
def test_decisions_and_checkpoints_add_up(made, name):
    """Each decision leads to the segment that it opened, and the checkpoints that are there are those kept."""
    run, population = ramet.open(made(name)), folded(made(name))
    table = run.decisions()
    counted = table.groupby(["verdict", "reason"]).size().to_dict() if len(table) else {}
    assert counted == population.verdicts
    opened = table[table["opened"] >= 0]
    asked = table["verdict"].isin(["exploit", "explore"])
    assert (table.loc[asked, "opened"] >= 0).all()
    assert opened["opened"].is_unique
    for row in opened.itertuples():
        segment = population.segments[row.opened]
        assert (segment.member, segment.parent if segment.parent is not None else -1) == (row.member, row.parent)
    held = run.checkpoints()
    there = held[held["there"]]
    assert set(zip(there["segment"], there["iteration"], strict=True)) == ResultGrid(made(name)).kept()


@pytest.mark.parametrize("name", EVERY)
def test_families_add_up(made, name):
    """At every moment each member that is there descends from one founder, and a founder once gone never returns."""
    trace = Trace(made(name))
    found = descent(trace)
    assert (found.shares.sum(axis=1) == found.members).all()
    assert (found.effective <= found.surviving + 1e-9).all()
    roots = founders(trace)
    assert (trace.segments.parent[np.unique(roots)] == -1).all()
    # Members that begin anew later are founders too.
    gone = np.zeros(len(found.founders), bool)
    seen = np.zeros(len(found.founders), bool)
    for row in found.shares > 0:
        assert not (gone & row).any()
        gone |= seen & ~row
        seen |= row
    assert replacements(trace).sum() == (trace.segments.donor >= 0).sum()


@pytest.mark.parametrize("name", EVERY)
def test_what_lived_on_is_the_union_of_all_lineages(made, name):
    """Up to where the weights of a segment lived on is the furthest that any member's lineage reaches in it."""
    trace = Trace(made(name))
    furthest = [-1] * len(trace.segments)
    for place in trace.places:
        for segment, end in trace.lineage(place.segment) if place.segment >= 0 else ():
            furthest[segment] = max(furthest[segment], end)
    assert lived_on(trace).tolist() == furthest


@pytest.mark.parametrize("name", EVERY)
def test_what_the_slots_did_adds_up(made, name):
    """Every interval is training, restoring, saving and waiting and no more, and no slot does two things at once."""
    run = ramet.open(made(name))
    table, lost = run.slots(), run.time_lost()
    parts = table[["training", "restoring", "saving", "waiting"]]
    # A float that tells seconds since 1970 is exact to a quarter of a microsecond.
    assert np.allclose(parts.sum(axis=1), table["end"] - table["begin"], atol=1e-6)
    assert (parts >= 0).all().all()
    if name in RUNS and name not in ("resumed", "checkpoints lost", "branched"):
        assert len(table) == len(run.checkpoints())
        for _, own in table.groupby("slot"):
            own = own.sort_values("begin")
            assert (own["begin"].to_numpy()[1:] >= own["end"].to_numpy()[:-1] - 1e-6).all()
    assert len(lost) == (table["slot"].nunique() + 1 if len(table) else 0)
    if len(table):
        assert np.allclose(lost.loc["all", parts.columns].astype(float), parts.sum())
        assert lost["use"].between(0, 1).all()


class _Looks(ramet.Callback):
    """Reads the run while it goes on, from outside, and holds it against the fold."""

    def __init__(self):
        self.run, self.looked, self.wrong = None, 0, []

    def on_run_start(self, path, population):
        self.path = path

    def on_checkpoint(self, member, segment, iteration, score):
        try:
            if self.run is None:
                self.run = ramet.open(self.path)
            self.run.refresh()
            check(self.run.trace, folded(self.path))
            self.looked += 1
        except BaseException as error:
            self.wrong.append(error)


@pytest.mark.parametrize("failures", [0.0, 0.15])
def test_a_run_can_be_watched_while_it_goes_on(tmp_path, failures):
    """Refreshed after every checkpoint, a run under way says what the fold says, failures and rewinds included."""
    looks = _Looks()
    path = run(
        _train, tmp_path, scheduler=pbt(), failures=failures, callbacks=[looks],
        failure_config=ramet.FailureConfig(max_failures=-1),
    )  # fmt: skip
    assert looks.wrong == []
    assert looks.looked > 10
    looks.run.refresh()
    check(looks.run.trace, folded(path))
    whole = ramet.open(path).reports()
    pd.testing.assert_frame_equal(looks.run.reports(), whole)
    assert not looks.run.refresh()


def test_a_run_in_the_same_process_is_under_way_until_it_ends(tmp_path):
    """Whoever looks from the run's own process sees that it is under way, and does not take its lock away."""
    states = []

    class Asks(ramet.Callback):
        def on_checkpoint(self, *told):
            states.append(ramet.open(self.path).state)

        def on_run_start(self, path, population):
            self.path = path

    path = run(_train, tmp_path, callbacks=[Asks()], stop=3, members=2)
    assert states[0] == "under way"
    assert ramet.open(path).state == "ended"


def test_another_run_in_the_same_place_is_read_anew(tmp_path):
    """A run that was replaced by another one while it was looked at is not mixed with it."""
    first = Path(run(_train, tmp_path / "a", members=3))
    second = Path(run(_train, tmp_path / "b", members=5, scheduler=pbt()))
    looked = ramet.open(first)
    assert len(looked.members()) == 3
    (second / "run.db").replace(first / "run.db")
    assert looked.refresh()
    assert len(looked.members()) == 5
    check(looked.trace, folded(first))


def test_who_asks_for_what_is_not_there_is_told(made):
    """An unknown member, metric or mode is refused, with what there is."""
    found = ramet.open(made("synchronous"))
    with pytest.raises(RunError, match="members 0 to 5"):
        found.lineage(6)
    with pytest.raises(RunError, match="members 0 to 5"):
        found.reports([True])
    with pytest.raises(ConfigError, match=r"reported were \['score', 'step'\]"):
        found.best("acc", "max")
    with pytest.raises(ConfigError, match="neither 'min' nor 'max'"):
        found.best(mode="best")
    with pytest.raises(ConfigError, match="nobody is best"):
        ramet.open(made("nothing judged")).best()
    assert found.best("step", "max").value == 12


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE events SET data = '[' WHERE kind = 'Kept'",
        "UPDATE events SET data = '{}' WHERE kind = 'Kept'",
        "UPDATE events SET data = '{}],[{}' WHERE kind = 'Decided'",
        "UPDATE events SET data = '{\"segment\": 7}' WHERE kind = 'Opened'",
        "UPDATE events SET data = replace(data, '\"parent\":null', '\"parent\":5') WHERE kind = 'Opened'",
        "UPDATE events SET data = replace(data, '\"member\":', '\"member\":1e9, \"x\":') WHERE kind = 'Opened'",
        "UPDATE events SET data = replace(data, '\"members\":6', '\"members\":600000000') WHERE kind = 'Began'",
        "UPDATE events SET data = '[]' WHERE kind = 'Finished'",
        "UPDATE events SET data = '{\"segment\": 99999}' WHERE kind = 'Finished'",
        'UPDATE events SET data = \'{"segment": 0, "iteration": "a"}\' WHERE kind = \'Kept\'',
        "UPDATE reports SET rows = x'00'",
        "UPDATE reports SET rows = substr(rows, 1, length(rows) - 1)",
        "UPDATE reports SET last = first - 1",
        "UPDATE reports SET last = 'x'",
        "UPDATE reports SET elapsed = x'0011'",
        "UPDATE reports SET segment = 12345",
        "DROP TABLE reports",
    ],
)
def test_damage_is_told_and_nothing_else(tmp_path, damage):
    """Whatever stands in the ledger, a reader answers or says that it is damaged, and never fails in another way."""
    import sqlite3

    path = run(_train, tmp_path, scheduler=pbt())
    db = sqlite3.connect(f"{path}/run.db")
    db.execute(damage)
    db.commit()
    db.close()
    found = None
    told = []
    for ask in ("members", "segments", "reports", "decisions", "checkpoints", "founders", "replacements", "lineage"):
        try:
            found = found or ramet.open(path)
            getattr(found, ask)()
        except (RunError, ConfigError) as error:
            told.append(str(error))
    assert told
    assert any("damaged" in each or "cannot be read" in each for each in told)


@pytest.mark.parametrize("name", EVERY)
def test_a_glance_tells_the_summary_of_the_fold(made, name):
    """The summary of a run that was only glanced at is, line by line, that of all its events folded."""
    folder = Path(made(name))
    whole = folded(folder)
    seen = glance(folder)
    told = [plain(line) for line in summary(seen, folder, 0.0)]
    for ours, theirs in zip(told, summary(whole, folder, 0.0), strict=True):
        # In format 1 the events did not tell the size of checkpoints, which the ledger knows.
        assert ours == plain(theirs) or ("format1" in name and ours.startswith(plain(theirs)))
    # What was made again after a failure took time, too; its reports are gone.
    assert seen.spent == pytest.approx(whole.spent, abs=0.5)


def test_a_star_import_leaves_the_builtin_open():
    """After ``from ramet import *`` files are opened as before, though ``ramet.open`` is there and listed."""
    names = {}
    exec("from ramet import *", names)
    assert names.get("open", open) is open
    assert "open" in dir(ramet)
    assert ramet.open(OLD / FINISHED[0]).name == FINISHED[0]
