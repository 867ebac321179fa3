"""Rows of ratings: each rating is a line of the weights, and nothing else is looked at."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numba import float64, njit, prange
from torch import Tensor

from harmonium.kernels.cpu.common import array, in_blocks, parallel, serial
from harmonium.kernels.cpu.draws import exp

if TYPE_CHECKING:
    from harmonium.kernels.ratings import Rated

# Factors between 1 and 2 that are multiplied before taking one logarithm: far from overflow.
_FACTORS = 512

# sums in any order, so that LLVM can vectorise them
_summing = njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "contract"})


@serial
def _inputs_rows(out, starts, columns, levels, weights, factors, stride, start, stop):
    n = out.shape[1]
    for row in range(start, stop):
        total = out[row]
        for at in range(starts[row], starts[row + 1]):
            level = levels[at]
            factor = factors[level]
            line = weights[columns[at] * stride + (level if stride > 1 else 0)]
            for j in range(n):
                total[j] += factor * line[j]


@parallel
def _inputs_blocks(out, starts, columns, levels, weights, factors, stride, n_blocks):
    rows = out.shape[0]
    for b in prange(n_blocks):
        _inputs_rows(
            out, starts, columns, levels, weights, factors, stride,
            rows * b // n_blocks, rows * (b + 1) // n_blocks,
        )  # fmt: skip


@_summing
def _dot(line, other):
    total = line.dtype.type(0)
    for j in range(line.size):
        total += line[j] * other[j]
    return total


@serial
def _draw_rows(
    drawn, hidden, inputs, starts, columns, weights, bias, factors, stride, u, start, stop
):
    n_levels = factors.size
    logits = np.empty(n_levels, hidden.dtype)
    for row in range(start, stop):
        states, total_inputs = hidden[row], inputs[row]
        for at in range(starts[row], starts[row + 1]):
            column = columns[at]
            product = _dot(weights[column * stride], states)
            highest = bias[column, 0] + factors[0] * product
            for k in range(n_levels):
                if k and stride > 1:
                    product = _dot(weights[column * stride + k], states)
                logits[k] = bias[column, k] + factors[k] * product
                highest = max(highest, logits[k])
            total = hidden.dtype.type(0)
            for k in range(n_levels):
                total += exp(logits[k] - highest)
                logits[k] = total
            limit = u[at] * total
            level = 0
            for k in range(n_levels - 1):
                level += logits[k] <= limit
            drawn[at] = level
            factor = factors[level]
            line = weights[column * stride + (level if stride > 1 else 0)]
            for j in range(line.size):
                total_inputs[j] += factor * line[j]


@parallel
def _draw_blocks(
    drawn, hidden, inputs, starts, columns, weights, bias, factors, stride, u, n_blocks
):
    rows = hidden.shape[0]
    for b in prange(n_blocks):
        _draw_rows(
            drawn, hidden, inputs, starts, columns, weights, bias, factors, stride, u,
            rows * b // n_blocks, rows * (b + 1) // n_blocks,
        )  # fmt: skip


@serial
def _moments_columns(
    out, starts, columns, levels, other_levels, hidden, other_hidden, factors, stride, start, stop
):
    for row in range(starts.size - 1):
        states, others = hidden[row, start:stop], other_hidden[row, start:stop]
        for at in range(starts[row], starts[row + 1]):
            first = columns[at] * stride
            level, other = levels[at], other_levels[at]
            factor, taken = factors[level], factors[other]
            if stride == 1 or level == other:
                line = out[first + (level if stride > 1 else 0), start:stop]
                for j in range(line.size):
                    line[j] += factor * states[j] - taken * others[j]
            else:
                line, other_line = out[first + level, start:stop], out[first + other, start:stop]
                for j in range(line.size):
                    line[j] += factor * states[j]
                for j in range(line.size):
                    other_line[j] -= taken * others[j]


@parallel
def _moments_blocks(
    out, starts, columns, levels, other_levels, hidden, other_hidden, factors, stride, n_blocks
):
    n = out.shape[1]
    for b in prange(n_blocks):  # each thread has hidden columns of its own: no sum has two writers
        _moments_columns(
            out, starts, columns, levels, other_levels, hidden, other_hidden, factors, stride,
            n * b // n_blocks, n * (b + 1) // n_blocks,
        )  # fmt: skip


@_summing
def _softplus_sum(x, line, factor, own, taken):
    """The sum of log(1 + exp(z)) = max(z, 0) + log(1 + exp(-|z|)), z = x + factor line - own."""
    zero, one = x.dtype.type(0), x.dtype.type(1)
    total, product = float64(0), float64(1)
    for j in range(x.size):
        z = x[j] + factor * line[j] - taken * own[j]
        total += float64(max(z, zero))
        product *= float64(one + exp(-abs(z)))
    return total + math.log(product)


@serial
def _logits_cells(out, inputs, rows, columns, weights, bias, factors, stride, own, start, stop):
    n = inputs.shape[1]
    for cell in range(start, stop):
        x, column = inputs[rows[cell]], columns[cell]
        level = own[cell] if own.size else 0
        taken_line = weights[column * stride + (level if stride > 1 else 0)]
        taken = factors[level] if own.size else factors.dtype.type(0)
        for k in range(factors.size):
            line = weights[column * stride + (k if stride > 1 else 0)]
            total = float64(bias[column, k])
            for first in range(0, n, _FACTORS):
                some = slice(first, first + _FACTORS)
                total += _softplus_sum(x[some], line[some], factors[k], taken_line[some], taken)
            out[cell, k] = total


@parallel
def _logits_blocks(out, inputs, rows, columns, weights, bias, factors, stride, own, n_blocks):
    cells = rows.size
    for b in prange(n_blocks):
        _logits_cells(
            out, inputs, rows, columns, weights, bias, factors, stride, own,
            cells * b // n_blocks, cells * (b + 1) // n_blocks,
        )  # fmt: skip


def add_rating_inputs_(
    out: Tensor, rated: Rated, weights: Tensor, factors: Tensor, stride: int
) -> None:
    """Lines are added in the order of the ratings, on any number of threads."""
    arguments = (array(out), *_csr(rated), array(weights), array(factors), stride)
    in_blocks(_inputs_rows, _inputs_blocks, arguments, len(out), len(rated.columns) * out.shape[1])


def draw_ratings(
    hidden: Tensor,
    rated: Rated,
    weights: Tensor,
    bias: Tensor,
    factors: Tensor,
    stride: int,
    uniform: Tensor,
    inputs: Tensor,
) -> Tensor:
    """One product a rating if weights are shared by its levels, else one a level."""
    drawn = torch.empty_like(rated.levels)
    starts, columns, _ = _csr(rated)
    arguments = (
        array(drawn), array(hidden), array(inputs), starts, columns, array(weights), array(bias),
        array(factors), stride, array(uniform),
    )  # fmt: skip
    in_blocks(_draw_rows, _draw_blocks, arguments, len(hidden), len(drawn) * hidden.shape[1])
    return drawn


def add_rating_moments_(
    out: Tensor,
    rated: Rated,
    levels: tuple[Tensor, Tensor],
    hidden: tuple[Tensor, Tensor],
    factors: Tensor,
    stride: int,
) -> None:
    """Both phases in one pass, in the order of the ratings, on any number of threads."""
    starts, columns, _ = _csr(rated)
    phases = (*map(array, levels), *map(array, hidden))
    arguments = (array(out), starts, columns, *phases, array(factors), stride)
    n = out.shape[1]
    in_blocks(_moments_columns, _moments_blocks, arguments, n, len(rated.columns) * n)


def rating_logits(
    inputs: Tensor,
    rows: Tensor,
    columns: Tensor,
    weights: Tensor,
    bias: Tensor,
    factors: Tensor,
    stride: int,
    own: Tensor | None,
) -> Tensor:
    """A logarithm for every 512 hidden units."""
    out = torch.empty(len(rows), len(factors), dtype=torch.float64)
    if own is None:
        own = torch.empty(0, dtype=torch.int64)
    arguments = (
        array(out), array(inputs), array(rows), array(columns), array(weights), array(bias),
        array(factors), stride, array(own),
    )  # fmt: skip
    in_blocks(_logits_cells, _logits_blocks, arguments, len(rows), out.numel() * inputs.shape[1])
    return out


def _csr(rated: Rated) -> tuple[Any, Any, Any]:
    return array(rated.starts), array(rated.columns), array(rated.levels)
