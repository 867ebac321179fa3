"""Products that skip zeros, and the centred gradient.

Compiled functions that call each other stand in one file, because Numba's cache on disk watches
one file a function.
"""

from __future__ import annotations

import numpy as np
import torch
from numba import int32, njit, prange, uint64
from torch import Tensor

from harmonium.kernels import reference
from harmonium.kernels.cpu.common import (
    parallel,
    run,
    serial,
    trailing_zeros,
    worthwhile_threads,
)

# Skipping zeros pays where at most this share of the states is not zero, and where there is
# enough to multiply (docs/design-notes.md, "Products that skip zeros").
_SPARSE_UP_TO = 0.2
_SPARSE_FROM = 4_000_000
_LOOK_AT_ROWS = 8

# As many partial sums on any number of threads, so that their total is the same.
_CENTRE_BLOCKS = 16


@serial
def _find(row, is_on, index, factors):
    """List where a row is not zero, and what is there; returns how often.

    ``is_on`` has a byte for each number and zeros up to a whole word.
    """
    for j in range(row.size):
        is_on[j] = row[j] != 0
    words = is_on.view(np.uint64)
    n = 0
    for k in range(words.size):
        word = words[k]
        while word != 0:
            j = 8 * k + int32(trailing_zeros(word) >> uint64(3))
            index[n], factors[n] = j, row[j]
            n += 1
            word &= word - uint64(1)
    return n


@serial
def _add_rows(total, index, factors, n, rows):
    """Add up ``n`` rows times their factors; eight at once spare loads and stores of the total."""
    k = 0
    while k + 8 <= n:
        f0, f1, f2, f3 = factors[k], factors[k + 1], factors[k + 2], factors[k + 3]
        f4, f5, f6, f7 = factors[k + 4], factors[k + 5], factors[k + 6], factors[k + 7]
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
            total[j] += ((f0 * r0[j] + f1 * r1[j]) + (f2 * r2[j] + f3 * r3[j])) + (
                (f4 * r4[j] + f5 * r5[j]) + (f6 * r6[j] + f7 * r7[j])
            )
        k += 8
    if k + 4 <= n:
        f0, f1, f2, f3 = factors[k], factors[k + 1], factors[k + 2], factors[k + 3]
        r0, r1, r2, r3 = (
            rows[index[k]],
            rows[index[k + 1]],
            rows[index[k + 2]],
            rows[index[k + 3]],
        )
        for j in range(total.size):
            total[j] += (f0 * r0[j] + f1 * r1[j]) + (f2 * r2[j] + f3 * r3[j])
        k += 4
    if k + 2 <= n:
        f0, f1 = factors[k], factors[k + 1]
        r0, r1 = rows[index[k]], rows[index[k + 1]]
        for j in range(total.size):
            total[j] += f0 * r0[j] + f1 * r1[j]
        k += 2
    if k < n:
        f0, r0 = factors[k], rows[index[k]]
        for j in range(total.size):
            total[j] += f0 * r0[j]


@serial
def _sparse_product_rows(x, weights, out, start, stop):
    columns = x.shape[1]
    is_on = np.zeros((columns + 7) // 8 * 8, np.uint8)
    index, factors = np.empty(columns, np.int32), np.empty(columns, x.dtype)
    for row in range(start, stop):
        out[row] = 0
        _add_rows(out[row], index, factors, _find(x[row], is_on, index, factors), weights)


@parallel
def _sparse_product(x, weights, out, n_blocks):
    rows = x.shape[0]
    for b in prange(n_blocks):
        start, stop = rows * b // n_blocks, rows * (b + 1) // n_blocks
        _sparse_product_rows(x, weights, out, start, stop)


@serial
def _add_moments(out, v, h, scale, words, index, factors):
    """Add a phase's moments: to each unit's the rows of h in which it is on.

    A word holds one unit's states in 64 rows, a bit for each.
    """
    for first in range(0, v.shape[0], 64):
        rows, hidden = v[first : first + 64], h[first : first + 64]
        words[:] = 0
        for row in range(rows.shape[0]):
            states, bit = rows[row], uint64(1) << uint64(row)
            for i in range(words.size):
                words[i] |= bit if states[i] != 0 else uint64(0)
        for i in range(words.size):
            word, n = words[i], 0
            while word != 0:
                row = int32(trailing_zeros(word))
                index[n], factors[n] = row, scale * rows[row, i]
                n += 1
                word &= word - uint64(1)
            _add_rows(out[i], index, factors, n, hidden)


@serial
def _sparse_moments_of_units(out, v, h, scale, v_other, h_other, scale_other):
    out[:] = 0
    words = np.empty(out.shape[0], np.uint64)
    index, factors = np.empty(64, np.int32), np.empty(64, out.dtype)
    _add_moments(out, v, h, scale, words, index, factors)
    _add_moments(out, v_other, h_other, scale_other, words, index, factors)


@parallel
def _sparse_moments(out, v, h, scale, v_other, h_other, scale_other, n_blocks):
    n = out.shape[0]
    for b in prange(n_blocks):
        start, stop = n * b // n_blocks, n * (b + 1) // n_blocks
        units, others = v[:, start:stop], v_other[:, start:stop]
        _sparse_moments_of_units(out[start:stop], units, h, scale, others, h_other, scale_other)


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


@parallel
def _centre_blocks(weights, a, b, mu, lam, n_blocks):
    rows, columns = weights.shape
    to_b = np.zeros((n_blocks, columns), weights.dtype)
    for k in prange(n_blocks):
        start, stop = rows * k // n_blocks, rows * (k + 1) // n_blocks
        _centre_rows(weights, a, b, mu, lam, to_b[k], start, stop)
    for k in range(n_blocks):
        for j in range(columns):
            b[j] -= to_b[k, j]


def _is_sparse(states: Tensor, n_columns: int) -> bool:
    """Whether skipping zeros pays, as the first rows have it: rows are in random order."""
    if states.numel() * n_columns < _SPARSE_FROM or not states.is_contiguous():
        return False
    few = states[:_LOOK_AT_ROWS]
    return int(few.count_nonzero()) <= _SPARSE_UP_TO * few.numel()


def product(states: Tensor, weights: Tensor, out: Tensor) -> None:
    """``states @ weights``; where most states are zero, what is not is looked up and added."""
    if not (
        _is_sparse(states, weights.shape[1]) and weights.is_contiguous() and out.is_contiguous()
    ):
        torch.mm(states, weights, out=out)
        return
    n_threads = torch.get_num_threads()
    arrays = [tensor.detach().numpy() for tensor in (states, weights, out)]
    run(n_threads, _sparse_product, *arrays, n_threads)


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
    run(n_threads, _sparse_moments, gradient, *phases, n_threads)


def centre_(weights: Tensor, a: Tensor, b: Tensor, mu: Tensor, lam: Tensor) -> None:
    """The centred gradient in one pass over the weights."""
    arrays = [tensor.detach().numpy() for tensor in (weights, a, b, mu, lam)]
    run(worthwhile_threads(weights.numel()), _centre_blocks, *arrays, _CENTRE_BLOCKS)
