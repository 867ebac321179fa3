"""Fused draws: random bits, bias, probability and comparison in one pass.

They give the same bits as `reference`, on any number of threads: each thread takes a block of
rows, and a row's numbers depend on nothing else.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import float32, int32, njit, prange, types, uint32, uint64
from numba.extending import overload
from torch import Tensor

from harmonium.kernels.cpu.common import (
    array,
    parallel,
    run,
    serial,
    worthwhile_threads,
)
from harmonium.rng import Stream

_inlined = njit(inline="always")


_MULTIPLIER_0, _MULTIPLIER_1 = uint64(0xD2511F53), uint64(0xCD9E8D57)
_WEYL_0, _WEYL_1 = uint32(0x9E3779B9), uint32(0xBB67AE85)


@_inlined
def _round(c0, c1, c2, c3, k0, k1):
    # Numba promotes uint32 arithmetic to 64 bits: without the casts it is fast and wrong.
    product_0, product_1 = uint64(c0) * _MULTIPLIER_0, uint64(c2) * _MULTIPLIER_1
    return (
        uint32(uint32(product_1 >> uint64(32)) ^ c1 ^ k0),
        uint32(product_1),
        uint32(uint32(product_0 >> uint64(32)) ^ c3 ^ k1),
        uint32(product_0),
    )


@_inlined
def _philox(c0, c1, c2, c3, k0, k1):
    # Ten rounds written out: LLVM does not vectorise the caller's loop around an inner loop.
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0, k1)
    k0, k1 = uint32(k0 + _WEYL_0), uint32(k1 + _WEYL_1)
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0, k1)
    k0, k1 = uint32(k0 + _WEYL_0), uint32(k1 + _WEYL_1)
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0, k1)
    k0, k1 = uint32(k0 + _WEYL_0), uint32(k1 + _WEYL_1)
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0, k1)
    k0, k1 = uint32(k0 + _WEYL_0), uint32(k1 + _WEYL_1)
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0, k1)
    k0, k1 = uint32(k0 + _WEYL_0), uint32(k1 + _WEYL_1)
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0, k1)
    k0, k1 = uint32(k0 + _WEYL_0), uint32(k1 + _WEYL_1)
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0, k1)
    k0, k1 = uint32(k0 + _WEYL_0), uint32(k1 + _WEYL_1)
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0, k1)
    k0, k1 = uint32(k0 + _WEYL_0), uint32(k1 + _WEYL_1)
    c0, c1, c2, c3 = _round(c0, c1, c2, c3, k0, k1)
    k0, k1 = uint32(k0 + _WEYL_0), uint32(k1 + _WEYL_1)
    return _round(c0, c1, c2, c3, k0, k1)


@serial
def fill_words(words, q, row, k0, k1, c2, c3):
    """Write the 4 q random words of one row."""
    k0, k1, c1, c2, c3 = uint32(k0), uint32(k1), uint32(row), uint32(c2), uint32(c3)
    for i in range(q):
        w0, w1, w2, w3 = _philox(uint32(i), c1, c2, c3, k0, k1)
        words[i] = w0
        words[q + i] = w1
        words[2 * q + i] = w2
        words[3 * q + i] = w3


@_inlined
def uniform(word):
    """The uniform number that a random word stands for, float32."""
    return float32(int32(word >> uint32(9))) * float32(2.0**-23) + float32(2.0**-24)


def exp(x):
    """The exponential, in compiled loops of either precision."""
    return math.exp(x)


@overload(exp, inline="always")
def _compile_exp(x):
    """Exponential of a clamped argument: a polynomial that vectorises in float32, libm's else."""
    if x != types.float32:
        return lambda x: math.exp(min(max(x, -700.0), 700.0))

    def exp_float32(x):
        # Cephes' expf: relative error below 2e-7
        x = min(max(x, float32(-87.0)), float32(88.0))
        n = np.floor(x * float32(1.44269504088896341) + float32(0.5))
        r = x - n * float32(0.693359375)
        r = r - n * float32(-2.12194440e-4)
        p = float32(1.9875691500e-4)
        p = p * r + float32(1.3981999507e-3)
        p = p * r + float32(8.3334519073e-3)
        p = p * r + float32(4.1665795894e-2)
        p = p * r + float32(1.6666665459e-1)
        p = p * r + float32(5.0000001201e-1)
        p = p * (r * r) + r + float32(1)
        return p * np.int32((int32(n) + int32(127)) << int32(23)).view(np.float32)

    return exp_float32


@serial
def _binary_row(x, bias, words, scale, low):
    # u < 1 / (1 + exp(-x)) without the division
    one = x.dtype.type(1)
    for j in range(x.size):
        up = x.dtype.type(uniform(words[j])) * (one + exp(-scale * (x[j] + bias[j]))) < one
        x[j] = one if up else low


@serial
def _binary_rows(x, bias, scale, low, start, stop, k0, k1, c2, c3):
    q = (x.shape[1] + 3) // 4
    words = np.empty(4 * q, np.uint32)
    for row in range(start, stop):
        fill_words(words, q, row, k0, k1, c2, c3)
        _binary_row(x[row], bias, words, scale, low)


@parallel
def _binary_blocks(x, bias, scale, low, k0, k1, c2, c3, n_blocks):
    rows = x.shape[0]
    for b in prange(n_blocks):
        start, stop = rows * b // n_blocks, rows * (b + 1) // n_blocks
        _binary_rows(x, bias, scale, low, start, stop, k0, k1, c2, c3)


