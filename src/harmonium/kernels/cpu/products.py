"""Products that skip zeros, fused with what follows while data are in the cache."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numba import int32, njit, prange, uint64
from torch import Tensor

from harmonium import ranks
from harmonium.kernels import reference, threads
from harmonium.kernels.cpu.common import (
    array,
    find,
    parallel,
    row_major,
    run,
    serial,
    trailing_zeros,
    worthwhile_threads,
)
from harmonium.kernels.cpu.draws import exp, fill_words, uniform
from harmonium.kernels.cpu.one_hot_products import one_hot_moments_, one_hot_product
from harmonium.rng import Stream

# Skipping zeros is worthwhile if at most this share of the states is non-zero, and if there is
# enough to multiply (docs/decisions/0003-products-skip-zeros.md).
_SPARSE_UP_TO = 0.2
_SPARSE_FROM = 4_000_000
_LOOK_AT_ROWS = 8

# Number of partial sums, the same for any number of threads, so that totals are the same.
_BLOCKS = 16


@serial
def _add_rows(total, index, factors, n, rows):
    """Add up ``n`` rows times their factors; eight at once save loads and stores of the total."""
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
        _add_rows(out[row], index, factors, find(x[row], is_on, index, factors), weights)


@parallel
def _sparse_product(x, weights, out, n_blocks):
    rows = x.shape[0]
    for b in prange(n_blocks):
        start, stop = rows * b // n_blocks, rows * (b + 1) // n_blocks
        _sparse_product_rows(x, weights, out, start, stop)


@serial
def _binary_layer_row(x, bias, out, words, draws):
    """Turn inputs into means; with ``draws``, also draw states as `draws.binary_` does."""
    one = x.dtype.type(1)
    for j in range(x.size):
        x[j] = one + exp(-(x[j] + bias[j]))
    if draws:
        for j in range(x.size):
            out[j] = one if x.dtype.type(uniform(words[j])) * x[j] < one else x.dtype.type(0)
    for j in range(x.size):
        x[j] = one / x[j]


@serial
def _binary_layer_rows(inputs, bias, out, draws, start, stop, k0, k1, c2, c3):
    q = (inputs.shape[1] + 3) // 4
    words = np.empty(4 * q, np.uint32)
    for row in range(start, stop):
        if draws:
            fill_words(words, q, row, k0, k1, c2, c3)
        _binary_layer_row(inputs[row], bias, out[row], words, draws)


@parallel
def _binary_layer(inputs, bias, out, draws, k0, k1, c2, c3, n_blocks):
    rows = inputs.shape[0]
    for b in prange(n_blocks):
        start, stop = rows * b // n_blocks, rows * (b + 1) // n_blocks
        _binary_layer_rows(inputs, bias, out, draws, start, stop, k0, k1, c2, c3)


# a separate loop: compiling it takes seconds, which dense data should not wait for
@parallel
def _sparse_binary_layer(v, weights, inputs, bias, out, draws, k0, k1, c2, c3, n_blocks):
    rows = inputs.shape[0]
    for b in prange(n_blocks):
        start, stop = rows * b // n_blocks, rows * (b + 1) // n_blocks
        _sparse_product_rows(v, weights, inputs, start, stop)
        _binary_layer_rows(inputs, bias, out, draws, start, stop, k0, k1, c2, c3)


@serial
def _add_moments(out, v, h, scale, start, stop, words, index, factors):
    """Add a phase's moments: for each visible unit, add the rows of h in which it is on.

    A word holds one unit's states in 64 rows, one bit each.
    """
    for first in range(0, v.shape[0], 64):
        hidden = h[first : first + 64]
        words[:] = 0
        for row in range(hidden.shape[0]):
            states, bit = v[first + row, start:stop], uint64(1) << uint64(row)
            for i in range(words.size):
                words[i] |= bit if states[i] != 0 else uint64(0)
        for i in range(words.size):
            word, n = words[i], 0
            while word != 0:
                row = int32(trailing_zeros(word))
                index[n], factors[n] = row, scale * v[first + row, start + i]
                n += 1
                word &= word - uint64(1)
            _add_rows(out[start + i], index, factors, n, hidden)


@serial
def _sparse_moments_of_units(out, v, h, scale, v_other, h_other, scale_other, start, stop):
    out[start:stop] = 0
    words = np.empty(stop - start, np.uint64)
    index, factors = np.empty(64, np.int32), np.empty(64, out.dtype)
    _add_moments(out, v, h, scale, start, stop, words, index, factors)
    _add_moments(out, v_other, h_other, scale_other, start, stop, words, index, factors)


@parallel
def _sparse_moments(out, v, h, scale, v_other, h_other, scale_other, first, last, n_blocks):
    n = last - first
    for b in prange(n_blocks):
        start, stop = first + n * b // n_blocks, first + n * (b + 1) // n_blocks
        _sparse_moments_of_units(out, v, h, scale, v_other, h_other, scale_other, start, stop)


# sums in any order, so that LLVM can vectorise them
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


@serial
def _sum_columns(x, total, start, stop):
    part = total[start:stop]
    part[:] = 0
    for row in range(x.shape[0]):
        values = x[row, start:stop]
        for j in range(part.size):
            part[j] += values[j]


@serial
def _bias_columns(data, chains, bias, offset, rate, scale, start, stop):
    """Compute the plain gradient by some biases, and move their offsets to the data's means."""
    means = np.empty(stop - start, bias.dtype)
    _sum_columns(data, bias, start, stop)
    for j in range(means.size):
        means[j] = bias[start + j] / data.shape[0]
    _sum_columns(chains, bias, start, stop)
    gradient, average = bias[start:stop], offset[start:stop]
    for j in range(means.size):
        gradient[j] = scale * (gradient[j] / chains.shape[0] - means[j])
        average[j] += rate * (means[j] - average[j])


