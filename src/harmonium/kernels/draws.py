"""Draws: states of units given their inputs, and plain random numbers.

The functions ending in ``_`` overwrite ``inputs``, shape (rows, columns), with the drawn states.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from harmonium.kernels import reference
from harmonium.kernels.backends import draw, known
from harmonium.rng import Stream


def binary_(inputs: Tensor, bias: Tensor, stream: Stream) -> Tensor:
    """Overwrite ``inputs`` with states in {0, 1}: 1 with probability sigmoid(inputs + bias)."""
    return draw("binary_", inputs, (bias,), stream)


def spin_(inputs: Tensor, bias: Tensor, stream: Stream) -> Tensor:
    """Overwrite ``inputs`` with states in {-1, 1}: 1 with chance sigmoid(2 (inputs + bias))."""
    return draw("spin_", inputs, (bias,), stream)


def gaussian_(inputs: Tensor, bias: Tensor, precision: Tensor, stream: Stream) -> Tensor:
    """Overwrite ``inputs`` with normal states of mean (inputs + bias) / precision, Box-Muller."""
    return draw("gaussian_", inputs, (bias, precision), stream)


def categorical_(inputs: Tensor, bias: Tensor, n_categories: int, stream: Stream) -> Tensor:
    """Overwrite ``inputs`` with one-hot groups of ``n_categories`` columns, by inverse CDF."""
    return draw("categorical_", inputs, (bias,), n_categories, stream)


def binomial_(inputs: Tensor, bias: Tensor, trials: Tensor, stream: Stream) -> Tensor:
    """Overwrite ``inputs`` with successes of ``trials``, each of chance sigmoid(inputs + bias).

    Exact, in a time that does not grow with the trials: see `counts`.
    """
    return draw("binomial_", inputs, (bias, trials), stream)


def poisson_(inputs: Tensor, bias: Tensor, stream: Stream) -> Tensor:
    """Overwrite ``inputs`` with counts of mean exp(inputs + bias); NaN above `LARGEST_MEAN`."""
    return draw("poisson_", inputs, (bias,), stream)


def uniform(
    shape: tuple[int, int],
    stream: Stream,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Uniform numbers in the open interval (0, 1), shape (rows, columns); one draw."""
    out = torch.empty(shape, device=device, dtype=dtype)
    return draw("uniform_", out, (), stream)


def normal(
    shape: tuple[int, int],
    stream: Stream,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Standard normal numbers, shape (rows, columns); one draw."""
    out = torch.zeros(shape, device=device, dtype=dtype)
    zeros = torch.zeros(shape[1], device=device, dtype=dtype)
    return gaussian_(out, zeros, torch.ones_like(zeros), stream)


def permutation(n: int, stream: Stream) -> Tensor:
    """A random order of ``n`` rows, int64, shape (n,): the argsort of 62-bit keys; one draw."""
    return torch.argsort(_keys(n, stream), stable=True)


def few_of(n: int, k: int, stream: Stream) -> Tensor:
    """``k`` different rows of ``n`` in random order, int64, in memory that grows with ``k`` alone.

    They are other rows than the first of `permutation`, unless ``k`` is above half of ``n``.
    """
    if 2 * k > n:
        return permutation(n, stream)[:k]
    rows = _keys(3 * k + 100, stream).remainder_(n).numpy()
    _, first = np.unique(rows, return_index=True)
    first.sort()
    return torch.from_numpy(rows[first[:k]])


def _keys(n: int, stream: Stream) -> Tensor:
    """Random whole numbers of 62 bits."""
    backend = known()  # the same bits, without compiling anything
    if backend is reference:
        words = reference.words(1, 2 * n, stream, torch.device("cpu"))[0]
    else:
        words = backend.words(2 * n, stream)
    return ((words[:n] >> 1) << 31) | (words[n:] >> 1)
