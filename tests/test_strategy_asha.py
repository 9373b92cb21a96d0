"""ASHA: the worst end at rungs."""

import math

import pytest
from pure import Pure, block, kinds
from test_strategy_multi_frequency import at_round, decided

import ramet
from ramet.core.events import Finished
from ramet.core.population import Member
from ramet.errors import ConfigError


def asha(**more):
    return ramet.ASHA(**{"max_t": 20, "grace_period": 5, "reduction_factor": 2, **more})


def test_rungs_lie_ever_further_apart():
    """From the grace period on each is so many times further than the one before, and none at or past the end."""
    assert ramet.ASHA(max_t=100, grace_period=1, reduction_factor=4).rungs == (1, 4, 16, 64)
    assert ramet.ASHA(max_t=64, grace_period=1, reduction_factor=4).rungs == (1, 4, 16)
    assert asha().due(Member(0, since=0.0)) == 5
    assert asha().due(Member(0, since=5.0)) == 10
    assert asha().due(Member(0, since=10.0)) == 20


def test_the_best_at_a_rung_go_on():
    """Of eight that came to the first rung the best half goes on, and at the second half of those that came there."""
    scores = [float(score) for score in (3, 7, 0, 1, 6, 2, 5, 4)]
    decisions = decided(asha(synch=True), at_round(scores, 1))
    assert {m for m, d in decisions.items() if d.verdict == "stop"} == {m for m in range(8) if scores[m] < 4}
    second = decided(asha(synch=True), at_round(scores, 2))
    assert {m for m, d in second.items() if d.verdict == "continue"} == {1, 4, 6, 7}


def test_whoever_comes_first_goes_on_and_later_ones_are_compared():
    """Asynchronously a member is judged against all that have come so far, those that ended among them."""
    run = Pure(4, strategy=asha())
    assert kinds(run.report(0, 1.0))[-1] == "Decided"
    assert run.population.members[0].live
    run.report(1, 0.5)
    assert run.population.members[1].state == "finished"
    assert run.population.members[1].reason == "not among the best at its rung"
    run.report(2, 2.0)
    assert run.population.members[2].live
    run.report(3, 0.7)
    assert not run.population.members[3].live


def test_members_are_done_at_the_end():
    """At max_t a member ends, however good it is."""
    run = Pure(1, strategy=asha())
    for _ in range(3):
        run.report(0, 1.0)
    assert run.population.members[0].reason == "reached max_t"
    assert isinstance(run.events[-1], Finished)


def test_nan_ends_and_counts_for_nobody():
    """A diverged member ends at its rung, and is no reason for another to go on."""
    scores = [math.nan, math.nan, 1.0, 2.0]
    decisions = decided(asha(synch=True), at_round(scores, 1))
    assert [decisions[member].verdict for member in range(4)] == ["stop", "stop", "stop", "continue"]


def test_a_late_report_counts_for_the_rung_that_it_passed():
    """Where reports come less often than rungs, the highest rung passed is the one that counts."""
    run = Pure(2, strategy=asha())
    run.report(0, 1.0, to=12)
    run.report(1, 0.5, to=12)
    assert run.population.verdicts == {
        ("continue", "among the best at its rung"): 1,
        ("stop", "not among the best at its rung"): 1,
    }


@pytest.mark.parametrize("reported", [lambda i: i / 10, lambda i: 0.1 * i, lambda i: sum([0.1] * i)])
def test_rungs_are_met_however_sums_are_rounded(reported):
    """Where time is counted in tenths, the best is judged once at each rung, and is done exactly at the end."""
    run = Pure(2, strategy=asha(time_attr="epoch", max_t=4.0, grace_period=0.8, synch=True))
    for iteration in range(1, 41):
        for member in run.population.members:
            if member.live:
                metrics = {"score": float(member.number)}
                told = block(iteration, iteration, time=reported(iteration), metrics=metrics)
                run.hand(member.number, told, waiting=True)
    assert [member.reason for member in run.population.members] == ["not among the best at its rung", "reached max_t"]
    assert [member.decisions for member in run.population.members] == [1, 4]


def test_freed_places_go_to_the_next(tmp_path):
    """In a run with more members than slots all are tried, and most work goes into the best."""

    def train(config):
        checkpoint = ramet.get_checkpoint()
        score = checkpoint.to_dict()["score"] if checkpoint else 0.0
        while True:
            score += config["h"]
            ramet.report({"score": score}, checkpoint=ramet.Checkpoint.from_dict({"score": score}))

    results = ramet.Tuner(
        train,
        param_space={"h": ramet.uniform(0.0, 1.0)},
        tune_config=ramet.TuneConfig(
            metric="score", mode="max", scheduler=asha(), num_samples=16, max_concurrent_trials=2, seed=0
        ),
        run_config=ramet.RunConfig(executor="inline", verbose=0, storage_path=str(tmp_path)),
    ).fit()
    iterations = {result.member: result.iteration for result in results}
    assert set(iterations.values()) == {5, 10, 20}
    best = max(results, key=lambda result: result.config["h"])
    assert iterations[best.member] == 20
    assert results.get_best_result().member == best.member


def test_a_member_that_was_ended_stays_so_when_a_run_is_taken_up(tmp_path):
    """Other stop rules let members go on that only the old ones ended, not those that lost at a rung."""

    def train(config):
        for step in range(1, 21):
            ramet.report({"score": config["h"] * step}, checkpoint=ramet.Checkpoint.from_dict({}))

    def tune(**run):
        return ramet.RunConfig(executor="inline", verbose=0, storage_path=str(tmp_path), **run)

    first = ramet.Tuner(
        train,
        param_space={"h": ramet.grid_search([0.1, 0.2, 0.3, 0.4])},
        tune_config=ramet.TuneConfig(metric="score", mode="max", scheduler=asha(synch=True), seed=0),
        run_config=tune(stop={"training_iteration": 7}),
    ).fit()
    assert [result.iteration for result in first] == [5, 5, 7, 7]
    again = ramet.Tuner.restore(first.experiment_path, train, stop={"training_iteration": 9}).fit()
    assert [again[member].iteration for member in (0, 1)] == [5, 5]


@pytest.mark.parametrize(
    "arguments",
    [{"grace_period": 0}, {"max_t": 5}, {"reduction_factor": 1}, {"brackets": 2}, {"max_t": math.inf}],
)
def test_bad_arguments_are_refused(arguments):
    """What cannot work is refused when the strategy is made."""
    with pytest.raises(ConfigError):
        asha(**arguments)
