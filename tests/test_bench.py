"""``ramet bench``: equal work for all, the same results on any number of processes, nothing begun in vain."""

from __future__ import annotations

import json
import math
import statistics
from pathlib import Path

import pytest

from ramet import cli
from ramet.bench import crew, plan, worker
from ramet.bench.entries import ENTRIES, Entry
from ramet.bench.page import markdown, together
from ramet.bench.plan import Job, Plan
from ramet.bench.results import Results
from ramet.bench.summary import mean_and_half, mean_ranks, ranks, standings, t_975
from ramet.errors import ConfigError, RunError
from ramet.problems import PROBLEMS

SMALL = ["bench", "--problems", "toy-plain,quadratic", "--strategies", "random search,PBT", "--quick"]


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    """Run in a folder of one's own, runs and all."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAMET_RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("COLUMNS", "120")


def told_by(capsys):
    """Return what was printed, with single spaces."""
    out, err = capsys.readouterr()
    return " ".join(out.split()), " ".join(err.split())


# ---------------------------------------------------------------------- the whole command


def test_the_same_comparison_gives_the_same_file_on_any_number_of_processes(tmp_path, capsys):
    """Two processes write byte for byte what one writes, in the order of problems, strategies and seeds."""
    for jobs in ("1", "2"):
        assert cli.main([*SMALL, "--jobs", jobs, "--json", f"{jobs}.json"]) == 0
    out, err = told_by(capsys)
    text = (tmp_path / "1.json").read_text(encoding="utf-8")

    assert (tmp_path / "2.json").read_text(encoding="utf-8") == text
    runs = json.loads(text)["runs"]
    assert [(run["problem"], run["strategy"], run["seed"]) for run in runs] == [
        (problem, strategy, seed)
        for problem in ("toy-plain", "quadratic")
        for strategy in ("random search", "PBT")
        for seed in (0, 1)
    ]
    assert "toy-plain: one parameter" in out
    assert "Mean rank over 2 problems: " in out
    assert "8 runs, 1 at a time" in err
    assert "quadratic, PBT: done" in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.json", "2.json"]


def test_every_strategy_makes_as_many_steps(tmp_path):
    """Runs of all strategies have members times steps reports, though clones go back in their training iterations.

    Those that end members early have more of them, and come as near to it as they can.
    """
    asked = Plan(problems=["toy-deceptive", "quadratic"], seeds=1, quick=True)
    for job in asked.jobs():
        outcome = worker.carry_out(job, tmp_path)
        assert outcome["error"] is None
        whole = asked.size(PROBLEMS[job.problem])[0] * job.steps
        if job.strategy == "ASHA":
            assert 0.8 * whole <= outcome["reports"] <= whole, job
        else:
            assert outcome["reports"] == job.members * job.steps == whole, job


def test_strategies_are_left_out_where_they_do_not_fit():
    """What needs several goals, or more members, is not tried where there are none."""
    tried = {}
    for job in Plan(problems=["quadratic", "two-goals"], seeds=1).jobs():
        tried.setdefault(job.problem, set()).add(job.strategy)
    assert tried["two-goals"] == set(ENTRIES)
    assert set(ENTRIES) - tried["quadratic"] == {"MultiObjectivePBT", "MultiFrequencyPBT", "FirePBT"}


def test_results_can_be_drawn_again(tmp_path, capsys):
    """``--from`` shows the same tables without running anything, and writes the same file and a picture."""
    assert cli.main([*SMALL, "--json", "a.json", "--plot", "a.png"]) == 0
    first, _ = told_by(capsys)
    assert cli.main(["bench", "--from", "a.json", "--json", "b.json", "--plot", "b.png"]) == 0
    again, err = told_by(capsys)

    assert again == first.replace("a.json", "b.json").replace("a.png", "b.png")
    assert err == ""
    assert (tmp_path / "b.json").read_bytes() == (tmp_path / "a.json").read_bytes()
    assert (tmp_path / "b.png").read_bytes().startswith(b"\x89PNG\r\n")


def test_runs_are_kept_where_that_is_asked_for(tmp_path):
    """With ``--keep`` every run's folder is there afterwards, to be shown."""
    words = ["bench", "--problems", "quadratic", "--strategies", "pbt", "--quick", "--keep", "kept", "--seeds", "1"]
    assert cli.main(words) == 0
    assert [path.name for path in (tmp_path / "kept").iterdir()] == ["quadratic-PBT-0"]
    assert cli.main(["show", str(tmp_path / "kept" / "quadratic-PBT-0")]) == 0


