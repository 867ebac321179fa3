"""Which rows are held out or drawn; works on row numbers only."""

from __future__ import annotations

import torch
from torch import Tensor

from harmonium.kernels import few_of, permutation
from harmonium.rng import Lane

USUALLY_HELD_OUT, MOST_HELD_OUT = 1 << 24, 1 << 28
"""Bytes of rows on disk that are held out at most: by default, and of a share that was asked for.

They stay in memory.
"""

_STRETCH_BYTES = 1 << 14  # of neighbouring rows: a few pages
_LEAST_STRETCHES = 100  # so that no stretch of a sorted file decides


def held_out_groups(group: Tensor, share: float, seed: int) -> Tensor:
    """Draw the rows to hold out where rows of a group must stay together.

    Parameters
    ----------
    group
        Number of each row's group, int64, shape (n,), from 0, at least two different ones.
    share
        The fraction of the groups to hold out, between 0 and 1; rounded, but at least one.
    seed
        Random seed of the order of groups.

    Returns
    -------
    Tensor
        int64, ascending.
    """
    n = int(group.max()) + 1
    order = permutation(n, Lane.HELD_OUT.stream(seed)).to(group.device)
    held = torch.zeros(n, dtype=torch.bool, device=group.device)
    held[order[: min(max(1, round(share * n)), n - 1)]] = True
    return held[group].nonzero()[:, 0]


def held_out_rows(n: int, n_held_out: int, seed: int, labels: Tensor | None = None) -> Tensor:
    """Draw the rows to hold out.

    Parameters
    ----------
    n, n_held_out
        Total number of rows, and number of rows to hold out.
    seed
        Random seed of the order of rows.
    labels
        Class of each row, shape (n,): the same fraction of each class is held out, up to rounding,
        and at least one row of each class is kept, so fewer rows may be held out if many classes
        have few rows. None, or labels that are all different, draw from all rows.

    Returns
    -------
    Tensor
        int64, ascending, so that memory is read sequentially.
    """
    order = permutation(n, Lane.HELD_OUT.stream(seed))
    if labels is not None:
        order = order.to(labels.device)
        by_class, turn, n_of_class = _turns(order, labels)
        can_go = turn < n_of_class - 1
        if can_go.any():
            # in the order in which a growing fraction of each class takes them
            share = (turn[can_go] + 0.5) / n_of_class[can_go]
            order = by_class[can_go][share.sort(stable=True).indices]
    return order[:n_held_out].sort().values


def held_out_stretches(n: int, n_held_out: int, row_bytes: int, seed: int) -> Tensor:
    """Draw rows to hold out of rows on disk: stretches of neighbours, spread over the whole file.

    Parameters
    ----------
    n, n_held_out
        Total number of rows, and number of rows to hold out, less those of a stretch.
    row_bytes
        Bytes of a row.
    seed
        Random seed of the order of stretches.

    Returns
    -------
    Tensor
        int64, ascending.
    """
    length = max(1, min(_STRETCH_BYTES // row_bytes, n_held_out // _LEAST_STRETCHES))
    number = few_of(n // length, max(1, n_held_out // length), Lane.HELD_OUT.stream(seed))
    return (number.sort().values[:, None] * length + torch.arange(length)).flatten()


def drawn_rows(n: int, n_drawn: int, seed: int, labels: Tensor | None = None) -> Tensor:
    """Draw rows without replacement, int64, ascending; with labels, equally many per class."""
    order = permutation(n, Lane.LEARNED_ROWS.stream(seed))
    if labels is not None:
        # the first rows of all classes come before all second rows
        by_class, turn, _ = _turns(order.to(labels.device), labels)
        order = by_class[turn.sort(stable=True).indices]
    return order[:n_drawn].sort().values


def _turns(order: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Rows sorted by class, in the given order within each class.

    Returns
    -------
    by_class : Tensor, int64, shape (n,)
        Numbers of the rows.
    turn, n_of_class : Tensor, int64, shape (n,)
        For each row, the number of rows of its class before it, and the size of its class.
    """
    by_class = order[labels[order].sort(stable=True).indices]
    _, number, count = labels[by_class].unique_consecutive(return_inverse=True, return_counts=True)
    first = count.cumsum(0) - count
    turn = torch.arange(len(order), device=order.device) - first[number]
    return by_class, turn, count[number]
