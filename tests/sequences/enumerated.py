"""The oracle of couplings: log-probabilities of all sequences of a small model, and their parts."""

from __future__ import annotations

from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray

from harmonium import RBM
from harmonium.units import Units

Array = NDArray[np.float64]


def random_model(visible: Units, hidden: Units, seed: int, scale: float = 1.0) -> RBM:
    """A float64 model with random parameters."""
    generator = torch.Generator().manual_seed(seed)
    rbm = RBM(visible, hidden).double()
    with torch.no_grad():
        for name, parameter in rbm.named_parameters():
            std = 0.3 if "precision" in name else scale
            parameter.copy_(std * torch.randn(parameter.shape, generator=generator))
    return rbm


def every_row(rbm: RBM) -> tuple[torch.Tensor, torch.Tensor]:
    """Numbers of states, shape (q^n, n), and the rows of states themselves."""
    [(_, units)] = rbm.visible.groups
    states = units.states
    assert states is not None
    numbers = torch.tensor(list(product(range(len(states)), repeat=rbm.visible.n)))
    return numbers, states[numbers].flatten(1).to(rbm.weights.dtype)


def log_probabilities(rbm: RBM) -> Array:
    """Of every sequence, up to one constant, shape (q, ..., q)."""
    _, rows = every_row(rbm)
    q = round(len(rows) ** (1 / rbm.visible.n))
    with torch.no_grad():
        return -rbm.free_energy(rows).numpy().reshape((q,) * rbm.visible.n)


def interaction(logs: Array, sites: tuple[int, ...], background: Array | None = None) -> Array:
    """The zero-sum interaction of sites, by inclusion and exclusion.

    The mean over the other sites, minus the means over each subset of the sites, plus ....
    """
    n, q = logs.ndim, logs.shape[0]
    shares = np.full((n, q), 1 / q) if background is None else background
    for site in range(n):
        if site not in sites:
            shape = [q if axis == site else 1 for axis in range(n)]
            logs = (logs * shares[site].reshape(shape)).sum(site, keepdims=True)
    found = np.zeros_like(logs)
    for dropped in product((False, True), repeat=len(sites)):
        axes = tuple(site for site, drop in zip(sites, dropped, strict=True) if drop)
        found = found + (-1) ** len(axes) * logs.mean(axes, keepdims=True)
    return found.squeeze()
