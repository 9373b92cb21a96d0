"""Callbacks hear of what is durable, in order, and can harm nothing."""

import os
import threading

import pytest

import ramet
from ramet.core.blocks import as_dicts
from ramet.core.events import Began, Ended, Failed, Finished, Kept, Noted, Opened, Reported
from ramet.record import Record

HOOKS = (
    "on_run_start", "on_report", "on_checkpoint", "on_exploit", "on_member_failed", "on_member_finished", "on_run_end",
)  # fmt: skip


class Listening(ramet.Callback):
    """Writes down every hook with what it was told."""

    def __init__(self):
        self.heard = []

    def __getattribute__(self, name):
        if name in HOOKS:
            return lambda *what: self.hear(name, *what)
        return super().__getattribute__(name)

    def hear(self, hook, *what):
        """Write it down."""
        self.heard.append((hook, *what))


# Methods of its own, for on_report is called only where a class defines it.
for _hook in HOOKS:
    setattr(Listening, _hook, None)


def training(config):
    """Train with checkpoints; member 0 fails once and goes on, member 1 for good, and member 2 returns early."""
    checkpoint = ramet.get_checkpoint()
    step = checkpoint.to_dict()["step"] if checkpoint else 0
    member = ramet.get_context().member
    while step < 12:
        step += 1
        if member == 2 and step == 10:
            return
        if member == 1 and step == 8:
            raise RuntimeError("for good")
        saved = ramet.Checkpoint.from_dict({"step": step}) if step % 2 == 0 else None
        ramet.report({"score": step * config["rate"], "deep": {"er": step}}, checkpoint=saved)
        if member == 0 and step == 1 and checkpoint is None and config["fails"] and not os.path.exists(config["fails"]):
            open(config["fails"], "x").close()
            raise RuntimeError("once")


def run(tmp_path, callbacks, executor="inline", name="run", fails=True, **more):
    """A run with failures, exploits and ends of every sort."""
    scheduler = ramet.PopulationBasedTraining(
        time_attr="training_iteration",
        perturbation_interval=4,
        hyperparam_mutations={"rate": ramet.uniform(0.1, 2)},
        synch=True,
    )
    return ramet.Tuner(
        training,
        param_space={"fails": str(tmp_path / f"failed-{name}") if fails else ""},
        tune_config=ramet.TuneConfig(metric="score", mode="min", num_samples=5, seed=2, scheduler=scheduler),
        run_config=ramet.RunConfig(
            name=name, storage_path=tmp_path, verbose=0, executor=executor, callbacks=callbacks,
            failure_config=ramet.FailureConfig(max_failures=int(fails)), **more,
        ),
    ).fit()  # fmt: skip


def told_by(path):
    """The hooks that the events of a run stand for, in order."""
    record = Record.open(path)
    members, segments = {}, {}
    for event in record.events():
        match event:
            case Began():
                yield ("on_run_start", path)
            case Opened():
                members[event.segment] = event.member
                segments[event.segment] = event
                if event.parent is not None:
                    yield ("on_exploit", event.member, members[event.parent], event.hparams, event.iteration)
            case Reported():
                for iteration, metrics in enumerate(as_dicts(event.rows), start=event.first):
                    yield ("on_report", members[event.segment], iteration, metrics)
            case Kept():
                yield ("on_checkpoint", members[event.segment], event.segment, event.iteration, event.score)
            case Failed():
                yield ("on_member_failed", members[event.segment], event.error, event.final)
            case Finished():
                yield ("on_member_finished", members[event.segment], event.reason)
            case Ended():
                yield ("on_run_end", event.reason)
    record.close()


@pytest.mark.parametrize("executor", ["inline", ramet.ProcessExecutor(2)], ids=["inline", "process"])
def test_hooks_tell_all_that_happened_in_order(tmp_path, executor):
    """What callbacks hear is what the ledger holds, each thing once and in the order of the events."""
    listening = Listening()
    results = run(tmp_path, [listening], executor, fails=False)
    heard = [tuple(what for what in entry if what is not results.population) for entry in listening.heard]
    heard = [entry[:2] if entry[0] in ("on_run_start", "on_run_end") else entry for entry in heard]
    assert heard == list(told_by(results.experiment_path))
    assert {hook for hook, *_ in heard} == set(HOOKS)


