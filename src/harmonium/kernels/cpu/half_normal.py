"""Compiled draws and moments of units with half-lines of states, as `kernels.half_normal` has.

All loops over the units of a row are free of branches and calls, so that LLVM vectorises them. What
is far in a tail needs other formulas, and is gathered first.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from numba import float64, int32, njit, prange
from torch import Tensor

from harmonium.kernels.cpu.common import array, in_blocks, parallel, row_major, serial
from harmonium.kernels.cpu.draws import draw_with, fill_words, log, unit
from harmonium.kernels.half_normal import TAIL_BELOW
from harmonium.rng import Stream

_inlined = njit(inline="always", error_model="numpy")

# Polynomial in (a - 4) / (a + 4) that gives (a + 4) times Mills' ratio for a >= 0: interpolation at
# Chebyshev points, relative error 5e-15 (the substitution of Shepherd and Laframboise, 1981).
_RATIO = np.array([
    1.8932190633084833, -1.5237709108199209, 0.9704095548681061, -0.46754096300288933,
    0.15139176229150952, -0.01890045076392154, -0.008722294943409412, 0.004087854720522052,
    0.0003342419266141353, -0.0005792641296306719, -4.770455827430527e-06,
    8.807903627839139e-05, 1.758139853031907e-06, -1.480972516687886e-05,
    -1.5046910385509169e-06, 2.526644196178933e-06, 5.893821224375905e-07,
    -3.688360426654015e-07, -1.4218977293404845e-07, 3.224557804383836e-08,
    1.6994362239005116e-08,
])  # fmt: skip

# Taylor's coefficients of the exponential: half a factor of two away, the rest is below 1e-17.
_FACTORIALS = np.array([1.0 / math.factorial(k) for k in range(14)])

# Below this, moments are a series in 1 / t^2: the plain formulas would lose digits.
_SERIES_BELOW = -40.0

# Below this chance, the inverse would need a third approximation.
_LEAST_CHANCE = math.exp(-25.0)

# Halley's steps converge cubically.
_STEPS = 2

_ROOT_OF_TWO_PI = math.sqrt(2.0 * math.pi)


@_inlined
def _exp(x):
    """Exponential of x between -708 and 600, and at these where x is beyond; error 1e-15."""
    x = min(max(x, -708.0), 600.0)
    n = np.floor(x * 1.4426950408889634 + 0.5)
    r = (x - n * 0.693145751953125) - n * 1.42860682030941723212e-6
    value = _FACTORIALS[13]
    for k in range(12, -1, -1):
        value = value * r + _FACTORIALS[k]
    return value * np.int64((np.int64(int32(n)) + 1023) << 52).view(np.float64)


@_inlined
def _mills(a):
    """Mills' ratio, for a >= 0."""
    s = (a - 4.0) / (a + 4.0)
    value = _RATIO[20]
    for k in range(19, -1, -1):
        value = value * s + _RATIO[k]
    return value / (a + 4.0)


@_inlined
def _side(t):
    """Mills' ratio of |t|, the density exp(-t^2 / 2), and the mass of the half-line.

    The mass is the normaliser, over exp(t^2 / 2) where t > 0, so that it cannot overflow.
    """
    ratio = _mills(abs(t))
    density = _exp(-0.5 * t * t)
    mass = _ROOT_OF_TWO_PI - density * ratio if t > 0.0 else ratio
    return ratio, density, mass


@_inlined
def _moments(t, density, mass):
    """Mean, and mean of the square."""
    hazard = (density if t > 0.0 else 1.0) / mass
    s = 1.0 / max(t * t, 1.0)
    mean = t + hazard
    square = 1.0 + t * mean
    far_mean = -(1.0 + s * (-2.0 + s * (10.0 + s * (-74.0 + s * 706.0)))) / min(t, -1.0)
    var = s * (1.0 + s * (-6.0 + s * (50.0 + s * (-518.0 + s * 6354.0))))
    is_far = t < _SERIES_BELOW
    return (far_mean if is_far else mean, far_mean * far_mean + var if is_far else square)


@_inlined
def _odds_below(up, down, mass, mass_below, ratio):
    """Odds of the negative half-line; ``ratio`` is of both standard deviations."""
    rise, fall = max(up, 0.0), max(down, 0.0)
    return mass_below / (ratio * mass) * _exp(0.5 * (fall - rise) * (fall + rise))


@_inlined
def _of_polynomials(x, upper, lower):
    above, below = upper[0], lower[0]
    for k in range(1, 8):
        above = above * x + upper[k]
        below = below * x + lower[k]
    return above / below


