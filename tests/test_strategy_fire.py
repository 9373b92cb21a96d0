"""FirePBT: who has which part, what evaluators take up, when they end, whose model learns faster, and what follows."""

import collections
import dataclasses
import json
import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pure import Pure
from toys import best_of

import ramet
from ramet.core.events import Opened
from ramet.core.scene import Scene
from ramet.errors import ConfigError
from ramet.space import Space
from ramet.strategy.curves import Curve, best_score_diff, chance_of_no_better, overlap
from ramet.strategy.evaluations import EVALUATOR, GREEDY, PARTS, STEEP, Evaluation, longest_waiting, running
from ramet.testing.strategies import population_of

LR = {"lr": ramet.uniform(0.0, 1.0)}


def fire(**arguments):
    """A scheduler on iterations: an interval of 10, ten evaluations in each."""
    given = {"time_attr": "training_iteration", "perturbation_interval": 10, "synch": True}
    return ramet.FirePBT(hyperparam_mutations=LR, **{**given, **arguments})


def members_of(part, members):
    """The members that have that part."""
    return [member for member in range(members) if PARTS[member % 11] == part]


def run_of(scores, reports, members=6, seed=0, **arguments):
    """A run in which at each iteration every member reports ``scores(member, iteration, segment)``."""
    run = Pure(members, strategy=fire(**arguments), seed=seed)
    for iteration in range(1, reports + 1):
        for member in range(members):
            run.report(member, scores(member, iteration, run.population.current(member)))
    return run


def opened(run, **info):
    """The segments that were opened, after the founders, with such info."""
    found = [event for event in run.events if isinstance(event, Opened) and event.info["why"] != "founder"]
    return [event for event in found if all(event.info.get(key) == value for key, value in info.items())]


def rising(member, iteration, segment):
    """Scores that rise alike; the lower the number the better."""
    return iteration - member / 100


def standing_at(run):
    """The scene as it is now, with everybody where they stand."""
    return Scene.of(run.population, Space(None, LR), range(len(run.population.members)))


# ---------------------------------------------------------------------- curves


def test_a_steeper_learner_wins_though_its_score_is_lower():
    """Compared from where they are equally high, who rises faster is better, whoever stands higher at the end."""
    steep = Curve([0.1 * k for k in range(10)])
    high = Curve([0.8 + 0.02 * k for k in range(10)])
    assert high.values[-1] > steep.values[-1]
    assert best_score_diff(steep, high) > 0 > best_score_diff(high, steep)


def test_curves_are_compared_over_the_same_time():
    """A curve that has only been trained for longer is no better."""
    line = [0.1 * k for k in range(20)]
    for one, other in ((line, line[:8]), (line[5:], line[:15]), (line[5:10], line)):
        assert abs(best_score_diff(Curve(one), Curve(other))) < 0.11, "places are points, so one may be missed"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-5, 5), min_size=1, max_size=12), st.lists(st.floats(-5, 5), min_size=1, max_size=12))
def test_where_curves_overlap_the_comparison_is_fair(a, b):
    """Pieces that are compared are equally long and of the curves; swapped, the difference is the negative."""
    one, other = Curve(a), Curve(b)
    common = overlap(one, other)
    if common is None:
        assert best_score_diff(one, other) >= 0
        return
    assert len(common[0]) == len(common[1]) > 0
    swapped = overlap(other, one)
    assert swapped is not None
    if one.smooth[0] != other.smooth[0]:
        assert (list(swapped[1]), list(swapped[0])) == (list(common[0]), list(common[1]))
        assert best_score_diff(one, other) == -best_score_diff(other, one)
    assert 0 < chance_of_no_better(one, other) <= 1


def test_curves_that_never_meet():
    """One that is above throughout is better beyond doubt if it rises faster; one that is below tells nothing."""
    below, above = Curve([0.1, 0.2, 0.3, 0.4]), Curve([1.0, 1.2, 1.4, 1.6])
    assert overlap(below, above) is overlap(above, below) is None
    assert best_score_diff(above, below) > 0 == best_score_diff(below, above)
    assert (chance_of_no_better(above, below), chance_of_no_better(below, above)) == (0.0, 1.0)
    assert best_score_diff(Curve([]), below) == best_score_diff(below, Curve([math.nan])) == 0.0


