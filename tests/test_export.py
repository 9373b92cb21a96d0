"""What leaves a run: its tables as files that other programs read, its schedules as code."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import ramet
from ramet.analysis.export import ABOUT, FORMATS, TABLES
from ramet.analysis.plain import as_json, plain
from ramet.errors import ConfigError, RunError
from ramet.schedule import Schedule, Step

HOSTILE = [
    "plain",
    'comma, "quote"',
    "new\nline",
    "\ttab",
    "=1+1",
    "NA",
    "",
    "1",
    "1e5",
    "true",
    "ünïcode",
    " blank ",
    "\x00",
]

EXACT = {} if tuple(map(int, pd.__version__.split(".")[:2])) >= (3, 1) else {"float_precision": "round_trip"}
"""How pandas is told to read numbers as they are, which it does by itself in the end."""


def hostile(config):
    """Report every kind of value under names that no format likes."""
    where, at = ramet.get_context(), 0
    if checkpoint := ramet.get_checkpoint():
        at = checkpoint.to_dict()["at"]
    if where.member == 3:
        raise ValueError('cannot start,\n"quoted"')
    while True:
        at += 1
        row = {
            "score": config["lr"] * at,
            "odd": [math.nan, math.inf, -math.inf, 1e-320, 0.1 + 0.2][at % 5],
            "text": HOSTILE[at % len(HOSTILE)],
            "mixed": [1, "one", None, 2.5, True][at % 5],
            "whole": 2**53 + at,
            "on": at % 2 == 0,
            'a "name", with\nall': at,
            "ends~": None,
        }
        if at % 3 == 0:
            row["seldom"] = at
        ramet.report(row, checkpoint=ramet.Checkpoint.from_dict({"at": at}))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Return a run of such reports, with clones."""
    space = {
        "lr": ramet.loguniform(1e-3, 1.0),
        "layers": ramet.choice([[64, 64], [8]]),
        "pair": (1, "x"),
        "net": {"act": ramet.choice(["relu", "NA"]), "none": None, "big": 2**70},
        "thing": ramet.choice([Path("a"), None]),
    }
    pbt = ramet.PopulationBasedTraining(
        time_attr="training_iteration",
        perturbation_interval=3,
        hyperparam_mutations={"lr": ramet.loguniform(1e-3, 1.0)},
        synch=True,
    )
    tuner = ramet.Tuner(
        hostile,
        param_space=space,
        tune_config=ramet.TuneConfig(metric="score", mode="max", num_samples=5, scheduler=pbt, seed=1),
        run_config=ramet.RunConfig(
            storage_path=tmp_path_factory.mktemp("runs"), stop={"training_iteration": 15}, verbose=0, executor="inline"
        ),
    )
    return ramet.open(tuner.fit().experiment_path)


def read(path, format, columns):
    """Return a table's columns as pandas and nothing of ours reads them, JSON's texts as what they say."""
    if format == "json":
        rows = json.loads(path.read_text(encoding="utf-8"))
        return {name: [row[name] for row in rows] for name in columns}
    if format == "parquet":
        frame = pd.read_parquet(path)
    else:
        frame = pd.read_csv(path, dtype={name: str for name, kind in columns.items() if kind == "json"}, **EXACT)
    assert list(frame.columns) == list(columns)
    found = {}
    for name, kind in columns.items():
        values = [
            None if value is None or value is pd.NA or value != value else value for value in frame[name].tolist()
        ]
        found[name] = [json.loads(v) if kind == "json" and v is not None else v for v in values]
    return found


def expected(values, format):
    """Return the values of a column of ours as a format has them."""
    told = [plain(value) for value in values.tolist()]
    if format != "json" and values.dtype.kind == "f":
        return [None if value != value else value for value in values.tolist()]
    return told


