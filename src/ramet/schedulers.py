"""The strategies, under the name by which the ecosystem knows them: ``TuneConfig(scheduler=…)``.

Below them what they are composed of: exploit rules say who clones whom, explore rules what becomes of the
hyperparameters, and rules for one key what becomes of that.
"""

from ramet.strategy.asha import ASHA
from ramet.strategy.base import FIFO, Decision, Scene, Strategy
from ramet.strategy.baselines import NoExploit, RandomSearch
from ramet.strategy.composition import Composition
from ramet.strategy.constraints import Constrained
from ramet.strategy.dex import DexPBT
from ramet.strategy.exploit import Choice, Never, Truncation
from ramet.strategy.explore import Custom, Mutation, PerKey, Then
from ramet.strategy.fire import FirePBT
from ramet.strategy.fronts import ParetoTruncation
from ramet.strategy.groups import Groups
from ramet.strategy.iterated import IteratedPBT
from ramet.strategy.ladder import LadderPBT
from ramet.strategy.multi_frequency import MultiFrequencyPBT
from ramet.strategy.multi_objective import MultiObjectivePBT
from ramet.strategy.pairwise import PairwiseLearning, PairwisePBT
from ramet.strategy.pb2 import PB2
from ramet.strategy.pb2_mix import PB2Mix
from ramet.strategy.pbt import PopulationBasedTraining
from ramet.strategy.replay import ScheduleReplay
from ramet.strategy.rules import Chain, Either, Keep, OneMinus, Perturb, Resample, Scale, Shift
from ramet.strategy.spread import GapThreshold, SpreadThreshold
from ramet.strategy.tournament import BinaryTournament, InitiatorTournament, WelchTest

__all__ = [
    "ASHA",
    "FIFO",
    "PB2",
    "BinaryTournament",
    "Chain",
    "Choice",
    "Composition",
    "Constrained",
    "Custom",
    "Decision",
    "DexPBT",
    "Either",
    "FirePBT",
    "GapThreshold",
    "Groups",
    "InitiatorTournament",
    "IteratedPBT",
    "Keep",
    "LadderPBT",
    "MultiFrequencyPBT",
    "MultiObjectivePBT",
    "Mutation",
    "Never",
    "NoExploit",
    "OneMinus",
    "PB2Mix",
    "PairwiseLearning",
    "PairwisePBT",
    "ParetoTruncation",
    "PerKey",
    "Perturb",
    "PopulationBasedTraining",
    "RandomSearch",
    "Resample",
    "Scale",
    "Scene",
    "ScheduleReplay",
    "Shift",
    "SpreadThreshold",
    "Strategy",
    "Then",
    "Truncation",
    "WelchTest",
]
