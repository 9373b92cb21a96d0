"""A member becomes the clone of one whose large checkpoint lies on a node of a Ray cluster; the run is kept at a URL.

python cluster_clone.py ADDRESS URL --size 1000000000 --slots 2
"""

import argparse
import json
import os
import time

from joined import join

import ramet

SETTLED = 5.0
"""Seconds that the members wait at first, so that each has a slot of its own by then."""


def train(config):
    """Member 0 is the better one, and its state is large; member 1 becomes its clone."""
    good = ramet.get_context().member == 0
    told = {"score": float(good), "node": os.environ["RAMET_CACHE"]}
    if checkpoint := ramet.get_checkpoint():
        with checkpoint.as_directory() as folder:
            told["size"] = float(os.path.getsize(os.path.join(folder, "weights")))
            told["at_hand"] = time.perf_counter()
        ramet.report(told)
    time.sleep(SETTLED)
    if good:
        folder = ramet.checkpoint_dir()
        chunk, began = os.urandom(1_000_000), time.perf_counter()
        with open(folder / "weights", "wb") as file:
            for _ in range(config["size"] // len(chunk)):
                file.write(chunk)
        saved = ramet.Checkpoint.from_directory(folder)
        told.update(wrote=time.perf_counter() - began, reported=time.perf_counter())
    else:
        saved = ramet.Checkpoint.from_dict({})
    ramet.report(told, checkpoint=saved)
    ramet.report(told)


class Reports(ramet.Callback):
    """Remembers what was reported."""

    def __init__(self):
        self.all = []

    def on_report(self, member, iteration, metrics):
        """Remember it."""
        self.all.append((member, iteration, metrics))


def main():
    """Run it, and print how long the clone waited, and which checkpoint it was given."""
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("url")
    parser.add_argument("--size", type=int, default=1_000_000_000)
    parser.add_argument("--slots", type=int, default=2)
    asked = parser.parse_args()
    join(asked.address, asked.slots)
    reports, began = Reports(), time.perf_counter()
    scheduler = ramet.PopulationBasedTraining(
        time_attr="training_iteration",
        perturbation_interval=1,
        quantile_fraction=0.5,
        hyperparam_mutations={"lr": ramet.uniform(0.1, 1.0)},
        synch=True,
    )
    results = ramet.Tuner(
        train,
        param_space={"lr": ramet.uniform(0.1, 1.0), "size": asked.size},
        tune_config=ramet.TuneConfig(metric="score", mode="max", num_samples=2, scheduler=scheduler),
        run_config=ramet.RunConfig(
            name="clone",
            storage_path=asked.url,
            verbose=0,
            executor=ramet.RayExecutor(asked.slots),
            stop={"training_iteration": 2},
            callbacks=[reports],
        ),
    ).fit()
    seconds = time.perf_counter() - began
    assert results.num_errors == 0, results.errors
    given = next(metrics for _, _, metrics in reports.all if metrics.get("reported"))
    clone = next(metrics for member, _, metrics in reports.all if member == 1 and metrics.get("at_hand"))
    assert clone["size"] == asked.size
    exploit = clone["at_hand"] - given["reported"]
    apart = given["node"] != clone["node"]
    print(json.dumps({"exploit": exploit, "apart": apart, "wrote": given["wrote"], "fit": seconds}))


if __name__ == "__main__":
    main()
