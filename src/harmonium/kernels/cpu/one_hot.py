"""Sweeps between a one-hot layer and any other, in which a unit's state is one byte: its category.

On the way up, inputs are sums of the rows of weights that the categories name. On the way down, a
block of columns at a time, inputs are drawn from before they leave the cache.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numba import prange
from torch import Tensor

from harmonium import ranks
from harmonium.kernels import threads
from harmonium.kernels.cpu.categories import TILE, draw_categories
from harmonium.kernels.cpu.common import array, parallel, row_major, run, serial, worthwhile_threads
from harmonium.kernels.cpu.draws import fill_words
from harmonium.kernels.cpu.flips import FEW_ROWS, MULTIPLICATION
from harmonium.kernels.cpu.lines import (
    ADDED_LINE,
    LINE,
    MADE_LINE,
    add_lines,
    fill_table,
    groups,
    name_states,
)
from harmonium.kernels.cpu.one_hot_products import in_panels, kept, sum_rows
from harmonium.rng import Stream

# Below this many multiplications, calls cost more than they save.
_WORTHWHILE_FROM = 8_000_000

# Rows times sweeps that are worth packing the weights: those that go down by tables, and those
# that go up where the way down is a product.
_LEAST_SWEEPS = 400
_LEAST_WAYS_UP = 600

_ROWS_AT_ONCE = 1024  # whose inputs of a block of columns stay in the cache


@parallel
def _fill_all_words(words, k0, k1, c2, c3, n_blocks):
    rows, q = words.shape[0], words.shape[1] // 4
    for b in prange(n_blocks):
        for row in range(rows * b // n_blocks, rows * (b + 1) // n_blocks):
            fill_words(words[row], q, row, k0, k1, c2, c3)


@serial
def _draw_block(names, rows_of, bias, low, k, per_table, q, words, letters, memory, start, stop):
    """Draw the units of some blocks of columns, for all rows."""
    rows, n_groups = names.shape
    units = LINE // q
    inputs, lines = memory[:_ROWS_AT_ONCE], memory[_ROWS_AT_ONCE:]
    table = lines[: per_table << k].reshape(per_table, 1 << k, LINE)
    turned, highest = np.zeros((LINE, TILE), np.float32), np.zeros(TILE, np.float32)
    for b in range(start, stop):
        first, last = b * units, min((b + 1) * units, letters.shape[1])
        columns = (last - first) * q
        for at in range(0, rows, _ROWS_AT_ONCE):
            some = inputs[: min(_ROWS_AT_ONCE, rows - at)]
            some[:] = 0
            for g in range(0, n_groups, per_table):
                if at == 0 or per_table < n_groups:
                    own = table[: min(per_table, n_groups - g)]
                    fill_table(own, rows_of[b, k * g : k * (g + per_table)], k, low)
                for row in range(some.shape[0]):
                    add_lines(some[row], lines, names[at + row, g : g + per_table], 1 << k)
            for r in range(0, some.shape[0], TILE):
                tile = some[r : r + TILE, :columns]
                named = slice(at + r, at + r + tile.shape[0])
                draw_categories(
                    tile, bias[first * q : last * q], q, turned, highest,
                    words[named, first:last], letters[named, first:last],
                )  # fmt: skip


@parallel
def _draw_blocks(names, rows_of, bias, low, k, per_table, q, words, letters, memory, n_blocks):
    n = rows_of.shape[0]
    for b in prange(n_blocks):
        start, stop = n * b // n_blocks, n * (b + 1) // n_blocks
        _draw_block(
            names, rows_of, bias, low, k, per_table, q, words, letters, memory[b], start, stop
        )


@serial
def _draw_rows(x, bias, q, words, letters, start, stop):
    """Draw from inputs that are there, some units of some rows at a time."""
    units = LINE // q
    turned, highest = np.zeros((LINE, TILE), np.float32), np.zeros(TILE, np.float32)
    for r in range(start, stop, TILE):
        rows = slice(r, min(r + TILE, stop))
        for first in range(0, letters.shape[1], units):
            last = min(first + units, letters.shape[1])
            columns = slice(first * q, last * q)
            draw_categories(
                x[rows, columns], bias[columns], q, turned, highest,
                words[rows, first:last], letters[rows, first:last],
            )  # fmt: skip


@parallel
def _draw_all_rows(x, bias, q, words, letters, n_blocks):
    n = x.shape[0]
    for b in prange(n_blocks):
        _draw_rows(x, bias, q, words, letters, n * b // n_blocks, n * (b + 1) // n_blocks)


class _Sweeps:
    """Sweeps of a call: packed weights, and the categories of all rows."""

    def __init__(self, rows: int, weights: Tensor, bias: Any, q: int) -> None:
        n = len(weights)
        self._weights, self._q, self._bias, self._n_threads = (
            weights,
            q,
            bias,
            worthwhile_threads(rows * n),
        )
        self.letters = np.empty((rows, n // q), np.uint8)
        self._words = np.empty((rows, -(-(n // q) // 4) * 4), np.uint32)

    @cached_property
    def _panels(self) -> Any:
        """The rows that categories name, 64 columns at a time."""
        n, m = self._weights.shape
        return in_panels(self._weights, kept("panels", (-(-m // LINE), n, LINE))).numpy()

    @cached_property
    def _rows_of(self) -> Any:
        """The weights of each block of columns, a row for each unit of the other layer."""
        n, m = self._weights.shape
        width = LINE // self._q * self._q
        packed = kept("rows_of", (-(-n // width), m, LINE))
        for first, block in zip(range(0, n, width), packed, strict=True):
            own = self._weights[first : first + width].T
            block[:, : own.shape[1]] = own
        return packed.numpy()

    def draw_from_states(self, h: Any, low: int, stream: Stream) -> bool:
        """Draw given two-valued states; false, and nothing is done, if there are others."""
        k, per_table = groups(ranks.whole(len(h)), h.shape[1])
        names = np.empty((len(h), -(-h.shape[1] // k)), np.uint8)
        if not ranks.agreed(name_states(h, np.float32(low), k, names, 0, len(h))):
            return False
        self._take_words(stream)
        layer = names, self._rows_of, self._bias, np.float32(low), k, per_table
        lines = _ROWS_AT_ONCE + (per_table << k)
        memory = kept("tables", (self._n_threads, lines, LINE)).numpy()
        drawn = self._q, self._words, self.letters, memory, self._n_threads
        run(self._n_threads, _draw_blocks, *layer, *drawn)
        return True

    def draw(self, inputs: Any, stream: Stream) -> None:
        """Draw given inputs without the bias."""
        self._take_words(stream)
        drawn = self._q, self._words, self.letters, self._n_threads
        run(self._n_threads, _draw_all_rows, inputs, self._bias, *drawn)

    def add_weights(self, out: Any) -> None:
        """Overwrite ``out`` with the other layer's inputs."""
        run(self._n_threads, sum_rows, self.letters, self._q, self._panels, out, self._n_threads)

    def write(self, out: Tensor) -> None:
        """Overwrite ``out`` with the states as one-hot rows."""
        by_unit = out.zero_().view(*self.letters.shape, self._q)
        by_unit.scatter_(-1, torch.from_numpy(self.letters).long().unsqueeze(-1), 1)

    def _take_words(self, stream: Stream) -> None:
        run(self._n_threads, _fill_all_words, self._words, *stream.take(), self._n_threads)


