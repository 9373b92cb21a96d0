"""What users do to a run on a Ray cluster without meaning any harm, and it has to come out right."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import ramet
from ramet.core.events import Failed
from ramet.errors import ConfigError
from ramet.record import Record

ray = pytest.importorskip("ray", reason="Ray is not installed")

from raynodes import Nodes, actors, kill_process  # noqa: E402

from ramet.executor.ray.words import LOW, why_lost  # noqa: E402

SCRIPTS = Path(__file__).parent / "scripts"

LIMIT = 30
"""Seconds that only a failing test waits."""


@pytest.fixture(scope="module")
def nodes():
    """A head, and one node of two CPUs."""
    with Nodes() as found:
        found.add(num_cpus=2)
        yield found


def counting(config):
    """Count, and take some time for each step."""
    checkpoint = ramet.get_checkpoint()
    step = checkpoint.to_dict()["step"] if checkpoint is not None else 0
    while True:
        step += 1
        time.sleep(config["pace"])
        ramet.report({"score": float(step)}, checkpoint=ramet.Checkpoint.from_dict({"step": step}))


def tuner(folder, executor, function=counting, *, members=2, iterations=4, space=(), scheduler=None, tune=(), **run):
    scheduler = scheduler or ramet.PopulationBasedTraining(
        time_attr="training_iteration",
        perturbation_interval=2,
        hyperparam_mutations={"rate": ramet.uniform(0.1, 2.0)},
        synch=True,
    )
    tuned = {"metric": "score", "mode": "max", "scheduler": scheduler, "num_samples": members, "seed": 3, **dict(tune)}
    how = {"name": "run", "verbose": 0, "stop": {"training_iteration": iterations}, **run}
    return ramet.Tuner(
        function,
        param_space={"rate": ramet.uniform(0.1, 2.0), "pace": 0.0, **dict(space)},
        tune_config=ramet.TuneConfig(**tuned),
        run_config=ramet.RunConfig(storage_path=folder, executor=executor, **how),
    )


def ended(results):
    """The iterations at which all members ended without an error."""
    assert results.num_errors == 0, results.errors
    return [result.iteration for result in results]


def until(condition):
    """Wait until something is so."""
    since = time.monotonic()
    while not (found := condition()):
        assert time.monotonic() - since < LIMIT, "it did not come about"
        time.sleep(0.05)
    return found


# ---------------------------------------------------------------------- what functions do


def talkative(config):
    """Print 20 MB, and then report as fast as can be."""
    for _ in range(200):
        print("x" * 100_000)
    for step in range(2000):
        ramet.report({"score": float(step)})


def around_the_bound(config):
    """Report checkpoints that are just small enough to go along, just too large, and in between."""
    checkpoint = ramet.get_checkpoint()
    done = checkpoint.to_dict()["done"] if checkpoint is not None else 0
    for size in config["sizes"][done:]:
        done += 1
        ramet.report({"score": float(done)}, checkpoint=ramet.Checkpoint.from_dict({"done": done, "data": bytes(size)}))


def forking(config):
    """Have a child process at every step, which ends in its own way."""
    for step in range(4):
        child = os.fork()
        if child == 0:
            os._exit(0) if step % 2 else sys.exit(0)
        os.waitpid(child, 0)
        ramet.report({"score": float(step)})


def with_ray_inside(config):
    """Use the cluster that it runs on."""
    import ray

    @ray.remote(num_cpus=0)
    def more(value):
        return value + 1

    kept = ray.put(41)
    for _ in range(3):
        ramet.report({"score": float(ray.get(more.remote(kept)))})


SIZES = (100_000, 130_000, 131_072 - 300, 131_072, 131_073, 200_000)


@pytest.mark.parametrize(
    ("function", "space", "iterations"),
    [
        (talkative, {}, 2000),
        (around_the_bound, {"sizes": SIZES}, len(SIZES)),
        (forking, {}, 4),
        (with_ray_inside, {}, 3),
    ],
)
def test_functions_do_what_they_like(tmp_path, nodes, function, space, iterations):
    """Floods of output and of reports, checkpoints of any size, child processes and Ray itself are no trouble."""
    executor = ramet.RayExecutor(2, address=nodes.address)
    results = tuner(tmp_path, executor, function, iterations=iterations, space=space).fit()
    assert ended(results) == [iterations] * 2


def never_leaving(config):
    """Say who it is, and sleep."""
    Path(config["mark"]).write_text(f"{os.getpid()} {os.getppid()}")
    ramet.report({"score": 1.0})
    time.sleep(10 * LIMIT)


def test_the_function_of_a_killed_actor_ends_too(tmp_path, nodes):
    """Whoever kills an actor, as a node that runs out of memory does, has killed what trains below it."""
    mark = tmp_path / "mark"
    over = []

    def kill():
        until(lambda: mark.exists() and mark.read_text().count(" "))
        function, actor = map(int, mark.read_text().split())
        mark.unlink()
        kill_process(actor)
        until(lambda: not Path("/proc", str(function)).exists())
        over.append(function)

    thread = threading.Thread(target=kill)
    thread.start()
    executor = ramet.RayExecutor(1, address=nodes.address)
    how = {"space": {"mark": str(mark)}, "tune": {"time_budget_s": 8}}
    run = tuner(tmp_path / "runs", executor, never_leaving, members=1, **how)
    run.fit()
    thread.join()
    assert len(over) == 1


def test_who_takes_too_much_memory_is_told_what_to_do():
    """What Ray ends because its node is low on memory is told of with the way out, not with a link to Ray's pages."""
    told = "Task was killed due to the node running low on memory.\n\nRefer to the documentation on how to address it"
    assert why_lost(ray.exceptions.OutOfMemoryError(told)) == LOW


