"""Checkpoints that one machine alone has: whatever is lost with it, a member goes back to what is in the store."""

from hypothesis import given
from hypothesis import strategies as st

from ramet.core.events import Began, Finished, Kept, Lost, Opened, Reported, Sent
from ramet.core.population import Population

MEMBERS = 3

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("train"), st.integers(0, MEMBERS - 1), st.booleans()),
        st.tuples(st.just("clone"), st.integers(0, MEMBERS - 1), st.integers(0, MEMBERS - 1)),
        st.tuples(st.just("send"), st.integers(0, 4), st.none()),
        st.tuples(st.just("finish"), st.integers(0, MEMBERS - 1), st.none()),
    ),
    max_size=60,
)


def begun(keep=1):
    population = Population()
    population.apply(Began(0, MEMBERS, {"num_to_keep": keep}))
    for number in range(MEMBERS):
        population.apply(Opened(number, number, None, 0, {}, {"why": "founder"}))
    return population


def trained(population, number, *, away):
    segment = population.current(number)
    at = segment.last + 1
    population.apply(Reported(segment.number, at, at, {}, b"", b"", 0.0))
    population.apply(Kept(segment.number, at, float(at), 0.0, float(at), 0.0, size=1, away=away))
    return segment.number, at


def played(steps, keep=1):
    """Let the steps happen as far as they can; yield the population, what was ever sent, and the queue after each."""
    population, queue, sent = begun(keep), [], set()
    for verb, who, what in steps:
        if verb == "train" and population.members[who].live:
            name = trained(population, who, away=what)
            (queue.append if what else sent.add)(name)
        elif verb == "clone" and population.members[who].live and population.members[what].point is not None:
            point = population.members[what].point
            population.apply(Opened(len(population.segments), who, *point.checkpoint, {}, {"why": "exploit"}))
        elif verb == "send":
            names, queue = queue[:who], queue[who:]
            sent.update(names)
            population.apply(Sent(tuple(number for name in names for number in name)))
        elif verb == "finish" and population.members[who].live:
            population.apply(Finished(population.members[who].segment, "done"))
        gone = population.garbage()
        queue = [name for name in queue if name not in gone]  # it need not be sent any more
        yield population, sent, queue


def line_of(population, member):
    """The checkpoints on the way to a member's model, the latest first."""
    segment = population.current(member.number)
    upto = None
    while True:
        for point in reversed(segment.points):
            if upto is None or point.iteration <= upto:
                yield point.checkpoint
        if segment.parent is None:
            return
        upto, segment = segment.start, population.segments[segment.parent]


@given(STEPS)
def test_what_was_sent_last_on_the_way_to_a_model_stays_while_the_rest_is_away(steps):
    """Once something on the way to a member's model is in the store, something is for good, whatever retention says."""
    safe = {}
    for population, sent, queue in played(steps):
        for member in population.live:
            there = [name for name in line_of(population, member) if name in sent and name in population.present]
            key = member.number, member.segment
            if there:
                safe[key] = True
            assert there or not safe.get(key), (member, queue)


@given(STEPS)
def test_what_is_lost_with_a_machine_leaves_a_point_to_go_back_to(steps):
    """When all that is away is lost at once, who had something in the store can go on from there."""
    told = list(played(steps))
    if not told:
        return
    population, _, queue = told[-1]
    had = {
        member.number
        for member in population.live
        if any(name in population.present and name not in population.away for name in line_of(population, member))
    }
    for name in sorted(set(queue)):
        if name in population.present:
            population.apply(Lost(*name, "its node was lost"))
    for member in population.live:
        if member.number in had and member.point is None:
            assert population.older(member.number) is not None


@given(STEPS)
def test_nothing_is_kept_for_ever_for_being_away(steps):
    """Once all is sent, what is kept is what would have been kept had nothing ever been away."""
    plain = [(verb, who, False if verb == "train" else what) for verb, who, what in steps]
    told, others = list(played(steps)), list(played(plain))
    if not told:
        return
    (population, _, queue), (reference, _, _) = told[-1], others[-1]
    population.apply(Sent(tuple(number for name in queue for number in name)))
    population.garbage()
    assert population.away.isdisjoint(population.present)
    assert set(population.present) == set(reference.present)
