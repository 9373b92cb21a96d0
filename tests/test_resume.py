"""Taking up a run: nothing lost, nothing twice, and what may be changed when one does."""

import json
import math
import os
import pickle
import subprocess
import sys
import textwrap
import threading
import time

import cloudpickle
import pytest

import ramet
from ramet import fsck, settings
from ramet.aside import OBJECTS
from ramet.cli import main
from ramet.errors import ConfigError, LockedError, MemberError, RunError
from ramet.record import Record
from ramet.schedulers import Custom, Mutation, Resample
from ramet.settings import same_strategy
from ramet.testing import story
from ramet.testing.strategies import learning


class Stopped(BaseException):
    """Ends a run from within, once."""


class StopAt(ramet.Callback):
    """Breaks the run off after so many reports, as a death would, but in this process."""

    def __init__(self, reports):
        self.left = reports

    def on_report(self, member, iteration, metrics):
        self.left -= 1
        if self.left == 0:
            raise Stopped


def train(config):
    """A random walk that goes on from its checkpoint, every second one."""
    checkpoint = ramet.get_checkpoint()
    state = checkpoint.to_dict() if checkpoint else {"i": 0, "x": 0.0}
    for i in range(state["i"], config.get("steps", 10**6)):
        if config.get("fails") == ramet.get_context().member and i >= 7 and not os.path.exists(config["mended"]):
            raise ValueError("broken")
        state = {"i": i + 1, "x": state["x"] + config["lr"] * float(ramet.rng().normal())}
        saved = ramet.Checkpoint.from_dict(state) if i % 2 else None
        ramet.report({"score": state["x"], "steps": float(i)}, checkpoint=saved)


def tuner(folder, *, stop=20, members=4, function=train, space=None, executor="inline", synch=True, **more):
    """A population of four random walks with a decision at every fourth step."""
    scheduler = ramet.PopulationBasedTraining(
        time_attr="training_iteration",
        perturbation_interval=4,
        hyperparam_mutations={"lr": ramet.uniform(0.1, 1.0)},
        synch=synch,
    )
    tune = {"time_budget_s": more.pop("time_budget_s")} if "time_budget_s" in more else {}
    return ramet.Tuner(
        function,
        param_space={"lr": ramet.uniform(0.1, 1.0), **(space or {})},
        tune_config=ramet.TuneConfig(
            metric="score", mode="max", scheduler=scheduler, num_samples=members, seed=5, **tune
        ),
        run_config=ramet.RunConfig(
            name=os.path.basename(folder),
            storage_path=os.path.dirname(folder),
            stop={"training_iteration": stop} if isinstance(stop, int) else stop,
            verbose=0,
            executor=executor,
            **more,
        ),
    )


def broken_off(folder, at=31, **more):
    """Begin a run that ends after so many reports; return its folder."""
    with pytest.raises(Stopped):
        tuner(folder, callbacks=[StopAt(at)], **more).fit()
    return folder


@pytest.mark.parametrize("at", [1, 2, 15, 16, 17, 31, 48, 63])
@pytest.mark.parametrize("executor", [ramet.InlineExecutor, lambda: ramet.SimulatedExecutor(2, spread=0.5)])
def test_a_run_taken_up_ends_as_if_nothing_had_happened(tmp_path, at, executor):
    """Wherever it broke off, the same events, rows and checkpoints are there in the end."""
    whole = tuner(str(tmp_path / "whole"), executor=executor()).fit()
    folder = broken_off(str(tmp_path / "broken"), at, executor=executor())
    assert ramet.Tuner.can_restore(folder)
    results = ramet.Tuner.restore(folder, train, callbacks=[]).fit()
    assert [result.state for result in results] == ["finished"] * 4
    assert story(folder) == story(whole.experiment_path)


def test_a_run_can_be_taken_up_again_and_again(tmp_path):
    """Broken off over and over it still ends in the same bytes, and each time somewhere later."""
    whole = tuner(str(tmp_path / "whole")).fit()
    folder = broken_off(str(tmp_path / "broken"), 5)
    for _ in range(100):
        try:
            ramet.Tuner.restore(folder, train, callbacks=[StopAt(9)]).fit()
        except Stopped:
            continue
        break
    assert story(folder) == story(whole.experiment_path)


