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


class Chunks:
    """Blocks of rows, joined at the end.

    Parameters
    ----------
    n_columns
        Numbers a row.
    exact
        Whether to keep float64.
    """

    def __init__(self, n_columns: int, exact: bool = False) -> None:
        self._chunks: list[NDArray[Any]] = []
        self._n_columns = n_columns
        self._exact = exact
        self._low = np.full(n_columns, np.inf)
        self._high = np.full(n_columns, -np.inf)

    def add(self, block: NDArray[Any], low: NDArray[Any], high: NDArray[Any]) -> bool:
        """Take a block, which is kept; returns whether float32 may round it too much.

        Parameters
        ----------
        block
            Bytes, float32 or float64, shape (n, n_columns).
        low, high
            Its least and largest numbers, shape (n_columns,).
        """
        self._chunks.append(block)
        np.minimum(self._low, low, out=self._low)
        np.maximum(self._high, high, out=self._high)
        return block.dtype == np.float32 and _may_round(low, high, _SUSPECT)

    @property
    def rounds(self) -> bool:
        """Whether float32 rounds by much of the range of a column."""
        return _may_round(self._low, self._high, _SHARE)

    def join(self) -> NDArray[Any]:
        """All rows; every block is let go of when it has been copied."""
        dtype: Any = np.float64 if self._exact else np.float32
        if all(chunk.dtype == np.uint8 for chunk in self._chunks):
            dtype = np.uint8
        rows = np.empty((sum(map(len, self._chunks)), self._n_columns), dtype)
        stop = len(rows)
        while self._chunks:
            chunk = self._chunks.pop()
            rows[stop - len(chunk) : stop] = chunk
            stop -= len(chunk)
        return rows


def _may_round(low: NDArray[Any], high: NDArray[Any], share: float) -> bool:
    """Whether float32 may move values of a column by more than this share of its range."""
    with np.errstate(invalid="ignore", over="ignore"):
        spread = high - low
        most = np.maximum(np.abs(low), np.abs(high))
        return bool(((spread > 0) & (most * _HALF_STEP > share * spread)).any())