@serial
def _finish_centring(b, to_b):
    for k in range(to_b.shape[0]):
        for j in range(b.size):
            b[j] -= to_b[k, j]


@parallel
def _biases(v, h, v_other, h_other, a, b, mu, lam, rate, scale, n_blocks):
    n, m = a.size, b.size
    for k in prange(n_blocks):
        start, stop = n * k // n_blocks, n * (k + 1) // n_blocks
        _bias_columns(v, v_other, a, mu, rate, scale, start, stop)
        start, stop = m * k // n_blocks, m * (k + 1) // n_blocks
        _bias_columns(h, h_other, b, lam, rate, scale, start, stop)


@parallel
def _centre_blocks(weights, a, b, mu, lam, n_blocks):
    rows, columns = weights.shape
    to_b = np.zeros((n_blocks, columns), weights.dtype)
    for k in prange(n_blocks):
        start, stop = rows * k // n_blocks, rows * (k + 1) // n_blocks
        _centre_rows(weights, a, b, mu, lam, to_b[k], start, stop)
    _finish_centring(b, to_b)


@parallel
def _sparse_centred_gradient(
    out, v, h, of_data, v_other, h_other, of_chains, a, b, mu, lam, rate, scale, n_blocks
):
    n, m = out.shape
    to_b = np.zeros((n_blocks, m), out.dtype)
    _biases(v, h, v_other, h_other, a, b, mu, lam, rate, scale, n_blocks)
    for k in prange(n_blocks):
        start, stop = n * k // n_blocks, n * (k + 1) // n_blocks
        _sparse_moments_of_units(out, v, h, of_data, v_other, h_other, of_chains, start, stop)
        _centre_rows(out, a, b, mu, lam, to_b[k], start, stop)
    _finish_centring(b, to_b)


@serial
def _are_few_on(few, share):
    n = 0
    for row in few:
        for j in range(row.size):
            n += row[j] != 0
    return n <= share * few.size


def _is_sparse(states: np.ndarray[Any, Any], n_columns: int) -> bool:
    """Whether skipping zeros is worthwhile, judged by the first rows: rows are in random order."""
    size = ranks.whole(len(states)) * states.shape[1] * n_columns
    if size < _SPARSE_FROM or not states.flags.c_contiguous:
        return False
    return ranks.agreed(_are_few_on(states[:_LOOK_AT_ROWS], _SPARSE_UP_TO), by_first=True)


def product(states: Tensor, weights: Tensor, out: Tensor, n_categories: int | None) -> None:
    """``states @ weights``; if most states are zero, adds the weights of the non-zero ones."""
    if n_categories is not None and one_hot_product(states, weights, n_categories, out):
        return
    x = array(states)
    if _is_sparse(x, weights.shape[1]) and weights.is_contiguous() and out.is_contiguous():
        n_threads = torch.get_num_threads()
        arrays = x, array(weights), array(out)
        run(n_threads, _sparse_product, *arrays, n_threads)
    else:
        threads.mm(states, weights, out=out)