def test_restoring_what_is_complete_changes_nothing(tmp_path, capsys):
    """With nothing left to do the results are returned, and not one entry is written."""
    done = tuner(str(tmp_path / "run")).fit()
    before = events(done.experiment_path)
    again = ramet.Tuner.restore(done.experiment_path, train, verbose=1).fit()
    assert capsys.readouterr().out == "run run: nothing is left to train\n"
    assert [result.metrics["score"] for result in again] == [result.metrics["score"] for result in done]
    assert events(done.experiment_path) == before


def events(path):
    """The kinds of a run's events."""
    record = Record.open(path)
    try:
        return [type(event).__name__ for event in record.events()]
    finally:
        record.close()


def test_a_longer_goal_is_the_run_that_had_it_from_the_start(tmp_path):
    """Members that only the old stop rule ended train on, and come to where one longer run would have come."""
    long = tuner(str(tmp_path / "long"), stop=40).fit()
    short = tuner(str(tmp_path / "short"), stop=20).fit()
    results = ramet.Tuner.restore(short.experiment_path, train, stop={"training_iteration": 40}).fit()
    assert [result.iteration for result in results] == [40] * 4
    assert results.get_dataframe()["score"].tolist() == long.get_dataframe()["score"].tolist()
    assert story(short.experiment_path)["rows"] == story(long.experiment_path)["rows"]


def test_what_was_changed_stays_changed(tmp_path):
    """A resume that broke off is taken up with what it had been given, without saying it again."""
    done = tuner(str(tmp_path / "run"), stop=8).fit()
    with pytest.raises(Stopped):
        ramet.Tuner.restore(
            done.experiment_path, train, stop={"training_iteration": 24}, num_samples=5, callbacks=[StopAt(30)]
        ).fit()
    results = ramet.Tuner.restore(done.experiment_path, train, callbacks=[]).fit()
    assert [result.iteration for result in results] == [24] * 5
    again = ramet.Tuner.restore(done.experiment_path, train)
    assert again.run.stop == {"training_iteration": 24}
    assert again.tune.num_samples == 5


def test_a_goal_that_is_met_already_revives_nobody(tmp_path):
    """A stop rule that the members meet where they are lets them be."""
    done = tuner(str(tmp_path / "run"), stop=20).fit()
    before = events(done.experiment_path)
    ramet.Tuner.restore(done.experiment_path, train, stop={"training_iteration": 12}).fit()
    assert events(done.experiment_path) == before


def test_those_who_returned_are_not_called_again(tmp_path):
    """Another stop rule is nothing to a function that came to its own end."""
    done = tuner(str(tmp_path / "run"), stop=None, space={"steps": 6}).fit()
    results = ramet.Tuner.restore(done.experiment_path, train, stop={"training_iteration": 50}).fit()
    assert [result.iteration for result in results] == [6] * 4


def test_members_can_be_added(tmp_path):
    """More samples are new founders, the same that a larger run would have drawn; the old members train on."""
    larger = tuner(str(tmp_path / "larger"), members=6).fit()
    folder = broken_off(str(tmp_path / "run"), 9)
    results = ramet.Tuner.restore(folder, train, num_samples=6, callbacks=[]).fit()
    assert [result.iteration for result in results] == [20] * 6
    first = [result.lineage[0].hparams for result in larger]
    founders = {s.member: s.hparams for s in reversed(results.population.segments)}
    assert all(founders[n] in first or founders[n] in founders.values() for n in range(6))
    assert founders[5] == {s.member: s.hparams for s in reversed(larger.population.segments)}[5]


