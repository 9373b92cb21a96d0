"""Each checkpoint tells on which slot it was made, when, and where the time went that was no training."""

import json
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ramet
from ramet.core.blocks import decoded_seconds
from ramet.core.events import Kept, Opened, Resumed
from ramet.core.messages import Assignment, Lease, Setup
from ramet.errors import RunError
from ramet.executor.simulated import SimulatedExecutor
from ramet.executor.worker import Session
from ramet.record import Record
from ramet.testing import story

# ---------------------------------------------------------------------- one stretch of work, on a clock of its own


class Clock:
    """A session's way out, with a time that passes only where a test lets it."""

    own_process = False
    present = 0.0

    def __init__(self, answers=(), *, each_report=False):
        """``answers``: how long each answer takes; what comes after them is the order to stop."""
        Clock.present = 0.0
        self.answers, self.came, self.each_report = list(answers), [], each_report

    @classmethod
    def passes(cls, seconds):
        """Let so much time pass."""
        cls.present += seconds

    def now(self):
        """Return the present; the moment that it counts from is nobody's business."""
        return 1000.0 + self.present

    def at(self):
        """Return the present."""
        return self.present

    def hand_over(self, handover):
        """Take in."""
        self.came.append(handover)

    def answer(self, *, at_checkpoint):
        """Go on to the next report."""
        if not self.answers:
            return None
        self.passes(self.answers.pop(0))
        return Lease(0.0, each_report=self.each_report)

    def order(self):
        """Order nothing."""

    def rest(self, seconds):
        """Let time pass."""
        self.passes(seconds)

    def refused(self):
        """Fail: no function here goes on after its end."""
        raise AssertionError("the function went on")

    def kept(self):
        """Return the blocks that carry checkpoints."""
        return [block for handover in self.came for block in handover.blocks if block.stored is not None]


class Slow:
    """What takes time to be pickled, and to be unpickled."""

    def __init__(self, saving, loading=0.0):
        self.saving, self.loading = saving, loading

    def __reduce__(self):
        Clock.passes(self.saving)
        return _loaded, (self.saving, self.loading)


def _loaded(saving, loading):
    Clock.passes(loading)
    return Slow(saving, loading)


def stretch(function, clock, store, start=None, slot=3):
    """Let ``function`` run on from the block ``start``; return the blocks with checkpoints."""
    setup = Setup("run", 0, "training_iteration", (), str(store))
    assignment = Assignment(
        1, 0, 0, start.last if start else 0, {}, start.stored if start else None,
        Lease(0.0, each_report=clock.each_report), elapsed=start.clock if start else 0.0,
    )  # fmt: skip
    clock.came.clear()
    Session(setup, assignment, clock, slot).run(function)
    assert clock.came[-1].error is None, clock.came[-1].error
    return clock.kept()


def seconds(spent):
    """Return where the time went with its times in seconds."""
    slot, *times = spent
    return (slot, *(time / 1e9 for time in times))


SECONDS = st.integers(0, 64).map(lambda eighths: eighths / 8)  # whose sums are exact


@given(st.lists(st.tuples(SECONDS, SECONDS, SECONDS, SECONDS), min_size=1, max_size=5), SECONDS)
def test_all_time_is_told_and_told_once(tmp_path_factory, rounds, loading):
    """Training, restoring, saving and waiting are told as they were; together they are the time that passed."""
    store = tmp_path_factory.mktemp("store")

    def train(config):
        checkpoint = ramet.get_checkpoint()
        if checkpoint is not None:
            checkpoint.to_dict()
        for training, more, saving, _ in rounds:
            Clock.passes(training)
            ramet.report({"score": 0.0})  # without a checkpoint, so that nothing is told of it
            Clock.passes(more)
            ramet.report({"score": 1.0}, checkpoint=ramet.Checkpoint.from_dict({"model": Slow(saving, loading)}))

    first = stretch(train, Clock([waiting for *_, waiting in rounds]), store)
    again = stretch(train, Clock([waiting for *_, waiting in rounds]), store, start=first[-1], slot=5)
    for kept, slot, before, elapsed in ((first, 3, 0.0, 0.0), (again, 5, loading, first[-1].clock)):
        at, restoring, waited = 0.0, before, 0.0
        for block, (training, more, saving, waiting) in zip(kept, rounds, strict=True):
            end = at + restoring + waited + training + more + saving
            assert seconds(block.spent) == (slot, restoring, saving, waited, end)
            assert block.clock == decoded_seconds(block.elapsed)[-1] == elapsed + training + more
            at, elapsed = end, block.clock
            restoring, waited = 0.0, waiting


