"""Laws of the fold, of lineage and of retention, over random runs."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pure import Pure, block

from ramet.core.engine import Terms
from ramet.core.events import Began, Opened
from ramet.core.population import Population, fold

STEPS = st.lists(
    st.tuples(
        st.integers(0, 5),
        st.sampled_from(["report", "report", "report", "leap", "bare", "fail", "finish", "late"]),
        st.one_of(st.floats(-5, 5), st.just(math.nan)),
    ),
    max_size=60,
)


def play(run, steps, check):
    """Carry out random steps, checking after each."""
    for member, what, score in steps:
        state = run.population.members[member]
        if not state.live:
            continue
        last = run.population.current(member).last
        # A worker that waits at the barrier says nothing; only its death can be heard.
        waits = member in run.engine.ready
        if what == "fail":
            run.hand(member, error="boom")
        elif waits:
            continue
        elif what == "finish":
            run.hand(member, ended="done")
        elif what == "late":
            run.hand_of(max(0, state.segment - 1), block(last + 1, last + 1, 99.0))
        elif what == "bare":
            run.hand(member, block(last + 1, last + 2, score, kept=False))
        else:
            run.report(member, score, to=last + (17 if what == "leap" else 1))
        check(run)


def essence(population):
    """All that a population holds, comparable."""
    return repr(
        (
            population.members,
            [(s.number, s.member, s.parent, s.start, s.hparams, s.last, s.points) for s in population.segments],
            sorted(population.verdicts.items()),
            population.ended,
        )
    )


def laws(run):
    """What holds after every event of every run."""
    population = run.population
    needed = {m.point.checkpoint for m in population.members if m.point is not None}
    needed |= {m.decided.checkpoint for m in population.live if m.decided is not None}
    for member in population.members:
        segment = population.current(member.number)
        if segment.parent is not None:
            needed.add((segment.parent, segment.start))
        assert segment.member == member.number
        assert member.compute >= 0
        assert segment.last >= segment.start
    assert needed <= population.present, "what is needed is there"
    assert not (needed & run.swept), "what is needed was never deleted"
    assert population.alive() == population.present, "what is not needed is not kept"
    for segment in population.segments:
        if segment.parent is not None:
            assert segment.parent < segment.number, "a forest has no cycles"
            assert population.point((segment.parent, segment.start)), "a clone starts at a checkpoint that was made"


@settings(max_examples=150, deadline=None)
@given(STEPS, st.booleans(), st.sampled_from([1, 2, 3]), st.integers(0, 3))
def test_laws_hold_after_every_event(steps, synch, keep, retries):
    """Whatever happens in whatever order: nothing needed is deleted, nothing else is kept, lineages are whole."""
    run = Pure(6, synch=synch, keep=keep, terms=Terms("score", "max", max_failures=retries))
    play(run, steps, laws)


@settings(max_examples=150, deadline=None)
@given(STEPS, st.booleans())
def test_the_fold_of_the_events_is_the_population(steps, synch):
    """Replaying the log gives the very state that the run is in."""
    run = Pure(6, synch=synch, keep=2, terms=Terms("score", "max", max_failures=2))
    play(run, steps, lambda run: None)
    assert essence(fold(run.events)) == essence(run.population)


@settings(max_examples=100, deadline=None)
@given(STEPS, st.data())
def test_synchronous_decisions_do_not_depend_on_who_comes_first(steps, data):
    """The order in which members are heard changes no decision of a synchronous run."""
    scores = [[data.draw(st.floats(-5, 5)) for _ in range(4)] for _ in range(3)]

    def opened(orders):
        run = Pure(4)
        for generation, order in enumerate(orders):
            for member in order:
                run.report(member, scores[generation][member])
        return [event for event in run.events if isinstance(event, Opened)]

    orders = [data.draw(st.permutations(range(4))) for _ in range(3)]
    assert opened(orders) == opened([range(4)] * 3)


def test_lineage_and_schedule_follow_the_weights():
    """A clone's schedule is its donor's up to the checkpoint, then its own; unused stretches are passed over."""
    run = Pure(2, synch=False, quantile_fraction=0.5)
    run.report(1, 5.0, to=5)
    run.report(0, 1.0, to=5)
    run.report(0, 9.0, to=10)
    run.report(1, 5.0, to=10)
    population = run.population
    assert [segment.number for segment in population.lineage(population.members[1].segment)] == [1, 2, 3]
    assert [start for start, _ in population.schedule(population.members[1].segment)] == [0, 5, 10]


def test_num_to_keep_one_keeps_what_clones_start_from():
    """With a single checkpoint kept, a donor's that a clone still starts from is not deleted."""
    run = Pure(4, synch=False, keep=1)
    run.report(3, 9.0, to=5)
    run.report(0, 1.0, to=5)
    for iteration in range(10, 60, 5):
        run.report(3, 9.0 + iteration, to=iteration)
    assert (3, 5) in run.population.present
    assert (3, 10) in run.swept


def test_the_best_are_kept_by_the_attribute():
    """The best checkpoints by the attribute stay, whatever came after them; NaN is the first to go."""
    run = Pure(1, synch=False, keep=2, terms=Terms("score", "max", rank_attribute="score"))
    for iteration, score in enumerate([1.0, 9.0, math.nan, 3.0, 8.0, 2.0], start=1):
        run.hand(0, block(iteration, iteration, score))
    assert run.population.present == {(0, 2), (0, 5), (0, 6)}


def test_an_unknown_event_is_refused():
    """The funnel takes what can happen, nothing else."""
    population = Population()
    population.apply(Began(0, 1, {}))
    with pytest.raises(TypeError, match="not an event"):
        population.apply("news")
