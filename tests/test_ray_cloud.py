"""Runs on Ray nodes that share no folder: large checkpoints lie where they were made, and in a store at a URL."""

import os
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

import ramet
from ramet.core.events import Lost
from ramet.errors import TrainableError
from ramet.record import Record
from ramet.store.remote import Remote
from ramet.testing import story

pytest.importorskip("ray", reason="Ray is not installed")
pytest.importorskip("s3fs", reason="s3fs is not installed")
pytest.importorskip("moto.server", reason="moto is not installed")

from clouds import BUCKET, FAULTS, cloud
from raynodes import Nodes, actors, kill_process, left_alone, parents, segments

SIZE = 300_000


@pytest.fixture(scope="module")
def sky():
    """The S3 server and the proxy before it, for all tests here."""
    with cloud() as found:
        yield found


@pytest.fixture(autouse=True)
def _surroundings(sky, monkeypatch, tmp_path):
    sky.spoil = lambda method, path: None
    sky.calls.clear()
    for name, value in environment(sky).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("RAMET_RUNS", str(tmp_path / "runs"))


def environment(sky):
    return {
        "AWS_ACCESS_KEY_ID": "somebody",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": sky.endpoint,
    }


def apart(nodes, tmp_path, count, **resources):
    """Add nodes that keep their copies to themselves."""
    found = {}
    for number in range(count):
        folder = tmp_path / f"node-{number}"
        found[nodes.add(env_vars={"RAMET_CACHE": str(folder)}, **(resources or {"num_cpus": 2}))] = folder
    return found


def heavy(config):
    """Count, with weights of ``size`` bytes that have to be those of the step before."""
    step, checkpoint = 0, ramet.get_checkpoint()
    if checkpoint is not None:
        with checkpoint.as_directory() as folder:
            step = int(Path(folder, "step").read_text())
            assert Path(folder, "weights").read_bytes() == bytes([step % 256]) * config["size"]
    while True:
        step += 1
        time.sleep(config["pace"])
        folder = ramet.checkpoint_dir()
        Path(folder, "step").write_text(str(step))
        Path(folder, "weights").write_bytes(bytes([step % 256]) * config["size"])
        score = step * config["rate"] + float(ramet.rng().random())
        ramet.report({"score": score}, checkpoint=ramet.Checkpoint.from_directory(folder))


def tuner(folder, executor, *, size=SIZE, pace=0.0, members=4, iterations=12, name="run", **run):
    scheduler = ramet.PopulationBasedTraining(
        time_attr="training_iteration",
        perturbation_interval=3,
        hyperparam_mutations={"rate": ramet.uniform(0.1, 2.0)},
        synch=True,
    )
    return ramet.Tuner(
        heavy,
        param_space={"rate": ramet.uniform(0.1, 2.0), "size": size, "pace": pace},
        tune_config=ramet.TuneConfig(metric="score", mode="max", scheduler=scheduler, num_samples=members, seed=3),
        run_config=ramet.RunConfig(
            name=name,
            storage_path=folder,
            stop={"training_iteration": iterations},
            verbose=0,
            executor=executor,
            checkpoint_config=ramet.CheckpointConfig(num_to_keep=1),
            sync_config=ramet.SyncConfig(sync_period=1.0),
            **run,
        ),
    )


def test_nodes_that_share_nothing_come_to_the_same_end_as_one_thread(tmp_path, sky):
    """Events, rows and large checkpoints of a run on two nodes with folders of their own are those of inline."""
    inline = tuner(tmp_path / "inline", "inline").fit()
    with Nodes() as nodes:
        folders = apart(nodes, tmp_path, 2)
        results = tuner(f"s3://{BUCKET}/same", ramet.RayExecutor(address=nodes.address)).fit()
        left = [path for folder in folders.values() for path in folder.rglob("weights")]
    assert results.num_errors == 0, results.errors
    assert left == []  # all of it is in the store
    assert not list(Path(results.experiment_path).rglob("weights"))  # nor did anything come here
    assert story(results.experiment_path) == story(inline.experiment_path)  # which brings them


def test_faults_of_the_store_are_not_noticed_on_nodes_either(tmp_path, sky):
    """With calls of controller, slots and couriers spoilt in all ways the end is the same, and the store has it all."""
    inline = tuner(tmp_path / "inline", "inline").fit()
    with Nodes() as nodes:
        apart(nodes, tmp_path, 2)
        sky.hang = 0.2
        sky.chance(seed=2, share=0.25, most=100)
        results = tuner(f"s3://{BUCKET}/faulty", ramet.RayExecutor(address=nodes.address)).fit()
    sky.spoil = lambda method, path: None
    came = Counter(call.fault for call in sky.calls)
    assert min(came[fault] for fault in FAULTS) >= 2, came
    assert results.num_errors == 0, results.errors
    assert story(results.experiment_path) == story(inline.experiment_path)
    record = Record.open(results.experiment_path)
    kept = {os.path.basename(row.path) for row in record.ledger.checkpoints() if row.path is not None}
    record.close()
    assert Remote(f"s3://{BUCKET}/faulty/run").names() == dict.fromkeys(kept, True)


