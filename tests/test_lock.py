"""One process at a time works on a run: whoever comes second is told who came first, and the dead hold nothing."""

import contextlib
import errno
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import pytest

from ramet.errors import LockedError, RunError
from ramet.store.lock import LOCK, RunLock

HOLDER = """
import os, sys, time
from ramet.errors import RunError
from ramet.store.lock import RunLock
{before}
try:
    lock = RunLock.take(sys.argv[1])
except RunError as error:
    print(type(error).__name__, error, flush=True)
    sys.exit(3)
print("held", os.getpid(), flush=True)
{after}
sys.stdin.readline()
lock.release()
"""

NO_LOCKS = """
import errno, fcntl
def refuse(*_): raise OSError(errno.ENOLCK, "No locks available")
fcntl.lockf = refuse
"""
"""A file system that refuses locks is not to be had everywhere: in this one process the call is refused."""


@contextlib.contextmanager
def started(folder, before="", after=""):
    """A process that takes the lock of ``folder``, says so in a line, and holds it until it reads one."""
    code = HOLDER.format(before=textwrap.dedent(before), after=textwrap.dedent(after))
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


@contextlib.contextmanager
def holder(folder, before="", after=""):
    """A process that holds the lock of ``folder``."""
    with started(folder, before, after) as process:
        assert process.stdout.readline().startswith("held")
        yield process


def told(folder):
    """What the file of the lock says."""
    return json.loads((folder / LOCK).read_text())


# ---------------------------------------------------------------------- one at a time


def test_a_lock_says_who_holds_it_and_leaves_nothing(tmp_path):
    """While it is held the file names host, process and time; after it, the folder is as it was."""
    before = time.time()
    with RunLock.take(tmp_path):
        found = told(tmp_path)
        assert (found["host"], found["process"]) == (socket.gethostname(), os.getpid())
        assert before <= found["since"] <= time.time()
    assert os.listdir(tmp_path) == []


def test_a_second_process_is_refused_and_told_by_whom(tmp_path):
    """The message names the host, the process, since when, the folder, and what to do."""
    with holder(tmp_path) as process:
        with pytest.raises(LockedError) as caught:
            RunLock.take(tmp_path)
        for word in (f"process {process.pid} ", socket.gethostname(), " since 20", str(tmp_path), "wait for its end"):
            assert word in str(caught.value)
        process.stdin.write("\n")
        process.stdin.flush()
        process.wait()
        RunLock.take(tmp_path).release()


def test_the_same_process_is_refused_under_any_name_of_the_folder(tmp_path, monkeypatch):
    """A second taking in one process is refused, also through a link, and costs the first nothing."""
    folder = tmp_path / "run"
    folder.mkdir()
    (tmp_path / "link").symlink_to(folder)
    monkeypatch.chdir(folder)
    with RunLock.take(folder):
        for name in (folder, tmp_path / "link", ".", "../run"):
            with pytest.raises(LockedError, match=f"this very process .{os.getpid()}."):
                RunLock.take(name)
        with started(folder) as process:
            assert process.stdout.readline().startswith(f"LockedError process {os.getpid()} ")
    RunLock.take(folder).release()


def test_locks_of_two_runs_do_not_meddle(tmp_path):
    """One process may work on two runs, and releasing is final and may be repeated."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first, second = RunLock.take(tmp_path / "a"), RunLock.take(tmp_path / "b")
    first.release()
    first.release()
    third = RunLock.take(tmp_path / "a")
    first.release()
    assert (tmp_path / "a" / LOCK).exists()
    with pytest.raises(LockedError):
        RunLock.take(tmp_path / "b")
    second.release()
    third.release()


RACE = """
import sys
from ramet.errors import LockedError
from ramet.store.lock import RunLock
{before}
print("ready", flush=True)
sys.stdin.readline()
try:
    lock = RunLock.take(sys.argv[1])
    print("won", flush=True)
except LockedError as error:
    print("lost", flush=True)
