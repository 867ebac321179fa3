"""How many of two-valued units are active at a time."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from harmonium.fidelity.rows import checked


@dataclass(frozen=True)
class Activity:
    """How many units of a row are active: of neurons, the population count of a time bin.

    Attributes
    ----------
    shares : Tensor, shape (n_columns + 1,)
        Share of the rows in which 0, 1, ... units are active.
    silent
        Share of the rows in which none is.
    mean
        Mean number of active units.
    """

    shares: Tensor
    silent: float
    mean: float

    def distance(self, other: Activity) -> float:
        """Total variation distance of two distributions, 0 to 1.

        Raises
        ------
        ValueError
            If they are of different numbers of units.
        """
        if self.shares.shape != other.shares.shape:
            raise ValueError(
                f"one is of {len(self.shares) - 1} units and the other of "
                f"{len(other.shares) - 1}; compare rows of the same columns"
            )
        return (self.shares - other.shares).abs().sum().item() / 2


@torch.no_grad()
def activity(rows: Tensor, high: float = 1.0) -> Activity:
    """The distribution of the number of active units per row.

    Parameters
    ----------
    rows
        Two-valued states, shape (n_rows, n_columns).
    high
        The state of an active unit.

    Raises
    ------
    TypeError, ValueError
        If these are no rows.
    """
    n = checked(rows, "rows").shape[1]
    counts = torch.cat([(block == high).sum(1) for block in rows.split(10_000)])
    shares = counts.bincount(minlength=n + 1).double().cpu() / len(rows)
    return Activity(shares, shares[0].item(), counts.double().mean().item())
