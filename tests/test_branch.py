"""Branching: a new run from any point of an old one, whose model's past goes on in it."""

import dataclasses
import math
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import ramet
from ramet import branch, fsck
from ramet.aside import OBJECTS
from ramet.cli import main
from ramet.core.beginning import beginning
from ramet.core.events import Began, Failed, Kept, Lost, Opened, Reported
from ramet.core.population import Member, Population, fold
from ramet.core.scene import standings
from ramet.errors import CheckpointError, ConfigError, RametError, RunError
from ramet.record import CHECKPOINTS, Record
from ramet.testing import story

RUNS = Path(__file__).parent / "data" / "runs"


class Stopped(BaseException):
    """Ends a run from within, once."""


class StopAt(ramet.Callback):
    """Breaks the run off after so many reports."""

    def __init__(self, reports):
        self.left = reports

    def on_report(self, member, iteration, metrics):
        self.left -= 1
        if self.left == 0:
            raise Stopped


def train(config):
    """A random walk that goes on from its checkpoint, every second one; large ones are directories."""
    checkpoint = ramet.get_checkpoint()
    state = checkpoint.to_dict() if checkpoint else {"i": 0, "x": 0.0}
    for i in range(state["i"], 10**6):
        state = {"i": i + 1, "x": state["x"] + config["lr"] * float(ramet.rng().normal())}
        if config.get("large"):
            state["weights"] = bytes([i % 256]) * 200_000
        saved = ramet.Checkpoint.from_dict(state) if i % 2 else None
        ramet.report({"score": state["x"], "loss": -state["x"], "tick": i + 1.0}, checkpoint=saved)


def pbt(**more):
    return ramet.PopulationBasedTraining(
        **{
            "time_attr": "training_iteration",
            "perturbation_interval": 4,
            "hyperparam_mutations": {"lr": ramet.uniform(0.1, 1.0)},
            "synch": True,
            **more,
        }
    )


def tune(members=4, scheduler=None, seed=5, **more):
    return ramet.TuneConfig(
        **{"metric": "score", "mode": "max", "num_samples": members, "scheduler": scheduler or pbt(), "seed": seed}
        | more
    )


def run(folder, stop=20, executor="inline", **more):
    return ramet.RunConfig(
        name=os.path.basename(folder),
        storage_path=os.path.dirname(folder),
        stop={"training_iteration": stop} if isinstance(stop, int) else stop,
        verbose=0,
        executor=executor,
        **more,
    )


def old_run(folder, *, function=train, space=None, members=4, stop=20, **more):
    """A population of four random walks with a decision at every fourth step."""
    space = {"lr": ramet.uniform(0.1, 1.0), "deep": {"k": 3, "word": "a"}, **(space or {})}
    return ramet.Tuner(
        function, param_space=space, tune_config=tune(members), run_config=run(str(folder), stop, **more)
    ).fit()


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    """An old run that nobody writes to."""
    return old_run(tmp_path_factory.mktemp("runs") / "old")


def contents(folder):
    """Everything in a folder, with its bytes; what SQLite leaves beside a ledger that is read is nothing."""
    files = (path for path in sorted(Path(folder).rglob("*")) if path.is_file() and not path.name.startswith("run.db-"))
    return {str(path): path.read_bytes() for path in files}


def past(result, end):
    """The learning curve up to an iteration, without the numbers that are a run's own."""
    frame = result.lineage_dataframe
    return frame[frame["training_iteration"] <= end].drop(columns=["segment", "parent"]).to_dict("records")


def steps(result, end):
    """What was in force along the lineage up to an iteration, and which member trained."""
    cut = [dataclasses.replace(step, last=min(step.last, end), segment=0) for step in result.schedule]
    return [step for step in cut if step.first <= step.last]


