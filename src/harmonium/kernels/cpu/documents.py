"""Compiled loops over counts of words: cost follows the words that a document has."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numba import int64, njit, prange, uint32
from torch import Tensor

from harmonium.kernels.cpu.common import array, in_blocks, parallel, row_major, serial
from harmonium.kernels.cpu.draws import exp, philox, unit
from harmonium.rng import Stream

# Words whose probabilities are added up before a draw looks into single ones.
_BLOCK = 32


@serial
def _inputs_rows(ends, words, counts, weights, bias, out, start, stop):
    for row in range(start, stop):
        x = out[row]
        x[:] = 0
        length = x.dtype.type(0)
        for entry in range(ends[row], ends[row + 1]):
            count, of_word = x.dtype.type(counts[entry]), weights[words[entry]]
            length += count
            for j in range(x.size):
                x[j] += count * of_word[j]
        for j in range(x.size):
            x[j] += length * bias[j]


@parallel
def _inputs_blocks(ends, words, counts, weights, bias, out, n_blocks):
    rows = out.shape[0]
    for b in prange(n_blocks):
        start, stop = rows * b // n_blocks, rows * (b + 1) // n_blocks
        _inputs_rows(ends, words, counts, weights, bias, out, start, stop)


def _entries(ends: Tensor, words: Tensor, counts: Tensor) -> tuple[Any, ...]:
    """Entries in one type each, so that loops are compiled once."""
    return row_major(ends), row_major(words.int()), row_major(counts.int())


def document_inputs(
    ends: Tensor, words: Tensor, counts: Tensor, weights: Tensor, bias: Tensor
) -> Tensor:
    """Sums of the rows of weights of a document's words, and of the bias for each word."""
    out = torch.empty(len(ends) - 1, weights.shape[1], dtype=weights.dtype)
    size = len(words) * weights.shape[1]
    arguments = (*_entries(ends, words, counts), row_major(weights), row_major(bias), array(out))
    in_blocks(_inputs_rows, _inputs_blocks, arguments, len(out), size)
    return out


@serial
def _add_columns(out, ends, words, counts, hidden, factor, start, stop):
    for row in range(hidden.shape[0]):
        h = hidden[row]
        for entry in range(ends[row], ends[row + 1]):
            scale, of_word = factor * out.dtype.type(counts[entry]), out[words[entry]]
            for j in range(start, stop):
                of_word[j] += scale * h[j]


@parallel
def _add_blocks(out, ends, words, counts, hidden, factor, n_blocks):
    n = out.shape[1]
    for b in prange(n_blocks):  # columns, so that no two threads write into one number
        start, stop = n * b // n_blocks, n * (b + 1) // n_blocks
        _add_columns(out, ends, words, counts, hidden, factor, start, stop)


def add_documents_(
    out: Tensor, ends: Tensor, words: Tensor, counts: Tensor, hidden: Tensor, factor: float
) -> None:
    """Add ``factor`` times each document's counts times its hidden units."""
    into = array(out)
    arguments = (
        into, *_entries(ends, words, counts), row_major(hidden), into.dtype.type(factor),
    )  # fmt: skip
    n = out.shape[1]
    in_blocks(_add_columns, _add_blocks, arguments, n, len(words) * n)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc", "nsz"})
def _sum(x):
    total = x.dtype.type(0)
    for j in range(x.size):
        total += x[j]
    return total


@serial
def _exponentials(x, bias):
    """Overwrite a row by exp(x + bias - the largest of these); returns the largest."""
    for j in range(x.size):
        x[j] += bias[j]
    most = x[0]
    for j in range(x.size):
        most = max(most, x[j])
    for j in range(x.size):
        x[j] = exp(x[j] - most)
    return most


@serial
def _draw_rows(x, bias, ends, out, log_sums, start, stop, k0, k1, c2, c3):
    first_row = int64(c3) >> int64(32)
    k0, k1, c2, c3 = uint32(k0), uint32(k1), uint32(c2), uint32(c3)
    n = x.shape[1]
    n_blocks = (n + _BLOCK - 1) // _BLOCK
    sums = np.empty(n_blocks)
    for row in range(start, stop):
        p = x[row]
        most = _exponentials(p, bias)
        total = 0.0
        for b in range(n_blocks):
            total += _sum(p[b * _BLOCK : (b + 1) * _BLOCK])
            sums[b] = total
        log_sums[row] = most + math.log(total)
        first, last = ends[row], ends[row + 1]
        for group in range((last - first + 3) // 4):
            drawn = philox(uint32(group), uint32(int64(row) + first_row), c2, c3, k0, k1)
            for t in range(min(4, last - first - 4 * group)):
                word = drawn[0] if t == 0 else drawn[1] if t == 1 else drawn[2]
                word = word if t < 3 else drawn[3]
                target = unit(word) * total
                low, high = 0, n_blocks - 1
                while low < high:
                    mid = (low + high) // 2
                    if target < sums[mid]:
                        high = mid
                    else:
                        low = mid + 1
                target -= sums[low - 1] if low else 0.0
                k, end = low * _BLOCK, min((low + 1) * _BLOCK, n) - 1
                below = float(p[k])
                while k < end and target >= below:
                    k += 1
                    below += p[k]
                out[first + 4 * group + t] = k


@parallel
def _draw_blocks(x, bias, ends, out, log_sums, k0, k1, c2, c3, n_blocks):
    rows = x.shape[0]
    for b in prange(n_blocks):
        start, stop = rows * b // n_blocks, rows * (b + 1) // n_blocks
        _draw_rows(x, bias, ends, out, log_sums, start, stop, k0, k1, c2, c3)


def draw_words(logits: Tensor, bias: Tensor, ends: Tensor, stream: Stream) -> tuple[Tensor, Tensor]:
    """Words of each row, by inversion of the sums of exp(logits + bias); and the logs of these."""
    out = torch.empty(int(ends[-1]), dtype=torch.int32)
    log_sums = torch.empty(len(logits), dtype=torch.float64)
    arguments: tuple[Any, ...] = (
        array(logits), row_major(bias), row_major(ends), array(out), array(log_sums),
    )  # fmt: skip
    taken = stream.take()
    in_blocks(_draw_rows, _draw_blocks, arguments, len(logits), logits.numel(), *taken)
    return out, log_sums
