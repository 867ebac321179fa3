"""Units whose energy has a quadratic term."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from harmonium.arguments import check_number
from harmonium.units.base import Units
from harmonium.units.far import FAR
from harmonium.units.numbers import refuse

# A constant column gets this variance, so that its precision stays finite.
_SMALLEST_VAR = 1e-4

# Largest log precision: the exponential of half of it is far from float64's limits.
_LARGEST_LOG = 1000.0


class QuadraticUnits(Units):
    """Units with energy ``precision x^2 / 2 - bias x``; the types differ in their states.

    Parameters and attributes are those of `Gaussian`.
    """

    logarithms: tuple[str, ...] = ("log_precision",)

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
        """Coefficient of the quadratic term, shape (n,)."""
        return self.log_precision.exp()

    @property
    def stored_log_precision(self) -> nn.Parameter | None:  # noqa: D102
        return self.log_precision

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
        return False

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

    def statistics(self, x: Tensor) -> dict[str, Tensor]:  # noqa: D102
        if not self.log_precision.requires_grad:
            return {"bias": x}
        return {"bias": x, "log_precision": -0.5 * self.precision * x.square()}

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
