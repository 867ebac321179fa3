"""Storage precision: which numbers fit into float32, and which need float64.

float32 has 24 bits: it distinguishes Unix timestamps only if they differ by more than two minutes,
and cannot represent 100,000,000.0 ± 1. A table with such columns is stored in float64 until it is
standardised; all other tables are stored in float32, in half the memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

_BLOCK_BYTES = 1 << 22

# Rounding by less than this fraction of a column's standard deviation is no loss: it is a tenth of
# the standard error of the column's mean over a million rows.
_LEAST_ROUNDING = 1e-4

# If this many distinct values become equal, float32 does not distinguish them.
_MERGED = 0.1

# Relative to a column's size: smaller differences are rounding of earlier float64 computations.
NOISE = 1e-12

_SAMPLE = 256  # rows by which columns are judged,
_SAMPLED_CELLS = 1 << 24  # fewer for very many columns


def rounded_columns(values: NDArray[Any]) -> NDArray[np.intp]:
    """The columns for which float32 would lose more than rounding.

    They are judged by a few evenly spread rows, which is fast; a column that is constant there is
    judged by all rows.

    Parameters
    ----------
    values
        Shape (n_rows, ...), real numbers of any type; rows are treated as flat.
    """
    if not values.size or _is_exact(values.dtype):
        return np.empty(0, np.intp)
    n_columns = math.prod(values.shape[1:])
    n = max(2, min(len(values), _SAMPLE, _SAMPLED_CELLS // n_columns))
    rows = np.linspace(0, len(values) - 1, n).astype(np.intp)
    some = values[rows].reshape(n, n_columns).astype(np.float64)
    lost = _is_lost(some)
    with np.errstate(over="ignore", invalid="ignore"):
        inexact = some[0].astype(np.float32) != some[0]
    for column in np.flatnonzero(inexact & (some == some[0]).all(0)):
        place: tuple[Any, ...] = np.unravel_index(column, values.shape[1:])
        whole = values[(slice(None), *place)]
        if not (whole == whole[0]).all():
            lost[column] = _is_lost(whole[:, None].astype(np.float64))[0]
    return np.flatnonzero(lost)


def narrowed(values: NDArray[Any]) -> NDArray[Any]:
    """The values as float32, or as float64 if float32 would lose more than rounding.

    Parameters
    ----------
    values
        Shape (n_rows, ...), real numbers of any type; memory is shared if nothing changes.
    """
    kept = np.float64 if len(rounded_columns(values)) else np.float32
    with np.errstate(
        over="ignore", invalid="ignore"
    ):  # beyond float32: infinity, which is refused later
        return np.ascontiguousarray(values, kept)


def narrowed_in_place(
    flat: NDArray[np.float64], shape: tuple[int, ...], order: Literal["C", "F"]
) -> NDArray[Any]:
    """`narrowed` in place, for numbers without other references: uses no additional memory.

    Parameters
    ----------
    flat
        All numbers in memory order; the memory is overwritten.
    shape, order
        Of the array.
    """
    if len(rounded_columns(flat.reshape(shape, order=order))):
        return flat.reshape(shape, order=order)
    size, step = flat.size, _BLOCK_BYTES // flat.itemsize
    narrow = flat.view(np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, size, step):
            stop = min(start + step, size)
            narrow[start:stop] = flat[start:stop]
    del narrow  # a view, while the memory shrinks to half its size
    flat.resize((size + 1) // 2, refcheck=False)
    return flat.view(np.float32)[:size].reshape(shape, order=order)


def blocks(values: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Views of some rows each, a few megabytes at a time."""
    step = max(1, _BLOCK_BYTES // max(1, values[:1].nbytes))
    return (values[start : start + step] for start in range(0, len(values), step))


def _is_exact(dtype: np.dtype[Any]) -> bool:
    """Whether float32 represents every number of this type."""
    return bool(np.can_cast(dtype, np.float32, "safe"))


def _is_lost(wide: NDArray[np.float64]) -> NDArray[np.bool]:
    """For each column of a few rows, whether float32 loses more than rounding."""
    holes = np.isnan(wide)
    if holes.any():  # which lose nothing
        wide = np.where(holes, wide[(~holes).argmax(0), np.arange(wide.shape[1])], wide)
    with np.errstate(over="ignore", invalid="ignore"):
        wide = np.sort(wide, 0)
        narrow = wide.astype(np.float32)
        error = np.abs(wide - narrow)
        coarse = error.max(0) > _LEAST_ROUNDING * wide.std(0)
        # outliers make the standard deviation large, so the middle half is checked as well
        low, high = len(wide) // 4, len(wide) - 1 - len(wide) // 4
        middle = wide[high] - wide[low]
        coarse |= (middle > 0) & (error[low : high + 1].max(0) > _LEAST_ROUNDING * middle)
        merged = _n_different(narrow) < (1 - _MERGED) * _n_different(wide)
        varies = wide[-1] - wide[0] > NOISE * np.maximum(np.abs(wide[0]), np.abs(wide[-1]))
    lost: NDArray[np.bool] = (coarse | merged) & varies & np.isfinite(narrow).all(0)
    return lost


def _n_different(ordered: NDArray[Any]) -> NDArray[np.intp]:
    count: NDArray[np.intp] = np.sum(ordered[1:] != ordered[:-1], 0) + 1
    return count
