"""Overfitting measured by free energies: comparing rows under one model does not need log Z."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from harmonium.datasets import WeightedRows
from harmonium.rbm import RBM


@dataclass(frozen=True)
class FreeEnergyGap:
    """How much more probable training rows are than held-out ones.

    Attributes
    ----------
    gap
        Mean free energy of training rows minus that of held-out rows, nats. This is exactly minus
        the difference of their mean log-likelihoods, because log Z cancels. Below zero, training
        rows are the more probable ones.
    std_error
        Standard error of ``gap``, from the spread of both groups of rows.
    told_apart
        Probability that a random training row has a lower free energy than a random held-out one
        (ties count half): 0.5 for a model that treats them alike, 1 for one that has learned the
        training rows by heart.
    told_apart_std_error
        Standard error of ``told_apart`` if the model treats them alike (Mann and Whitney, 1947;
        for rows with weights, with their effective numbers).
    """

    gap: float
    std_error: float
    told_apart: float
    told_apart_std_error: float


@torch.no_grad()
def free_energy_gap(
    rbm: RBM, train: Tensor | WeightedRows, held_out: Tensor | WeightedRows
) -> FreeEnergyGap:
    """Compare the free energies of training and of held-out rows.

    Hinton (2010), "A practical guide to training restricted Boltzmann machines", section 6,
    monitors their difference. `FreeEnergyGap.told_apart` also says how large it is: it has no unit
    and does not depend on the spread of the free energies.

    Parameters
    ----------
    rbm
        The model.
    train, held_out
        Rows of states, shape (rows, visible.n_columns), which count by their weights.

    Raises
    ------
    ValueError
        If one of them has no rows, or a free energy is not finite.
    """
    values = []
    both = WeightedRows.of(train, "train"), WeightedRows.of(held_out, "held_out")
    for name, rows in zip(("train", "held_out"), both, strict=True):
        if len(rows) == 0:
            raise ValueError(f"{name} has no rows; pass 1 or more")
        energies = rbm.free_energy(rows.states.to(rbm.weights.dtype)).double().cpu()
        if not energies.isfinite().all():
            raise ValueError(
                f"{int((~energies.isfinite()).sum())} free energies of {name} are not finite, so "
                "the model's parameters or the rows are not"
            )
        values.append(energies)
    a, b = values
    n, m = (rows.effective for rows in both)
    # a single row has no spread, so its error is unknown
    variance = sum(of.variance_of_mean(x) for of, x in zip(both, values, strict=True))
    ordered, order = b.sort()
    weights = torch.ones_like(b) if both[1].weights is None else both[1].weights.cpu()[order]
    up_to = torch.cat([weights.new_zeros(1), weights.cumsum(0)])
    below = up_to[torch.searchsorted(ordered, a, right=False)]
    not_above = up_to[torch.searchsorted(ordered, a, right=True)]
    total = up_to[-1].item()
    lower = both[0].average(total - (below + not_above) / 2).item() / total
    return FreeEnergyGap(
        gap=(both[0].average(a) - both[1].average(b)).item(),
        std_error=math.sqrt(variance),
        told_apart=lower,
        told_apart_std_error=math.sqrt((n + m + 1) / (12 * n * m)),
    )