def test_virtual_time_does_for_synchronous_strategies_what_taking_turns_does(tmp_path):
    """The simulated executor leads to the scores of the inline one where members wait for each other."""
    scores = []
    for executor in plan.EXECUTORS:
        job = Job("toy-plain", "PBT", 0, 6, 20, 5, executor)
        scores.append(worker.carry_out(job, tmp_path)["score"])

    assert scores[0] == scores[1]
    assert math.isfinite(scores[0])
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------------- what is refused, and when


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--problems", "toy"], "--problems: there is no 'toy': choose among triangle, quadratic"),
        (["--strategies", "sgd"], "--strategies: there is no 'sgd': choose among random search, ASHA"),
        (["--strategies", ","], "--strategies names none: name some"),
        (["--problems", ","], "--problems names none: name some"),
        (["--problems", "quadratic,Quadratic"], "--problems names 'quadratic' twice"),
        (["--seeds", "0"], "'0' is no whole number of at least 1"),
        (["--members", "1.5"], "'1.5' is no whole number of at least 1"),
        (["--interval", "0"], "'0' is no whole number of at least 1"),
        (["--jobs", "0"], "'0' is no whole number of at least 1"),
        (["--members", "3"], "--members 3: the founders of quadratic come in groups of 2: give a multiple of 2"),
        (["--executor", "process"], "process"),
        (["--plot", "a.doc"], "'a.doc' ends in none of .png, .pdf, .svg"),
        (["--plot", "nowhere/a.png"], "--plot nowhere/a.png is in nowhere, which is no folder"),
        (["--json", "."], "--json . is a folder"),
        (["--from", "a.json", "--seeds", "3"], "--from draws what was run before, and --seeds is about runs"),
        (["--from", "a.json", "--quick"], "--quick is about runs"),
        (["--keep", "taken"], "--keep: cannot make taken"),
    ],
)
def test_what_cannot_be_done_is_refused_before_any_work(capsys, monkeypatch, tmp_path, words, told):
    """What is wrong with the command line is told in a line with the way out, status 2, and no run begins."""
    monkeypatch.setattr(crew, "_start", None)
    (tmp_path / "taken").write_text("a file", encoding="utf-8")
    assert cli.main(["bench", *words]) == 2
    out, err = capsys.readouterr()
    first, second = err.splitlines()

    assert told in first
    assert second == "Try: ramet bench --help"
    assert out == ""
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda told: told.update(format=2), "its format is not 1"),
        (lambda told: told.pop("problems"), "it has no problems"),
        (lambda told: told.update(runs=[]), "it has no runs"),
        (lambda told: told["problems"]["quadratic"].pop("optimum"), "its problem 'quadratic' has no proper optimum"),
        (lambda told: told["runs"][0].update(seed=True), "its run 0 has no proper seed"),
        (lambda told: told["runs"][0].update(score=math.nan), "its run 0 has a score that is not finite"),
        (lambda told: told["runs"].append(3), "its run 1 has no fields"),
        (lambda told: told["runs"][0].update(strategy="other"), "its run 0 is of a problem or strategy"),
        (lambda told: told["strategies"].update(PBT=3), "a strategy is no object"),
    ],
)
def test_a_file_that_holds_no_results_is_refused(tmp_path, capsys, change, told):
    """What is no file of results, or is damaged, is told in a line, status 1."""
    results = example([("PBT", 1.0)])
    plain = json.loads(results.to_json())
    change(plain)
    (tmp_path / "bad.json").write_text(json.dumps(plain), encoding="utf-8")

    assert cli.main(["bench", "--from", "bad.json"]) == 1
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("content", [None, "no json"])
def test_a_file_that_is_no_json_is_refused(tmp_path, content):
    """A file that is not there, or no JSON, is a RunError that names it."""
    path = tmp_path / "bad.json"
    if content:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(RunError, match=r"bad\.json"):
        Results.read(path)


@pytest.mark.parametrize(
    "arguments", [{"seeds": True}, {"members": 2.0}, {"interval": 0}, {"executor": "process"}, {"problems": []}]
)
def test_a_plan_refuses_what_the_command_line_would(arguments):
    """Whoever makes a plan in Python is told of the same mistakes."""
    with pytest.raises(ConfigError):
        Plan(**arguments)


