"""Triton kernels for CUDA: draws, each in one pass over its states.

They give the same bits as `reference`. Each program takes a block of one row's counters and fills
the four stripes of columns that belong to their words. Importing this module imports Triton.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from harmonium.rng import Stream, Word

_COUNTERS = 64  # per program: rows of typical layers have 100 to 250
_WARPS = 2

# These numbers are not worth specialised compilations.
_NUMBERS = ("n", "q", "k0", "k1", "c2", "c3")

_LOG2_E = tl.constexpr(math.log2(math.e))
_LN2_HIGH = tl.constexpr(0.693359375)  # few bits: its product with a small integer is exact
_LN2_LOW = tl.constexpr(-2.12194440054690583e-4)
_TWO_PI = tl.constexpr(2 * math.pi)


@triton.jit
def _word(word):
    """A counter's word, passed by value or stored on the device (harmonium.graphs)."""
    if word.dtype.is_ptr():
        word = tl.load(word)
    return word.to(tl.uint32)


@triton.jit
def _words(n, q, k0, k1, c2, c3, BLOCK: tl.constexpr):
    """A program's counters, the columns of their first words, and all their words."""
    i = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    row = tl.program_id(0).to(tl.uint32)
    w0, w1, w2, w3 = tl.philox_impl(
        i.to(tl.uint32), row, _word(c2), _word(c3), _word(k0), _word(k1)
    )
    # counters beyond the row's get columns beyond the row's
    return tl.where(i < q, i, n), w0, w1, w2, w3


@triton.jit
def _row(x, columns):
    return x + tl.program_id(0).to(tl.int64) * columns


@triton.jit
def _uniform(word, kind: tl.constexpr):
    return (word >> 9).to(tl.int32).to(kind) * 2.0**-23 + 2.0**-24


@triton.jit
def _exp(t):
    """Exponential of a clamped argument.

    In float32, Triton's exp computes 2^(t log2 e) from the rounded product, so its relative error
    grows with t. Here the integer part of the exponent is split off exactly.
    """
    t = tl.minimum(tl.maximum(t, -80.0), 80.0)
    if t.dtype == tl.float64:
        result = tl.exp(t)
    else:
        whole = tl.floor(t * _LOG2_E + 0.5)
        rest = (t - whole * _LN2_HIGH) - whole * _LN2_LOW
        power = ((whole.to(tl.int32) + 127) << 23).to(tl.float32, bitcast=True)
        result = tl.exp2(rest * _LOG2_E) * power
    return result


@triton.jit
def _uniform_stripe(x, j, n, word):
    tl.store(x + j, _uniform(word, x.dtype.element_ty), mask=j < n)


@triton.jit(do_not_specialize=_NUMBERS)
def _uniform_kernel(x, n, q, k0, k1, c2, c3, BLOCK: tl.constexpr):
    i, w0, w1, w2, w3 = _words(n, q, k0, k1, c2, c3, BLOCK)
    x = _row(x, n)
    _uniform_stripe(x, i, n, w0)
    _uniform_stripe(x, q + i, n, w1)
    _uniform_stripe(x, 2 * q + i, n, w2)
    _uniform_stripe(x, 3 * q + i, n, w3)


@triton.jit
def _binary_stripe(x, bias, j, n, word, SCALE: tl.constexpr, LOW: tl.constexpr):
    inputs = tl.load(x + j, mask=j < n, other=0.0) + tl.load(bias + j, mask=j < n, other=0.0)
    # u < 1 / (1 + exp(-x)) without the division, which is approximate in float32
    up = _uniform(word, inputs.dtype) * (1.0 + _exp(-SCALE * inputs)) < 1.0
    tl.store(x + j, tl.where(up, 1.0, LOW).to(x.dtype.element_ty), mask=j < n)


@triton.jit(do_not_specialize=_NUMBERS)
def _binary_kernel(
    x, bias, n, q, k0, k1, c2, c3, SCALE: tl.constexpr, LOW: tl.constexpr, BLOCK: tl.constexpr
):
    i, w0, w1, w2, w3 = _words(n, q, k0, k1, c2, c3, BLOCK)
    x = _row(x, n)
    _binary_stripe(x, bias, i, n, w0, SCALE, LOW)
    _binary_stripe(x, bias, q + i, n, w1, SCALE, LOW)
    _binary_stripe(x, bias, 2 * q + i, n, w2, SCALE, LOW)
    _binary_stripe(x, bias, 3 * q + i, n, w3, SCALE, LOW)


@triton.jit
def _gaussian_stripe(x, bias, precision, j, n, noise):
    inputs = tl.load(x + j, mask=j < n, other=0.0) + tl.load(bias + j, mask=j < n, other=0.0)
    by = tl.load(precision + j, mask=j < n, other=1.0)
    states = inputs / by + noise.to(x.dtype.element_ty) / tl.sqrt(by)
    tl.store(x + j, states, mask=j < n)


@triton.jit
def _gaussian_pair(x, bias, precision, j, k, n, word_j, word_k):
    """Box-Muller in float64, on all 32 bits."""
    radius = tl.sqrt(-2.0 * tl.log((word_j.to(tl.float64) + 0.5) * 2.0**-32))
    angle = _TWO_PI * ((word_k.to(tl.float64) + 0.5) * 2.0**-32)
    _gaussian_stripe(x, bias, precision, j, n, radius * tl.cos(angle))
    _gaussian_stripe(x, bias, precision, k, n, radius * tl.sin(angle))


