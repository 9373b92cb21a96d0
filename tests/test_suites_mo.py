"""Strategies for several objectives, without a centre, and of pairs pass the suite that every strategy passes."""

import ramet
from ramet.testing import StrategySuite

TIMES = {"time_attr": "training_iteration", "perturbation_interval": 5}


class TestMultiObjectivePBT(StrategySuite):
    def make(self, mutations):
        metrics = {"score": "max", "training_iteration": "min"}
        reference = {"score": 0, "training_iteration": 99}
        return ramet.MultiObjectivePBT(metrics, hyperparam_mutations=mutations, reference=reference, **TIMES)


class TestDexPBT(StrategySuite):
    def make(self, mutations):
        return ramet.DexPBT(mutations, burn_in_period=0, **TIMES)


class TestDexPBTThatMutatesAll(StrategySuite):
    def make(self, mutations):
        return ramet.DexPBT(mutations, burn_in_period=0, mutation_probability=1.0, **TIMES)


class TestPairwisePBT(StrategySuite):
    def make(self, mutations):
        return ramet.PairwisePBT(hyperparam_mutations=mutations, **TIMES)


class TestPairwisePBTWithoutResampling(StrategySuite):
    draws = False  # where all members are alike, as the suite has them for this, there is no way to go

    def make(self, mutations):
        return ramet.PairwisePBT(
            hyperparam_mutations=mutations, resample_probability=0.0, quantile_fraction=0.5, leaders=True, **TIMES
        )
