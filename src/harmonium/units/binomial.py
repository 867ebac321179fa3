"""Binomial units: counts from 0 to a number of trials."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from harmonium import kernels
from harmonium.arguments import described, is_whole
from harmonium.rng import Stream
from harmonium.units.linear import LinearUnits
from harmonium.units.numbers import refuse

MOST_TRIALS = 2**24
"""Most trials of a unit: float32 holds no larger whole numbers one by one."""

# A column that is constant at an end is assumed to have one other outcome in a thousand rows.
_RAREST = 1e-3


class Binomial(LinearUnits):
    """Units that count successes: states 0 ... trials, energy ``-bias x - log(trials over x)``.

    Given inputs I, the state is binomial with success probability sigmoid(bias + I): the sum of as
    many binary units with one bias and the same weights (Teh and Hinton, 2001, "Rate-coded
    restricted Boltzmann machines for face recognition").

    Parameters
    ----------
    n
        Number of units.
    trials
        The largest state, 1 to `MOST_TRIALS`: one number, or one for each unit.
    """

    has_fixed_draws = False
    trials: Tensor

    def __init__(self, n: int, trials: int | Sequence[int]) -> None:
        super().__init__(n)
        of_units = [trials] * self.n if not isinstance(trials, Sequence) else list(trials)
        if len(of_units) != self.n:
            raise ValueError(
                f"trials has {len(of_units)} numbers for {self.n} units; pass one number, or one "
                "for each unit"
            )
        for number in of_units:
            if not is_whole(number):
                raise TypeError(f"trials is {described(trials)}; pass whole numbers")
            if not 1 <= number <= MOST_TRIALS:
                raise ValueError(f"trials is {number}; pass 1 to {MOST_TRIALS:,}")
        self.fixed = tuple(map(int, of_units))
        self.input_scale = 4 * self.n / sum(self.fixed)  # the slope of the mean is trials / 4
        self.register_buffer("trials", torch.tensor(self.fixed).to(self.bias), persistent=False)

    @property
    def states(self) -> Tensor:  # noqa: D102
        return torch.arange(max(self.fixed) + 1).to(self.bias).unsqueeze(1)

    @property
    def states_each(self) -> list[int]:  # noqa: D102
        return [trials + 1 for trials in self.fixed]

    @property
    def highest_state(self) -> Tensor:  # noqa: D102
        return self.trials

    def energy(self, x: Tensor) -> Tensor:  # noqa: D102
        linear = super().energy(x)
        n, k = self.trials.double(), x.double()
        # in float64, as for states in the thousands the parts nearly cancel
        ways = (n + 1).lgamma() - (k + 1).lgamma() - (n - k + 1).clamp(min=0).lgamma()
        return linear - ways.sum(-1).to(linear.dtype)  # lgamma(0) is infinite: too many successes

    def cgf(self, inputs: Tensor) -> Tensor:  # noqa: D102
        # above the threshold log(1 + exp(x)) = x to the last bit of float64
        return self.trials * functional.softplus(self.with_bias(inputs), threshold=40)

    def mean(self, inputs: Tensor) -> Tensor:  # noqa: D102
        return self.trials * torch.sigmoid(self.with_bias(inputs))

    def var(self, inputs: Tensor) -> Tensor:  # noqa: D102
        x = self.with_bias(inputs)
        return self.trials * torch.sigmoid(x) * torch.sigmoid(-x)

    def mode(self, inputs: Tensor) -> Tensor:  # noqa: D102
        p = torch.sigmoid(self.with_bias(inputs))
        return ((self.trials + 1) * p).floor().minimum(self.trials)

    def sample_(self, inputs: Tensor, stream: Stream) -> Tensor:  # noqa: D102
        return kernels.binomial_(inputs, self.bias, self.trials, stream)

    def check(self, x: Tensor, name: str) -> None:  # noqa: D102
        outside = ~((x >= 0) & (x <= self.trials))
        if outside.any():
            most = f"0 to {max(self.fixed)}" if len(set(self.fixed)) == 1 else "0 to their trials"
            remedy = (
                "pass the largest possible count (`trials`), or take Poisson units, which have no "
                "largest count (`visible='poisson'`, or `Poisson`)"
            )
            refuse(x, outside, name, f"from {most}, as binomial units need", remedy)

    @torch.no_grad()
    def init_from_moments_(self, mean: Tensor, var: Tensor) -> None:  # noqa: D102
        least = _RAREST / self.trials
        self.bias.copy_(torch.logit((mean / self.trials).maximum(least).minimum(1 - least)))

    def config(self) -> dict[str, Any]:  # noqa: D102
        is_one = len(set(self.fixed)) == 1
        return {"n": self.n, "trials": self.fixed[0] if is_one else list(self.fixed)}
