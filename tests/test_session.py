"""What a training function calls: alone it does the sensible thing, in a run it repeats exactly."""

import math
import random

import numpy as np
import pytest

import ramet
from ramet import session
from ramet.core.events import Decided, Kept
from ramet.errors import CheckpointError, ReportError
from ramet.record import Record

# ---------------------------------------------------------------------- outside of a run


@pytest.fixture
def alone(monkeypatch):
    """A process that has not reported yet."""
    monkeypatch.setattr(session, "_alone", {})


PRINTED = {
    "a number": ({"loss": 0.25}, None, "iteration 1: loss=0.25"),
    "rounded": ({"loss": 1 / 3}, None, "iteration 1: loss=0.333333"),
    "all kinds": ({"a": 1, "b": True, "c": "x", "d": None}, None, "iteration 1: a=1 b=True c=x d=None"),
    "nested": ({"a": {"b": 1, "c": {"d": 2}}}, None, "iteration 1: a/b=1 a/c/d=2"),
    "of numpy": (
        {"a": np.float32(0.5), "b": np.array(2), "c": np.array([1, 2])},
        None,
        "iteration 1: a=0.5 b=2 c=[1, 2]",
    ),
    "nothing": ({}, None, "iteration 1:"),
    "NaN": ({"a": math.nan}, None, "iteration 1: a=nan"),
    "with a checkpoint": ({"a": 1}, ramet.Checkpoint.from_dict({}), "iteration 1: a=1 (with a checkpoint)"),
}


@pytest.mark.parametrize(("metrics", "checkpoint", "line"), PRINTED.values(), ids=PRINTED)
def test_alone_a_report_is_printed(alone, capsys, metrics, checkpoint, line):
    """Outside of a run a report is one line that holds all metrics."""
    ramet.report(metrics, checkpoint=checkpoint)
    assert capsys.readouterr().out.rstrip() == line


@pytest.mark.parametrize(
    ("metrics", "checkpoint", "kind"),
    [
        ([1], None, ReportError),
        ({"a": object()}, None, ReportError),
        ({1: 2}, None, ReportError),
        ({}, {}, CheckpointError),
    ],
)
def test_alone_a_bad_report_is_refused_as_in_a_run(alone, capsys, metrics, checkpoint, kind):
    """Trying a function alone finds the mistakes that a run would find, before anything is printed."""
    with pytest.raises(kind, match=r"report\("):
        ramet.report(metrics, checkpoint=checkpoint)
    assert capsys.readouterr().out == ""
    assert ramet.get_context().iteration == 0


def test_alone_a_pin_is_taken_and_needs_a_checkpoint(alone, capsys):
    """Outside of a run a checkpoint may be pinned as in one, and what is not there may not."""
    ramet.report({"a": 1}, checkpoint=ramet.Checkpoint.from_dict({}), pin=True)
    assert capsys.readouterr().out == "iteration 1: a=1 (with a checkpoint)\n"
    with pytest.raises(ReportError, match=r"pin=True.* has no checkpoint to keep"):
        ramet.report({"a": 1}, pin=True)
    assert ramet.get_context().iteration == 1


def test_alone_everything_has_its_sensible_answer(alone, capsys):
    """Nothing to continue from, nothing to wait for, no member; iterations count, and draws repeat."""
    context = ramet.get_context()
    assert (context.member, context.run, context.slot, context.iteration, context.seed) == (None, None, None, 0, 0)
    assert (context.get_trial_id(), context.get_trial_name(), context.get_experiment_name()) == (None, None, None)
    assert ramet.get_checkpoint() is None
    assert ramet.should_checkpoint() is False
    for _ in range(3):
        ramet.report({"a": 1})
    assert ramet.get_context().iteration == 3
    assert [line.split(":")[0] for line in capsys.readouterr().out.splitlines()] == [
        f"iteration {n}" for n in (1, 2, 3)
    ]
    assert ramet.rng() is ramet.rng()
    assert ramet.rng().random() == np.random.default_rng(0).random()


