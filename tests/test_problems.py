"""The problems: what is known of them is so, and their training functions do what their arrays do."""

from __future__ import annotations

import copy
import math
import subprocess
import sys

import numpy as np
import pytest

import ramet
from ramet.errors import ConfigError, TrainableError
from ramet.problems import PROBLEMS, Problem, digits
from ramet.problems.goals import area
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


@pytest.fixture(autouse=True)
def _one_thread():
    """Let linear algebra use one thread: with more, small matrices take many times as long where cores are busy."""
    import threadpoolctl  # scikit-learn brings it along

    with threadpoolctl.threadpool_limits(1):
        yield


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
    """Two values of a hyperparameter lead to different scores, whatever all other hyperparameters are."""
    problem = PROBLEMS[name]
    drawn = founders(problem, 3 if problem.needs else 20)
    base = {other: np.array([config[other] for config in drawn]) for other in drawn[0]}
    low, high = ({**base, key: problem.mutations[key].decode(u)} for u in (0.3, 0.8))

    assert (problem.play(low) != problem.play(high)).any()


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


# ---------------------------------------------------------------------- the drifting bandit


def test_no_constant_arm_comes_far():
    """The best of all constant arms reaches what is said, far below what following the drift reaches."""
    problem = PROBLEMS["drift"]
    reached = problem.play({"h": np.linspace(0, 1, 2001)})

    assert reached.max() == pytest.approx(problem.optimum.landmarks["the best constant"], abs=1e-5)


@pytest.mark.parametrize("noise", [0.0, 0.05, 0.3])
def test_the_noise_of_reports_is_as_large_as_is_asked(noise):
    """Reports lie around the true score with the standard deviation of the configuration; the truth is not moved."""
    problem, rng = PROBLEMS["drift"], np.random.default_rng(0)
    state, metrics = problem.step(problem.begin(20000), {"h": 0.1, "noise": noise}, rng)
    off = metrics["score"] - metrics["true_score"]

    assert (metrics["true_score"] == 1 / 60).all()
    assert off.std() == pytest.approx(noise, rel=0.03)
    assert abs(off.mean()) <= 4 * noise / math.sqrt(20000)
    assert (problem.score(state) == metrics["true_score"]).all()


def test_the_drift_is_over_after_a_life():
    """A model that trains on after its 60 steps is paid nothing more."""
    problem = PROBLEMS["drift"]

    assert (problem.play({"h": 0.1}, steps=70) == problem.play({"h": 0.1}, steps=60)).all()


# ---------------------------------------------------------------------- the two goals


def test_the_area_is_what_a_grid_of_points_counts():
    """The area that points cover is the share of a fine grid's points that one of them dominates."""
    rng = np.random.default_rng(0)
    at = (np.arange(1000) + 0.5) / 1000
    for count in (1, 2, 7):
        points = [*rng.random((count, 2)).tolist(), [-0.5, 0.5]]
        covered = np.zeros((1000, 1000), bool)
        for gain, thrift in points:
            covered |= (at[:, None] < gain) & (at[None, :] < thrift)
        assert area([tuple(point) for point in points]) == pytest.approx(covered.mean(), abs=2e-3)
    assert area([]) == 0


def test_the_front_of_the_two_goals_is_a_quarter_circle():
    """On the schedule every aim reaches the unit circle, which many aims cover to pi/4, and no schedule crosses it."""
    problem, many, rng = PROBLEMS["two-goals"], 2000, np.random.default_rng(0)
    best = np.array([[1 - k / 60] for k in range(60)])
    aims = np.linspace(0, 1, many)
    ends = ends_of(problem, {"pace": np.repeat(best, many, 1), "aim": np.tile(aims, (60, 1))})
    assert np.hypot(*ends) == pytest.approx(np.ones(many))
    assert area(list(zip(*ends.tolist(), strict=True))) == pytest.approx(problem.optimum.value, abs=1e-3)
    assert problem.optimum.value == math.pi / 4

    pace = np.clip(best + rng.normal(0, 0.1, (60, many)), 0, 1)
    crossed = ends_of(problem, {"pace": pace, "aim": rng.random((60, many))})
    assert np.hypot(*crossed).max() < 1
    inner = np.arange(1, 17) / 17 * math.pi / 2
    even = area(list(zip(np.cos(inner).tolist(), np.sin(inner).tolist(), strict=True)))
    assert even < problem.optimum.landmarks["16 models, spread as well as can be"] < even + 2e-3