EXECUTORS = {
    "inline": lambda: ramet.InlineExecutor(3),
    "process": lambda: ramet.ProcessExecutor(2),
    "simulated": lambda: ramet.SimulatedExecutor(2, spread=0.5),
}


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_branch_goes_on_from_the_models_past(tmp_path, executor, large):
    """Wherever it runs: what made the model is told exactly, the old run is as it was, and the new one is whole."""
    done = old_run(tmp_path / "old", space={"large": large}, checkpoint_config=ramet.CheckpointConfig(num_to_keep=2))
    best = done.get_best_result()
    before = contents(tmp_path / "old")
    results = ramet.Tuner.branch(
        done.experiment_path,
        train,
        best,
        param_space={"lr": ramet.uniform(0.2, 0.3)},
        tune_config=tune(3, seed=8),
        run_config=run(str(tmp_path / "new"), 32, EXECUTORS[executor]()),
    ).fit()
    assert contents(tmp_path / "old") == before
    assert fsck.check(tmp_path / "new") == []
    assert [result.state for result in results] == ["finished"] * 3
    assert [result.iteration for result in results] == [32] * 3
    for seen in (results, ramet.ResultGrid(tmp_path / "new")):
        for result in seen:
            assert past(result, 20) == past(best, 20)
            assert steps(result, 20) == steps(best, 20)
            assert len(result.lineage_dataframe) == 32
            first = next(step for step in result.schedule if step.first == 21)
            assert {**first.hparams, "lr": 0} == {**best.config, "lr": 0}, "what is not named stays"
    assert sum(member.worked for member in results.population.members) == 3 * 12
    assert results.population.facts["branched"] == {
        "run": "old",
        "path": str(tmp_path / "old"),
        "segment": best.lineage[-1].segment,
        "iteration": 20,
        "member": best.member,
    }


def test_every_member_starts_from_the_checkpoint(tmp_path, old):
    """The training function is given the very state that was saved, at the iteration where it was."""
    seen = []

    def watching(config):
        seen.append((ramet.get_checkpoint().to_dict(), config))
        train(config)

    ramet.Tuner.branch(
        old.experiment_path, watching, (2, 4), param_space={"deep": {"k": 7}, "more": 1},
        run_config=run(str(tmp_path / "new"), 8),
    ).fit()  # fmt: skip
    config = old.population.segments[2].hparams
    state = old.checkpoint((2, 4)).to_dict()
    assert seen == [(state, {"lr": config["lr"], "deep": {"k": 7, "word": "a"}, "more": 1})] * 4


def branched(folder, old, start=None, *, seed=8, stop=32, members=4, scheduler=None, **more):
    return ramet.Tuner.branch(
        old if isinstance(old, (str, Path)) else old.experiment_path,
        train,
        start,
        param_space={"lr": ramet.uniform(0.1, 1.0)},
        tune_config=tune(members, scheduler, seed),
        run_config=run(str(folder), stop, **more),
    )


def test_the_same_seed_gives_the_same_branch(tmp_path, old):
    """A branch repeats exactly, and with another seed it does not."""
    first, second = (branched(tmp_path / name, old).fit() for name in "ab")
    assert story(first.experiment_path) == story(second.experiment_path)
    other = branched(tmp_path / "c", old, seed=9).fit()
    assert story(other.experiment_path)["rows"] != story(first.experiment_path)["rows"]


@pytest.mark.parametrize("at", [1, 8, 17, 30, 47])
@pytest.mark.parametrize("keep", [None, 1])
def test_a_branch_taken_up_ends_as_if_nothing_had_happened(tmp_path, old, at, keep):
    """Broken off anywhere, it ends in the same events, rows and checkpoints."""
    config = ramet.CheckpointConfig(num_to_keep=keep, keep_lineage=keep is not None)
    whole = branched(tmp_path / "whole", old, checkpoint_config=config).fit()
    with pytest.raises(Stopped):
        branched(tmp_path / "new", old, checkpoint_config=config, callbacks=[StopAt(at)]).fit()
    assert fsck.check(tmp_path / "new") == []
    rest = ramet.Tuner.restore(tmp_path / "new", train, callbacks=[]).fit()
    assert story(rest.experiment_path) == story(whole.experiment_path)
    assert fsck.check(tmp_path / "new") == []


def test_a_killed_branch_is_taken_up(tmp_path, old):
    """After kill -9 in mid-run a restore comes to the same end."""
    whole = branched(tmp_path / "whole", old).fit()
    script = f"""
        import os, signal, sys
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        import ramet
        from test_branch import branched
        class Kill(ramet.Callback):
            left = 23
            def on_report(self, member, iteration, metrics):
                self.left -= 1
                if not self.left:
                    os.kill(os.getpid(), signal.SIGKILL)
        branched({str(tmp_path / "new")!r}, {old.experiment_path!r}, callbacks=[Kill()]).fit()
    """
    ran = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=120)
    assert ran.returncode == -9, ran.stderr
    assert fsck.check(tmp_path / "new") == []
    rest = ramet.Tuner.restore(tmp_path / "new", train, callbacks=[]).fit()
    assert story(rest.experiment_path) == story(whole.experiment_path)