@pytest.mark.parametrize("format", FORMATS)
def test_every_table_comes_back_as_it_was(run, tmp_path, format):
    """All tables in each format hold, read by others, the very values that the run's frames have."""
    files = run.export(tmp_path / "out", format)

    assert [path.name for path in files] == [*(f"{name}.{format}" for name in TABLES), ABOUT]
    about = json.loads((tmp_path / "out" / ABOUT).read_text(encoding="utf-8"))
    assert about["run"] == run.name
    assert about["facts"]["metric"] == "score"
    for name, make in TABLES.items():
        frame, told = make(run), about["tables"][name]
        assert told["rows"] == len(frame) > 0
        found = read(files[list(TABLES).index(name)], format, told["columns"])
        assert len(found) == len(frame.columns)
        for (column, values), written in zip(frame.items(), found.values(), strict=True):
            assert written == expected(values, format), (name, column)


def test_nothing_but_what_was_asked_for_is_written(run, tmp_path):
    """Tables are chosen by name, nothing else is left in the folder, and files may be read by others."""
    files = run.export(tmp_path / "a" / "b", "csv", ["members", "schedule"])

    assert sorted(path.name for path in (tmp_path / "a" / "b").iterdir()) == sorted(path.name for path in files)
    assert len(files) == 3
    (tmp_path / "plain").write_text("")
    assert files[0].stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_the_tables_of_export_are_those_of_the_run(run):
    """The lineage and the schedule are those of `Run.lineage` and `Run.schedule`, and the first is there for all."""
    whole, steps = TABLES["lineage"](run), TABLES["schedule"](run)

    for number in range(5):
        mine = whole[whole["model"] == number]
        told = [(s.segment, s.member, s.first, s.last, s.hparams["lr"]) for s in run.lineage(number)]
        assert list(mine[["segment", "member", "first", "last", "config/lr"]].itertuples(index=False)) == told
        assert mine["step"].tolist() == list(range(len(mine)))
    told = [(s.first, s.last, s.member, s.segment, s.hparams["lr"]) for s in run.schedule()]
    assert list(steps[["first", "last", "member", "segment", "config/lr"]].itertuples(index=False, name=None)) == told


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"format": "xlsx"}, "'xlsx'.*csv, parquet, json"),
        ({"tables": ["members", "trials"]}, "'trials'; there are members, segments"),
        ({"tables": "members"}, "list of names"),
    ],
)
def test_a_wrong_export_is_refused_before_anything_is_written(run, tmp_path, arguments, told):
    """What cannot be exported is told with what can, and no folder is made."""
    with pytest.raises(ConfigError, match=told):
        run.export(tmp_path / "out", **arguments)
    assert not (tmp_path / "out").exists()


def test_nothing_is_overwritten_unless_told(run, tmp_path):
    """Files that are in the way stay as they are; with overwrite=True they are replaced, whole."""
    (tmp_path / "members.json").write_text("mine")
    with pytest.raises(ConfigError, match=r"overwrite members.json in it: .*overwrite=True"):
        run.export(tmp_path, "json", ["members"])
    assert [path.name for path in tmp_path.iterdir()] == ["members.json"]
    assert (tmp_path / "members.json").read_text() == "mine"
    run.export(tmp_path, "json", ["members"], overwrite=True)

    assert len(json.loads((tmp_path / "members.json").read_text())) == 5


def test_an_export_that_fails_leaves_the_old_file(run, tmp_path, monkeypatch):
    """Where writing breaks off the file that was there is whole, and no other is left."""
    run.export(tmp_path, "csv", ["members"])
    before = (tmp_path / "members.csv").read_bytes()

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pd.DataFrame, "to_csv", full)
    with pytest.raises(RunError, match="No space left"):
        run.export(tmp_path, "csv", ["members"], overwrite=True)
    assert (tmp_path / "members.csv").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == [ABOUT, "members.csv"]


def test_a_place_that_cannot_be_written_is_an_error_of_ours(run, tmp_path):
    """A file in the place of the folder is told, with the way out."""
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match=r"cannot export to .*choose another folder"):
        run.export(tmp_path / "file", "csv")


def test_parquet_without_pyarrow_says_what_to_install(run, tmp_path, monkeypatch):
    """Where pyarrow is missing the message has the command that gets it, and the other formats."""
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(ConfigError, match=r"pip install 'ramet\[export\]', or take csv or json"):
        run.export(tmp_path, "parquet")


def stub(config):
    """Fail before anything was reported."""
    raise ValueError("no")