def test_alone_a_checkpoint_dir_is_new_and_empty(alone):
    """Each call gives another empty directory, which a checkpoint can be made of."""
    one, other = ramet.checkpoint_dir(), ramet.checkpoint_dir()
    try:
        assert one != other
        assert list(one.iterdir()) == []
        (one / "file").write_text("1")
        with ramet.Checkpoint.from_directory(one).as_directory() as directory:
            assert directory == str(one)
    finally:
        (one / "file").unlink()
        one.rmdir()
        other.rmdir()


# ---------------------------------------------------------------------- in a run


def run(tmp_path, function, executor="inline", *, space=None, scheduler=None, members=4, stop=None, seed=0, **more):
    """Train ``function`` and return the results."""
    return ramet.Tuner(
        function,
        param_space=space or {},
        tune_config=ramet.TuneConfig(metric="score", mode="max", scheduler=scheduler, num_samples=members, seed=seed),
        run_config=ramet.RunConfig(
            name="run", storage_path=tmp_path, verbose=0, executor=executor, stop=stop,
            failure_config=ramet.FailureConfig(max_failures=3), **more,
        ),
    ).fit()  # fmt: skip


def pbt(**arguments):
    """A synchronous scheduler over one rate, every 5 iterations."""
    given = {
        "time_attr": "training_iteration",
        "perturbation_interval": 5,
        "hyperparam_mutations": {"rate": ramet.uniform(0.1, 2.0)},
        "synch": True,
    }
    return ramet.PopulationBasedTraining(**{**given, **arguments})


def telling(config):
    """Report where it is."""
    for step in range(1, 9):
        context = ramet.get_context()
        ramet.report(
            {
                "score": step * config["rate"],
                "iteration": context.iteration,
                "member": context.member,
                "run": context.get_experiment_name(),
                "slot": context.slot,
                "seed": context.seed,
                "trial": context.get_trial_id(),
                "name": context.get_trial_name(),
            },
            checkpoint=ramet.Checkpoint.from_dict({"step": step}),
        )


@pytest.mark.parametrize("executor", [ramet.InlineExecutor(2), ramet.ProcessExecutor(2)], ids=repr)
def test_a_function_knows_where_it_is(tmp_path, executor):
    """Context names the member, the run, the slot and the iteration; the seed is a segment's own, whatever ran it."""
    results = run(tmp_path, telling, executor, scheduler=pbt(quantile_fraction=0.5), stop={"training_iteration": 8})
    seeds = {}
    for result in results:
        frame = result.metrics_dataframe
        assert list(frame["iteration"]) == list(frame["training_iteration"] - 1)
        assert set(frame["member"]) == {result.member}
        assert set(frame["trial"]) == set(frame["name"]) == {f"{result.member:05d}"}
        assert set(frame["run"]) == {"run"}
        assert set(frame["slot"]) <= {0, 1}
        for segment, seed in zip(frame["segment"], frame["seed"], strict=True):
            assert seeds.setdefault(segment, seed) == seed
    assert len(set(seeds.values())) == len(seeds) > 4
    assert all(0 <= seed < 2**31 for seed in seeds.values())
    again = run(tmp_path / "again", telling, scheduler=pbt(quantile_fraction=0.5), stop={"training_iteration": 8})
    assert (
        dict(zip(again[0].metrics_dataframe["segment"], again[0].metrics_dataframe["seed"], strict=True)).items()
        <= seeds.items()
    )


# ---------------------------------------------------------------------- should_checkpoint


def saving_when_asked(config):
    """Save only where a decision waits."""
    checkpoint = ramet.get_checkpoint()
    step = checkpoint.to_dict()["step"] if checkpoint else 0
    while step < 30:
        step += 1
        saved = ramet.Checkpoint.from_dict({"step": step}) if ramet.should_checkpoint() else None
        ramet.report({"score": step * config.get("rate", 1.0), "steps": 10 * step}, checkpoint=saved)