def test_a_branch_of_a_branch(tmp_path, old):
    """The chain grows, and each segment says in which run it was trained first."""
    second = branched(tmp_path / "second", old).fit()
    best = second.get_best_result()
    third = branched(tmp_path / "third", second, stop=40).fit()
    for result in third:
        assert past(result, 32) == past(best, 32)
        assert steps(result, 32) == steps(best, 32)
    inherited = [segment.info for segment in third.population.segments if segment.member < 0]
    runs = [info["run"] for info in inherited]
    assert set(runs) == {"old", "second"}
    assert runs == sorted(runs), "the oldest first"
    for info in inherited:
        there = {"old": old, "second": second}[info["run"]].population.segments[info["segment"]]
        assert there.member == info["member"]
    again = ramet.Tuner.restore(third.experiment_path, train, stop={"training_iteration": 44}).fit()
    assert [result.iteration for result in again] == [44] * 4


POINTS = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@POINTS
@given(data=st.data())
def test_from_any_point(tmp_path_factory, old, data):
    """Each checkpoint that is there is a point to branch from; a segment alone means its last one."""
    points = sorted(old.kept())
    segment, iteration = data.draw(st.sampled_from(points))
    last = max(at for number, at in points if number == segment)
    start = data.draw(st.sampled_from([(segment, iteration), [segment, iteration]]))
    if iteration == last and data.draw(st.booleans()):
        start = segment
    folder = tmp_path_factory.mktemp("branch") / "new"
    tuner = branched(folder, old, start, stop=iteration + 3, members=2)
    results = tuner.fit()
    chain = old.population.lineage(segment)
    assert fsck.check(folder) == []
    for result in results:
        rows = result.lineage_dataframe["training_iteration"].tolist()
        assert rows == list(range(1, iteration + 4))
        made = result.lineage[: len(chain)]
        assert [step.hparams for step in made] == [part.hparams for part in chain]
        assert [step.first for step in made] == [part.start + 1 for part in chain]
    kept = [event for event in _events(folder) if isinstance(event, Kept)]
    inherited = [event for event in kept if event.segment < len(chain)]
    ends = [child.start for child in chain[1:]] + [iteration]
    known = [point for part, end in zip(chain, ends, strict=True) for point in part.points if point.iteration <= end]
    assert [(e.iteration, e.score, e.time, e.elapsed) for e in inherited] == [
        (p.iteration, p.score, p.time, p.elapsed) for p in known
    ]


def _events(folder):
    record = Record.open(folder)
    try:
        return list(record.events())
    finally:
        record.close()


def test_without_a_start_it_is_the_best_members(tmp_path, old):
    """Nothing said: the best member's checkpoint, as many members, the same metric, and no scheduler."""
    results = ramet.Tuner.branch(old.experiment_path, train, run_config=run(str(tmp_path / "new"), 24)).fit()
    best = old.get_best_result()
    assert len(results) == len(old)
    assert {str(result.config) for result in results} == {str(best.config)}
    assert results.population.facts["strategy"]["name"] == "FIFO"
    assert (results.population.facts["metric"], results.population.facts["mode"]) == ("score", "max")
    assert past(results[0], 20) == past(best, 20)


@pytest.mark.parametrize("keep", [1, 3, None])
def test_what_members_began_from_stays(tmp_path, old, keep):
    """However few are kept, the one that all began from is there; of the older ones nothing is claimed."""
    config = ramet.CheckpointConfig(num_to_keep=keep, keep_lineage=True)
    results = branched(tmp_path / "new", old, checkpoint_config=config).fit()
    population = results.population
    root = population.forebear.point.checkpoint
    assert root in results.kept()
    assert {name for name in population.present if name[0] <= root[0]} == {root}
    assert set(population.present) == results.kept()


def test_members_that_begin_anew_begin_where_the_branch_did(tmp_path, old):
    """Started again from nothing, or added, a member of a branch has the model that all had."""
    mended = tmp_path / "mended"

    def failing(config):
        if ramet.get_context().member == 1 and not mended.exists():
            raise ValueError("broken")
        train(config)

    failing.__name__ = "train"
    tuner = branched(tmp_path / "new", old)
    tuner.trainable = failing
    assert tuner.fit().num_errors == 1
    mended.touch()
    seen = []

    class Clones(ramet.Callback):
        def on_exploit(self, member, donor, config, iteration):
            seen.append(donor)

    results = ramet.Tuner.restore(
        tmp_path / "new", train, restart_errored=True, num_samples=6, callbacks=[Clones()]
    ).fit()
    assert [result.iteration for result in results] == [32] * 6
    for result in results:
        assert past(result, 20) == past(old.get_best_result(), 20)
    assert all(donor >= 0 for donor in seen)


