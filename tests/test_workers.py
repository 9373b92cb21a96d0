"""Worker processes as the controller sees them: recalled, silent, dying, flooding, cut off, orphaned."""

import contextlib
import errno
import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import ramet
from ramet.core.blocks import decoded
from ramet.core.messages import Assignment, Handover, Lease, Setup
from ramet.errors import DamageError
from ramet.executor.base import Output
from ramet.executor.workerprocess import CHUNK
from ramet.testing.executors import counting
from ramet.view import logs

LIMIT = 60.0
FOREVER = Lease(until=float("inf"))


class Stage:
    """An executor that was opened with a function, and what came of it so far."""

    def __init__(self, executor, folder, function, slots, timeout):
        self.executor, self.folder = executor, folder
        self.came = []
        setup = Setup("run", 7, "training_iteration", (), str(folder / "store"), timeout)
        executor.open(setup, function, slots)

    def start(self, work, lease=FOREVER, slot=0, checkpoint=None, **config):
        """Begin ``work``, which is the member of the same number."""
        config = {"where": str(self.folder), **config}
        self.executor.start(slot, Assignment(work, work, work, 0, config, checkpoint, lease))

    def until(self, met):
        """Poll until ``met`` of what came, oldest first; return the message that met it, and forget those before."""
        limit = time.monotonic() + LIMIT
        while time.monotonic() < limit:
            while self.came:
                message = self.came.pop(0)
                if met(message):
                    return message
            self.came += self.executor.poll(0.05)
        raise AssertionError("it did not come")

    def waits(self, work):
        """Poll until ``work`` waits."""
        return self.until(lambda said: isinstance(said, Handover) and said.work == work and said.waiting)

    def over(self, work):
        """Poll until ``work`` is over; return the error or the reason."""
        said = self.until(lambda said: isinstance(said, Handover) and said.work == work and (said.error or said.ended))
        return said.error or said.ended

    def reports(self, work):
        """Poll until ``work`` hands over rows."""
        return self.until(lambda said: isinstance(said, Handover) and said.work == work and said.blocks)

    def prints(self, text):
        """Poll until ``text`` is printed; return the whole output."""
        return self.until(lambda said: isinstance(said, Output) and text in said.text)

    def idles(self, seconds):
        """Poll for so long; return what came."""
        limit = time.monotonic() + seconds
        while time.monotonic() < limit:
            self.came += self.executor.poll(0.05)
        came, self.came = self.came, []
        return came


@pytest.fixture
def stage(tmp_path):
    """Open executors that are closed at the end of the test."""
    opened = []

    def open_(function, executor=None, slots=1, timeout=None):
        opened.append(Stage(executor or ramet.ProcessExecutor(slots), tmp_path, function, slots, timeout))
        return opened[-1]

    yield open_
    for one in opened:
        one.executor.close()


def row(handover):
    """The metrics of the last row of a handover."""
    return handover.blocks[-1].metrics


# ---------------------------------------------------------------------- recall


def test_a_slow_function_obeys_a_recall_at_its_very_next_report(stage, tmp_path):
    """One that takes longer than a flush for each report is not let go on for another one."""

    def slow(config):
        for step in itertools.count(1):
            while not Path(config["where"], f"go {step}").exists():
                time.sleep(0.005)
            time.sleep(0.15)
            ramet.report({"step": step})

    on = stage(slow)
    on.start(1)
    (tmp_path / "go 1").touch()
    assert row(on.reports(1)) == {"step": 1}
    on.executor.recall(1)
    for step in (2, 3):
        (tmp_path / f"go {step}").touch()
    assert row(on.waits(1)) == {"step": 2}
    on.executor.proceed(1, FOREVER)
    assert row(on.reports(1)) == {"step": 3}