def points(results, kind):
    """Where events of a kind happened, by member."""
    record = Record.open(results.experiment_path)
    members = {segment.number: segment.member for segment in results.population.segments}
    found = {result.member: [] for result in results}
    for event in record.events():
        if isinstance(event, kind):
            found[members[event.segment]].append(event.iteration)
    record.close()
    return found


ASKED = {
    "every interval": ({}, [5, 10, 15, 20, 25, 30]),
    "asynchronously": ({"synch": False, "quantile_fraction": 0}, [5, 10, 15, 20, 25, 30]),
    "after the burn-in": ({"burn_in_period": 12}, [12, 17, 22, 27]),
    "by steps": ({"time_attr": "steps", "perturbation_interval": 45}, [6, 12, 18, 24, 30]),
    "rarely": ({"perturbation_interval": 100}, []),
}


@pytest.mark.parametrize(("arguments", "expected"), ASKED.values(), ids=ASKED)
def test_should_checkpoint_is_true_exactly_where_a_decision_waits(tmp_path, arguments, expected):
    """Who saves only when asked saves at each decision point and never in vain."""
    results = run(tmp_path, saving_when_asked, scheduler=pbt(**arguments))
    kept = points(results, Kept)
    assert list(kept.values()) == [expected] * 4
    assert points(results, Decided) == kept


@pytest.mark.parametrize("executor", [ramet.ProcessExecutor(2), ramet.InlineExecutor(1)], ids=repr)
def test_should_checkpoint_is_the_same_everywhere(tmp_path, executor):
    """The answer does not depend on where members run, nor on whether they share a slot."""
    results = run(tmp_path, saving_when_asked, executor, scheduler=pbt())
    assert list(points(results, Kept).values()) == [[5, 10, 15, 20, 25, 30]] * 4
    assert results.population.exploits > 0


def test_on_the_clock_nothing_is_saved_in_vain(tmp_path):
    """With decisions by time, each checkpoint that was asked for brings a decision."""
    scheduler = pbt(time_attr="time_total_s", perturbation_interval=4.5)
    results = run(tmp_path, saving_when_asked, ramet.SimulatedExecutor(seconds=1.0), scheduler=scheduler)
    kept = points(results, Kept)
    assert all(len(iterations) >= 4 for iterations in kept.values())
    assert points(results, Decided) == kept


def test_without_decisions_nobody_asks(tmp_path):
    """Where nothing is ever decided, nothing needs to be saved."""
    results = run(tmp_path, saving_when_asked)
    assert list(points(results, Kept).values()) == [[]] * 4


# ---------------------------------------------------------------------- draws


def drawing(config):
    """Draw from every generator, after the usual order: build, read the checkpoint, train."""
    weight = random.random() + np.random.random()  # what building a model draws
    checkpoint = ramet.get_checkpoint()
    step = 0
    if checkpoint is not None:
        state = checkpoint.to_dict()
        step, weight = state["step"], state["weight"]
    while step < 12:
        step += 1
        weight += config["rate"] * (random.random() + np.random.normal() + ramet.rng().random())
        saved = ramet.Checkpoint.from_dict({"step": step, "weight": weight}) if step % config["every"] == 0 else None
        ramet.report({"score": weight, "python": random.random(), "own": float(ramet.rng().normal())}, checkpoint=saved)
        if step == config["dies"] and checkpoint is None:
            raise RuntimeError("start me again")


def drawn(results):
    """All numbers that came of a run, by member."""
    return [
        result.metrics_dataframe[["training_iteration", "score", "python", "own"]].values.tolist() for result in results
    ]


