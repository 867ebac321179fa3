"""Collecting rows that come in blocks: in bytes, in float32, or in float64 where that is needed.

What belongs here is how many bits numbers keep, and memory: no second copy of all rows is held.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_HALF_STEP = 2.0**-24  # float32 rounds a number by at most this share of it
_SHARE = 1e-4  # of a column's range that rounding may move its values


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
        self._bytes = True
        self._low = np.full(n_columns, np.inf)
        self._high = np.full(n_columns, -np.inf)

    def add(self, block: NDArray[Any]) -> None:
        """Take a block, float32 or float64, shape (n, n_columns), which is kept."""
        if self._bytes:
            with np.errstate(invalid="ignore"):
                small = block.astype(np.uint8)
            if np.array_equal(small, block):
                self._chunks.append(small)
                return
            self._bytes = False
        if not self._exact:
            np.minimum(self._low, block.min(0), out=self._low)
            np.maximum(self._high, block.max(0), out=self._high)
        self._chunks.append(block)

    @property
    def rounds(self) -> bool:
        """Whether float32 may round so that values of a column cannot be told apart."""
        with np.errstate(invalid="ignore"):
            spread = self._high - self._low
            most = np.maximum(np.abs(self._low), np.abs(self._high))
            return bool(((spread > 0) & (most * _HALF_STEP > _SHARE * spread)).any())

    def join(self) -> NDArray[Any]:
        """All rows; every block is let go of when it has been copied."""
        dtype: Any = np.uint8 if self._bytes else np.float64 if self._exact else np.float32
        rows = np.empty((sum(map(len, self._chunks)), self._n_columns), dtype)
        stop = len(rows)
        while self._chunks:
            chunk = self._chunks.pop()
            rows[stop - len(chunk) : stop] = chunk
            stop -= len(chunk)
        return rows
