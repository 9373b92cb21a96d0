"""The strategies, under the name by which the ecosystem knows them: ``TuneConfig(scheduler=…)``."""

from ramet.strategy.base import FIFO, Decision, Scene, Strategy
from ramet.strategy.pbt import PopulationBasedTraining

__all__ = ["FIFO", "Decision", "PopulationBasedTraining", "Scene", "Strategy"]
