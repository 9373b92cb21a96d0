"""Rows as tensors of PyTorch: one member's functions mapped by `torch.func.vmap`, step by step, on one device."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch.utils import _pytree as pytree

from ramet.draws import entropy
from ramet.errors import ConfigError, TrainableError
from ramet.executor.vector.program import Leaves
from ramet.executor.vector.values import Values
from ramet.integrations.torch_random import fold_in, key
from ramet.vectorized import VectorTrainable

Arrays = dict[str, torch.Tensor]

BLIND = ("data-dependent control flow", "calling .item()", "vmap over calling .item()")
"""What torch says when a mapped function looks at the value of a tensor."""


class Rows(NamedTuple):
    """A block: its leaves, and whether nobody else can hold their memory, so that rows of them can be written."""

    leaves: list[torch.Tensor]
    ours: bool


class TorchProgram:
    """See `ramet.executor.vector.program.Program`.

    Nothing waits for the device but `metrics` and `take`. Functions run as they are, one operation after the other:
    nothing is compiled.

    Args:
        trainable: the user's functions.
        values: which hyperparameters are arrays.
        rows: how many members a block has.
        seed: the run's.
        devices: where the rows live, a device or its name; what `torch.get_default_device` says by default.

    Raises:
        ConfigError: there are several devices.
        TrainableError: a function looks at the value of a hyperparameter, draws from torch's own generators, or returns
            what cannot be a row. All functions are tried once, on two rows.
    """

    def __init__(
        self, trainable: VectorTrainable, values: Values, rows: int, seed: int, devices: Sequence[Any] | None = None
    ) -> None:
        if devices is not None and len(devices) > 1:
            raise ConfigError(
                f"VectorExecutor(devices={list(map(str, devices))}): a torch population lives on one device. Give one, "
                "or make a run for each; VectorTrainable(framework='jax') shards a population over several"
            )
        self.rows, self._trainable, self._values = rows, trainable, values
        self._device = torch.device(devices[0]) if devices else torch.get_default_device()
        self._keys = {what: key(entropy(seed, "vector", what), self._device) for what in ("init", "step", "evaluate")}
        self._try()

    # ------------------------------------------------------------------ what is mapped

    def _mapped(self, function: Callable[..., Any], before: list[Any], arrays: Arrays, keys: torch.Tensor) -> Any:
        """Call a function for every row, which takes ``before``, the whole hyperparameters, and the row's key."""

        def one(before: list[Any], arrays: Arrays, key: torch.Tensor) -> Any:
            return function(*before, self._values.whole(arrays), key)

        with torch.set_grad_enabled(self._trainable.batched and torch.is_grad_enabled()):
            return (one if self._trainable.batched else torch.func.vmap(one))(before, arrays, keys)