@pytest.mark.parametrize("large", [False, True], ids=["small", "large"])
@pytest.mark.parametrize("read", ["to_dict", "to_directory", "as_directory", "path", "nested", "twice"])
def test_however_a_checkpoint_is_read_that_is_restoring(tmp_path, monkeypatch, read, large):
    """A dict or files, of any size, read by any call: restoring is what it took, once, and no training."""
    took = 2.0

    def train(config):
        checkpoint = ramet.get_checkpoint()
        if checkpoint is not None and read == "to_dict":
            assert checkpoint.to_dict()["step"] == 1
        elif checkpoint is not None and read == "as_directory":
            with checkpoint.as_directory() as directory:
                Clock.passes(took)
                assert Path(directory, "state").stat().st_size > 0
        elif checkpoint is not None and read == "nested":
            with checkpoint.as_directory() as one:
                Clock.passes(took / 4)
                with ramet.get_checkpoint().as_directory() as other:
                    Clock.passes(took / 2)
                    assert Path(one, "state").read_bytes() == Path(other, "state").read_bytes()
                Clock.passes(took / 4)
        elif checkpoint is not None and read == "twice":
            for _ in range(2):
                with checkpoint.as_directory():
                    Clock.passes(took / 2)
        elif checkpoint is not None:
            place = checkpoint.path if read == "path" else checkpoint.to_directory(tmp_path / "copy")
            assert Path(place, "state").stat().st_size > 0
        Clock.passes(1.0)
        content = b"0" * (200_000 if large else 10)
        if read == "to_dict":
            saved = ramet.Checkpoint.from_dict({"step": 1, "model": Slow(0.0, took), "content": content})
        else:
            directory = ramet.checkpoint_dir()
            Path(directory, "state").write_bytes(content)
            saved = ramet.Checkpoint.from_directory(directory)
        ramet.report({"score": 1.0}, checkpoint=saved)

    (first,) = stretch(train, Clock([0.0]), tmp_path / "store")
    if read in ("path", "to_directory"):  # whose work is all ours
        for name in ("verified", "unbundled"):
            slow = getattr(ramet.checkpoint, name)
            monkeypatch.setattr(
                f"ramet.checkpoint.{name}", lambda *a, slow=slow, **k: (Clock.passes(took), slow(*a, **k))[1]
            )
    (again,) = stretch(train, Clock([0.0]), tmp_path / "store", start=first)
    assert again.stored.kind == {(True, True): "directory", (True, False): "directory"}.get(
        (large, read == "to_dict"), "pickle" if read == "to_dict" else "files"
    )
    assert seconds(first.spent)[1:] == (0.0, 0.0, 0.0, 1.0)
    assert seconds(again.spent)[1:] == (took, 0.0, 0.0, took + 1.0)
    assert again.clock == first.clock + 1.0 == 2.0


def test_who_trains_while_it_reads_is_training(tmp_path):
    """A function that reports inside of its ``with`` block has trained since; no time of that is called restoring."""

    def train(config):
        checkpoint = ramet.get_checkpoint()
        if checkpoint is None:
            ramet.report({"score": 0.0}, checkpoint=ramet.Checkpoint.from_dict({}))
            return
        with checkpoint.as_directory():
            Clock.passes(1.0)
            ramet.report({"score": 1.0})
            Clock.passes(2.0)
        ramet.report({"score": 2.0}, checkpoint=ramet.Checkpoint.from_dict({}))

    (first,) = stretch(train, Clock([0.0]), tmp_path)
    (again,) = stretch(train, Clock([0.0]), tmp_path, start=first)
    assert (seconds(again.spent), again.clock) == ((3, 0.0, 0.0, 0.0, 3.0), 3.0)


def test_every_answer_is_waited_for(tmp_path):
    """Where each report is answered, all that was waited since the checkpoint before is told with the next."""

    def train(config):
        for saves in (True, False, False, True):
            saved = ramet.Checkpoint.from_dict({}) if saves else None
            ramet.report({"score": 0.0}, checkpoint=saved)

    first, second = stretch(train, Clock([1.0, 2.0, 4.0, 8.0], each_report=True), tmp_path)
    assert (seconds(first.spent), first.clock) == ((3, 0.0, 0.0, 0.0, 0.0), 0.0)
    assert (seconds(second.spent), second.clock) == ((3, 0.0, 0.0, 7.0, 7.0), 0.0)


