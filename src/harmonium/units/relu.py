"""Rectified linear units: states from zero upwards, normal but for the cut."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from harmonium import kernels
from harmonium.kernels import half_normal
from harmonium.rng import Stream
from harmonium.units.numbers import refuse
from harmonium.units.quadratic import QuadraticUnits

# A column without variance has this share of its squared mean.
_LEAST_SPREAD = 1e-4

# A column of zeros gets this scale.
_LEAST_SCALE = 1e-5

# Standardised means between which moments are matched: far below zero the state is exponential.
_LOWEST, _HIGHEST = -1e3, 1e3
_BISECTIONS = 60


class ReLU(QuadraticUnits):
    """Units with states x >= 0 and energy ``precision x^2 / 2 - bias x``.

    Given inputs I, the state is normal with mean (bias + I) / precision and variance 1 / precision,
    given that it is not negative. Its mean is a smooth rectifier of the inputs, and its cgf is the
    log of Mills' ratio (Tubiana, Cocco and Monasson, 2019, eLife 8:e39397). These are
    exact; the noisy rectified units of Nair and Hinton (2010) only approximate such a model.

    Parameters
    ----------
    n
        Number of units.
    precision
        Coefficient of the quadratic term; the initial value if it is learned.
    learn_precision
        Whether training changes the precision (each unit has its own). For hidden units it is best
        fixed: the scale of the weights has the same effect.

    Attributes
    ----------
    log_precision : Tensor, shape (n,)
        The logarithm is stored and trained, because a precision must stay positive.
    """

    is_positive = True
    has_half_lines = True

    def is_far_with(self, bias: Tensor) -> bool:  # noqa: D102
        return super().is_far_with(bias.clamp(min=0))  # below, states are near zero

    def cgf(self, inputs: Tensor) -> Tensor:  # noqa: D102
        return half_normal.log_normaliser(self._centre(inputs)) - 0.5 * self.log_precision

    def mean(self, inputs: Tensor) -> Tensor:  # noqa: D102
        return self._moments(inputs)[0]

    def var(self, inputs: Tensor) -> Tensor:  # noqa: D102
        return half_normal.moments(self._centre(inputs))[1] / self.precision

    def mode(self, inputs: Tensor) -> Tensor:  # noqa: D102
        return (self.with_bias(inputs) / self.precision).clamp(min=0)

    def sample_(self, inputs: Tensor, stream: Stream) -> Tensor:  # noqa: D102
        return kernels.relu_(inputs, self.bias, self.precision, stream)

    def mean_statistics(self, inputs: Tensor) -> dict[str, Tensor]:  # noqa: D102
        mean, square = self._moments(inputs)
        if not self.log_precision.requires_grad:
            return {"bias": mean}
        return {"bias": mean, "log_precision": -0.5 * square}

    def check(self, x: Tensor, name: str) -> None:  # noqa: D102
        outside = ~((x >= 0) & torch.isfinite(x))
        remedy = "take Gaussian units for data with negative values, and fill in missing values"
        refuse(x, outside, name, "0 or more, as rectified units need", remedy)

    @torch.no_grad()
    def init_from_moments_(self, mean: Tensor, var: Tensor) -> None:  # noqa: D102
        mean = mean.double().clamp(min=0)
        if self.log_precision.requires_grad:
            # the relative spread falls from 1, of an exponential distribution, as the centre rises
            spread = (var.double() / mean.square().clamp(min=_LEAST_SPREAD)).clamp(_LEAST_SPREAD, 1)

            def is_too_low(t: Tensor) -> Tensor:
                of_t, var_of_t = half_normal.moments(t)
                return var_of_t / of_t.square() > spread

            t = _bisect(is_too_low, mean)
            scale = (mean / half_normal.moments(t)[0]).clamp(min=_LEAST_SCALE)
            self.log_precision.copy_(-2 * scale.log())
            self.bias.copy_(t / scale)
        else:
            scale = self._spread.double()
            t = _bisect(lambda t: half_normal.moments(t)[0] * scale < mean, mean)
            self.bias.copy_(t / scale)

    def _moments(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Means of the state and of ``precision x^2``."""
        self.check_rows(inputs, "inputs")
        return kernels.relu_moments(inputs, self.bias, self.precision)

    @property
    def _spread(self) -> Tensor:
        """Standard deviation of the uncut distribution."""
        return (-0.5 * self.log_precision).exp()

    def _centre(self, inputs: Tensor) -> Tensor:
        """Mean of the uncut distribution, in standard deviations."""
        return self.with_bias(inputs) * self._spread


def _bisect(is_too_low: Callable[[Tensor], Tensor], like: Tensor) -> Tensor:
    """Where a condition that holds below a point, and not above, changes; elementwise."""
    low, high = torch.full_like(like, _LOWEST), torch.full_like(like, _HIGHEST)
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        too_low = is_too_low(middle)
        low, high = torch.where(too_low, middle, low), torch.where(too_low, high, middle)
    return high