# Coefficients of the inverse of the normal distribution function (Wichura, 1988, AS 241, PPND16):
# for the middle, and for the square root of minus the log of the tail.
_MIDDLE = (
    np.array([2509.0809287301226727, 33430.575583588128105, 67265.770927008700853,
              45921.953931549871457, 13731.693765509461125, 1971.5909503065514427,
              133.14166789178437745, 3.387132872796366608]),
    np.array([5226.495278852545925, 28729.085735721942674, 39307.89580009271061,
              21213.794301586595867, 5394.1960214247511077, 687.1870074920579083,
              42.313330701600911252, 1.0]),
)  # fmt: skip
_OUTER = (
    np.array([7.7454501427834140764e-4, 0.0227238449892691845833, 0.24178072517745061177,
              1.27045825245236838258, 3.64784832476320460504, 5.7694972214606914055,
              4.6303378461565452959, 1.42343711074968357734]),
    np.array([1.05075007164441684324e-9, 5.475938084995344946e-4, 0.0151986665636164571966,
              0.14810397642748007459, 0.68976733498510000455, 1.6763848301838038494,
              2.05319162663775882187, 1.0]),
)  # fmt: skip


@serial
def _near(centre, chance, y):
    """Draws by the inverse of the normal distribution function; ``chance`` is of more than each."""
    for j in range(centre.size):
        p = chance[j]
        q = p - 0.5
        middle = q * _of_polynomials(0.180625 - q * q, _MIDDLE[0], _MIDDLE[1])
        root = math.sqrt(-log(min(p, 1.0 - p)))
        outer = _of_polynomials(root - 1.6, _OUTER[0], _OUTER[1])
        outer = -outer if q < 0.0 else outer
        y[j] = max(centre[j] - (middle if abs(q) <= 0.425 else outer), 0.0)


@serial
def _tail(a, ratio, u, y):
    """Draws far below zero, by Halley's steps on the log of the chance; ``ratio`` is Mills'."""
    for j in range(a.size):
        u[j] = -log(u[j])
        y[j] = 2.0 * u[j] / (a[j] + math.sqrt(a[j] * a[j] + 2.0 * u[j]))
    for _ in range(_STEPS):
        for j in range(a.size):
            there = _mills(a[j] + y[j])
            error = there * (y[j] * (a[j] + 0.5 * y[j]) + log(ratio[j] / there) - u[j])
            y[j] -= error / (1.0 - 0.5 * error * (1.0 / there - (a[j] + y[j])))
    for j in range(a.size):
        y[j] = max(y[j], 0.0)


@serial
def _half_normal(centre, ratio, chance, u, y, rest):
    """Draw a row; ``rest`` has room for four rows."""
    _near(centre, chance, y)
    n = 0
    for j in range(centre.size):
        # below that chance, the approximation of the inverse ends
        if centre[j] < TAIL_BELOW or chance[j] < _LEAST_CHANCE:
            rest[0, n], rest[1, n], rest[2, n] = -centre[j], ratio[j], u[j]
            n += 1
    if n:
        _tail(rest[0, :n], rest[1, :n], rest[2, :n], rest[3, :n])
        n = 0
        for j in range(centre.size):
            if centre[j] < TAIL_BELOW or chance[j] < _LEAST_CHANCE:
                y[j] = rest[3, n]
                n += 1


@serial
def _relu_row(x, bias, spread, words, centre, ratio, chance, u):
    """What draws of a row need: centres, Mills' ratios of their size, chances, uniform numbers."""
    for j in range(x.size):
        t = (float64(x[j]) + bias[j]) * spread[j]
        of_size, density, mass = _side(t)
        number = unit(words[j])
        centre[j], ratio[j], u[j] = t, of_size, number
        chance[j] = number * (mass if t > 0.0 else density * mass) / _ROOT_OF_TWO_PI


@serial
def _scale(y, spread, x):
    for j in range(x.size):
        x[j] = y[j] * spread[j]