@pytest.mark.parametrize("format", FORMATS)
def test_a_run_that_reported_nothing_can_be_exported(tmp_path, format):
    """Empty tables are files too, with their columns' names."""
    grid = ramet.Tuner(
        stub, run_config=ramet.RunConfig(storage_path=tmp_path / "runs", name="r", verbose=0, executor="inline")
    ).fit()
    files = ramet.open(grid.experiment_path).export(tmp_path / "out", format)

    about = json.loads(files[-1].read_text(encoding="utf-8"))
    assert about["tables"]["reports"]["rows"] == about["tables"]["schedule"]["rows"] == 0
    assert about["tables"]["members"]["rows"] == 1
    assert "training_iteration" in about["tables"]["reports"]["columns"]
    assert all(path.exists() for path in files)


def test_a_run_under_way_can_be_exported(tmp_path):
    """A run that another function is still training is exported as it stands."""

    class Exporting(ramet.Callback):
        def on_exploit(self, member, donor, hparams, iteration):
            ramet.open(tmp_path / "runs" / "r").export(tmp_path / "out", "json", overwrite=iteration > 4)

    def train(config):
        for at in range(8):
            ramet.report({"x": config["lr"] * at}, checkpoint=ramet.Checkpoint.from_dict({"at": at}))

    lr = ramet.uniform(0.0, 1.0)
    pbt = ramet.PopulationBasedTraining(
        time_attr="training_iteration", perturbation_interval=4, hyperparam_mutations={"lr": lr}, synch=True
    )
    run_config = ramet.RunConfig(
        storage_path=tmp_path / "runs", name="r", verbose=0, executor="inline", callbacks=[Exporting()],
        stop={"training_iteration": 8},
    )  # fmt: skip
    grid = ramet.Tuner(
        train,
        param_space={"lr": lr},
        tune_config=ramet.TuneConfig(metric="x", mode="max", num_samples=4, scheduler=pbt, seed=0),
        run_config=run_config,
    ).fit()

    assert not grid.errors
    assert json.loads((tmp_path / "out" / ABOUT).read_text())["state"] == "under way"


# ---------------------------------------------------------------------- schedules as code


def steps_of(values, lengths):
    """Return a schedule of these values of lr."""
    found, at = [], 0
    for number, (value, length) in enumerate(zip(values, lengths, strict=False)):
        hparams = {"lr": value, "net": {"width": number, "act": 'it\'s "q"\n', "pair": (1, [None, True])}}
        found.append(Step(at + 1, at + length, hparams, number % 3, number))
        at += length
    return Schedule(found)


RATES = st.floats(1e-300, 1e300) | st.floats(1e-6, 1.0)
LENGTHS = st.lists(st.integers(1, 7), min_size=8, max_size=8)
SOME = st.lists(RATES, min_size=1, max_size=8)


def defined(source, name="schedule"):
    """Return the function that a source defines in a module of its own."""
    names = {}
    exec(source, names)
    return names[name]


@given(values=SOME, lengths=LENGTHS)
@settings(max_examples=60, deadline=None)
def test_the_function_says_what_the_schedule_says(values, lengths):
    """At every iteration the exported function returns the schedule's hyperparameters, and later on its last ones."""
    schedule = steps_of(values, lengths)
    function = defined(schedule.to_python())

    for iteration in range(1, schedule.last + 1):
        assert function(iteration) == schedule.at(iteration)
        assert repr(function(iteration)) == repr(schedule.at(iteration))
    assert function(schedule.last + 5) == schedule.at(schedule.last)
    with pytest.raises(ValueError, match="counted from 1"):
        function(0)


