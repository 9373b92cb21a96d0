"""Which checkpoints stay: laws over random runs under every rule, and what the disk holds in the end."""

import math
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pure import Pure, block
from test_population import STEPS, play

import ramet
from ramet.core.engine import Terms
from ramet.core.events import Lost, Noted, Opened
from ramet.core.population import Population, fold
from ramet.record import Record


def needed(population):
    """What members stand on, and what their segments start from."""
    names = {m.point.checkpoint for m in population.members if m.point is not None}
    names |= {m.decided.checkpoint for m in population.live if m.decided is not None}
    names |= {s.origin.checkpoint for s in map(population.current, range(len(population.members))) if s.origin}
    return names


def descent(population):
    """What the present models descend from."""
    lines = [population.lineage(member.segment) for member in population.members]
    return {segment.origin.checkpoint for line in lines for segment in line if segment.origin is not None}


@settings(max_examples=150, deadline=None)
@given(
    STEPS,
    st.booleans(),
    st.sampled_from([None, 1, 2]),
    st.sampled_from([None, 1, 5, 40]),
    st.booleans(),
    st.sets(st.integers(0, 40), max_size=5),
)
def test_laws_of_retention(steps, synch, keep, budget, lineage, pins):
    """What is needed, pinned, or asked for with the lineage, is there; a budget is kept but for that."""
    facts = {"num_to_keep": keep, "max_bytes": budget, "keep_lineage": lineage}
    run = Pure(6, synch=synch, facts=facts, terms=Terms("score", "max", max_failures=2))
    pinned = set()

    def report(member, score=math.nan, *, to=None, kept=True):
        segment = run.population.current(member)
        last = to if to is not None else segment.last + 1
        pin = kept and last in pins
        if pin:
            pinned.add((segment.number, last))
        run.hand(member, block(segment.last + 1, last, score, kept=kept)._replace(pinned=pin), waiting=kept)

    run.report = report

    def laws(run):
        population = run.population
        must = needed(population) | (pinned & set(population.present) | pinned & run.swept)
        if lineage:
            must |= descent(population)
        assert must <= population.present
        assert not must & run.swept
        assert population.retention.bytes == sum(s.size for s in population.retention.present.values())
        if budget is not None and population.retention.bytes > budget:
            spare = set(population.present) - must
            assert not spare, "over the budget nothing stays that nobody needs"
        if keep is None and budget is None:
            assert not run.swept

    play(run, steps, laws)
    again = fold(run.events)
    again.garbage()
    if budget is None:
        assert again.present == run.population.present


def test_a_pinned_checkpoint_stays():
    """What was pinned is kept whatever num_to_keep and max_bytes say."""
    run = Pure(1, interval=100, facts={"num_to_keep": 1, "max_bytes": 1})
    run.hand(0, block(1, 1, 0.0)._replace(pinned=True))
    for at in range(2, 9):
        run.hand(0, block(at, at, float(at)))
    assert run.population.present == {(0, 1), (0, 8)}


def test_a_budget_lets_the_worst_of_all_go_first():
    """Over the whole population the lowest rank goes first, NaN before everything, what is needed never."""
    run = Pure(2, synch=False, facts={"max_bytes": 4}, terms=Terms("score", "max", rank_attribute="score"))
    for at, (one, other) in enumerate([(5.0, 1.0), (math.nan, 9.0), (3.0, 2.0)], start=1):
        run.hand(0, block(at, at, one))
        run.hand(1, block(at, at, other))
    assert run.population.present == {(0, 1), (1, 2), (0, 3), (1, 3)}


def test_a_budget_that_is_too_small_is_said_once():
    """If what is needed is more than the budget, the run says so and goes on."""
    run = Pure(3, synch=False, facts={"max_bytes": 2})
    for at in (1, 2):
        for member in range(3):
            run.report(member, 1.0, to=at)
            run.events += run.engine.note_budget()
    notes = [event.text for event in run.events if isinstance(event, Noted)]
    assert len(notes) == 1
    assert "take 3 bytes" in notes[0]
    assert "max_bytes=2" in notes[0]


# ---------------------------------------------------------------------- what is lost


def test_a_lost_checkpoint_sends_its_member_back():
    """To the latest one on its way that is there; its decision clock stands, and its work counts as done."""
    run = Pure(2, synch=False, quantile_fraction=0.0)
    for at in (5, 10, 15):
        run.report(0, 9.0, to=at)
        run.report(1, 1.0, to=at)
    population = run.population
    segment, since = population.members[0].segment, population.members[0].since
    events = run.engine.lose((segment, 15), "flipped")
    assert [type(event) for event in events] == [Lost, Opened]
    assert (events[1].parent, events[1].iteration) == (segment, 10)
    assert population.members[0].since == since
    assert population.members[0].compute == 15


