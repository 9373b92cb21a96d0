"""Who waits for whom: runs in virtual time whose slow members and slots are known, and laws that hold of all."""

from __future__ import annotations

import functools
import math
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_costs_many import lines_run

import ramet
from ramet.analysis.glance import glance
from ramet.analysis.stragglers import Causes, blamed, median, table
from ramet.analysis.waits import Waits, waits
from ramet.core.events import Began, Ended, Kept, Noted, Resumed
from ramet.core.population import Population
from ramet.errors import ConfigError
from ramet.executor.simulated import SimulatedExecutor
from ramet.record import Record
from ramet.testing import story
from ramet.view.stragglers import sentence
from ramet.view.summary import summary
from ramet.view.wording import plain

INTERVAL = 4


class Paced(SimulatedExecutor):
    """Slots and members of given speeds, in reports a second; 1 where none is given."""

    def __init__(self, slots: int, speeds: dict[int, float], members: dict[int, float], failures: float = 0.0) -> None:
        super().__init__(slots, seconds=1.0, failures=failures)
        self.speeds, self.members = speeds, members

    def __reduce__(self) -> Any:
        return type(self), (self.slots, self.speeds, self.members, self.failures)

    def duration(self, slot: int) -> float:
        """Return the virtual seconds that a report takes in ``slot``."""
        return self.seconds / self.speeds.get(slot, 1.0)

    def _make(self, slot: int, assignment: Any) -> Any:
        work = super()._make(slot, assignment)
        work.duration /= self.members.get(assignment.member, 1.0)
        return work


def train(config):
    """Saves at every second step."""
    checkpoint = ramet.get_checkpoint()
    step, score = (0, 0.0) if checkpoint is None else checkpoint.to_dict()["state"]
    while True:
        step, score = step + 1, score + config["rate"]
        saved = None if step % 2 else ramet.Checkpoint.from_dict({"state": (step, score)})
        ramet.report({"score": score}, checkpoint=saved)


def run(folder, executor, *, members=6, synch=True, steps=40, verbose=0, **more):
    """Train, and return the results."""
    scheduler = ramet.PopulationBasedTraining(
        time_attr="training_iteration", perturbation_interval=INTERVAL, synch=synch,
        hyperparam_mutations={"rate": ramet.uniform(0.1, 1.0)},
    )  # fmt: skip
    return ramet.Tuner(
        train,
        param_space={"rate": ramet.uniform(0.1, 1.0)},
        tune_config=ramet.TuneConfig(metric="score", mode="max", num_samples=members, seed=2, scheduler=scheduler),
        run_config=ramet.RunConfig(
            name="run", storage_path=folder, stop={"training_iteration": steps}, executor=executor, verbose=verbose,
            failure_config=ramet.FailureConfig(max_failures=-1), **more,
        ),
    ).fit()  # fmt: skip


def happened(folder):
    """Return the events of a run."""
    record = Record.open(folder)
    try:
        return list(record.events())
    finally:
        record.close()


def notes(folder):
    """Return what a run's ledger tells of stragglers, by the kind of the note."""
    return {event.kind: event.text for event in happened(folder) if isinstance(event, Noted)}


# ---------------------------------------------------------------------- known stragglers

KNOWN = {
    "a slow slot": ({2: 0.4}, {}, 6, "slot", 2, "waited for slot 2, which is slow whoever trains there (0.4 reports"),
    "a slow member": ({}, {3: 0.4}, 6, "member", 3, "waited for member 3, which is slow where others are not (0.4 rep"),
    "a slow slot and many": ({1: 0.5}, {}, 11, "slot", 1, "slot 1, which is slow whoever trains there (0.5 reports"),
    "one of both": ({}, {3: 0.4}, 4, "either", 3, "member 3 on slot 3 (0.4 reports a second, the median 1), which nob"),
    "turns": ({}, {}, 5, "", -1, "for the last of 5 members that take turns on 4 slots, without any being slow"),
}


