"""The strategies, under the name by which the ecosystem knows them: ``TuneConfig(scheduler=…)``.

Below them what they are composed of: exploit rules say who clones whom, explore rules what becomes of the
hyperparameters, and rules for one key what becomes of that.
"""

from ramet.strategy.base import FIFO, Decision, Scene, Strategy
from ramet.strategy.composition import Composition
from ramet.strategy.constraints import Constrained
from ramet.strategy.exploit import Choice, Never, Truncation
from ramet.strategy.explore import Custom, Mutation, PerKey, Then
from ramet.strategy.fire import FirePBT
from ramet.strategy.groups import Groups
from ramet.strategy.iterated import IteratedPBT
from ramet.strategy.pbt import PopulationBasedTraining
from ramet.strategy.rules import Chain, Either, Keep, OneMinus, Perturb, Resample, Scale, Shift
from ramet.strategy.spread import GapThreshold, SpreadThreshold
from ramet.strategy.tournament import BinaryTournament, InitiatorTournament, WelchTest

__all__ = [
    "FIFO",
    "BinaryTournament",
    "Chain",
    "Choice",
    "Composition",
    "Constrained",
    "Custom",
    "Decision",
    "Either",
    "FirePBT",
    "GapThreshold",
    "Groups",
    "InitiatorTournament",
    "IteratedPBT",
    "Keep",
    "Mutation",
    "Never",
    "OneMinus",
    "PerKey",
    "Perturb",
    "PopulationBasedTraining",
    "Resample",
    "Scale",
    "Scene",
    "Shift",
    "SpreadThreshold",
    "Strategy",
    "Then",
    "Truncation",
    "WelchTest",
]
