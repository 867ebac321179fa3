"""Unit types that somebody else wrote: further learned parameters beside the bias.

They know today's contract of `Units` and nothing of annealing, tempering or what follows a
training. One stores natural parameters, the other the logarithm of one.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from harmonium import kernels
from harmonium.rng import Stream
from harmonium.units import LinearUnits, refuse


class Cubic(LinearUnits):
    """Units with the states -1, 0, 1, 2 and energy ``-bias x + square x^2 + cube x^3``."""

    def __init__(self, n: int) -> None:
        super().__init__(n)
        self.square = nn.Parameter(torch.zeros(n))
        self.cube = nn.Parameter(torch.zeros(n))

    @property
    def states(self) -> Tensor:
        return torch.arange(-1, 3).to(self.bias).unsqueeze(1)

    def by_square(self) -> Tensor:
        return self.square

    def energy(self, x: Tensor) -> Tensor:
        return -(x @ self.bias) + x**2 @ self.by_square() + x**3 @ self.cube

    def log_weights(self, inputs: Tensor) -> Tensor:
        x = self.states[:, 0]
        further = self.by_square().unsqueeze(-1) * x**2 + self.cube.unsqueeze(-1) * x**3
        return (inputs + self.bias).unsqueeze(-1) * x - further

    def expected(self, inputs: Tensor, power: int) -> Tensor:
        return self.log_weights(inputs).softmax(-1) @ self.states[:, 0] ** power

    def cgf(self, inputs: Tensor) -> Tensor:
        return self.log_weights(inputs).logsumexp(-1)

    def mean(self, inputs: Tensor) -> Tensor:
        return self.expected(inputs, 1)

    def var(self, inputs: Tensor) -> Tensor:
        return self.expected(inputs, 2) - self.mean(inputs) ** 2

    def mode(self, inputs: Tensor) -> Tensor:
        return self.states[self.log_weights(inputs).argmax(-1), 0]

    def sample_(self, inputs: Tensor, stream: Stream) -> Tensor:
        log_weights = self.log_weights(inputs).flatten(1)
        nothing = torch.zeros_like(log_weights[0])
        one_hot = kernels.categorical_(log_weights, nothing, 4, stream)
        return inputs.copy_((one_hot.unflatten(1, (self.n, 4)) @ self.states)[..., 0])

    def statistics(self, x: Tensor) -> dict[str, Tensor]:
        return {"bias": x, "square": -(x**2), "cube": -(x**3)}

    def mean_statistics(self, inputs: Tensor) -> dict[str, Tensor]:
        bias, square, cube = (self.expected(inputs, power) for power in (1, 2, 3))
        return {"bias": bias, "square": -square, "cube": -cube}

    def check(self, x: Tensor, name: str) -> None:
        refuse(x, ~((x >= -1) & (x <= 2)), name, "between -1 and 2", "scale the data")

    @torch.no_grad()
    def init_from_moments_(self, mean: Tensor, var: Tensor) -> None:
        self.bias.copy_(mean)
        self.square.copy_(0.5 - var.clamp(0, 1) / 2)

    def config(self) -> dict[str, Any]:
        return {"n": self.n}


class LogCubic(Cubic):
    """The same, with the logarithm of what is before x^2, in which no energy is linear."""

    def by_square(self) -> Tensor:
        return self.square.exp()

    def statistics(self, x: Tensor) -> dict[str, Tensor]:
        own = super().statistics(x)
        return own | {"square": own["square"] * self.by_square()}

    def mean_statistics(self, inputs: Tensor) -> dict[str, Tensor]:
        own = super().mean_statistics(inputs)
        return own | {"square": own["square"] * self.by_square()}


class ByPrecision(Cubic):
    """The same, with what is before x^2 as a precision: one that scales no states."""

    @property
    def precision(self) -> Tensor:  # type: ignore[override]
        return 2 * self.square

    @torch.no_grad()
    def set_natural_(self, bias: Tensor, precision: Tensor | None) -> None:
        assert precision is not None
        self.bias.copy_(bias)
        self.square.copy_(precision / 2)


OWN_TYPES = (Cubic, LogCubic, ByPrecision)