def test_a_problem_whose_library_is_missing_is_left_out_or_refused(monkeypatch):
    """What needs a library that is not there is no part of "all", and refused by name with the way to get it."""
    from dataclasses import replace

    lacking = {**PROBLEMS, "toy-plain": replace(PROBLEMS["toy-plain"], needs=("no_such_library",))}
    monkeypatch.setattr(plan, "PROBLEMS", lacking)

    assert "toy-plain" not in Plan().problems
    with pytest.raises(ConfigError, match=r"needs no_such_library, which is not installed: pip install"):
        Plan(problems=["toy-plain"])


# ---------------------------------------------------------------------- what goes wrong meanwhile


def test_a_run_that_fails_is_told_and_the_others_count(tmp_path, monkeypatch, capsys):
    """A failed run has no score but an error, its folder is gone, the rest is summed up, and the status is 1."""

    def broken(problem, interval, members):
        raise ValueError("first line\nit went wrong")

    monkeypatch.setitem(ENTRIES, "broken", Entry("always fails", broken))
    outcome = worker.carry_out(Job("toy-plain", "broken", 3, 4, 20, 5), tmp_path)
    assert outcome == {
        "problem": "toy-plain",
        "strategy": "broken",
        "seed": 3,
        "score": None,
        "seen": None,
        "reports": 0,
        "error": "it went wrong",
    }
    results = example([("PBT", 1.0), ("PBT", 2.0), ("PBT", None)])
    (tmp_path / "some.json").write_text(results.to_json(), encoding="utf-8")
    assert cli.main(["bench", "--from", "some.json"]) == 1
    out, _ = told_by(capsys)
    assert "failed: PBT on quadratic, seed 2: it went wrong" in out
    assert standings(results, "quadratic")[0].mean == 1.5
    assert standings(results, "quadratic")[0].runs == 2


def test_a_worker_that_dies_is_told_by_the_run_it_died_of(tmp_path, monkeypatch):
    """When a worker process dies, the comparison ends with an error that names the run, and nothing is left."""
    import subprocess
    import sys

    def start(folder, keep):
        code = "import sys; sys.stdin.readline()"
        return subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    monkeypatch.setattr(crew, "_start", start)
    with pytest.raises(RunError, match="died of toy-plain-PBT-0; run that alone"):
        crew.carry_out_all([Job("toy-plain", "PBT", 0, 4, 20, 5)] * 3, 2, tmp_path, False, lambda outcome: None)


def test_an_interrupt_ends_the_workers(tmp_path):
    """Whatever is raised while runs are under way, Ctrl-C too, ends the workers and comes out."""
    started = []
    real = crew._start

    def stop(outcome):
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(crew, "_start", lambda folder, keep: started.append(real(folder, keep)) or started[-1])
        with pytest.raises(KeyboardInterrupt):
            crew.carry_out_all(Plan(problems=["toy-plain"], quick=True).jobs(), 2, tmp_path, False, stop)

    assert len(started) == 2
    assert all(process.returncode is not None for process in started)


# ---------------------------------------------------------------------- the numbers


def example(runs, mode="max", noisy=False):
    """Return results of runs (strategy, score) on one problem."""
    about = {"text": "t", "mode": mode, "optimum": 3.0, "noisy": noisy, "members": 2, "steps": 5}
    plain = [
        {
            "problem": "quadratic",
            "strategy": strategy,
            "seed": seed,
            "score": score,
            "seen": None if score is None else score + 1,
            "reports": 10,
            "error": None if score is not None else "it went wrong",
        }
        for seed, (strategy, score) in enumerate(runs)
    ]
    strategies = {strategy: {"text": "t"} for strategy, _ in runs}
    return Results({"seeds": 2}, {"quadratic": about}, strategies, plain)


def test_intervals_are_those_of_students_t():
    """The table of quantiles agrees with scipy's to its three decimals, and is never too small."""
    stats = pytest.importorskip("scipy.stats")
    for freedom in (*range(1, 41), 59, 60, 119, 120, 1000):
        exact = stats.t.ppf(0.975, freedom)
        assert t_975(freedom) >= min(exact, 1.98) - 5e-4
        assert t_975(freedom) <= exact + (5e-4 if freedom <= 30 else 0.025)
    values = [1.0, 4.0, 2.0, 8.0]
    mean, half = mean_and_half(values)
    low, high = stats.t.interval(0.95, 3, loc=statistics.fmean(values), scale=stats.sem(values))
    assert (mean - half, mean + half) == pytest.approx((low, high), abs=1e-3)


