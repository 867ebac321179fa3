"""Ising spins: states -1 and 1."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from harmonium import kernels
from harmonium.rng import Stream
from harmonium.units.linear import LinearUnits
from harmonium.units.numbers import refuse

# A constant column is assumed to change once in a thousand rows.
_LARGEST_MEAN = 1 - 2e-3


class Spin(LinearUnits):
    """Units with states {-1, 1} and energy ``-bias x``.

    Data may contain mean spins between -1 and 1 instead of states.

    Parameters
    ----------
    n
        Number of units.
    """

    low_state = -1

    def __init__(self, n: int) -> None:
        super().__init__(n)

    @property
    def states(self) -> Tensor:  # noqa: D102
        return torch.tensor([[-1.0], [1.0]], device=self.bias.device, dtype=self.bias.dtype)

    def activation(self) -> list[nn.Module]:  # noqa: D102
        return [nn.Tanh()]

    def cgf(self, inputs: Tensor) -> Tensor:  # noqa: D102
        # log(2 cosh x); above the threshold log(1 + exp(2 x)) = 2 x to the last bit of float64
        x = self.with_bias(inputs)
        return functional.softplus(2 * x, threshold=40) - x

    def mean(self, inputs: Tensor) -> Tensor:  # noqa: D102
        return torch.tanh(self.with_bias(inputs))

    def var(self, inputs: Tensor) -> Tensor:  # noqa: D102
        x = 2 * self.with_bias(inputs)
        return 4 * torch.sigmoid(x) * torch.sigmoid(-x)

    def mode(self, inputs: Tensor) -> Tensor:  # noqa: D102
        return (self.with_bias(inputs) > 0).to(inputs.dtype) * 2 - 1

    def sample_(self, inputs: Tensor, stream: Stream) -> Tensor:  # noqa: D102
        return kernels.spin_(inputs, self.bias, stream)

    def check(self, x: Tensor, name: str) -> None:  # noqa: D102
        refuse(
            x,
            ~((x >= -1) & (x <= 1)),
            name,
            "between -1 and 1, as spins need",
            "binarise the data (`binarize=0.5`, or `Data.binarize().to_spins()`), or take Gaussian "
            "visible units (`visible='gaussian'`, or `Gaussian`)",
        )

    @torch.no_grad()
    def init_from_moments_(self, mean: Tensor, var: Tensor) -> None:  # noqa: D102
        self.bias.copy_(torch.atanh(mean.clamp(-_LARGEST_MEAN, _LARGEST_MEAN)))

    def config(self) -> dict[str, Any]:  # noqa: D102
        return {"n": self.n}