def test_a_failed_member_goes_on_or_begins_anew_only_when_asked(tmp_path):
    """``resume_errored`` goes on from its checkpoint, ``restart_errored`` from nothing, neither leaves it failed."""
    for how, first in ({}, None), ({"resume_errored": True}, 7), ({"restart_errored": True}, 1):
        mended = tmp_path / f"mended{len(how)}{first}"
        folder = str(tmp_path / f"run{first}")
        failed = tuner(folder, space={"fails": 2, "mended": str(mended)}).fit()
        assert failed[2].state == "failed"
        mended.touch()
        before = len(failed.population.segments)
        results = ramet.Tuner.restore(folder, train, **how).fit()
        if first is None:
            assert results[2].state == "failed"
            continue
        assert [result.state for result in results] == ["finished"] * 4
        assert results.errors == []
        again = [row for row in results[2].metrics_dataframe.itertuples() if row.segment >= before or first == 7]
        assert again[0].training_iteration == (1 if first == 1 else again[0].training_iteration)
        frame = results[2].metrics_dataframe
        assert not frame.duplicated(["segment", "training_iteration"]).any()


def test_the_budget_is_that_of_the_whole_run(tmp_path):
    """Time that was spent before counts; a larger budget goes on."""

    def slow(config):
        checkpoint = ramet.get_checkpoint()
        i = checkpoint.to_dict()["i"] if checkpoint else 0
        while True:
            time.sleep(0.01)
            i += 1
            ramet.report({"score": 0.0}, checkpoint=ramet.Checkpoint.from_dict({"i": i}))

    done = tuner(str(tmp_path / "run"), function=slow, stop=None, members=2, time_budget_s=0.4).fit()
    reached = [result.iteration for result in done]
    assert "time budget" in done.population.ended
    assert done.population.spent > 0.2
    same = ramet.Tuner.restore(done.experiment_path, slow).fit()
    assert max(result.iteration for result in same) < max(reached) + 25, "nothing but what was left of the budget"
    more = ramet.Tuner.restore(done.experiment_path, slow, time_budget_s=1.5).fit()
    assert min(result.iteration for result in more) > max(reached)


def test_objects_in_the_space_come_back(tmp_path):
    """A configuration that holds what is no plain data is the same after a resume, as an object."""

    class Thing:
        def __init__(self, size):
            self.size = size

    def uses(config):
        checkpoint = ramet.get_checkpoint()
        i = checkpoint.to_dict()["i"] if checkpoint else 0
        while True:
            i += 1
            score = config["thing"].size * config["lr"]
            ramet.report({"score": score}, checkpoint=ramet.Checkpoint.from_dict({"i": i}))

    folder = broken_off(str(tmp_path / "run"), 21, function=uses, space={"thing": ramet.choice([Thing(2), Thing(3)])})
    assert os.path.exists(os.path.join(folder, OBJECTS))
    results = ramet.Tuner.restore(folder, uses, callbacks=[]).fit()
    assert [result.state for result in results] == ["finished"] * 4
    assert {result.config["thing"].size for result in results} <= {2, 3}


def test_found_hyperparameters_survive(tmp_path):
    """After a resume every member trains under what was in force, not under what it began with."""
    folder = broken_off(str(tmp_path / "run"), 63)
    before = ramet.ResultGrid(folder)
    assert before.population.exploits
    in_force = [result.config["lr"] for result in before]
    seen = []

    def watching(config):
        seen.append((ramet.get_context().member, config["lr"]))
        train(config)

    watching.__name__ = "train"
    ramet.Tuner.restore(folder, watching, callbacks=[]).fit()
    first = dict(reversed(seen))
    assert [first[member] for member in sorted(first)] == [in_force[member] for member in sorted(first)]


def test_stoppers_that_judge_the_whole_run_remember(tmp_path):
    """A stopper that counts every report ends the run at the same report, taken up or not."""

    class After(ramet.Stopper):
        seen = 0

        def begin(self):
            self.seen = 0

        def __call__(self, trial_id, result):
            self.seen += 1
            return False

        def stop_all(self):
            return self.seen >= 50

    whole = tuner(str(tmp_path / "whole"), stop=After()).fit()
    folder = broken_off(str(tmp_path / "run"), 30, stop=After())
    broken = ramet.Tuner.restore(folder, train, callbacks=[]).fit()
    assert broken.population.ended == whole.population.ended == "After ended the run"
    counts = [sum(len(result.metrics_dataframe) for result in results) for results in (whole, broken)]
    assert counts == [50, 50], "the rows that were dropped were not counted twice"