def test_each_row_is_told_once_even_if_it_was_made_twice(tmp_path):
    """Rows that came with a failure's last words are not told of before they are made anew, and then once."""
    listening = Listening()
    results = run(tmp_path, [listening])
    rows = [(member, iteration) for hook, member, iteration, *_ in listening.heard if hook == "on_report"]
    assert rows.count((0, 1)) == 1
    assert results.population.members[0].failures == 1
    failed = [entry for entry in listening.heard if entry[0] == "on_member_failed"]
    assert [(member, final) for _, member, _, final in failed] == [(0, False), (1, False), (1, True)]
    assert list(results[0].metrics_dataframe["training_iteration"])[:2] == [1, 2]


def test_the_score_is_signed(tmp_path):
    """Callbacks get scores of which larger is better, whatever the mode; metrics are as they were reported."""
    listening = Listening()
    run(tmp_path, [listening], fails=False)
    scores = {entry[1:4:2]: entry[4] for entry in listening.heard if entry[0] == "on_checkpoint"}
    reported = {(entry[1], entry[2]): entry[3] for entry in listening.heard if entry[0] == "on_report"}
    for (member, iteration), score in scores.items():
        assert score == -reported[member, iteration]["score"] < 0
        assert reported[member, iteration]["deep/er"] == iteration


class Looking(Listening):
    """At each hook, looks into the ledger through a connection of its own."""

    def hear(self, hook, *what):
        """See that what is told is there for everybody."""
        super().hear(hook, *what)
        if hook == "on_run_start":
            self.path = what[0]
        record = Record.open(self.path)
        events = list(record.events())
        ours = {event.segment for event in events if isinstance(event, Opened) and event.member == what[0]}
        match hook:
            case "on_run_start":
                found = [event for event in events if isinstance(event, Began | Opened)]
                assert len(found) == 1 + 5
            case "on_report":
                found = [
                    e for e in events if isinstance(e, Reported) and e.segment in ours and e.first <= what[1] <= e.last
                ]
            case "on_checkpoint":
                found = [e for e in events if isinstance(e, Kept) and (e.segment, e.iteration) == what[1:3]]
                assert record.checkpoint(what[1:3])
            case "on_exploit":
                found = [e for e in events if isinstance(e, Opened) and e.member == what[0] and e.hparams == what[2]]
                assert record.checkpoint((found[-1].parent, found[-1].iteration))
            case "on_member_failed":
                found = [e for e in events if isinstance(e, Failed) and e.segment in ours and e.error == what[1]]
            case "on_member_finished":
                found = [e for e in events if isinstance(e, Finished) and e.segment in ours]
            case "on_run_end":
                found = [e for e in events if isinstance(e, Ended)]
        record.close()
        assert found, (hook, what)


def test_what_is_told_is_durable(tmp_path):
    """At every hook another reader finds in the ledger what the hook tells of, checkpoints included."""
    looking = Looking()
    results = run(tmp_path, [looking], fails=False)
    assert [kind for kind in results.population.noted if kind.startswith("callback:")] == []
    assert {hook for hook, *_ in looking.heard} == set(HOOKS)


def test_a_run_can_be_read_from_a_hook(tmp_path):
    """The results so far are there for whoever asks in the middle of the run."""

    class Reading(ramet.Callback):
        best = ()

        def on_checkpoint(self, member, segment, iteration, score):
            grid = ramet.ResultGrid(tmp_path / "run")
            self.best = (*self.best, grid.get_best_result().metrics["score"])
            assert segment in set(grid[member].metrics_dataframe["segment"])

    reading = Reading()
    results = run(tmp_path, [reading])
    assert not any(kind.startswith("callback:") for kind in results.population.noted)
    assert len(reading.best) > 10