def test_a_suspended_function_obeys_a_recall_at_its_next_report(stage):
    """Inline, a function that is recalled while the controller has its turn waits when it reports again."""

    def slow(config):
        for step in itertools.count(1):
            time.sleep(0.11)
            ramet.report({"step": step}, checkpoint=ramet.Checkpoint.from_dict({"step": step}))

    on = stage(slow, ramet.InlineExecutor())
    on.start(1)
    assert row(on.reports(1)) == {"step": 1}
    on.executor.recall(1)
    said = on.waits(1)
    assert row(said) == {"step": 2}
    assert said.blocks[-1].stored is not None


def test_a_recall_outlives_a_worker_that_died_of_something_else(stage, monkeypatch):
    """Work that waited for a worker which never left is begun in a new one, and is still recalled."""
    monkeypatch.setattr("ramet.executor.workers.UNWIND_SECONDS", 0.5)

    def train(config):
        try:
            for step in itertools.count(1):
                time.sleep(0.01)
                ramet.report({"step": step})
        finally:
            if config["sticks"]:
                time.sleep(60)

    on = stage(train)
    on.start(1, sticks=True)
    on.reports(1)
    on.executor.stop(1)
    on.start(2, sticks=False)
    on.executor.recall(2)
    assert on.waits(2).blocks[0].first == 1


# ---------------------------------------------------------------------- silence


def stuck(config):
    """Hang, in the way that is asked for."""
    ramet.report({"step": 1})
    if config["how"] == "sleep":
        time.sleep(3600)
    if config["how"] == "C":
        import re

        re.match("(a+)+$", "a" * 64 + "b")  # holds the interpreter's lock for longer than the sun will shine
    os.kill(os.getpid(), signal.SIGSTOP)


@pytest.mark.parametrize("how", ["sleep", "C", "stop"])
def test_a_hang_is_ended_and_its_place_is_told(stage, how):
    """Silence is ended; the error names the setting and the line, also in C code; a stopped process just goes."""
    on = stage(stuck, timeout=0.5)
    on.start(1, how=how)
    error = on.over(1)
    assert error.startswith("no report for 0.5 s (FailureConfig(report_timeout_s=0.5)): the worker was ended. It ")
    assert ("in stuck" in error) == (how != "stop")
    assert ("It did not say where it was" in error) == (how == "stop")
    on.start(2, how=how)
    assert "no report for" in on.over(2)


def test_only_silence_at_work_is_silence(stage):
    """Waiting for an answer, for other work or behind a function that leaves slowly is no hang; nor are slow steps."""

    def train(config):
        try:
            for step in itertools.count(1):
                time.sleep(0.2)
                ramet.report({"pid": os.getpid()}, checkpoint=ramet.Checkpoint.from_dict({"step": step}))
        finally:
            time.sleep(config["leaves"])

    on = stage(train, timeout=1.0)
    on.start(1, Lease(until=1), leaves=1.8)
    pid = row(on.waits(1))
    assert on.idles(1.5) == []
    on.executor.proceed(1, Lease(until=7))
    on.waits(1)
    on.executor.stop(1)
    on.start(2, Lease(until=1), leaves=0.0)
    assert row(on.waits(2)) == pid
    on.executor.stop(2)
    assert on.idles(1.5) == []
    on.start(3, Lease(until=1), leaves=0.0)
    assert row(on.waits(3)) == pid


