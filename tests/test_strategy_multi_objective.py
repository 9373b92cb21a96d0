"""MultiObjectivePBT: who stays on the front, whole runs with several objectives, and what readers say of them."""

import math
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pure import Pure, block

import ramet
from ramet.core.engine import Terms
from ramet.core.events import Began, Kept, Opened, Reported
from ramet.core.pareto import front, hypervolume, ranks
from ramet.core.population import Population
from ramet.core.scene import Scene
from ramet.errors import ConfigError
from ramet.schedulers import Either, ParetoTruncation, Resample, Shift
from ramet.space import Space
from ramet.strategy.exploit import quantile_size
from ramet.view.front import told
from ramet.view.summary import summary

NAN = math.nan
LR = {"lr": ramet.uniform(0.0, 1.0)}
BOTH = {"accuracy": "max", "size": "min"}


def mo(metrics=None, **arguments):
    """A strategy on iterations."""
    given = {"time_attr": "training_iteration", "perturbation_interval": 5, "hyperparam_mutations": LR}
    return ramet.MultiObjectivePBT(BOTH if metrics is None else metrics, **{**given, **arguments})


def population_at(points, metrics=None, seed=0):
    """A population whose members reported these objectives, as they are told by users."""
    metrics = BOTH if metrics is None else metrics
    population = Population()
    population.apply(Began(seed, len(points), {"objectives": metrics, "metric": next(iter(metrics))}))
    for number, values in enumerate(points):
        population.apply(Opened(number, number, None, 0, {"lr": 0.5}))
        population.apply(Reported(number, 1, 5, dict(zip(metrics, values, strict=True)), "", "", 0.0))
        population.apply(Kept(number, 5, 5.0, float(values[0]), 0.0, 0.0))
    return population


def decided(points, strategy=None, **more):
    """By member, the decision about members that reported these objectives."""
    population = population_at(points, **more)
    strategy = strategy or mo()
    decisions = strategy.decide(Scene.of(population, Space(None, strategy.mutations), range(len(points))))
    return {decision.member: decision for decision in decisions}


def clones(points, strategy=None, seeds=40):
    """By member that clones, all donors that it has over many seeds."""
    found = {}
    for seed in range(seeds):
        for member, decision in decided(points, strategy, seed=seed).items():
            if decision.verdict == "exploit":
                found.setdefault(member, set()).add(decision.info["donor"])
    return found


# ---------------------------------------------------------------------- who clones whom


def test_the_last_front_clones_the_first():
    """Members of the worst front clone those that nothing beats, however different these are."""
    points = [(9.0, 9.0), (1.0, 1.0), (8.0, 9.5), (0.5, 2.0), (5.0, 9.0), (0.9, 9.0), (7.0, 9.2), (6.0, 9.3)]
    assert clones(points) == {5: {0, 1}, 7: {0, 1}}
    assert {decision.reason for decision in decided(points).values()} == {
        "not among the worst",
        "cloned a better member",
    }


def test_on_one_front_the_crowded_make_room():
    """Where nobody beats anybody, who lies in the crowd clones one of those that lie apart."""
    points = [(0.0, 0.0), (10.0, 10.0), (5.0, 5.0), (5.1, 5.1), (5.2, 5.2), (2.5, 2.5), (7.5, 7.5), (10.1, 10.2)]
    assert clones(points) == {2: {0, 7}, 4: {0, 7}}
    reasons = {d.reason for d in decided(points).values() if d.verdict == "exploit"}
    assert reasons == {"left a crowded place for a better one of its front"}


def test_units_play_no_part():
    """The same members are cloned if one objective is told in a unit a million times as large."""
    points = [(0.1 * m, float((3 * m) % 8)) for m in range(8)]
    assert clones(points) == clones([(a, 1e6 * b) for a, b in points])


def test_equals_and_those_without_a_number():
    """Equals clone nobody; a member without a number in some objective clones at once, and is cloned by nobody."""
    assert clones([(1.0, 1.0)] * 6) == {}
    assert clones([(NAN, 1.0), (1.0, NAN), (NAN, NAN)]) == {}
    points = [(1.0, 1.0), (99.0, NAN), (2.0, 1.0), (NAN, -9.0), (2.0, 1.1)]
    assert clones(points) == {1: {2, 4}, 3: {2, 4}}


vectors = st.integers(2, 3).flatmap(
    lambda size: st.lists(
        st.tuples(*[st.one_of(st.integers(0, 5).map(float), st.just(NAN))] * size), min_size=1, max_size=12
    )
)


