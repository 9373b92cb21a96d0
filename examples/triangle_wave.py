r"""Find a learning rate schedule that nobody knows beforehand.

    python triangle_wave.py [--seed N] [--out DIR] [--executor process|inline] [--smoke-test]

Training a model well often takes a learning rate that rises at first and falls later. Here is a toy with that property,
made so that the best learning rate is known at every moment (it is Ray Tune's example for population based training):

    optimal
    learning rate
     0.01  ^        /\
           |      /    \
           |    /        \
    0.001  |__/            \__
           +---------|---------|-->  accuracy
           0        100       200

We train a population of eight, let the weak become clones of the strong, and compare the learning rates that the best
model was trained with to the optimal ones. The picture is ``triangle_wave.png``.
"""

import argparse
from pathlib import Path

import ramet
from ramet.view import plots

# The problem
# -----------
# A model is one number, its accuracy. A step raises it by up to 1 if the learning rate is the optimal one, by less the
# further it is off, and by nothing if it is wrong by a factor of 3; far too high, it does harm. Noise larger than all
# this is added, so no single step tells anything: only over several does the better learning rate show.


def optimal_lr(accuracy):
    return min(0.01, max(0.001, 0.01 * (1 - abs(accuracy - 100) / 100)))


def step(accuracy, lr, rng):
    optimal = optimal_lr(accuracy)
    error = max(lr, optimal) / min(lr, optimal)
    if error < 3:
        accuracy += rng.random() / error
    elif lr > optimal:
        accuracy -= rng.random() * (error - 3)
    return max(0.0, accuracy + 2 * rng.normal())


# The training function
# ---------------------
# It is a loop like any other, with three additions: it begins from a checkpoint where there is one, reports after every
# step, and hands over a checkpoint when one is wanted. The checkpoint that it begins from may be another member's; then
# this member has just become a clone, and config holds new hyperparameters for it. Random numbers come from
# ramet.rng(), which makes every run with the same seed the same.


def train(config):
    accuracy = 0.0
    if checkpoint := ramet.get_checkpoint():
        accuracy = checkpoint.to_dict()["accuracy"]
    rng = ramet.rng()
    while True:
        optimal = optimal_lr(accuracy)
        accuracy = step(accuracy, config["lr"], rng)
        metrics = {"accuracy": accuracy, "lr": config["lr"], "optimal_lr": optimal, "done": accuracy >= 200}
        if ramet.should_checkpoint() or metrics["done"]:
            ramet.report(metrics, checkpoint=ramet.Checkpoint.from_dict({"accuracy": accuracy}))
        else:
            ramet.report(metrics)


# The population
# --------------
# Every 5 steps, the lowest quarter take over weights and learning rate of members in the highest quarter, drawn at
# random, and then change the learning rate: by a factor of 0.8 or 1.2, or now and then to a new value from its domain.


def run(arguments):
    scheduler = ramet.PopulationBasedTraining(
        time_attr="training_iteration",
        perturbation_interval=5,
        hyperparam_mutations={"lr": ramet.loguniform(0.0001, 0.02)},
        synch=True,  # wait for each other: then the result depends on the seed alone
    )
    tuner = ramet.Tuner(
        train,
        param_space={"lr": 0.0001},  # far too low for all of them
        tune_config=ramet.TuneConfig(
            metric="accuracy", mode="max", num_samples=8, scheduler=scheduler, seed=arguments.seed
        ),
        # A member also ends by itself, when it reports a true "done".
        run_config=ramet.RunConfig(
            name="triangle_wave",
            stop={"training_iteration": 20 if arguments.smoke_test else 400},
            checkpoint_config=ramet.CheckpointConfig(num_to_keep=1),  # what can still be cloned is kept besides
            executor=arguments.executor,
        ),
    )
    return tuner.fit()


# What came of it
# ---------------
# The best model went through the hands of many members. Its lineage is the path from one to the next, its schedule the
# learning rates along that path, and lineage_dataframe its training curve, without the steps that were thrown away.


def picture(results, file):
    best = results.get_best_result().lineage_dataframe
    axes = plots.schedules(results, "lr")
    axes.plot(best["training_iteration"], best["optimal_lr"], color="#D55E00", linewidth=2, zorder=6)
    axes.figure.suptitle("In red, the learning rate that was optimal for the best model", x=0.02, ha="left")
    axes.figure.savefig(file)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=0, help="another seed, another population (default: 0)")
    parser.add_argument("--out", type=Path, default=Path(), metavar="DIR", help="folder for the picture")
    parser.add_argument("--executor", choices=("process", "inline"), default="process", help="where the members train")
    parser.add_argument("--smoke-test", action="store_true", help="end early")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)

    results = run(arguments)
    picture(results, arguments.out / "triangle_wave.png")
    best = results.get_best_result()
    print(f"\nThe best model reached {best.metrics['accuracy']:.1f} in {best.iteration} steps, by this schedule:")
    print(best.schedule.frame().to_string(index=False))
    print(f"The picture is {arguments.out / 'triangle_wave.png'}")


if __name__ == "__main__":  # worker processes import this file, and must not start runs of their own
    main()
