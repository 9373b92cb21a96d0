"""The pure core: what messages mean, when decisions are taken, what runs next."""

import math

import pytest
from pure import Pure, block, kinds, planned

import ramet
from ramet.core.engine import Terms
from ramet.core.events import Decided, Failed, Finished, Noted, Opened
from ramet.core.roster import Proceed, Running, Start, Stop
from ramet.errors import StrategyError
from ramet.schedulers import Decision


def test_a_report_with_a_checkpoint_becomes_two_events():
    """Rows and the checkpoint that the last one carries are told of in this order."""
    run = Pure(2)
    assert kinds(run.report(0, 1.0)) == ["Reported", "Kept"]


def test_synchronous_decisions_wait_for_everyone():
    """Nothing is decided before the last live member has handed over its checkpoint."""
    run = Pure(4)
    for member in range(3):
        assert "Decided" not in kinds(run.report(member, float(member)))
    assert kinds(run.report(3, 3.0)).count("Decided") == 4


def test_asynchronous_decisions_wait_for_nobody():
    """Each member decides as it comes, against those that have decided before it."""
    run = Pure(4, synch=False)
    assert kinds(run.report(3, 3.0)) == ["Reported", "Kept", "Decided"]
    events = run.report(0, 0.0)
    opened = next(event for event in events if isinstance(event, Opened))
    assert (opened.member, opened.parent, opened.iteration) == (0, 3, 5)


@pytest.mark.parametrize("ending", ["finished", "failed"])
def test_a_member_that_leaves_frees_the_barrier(ending):
    """The barrier is examined after every event, so one that finishes or fails for good blocks nobody."""
    run = Pure(4)
    for member in range(3):
        run.report(member, float(member))
    how = {"ended": "done"} if ending == "finished" else {"error": "boom"}
    events = run.hand(3, **how)
    assert kinds(events).count("Decided") == 3
    assert all(event.member != 3 for event in events if isinstance(event, Decided))


def test_a_failure_that_is_retried_keeps_the_barrier_closed():
    """A member that starts again is still waited for."""
    run = Pure(2, terms=Terms("score", "max", max_failures=1))
    run.report(0, 1.0)
    assert kinds(run.hand(1, error="boom")) == ["Failed"]
    assert kinds(run.report(1, 0.0)).count("Decided") == 2


def test_leaps_larger_than_the_interval_never_block():
    """Reports may overtake any number of decision points; each member decides once and the run goes on."""
    run = Pure(3)
    for generation in range(1, 6):
        for member in range(3):
            run.report(member, float(member), to=generation * 37 + member)
        assert run.population.members[0].decisions == generation


def test_a_checkpoint_that_does_not_coincide_with_the_interval_decides():
    """With checkpoints every 3 and an interval of 5, decisions fall at 6, 12 (the first at or past 11), 18 …"""
    run = Pure(2, synch=False)
    for iteration in range(3, 31, 3):
        for member in range(2):
            if run.population.current(member).last < iteration:
                run.report(member, float(member), to=iteration)
    points = [event.iteration for event in run.events if isinstance(event, Decided) and event.member == 1]
    assert points == [6, 12, 18, 24, 30]
    assert run.population.exploits > 0


def test_reports_without_checkpoint_never_decide():
    """The decision waits for the first report with a checkpoint."""
    run = Pure(2)
    for member in range(2):
        assert kinds(run.report(member, 1.0, to=9, kept=False)) == ["Reported"]
    run.report(0, 1.0, to=10)
    assert "Decided" in kinds(run.report(1, 2.0, to=10))


def test_burn_in():
    """No decision is taken before the burn-in is over, even if intervals pass."""
    run = Pure(2, synch=False, burn_in_period=12)
    run.report(0, 1.0, to=5)
    run.report(0, 1.0, to=10)
    assert run.population.members[0].decisions == 0
    run.report(0, 1.0, to=15)
    assert run.population.members[0].decisions == 1


