"""Collecting rows that come in blocks: in bytes, in float32, or in float64 where that is needed.

What belongs here is how many bits numbers keep, and memory: no second copy of all rows is held.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_HALF_STEP = 2.0**-24  # float32 rounds a number by at most this share of it
_SHARE = 1e-4  # of a column's range that rounding may move its values
_SUSPECT = 1e-6  # from which on a block is looked at
_GROWTH = 1.5


class GrowingRows:
    """Rows that come in blocks, in one array that grows.

    Parameters
    ----------
    n_columns
        Numbers a row.
    """

    def __init__(self, n_columns: int) -> None:
        self._rows = np.empty((0, n_columns), np.uint8)
        self._n_rows = 0
        self._low = np.full(n_columns, np.inf)
        self._high = np.full(n_columns, -np.inf)

    def add(
        self, block: NDArray[Any], low: NDArray[Any], high: NDArray[Any], n_expected: int = 0
    ) -> bool:
        """Take a block; returns whether float32 may round it too much.

        Parameters
        ----------
        block
            Bytes, float32 or float64, shape (n, n_columns).
        low, high
            Its least and largest numbers, shape (n_columns,).
        n_expected
            How many rows there will be, as far as is known.
        """
        start, self._n_rows = self._n_rows, self._n_rows + len(block)
        dtype = np.result_type(self._rows, block)
        capacity = len(self._rows)
        if self._n_rows > capacity:
            # what is never written to takes no memory
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
        """Whether float32 rounds by much of the range of a column."""
        return _may_round(self._low, self._high, _SHARE)

    @property
    def values(self) -> NDArray[Any]:
        """All rows that came."""
        return self._rows[: self._n_rows]


def _may_round(low: NDArray[Any], high: NDArray[Any], share: float) -> bool:
    """Whether float32 may move values of a column by more than this share of its range."""
    with np.errstate(invalid="ignore", over="ignore"):
        spread = high - low
        most = np.maximum(np.abs(low), np.abs(high))
        return bool(((spread > 0) & (most * _HALF_STEP > share * spread)).any())