def test_one_without_any_checkpoint_left_is_a_founder_again():
    """With nothing on the way to its model, a member begins as its founder did."""
    run = Pure(1, synch=False, keep=1)
    hparams = run.population.hparams(0)
    run.report(0, 1.0, to=5)
    (lost, opened) = run.engine.lose((0, 5), "gone")
    assert isinstance(lost, Lost)
    assert (opened.parent, opened.iteration, opened.hparams) == (None, 0, hparams)
    assert run.population.members[0].metrics == {}
    run.hand(0, block(1, 5, 2.0))
    assert run.population.members[0].point.checkpoint == (1, 5)


@settings(max_examples=100, deadline=None)
@given(STEPS, st.booleans(), st.sampled_from([None, 1, 2]), st.data())
def test_whatever_is_lost_the_run_goes_on(steps, synch, keep, data):
    """Losing any checkpoints at any time leaves every live member something to do, and the fold agrees."""
    run = Pure(6, synch=synch, keep=keep, terms=Terms("score", "max", max_failures=2))

    ends = set()

    def lose(run):
        ends.add(len(run.events))
        names = sorted(run.population.present)
        if names and data.draw(st.integers(0, 3)) == 0:
            run.events += run.engine.lose(data.draw(st.sampled_from(names)), "gone")
            run.swept |= run.population.garbage()
            ends.add(len(run.events))
        for member in run.population.live:
            segment = run.population.current(member.number)
            fresh = segment.parent is None and not segment.points
            assert fresh == (member.point is None)
            assert member.point is None or member.point.checkpoint in run.population.present

    play(run, steps, lose)
    again = Population()
    for at, event in enumerate(run.events, start=1):
        again.apply(event)
        if at in ends:  # what was let go by then is nobody's way back
            again.garbage()
    assert again.present == run.population.present
    assert [m.segment for m in again.members] == [m.segment for m in run.population.members]


# ---------------------------------------------------------------------- real runs


def large(config):
    """Save 200 KB at every step."""
    checkpoint = ramet.get_checkpoint()
    i = int(checkpoint.to_dict()["i"]) if checkpoint else 0
    while True:
        i += 1
        state = {"i": i, "x": np.full(25_000, float(i))}
        pin = i == 3
        ramet.report({"score": config["lr"] * i}, checkpoint=ramet.Checkpoint.from_dict(state), pin=pin)


def fit(folder, stop=30, members=4, **kept):
    """Train; return the results."""
    scheduler = ramet.PopulationBasedTraining(
        time_attr="training_iteration",
        perturbation_interval=2,
        hyperparam_mutations={"lr": ramet.uniform(0.1, 1.0)},
        synch=True,
    )
    return ramet.Tuner(
        large,
        param_space={"lr": ramet.uniform(0.1, 1.0)},
        tune_config=ramet.TuneConfig(metric="score", mode="max", scheduler=scheduler, num_samples=members, seed=1),
        run_config=ramet.RunConfig(
            name="run", storage_path=folder, stop={"training_iteration": stop}, verbose=0, executor="inline",
            checkpoint_config=ramet.CheckpointConfig(**kept),
        ),
    ).fit()  # fmt: skip


@pytest.mark.parametrize(
    "kept", [{"num_to_keep": 1}, {"max_bytes": 2_000_000}, {"num_to_keep": 2, "keep_lineage": True}]
)
def test_the_disk_holds_what_the_rules_say(tmp_path, kept):
    """The directories are those that the ledger names, those that the fold keeps, and no more than was asked for."""
    results = fit(tmp_path, **kept)
    population = results.population
    lying = set(os.listdir(Path(results.experiment_path, "checkpoints")))
    record = Record.open(results.experiment_path)
    named = {row.path for row in record.ledger.checkpoints()}
    names = {(row.segment, row.iteration) for row in record.ledger.checkpoints()}
    record.close()
    assert lying == named
    assert names == set(population.present)
    assert {name for name in names if name[1] == 3}, "pinned"
    on_disk = sum(file.stat().st_size for file in Path(results.experiment_path, "checkpoints").rglob("*.pkl"))
    assert population.retention.bytes == on_disk
    if "keep_lineage" in kept:
        assert descent(population) <= names
    if "max_bytes" in kept:
        assert len(names) <= 4 * 3 + 10


def test_rules_can_be_changed_when_a_run_is_taken_up(tmp_path):
    """A smaller number to keep deletes what is too much then; a larger one keeps more from then on."""
    results = fit(tmp_path, stop=10)
    assert len(results.population.present) == len(os.listdir(Path(results.experiment_path, "checkpoints"))) > 20
    path = results.experiment_path
    fewer = ramet.Tuner.restore(
        path, large, stop={"training_iteration": 12}, checkpoint_config=ramet.CheckpointConfig(num_to_keep=1)
    ).fit()
    assert len(os.listdir(Path(path, "checkpoints"))) == len(fewer.population.present) <= 4 * 3 + 8
    more = ramet.Tuner.restore(
        path, large, stop={"training_iteration": 20}, checkpoint_config=ramet.CheckpointConfig(num_to_keep=5)
    ).fit()
    assert len(more.population.present) > len(fewer.population.present)