@pytest.mark.parametrize("score", [math.nan, math.inf])
def test_a_diverged_member_is_replaced(score):
    """NaN, and an infinity of the good sign, rank last and clone at once."""
    run = Pure(4)
    for member, value in enumerate([score, 1.0, 2.0, 3.0]):
        run.report(member, value)
    opened = [event for event in run.events if isinstance(event, Opened) and event.parent is not None]
    assert [(event.member, event.parent) for event in opened] == [(0, 3)]


def test_every_diverged_member_is_replaced_at_once():
    """However many members are NaN, all of them clone, though the quantile is smaller."""
    run = Pure(8)
    for member, value in enumerate([math.nan] * 5 + [1.0, 2.0, 3.0]):
        run.report(member, value)
    opened = [event for event in run.events if isinstance(event, Opened) and event.parent is not None]
    assert [event.member for event in opened] == [0, 1, 2, 3, 4]
    assert {event.parent for event in opened} <= {6, 7}


def test_minimising_signs_once():
    """With mode="min" the smallest score donates, and an infinite loss is worst, not NaN."""
    run = Pure(4, terms=Terms("score", "min"))
    for member, value in enumerate([math.inf, 1.0, 2.0, 3.0]):
        run.report(member, value)
    assert [(e.member, e.parent) for e in run.events if isinstance(e, Opened) and e.parent is not None] == [(0, 1)]


def test_a_clone_stands_where_its_donor_stood():
    """Score, time and interval of a clone are its donor's until it has a checkpoint of its own."""
    run = Pure(4, synch=False, interval=5)
    run.report(3, 9.0, to=7)
    run.report(0, 0.0, to=5)
    clone = run.population.members[0]
    assert (clone.point.score, clone.since, run.population.current(0).last) == (9.0, 7.0, 7)
    assert run.strategy.due(clone) == 12.0


def test_compute_only_grows():
    """A member's own count of reports is not rewound by becoming a clone of one that has trained less."""
    run = Pure(4, synch=False)
    run.report(3, 9.0, to=5)
    run.report(0, 0.0, to=20)
    member = run.population.members[0]
    assert (run.population.current(0).last, member.compute) == (5, 20)


def test_a_late_message_does_nothing():
    """What work on a segment that is over hands over is about something else."""
    run = Pure(4, synch=False)
    run.report(3, 9.0)
    run.report(0, 0.0)
    assert run.population.current(0).number == 4
    assert run.hand_of(0, block(6, 6, 99.0), error="late") == []


def test_a_repeated_message_does_nothing():
    """Rows that are in the log already are not taken again, nor is what came with them."""
    run = Pure(2)
    run.hand(0, block(1, 3, 1.0))
    assert run.hand(0, block(1, 3, 5.0)) == []
    assert run.population.members[0].compute == 3


def test_rows_past_the_checkpoint_are_dropped_at_a_retry():
    """A member that starts again counts from its checkpoint on."""
    run = Pure(2, terms=Terms("score", "max", max_failures=-1))
    run.hand(0, block(1, 3, 1.0), block(4, 4, 1.0, kept=False))
    run.hand(0, error="boom")
    assert (run.population.current(0).last, run.population.members[0].compute) == (3, 3)
    assert kinds(run.hand(0, block(4, 5, 1.0))) == ["Reported", "Kept"]


@pytest.mark.parametrize(
    ("metrics", "words"),
    [
        ({"acc": 0.5, "loss": 1.0}, ["metric='score'", "['acc', 'loss']", "member 0", "report it"]),
        ({"score": "high"}, ["metric='score'", "'high'", "a str", "report a number"]),
        ({"score": None}, ["None", "NoneType"]),
        ({"score": [1.0]}, ["a list"]),
    ],
)
def test_a_bad_score_fails_that_member_alone(metrics, words):
    """A checkpoint whose report lacks a usable score ends its member, with both parties and the way out named."""
    run = Pure(2, terms=Terms("score", "max", max_failures=5))
    events = run.hand(0, block(1, 5, metrics=metrics))
    failed = next(event for event in events if isinstance(event, Failed))
    assert failed.final
    for word in words:
        assert word in failed.error
    assert run.population.members[1].live


