"""Mean and variance of columns, computed in blocks of rows; how many rows they count as."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from itertools import chain

import numpy as np
import torch
from torch import Tensor

from harmonium.datasets import mapped
from harmonium.datasets.masks import MaskedRows

_BLOCK = 1000  # rows processed at a time
_MOST_BITS = 255  # rows that a byte can count
_BITS = 200 * _MOST_BITS  # rows at a time


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


def moments_once(
    values: Tensor,
    weights: Tensor | None = None,
    blocks: Callable[[], Iterable[Tensor]] | None = None,
    encoding: str | None = None,
) -> tuple[Tensor, Tensor]:
    """The same as `moments`, remembered for rows on disk.

    Parameters
    ----------
    values
        The stored rows.
    weights
        As for `moments`; nothing is remembered of rows with weights.
    blocks
        Gives the tables of states; None for those of the values.
    encoding
        What states are made of values by; None if they are the values.
    """
    if blocks is None:
        blocks = partial(mapped.pieces, values, _BLOCK)
    if weights is not None or not mapped.is_mapped(values):
        return moments(blocks(), weights)

    def find() -> list[list[float]]:
        bits = encoding is None and values.dtype == torch.uint8 and mapped.bounds(values)[1] <= 1
        found = moments_of_bits(mapped.pieces(values, _BITS)) if bits else moments(blocks())
        return [moment.tolist() for moment in found]

    mean, var = mapped.remembered(values, f"moments {values.dtype} {encoding}", find)
    return torch.tensor(mean, dtype=torch.float64), torch.tensor(var, dtype=torch.float64)


def moments_of_bits(blocks: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
    """The same as `moments`, bit for bit and many times as fast, of bytes that are all 0 or 1.

    Parameters
    ----------
    blocks
        Tables of rows, uint8.
    """
    first: Tensor | None = None
    total, ones = 0, np.zeros((), np.int64)
    for block in blocks:
        if first is None:
            first = block[0].double()
        total += len(block)
        rows = block.numpy()
        for some in np.array_split(rows, -(-len(rows) // _MOST_BITS)):
            ones = ones + some.sum(0, dtype=np.uint8)
    assert first is not None
    counted = torch.from_numpy(ones).double()
    mean_difference = (counted - total * first) / total
    squares = torch.where(first == 0, counted, total - counted)
    variance = squares / total - mean_difference.square()
    return first + mean_difference, variance.clamp_min_(0.0)


def effective_number(weights: Tensor) -> float:
    """How many rows of equal weight give means as precise: (Σw)² / Σw²; Kish (1965), section 11.7.

    It is for standard errors. The effective number of *sequences* of an alignment is another one:
    the sum of their weights by similarity (`sequence_weights`).
    """
    return float(weights.sum() ** 2 / weights.square().sum())