# ---------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"metric": "loss"}, ["metric", "cannot be changed", "new run"]),
        ({"mode": "min"}, ["mode", "cannot be changed"]),
        ({"seed": 3}, ["seed", "cannot be changed", "drawn"]),
        ({"name": "x"}, ["name", "cannot be changed"]),
        ({"storage_path": "x"}, ["storage_path", "cannot be changed"]),
        ({"max_iter": 3}, ["max_iter", "unknown", "stop"]),
        ({"num_samples": 2}, ["num_samples=2", "4", "added, not taken away"]),
        ({"num_samples": 0}, ["num_samples=0", "at least 1"]),
        ({"stop": {"training_iteration": "x"}}, ["stop", "training_iteration"]),
        ({"executor": "threads"}, ["executor", "threads"]),
        ({"time_budget_s": -1}, ["time_budget_s", "-1"]),
        ({"resume_unfinished": False}, ["resume_unfinished"]),
        ({"resume_errored": True, "restart_errored": True}, ["contradict"]),
        ({"scheduler": ramet.FIFO()}, ["scheduler", "PopulationBasedTraining", "FIFO"]),
        ({"param_space": {"lr": ramet.uniform(5, 6)}, "num_samples": 6}, ["param_space"]),
        ({"param_space": {"lr": ramet.uniform(5, 6)}}, ["param_space", "other members"]),
        ({"checkpoint_config": ramet.CheckpointConfig(keep_lineage=True)}, ["keep_lineage", "cannot be changed"]),
        ({"failure_config": ramet.FailureConfig(report_timeout_s=5)}, ["report_timeout_s", "process"]),
    ],
)
def test_what_cannot_be_changed_is_refused_and_costs_nothing(tmp_path, given, words):
    """Refused by name, with the way out, before anything is written."""
    folder = broken_off(str(tmp_path / "run"), 9)
    before = events(folder)
    with pytest.raises(ConfigError) as caught:
        ramet.Tuner.restore(folder, train, **{"callbacks": [], **given}).fit()
    for word in words:
        assert word in str(caught.value)
    assert events(folder) == before
    assert ramet.Tuner.restore(folder, train, callbacks=[]).fit().num_errors == 0


def test_another_function_is_refused(tmp_path):
    """A run is not continued by a function of another name."""
    folder = broken_off(str(tmp_path / "run"), 9)

    def other(config):
        """Do nothing."""

    with pytest.raises(ConfigError, match=r"trainable=other.*'train'"):
        ramet.Tuner.restore(folder, other)


def test_what_is_no_run_cannot_be_restored(tmp_path):
    """An empty folder, a missing one, a file: can_restore says no, restore says why."""
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "missing", tmp_path / "file"):
        assert not ramet.Tuner.can_restore(path)
        with pytest.raises(RunError, match="holds no run"):
            ramet.Tuner.restore(path, train)


def test_what_could_not_be_kept_is_asked_for(tmp_path):
    """A callback that cannot be pickled is named, with the argument that gives it again."""

    class Locking(StopAt):
        def __init__(self, reports):
            super().__init__(reports)
            self.lock = threading.Lock()

    with pytest.raises(Stopped):
        tuner(str(tmp_path / "run"), callbacks=[Locking(9)]).fit()
    with pytest.raises(ConfigError, match=r"callbacks could not be pickled.*callbacks=…"):
        ramet.Tuner.restore(tmp_path / "run", train)
    assert ramet.Tuner.restore(tmp_path / "run", train, callbacks=[]).fit().num_errors == 0


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\x80\x05}"])
def test_a_run_goes_on_without_its_settings_where_they_are_given(tmp_path, content):
    """A damaged settings file is said so; what it held can be given instead."""
    whole = tuner(str(tmp_path / "whole")).fit()
    folder = broken_off(str(tmp_path / "run"), 9)
    with open(os.path.join(folder, settings.NAME), "wb") as file:
        file.write(content)
    with pytest.raises(RunError, match=r"damaged.*scheduler=…"):
        ramet.Tuner.restore(folder, train)
    again = tuner(str(tmp_path / "unused"))
    ramet.Tuner.restore(
        folder, train, param_space=again.param_space, scheduler=again.strategy, stop={"training_iteration": 20},
        executor="inline", verbose=0,
    ).fit()  # fmt: skip
    assert {k: v for k, v in story(folder).items() if k != "events"} == {
        k: v for k, v in story(whole.experiment_path).items() if k != "events"
    }