def test_who_begins_anew_has_nothing_left_of_its_own():
    """Back at the root it knows no metrics and no stop rule's state; with the root gone it begins from nothing."""
    lr = {"lr": 0.1}
    population = fold(
        [
            Began(0, 1, {}),
            Opened(0, 0, None, 0, lr, {"why": "inherited", "run": "old", "segment": 3, "member": 2}),
            Reported(0, 1, 5, {"x": 1.0}, "", "", 0.0),
            Kept(0, 5, 5.0, 1.0, 5.0, 2.5),
            Opened(1, 0, 0, 5, lr, {"why": "branched"}),
            Reported(1, 6, 8, {"y": 1.0}, "", "", 0.0),
            Kept(1, 8, 8.0, 1.0, 3.0, 4.0, stopping=(1,)),
            Failed(1, "broken", final=True),
        ]
    )
    assert beginning(population, 0, lr, "restarted") == Opened(2, 0, 0, 5, lr, {"why": "restarted"})
    population.apply(Opened(2, 0, 0, 5, lr, {"why": "restarted"}))
    member = population.members[0]
    assert (member.metrics, member.stopping, member.since, member.state) == ({}, (), 5.0, "training")
    assert member.compute == 3, "what it did counts"
    population.apply(Lost(0, 5, "gone"))
    assert beginning(population, 0, lr, "restarted") == Opened(3, 0, None, 0, lr, {"why": "restarted"})


def test_stoppers_of_the_whole_run_see_the_branch_alone(tmp_path, old):
    """What was reported in the old run counts for nothing, neither at the start nor after a restore."""

    class Seen(ramet.Stopper):
        def begin(self):
            self.seen = []

        def __call__(self, trial_id, result):
            self.seen.append(result["training_iteration"])
            return result["training_iteration"] >= 28

        def stop_all(self):
            return len(self.seen) >= 20

    whole = branched(tmp_path / "whole", old, stop=Seen()).fit()
    with pytest.raises(Stopped):
        branched(tmp_path / "new", old, stop=Seen(), callbacks=[StopAt(11)]).fit()
    rest = ramet.Tuner.restore(tmp_path / "new", train, callbacks=[]).fit()
    for results in (whole, rest):
        assert sum(member.compute for member in results.population.members) == 20
        assert results.population.ended == "Seen ended the run"


def test_work_begins_at_nil(tmp_path, old):
    """Rules that count a member's own reports count from the branch; the model's iteration goes on."""
    results = branched(tmp_path / "new", old, stop=ramet.MaximumIterationStopper(5)).fit()
    assert [member.compute for member in results.population.members] == [5] * 4
    assert all(result.lineage_dataframe["training_iteration"].iloc[-1] == result.iteration for result in results)


def test_what_it_begins_with_costs_nothing(tmp_path, old):
    """At the start no report, decision or second is counted; members stand where the branch begins, ranked nowhere."""
    branched(tmp_path / "new", old, stop=24).fit()
    at_start = Population()
    root = None
    for event in _events(tmp_path / "new"):
        if isinstance(event, Reported) and root is not None:
            break
        assert at_start.apply(event)
        root = at_start.forebear.point if at_start.members[-1].segment >= 0 else None
    assert (root.segment, root.iteration) == (
        len(old.population.lineage(old.get_best_result().lineage[-1].segment)) - 1,
        20,
    )
    assert at_start.spent == 0.0
    assert at_start.verdicts == at_start.noted == {}
    for member in at_start.members:
        found = dataclasses.asdict(member)
        clean = dataclasses.asdict(Member(member.number, member.segment))
        here = dataclasses.asdict(root)
        assert found == {**clean, "point": here, "decided": here, "since": 20.0}
    assert standings(at_start) == {}


def test_another_metric_judges_the_past_too(tmp_path, old):
    """What led to the model is scored by the metric of the branch, NaN where it was not reported."""
    for metric, mode in (("loss", "min"), ("tick", "max")):
        config = tune(2, metric=metric, mode=mode)
        folder = tmp_path / metric
        ramet.Tuner.branch(old.experiment_path, train, tune_config=config, run_config=run(str(folder), 24)).fit()
        before = {point.iteration: point.score for point in old.population.trail(old.get_best_result()._member.point)}
        told = [event for event in _events(folder) if isinstance(event, Kept) and event.iteration <= 20]
        if metric == "loss":
            assert {event.iteration: event.score for event in told} == before
        else:
            assert [event.score for event in told] == [event.iteration for event in told]

    def silent(config):
        train_loss = ramet.get_checkpoint().to_dict()["i"]
        while True:
            train_loss += 1
            saved = ramet.Checkpoint.from_dict({"i": train_loss})
            ramet.report({"new": 1.0}, checkpoint=saved)

    config = tune(2, metric="new", mode="max")
    ramet.Tuner.branch(old.experiment_path, silent, tune_config=config, run_config=run(str(tmp_path / "x"), 24)).fit()
    told = [event for event in _events(tmp_path / "x") if isinstance(event, Kept) and event.iteration <= 20]
    assert told
    assert all(math.isnan(event.score) for event in told)