@settings(max_examples=150, deadline=None)
@given(vectors, st.sampled_from([0.1, 0.25, 0.5]))
def test_the_laws_of_pareto_truncation(points, fraction):
    """As many clone as the quantile holds and NaN asks for; nobody clones one of a worse front; donors are numbers."""
    names = {f"m{k}": "max" for k in range(len(points[0]))}
    rank = ranks(points)
    size = quantile_size(len(points), fraction)
    unknown = {m for m, point in enumerate(points) if any(map(math.isnan, point))}
    found = decided(points, mo(names, quantile_fraction=fraction), metrics=names)
    tried = {m for m, decision in found.items() if decision.verdict != "continue"}
    assert len(tried - unknown) <= size
    assert tried >= (unknown if size else set())
    if size:
        assert len(tried) >= size
    for member in tried:
        donor = found[member].info.get("donor")
        if donor is not None:
            assert donor not in unknown
            assert rank[donor] <= rank[member]
            assert points[donor] != points[member]
    for member in set(found) - tried:
        assert size == 0 or all(rank[member] <= rank[other] for other in tried)


def test_with_one_objective_it_is_truncation():
    """Where points have no objectives the score alone counts, and the worst quarter clones the best."""
    population = population_at([(float(m), 0.0) for m in range(8)])
    for member in population.members:
        object.__setattr__(member.point, "objectives", ())
    choices = ParetoTruncation(0.25)(Scene.of(population, Space(None, LR), range(8)))
    assert {m for m, choice in choices.items() if choice.donor is not None} == {0, 1}
    assert {choice.donor for choice in choices.values()} <= {None, 6, 7}


def test_a_failed_members_place_goes_to_a_clone_of_the_front():
    """Whoever takes the place of a failed member is a clone of one that nothing beats, not of the best by score."""
    points = [(9.0, 9.0), (8.0, 9.1), (7.0, 9.2), (1.0, 1.0), (NAN, 0.0)]
    found = set()
    for seed in range(40):
        strategy = mo()
        scene = Scene.of(population_at(points, seed=seed), Space(None, LR), range(5))
        found.add(strategy.replace(scene, 2).info["donor"])
    assert found == {0, 3}
    nobody = Scene.of(population_at([(NAN, 1.0)] * 3), Space(None, LR), range(3))
    assert mo().replace(nobody, 0) is None


def test_the_hypervolume_is_kept_with_decisions():
    """With a reference, decisions that make a clone hold the hypervolume of that moment; without one they do not."""
    points = [(0.5, 4.0), (0.9, 8.0), (0.1, 9.0), (0.4, 7.0)]
    told = [d.info.get("hypervolume") for d in decided(points, mo(reference={"size": 10, "accuracy": 0})).values()]
    volume = 0.5 * 6 + 0.4 * 2
    assert [value for value in told if value is not None] == [pytest.approx(volume)]
    assert not any("hypervolume" in d.info for d in decided(points).values())


# ---------------------------------------------------------------------- arguments

