"""Train 32 generative adversarial networks at once in PyTorch, and let them find their two learning rates.

    python vector_torch.py [--members N] [--seed N] [--alone] [--out DIR] [--smoke-test]

A generator makes points of noise, a discriminator tells them from those of a data set, here eight clouds on a ring.
Each is trained against the other, and whether that goes well hangs on how fast both learn: a generator that is too fast
makes one cloud only, a slow one never finds the ring. Which rates are right changes while they train.

All pairs are rows of one program. What is written below is the training of one pair, as pure functions of tensors;
``ramet.VectorTrainable`` makes the population of it. The picture is ``vector_torch.png``. With ``--alone`` nobody
becomes a clone: a random search among constant rates, with the same founders.

It takes ``pip install ramet[plot] torch``.
"""

import argparse
import math
from pathlib import Path

import torch
from torch.func import functional_call, grad_and_value
from torch.nn.functional import softplus

import ramet
from ramet.integrations import torch_optim, torch_random
from ramet.plots import paper

# One pair of networks
# --------------------
# Modules are used for their form alone: their parameters are in the state, drawn by a key of the member's own.

NOISE, HIDDEN, BATCH = 4, 32, 64


def network(of, to):
    layers = [torch.nn.Linear(of, HIDDEN), torch.nn.ReLU(), torch.nn.Linear(HIDDEN, HIDDEN), torch.nn.ReLU()]
    return torch.nn.Sequential(*layers, torch.nn.Linear(HIDDEN, to))


GENERATOR, DISCRIMINATOR = network(NOISE, 2), network(2, 1)


def real(key, count):
    of_cloud, of_place = torch_random.split(key)
    angle = torch_random.randint(of_cloud, count, 0, 8) * (2 * math.pi / 8)
    return torch.stack([angle.cos(), angle.sin()], -1) + 0.05 * torch_random.normal(of_place, (count, 2))


def made(generator, key, count):
    return functional_call(GENERATOR, generator, (torch_random.normal(key, (count, NOISE)),))


def judged(discriminator, points):
    return functional_call(DISCRIMINATOR, discriminator, (points,))


def discriminators_loss(discriminator, generator, data, key):
    wrong = judged(discriminator, made(generator, key, BATCH))
    return (softplus(-judged(discriminator, data)) + softplus(wrong)).mean()


def generators_loss(generator, discriminator, key):
    return softplus(-judged(discriminator, made(generator, key, BATCH))).mean()


def optimisers(hparams):
    return [torch_optim.Adam(hparams[f"lr_{of}"], betas=(0.5, 0.9)) for of in ("generator", "discriminator")]


def init(key, hparams):
    of_generator, of_discriminator = torch_random.split(key)
    generator = torch_random.parameters(of_generator, GENERATOR)
    discriminator = torch_random.parameters(of_discriminator, DISCRIMINATOR)
    first, second = optimisers(hparams)
    memory = [first.init(generator), second.init(discriminator)]
    return {"generator": generator, "discriminator": discriminator, "memory": memory}


def step(state, hparams, key):
    generator, discriminator, (first, second) = state["generator"], state["discriminator"], state["memory"]
    for_generator, for_discriminator = optimisers(hparams)
    of_data, of_fakes, of_more = torch_random.split(key, 3)
    data = real(of_data, BATCH)
    slope, loss_d = grad_and_value(discriminators_loss)(discriminator, generator, data, of_fakes)
    discriminator, second = for_discriminator.update(slope, second, discriminator)
    slope, loss_g = grad_and_value(generators_loss)(generator, discriminator, of_more)
    generator, first = for_generator.update(slope, first, generator)
    after = {"generator": generator, "discriminator": discriminator, "memory": [first, second]}
    return after, {"loss_generator": loss_g, "loss_discriminator": loss_d}


# The score is how far the points that are made lie from the data: the energy distance, squared (Székely and Rizzo,
# 2013, "Energy statistics: a class of statistics based on distances"), which is 0 for the same distribution.


def evaluate(state, hparams, key):
    of_data, of_fakes = torch_random.split(key)
    data, fakes = real(of_data, 256), made(state["generator"], of_fakes, 256)
    between, within = torch.cdist(data, fakes).mean(), torch.cdist(data, data).mean() + torch.cdist(fakes, fakes).mean()
    return {"distance": 2 * between - within}


# The population
# --------------

SPACE = {"lr_generator": ramet.loguniform(1e-4, 1e-1), "lr_discriminator": ramet.loguniform(1e-4, 1e-1)}


def run(arguments):
    scheduler = ramet.PopulationBasedTraining(
        time_attr="training_iteration", perturbation_interval=4, hyperparam_mutations=SPACE, synch=True
    )
    tuner = ramet.Tuner(
        ramet.VectorTrainable(init, step, evaluate, steps_per_report=25, framework="torch"),
        param_space=SPACE,
        tune_config=ramet.TuneConfig(
            metric="distance",
            mode="min",
            num_samples=4 if arguments.smoke_test else arguments.members,
            scheduler=ramet.FIFO() if arguments.alone else scheduler,
            seed=arguments.seed,
        ),
        run_config=ramet.RunConfig(
            name="vector_torch", stop={"training_iteration": 8 if arguments.smoke_test else 100}, verbose=0
        ),
    )
    return tuner.fit()


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--members", type=int, default=32, help="how many pairs (default: 32)")
    parser.add_argument("--seed", type=int, default=0, help="another seed, another population (default: 0)")
    parser.add_argument("--alone", action="store_true", help="nobody becomes a clone")
    parser.add_argument("--out", type=Path, default=Path(), metavar="DIR", help="folder for the picture")
    parser.add_argument("--smoke-test", action="store_true", help="end early")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)

    torch.set_num_threads(1)  # so small operations gain nothing by more, and where others work too they lose a lot
    results = run(arguments)
    best = results.get_best_result()
    print(f"The best generator's distance from the data is {best.metrics['distance']:.4f}, by this schedule:")
    print(best.schedule.frame().to_string(index=False))
    paper.schedules(results).savefig(arguments.out / "vector_torch.png")


if __name__ == "__main__":
    main()
