"""A script in the newer style of Ray Tune, with files as checkpoints; nothing in it knows of Ramet."""

import argparse
import json
import os
import tempfile

import ray
from ray import tune
from ray.tune import Checkpoint, CheckpointConfig, FailureConfig, RunConfig, TuneConfig
from ray.tune.schedulers import PopulationBasedTraining


def climb(config):
    height, first = 0.0, 1
    checkpoint = tune.get_checkpoint()
    if checkpoint:
        with checkpoint.as_directory() as folder, open(os.path.join(folder, "state.json")) as file:
            state = json.load(file)
        height, first = state["height"], state["step"] + 1
    here = tune.get_context()
    for step in range(first, 10**6):
        height += config["speed"]
        where = {"trial": here.get_trial_id(), "run": here.get_experiment_name()}
        metrics = {"height": height, "step": step, "where": where}
        if step % config["every"]:
            ray.tune.report(metrics)
            continue
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "state.json"), "w") as file:
                json.dump({"height": height, "step": step}, file)
            tune.report(metrics, checkpoint=Checkpoint.from_directory(folder))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, required=True)
    steps = parser.parse_args().steps
    ray.init(num_cpus=2, include_dashboard=False, ignore_reinit_error=True)
    tuner = tune.Tuner(
        climb,
        param_space={"speed": tune.grid_search([1.0, 2.0, 3.0, 4.0]), "every": 2},
        tune_config=TuneConfig(
            metric="height",
            mode="max",
            scheduler=PopulationBasedTraining(
                time_attr="training_iteration",
                perturbation_interval=4,
                hyperparam_mutations={"speed": tune.uniform(1.0, 4.0)},
                synch=True,
            ),
        ),
        run_config=RunConfig(
            name="climbers",
            verbose=0,
            stop={"training_iteration": steps},
            failure_config=FailureConfig(max_failures=1),
            checkpoint_config=CheckpointConfig(num_to_keep=4),
        ),
    )
    results = tuner.fit()
    best = results.get_best_result()
    with best.checkpoint.as_directory() as folder, open(os.path.join(folder, "state.json")) as file:
        saved = json.load(file)
    ray.shutdown()
    rows = [len(result.metrics_dataframe) for result in results]
    print(json.dumps({"errors": len(results.errors), "rows": rows, "last": best.metrics, "saved": saved}))


if __name__ == "__main__":
    main()
