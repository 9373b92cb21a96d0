"""A run on a Ray cluster of several hosts: it says what is reported, and leaves its story where it has run.

It is told in JSON what the run is; ``wait_at`` is the iteration at which it waits until so many ``nodes`` are there.
"""

import faulthandler
import json
import pickle
import socket
import sys
import tempfile
import time
from pathlib import Path

import ramet
from ramet.testing import story


def weighty(config):
    """Count, with weights of ``size`` bytes that have to be those of the step before, and leave a mark on the host."""
    Path(tempfile.gettempdir(), f"trained-{config['mark']}").touch()
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


def tuner(folder, executor, *, mark, size, pace=0.0, members=4, iterations=12, **run):
    """Return what trains a population, in the same way wherever it is."""
    scheduler = ramet.PopulationBasedTraining(
        time_attr="training_iteration",
        perturbation_interval=3,
        hyperparam_mutations={"rate": ramet.uniform(0.1, 2.0)},
        synch=True,
    )
    return ramet.Tuner(
        weighty,
        param_space={"rate": ramet.uniform(0.1, 2.0), "mark": mark, "size": size, "pace": pace},
        tune_config=ramet.TuneConfig(metric="score", mode="max", scheduler=scheduler, num_samples=members, seed=3),
        run_config=ramet.RunConfig(
            name=mark,
            storage_path=folder,
            stop={"training_iteration": iterations},
            verbose=0,
            executor=executor,
            checkpoint_config=ramet.CheckpointConfig(num_to_keep=1),
            sync_config=ramet.SyncConfig(sync_period=1.0),
            **run,
        ),
    )


class Telling(ramet.Callback):
    """Says what is reported, and waits where it is to."""

    def __init__(self, nodes, wait_at):
        self.nodes, self.wait_at = nodes, wait_at

    def on_report(self, member, iteration, metrics):
        print("row", member, iteration, flush=True)
        if iteration == self.wait_at:
            self.wait_at = None
            print("waiting", flush=True)
            there(self.nodes)


def there(count):
    """Wait until so many nodes are."""
    import ray

    while sum(node["Alive"] for node in ray.nodes()) != count:
        time.sleep(0.1)


def main(address, nodes, limit, wait_at=None, **how):
    import ray

    faulthandler.dump_traceback_later(limit, exit=True)  # only a failing test gets there

    ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    there(nodes)
    ray.shutdown()
    executor = ramet.RayExecutor(address=address)
    print("on", socket.gethostname(), flush=True)
    try:
        results = tuner(how.pop("folder"), executor, callbacks=[Telling(nodes, wait_at)], **how).fit()
    except ramet.RametError as error:
        print("refused", str(error), flush=True)
        return
    assert results.num_errors == 0, results.errors
    Path("/tmp", f"story-{how['mark']}").write_bytes(pickle.dumps(story(results.experiment_path)))
    print("done", flush=True)


if __name__ == "__main__":
    main(**json.loads(sys.argv[1]))
