"""Draws of categories by inverse CDF, many rows side by side.

They give the same bits as `reference` and, for any number of rows, as rows drawn one by one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import prange, types
from numba.extending import intrinsic
from torch import Tensor

from harmonium.kernels.cpu.common import array, parallel, row_major, serial
from harmonium.kernels.cpu.draws import draw_with, exp, fill_words, uniform
from harmonium.kernels.cpu.lines import LINE, Rows, fold
from harmonium.rng import Stream

# Rows that are drawn side by side, and from how many on that is faster than one by one.
TILE = LINE
_LEAST_TILE = 24

_BYTE_ZERO = ir.IntType(64)(0)


def _find_highest(context, logits, highest):
    def generate(context, builder, signature, arguments):
        x, out = (
            Rows(context, builder, *pair) for pair in zip(signature.args, arguments, strict=True)
        )

        def step(k, most):
            of_k = x.load(builder.mul(k, x.stride))
            return [builder.select(builder.fcmp_ordered(">", of_k, most), of_k, most)]

        out.store(fold(builder, x.n, [x.load(_BYTE_ZERO)], step)[0], _BYTE_ZERO)
        return context.get_dummy_value()

    return types.void(logits, highest), generate


def _accumulate(context, weights):
    def generate(context, builder, signature, arguments):
        x = Rows(context, builder, signature.args[0], arguments[0])

        def step(k, total):
            offset = builder.mul(k, x.stride)
            total = builder.fadd(total, x.load(offset))
            x.store(total, offset)
            return [total]

        fold(builder, x.n, [x.type([0.0] * LINE)], step)
        return context.get_dummy_value()

    return types.void(weights), generate


def _count_up_to(context, cumulative, threshold, counts):
    def generate(context, builder, signature, arguments):
        x, limit, out = (
            Rows(context, builder, *pair) for pair in zip(signature.args, arguments, strict=True)
        )
        most = limit.load(_BYTE_ZERO)

        def step(k, count):
            is_below = builder.fcmp_ordered("<=", x.load(builder.mul(k, x.stride)), most)
            return [builder.add(count, builder.zext(is_below, out.type))]

        found = fold(builder, x.n, [out.type([0] * LINE)], step)[0]
        out.store(found, _BYTE_ZERO)
        return context.get_dummy_value()

    return types.void(cumulative, threshold, counts), generate


# Over the categories, for `TILE` rows side by side: the highest logit; cumulative weights, in
# place; and how many of these do not exceed the threshold.
_highest: Any = intrinsic(_find_highest)
_cumulate: Any = intrinsic(_accumulate)
_count: Any = intrinsic(_count_up_to)


@serial
def _categorical_row(x, bias, n_categories, words):
    for j in range(x.size):
        x[j] += bias[j]
    n_units = x.size // n_categories
    for unit in range(n_units):
        logits = x[unit * n_categories : (unit + 1) * n_categories]
        highest = logits[0]
        for k in range(1, n_categories):
            highest = max(highest, logits[k])
        for k in range(n_categories):
            logits[k] -= highest
    for j in range(x.size):  # a separate loop, which LLVM vectorises
        x[j] = exp(x[j])
    for unit in range(n_units):
        weights = x[unit * n_categories : (unit + 1) * n_categories]
        total = x.dtype.type(0)
        for k in range(n_categories):
            total += weights[k]
            weights[k] = total  # cumulative weights, until the category is known
        threshold = x.dtype.type(uniform(words[unit])) * total
        category = 0
        while category < n_categories - 1 and threshold >= weights[category]:
            category += 1
        weights[:] = 0
        weights[category] = 1


@serial
def draw_categories(x, bias, n_categories, turned, highest, words, categories):
    """Draw the categories of some units in at most `TILE` rows, side by side.

    The numbers are those of `_categorical_row`, bit for bit: only the order of the work differs,
    so that it vectorises.

    Parameters
    ----------
    x, bias
        Inputs of these units, shape (rows, columns), and their biases.
    turned, highest
        Memory of shape (columns or more, TILE) and (TILE,), filled with any finite numbers.
    words, categories
        Random words of these units, and where their categories go, shape (rows, units).
    """
    rows, columns = x.shape
    drawn = np.empty(TILE, categories.dtype)
    for row in range(rows):
        inputs = x[row]
        for j in range(columns):
            turned[j, row] = inputs[j] + bias[j]
    for unit in range(categories.shape[1]):
        logits = turned[unit * n_categories : (unit + 1) * n_categories]
        _highest(logits, highest)
        for k in range(n_categories):
            of_k = logits[k]
            for row in range(TILE):
                of_k[row] = exp(of_k[row] - highest[row])
        _cumulate(logits)
        threshold, total = highest, logits[n_categories - 1]
        for row in range(rows):
            threshold[row] = x.dtype.type(uniform(words[row, unit])) * total[row]
        _count(logits[: n_categories - 1], threshold, drawn)
        for row in range(rows):
            categories[row, unit] = drawn[row]


@serial
def _categorical_tile(x, bias, n_categories, turned, highest, words, categories):
    """Overwrite at most `TILE` rows, some units at a time."""
    n_units = x.shape[1] // n_categories
    units = categories.shape[1]
    for first in range(0, n_units, units):
        last = min(first + units, n_units)
        columns = slice(first * n_categories, last * n_categories)
        inputs, own = x[:, columns], categories[: x.shape[0], : last - first]
        draw_categories(
            inputs, bias[columns], n_categories, turned, highest, words[:, first:last], own
        )
        for row in range(x.shape[0]):
            states = inputs[row]
            states[:] = 0
            for unit in range(last - first):
                states[unit * n_categories + own[row, unit]] = 1


@serial
def _categorical_rows(x, bias, n_categories, start, stop, k0, k1, c2, c3):
    q = (x.shape[1] // n_categories + 3) // 4
    tile = TILE if stop - start >= _LEAST_TILE else 1
    units = min(max(1, TILE // n_categories), x.shape[1] // n_categories)
    words = np.empty((tile, 4 * q), np.uint32)
    categories = np.empty((tile, units), np.int32)
    turned, highest = np.zeros((units * n_categories, TILE), x.dtype), np.zeros(TILE, x.dtype)
    at = start
    while at < stop:
        rows = min(tile, stop - at)
        if rows < _LEAST_TILE:
            rows = 1
        for row in range(rows):
            fill_words(words[row], q, at + row, k0, k1, c2, c3)
        if rows > 1:
            some = x[at : at + rows]
            _categorical_tile(some, bias, n_categories, turned, highest, words, categories)
        else:
            _categorical_row(x[at], bias, n_categories, words[0])
        at += rows


@parallel
def _categorical_blocks(x, bias, n_categories, k0, k1, c2, c3, n_blocks):
    rows = x.shape[0]
    for b in prange(n_blocks):
        start, stop = rows * b // n_blocks, rows * (b + 1) // n_blocks
        _categorical_rows(x, bias, n_categories, start, stop, k0, k1, c2, c3)


def categorical_(inputs: Tensor, bias: Tensor, n_categories: int, stream: Stream) -> None:
    """One-hot groups of ``n_categories`` columns."""
    arguments = row_major(bias), n_categories
    draw_with(_categorical_rows, _categorical_blocks, array(inputs), arguments, stream)
