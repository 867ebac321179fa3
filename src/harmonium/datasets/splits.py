"""Which rows are held out, and in which order rows are drawn: numbers of rows, no values."""

from __future__ import annotations

import torch
from torch import Tensor

from harmonium.kernels import permutation
from harmonium.rng import Purpose, Stream


def held_out_rows(n: int, n_held_out: int, seed: int, labels: Tensor | None = None) -> Tensor:
    """Draw the rows to hold out.

    Parameters
    ----------
    n, n_held_out
        Rows in all, and to be held out.
    seed
        Of the order in which rows are taken.
    labels
        Class of each row, shape (n,): the same share of each class is held out, but for rounding,
        and a row of each is left, so that fewer may be held out where many classes have few rows.
        None, and labels no two of which are alike, draw from all rows.

    Returns
    -------
    Tensor
        int64, ascending, so that memory is read from front to back.
    """
    order = permutation(n, Stream(seed, Purpose.SPLIT))
    if labels is not None:
        order = order.to(labels.device)
        by_class, turn, n_of_class = _turns(order, labels)
        can_go = turn < n_of_class - 1
        if can_go.any():
            # in the order in which a growing share of each class takes them
            share = (turn[can_go] + 0.5) / n_of_class[can_go]
            order = by_class[can_go][share.sort(stable=True).indices]
    return order[:n_held_out].sort().values


def drawn_rows(n: int, n_drawn: int, seed: int, labels: Tensor | None = None) -> Tensor:
    """Draw rows without replacement, int64, ascending; with labels, as many of each class."""
    order = permutation(n, Stream(seed, Purpose.SPLIT, rank=1))
    if labels is not None:
        # all first ones of their class come before all second ones
        by_class, turn, _ = _turns(order.to(labels.device), labels)
        order = by_class[turn.sort(stable=True).indices]
    return order[:n_drawn].sort().values


def _turns(order: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Rows class by class, those of a class in the given order.

    Returns
    -------
    by_class : Tensor, int64, shape (n,)
        Numbers of the rows.
    turn, n_of_class : Tensor, int64, shape (n,)
        For each of them, how many rows of its class come before it, and how many its class has.
    """
    by_class = order[labels[order].sort(stable=True).indices]
    _, number, count = labels[by_class].unique_consecutive(return_inverse=True, return_counts=True)
    first = count.cumsum(0) - count
    turn = torch.arange(len(order), device=order.device) - first[number]
    return by_class, turn, count[number]
