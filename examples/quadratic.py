"""Watch two models climb a hill that neither of them can see whole.

    python quadratic.py [--seed N] [--out DIR] [--executor process|inline] [--smoke-test]

This is the smallest problem on which population based training can be seen at work. It comes from figure 2 of the
paper that introduced the method (Jaderberg et al. 2017, https://arxiv.org/abs/1711.09846), and Ray's documentation made
a tutorial of it. Two pictures come out: ``pbt.png``, and ``grid.png`` for the same two models, each left alone.
"""

import argparse
from pathlib import Path

import numpy as np
from pbt_visualization_utils import get_init_theta, plot_parameter_history, plot_Q_history

import ramet

# The problem
# -----------
# A model is two numbers, theta. It is good where Q is large, and Q is largest, 1.2, at theta = (0, 0). Think of Q as
# how well a network does on data that it never saw: it is what we want, and it has no gradient that we could follow.


def Q(theta):
    return 1.2 - (3 / 4 * theta[0] ** 2 + theta[1] ** 2)


# What can be followed is a substitute, 1.2 - (h[0] * theta[0]**2 + h[1] * theta[1]**2), as a training loss is one. It
# depends on hyperparameters h. With h = (1, 0) only theta[0] is pushed towards 0, with h = (0, 1) only theta[1]: no
# model that trains with one of these alone can reach the top.


def gradient(theta, h):
    return -2 * h * theta * np.array([3 / 4, 1])


# The training function
# ---------------------
# Ramet calls it with a configuration, whenever a member starts or goes on with other weights or hyperparameters. Three
# things make it fit for a population: it takes up a checkpoint if there is one, it reports every step, and it hands
# over checkpoints. It never stops by itself; the run says when.


def train(config):
    h = np.array([config["h0"], config["h1"]])
    theta, step = get_init_theta(), 0
    if checkpoint := ramet.get_checkpoint():  # this member's own, or that of the better one whose clone it now is
        state = checkpoint.to_dict()
        theta, step = state["theta"], state["step"]
    while True:
        theta = theta + config["lr"] * gradient(theta, h)
        step += 1
        metrics = {"Q": Q(theta), "theta0": theta[0], "theta1": theta[1]}
        # A decision needs a checkpoint, and takes the first that comes when it is due. This one is tiny, so we save
        # at every step; where saving costs, ask ramet.should_checkpoint() first.
        ramet.report(metrics, checkpoint=ramet.Checkpoint.from_dict({"theta": theta, "step": step}))


# Two runs
# --------
# Both start with the same two members, one for each value of the grid. In the first, every 4 steps the worse member
# becomes a clone of the better one (with two members, half the population is one) and then explores: each
# hyperparameter is drawn anew from its domain, or else multiplied by 0.8 or 1.2.

INTERVAL = 4


def run(name, arguments, scheduler=None, lr=0.05):
    tuner = ramet.Tuner(
        train,
        param_space={
            "lr": lr,
            "h0": ramet.grid_search([1.0, 0.0]),
            "h1": ramet.sample_from(lambda spec: 1.0 - spec.config["h0"]),
        },
        tune_config=ramet.TuneConfig(metric="Q", mode="max", scheduler=scheduler, seed=arguments.seed),
        run_config=ramet.RunConfig(
            name=f"quadratic_{name}",
            stop={"training_iteration": 12 if arguments.smoke_test else 100},
            executor=arguments.executor,
        ),
    )
    return tuner.fit()


def population(arguments):
    scheduler = ramet.PopulationBasedTraining(
        time_attr="training_iteration",
        perturbation_interval=INTERVAL,
        quantile_fraction=0.5,
        resample_probability=0.5,
        hyperparam_mutations={
            "lr": ramet.qloguniform(1e-4, 1e-1, 5e-5),
            "h0": ramet.uniform(0.0, 1.0),
            "h1": ramet.uniform(0.0, 1.0),
        },
        synch=True,  # wait for each other: then the result depends on the seed alone
    )
    return run("pbt", arguments, scheduler, lr=ramet.qloguniform(1e-3, 1e-1, 5e-4))


# In the second there is no scheduler, so nobody learns from anybody: a plain grid search.


def grid(arguments):
    return run("grid", arguments)


# The pictures
# ------------
# On the left each model's way through the plane of theta, on the right its Q. Larger points lie where decisions are
# taken; dashed arrows are exploits, from the weights that were given up to those that were taken over. The grid search
# ends at the two axes; the population goes now along one, now along the other, and reaches the top.


def picture(results, file, title):
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(13, 6), layout="constrained")
    colors, labels = ["#0072B2", "#D55E00"], ["began with h = (1, 0)", "began with h = (0, 1)"]
    plot_parameter_history(results, colors, labels, perturbation_interval=INTERVAL, ax=axes[0])
    plot_Q_history(results, colors, labels, ax=axes[1])
    figure.suptitle(title, x=0.01, ha="left")
    figure.savefig(file)
    plt.close(figure)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=0, help="another seed explores otherwise (default: 0)")
    parser.add_argument("--out", type=Path, default=Path(), metavar="DIR", help="folder for the pictures")
    parser.add_argument("--executor", choices=("process", "inline"), default="process", help="where the members train")
    parser.add_argument("--smoke-test", action="store_true", help="end early")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)

    results = population(arguments)
    picture(results, arguments.out / "pbt.png", "Population based training")
    best = results.get_best_result()
    print(f"\nThe population reached Q = {best.metrics['Q']:.4f}, by this schedule:")
    print(best.schedule.frame().to_string(index=False))

    results = grid(arguments)
    picture(results, arguments.out / "grid.png", "Grid search")
    print(f"\nThe grid search reached Q = {results.get_best_result().metrics['Q']:.4f}")
    print(f"The pictures are {arguments.out / 'pbt.png'} and {arguments.out / 'grid.png'}")


if __name__ == "__main__":  # worker processes import this file, and must not start runs of their own
    main()
