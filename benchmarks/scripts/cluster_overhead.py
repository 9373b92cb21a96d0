"""The same population by `Tuner.fit` on a Ray cluster, and by a loop of calls of actors written by hand.

python cluster_overhead.py ADDRESS --decisions 30 --turns 3

Four members on four slots train ten steps between decisions, each 20 ms of waiting and a little arithmetic. At each
decision the worst becomes a clone of the best: the loop passes the state on and multiplies the learning rate, and that
is all that it does; it keeps no record.
"""

import argparse
import json
import random
import time

import ray
from joined import join

import ramet

MEMBERS = 4
STEPS = 10
PAUSE = 4.0
"""Seconds between two runs, in which the processes of the one before are gone."""


def step(x, lr):
    """Return the state after one step, and what is to be reported, with the moments of its beginning and its end."""
    began = time.perf_counter()
    time.sleep(0.02)
    for _ in range(2000):
        x += lr * 1e-3
    return x, {"x": x, "lr": lr, "began": began, "ended": time.perf_counter()}


@ray.remote(num_cpus=1)
class Bare:
    """Trains whatever it is given."""

    def interval(self, x, lr):
        """Train up to the next decision; return the state and what every step reports."""
        rows = []
        for _ in range(STEPS):
            x, told = step(x, lr)
            rows.append(told)
        return x, rows


def by_hand(decisions):
    """Return the moments of the first step's beginning and the last one's end, and how long all of it took."""
    began = time.perf_counter()
    actors = [Bare.remote() for _ in range(MEMBERS)]
    states, rates = [0.0] * MEMBERS, [random.uniform(0.1, 1.0) for _ in range(MEMBERS)]
    first, last = float("inf"), 0.0
    for _ in range(decisions):
        calls = [actor.interval.remote(x, lr) for actor, x, lr in zip(actors, states, rates, strict=True)]
        came = ray.get(calls)
        states = [x for x, _ in came]
        first = min(first, *(rows[0]["began"] for _, rows in came))
        last = max(last, *(rows[-1]["ended"] for _, rows in came))
        worst, best = states.index(min(states)), states.index(max(states))
        states[worst], rates[worst] = states[best], rates[best] * random.choice((0.8, 1.2))
    for actor in actors:
        ray.kill(actor)
    return last - first, time.perf_counter() - began


def train(config):
    """The same as a training function."""
    checkpoint = ramet.get_checkpoint()
    x = checkpoint.to_dict()["x"] if checkpoint else 0.0
    while True:
        x, told = step(x, config["lr"])
        save = ramet.should_checkpoint()
        ramet.report(told, checkpoint=ramet.Checkpoint.from_dict({"x": x}) if save else None)


class Moments(ramet.Callback):
    """Remembers the first step's beginning and the last one's end."""

    def __init__(self):
        self.first, self.last = float("inf"), 0.0

    def on_report(self, member, iteration, metrics):
        """See whether this step was before or after all others."""
        del member, iteration
        self.first, self.last = min(self.first, metrics["began"]), max(self.last, metrics["ended"])


def by_ramet(decisions):
    """Return what `by_hand` does."""
    began, moments = time.perf_counter(), Moments()
    rate = {"lr": ramet.uniform(0.1, 1.0)}
    scheduler = ramet.PopulationBasedTraining(
        time_attr="training_iteration", perturbation_interval=STEPS, hyperparam_mutations=rate, synch=True
    )
    results = ramet.Tuner(
        train,
        param_space=rate,
        tune_config=ramet.TuneConfig(metric="x", mode="max", num_samples=MEMBERS, scheduler=scheduler),
        run_config=ramet.RunConfig(
            verbose=0,
            executor=ramet.RayExecutor(MEMBERS),
            stop={"training_iteration": decisions * STEPS},
            callbacks=[moments],
        ),
    ).fit()
    assert results.num_errors == 0
    return moments.last - moments.first, time.perf_counter() - began


def main():
    """Measure in turns, the other one first each time, and print all that was measured."""
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("--decisions", type=int, default=30)
    parser.add_argument("--turns", type=int, default=3)
    asked = parser.parse_args()
    join(asked.address, MEMBERS)
    told = {"bare": [], "ours": []}
    styles = [("bare", by_hand), ("ours", by_ramet)]
    by_hand(1)  # which uses up the processes that Ray has started ahead for its first program
    for turn in range(asked.turns):
        for name, run in styles if turn % 2 else styles[::-1]:
            time.sleep(PAUSE)
            told[name].append(run(asked.decisions))
    print(json.dumps(told))


if __name__ == "__main__":
    main()
