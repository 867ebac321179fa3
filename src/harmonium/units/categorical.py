"""Categorical (Potts, softmax) units: one of q states, one-hot."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from harmonium import kernels
from harmonium.arguments import described, is_whole
from harmonium.rng import Stream
from harmonium.units.linear import LinearUnits
from harmonium.units.numbers import refuse

# A category that never occurs is assumed to occur once in a thousand rows.
_RAREST = 1e-3


class Categorical(LinearUnits):
    """Units with ``n_categories`` states, one-hot in as many columns, and energy ``-bias x``.

    Unit i has columns i n_categories ... (i + 1) n_categories - 1 of a row. Data may contain
    probabilities that sum to 1 over a unit's columns instead of one-hot states.

    Parameters
    ----------
    n
        Number of units.
    n_categories
        States of each unit, q.
    """

    is_one_hot = True

    def __init__(self, n: int, n_categories: int) -> None:
        if not is_whole(n_categories):
            raise TypeError(f"n_categories is {described(n_categories)}; pass a whole number")
        if n_categories < 2:
            raise ValueError(f"n_categories is {n_categories}; a unit needs 2 or more")
        super().__init__(n, n * n_categories if is_whole(n) else None)
        self.n_categories = self.n_one_hot = int(n_categories)

    @property
    def states(self) -> Tensor:  # noqa: D102
        return torch.eye(self.n_categories, device=self.bias.device, dtype=self.bias.dtype)

    def activation(self) -> list[nn.Module]:  # noqa: D102
        by_unit = nn.Unflatten(-1, (self.n, self.n_categories))
        return [by_unit, nn.Softmax(-1), nn.Flatten(-2)]

    def cgf(self, inputs: Tensor) -> Tensor:  # noqa: D102
        return self._by_unit(self.with_bias(inputs)).logsumexp(-1)

    def mean(self, inputs: Tensor) -> Tensor:  # noqa: D102
        return self._by_unit(self.with_bias(inputs)).softmax(-1).flatten(-2)

    def var(self, inputs: Tensor) -> Tensor:  # noqa: D102
        mean = self.mean(inputs)
        return mean * (1 - mean)

    def mode(self, inputs: Tensor) -> Tensor:  # noqa: D102
        best = self._by_unit(self.with_bias(inputs)).argmax(-1)
        return functional.one_hot(best, self.n_categories).to(inputs.dtype).flatten(-2)

    def sample_(self, inputs: Tensor, stream: Stream) -> Tensor:  # noqa: D102
        return kernels.categorical_(inputs, self.bias, self.n_categories, stream)

    def check(self, x: Tensor, name: str) -> None:  # noqa: D102
        remedy = "one-hot encode integer categories (`visible='categorical'`, or `Data.one_hot()`)"
        refuse(x, ~((x >= 0) & (x <= 1)), name, "between 0 and 1, as one-hot states are", remedy)
        totals = self._by_unit(x).sum(-1)
        refuse(totals, (totals - 1).abs() > 1e-4, name + ", summed by unit", "1", remedy)

    @torch.no_grad()
    def init_from_moments_(self, mean: Tensor, var: Tensor) -> None:  # noqa: D102
        self.bias.copy_(self._by_unit(mean).clamp_min(_RAREST).log().flatten())

    def config(self) -> dict[str, Any]:  # noqa: D102
        return {"n": self.n, "n_categories": self.n_categories}

    def _by_unit(self, x: Tensor) -> Tensor:
        """The same numbers with shape (..., n, n_categories)."""
        return x.reshape(*x.shape[:-1], self.n, self.n_categories)
