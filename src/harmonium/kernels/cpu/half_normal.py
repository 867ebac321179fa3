"""Compiled draws and moments of units with half-lines of states, as `kernels.half_normal` has."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numba import prange
from torch import Tensor

from harmonium.kernels.cpu.common import array, parallel, row_major, serial
from harmonium.kernels.cpu.draws import draw_with, fill_words, unit
from harmonium.kernels.half_normal import NEWTON_STEPS, TAIL_BELOW
from harmonium.rng import Stream

# Polynomial in (a - 4) / (a + 4) that gives (a + 4) times Mills' ratio for a >= 0: interpolation at
# Chebyshev points, relative error 5e-16 (the substitution of Shepherd and Laframboise, 1981).
_RATIO = np.array([
    1.8932190633084853, -1.5237709108199835, 0.9704095548675874, -0.46754096299832926,
    0.1513917623124891, -0.01890045086179461, -0.008722295275113486, 0.00408785568219404,
    0.00033424462447582926, -0.0005792693112383798, -4.7833112184110975e-06,
    8.809575792458322e-05, 1.7965666540766273e-06, -1.4843347253192145e-05,
    -1.5791693622508298e-06, 2.5688741365377523e-06, 6.836016680202922e-07,
    -4.006262909600915e-07, -2.1840990663360633e-07, 4.482320698500524e-08,
    5.4154267181159925e-08, -1.509241818614183e-09, -9.520279114401458e-09,
    -2.9433098761634534e-10, 8.812534041624495e-10,
])  # fmt: skip

# Below this, moments are a series in 1 / t^2: the plain formulas would lose digits.
_SERIES_BELOW = -40.0

# Mills' ratio of minus this is still far from float64's largest number.
_LARGEST = 36.0

_ROOT_OF_TWO_PI = math.sqrt(2.0 * math.pi)


@serial
def _mills(a):
    size = abs(a)
    s = (size - 4.0) / (size + 4.0)
    value = _RATIO[24]
    for k in range(23, -1, -1):
        value = value * s + _RATIO[k]
    value /= size + 4.0
    return value if a >= 0.0 else _ROOT_OF_TWO_PI * math.exp(0.5 * a * a) - value


@serial
def _moments(t):
    """Mean, and mean of the square."""
    if t < _SERIES_BELOW:
        s = 1.0 / (t * t)
        mean = -(1.0 + s * (-2.0 + s * (10.0 + s * (-74.0 + s * 706.0)))) / t
        var = s * (1.0 + s * (-6.0 + s * (50.0 + s * (-518.0 + s * 6354.0))))
        return mean, mean * mean + var
    hazard = 0.0 if t > _LARGEST else 1.0 / _mills(-t)
    return t + hazard, 1.0 + t * (t + hazard)


@serial
def _share_above(up, down, ratio):
    """Probability of the positive half-line; ``ratio`` is of both standard deviations."""
    if max(up, down) < _LARGEST:
        above, below = ratio * _mills(-up), _mills(-down)
        return above / (above + below)
    log_odds = _log_normaliser(up) - _log_normaliser(down) + math.log(ratio)
    return 1.0 / (1.0 + math.exp(-max(min(log_odds, 700.0), -700.0)))


@serial
def _log_normaliser(t):
    if t < _LARGEST:
        return math.log(_mills(-t))
    return 0.5 * t * t + math.log(_ROOT_OF_TWO_PI)


@serial
def _of_polynomials(x, upper, lower):
    above, below = upper[0], lower[0]
    for k in range(1, 8):
        above = above * x + upper[k]
        below = below * x + lower[k]
    return above / below


# Coefficients of the inverse of the normal distribution function (Wichura, 1988, AS 241, PPND16):
# for the middle, and for the square root of minus the log of the tail, near and far.
_MIDDLE = (
    np.array([2509.0809287301226727, 33430.575583588128105, 67265.770927008700853,
              45921.953931549871457, 13731.693765509461125, 1971.5909503065514427,
              133.14166789178437745, 3.387132872796366608]),
    np.array([5226.495278852545925, 28729.085735721942674, 39307.89580009271061,
              21213.794301586595867, 5394.1960214247511077, 687.1870074920579083,
              42.313330701600911252, 1.0]),
)  # fmt: skip
_NEAR = (
    np.array([7.7454501427834140764e-4, 0.0227238449892691845833, 0.24178072517745061177,
              1.27045825245236838258, 3.64784832476320460504, 5.7694972214606914055,
              4.6303378461565452959, 1.42343711074968357734]),
    np.array([1.05075007164441684324e-9, 5.475938084995344946e-4, 0.0151986665636164571966,
              0.14810397642748007459, 0.68976733498510000455, 1.6763848301838038494,
              2.05319162663775882187, 1.0]),
)  # fmt: skip
_FAR = (
    np.array([2.01033439929228813265e-7, 2.71155556874348757815e-5, 0.0012426609473880784386,
              0.026532189526576123093, 0.29656057182850489123, 1.7848265399172913358,
              5.4637849111641143699, 6.6579046435011037772]),
    np.array([2.04426310338993978564e-15, 1.4215117583164458887e-7, 1.8463183175100546818e-5,
              7.868691311456132591e-4, 0.0148753612908506148525, 0.13692988092273580531,
              0.59983220655588793769, 1.0]),
)  # fmt: skip


@serial
def _normal_quantile(p):
    q = p - 0.5
    if abs(q) <= 0.425:
        return q * _of_polynomials(0.180625 - q * q, _MIDDLE[0], _MIDDLE[1])
    r = math.sqrt(-math.log(p if q < 0.0 else 1.0 - p))
    if r <= 5.0:
        size = _of_polynomials(r - 1.6, _NEAR[0], _NEAR[1])
    else:
        size = _of_polynomials(r - 5.0, _FAR[0], _FAR[1])
    return -size if q < 0.0 else size


@serial
def _half_normal(t, u):
    if t >= TAIL_BELOW:
        share = 0.5 * math.erfc(-t * math.sqrt(0.5))
        return max(t - _normal_quantile(u * share), 0.0)
    a, wanted = -t, -math.log(u)
    start = _mills(a)
    y = 2.0 * wanted / (a + math.sqrt(a * a + 2.0 * wanted))
    for _ in range(NEWTON_STEPS):
        ratio = _mills(a + y)
        y -= ratio * (y * (a + 0.5 * y) + math.log(start / ratio) - wanted)
    return max(y, 0.0)


@serial
def _relu_moments(x, bias, spread, mean, square):
    for row in range(x.shape[0]):
        for j in range(x.shape[1]):
            first, second = _moments((float(x[row, j]) + bias[j]) * spread[j])
            mean[row, j] = first * spread[j]
            square[row, j] = second


@serial
def _drelu_moments(x, bias, spread, bias_below, spread_below, mean, above, below, size):
    ratio = spread / spread_below
    for row in range(x.shape[0]):
        for j in range(x.shape[1]):
            up = (float(x[row, j]) + bias[j]) * spread[j]
            down = -(float(x[row, j]) + bias_below[j]) * spread_below[j]
            share = _share_above(up, down, ratio[j])
            first, second = _moments(up)
            first_below, second_below = _moments(down)
            first *= share * spread[j]
            first_below *= (1.0 - share) * spread_below[j]
            mean[row, j] = first - first_below
            size[row, j] = first + first_below
            above[row, j] = share * second
            below[row, j] = (1.0 - share) * second_below


@serial
def _relu_rows(x, bias, spread, start, stop, k0, k1, c2, c3):
    columns = x.shape[1]
    words = np.empty(4 * ((columns + 3) // 4), np.uint32)
    for row in range(start, stop):
        fill_words(words, len(words) // 4, row, k0, k1, c2, c3)
        for j in range(columns):
            t = (float(x[row, j]) + bias[j]) * spread[j]
            x[row, j] = _half_normal(t, unit(words[j])) * spread[j]


@parallel
def _relu_blocks(x, bias, spread, k0, k1, c2, c3, n_blocks):
    rows = x.shape[0]
    for b in prange(n_blocks):
        start, stop = rows * b // n_blocks, rows * (b + 1) // n_blocks
        _relu_rows(x, bias, spread, start, stop, k0, k1, c2, c3)


@serial
def _drelu_rows(x, bias, spread, bias_below, spread_below, start, stop, k0, k1, c2, c3):
    columns = x.shape[1]
    words = np.empty(4 * ((2 * columns + 3) // 4), np.uint32)
    ratio = spread / spread_below
    for row in range(start, stop):
        fill_words(words, len(words) // 4, row, k0, k1, c2, c3)
        for j in range(columns):
            above = (float(x[row, j]) + bias[j]) * spread[j]
            below = -(float(x[row, j]) + bias_below[j]) * spread_below[j]
            u = unit(words[columns + j])
            if unit(words[j]) < _share_above(above, below, ratio[j]):
                x[row, j] = _half_normal(above, u) * spread[j]
            else:
                x[row, j] = -_half_normal(below, u) * spread_below[j]


@parallel
def _drelu_blocks(x, bias, spread, bias_below, spread_below, k0, k1, c2, c3, n_blocks):
    rows = x.shape[0]
    for b in prange(n_blocks):
        start, stop = rows * b // n_blocks, rows * (b + 1) // n_blocks
        _drelu_rows(x, bias, spread, bias_below, spread_below, start, stop, k0, k1, c2, c3)


def _half_line(bias: Tensor, precision: Tensor) -> tuple[Any, Any]:
    """Bias and standard deviation of a half-line, float64."""
    return row_major(bias.double()), row_major(precision.double().rsqrt())


def relu_(inputs: Tensor, bias: Tensor, precision: Tensor, stream: Stream) -> None:
    """Normal states of mean (inputs + bias) / precision, given that they are positive."""
    by_column = _half_line(bias, precision)
    draw_with(_relu_rows, _relu_blocks, array(inputs), by_column, stream)


def drelu_(
    inputs: Tensor,
    bias: Tensor,
    precision: Tensor,
    bias_below: Tensor,
    precision_below: Tensor,
    stream: Stream,
) -> None:
    """Which half-line, then the distance from zero."""
    by_column = *_half_line(bias, precision), *_half_line(bias_below, precision_below)
    draw_with(_drelu_rows, _drelu_blocks, array(inputs), by_column, stream)


def relu_moments(inputs: Tensor, bias: Tensor, precision: Tensor) -> tuple[Tensor, Tensor]:
    """Mean, and mean of precision times the squared state, of each unit."""
    found = torch.empty_like(inputs), torch.empty_like(inputs)
    _relu_moments(array(inputs), *_half_line(bias, precision), *map(array, found))
    return found


def drelu_moments(
    inputs: Tensor,
    bias: Tensor,
    precision: Tensor,
    bias_below: Tensor,
    precision_below: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Mean; means of precision times the squared state, above and below zero; mean size."""
    by_column = *_half_line(bias, precision), *_half_line(bias_below, precision_below)
    mean, above, below, size = (torch.empty_like(inputs) for _ in range(4))
    _drelu_moments(array(inputs), *by_column, *map(array, (mean, above, below, size)))
    return mean, above, below, size
