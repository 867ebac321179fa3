"""The few fused element-wise draws that the hot loop lives on.

Each draw is defined, bit for bit, by the torch code in `reference`; a fast backend reproduces
it and may differ only where a uniform number lies within rounding of the probability. The
functions ending in ``_`` overwrite ``inputs``, shape (rows, columns), with the drawn states.
"""

from __future__ import annotations

from types import ModuleType

import torch
from torch import Tensor

from harmonium.kernels import cpu, reference
from harmonium.rng import Stream

__all__ = ["binary_", "categorical_", "gaussian_", "normal", "permutation", "spin_", "uniform"]

_CPU_DTYPES = (torch.float32, torch.float64)


def _backend(states: Tensor, *by_column: Tensor) -> ModuleType:
    """The fastest backend for these states: the compiled kernels on CPU, else the reference.

    Refuses what does not fit together, before a compiled loop reads beyond the end of it.
    """
    if states.dim() != 2:
        raise ValueError(f"a draw fills rows and columns, not shape {tuple(states.shape)}")
    for parameter in by_column:
        if parameter.shape != states.shape[1:]:
            raise ValueError(
                f"inputs have {states.shape[1]} columns, but the units' parameters have shape "
                f"{tuple(parameter.shape)}; pass one parameter for each column"
            )
    if states.device.type == "cpu" and states.dtype in _CPU_DTYPES and states.is_contiguous():
        return cpu
    return reference


def binary_(inputs: Tensor, bias: Tensor, stream: Stream) -> Tensor:
    """Overwrite ``inputs`` with states in {0, 1}: 1 with probability sigmoid(inputs + bias)."""
    _backend(inputs, bias).binary_(inputs, bias, stream)
    return inputs


def spin_(inputs: Tensor, bias: Tensor, stream: Stream) -> Tensor:
    """Overwrite ``inputs`` with states in {-1, 1}: 1 with chance sigmoid(2 (inputs + bias))."""
    _backend(inputs, bias).spin_(inputs, bias, stream)
    return inputs


def gaussian_(inputs: Tensor, bias: Tensor, precision: Tensor, stream: Stream) -> Tensor:
    """Overwrite ``inputs`` with normal states of mean (inputs + bias) / precision, Box-Muller."""
    _backend(inputs, bias, precision).gaussian_(inputs, bias, precision, stream)
    return inputs


def categorical_(inputs: Tensor, bias: Tensor, n_categories: int, stream: Stream) -> Tensor:
    """Overwrite ``inputs`` with one-hot groups of ``n_categories`` columns, by inverse CDF."""
    _backend(inputs, bias).categorical_(inputs, bias, n_categories, stream)
    return inputs


def uniform(
    shape: tuple[int, int],
    stream: Stream,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """Uniform numbers in the open interval (0, 1), shape (rows, columns); one draw."""
    out = torch.empty(shape, device=device, dtype=dtype)
    _backend(out).uniform_(out, stream)
    return out


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
    words = reference.words(1, 2 * n, stream, torch.device("cpu"))[0]
    keys = ((words[:n] >> 1) << 31) | (words[n:] >> 1)
    return torch.argsort(keys, stable=True)
