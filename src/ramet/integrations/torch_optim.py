"""Optimisers as pure functions: `torch.func.vmap` maps over them, and any setting may be a tensor of a member's own.

Those of `torch.optim` write into parameters and compare their settings as Python's numbers, which a mapped function
cannot. These have their names, arguments and results, but keep nothing: ``init`` returns the state for parameters, and
``update`` new parameters with the state that follows. Parameters and gradients are alike: a dict of tensors, or dicts,
lists and tuples of them in each other.

    >>> parameters = {"w": torch.tensor([1.0, 2.0])}
    >>> optimiser = SGD(lr=0.5)
    >>> optimiser.update({"w": torch.tensor([1.0, 0.0])}, optimiser.init(parameters), parameters)
    ({'w': tensor([0.5000, 2.0000])}, {})
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch.utils import _pytree as pytree

Number: TypeAlias = "float | torch.Tensor"
"""A number, or a tensor without axes, such as a hyperparameter."""


@dataclass(frozen=True)
class SGD:
    """Gradient descent, with momentum if that is not 0.

    Args:
        lr: the learning rate, above 0.
        momentum: the share of the last step that is done again, from 0 to below 1.
        weight_decay: what share of the parameters is added to their gradients, at least 0.
        nesterov: look ahead along the momentum.

    Source: Sutskever, Martens, Dahl and Hinton (2013), "On the importance of initialization and momentum in deep
    learning", in the form of `torch.optim.SGD`, where the learning rate is outside of the momentum.
    """

    lr: Number
    momentum: Number = 0.0
    weight_decay: Number = 0.0
    nesterov: bool = False

    def init(self, parameters: Any) -> Any:
        """Return the state before the first step."""
        return {"momentum": pytree.tree_map(torch.zeros_like, parameters)} if self._moves else {}

    def update(self, gradients: Any, state: Any, parameters: Any) -> tuple[Any, Any]:
        """Return new parameters and the state after the step."""
        steps = _decayed(gradients, parameters, self.weight_decay)
        if self._moves:
            state = {"momentum": pytree.tree_map(lambda m, g: self.momentum * m + g, state["momentum"], steps)}
            if self.nesterov:
                steps = pytree.tree_map(lambda g, m: g + self.momentum * m, steps, state["momentum"])
            else:
                steps = state["momentum"]
        return pytree.tree_map(lambda p, s: p - self.lr * s, parameters, steps), state

    @property
    def _moves(self) -> bool:
        return isinstance(self.momentum, torch.Tensor) or self.momentum != 0


@dataclass(frozen=True)
class Adam:
    """Steps of a size that hardly depends on that of the gradients.

    Args:
        lr: the learning rate, above 0.
        betas: how slowly the means of gradients and of their squares change, both from 0 to below 1.
        eps: what is added to the root of the mean square, above 0.
        weight_decay: what share of the parameters is added to their gradients, at least 0.

    Source: Kingma and Ba (2015), "Adam: a method for stochastic optimization", algorithm 1.
    """

    lr: Number
    betas: tuple[Number, Number] = (0.9, 0.999)
    eps: Number = 1e-8
    weight_decay: Number = 0.0

    def init(self, parameters: Any) -> Any:
        """Return the state before the first step."""
        first = pytree.tree_leaves(parameters)[0]
        return {
            "step": torch.zeros((), dtype=torch.int64, device=first.device),
            "mean": pytree.tree_map(torch.zeros_like, parameters),
            "square": pytree.tree_map(torch.zeros_like, parameters),
        }

    def update(self, gradients: Any, state: Any, parameters: Any) -> tuple[Any, Any]:
        """Return new parameters and the state after the step."""
        return self._stepped(_decayed(gradients, parameters, self.weight_decay), state, parameters)

    def _stepped(self, gradients: Any, state: Any, parameters: Any) -> tuple[Any, Any]:
        step, (slow, slower) = state["step"] + 1, self.betas
        mean = pytree.tree_map(lambda m, g: slow * m + (1 - slow) * g, state["mean"], gradients)
        square = pytree.tree_map(lambda v, g: slower * v + (1 - slower) * g * g, state["square"], gradients)
        # As float64: of 1 - 0.999 float32 keeps four digits.
        of_mean, of_square = 1 - slow ** step.double(), 1 - slower ** step.double()

        def moved(p: torch.Tensor, m: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
            return p - self.lr * (m / of_mean.to(p.dtype)) / ((v / of_square.to(p.dtype)).sqrt() + self.eps)

        return pytree.tree_map(moved, parameters, mean, square), {"step": step, "mean": mean, "square": square}


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam, where weights decay by themselves and not by way of the gradients.

    Args:
        lr: the learning rate, above 0.
        betas: how slowly the means of gradients and of their squares change, both from 0 to below 1.
        eps: what is added to the root of the mean square, above 0.
        weight_decay: what share of the parameters, times ``lr``, is taken from them at a step, at least 0.

    Source: Loshchilov and Hutter (2019), "Decoupled weight decay regularization", algorithm 2, where ``lr`` is the
    product of their two rates, as in `torch.optim.AdamW`.
    """

    weight_decay: Number = 0.01

    def update(self, gradients: Any, state: Any, parameters: Any) -> tuple[Any, Any]:
        """Return new parameters and the state after the step."""
        kept = 1 - self.lr * self.weight_decay
        return self._stepped(gradients, state, pytree.tree_map(lambda p: kept * p, parameters))


def _decayed(gradients: Any, parameters: Any, weight_decay: Number) -> Any:
    """Return gradients to which a share of the parameters is added."""
    if not isinstance(weight_decay, torch.Tensor) and weight_decay == 0:
        return gradients
    return pytree.tree_map(lambda g, p: g + weight_decay * p, gradients, parameters)