def test_a_path_may_begin_at_home(tmp_path, monkeypatch):
    """``~`` is the home folder for a restore and for results, as it is for storage_path."""
    monkeypatch.setenv("HOME", str(tmp_path))
    tuner("~/run", stop=4).fit()
    assert ramet.Tuner.can_restore("~/run")
    assert ramet.Tuner.restore("~/run", train, stop={"training_iteration": 6}).fit()[0].iteration == 6
    assert ramet.ResultGrid("~/run")[0].iteration == 6


def test_a_moved_run_goes_on_where_it_lies(tmp_path):
    """The folder may be renamed and moved: nothing in it knows where it is."""
    whole = tuner(str(tmp_path / "run")).fit()
    (tmp_path / "else").mkdir()
    folder = broken_off(str(tmp_path / "else" / "run"), 33)
    os.rename(folder, tmp_path / "moved")
    ramet.Tuner.restore(tmp_path / "moved", train, callbacks=[]).fit()
    assert story(tmp_path / "moved") == story(whole.experiment_path)


@pytest.mark.parametrize(
    "executor", [ramet.ProcessExecutor(2), ramet.InlineExecutor(3), ramet.SimulatedExecutor(2, spread=0.3, seed=7)]
)
def test_the_executor_is_kept_as_it_was_asked_for(tmp_path, executor):
    """One that has been used already is kept too, without anything that it works on."""
    for name in ("first", "second"):
        path = tuner(str(tmp_path / name), executor=executor, stop=4).fit().experiment_path
    again = ramet.Tuner.restore(path, train)
    kept = again.run.executor
    assert type(kept) is type(executor)
    assert {k: v for k, v in vars(kept).items() if k in ("slots", "spread", "seed")} == {
        k: v for k, v in vars(executor).items() if k in ("slots", "spread", "seed")
    }
    assert os.path.getsize(os.path.join(path, settings.NAME)) < 20_000


def test_fail_fast_ends_are_taken_up(tmp_path):
    """A run that ended at its first failure goes on once the cause is mended."""
    mended = tmp_path / "mended"
    space = {"fails": 1, "mended": str(mended)}
    with pytest.raises(MemberError):
        tuner(str(tmp_path / "run"), space=space, failure_config=ramet.FailureConfig(fail_fast="raise")).fit()
    mended.touch()
    results = ramet.Tuner.restore(tmp_path / "run", train, resume_errored=True).fit()
    assert [result.iteration for result in results] == [20] * 4


def test_a_second_controller_is_refused(tmp_path):
    """While one is at work on a run, another is told whose it is, and nothing is written by it."""
    folder = str(tmp_path / "run")
    refused = []

    class Second(ramet.Callback):
        def on_checkpoint(self, member, segment, iteration, score):
            if not refused:
                try:
                    ramet.Tuner.restore(folder, train, callbacks=[]).fit()
                except LockedError as error:
                    refused.append(str(error))

    tuner(folder, callbacks=[Second()]).fit()
    assert str(os.getpid()) in refused[0]
    script = textwrap.dedent(
        f"""
        import ramet
        def train(config): pass
        try:
            ramet.Tuner.restore({folder!r}, train, callbacks=[], stop={{"training_iteration": 24}}).fit()
        except ramet.RametError as error:
            print(type(error).__name__, error)
        """
    )

    class Other(ramet.Callback):
        said = ""

        def on_checkpoint(self, member, segment, iteration, score):
            if not self.said:
                ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
                self.said = ran.stdout + ran.stderr

    other = Other()
    ramet.Tuner.restore(folder, train, stop={"training_iteration": 24}, callbacks=[other]).fit()
    assert other.said.startswith("LockedError")
    assert str(os.getpid()) in other.said
    assert not os.path.exists(os.path.join(folder, "run.lock")), "nothing is left behind"


