"""Fused draws: random bits, bias, probability and comparison in one pass.

They give the same bits as `reference`, on any number of threads: each thread takes a block of rows,
and the numbers of a row are independent of other rows.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numba import float32, float64, int32, int64, njit, prange, types, uint32, uint64
from numba.extending import overload
from torch import Tensor

from harmonium.kernels.cpu.common import array, parallel, row_major, run, serial, worthwhile_threads
from harmonium.rng import Stream

_inlined = njit(inline="always")


_MULTIPLIER_0, _MULTIPLIER_1 = uint64(0xD2511F53), uint64(0xCD9E8D57)
_WEYL_0, _WEYL_1 = uint32(0x9E3779B9), uint32(0xBB67AE85)


@_inlined
def _round(c0, c1, c2, c3, k0, k1):
    # Numba promotes uint32 arithmetic to 64 bits: without the casts the result is wrong.
    product_0, product_1 = uint64(c0) * _MULTIPLIER_0, uint64(c2) * _MULTIPLIER_1
    return (
        uint32(uint32(product_1 >> uint64(32)) ^ c1 ^ k0),
        uint32(product_1),
        uint32(uint32(product_0 >> uint64(32)) ^ c3 ^ k1),
        uint32(product_0),
    )


@_inlined
def philox(c0, c1, c2, c3, k0, k1):
    """Four random words of a counter and a key, all uint32."""
    # Ten rounds, unrolled: LLVM does not vectorise the caller's loop around an inner loop.
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
    """Write the 4 q random words of one row; above c3's 32 bits is the number of row 0."""
    c1 = uint32(int64(row) + (int64(c3) >> int64(32)))
    k0, k1, c2, c3 = uint32(k0), uint32(k1), uint32(c2), uint32(c3)
    for i in range(q):
        w0, w1, w2, w3 = philox(uint32(i), c1, c2, c3, k0, k1)
        words[i] = w0
        words[q + i] = w1
        words[2 * q + i] = w2
        words[3 * q + i] = w3


@_inlined
def uniform(word):
    """Convert a random word to a uniform number, float32."""
    return float32(int32(word >> uint32(9))) * float32(2.0**-23) + float32(2.0**-24)


def exp(x):
    """The exponential in compiled loops, for either precision."""
    return math.exp(x)


@overload(exp, inline="always")
def _compile_exp(x):
    """Exponential of a clamped argument: a vectorising polynomial for float32, else libm's."""
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
def binary_row(x, bias, words, scale, low):
    """Overwrite a row of inputs with states 1 or ``low``."""
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
        binary_row(x[row], bias, words, scale, low)


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


@_inlined
def unit(word):
    """(k + 1/2) / 2**32 for a word k, in float64; goes via int32, whose conversion vectorises."""
    return (float64(int32(word ^ uint32(0x80000000))) + 2147483648.5) * 2.0**-32


@_inlined
def log(x):
    """Logarithm of a normal float64 in (0, 1) by Cephes, error about 1e-16; avoids calling libm."""
    bits = np.float64(x).view(np.int64)
    e = float64(int32(bits >> 52) - int32(1022))
    m = np.int64((bits & 0xFFFFFFFFFFFFF) | 0x3FE0000000000000).view(np.float64)
    small = m < 0.70710678118654752440
    e = e - 1.0 if small else e
    x = 2.0 * m - 1.0 if small else m - 1.0
    p = 1.01875663804580931796e-4 * x + 4.97494994976747001425e-1
    p = (p * x + 4.70579119878881725854) * x + 1.44989225341610930846e1
    p = (p * x + 1.79368678507819816313e1) * x + 7.70838733755885391666
    d = (x + 1.12873587189167450590e1) * x + 4.52279145837532221105e1
    d = (d * x + 8.29875266912776603211e1) * x + 7.11544750618563894466e1
    d = d * x + 2.31251620126765340583e1
    z = x * x
    y = x * (z * p / d) - e * 2.121944400546905827679e-4 - 0.5 * z
    return x + y + e * 0.693359375


