"""The problems: what is known of them is so, and their training functions do what their arrays do."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest

import ramet
from ramet.errors import ConfigError
from ramet.problems import PROBLEMS, Problem
from ramet.space import Space

NAMES = list(PROBLEMS)


class _EnoughError(BaseException):
    """Leaves a training function that reports for ever."""


class Alone:
    """Calls a training function outside any run: collects its reports, and the checkpoint that it is asked for."""

    def __init__(self, monkeypatch):
        self.patch = monkeypatch

    def train(self, problem, config, reports, rng, checkpoint=None, save_at=None):
        """Return the rows, and the checkpoint of the report ``save_at`` with the generator's state then."""
        rows, saved = [], []

        def report(metrics, checkpoint=None):
            rows.append(dict(metrics))
            if checkpoint is not None:
                saved.append((checkpoint, copy.deepcopy(rng.bit_generator.state)))
            if len(rows) == reports:
                raise _EnoughError

        self.patch.setattr(ramet, "report", report)
        self.patch.setattr(ramet, "rng", lambda: rng)
        self.patch.setattr(ramet, "get_checkpoint", lambda: checkpoint)
        self.patch.setattr(ramet, "should_checkpoint", lambda: len(rows) + 1 == save_at)
        with pytest.raises(_EnoughError):
            problem.train(config)
        return rows, saved


@pytest.fixture
def alone(monkeypatch):
    """Return what calls training functions outside a run."""
    return Alone(monkeypatch)


def founders(problem, samples, seed=0):
    """Return the configurations of the founders of ``samples`` samples."""
    return list(Space(problem.space, problem.mutations).founders(samples, seed))


def best_schedule(problem):
    """Return the known best schedule of a problem as arrays, a row for each step."""
    steps = [problem.optimum.schedule(number) for number in range(problem.steps)]
    return {name: np.array([[step[name]] for step in steps]) for name in steps[0]}


# ---------------------------------------------------------------------- of every problem


@pytest.mark.parametrize("name", NAMES)
def test_a_problem_says_all_there_is_to_say(name):
    """A problem has the name it is found by, a score that can be judged, and domains of hyperparameters that it has."""
    problem = PROBLEMS[name]

    assert isinstance(problem, Problem)
    assert problem.name == name
    assert problem.mode in ("min", "max")
    assert problem.steps > 1
    assert problem.members % problem.founders == 0
    assert set(problem.mutations) <= set(problem.space)
    assert math.isfinite(problem.optimum.value)
    assert problem.text
    assert problem.optimum.how
    assert len(problem.reference) == len(problem.objectives)
    assert Space(problem.space, problem.mutations).members(3) == 3 * problem.founders


@pytest.mark.parametrize("name", NAMES)
def test_a_training_function_does_what_the_arrays_do(name, alone):
    """With the same draws, ``train`` reports what a population of one reports, number for number."""
    problem = PROBLEMS[name]
    config = founders(problem, 1)[0]
    rows, _ = alone.train(problem, config, 12, np.random.default_rng(3))
    state, rng = problem.begin(1), np.random.default_rng(3)
    for row in rows:
        state, metrics = problem.step(state, config, rng)
        assert {key: value.item() for key, value in metrics.items()} == row
    assert rows[-1][problem.truth] == problem.score(state).item()


@pytest.mark.parametrize("name", NAMES)
def test_a_model_goes_on_from_its_checkpoint(name, alone):
    """A model that was saved and taken up again reports what it would have reported without."""
    problem = PROBLEMS[name]
    config, rng = founders(problem, 1)[0], np.random.default_rng(4)
    whole, [(checkpoint, drawn)] = alone.train(problem, config, 10, rng, save_at=4)
    again = np.random.default_rng()
    again.bit_generator.state = drawn
    rest, _ = alone.train(problem, config, 6, again, checkpoint=checkpoint)

    assert rest == whole[4:]


@pytest.mark.parametrize("name", NAMES)
def test_a_step_changes_no_state_that_it_was_given(name):
    """A step is pure: the states before it are what they were, so that donors can be cloned by reference."""
    problem = PROBLEMS[name]
    config, rng = founders(problem, 1)[0], np.random.default_rng(0)
    state, _ = problem.step(problem.begin(3), config, rng)
    before = copy.deepcopy(state)
    problem.step(state, config, rng)

    assert all(np.array_equal(state[key], before[key]) for key in before)


@pytest.mark.parametrize(("name", "key"), [(name, key) for name in NAMES for key in PROBLEMS[name].mutations])
def test_every_hyperparameter_matters(name, key):
    """Two values of a hyperparameter lead to different scores."""
    problem = PROBLEMS[name]
    base = founders(problem, 1)[0]
    domain = problem.mutations[key]
    low, high = ({**base, key: domain.decode(u)} for u in (0.3, 0.8))

    assert problem.play(low, steps=5)[0] != problem.play(high, steps=5)[0]


@pytest.mark.parametrize("name", [name for name in NAMES if PROBLEMS[name].optimum.schedule])
def test_the_best_schedule_reaches_the_optimum(name):
    """Where the best schedule is known, it is in the domains and reaches the score that is said to be the best."""
    problem = PROBLEMS[name]
    schedule = best_schedule(problem)
    for key, values in schedule.items():
        assert all(problem.mutations[key].contains(value) for value in values.ravel().tolist())

    assert problem.play(schedule)[0] == pytest.approx(problem.optimum.value, abs=1e-6)