def test_reading_never_loads_what_was_kept_aside(tmp_path):
    """Results, the check and can_restore never unpickle: a pickle that would act does nothing."""
    folder = broken_off(str(tmp_path / "run"), 21)
    flag = tmp_path / "acted"

    class Acts:
        def __reduce__(self):
            return (open, (str(flag), "w"))

    for name in (settings.NAME, OBJECTS):
        with open(os.path.join(folder, name), "wb") as file:
            pickle.dump(Acts(), file)
    ramet.ResultGrid(folder).get_best_result()
    assert ramet.Tuner.can_restore(folder)
    fsck.check(tmp_path / "run")
    main(["show", folder])
    main(["check", "--repair", folder])
    assert not flag.exists()


def test_the_story_says_that_it_was_taken_up(tmp_path):
    """The ledger tells of the end, of the resume and of what was changed."""
    folder = broken_off(str(tmp_path / "run"), 9)
    ramet.Tuner.restore(folder, train, callbacks=[], stop={"training_iteration": 8}).fit()
    assert events(folder).count("Resumed") == 1
    results = ramet.ResultGrid(folder)
    assert json.loads(json.dumps(results.population.facts["goal"])) == 8.0
    assert math.isfinite(results.population.spent)


class Thing:
    """An object that is nothing but itself."""

    def __init__(self, size):
        self.size = size


def uses_a_thing(config):
    """Scored by an object of the search space."""
    checkpoint = ramet.get_checkpoint()
    i = checkpoint.to_dict()["i"] if checkpoint else 0
    while True:
        i += 1
        ramet.report({"score": config["thing"].size * i}, checkpoint=ramet.Checkpoint.from_dict({"i": i}))


def with_things(folder, callbacks=None):
    """A population whose mutations are objects."""
    things = [Thing(size) for size in range(9)]
    scheduler = ramet.PopulationBasedTraining(
        time_attr="training_iteration", perturbation_interval=2, hyperparam_mutations={"thing": things}, synch=True
    )
    return ramet.Tuner(
        uses_a_thing,
        param_space={"thing": ramet.choice(things)},
        tune_config=ramet.TuneConfig(metric="score", mode="max", scheduler=scheduler, num_samples=6, seed=5),
        run_config=ramet.RunConfig(
            name="run", storage_path=folder, stop={"training_iteration": 16}, verbose=0, executor="inline",
            callbacks=callbacks,
        ),
    ).fit()  # fmt: skip


def test_objects_are_the_same_ones_after_a_resume(tmp_path):
    """An ordered list of objects is still known by identity: a clone's neighbour in it is what it would have been."""
    whole = with_things(tmp_path / "whole")
    with pytest.raises(Stopped):
        with_things(tmp_path, [StopAt(40)])
    results = ramet.Tuner.restore(tmp_path / "run", uses_a_thing, callbacks=[]).fit()
    assert [r.config["thing"].size for r in results] == [r.config["thing"].size for r in whole]
    assert story(tmp_path / "run")["rows"] == story(whole.experiment_path)["rows"]


def test_what_died_before_it_began_is_begun(tmp_path):
    """A folder in which nothing has happened yet is no run, and the next run of that name takes it."""
    folder = tmp_path / "run"
    folder.mkdir()
    Record.create(folder, {}).close()
    assert not ramet.Tuner.can_restore(folder)
    with pytest.raises(RunError, match="never began"):
        ramet.Tuner.restore(folder, train)
    assert tuner(str(folder), stop=4).fit().experiment_path == str(folder)
    assert tuner(str(folder), stop=4).fit().experiment_path == f"{folder}_2", "what has begun is left alone"
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep")
    assert tuner(str(tmp_path / "mine"), stop=4).fit().experiment_path == str(tmp_path / "mine_2")


