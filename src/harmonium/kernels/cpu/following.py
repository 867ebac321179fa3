"""Annealing of two-valued units by following the units that flip, at every temperature.

A temperature changes the factor of an input, not the input itself, which here is an integer: the
sum of integer weights over the units that are on. Products of these integers in float32 are exact
too. Inputs by products and by flips therefore agree to the last bit, and each step uses whichever
is cheaper.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numba import float32, float64, int32, int64, njit, prange, uint64
from torch import Tensor

from harmonium.kernels import threads
from harmonium.kernels.cpu.annealing import weigh_and_draw_row
from harmonium.kernels.cpu.common import array, parallel, row_major, run, serial, worthwhile_threads
from harmonium.kernels.cpu.draws import binary_row, fill_words
from harmonium.kernels.cpu.flips import ADDITION, FEW_ROWS, MULTIPLICATION, follow
from harmonium.rng import Stream

# Integer weights have 16 bits, and sums of their absolute values are exact in float32.
_MOST, _MOST_IN_SUMS = 2**15 - 1, 2**24

# Largest effect of rounding the weights on energies, nats: root of the sum of squares.
_LARGEST_ROUNDING = 0.1

_LINE = 32  # 16-bit integers in a cache line

# Weights of the smallest model that is worth following; below, draws take most of the time.
_LEAST_WEIGHTS = 75_000

_in_any_order = njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc"})


@_in_any_order
def _sum_where_on(states, values):
    total = float32(0)
    for j in range(values.size):
        total += values[j] * float32(int32(states[j]))
    return float64(total)


@_in_any_order
def _sum_of_steps(x, difference, bias_difference):
    total = float64(0)
    for j in range(x.size):
        total += float64(difference * x[j] + bias_difference[j])
    return total


@serial
def _bring_up_to_date(others, row, index):
    """Update the totals of one row, from the units that flipped, or from a product if available."""
    old, new, totals, rows, products = others[:5]
    if products.shape[0]:
        old[row] = new[row]
        for j in range(totals.shape[1]):
            totals[row, j] = int32(products[row, j])
    else:
        follow(old[row], new[row], index, totals[row], rows)


@serial
def _real_inputs(total, gap, base, unit, x):
    """Convert totals over the units that are on to inputs from units with states low and 1."""
    for j in range(x.size):
        x[j] = float32(int32(gap * total[j] + base[j])) * unit


@serial
def _take_states(x, old, new):
    """Store states as bytes (1 for the upper state); returns how many differ from the old ones."""
    for j in range(x.size):
        new[j] = x[j] > 0
    olds, news = old.view(np.uint64), new.view(np.uint64)
    n = uint64(0)
    for k in range(olds.size):
        # the top byte of the product is the sum of all eight, each 0 or 1
        n += ((olds[k] ^ news[k]) * uint64(0x0101010101010101)) >> uint64(56)
    return int64(n)


@serial
def _hidden_rows(visible, hidden, step, log_weights, draws, key, start, stop):
    """Update hidden inputs, add to log weights, draw; returns how many hidden units changed."""
    new_v, totals, (gap, base, unit) = visible[1], visible[2], visible[5:]
    old_h, new_h, gap_h = hidden
    now, bias, difference, bias_difference, slope = step
    n_h, n_flips = totals.shape[1], int64(0)
    q = (n_h + 3) // 4
    words, change = np.empty(4 * q, np.uint32), np.empty(n_h, np.float32)
    index, x = np.empty(new_v.shape[1], np.int32), np.empty(n_h, np.float32)
    for row in range(start, stop):
        _bring_up_to_date(visible, row, index)
        _real_inputs(totals[row], gap, base, unit, x)
        weight = _sum_where_on(new_v[row], slope)
        if gap_h == 2:  # log(exp(x) + exp(-x)) = log(1 + exp(2 x)) - x
            weight -= 0.5 * _sum_of_steps(x, difference, bias_difference)
        if draws:
            fill_words(words, q, row, key[0], key[1], key[2], key[3])
        weight += weigh_and_draw_row(
            x, now, bias, difference, bias_difference, words, change, draws
        )
        log_weights[row] += weight
        if draws:
            n_flips += _take_states(x, old_h[row], new_h[row])
    return n_flips


@serial
def _visible_rows(hidden, visible, now, bias, key, start, stop):
    """Update visible inputs and draw; returns how many visible units changed."""
    new_h, totals, (gap, base, unit) = hidden[1], hidden[2], hidden[5:]
    old_v, new_v, gap_v = visible
    n_v, n_flips = totals.shape[1], int64(0)
    q = (n_v + 3) // 4
    words, x = np.empty(4 * q, np.uint32), np.empty(n_v, np.float32)
    index = np.empty(new_h.shape[1], np.int32)
    for row in range(start, stop):
        _bring_up_to_date(hidden, row, index)
        _real_inputs(totals[row], gap, base, unit, x)
        for j in range(n_v):
            x[j] = now * x[j]
        fill_words(words, q, row, key[0], key[1], key[2], key[3])
        binary_row(x, bias, words, float32(gap_v), float32(0))
        n_flips += _take_states(x, old_v[row], new_v[row])
    return n_flips


@parallel
def _hidden_blocks(visible, hidden, step, log_weights, draws, key, n_blocks):
    n, n_flips = len(log_weights), int64(0)
    for b in prange(n_blocks):
        start, stop = n * b // n_blocks, n * (b + 1) // n_blocks
        n_flips += _hidden_rows(visible, hidden, step, log_weights, draws, key, start, stop)
    return n_flips


@parallel
def _visible_blocks(hidden, visible, now, bias, key, n, n_blocks):
    n_flips = int64(0)
    for b in prange(n_blocks):
        start, stop = n * b // n_blocks, n * (b + 1) // n_blocks
        n_flips += _visible_rows(hidden, visible, now, bias, key, start, stop)
    return n_flips


def _unit_of(weights: Tensor, gaps: int) -> float | None:
    """The power of 2 to whose multiples weights are rounded; None if that is too coarse."""
    sizes = weights.abs()
    in_sums = max(sizes.sum(0).max().item(), sizes.sum(1).max().item())
    largest = max(sizes.max().item() / _MOST, in_sums / (_MOST_IN_SUMS - max(weights.shape)))
    if not 0 < largest < math.inf:
        return None
    unit = 2.0 ** math.ceil(math.log2(largest))
    off = torch.linalg.vector_norm(weights - (weights / unit).round() * unit).item()
    return unit if gaps * off <= _LARGEST_ROUNDING else None


class _Layer:
    """States of one layer, the resulting inputs of the other layer, and the weights."""

    def __init__(self, n_chains: int, weights: Tensor, gap: int, unit: float) -> None:
        n, n_others = weights.shape
        width = -(-n // 8) * 8
        self.weights = weights  # whole numbers in float32
        # rows start at cache lines
        padded = weights.new_zeros(n, -(-n_others // _LINE) * _LINE)
        padded[:, :n_others] = weights
        self.rows = array(padded.to(torch.int16))
        self.old = np.zeros((n_chains, width), np.uint8)
        self.new = np.zeros_like(self.old)
        self.totals = np.zeros((n_chains, n_others), np.int32)
        self.gap = gap
        low = 1 - gap
        base = low * array(weights.sum(0, dtype=torch.float64))
        self.to_others = np.int32(gap), base.astype(np.int32), np.float32(unit)
        self._none = np.empty((0, n_others), np.float32)
        self._memory: tuple[Tensor, Tensor] | None = None
        self.n_flips = n_chains * n  # the maximum, before the first step

    @property
    def states(self) -> tuple[Any, Any]:
        return self.old, self.new

    def inputs(self) -> tuple[Any, ...]:
        """Data for the other layer's inputs; makes a product first if that is faster."""
        n_chains, n = len(self.old), len(self.weights)
        # nanoseconds per chain and unit of the other layer
        multiplying = n * MULTIPLICATION * (1 + FEW_ROWS / n_chains)
        products = self._none
        if self.n_flips * ADDITION > n_chains * multiplying:
            on, products_ = self._memory or self._allocate()
            on.copy_(torch.from_numpy(self.new))
            products = array(threads.mm(on[:, :n], self.weights, out=products_))
        return (*self.states, self.totals, self.rows, products, *self.to_others)

    def _allocate(self) -> tuple[Tensor, Tensor]:
        """Memory for products, kept because allocating new pages takes as long as the rest."""
        self._memory = torch.empty(self.new.shape), torch.empty(self.totals.shape)
        return self._memory