@pytest.mark.parametrize(("size", "wins"), [(5, 5), (8, 6), (7, 0), (1, 1)])
def test_the_sign_test_counts_wins(size, wins):
    """The chance is that of so many heads or more in so many throws."""
    a = Curve([1.0 + k + (0.1 if k < wins else -0.1 if k else 0.0) for k in range(size)])
    b = Curve([1.0 + k for k in range(size)])
    throws = [bin(number).count("1") for number in range(2**size)]
    expected = sum(heads >= wins for heads in throws) / 2**size
    common = ([*a.values], [*b.values])
    assert chance_of_no_better(_as_it_is(a), _as_it_is(b)) == expected, common


def _as_it_is(curve):
    """The same curve, not smoothed, and beginning at the same score as any other."""
    found = Curve(curve.values)
    object.__setattr__(found, "smooth", np.array([0.0, *np.asarray(curve.values[1:])]))
    return found


# ---------------------------------------------------------------------- parts


@pytest.mark.parametrize(
    ("members", "counts"), [(6, (2, 2, 2)), (8, (3, 3, 2)), (11, (4, 4, 3)), (22, (8, 8, 6)), (44, (16, 16, 12))]
)
def test_parts(members, counts):
    """Of 22 members 8 are greedy, 8 steep and 6 evaluators; of any from 6 on there are at least two of each."""
    assert tuple(len(members_of(part, members)) for part in (GREEDY, STEEP, EVALUATOR)) == counts


def test_too_few_members_are_refused():
    """Fewer than six members are refused before any work, by number and with the way out; six are taken."""
    space = Space(LR, LR)
    with pytest.raises(ConfigError, match=r"FirePBT needs at least 6 members.*there are 5: raise TuneConfig"):
        fire().founders(space.founders(5, 0), space, 0)
    assert fire().founders(space.founders(6, 0), space, 0) == space.founders(6, 0)


def test_too_few_members_in_a_bare_scene_do_population_based_training():
    """Asked about five members all the same, it decides as population based training does."""
    scene = Scene.of(
        population_of([3.0, 1.0, 2.0, 5.0, 4.0], [{"lr": 0.5}] * 5, iteration=10), Space(None, LR), range(5)
    )
    plain = ramet.PopulationBasedTraining("training_iteration", perturbation_interval=10, hyperparam_mutations=LR)
    assert fire().decide(scene) == plain.decide(scene)


def test_between_intervals_all_go_on():
    """Members report ten times in an interval, and nothing but going on is decided in between."""
    run = run_of(rising, 39, members=11)
    assert {event.iteration % 10 for event in opened(run)} == {0}
    assert run.population.verdicts[("continue", "between two decisions")] == 36 * 11


def test_greedy_members_clone_greedy_ones_by_score():
    """The worst greedy members become clones of the best greedy ones, whoever is better elsewhere."""
    run = run_of(rising, 10, members=22)
    greedy = members_of(GREEDY, 22)
    clones = {event.member: event.info["donor"] for event in opened(run) if event.member in greedy}
    assert set(clones) == set(greedy[-2:])
    assert set(clones.values()) <= set(greedy[:2])


def test_steep_members_without_evaluations_are_left_alone():
    """Before anybody has been evaluated no steep member is replaced, bad as its score may be."""
    run = run_of(rising, 10, members=22)
    assert not [event for event in opened(run) if event.member in members_of(STEEP, 22)]
    assert run.population.verdicts[("continue", "not evaluated, so not compared")] == 8


# ---------------------------------------------------------------------- what evaluators do


def test_an_evaluator_takes_weights_of_a_steep_member_and_hyperparameters_of_the_best_greedy_one():
    """What it starts from is the steep member's checkpoint, and what it trains with the greedy one's own values."""
    run = run_of(rising, 10, members=22)
    steep, evaluators = members_of(STEEP, 22), members_of(EVALUATOR, 22)
    best = 0
    taken = [event for event in opened(run) if event.member in evaluators]
    assert [event.member for event in taken] == evaluators
    assert [event.info["donor"] for event in taken] == steep[:6]
    for event in taken:
        assert event.info["source"] == best
        assert event.hparams == run.population.hparams(best)
        assert run.population.segments[event.parent].member == event.info["donor"]
    assert [one.parent for one in running(standing_at(run)).values()] == [], "nobody has reported yet"