def test_the_function_needs_nothing_but_python(tmp_path):
    """The source runs in an interpreter without Ramet, twice in one file under two names, and hands out no state."""
    first = steps_of([0.1, 0.05], [3, 4])
    source = first.to_python("one") + "\n\n" + steps_of([0.5], [2]).to_python("other")
    script = tmp_path / "schedules.py"
    script.write_text(f"{source}\none(1)['net']['pair'][1].append(1)\nprint(one(1), one(4)['lr'], other(1)['lr'])\n")
    done = subprocess.run(
        [sys.executable, "-I", "-W", "error", str(script)], capture_output=True, text=True, check=False, cwd=tmp_path
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{first.at(1)!r} 0.05 0.5\n"


def test_equal_neighbours_are_one_piece():
    """A clone that changed nothing makes no new line of source."""
    steps = [Step(1, 2, {"lr": 0.1}, 0, 0), Step(3, 4, {"lr": 0.1}, 1, 1), Step(5, 6, {"lr": 1}, 1, 2)]

    assert Schedule(steps).to_python().count("{'lr'") == 2


@pytest.mark.parametrize(
    ("schedule", "name", "told"),
    [
        (Schedule([]), "schedule", "empty"),
        (steps_of([0.1], [1]), "not a name", "no name of a function"),
        (steps_of([0.1], [1]), "class", "no name of a function"),
        (Schedule([Step(1, 2, {"net": {"act": print}}, 0, 0)]), "f", "net/act is <built-in function print>"),
        (Schedule([Step(1, 2, {"path": Path("x")}, 0, 0)]), "f", "path is .*, a PosixPath"),
        (Schedule([Step(1, 2, {"n": {1: 2}}, 0, 0)]), "f", "no source"),
    ],
)
def test_what_has_no_source_is_refused(schedule, name, told):
    """Only plain values become source, for what others look like may be anything."""
    with pytest.raises(ConfigError, match=told):
        schedule.to_python(name)


def test_odd_numbers_have_a_source():
    """Numbers that no literal stands for, and those of numpy, are written so that they come back."""
    hparams = {"inf": -math.inf, "numpy": np.float64(0.1), "one": (1,), "empty": {}, "huge": 2**100}
    told = defined(Schedule([Step(1, 2, hparams, 0, 0)]).to_python())(1)

    assert told == hparams
    assert type(told["numpy"]) is float
    assert math.isnan(defined(Schedule([Step(1, 1, {"x": math.nan}, 0, 0)]).to_python())(1)["x"])


def test_json_is_what_save_writes(tmp_path):
    """`Schedule.to_json` is the file's text, and comes back as the same schedule."""
    schedule = Schedule([Step(1, 5, {"lr": 0.1}, 0, 0), Step(6, 9, {"lr": 0.05}, 2, 7)])

    assert schedule.save(tmp_path / "s.json").read_text(encoding="utf-8") == schedule.to_json() + "\n"
    assert Schedule.load(tmp_path / "s.json") == schedule


@pytest.mark.parametrize("to", ["to_optax", "to_torch"])
@pytest.mark.parametrize(
    ("schedule", "name", "more", "told"),
    [
        (Schedule([]), "lr", {}, "empty"),
        (steps_of([0.1], [1]), "momentum", {}, "'momentum'.*it has 'lr', 'net/width'"),
        (steps_of([0.1], [1]), "net/act", {}, "no number"),
        (Schedule([Step(1, 1, {"lr": True}, 0, 0)]), "lr", {}, "True is no number"),
        (steps_of([0.1], [1]), "lr", {"steps_per_iteration": 0}, "at least 1"),
        (steps_of([0.1], [1]), "lr", {"steps_per_iteration": 1.5}, "at least 1"),
    ],
)
def test_what_no_framework_can_schedule_is_refused(to, schedule, name, more, told):
    """A name that is not there, no number, and no count are told before a framework is looked for."""
    function = schedule.to_optax if to == "to_optax" else partial(schedule.to_torch, None)
    with pytest.raises(ConfigError, match=told):
        function(name, **more)


@pytest.mark.parametrize(("module", "told"), [("jax", "pip install jax"), ("torch", "pip install torch")])
def test_a_framework_that_is_missing_is_named(monkeypatch, module, told):
    """Without JAX or PyTorch the message has the command that gets it."""
    for name in (module, "jax.numpy", "torch.optim", "torch.optim.lr_scheduler"):
        monkeypatch.setitem(sys.modules, name, None)
    schedule = steps_of([0.1], [1])
    with pytest.raises(ConfigError, match=told):
        schedule.to_optax() if module == "jax" else schedule.to_torch(None)


@given(values=st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=8), lengths=LENGTHS, n=st.integers(1, 4))
@settings(max_examples=15, deadline=None)
def test_optax_sees_the_schedule(values, lengths, n):
    """At every step, traced or not, the value is the schedule's for the iteration of that step, in JAX's 32 bits."""
    jax = pytest.importorskip("jax")
    schedule = steps_of(values, lengths)
    rate = schedule.to_optax("lr", steps_per_iteration=n)
    traced = jax.jit(jax.vmap(rate))(np.arange(n * (schedule.last + 2)))

    for step, found in enumerate(traced.tolist()):
        expected = schedule.at(min(step // n + 1, schedule.last))["lr"]
        assert found == float(np.float32(expected))
        if step % 5 == 0:
            assert float(rate(step)) == found


def test_optax_takes_the_schedule():
    """An optimiser of optax trains with it, the first step with what iteration 1 had."""
    optax = pytest.importorskip("optax")
    schedule = steps_of([0.5, 0.25], [2, 2])
    optimizer = optax.sgd(schedule.to_optax())
    state, moved = optimizer.init(np.float32(1.0)), []
    for _ in range(6):
        update, state = optimizer.update(np.float32(1.0), state)
        moved.append(-float(update))

    assert moved == [0.5, 0.5, 0.25, 0.25, 0.25, 0.25]


@given(values=SOME, lengths=LENGTHS, n=st.integers(1, 4), base=RATES)
@settings(max_examples=25, deadline=None)
def test_torch_sees_the_schedule(values, lengths, n, base):
    """Before every step of the optimiser its learning rate is exactly the schedule's, whatever it was made with."""
    torch = pytest.importorskip("torch")
    schedule = steps_of(values, lengths)
    weights = [torch.nn.Parameter(torch.zeros(1)) for _ in range(2)]
    optimizer = torch.optim.SGD([{"params": [weight]} for weight in weights], lr=base)
    scheduler = schedule.to_torch(optimizer, steps_per_iteration=n)

    assert isinstance(scheduler, torch.optim.lr_scheduler.LambdaLR)
    for step in range(n * (schedule.last + 2)):
        expected = schedule.at(min(step // n + 1, schedule.last))["lr"]
        assert [group["lr"] for group in optimizer.param_groups] == [expected, expected]
        assert scheduler.get_last_lr() == [expected, expected]
        optimizer.step()
        scheduler.step()


def test_torch_goes_on_from_its_state():
    """A scheduler that is made anew and loads the state of another one goes on where that one was."""
    torch = pytest.importorskip("torch")
    schedule = steps_of([0.3, 0.1], [2, 2])

    def made():
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.7)
        return optimizer, schedule.to_torch(optimizer)

    optimizer, scheduler = made()
    optimizer.step()
    scheduler.step()
    again, taken_up = made()
    again.load_state_dict(optimizer.state_dict())
    taken_up.load_state_dict(scheduler.state_dict())
    again.step()
    taken_up.step()

    assert again.param_groups[0]["lr"] == 0.1


@pytest.mark.parametrize(("rates", "told"), [([0.0], "from 0.0 nothing leads"), ([0.1, 0.2], r"\[0.1, 0.2\]")])
def test_torch_refuses_what_cannot_be_multiplied(rates, told):
    """An optimiser made with 0, or with several learning rates, is refused with what to do instead."""
    torch = pytest.importorskip("torch")
    optimizer = torch.optim.SGD([{"params": [torch.nn.Parameter(torch.zeros(1))], "lr": rate} for rate in rates])
    with pytest.raises(ConfigError, match=told):
        steps_of([0.1], [1]).to_torch(optimizer)


# ---------------------------------------------------------------------- values as JSON

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(VALUES)
def test_json_never_has_nan(value):
    """Whatever plain value is told, the JSON is what strict readers take, and all but odd numbers come back."""

    def strict(text):
        raise AssertionError(text)

    told = json.loads(as_json(value), parse_constant=strict)
    assert told == plain(value)


def test_json_has_a_word_for_everything():
    """Numbers of numpy are numbers, missing ones null, paths and objects what they look like."""
    given_ = {
        "a": np.float32(0.5),
        "b": np.array([1.0, math.nan]),
        "c": pd.NA,
        "d": Path("x"),
        3: print,
        "e": np.bool_(1),
    }

    assert plain(given_) == {"a": 0.5, "b": [1.0, None], "c": None, "d": "x", "3": repr(print), "e": True}