def test_the_run_can_be_taken_up_from_the_url_alone(tmp_path, sky, monkeypatch):
    """Another machine, and another cluster, go on with it from what the store has."""
    inline = tuner(tmp_path / "inline", "inline", iterations=18).fit()
    url = f"s3://{BUCKET}/up"
    with Nodes() as nodes:
        apart(nodes, tmp_path, 2)
        tuner(url, ramet.RayExecutor(address=nodes.address), iterations=12).fit()
    monkeypatch.setenv("RAMET_RUNS", str(tmp_path / "elsewhere"))
    with Nodes() as nodes:
        apart(nodes, tmp_path / "others", 2)
        executor = ramet.RayExecutor(address=nodes.address)
        restored = ramet.Tuner.restore(
            f"{url}/run", heavy, executor=executor, stop={"training_iteration": 18}, verbose=0
        )
        results = restored.fit()
    assert results.num_errors == 0, results.errors
    assert [result.iteration for result in results] == [18] * 4
    assert story(results.experiment_path)["rows"] == story(inline.experiment_path)["rows"]


@pytest.mark.parametrize("nodes_apart", [2, 1])
def test_an_exploit_moves_a_checkpoint_once_up_and_once_down(tmp_path, sky, nodes_apart):
    """Between two nodes a clone costs one upload and one download of its donor's checkpoint; on one only the upload."""
    size = 8_000_000
    with Nodes() as nodes:
        apart(nodes, tmp_path, nodes_apart, num_cpus=2 // nodes_apart)
        url = f"s3://{BUCKET}/moved-{nodes_apart}"
        results = tuner(
            url, ramet.RayExecutor(address=nodes.address), size=size, pace=0.8, members=2, iterations=6, name="run"
        ).fit()
    assert results.num_errors == 0, results.errors
    record = Record.open(results.experiment_path)
    exploits = [e for e in record.events() if type(e).__name__ == "Opened" and e.parent is not None]
    donors = {(e.parent, e.iteration) for e in exploits}
    record.close()
    assert len(donors) == 1
    (segment, iteration) = donors.pop()
    up, down = sky.moved(f"checkpoints/{segment:06d}-{iteration:08d}-")
    slack = 4096 * 2
    assert size <= up <= size + slack
    assert down <= slack if nodes_apart == 1 else size <= down <= size + slack


def test_what_only_a_lost_node_had_is_made_again(tmp_path, sky):
    """When a node goes before its checkpoints are sent, its members go back to older ones, and the run ends right."""
    best = 1  # nobody takes this member's place, so it stays in the segment that is called like it
    kept_up = threading.Event()

    def spoil(method, path):
        late = method in ("PUT", "POST") and "checkpoints/" in path and int(path.split("checkpoints/")[1][7:15]) > 3
        return "503" if late and not kept_up.is_set() else None

    with Nodes() as nodes:
        folders = apart(nodes, tmp_path, 2)

        class Watch(ramet.Callback):
            def on_report(self, member, iteration, metrics):
                if member == best and iteration >= 7 and not kept_up.is_set():
                    before = parents()
                    nodes.kill(next(name for name, folder in folders.items() if best in segments(folder, 7)))
                    limit = time.monotonic() + 30
                    while left_alone(before) and time.monotonic() < limit:
                        time.sleep(0.05)  # or its courier would send it all in its last moment
                    kept_up.set()

        sky.spoil = spoil
        executor = ramet.RayExecutor(address=nodes.address)
        results = tuner(f"s3://{BUCKET}/lost", executor, pace=0.1, iterations=15, callbacks=[Watch()]).fit()
    assert results.num_errors == 0, results.errors
    assert [result.iteration for result in results] == [15] * 4
    record = Record.open(results.experiment_path)
    lost = [event for event in record.events() if isinstance(event, Lost)]
    record.close()
    assert lost
    assert all("its node was lost before it was sent to s3://" in event.reason for event in lost)


def test_a_lost_courier_is_replaced(tmp_path, sky):
    """Whoever sends a node's checkpoints may be killed: what it had not sent is sent by the next one."""
    inline = tuner(tmp_path / "inline", "inline", pace=0.05).fit()
    killed = []
    with Nodes() as nodes:
        apart(nodes, tmp_path, 1, num_cpus=4)

        class Watch(ramet.Callback):
            def on_report(self, member, iteration, metrics):
                if iteration in (4, 8) and member == 0:
                    killed.extend(_kill_couriers())

        executor = ramet.RayExecutor(address=nodes.address)
        results = tuner(f"s3://{BUCKET}/courier", executor, pace=0.05, callbacks=[Watch()]).fit()
    assert killed
    assert results.num_errors == 0, results.errors
    assert story(results.experiment_path) == story(inline.experiment_path)


def _kill_couriers():
    found = actors("Courier")
    for number in found:
        kill_process(number)
    return found


def test_a_node_without_credentials_is_told_of(tmp_path, sky, monkeypatch):
    """Where the controller may use the store and a node may not, the run ends before training, and names the node."""
    for name in environment(sky):
        monkeypatch.delenv(name)
    with Nodes() as nodes:
        nodes.add(num_cpus=2, env_vars={"AWS_ENDPOINT_URL": sky.endpoint, "AWS_EC2_METADATA_DISABLED": "true"})
        for name, value in environment(sky).items():
            monkeypatch.setenv(name, value)
        with pytest.raises(
            TrainableError, match=r"node \S+: storage_path=.*there are no credentials for it"
        ) as refused:
            tuner(f"s3://{BUCKET}/nobody", ramet.RayExecutor(address=nodes.address)).fit()
    assert "\n" not in str(refused.value)
    assert "secret" not in str(refused.value)
    assert os.environ["AWS_SECRET_ACCESS_KEY"] == "secret"
