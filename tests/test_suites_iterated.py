"""Iterated and FIRE population based training pass the public suite of strategies."""

import ramet
from ramet.strategy.evaluations import PARTS
from ramet.testing import StrategySuite


class TestIteratedPBT(StrategySuite):
    def make(self, mutations):
        return ramet.IteratedPBT(perturbation_interval=5, hyperparam_mutations=mutations)


class TestFirePBT(StrategySuite):
    clones_better = False  # evaluators take over whomever they are to evaluate

    def rearranged(self, members):
        order = [*range(members)]
        for part in set(PARTS):
            having = [member for member in range(members) if PARTS[member % len(PARTS)] == part]
            for place, member in zip(having, reversed(having), strict=True):
                order[place] = member
        return order

    def make(self, mutations):
        return ramet.FirePBT(
            time_attr="training_iteration", perturbation_interval=5, evaluations=5, hyperparam_mutations=mutations
        )