def test_booting_and_importing_is_no_silence(stage, tmp_path, monkeypatch):
    """The clock starts when a worker that is ready has its work, however long its module took to import."""
    (tmp_path / "takes_long_to_import.py").write_text(
        "import sys, time, ramet\n"
        "time.sleep(0 if 'pytest' in sys.modules else 1.5)\n"
        "def train(config):\n"
        "    ramet.report({'score': 1.0})\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import takes_long_to_import

    on = stage(takes_long_to_import.train, timeout=0.5)
    on.start(1)
    assert on.over(1) == "the function returned"


def test_time_in_which_nobody_listened_is_no_silence(stage, tmp_path, monkeypatch):
    """A controller that was busy elsewhere, or stopped, does not take its own absence for a worker's silence."""
    monkeypatch.setattr("ramet.executor.workers.LATE_SECONDS", 0.2)

    def train(config):
        ramet.report({"step": 1})
        while not Path(config["where"], "go").exists():
            time.sleep(0.01)

    on = stage(train, timeout=1.0)
    on.start(1)
    on.idles(0.3)
    time.sleep(2.0)
    (tmp_path / "go").touch()
    said = on.until(lambda said: isinstance(said, Output) or said.error or said.ended)
    assert isinstance(said, Handover), f"it was asked where it is: {said}"
    assert said.ended


# ---------------------------------------------------------------------- a full disk


class NoRoom(ramet.Checkpoint):
    """A checkpoint whose disk is full until there is a file named ``room``."""

    def pack(self, store, name):
        if not Path(store.root).with_name("room").exists():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().pack(store, name)


def saving(config):
    """Save each step; only some find the disk full."""
    for step in itertools.count(1):
        kind = NoRoom if config.get("full", step >= 3) else ramet.Checkpoint
        ramet.report({"step": step}, checkpoint=kind(data={"step": step}))


def troubled(said):
    """Whether a handover tells of trouble."""
    return isinstance(said, Handover) and said.trouble is not None


@pytest.mark.parametrize("executor", [ramet.ProcessExecutor, ramet.InlineExecutor, ramet.SimulatedExecutor])
def test_a_full_disk_is_waited_for(stage, tmp_path, executor):
    """A member that cannot save says so, waits without counting as silent, and goes on when there is room."""
    on = stage(saving, executor(1), timeout=0.5)
    on.start(1, Lease(until=4))
    blocks = []

    def met(kind):
        return lambda said: blocks.extend(getattr(said, "blocks", ())) or kind(said)

    for _ in range(2):
        said = on.until(met(troubled))
        assert said == Handover(1, trouble=said.trouble)
        assert str(tmp_path / "store") in said.trouble
        assert os.strerror(errno.ENOSPC) in said.trouble
        assert "goes on by itself" in said.trouble
    (tmp_path / "room").touch()
    on.until(met(lambda said: said.waiting))
    assert [(block.first, block.stored is not None) for block in blocks] == [(1, True), (2, True), (3, True), (4, True)]
    assert blocks[-1].clock < 1.0, "waiting is no training"


@pytest.mark.parametrize("executor", [ramet.InlineExecutor, ramet.SimulatedExecutor])
def test_others_go_on_while_one_waits_for_room(stage, executor):
    """In one thread a member that waits for room does not hold the others up."""
    on = stage(saving, executor(2), slots=2)
    on.start(1, full=True)
    on.start(2, Lease(until=5), slot=1, full=False)
    assert on.waits(2).blocks[-1].last == 5
    on.until(troubled)


@pytest.mark.parametrize("executor", [ramet.ProcessExecutor, ramet.InlineExecutor, ramet.SimulatedExecutor])
def test_who_waits_for_room_can_be_recalled_and_stopped(stage, tmp_path, executor):
    """Recalled it waits for an answer and, told to proceed, for room again; stopped it leaves its slot."""
    on = stage(saving, executor(1))
    on.start(1)
    on.until(troubled)
    on.executor.recall(1)
    assert on.waits(1).blocks == ()
    on.executor.proceed(1, Lease(until=3))
    on.until(troubled)
    on.executor.recall(1)
    on.waits(1)
    on.executor.stop(1)
    on.start(2, Lease(until=2))
    assert on.waits(2).blocks[-1].last == 2
    on.executor.proceed(2, FOREVER)
    on.until(troubled)
    on.executor.stop(2)
    (tmp_path / "room").touch()
    on.start(3, Lease(until=5))
    assert on.waits(3).blocks[-1].last == 5


# ---------------------------------------------------------------------- faults that are told apart


def test_damage_to_the_checkpoint_that_it_started_from_is_told_apart(stage):
    """Only damage to what the work was given is its checkpoint's fault; that of one it made is a plain failure."""

    def train(config):
        checkpoint = ramet.get_checkpoint()
        if config["reports"]:
            ramet.report({"step": 1}, checkpoint=ramet.Checkpoint.from_dict({"step": 1}))
        raise DamageError(f"not what was committed: {checkpoint}")

    given = ramet.Checkpoint.from_dict({"step": 0}).pack(None, "")
    on = stage(train, ramet.InlineExecutor())
    faults = []
    for work, (checkpoint, reports) in enumerate([(given, False), (None, False), (given, True)]):
        on.start(work, checkpoint=checkpoint, reports=reports)
        said = on.until(lambda said: said.error)
        assert "DamageError" in said.error
        faults.append(said.fault)
    assert faults == ["checkpoint", None, None]


def test_a_pinned_checkpoint_says_so(stage):
    """The block of a checkpoint that was pinned carries that, and no other."""

    def train(config):
        for step in (1, 2, 3):
            ramet.report({"step": step}, checkpoint=ramet.Checkpoint.from_dict({"step": step}), pin=step == 2)
        ramet.report({"step": 4})

    for executor in (ramet.InlineExecutor(), ramet.ProcessExecutor(1)):
        on = stage(train, executor)
        on.start(1)
        said = on.until(lambda said: said.ended)
        assert [block.pinned for block in said.blocks] == [False, True, False, False]


# ---------------------------------------------------------------------- signals, streams, descriptors


def test_signals_end_no_worker_and_interrupt_no_system_call(stage):
    """SIGINT, SIGTERM and SIGUSR1 do nothing to a worker, in the middle of a system call either, which is taken up."""

    def train(config):
        reading, writing = os.pipe()

        def shoot():
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1) * 20:
                time.sleep(0.005)
                os.kill(os.getpid(), number)
            os.write(writing, b"whole")

        thread = threading.Thread(target=shoot)
        thread.start()
        text = os.read(reading, 9).decode()
        thread.join()
        ramet.report({"text": text})

    on = stage(train)
    on.start(1)
    assert row(on.reports(1)) == {"text": "whole"}


