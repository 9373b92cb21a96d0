"""Every executor and every strategy passes the same public suite."""

import ramet
from ramet.testing import ExecutorSuite, StrategySuite


class TestInline(ExecutorSuite):
    captures_output = False

    def make(self, slots):
        return ramet.InlineExecutor(slots)


class TestProcess(ExecutorSuite):
    def make(self, slots):
        return ramet.ProcessExecutor(slots)


class TestSimulated(ExecutorSuite):
    captures_output = False

    def make(self, slots):
        return ramet.SimulatedExecutor(slots, spread=0.5)


class TestFIFO(StrategySuite):
    def make(self, mutations):
        return ramet.FIFO()


class TestPopulationBasedTraining(StrategySuite):
    def make(self, mutations):
        return ramet.PopulationBasedTraining(
            time_attr="training_iteration", perturbation_interval=5, hyperparam_mutations=mutations
        )


class TestGreedierPopulationBasedTraining(StrategySuite):
    def make(self, mutations):
        return ramet.PopulationBasedTraining(
            time_attr="training_iteration",
            perturbation_interval=5,
            hyperparam_mutations=mutations,
            quantile_fraction=0.5,
            resample_probability=0.0,
            perturbation_factors=(2.0, 0.5),
        )
