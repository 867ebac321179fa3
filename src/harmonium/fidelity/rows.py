"""What every comparison of rows checks first, and what it knows of their columns."""

from __future__ import annotations

import torch
from torch import Tensor

from harmonium import defaults, kernels
from harmonium.arguments import described
from harmonium.rng import Lane
from harmonium.units import Units


def checked(rows: Tensor, name: str, n_columns: int | None = None, least: int = 1) -> Tensor:
    """The rows, if they are a finite tensor of this many columns and of rows enough.

    Raises
    ------
    TypeError, ValueError
        Says what came instead.
    """
    if not isinstance(rows, Tensor):
        raise TypeError(f"{name} are {described(rows)}; pass a torch tensor (n_rows, n_columns)")
    if rows.dim() != 2 or rows.shape[1] == 0:
        raise ValueError(
            f"{name} have shape {tuple(rows.shape)}; pass shape (n_rows, n_columns), with one "
            "column or more"
        )
    if n_columns is not None and rows.shape[1] != n_columns:
        raise ValueError(
            f"{name} have {rows.shape[1]} columns, and the rows that they are compared with have "
            f"{n_columns}; pass rows of the same columns"
        )
    if len(rows) < least:
        raise ValueError(f"{name} have {len(rows)} rows; pass {least} or more")
    if rows.is_floating_point() and not bool(rows.isfinite().all()):
        raise ValueError(f"{name} hold NaN or infinity; pass finite numbers")
    return rows


def thinned(rows: Tensor, weights: Tensor | None, seed: int = defaults.SEED) -> Tensor:
    """Some of the rows, which count alike: each is kept with a probability in proportion to weight.

    The heaviest rows are kept surely, and two rows in any case. No row comes twice, as it would if
    rows were drawn: copies have neighbours at distance 0. Without weights all rows are kept.

    Parameters
    ----------
    rows
        Shape (n_rows, n_columns).
    weights
        Shape (n_rows,), 0 or more, not all 0; only ratios matter.
    seed
        Of the choice.
    """
    if weights is None:
        return rows
    share = (weights / weights.max()).double().cpu()
    drawn = kernels.uniform((len(rows), 1), Lane.THINNED.stream(seed))[:, 0].double()
    order = share / drawn.clamp_min_(1e-12)
    least = min(1.0, order.topk(min(2, len(rows))).values[-1].item())
    return rows[((order >= least) & (share > 0)).to(rows.device)]


def sites_of(units: Units) -> Tensor:
    """The number of the unit that each column of states belongs to, int64, shape (n_columns,)."""
    numbers, first = [], 0
    for _, group in units.groups:
        width = group.n_columns // group.n
        numbers.append(torch.arange(first, first + group.n).repeat_interleave(width))
        first += group.n
    return torch.cat(numbers)


def gap_of(units: Units) -> float:
    """The squared distance between two different states of a unit, if it is always the same.

    1 for states 0 and 1, 4 for −1 and 1, 2 for one-hot groups; 0 if there is none.
    """
    gaps = set()
    for _, group in units.groups:
        if group.states is None:
            return 0.0
        states = group.states.double()
        apart = (states[:, None] - states).square().sum(-1)
        gaps.update(apart[~torch.eye(len(states), dtype=torch.bool, device=apart.device)].tolist())
    return gaps.pop() if len(gaps) == 1 else 0.0
