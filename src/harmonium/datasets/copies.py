"""Rows that are copies of each other, found by a hash of 64 bits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_ROWS = 1 << 16  # at a time, where memory has to be bounded


def groups_of_copies(values: NDArray[np.uint8]) -> NDArray[np.int64]:
    """The number of each row's group of equal rows, from 0, shape (n_rows,).

    Groups are numbered in the order in which their first rows stand.
    """
    _, first, group = np.unique(_hashes(values), return_index=True, return_inverse=True)
    place = np.empty(len(first), np.int64)
    place[first.argsort()] = np.arange(len(first))
    return place[group]


def n_distinct(values: NDArray[np.uint8]) -> int:
    """The number of different rows."""
    hashes = _hashes(values)
    hashes.sort()
    return 1 + int((hashes[1:] != hashes[:-1]).sum())


def _hashes(values: NDArray[np.uint8]) -> NDArray[np.uint64]:
    n_rows, n = values.shape
    n_words = -(-n // 8)
    factors = np.random.default_rng(0).integers(1, 2**63, n_words, np.uint64) * 2 + 1
    hashes = np.empty(n_rows, np.uint64)
    for start in range(0, n_rows, _ROWS):
        block = values[start : start + _ROWS]
        padded = np.zeros((len(block), 8 * n_words), np.uint8)
        padded[:, :n] = block
        words = padded.view(np.uint64)
        words ^= words >> np.uint64(29)
        hashes[start : start + _ROWS] = (words * factors).sum(1, dtype=np.uint64)
    return hashes