def test_a_member_that_never_reports_the_metric_fails():
    """Finishing without ever having reported the metric is a failure that names what was reported."""
    run = Pure(1, strategy=ramet.FIFO())
    run.hand(0, block(1, 3, kept=False, metrics={"loss": 1.0}))
    events = run.hand(0, ended="the function returned")
    assert "['loss']" in next(event for event in events if isinstance(event, Failed)).error


def test_fail_fast_ends_the_run():
    """With fail_fast the first failure ends everything."""
    run = Pure(3, terms=Terms("score", "max", fail_fast=True))
    assert kinds(run.hand(1, error="boom")) == ["Failed", "Ended"]
    assert planned(run, [Running(1, 0, 0, 0)], []) == [Stop(1)]


def test_a_stop_metric_that_is_not_reported_is_said_once():
    """A stop rule on a name that no report has is told of, once."""
    run = Pure(2, stop={"acuracy": 0.9})
    notes = [event for event in run.hand(0, block(1, 5, 1.0)) if isinstance(event, Noted)]
    assert "acuracy" in notes[0].text
    assert "['score']" in notes[0].text
    assert not [event for event in run.hand(1, block(1, 5, 1.0)) if isinstance(event, Noted)]


def test_overdue_is_loud():
    """Two intervals without any checkpoint are said, with what to do."""
    run = Pure(2)
    events = run.hand(0, block(1, 10, 1.0, kept=False), overdue=True)
    note = next(event for event in events if isinstance(event, Noted))
    for word in ("member 0", "without a checkpoint", "checkpoint=", "should_checkpoint()"):
        assert word in note.text


def test_private_keys_stay():
    """A clone takes over everything of its donor's configuration but the private keys."""
    scheduler = ramet.PopulationBasedTraining(
        time_attr="training_iteration",
        perturbation_interval=5,
        hyperparam_mutations={"lr": ramet.uniform(0.0, 1.0)},
        private=("seed", "data/fold"),
    )
    run = Pure(2, strategy=scheduler, quantile_fraction=0.5)
    for member in range(2):
        hparams = {"lr": 0.5, "width": 10 * member, "seed": member, "data": {"fold": member, "name": f"d{member}"}}
        run.population.segments[member].hparams = hparams
    run.report(1, 2.0)
    run.report(0, 1.0)
    clone = run.population.hparams(0)
    assert (clone["width"], clone["seed"], clone["data"]) == (10, 0, {"fold": 0, "name": "d1"})


# ---------------------------------------------------------------------- plan


def test_plan_starts_the_furthest_behind():
    """Free slots go to those that have come least far, the lowest number first."""
    run = Pure(4, synch=False)
    run.report(0, 1.0)
    run.report(2, 1.0)
    assert planned(run, [], [0, 1]) == [Start(1, 1, 0), Start(2, 3, 1)]


def test_plan_leaves_who_waits_at_the_barrier_alone():
    """A member at the barrier keeps its slot while nobody else wants it, and is not answered."""
    run = Pure(2)
    run.report(0, 1.0)
    running = [Running(1, 0, 0, 0, waiting=True), Running(2, 1, 1, 1)]
    assert planned(run, running, []) == []


def test_plan_gives_the_slot_of_one_at_the_barrier_to_one_that_wants_it():
    """With fewer slots than members, waiting at the barrier is no work."""
    run = Pure(2)
    run.report(0, 1.0)
    assert planned(run, [Running(1, 0, 0, 0, waiting=True)], []) == [Stop(1), Start(2, 1, 0)]


def test_plan_lets_those_behind_go_first():
    """A member that has had its decision yields to one that is further behind, but only at its checkpoint."""
    run = Pure(2, synch=False)
    run.report(0, 1.0)
    assert planned(run, [Running(1, 0, 0, 0, waiting=True)], []) == [Stop(1), Start(2, 1, 0)]
    run.hand(0, block(6, 6, 1.0, kept=False))
    (command,) = planned(run, [Running(1, 0, 0, 0, waiting=True)], [])
    assert isinstance(command, Proceed)


