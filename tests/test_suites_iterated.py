"""Iterated and FIRE population based training pass the public suite of strategies."""

import ramet
from ramet.testing import StrategySuite


class TestIteratedPBT(StrategySuite):
    def make(self, mutations):
        return ramet.IteratedPBT(perturbation_interval=5, hyperparam_mutations=mutations)


class TestFirePBT(StrategySuite):
    def make(self, mutations):
        return ramet.FirePBT(
            time_attr="training_iteration", perturbation_interval=5, evaluations=5, hyperparam_mutations=mutations
        )