def test_who_was_replaced_just_now_is_no_example():
    """The hyperparameters that an evaluator takes are of a greedy member that keeps its own at that decision."""

    def scores(member, iteration, segment):
        # The best greedy member falls to the bottom at 20, and is replaced then.
        return -100.0 if member == 0 and iteration == 20 else rising(member, iteration, segment)

    run = run_of(scores, 20, seed=1)
    lost = {event.member for event in opened(run) if event.iteration == 20 and event.member in (0, 3)}
    assert lost == {0}
    taken = [event for event in opened(run) if event.iteration == 20 and event.member in (2, 5)]
    assert taken
    assert {event.info["source"] for event in taken} == {3}


def test_the_longest_unevaluated_comes_first():
    """Steep members take turns: over a run without successes all are evaluated about equally often."""
    run = run_of(
        lambda member, iteration, segment: 1.0 + member / 1e6, 200, members=11, max_eval=10, quantile_fraction=0
    )
    turns = collections.Counter(event.info["donor"] for event in opened(run) if "child_model" in event.info)
    assert set(turns) == set(members_of(STEEP, 11))
    assert max(turns.values()) - min(turns.values()) <= 1


def test_waiting_counts_from_the_end_of_the_last_evaluation():
    """Who was never evaluated comes before who was, and nobody of NaN is evaluated."""
    run = run_of(rising, 15, members=11)
    scene = standing_at(run)
    steep = members_of(STEEP, 11)
    evaluated = [event.info["donor"] for event in opened(run) if "child_model" in event.info and event.iteration == 10]
    assert evaluated == steep[:3]
    assert longest_waiting(scene, steep)[0] == steep[3]
    points = {**scene.points, steep[3]: dataclasses.replace(scene.points[steep[3]], score=math.nan)}
    assert steep[3] not in longest_waiting(scene.among(points, points), steep)


def test_the_best_of_all_is_not_given_up_for_an_evaluation():
    """An idle evaluator that has the best score of all goes on as it is."""
    run = run_of(lambda member, iteration, segment: 100.0 if member == 2 else rising(member, iteration, segment), 10)
    assert run.population.members[2].exploits == 0
    assert run.population.members[5].exploits == 1


def slopes(of_evaluators, of_greedy=1.0, of_steep=1.0):
    """Scores that go on from where the model stood, by so much a report."""

    def scores(member, iteration, segment):
        part = PARTS[member % 11]
        at = segment.origin.score if segment.origin is not None else 0.0
        slope = {GREEDY: of_greedy, STEEP: of_steep, EVALUATOR: of_evaluators}[part]
        slope = slope[member] if isinstance(slope, dict) else slope
        if part == EVALUATOR and "child_model" not in segment.info:
            slope = 0.1  # nothing to begin with, so that it is not the best of all
        return at + slope * (iteration - segment.start)

    return scores


def test_success_overwrites_the_weights_and_nothing_else():
    """A greedy member whose evaluator is better beyond doubt gets that one's weights, and keeps its hyperparameters."""
    run = run_of(slopes(of_evaluators=3.0, of_steep=0.57, of_greedy={0: 0.9, 3: 1.0}), 30)
    (taken, *_) = (event for event in opened(run) if "succeeded" in event.info)
    assert taken.member == 3
    assert taken.info["source"] == 3
    assert PARTS[taken.info["donor"]] == EVALUATOR
    assert taken.hparams == next(event.hparams for event in run.events if getattr(event, "segment", None) == 3)
    assert run.population.segments[taken.parent].member == taken.info["donor"]
    assert "weights" not in taken.info


def test_a_lower_score_is_enough_for_success():
    """An evaluator that rises faster from the same score overwrites a greedy member that stands higher."""
    run = run_of(slopes(of_evaluators=1.6, of_steep=-0.5, of_greedy={0: 0.9, 3: 1.0}), 30)
    (taken,) = (event for event in opened(run) if "succeeded" in event.info)
    assert taken.member == 3
    assert run.population.point((taken.parent, taken.iteration)).score < taken.iteration == 20


def test_the_greater_difference_wins():
    """Of two evaluators that beat the same greedy member the better one overwrites it, and both begin anew."""
    run = run_of(slopes(of_evaluators={2: 3.05, 5: 3.0}, of_steep=0.57), 30, quantile_fraction=0.0)
    (taken,) = (event for event in opened(run) if "succeeded" in event.info)
    assert taken.info["donor"] == 2
    later = [event.member for event in opened(run) if "child_model" in event.info and event.iteration == 30]
    assert 5 in later


