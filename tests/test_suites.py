"""Every executor and every strategy passes the same public suite."""

import ramet
from ramet.schedulers import (
    BinaryTournament,
    GapThreshold,
    Groups,
    InitiatorTournament,
    SpreadThreshold,
    Truncation,
    WelchTest,
)
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


class Every5(StrategySuite):
    """Strategies that decide every 5 iterations."""

    __test__ = False
    arguments = {}

    def __init_subclass__(cls):
        cls.__test__ = True

    def make(self, mutations):
        return self.scheduler(
            time_attr="training_iteration",
            **{"perturbation_interval": 5, "hyperparam_mutations": mutations, **self.arguments},
        )


class TestPopulationBasedTraining(Every5):
    scheduler = ramet.PopulationBasedTraining


class TestSynchronousPopulationBasedTraining(Every5):
    scheduler = ramet.PopulationBasedTraining
    arguments = {"synch": True}


class TestGreedierPopulationBasedTraining(Every5):
    scheduler = ramet.PopulationBasedTraining
    arguments = {"quantile_fraction": 0.5, "resample_probability": 0.0, "perturbation_factors": (2.0, 0.5)}


class TestBinaryTournament(Every5):
    scheduler = ramet.PopulationBasedTraining
    arguments = {"exploit": BinaryTournament(), "synch": True}


class TestWelchTest(Every5):
    scheduler = ramet.PopulationBasedTraining
    arguments = {"exploit": WelchTest(level=0.5), "synch": True}


class TestInitiatorTournament(Every5):
    scheduler = ramet.PopulationBasedTraining
    arguments = {"exploit": InitiatorTournament()}


class TestSpreadThreshold(Every5):
    scheduler = ramet.PopulationBasedTraining
    arguments = {"exploit": SpreadThreshold(), "synch": True}


class TestGapThreshold(Every5):
    scheduler = ramet.PopulationBasedTraining
    arguments = {"exploit": GapThreshold(), "synch": True}


class TestGroups(Every5):
    scheduler = ramet.PopulationBasedTraining
    arguments = {"exploit": Groups(2, Truncation(0.5)), "synch": True}

    def rearranged(self, members):
        return _within_groups(members, 2)


class TestNoExploit(Every5):
    scheduler = ramet.NoExploit
    arguments = {"synch": True}


class TestMultiFrequencyPBT(Every5):
    scheduler = ramet.MultiFrequencyPBT
    arguments = {"frequencies": (1, 2)}

    def rearranged(self, members):
        return _within_groups(members, 2)


class TestLadderPBT(Every5):
    scheduler = ramet.LadderPBT

    def rearranged(self, members):
        return _within_groups(members, 2)


class TestFreshWeights(Every5):
    scheduler = ramet.PopulationBasedTraining
    arguments = {"weights": (0.5, 0.5), "synch": True}


class TestASHA(StrategySuite):
    def make(self, mutations):
        return ramet.ASHA(max_t=20, grace_period=5, reduction_factor=2)


class TestSynchronousASHA(StrategySuite):
    def make(self, mutations):
        return ramet.ASHA(max_t=20, grace_period=5, reduction_factor=2, synch=True)


class TestScheduleReplay(StrategySuite):
    draws = False

    def make(self, mutations):
        return ramet.ScheduleReplay([(1, {"h": 0.25, "lr": 0.01}), (6, {"h": 0.75}), (8, {"h": 0.5})])


def _within_groups(members, groups):
    """Return the members with each group reversed, and everybody still in its group."""
    order = [*range(members)]
    for group in range(groups):
        order[group::groups] = reversed(order[group::groups])
    return order