@pytest.mark.parametrize("name", KNOWN)
def test_a_known_straggler_is_named(tmp_path, name):
    """What is slow is blamed for every round, with its cause, in the table, the ledger and the summary alike."""
    slots, members, number, cause, which, told = KNOWN[name]
    grid = run(tmp_path, Paced(4, slots, members), members=number)
    found = waits(grid.run.trace)
    (worst,) = [each for each in blamed(found) if each.seconds > 0.5 * sum(cost for _, cost in found.costs.values())]
    assert (worst.cause, worst.number, worst.rounds) == (cause, which, 9)
    (text,) = notes(tmp_path / "run").values()
    assert re.match(r"9 of 9 rounds waited for .*: .* of the others' time, \d+ %", text)
    assert told in text
    for population in (grid.population, glance(tmp_path / "run")):
        lines = [plain(line) for line in summary(population, tmp_path / "run", 1.0)]
        assert f"  waits      {text}" in lines
    if cause in ("slot", "member"):
        frame = grid.stragglers(cause).set_index(cause)
        assert (frame.loc[which, "relative"] < 0.8, frame.loc[which, "cost"]) == (True, frame["cost"].max())


def test_what_a_straggler_costs_is_what_the_others_stood_still(tmp_path):
    """Three members wait at every barrier for as long as the fourth still trains: the sum is known by hand."""
    grid = run(tmp_path, Paced(4, {2: 0.4}, {}), members=4)
    rounds = grid.stragglers("round")
    assert rounds["waited"].tolist() == pytest.approx([3 * (INTERVAL / 0.4 - INTERVAL)] * 9)
    assert (rounds["ended"] - rounds["began"]).tolist() == pytest.approx([INTERVAL / 0.4] * 9)
    members = grid.stragglers().set_index("member")
    assert members.loc[2, ["rounds", "last", "cost", "waited", "slot"]].tolist() == pytest.approx([9, 9, 162, 0, 2])
    assert members.loc[0, ["last", "cost", "waited", "queued", "slot"]].tolist() == pytest.approx([0, 0, 54, 0, -1])


def test_who_has_no_slot_waits_for_none(tmp_path):
    """Where eight members take turns on four slots of one speed, nobody waits for a straggler, all do for a slot."""
    grid = run(tmp_path, Paced(4, {}, {}), members=8)
    rounds, members = grid.stragglers("round"), grid.stragglers()
    assert rounds["waited"].tolist() == [0.0] * 9
    assert members["queued"].tolist() == pytest.approx([9 * INTERVAL] * 8)
    assert members["last"].sum() == 0
    assert notes(tmp_path / "run") == {}


def test_a_slow_slot_is_named_where_nobody_waits(tmp_path):
    """An asynchronous run has no rounds; a slot that is slow whoever trains there is told all the same."""
    grid = run(tmp_path, Paced(4, {1: 0.5}, {}), members=16, synch=False)
    assert len(grid.stragglers("round")) == 0
    (text,) = notes(tmp_path / "run").values()
    assert text.startswith("slot 1 is slow whoever trains there (0.5 reports a second, the median 1): at the median's")
    assert grid.stragglers("slot").set_index("slot")["relative"].tolist() == pytest.approx([1.0, 0.5, 1.0, 1.0])
    members = grid.stragglers()
    assert members["cost"].sum() == 0
    assert members["queued"].min() > members["work"].max()


@pytest.mark.parametrize("synch", [True, False])
def test_nothing_is_said_where_all_are_alike(tmp_path, synch):
    """Where slots and members are of one speed and divide evenly, no note is written."""
    run(tmp_path, Paced(4, {}, {}), members=8, synch=synch)
    assert notes(tmp_path / "run") == {}


def test_it_is_said_once(tmp_path, capsys):
    """On the terminal the sentence stands in the summary, and is no line of its own before."""
    run(tmp_path, Paced(4, {2: 0.4}, {}), verbose=1)
    (text,) = notes(tmp_path / "run").values()
    assert capsys.readouterr().out.replace("\n             ", " ").count(text[:60]) == 1


def test_a_note_comes_before_the_end(tmp_path):
    """The last event of a run that has something to tell is its end, so that who follows it has heard everything."""
    run(tmp_path, Paced(4, {2: 0.4}, {}))
    assert [type(event) for event in happened(tmp_path / "run")[-2:]] == [Noted, Ended]


