"""Runs on a Ray cluster of several nodes: the same run as on one machine, whatever is added, killed or missing."""

import dataclasses
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

import ramet
from ramet.core.events import Failed
from ramet.errors import ConfigError, RunError, TrainableError
from ramet.executor.ray.asking import Asked
from ramet.record import Record
from ramet.store.checkpoints import CheckpointStore
from ramet.testing import story

ray = pytest.importorskip("ray", reason="Ray is not installed")

from raynodes import Nodes, actors, kill_process  # noqa: E402

CONTROLLER = Path(__file__).parent / "scripts" / "ray_controller.py"


@pytest.fixture(scope="module")
def nodes():
    """A head and two nodes of two CPUs; tests that take nodes away have others."""
    with Nodes() as found:
        for _ in range(2):
            found.add(num_cpus=2)
        yield found


def paced(config):
    """Count, draw, and take some time for each step."""
    checkpoint = ramet.get_checkpoint()
    step = checkpoint.to_dict()["step"] if checkpoint is not None else 0
    while True:
        step += 1
        time.sleep(config["pace"])
        score = step * config["rate"] + float(ramet.rng().random())
        ramet.report({"score": score}, checkpoint=ramet.Checkpoint.from_dict({"step": step}))


def tuner(folder, executor, function=paced, *, members=4, iterations=12, pace=0.0, space=(), **run):
    scheduler = ramet.PopulationBasedTraining(
        time_attr="training_iteration",
        perturbation_interval=3,
        hyperparam_mutations={"rate": ramet.uniform(0.1, 2.0)},
        synch=True,
    )
    return ramet.Tuner(
        function,
        param_space={"rate": ramet.uniform(0.1, 2.0), "pace": pace, **dict(space)},
        tune_config=ramet.TuneConfig(metric="score", mode="max", scheduler=scheduler, num_samples=members, seed=3),
        run_config=ramet.RunConfig(
            name="run",
            storage_path=folder,
            stop={"training_iteration": iterations},
            verbose=0,
            executor=executor,
            **run,
        ),
    )


def told(results):
    """The story of a run, with nothing that says how fast it went."""
    found = story(results.experiment_path)
    return {
        **found,
        "events": [
            (kind, {**fields, "hparams": {**fields["hparams"], "pace": None}} if "hparams" in fields else fields)
            for kind, fields in found["events"]
        ],
    }


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """By the number of iterations, the story of the run in this thread."""
    stories = {}

    def of(iterations, members=4):
        key = iterations, members
        if key not in stories:
            folder = tmp_path_factory.mktemp("inline")
            run = tuner(folder, ramet.InlineExecutor(1), members=members, iterations=iterations)
            stories[key] = told(run.fit())
        return stories[key]

    return of


# ---------------------------------------------------------------------- the same run


@pytest.mark.parametrize("count", [1, 2, 4])
def test_the_story_is_the_same_on_any_number_of_nodes(tmp_path, undisturbed, count):
    """A synchronous run with a seed has the same events, rows and checkpoints on 1, 2 and 4 nodes as inline."""
    with Nodes() as nodes:
        for _ in range(count):
            nodes.add(num_cpus=1)
        results = tuner(tmp_path, ramet.RayExecutor(4, address=nodes.address)).fit()
    assert results.num_errors == 0
    assert told(results) == undisturbed(12)


def kills_during(results, disturb, count, pause):
    """Run ``results()`` while ``disturb`` is called ``count`` times; return what came, and how often it was called."""
    over, done = threading.Event(), []

    def disturbing():
        while len(done) < count and not over.wait(pause):
            if disturb() is not False:
                done.append(time.monotonic())

    thread = threading.Thread(target=disturbing)
    thread.start()
    try:
        return results(), len(done)
    finally:
        over.set()
        thread.join()


def losses(results):
    record = Record.open(results.experiment_path)
    try:
        return [event for event in record.events() if isinstance(event, Failed)]
    finally:
        record.close()


