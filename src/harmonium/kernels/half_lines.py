"""Units whose states are half-lines: draws, and the moments that their gradients need."""

from __future__ import annotations

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
    if _is_for_a_pass(inputs):
        of_pass: tuple[Tensor, Tensor]
        of_pass = backends.of(inputs, bias, precision).relu_moments(inputs, bias, precision)
        return of_pass
    return reference.relu_moments(inputs, bias, precision)


def drelu_moments(
    inputs: Tensor,
    bias: Tensor,
    precision: Tensor,
    bias_below: Tensor,
    precision_below: Tensor,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Means of the state, of ``precision x^2`` above and below zero, and of |x|; see `drelu_`."""
    by_column = bias, precision, bias_below, precision_below
    if _is_for_a_pass(inputs):
        of_pass: tuple[Tensor, Tensor, Tensor, Tensor]
        of_pass = backends.of(inputs, *by_column).drelu_moments(inputs, *by_column)
        return of_pass
    return reference.drelu_moments(inputs, *by_column)


def _is_for_a_pass(inputs: Tensor) -> bool:
    """Whether a compiled pass, exact to 1e-9, gives all digits that are wanted."""
    return not torch.is_grad_enabled() and inputs.dtype == torch.float32 and inputs.dim() == 2