def binary_layer(
    states: Tensor,
    weights: Tensor,
    bias: Tensor,
    out: Tensor | None,
    stream: Stream | None,
    n_categories: int | None,
) -> Tensor:
    """Means and, with a stream, a draw, in the pass that makes the inputs or in a second one."""
    mean = states.new_empty(states.shape[0], weights.shape[1])
    v, m = array(states), mean.numpy()
    # inputs share the memory of the means
    layer = (m, row_major(bias), m if out is None else out.numpy(), stream is not None)
    draw = (0, 0, 0, 0) if stream is None else stream.take()
    n_blocks = min(worthwhile_threads(m.size), len(m))
    if n_categories is None or not one_hot_product(states, weights, n_categories, mean):
        if _is_sparse(v, m.shape[1]) and weights.is_contiguous():
            w = array(weights)
            run(n_blocks, _sparse_binary_layer, v, w, *layer, *draw, n_blocks)
            return mean
        threads.mm(states, weights, out=mean)
    if n_blocks <= 1:
        _binary_layer_rows(*layer, 0, len(m), *draw)
    else:
        run(n_blocks, _binary_layer, *layer, *draw, n_blocks)
    return mean


def _phases(
    out: Tensor, data: tuple[Tensor, Tensor], chains: tuple[Tensor, Tensor], scale: float
) -> tuple[Any, ...] | None:
    """Arrays and factors of both phases, if both are sparse enough to skip zeros."""
    arrays = [array(tensor) for tensor in (out, *data, *chains)]
    gradient, v, h, v_other, h_other = arrays
    columns = gradient.shape[1]
    if (
        any(x.dtype != gradient.dtype for x in arrays)
        or not (gradient.flags.c_contiguous and h.flags.c_contiguous and h_other.flags.c_contiguous)
        or not (_is_sparse(v, columns) and _is_sparse(v_other, columns))
    ):
        return None
    kind = gradient.dtype.type
    return gradient, v, h, kind(-scale / len(v)), v_other, h_other, kind(scale / len(v_other))


def moments_(
    out: Tensor,
    data: tuple[Tensor, Tensor],
    chains: tuple[Tensor, Tensor],
    scale: float,
    n_categories: int | None,
) -> None:
    """Mean outer products of both phases; one pass over ``out`` if both are sparse."""
    if n_categories is not None and one_hot_moments_(out, data, chains, scale, n_categories):
        return
    phases = _phases(out, data, chains, scale)
    if phases is None:
        reference.moments_(out, data, chains, scale)
    else:
        _shared_moments(out, phases)


def _shared_moments(out: Tensor, phases: tuple[Any, ...]) -> None:
    """Skip zeros; each rank adds up some lines of the result."""
    lines = ranks.lines(len(out), out.numel() * (len(phases[1]) + len(phases[4])))
    own = lines[min(ranks.rank(), len(lines) - 1)]
    run(torch.get_num_threads(), _sparse_moments, *phases, own.start, own.stop, _BLOCKS)
    ranks.gather_((out, lines))


def centred_gradient_(
    out: Tensor,
    data: tuple[Tensor, Tensor],
    chains: tuple[Tensor, Tensor],
    biases: tuple[Tensor, Tensor],
    offsets: tuple[Tensor, Tensor],
    rate: float,
    scale: float,
    n_categories: int | None,
) -> None:
    """Everything in one loop if both phases are sparse, else around the two products."""
    by_bias = [array(tensor) for tensor in (*biases, *offsets)]
    kind = by_bias[0].dtype.type
    rates = kind(rate), kind(scale)
    if n_categories is not None:
        means = one_hot_moments_(out, data, chains, scale, n_categories)
        if means is not None:
            (of_data, of_chains), (a, b, mu, lam) = means, by_bias
            a[:] = rates[1] * (of_chains - of_data)
            mu += rates[0] * (of_data - mu)
            h, h_other = row_major(data[1]), row_major(chains[1])
            _bias_columns(h, h_other, b, lam, *rates, 0, b.size)
            run(worthwhile_threads(out.numel()), _centre_blocks, array(out), *by_bias, _BLOCKS)
            return
    phases = _phases(out, data, chains, scale)
    if phases is not None and not ranks.are_together():
        loop = _sparse_centred_gradient
        run(torch.get_num_threads(), loop, *phases, *by_bias, *rates, _BLOCKS)
    else:
        states = [row_major(tensor) for tensor in (*data, *chains)]
        n_threads = worthwhile_threads(sum(x.size for x in states))
        run(n_threads, _biases, *states, *by_bias, *rates, n_threads)
        if phases is None:
            reference.moments_(out, data, chains, scale)
        else:
            _shared_moments(out, phases)
        n_threads = worthwhile_threads(out.numel())
        run(n_threads, _centre_blocks, array(out), *by_bias, _BLOCKS)