class Followed:
    """Chains between two layers of two-valued units, at a changing temperature.

    Parameters
    ----------
    v
        Visible states, float32 of shape (chains, n_visible).
    weights
        Float32 of shape (n_visible, n_hidden).
    unit
        A power of 2; weights are rounded to multiples of it.
    lows
        Lower states of visible and of hidden units, 0 or -1; the upper ones are 1.
    """

    def __init__(self, v: Tensor, weights: Tensor, unit: float, lows: tuple[int, int]) -> None:
        whole = (weights / unit).round()
        gap_v, gap_h = (1 - low for low in lows)
        self.weights = whole * unit
        self._v = _Layer(len(v), whole, gap_v, unit)
        self._h = _Layer(len(v), whole.T.contiguous(), gap_h, unit)
        self._v.new[:, : v.shape[1]] = array(v) == 1
        self._lows, self._n_chains = lows, len(v)

    @property
    def visible(self) -> Tensor:
        """Visible states, float32 of shape (chains, n_visible)."""
        on = torch.from_numpy(self._v.new[:, : len(self.weights)]).float()
        return on.mul_(self._v.gap).add_(self._lows[0])

    def weigh_and_draw_hidden_(
        self,
        before: tuple[float, Tensor],
        now: tuple[float, Tensor],
        slope: Tensor,
        log_weights: Tensor,
        stream: Stream | None,
    ) -> None:
        """Add the change of the visible states' log-probability, and draw hidden states.

        Parameters
        ----------
        before, now
            Scale of the inputs, an inverse temperature, and the hidden biases.
        slope
            Change of the visible biases.
        log_weights
            Float64, shape (chains,), added to.
        stream
            Random numbers; None draws nothing.
        """
        gap_h = np.float32(self._h.gap)
        bias, slope_v = row_major(now[1]), row_major(slope)
        step = (
            *(gap_h * np.float32(now[0]), gap_h * bias, gap_h * np.float32(now[0] - before[0])),
            *(gap_h * (bias - row_major(before[1])), np.float32(self._v.gap) * slope_v),
        )
        weights = array(log_weights)
        if self._lows[0]:
            weights += self._lows[0] * slope_v.sum(dtype=np.float64)
        key = (0, 0, 0, 0) if stream is None else stream.take()
        hidden = (*self._h.states, self._h.gap)
        arguments: tuple[Any, ...] = (
            *(self._v.inputs(), hidden, step),
            *(weights, stream is not None, key),
        )
        n_blocks = self._n_blocks()
        if n_blocks <= 1:
            loop: Any = _hidden_rows
            self._h.n_flips = loop(*arguments, 0, self._n_chains)
        else:
            self._h.n_flips = run(n_blocks, _hidden_blocks, *arguments, n_blocks)

    def draw_visible_(self, now: tuple[float, Tensor], stream: Stream) -> None:
        """Draw visible states, given biases and an inverse temperature, which scales the inputs."""
        visible = (*self._v.states, self._v.gap)
        arguments: tuple[Any, ...] = (
            *(self._h.inputs(), visible, np.float32(now[0]), row_major(now[1])),
            stream.take(),
        )
        n_blocks = self._n_blocks()
        if n_blocks <= 1:
            loop: Any = _visible_rows
            self._v.n_flips = loop(*arguments, 0, self._n_chains)
        else:
            n = self._n_chains
            self._v.n_flips = run(n_blocks, _visible_blocks, *arguments, n, n_blocks)

    def _n_blocks(self) -> int:
        return min(worthwhile_threads(self._n_chains * sum(self.weights.shape)), self._n_chains)


def followed(v: Tensor, weights: Tensor, lows: tuple[int, int]) -> Followed | None:
    """Chains that follow flips, if that is accurate and worthwhile."""
    if weights.dtype != torch.float32 or weights.numel() < _LEAST_WEIGHTS:
        return None
    weights = weights.detach()
    unit = _unit_of(weights, (1 - lows[0]) * (1 - lows[1]))
    return None if unit is None else Followed(v, weights, unit, lows)
