"""Hidden units that do no work: dead, saturated, or copies of others."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from harmonium.rbm import RBM

_DEAD, _SATURATED = 0.01, 0.99

# Each of two such units explains 98 % of the other's variance: they are one unit at two places.
_ALIKE = 0.99

_BLOCK = 1000


@torch.no_grad()
def hidden_activity(rbm: RBM, v: Tensor) -> Tensor | None:
    """Mean activity of each hidden column over the rows, from 0 to 1; None if unbounded.

    0 is the lowest state of the column, and 1 the highest, whatever its units are.
    """
    mean = rbm.mean_h_from_v(v).mean(0)
    for columns, units in rbm.hidden.groups:
        if units.states is None:
            return None
        low, high = units.states.min(), units.states.max()
        mean[columns] = (mean[columns] - low) / (high - low)
    return mean


@dataclass(frozen=True)
class HiddenUnits:
    """How many hidden columns do no work of their own.

    Attributes
    ----------
    n
        Hidden columns.
    n_dead, n_saturated
        Off, or on, on almost all rows (`dead_share`, `saturated_share`).
    n_duplicates
        Of which an earlier column is a copy (`duplicates`).
    """

    n: int
    n_dead: int
    n_saturated: int
    n_duplicates: int

    @property
    def idle_share(self) -> float:
        """Share of columns that are dead or saturated."""
        return (self.n_dead + self.n_saturated) / self.n


def hidden_units(rbm: RBM, v: Tensor) -> HiddenUnits | None:
    """Count them on rows of visible states; None where activity is unbounded (Gaussian units).

    Raises
    ------
    ValueError
        If there are fewer than 2 rows.
    """
    alike = duplicates(rbm, v)
    activity = hidden_activity(rbm, v)
    if activity is None:
        return None
    return HiddenUnits(
        n=len(activity),
        n_dead=int((activity < _DEAD).sum()),
        n_saturated=int((activity > _SATURATED).sum()),
        n_duplicates=len(alike[:, 1].unique()),
    )


def dead_share(activity: Tensor) -> float:
    """Share of hidden columns that are off (activity below 0.01) on almost all rows."""
    return (activity < _DEAD).double().mean().item()


def saturated_share(activity: Tensor) -> float:
    """Share of hidden columns that are on (activity above 0.99) on almost all rows."""
    return (activity > _SATURATED).double().mean().item()


@torch.no_grad()
def duplicates(rbm: RBM, v: Tensor) -> Tensor:
    """Pairs of hidden columns that are alike, by their weights and by their activity.

    A pair counts if the correlation of its weights over the visible columns and that of its mean
    activities over the rows are both above 0.99. Either alone would not do: with few visible
    columns weights are alike by chance, and with few rows activities are. A unit whose activity
    does not change correlates with none; it is dead or saturated, or has no weights.

    Parameters
    ----------
    rbm
        The model.
    v
        Rows of visible states, shape (rows, visible.n_columns), 2 or more.

    Returns
    -------
    Tensor
        int64, shape (n_pairs, 2), the lower index first, in order.

    Raises
    ------
    ValueError
        If there are fewer than 2 rows.
    """
    if len(v) < 2:
        raise ValueError(f"v has {len(v)} rows, over which no activity varies; pass 2 or more")
    weights = _standardised(rbm.weights.detach())
    activity = _standardised(rbm.mean_h_from_v(v))
    pairs = []
    for start in range(0, weights.shape[1], _BLOCK):
        block = slice(start, start + _BLOCK)
        like = weights[:, block].T @ weights > _ALIKE
        like &= activity[:, block].T @ activity > _ALIKE
        pairs.append(
            like.triu(start + 1).nonzero() + like.new_tensor([start, 0], dtype=torch.int64)
        )
    return torch.cat(pairs).cpu()


def _standardised(columns: Tensor) -> Tensor:
    """Columns less their means and of length 1, so that products are correlations; float64.

    A column that is constant, up to rounding, becomes zero.
    """
    x = columns.double()
    size = x.norm(dim=0)
    x = x - x.mean(0)
    length = x.norm(dim=0)
    length = torch.where(length > 1e-6 * size, length, torch.inf)
    return x / length
