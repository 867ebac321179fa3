"""Finding categories, and detecting rows that are already one-hot."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from harmonium.datasets import mapped
from harmonium.datasets.encodings.categories import is_integral
from harmonium.datasets.masks import Mask

_BLOCK = 1000  # rows checked at a time
_MOST_FRACTIONS = 20  # most distinct fractional values: more are measurements, not categories
_MOST = 10_000  # most distinct values; units with more states are not a sensible model


def categories_of(values: Tensor, name: str) -> tuple[float, ...]:
    """The values that occur, ascending.

    Raises
    ------
    ValueError
        If all are the same, or there are too many for categories.
    """
    found: Tensor | None = None
    for block in mapped.pieces(values, _BLOCK):
        seen = block.unique()
        found = seen if found is None else torch.cat([found, seen]).unique()
        if len(found) > _MOST:
            break
    assert found is not None
    most = _MOST if is_integral(found.unsqueeze(0)) else _MOST_FRACTIONS
    if len(found) > most:
        least, largest = mapped.bounds(values)
        raise ValueError(
            f"{name}: values range from {least:g} to {largest:g}, but categories are the integers "
            f"that occur, at most {_MOST:,}, or other numbers that occur, at most "
            f"{_MOST_FRACTIONS}; name the categories (`categories=[0.5, 1, 1.5]`), or take "
            "Gaussian visible units (`visible='gaussian'`, or `Gaussian`)"
        )
    if len(found) < 2:
        raise ValueError(
            f"all values of {name} are {found.item():g}, and units have two categories or more; "
            "name those that there are besides (`categories=[0, 1]`)"
        )
    # in the shortest digits that restore the float32: 0.1, not 0.10000000149
    return tuple(float(str(value)) for value in found.cpu().numpy())


def group_width(values: Tensor, name: str, image_shape: tuple[int, int] | None) -> int | None:
    """The number of columns per one-hot group, if rows are one-hot; None if they are not.

    Rows are one-hot if all values are 0 and 1, and every group of this many columns holds one 1. At
    most one width is possible: if groups of 4 hold one 1, groups of 8 hold two.

    Parameters
    ----------
    values
        Shape (n_rows, n).
    name
        The name of the data for messages.
    image_shape
        The shape of a row, if the values had three axes.

    Raises
    ------
    ValueError
        For rows that are one-hot in another way: along the second of three axes, or in groups of
        different widths.
    """
    if values.shape[1] < 2 or not _are_bits(values):
        return None
    n = values.shape[1]
    n_ones = int(values[0].sum())
    if 0 < n_ones < n and n % n_ones == 0 and _sum_to_one(values, n // n_ones):
        return n // n_ones
    if image_shape is not None:
        height, width = image_shape
        _refuse_missing(values, height, width, name)
        across = all(
            bool((block.view(-1, height, width).sum(1) == 1).all())
            for block in mapped.pieces(values, _BLOCK)
        )
        if across and height > 1:
            raise ValueError(
                f"{name} is one-hot along its second axis ({height}); categorical units need the "
                f"states along the last one, shape (n_rows, {width}, {height}): transpose the last "
                "two axes"
            )
        return None
    widths = _uneven_groups(values)
    if widths:
        raise ValueError(
            f"the columns of {name} are one-hot in groups of {', '.join(map(str, widths))}, but "
            "all units of a layer have as many categories; pass one column of category numbers a "
            "variable, or train binary units on these columns (`visible='binary'`, or `Binary`)"
        )
    return None


def numbers_of(values: Tensor, width: int) -> Tensor:
    """The position of the 1 in every group of columns, shape (n_rows, n / width)."""
    dtype = torch.uint8 if width <= 256 else torch.float32
    n_groups = values.shape[1] // width
    numbers = torch.empty((len(values), n_groups), dtype=dtype, device=values.device)
    for block, target in zip(mapped.pieces(values, _BLOCK), numbers.split(_BLOCK), strict=True):
        target.copy_(block.view(-1, n_groups, width).argmax(-1))
    return numbers


def without_holes(values: Tensor, mask: Mask, width: int) -> tuple[Tensor, Mask]:
    """One-hot rows with a first category in each group that is not known, and which are known.

    A group is known where a 1 of it is observed, or all of it.
    """
    if values.shape[1] % width:
        return values, mask
    observed = mask.observed().view(len(values), -1, width)
    groups = torch.where(observed, values.view(observed.shape), 0)
    known = observed.all(2) | (groups == 1).any(2)
    first = torch.zeros(width, dtype=values.dtype, device=values.device)
    first[0] = 1
    return torch.where(known.unsqueeze(2), groups, first).flatten(1), Mask.of(known)


def _are_bits(values: Tensor) -> bool:
    return all(bool(((block == 0) | (block == 1)).all()) for block in mapped.pieces(values, _BLOCK))


def _sum_to_one(values: Tensor, width: int) -> bool:
    return all(
        bool((block.view(len(block), -1, width).sum(-1) == 1).all())
        for block in mapped.pieces(values, _BLOCK)
    )


def _refuse_missing(values: Tensor, height: int, width: int, name: str) -> None:
    """Reject rows in which most groups hold one 1 and some hold none: a gap needs its own state."""
    sums = torch.zeros(2, dtype=torch.int64, device=values.device)
    first: tuple[int, int] | None = None
    for start, block in enumerate(mapped.pieces(values, _BLOCK)):
        ones = block.view(-1, height, width).sum(-1)
        if ones.max() > 1:
            return
        sums += torch.stack([(ones == 0).sum(), (ones == 1).sum()])
        missing = (ones == 0).nonzero()
        if first is None and len(missing):
            first = start * _BLOCK + int(missing[0, 0]), int(missing[0, 1])
    n_missing, n_there = sums.tolist()
    if first is not None and n_there > n_missing and width > 2:
        raise ValueError(
            f"{name} is one-hot, but of {n_missing + n_there:,} groups of {width}, {n_missing:,} "
            f"hold no 1 (the first at row {first[0]}, site {first[1]}); give a gap or a missing "
            f"value a state of its own, shape (n_rows, {height}, {width + 1})"
        )


def _uneven_groups(values: Tensor) -> list[int]:
    """Widths of neighbouring columns that hold one 1 in every row; empty if there are none.

    With few rows, this can happen by chance.
    """
    n_rows, n = values.shape
    if n_rows < 10 * n:
        return []
    ends = torch.ones(n, dtype=torch.bool, device=values.device)
    first = values[0].cumsum(0, dtype=torch.float64)
    for block in mapped.pieces(values, _BLOCK):
        ends &= (block.cumsum(1, dtype=torch.float64) == first).all(0)
    if not ends[-1]:
        return []
    # of columns with the same sum, the first ends the group, and those after it start the next
    totals = np.asarray(first[ends].cpu())
    places = np.flatnonzero(ends.cpu().numpy())
    if not np.array_equal(np.unique(totals), np.arange(1, first[-1].item() + 1)):
        return []
    begins = [places[totals == total][0] + 1 for total in np.unique(totals)[:-1]]
    widths: list[int] = np.diff([0, *begins, n]).tolist()
    return widths if len(widths) > 1 and min(widths) > 1 else []
