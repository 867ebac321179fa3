"""Log-normalisers and means of binary units with several offsets, without intermediates."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numba import float64, njit, prange
from torch import Tensor

from harmonium.kernels.cpu.common import array, in_blocks, parallel, row_major, serial
from harmonium.kernels.cpu.draws import exp

# Factors between 1 and 2 that are multiplied before taking one logarithm, far from float64's
# limits.
_FACTORS = 512

# Below this the mean of a unit would be subnormal, and is set to 0: division with subnormal numbers
# takes ten times as long.
_LEAST = {np.dtype(np.float32): np.float32(-87), np.dtype(np.float64): np.float64(-700)}


# in any order, so that LLVM can vectorise sum and product
@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc"})
def _softplus_sum(x, offset):
    """The sum of log(1 + exp(z)) = max(z, 0) + log(1 + exp(-|z|)) over up to 512 columns."""
    zero, one = x.dtype.type(0), x.dtype.type(1)
    total, product = float64(0), float64(1)
    for j in range(x.size):
        z = x[j] + offset[j]
        total += float64(max(z, zero))
        product *= float64(one + exp(-abs(z)))
    return total + math.log(product)


@serial
def _sums_rows(x, offsets, out, start, stop):
    for row in range(start, stop):
        for k in range(offsets.shape[0]):
            total = 0.0
            for first in range(0, x.shape[1], _FACTORS):
                last = first + _FACTORS
                total += _softplus_sum(x[row, first:last], offsets[k, first:last])
            out[row, k] = total


@parallel
def _sums_blocks(x, offsets, out, n_blocks):
    rows = x.shape[0]
    for b in prange(n_blocks):
        _sums_rows(x, offsets, out, rows * b // n_blocks, rows * (b + 1) // n_blocks)


@serial
def _gradient_columns(x, offsets, weights, by_x, by_offsets, least, start, stop):
    zero, one = x.dtype.type(0), x.dtype.type(1)
    by_offsets[:, start:stop] = 0
    by_x[:, start:stop] = 0
    for row in range(x.shape[0]):
        inputs, to_inputs = x[row, start:stop], by_x[row, start:stop]
        for k in range(offsets.shape[0]):
            offset, to_offset = offsets[k, start:stop], by_offsets[k, start:stop]
            weight = weights[row, k]
            for j in range(inputs.size):
                z = inputs[j] + offset[j]
                is_normal = z >= least
                g = weight / (one + exp(-(z if is_normal else zero)))
                g = g if is_normal else zero
                to_inputs[j] += g
                to_offset[j] += g


@parallel
def _gradient_blocks(x, offsets, weights, by_x, by_offsets, least, n_blocks):
    n = x.shape[1]
    for b in prange(n_blocks):
        start, stop = n * b // n_blocks, n * (b + 1) // n_blocks
        _gradient_columns(x, offsets, weights, by_x, by_offsets, least, start, stop)


def softplus_sums(inputs: Tensor, offsets: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """One exponential per number, and one logarithm per 512 numbers; blocks of rows."""
    out = inputs.new_empty(len(inputs), len(offsets), dtype=dtype)
    arguments: tuple[Any, ...] = array(inputs), row_major(offsets), array(out)
    in_blocks(_sums_rows, _sums_blocks, arguments, len(inputs), inputs.numel())
    return out


def softplus_gradient(inputs: Tensor, offsets: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Means times weights, summed over rows and over offsets; blocks of columns."""
    by_inputs = torch.empty_like(inputs)
    by_offsets = inputs.new_empty(offsets.shape)
    x = array(inputs)
    arguments: tuple[Any, ...] = (
        *(x, row_major(offsets), row_major(weights)),
        *(array(by_inputs), array(by_offsets), _LEAST[x.dtype]),
    )
    n = inputs.shape[1]
    in_blocks(_gradient_columns, _gradient_blocks, arguments, n, inputs.numel())
    return by_inputs, by_offsets