@pytest.mark.parametrize(("values", "known"), [([], (math.nan, math.nan)), ([2.0], (2.0, math.nan))])
def test_few_values_have_no_interval(values, known):
    """One run has a mean and no interval, none has neither."""
    assert str(mean_and_half(values)) == str(known)


@pytest.mark.parametrize(("mode", "order"), [("max", ["b", "a", "c"]), ("min", ["a", "b", "c"])])
def test_ranks_go_by_the_mode(mode, order):
    """The best mean has rank 1, whichever way is good; a strategy without a score is last."""
    results = example([("a", 1.0), ("b", 2.0), ("c", None)], mode)

    assert list(mean_ranks(results)) == order
    assert [row.rank for row in standings(results, "quadratic")] == [order.index(name) + 1 for name in "abc"]


def test_equal_values_share_their_ranks():
    """Ranks add up to the same whatever is equal."""
    assert ranks([5.0, 5.0, 5.0]) == [2.0, 2.0, 2.0]
    assert sum(ranks([1.0, 1.0, 0.0, 7.0])) == 10


def test_noisy_problems_show_what_the_best_looked_like(tmp_path, capsys):
    """Where reports hide the true score, the table has both; elsewhere only the score."""
    for noisy in (True, False):
        (tmp_path / "r.json").write_text(example([("a", 1.0), ("a", 1.5)], noisy=noisy).to_json(), encoding="utf-8")
        assert cli.main(["bench", "--from", "r.json"]) == 0
        out, _ = told_by(capsys)
        assert ("looked like" in out) == noisy
        assert ("true score" in out) == noisy
        assert "1.2 ± 3.2" in out
        assert ("2.2" in out) == noisy


@pytest.mark.parametrize("name", list(ENTRIES))
def test_every_strategy_of_the_table_is_new_for_each_run(name):
    """An entry says what it is, and makes a strategy of its own for each run."""
    entry = ENTRIES[name]
    first, second = (entry.make(PROBLEMS["two-goals"], 5, 16) for _ in range(2))

    assert entry.text
    assert first is not second
    assert first.describe() == second.describe()


def test_the_page_on_choosing_tells_what_was_measured():
    """The tables of docs/how-to-choose.md are those that the kept results make, for all strategies that there are."""
    root = Path(__file__).parent.parent
    page = (root / "docs" / "how-to-choose.md").read_text(encoding="utf-8")
    kept = {file.stem: Results.read(file) for file in (root / "benchmarks" / "strategies").glob("*.json")}
    assert not any(results.failed for results in kept.values())
    assert set(kept["all"].strategies) == set(ENTRIES)
    assert kept["all"].settings["seeds"] == kept["digits-8"].settings["seeds"] == 20
    intervals = {number: kept[f"interval-{number}"] for number in ("1", "2", "5", "10")}
    sizes = {number: kept[f"members-{number}"] for number in ("4", "8", "16", "32", "64")}
    assert len(kept) == 2 + len(intervals) + len(sizes)
    for table in (
        markdown(kept["all"]),
        markdown(kept["digits-8"]),
        together("interval", intervals),
        together("members", sizes),
    ):
        assert table in page, table


def test_markdown_marks_what_cannot_be_told_from_the_best():
    """The best mean is bold, and so is whatever's interval overlaps its; what was not tried has a dash."""
    about = {"text": "", "mode": "max", "optimum": 1.0, "noisy": False, "members": 1, "steps": 1}
    scores = {"good": (0.90, 0.92), "as good": (0.89, 0.92), "bad": (0.10, 0.12)}
    runs = [
        {"problem": "p", "strategy": name, "seed": seed, "score": score, "seen": score, "reports": 1, "error": None}
        for name, both in scores.items()
        for seed, score in enumerate(both)
    ]
    results = Results({"seeds": 2}, {"p": about}, {name: {"text": ""} for name in scores}, runs)
    lines = markdown(results).splitlines()
    assert lines[0] == "| strategy | p | mean rank |"
    assert [line.count("**") for line in lines[2:]] == [2, 2, 0]
