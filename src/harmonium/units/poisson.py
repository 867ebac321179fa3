"""Poisson units: counts without a largest one."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from harmonium import kernels
from harmonium.kernels.counts import LARGEST_MEAN
from harmonium.rng import Stream
from harmonium.units.linear import LinearUnits
from harmonium.units.numbers import refuse

# A column of zeros is assumed to count one event in a thousand rows.
_RAREST = 1e-3


class Poisson(LinearUnits):
    """Units that count events: states 0, 1, 2, ... and energy ``-bias x + log x!``.

    Given inputs I, the state has a Poisson distribution of mean exp(bias + I). Such a mean grows
    faster than any precision can hold, so the other layer's units must have finitely many states,
    or no positive way to it: see `likelihood.is_normalisable`. Means above 2^24, beyond which
    float32 holds no whole numbers one by one, cannot be drawn from.

    Parameters
    ----------
    n
        Number of units.
    """

    is_count = True
    is_positive = True
    has_fixed_draws = False

    def __init__(self, n: int) -> None:
        super().__init__(n)

    @property
    def states(self) -> None:  # noqa: D102
        return None

    def energy(self, x: Tensor) -> Tensor:  # noqa: D102
        linear = super().energy(x)
        # in float64, as for states in the thousands the parts nearly cancel
        return linear + (x.double() + 1).lgamma().sum(-1).to(linear.dtype)

    def cgf(self, inputs: Tensor) -> Tensor:  # noqa: D102
        return self.with_bias(inputs).exp()

    def mean(self, inputs: Tensor) -> Tensor:  # noqa: D102
        return self.with_bias(inputs).exp()

    def var(self, inputs: Tensor) -> Tensor:  # noqa: D102
        return self.with_bias(inputs).exp()

    def mode(self, inputs: Tensor) -> Tensor:  # noqa: D102
        return self.with_bias(inputs).exp().floor()

    def sample_(self, inputs: Tensor, stream: Stream) -> Tensor:
        """Overwrite ``inputs``, shape (rows, n_columns), with a draw; returns it.

        Raises
        ------
        FloatingPointError
            If a mean is above 2^24 or not finite; names the unit.
        """
        kernels.poisson_(inputs, self.bias, stream)
        if not math.isfinite(inputs.sum().item()):
            row, unit = inputs.isnan().nonzero()[0].tolist()
            raise FloatingPointError(
                f"the mean count of Poisson unit {unit} (in row {row}) is above "
                f"{LARGEST_MEAN:,.0f}, or not a number: the parameters are too large; take an "
                "earlier checkpoint, or train with a smaller learning rate"
            )
        return inputs

    def check(self, x: Tensor, name: str) -> None:  # noqa: D102
        outside = ~((x >= 0) & torch.isfinite(x))
        remedy = "take Gaussian units for data with negative values, and fill in missing values"
        refuse(x, outside, name, "0 or more, as Poisson units need", remedy)

    @torch.no_grad()
    def init_from_moments_(self, mean: Tensor, var: Tensor) -> None:  # noqa: D102
        self.bias.copy_(mean.clamp(min=_RAREST).log())

    def config(self) -> dict[str, Any]:  # noqa: D102
        return {"n": self.n}
