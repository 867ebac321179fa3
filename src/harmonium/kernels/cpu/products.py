"""Products that skip zeros, means, the centred gradient and the descent along it.

Compiled functions that call each other stand in one file, because Numba's cache on disk watches
one file a function.
"""

from __future__ import annotations

import numpy as np
import torch
from numba import njit, prange
from torch import Tensor

from harmonium.kernels import reference
from harmonium.kernels.cpu.threads import parallel, run, serial, worthwhile_threads

# Skipping zeros pays where at most this share of the states is not zero, and where there is
# enough to multiply (docs/design-notes.md, "Products that skip zeros").
_SPARSE_UP_TO = 0.2
_SPARSE_FROM = 4_000_000
_LOOK_AT_ROWS = 8

# As many partial sums on any number of threads, so that their total is the same.
_CENTRE_BLOCKS = 16

# Units whose rows are listed at once: their lists stay in the first-level cache.
_UNITS_AT_ONCE = 64


@serial
def _find(row, index, factors):
    """List where a row is not zero, and what is there; returns how often."""
    n = 0
    for first in range(0, row.size - 3, 4):
        # four at once: most of a picture is margin
        if row[first] != 0 or row[first + 1] != 0 or row[first + 2] != 0 or row[first + 3] != 0:
            for j in range(first, first + 4):
                index[n], factors[n] = j, row[j]
                n += 1 if row[j] != 0 else 0
    for j in range(row.size - row.size % 4, row.size):
        index[n], factors[n] = j, row[j]
        n += 1 if row[j] != 0 else 0
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
    index = np.empty(x.shape[1] + 1, np.int32)
    factors = np.empty(x.shape[1] + 1, x.dtype)
    for row in range(start, stop):
        out[row] = 0
        _add_rows(out[row], index, factors, _find(x[row], index, factors), weights)


@parallel
def _sparse_product(x, weights, out, n_blocks):
    rows = x.shape[0]
    for b in prange(n_blocks):
        start, stop = rows * b // n_blocks, rows * (b + 1) // n_blocks
        _sparse_product_rows(x, weights, out, start, stop)


@serial
def _add_moments(out, v, h, scale, first, last, index, factors, count):
    """Add a phase's moments of units ``first`` to ``last``: rows of h where the unit is on."""
    count[:] = 0
    for row in range(v.shape[0]):
        for i in range(last - first):
            x = v[row, first + i]
            if x != 0:
                n = count[i]
                index[i, n], factors[i, n] = row, scale * x
                count[i] = n + 1
    for i in range(last - first):
        _add_rows(out[first + i], index[i], factors[i], count[i], h)


@serial
def _sparse_moments_rows(out, v, h, scale, v_other, h_other, scale_other, start, stop):
    most = max(v.shape[0], v_other.shape[0])
    index = np.empty((_UNITS_AT_ONCE, most), np.int32)
    factors = np.empty((_UNITS_AT_ONCE, most), out.dtype)
    count = np.empty(_UNITS_AT_ONCE, np.int32)
    for first in range(start, stop, _UNITS_AT_ONCE):
        last = min(first + _UNITS_AT_ONCE, stop)
        out[first:last] = 0
        _add_moments(out, v, h, scale, first, last, index, factors, count)
        _add_moments(out, v_other, h_other, scale_other, first, last, index, factors, count)


@parallel
def _sparse_moments(out, v, h, scale, v_other, h_other, scale_other, n_blocks):
    n = out.shape[0]
    for b in prange(n_blocks):
        start, stop = n * b // n_blocks, n * (b + 1) // n_blocks
        _sparse_moments_rows(out, v, h, scale, v_other, h_other, scale_other, start, stop)


@serial
def _mean_columns(x, out, start, stop):
    out[start:stop] = 0
    for row in range(x.shape[0]):
        for j in range(start, stop):
            out[j] += x[row, j]
    share = out.dtype.type(1) / out.dtype.type(x.shape[0])
    for j in range(start, stop):
        out[j] *= share


@parallel
def _mean_blocks(x, out, n_blocks):
    columns = x.shape[1]
    for b in prange(n_blocks):
        _mean_columns(x, out, columns * b // n_blocks, columns * (b + 1) // n_blocks)


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


@parallel
def _descend_blocks(x, direction, rate, n_blocks):
    n = x.size
    for b in prange(n_blocks):
        for i in range(n * b // n_blocks, n * (b + 1) // n_blocks):
            x[i] -= rate * direction[i]


@parallel
def _descend_with_momentum_blocks(x, gradient, velocity, rate, momentum, n_blocks):
    n = x.size
    for b in prange(n_blocks):
        for i in range(n * b // n_blocks, n * (b + 1) // n_blocks):
            velocity[i] = momentum * velocity[i] + gradient[i]
            x[i] -= rate * velocity[i]


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


def mean_columns(x: Tensor) -> Tensor:
    """Mean of each column, on any number of threads the same sum."""
    out = x.new_empty(x.shape[1])
    n_threads = worthwhile_threads(x.numel())
    run(n_threads, _mean_blocks, x.detach().numpy(), out.numpy(), n_threads)
    return out


def centre_(weights: Tensor, a: Tensor, b: Tensor, mu: Tensor, lam: Tensor) -> None:
    """The centred gradient in one pass over the weights."""
    arrays = [tensor.detach().numpy() for tensor in (weights, a, b, mu, lam)]
    run(worthwhile_threads(weights.numel()), _centre_blocks, *arrays, _CENTRE_BLOCKS)


def descend_(
    parameter: Tensor, gradient: Tensor, rate: float, velocity: Tensor | None, momentum: float
) -> None:
    """Velocity and parameter in one pass."""
    x, g = parameter.detach().numpy().reshape(-1), gradient.detach().numpy().reshape(-1)
    n_threads = worthwhile_threads(x.size)
    kind = x.dtype.type
    if velocity is None:
        run(n_threads, _descend_blocks, x, g, kind(rate), n_threads)
    else:
        speed = velocity.numpy().reshape(-1)
        loop = _descend_with_momentum_blocks
        run(n_threads, loop, x, g, speed, kind(rate), kind(momentum), n_threads)
    torch.autograd.graph.increment_version(parameter)  # NumPy wrote it behind torch's back