# ---------------------------------------------------------------------- schedulers and limits

MUTATED = {"rate": ramet.uniform(0.1, 2.0)}


@pytest.mark.parametrize(
    "scheduler",
    [
        ramet.PopulationBasedTraining("training_iteration", perturbation_interval=2, hyperparam_mutations=MUTATED),
        ramet.ASHA(max_t=4),
        ramet.PB2("training_iteration", perturbation_interval=2, hyperparam_bounds={"rate": [0.1, 2.0]}),
    ],
    ids=["asynchronous", "asha", "pb2"],
)
def test_any_scheduler_works_with_more_slots_than_there_is_room_for(tmp_path, nodes, scheduler):
    """64 slots are asked for and 2 come: members take turns in them, whatever the scheduler."""
    executor = ramet.RayExecutor(64, address=nodes.address)
    results = tuner(tmp_path, executor, scheduler=scheduler, members=5, tune={"max_concurrent_trials": 3}).fit()
    assert max(ended(results)) == 4


def failing(config):
    """Fail at the second step, or hang there."""
    ramet.report({"score": 1.0}, checkpoint=ramet.Checkpoint.from_dict({}))
    if config["hangs"]:
        time.sleep(10 * LIMIT)
    raise ValueError("no second step")


@pytest.mark.parametrize("hangs", [False, True])
def test_failures_and_hanging_are_counted(tmp_path, nodes, hangs):
    """What fails, or reports nothing for too long, is tried again as often as was asked for, and then has failed."""
    config = ramet.FailureConfig(max_failures=1, report_timeout_s=2.0 if hangs else None)
    executor = ramet.RayExecutor(2, address=nodes.address)
    results = tuner(tmp_path, executor, failing, space={"hangs": hangs}, failure_config=config).fit()
    assert results.num_errors == 2
    record = Record.open(results.experiment_path)
    counted = [event.counted for event in record.events() if isinstance(event, Failed)]
    record.close()
    assert counted == [True] * 4


def test_one_executor_serves_one_run_after_another(tmp_path, nodes):
    """The same executor object carries out a second run, and takes a finished one up; nothing stays behind."""
    executor = ramet.RayExecutor(2, address=nodes.address)
    for name in ("first", "second"):
        assert ended(tuner(tmp_path, executor, name=name).fit()) == [4, 4]
    threads = {thread.name for thread in threading.enumerate()}
    restored = ramet.Tuner.restore(tmp_path / "second", counting, executor=executor, verbose=0).fit()
    assert ended(restored) == [4, 4]
    assert not ray.is_initialized()
    assert {thread.name for thread in threading.enumerate()} <= threads
    assert "ramet-nodes" not in threads
    until(lambda: not actors())


def test_the_users_own_connection_stays_as_it_is(tmp_path, nodes):
    """Who has called ``ray.init`` with a namespace and an environment can give the actors another one besides."""
    ray.init(address=nodes.address, namespace="own", runtime_env={"env_vars": {"OWN": "1"}}, logging_level="ERROR")
    try:
        executor = ramet.RayExecutor(2, runtime_env={"env_vars": {"OTHER": "2"}})
        assert ended(tuner(tmp_path, executor, seeing, iterations=1).fit()) == [1, 1]
        assert ray.get_runtime_context().namespace == "own"
    finally:
        ray.shutdown()


def seeing(config):
    """Look at what both have set."""
    ramet.report({"score": float(os.environ["OWN"]) + float(os.environ["OTHER"])})


def test_a_branch_is_trained_on_the_cluster(tmp_path, nodes):
    """A run is branched off another one, and trained on Ray."""
    tuner(tmp_path, "inline", name="first").fit()
    executor = ramet.RayExecutor(2, address=nodes.address)
    like = tuner(tmp_path, executor, name="branch", iterations=6)
    first = tmp_path / "first"
    branch = ramet.Tuner.branch(first, counting, 1, tune_config=like.tune, run_config=like.run)
    assert max(ended(branch.fit())) == 6