def test_programs_and_forks_of_a_worker_take_signals_as_anywhere(stage):
    """What user code starts can be ended by SIGTERM: programs have the default, and so has a pool of forks."""

    def train(config):
        import multiprocessing

        code = (
            "import signal; print(*(signal.getsignal(n).name for n in (signal.SIGTERM, signal.SIGUSR1)), "
            "signal.getsignal(signal.SIGINT).__name__, signal.pthread_sigmask(signal.SIG_BLOCK, []))"
        )
        text = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        with multiprocessing.get_context("fork").Pool(2) as pool:  # which is ended by SIGTERM
            total = sum(pool.map(abs, range(10)))
        ramet.report({"text": text.strip(), "total": total})

    on = stage(train)
    on.start(1)
    assert row(on.reports(1)) == {"text": "SIG_DFL SIG_DFL default_int_handler set()", "total": 45}


def spoiling(config):
    """Do to the streams what is asked for, and report; or only print."""
    match config["how"]:
        case "close":
            os.close(1)
            os.close(2)
        case "close streams":
            sys.stdout.close()
            sys.stderr.close()
        case "replace":
            import io

            sys.stdout, sys.stderr = io.StringIO(), None
        case "redirect":
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        case word:
            print("printed", word)
            print("complained", word, file=sys.stderr)
    ramet.report({"pid": os.getpid()})


@pytest.mark.parametrize("how", ["close", "close streams", "replace", "redirect"])
def test_streams_are_whole_again_for_the_next_function(stage, how):
    """Whatever a function did to standard output and error, the next one in its process prints as ever."""
    on = stage(spoiling)
    on.start(1, how=how)
    pid = row(on.reports(1))
    on.start(2, how="after all")
    told = on.prints("printed after all").text
    assert "complained after all" in told or on.prints("complained after all")
    assert row(on.reports(2)) == pid


