"""Gaussian units: real states, with a fixed or a learned precision."""

from __future__ import annotations

import math

from torch import Tensor, nn

from harmonium import kernels
from harmonium.rng import Stream
from harmonium.units.quadratic import QuadraticUnits


class Gaussian(QuadraticUnits):
    """Units with real states and energy ``precision x^2 / 2 - bias x``.

    Given inputs I, the mean is (bias + I) / precision and the variance is 1 / precision.

    Parameters
    ----------
    n
        Number of units.
    precision
        Inverse variance of each unit; the initial value if it is learned.
    learn_precision
        Whether training changes the precision (each unit has its own).

    Attributes
    ----------
    log_precision : Tensor, shape (n,)
        The logarithm is stored and trained, because a precision must stay positive.
    """

    has_origin = False

    def activation(self) -> list[nn.Module]:  # noqa: D102
        return []

    @property
    def has_standard_form(self) -> bool:  # noqa: D102
        return not self.further

    def cgf(self, inputs: Tensor) -> Tensor:  # noqa: D102
        half_log = 0.5 * (math.log(2 * math.pi) - self.log_precision)
        return 0.5 * self.with_bias(inputs).square() / self.precision + half_log

    def mean(self, inputs: Tensor) -> Tensor:  # noqa: D102
        return self.with_bias(inputs) / self.precision

    def var(self, inputs: Tensor) -> Tensor:  # noqa: D102
        try:
            return (1 / self.precision).expand_as(inputs)
        except (TypeError, RuntimeError):
            self.check_rows(inputs, "inputs")
            raise

    def mode(self, inputs: Tensor) -> Tensor:  # noqa: D102
        return self.mean(inputs)

    def sample_(self, inputs: Tensor, stream: Stream) -> Tensor:  # noqa: D102
        return kernels.gaussian_(inputs, self.bias, self.precision, stream)

    def mean_statistics(self, inputs: Tensor) -> dict[str, Tensor]:  # noqa: D102
        mean = self.mean(inputs)
        if not self.log_precision.requires_grad:
            return {"bias": mean}
        return {"bias": mean, "log_precision": -0.5 * (self.precision * mean.square() + 1)}