def test_plan_swaps_a_member_that_became_a_clone():
    """Work on a segment that was left is stopped, and the new segment starts in its slot."""
    run = Pure(2, synch=False, quantile_fraction=0.5)
    run.report(1, 2.0)
    run.report(0, 1.0)
    running = [Running(1, 0, 0, 0, waiting=True), Running(2, 1, 1, 1, waiting=True)]
    plan = planned(run, running, [])
    assert plan[0] == Stop(1)
    assert any(isinstance(command, Start) and (command.member, command.slot) == (0, 0) for command in plan)
    assert any(isinstance(command, Proceed) and command.work == 2 for command in plan)


def test_plan_of_a_dead_run_is_the_ordinary_plan():
    """Taking a run up again is planning with nothing running."""
    run = Pure(3, synch=False)
    run.report(0, 1.0)
    run.hand(1, ended="done")
    assert planned(run, [], [0, 1, 2]) == [Start(1, 2, 0), Start(2, 0, 1)]


def test_finishing_is_told_once():
    """A member that is done is done."""
    run = Pure(2)
    assert [type(e) for e in run.hand(0, ended="done")] == [Finished]
    assert run.hand(0, ended="done") == []


# ---------------------------------------------------------------------- strategies that misbehave


def test_a_strategy_that_forgets_a_member_is_named():
    """Exactly one decision for each ready member is owed."""

    class Forgetful(ramet.PopulationBasedTraining):
        def decide(self, scene):
            return super().decide(scene)[1:]

    scheduler = Forgetful(
        time_attr="training_iteration", perturbation_interval=5, hyperparam_mutations={"lr": ramet.uniform(0, 1)}
    )
    run = Pure(1, strategy=scheduler)
    with pytest.raises(StrategyError, match="Forgetful"):
        run.report(0, 1.0)


def test_a_score_beyond_all_floats_is_infinite():
    """An integer that no float can hold is an infinity: worst if it is of the good sign, and never an error."""
    run = Pure(4)
    for member, value in enumerate([10**400, 1.0, 2.0, 3.0]):
        run.report(member, value)
    assert [(e.member, e.parent) for e in run.events if isinstance(e, Opened) and e.parent is not None] == [(0, 3)]


def test_clones_that_are_set_back_again_and_again_starve_nobody():
    """Slots go by work done, not by how far a model is: the donor of members that keep losing gets its turn."""
    run = Pure(3, synch=False, quantile_fraction=0.5)
    turns = []
    for _ in range(30):
        (start,) = planned(run, [], [0])
        turns.append(start.member)
        run.report(start.member, 9.0 if start.member == 0 else 1.0)
    assert turns.count(0) == turns.count(1) == turns.count(2) == 10
    assert run.population.current(0).last == 50


def test_clones_never_clone_each_others_starting_points():
    """When the best has finished, members that lose against its score go on, instead of going back to it for ever."""
    run = Pure(3, synch=False, quantile_fraction=0.5)
    run.report(0, 9.0)
    run.report(1, 1.0)
    run.report(2, 1.0)
    assert [run.population.current(member).parent for member in (1, 2)] == [0, 0]
    run.hand(0, ended="done")
    for _ in range(10):
        for member in (1, 2):
            run.report(member, 1.0)
    assert [run.population.current(member).last for member in (1, 2)] == [55, 55]


# ---------------------------------------------------------------------- ends and new beginnings


class Told(ramet.Strategy):
    """Decides what it is told, for every member."""

    interval = 5

    def __init__(self, **decision):
        super().__init__(synch=True)
        self.decision = decision

    def decide(self, scene):
        return [Decision(member, reason="so it was told", **self.decision) for member in scene.ready]