sys.stdin.readline()
"""


@pytest.mark.parametrize("stale", [False, True], ids=["new", "stale"])
def test_of_many_processes_one_wins(tmp_path, stale):
    """However many come at once, one has the lock, and a file that a dead one left changes nothing."""
    if stale:
        with holder(tmp_path) as process:
            process.kill()
        assert (tmp_path / LOCK).exists()
    _race(tmp_path, "", 8)


@pytest.mark.parametrize("stale", [False, True], ids=["new", "stale"])
def test_of_many_processes_one_wins_where_there_are_no_locks(tmp_path, stale):
    """The file alone decides too: who makes it has it."""
    if stale:
        with holder(tmp_path, NO_LOCKS) as process:
            process.kill()
    _race(tmp_path, NO_LOCKS, 5)


def _race(folder, before, number):
    code = RACE.format(before=textwrap.dedent(before))
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(number)
    ]
    try:
        for word in ("ready", ""):
            came = [racer.stdout.readline().strip() for racer in racers]
            assert not word or came == [word] * number
            for racer in racers:
                racer.stdin.write("\n")
                racer.stdin.flush()
        assert sorted(came) == ["lost"] * (number - 1) + ["won"]
    finally:
        for racer in racers:
            racer.kill()
            racer.wait()
            racer.stdin.close()
            racer.stdout.close()


def test_processes_that_take_turns_never_hold_it_at_once(tmp_path):
    """Taken and released over and over by several processes, with the file unlinked each time, it has one holder."""
    code = f"""
        import os, sys
        sys.path[:0] = {sys.path!r}
        from ramet.errors import LockedError
        from ramet.store.lock import RunLock
        taken = 0
        while taken < 15:
            try:
                lock = RunLock.take(sys.argv[1])
            except LockedError:
                continue
            inside = os.open(sys.argv[1] + "/inside", os.O_CREAT | os.O_EXCL)
            os.unlink(sys.argv[1] + "/inside")
            os.close(inside)
            lock.release()
            taken += 1
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    assert [process.communicate(timeout=60)[1] for process in processes] == [""] * 3
    assert os.listdir(tmp_path) == []


# ---------------------------------------------------------------------- the dead


@pytest.mark.parametrize("before", ["", NO_LOCKS], ids=["locks", "no locks"])
def test_the_lock_of_a_killed_process_is_free(tmp_path, monkeypatch, before):
    """Killing it frees it; the file that is left is taken over."""
    if before:
        monkeypatch.setattr(fcntl, "lockf", _refuse)
    with holder(tmp_path, before) as process:
        with pytest.raises(LockedError):
            RunLock.take(tmp_path)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert told(tmp_path)["process"] == process.pid
        with RunLock.take(tmp_path):
            assert told(tmp_path)["process"] == os.getpid()
    assert os.listdir(tmp_path) == []


def test_a_child_that_lives_on_does_not_keep_the_lock(tmp_path):
    """A worker forked by the holder outlives it, with all its open files, and the lock is free all the same."""
    fork = """
        import signal
        if (child := os.fork()) == 0:
            signal.pause()
        print(child, flush=True)
    """
    with holder(tmp_path, after=fork) as process:
        child = int(process.stdout.readline())
        try:
            process.kill()
            process.wait()
            os.kill(child, 0)
            RunLock.take(tmp_path).release()
        finally:
            os.kill(child, signal.SIGKILL)


def test_a_forked_child_neither_has_nor_gives_back_its_parents_lock(tmp_path):
    """In a child, releasing and leaving the block do nothing, and taking is refused as it is to any other process."""
    with RunLock.take(tmp_path) as lock:
        child = os.fork()
        if child == 0:
            result = 1
            try:
                lock.release()
                RunLock.take(tmp_path)
            except LockedError as error:
                result = 0 if "this very process" not in str(error) else 2
            finally:
                os._exit(result)
        assert os.waitpid(child, 0)[1] == 0
        with started(tmp_path) as process:
            assert process.stdout.readline().startswith("LockedError")


def test_a_zombie_holds_nothing(tmp_path, monkeypatch):
    """Where there are no locks, a holder that ended and was not waited for is dead too."""
    monkeypatch.setattr(fcntl, "lockf", _refuse)
    with holder(tmp_path, NO_LOCKS) as process:
        os.kill(process.pid, signal.SIGKILL)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        RunLock.take(tmp_path).release()


# ---------------------------------------------------------------------- where there are no locks


def _refuse(*_):
    raise OSError(errno.ENOLCK, "No locks available")


@pytest.fixture
def without_locks(monkeypatch):
    """Locks are refused."""
    monkeypatch.setattr(fcntl, "lockf", _refuse)


def _claim(folder, **changes):
    """A file that a living process of this machine left: that of the test."""
    found = {"host": socket.gethostname(), "process": os.getppid(), "since": time.time(), **changes}
    (folder / LOCK).write_text(json.dumps(found))


@pytest.mark.usefixtures("without_locks")
def test_without_locks_a_living_process_is_refused(tmp_path):
    """What the file says decides, and the message says that it can be removed."""
    _claim(tmp_path)
    with pytest.raises(LockedError, match=f"process {os.getppid()} on .*knows no locks.*remove .*{LOCK}"):
        RunLock.take(tmp_path)


@pytest.mark.usefixtures("without_locks")
def test_without_locks_another_machine_is_refused(tmp_path):
    """Nobody here knows whether a process there lives: the way out is told."""
    _claim(tmp_path, host="far-away", process=1)
    with pytest.raises(LockedError, match=r"process 1 on far-away.*or its machine, remove"):
        RunLock.take(tmp_path)


