"""PB2 and PB2Mix keep what every strategy promises."""

import ramet
from ramet.testing import StrategySuite


class TestPB2(StrategySuite):
    def make(self, mutations):
        return ramet.PB2(time_attr="training_iteration", perturbation_interval=5, hyperparam_mutations=mutations)


class TestPB2Mix(StrategySuite):
    def make(self, mutations):
        return ramet.PB2Mix(time_attr="training_iteration", perturbation_interval=5, hyperparam_mutations=mutations)
