"""Gaussian units: real states, with a fixed or a learned precision."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from harmonium import kernels
from harmonium.arguments import check_number
from harmonium.rng import Stream
from harmonium.units.base import Units, refuse
from harmonium.units.far import FAR

# A constant column gets this variance, so that its precision stays finite.
_SMALLEST_VAR = 1e-4

# Largest log precision: the exponential of half of it is far from float64's limits.
_LARGEST_LOG = 1000.0


class Gaussian(Units):
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

    def __init__(self, n: int, precision: float = 1.0, learn_precision: bool = False) -> None:
        super().__init__(n)
        check_number("precision", precision, "a positive number")
        if not precision > 0:
            raise ValueError(f"precision is {precision}; pass a positive number")
        self._start = precision
        self.log_precision = nn.Parameter(
            torch.full((n,), math.log(precision)), requires_grad=learn_precision
        )

    @property
    def precision(self) -> Tensor:
        """Inverse variance of each unit, shape (n,)."""
        return self.log_precision.exp()

    @property
    def stored_log_precision(self) -> nn.Parameter:  # noqa: D102
        return self.log_precision

    def activation(self) -> list[nn.Module]:  # noqa: D102
        return []

    @property
    def is_far(self) -> bool:  # noqa: D102
        return self.is_far_with(self.bias)

    def is_far_with(self, bias: Tensor) -> bool:  # noqa: D102
        # a bound over all columns is faster, and nearly always settles the question
        largest = torch.linalg.vector_norm(bias.detach(), math.inf).item()
        lowest = self.log_precision.detach().min().item()
        may_be = largest > FAR * math.exp(0.5 * min(lowest, _LARGEST_LOG))
        return may_be and super().is_far_with(bias)

    @torch.no_grad()
    def set_natural_(self, bias: Tensor, precision: Tensor | None) -> None:  # noqa: D102
        assert precision is not None
        self.bias.copy_(bias)
        self.log_precision.copy_(precision.log())

    @cached_property
    def further(self) -> tuple[str, ...]:  # noqa: D102
        names = (name for name, _ in self.named_parameters())
        return tuple(name for name in names if name not in ("bias", "log_precision"))

    @property
    def has_standard_form(self) -> bool:  # noqa: D102
        return not self.further

    @property
    def states(self) -> None:  # noqa: D102
        return None

    def energy(self, x: Tensor) -> Tensor:  # noqa: D102
        if not isinstance(x, Tensor):
            self.check_energy_of(x)
        try:
            return (x * (0.5 * self.precision * x - self.bias)).sum(-1)
        except (TypeError, RuntimeError):
            self.check_energy_of(x)
            raise

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

    def statistics(self, x: Tensor) -> dict[str, Tensor]:  # noqa: D102
        if not self.log_precision.requires_grad:
            return {"bias": x}
        return {"bias": x, "log_precision": -0.5 * self.precision * x.square()}

    def mean_statistics(self, inputs: Tensor) -> dict[str, Tensor]:  # noqa: D102
        mean = self.mean(inputs)
        if not self.log_precision.requires_grad:
            return {"bias": mean}
        return {"bias": mean, "log_precision": -0.5 * (self.precision * mean.square() + 1)}

    def check(self, x: Tensor, name: str) -> None:  # noqa: D102
        refuse(x, ~torch.isfinite(x), name, "finite", "remove or fill in the missing values first")

    @torch.no_grad()
    def init_from_moments_(self, mean: Tensor, var: Tensor) -> None:  # noqa: D102
        if self.log_precision.requires_grad:
            self.log_precision.copy_(-torch.log(var.clamp_min(_SMALLEST_VAR)))
        self.bias.copy_(self.precision * mean)

    def config(self) -> dict[str, Any]:  # noqa: D102
        return {
            "n": self.n,
            "precision": self._start,
            "learn_precision": self.log_precision.requires_grad,
        }