def test_closed_descriptors_cost_the_worker_and_no_file(stage, tmp_path):
    """A function that closes its worker's socket fails with that; nothing is written to a file in its place."""

    def train(config):
        if config["closes"]:
            os.closerange(3, 4096)
        time.sleep(config.get("sleeps", 0))
        with open(Path(config["where"], "own"), "w") as file:
            file.write("mine")
            file.flush()
            for step in range(40):
                time.sleep(0.005)
                ramet.report({"step": step})
            ramet.report({"step": 40}, checkpoint=ramet.Checkpoint.from_dict({}))

    on = stage(train)
    on.start(1, closes=True)
    assert "closed the worker's own descriptors" in on.over(1)
    assert (tmp_path / "own").read_text() == "mine"
    on.start(2, closes=True, sleeps=3600)
    assert "closed the worker's own descriptors" in on.over(2)
    on.start(3, closes=False)
    assert on.over(3) == "the function returned"


# ---------------------------------------------------------------------- floods


def flooding(config):
    """Print without end, or count."""
    if config["floods"]:
        while True:
            print("x" * 1000)
    counting(config)


def test_a_flood_starves_nobody(stage):
    """Members train and are heard while another one prints without end, of which little is taken at a time."""
    on = stage(flooding, slots=2)
    on.start(1, floods=True)
    on.prints("xxx")
    on.start(2, Lease(until=500), slot=1, floods=False)
    assert on.waits(2).blocks[-1].last == 500
    for _ in range(20):
        told = [said for said in on.executor.poll(1.0) if isinstance(said, Output)]
        assert sum(len(said.text) for said in told) <= 2 * CHUNK


def test_the_log_of_members_is_bounded(tmp_path, monkeypatch):
    """Beyond its limit the log begins anew and keeps the one before, so that it never takes more than twice that."""
    monkeypatch.setattr(logs, "LIMIT", 10_000)
    log = logs.MemberLogs(tmp_path)
    for turn in range(1000):
        log.write(3, f"line {turn}\n" * 5)
        sizes = [file.stat().st_size for file in tmp_path.iterdir()]
        assert len(sizes) <= 2
        assert max(sizes) <= 10_000
    log.close()
    older, newer = ((tmp_path / name).read_text().splitlines() for name in ("members.log.1", "members.log"))
    assert newer[-1] == "[member 3] line 999"
    assert older[-1] in ("[member 3] line 998", newer[0], f"[member 3] line {int(newer[0].split()[-1]) - 1}")


def test_a_log_that_cannot_be_written_is_left_out(tmp_path):
    """A folder that goes, or in which a folder has the log's name, costs lines and nothing else."""
    folder = tmp_path / "run"
    log = logs.MemberLogs(folder)
    log.write(0, "before there is a folder\n")
    (folder / logs.NAME).mkdir(parents=True)
    log.write(0, "where there is no file\n")
    (folder / logs.NAME).rmdir()
    log.write(0, "now\n")
    log.close()
    log.close()
    assert (folder / logs.NAME).read_text() == "[member 0] now\n"


# ---------------------------------------------------------------------- nothing is left behind


def children(parent):
    """Return the processes whose parent is ``parent``, but for those that are over."""
    found = set()
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with contextlib.suppress(OSError):
                state, above = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
                if int(above) == parent and state not in "ZX":
                    found.add(int(folder.name))
    return found


