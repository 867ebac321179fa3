"""Sweeps between two layers of two-valued units that follow the units that flip.

An input is a sum over the units that are on. It is kept as an integer sum of weights rounded to 16
bits, which halves memory traffic. Sums of integers are exact in any order and never drift. If the
rounding could affect a draw, the original weights decide it, so that the result is the draw from
the exact input.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import torch
from numba import float32, int32, prange, uint32, uint64
from torch import Tensor

from harmonium import ranks
from harmonium.kernels.cpu.common import (
    array,
    in_blocks,
    parallel,
    row_major,
    run,
    serial,
    trailing_zeros,
    worthwhile_threads,
)
from harmonium.kernels.cpu.draws import exp, fill_words, uniform
from harmonium.kernels.cpu.flips import ADDITION, FEW_ROWS, MULTIPLICATION, SPARSE_ADDITION, follow
from harmonium.rng import Stream

# Weights are rounded to integers of at most this size, slightly less than 16 bits can hold.
_MOST = 32_766
_MOST_UNITS = 2**31 // _MOST  # more units could overflow 32 bits
_LINE, _WORDS = 32, 8  # 16-bit integers, and 64-bit words, in a cache line

# Costs of sweeps besides additions and multiplications, ns on one core
# (docs/decisions/0004-sweeps-follow-flips.md): checking one unit, rounding one weight, the calls of
# a sweep.
_LOOK = 2.5
_ROUNDING = 0.85
_CALLS = 80_000

# Number of chains that make a trial sweep, and the share of the time by products that the trial,
# with the rounding of weights, may waste; draws and the rest take about as much again.
_LEAST_CHAINS, _MOST_CHAINS = 2, 8
_IN_VAIN = 0.055

_scratch = threading.local()


@serial
def _largest_in_rows(bits, by_row, by_column, start, stop):
    """Largest absolute weights, as bits of float32, which sort like the numbers, NaN on top."""
    for i in range(start, stop):
        largest = int32(0)
        for j in range(bits.shape[1]):
            size = int32(bits[i, j] & int32(0x7FFFFFFF))
            largest = max(largest, size)
            by_column[j] = max(by_column[j], size)
        by_row[i] = largest


@parallel
def _largest(bits, n_blocks):
    """Largest absolute weights of each row and, in parts, of each column."""
    n = bits.shape[0]
    by_row = np.empty(n, np.int32)
    by_column = np.zeros((n_blocks, bits.shape[1]), np.int32)
    for b in prange(n_blocks):
        start, stop = n * b // n_blocks, n * (b + 1) // n_blocks
        _largest_in_rows(bits, by_row, by_column[b], start, stop)
    return by_row, by_column


@serial
def _round_lines(weights, by_row, by_column, q, qt, start, stop):
    """Round a cache line of rows at a time, by the column's scale (q) and by the row's (qt).

    Four rows form 64-bit words of the transposed matrix, and eight words a cache line; storing
    integers one by one would take most of the time.
    """
    n, m = weights.shape
    half = float32(0.5)
    packed = np.empty((_WORDS, m), np.uint64)
    words = qt.view(np.uint64)
    for line in range(start, stop):
        packed[:] = 0
        for row in range(min(_LINE, n - _LINE * line)):
            i, shift = _LINE * line + row, uint64(16 * (row % 4))
            from_row, to_row, to_words, scale = weights[i], q[i], packed[row // 4], by_row[i]
            for j in range(m):
                to_row[j] = int32(np.floor(from_row[j] * by_column[j] + half))
            for j in range(m):
                w = int32(np.floor(from_row[j] * scale + half))
                to_words[j] |= uint64(uint32(w) & uint32(0xFFFF)) << shift
        for j in range(m):
            to_line = words[j, _WORDS * line : _WORDS * (line + 1)]
            for k in range(_WORDS):
                to_line[k] = packed[k, j]


@parallel
def _round_blocks(weights, by_row, by_column, q, qt, n_blocks):
    lines = qt.shape[1] // _LINE
    for b in prange(n_blocks):
        start, stop = lines * b // n_blocks, lines * (b + 1) // n_blocks
        _round_lines(weights, by_row, by_column, q, qt, start, stop)


@serial
def _has_only(x, low):
    """Whether every state is ``low`` or 1."""
    others = 0
    for row in range(x.shape[0]):
        for j in range(x.shape[1]):
            others += x[row, j] != low and x[row, j] != 1
    return others == 0


@serial
def _exact_input(weights, states, unit):
    """The sum of a row of weights over the units that are on, in float64."""
    total = 0.0
    words = states.view(np.uint64)
    for k in range(words.size):
        on = words[k]
        while on != 0:
            total += weights[unit, 8 * k + int32(trailing_zeros(on) >> uint64(3))]
            on &= on - uint64(1)
    return total


@serial
def _draw_two_states(
    inputs, units, largest, bias, gap, n_on, weights, others, gap_others, words, odds, doubt,
    states,
):  # fmt: skip
    """Draw states 0 and 1 from rounded inputs, or from exact ones if rounding could matter.

    A state is 1 if u + u exp(-gap x) < 1. The relative error of the second term is less than 1.1
    times the error of the exponent, as long as that is small; the latter comes from ``n_on``
    roundings of half a unit each.
    """
    one = float32(1)
    halves = float32(0.5) * gap * float32(n_on)
    off = float32(1.1) * halves if halves * largest < float32(0.15) else float32(np.inf)
    for j in range(bias.size):
        x = float32(inputs[j]) * units[j] + bias[j]
        odds[j] = uniform(words[j]) * (one + exp(-gap * x))
    for j in range(bias.size):
        states[j] = odds[j] < one
        # written so that NaN, from infinity times zero, counts as undecided
        second = odds[j] - uniform(words[j])
        doubt[j] = not (abs(odds[j] - one) > off * units[j] * second)
    doubts = doubt.view(np.uint64)
    for k in range(doubts.size):
        if doubts[k] != 0:
            for j in range(8 * k, min(8 * k + 8, bias.size)):
                if doubt[j] != 0:
                    x = float32(gap_others * _exact_input(weights, others, j) + bias[j])
                    states[j] = uniform(words[j]) * (one + exp(-gap * x)) < one


@serial
def _flip_rows(v, h, weights, visible, hidden, n, ends, key, at, start, stop):
    """Make ``n`` sweeps h -> v -> h of some chains, one chain at a time."""
    (q, units_v, a, low_v), (qt, units_h, b, low_h) = visible, hidden
    n_v, n_h = v.shape[1], h.shape[1]
    most = max(n_v, n_h)
    q_v, q_h = (n_v + 3) // 4, (n_h + 3) // 4
    gap_v, gap_h = float32(1 - low_v), float32(1 - low_h)
    old_v, old_h = np.empty((n_v + 7) // 8 * 8, np.uint8), np.empty((n_h + 7) // 8 * 8, np.uint8)
    new_v, new_h = np.zeros_like(old_v), np.zeros_like(old_h)
    doubt_v, doubt_h = np.zeros_like(old_v), np.zeros_like(old_h)
    to_v, to_h = np.empty(n_v, np.int32), np.empty(n_h, np.int32)
    words, odds = np.empty(most + 3, np.uint32), np.empty(most, np.float32)
    index = np.empty(most, np.int32)
    turned = weights.T
    largest_v, largest_h = units_v.max(), units_h.max()
    for row in range(start, stop):
        for j in range(n_h):
            new_h[j] = h[row, j] != low_h
        # start with everything off, and proceed as from any other state
        old_v[:], old_h[:], to_v[:], to_h[:] = 0, 0, 0, 0
        on_v, on_h = 0, 0
        for sweep in range(n):
            first, last = at[2 * sweep], at[2 * sweep + 1]
            on_h += follow(old_h, new_h, index, to_v, qt)
            fill_words(words, q_v, row, key[0], key[1], first[0], first[1])
            _draw_two_states(
                to_v, units_v, largest_v, a, gap_v, on_h, weights, new_h, gap_h, words, odds,
                doubt_v, new_v,
            )  # fmt: skip
            if sweep < n - 1 or not ends:
                on_v += follow(old_v, new_v, index, to_h, q)
                fill_words(words, q_h, row, key[0], key[1], last[0], last[1])
                _draw_two_states(
                    to_h, units_h, largest_h, b, gap_h, on_v, turned, new_v, gap_v, words, odds,
                    doubt_h, new_h,
                )  # fmt: skip
        for j in range(n_v):
            v[row, j] = gap_v * new_v[j] + low_v
        for j in range(n_h):
            h[row, j] = gap_h * new_h[j] + low_h


@parallel
def _flip_blocks(v, h, weights, visible, hidden, n, ends, key, at, n_blocks):
    rows = v.shape[0]
    for k in prange(n_blocks):
        start, stop = rows * k // n_blocks, rows * (k + 1) // n_blocks
        _flip_rows(v, h, weights, visible, hidden, n, ends, key, at, start, stop)


def sweeps_(
    chains: tuple[Tensor, Tensor],
    weights: Tensor,
    visible: tuple[Tensor, int],
    hidden: tuple[Tensor, int],
    n: int,
    stream: Stream,
    ends: bool,
) -> bool:
    """Make the sweeps by following flips, if that is exact and worthwhile; else do nothing.

    If the other layer has states -1 and 1, the contribution of its lower states is part of the
    bias, and a flip counts twice.
    """
    if weights.dtype != torch.float32 or not all(x.is_contiguous() for x in (*chains, weights)):
        return False
    v, h, w = (array(x) for x in (*chains, weights))
    rows = ranks.whole(len(v))
    some = slice(max(_LEAST_CHAINS, min(_MOST_CHAINS, rows // 32)))
    costs = _Costs(rows, w.shape, n, ((v[some] == 1).mean(), (h[some] == 1).mean()))
    has_states = max(w.shape) <= _MOST_UNITS and bool(_has_only(h, np.float32(hidden[1])))
    if not ranks.agreed(has_states) or ranks.agreed(
        costs.are_too_high(len(v[some])), by_first=True
    ):
        return False
    rounded = _rounded(w)
    if rounded is None:
        return False
    q, qt, units_v, units_h = rounded
    (a, low_v), (b, low_h) = ((row_major(bias), low) for bias, low in (visible, hidden))
    if low_h:
        a, units_v = a + low_h * w.sum(1, dtype=np.float64).astype(np.float32), 2 * units_v
    if low_v:
        b, units_h = b + low_v * w.sum(0, dtype=np.float64).astype(np.float32), 2 * units_h
    layers = (q, units_v, a, low_v), (qt, units_h, b, low_h)
    key, at = _next_draws(stream.at(stream.position), 2 * n)

    def flips() -> tuple[float, float]:
        """Fractions of units that the first sweep of some chains changes."""
        v_some, h_some = v[some].copy(), h[some].copy()
        _flip_rows(v_some, h_some, w, *layers, 1, False, key, at, 0, len(v_some))
        return (v_some != v[some]).mean(), (h_some != h[some]).mean()

    are_low = costs.are_low_at(0.5, 0.5) or costs.are_low_at(*flips())
    if not ranks.agreed(are_low, by_first=True):
        return False
    arguments = (v, h, w, *layers, n, ends, key, at)
    in_blocks(_flip_rows, _flip_blocks, arguments, len(v), n * (v.size + h.size))
    stream.position += 2 * n
    return True


def _rounded(weights: Any) -> tuple[Any, Any, Any, Any] | None:
    """Weights in 16 bits in both orientations, and the rounding units of rows and columns.

    None if a weight is not finite.
    """
    n_threads = worthwhile_threads(weights.size)
    in_rows, in_blocks = run(n_threads, _largest, weights.view(np.int32), n_threads)
    largest = [bits.view(np.float32) for bits in (in_rows, in_blocks.max(0))]
    if not np.isfinite(largest[0]).all():
        return None
    units = [x / np.float32(_MOST) for x in largest]
    scales = [np.divide(_MOST, x, out=np.zeros_like(x), where=x > 1e-30) for x in largest]
    q, qt = _integers(*weights.shape)
    run(n_threads, _round_blocks, weights, *scales, q, qt, n_threads)
    return q, qt, *units


def _next_draws(stream: Stream, n: int) -> tuple[tuple[int, int], Any]:
    """Key, and counter words 2 and 3 of each of the next draws, shape (n, 2)."""
    taken = [stream.take() for _ in range(n)]
    return taken[0][:2], np.array([words[2:] for words in taken])


def _integers(n_visible: int, n_hidden: int) -> list[Any]:
    """Memory for the rounded weights in both orientations, per thread, kept for reuse."""
    kept = getattr(_scratch, "integers", None)
    if kept is None or (len(kept[0]), len(kept[1])) != (n_visible, n_hidden):
        # rows start at cache lines, as torch's memory does
        widths = (-(-n // _LINE) * _LINE for n in (n_hidden, n_visible))
        kept = [
            torch.empty((rows, width), dtype=torch.int16).numpy()
            for rows, width in zip((n_visible, n_hidden), widths, strict=True)
        ]
        _scratch.integers = kept
    return kept


class _Costs:
    """Estimated times of sweeps by products and by following, ns of one core per chain.

    They depend on the states alone, not on a clock or on the number of threads, so that a repeated
    run makes the same choice.

    Parameters
    ----------
    rows, shape, n
        Number of chains, shape of the weights, number of sweeps.
    on
        Fractions of visible and of hidden units that are on.
    """

    def __init__(self, rows: int, shape: tuple[int, int], n: int, on: tuple[float, float]) -> None:
        self._rows, self._n, self._size = rows, n, shape[0] * shape[1]
        multiplication = MULTIPLICATION * (1 + FEW_ROWS / rows)
        up = self._size * min(multiplication, on[0] * SPARSE_ADDITION)
        down = self._size * multiplication
        self._first = self._size * sum(on) * ADDITION
        self._looks = n * sum(shape) * _LOOK
        # following also makes the last product, for the expected hidden states
        self._always = up + self._size * _ROUNDING / rows
        self._products = n * (up + down + _CALLS / rows)

    def are_low_at(self, visible: float, hidden: float) -> bool:
        """Whether following costs less than products, if these fractions of units flip."""
        later = (self._n - 1) * self._size * (visible + hidden) * ADDITION
        following = self._first + later + self._looks + self._always
        return following < self._products

    def are_too_high(self, n_tried: int) -> bool:
        """Whether following cannot be faster, or trying it could waste too much."""
        trial = self._size * _ROUNDING + n_tried * self._first
        in_vain = trial > _IN_VAIN * self._products * self._rows
        return not self.are_low_at(0, 0) or (in_vain and not self.are_low_at(0.5, 0.5))
