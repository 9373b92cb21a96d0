"""What any strategy has to beat: random search, and a population in which nobody ever clones."""

from __future__ import annotations

from typing import Any

from ramet.errors import ConfigError
from ramet.strategy.base import FIFO
from ramet.strategy.exploit import Never
from ramet.strategy.pbt import PopulationBasedTraining


class RandomSearch(FIFO):
    """No population based training: members train to their end under the configurations that were drawn for them.

    `FIFO` by the name of what it is: with domains in ``param_space`` a random search, with ``grid_search`` a grid.

    >>> RandomSearch().decides
    False

    Source: Bergstra and Bengio (2012), "Random Search for Hyper-Parameter Optimization".
    """


class NoExploit(PopulationBasedTraining):
    """Population based training without selection: at every interval each member explores, and nobody is cloned.

    Each model trains under a random schedule of its own. What population based training gains over it is what selection
    is worth; what it gains over random search is what changing hyperparameters is worth.

    Args:
        arguments: those of `PopulationBasedTraining`, but for ``exploit`` and ``quantile_fraction``.

    >>> from ramet import uniform
    >>> NoExploit(perturbation_interval=5, hyperparam_mutations={"lr": uniform(0.0, 1.0)}).interval
    5

    Source: the ablations of Jaderberg et al. (2017), "Population Based Training of Neural Networks", section 4.4.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        for name in ("exploit", "quantile_fraction"):
            if name in named:
                raise ConfigError(f"NoExploit({name}=…) contradicts itself: use PopulationBasedTraining({name}=…)")
        super().__init__(*arguments, **{**named, "exploit": Never(explores=True)})
