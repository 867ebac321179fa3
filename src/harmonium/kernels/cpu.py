"""What Numba compiles for the CPU: draws in one pass, products that skip zeros, centring.

The draws give the same bits as `reference`, on any number of threads: each thread takes a block
of rows, and a row's numbers depend on nothing else. Everything compiled stands in this one file,
because Numba's cache on disk watches one file a function.
"""

from __future__ import annotations

import math
import threading
from typing import Any

import numba
import numpy as np
import torch
from numba import float32, int32, njit, prange, uint32, uint64
from numba.extending import overload
from torch import Tensor

from harmonium.kernels import reference
from harmonium.rng import Stream

# Below this many numbers, waking the other threads costs more than they save
# (docs/design-notes.md, "The draw").
_PARALLEL_FROM = 8_192

# Numba's portable threading layer must not be entered from two threads at once.
_one_parallel_region = threading.Lock()

# Skipping zeros pays where at most this share of the states is not zero, and where there is
# enough to multiply (docs/design-notes.md, "Products that skip zeros").
_SPARSE_UP_TO = 0.2
_SPARSE_FROM = 4_000_000
_LOOK_AT_ROWS = 8
_LEAST_COLUMNS = 128

# As many partial sums on any number of threads, so that their total is the same.
_CENTRE_BLOCKS = 16

_serial = njit(cache=True, nogil=True, error_model="numpy")
_parallel = njit(cache=True, nogil=True, error_model="numpy", parallel=True)
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


@_serial
def _fill_words(words, q, row, k0, k1, c2, c3):
    """Write the 4 q random words of one row."""
    k0, k1, c1, c2, c3 = uint32(k0), uint32(k1), uint32(row), uint32(c2), uint32(c3)
    for i in range(q):
        w0, w1, w2, w3 = _philox(uint32(i), c1, c2, c3, k0, k1)
        words[i] = w0
        words[q + i] = w1
        words[2 * q + i] = w2
        words[3 * q + i] = w3


@_inlined
def _uniform(word):
    return float32(int32(word >> uint32(9))) * float32(2.0**-23) + float32(2.0**-24)


def _exp(x):
    return math.exp(x)


@overload(_exp, inline="always")
def _compile_exp(x):
    """Exponential of a clamped argument: a polynomial that vectorises in float32, libm's else."""
    if x != numba.types.float32:
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


@_serial
def _binary_row(x, bias, words, scale, low):
    # u < 1 / (1 + exp(-x)) without the division
    one = x.dtype.type(1)
    for j in range(x.size):
        up = x.dtype.type(_uniform(words[j])) * (one + _exp(-scale * (x[j] + bias[j]))) < one
        x[j] = one if up else low


@_serial
def _binary_rows(x, bias, scale, low, start, stop, k0, k1, c2, c3):
    q = (x.shape[1] + 3) // 4
    words = np.empty(4 * q, np.uint32)
    for row in range(start, stop):
        _fill_words(words, q, row, k0, k1, c2, c3)
        _binary_row(x[row], bias, words, scale, low)


@_parallel
def _binary_blocks(x, bias, scale, low, k0, k1, c2, c3, n_blocks):
    rows = x.shape[0]
    for b in prange(n_blocks):
        start, stop = rows * b // n_blocks, rows * (b + 1) // n_blocks
        _binary_rows(x, bias, scale, low, start, stop, k0, k1, c2, c3)


@_serial
def _uniform_rows(x, start, stop, k0, k1, c2, c3):
    q = (x.shape[1] + 3) // 4
    words = np.empty(4 * q, np.uint32)
    for row in range(start, stop):
        _fill_words(words, q, row, k0, k1, c2, c3)
        for j in range(x.shape[1]):
            x[row, j] = _uniform(words[j])


