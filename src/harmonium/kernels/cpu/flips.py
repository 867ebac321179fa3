"""Inputs that follow the units that flip: integer sums, updated by rows of weights."""

from __future__ import annotations

import numpy as np
from numba import int32, uint64

from harmonium.kernels.cpu.common import serial, trailing_zeros

# Costs of following flips and of products, ns on one core
# (docs/decisions/0004-sweeps-follow-flips.md): one addition; one multiplication, and the number of
# rows at which its cost doubles; one addition where zeros are skipped.
ADDITION = 0.055
MULTIPLICATION = 0.024
FEW_ROWS = 13
SPARSE_ADDITION = 0.084


@serial
def _add_integers(total, index, n, rows, sign):
    """Add ``n`` rows if ``sign`` is 0, subtract them if it is -1: t - s = ~(~t + s).

    The casts keep Numba from working in 64 bits.
    """
    k = 0
    while k + 8 <= n:
        r0, r1, r2, r3 = (
            rows[index[k]],
            rows[index[k + 1]],
            rows[index[k + 2]],
            rows[index[k + 3]],
        )
        r4, r5, r6, r7 = (
            rows[index[k + 4]],
            rows[index[k + 5]],
            rows[index[k + 6]],
            rows[index[k + 7]],
        )
        for j in range(total.size):
            s01, s23 = int32(int32(r0[j]) + int32(r1[j])), int32(int32(r2[j]) + int32(r3[j]))
            s45, s67 = int32(int32(r4[j]) + int32(r5[j])), int32(int32(r6[j]) + int32(r7[j]))
            s = int32(int32(s01 + s23) + int32(s45 + s67))
            total[j] = int32(int32(total[j] ^ sign) + s) ^ sign
        k += 8
    while k + 2 <= n:
        r0, r1 = rows[index[k]], rows[index[k + 1]]
        for j in range(total.size):
            s = int32(int32(r0[j]) + int32(r1[j]))
            total[j] = int32(int32(total[j] ^ sign) + s) ^ sign
        k += 2
    if k < n:
        r0 = rows[index[k]]
        for j in range(total.size):
            total[j] = int32(int32(total[j] ^ sign) + int32(r0[j])) ^ sign


@serial
def follow(old, new, index, total, rows):
    """Update the other layer's inputs from the old states to the new; returns how many rose.

    States are bytes, eight to a word; unchanged words are skipped.
    """
    olds, news = old.view(np.uint64), new.view(np.uint64)
    up, down = 0, index.size
    for k in range(olds.size):
        changed = olds[k] ^ news[k]
        if changed != 0:
            risen, fallen = changed & news[k], changed & olds[k]
            while risen != 0:
                index[up] = 8 * k + int32(trailing_zeros(risen) >> uint64(3))
                up += 1
                risen &= risen - uint64(1)
            while fallen != 0:
                down -= 1
                index[down] = 8 * k + int32(trailing_zeros(fallen) >> uint64(3))
                fallen &= fallen - uint64(1)
            olds[k] = news[k]
    n_down = index.size - down
    _add_integers(total, index, up, rows, int32(0))
    _add_integers(total, index[down:], n_down, rows, int32(-1))
    return up - n_down