def test_time_may_be_counted_by_another_attribute(tmp_path, old):
    """Decisions go on from the point on whatever time the branch's scheduler counts, if it was reported there."""
    scheduler = pbt(time_attr="tick", perturbation_interval=4)
    results = branched(tmp_path / "new", old, scheduler=scheduler, stop=32).fit()
    assert {point.time for segment in results.population.segments for point in segment.points} >= {20.0, 24.0, 28.0}
    with pytest.raises(ConfigError, match=r"time_attr='never'.*training_iteration"):
        branched(tmp_path / "no", old, scheduler=pbt(time_attr="never"))


def _made(scheduler, **arguments):
    mutations = {"lr": ramet.uniform(0.1, 1.0), "new": ramet.uniform(0.0, 1.0)}
    return lambda: scheduler(
        **{
            "time_attr": "training_iteration",
            "perturbation_interval": 4,
            "hyperparam_mutations": mutations,
            "synch": True,
            **arguments,
        }
    )


SCHEDULERS = {
    "PBT": _made(ramet.PopulationBasedTraining),
    "PB2": _made(ramet.PB2),
    "PB2Mix": _made(ramet.PB2Mix),
    "MultiFrequency": _made(ramet.MultiFrequencyPBT, frequencies=(1, 2)),
    "Iterated": _made(ramet.IteratedPBT, perturbation_interval=2, patience=1),
    "Fire": _made(ramet.FirePBT, evaluations=5),
    "Ladder": _made(ramet.LadderPBT),
    "Dex": _made(ramet.DexPBT),
    "Pairwise": _made(ramet.PairwisePBT),
    "ASHA": lambda: ramet.ASHA(max_t=56, grace_period=5, reduction_factor=2, synch=True),
    "Replay": lambda: ramet.ScheduleReplay([(1, {"lr": 0.1}), (30, {"lr": 0.5})]),
}


@pytest.mark.parametrize("name", SCHEDULERS)
def test_strategies_run_on_a_branch(tmp_path, old, name):
    """The past is history like any other: strategies decide on it without an error, whoever runs them."""
    told = []
    for number, executor in enumerate((ramet.InlineExecutor(3), ramet.SimulatedExecutor(2, spread=0.5))):
        folder = tmp_path / str(number)
        results = branched(folder, old, stop=60, scheduler=SCHEDULERS[name](), members=11, executor=executor).fit()
        assert results.num_errors == 0, results.errors
        assert results.population.verdicts, "it decided"
        assert fsck.check(folder) == []
        told.append(story(folder))
    if SCHEDULERS[name]().synch:
        assert told[0] == told[1]


@pytest.mark.parametrize("scheduler", [ramet.PopulationBasedTraining, ramet.PB2Mix, ramet.DexPBT, ramet.LadderPBT])
def test_the_past_may_lie_outside_of_the_domains(tmp_path, old, scheduler):
    """What members began with, and what the model was trained with, need not be in what the scheduler may change."""
    mutations = {"lr": ramet.uniform(2.0, 3.0), "deep": {"word": ramet.choice(["b", "c"])}}
    config = tune(6, _made(scheduler, hyperparam_mutations=mutations)())
    results = ramet.Tuner.branch(
        old.experiment_path, train, tune_config=config, run_config=run(str(tmp_path / "new"), 48)
    ).fit()
    assert results.num_errors == 0, results.errors
    assert results.population.exploits
    assert {result.schedule.at(21)["deep"]["word"] for result in results} == {"a"}


def test_an_iteration_does_not_begin_before_the_branch(tmp_path, old):
    """IteratedPBT counts its first steps from the branch, and restarts with what members had there."""
    scheduler = SCHEDULERS["Iterated"]()
    results = branched(tmp_path / "new", old, stop=60, scheduler=scheduler, members=6).fit()
    restarted = [s for s in results.population.segments if s.info.get("restart")]
    assert restarted
    assert restarted[0].start >= 24, "two steps at least have passed"
    assert all("new" in segment.hparams for segment in restarted)