@_parallel
def _uniform_blocks(x, k0, k1, c2, c3, n_blocks):
    rows = x.shape[0]
    for b in prange(n_blocks):
        _uniform_rows(x, rows * b // n_blocks, rows * (b + 1) // n_blocks, k0, k1, c2, c3)


@_serial
def _gaussian_rows(x, bias, precision, start, stop, k0, k1, c2, c3):
    n = x.shape[1]
    q = (n + 3) // 4
    words = np.empty(4 * q, np.uint32)
    noise = np.empty(4 * q)
    for row in range(start, stop):
        _fill_words(words, q, row, k0, k1, c2, c3)
        for half in range(2):
            for i in range(2 * half * q, 2 * half * q + q):
                radius = math.sqrt(-2.0 * math.log((words[i] + 0.5) * 2.0**-32))
                angle = (2.0 * math.pi) * ((words[q + i] + 0.5) * 2.0**-32)
                noise[i] = radius * math.cos(angle)
                noise[q + i] = radius * math.sin(angle)
        for j in range(n):
            deviation = x.dtype.type(noise[j]) / np.sqrt(precision[j])
            x[row, j] = (x[row, j] + bias[j]) / precision[j] + deviation


@_parallel
def _gaussian_blocks(x, bias, precision, k0, k1, c2, c3, n_blocks):
    rows = x.shape[0]
    for b in prange(n_blocks):
        start, stop = rows * b // n_blocks, rows * (b + 1) // n_blocks
        _gaussian_rows(x, bias, precision, start, stop, k0, k1, c2, c3)


@_serial
def _categorical_rows(x, bias, n_categories, start, stop, k0, k1, c2, c3):
    n_units = x.shape[1] // n_categories
    q = (n_units + 3) // 4
    words = np.empty(4 * q, np.uint32)
    for row in range(start, stop):
        _fill_words(words, q, row, k0, k1, c2, c3)
        for unit in range(n_units):
            first = unit * n_categories
            highest = x[row, first] + bias[first]
            for j in range(first + 1, first + n_categories):
                highest = max(highest, x[row, j] + bias[j])
            total = x.dtype.type(0)
            for j in range(first, first + n_categories):
                total += _exp(x[row, j] + bias[j] - highest)
                x[row, j] = total  # the cumulative weights, until the category is known
            threshold = x.dtype.type(_uniform(words[unit])) * total
            category = 0
            while category < n_categories - 1 and threshold >= x[row, first + category]:
                category += 1
            for j in range(n_categories):
                x[row, first + j] = x.dtype.type(1) if j == category else x.dtype.type(0)


@_parallel
def _categorical_blocks(x, bias, n_categories, k0, k1, c2, c3, n_blocks):
    rows = x.shape[0]
    for b in prange(n_blocks):
        start, stop = rows * b // n_blocks, rows * (b + 1) // n_blocks
        _categorical_rows(x, bias, n_categories, start, stop, k0, k1, c2, c3)


@_serial
def _find_rows(x, index, count, start, stop):
    """Write where each row is not zero, and how often."""
    for row in range(start, stop):
        k = 0
        for i in range(x.shape[1]):
            index[row, k] = i
            k += 1 if x[row, i] != 0 else 0
        count[row] = k


@_serial
def _add_rows(total, factors, index, n, rows, first, last):
    """Add up rows times factors, columns ``first`` to ``last``; four at once spare loads."""
    k = 0
    while k + 4 <= n:
        i0, i1, i2, i3 = index[k], index[k + 1], index[k + 2], index[k + 3]
        f0, f1, f2, f3 = factors[i0], factors[i1], factors[i2], factors[i3]
        r0, r1 = rows[i0, first:last], rows[i1, first:last]
        r2, r3 = rows[i2, first:last], rows[i3, first:last]
        for j in range(last - first):
            total[j] += (f0 * r0[j] + f1 * r1[j]) + (f2 * r2[j] + f3 * r3[j])
        k += 4
    while k < n:
        factor, row = factors[index[k]], rows[index[k], first:last]
        for j in range(last - first):
            total[j] += factor * row[j]
        k += 1


@_serial
def _sparse_product_block(x, index, count, weights, out, start, stop, first, last):
    total = np.empty(last - first, weights.dtype)
    for row in range(start, stop):
        total[:] = 0
        _add_rows(total, x[row], index[row], count[row], weights, first, last)
        out[row, first:last] = total


@_parallel
def _sparse_product(x, weights, out, n_row_blocks, n_column_blocks):
    rows, columns = out.shape
    index = np.empty((rows, x.shape[1] + 1), np.int32)
    count = np.empty(rows, np.int32)
    n_blocks = n_row_blocks * n_column_blocks
    for b in prange(n_blocks):
        _find_rows(x, index, count, rows * b // n_blocks, rows * (b + 1) // n_blocks)
    for b in prange(n_blocks):
        r, c = b // n_column_blocks, b % n_column_blocks
        start, stop = rows * r // n_row_blocks, rows * (r + 1) // n_row_blocks
        first, last = columns * c // n_column_blocks, columns * (c + 1) // n_column_blocks
        _sparse_product_block(x, index, count, weights, out, start, stop, first, last)


@_serial
def _add_moments(total, v, h, unit, scale, index, factors):
    k = 0
    for row in range(v.shape[0]):
        factors[row] = scale * v[row, unit]
        index[k] = row
        k += 1 if v[row, unit] != 0 else 0
    _add_rows(total, factors, index, k, h, 0, h.shape[1])


@_serial
def _sparse_moments_rows(out, v, h, scale, v_other, h_other, scale_other, start, stop):
    most = max(v.shape[0], v_other.shape[0])
    index, factors = np.empty(most + 1, np.int32), np.empty(most, out.dtype)
    total = np.empty(out.shape[1], out.dtype)
    for unit in range(start, stop):
        total[:] = 0
        _add_moments(total, v, h, unit, scale, index, factors)
        _add_moments(total, v_other, h_other, unit, scale_other, index, factors)
        out[unit] = total


@_parallel
def _sparse_moments(out, v, h, scale, v_other, h_other, scale_other, n_blocks):
    n = out.shape[0]
    for b in prange(n_blocks):
        start, stop = n * b // n_blocks, n * (b + 1) // n_blocks
        _sparse_moments_rows(out, v, h, scale, v_other, h_other, scale_other, start, stop)


# sums in any order, which is what lets LLVM vectorise them
@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc"})
def _centre_rows(weights, a, b, mu, lam, to_b, start, stop):
    for i in range(start, stop):
        mu_i, a_i = mu[i], a[i]
        to_a = weights.dtype.type(0)
        for j in range(weights.shape[1]):
            g = weights[i, j] - mu_i * b[j] - a_i * lam[j]
            weights[i, j] = g
            to_a += g * lam[j]
            to_b[j] += mu_i * g
        a[i] = a_i - to_a


@_parallel
def _centre_blocks(weights, a, b, mu, lam, n_blocks):
    rows, columns = weights.shape
    to_b = np.zeros((n_blocks, columns), weights.dtype)
    for k in prange(n_blocks):
        start, stop = rows * k // n_blocks, rows * (k + 1) // n_blocks
        _centre_rows(weights, a, b, mu, lam, to_b[k], start, stop)
    for k in range(n_blocks):
        for j in range(columns):
            b[j] -= to_b[k, j]


def _draw(
    serial: Any, parallel: Any, x: Tensor, arguments: tuple[Any, ...], stream: Stream
) -> None:
    """Run a kernel on this thread or on as many as torch uses for its products."""
    array = x.detach().numpy()
    rows = x.shape[0]
    n_blocks = min(_worthwhile_threads(x.numel()), rows)
    if n_blocks <= 1:
        serial(array, *arguments, 0, rows, *stream.take())
    else:
        _run(n_blocks, parallel, array, *arguments, *stream.take(), n_blocks)


def _worthwhile_threads(n_numbers: int) -> int:
    """As many threads as torch uses for its products, or one where there is little to do."""
    return torch.get_num_threads() if n_numbers >= _PARALLEL_FROM else 1


def _run(n_threads: int, parallel: Any, *arguments: Any) -> None:
    """Run on so many threads: others would be woken for nothing, and wait."""
    with _one_parallel_region:
        of_torch = torch.get_num_threads()
        most = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
        numba.set_num_threads(min(n_threads, most))
        if torch.get_num_threads() != of_torch:
            # the first call has started OpenMP's threads, which are torch's, in Numba's number
            torch.set_num_threads(of_torch)
        parallel(*arguments)


def _array(tensor: Tensor) -> np.ndarray[Any, Any]:
    return tensor.detach().contiguous().numpy()


def uniform_(out: Tensor, stream: Stream) -> None:
    """Fill ``out`` with uniform numbers in (0, 1)."""
    _draw(_uniform_rows, _uniform_blocks, out, (), stream)


def binary_(inputs: Tensor, bias: Tensor, stream: Stream) -> None:
    """State 1 where the uniform number is below sigmoid(inputs + bias), else 0."""
    kind = inputs.detach().numpy().dtype.type
    _draw(_binary_rows, _binary_blocks, inputs, (_array(bias), kind(1), kind(0)), stream)


def spin_(inputs: Tensor, bias: Tensor, stream: Stream) -> None:
    """State 1 where the uniform number is below sigmoid(2 (inputs + bias)), else -1."""
    kind = inputs.detach().numpy().dtype.type
    _draw(_binary_rows, _binary_blocks, inputs, (_array(bias), kind(2), kind(-1)), stream)


def gaussian_(inputs: Tensor, bias: Tensor, precision: Tensor, stream: Stream) -> None:
    """Normal states of mean (inputs + bias) / precision and variance 1 / precision."""
    _draw(_gaussian_rows, _gaussian_blocks, inputs, (_array(bias), _array(precision)), stream)


def categorical_(inputs: Tensor, bias: Tensor, n_categories: int, stream: Stream) -> None:
    """One-hot groups of ``n_categories`` columns."""
    _draw(_categorical_rows, _categorical_blocks, inputs, (_array(bias), n_categories), stream)


def _is_sparse(states: Tensor, n_columns: int) -> bool:
    """Whether skipping zeros pays, as the first rows have it: rows are in random order."""
    if states.numel() * n_columns < _SPARSE_FROM or not states.is_contiguous():
        return False
    few = states[:_LOOK_AT_ROWS]
    return int(few.count_nonzero()) <= _SPARSE_UP_TO * few.numel()


def product(states: Tensor, weights: Tensor, out: Tensor) -> None:
    """``states @ weights``; where most states are zero, what is not is looked up and added."""
    columns = weights.shape[1]
    if not (_is_sparse(states, columns) and weights.is_contiguous() and out.is_contiguous()):
        torch.mm(states, weights, out=out)
        return
    n_threads = torch.get_num_threads()
    n_column_blocks = max(1, min(n_threads, columns // _LEAST_COLUMNS))
    n_row_blocks = -(-n_threads // n_column_blocks)
    arrays = [tensor.detach().numpy() for tensor in (states, weights, out)]
    _run(n_threads, _sparse_product, *arrays, n_row_blocks, n_column_blocks)


def moments_(
    out: Tensor, data: tuple[Tensor, Tensor], chains: tuple[Tensor, Tensor], scale: float
) -> None:
    """Mean outer products of two phases in one pass over ``out`` where both are sparse."""
    both = (*data, *chains)
    if not (
        all(_is_sparse(v, h.shape[1]) and h.is_contiguous() for v, h in (data, chains))
        and all(tensor.dtype == out.dtype for tensor in both)
        and out.is_contiguous()
    ):
        reference.moments_(out, data, chains, scale)
        return
    gradient = out.detach().numpy()
    v, h, v_other, h_other = (tensor.detach().numpy() for tensor in both)
    kind = gradient.dtype.type
    of_data, of_chains = kind(-scale / len(v)), kind(scale / len(v_other))
    phases = (v, h, of_data, v_other, h_other, of_chains)
    n_threads = torch.get_num_threads()
    _run(n_threads, _sparse_moments, gradient, *phases, n_threads)


def centre_(weights: Tensor, a: Tensor, b: Tensor, mu: Tensor, lam: Tensor) -> None:
    """The centred gradient in one pass over the weights."""
    arrays = [tensor.detach().numpy() for tensor in (weights, a, b, mu, lam)]
    _run(_worthwhile_threads(weights.numel()), _centre_blocks, *arrays, _CENTRE_BLOCKS)
