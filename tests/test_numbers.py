"""What the strategies reach on problems whose answers are known: means of twenty seeds, within two standard errors.

The same figures are in ``docs/how-to-choose.md``; here they are checked.
"""

import dataclasses
import statistics

import pytest
from playing import play

import ramet
from ramet.core.pareto import hypervolume
from ramet.problems import PROBLEMS
from ramet.schedulers import FIFO

SEEDS = range(20)


def reached(tmp_path, problem, scheduler, members, seeds=SEEDS, **more):
    """Return, by seed, what a run of ``scheduler()`` reaches."""
    found = []
    for seed in seeds:
        made = scheduler()
        asks = made.metric is None
        results = ramet.Tuner(
            problem.train,
            param_space=dict(problem.space),
            tune_config=ramet.TuneConfig(
                metric=problem.metric if asks else None,
                mode=problem.mode if asks else None,
                scheduler=made,
                num_samples=members // problem.founders,
                seed=seed,
            ),
            run_config=ramet.RunConfig(
                storage_path=str(tmp_path),
                name=f"{type(made).__name__}-{seed}",
                stop={"compute_iterations": problem.steps, **more},
                executor="inline",
                verbose=0,
            ),
        ).fit()
        assert results.num_errors == 0, results.errors
        rows = results.rows([(segment, segment.last) for segment in results.population.segments])
        each = [[row for row in rows if row["member"] == result.member] for result in results]
        found.append(problem.summarise(each))
    return found


def played(problem, scheduler, members, seeds=SEEDS):
    """Return the same without an executor, of a problem that is summed up from the last reports."""
    return [problem.summarise([[row] for row in play(problem, scheduler(), members, seed)]) for seed in seeds]


def is_at_least(found, bar):
    """Whether the mean is above the bar, or below it by no more than two standard errors of it."""
    error = statistics.stdev(found) / len(found) ** 0.5
    return statistics.fmean(found) >= bar - 2 * error


def is_about(found, value, within):
    """Whether the mean is ``value``, give or take what is known of it and two standard errors."""
    error = statistics.stdev(found) / len(found) ** 0.5
    return abs(statistics.fmean(found) - value) <= within + 2 * error


def pbt(problem, kind=ramet.PopulationBasedTraining, **settings):
    """Return a maker of schedulers that decide after every report."""
    arguments = {"perturbation_interval": 1, "synch": True, **settings}
    return lambda: kind(time_attr="training_iteration", hyperparam_mutations=dict(problem.mutations), **arguments)


def test_playing_is_running(tmp_path):
    """Without an executor, a store or a clock a problem that draws nothing comes to the very same score."""
    for scheduler in (pbt(DECEPTIVE, ramet.MultiFrequencyPBT, frequencies=(1, 2)), pbt(DECEPTIVE, ramet.LadderPBT)):
        assert played(DECEPTIVE, scheduler, 8, range(2)) == reached(tmp_path, DECEPTIVE, scheduler, 8, range(2))


PLAIN, DECEPTIVE = PROBLEMS["toy-plain"], PROBLEMS["toy-deceptive"]
DOUBLING = {"perturbation_factors": (2.0, 0.5), "resample_probability": 0.0}


@pytest.mark.parametrize("members", [8, 22])
def test_greed_pays_on_the_plain_toy(members):
    """Population based training comes within 1.4e-4 of the optimum, 1.19973."""
    assert is_at_least(played(PLAIN, pbt(PLAIN, **DOUBLING), members), 1.1996)


def test_random_search_stays_behind_on_the_plain_toy():
    """The best of 22 constant hyperparameters comes to about 1.189."""
    assert is_about(played(PLAIN, ramet.RandomSearch, 22), 1.189, within=0.001)


def test_greed_fails_on_the_deceptive_toy():
    """Population based training that decides after every report comes to about 0.98, far from the optimum, 1.19793."""
    greedy = pbt(DECEPTIVE, perturbation_factors=(0.8, 1.25), resample_probability=0.0)
    assert is_about(played(DECEPTIVE, greedy, 32), 0.98, within=0.02)


def test_several_frequencies_are_not_deceived():
    """With groups that decide every 1, 2, 5 and 10 reports the deceptive toy is solved to 1.192."""
    found = played(DECEPTIVE, pbt(DECEPTIVE, ramet.MultiFrequencyPBT, frequencies=(1, 2, 5, 10)), 32)
    assert is_at_least(found, 1.192)
    assert statistics.median(found) >= 1.192


@pytest.mark.parametrize(("problem", "bar"), [(PLAIN, 1.1996), (DECEPTIVE, 1.195)], ids=["plain", "deceptive"])
def test_one_default_that_is_told_nothing_about_intervals(problem, bar):
    """LadderPBT as it comes meets the bars of both toys, where the best single interval meets one of them."""
    scheduler = lambda: ramet.LadderPBT(hyperparam_mutations=dict(problem.mutations))  # noqa: E731
    assert is_at_least(played(problem, scheduler, 32), bar)


def test_the_quadratic_is_climbed_from_hyperparameters_that_are_zero(tmp_path):
    """Two members that begin with h = (1, 0) and (0, 1) come to 1.199 of 1.2, where either alone is stuck at 0.39."""
    problem = PROBLEMS["quadratic"]
    found = reached(tmp_path, problem, pbt(problem, perturbation_interval=5), 2)
    assert is_at_least(found, 1.199)
    assert statistics.median(found) >= 1.199
    assert max(reached(tmp_path, problem, FIFO, 2, range(1))) == pytest.approx(0.39, abs=0.001)


def test_the_triangle_is_climbed_by_populations_alone(tmp_path):
    """Population based training passes 200 under every seed, and a population without exploit under none."""
    problem = dataclasses.replace(PROBLEMS["triangle"], steps=400)
    assert min(reached(tmp_path, problem, pbt(problem, perturbation_interval=5), 4)) >= 200
    assert max(reached(tmp_path, problem, pbt(problem, ramet.NoExploit, perturbation_interval=5), 4)) < 200
    assert max(reached(tmp_path, problem, ramet.RandomSearch, 4)) < 200


def test_two_goals_are_better_met_as_two():
    """The front of 32 members covers more than those of random search, and of training on the product of both goals.

    Deciding every other report, as in the paper; every fifth, the two of them are alike.
    """
    problem = PROBLEMS["two-goals"]
    several = played(
        problem,
        pbt(problem, ramet.MultiObjectivePBT, metrics=dict(problem.objectives), perturbation_interval=2),
        32,
    )
    for rival in (ramet.RandomSearch, pbt(problem, perturbation_interval=2)):
        alone = played(problem, rival, 32)
        gains = [one - other for one, other in zip(several, alone, strict=True)]
        assert is_at_least(gains, 0.0)
        assert statistics.fmean(gains) > 0
    assert hypervolume([(1.0, 0.5), (0.5, 1.0)], problem.reference) == 0.75
