"""Runs of a problem without an executor, a store or a clock: the real engine and strategy, and the problem's arrays.

What a run through the tuner takes a second for takes a tenth of it here, so that twenty seeds can be tried. Of problems
that draw nothing both come to the same numbers, which a test checks.
"""

from __future__ import annotations

import numpy as np

from ramet.core.blocks import encoded, encoded_seconds, kinds_of
from ramet.core.engine import Engine, Terms
from ramet.core.messages import Block, Handover, StoredCheckpoint
from ramet.core.population import Population
from ramet.core.stopping import StopRules
from ramet.space import Space

STORED = StoredCheckpoint("pickle", b"", size=1)


def play(problem, strategy, members, seed):
    """Return the last report of each member; ``strategy`` must be synchronous, or never decide."""
    population, space = Population(), Space(problem.space, strategy.mutations)
    objectives = dict(strategy.objectives)
    terms = Terms(strategy.metric or problem.metric, strategy.mode or problem.mode, objectives=objectives)
    engine = Engine(population, strategy, space, StopRules(), terms)
    founders = strategy.founders(space.founders(members // problem.founders, seed), space, seed)
    engine.begin(seed, founders, {"objectives": objectives} if objectives else {})
    state, rng, kept = dict(problem.begin(members)), np.random.default_rng(seed), {}
    for _ in range(problem.steps):
        configs = [population.hparams(member) for member in range(members)]
        hparams = {name: np.array([config[name] for config in configs]) for name in configs[0]}
        state, metrics = problem.step(state, hparams, rng)
        state = dict(state)
        last = [{name: array[member].item() for name, array in metrics.items()} for member in range(members)]
        for member, number in enumerate([member.segment for member in population.members]):
            engine.record(number, _handover(population.segments[number].last + 1, last[member]))
            kept[number, population.segments[number].last] = {name: array[member] for name, array in state.items()}
        before = [member.segment for member in population.members]
        engine.decide()
        for member, number in zip(population.members, before, strict=True):
            if member.segment != number:
                for name, array in kept[population.current(member.number).origin.checkpoint].items():
                    state[name][member.number] = array
        garbage = population.garbage()
        kept = {name: each for name, each in kept.items() if name not in garbage}
    return last


def _handover(iteration, row):
    values = list(row.values())
    rows = encoded(list(row), kinds_of([*map(type, values)]), values, 1)
    seconds = encoded_seconds([float(iteration)])
    return Handover(1, (Block(iteration, iteration, row, rows, seconds, 0.0, float(iteration), 0.0, STORED),))