def test_a_run_that_ends_twice_tells_twice(tmp_path):
    """Each end tells of what came since the run was begun or taken up, in a note of its own; the story has none."""
    run(tmp_path / "slow", Paced(4, {2: 0.4}, {}), steps=20)
    ramet.Tuner.restore(tmp_path / "slow" / "run", train, stop={"training_iteration": 40}).fit()
    run(tmp_path / "even", Paced(4, {}, {}), steps=20)
    ramet.Tuner.restore(tmp_path / "even" / "run", train, stop={"training_iteration": 40}).fit()
    told = notes(tmp_path / "slow" / "run")
    assert list(told) == ["stragglers", "stragglers:2"]
    assert told["stragglers:2"].startswith("since the run was taken up again, ")
    lines = [plain(line) for line in summary(glance(tmp_path / "slow" / "run"), tmp_path, 1.0)]
    assert [line.split("  waits      ")[1] for line in lines if "  waits " in line] == list(told.values())
    assert story(tmp_path / "slow" / "run") == story(tmp_path / "even" / "run")


def test_a_table_that_there_is_none_by_is_refused(tmp_path):
    """By what there is no table is an error that names all there are."""
    grid = run(tmp_path, Paced(4, {}, {}), steps=4)
    with pytest.raises(ConfigError, match=r"stragglers\(by='node'\) must be one of \['member', 'slot', 'round'\]"):
        grid.stragglers("node")


# ---------------------------------------------------------------------- laws

MANY = {
    "alike": (4, 4, True, 0.0),
    "shared": (3, 8, True, 0.0),
    "failing": (3, 7, True, 0.1),
    "asynchronous": (3, 8, False, 0.0),
    "asynchronous and failing": (3, 7, False, 0.1),
}


@pytest.mark.parametrize("name", MANY)
def test_a_run_counts_what_is_read_from_its_ledger(tmp_path, name):
    """What was summed up while the run went on is what the whole ledger tells afterwards."""
    slots, members, synch, failures = MANY[name]
    grid = run(tmp_path, Paced(slots, {1: 0.6, 2: 1.7}, {3: 0.5}, failures), members=members, synch=synch)
    read = waits(grid.run.trace)
    population, summed = Population(), Waits(synch)
    for event in happened(tmp_path / "run"):
        population.apply(event)
        summed.take([event], population)
    summed.close()
    assert summed.count == read.count
    for mine, theirs in ((summed.pairs, read.pairs), (summed.costs, read.costs)):
        assert mine.keys() == theirs.keys()
        assert all(mine[pair] == pytest.approx(theirs[pair], abs=1e-6) for pair in mine)
    for mine, theirs in ((summed.waited, read.waited), (summed.queued, read.queued)):
        assert dict(mine) == pytest.approx(dict(theirs), abs=1e-6)
    assert list(notes(tmp_path / "run").values()) == [text for text in [sentence(summed)] if text]


@pytest.mark.parametrize("name", ["alike", "shared", "asynchronous"])
def test_a_members_time_is_work_or_waiting_or_without_a_slot(tmp_path, name):
    """Work, waiting and the time without a slot are all of a member's time: of its rounds, or until its last word."""
    slots, members, synch, _ = MANY[name]
    grid = run(tmp_path, Paced(slots, {1: 0.6, 2: 1.7}, {3: 0.5}), members=members, synch=synch)
    frame, stretches = grid.stragglers().set_index("member"), grid.run.slots()
    if synch:
        rounds = grid.stragglers("round")
        lengths = (rounds["ended"] - rounds["began"]) * rounds["members"]
        assert (rounds["work"] + rounds["waited"] + rounds["queued"]).tolist() == pytest.approx(lengths.tolist())
        assert rounds["waited"].sum() == pytest.approx(frame["cost"].sum()) == pytest.approx(frame["waited"].sum())
    else:
        ends = stretches.groupby("member")["end"].max()
        assert (frame["work"] + frame["waited"] + frame["queued"]).tolist() == pytest.approx(ends.tolist())


