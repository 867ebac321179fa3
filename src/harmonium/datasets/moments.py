"""Mean and variance of columns, computed in blocks of rows; how many rows they count as."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

import torch
from torch import Tensor

from harmonium.datasets.masks import MaskedRows


def observed_moments(
    blocks: Iterable[MaskedRows], weights: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Mean and variance of each column over the rows in which it is observed, float64.

    Arguments and result are those of `moments`. A column that is observed nowhere has mean 0 and
    variance 0.
    """
    sums: Tensor | float = 0.0
    squares: Tensor | float = 0.0
    totals: Tensor | float = 0.0
    first: Tensor | None = None
    n_rows = 0
    for block in blocks:
        states, seen = block.states.double(), block.observed
        if first is None:  # a value of each column, so that nothing cancels
            first = states[seen.to(torch.uint8).argmax(0), torch.arange(states.shape[1])]
        counted = seen.double()
        if weights is not None:
            counted *= weights[n_rows : n_rows + len(block)].to(counted).unsqueeze(1)
        n_rows += len(block)
        difference = torch.where(seen, states - first, 0.0)
        totals = totals + counted.sum(0)
        sums = sums + (counted * difference).sum(0)
        squares = squares + (counted * difference.square()).sum(0)
    assert first is not None and isinstance(totals, Tensor)
    nowhere = totals == 0
    mean_difference = torch.where(nowhere, -first, sums / totals)
    variance = torch.where(nowhere, 0.0, squares / totals - mean_difference.square())
    return first + mean_difference, variance.clamp_min(0.0)


def moments(blocks: Iterable[Tensor], weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Mean and variance of columns of rows that arrive in blocks, float64.

    Parameters
    ----------
    blocks
        Tables of rows, at least one row in total.
    weights
        Weight of each row, shape (n_rows,); the variance is divided by their sum. None weights all
        rows equally.
    """
    following = iter(blocks)
    beginning = next(following)
    # Sums of differences to the first row: no cancellation, and exactly 0 for a constant.
    first = beginning[0].double()
    sums, squares = torch.zeros_like(first), torch.zeros_like(first)
    n_rows, total = 0, 0.0
    for block in chain([beginning], following):
        difference = block.double() - first
        share = None if weights is None else weights[n_rows : n_rows + len(block)].to(first)
        n_rows += len(block)
        total = n_rows if share is None else total + share.sum().item()
        sums += difference.sum(0) if share is None else share @ difference
        difference.square_()
        squares += difference.sum(0) if share is None else share @ difference
    mean_difference = sums / total
    variance = squares / total - mean_difference.square()
    return first + mean_difference, variance.clamp_min_(0.0)


def effective_number(weights: Tensor) -> float:
    """How many rows of equal weight give means as precise: (Σw)² / Σw²; Kish (1965), section 11.7.

    It is for standard errors. The effective number of *sequences* of an alignment is another one:
    the sum of their weights by similarity (`sequence_weights`).
    """
    return float(weights.sum() ** 2 / weights.square().sum())