def test_what_an_evaluator_overwrote_is_compared_as_that_evaluators_curve():
    """A greedy member that took an evaluator's weights has its curve too, so that the next must beat that."""
    run = run_of(slopes(of_evaluators=3.0, of_steep=0.57, of_greedy={0: 0.9, 3: 1.0}), 35)
    scene = standing_at(run)
    (one, *_) = running(scene).values()
    assert one.child == 3
    assert len(one.rival) == 20 + 5
    assert len(one.curve) == 5


def test_an_evaluation_without_overlap_ends_after_max_eval():
    """An evaluator far below its rival goes on until max_eval, and then takes up the next steep member."""
    scores = slopes(of_evaluators=0.01, of_steep=0.01, of_greedy={0: 0.9, 3: 1.0})

    def far_below(member, iteration, segment):
        return scores(member, iteration, segment) - (1000 if PARTS[member] != GREEDY and segment.origin is None else 0)

    run = run_of(far_below, 60, quantile_fraction=0.0)
    starts = [event.iteration for event in opened(run) if event.member == 2]
    assert starts == [10, 40]
    run = run_of(far_below, 60, quantile_fraction=0.0, max_eval=20)
    assert [event.iteration for event in opened(run) if event.member == 2] == [10, 30, 50]


def test_an_evaluation_that_loses_ends_early():
    """An evaluator that meets its rival's curve and stays below it from there ends before max_eval."""
    scores = slopes(of_evaluators=0.5, of_steep=1.0, of_greedy=1.0)
    run = run_of(scores, 40, quantile_fraction=0.0, max_eval=100)
    assert [event.iteration for event in opened(run) if event.member == 2] == [10, 20, 30, 40]


def test_an_evaluation_that_may_still_win_goes_on():
    """An evaluator that is as good as its rival goes on while the sign test leaves it time, and ends after that."""
    rival = Curve([float(k) for k in range(10)])
    even = _as_it_is(Curve([k + 0.1 * (-1) ** k for k in range(10)]))
    assert chance_of_no_better(even, _as_it_is(rival)) == pytest.approx(0.623, abs=1e-3)
    for elapsed, over in ((1.0, False), (3.8, False), (3.9, True), (10.0, True), (20.0, True)):
        assert Evaluation(2, 1, 0, elapsed, even, _as_it_is(rival)).over(10.0) == over


@pytest.mark.parametrize("replaced", ["parent", "child"])
def test_an_evaluation_ends_when_its_parent_or_its_child_is_replaced(replaced):
    """Whoever it compares is gone: it is not among those that go on, nor when the new one has reported."""
    scores = slopes(of_evaluators=1.0)
    run = run_of(scores, 15, quantile_fraction=0.0)
    (one, *_) = running(standing_at(run)).values()
    number, other = len(run.population.segments), 4 if one.parent == 1 else 1
    member = {"parent": one.parent, "child": one.child}[replaced]
    start = run.population.members[other].point.checkpoint
    assert one.evaluator in running(standing_at(run))
    run.population.apply(Opened(number, member, *start, {"lr": 0.5}, {"why": "exploit"}))
    assert one.evaluator not in running(standing_at(run))
    for number in range(6):
        run.report(number, scores(number, 16, run.population.current(number)))
    assert member in standing_at(run).points
    assert one.evaluator not in running(standing_at(run))


def test_an_evaluator_whose_parent_is_replaced_takes_up_another_at_once():
    """At the decision that replaces a steep member its evaluator goes on with one that waits."""

    def scores(member, iteration, segment):
        if PARTS[member] != EVALUATOR:
            return (1000.0 if PARTS[member] == GREEDY else 0.0) + 0.1 * iteration
        if "child_model" in segment.info:
            slope = {1: 1.0, 4: 0.2, 7: 0.6}.get(segment.info["donor"], 0.5)
            return segment.origin.score + slope * (iteration - segment.start)
        return -50.0

    run = run_of(scores, 20, members=11)
    (clone,) = (event for event in opened(run) if PARTS[event.member] == STEEP)
    assert (clone.member, clone.info["donor"]) == (4, 1)
    (again,) = (event for event in opened(run) if event.iteration == 20 and PARTS[event.member] == EVALUATOR)
    assert (again.member, again.info["donor"]) == (5, 9)


def test_a_greedy_member_that_falls_to_the_bottom_is_replaced_by_a_greedy_one():
    """Population based training comes first: who clones a better member takes no weights of an evaluator."""
    smooth = slopes(of_evaluators=1.6, of_steep=-0.5, of_greedy={0: 0.9, 3: 1.0})
    run = run_of(lambda *at: 25.0 if at[0] == 0 and at[1] == 20 else smooth(*at), 20)
    (clone,) = (event for event in opened(run) if event.member == 3)
    assert (clone.iteration, clone.info["donor"]) == (20, 0)
    assert not opened(run, succeeded=True)