@st.composite
def rounds_of_turns(draw):
    """Rounds in which members take turns on slots, each with the seconds of its work; some finish in one."""
    slots = draw(st.integers(1, 4))
    members = draw(st.integers(1, 9))
    seconds = st.integers(1, 64).map(lambda eighths: eighths / 8)
    rounds = draw(st.lists(st.lists(seconds, min_size=members, max_size=members), min_size=1, max_size=4))
    return slots, rounds, draw(st.sets(st.integers(0, members - 1), max_size=members - 1))


@given(rounds_of_turns())
def test_waits_are_what_slots_stood_still(drawn):
    """The waits of a round are, slot by slot, from its last arrival to that of all; nothing is ever less than nothing.

    Some members come to their end in the last round: others may wait for them, but they for nobody.
    """
    slots, rounds, finishing = drawn
    found, now, expected = Waits(synch=True, whole=True), 0.0, []
    for number, work in enumerate(rounds):
        ends = finishing if number == len(rounds) - 1 else set()
        free, came = [now] * slots, []
        for member, seconds in enumerate(work):
            slot = free.index(min(free))
            free[slot] += seconds
            came.append((free[slot], member, slot, seconds))
        now = max(end for end, *_ in came)
        held = {slot: member for _, member, slot, _ in sorted(came)}
        expected.append(sum(now - free[slot] for slot, member in held.items() if member not in ends))
        for end, member, slot, seconds in sorted(came):
            found.arrived(member, slot, end, seconds, 0.0, 1)
        for member in range(len(work)):
            if member not in ends:
                found.decided(member)
    found.close()
    assert [each.waited for each in found.rounds] == expected
    for each in found.rounds:
        assert min(each.work, each.waited, each.queued) >= 0
        assert each.work + each.waited + each.queued == (each.ended - each.began) * each.members
    for by in ("member", "slot"):
        rows = table(found, by)
        assert sum(row["cost"] for row in rows) == sum(expected)
        assert sum(row["last"] for row in rows) == sum(wait > 0 for wait in expected)
        assert sum(row["work"] for row in rows) == sum(map(sum, rounds))
    assert sum(found.waited.values()) == sum(expected)


@given(st.lists(st.floats(0.01, 100.0), min_size=1, max_size=9))
def test_the_median_is_numpys(values):
    """Our median is what numpy calls so."""
    assert median(values) == pytest.approx(float(np.median(values)))


def test_the_median_of_nothing_is_none():
    """Where there are no values there is no number."""
    assert math.isnan(median([]))


FAST, SLOW = (10, 5.0), (10, 20.0)
CAUSES = {
    "slot": {(0, 0): FAST, (1, 0): FAST, (2, 0): FAST, (0, 1): SLOW, (1, 1): SLOW},
    "slot, for all that is known": {(0, 0): FAST, (1, 0): FAST, (0, 1): SLOW},
    "member": {(0, 1): SLOW, (0, 0): SLOW, (1, 0): FAST, (1, 1): FAST, (2, 0): FAST},
    "member, for all that is known": {(0, 1): SLOW, (1, 1): FAST, (2, 0): FAST},
    "both": {(0, 1): SLOW, (1, 1): SLOW, (0, 0): SLOW, (1, 0): FAST, (2, 0): FAST, (3, 0): FAST, (4, 0): FAST},
    "either": {(0, 1): SLOW, (1, 0): FAST, (2, 0): FAST},
    "": {(0, 1): FAST, (1, 1): SLOW, (2, 1): FAST},
    ", but for once": {(0, 1): SLOW, (0, 0): FAST, (1, 1): FAST, (1, 0): FAST},
}


@pytest.mark.parametrize("name", CAUSES)
def test_the_rule_that_tells_slots_from_members(name):
    """Member 0 on slot 1 is judged by how the others are there, and by how it is elsewhere."""
    assert Causes(CAUSES[name]).cause(0, 1) == name.partition(",")[0]


# ---------------------------------------------------------------------- what it costs


