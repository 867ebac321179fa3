"""Weight of an annealing step, and the draw at its end, in one pass over the inputs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import float32, float64, njit, prange
from torch import Tensor

from harmonium.kernels.cpu.common import array, in_blocks, parallel, row_major, serial
from harmonium.kernels.cpu.draws import exp, fill_words, uniform
from harmonium.rng import Stream

# Largest growth of an argument from one temperature to the next for which the polynomial below is
# exact to the last bit of float32; rows with larger steps take the other way.
_SMALL = 0.5

# Factors between 1/2 and 2 that are multiplied before taking one logarithm, far from float64's
# limits.
_FACTORS = 512


_in_any_order = njit(cache=True, nogil=True, error_model="numpy", fastmath={"reassoc"})


@_in_any_order
def _product(change, start, stop):
    """The product of 1 + change, in any order, so that the compiler can vectorise it."""
    product = float64(1)
    for j in range(start, stop):
        product *= float64(1) + float64(change[j])
    return product


@serial
def _large_steps(x, difference, bias_difference):
    n = 0
    for j in range(x.size):
        n += abs(difference * x[j] + bias_difference[j]) > float32(_SMALL)
    return n


@serial
def _softplus(x):
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


@serial
def _weigh_any(x, now, bias, difference, bias_difference):
    """The change of log(1 + exp) of a row, with two logarithms per column."""
    total = 0.0
    for j in range(x.size):
        after = float64(now) * x[j] + bias[j]
        step = float64(difference) * x[j] + bias_difference[j]
        total += _softplus(after) - _softplus(after - step)
    return total


@serial
def _weigh_and_draw(x, now, bias, difference, bias_difference, words, change, draws):
    """The same for small steps d, and a draw.

    With p the probability at the end, the change is minus log(1 + p (exp(-d) - 1)). One exponential
    serves both the draw and the weight.
    """
    one = float32(1)
    for j in range(x.size):
        d = -(difference * x[j] + bias_difference[j])
        # Taylor series of exp(d) - 1: the next term is below a relative 1e-7
        e = float32(1 / 120) + d * (float32(1 / 720) + d * float32(1 / 5040))
        e = float32(1 / 6) + d * (float32(1 / 24) + d * e)
        e = d * (one + d * (float32(1 / 2) + d * e))
        odds = one + exp(-(now * x[j] + bias[j]))
        change[j] = e / odds
        if draws:
            x[j] = uniform(words[j]) * odds < one
    total = 0.0
    for start in range(0, x.size, _FACTORS):
        total -= math.log(_product(change, start, min(start + _FACTORS, x.size)))
    return total


@serial
def weigh_and_draw_row(x, now, bias, difference, bias_difference, words, change, draws):
    """The change of a row's log-normaliser, by the method its step sizes need, and a draw."""
    large = _large_steps(x, difference, bias_difference) > 0
    by_logs = 0.0
    if large:
        by_logs = _weigh_any(x, now, bias, difference, bias_difference)
    weight = _weigh_and_draw(x, now, bias, difference, bias_difference, words, change, draws)
    return by_logs if large else weight


@serial
def _rows(x, now, bias, difference, bias_difference, log_weights, draws, start, stop, key):
    k0, k1, c2, c3 = key
    q = (x.shape[1] + 3) // 4
    words, change = np.empty(4 * q, np.uint32), np.empty(x.shape[1], np.float32)
    for row in range(start, stop):
        if draws:
            fill_words(words, q, row, k0, k1, c2, c3)
        log_weights[row] += weigh_and_draw_row(
            x[row], now, bias, difference, bias_difference, words, change, draws
        )


@parallel
def _blocks(x, now, bias, difference, bias_difference, log_weights, draws, key, n_blocks):
    n = x.shape[0]
    for b in prange(n_blocks):
        start, stop = n * b // n_blocks, n * (b + 1) // n_blocks
        _rows(x, now, bias, difference, bias_difference, log_weights, draws, start, stop, key)


def reweigh_binary_(
    inputs: Tensor,
    before: tuple[float, Tensor],
    now: tuple[float, Tensor],
    log_weights: Tensor,
    stream: Stream | None,
) -> None:
    """Add the changes to the log weights, and draw the units.

    Inputs and biases are float32; all arrays but the biases are contiguous.
    """
    x, weights = array(inputs), array(log_weights)
    bias = row_major(now[1])
    arguments: tuple[Any, ...] = (
        *(x, np.float32(now[0]), bias, np.float32(now[0] - before[0])),
        *(bias - row_major(before[1]), weights, stream is not None),
    )
    key = (0, 0, 0, 0) if stream is None else stream.take()
    in_blocks(_rows, _blocks, arguments, len(x), x.size, key)