@serial
def _uniform_rows(x, start, stop, k0, k1, c2, c3):
    q = (x.shape[1] + 3) // 4
    words = np.empty(4 * q, np.uint32)
    for row in range(start, stop):
        fill_words(words, q, row, k0, k1, c2, c3)
        for j in range(x.shape[1]):
            x[row, j] = uniform(words[j])


@parallel
def _uniform_blocks(x, k0, k1, c2, c3, n_blocks):
    rows = x.shape[0]
    for b in prange(n_blocks):
        _uniform_rows(x, rows * b // n_blocks, rows * (b + 1) // n_blocks, k0, k1, c2, c3)


@serial
def _gaussian_rows(x, bias, precision, start, stop, k0, k1, c2, c3):
    n = x.shape[1]
    q = (n + 3) // 4
    words = np.empty(4 * q, np.uint32)
    noise = np.empty(4 * q)
    for row in range(start, stop):
        fill_words(words, q, row, k0, k1, c2, c3)
        for half in range(2):
            for i in range(2 * half * q, 2 * half * q + q):
                radius = math.sqrt(-2.0 * math.log((words[i] + 0.5) * 2.0**-32))
                angle = (2.0 * math.pi) * ((words[q + i] + 0.5) * 2.0**-32)
                noise[i] = radius * math.cos(angle)
                noise[q + i] = radius * math.sin(angle)
        for j in range(n):
            deviation = x.dtype.type(noise[j]) / np.sqrt(precision[j])
            x[row, j] = (x[row, j] + bias[j]) / precision[j] + deviation


@parallel
def _gaussian_blocks(x, bias, precision, k0, k1, c2, c3, n_blocks):
    rows = x.shape[0]
    for b in prange(n_blocks):
        start, stop = rows * b // n_blocks, rows * (b + 1) // n_blocks
        _gaussian_rows(x, bias, precision, start, stop, k0, k1, c2, c3)


@serial
def _categorical_rows(x, bias, n_categories, start, stop, k0, k1, c2, c3):
    n_units = x.shape[1] // n_categories
    q = (n_units + 3) // 4
    words = np.empty(4 * q, np.uint32)
    for row in range(start, stop):
        fill_words(words, q, row, k0, k1, c2, c3)
        for unit in range(n_units):
            first = unit * n_categories
            highest = x[row, first] + bias[first]
            for j in range(first + 1, first + n_categories):
                highest = max(highest, x[row, j] + bias[j])
            total = x.dtype.type(0)
            for j in range(first, first + n_categories):
                total += exp(x[row, j] + bias[j] - highest)
                x[row, j] = total  # the cumulative weights, until the category is known
            threshold = x.dtype.type(uniform(words[unit])) * total
            category = 0
            while category < n_categories - 1 and threshold >= x[row, first + category]:
                category += 1
            for j in range(n_categories):
                x[row, first + j] = x.dtype.type(1) if j == category else x.dtype.type(0)


@parallel
def _categorical_blocks(x, bias, n_categories, k0, k1, c2, c3, n_blocks):
    rows = x.shape[0]
    for b in prange(n_blocks):
        start, stop = rows * b // n_blocks, rows * (b + 1) // n_blocks
        _categorical_rows(x, bias, n_categories, start, stop, k0, k1, c2, c3)


def _draw(
    serial: Any, parallel: Any, x: Tensor, arguments: tuple[Any, ...], stream: Stream
) -> None:
    """Run a kernel on this thread or on as many as torch uses for its products."""
    array = x.detach().numpy()
    rows = x.shape[0]
    n_blocks = min(worthwhile_threads(x.numel()), rows)
    if n_blocks <= 1:
        serial(array, *arguments, 0, rows, *stream.take())
    else:
        run(n_blocks, parallel, array, *arguments, *stream.take(), n_blocks)


def uniform_(out: Tensor, stream: Stream) -> None:
    """Fill ``out`` with uniform numbers in (0, 1)."""
    _draw(_uniform_rows, _uniform_blocks, out, (), stream)


def binary_(inputs: Tensor, bias: Tensor, stream: Stream) -> None:
    """State 1 where the uniform number is below sigmoid(inputs + bias), else 0."""
    kind = inputs.detach().numpy().dtype.type
    _draw(_binary_rows, _binary_blocks, inputs, (array(bias), kind(1), kind(0)), stream)


def spin_(inputs: Tensor, bias: Tensor, stream: Stream) -> None:
    """State 1 where the uniform number is below sigmoid(2 (inputs + bias)), else -1."""
    kind = inputs.detach().numpy().dtype.type
    _draw(_binary_rows, _binary_blocks, inputs, (array(bias), kind(2), kind(-1)), stream)


def gaussian_(inputs: Tensor, bias: Tensor, precision: Tensor, stream: Stream) -> None:
    """Normal states of mean (inputs + bias) / precision and variance 1 / precision."""
    _draw(_gaussian_rows, _gaussian_blocks, inputs, (array(bias), array(precision)), stream)


def categorical_(inputs: Tensor, bias: Tensor, n_categories: int, stream: Stream) -> None:
    """One-hot groups of ``n_categories`` columns."""
    _draw(_categorical_rows, _categorical_blocks, inputs, (array(bias), n_categories), stream)
