"""Keys of random numbers as tensors of PyTorch: Philox4x32-10, calculated for as many keys and counters as are given.

A key is a tensor of two 32-bit words, kept as int64 because torch calculates with these everywhere. The counter's last
word says what is asked for (numbers, or keys of either kind), so that no key made of a key is a number drawn by it.

Source: Salmon, Moraes, Dror and Shaw (2011), "Parallel random numbers: as easy as 1, 2, 3". Torch 2.13 has it as well,
in `torch.func._random`, so far experimental and for GPUs alone.
"""

from __future__ import annotations

from typing import Any

import torch

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
        number: a whole number, or a tensor of them, whose shape is broadcast with the key's leading axes.

    >>> fold_in(key(5), 1).equal(fold_in(key(5), 2))
    False
    """
    if not isinstance(number, torch.Tensor):
        number = torch.full((), number, device=key.device)
    number = number.to(torch.int64)
    nothing = torch.zeros_like(number)
    return philox(torch.stack([number & WORD, number >> 32 & WORD, nothing, nothing + FOLDED], -1), key)[..., :2]


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