@pytest.mark.parametrize("name", sorted(path.name for path in RUNS.glob("*format*")))
def test_runs_of_earlier_formats_can_be_branched_from(tmp_path, name):
    """However old the run: its model's past comes over, and the new run is whole."""
    folder = tmp_path / name
    shutil.copytree(RUNS / name, folder)
    before = contents(folder)
    grid = ramet.ResultGrid(folder)
    best = grid.get_best_result()

    def goes_on(config):
        i = 0
        while True:
            i += 1
            ramet.report({grid.population.facts["metric"]: float(i)}, checkpoint=ramet.Checkpoint.from_dict({"i": i}))

    end = best._member.point.iteration
    results = ramet.Tuner.branch(
        folder, goes_on, best, param_space={"thing": 1}, run_config=run(str(tmp_path / "new"), end + 4)
    ).fit()
    assert results.num_errors == 0, results.errors
    assert past(results[0], end)[-1]["training_iteration"] == end
    assert [row["training_iteration"] for row in past(results[0], end)] == list(range(1, end + 1))
    assert fsck.check(tmp_path / "new") == []
    assert contents(folder) == before


def test_it_is_shown_where_a_run_was_branched_from(tmp_path, old, capsys):
    """``ramet show`` says it in one line."""
    branched(tmp_path / "new", old, (2, 4), stop=8).fit()
    capsys.readouterr()
    main(["show", str(tmp_path / "new")])
    told = " ".join(capsys.readouterr().out.split())
    assert "branched from old at segment 2, iteration 4 (member 2)" in told
    assert "← member -1" not in told


def test_callbacks_hear_of_no_clones_at_the_start(tmp_path, old):
    """Members begin from one checkpoint; that makes nobody another one's clone, and reports none of theirs."""
    heard = []

    class Listens(ramet.Callback):
        def on_report(self, member, iteration, metrics):
            heard.append((member, iteration))

        def on_exploit(self, member, donor, config, iteration):
            heard.append((member, donor, iteration))

    branched(tmp_path / "new", old, stop=22, callbacks=[Listens()]).fit()
    assert sorted(heard) == [(member, iteration) for member in range(4) for iteration in (21, 22)]


# ---------------------------------------------------------------------- what is refused


def refused(folder, *arguments, error=ConfigError, words=(), **more):
    """Branch, which fails before anything is written, with these words."""
    more.setdefault("run_config", run(str(folder / "new"), 32))
    with pytest.raises(error) as caught:
        ramet.Tuner.branch(*arguments, **more)
    for word in words:
        assert word in str(caught.value)
    assert not (folder / "new").exists()


@pytest.mark.parametrize(
    ("start", "error", "words"),
    [
        (99, ConfigError, ["99", "segments 0 to"]),
        (-1, ConfigError, ["-1", "segments 0 to"]),
        (True, ConfigError, ["True", "(segment, iteration)"]),
        ("best", ConfigError, ["'best'", "(segment, iteration)"]),
        ((1, 2, 3), ConfigError, ["(1, 2, 3)", "(segment, iteration)"]),
        ((1, 2.5), ConfigError, ["(segment, iteration)"]),
        ((2, 3), CheckpointError, ["(2, 3)", "carried no checkpoint", "of segment 2 there are those", "2, 4"]),
        ((2, 400), CheckpointError, ["(2, 400)", "carried no checkpoint"]),
    ],
)
def test_what_is_no_point_is_refused(tmp_path, old, start, error, words):
    """By name, with what there is."""
    refused(tmp_path, old.experiment_path, train, start, error=error, words=words)


def test_what_is_gone_is_refused(tmp_path):
    """A checkpoint that was not kept, or is damaged, is told with those that are there."""
    done = old_run(
        tmp_path / "old", space={"large": True}, checkpoint_config=ramet.CheckpointConfig(num_to_keep=1), stop=6
    )
    kept = sorted(done.kept())
    gone = next(
        point.checkpoint for s in done.population.segments for point in s.points if point.checkpoint not in kept
    )
    there = [str(at) for number, at in kept if number == gone[0]] or ["of segment"]
    refused(tmp_path, tmp_path / "old", train, gone, error=CheckpointError, words=["was not kept", *there])
    empty = next(s.number for s in done.population.segments if not any(number == s.number for number, _ in kept))
    refused(tmp_path, tmp_path / "old", train, empty, error=CheckpointError, words=["there are none", str(kept[0][0])])
    stored = done.checkpoint(kept[-1])
    file = Path(stored.path) / "dict_checkpoint.pkl"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    refused(tmp_path, tmp_path / "old", train, kept[-1], error=CheckpointError, words=["checksum", "there are those"])
    shutil.rmtree(stored.path)
    refused(tmp_path, tmp_path / "old", train, kept[-1], error=CheckpointError, words=["there are those"])