def one_hot_sweeps_(
    chains: tuple[Tensor, Tensor],
    weights: Tensor,
    visible: tuple[Tensor, int],
    hidden: tuple[Callable[[Tensor, Stream], Tensor], int | None],
    n: int,
    stream: Stream,
) -> bool:
    """Make the sweeps by categories, if that is worthwhile; else do nothing."""
    (v, h), weights = chains, weights.detach()
    rows = ranks.whole(len(v))
    (bias, q), (draw_hidden, low) = visible, hidden
    tensors = (v, h, weights, bias)
    if (
        any(x.dtype != torch.float32 or not x.is_cpu or not x.is_contiguous() for x in tensors)
        or q > LINE
        or rows * v.shape[1] * h.shape[1] < _WORTHWHILE_FROM
    ):
        return False
    two_valued = low if _tables_pay(rows, h.shape[1], len(weights), q) else None
    if rows * (n - 1) < _LEAST_WAYS_UP and (two_valued is None or rows * n < _LEAST_SWEEPS):
        return False
    if not math.isfinite(weights.sum().item()):
        return False
    sweeps = _Sweeps(len(v), weights, row_major(bias), q)
    for sweep in range(n):
        if sweep:
            sweeps.add_weights(array(h))
            draw_hidden(h, stream)
        if two_valued is None or not sweeps.draw_from_states(array(h), two_valued, stream):
            two_valued = None
            sweeps.draw(array(threads.mm(h, weights.T, out=v)), stream)
    sweeps.write(v)
    return True


def _tables_pay(rows: int, n_hidden: int, n_visible: int, q: int) -> bool:
    """Whether sums over tables cost less than a product."""
    k, _ = groups(rows, n_hidden)
    n_blocks = -(-n_visible // q // (LINE // q))
    lines = n_blocks * -(-n_hidden // k) * (ADDED_LINE * rows + MADE_LINE * 2**k)
    return bool(lines < n_visible * n_hidden * MULTIPLICATION * (rows + FEW_ROWS))