def test_waiting_for_room_is_saving(tmp_path, monkeypatch):
    """While the disk is full a checkpoint is being saved."""
    full, pack = [True, True], ramet.Checkpoint.pack

    def packed(self, store, name):
        if full:
            full.pop()
            raise OSError(28, "No space left on device")
        return pack(self, store, name)

    monkeypatch.setattr(ramet.Checkpoint, "pack", packed)

    def train(config):
        ramet.report({"score": 0.0}, checkpoint=ramet.Checkpoint.from_dict({}))

    (block,) = stretch(train, Clock([0.0]), tmp_path)
    assert (seconds(block.spent), block.clock) == ((3, 0.0, 2.0, 0.0, 2.0), 0.0)


# ---------------------------------------------------------------------- whole runs


def train(config):
    """Saves at every second step."""
    checkpoint = ramet.get_checkpoint()
    step, score = (0, 0.0) if checkpoint is None else checkpoint.to_dict()["state"]
    while True:
        step, score = step + 1, score + config["rate"]
        saved = None if step % 2 else ramet.Checkpoint.from_dict({"state": (step, score)})
        ramet.report({"score": score}, checkpoint=saved)


def run(folder, executor, *, synch=True, steps=12, members=4):
    """Train, and return the run's folder."""
    ramet.Tuner(
        train,
        param_space={"rate": ramet.uniform(0.1, 1.0)},
        tune_config=ramet.TuneConfig(
            metric="score", mode="max", num_samples=members, seed=2,
            scheduler=ramet.PopulationBasedTraining(
                time_attr="training_iteration", perturbation_interval=4, synch=synch,
                hyperparam_mutations={"rate": ramet.uniform(0.1, 1.0)},
            ),
        ),
        run_config=ramet.RunConfig(
            name="run", storage_path=folder, stop={"training_iteration": steps}, executor=executor, verbose=0,
            failure_config=ramet.FailureConfig(max_failures=-1),
        ),
    ).fit()  # fmt: skip
    return folder / "run"


def happened(folder):
    """Return the events of a run."""
    record = Record.open(folder)
    try:
        return list(record.events())
    finally:
        record.close()


def charted(events):
    """Return what a chart needs of each checkpoint, by its slot: [(begin, end)], in the order of the ledger."""
    elapsed, stands, bars = {}, {}, {}
    for event in events:
        assert not isinstance(event, Resumed)
        if isinstance(event, Opened):
            stands[event.segment] = 0.0 if event.parent is None else elapsed[event.parent, event.iteration]
        elif isinstance(event, Kept):
            slot, restoring, saving, waiting, at = seconds(event.spent)
            training = event.elapsed - stands[event.segment]
            elapsed[event.segment, event.iteration] = stands[event.segment] = event.elapsed
            assert min(training, restoring, saving, waiting) >= 0.0
            bars.setdefault(slot, []).append((at - training - restoring - saving - waiting, at))
    return bars


EXECUTORS = {
    "inline": lambda: ramet.InlineExecutor(),
    "inline, shared": lambda: ramet.InlineExecutor(slots=2),
    "process": lambda: ramet.ProcessExecutor(slots=2),
    "simulated": lambda: SimulatedExecutor(spread=0.5),
    "simulated, shared and failing": lambda: SimulatedExecutor(slots=2, spread=0.5, failures=0.05),
}


@pytest.mark.parametrize("name", EXECUTORS)
def test_every_checkpoint_of_a_run_tells_a_slot_that_there_is(tmp_path, name):
    """The slots are those of the executor, all of them are used, and no time is less than nothing."""
    bars = charted(happened(run(tmp_path, EXECUTORS[name]())))
    assert sorted(bars) == list(range(2 if "shared" in name or name == "process" else 4))
    assert sum(map(len, bars.values())) >= 4 * 6