@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize("scheduled", [True, False], ids=["pbt", "alone"])
def test_members_draw_the_same_wherever_and_however_often_they_run(tmp_path, every, scheduled):
    """Every number repeats: with a slot for each member or one for all, after deaths, and in other processes."""
    reference = None
    for number, (executor, dies) in enumerate(
        [
            (ramet.InlineExecutor(), 99),
            (ramet.InlineExecutor(1), 99),
            (ramet.InlineExecutor(3), 7),
            (ramet.InlineExecutor(1), 11),
            *([(ramet.ProcessExecutor(1), 8)] if every == 3 else []),
        ]
    ):
        results = run(
            tmp_path / str(number), drawing, executor,
            space={"every": every, "dies": dies, "rate": ramet.uniform(0.1, 2)},
            scheduler=pbt(perturbation_interval=3) if scheduled else None,
        )  # fmt: skip
        assert results.num_errors == 0
        reference = reference or drawn(results)
        assert drawn(results) == reference, (executor, dies)
        assert (results.population.exploits > 0) == scheduled
    assert len({tuple(row[2:]) for rows in reference for row in rows}) == sum(map(len, reference)), "no number twice"


def test_another_seed_draws_other_numbers(tmp_path):
    """What is drawn follows from the run's seed."""
    space = {"every": 1, "dies": 99, "rate": 1.0}
    first, second = (drawn(run(tmp_path / str(seed), drawing, space=space, seed=seed)) for seed in (0, 1))
    assert first != second


def test_a_generator_that_is_kept_in_a_variable_is_the_same_one(tmp_path):
    """rng() is seeded in place at each checkpoint, so a reference to it draws what a new call would draw."""

    def keeping(config):
        mine = ramet.rng()
        for _ in range(6):
            assert ramet.rng() is mine
            ramet.report({"score": mine.random()}, checkpoint=ramet.Checkpoint.from_dict({}))

    def asking(config):
        for _ in range(6):
            ramet.report({"score": ramet.rng().random()}, checkpoint=ramet.Checkpoint.from_dict({}))

    kept, asked = (run(tmp_path / f.__name__, f) for f in (keeping, asking))
    assert [list(r.metrics_dataframe["score"]) for r in kept] == [list(r.metrics_dataframe["score"]) for r in asked]


def without_checkpoints(config):
    """Draw for long enough that reports are handed over in between."""
    for _ in range(4100):
        ramet.report({"score": random.random()})


def test_what_a_callback_draws_changes_nothing(tmp_path):
    """User code in the controller may draw as it likes: members' numbers do not depend on it."""

    class Drawing(ramet.Callback):
        def on_report(self, member, iteration, metrics):
            random.random()

    quiet = run(tmp_path / "quiet", without_checkpoints, members=1)
    loud = run(tmp_path / "loud", without_checkpoints, members=1, callbacks=[Drawing()])
    assert list(quiet[0].metrics_dataframe["score"]) == list(loud[0].metrics_dataframe["score"])


def test_a_run_leaves_the_callers_generators_alone(tmp_path):
    """A script draws the same numbers after a run as it would have without one."""
    random.seed(1)
    np.random.seed(1)
    expected = random.random(), np.random.random()
    random.seed(1)
    np.random.seed(1)
    run(tmp_path, without_checkpoints, members=1)
    assert (random.random(), np.random.random()) == expected


# ---------------------------------------------------------------------- what may be reported

TAKEN = {
    "an int": (3, 3),
    "a truth": (True, True),
    "a word": ("é☃", "é☃"),
    "nothing": (None, None),
    "a huge int": (10**30, 10**30),
    "numpy's float": (np.float32(0.5), 0.5),
    "numpy's int": (np.int8(-3), -3),
    "numpy's truth": (np.bool_(False), False),
    "numpy's word": (np.str_("a"), "a"),
    "an array of one": (np.array([[2.5]]), 2.5),
    "an array": (np.arange(4).reshape(2, 2), [[0, 1], [2, 3]]),
    "an empty array": (np.zeros(0), []),
    "a list": ([1, (2.5, "a")], [1, [2.5, "a"]]),
    "infinity": (math.inf, math.inf),
}