def test_fitness_is_by_how_fast_and_not_by_how_high():
    """Of two evaluated steep members the one whose evaluator learns more slowly clones the other, though higher."""

    def scores(member, iteration, segment):
        if member in (1, 4):  # the steep: 4 stands high, 1 low
            return (0.0 if member == 1 else 5.0) + 0.1 * iteration
        if PARTS[member] == EVALUATOR and "child_model" in segment.info:
            slope = 1.0 if segment.info["donor"] == 1 else 0.2
            return segment.origin.score + slope * (iteration - segment.start)
        return -50.0 - iteration if PARTS[member] == EVALUATOR else 1000.0 + iteration

    run = run_of(scores, 20)
    (clone,) = (event for event in opened(run) if event.member in (1, 4))
    assert (clone.member, clone.info["donor"]) == (4, 1)
    assert clone.info["donor_score"] > 0 > clone.info["score"], "they are told by their fitness"
    assert clone.info["changed"]


# ---------------------------------------------------------------------- the whole


def test_the_past_is_all_that_is_needed():
    """A strategy made anew at every decision does what one does that has seen them all."""
    scores = slopes(of_evaluators={2: 1.4, 5: 0.9}, of_steep={1: 0.3, 4: 0.7}, of_greedy={0: 0.9, 3: 1.0})
    one = run_of(scores, 60)
    other = Pure(6, strategy=fire())
    for iteration in range(1, 61):
        for member in range(6):
            other.engine.strategy = other.strategy = fire()
            other.report(member, scores(member, iteration, other.population.current(member)))
    assert one.events == other.events


@pytest.mark.parametrize("seed", range(3))
def test_asynchronous_runs_go_on(seed):
    """With members at paces of their own evaluations are taken up, and successes reach the greedy member later."""
    rng = np.random.default_rng(seed)
    run = Pure(11, strategy=fire(synch=False), seed=seed)
    scores = slopes(of_evaluators=2.5, of_steep=0.5, of_greedy=1.0)
    while min(member.compute for member in run.population.members) < 100:
        member = int(rng.integers(11))
        segment = run.population.current(member)
        run.report(member, scores(member, segment.last + 1, segment))
    assert opened(run, succeeded=True)
    for event in opened(run):
        if "child_model" in event.info:
            assert PARTS[event.member] == EVALUATOR
            assert PARTS[event.info["donor"]] == STEEP
        elif event.info.get("succeeded"):
            assert PARTS[event.member] == GREEDY
        else:
            assert PARTS[event.member] == PARTS[event.info["donor"]]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"evaluations": 0}, "FirePBT(evaluations=0)"),
        ({"evaluations": 2.0}, "FirePBT(evaluations=2.0)"),
        ({"max_eval": 0}, "FirePBT(max_eval=0)"),
        ({"max_eval": "long"}, "FirePBT(max_eval='long')"),
        ({"perturbation_interval": 0}, "FirePBT(perturbation_interval=0)"),
    ],
)
def test_what_cannot_work_is_refused(arguments, words):
    """An argument that is out of its range is refused by name before any work starts."""
    with pytest.raises(ConfigError, match=re.escape(words)):
        fire(**arguments)


def test_it_describes_itself():
    """The interval, how often curves have points in it, and max_eval are in the record, as JSON."""
    told = fire(metric="score", mode="max").describe()
    assert json.loads(json.dumps(told)) == told
    assert {"name": "FirePBT", "step": 10, "interval": 1.0, "max_eval": 30.0}.items() <= told.items()


def test_a_whole_run_repeats_and_is_less_greedy(tmp_path):
    """On the deceptive toy a run repeats, and gets further than population based training with the same interval."""
    mutations = {"h": ramet.uniform(1e-4, 1.1)}
    common = {"perturbation_interval": 2, "hyperparam_mutations": mutations, "synch": True}
    found = []
    for folder in ("one", "other"):
        scheduler = ramet.FirePBT("training_iteration", evaluations=2, **common)
        best, results = best_of(scheduler, tmp_path / folder, members=11)
        found.append((best, [segment.hparams for segment in results.population.segments]))
    assert found[0] == found[1]
    assert 1.0 < found[0][0] < 1.19795
