"""The triangle wave in Ramet's own style: a dict for a checkpoint, and only where a decision waits for it.

python benchmarks/triangle_ramet.py 1000
"""

import sys

from training import step

import ramet


def train(config):
    checkpoint = ramet.get_checkpoint()
    accuracy = checkpoint.to_dict()["accuracy"] if checkpoint else 0.0
    while True:
        accuracy, metrics = step(config["lr"], accuracy)
        save = ramet.should_checkpoint()
        state = ramet.Checkpoint.from_dict({"accuracy": accuracy}) if save else None
        ramet.report(metrics, checkpoint=state)


if __name__ == "__main__":
    ramet.init(num_cpus=2)
    tuner = ramet.Tuner(
        train,
        param_space={"lr": 0.0001},
        tune_config=ramet.TuneConfig(
            metric="mean_accuracy",
            mode="max",
            num_samples=8,
            scheduler=ramet.PopulationBasedTraining(
                time_attr="training_iteration",
                perturbation_interval=5,
                hyperparam_mutations={"lr": ramet.uniform(0.0001, 0.02)},
            ),
        ),
        run_config=ramet.RunConfig(
            verbose=0,
            stop={"training_iteration": int(sys.argv[1])},
            checkpoint_config=ramet.CheckpointConfig(num_to_keep=2, checkpoint_score_attribute="mean_accuracy"),
        ),
    )
    print("best learning rate:", tuner.fit().get_best_result().config["lr"])