# ---------------------------------------------------------------------- several runs


def script(name, *arguments, **how):
    """Start a script of ours."""
    command = [sys.executable, str(SCRIPTS / name), *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **how)


def test_two_runs_of_one_program_share_its_connection(tmp_path, nodes):
    """Of two runs at once the one that ends first leaves the other the cluster, and the last one leaves it."""
    with script("ray_two.py", tmp_path, nodes.address) as process:
        told = process.communicate(timeout=2 * LIMIT)[0]
    assert process.returncode == 0, told
    assert told.splitlines()[-1] == "[[5, 5], [60, 60]] False", told


def test_a_second_run_at_another_cluster_is_refused(tmp_path, nodes):
    """While a run of this program is on one cluster, another one cannot be on another, and is told so."""
    refused = []

    class Second(ramet.Callback):
        def on_report(self, member, iteration, metrics):
            if not refused:
                with pytest.raises(ConfigError, match="is not the cluster that this program is connected to") as error:
                    tuner(tmp_path, ramet.RayExecutor(address="127.0.0.1:1"), name="second").fit()
                refused.append(str(error.value))

    results = tuner(tmp_path, ramet.RayExecutor(2, address=nodes.address), callbacks=[Second()]).fit()
    assert ended(results) == [4, 4]
    assert refused


# ---------------------------------------------------------------------- the controller's life


def rows(process, count):
    """Wait until a controller has said that it has so many rows; return what it said."""
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("rows ") and int(line.split()[1]) >= count:
            return lines
    raise AssertionError("".join(lines))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_run_at_its_next_reports(tmp_path, nodes, number):
    """Ctrl-C and SIGTERM end it gently, with the way to go on; no actor stays."""
    with script("ray_controller.py", tmp_path, nodes.address) as process:
        rows(process, 10)
        process.send_signal(number)
        told = process.communicate(timeout=LIMIT)[0]
    assert process.returncode in ((1, -signal.SIGINT) if number == signal.SIGINT else (143,)), told
    assert "go on: ramet resume" in told
    until(lambda: not actors())


def test_a_signal_ends_a_run_that_waits_for_the_cluster(tmp_path):
    """Ctrl-C ends it also while nobody has a slot."""
    with Nodes() as empty:
        empty.add(num_cpus=1)
        taken = script("ray_controller.py", tmp_path / "other", empty.address)
        with taken:
            rows(taken, 1)
            with script("ray_controller.py", tmp_path / "own", empty.address) as process:
                until(lambda: (tmp_path / "own" / "run" / "run.db").exists())
                process.send_signal(signal.SIGINT)
                told = process.communicate(timeout=LIMIT)[0]
            taken.kill()
    assert process.returncode in (1, -signal.SIGINT), told
    assert "rows" not in told


def test_a_controller_that_is_killed_leaves_nothing_on_the_nodes(tmp_path, nodes):
    """After kill -9 its actors go, and what trains below them."""
    with script("ray_controller.py", tmp_path, nodes.address) as process:
        rows(process, 10)
        assert actors()
        process.kill()
    until(lambda: not actors())


def test_a_controller_that_was_stopped_for_long_goes_on(tmp_path, nodes):
    """A controller that stood still, as after Ctrl-Z, does not take its own silence for the head's."""
    environment = {**os.environ, "PYTHONPATH": f"{SCRIPTS}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"}
    program = (
        "import sys, ramet.executor.ray.cluster as cluster; cluster.SILENT_SECONDS = 1.5\n"
        "import ray_controller; ray_controller.main(*sys.argv[1:])"
    )
    command = [sys.executable, "-c", program, str(tmp_path), nodes.address]
    out = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "env": environment}
    with subprocess.Popen(command, **out) as process:
        for count in (5, 15, 25):
            rows(process, count)
            process.send_signal(signal.SIGSTOP)
            time.sleep(2.5)
            process.send_signal(signal.SIGCONT)
        told = process.communicate(timeout=LIMIT)[0]
    assert process.returncode == 0, told


def test_ray_prints_nothing_over_the_table(tmp_path, nodes, capfd):
    """Also a program that had imported Ray before hears of lost actors from the run alone."""
    killed = []

    class Kill(ramet.Callback):
        def on_report(self, member, iteration, metrics):
            if iteration == 3 and not killed:
                killed.extend(actors()[:1])
                kill_process(killed[0])

    executor = ramet.RayExecutor(2, address=nodes.address)
    results = tuner(tmp_path, executor, iterations=30, space={"pace": 0.05}, callbacks=[Kill()], verbose=1).fit()
    assert ended(results) == [30, 30]
    assert killed
    out, err = capfd.readouterr()
    assert "raylet" not in out + err
    assert "A worker died" not in out + err
