"""Hidden units that are wasted: dead, saturated, or duplicates of others."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from harmonium.datasets import WeightedRows
from harmonium.rbm import RBM

_DEAD, _SATURATED = 0.01, 0.99

# At this correlation each unit explains 98 % of the other's variance: effectively one unit.
_ALIKE = 0.99

_BLOCK = 1000


@torch.no_grad()
def hidden_activity(rbm: RBM, v: Tensor | WeightedRows) -> Tensor | None:
    """Mean activity of each hidden column over the rows, from 0 to 1; None if unbounded.

    Activity is scaled so that 0 is the column's lowest state and 1 its highest, for any unit type.
    """
    rows = WeightedRows.of(v)
    mean = rows.average(rbm.mean_h_from_v(rows.states))
    for columns, units in rbm.hidden.groups:
        if units.states is None or units.highest_state is None:
            return None
        low, high = units.states.min(), units.highest_state
        mean[columns] = (mean[columns] - low) / (high - low)
    return mean


@dataclass(frozen=True)
class HiddenUnits:
    """How many hidden columns are wasted.

    Attributes
    ----------
    n
        Hidden columns.
    n_dead, n_saturated
        Columns that are off, or on, for almost all rows (`dead_share`, `saturated_share`).
    n_duplicates
        Columns that duplicate an earlier column (`duplicates`).
    """

    n: int
    n_dead: int
    n_saturated: int
    n_duplicates: int

    @property
    def idle_share(self) -> float:
        """Fraction of columns that are dead or saturated."""
        return (self.n_dead + self.n_saturated) / self.n


def hidden_units(rbm: RBM, v: Tensor | WeightedRows) -> HiddenUnits | None:
    """Count wasted hidden columns on rows of visible states; None if activity is unbounded.

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
    """Fraction of hidden columns that are off (activity below 0.01) for almost all rows."""
    return (activity < _DEAD).double().mean().item()


def saturated_share(activity: Tensor) -> float:
    """Fraction of hidden columns that are on (activity above 0.99) for almost all rows."""
    return (activity > _SATURATED).double().mean().item()


@torch.no_grad()
def duplicates(rbm: RBM, v: Tensor | WeightedRows) -> Tensor:
    """Pairs of hidden columns with nearly the same weights and activity.

    A pair counts if its weights correlate over the visible columns, and its mean activities over
    the rows, both above 0.99. Neither alone suffices: weights correlate by chance if there are few
    visible columns, activities if there are few rows. A unit whose activity is constant correlates
    with no other; it is dead or saturated, or has no weights.

    Parameters
    ----------
    rbm
        The model.
    v
        Rows of visible states, shape (rows, visible.n_columns), 2 or more.

    Returns
    -------
    Tensor
        int64, shape (n_pairs, 2), sorted, the lower index first in each pair.

    Raises
    ------
    ValueError
        If there are fewer than 2 rows.
    """
    if len(v) < 2:
        raise ValueError(f"v has {len(v)} rows, over which no activity varies; pass 2 or more")
    weights = _standardised(rbm.weights.detach())
    rows = WeightedRows.of(v)
    activity = _standardised(rbm.mean_h_from_v(rows.states), rows.weights)
    pairs = []
    for start in range(0, weights.shape[1], _BLOCK):
        block = slice(start, start + _BLOCK)
        like = weights[:, block].T @ weights > _ALIKE
        like &= activity[:, block].T @ activity > _ALIKE
        pairs.append(
            like.triu(start + 1).nonzero() + like.new_tensor([start, 0], dtype=torch.int64)
        )
    return torch.cat(pairs).cpu()


def _standardised(columns: Tensor, weights: Tensor | None = None) -> Tensor:
    """Centre columns and scale them to length 1, so that dot products are correlations; float64.

    Rows count by weight.

    A column that is constant up to rounding becomes zero.
    """
    x = columns.to(torch.float64, copy=True)  # weights are large: the only copy
    mean = WeightedRows(x, weights).average(x)
    if weights is not None:
        x, mean = (weights.sqrt()[:, None] * part for part in (x, mean))
    size = x.norm(dim=0)
    x -= mean
    length = x.norm(dim=0)
    length = torch.where(length > 1e-6 * size, length, torch.inf)
    return x.div_(length)
