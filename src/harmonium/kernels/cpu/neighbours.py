"""Counts of rows that are alike: 512 rows are compared with one at a time, one byte a site.

Most pairs differ in more sites than neighbours may after a few dozen of them, if those that vary
most come first. Where that holds for all 512, the other sites are not looked at.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import prange, uint8
from torch import Tensor

from harmonium.kernels.cpu.common import parallel, run, serial

_ROWS = 512  # compared at once: they and their counts stay in the fastest cache
_SITES = 32  # between two looks at who is still alike; fewer than 256, as counts are bytes

# What takes the place of an ignored category in one of two rows, so that these do not equal.
_NEVER = np.uint8(255)


@serial
def _differences(columns, letters, first, last, start, stop, found):
    """Sites from ``first`` to ``last`` in which rows ``start`` to ``stop`` differ from letters."""
    n = stop - start
    for j in range(n):
        found[j] = 0
    site = first
    while site + 4 <= last:  # four at a time, so that counts are loaded and stored less often
        a, b, c, d = letters[site], letters[site + 1], letters[site + 2], letters[site + 3]
        at_a, at_b = columns[site, start:stop], columns[site + 1, start:stop]
        at_c, at_d = columns[site + 2, start:stop], columns[site + 3, start:stop]
        for j in range(n):
            found[j] += uint8(
                uint8(at_a[j] != a)
                + uint8(at_b[j] != b)
                + uint8(at_c[j] != c)
                + uint8(at_d[j] != d)
            )
        site += 4
    while site < last:
        a, at_a = letters[site], columns[site, start:stop]
        for j in range(n):
            found[j] += uint8(at_a[j] != a)
        site += 1


@serial
def _all_differ(columns, letters, most, start, stop, found, total):
    """Whether all of these rows differ in more than ``most`` sites; else ``total`` counts them."""
    n_sites = letters.size
    for first in range(0, n_sites, _SITES):
        _differences(columns, letters, first, min(first + _SITES, n_sites), start, stop, found)
        least = np.int32(2**31 - 1)
        for j in range(stop - start):
            total[j] = found[j] if first == 0 else total[j] + found[j]
            least = min(least, total[j])
        if least > most:
            return True
    return False


@serial
def _count_blocks(columns, rows, needs, counts, block, step):
    """Compare every ``step``-th block of rows with all rows before its end."""
    n_rows, n_sites = rows.shape
    found, total = np.empty(_ROWS, np.uint8), np.empty(_ROWS, np.int32)
    for begin in range(block * _ROWS, n_rows, step * _ROWS):
        end = min(begin + _ROWS, n_rows)
        least = needs[begin:end].min()
        for i in range(end - 1):
            start = max(begin, i + 1)
            most = n_sites - min(needs[i], least)
            if _all_differ(columns, rows[i], most, start, end, found, total):
                continue
            for j in range(end - start):
                equal = n_sites - total[j]
                counts[i] += equal >= needs[i]
                counts[start + j] += equal >= needs[start + j]


@parallel
def _count_in_parallel(columns, rows, needs, counts, n_threads):
    for b in prange(n_threads):
        _count_blocks(columns, rows, needs, counts[b], b, n_threads)


def neighbours(values: Tensor, needs: Tensor, ignored: int | None) -> Tensor:
    """Each pair of rows is compared once; integers, so that threads change nothing."""
    held = values.numpy()
    n_rows, n_sites = held.shape
    seen = np.stack([np.bincount(held[:, site], minlength=256) for site in range(n_sites)])
    order = np.argsort((seen.astype(np.float64) ** 2).sum(1), kind="stable")
    rows = np.ascontiguousarray(held[:, order])
    columns = rows.T.copy("C")
    if ignored is not None:
        rows[rows == ignored] = _NEVER
    n_threads = max(1, min(torch.get_num_threads(), -(-n_rows // _ROWS)))
    counts = np.zeros((n_threads, n_rows), np.int64)
    arguments: tuple[Any, ...] = (columns, rows, needs.numpy(), counts)
    if n_threads == 1:
        loop: Any = _count_blocks
        loop(columns, rows, needs.numpy(), counts[0], 0, 1)
    else:
        run(n_threads, _count_in_parallel, *arguments, n_threads)
    return torch.from_numpy(counts.sum(0))
