"""Sums over all states of a layer, without an exponential or a logarithm per state."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import float64, int64, njit, prange
from torch import Tensor

from harmonium.kernels.cpu.common import array, in_blocks, parallel, row_major, serial

_MANTISSA, _ONE = np.int64(0xFFFFFFFFFFFFF), np.int64(1023 << 52)

# allows fused multiply-add, which rounds once instead of twice
_fused = njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})


@_fused
def _multiply_by_pairs(product, low, factors, start, stop):
    """Multiply by 1 + exp of one term per unit; four units at once save loads and stores."""
    one = float64(1)
    j = start
    while j + 4 <= stop:
        x0, x1, x2, x3 = low[j], low[j + 1], low[j + 2], low[j + 3]
        f0, f1, f2, f3 = factors[j], factors[j + 1], factors[j + 2], factors[j + 3]
        for a in range(product.size):
            product[a] *= ((one + x0[a] * f0) * (one + x1[a] * f1)) * (
                (one + x2[a] * f2) * (one + x3[a] * f3)
            )
        j += 4
    while j < stop:
        x0, f0 = low[j], factors[j]
        for a in range(product.size):
            product[a] *= one + x0[a] * f0
        j += 1


@_fused
def _multiply_by_sums(product, low, factors, ends, start, stop, total):
    """Multiply by 1 + the sum of exp of several terms for each unit."""
    for unit in range(start, stop):
        total[:] = 1
        for j in range(ends[unit], ends[unit + 1]):
            x0, f0 = low[j], factors[j]
            for a in range(total.size):
                total[a] += x0[a] * f0
        for a in range(total.size):
            product[a] *= total[a]


@_fused
def _exponentials(x, product, exponents):
    """The exponential as a number near 1 and a power of 2, by Cephes; error below 3e-16."""
    for a in range(x.size):
        n = np.floor(float64(1.4426950408889634) * x[a] + float64(0.5))
        r = (x[a] - n * float64(6.93145751953125e-1)) - n * float64(1.42860682030941723212e-6)
        z = r * r
        p = float64(1.26177193074810590878e-4) * z + float64(3.02994407707441961300e-2)
        p = r * (p * z + float64(1))
        q = float64(3.00198505138664455042e-6) * z + float64(2.52448340349684104192e-3)
        q = (q * z + float64(2.27265548208155028766e-1)) * z + float64(2)
        product[a] = float64(1) + float64(2) * p / (q - p)
        exponents[a] = int64(n)


@serial
def _set_apart_exponents(product, exponents):
    """Scale products to between 1 and 2, and accumulate the powers of 2."""
    bits = product.view(np.int64)
    for a in range(bits.size):
        exponents[a] += (bits[a] >> 52) - int64(1023)
        bits[a] = (bits[a] & _MANTISSA) | _ONE


@serial
def _sum_rows(log_weights, low, mid, high, ends, groups, out, start, stop):
    n = low.shape[1]
    product, total, exponents = np.empty(n), np.empty(n), np.empty(n, np.int64)
    factors = np.empty(low.shape[0])
    for row in range(start, stop):
        for j in range(factors.size):
            factors[j] = mid[row, j] * high[j]
        _exponentials(log_weights[row], product, exponents)
        for g in range(groups.size - 1):
            first, last = groups[g], groups[g + 1]
            if ends[last] - ends[first] == last - first:
                _multiply_by_pairs(product, low, factors, ends[first], ends[last])
            else:
                _multiply_by_sums(product, low, factors, ends, first, last, total)
            _set_apart_exponents(product, exponents)
        most = exponents.max()
        sum_ = 0.0
        for a in range(n):
            sum_ += product[a] * 2.0 ** float64(exponents[a] - most)
        out[row] = math.log(sum_) + most * math.log(2.0)


@parallel
def _sum_blocks(log_weights, low, mid, high, ends, groups, out, n_blocks):
    rows = mid.shape[0]
    for b in prange(n_blocks):
        start, stop = rows * b // n_blocks, rows * (b + 1) // n_blocks
        _sum_rows(log_weights, low, mid, high, ends, groups, out, start, stop)


def log_sums_of_products(
    log_weights: Tensor, low: Tensor, mid: Tensor, high: Tensor, ends: Tensor, groups: Tensor
) -> Tensor:
    """One multiplication and one addition per state and term; one logarithm per row."""
    out = log_weights.new_empty(len(log_weights))
    arguments: tuple[Any, ...] = (
        *(row_major(x) for x in (log_weights, low, mid, high, ends, groups)),
        array(out),
    )
    size = log_weights.numel() * len(low)
    in_blocks(_sum_rows, _sum_blocks, arguments, len(log_weights), size)
    return out
