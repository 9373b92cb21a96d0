"""What a decision point costs on a Ray cluster: the executor alone, beside a call of an actor that does nothing.

python cluster_boundary.py ADDRESS --turns 5 --times 200
"""

import argparse
import json
import os
import time

import ray
from joined import join

import ramet
from ramet.core.messages import Assignment, Handover, Lease, Setup

SPARE = 20
"""How many of each kind are made before the clock is looked at."""


@ray.remote
class Bare:
    """Does nothing."""

    def turn(self, said):
        """Return what is said."""
        return said


def train(config):
    """Hand over a checkpoint with every report."""
    del config
    checkpoint = ramet.get_checkpoint()
    step = checkpoint.to_dict()["step"] if checkpoint else 0
    while True:
        step += 1
        ramet.report({"score": step}, checkpoint=ramet.Checkpoint.from_dict({"step": step}))


class Slot:
    """One slot of the executor, and the member that is in it."""

    def __init__(self, executor):
        self.executor, self.work, self.steps, self.stored = executor, 0, 0, None
        while not executor.capacity():
            executor.poll(0.1)
        self.swap()

    def wait(self):
        """Poll until the work waits for an answer."""
        while True:
            for said in self.executor.poll(1.0):
                if isinstance(said, Handover) and said.work == self.work and said.waiting:
                    self.stored = said.blocks[-1].stored
                    return

    def proceed(self):
        """From the answer to the next handover."""
        self.steps += 1
        self.executor.proceed(self.work, Lease(until=self.steps))
        self.wait()

    def swap(self):
        """From the order to stop, through the start of another from its checkpoint, to its first handover."""
        self.executor.stop(self.work)
        self.work += 1
        self.steps += 1
        lease = Lease(until=self.steps)
        self.executor.start(0, Assignment(self.work, self.work, 0, self.steps - 1, {}, self.stored, lease))
        self.wait()


def timed(act, times):
    """Return how long each of ``times`` acts takes, in seconds."""
    for _ in range(SPARE):
        act()
    seconds = []
    for _ in range(times):
        began = time.perf_counter()
        act()
        seconds.append(time.perf_counter() - began)
    return seconds


def main():
    """Measure in turns, and print all that was measured."""
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--times", type=int, default=200)
    asked = parser.parse_args()
    join(asked.address, 4)
    bare = Bare.options(num_cpus=1).remote()
    executor = ramet.RayExecutor(1)
    executor.open(Setup("run", 7, "training_iteration", (), os.path.abspath("store")), train, 1)
    told = {"bare": [], "proceed": [], "swap": []}
    try:
        slot = Slot(executor)
        acts = {"bare": lambda: ray.get(bare.turn.remote(b"")), "proceed": slot.proceed, "swap": slot.swap}
        for _ in range(asked.turns):
            for name, act in acts.items():
                told[name] += timed(act, asked.times)
    finally:
        executor.close()
    print(json.dumps(told))


if __name__ == "__main__":
    main()
