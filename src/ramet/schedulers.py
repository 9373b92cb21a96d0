"""The strategies, under the name by which the ecosystem knows them: ``TuneConfig(scheduler=…)``."""

from ramet.strategy.base import FIFO, Decision, Scene, Strategy
from ramet.strategy.pb2 import PB2
from ramet.strategy.pb2_mix import PB2Mix
from ramet.strategy.pbt import PopulationBasedTraining

__all__ = ["FIFO", "PB2", "Decision", "PB2Mix", "PopulationBasedTraining", "Scene", "Strategy"]
