"""Binary units: states 0 and 1."""

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
_RAREST = 1e-3


class Binary(LinearUnits):
    """Units with states {0, 1} and energy ``-bias x``.

    Data may contain probabilities between 0 and 1, such as grey values, instead of states.

    Parameters
    ----------
    n
        Number of units.
    """

    low_state = 0
    input_scale = 4.0  # the slope of the mean at zero is a quarter

    def __init__(self, n: int) -> None:
        super().__init__(n)

    @property
    def states(self) -> Tensor:  # noqa: D102
        return torch.tensor([[0.0], [1.0]], device=self.bias.device, dtype=self.bias.dtype)

    def activation(self) -> list[nn.Module]:  # noqa: D102
        return [nn.Sigmoid()]

    def cgf(self, inputs: Tensor) -> Tensor:  # noqa: D102
        # above the threshold log(1 + exp(x)) = x to the last bit of float64
        return functional.softplus(self.with_bias(inputs), threshold=40)

    def mean(self, inputs: Tensor) -> Tensor:  # noqa: D102
        return torch.sigmoid(self.with_bias(inputs))

    def var(self, inputs: Tensor) -> Tensor:  # noqa: D102
        x = self.with_bias(inputs)
        return torch.sigmoid(x) * torch.sigmoid(-x)

    def mode(self, inputs: Tensor) -> Tensor:  # noqa: D102
        return (self.with_bias(inputs) > 0).to(inputs.dtype)

    def sample_(self, inputs: Tensor, stream: Stream) -> Tensor:  # noqa: D102
        return kernels.binary_(inputs, self.bias, stream)

    def check(self, x: Tensor, name: str) -> None:  # noqa: D102
        outside = ~((x >= 0) & (x <= 1))
        if outside.any():  # working out the remedy reads all values
            refuse(x, outside, name, "between 0 and 1, as binary units need", _remedy(x))

    @torch.no_grad()
    def init_from_moments_(self, mean: Tensor, var: Tensor) -> None:  # noqa: D102
        self.bias.copy_(torch.logit(mean, eps=_RAREST))

    def config(self) -> dict[str, Any]:  # noqa: D102
        return {"n": self.n}


def _remedy(x: Tensor) -> str:
    """Suggest what would work for values outside 0 to 1."""
    least, most = float(x.min()), float(x.max())
    if least == -1 and most == 1 and bool((x.abs() == 1).all()):
        return "values of -1 and 1 are spins: take spin units (`visible='spin'`, or `Spin`)"
    scaling = "scale it to 0 ... 1"
    if least >= 0:
        # for other values the white level cannot be guessed
        white = "" if 127 < most <= 255 else f" with `white={most:g}` if that is white"
        scaling += f" (for grey pictures `image_shape='28x28'`{white}, or `Data.as_pictures()`)"
    units = "Gaussian visible units (`visible='gaussian'`, or `Gaussian`)"
    if least >= 0 and most <= 127 and bool((x == x.round()).all()):
        units = f"units of counts (`visible='binomial'` or `visible='poisson'`) or {units}"
    binarise = "binarise the data (`binarize=THRESHOLD`, or `Data.binarize()`)"
    return f"{binarise}, {scaling}, or take {units}"
