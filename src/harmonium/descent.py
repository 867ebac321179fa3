"""Stochastic gradient descent as the hot loop needs it: one pass over each parameter."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from harmonium import defaults, kernels


class GradientDescent(Optimizer):
    """`torch.optim.SGD` with a learning rate and momentum alone, in half its time on a CPU.

    Parameters
    ----------
    params
        Parameters to train, or groups of them.
    lr
        Learning rate, 0 or positive.
    momentum
        What is kept of the last step, 0 to below 1 (Hinton, 2010, section 9).

    Raises
    ------
    ValueError
        If a rate is out of its range.
    """

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[dict[str, Any]],
        lr: float = defaults.LEARNING_RATE,
        momentum: float = defaults.MOMENTUM,
    ) -> None:
        if not (math.isfinite(lr) and lr >= 0):
            raise ValueError(
                f"learning_rate is {lr}; pass 0 or a positive number, such as "
                f"{defaults.LEARNING_RATE}"
            )
        if not 0 <= momentum < 1:
            raise ValueError(f"momentum is {momentum}; pass a number from 0 to below 1")
        super().__init__(params, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Move every parameter that has a gradient; there is no loss for a ``closure`` to give."""
        if closure is not None:
            raise ValueError("the log-likelihood of an RBM has no loss to call; leave closure out")
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                velocity = None
                if group["momentum"]:
                    state = self.state[parameter]
                    if "momentum_buffer" not in state:
                        state["momentum_buffer"] = torch.zeros_like(parameter)
                    velocity = state["momentum_buffer"]
                kernels.descend_(
                    parameter, parameter.grad, group["lr"], velocity, group["momentum"]
                )