def test_what_goes_in_between_leaves_no_half_run(tmp_path):
    """A checkpoint that is damaged after it was asked for: nothing has begun, and the name is free."""
    done = old_run(tmp_path / "old", space={"large": True}, stop=6)
    tuner = branched(tmp_path / "new", done)
    for folder in (tmp_path / "old" / CHECKPOINTS).iterdir():
        (folder / "dict_checkpoint.pkl").write_bytes(b"")
    with pytest.raises(CheckpointError, match="there are those"):
        tuner.fit()
    assert not ramet.Tuner.can_restore(tmp_path / "new")
    assert old_run(tmp_path / "new", stop=4).experiment_path == str(tmp_path / "new")


def test_an_end_in_the_middle_of_the_set_up_leaves_no_half_run(tmp_path, monkeypatch):
    """Until all that it begins with is committed, which is one step, there is no run; the name is free again."""
    done = old_run(tmp_path / "old", space={"large": True}, stop=6)
    tuner = branched(tmp_path / "new", done, stop=8)
    with monkeypatch.context() as patch:
        patch.setattr(Record, "commit", lambda *arguments, **more: (_ for _ in ()).throw(Stopped))
        with pytest.raises(Stopped):
            tuner.fit()
    assert not ramet.Tuner.can_restore(tmp_path / "new")
    assert list((tmp_path / "new" / CHECKPOINTS).iterdir()) == []
    results = tuner.fit()
    assert results.experiment_path == str(tmp_path / "new")
    assert [result.iteration for result in results] == [8] * 4


def test_what_is_no_run_is_refused(tmp_path, old):
    """Nothing there, something else, and a run that never began."""
    refused(tmp_path, tmp_path / "none", train, error=RunError, words=["holds no run"])
    (tmp_path / "never").mkdir()
    Record.create(tmp_path / "never", {}).close()
    refused(tmp_path, tmp_path / "never", train, error=RunError, words=["never began"])
    refused(tmp_path, old.experiment_path, "train", error=RametError)
    other = old_run(tmp_path / "other", stop=4)
    refused(tmp_path, tmp_path / "other", train, old[0], words=["is of the run in", "not in"])
    assert other[0].checkpoint is not None
    refused(tmp_path, tmp_path / "other", train, tune_config=5, words=["tune_config=5"])
    refused(tmp_path, tmp_path / "other", train, param_space=5, error=RametError, words=["param_space=5"])


def test_a_stop_rule_that_is_met_is_refused(tmp_path, old):
    """Of the model's iteration, time, or score; that of the members' own work begins at nil."""
    for stop in ({"training_iteration": 20}, {"time_total_s": 1e-9}, {"tick": 3}):
        config = run(str(tmp_path / "new"), stop)
        words = [next(iter(stop)), "is met where the branch begins", "start="]
        refused(tmp_path, old.experiment_path, train, run_config=config, words=words)
    ramet.Tuner.branch(old.experiment_path, train, run_config=run(str(tmp_path / "x"), {"compute_iterations": 1}))


class Thing:
    """An object that is nothing but itself."""

    def __init__(self, size):
        self.size = size


def test_objects_are_never_loaded(tmp_path):
    """A hyperparameter that is an object has to be given; then the old one is shown, and nothing is unpickled."""
    done = old_run(tmp_path / "old", space={"thing": ramet.choice([Thing(1)]), "in": {"list": [Thing(2)]}}, stop=4)
    (tmp_path / "old" / OBJECTS).write_bytes(b"not a pickle")
    refused(tmp_path, tmp_path / "old", train, words=["'thing', 'in/list'", "never loaded", "param_space={'thing': …"])
    results = ramet.Tuner.branch(
        tmp_path / "old",
        train,
        param_space={"thing": Thing(3), "in": {"list": []}},
        tune_config=tune(2),
        run_config=run(str(tmp_path / "new"), 8),
    ).fit()
    assert [result.config["thing"].size for result in results] == [3, 3]
    shown = ramet.ResultGrid(tmp_path / "old").population.segments[0].hparams["thing"]
    assert "Thing" in repr(shown)
    for seen in (results, ramet.ResultGrid(tmp_path / "new")):
        assert repr(seen[0].lineage[0].hparams["thing"]) == repr(shown)
    assert done.num_errors == 0
    again = ramet.Tuner.restore(tmp_path / "new", train, stop={"training_iteration": 12}).fit()
    assert [result.config["thing"].size for result in again] == [3, 3]