@serial
def _relu_rows(x, bias, spread, start, stop, k0, k1, c2, c3):
    columns = x.shape[1]
    words = np.empty(4 * ((columns + 3) // 4), np.uint32)
    room, rest = np.empty((5, columns)), np.empty((4, columns))
    for row in range(start, stop):
        fill_words(words, len(words) // 4, row, k0, k1, c2, c3)
        _relu_row(x[row], bias, spread, words, room[0], room[1], room[2], room[3])
        _half_normal(room[0], room[1], room[2], room[3], room[4], rest)
        _scale(room[4], spread, x[row])


@parallel
def _relu_blocks(x, bias, spread, k0, k1, c2, c3, n_blocks):
    rows = x.shape[0]
    for b in prange(n_blocks):
        start, stop = rows * b // n_blocks, rows * (b + 1) // n_blocks
        _relu_rows(x, bias, spread, start, stop, k0, k1, c2, c3)


@serial
def _drelu_row(x, bias, spread, bias_below, spread_below, words, centre, ratio, chance, u, signed):
    """As `_relu_row`, of the half-line that is drawn; and its standard deviation with its sign."""
    for j in range(x.size):
        up = (float64(x[j]) + bias[j]) * spread[j]
        down = -(float64(x[j]) + bias_below[j]) * spread_below[j]
        of_size, density, mass = _side(up)
        of_size_below, density_below, mass_below = _side(down)
        odds = _odds_below(up, down, mass, mass_below, spread[j] / spread_below[j])
        is_above = unit(words[j]) * (1.0 + odds) < 1.0
        number = unit(words[x.size + j])
        centre[j], u[j] = up if is_above else down, number
        ratio[j] = of_size if is_above else of_size_below
        signed[j] = spread[j] if is_above else -spread_below[j]
        of_above = mass if up > 0.0 else density * mass
        of_below = mass_below if down > 0.0 else density_below * mass_below
        chance[j] = number * (of_above if is_above else of_below) / _ROOT_OF_TWO_PI


@serial
def _drelu_rows(x, bias, spread, bias_below, spread_below, start, stop, k0, k1, c2, c3):
    columns = x.shape[1]
    words = np.empty(4 * ((2 * columns + 3) // 4), np.uint32)
    halves = bias, spread, bias_below, spread_below
    room, rest = np.empty((6, columns)), np.empty((4, columns))
    for row in range(start, stop):
        fill_words(words, len(words) // 4, row, k0, k1, c2, c3)
        _drelu_row(x[row], *halves, words, room[0], room[1], room[2], room[3], room[4])
        _half_normal(room[0], room[1], room[2], room[3], room[5], rest)
        _scale(room[5], room[4], x[row])


@parallel
def _drelu_blocks(x, bias, spread, bias_below, spread_below, k0, k1, c2, c3, n_blocks):
    rows = x.shape[0]
    for b in prange(n_blocks):
        start, stop = rows * b // n_blocks, rows * (b + 1) // n_blocks
        _drelu_rows(x, bias, spread, bias_below, spread_below, start, stop, k0, k1, c2, c3)


@serial
def _relu_moment_rows(x, bias, spread, mean, square, start, stop):
    for row in range(start, stop):
        for j in range(x.shape[1]):
            t = (float64(x[row, j]) + bias[j]) * spread[j]
            _, density, mass = _side(t)
            first, second = _moments(t, density, mass)
            mean[row, j] = first * spread[j]
            square[row, j] = second


@serial
def _drelu_moment_rows(
    x, bias, spread, bias_below, spread_below, mean, above, below, size, start, stop
):
    ratios = spread / spread_below
    for row in range(start, stop):
        for j in range(x.shape[1]):
            up = (float64(x[row, j]) + bias[j]) * spread[j]
            down = -(float64(x[row, j]) + bias_below[j]) * spread_below[j]
            _, density, mass = _side(up)
            _, density_below, mass_below = _side(down)
            odds = _odds_below(up, down, mass, mass_below, ratios[j])
            share = 1.0 / (1.0 + odds)
            first, second = _moments(up, density, mass)
            first_below, second_below = _moments(down, density_below, mass_below)
            first *= share * spread[j]
            first_below *= odds * share * spread_below[j]
            mean[row, j] = first - first_below
            size[row, j] = first + first_below
            above[row, j] = share * second
            below[row, j] = odds * share * second_below


@parallel
def _relu_moment_blocks(x, bias, spread, mean, square, n_blocks):
    rows = x.shape[0]
    for b in prange(n_blocks):
        start, stop = rows * b // n_blocks, rows * (b + 1) // n_blocks
        _relu_moment_rows(x, bias, spread, mean, square, start, stop)


@parallel
def _drelu_moment_blocks(
    x, bias, spread, bias_below, spread_below, mean, above, below, size, n_blocks
):
    rows = x.shape[0]
    for b in prange(n_blocks):
        start, stop = rows * b // n_blocks, rows * (b + 1) // n_blocks
        _drelu_moment_rows(
            x, bias, spread, bias_below, spread_below, mean, above, below, size, start, stop
        )


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
    _fill(_relu_moment_rows, _relu_moment_blocks, inputs, _half_line(bias, precision), found)
    return found


def drelu_moments(
    inputs: Tensor, bias: Tensor, precision: Tensor, bias_below: Tensor, precision_below: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Mean; means of precision times the squared state, above and below zero; mean size."""
    by_column = *_half_line(bias, precision), *_half_line(bias_below, precision_below)
    mean, above, below, size = (torch.empty_like(inputs) for _ in range(4))
    found = mean, above, below, size
    _fill(_drelu_moment_rows, _drelu_moment_blocks, inputs, by_column, found)
    return found


def _fill(
    serial: Any,
    parallel: Any,
    inputs: Tensor,
    by_column: tuple[Any, ...],
    found: tuple[Tensor, ...],
) -> None:
    """Compute moments on this thread, or on as many as torch uses for its products."""
    arguments = (array(inputs), *by_column, *map(array, found))
    in_blocks(serial, parallel, arguments, len(inputs), inputs.numel())
