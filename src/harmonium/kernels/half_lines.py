"""Units whose states are half-lines: draws, and the moments that their gradients need."""

from __future__ import annotations

from types import ModuleType

import torch
from torch import Tensor

from harmonium.kernels import backends, reference
from harmonium.kernels.backends import draw
from harmonium.rng import Stream


def relu_(inputs: Tensor, bias: Tensor, precision: Tensor, stream: Stream) -> Tensor:
    """Overwrite ``inputs`` with normal states as `gaussian_` does, given that they are positive.

    By inverse CDF in float64, exact far into the tail.
    """
    return draw("relu_", inputs, (bias, precision), stream)


def drelu_(
    inputs: Tensor,
    bias: Tensor,
    precision: Tensor,
    bias_below: Tensor,
    precision_below: Tensor,
    stream: Stream,
) -> Tensor:
    """Overwrite ``inputs`` with states of two half-lines, normal on each with its own parameters.

    A state is positive with the share of the positive half-line in the normaliser.
    """
    by_column = bias, precision, bias_below, precision_below
    return draw("drelu_", inputs, by_column, stream)


def relu_moments(inputs: Tensor, bias: Tensor, precision: Tensor) -> tuple[Tensor, Tensor]:
    """Means of the state and of ``precision x^2``, each shaped as ``inputs``.

    Without autograd and in float32 they come from one compiled pass.
    """
    moments: tuple[Tensor, Tensor]
    moments = _backend(inputs, bias, precision).relu_moments(inputs, bias, precision)
    return moments


def drelu_moments(
    inputs: Tensor, bias: Tensor, precision: Tensor, bias_below: Tensor, precision_below: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Means of the state, of ``precision x^2`` above and below zero, and of |x|; see `drelu_`."""
    by_column = bias, precision, bias_below, precision_below
    moments: tuple[Tensor, Tensor, Tensor, Tensor]
    moments = _backend(inputs, *by_column).drelu_moments(inputs, *by_column)
    return moments


def _backend(inputs: Tensor, *by_column: Tensor) -> ModuleType:
    """The compiled pass, which is exact to 1e-9, where float32 without autograd is wanted."""
    if torch.is_grad_enabled() or inputs.dtype != torch.float32 or inputs.dim() != 2:
        return reference
    return backends.of(inputs, *by_column)