def test_a_member_that_a_strategy_stops_is_done():
    """It ends with the strategy's reason, and the others' barrier is without it."""
    run = Pure(2, strategy=Told(verdict="stop"))
    run.report(0, 1.0)
    run.report(1, 2.0)
    assert [member.state for member in run.population.members] == ["finished", "finished"]
    assert run.population.members[0].reason == "so it was told"
    assert run.population.training == 0


def test_a_member_that_begins_anew_begins_from_nothing():
    """It has no checkpoint, iteration 0 and the new hyperparameters; what it has worked still counts."""
    run = Pure(1, strategy=Told(verdict="restart", hparams={"lr": 0.25}))
    run.report(0, 1.0)
    member, segment = run.population.members[0], run.population.current(0)
    assert (segment.parent, segment.start, segment.hparams) == (None, 0, {"lr": 0.25})
    assert (member.point, member.since, member.compute) == (None, 0.0, 5)
    assert segment.info["why"] == "restart"
    assert [part.number for part in run.population.lineage(segment.number)] == [1]
    run.report(0, 2.0)
    assert run.population.current(0).number == 2


def test_weights_are_noted_only_where_they_are_mixed():
    """A copy needs no word; a mixture is in the segment's info, for whoever starts it."""
    for weights, told in (((1.0, 0.0), None), ((0.2, 0.1), [0.2, 0.1])):
        run = Pure(1, strategy=Told(verdict="explore", start=(0, 5), hparams={"lr": 0.25}, weights=weights))
        run.report(0, 1.0)
        assert run.population.current(0).info.get("weights") == told


def test_further_scores_are_read_from_the_report_and_signed():
    """A strategy's objectives are in each point, larger is better, and NaN where a value is infinitely good."""
    terms = Terms("score", "max", objectives={"acc": "max", "cost": "min", "training_iteration": "min"})
    facts = {"objectives": dict(terms.objectives)}
    run = Pure(1, terms=terms, facts=facts)
    run.hand(0, block(1, 5, metrics={"score": 1.0, "acc": math.inf, "cost": 3.0}))
    assert repr(run.population.members[0].point.objectives) == "(nan, -3.0, -5.0)"


def test_a_report_that_lacks_one_of_several_scores_fails_its_member():
    """The error names the metric, what was reported, and the member; the others go on."""
    run = Pure(2, terms=Terms("score", "max", objectives={"cost": "min"}), facts={"objectives": {"cost": "min"}})
    run.hand(0, block(1, 5, metrics={"score": 1.0}))
    assert run.population.members[0].state == "failed"
    assert "['score'] of member 0" in run.population.members[0].error
    assert run.population.members[1].live


@pytest.mark.parametrize("reported", [lambda i: i / 10, lambda i: 0.1 * i, lambda i: sum([0.1] * i)])
def test_times_that_are_no_whole_numbers_miss_no_decision(reported):
    """Where a metric counts time in tenths, each of them brings a decision, however its sums are rounded."""
    strategy = ramet.NoExploit(
        time_attr="epoch", perturbation_interval=0.1, hyperparam_mutations={"lr": ramet.uniform(0.0, 1.0)}
    )
    run = Pure(1, strategy=strategy)
    for iteration in range(1, 44):
        run.hand(0, block(iteration, iteration, 1.0, time=reported(iteration)), waiting=True)
    assert run.population.members[0].decisions == 43


def test_what_was_noted_of_a_member_outlives_a_lost_checkpoint():
    """A member that goes back to an older checkpoint keeps its strategy's notes, and mixes no own weights again."""
    told = {"verdict": "explore", "start": (0, 5), "hparams": {"lr": 0.25}}
    run = Pure(1, strategy=Told(**told, info={"ramps": {"lr": [1, 0.25]}}, weights=(0.5, 0.5)))
    run.report(0, 1.0)
    run.strategy.decision = {"verdict": "continue"}
    run.report(0, 2.0)
    run.report(0, 3.0)
    (_, opened) = run.engine.lose((1, 15), "damaged")
    assert (opened.parent, opened.iteration) == (1, 10)
    assert opened.info == {"why": "lost", "ramps": {"lr": [1, 0.25]}}