def test_the_clock_is_all_that_two_runs_differ_in(tmp_path):
    """Whatever ran them, two runs with the same seed tell the same story; and a simulation even the same times."""
    assert "spent" in Kept.clocks
    folders = {}
    for name, executor in EXECUTORS.items():
        (tmp_path / name).mkdir()
        folders[name] = run(tmp_path / name, executor())
    stories = [story(folder) for folder in folders.values()]
    assert all(told == stories[0] for told in stories)
    (tmp_path / "again").mkdir()
    name = "simulated, shared and failing"
    again = run(tmp_path / "again", EXECUTORS[name]())
    kept = [[event for event in happened(folder) if isinstance(event, Kept)] for folder in (folders[name], again)]
    assert kept[0] == kept[1]


@pytest.mark.parametrize("synch", [True, False])
@pytest.mark.parametrize("slots", [None, 2, 3])
@pytest.mark.parametrize("failures", [0.0, 0.05])
def test_of_a_simulation_the_chart_is_exact(tmp_path, synch, slots, failures):
    """On a slot one checkpoint follows the other without an overlap, from virtual time 0 to the present."""
    executor = SimulatedExecutor(slots=slots, seconds=1.0, spread=0.7, failures=failures)
    bars = charted(happened(run(tmp_path, executor, synch=synch, steps=24)))
    for line in bars.values():
        assert line[0][0] >= -1e-6
        for (_, before), (begin, end) in pairwise(line):
            assert before - 1e-6 <= begin < end
    assert max(line[-1][1] for line in bars.values()) <= executor.time


def test_a_barrier_is_waited_at(tmp_path):
    """In a synchronous simulation whoever is faster waits just as long as the slowest still trains."""
    executor = SimulatedExecutor(seconds=1.0, spread=0.7)
    events = happened(run(tmp_path, executor, steps=8))
    bars = {slot: 1.0 * executor.duration(slot) for slot in range(4)}
    barrier = 4 * max(bars.values())
    first = [event for event in events if isinstance(event, Kept) and event.iteration <= 4]
    assert [event.spent[3] for event in first] == [0.0] * 8
    went_on = {
        event.segment: seconds(event.spent) for event in events if isinstance(event, Kept) and event.iteration == 6
    }
    waited = {spent[0]: spent[3] for segment, spent in went_on.items() if segment < 4}
    assert len(waited) >= 2
    assert waited == {slot: pytest.approx(barrier - 4 * bars[slot], abs=1e-8) for slot in waited}
    cloned = [spent for segment, spent in went_on.items() if segment >= 4]  # they began when the answer was there
    assert [spent[3] for spent in cloned] == [0.0] * len(cloned)
    assert [spent[4] for spent in cloned] == [pytest.approx(barrier + 2 * bars[spent[0]]) for spent in cloned]


# ---------------------------------------------------------------------- in the ledger


def test_what_is_not_known_takes_no_room(tmp_path):
    """An event without it is written as earlier versions did, and comes back without it; one with it as it was."""
    folder = run(tmp_path, "inline", steps=2)
    record = Record.open(folder)
    kept = [json.loads(row.data) for row in record.ledger.happened() if getattr(row, "kind", "") == "Kept"]
    assert [len(told["spent"]) for told in kept] == [5] * 4
    bare = Kept(0, 4, 1.0, 1.0, 1.0, 1.0)
    full = Kept(0, 4, 1.0, 1.0, 1.0, 1.0, spent=(1, 500, 250, 125, 10**18))
    for event in (bare, full):
        row = record._row(event)
        assert ("spent" in row.data) == (event is full)
        assert record._event(row) == event
    record.close()


WRONG = {
    "too short": [0, 1, 1, 1],
    "too long": [0, 1, 1, 1, 1, 1],
    "words": [0, 1, "1", 1, 1],
    "a truth": [0, 1, True, 1, 1],
    "seconds": [0, 1.0, 1.0, 1.0, 1.0],
    "beyond all floats": [0, 1, 1, 1, 10**400],
    "nothing": None,
    "a number": 1,
}


@pytest.mark.parametrize("value", WRONG.values(), ids=WRONG)
def test_a_strangers_times_are_refused(tmp_path, value):
    """What is neither nothing nor five integers is no event of a run."""
    record = Record.create(tmp_path, {})
    row = record._row(Kept(0, 4, 1.0, 1.0, 1.0, 1.0, spent=(1, 500, 250, 125, 10**18)))
    wrong = row._replace(data=json.dumps({**json.loads(row.data), "spent": value}))
    with pytest.raises(RunError, match="spent"):
        record._event(wrong)
    record.close()
