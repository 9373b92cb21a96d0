"""The rows of a run, with what each of them trains under."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ramet.errors import ConfigError, TrainableError
from ramet.executor.vector.program import Leaves, Program
from ramet.executor.vector.rows import rows_of
from ramet.executor.vector.values import Values
from ramet.trainable import Prepared
from ramet.vectorized import VectorTrainable


def vector_trainable(trainable: Any) -> VectorTrainable:
    """Return what is to be trained.

    Raises:
        ConfigError: it is no `VectorTrainable`, or parameters are bound to it.
    """
    if isinstance(trainable, Prepared) and isinstance(trainable.function, VectorTrainable):
        if trainable.parameters:
            raise ConfigError(
                f"with_parameters({trainable.__name__}, {', '.join(sorted(trainable.parameters))}) has no effect on a "
                "VectorTrainable: let init and step close over what they need"
            )
        trainable = trainable.function
    if not isinstance(trainable, VectorTrainable):
        raise ConfigError(
            f"RunConfig(executor=VectorExecutor(…)) cannot train the function {getattr(trainable, '__name__', '?')}: "
            "give Tuner a VectorTrainable(init, step), or take executor='process'"
        )
    return trainable


def program_of(trainable: VectorTrainable, values: Values, rows: int, seed: int, devices: Any = None) -> Program:
    """Return the program that trains ``rows`` members at once.

    Raises:
        ConfigError: the framework is not installed, or has no such devices.
        TrainableError: the functions cannot be mapped over members.
    """
    try:
        if trainable.framework == "jax":
            from ramet.executor.vector.jax import JaxProgram

            return JaxProgram(trainable, values, rows, seed, devices)
        from ramet.executor.vector.torch import TorchProgram

        return TorchProgram(trainable, values, rows, seed, devices)
    except ImportError as error:
        if (error.name or "").partition(".")[0] not in ("jax", "jaxlib", "torch"):
            raise
        raise ConfigError(
            f"VectorTrainable(framework={trainable.framework!r}) needs {trainable.framework}: "
            f"pip install 'ramet[{trainable.framework}]'"
        ) from error


class Cohort:
    """The members' rows, and arrays with an entry for each: segment, iteration, hyperparameters.

    Args:
        trainable: the user's functions.
        configs: configurations of members, the founders' say.
        mutable: names of the hyperparameters that may change.
        count: how many members there are.
        at_once: how many of them are on the device at once; None for all.
        devices, seed: see `ramet.executor.vector.program`.
        program: one that is compiled already for such configurations.
    """

    def __init__(
        self,
        trainable: VectorTrainable,
        configs: Sequence[Mapping[str, Any]],
        mutable: Collection[str],
        count: int,
        at_once: int | None,
        devices: Any,
        seed: int,
        program: Program | None = None,
    ) -> None:
        self._values = Values(configs, mutable)
        at_once = min(at_once or count, count)
        self.program = program or program_of(trainable, self._values, at_once, seed, devices)
        self._count, self._rows = count, rows_of(self.program, count)
        self._segments, self._iterations = np.zeros(count, np.int64), np.zeros(count, np.int64)
        self._hparams = self._values.arrays([configs[0]] * count)
        self._begun = False
        self.size = 0
        """Bytes of one row."""

    def set(self, row: int, segment: int, config: Mapping[str, Any]) -> None:
        """Let ``row`` be trained as ``segment``, under ``config``.

        Raises:
            TrainableError: a hyperparameter is another one that all members are to have the same.
        """
        for name, value in self._values.differing(config).items():
            raise TrainableError(
                f"the hyperparameter {name!r} became {value!r:.80}, and the program was compiled for what all members "
                "began with: name it in hyperparam_mutations, so that it is an array from the beginning"
            )
        self._segments[row] = segment
        for name, values in self._values.arrays([config]).items():
            self._hparams[name][row] = values[0]

    def fits(self, config: Mapping[str, Any]) -> bool:
        """Whether a member under ``config`` can be trained by what is compiled."""
        return not self._values.differing(config)

    def begin(self, at: Sequence[int]) -> None:
        """Initialise rows."""
        self._rows.begin(at, self._segments, self._hparams)
        self._begun = True
        if not self.size:
            self.size = sum(leaf.nbytes for leaf in self._rows.read([at[0]]))

    def copy(self, to: Sequence[int], of: Sequence[int]) -> None:
        """Write rows to others, all at once."""
        self._rows.copy(to, of)

    def write(self, at: Sequence[int], leaves: Leaves) -> None:
        """Write rows that come from elsewhere."""
        if not self._begun:
            self.begin(range(self._count))
        self._rows.write(at, leaves)

    def read(self, at: Sequence[int]) -> Leaves:
        """Return copies of rows."""
        return self._rows.read(at)

    def fresh(self, at: Sequence[int]) -> Leaves:
        """Return what newly initialised rows would hold, and leave the rows as they are."""
        kept = self._rows.read(at)
        self.begin(at)
        fresh = self._rows.read(at)
        self._rows.write(at, kept)
        return fresh

    def train(self, at: Sequence[int], iterations: Sequence[int], reports: int) -> None:
        """Set rows going, which stand at ``iterations``."""
        self._iterations[list(at)] = iterations
        self._rows.train(at, reports, self._segments, self._iterations, self._hparams)

    def metrics(self) -> dict[str, npt.NDArray[Any]]:
        """Wait for what was set going; return its metrics, each of shape (reports, members)."""
        return self._rows.metrics()

    def lose(self) -> None:
        """What was in the rows is used up."""
        self._begun = False
        self._rows = rows_of(self.program, self._count)