def test_a_run_without_a_score_needs_a_start(tmp_path):
    """Without a metric nobody is best, and the way out is named."""

    def plain(config):
        for i in range(1, 4):
            ramet.report({"x": i}, checkpoint=ramet.Checkpoint.from_dict({"i": i}))

    ramet.Tuner(plain, run_config=run(str(tmp_path / "old"), None)).fit()
    refused(tmp_path, tmp_path / "old", plain, words=["best member", "start=(segment, iteration)"])
    results = ramet.Tuner.branch(tmp_path / "old", plain, 0, run_config=run(str(tmp_path / "new"), 5)).fit()
    assert results[0].iteration == 5


def test_a_run_that_is_under_way_is_branched_from(tmp_path):
    """While its controller is at work, in the same process, another run begins from one of its points."""
    made = []

    class Branches(ramet.Callback):
        def on_checkpoint(self, member, segment, iteration, score):
            if iteration == 12 and not made:
                made.append(branched(tmp_path / "new", tmp_path / "old", (segment, iteration), stop=16).fit())

    old_run(tmp_path / "old", callbacks=[Branches()])
    assert [result.iteration for result in made[0]] == [16] * 4
    assert fsck.check(tmp_path / "new") == fsck.check(tmp_path / "old") == []


def test_a_lost_root_is_told_and_lived_with(tmp_path, old):
    """Should the checkpoint that all began from be damaged, what stands elsewhere goes on."""
    with pytest.raises(Stopped):
        branched(tmp_path / "new", old, callbacks=[StopAt(30)]).fit()
    record = Record.resume(tmp_path / "new")
    root = record.population().forebear.point.checkpoint
    record.ledger._db.execute("DELETE FROM checkpoints WHERE segment = ? AND iteration = ?", root)
    record.close()
    assert any("is lost" in told for told in fsck.check(tmp_path / "new"))
    results = ramet.Tuner.restore(tmp_path / "new", train, callbacks=[]).fit()
    assert [result.iteration for result in results] == [32] * 4
    assert fsck.check(tmp_path / "new") == []


def test_without_any_checkpoint_a_member_has_its_own_hyperparameters(tmp_path, old):
    """Should the root be gone before anybody has another one, members begin from nothing, as what they are here."""

    class AtStart(ramet.Callback):
        def on_run_start(self, path, population):
            raise Stopped

    with pytest.raises(Stopped):
        branched(tmp_path / "new", old, callbacks=[AtStart()]).fit()
    before = ramet.ResultGrid(tmp_path / "new")
    record = Record.resume(tmp_path / "new")
    record.ledger._db.execute("DELETE FROM checkpoints")
    record.close()
    results = ramet.Tuner.restore(tmp_path / "new", train, callbacks=[]).fit()
    assert [result.iteration for result in results] == [32] * 4
    first = [s for s in results.population.segments if s.info["why"] == "lost"]
    assert [s.hparams for s in first] == [result.config for result in before]
    assert all(s.parent is None for s in first)


def test_metric_and_mode_are_the_old_ones_where_none_are_given(tmp_path, old):
    """Each may be given, in the configuration or in the scheduler; what is not given is as it was."""
    for arguments, scheduler, metric, mode in [
        ({}, pbt(), "score", "max"),
        ({"metric": "score"}, pbt(), "score", "max"),
        ({"mode": "min"}, pbt(), "score", "min"),
        ({}, pbt(metric="loss", mode="min"), "loss", "min"),
        ({"mode": "min"}, pbt(metric="loss"), "loss", "min"),
    ]:
        config = ramet.TuneConfig(scheduler=scheduler, num_samples=2, **arguments)
        tuner = ramet.Tuner.branch(
            old.experiment_path, train, tune_config=config, run_config=run(str(tmp_path / "n"), 32)
        )
        assert (tuner.metric, tuner.mode) == (metric, mode)
    config = ramet.TuneConfig(metric="loss", scheduler=pbt())
    refused(tmp_path, old.experiment_path, train, tune_config=config, words=["needs mode"])


def test_a_branch_can_be_drawn(tmp_path, old):
    """All pictures are drawn of a branch, its past among them."""
    plots = pytest.importorskip("ramet.view.plots")
    pytest.importorskip("matplotlib").use("Agg")
    import matplotlib.pyplot as plt

    results = branched(tmp_path / "new", old, members=6, stop=48).fit()
    plots.parameter_history(results, "tick", "score")
    plots.schedules(results, "lr")
    plots.score_history(results)
    plots.lineage_tree(results)
    for number in plt.get_fignums():
        plt.figure(number).savefig(tmp_path / f"{number}.png")
    plt.close("all")


def test_nothing_of_a_branch_is_read_from_pickles():
    """The module that reads another run's folder has no way to unpickle anything."""
    assert "pickle" not in {name for name in vars(branch) if not name.startswith("_")}