def lives(pid):
    """Return whether a process is there and not over."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@linux
def test_deaths_leave_no_descriptor_and_no_process(stage):
    """After thirty deaths the controller holds as many descriptors and children as before."""

    def train(config):
        ramet.report({"score": 1.0})
        os.kill(os.getpid(), signal.SIGKILL)

    on = stage(train, slots=3)
    for slot in range(3):  # one after the other, or some may be dying while they are counted
        on.start(slot, slot=slot)
        on.over(slot)
    descriptors, family = len(os.listdir("/proc/self/fd")), len(children(os.getpid()))
    for death in range(30):
        on.start(10 + death, slot=death % 3)
        assert "signal 9 (SIGKILL)" in on.over(10 + death)
    assert len(os.listdir("/proc/self/fd")) == descriptors
    assert len(children(os.getpid())) == family
    on.executor.close()
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


CONTROLLER = """
import itertools, sys, time
import ramet
from ramet.core.messages import Assignment, Handover, Lease, Setup

def train(config):
    print("at work")
    while config["how"] == "sleeps":
        time.sleep(3600)
    while config["how"] == "prints":
        print("x" * 1000)
    for step in itertools.count():
        ramet.report({"step": step}, checkpoint=ramet.Checkpoint.from_dict({"step": step}))

how = sys.argv[1]
executor = ramet.ProcessExecutor(2)
executor.open(Setup("run", 0, "training_iteration", (), sys.argv[2]), train, 2)
busy = set()
if how != "boots":
    for slot in (0, 1):
        lease = Lease(until=1 if how == "waits" else float("inf"))
        executor.start(slot, Assignment(slot, slot, slot, 0, {"how": how}, None, lease))
    while len(busy) < 2:
        for said in executor.poll(1.0):
            if isinstance(said, Handover) or how in ("sleeps", "prints"):
                busy.add(getattr(said, "slot", getattr(said, "work", None)))
print("up", flush=True)
while how == "trains":
    executor.poll(1.0)
time.sleep(3600)
"""


@linux
@pytest.mark.parametrize("how", ["trains", "sleeps", "prints", "waits", "boots"])
def test_workers_never_outlive_their_controller(tmp_path, how):
    """Whatever workers do when the controller is killed, they are gone soon after."""
    script = tmp_path / "controller.py"
    script.write_text(CONTROLLER)
    command = [sys.executable, str(script), how, str(tmp_path / "store")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as controller:
        try:
            assert controller.stdout.readline() == "up\n"
            workers = children(controller.pid)
        finally:
            controller.kill()
    assert len(workers) == 2
    limit = time.monotonic() + LIMIT
    while any(map(lives, workers)) and time.monotonic() < limit:
        time.sleep(0.01)
    assert not any(map(lives, workers))


def test_executors_say_whether_they_can_end_work_that_hangs():
    """Processes can be killed; what runs in this very thread cannot."""
    kinds = (ramet.ProcessExecutor, ramet.InlineExecutor, ramet.SimulatedExecutor)
    assert [kind.kills for kind in kinds] == [True, False, False]


def test_work_that_is_told_to_stop_is_tidied_up_even_if_the_executor_closes_at_once(stage, tmp_path):
    """A stop that was to go with the next start goes when there is none: the function's finally block runs."""

    def train(config):
        try:
            ramet.report({"x": 1}, checkpoint=ramet.Checkpoint.from_dict({}))
            ramet.report({"x": 2}, checkpoint=ramet.Checkpoint.from_dict({}))
        finally:
            Path(config["where"], "tidied").touch()

    on = stage(train)
    on.start(1, lease=Lease(1.0, 1.0))
    on.waits(1)
    on.executor.stop(1)
    on.executor.close()
    assert (tmp_path / "tidied").exists()


def test_rows_are_whole_after_a_flood_of_recalls(stage):
    """A worker that is recalled over and over hands over each row once."""
    on = stage(counting, slots=1)
    on.start(1)
    steps = []
    for _ in range(20):
        on.executor.recall(1)
        said = on.waits(1)
        steps += [values[0] for block in said.blocks for values in decoded(block.rows)[1]]
        on.executor.proceed(1, FOREVER)
    assert steps == sorted(set(steps))
