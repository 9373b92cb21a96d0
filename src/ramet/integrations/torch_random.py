"""Random numbers that a key decides alone: pure functions of tensors, which `torch.func.vmap` maps over keys.

Torch's own generators draw from one stream for all rows of a batch, so what a row gets depends on its neighbours. Here
a number is a function of a key and of its place: the same key gives the same bits on any row, in a batch of any size, on
any device. A key is a tensor of two 32-bit words, kept as int64 because torch calculates with these everywhere. Use a
key for one draw, and `split` or `fold_in` where there are several.

The generator is Philox4x32-10. Its counter's last word says what is drawn (numbers, or keys of either kind), so that no
key made of a key is a number drawn by it.

Source: Salmon, Moraes, Dror and Shaw (2011), "Parallel random numbers: as easy as 1, 2, 3".
"""

from __future__ import annotations

import math
from typing import Any

import torch

from ramet.errors import TrainableError

WORD = 0xFFFFFFFF
MULTIPLIERS = 0xD2511F53, 0xCD9E8D57
KEY_STEPS = 0x9E3779B9, 0xBB67AE85
ROUNDS = 10

NUMBERS, FOLDED, SPLIT = 0, 1, 2


def key(seed: int, device: Any = None) -> torch.Tensor:
    """Return the key for a whole number, of which 64 bits count.

    >>> key(5)
    tensor([5, 0])
    """
    return torch.tensor([seed & WORD, seed >> 32 & WORD], device=device)


def fold_in(key: torch.Tensor, number: int | torch.Tensor) -> torch.Tensor:
    """Return the key that is called ``number`` among those made of ``key``, such as that of one step.

    Args:
        key: of shape (…, 2).
        number: an integer of 64 bits, or a tensor of them, whose shape is broadcast with the key's leading axes.

    >>> fold_in(key(5), 1).equal(fold_in(key(5), 2))
    False
    """
    if not isinstance(number, torch.Tensor):
        number = torch.full((), number, device=key.device)
    nothing = torch.zeros_like(number)
    return philox(torch.stack([number & WORD, number >> 32 & WORD, nothing, nothing + FOLDED], -1), key)[..., :2]


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

    They are quantiles of uniform ones, calculated as float64. Rounded to float32 they hardly ever depend on the last bit
    of what a device makes of that; those of float64 do.

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


def philox(counter: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
    """Return Philox4x32-10 of counters of shape (…, 4) and keys of shape (…, 2), which are broadcast: (…, 4)."""
    # From arange and not from a list: copying one to a GPU would wait for all that it has still to do.
    lanes = torch.arange(2, device=key.device)
    multipliers = (MULTIPLIERS[0] - (1 << 32)) + (MULTIPLIERS[1] - MULTIPLIERS[0]) * lanes
    key_steps = KEY_STEPS[0] + (KEY_STEPS[1] - KEY_STEPS[0]) * lanes
    high, low = counter[..., 0::2], counter[..., 1::2]
    for _ in range(ROUNDS):
        # With 2**32 less the product fits into int64; its upper word is then too low by the factor.
        product = multipliers * high
        high = ((((product >> 32) + high).flip(-1)) ^ low ^ key) & WORD
        low = (product & WORD).flip(-1)
        key = (key + key_steps) & WORD
    return torch.stack([high, low], -1).flatten(-2)


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
    return words.reshape(*key.shape[:-1], *whole)


def _long_words(key: torch.Tensor, shape: int | tuple[int, ...]) -> torch.Tensor:
    """Return words of 63 bits."""
    words = _words(key, shape, 2)
    return words[..., 0] << 31 | words[..., 1] >> 1