@triton.jit(do_not_specialize=_NUMBERS)
def _gaussian_kernel(x, bias, precision, n, q, k0, k1, c2, c3, BLOCK: tl.constexpr):
    i, w0, w1, w2, w3 = _words(n, q, k0, k1, c2, c3, BLOCK)
    x = _row(x, n)
    _gaussian_pair(x, bias, precision, i, q + i, n, w0, w1)
    _gaussian_pair(x, bias, precision, 2 * q + i, 3 * q + i, n, w2, w3)


@triton.jit
def _categorical_stripe(x, bias, unit, n, word, N_CATEGORIES: tl.constexpr):
    here = unit < n
    x += unit * N_CATEGORIES
    bias += unit * N_CATEGORIES
    highest = tl.load(x, mask=here, other=0.0) + tl.load(bias, mask=here, other=0.0)
    total = tl.zeros_like(highest)
    cumulative = tl.zeros_like(highest)
    category = tl.zeros_like(unit)
    for c in range(1, N_CATEGORIES):
        inputs = tl.load(x + c, mask=here, other=0.0) + tl.load(bias + c, mask=here, other=0.0)
        highest = tl.maximum(highest, inputs)
    for c in range(N_CATEGORIES):
        inputs = tl.load(x + c, mask=here, other=0.0) + tl.load(bias + c, mask=here, other=0.0)
        total += _exp(inputs - highest)
    threshold = _uniform(word, highest.dtype) * total
    for c in range(N_CATEGORIES - 1):
        inputs = tl.load(x + c, mask=here, other=0.0) + tl.load(bias + c, mask=here, other=0.0)
        cumulative += _exp(inputs - highest)
        category += (threshold >= cumulative).to(tl.int32)
    for c in range(N_CATEGORIES):
        tl.store(x + c, (category == c).to(x.dtype.element_ty), mask=here)


@triton.jit(do_not_specialize=_NUMBERS)
def _categorical_kernel(
    x, bias, n, q, k0, k1, c2, c3, N_CATEGORIES: tl.constexpr, BLOCK: tl.constexpr
):
    i, w0, w1, w2, w3 = _words(n, q, k0, k1, c2, c3, BLOCK)
    x = _row(x, n * N_CATEGORIES)
    _categorical_stripe(x, bias, i, n, w0, N_CATEGORIES)
    _categorical_stripe(x, bias, q + i, n, w1, N_CATEGORIES)
    _categorical_stripe(x, bias, 2 * q + i, n, w2, N_CATEGORIES)
    _categorical_stripe(x, bias, 3 * q + i, n, w3, N_CATEGORIES)


def _signed(word: Word) -> Word:
    """A 32-bit word as Triton's int32, the type of every word passed by value."""
    return word if isinstance(word, Tensor) or word < 2**31 else word - 2**32


def _draw(
    kernel: Any,
    x: Tensor,
    by_column: tuple[Tensor, ...],
    stream: Stream,
    n: int,
    **constants: float,
) -> None:
    """Launch a draw of ``n`` numbers per row."""
    words = [_signed(word) for word in stream.take()]
    if not x.numel():
        return
    q = -(-n // 4)
    grid = (x.shape[0], -(-q // _COUNTERS))
    with torch.cuda.device_of(x):  # Triton launches on the current device
        kernel[grid](x, *by_column, n, q, *words, **constants, BLOCK=_COUNTERS, num_warps=_WARPS)


def uniform_(out: Tensor, stream: Stream) -> None:
    """Fill ``out`` with uniform numbers in (0, 1)."""
    _draw(_uniform_kernel, out, (), stream, out.shape[1])


def binary_(inputs: Tensor, bias: Tensor, stream: Stream) -> None:
    """State 1 where the uniform number is below sigmoid(inputs + bias), else 0."""
    by_column = (bias.contiguous(),)
    _draw(_binary_kernel, inputs, by_column, stream, inputs.shape[1], SCALE=1.0, LOW=0.0)


def spin_(inputs: Tensor, bias: Tensor, stream: Stream) -> None:
    """State 1 where the uniform number is below sigmoid(2 (inputs + bias)), else -1."""
    by_column = (bias.contiguous(),)
    _draw(_binary_kernel, inputs, by_column, stream, inputs.shape[1], SCALE=2.0, LOW=-1.0)


def gaussian_(inputs: Tensor, bias: Tensor, precision: Tensor, stream: Stream) -> None:
    """Normal states of mean (inputs + bias) / precision and variance 1 / precision."""
    by_column = (bias.contiguous(), precision.contiguous())
    _draw(_gaussian_kernel, inputs, by_column, stream, inputs.shape[1])


def categorical_(inputs: Tensor, bias: Tensor, n_categories: int, stream: Stream) -> None:
    """One-hot groups of ``n_categories`` columns."""
    n_units = inputs.shape[1] // n_categories
    by_column = (bias.contiguous(),)
    _draw(_categorical_kernel, inputs, by_column, stream, n_units, N_CATEGORIES=n_categories)