def test_the_story_is_the_same_whatever_actors_are_killed(tmp_path, undisturbed, nodes, request):
    """20 random kills of actors leave no trace in the story, and count among nobody's failures."""
    kills = 20 if request.config.getoption("--long") else 6
    chance = random.Random(5)

    def disturb():
        there = actors()
        if not there:
            return False
        kill_process(chance.choice(there))
        return True

    executor = ramet.RayExecutor(4, address=nodes.address)
    run = tuner(tmp_path, executor, iterations=12 * kills // 2, pace=0.05)
    results, killed = kills_during(run.fit, disturb, kills, 0.6)
    assert killed == kills
    assert results.num_errors == 0
    assert told(results) == undisturbed(12 * kills // 2)
    lost = losses(results)
    assert lost
    assert not any(event.counted for event in lost)
    assert all("Ray actor of slot" in event.error for event in lost)


def test_the_story_is_the_same_whatever_nodes_are_killed(tmp_path, undisturbed, request):
    """20 random kills of nodes, each with another that joins, leave no trace in the story."""
    kills = 20 if request.config.getoption("--long") else 4
    chance = random.Random(7)
    with Nodes() as nodes:
        for _ in range(3):
            nodes.add(num_cpus=2)

        def disturb():
            nodes.kill(chance.choice(nodes.names))
            nodes.add(num_cpus=2)

        run = tuner(tmp_path, ramet.RayExecutor(address=nodes.address), iterations=21 * kills, pace=0.05)
        results, killed = kills_during(run.fit, disturb, kills, 1.2)
    assert killed == kills
    assert results.num_errors == 0
    assert told(results) == undisturbed(21 * kills)
    assert losses(results)


def test_the_story_is_the_same_whatever_happens_to_the_controller(tmp_path, undisturbed, nodes):
    """A controller that is killed five times at work, and taken up on the same cluster, ends the same run."""
    ends = []
    for attempt in range(6):
        wanted = (attempt + 1) * 9 if attempt < 5 else 10**6
        ends.append(_controlled(tmp_path, nodes.address, wanted))
    assert ends == [-signal.SIGKILL] * 5 + [0]
    assert told(ramet.ResultGrid(tmp_path / "run")) == undisturbed(60)


def _controlled(folder, address, wanted):
    """Let a controller work until the run has ``wanted`` rows, and kill it; return its exit status."""
    command = [sys.executable, str(CONTROLLER), str(folder), address]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        for line in process.stdout:
            if line.startswith("rows ") and int(line.split()[1]) >= wanted:
                process.kill()
        return process.wait()


def test_a_lost_head_is_a_resume(tmp_path, undisturbed):
    """When the head goes, and all nodes, the controller ends with a sentence; the run goes on on another cluster."""
    nodes = Nodes()
    try:
        nodes.add(num_cpus=4)
        command = [sys.executable, str(CONTROLLER), str(tmp_path), nodes.address]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            lines = []
            for line in process.stdout:
                lines.append(line)
                if line.startswith("rows ") and int(line.split()[1]) >= 20:
                    nodes.close()
                    break
            lines += list(process.stdout)
            assert process.wait() == 1, lines
        assert any("the head of the Ray cluster has not answered" in line for line in lines), lines
    finally:
        nodes.close()
    with Nodes() as others:
        others.add(num_cpus=4)
        assert _controlled(tmp_path, others.address, 10**6) == 0
    assert told(ramet.ResultGrid(tmp_path / "run")) == undisturbed(60)


# ---------------------------------------------------------------------- capacity


def test_capacity_follows_the_cluster(tmp_path):
    """A run waits while there is no node, uses those that join, and goes on when all but one have left."""
    slots = []

    class Watch(ramet.Callback):
        def on_report(self, member, iteration, metrics):
            slots.append(len(executor.capacity()))
            if len(slots) == 10:
                nodes.add(num_cpus=3)
            if max(slots) == 4 and len(nodes.names) == 2:
                nodes.kill(nodes.names[0])

    with Nodes() as nodes:
        nodes.add(num_cpus=1)
        executor = ramet.RayExecutor(address=nodes.address)
        results = tuner(tmp_path, executor, iterations=60, pace=0.05, callbacks=[Watch()]).fit()
    assert results.num_errors == 0
    assert [result.iteration for result in results] == [60] * 4
    assert slots[0] == 1
    assert max(slots) == 4
    assert [count for count in slots if count][-1] == 3


def test_a_run_without_any_node_left_waits_for_one(tmp_path):
    """With its last node gone a run does not end: it goes on where it was as soon as another joins."""
    with Nodes() as nodes:
        nodes.add(num_cpus=2)
        seen, joins = [], threading.Timer(2.0, lambda: nodes.add(num_cpus=2))

        class Watch(ramet.Callback):
            def on_report(self, member, iteration, metrics):
                seen.append(iteration)
                if len(seen) == 8:
                    nodes.kill(nodes.names[0])
                    joins.start()

        executor = ramet.RayExecutor(address=nodes.address)
        results = tuner(tmp_path, executor, members=2, iterations=30, pace=0.2, callbacks=[Watch()]).fit()
        joins.join()
    assert results.num_errors == 0
    assert [result.iteration for result in results] == [30, 30]
    assert losses(results)


def test_many_members_share_few_slots(tmp_path, undisturbed, nodes):
    """64 members on 4 slots come to the same end as inline."""
    results = tuner(tmp_path, ramet.RayExecutor(4, address=nodes.address), members=64, iterations=6).fit()
    assert results.num_errors == 0
    assert told(results) == undisturbed(6, members=64)


# ---------------------------------------------------------------------- resources


def devices(config):
    """Tell what this member was given."""
    time.sleep(0.2)
    ramet.report({"score": 1.0, "gpus": os.environ.get("CUDA_VISIBLE_DEVICES", "")})


def test_fractions_of_gpus_and_resources_of_the_clusters_own(tmp_path):
    """Members that need half a GPU share one, and go only to nodes that have what they need."""
    slots = []

    class Watch(ramet.Callback):
        def on_report(self, member, iteration, metrics):
            slots.append(len(executor.capacity()))

    with Nodes() as nodes:
        nodes.add(num_cpus=4)
        nodes.add(num_cpus=4, num_gpus=2, resources={"fast": 3})
        executor = ramet.RayExecutor(address=nodes.address, resources={"cpu": 1, "gpu": 0.5, "fast": 1})
        results = tuner(tmp_path, executor, devices, members=8, callbacks=[Watch()]).fit()
    assert results.num_errors == 0, results.errors
    assert {result.metrics["gpus"] for result in results} == {"0", "1"}
    assert max(slots) == 3


def spanning(config):
    """Do something in the second bundle of the member's placement group."""
    import ray
    from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

    from ramet.integrations.ray import placement_group

    there = PlacementGroupSchedulingStrategy(placement_group(), 1)

    @ray.remote(num_cpus=1, scheduling_strategy=there)
    def where():
        return ray.get_runtime_context().get_node_id()

    bundles = ray.util.placement_group_table(placement_group())["bundles_to_node_id"]
    ramet.report({"score": 1.0, "nodes": f"{bundles[0]} {bundles[1]}", "there": ray.get(where.remote())})


def test_a_member_may_span_nodes(tmp_path):
    """With two bundles apart the function runs on one node, and what it starts in the other bundle on another."""
    with Nodes() as nodes:
        for _ in range(2):
            nodes.add(num_cpus=2)
        executor = ramet.RayExecutor(address=nodes.address, bundles=[{"cpu": 1}, {"cpu": 1}], strategy="STRICT_SPREAD")
        results = tuner(tmp_path, executor, spanning, members=3).fit()
        names = set(nodes.names)
    assert results.num_errors == 0, results.errors
    for result in results:
        here, there = result.metrics["nodes"].split()
        assert {here, there} == names
        assert result.metrics["there"] == there


def dying(config):
    """Die of a signal, as what is written in C does."""
    ramet.report({"score": 1.0}, checkpoint=ramet.Checkpoint.from_dict({}))
    os.kill(os.getpid(), signal.SIGSEGV)
    time.sleep(60)


def test_a_function_that_kills_its_process_is_its_members_failure(tmp_path, nodes):
    """A segmentation fault counts among the member's failures, and is told as such; the slot is used again."""
    executor = ramet.RayExecutor(2, address=nodes.address)
    failing = ramet.FailureConfig(max_failures=1)
    results = tuner(tmp_path, executor, dying, members=3, failure_config=failing).fit()
    assert results.num_errors == 3
    assert all("SIGSEGV" in str(result.error) for result in results)
    assert [event.counted for event in losses(results)] == [True] * 6


def ending_itself(config):
    """Kill the actor above."""
    ramet.report({"score": 1.0})
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(60)


def test_a_member_that_always_loses_its_place_fails_in_the_end(tmp_path, nodes):
    """Who loses every actor before a checkpoint is at fault itself after some times, and does not go on for ever."""
    executor = ramet.RayExecutor(1, address=nodes.address)
    results = tuner(tmp_path, executor, ending_itself, members=1).fit()
    assert results.num_errors == 1
    assert [event.counted for event in losses(results)] == [False] * 4 + [True]
    assert "for the 5th time without a checkpoint" in str(results[0].error)


def large(config, table):
    """Look at a large parameter."""
    ramet.report({"score": float(table[-1]), "bytes": len(table)})


def test_large_parameters_are_sent_once(tmp_path, nodes, monkeypatch):
    """What is bound with `with_parameters` is put into the cluster once, however many members and slots there are."""
    put, sizes = ray.put, []

    def counted(value, **how):
        sizes.append(len(value))
        return put(value, **how)

    monkeypatch.setattr(ray, "put", counted)
    function = ramet.with_parameters(large, table=bytes(5_000_000) + b"\7")
    results = tuner(tmp_path, ramet.RayExecutor(address=nodes.address), function, members=6).fit()
    assert results.num_errors == 0, results.errors
    assert {result.metrics["bytes"] for result in results} == {5_000_001}
    assert len(sizes) == 1
    assert 5_000_000 < sizes[0] < 5_100_000


# ---------------------------------------------------------------------- whose cluster


def test_a_cluster_of_the_programs_own_is_used_and_left_alone(tmp_path):
    """Where the program is connected to Ray, the run uses that cluster, and the program is connected afterwards too."""
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    try:
        results = tuner(tmp_path, "ray", members=2, iterations=3).fit()
        assert results.num_errors == 0
        assert ray.is_initialized()
        with pytest.raises(ConfigError, match="is not the cluster that this program is connected to"):
            tuner(tmp_path / "other", ramet.RayExecutor(address="127.0.0.1:1")).fit()
    finally:
        ray.shutdown()


def test_without_a_cluster_one_is_started_and_ended(tmp_path, monkeypatch):
    """With nothing running a cluster of this machine lasts as long as the run; handlers of signals are as before."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    before = signal.getsignal(signal.SIGTERM)
    results = tuner(tmp_path, ramet.RayExecutor(address="local"), members=2, iterations=3).fit()
    assert results.num_errors == 0
    assert not ray.is_initialized()
    assert signal.getsignal(signal.SIGTERM) is before


# ---------------------------------------------------------------------- bad input

REFUSED = [
    ({"slots": 0}, "must be a whole number of actors, at least 1"),
    ({"slots": True}, "must be a whole number of actors"),
    ({"address": ""}, "must be the address of a cluster"),
    ({"resources": {}}, "needs a dict, such as"),
    ({"resources": {"gpu": 1.5}}, "take a fraction below 1, or whole GPUs"),
    ({"resources": {"cpu": -1}}, "a number of at least 0"),
    ({"resources": {"cpu": "2"}}, "a number of at least 0"),
    ({"resources": {"cpu": 0}}, "asks for nothing"),
    ({"resources": {"cpu": 1}, "bundles": [{"cpu": 1}]}, "both say what a member needs: keep one"),
    ({"bundles": []}, "must be a list of dicts, at least one"),
    ({"strategy": "pack"}, "must be one of PACK, SPREAD, STRICT_PACK, STRICT_SPREAD"),
    ({"runtime_env": "pip"}, "must be a dict, as Ray has it"),
    ({"grows": 1}, "must be True or False"),
]


@pytest.mark.parametrize(("arguments", "words"), REFUSED)
def test_arguments_out_of_range_are_refused_at_once(arguments, words):
    """What can be refused without a cluster is refused by the constructor, in one sentence that says what to do."""
    with pytest.raises(ConfigError, match=words) as refused:
        ramet.RayExecutor(**arguments)
    assert "\n" not in str(refused.value)


def test_needs_are_said_in_one_place():
    """Resources of the trainable and of the executor contradict each other."""
    function = ramet.with_resources(paced, {"cpu": 2})
    assert Asked().need(function) == [{"cpu": 2.0}]
    with pytest.raises(ConfigError, match="keep one"):
        Asked(resources={"cpu": 1}).need(function)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("127.0.0.1:1", "nobody answers there"),
        ("ray://127.0.0.1:1", "nobody answers there"),
        ("nowhere", "is no address of a Ray cluster"),
    ],
)
def test_an_address_without_a_cluster_is_refused(tmp_path, address, words):
    """Where no cluster is, one line says so before there is a folder."""
    with pytest.raises(ConfigError, match=words):
        tuner(tmp_path, ramet.RayExecutor(address=address)).fit()
    assert list(tmp_path.iterdir()) == []
    assert not ray.is_initialized()


def test_a_program_that_listens_and_is_no_cluster_is_refused(tmp_path, monkeypatch):
    """Whoever listens at the address and is not Ray's head gets the same line, and the program goes on."""
    monkeypatch.setattr("ramet.executor.ray.cluster.CONNECT_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"127.0.0.1:{listening.getsockname()[1]}"
        with pytest.raises(ConfigError, match="who listens there is no Ray cluster"):
            tuner(tmp_path, ramet.RayExecutor(address=address)).fit()
    assert list(tmp_path.iterdir()) == []


def test_resources_that_no_node_can_ever_give_are_refused(tmp_path, nodes):
    """A member that fits on no node is refused, with what the nodes have, before there is a folder."""
    executor = ramet.RayExecutor(address=nodes.address, resources={"gpu": 1})
    with pytest.raises(ConfigError, match=r"needs 1 gpu, and no node .* can ever give that \(it has 3: .*2 CPU"):
        tuner(tmp_path, executor).fit()
    assert list(tmp_path.iterdir()) == []
    assert not ray.is_initialized()


def test_a_function_that_the_nodes_cannot_load_is_told_of_with_the_way_out(tmp_path, nodes, monkeypatch):
    """Where the workers lack a module the run says which, and how to send it."""
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "only_here.py").write_text("def train(config):\n    pass\n")
    monkeypatch.syspath_prepend(str(hidden))
    import only_here

    (hidden / "only_here.py").rename(hidden / "gone.py")
    with pytest.raises(TrainableError, match=r"(?s)No module named 'only_here'.*runtime_env=\{'working_dir'"):
        tuner(tmp_path / "runs", ramet.RayExecutor(1, address=nodes.address), only_here.train).fit()


def test_a_folder_that_the_nodes_do_not_see_is_refused(tmp_path, nodes, monkeypatch):
    """Where a node does not share the run's folder, the run ends before any training and names the way out."""
    scratch = CheckpointStore.scratch
    monkeypatch.setattr(CheckpointStore, "scratch", lambda store: scratch(store).rename(tmp_path / "moved") / "away")
    executor = ramet.RayExecutor(1, address=nodes.address)
    with pytest.raises(RunError, match=r"does not see the run's folder .*storage_path=…"):
        tuner(tmp_path, executor).fit()


def test_what_it_was_asked_for_survives_a_pickle():
    """An executor is saved with the run's settings as what it was asked for."""
    import pickle

    executor = ramet.RayExecutor(3, resources={"cpu": 2}, strategy="SPREAD", grows=True)
    assert repr(pickle.loads(pickle.dumps(executor))) == repr(executor)
    assert repr(executor) == "RayExecutor(slots=3, resources={'cpu': 2.0}, strategy='SPREAD', grows=True)"


def where(config):
    """Tell what is in the working directory."""
    ramet.report({"score": 1.0, "there": ",".join(sorted(path.name for path in Path.cwd().glob("*.txt")))})


def test_a_working_directory_reaches_the_workers(tmp_path, nodes, monkeypatch):
    """What ``working_dir`` holds lies in the workers' current folder, though the controller's own is there too."""
    sent, own = tmp_path / "sent", tmp_path / "own"
    sent.mkdir()
    own.mkdir()
    (sent / "data.txt").write_text("1")
    monkeypatch.chdir(own)
    executor = ramet.RayExecutor(1, address=nodes.address, runtime_env={"working_dir": str(sent)})
    results = tuner(tmp_path / "runs", executor, where, members=1).fit()
    assert results.num_errors == 0, results.errors
    assert results[0].metrics["there"] == "data.txt"


def test_a_working_directory_is_refused_where_it_cannot_be_sent(tmp_path, nodes):
    """Over a connection that the program has made Ray sends no folders: one line says where to give it instead."""
    ray.init(address=nodes.address, log_to_driver=False, logging_level="ERROR")
    try:
        executor = ramet.RayExecutor(1, runtime_env={"working_dir": str(tmp_path)})
        with pytest.raises(ConfigError, match=r"give it to ray.init\(runtime_env=…\)"):
            tuner(tmp_path / "runs", executor, members=1).fit()
    finally:
        ray.shutdown()


def test_no_more_actors_than_train_at_once_are_asked_for(tmp_path, nodes):
    """With ``max_concurrent_trials`` the cluster's other CPUs stay free."""
    slots = []

    class Watch(ramet.Callback):
        def on_report(self, member, iteration, metrics):
            slots.append(len(executor.capacity()))

    executor = ramet.RayExecutor(address=nodes.address)
    run = tuner(tmp_path, executor, pace=0.05, callbacks=[Watch()])
    run.tune = dataclasses.replace(run.tune, max_concurrent_trials=2)
    assert run.fit().num_errors == 0
    assert max(slots) == 2


def test_a_cluster_that_is_gone_is_not_waited_for(tmp_path, monkeypatch):
    """Where Ray still remembers a cluster of this machine that has died, a run starts one of its own."""
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray" / "ray_current_cluster").write_text("127.0.0.1:1")
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    from ramet.executor.ray import cluster

    assert cluster._left_behind()
    (tmp_path / "ray" / "ray_current_cluster").unlink()
    assert not cluster._left_behind()


def test_a_cluster_that_asks_for_a_token_says_how_to_give_it(tmp_path, monkeypatch):
    """Who comes without a token to a cluster that wants one is told of it, which Ray itself does in its log alone."""
    (tmp_path / "token").write_text("0123456789abcdef" * 4)
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
    with Nodes() as asking:
        monkeypatch.delenv("RAY_AUTH_MODE")
        monkeypatch.delenv("RAY_AUTH_TOKEN_PATH")
        with pytest.raises(ConfigError, match="RAY_AUTH_MODE=token in the environment"):
            tuner(tmp_path / "runs", ramet.RayExecutor(address=asking.address)).fit()
    assert not (tmp_path / "runs").exists()
