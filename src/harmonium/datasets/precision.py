"""Collects rows that arrive in blocks: as bytes, float32, or float64 if needed.

This module decides on the precision, and avoids a second copy of all rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_HALF_STEP = 2.0**-24  # relative rounding error of float32
_SHARE = 1e-4  # fraction of a column's range by which rounding may move its values
_SUSPECT = 1e-6  # least size at which a block is checked
_GROWTH = 1.5


class GrowingRows:
    """Rows that arrive in blocks, in one growing array.

    Parameters
    ----------
    n_columns
        Numbers per row.
    """

    def __init__(self, n_columns: int) -> None:
        self._rows = np.empty((0, n_columns), np.uint8)
        self._n_rows = 0
        self._low = np.full(n_columns, np.inf)
        self._high = np.full(n_columns, -np.inf)

    def add(
        self, block: NDArray[Any], low: NDArray[Any], high: NDArray[Any], n_expected: int = 0
    ) -> bool:
        """Add a block; returns whether float32 may round it too much.

        Parameters
        ----------
        block
            Bytes, float32 or float64, shape (n, n_columns).
        low, high
            Its smallest and largest numbers, shape (n_columns,).
        n_expected
            Expected total number of rows, if known.
        """
        start, self._n_rows = self._n_rows, self._n_rows + len(block)
        dtype = np.result_type(self._rows, block)
        capacity = len(self._rows)
        if self._n_rows > capacity:
            # pages that are never written take no memory
            capacity = max(self._n_rows, n_expected, int(_GROWTH * capacity))
        if capacity > len(self._rows) or dtype != self._rows.dtype:
            grown = np.empty((capacity, self._rows.shape[1]), dtype)
            grown[:start] = self._rows[:start]
            self._rows = grown
        self._rows[start : self._n_rows] = block
        np.minimum(self._low, low, out=self._low)
        np.maximum(self._high, high, out=self._high)
        return block.dtype == np.float32 and _may_round(low, high, _SUSPECT)

    @property
    def rounds(self) -> bool:
        """Whether float32 rounds by a large part of a column's range."""
        return _may_round(self._low, self._high, _SHARE)

    @property
    def values(self) -> NDArray[Any]:
        """All rows received."""
        return self._rows[: self._n_rows]


def _may_round(low: NDArray[Any], high: NDArray[Any], share: float) -> bool:
    """Whether float32 may move values of a column by more than this fraction of its range."""
    with np.errstate(invalid="ignore", over="ignore"):
        spread = high - low
        most = np.maximum(np.abs(low), np.abs(high))
        return bool(((spread > 0) & (most * _HALF_STEP > share * spread)).any())