WRONG = [
    ({"metrics": {"a": "max"}}, "metrics=.*PopulationBasedTraining"),
    ({"metrics": ["a", "b"]}, "metrics"),
    ({"metrics": {"a": "max", "b": "up"}}, "'b': 'up'"),
    ({"metrics": {"a": "max", "": "min"}}, "metrics"),
    ({"metric": "loss"}, "metric='loss'"),
    ({"mode": "max"}, "mode='max'"),
    ({"reference": {"accuracy": 0}}, "reference"),
    ({"reference": {"accuracy": 0, "size": NAN}}, r"reference=\{'size': nan\}"),
    ({"reference": {"accuracy": "0", "size": 1}}, r"reference=\{'accuracy'"),
    ({"quantile_fraction": 0.7}, "quantile_fraction"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG, ids=repr)
def test_arguments_out_of_range_are_refused(arguments, message):
    """What cannot work is refused by its name, before any work."""
    with pytest.raises(ConfigError, match=message):
        mo(**arguments)


def test_the_score_is_the_first_objective_unless_another_is_named():
    """TuneConfig needs neither metric nor mode; given there too, they are refused as given twice."""
    config = ramet.TuneConfig(scheduler=mo())
    assert config.objective() == ("accuracy", "max")
    assert ramet.TuneConfig(scheduler=mo(metric="size")).objective() == ("size", "min")
    with pytest.raises(ConfigError, match="metric is given twice"):
        ramet.TuneConfig(metric="accuracy", mode="max", scheduler=mo()).objective()


def test_what_is_told_of_it():
    """The record has objectives, score and reference as plain data, and a rule that was given instead."""
    plain = mo(reference={"accuracy": 0, "size": 10}).describe()
    assert plain["objectives"] == BOTH
    assert (plain["metric"], plain["mode"], plain["quantile_fraction"]) == ("accuracy", "max", 0.25)
    assert plain["reference"] == {"accuracy": 0.0, "size": 10.0}
    assert "exploit" not in plain
    assert mo().describe()["reference"] is None
    assert "Groups" in mo(exploit=ramet.schedulers.Groups(2, ParetoTruncation())).describe()["exploit"]


# ---------------------------------------------------------------------- whole runs


def trading(config):
    """Get more accurate and larger: fast where the rate is high, and smaller where it is low."""
    checkpoint = ramet.get_checkpoint()
    accuracy, size = checkpoint.to_dict()["at"] if checkpoint else (0.0, 100.0)
    while True:
        accuracy, size = accuracy + config["lr"], size - (1 - config["lr"])
        told = {"accuracy": accuracy, "size": size}
        if config.get("forgets") and accuracy > 1:
            told.pop("size")
        ramet.report(told, checkpoint=ramet.Checkpoint.from_dict({"at": (accuracy, size)}))


def tuner(folder, name, strategy=None, *, executor="inline", stop=30, space=None, **run):
    """A tuner of eight members that trade accuracy for size."""
    return ramet.Tuner(
        trading,
        param_space=space,
        tune_config=ramet.TuneConfig(scheduler=strategy or mo(synch=True), num_samples=8, seed=3),
        run_config=ramet.RunConfig(
            name=name,
            storage_path=folder,
            verbose=0,
            executor=executor,
            stop={"training_iteration": stop},
            **run,
        ),
    )


def story(grid):
    """What a run came to: every segment with its origin and hyperparameters."""
    return [(s.member, s.parent, s.start, dict(s.hparams), dict(s.info)) for s in grid.population.segments]


def test_a_run_is_the_same_on_any_executor_and_after_a_resume(tmp_path):
    """Synchronously, worker processes, the controller's own, and a run that was taken up come to the same."""
    strategy = mo(synch=True, reference={"accuracy": 0, "size": 100})
    whole = tuner(tmp_path, "inline", strategy).fit()
    assert whole.num_errors == 0
    assert whole.population.exploits > 0
    assert whole.population.facts["objectives"] == BOTH
    processes = tuner(tmp_path, "process", strategy, executor=ramet.ProcessExecutor(slots=2)).fit()
    assert story(processes) == story(whole)
    half = tuner(tmp_path, "half", strategy, stop=15).fit()
    again = ramet.Tuner.restore(half.experiment_path, trading, stop={"training_iteration": 30}).fit()
    assert story(again) == story(whole)
    assert again.hypervolume({"accuracy": 0, "size": 100}) == whole.hypervolume({"accuracy": 0, "size": 100})


def test_an_asynchronous_run_reaches_its_end(tmp_path):
    """Members that decide for themselves clone, and all of them get to the end."""
    grid = tuner(tmp_path, "asynch", mo(), executor=ramet.InlineExecutor(3)).fit()
    assert grid.num_errors == 0
    assert grid.population.exploits > 0
    assert {result.iteration for result in grid} == {30}


def test_a_member_that_forgets_an_objective_fails_alone(tmp_path):
    """A report without one of the objectives ends that member, with a message that names it; all others go on."""
    space = {"forgets": ramet.grid_search([False, True])}
    grid = tuner(tmp_path, "forgetful", mo(), space=space).fit()
    failed = [result for result in grid if result.state == "failed"]
    assert failed
    assert len(failed) < len(grid)
    assert all(result.config["forgets"] for result in failed)
    message = str(failed[0].error)
    assert "'size', which MultiObjectivePBT looks at, is not among the reported metrics ['accuracy']" in message
    assert f"member {failed[0].member}" in message


def test_failed_members_are_replaced(tmp_path):
    """With exhausted="replace" clones of the front take the places of those that failed, and all get to the end."""
    failure = ramet.FailureConfig(exhausted="replace")
    space = {"forgets": ramet.grid_search([False, True])}
    grid = tuner(tmp_path, "replaced", mo(), space=space, failure_config=failure).fit()
    assert grid.num_errors == 0
    assert grid.population.verdicts["exploit", "took the place of a failed one"] > 0
    assert {result.iteration for result in grid} == {30}


def test_runs_without_objectives_know_nothing_of_them(tmp_path):
    """A run scored by one metric records no objectives, says nothing of a front, and asks for metrics."""
    pbt = ramet.PopulationBasedTraining(
        time_attr="training_iteration", perturbation_interval=5, metric="accuracy", mode="max",
        hyperparam_mutations=LR, synch=True,
    )  # fmt: skip
    grid = tuner(tmp_path, "pbt", pbt).fit()
    assert "objectives" not in grid.population.facts
    assert told(grid.population) is None
    assert "front" not in words(grid)
    assert all(point.objectives == () for s in grid.population.segments for point in s.points)
    for ask in (grid.pareto_front, lambda: grid.hypervolume({"accuracy": 0})):
        with pytest.raises(ConfigError, match=r"metrics=None.*give metrics"):
            ask()
    assert len(grid.pareto_front(BOTH)) >= 1
    assert grid.hypervolume({"accuracy": 0, "size": 100}, BOTH) > 0


# ---------------------------------------------------------------------- what readers say


def words(grid):
    """The summary as text."""
    return "\n".join("".join(text for text, _ in line) for line in summary(grid.population, grid._path, 1.0))


def saying(config):
    """Report what the configuration says, once with a checkpoint."""
    at = ramet.get_checkpoint()
    if at is None:
        ramet.report(dict(config["says"]), checkpoint=ramet.Checkpoint.from_dict({}))


def said(folder, *rows, strategy=None):
    """The results of members that reported such rows."""
    return ramet.Tuner(
        saying,
        param_space={"says": ramet.grid_search([dict(zip(("accuracy", "size"), row, strict=True)) for row in rows])},
        tune_config=ramet.TuneConfig(scheduler=strategy or mo()),
        run_config=ramet.RunConfig(storage_path=folder, verbose=0, executor="inline"),
    ).fit()


ROWS = [(0.5, 4.0), (0.9, 8.0), (0.1, 9.0), (0.5, 4.0), (NAN, 1.0), (0.4, 3.0), (math.inf, 0.0)]


def test_the_front_of_the_results(tmp_path):
    """It has the members that no other beats, equal ones too, by the first metric; those without numbers are out."""
    grid = said(tmp_path, *ROWS)
    assert [result.member for result in grid.pareto_front()] == [1, 0, 3, 5]
    assert [result.member for result in grid.pareto_front({"size": "min"})] == [6]
    assert [result.member for result in grid.pareto_front({"size": "max", "accuracy": "max"})] == [2, 1]
    assert [result.member for result in grid.pareto_front({"nothing": "max"})] == []


def test_the_hypervolume_of_the_results(tmp_path):
    """It is the area between the front and the reference, in the units of the metrics, worked out by hand."""
    grid = said(tmp_path, *ROWS)
    assert grid.hypervolume({"accuracy": 0.0, "size": 10.0}) == pytest.approx(0.4 * 7 + 0.1 * 6 + 0.4 * 2)
    assert grid.hypervolume({"size": 3.5, "accuracy": 0.0}) == pytest.approx(0.4 * 0.5)
    assert grid.hypervolume({"accuracy": 1.0, "size": 10.0}) == 0.0
    assert grid.hypervolume({"accuracy": 0.0}, {"accuracy": "max"}) == pytest.approx(0.9)
    assert ramet.ResultGrid(grid.experiment_path).hypervolume({"accuracy": 0.0, "size": 3.5}) == pytest.approx(0.2)


ASKED = [
    ({"reference": {"accuracy": 0.0}}, "reference"),
    ({"reference": (0.0, 1.0)}, "reference"),
    ({"reference": {"accuracy": 0.0, "size": NAN}}, "'size': nan"),
    ({"reference": {"accuracy": 0.0, "size": 1.0}, "metrics": ["accuracy", "size"]}, "metrics"),
    ({"reference": {"accuracy": 0.0}, "metrics": {"accuracy": "high"}}, "metrics"),
]


def test_what_cannot_be_compared_is_refused(tmp_path):
    """A reference that does not fit the metrics, and metrics that are none, are refused by name."""
    grid = said(tmp_path, *ROWS)
    for arguments, message in ASKED:
        with pytest.raises(ConfigError, match=message):
            grid.hypervolume(**arguments)


def test_the_summary_tells_the_front(tmp_path):
    """The summary says how many are on the front, and with a reference the hypervolume, as the results have it."""
    assert "front      4 of 7 members, which no other beats in accuracy and size at once\n" in words(
        said(tmp_path, *ROWS)
    )
    grid = said(tmp_path, *ROWS, strategy=mo(reference={"accuracy": 0, "size": 10}))
    assert "at once; hypervolume 4.2 beyond accuracy 0, size 10\n" in words(grid)


def test_the_summary_agrees_with_the_results(tmp_path):
    """After a run with clones, some of which have not reported since, both count the same front."""
    for stop in (10, 13, 30):
        grid = tuner(tmp_path, f"run{stop}", mo(reference={"accuracy": 0, "size": 100}), stop=stop).fit()
        volume = grid.hypervolume({"accuracy": 0, "size": 100})
        line = told(grid.population)
        assert line.startswith(f"{len(grid.pareto_front())} of 8 members")
        assert float(line.split("hypervolume ")[1].split()[0]) == pytest.approx(volume, rel=1e-3)


# ---------------------------------------------------------------------- does it find fronts

SPACE = {"w": ramet.uniform(0.0, 1.0), "lr": ramet.uniform(0.0, 1.0)}
STEPS, EVERY, MEMBERS, SEEDS = 120, 5, 32, 20


def grown(state, config):
    """Two skills, each with diminishing returns, share what a step gives by ``w``; the best ``lr`` moves with them."""
    a, b = state
    for _ in range(EVERY):
        gain = 0.02 * math.exp(-(((config["lr"] - 0.2 - 0.3 * (a + b)) / 0.1) ** 2))
        a, b = a + gain * config["w"] * (1 - a), b + gain * (1 - config["w"]) * (1 - b)
    return a, b


def reached(strategy, seed):
    """What a population ends with, trained without any executor."""
    objectives = dict(strategy.objectives)
    run = Pure(
        MEMBERS, strategy=strategy, seed=seed, terms=Terms("mean", "max", objectives=objectives),
        facts={"objectives": objectives} if objectives else None,
    )  # fmt: skip
    population, states = run.population, {}
    for _ in range(STEPS // EVERY):
        for member in range(MEMBERS):
            segment = population.current(member)
            start = (segment.number, segment.last) if segment.last > segment.start else (segment.parent, segment.start)
            a, b = grown(states.get(start, (0.0, 0.0)), segment.hparams)
            states[segment.number, segment.last + EVERY] = (a, b)
            metrics = {"a": a, "b": b, "mean": (a + b) / 2}
            run.hand(member, block(segment.last + 1, segment.last + EVERY, metrics=metrics), waiting=True)
    return [states[member.point.checkpoint] for member in population.members]


def rivals():
    """The strategies that are compared, new ones."""
    common = {
        "time_attr": "training_iteration", "perturbation_interval": EVERY, "hyperparam_mutations": SPACE, "synch": True,
    }  # fmt: skip
    return {
        "search": ramet.PopulationBasedTraining(**common, quantile_fraction=0),
        "mean": ramet.PopulationBasedTraining(**common),
        "front": ramet.MultiObjectivePBT({"a": "max", "b": "max"}, **common),
    }


def test_it_finds_better_fronts_than_search_and_than_the_mean_of_both():
    """Over twenty seeds its hypervolume is above that of both rivals by more than two standard errors."""
    found = {
        name: [hypervolume(reached(strategy, seed), (0.0, 0.0)) for seed in range(SEEDS)]
        for name, strategy in rivals().items()
    }
    for name in ("search", "mean"):
        gaps = [ours - theirs for ours, theirs in zip(found["front"], found[name], strict=True)]
        assert statistics.fmean(gaps) > 2 * statistics.stdev(gaps) / math.sqrt(SEEDS), (name, found)


def test_its_population_is_spread_over_the_front():
    """At the end most members lie on the front, and reach from one skill to the other."""
    points = reached(rivals()["front"], 0)
    best = [points[at] for at in front(points)]
    assert len(best) > MEMBERS / 3
    assert max(a - b for a, b in best) > 0.3
    assert min(a - b for a, b in best) < -0.3


def test_the_papers_mutation_can_be_given():
    """The mutation of the paper is a rule by key, and what it gives is in the domain."""
    strategy = mo(explore={"lr": Either(0.2, Resample(), Shift())})
    values = set()
    for seed in range(60):
        values |= {
            round(d.hparams["lr"], 3)
            for d in decided([(0.5, 4.0), (0.1, 9.0)], strategy, seed=seed).values()
            if d.hparams is not None
        }
    assert {0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8} <= values