def test_a_resume_sweeps_what_the_dead_left(tmp_path):
    """What belongs to nothing is gone after a resume, also where there was nothing left to train."""
    done = tuner(str(tmp_path / "run"), stop=4).fit()
    stray = os.path.join(done.experiment_path, "checkpoints", "tmp-0123456789abcdef")
    os.makedirs(stray)
    ramet.Tuner.restore(done.experiment_path, train).fit()
    assert not os.path.exists(stray)


def _loud(config):
    return config["lr"] < 10


def _keeps(config):
    return config


def _made(scheduler, **arguments):
    return scheduler(
        **{
            "time_attr": "training_iteration",
            "perturbation_interval": 4,
            "hyperparam_mutations": {"lr": ramet.uniform(0.0, 1.0)},
            **arguments,
        }
    )


PBT, LADDER, DEX = ramet.PopulationBasedTraining, ramet.LadderPBT, ramet.DexPBT


@pytest.mark.parametrize(
    ("scheduler", "then", "now"),
    [
        (LADDER, {"rungs": (1, 2)}, {"rungs": (1, 3)}),
        (LADDER, {"constraints": [_loud]}, {"constraints": []}),
        (PBT, {"constraints": [_loud], "explore": {"lr": Resample(0.5)}}, {"explore": {"lr": Resample(0.9)}}),
        (PBT, {"explore": [Mutation(0.1), Custom(_keeps)]}, {"explore": [Mutation(0.9), Custom(_keeps)]}),
        (DEX, {"constraints": [_loud]}, {"mutation_probability": 0.9}),
        (DEX, {"constraints": [_loud]}, {"scale": (1.5, 2.0)}),
    ],
)
def test_another_setting_is_told_beside_a_function_too(scheduler, then, now):
    """A function is known by its name alone, and what stands beside it in a rule is compared all the same."""
    one, other = _made(scheduler, **then), _made(scheduler, **{**then, **now})
    facts = {"strategy": one.describe()}
    again = cloudpickle.loads(cloudpickle.dumps(_made(scheduler, **then)))
    same_strategy(facts, again.describe(), {})
    with pytest.raises(ConfigError, match=r"then, .* now"):
        same_strategy(facts, other.describe(), {})


def _told(path, strategy, executor, callbacks=()):
    space = {"h": ramet.uniform(0.0, 1.0), "lr": ramet.loguniform(1e-4, 1.0), "n": ramet.randint(1, 5000)}
    return ramet.Tuner(
        learning,
        param_space=space,
        tune_config=ramet.TuneConfig(metric="score", mode="max", scheduler=strategy(space), num_samples=12, seed=1),
        run_config=ramet.RunConfig(
            name=path.name,
            storage_path=str(path.parent),
            stop={"compute_iterations": 25},
            executor=executor,
            verbose=0,
            callbacks=[*callbacks],
        ),
    )


@pytest.mark.parametrize("scheduler", [LADDER, ramet.PB2, DEX, ramet.PairwisePBT])
def test_what_was_changed_is_told_alike_after_a_restore(tmp_path, scheduler):
    """Equal values are no change, whether they are one object, as before a run is taken up, or two, as after it."""

    def strategy(space):
        return _made(scheduler, hyperparam_mutations=space, synch=True)

    whole = _told(tmp_path / "whole", strategy, ramet.InlineExecutor(3)).fit()
    with pytest.raises(Stopped):
        _told(tmp_path / "broken", strategy, ramet.InlineExecutor(3), [StopAt(141)]).fit()
    rest = ramet.Tuner.restore(tmp_path / "broken", learning, callbacks=[]).fit()
    assert story(rest.experiment_path) == story(whole.experiment_path)
    for _, told in story(whole.experiment_path)["events"]:
        for was, now in told.get("info", {}).get("changed", {}).values():
            assert was != now
