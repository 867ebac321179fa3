"""Measures of the weights: how fast they change, and how many directions they use."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from harmonium.kernels.threads import alone


def update_ratio(before: Tensor, after: Tensor) -> float:
    """Mean absolute change of the weights divided by their mean size; about 1e-3 is healthy.

    Infinite if weights that were all zero have moved, zero if nothing has moved.

    Hinton (2010), "A practical guide to training restricted Boltzmann machines", section 7.
    """
    with alone():
        size = before.abs().mean().item()
        change = (after - before).abs_().mean().item()
    if change == 0:
        return 0.0
    return change / size if size > 0 else float("inf")


# Weights of more numbers than this (32 MB) are not copied to float64 as a whole.
_LARGE = 2**23


@dataclass(frozen=True)
class Spectrum:
    """Singular values of the weights after an update.

    Each is the strength of one direction that couples the layers. Training raises them one after
    the other out of the initial noise (Decelle, Fissore and Furtlehner, 2017, "Spectral dynamics of
    learning in restricted Boltzmann machines", EPL 119).

    Attributes
    ----------
    update
        The update after which they were computed.
    values : Tensor, shape (min(n_visible, n_hidden),)
        Largest first, float64.
    """

    update: int
    values: Tensor

    @property
    def effective_rank(self) -> float:
        """How many directions share the weights: (sum s^2)^2 / sum s^4; 0 for zero weights."""
        squares = self.values.square()
        total = squares.square().sum().item()
        return squares.sum().item() ** 2 / total if total else 0.0


@torch.no_grad()
def spectrum(weights: Tensor, update: int = 0) -> Spectrum:
    """Singular values of weights, shape (n_visible, n_hidden).

    Large weights are first reduced by QR, block by block, to a triangle of the shorter side that
    has the same ones; beside a few blocks, that takes no memory.
    """
    long = weights.detach() if weights.shape[0] >= weights.shape[1] else weights.detach().T
    if long.numel() > _LARGE:
        rest = long.new_empty(0, long.shape[1], dtype=torch.float64)
        for block in long.split(2 * long.shape[1]):
            rest = torch.linalg.qr(torch.cat([rest, block.double()]), mode="r").R
        long = rest
    return Spectrum(update, torch.linalg.svdvals(long.double()).cpu())
