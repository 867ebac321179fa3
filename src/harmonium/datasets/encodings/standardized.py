"""Standardised columns: zero mean and unit variance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor

from harmonium.datasets.encodings.base import Encoding
from harmonium.rng import Stream


@final
@dataclass(frozen=True, eq=False)
class Standardized(Encoding):
    """Every column minus its mean, divided by its standard deviation.

    A constant column has a standard deviation of 0. Its value is encoded as state 0, and every
    state is decoded to that value; other values are encoded as if the standard deviation were 1.

    Parameters
    ----------
    mean, std
        Shape (n,), in the user's units; tensors or lists, stored as float32 if that is exact,
        otherwise as float64. The difference to the mean is computed in the wider of their type and
        the values' type.

    Raises
    ------
    ValueError
        For wrong shapes, or a standard deviation that is negative or not finite.
    """

    mean: Tensor
    std: Tensor

    def __post_init__(self) -> None:
        mean, std = _narrowed(self.mean), _narrowed(self.std)
        if mean.ndim != 1 or mean.shape != std.shape:
            raise ValueError(
                f"mean has shape {tuple(mean.shape)} and std {tuple(std.shape)}; "
                "pass both with shape (n,)"
            )
        if not (mean.isfinite() & std.isfinite() & (std >= 0)).all():
            raise ValueError("mean or std is not finite, or a std is negative; pass finite numbers")
        object.__setattr__(self, "mean", mean)
        object.__setattr__(self, "std", std)
        object.__setattr__(self, "_divisor", torch.where(std == 0, torch.ones_like(std), std))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Standardized) and self.to_config() == other.to_config()

    def __hash__(self) -> int:
        return hash(str(self.to_config()))

    def __repr__(self) -> str:
        return f"Standardized({len(self.mean)} columns)"

    def encode(self, values: Tensor, stream: Stream | None = None) -> Tensor:
        """Encode as (value − mean) / std."""
        divisor: Tensor = self._divisor  # type: ignore[attr-defined]
        states = torch.sub(values, self.mean)
        # in place if the type allows: allocating another table takes as long as the sum
        same = torch.promote_types(states.dtype, divisor.dtype) == states.dtype
        return (states.div_(divisor) if same else states / divisor).to(torch.float32)

    def decode(self, states: Tensor) -> Tensor:
        """Return mean + std · state."""
        return states * self.std + self.mean

    def states_config(self) -> dict[str, Any]:
        """The divisors; a standard deviation of 0 is replaced by 1."""
        divisor: Tensor = self._divisor  # type: ignore[attr-defined]
        return type(self)(self.mean, divisor).to_config()

    def check(self, values: Tensor) -> None:
        """Reject a wrong number of columns."""
        if values.shape[1] != len(self.mean):
            raise ValueError(
                f"the data have {values.shape[1]} columns, but this standardisation was made from "
                f"{len(self.mean)} columns; pass data of the same columns"
            )


def _narrowed(numbers: Any) -> Tensor:
    """As float32 if that is exact for all of them, as in older runs."""
    wide = torch.as_tensor(numbers, dtype=torch.float64)
    narrow = wide.to(torch.float32)
    return narrow if wide.equal(narrow.double()) else wide