@_inlined
def _turn(t):
    """Cosine and sine of 2 pi t for t in (0, 1), by Cephes, reduced to an eighth of a turn."""
    k = np.floor(4.0 * t + 0.5)
    x = (2.0 * math.pi) * (t - 0.25 * k)
    z = x * x
    p = 1.58962301576546568060e-10 * z - 2.50507477628578072866e-8
    p = (p * z + 2.75573136213857245213e-6) * z - 1.98412698295895385996e-4
    p = (p * z + 8.33333333332211858878e-3) * z - 1.66666666666666307295e-1
    sine = x + x * z * p
    p = -1.13585365213876817300e-11 * z + 2.08757008419747316778e-9
    p = (p * z - 2.75573141792967388112e-7) * z + 2.48015872888517045348e-5
    p = (p * z - 1.38888888888730564116e-3) * z + 4.16666666666665929218e-2
    cosine = 1.0 - 0.5 * z + z * z * p
    odd = k == 1.0 or k == 3.0
    c = sine if odd else cosine
    s = cosine if odd else sine
    return (-c if k == 1.0 or k == 2.0 else c), (-s if k == 2.0 or k == 3.0 else s)


@serial
def _normal_pairs(for_radius, for_angle, first, second):
    """Box-Muller."""
    for i in range(first.size):
        radius = math.sqrt(-2.0 * log(unit(for_radius[i])))
        cosine, sine = _turn(unit(for_angle[i]))
        first[i] = radius * cosine
        second[i] = radius * sine


@serial
def _gaussian_row(x, bias, precision, spread, noise):
    for j in range(x.size):
        x[j] = (x[j] + bias[j]) / precision[j] + x.dtype.type(noise[j]) * spread[j]


@serial
def _gaussian_rows(x, bias, precision, start, stop, k0, k1, c2, c3):
    q = (x.shape[1] + 3) // 4
    words, noise = np.empty(4 * q, np.uint32), np.empty(4 * q)
    spread = x.dtype.type(1) / np.sqrt(precision)
    for row in range(start, stop):
        fill_words(words, q, row, k0, k1, c2, c3)
        for half in range(2):
            w, z = words[2 * half * q :], noise[2 * half * q :]
            _normal_pairs(w[:q], w[q : 2 * q], z[:q], z[q : 2 * q])
        _gaussian_row(x[row], bias, precision, spread, noise)


@parallel
def _gaussian_blocks(x, bias, precision, k0, k1, c2, c3, n_blocks):
    rows = x.shape[0]
    for b in prange(n_blocks):
        start, stop = rows * b // n_blocks, rows * (b + 1) // n_blocks
        _gaussian_rows(x, bias, precision, start, stop, k0, k1, c2, c3)


def draw_with(
    serial: Any,
    parallel: Any,
    states: np.ndarray[Any, Any],
    arguments: tuple[Any, ...],
    stream: Stream,
) -> None:
    """Run a kernel on this thread, or on as many threads as torch uses for its products."""
    rows = len(states)
    n_blocks = min(worthwhile_threads(states.size), rows)
    if n_blocks <= 1:
        serial(states, *arguments, 0, rows, *stream.take())
    else:
        run(n_blocks, parallel, states, *arguments, *stream.take(), n_blocks)


def words(n: int, stream: Stream) -> Tensor:
    """One draw of ``n`` random words in [0, 2**32) as int64, shape (n,)."""
    q = -(-n // 4)
    drawn = np.empty(4 * q, np.uint32)
    fill_words(drawn, q, 0, *stream.take())
    return torch.from_numpy(drawn[:n].astype(np.int64))


def uniform_(out: Tensor, stream: Stream) -> None:
    """Fill ``out`` with uniform numbers in (0, 1)."""
    draw_with(_uniform_rows, _uniform_blocks, array(out), (), stream)


def binary_(inputs: Tensor, bias: Tensor, stream: Stream) -> None:
    """State 1 where the uniform number is below sigmoid(inputs + bias), else 0."""
    states = array(inputs)
    kind = states.dtype.type
    draw_with(_binary_rows, _binary_blocks, states, (row_major(bias), kind(1), kind(0)), stream)


def spin_(inputs: Tensor, bias: Tensor, stream: Stream) -> None:
    """State 1 where the uniform number is below sigmoid(2 (inputs + bias)), else -1."""
    states = array(inputs)
    kind = states.dtype.type
    draw_with(_binary_rows, _binary_blocks, states, (row_major(bias), kind(2), kind(-1)), stream)


def gaussian_(inputs: Tensor, bias: Tensor, precision: Tensor, stream: Stream) -> None:
    """Normal states of mean (inputs + bias) / precision and variance 1 / precision."""
    by_column = row_major(bias), row_major(precision)
    draw_with(_gaussian_rows, _gaussian_blocks, array(inputs), by_column, stream)
