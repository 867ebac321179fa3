"""What hidden units read: weights by site and letter, how many sites matter, and their inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harmonium.arguments import check_count
from harmonium.rbm import RBM
from harmonium.sequences.sites import Sites, received


@dataclass(frozen=True, eq=False)
class Logo:
    """One hidden unit.

    Attributes
    ----------
    unit
        Its number, counted from 0.
    weights : ndarray, float64, shape (n_sites, n_states)
        Its weights in the zero-sum gauge: how much a state adds to its input.
    norm
        Root of the sum of their squares.
    n_sites
        The number of sites that it reads: (sum of w^2)^2 / sum of w^4 with the norms w^2 of sites,
        1 if one site has all of the weight, the number of sites if all have as much (the inverse
        participation ratio; Tubiana, Cocco and Monasson, 2019, eLife 8, e39397).
    inputs : ndarray or None, float64, shape (n_rows,)
        Its input for each row of data, in the zero-sum gauge, without its bias.
    """

    unit: int
    weights: NDArray[np.float64]
    norm: float
    n_sites: float
    inputs: NDArray[np.float64] | None


@torch.no_grad()
def logos(
    rbm: RBM, n: int | None = None, states: Tensor | NDArray[Any] | None = None
) -> tuple[Logo, ...]:
    """Hidden units by the size of their weights, the largest first.

    Parameters
    ----------
    rbm
        A model with discrete visible units of one kind.
    n
        How many; None means all.
    states
        Rows of letter numbers whose inputs are computed, shape (n_rows, n_sites).

    Raises
    ------
    TypeError, ValueError
        If the model has other visible units, or an argument does not fit it.
    """
    if n is not None:
        check_count("n", n)
    sites = Sites.of(rbm)
    rows = None if states is None else sites.check_numbers(states, "states")
    centred = sites.inputs - sites.inputs.mean(1, keepdim=True)
    of_site = centred.square().sum(1)
    norms = of_site.sum(0)
    order = norms.argsort(descending=True, stable=True)[:n]
    squares = of_site.square().sum(0)
    n_read = torch.where(squares > 0, norms.square() / squares.clamp(min=1e-300), 0)
    inputs = None if rows is None else received(centred[:, :, order], rows).cpu().numpy()
    return tuple(
        Logo(
            unit,
            centred[:, :, unit].cpu().numpy(),
            float(norms[unit].sqrt()),
            float(n_read[unit]),
            None if inputs is None else inputs[:, place],
        )
        for place, unit in enumerate(order.tolist())
    )
