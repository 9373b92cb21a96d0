"""How long many actors take to be there: `RayExecutor`'s, each with its worker, beside Ray's own that do nothing.

python cluster_start.py ADDRESS --actors 16 --turns 4
"""

import argparse
import json
import os
import time

import ray
from joined import join

import ramet
from ramet.core.messages import Setup

PAUSE = 4.0
"""Seconds between two starts, in which the processes of the one before are gone."""


@ray.remote(num_cpus=1)
class Bare:
    """Does nothing."""

    def turn(self, said):
        """Return what is said."""
        return said


def train(config):
    """Report once."""
    del config
    ramet.report({"score": 1.0})


def bare(count, _):
    """Return the seconds until ``count`` actors have each answered a call."""
    began = time.perf_counter()
    actors = [Bare.remote() for _ in range(count)]
    ray.get([actor.turn.remote(b"") for actor in actors])
    seconds = time.perf_counter() - began
    for actor in actors:
        ray.kill(actor)
    return seconds


def ours(count, turn):
    """Return the seconds until the executor has ``count`` slots, each with a worker that has loaded the function."""
    executor = ramet.RayExecutor(count)
    began = time.perf_counter()
    executor.open(Setup("run", 7, "training_iteration", (), os.path.abspath(f"store-{turn}")), train, count)
    try:
        while len(executor.capacity()) < count:
            executor.poll(0.1)
        return time.perf_counter() - began
    finally:
        executor.close()


def main():
    """Measure in turns, the other one first each time, and print all that was measured."""
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("--actors", type=int, default=16)
    parser.add_argument("--turns", type=int, default=4)
    asked = parser.parse_args()
    join(asked.address, asked.actors)
    told = {"bare": [], "ours": []}
    styles = [("bare", bare), ("ours", ours)]
    bare(asked.actors, 0)  # which uses up the processes that Ray has started ahead for its first program
    for turn in range(asked.turns):
        for name, start in styles if turn % 2 else styles[::-1]:
            time.sleep(PAUSE)
            told[name].append(start(asked.actors, turn))
    print(json.dumps(told))


if __name__ == "__main__":
    main()