class Raising(Listening):
    """Raises at one hook."""

    def __init__(self, bad):
        super().__init__()
        self.bad = bad

    def hear(self, hook, *what):
        """Write it down, then maybe raise."""
        super().hear(hook, *what)
        if hook == self.bad:
            raise ValueError(f"no {hook} today")


@pytest.mark.parametrize("hook", HOOKS)
def test_an_exception_costs_the_callback_not_the_run(tmp_path, hook):
    """Whichever hook raises, its callback is dropped and that is recorded; others and the run go on as without it."""
    raising, before, after = Raising(hook), Listening(), Listening()
    results = run(tmp_path, [before, raising, after], fails=False)
    quiet = run(tmp_path, [], name="quiet", fails=False)

    assert [entry[0] for entry in raising.heard].count(hook) == 1
    assert raising.heard[-1][0] == hook, "it hears nothing more"
    assert before.heard == after.heard
    assert before.heard[-1][0] == "on_run_end"
    record = Record.open(results.experiment_path)
    (note,) = [event for event in record.events() if isinstance(event, Noted)]
    record.close()
    assert note.text == f"the callback Raising was dropped: Raising.{hook} raised ValueError: no {hook} today"
    columns = ["score", "training_iteration", "segment", "member"]
    for mine, other in zip(results, quiet, strict=True):
        assert mine.metrics_dataframe[columns].equals(other.metrics_dataframe[columns])
        assert mine.state == other.state


def test_callbacks_are_told_in_their_order_and_in_the_controller(tmp_path):
    """Each event goes to all callbacks, first to last, in the process and the thread that called fit()."""
    order, where = [], set()

    class Numbered(ramet.Callback):
        def __init__(self, number):
            self.number = number

        def on_report(self, member, iteration, metrics):
            order.append((member, iteration, self.number))
            where.add((os.getpid(), threading.get_ident()))

    run(tmp_path, [Numbered(0), Numbered(1), Numbered(2)], ramet.ProcessExecutor(1), fails=False)
    assert [number for *_, number in order] == [0, 1, 2] * (len(order) // 3)
    assert where == {(os.getpid(), threading.get_ident())}


def test_one_callback_may_serve_several_runs(tmp_path):
    """An object that was dropped in one run is heard again in the next."""
    raising = Raising("on_run_start")
    for name in ("a", "b"):
        run(tmp_path, [raising], name=name)
    assert [entry[0] for entry in raising.heard] == ["on_run_start"] * 2


def test_an_interrupt_in_a_hook_is_an_interrupt_of_the_run(tmp_path):
    """Ctrl-C while a callback is at work ends the run as it does elsewhere: recorded, and raised."""

    class Interrupted(ramet.Callback):
        def on_checkpoint(self, member, segment, iteration, score):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, [Interrupted()])
    opened = ramet.ResultGrid(tmp_path / "run")
    assert opened.population.ended == "interrupted from the keyboard"
    assert {result.state for result in opened} == {"training"}


def test_what_a_callback_does_to_its_arguments_changes_nothing(tmp_path):
    """Dicts that a hook is given are its own to change."""

    class Meddling(ramet.Callback):
        def on_exploit(self, member, donor, hparams, iteration):
            hparams["rate"] = -1000.0

        def on_report(self, member, iteration, metrics):
            metrics["score"] = -1000.0

    results = run(tmp_path, [Meddling()], fails=False)
    quiet = run(tmp_path, [], name="quiet", fails=False)
    for mine, other in zip(results, quiet, strict=True):
        assert list(mine.metrics_dataframe["score"]) == list(other.metrics_dataframe["score"])


def test_a_callback_that_overrides_nothing_does_nothing(tmp_path):
    """The base class is a callback, and every hook has its answer."""
    results = run(tmp_path, [ramet.Callback()], fails=False)
    assert results.population.noted == {}