def test_a_pin_without_a_checkpoint_is_no_report(tmp_path):
    """In a run a pin of nothing is refused like any bad report, before it counts; nobody is tried again for it."""

    def pinning(config):
        ramet.report({"score": 1.0}, checkpoint=ramet.Checkpoint.from_dict({}), pin=True)
        ramet.report({"score": 2.0}, pin=True)

    (result,) = run(tmp_path, pinning, members=1)
    assert "pass checkpoint= with it" in str(result.error)
    assert (result.iteration, result.state) == (1, "failed")


def test_every_kind_of_value_comes_back_as_pythons_own(tmp_path):
    """Scalars of any library are kept as numbers, arrays as lists, nested dicts as flat names."""

    def reporting(config):
        ramet.report(
            {"score": 1.0, **{name: value for name, (value, _) in TAKEN.items()}, "deep": {"er": {"a": 1}, "b": 2}}
        )

    (result,) = run(tmp_path, reporting, members=1)
    for name, (_, expected) in TAKEN.items():
        assert result.metrics[name] == expected, name
        assert type(result.metrics[name]) is type(expected), name
    assert (result.metrics["deep/er/a"], result.metrics["deep/b"]) == (1, 2)


def test_what_is_reported_is_taken_as_it_is_then(tmp_path):
    """A dict, a list or an array that is changed after the report, or reported again, changes no row."""

    def reusing(config):
        metrics, array, words = {"score": 0.0}, np.zeros(2), [0]
        for step in range(3):
            metrics["score"] += 1.0
            array += 1
            words[0] = step
            ramet.report({**metrics, "array": array, "words": words})
            ramet.report(metrics)
        metrics["score"] = array[0] = words[0] = -1

    (result,) = run(tmp_path, reusing, members=1)
    frame = result.metrics_dataframe
    assert list(frame["score"]) == [1.0, 1.0, 2.0, 2.0, 3.0, 3.0]
    assert list(frame["array"])[::2] == [[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]]
    assert list(frame["words"])[::2] == [[0], [1], [2]]


def test_a_member_that_catches_its_own_mistake_goes_on(tmp_path):
    """A report that was refused is no iteration; a function that handles the error loses nothing."""

    def careful(config):
        for step in (1, 2, 3):
            with pytest.raises(ReportError):
                ramet.report({"score": object()})
            ramet.report({"score": float(step)})

    (result,) = run(tmp_path, careful, members=1)
    assert list(result.metrics_dataframe["score"]) == [1.0, 2.0, 3.0]
    assert result.error is None


def test_a_list_that_is_changed_after_it_was_reported_is_in_the_row_as_it_was(tmp_path):
    """Each row has the list's content at its report, however often the same list is reported."""

    def train(config):
        found = []
        for step in range(4):
            found.append(step)
            ramet.report({"found": found})
        found.append("too late")

    run_config = ramet.RunConfig(storage_path=tmp_path, executor="inline", verbose=0)
    results = ramet.Tuner(train, run_config=run_config).fit()
    assert list(results[0].metrics_dataframe["found"]) == [[0], [0, 1], [0, 1, 2], [0, 1, 2, 3]]


def test_rows_with_ever_other_columns_are_sent_as_often_as_others(monkeypatch, tmp_path):
    """A block for each row does not keep rows in the worker: after so many of them they are handed over."""
    monkeypatch.setattr("ramet.executor.worker.FLUSH_ROWS", 10)
    monkeypatch.setattr("ramet.executor.worker.FLUSH_SECONDS", 1000.0)
    sizes = []

    class Sizes(ramet.Callback):
        def on_report(self, member, iteration, metrics):
            sizes.append(reported[0] - iteration)

    reported = [0]

    def train(config):
        for step in range(1, 101):
            reported[0] = step
            ramet.report({f"x{step % 2}": step})

    run_config = ramet.RunConfig(storage_path=tmp_path, executor="inline", verbose=0, callbacks=[Sizes()])
    ramet.Tuner(train, run_config=run_config).fit()
    assert len(sizes) == 100
    assert max(sizes) < 20
