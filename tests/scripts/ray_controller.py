"""A controller of a run on a Ray cluster: begins it, or takes it up where it was left; says how many rows it has."""

import sys
import time
from pathlib import Path

import ramet


def paced(config):
    checkpoint = ramet.get_checkpoint()
    step = checkpoint.to_dict()["step"] if checkpoint is not None else 0
    while True:
        step += 1
        time.sleep(config["pace"])
        score = step * config["rate"] + float(ramet.rng().random())
        ramet.report({"score": score}, checkpoint=ramet.Checkpoint.from_dict({"step": step}))


class Rows(ramet.Callback):
    def __init__(self):
        self.count = 0

    def on_report(self, member, iteration, metrics):
        self.count += 1
        print("rows", self.count, flush=True)


def main(folder, address):
    how = {"verbose": 0, "executor": ramet.RayExecutor(4, address=address), "callbacks": [Rows()]}
    if ramet.Tuner.can_restore(Path(folder, "run")):
        ramet.Tuner.restore(Path(folder, "run"), paced, **how).fit()
        return
    scheduler = ramet.PopulationBasedTraining(
        time_attr="training_iteration",
        perturbation_interval=3,
        hyperparam_mutations={"rate": ramet.uniform(0.1, 2.0)},
        synch=True,
    )
    ramet.Tuner(
        paced,
        param_space={"rate": ramet.uniform(0.1, 2.0), "pace": 0.02},
        tune_config=ramet.TuneConfig(metric="score", mode="max", scheduler=scheduler, num_samples=4, seed=3),
        run_config=ramet.RunConfig(name="run", storage_path=folder, stop={"training_iteration": 60}, **how),
    ).fit()


if __name__ == "__main__":
    main(*sys.argv[1:])
