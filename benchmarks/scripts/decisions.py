"""What a synchronous round of a large population costs each strategy; prints JSON, milliseconds of processor time.

    python decisions.py --members 10000 --keys 4 --rounds 7 --rows 1000

In each round all members stand at new points, and all that act by turns have theirs.
"""

import argparse
import json
import random
import time

import ramet
from ramet.core.events import Decided, Kept, Reported
from ramet.core.population import Point
from ramet.core.ranking import Ranking
from ramet.core.scene import Scene
from ramet.schedulers import BinaryTournament, GapThreshold, Groups, Never, SpreadThreshold
from ramet.space import Space
from ramet.testing.strategies import population_of

KEYS = {"lr": ramet.loguniform(1e-5, 1e-1), "h": ramet.uniform(0.0, 1.0), "n": ramet.randint(1, 64), "k": [1, 2, 4, 8]}
LATE = 64  # a time at which every group and rung has its turn


def strategies(mutations):
    """Return the strategies that decide by looking at who stands where."""
    rounds = {"time_attr": "training_iteration", "perturbation_interval": 1, "hyperparam_mutations": mutations}
    rules = {"BinaryTournament()": BinaryTournament(), "SpreadThreshold()": SpreadThreshold()}
    rules |= {"GapThreshold()": GapThreshold(), "Groups(10)": Groups(10), "Never()": Never()}
    return {
        "PopulationBasedTraining": ramet.PopulationBasedTraining(**rounds, synch=True),
        **{name: ramet.PopulationBasedTraining(**rounds, synch=True, exploit=rule) for name, rule in rules.items()},
        "MultiFrequencyPBT": ramet.schedulers.MultiFrequencyPBT(**rounds, frequencies=(1, 2, 4, 8)),
        "LadderPBT": ramet.schedulers.LadderPBT(**rounds),
        "ASHA": ramet.schedulers.ASHA(max_t=100, grace_period=LATE, synch=True),
    }


def index_part(strategy, scene):
    """Find out who clones whom, and nothing else."""
    if isinstance(strategy, ramet.schedulers.LadderPBT):
        rungs = strategy.rungs_of(len(scene.ready))
        for place in range(len(rungs)):
            members = range(place, len(scene.ready), len(rungs))
            strategy.donors(scene, set(scene.passing(members, rungs[place])), rungs, place)
    elif isinstance(strategy, ramet.schedulers.ASHA):
        strategy.decide(scene)
    else:
        strategy.exploit(scene)


def timed(times, function, *arguments):
    """Call ``function``, put down what it took, and return what it returned."""
    began = time.process_time()
    found = function(*arguments)
    times.append((time.process_time() - began) * 1000)
    return found


def rounds(strategy, space, population, count, rng):
    """Return what setting the scene, the index part and the whole decision took in each round."""
    numbers = range(len(population.members))
    told = {"scene": [], "index": [], "decide": []}
    for _ in range(count):
        before = Ranking({number: Point(number, 1, 1.0, rng.random(), 0.0, 0.0) for number in numbers})
        scene = timed(told["scene"], Scene.of, population, space, numbers, before)
        timed(told["index"], index_part, strategy, scene)
        timed(told["decide"], strategy.decide, scene)
    return told


def with_history(space, rows, rng):
    """Return eight members that have decided often enough to leave so many rows."""
    population = population_of([rng.random() for _ in range(8)], space.founders(8, 0), iteration=1)
    for end in range(2, 2 + rows // 8):
        for number in range(8):
            population.apply(Decided(number, number, end - 1, "continue", ""))
            score = end + rng.random()
            population.apply(Reported(number, end, end, {"score": score}, "", "", 0.0))
            population.apply(Kept(number, end, float(end), score, 0.0, 0.0))
    return population


def main():
    """Measure all strategies in turn."""
    parser = argparse.ArgumentParser()
    for name, usual in (("members", 10_000), ("keys", 4), ("rounds", 7), ("rows", 1000)):
        parser.add_argument(f"--{name}", type=int, default=usual)
    asked, rng = parser.parse_args(), random.Random(0)
    mutations = dict(list(KEYS.items())[: asked.keys])
    space = Space(None, mutations)
    scores = [rng.gauss(0, 1) for _ in range(asked.members)]
    population = population_of(scores, space.founders(asked.members, 0), iteration=LATE)
    told = {
        name: rounds(strategy, space, population, asked.rounds, rng) for name, strategy in strategies(mutations).items()
    }
    few = with_history(space, asked.rows, rng)
    for window in (200, 1000):
        pb2 = ramet.PB2(
            time_attr="training_iteration",
            perturbation_interval=1,
            hyperparam_mutations=mutations,
            synch=True,
            window=window,
        )
        told[f"PB2(window={window})"] = rounds(pb2, space, few, min(asked.rounds, 3), rng)
    print(json.dumps(told))


if __name__ == "__main__":
    main()