@pytest.mark.usefixtures("without_locks")
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="nobody tells when a process started")
def test_without_locks_a_number_that_is_used_again_is_another_process(tmp_path):
    """A living process of the same number that started at another time is not the holder."""
    _claim(tmp_path, start=1)
    with RunLock.take(tmp_path):
        assert told(tmp_path)["process"] == os.getpid()


@pytest.mark.usefixtures("without_locks")
def test_without_locks_the_same_process_is_refused_too(tmp_path):
    """The process knows what it holds; what a former program of the same process left is nobody's."""
    with RunLock.take(tmp_path), pytest.raises(LockedError, match="this very process"):
        RunLock.take(tmp_path)
    _claim(tmp_path, process=os.getpid())
    RunLock.take(tmp_path).release()


# ---------------------------------------------------------------------- what is no lock


HOSTILE = {
    "nothing": b"",
    "no JSON": b"{",
    "no text": b"\xff\xfe\x00",
    "a list": b"[1, 2]",
    "a number": b"1e999",
    "deep": b"[" * 4000,
    "huge": b'{"host": "' + b"a" * 2_000_000,
    "words for numbers": b'{"host": "a", "process": "1", "since": 0}',
    "everybody": b'{"host": "%s", "process": -1, "since": 0}' % socket.gethostname().encode(),
    "its group": b'{"host": "%s", "process": 0, "since": 0}' % socket.gethostname().encode(),
    "a huge process": b'{"host": "%s", "process": 1%s, "since": 0}' % (socket.gethostname().encode(), b"0" * 500),
    "a huge number": b'{"host": "a", "process": 1%s, "since": 0}' % (b"0" * 4000),
    "true": b'{"host": "a", "process": true, "since": 0}',
    "no time": b'{"host": "a", "process": 1, "since": NaN}',
    "the end of time": b'{"host": "a", "process": 1, "since": Infinity}',
    "before time": b'{"host": "a", "process": 1, "since": -1e300}',
    "a terminal": b'{"host": "\\u001b[2J", "process": 1, "since": 0}',
    "other keys": b'{"name": "a"}',
}


@pytest.fixture(scope="module")
def held(tmp_path_factory):
    """A folder whose lock another process holds."""
    folder = tmp_path_factory.mktemp("held")
    with holder(folder):
        yield folder


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_content_does_no_harm(tmp_path, held, monkeypatch, content):
    """A lock that nobody holds is taken whatever its file holds; one that is held or cannot be is a LockedError."""
    (tmp_path / LOCK).write_bytes(content)
    RunLock.take(tmp_path).release()
    assert os.listdir(tmp_path) == []

    (held / LOCK).write_bytes(content)
    with pytest.raises(LockedError) as caught:
        RunLock.take(held)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500 + len(str(held))
    assert (held / LOCK).read_bytes() == content

    (tmp_path / LOCK).write_bytes(content)
    monkeypatch.setattr(fcntl, "lockf", _refuse)
    with pytest.raises(LockedError, match="remove"):
        RunLock.take(tmp_path)
    assert (tmp_path / LOCK).read_bytes() == content


ODD = {
    "a folder": lambda path: path.mkdir(),
    "a pipe": os.mkfifo,
    "a link to nothing": lambda path: path.symlink_to("nothing"),
    "a link to a file": lambda path: (path.with_name("other").write_text("kept"), path.symlink_to("other")),
}


@pytest.mark.parametrize("make", ODD.values(), ids=ODD)
def test_what_is_no_file_is_refused_and_left_alone(tmp_path, make):
    """Neither a link, nor a pipe, nor a folder is followed, read, written or removed."""
    make(tmp_path / LOCK)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(RunError, match="is no file of a run"):
        RunLock.take(tmp_path)
    assert sorted(tmp_path.rglob("*")) == before
    if (tmp_path / "other").exists():
        assert (tmp_path / "other").read_text() == "kept"


def test_no_folder_is_a_run_error(tmp_path):
    """Where there is no run there is nothing to lock; nothing is created."""
    (tmp_path / "file").touch()
    for name in ("nowhere", "file"):
        with pytest.raises(RunError, match=name):
            RunLock.take(tmp_path / name)
    assert os.listdir(tmp_path) == ["file"]


NOBODY = 65534


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_folder_that_may_not_be_written_is_told_with_its_owner():
    """The message says whose the folder is and who we are."""
    # Not below pytest's folder, which nobody else may enter.
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        os.chmod(folder, 0o755)
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.seteuid(NOBODY)
                RunLock.take(folder)
            except RunError as error:
                os.write(write, str(error).encode())
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        os.close(write)
        with os.fdopen(read) as pipe:
            said = pipe.read()
        assert f"{folder} belongs to root, and we are " in said
        assert os.listdir(folder) == []