def ends_of(problem, schedule):
    """Return gain and thrift at the end of schedules, an array of two rows."""
    rng, state = np.random.default_rng(0), problem.begin(schedule["pace"].shape[1])
    for number in range(problem.steps):
        state, metrics = problem.step(state, {name: value[number] for name, value in schedule.items()}, rng)
    return np.array([metrics["gain"], metrics["thrift"]])


# ---------------------------------------------------------------------- the digits


def test_the_digits_are_split_in_the_same_way_always():
    """Three quarters are trained on, one is held out, no image is in both, and every digit is in each."""
    train, held = digits.images()

    assert (len(train.labels), len(held.labels)) == (1348, 449)
    assert np.bincount(held.labels).min() > 30
    assert {row.tobytes() for row in train.pixels} & {row.tobytes() for row in held.pixels} == set()
    digits.images.cache_clear()
    assert (digits.images()[1].labels == held.labels).all()


def test_the_gradient_of_the_network_is_that_of_its_loss():
    """Slopes agree with differences of the mean cross entropy, dropout included."""
    rng = np.random.default_rng(0)
    weights = {name: array.astype(float) for name, array in digits.fresh(2, rng).items()}
    pixels, labels = rng.random((2, 8, 64)), rng.integers(0, 10, (2, 8))
    keep = (rng.random((2, 8, digits.HIDDEN)) > 0.3) / 0.7

    def losses():
        hidden = np.maximum(pixels @ weights["w1"] + weights["b1"], 0) * keep
        raw = hidden @ weights["w2"] + weights["b2"]
        told = np.take_along_axis(raw, labels[..., None], -1)[..., 0]
        return (np.log(np.exp(raw).sum(-1)) - told).mean(-1)

    slopes = digits._slopes(weights, pixels, labels, keep)
    for name, array in weights.items():
        for _ in range(5):
            at = (slice(None), *(int(rng.integers(size)) for size in array.shape[1:]))
            before = array[at].copy()
            array[at] = before + 1e-5
            above = losses()
            array[at] = before - 1e-5
            below = losses()
            array[at] = before
            assert slopes[name][at] == pytest.approx((above - below) / 2e-5, abs=1e-6)


def test_many_networks_learn_as_one_does():
    """A network's first steps among others are those that it takes alone on the same images."""
    config = {"lr": 0.1, "momentum": 0.5, "weight_decay": 1e-4, "dropout": 0.2}

    class Same:
        """Draws for two what it draws for one, twice."""

        def __init__(self, members):
            self.members, self.rng = members, np.random.default_rng(0)

        def integers(self, low, high, size):
            return self.rng.integers(low, high, (size[0], 1, size[2])).repeat(self.members, 1)

        def random(self, size, dtype):
            return self.rng.random((1, *size[1:]), dtype=dtype).repeat(self.members, 0)

    alone, _ = digits.step(digits.begin(1), config, Same(1))
    two, _ = digits.step(digits.begin(2), {**config, "lr": np.array([0.1, 0.2])}, Same(2))

    assert all(np.allclose(two[name][0], alone[name][0], atol=1e-5) for name in alone)
    assert not np.allclose(two["w1"][1], alone["w1"][0], atol=1e-3)


def test_a_learning_rate_that_is_far_too_high_is_a_bad_score():
    """A network that has diverged reports a low accuracy, without a warning or an error."""
    rng, state = np.random.default_rng(0), digits.begin(1)
    for _ in range(3):
        state, metrics = digits.step(state, {"lr": 1e6, "momentum": 0.9, "weight_decay": 0.1, "dropout": 0.0}, rng)

    assert metrics["accuracy"].item() < 0.3


def test_the_digits_say_what_they_lack(monkeypatch):
    """Without scikit-learn the error names it and how to get it."""
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    digits.images.cache_clear()
    with pytest.raises(TrainableError, match=r"pip install 'ramet\[problems\]'"):
        digits.train({"lr": 0.1})


# ---------------------------------------------------------------------- what is loaded when


@pytest.mark.parametrize("statement", ["import ramet.problems", "import ramet.problems.triangle, ramet.demo"])
def test_naming_problems_loads_no_arrays(statement):
    """Neither the table of problems nor that of the demo loads numpy, or scikit-learn, before one is trained."""
    code = f"{statement}\nimport sys\nprint(sorted({{'numpy', 'sklearn', 'ramet.problems.digits'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
