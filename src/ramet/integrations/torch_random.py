"""Random numbers that a key decides alone: pure functions of tensors, which `torch.func.vmap` maps over keys.

Torch's own generators draw from one stream for all rows of a batch, so what a row gets depends on its neighbours. Here
a number is a function of a key and of its place: the same key gives the same numbers on any row, in a batch of any
size, on any device. Use a key for one draw, and `split` or `fold_in` where there are several.

Keys and words come from Philox (`ramet.executor.vector.philox`); what is made of them here is exact arithmetic, but for
the quantiles of `normal`.
"""

from __future__ import annotations

import math

import torch

from ramet.errors import TrainableError
from ramet.executor.vector.philox import NUMBERS, SPLIT, fold_in, key, philox

__all__ = ["bernoulli", "fold_in", "key", "normal", "parameters", "permutation", "randint", "split", "uniform"]


def split(key: torch.Tensor, count: int = 2) -> torch.Tensor:
    """Return ``count`` keys, of shape (…, count, 2).

    >>> weights, biases = split(key(5))
    """
    return _blocks(key, count, SPLIT)[..., :2]


def uniform(
    key: torch.Tensor,
    shape: int | tuple[int, ...] = (),
    low: float | torch.Tensor = 0.0,
    high: float | torch.Tensor = 1.0,
    dtype: torch.dtype = torch.float32,
) -> torch.Tensor:
    """Return numbers between ``low`` and ``high``, which is never met where it is 1 and ``low`` is 0.

    Args:
        key: of shape (…, 2); its leading axes are those of the result too.
        shape: of what is drawn by one key.
        low: the lower bound.
        high: the upper bound.
        dtype: float32 (24 random bits) or float64 (53).

    >>> uniform(key(5), (2, 3)).shape
    torch.Size([2, 3])
    """
    if dtype == torch.float64:
        fractions = (_long_words(key, shape) >> 10).to(dtype) * 2.0**-53
    else:
        fractions = (_words(key, shape) >> 8).to(dtype) * 2.0**-24
    return low + (high - low) * fractions


def normal(key: torch.Tensor, shape: int | tuple[int, ...] = (), dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Return numbers from the normal distribution with mean 0 and variance 1, float32 or float64.

    They are quantiles of uniform ones, calculated as float64. The last bit of that may be another one on another
    device; rounded to float32 it is hardly ever seen.

    >>> normal(key(5), 3).shape
    torch.Size([3])
    """
    if dtype == torch.float64:
        places = ((_long_words(key, shape) >> 11).to(torch.float64) + 0.5) * 2.0**-52
    else:
        places = (_words(key, shape).to(torch.float64) + 0.5) * 2.0**-32
    return torch.special.ndtri(places).to(dtype)


def bernoulli(
    key: torch.Tensor, probability: float | torch.Tensor = 0.5, shape: int | tuple[int, ...] = ()
) -> torch.Tensor:
    """Return truth values that are true with ``probability``.

    >>> bernoulli(key(5), 1.0, 3)
    tensor([True, True, True])
    """
    return uniform(key, shape) < probability


def randint(
    key: torch.Tensor, shape: int | tuple[int, ...], low: int | torch.Tensor, high: int | torch.Tensor
) -> torch.Tensor:
    """Return whole numbers from ``low`` to below ``high``, as int64.

    >>> randint(key(5), 3, 7, 8)
    tensor([7, 7, 7])
    """
    return low + _long_words(key, shape) % (high - low)


def permutation(key: torch.Tensor, count: int) -> torch.Tensor:
    """Return the numbers from 0 to below ``count`` in random order.

    >>> permutation(key(5), 3).sort().values
    tensor([0, 1, 2])
    """
    return _long_words(key, count).argsort(-1)


def parameters(key: torch.Tensor, module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Return new parameters for a module by their names, as `torch.func.functional_call` takes them.

    Linear layers, convolutions and embeddings get what torch itself would draw for them: numbers between plus and minus
    the inverse root of the fan in, and for embeddings normal ones. Parameters that are all alike, such as the scales of
    a norm, stay as they are.

    Raises:
        TrainableError: other parameters are random too, and all members would begin with the same ones.

    >>> sorted(parameters(key(5), torch.nn.Linear(2, 3)))
    ['bias', 'weight']
    """
    new = {name: parameter.detach().clone() for name, parameter in module.named_parameters()}
    for place, (path, part) in enumerate(module.named_modules()):
        for number, (name, old) in enumerate(part.named_parameters(recurse=False)):
            whole, own = f"{path}.{name}" if path else name, fold_in(fold_in(key, place), number)
            if isinstance(part, torch.nn.Embedding):
                drawn = normal(own, tuple(old.shape))
            elif isinstance(part, (torch.nn.Linear, torch.nn.modules.conv._ConvNd)):
                bound = math.prod(part.weight.shape[1:]) ** -0.5
                drawn = uniform(own, tuple(old.shape), -bound, bound)
            elif bool((old == old.flatten()[:1]).all()):
                continue
            else:
                raise TrainableError(
                    f"the parameter {whole!r} of a {type(part).__name__} is random, and by which rule is not known to "
                    "ramet.integrations.torch_random.parameters(): draw it by uniform() or normal() with a key of its "
                    "own, for otherwise all members begin with the same numbers"
                )
            new[whole] = drawn.to(old.dtype)
    return new


def _blocks(key: torch.Tensor, count: int, purpose: int) -> torch.Tensor:
    """Return ``count`` blocks of four words, of shape (…, count, 4)."""
    counters = torch.nn.functional.pad(torch.arange(count, device=key.device)[:, None], (0, 3))
    counters = counters + torch.nn.functional.pad(torch.full((1,), purpose, device=key.device), (3, 0))
    return philox(counters, key[..., None, :])


def _words(key: torch.Tensor, shape: int | tuple[int, ...], each: int = 1) -> torch.Tensor:
    """Return words of 32 bits, ``each`` of them for a number along a last axis if that is more than 1."""
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    whole = (*shape, each) if each > 1 else shape
    count = math.prod(whole)
    words = _blocks(key, -(-count // 4), NUMBERS).flatten(-2)[..., :count]
    return words.reshape((*key.shape[:-1], *whole))


def _long_words(key: torch.Tensor, shape: int | tuple[int, ...]) -> torch.Tensor:
    """Return words of 63 bits."""
    words = _words(key, shape, 2)
    return words[..., 0] << 31 | words[..., 1] >> 1