@pytest.mark.parametrize("name", [name for name in NAMES if PROBLEMS[name].optimum.schedule])
def test_no_other_schedule_is_better(name):
    """Of many schedules near the best one and far from it none beats it."""
    problem, rng, many = PROBLEMS[name], np.random.default_rng(0), 2000
    best = best_schedule(problem)
    for spread in (0.001, 0.02, 0.2):
        for changed in (1, 3, problem.steps):
            schedule = {}
            for key, values in best.items():
                low, high = problem.mutations[key].decode(0.0), problem.mutations[key].decode(1.0)
                moved = rng.random((problem.steps, many)) < changed / problem.steps
                there = values + moved * rng.normal(0, spread * (high - low), moved.shape)
                schedule[key] = np.clip(there, low, high)
            assert problem.play(schedule).max() <= problem.optimum.value + 1e-6


@pytest.mark.parametrize("name", NAMES)
def test_a_population_trains_on_it(name, tmp_path):
    """A problem runs on a Tuner, with a strategy that explores its mutations, and its run is summed up."""
    problem = PROBLEMS[name]
    tuner = ramet.Tuner(
        problem.train,
        param_space=dict(problem.space),
        tune_config=ramet.TuneConfig(
            metric=problem.metric,
            mode=problem.mode,
            num_samples=4 // problem.founders,
            seed=1,
            scheduler=ramet.PopulationBasedTraining(
                time_attr="training_iteration",
                perturbation_interval=3,
                hyperparam_mutations=dict(problem.mutations),
                synch=True,
            ),
        ),
        run_config=ramet.RunConfig(storage_path=tmp_path, stop={"compute_iterations": 9}, executor="inline", verbose=0),
    )
    results = tuner.fit()
    members = [result.metrics_dataframe.to_dict("records") for result in results]

    assert results.num_errors == 0
    assert len({segment.member for segment in results.population.segments if segment.parent is not None}) > 0
    assert math.isfinite(problem.summarise(members))


def test_an_unknown_problem_is_told_with_those_there_are():
    """Who misspells a problem is told the names of all."""
    with pytest.raises(ConfigError, match="no problem 'toy': it has triangle, quadratic"):
        PROBLEMS["toy"]
    assert "toy" not in PROBLEMS
    assert len(PROBLEMS) == len(NAMES)
    assert repr(PROBLEMS).startswith("PROBLEMS(triangle")
    assert repr(PROBLEMS["toy-plain"]) == "Problem('toy-plain')"


def test_whom_a_user_would_take_is_judged_by_the_truth():
    """The best looking last report is taken and its true score counts; members without a number are passed over."""
    from dataclasses import replace

    problem = replace(PROBLEMS["toy-plain"], truth="true")
    good, lucky = {"score": 0.5, "true": 0.6}, {"score": 0.9, "true": 0.4}
    members = [[lucky, good], [good, lucky], [], [{"score": math.nan, "true": 1.0}]]

    assert problem.summarise(members) == 0.4
    assert replace(problem, mode="min").summarise(members) == 0.6
    assert math.isnan(problem.summarise([[]]))


# ---------------------------------------------------------------------- what is known of some


@pytest.mark.parametrize(
    ("name", "schedule", "known"),
    [
        ("quadratic", {"h0": 1.0, "h1": 0.0}, 0.39),
        ("quadratic", {"h0": 0.0, "h1": 1.0}, 0.39),
        ("quadratic", {"h0": 0.0, "h1": 0.0}, 1.2 - 2 * 0.81),
        ("quadratic", {"h0": 1.0, "h1": 1.0}, 1.2),
        ("toy-plain", {"h": 1e-4}, 1.19973),
        ("toy-deceptive", {"h": [[1 - k / 50] for k in range(50)]}, 1.19793),
        ("toy-deceptive", {"h": 1e-4}, 0.82697),
    ],
)
def test_what_is_published_is_so(name, schedule, known):
    """Schedules whose scores are published reach them."""
    assert PROBLEMS[name].play(schedule)[0] == pytest.approx(known, abs=5e-6)


@pytest.mark.parametrize("name", ["toy-plain", "toy-deceptive"])
def test_a_random_search_of_the_toys_reaches_what_is_published(name):
    """The best of 22 founders, left alone, is on average over 20 seeds within 2 standard errors of what is known."""
    problem = PROBLEMS[name]
    best = [problem.play({"h": [c["h"] for c in founders(problem, 22, seed)]}).max() for seed in range(20)]
    error = np.std(best, ddof=1) / math.sqrt(20)

    assert abs(np.mean(best) - problem.optimum.landmarks["random search of 22"]) < 2 * error + 5e-5


def test_twenty_steps_at_once_are_twenty_steps():
    """A report of the plain toy is twenty multiplications, up to rounding."""
    theta = 0.9
    for _ in range(50 * 20):
        theta *= 1 - 0.002 * (2 - 0.7)

    assert PROBLEMS["toy-plain"].play({"h": 0.7})[0] == pytest.approx(1.2 - theta**2, rel=1e-12)


def test_a_population_climbs_where_a_grid_search_is_stuck(tmp_path):
    """Two models that learn from each other pass 1.1 on the quadratic, where the grid search ends at 0.39."""
    problem = PROBLEMS["quadratic"]
    reached = {}
    for name, scheduler in {
        "grid": None,
        "population": ramet.PopulationBasedTraining(
            time_attr="training_iteration",
            perturbation_interval=10,
            hyperparam_mutations=dict(problem.mutations),
            synch=True,
        ),
    }.items():
        tuner = ramet.Tuner(
            problem.train,
            param_space=dict(problem.space),
            tune_config=ramet.TuneConfig(metric="Q", mode="max", scheduler=scheduler, seed=0),
            run_config=ramet.RunConfig(
                name=name, storage_path=tmp_path, stop={"compute_iterations": 200}, executor="inline", verbose=0
            ),
        )
        reached[name] = tuner.fit().get_best_result().metrics["Q"]

    assert reached["grid"] == pytest.approx(0.39, abs=1e-6)
    assert reached["population"] > 1.1
