"""Compiled draws of counts, as `kernels.counts` defines them."""

from __future__ import annotations

import math

import numpy as np
from numba import int64, prange, uint32
from torch import Tensor

from harmonium.kernels.counts import FEW, LARGEST_MEAN, MOST_CANDIDATES, MOST_FEW
from harmonium.kernels.cpu.common import array, parallel, row_major, serial
from harmonium.kernels.cpu.draws import draw_with, fill_words, philox, unit
from harmonium.rng import Stream

_NO_TRIALS = np.empty(0)


@serial
def _number(block, j, q, row, k0, k1, c2, c3):
    """Uniform number of column j in a block of the row's numbers."""
    c0, c1 = uint32(q * block + j % q), uint32(int64(row) + (int64(c3) >> int64(32)))
    return unit(philox(c0, c1, uint32(c2), uint32(c3), uint32(k0), uint32(k1))[j // q])


@serial
def _binomial(x, n, u, j, q, row, k0, k1, c2, c3):
    rare = 1.0 / (1.0 + math.exp(abs(x)))
    odds = rare / (1.0 - rare)
    k = 0
    if not n * rare >= FEW:
        p = math.exp(n * math.log1p(-rare))
        cumulative = p
        while u >= cumulative and k < MOST_FEW:
            p *= odds * ((n - k) / (k + 1))
            cumulative += p
            k += 1
        return n - k if x > 0.0 else float(k)
    spread = math.sqrt(n * rare * (1.0 - rare))
    b = 1.15 + 2.53 * spread
    a = -0.0873 + 0.0248 * b + 0.01 * rare
    centre, within, scale = n * rare + 0.5, 0.92 - 4.2 / b, (2.83 + 5.1 / b) * spread
    mode, log_odds = math.floor((n + 1.0) * rare), math.log(odds)
    of_mode = math.lgamma(mode + 1.0) + math.lgamma(n - mode + 1.0)
    count = math.floor(centre)
    for candidate in range(MOST_CANDIDATES):
        if candidate:
            u = _number(2 * candidate, j, q, row, k0, k1, c2, c3)
        v = _number(2 * candidate + 1, j, q, row, k0, k1, c2, c3)
        room = 0.5 - abs(u - 0.5)
        at = math.floor((2.0 * a / room + b) * (u - 0.5) + centre)
        if room >= 0.07 and v <= within:
            count = at
            break
        if 0.0 <= at <= n:
            log_p = of_mode - math.lgamma(at + 1.0) - math.lgamma(n - at + 1.0)
            log_p += (at - mode) * log_odds
            if math.log(v * scale / (a / (room * room) + b)) <= log_p:
                count = at
                break
    return n - count if x > 0.0 else float(count)


@serial
def _poisson(log_mean, u, j, q, row, k0, k1, c2, c3):
    mean = math.exp(log_mean)
    if mean < FEW:
        p = math.exp(-mean)
        cumulative, k = p, 0
        while u >= cumulative and k < MOST_FEW:
            p *= mean / (k + 1)
            cumulative += p
            k += 1
        return float(k)
    if not mean <= LARGEST_MEAN:
        return math.nan
    b = 0.931 + 2.53 * math.sqrt(mean)
    a = -0.059 + 0.02483 * b
    centre, within, scale = mean + 0.43, 0.9277 - 3.6224 / (b - 2.0), 1.1239 + 1.1328 / (b - 3.4)
    for candidate in range(MOST_CANDIDATES):
        if candidate:
            u = _number(2 * candidate, j, q, row, k0, k1, c2, c3)
        v = _number(2 * candidate + 1, j, q, row, k0, k1, c2, c3)
        room = 0.5 - abs(u - 0.5)
        at = float(math.floor((2.0 * a / room + b) * (u - 0.5) + centre))
        if room >= 0.07 and v <= within:
            return at
        if at >= 0.0:
            log_p = at * math.log(mean) - mean - math.lgamma(at + 1.0)
            if math.log(v * scale / (a / (room * room) + b)) <= log_p:
                return at
    return float(math.floor(centre))


@serial
def _rows(x, bias, trials, start, stop, k0, k1, c2, c3):
    """Draw rows of counts; without trials, Poisson ones."""
    columns = x.shape[1]
    q = (columns + 3) // 4
    words = np.empty(4 * q, np.uint32)
    for row in range(start, stop):
        fill_words(words, q, row, k0, k1, c2, c3)
        for j in range(columns):
            received, u = float(x[row, j]) + bias[j], unit(words[j])
            if trials.size:
                x[row, j] = _binomial(received, trials[j], u, j, q, row, k0, k1, c2, c3)
            else:
                x[row, j] = _poisson(received, u, j, q, row, k0, k1, c2, c3)


@parallel
def _blocks(x, bias, trials, k0, k1, c2, c3, n_blocks):
    rows = x.shape[0]
    for b in prange(n_blocks):
        start, stop = rows * b // n_blocks, rows * (b + 1) // n_blocks
        _rows(x, bias, trials, start, stop, k0, k1, c2, c3)


def binomial_(inputs: Tensor, bias: Tensor, trials: Tensor, stream: Stream) -> None:
    """Successes of ``trials``, each with probability sigmoid(inputs + bias)."""
    by_column = row_major(bias.double()), row_major(trials.double())
    draw_with(_rows, _blocks, array(inputs), by_column, stream)


def poisson_(inputs: Tensor, bias: Tensor, stream: Stream) -> None:
    """Counts of mean exp(inputs + bias); NaN where that is too large."""
    by_column = row_major(bias.double()), _NO_TRIALS
    draw_with(_rows, _blocks, array(inputs), by_column, stream)