def test_the_end_of_a_long_run_costs_what_that_of_a_short_one_does():
    """The sentence is made of sums: a hundred times as many rounds, as many lines of code."""
    costs = []
    for rounds in (10, 1000):
        found = Waits(synch=True)
        for number in range(rounds):
            for member in range(8):
                work = 4.0 if member == 3 else 1.0
                found.arrived(member, (member + number) % 8, 4.0 * number + work, work, 0.0, 4)
            for member in range(8):
                found.decided(member)
        assert sentence(found).startswith(f"{rounds:,} of {rounds:,} rounds waited for member 3, which is slow where")
        costs.append(lines_run(functools.partial(sentence, found)))
        assert len(found.rounds) == 0
    assert costs[1] <= 1.1 * costs[0]


def test_a_checkpoint_costs_the_same_late_in_a_run():
    """What a run does for each of its checkpoints does not grow."""
    costs = []
    for checkpoints in (10, 1000):
        population, found = Population(), Waits(synch=False)
        population.apply(Began(0, 1, {}))
        population.apply(ramet.core.events.Opened(0, 0, None, 0, {}))
        for iteration in range(1, checkpoints + 1):
            population.apply(ramet.core.events.Reported(0, iteration, iteration, {}, b"", b"", 0.0))
            event = Kept(0, iteration, iteration, 0.0, 0.0, float(iteration), spent=(0, 0, 0, 0, iteration * 10**9))
            population.apply(event)
            cost = lines_run(functools.partial(found.take, [event], population))
        costs.append(cost)
        assert found.pairs == {(0, 0): [checkpoints, checkpoints]}
    assert costs[0] == costs[1]


# ---------------------------------------------------------------------- fairness


class Fair(SimulatedExecutor):
    """Looks after every handover how many reports behind the furthest those are that have no slot, and that have."""

    def open(self, setup: Any, trainable: Any, members: int) -> None:
        """Begin with nothing done."""
        super().open(setup, trainable, members)
        self.reports = dict.fromkeys(range(members), 0)
        self.at_work: dict[int, int] = {}
        self.behind = {"without a slot": 0, "at work": 0}

    def start(self, slot: int, assignment: Any) -> None:
        """Note who has a slot."""
        self.at_work[assignment.work] = assignment.member
        super().start(slot, assignment)

    def stop(self, work: int) -> None:
        """Note who has none."""
        self.at_work.pop(work, None)
        super().stop(work)

    def poll(self, timeout: float) -> Any:
        """Compare."""
        came = super().poll(timeout)
        for handover in came:
            member = self.at_work[handover.work]
            self.reports[member] += sum(block.last - block.first + 1 for block in handover.blocks)
            if handover.ended is not None:
                del self.at_work[handover.work], self.reports[member]
        for member, reports in self.reports.items():
            where = "at work" if member in self.at_work.values() else "without a slot"
            self.behind[where] = max(self.behind[where], max(self.reports.values()) - reports)
        return came


@pytest.mark.parametrize("synch", [True, False])
@pytest.mark.parametrize("seed", [0, 5, 7])
def test_sixty_four_members_on_four_slots_of_different_speeds_keep_together(tmp_path, synch, seed):
    """Whoever has no slot is never more than one lease behind anybody, as on one machine, though the slots' speeds are
    up to eightfold; and who has one is behind by no more than that and the lease that it is at work on.
    """
    executor = Fair(4, seconds=1.0, spread=0.7, seed=seed)
    run(tmp_path, executor, members=64, synch=synch, steps=24)
    durations = [executor.duration(slot) for slot in range(4)]
    assert max(durations) > 2 * min(durations)
    assert executor.behind["without a slot"] == INTERVAL
    assert INTERVAL <= executor.behind["at work"] <= (1 if synch else 2) * INTERVAL


def test_a_resumed_runs_barrier_waits_for_nobody_who_was_not_there(tmp_path):
    """Who had come before the run was broken off is not said to have waited while nothing ran."""
    found = Waits(synch=True, whole=True)
    found.arrived(0, 0, 4.0, 4.0, 0.0, 4)
    population = Population()
    population.apply(Began(0, 2, {}))
    found.take([Resumed(2, at=1000.0)], population)
    found.arrived(1, 0, 1004.0, 4.0, 0.0, 4)
    found.decided(0)
    found.decided(1)
    found.close()
    assert [(each.members, each.waited, each.queued, each.work) for each in found.rounds] == [(1, 0.0, 0.0, 4.0)]
