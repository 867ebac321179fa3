"""Encodings of single numbers by a range or a threshold.

All compute in the precision of the values and give float32 states.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import Tensor

from harmonium.datasets import mapped
from harmonium.datasets.encodings.base import Encoding
from harmonium.kernels import uniform
from harmonium.rng import Stream

# 16 instead of 256 grey values, or fractions instead of 16 grey values, are wrong scales; dark
# pictures are not.
_SMALL_SHARE = 10
_FAR_BELOW = 4


@final
@dataclass(frozen=True)
class AsIs(Encoding):
    """The stored values are the states.

    float64 values are rounded to float32; `Data` refuses to encode them if that loses more than
    rounding.
    """

    def encode(self, values: Tensor, stream: Stream | None = None) -> Tensor:
        """Convert to float32."""
        return values.to(torch.float32)

    def decode(self, states: Tensor) -> Tensor:
        """Return the states themselves."""
        return states

    def check(self, values: Tensor) -> None:
        """Accept all values."""


@final
@dataclass(frozen=True)
class Scaled(Encoding):
    """Values from ``low`` to ``high`` become states from 0 to 1.

    Raises
    ------
    ValueError
        Unless ``low < high``.
    """

    low: float
    high: float

    def __post_init__(self) -> None:
        _check_range(self.low, self.high)

    def encode(self, values: Tensor, stream: Stream | None = None) -> Tensor:
        """Encode as (value − low) / (high − low)."""
        return _scale(values, self.low, self.high)

    def decode(self, states: Tensor) -> Tensor:
        """Return low + (high − low) · state."""
        return states * (self.high - self.low) + self.low

    def check(self, values: Tensor) -> None:
        """Reject values with a far smaller range, such as fractions from 0 to 1 instead of bytes.

        The units check for values beyond the range.
        """
        _refuse_small(values, self.low, self.high)


@final
@dataclass(frozen=True)
class Threshold(Encoding):
    """Values above ``level`` become 1, all others ``low_state`` (0, or −1 for spins).

    Grey values are lost: `decode` gives 1 for above the level and 0 for below, so the mean of a
    unit becomes the probability that its value is above the level.
    """

    level: float
    low_state: float = 0.0

    def __post_init__(self) -> None:
        _check_low_state(self.low_state)

    def encode(self, values: Tensor, stream: Stream | None = None) -> Tensor:
        """Compare with the level."""
        states = torch.empty(values.shape, dtype=torch.float32, device=values.device)
        return _from_low(torch.gt(values, self.level, out=states), self.low_state)

    def decode(self, states: Tensor) -> Tensor:
        """Return the probability of a value above the level."""
        return (states - self.low_state) / (1 - self.low_state)

    def check(self, values: Tensor) -> None:
        """Reject values that differ and are all far below the level: no state would be 1."""
        least, most = mapped.bounds(values)
        if self.level > 0 and least < most <= self.level / _FAR_BELOW:
            raise ValueError(
                f"values range from {least:g} to {most:g}, far below the threshold {self.level:g}, "
                f"so that every state would be {self.low_state:g}; bring them to the scale of the "
                "values that the threshold was chosen for"
            )


@final
@dataclass(frozen=True)
class Stochastic(Encoding):
    """A value is the probability of state 1, from 0 at ``low`` to 1 at ``high``.

    The other state is ``low_state``. States are drawn again whenever rows are encoded.

    Raises
    ------
    ValueError
        Unless ``low < high``.
    """

    low: float
    high: float
    low_state: float = 0.0

    def __post_init__(self) -> None:
        _check_range(self.low, self.high)
        _check_low_state(self.low_state)

    def encode(self, values: Tensor, stream: Stream | None = None) -> Tensor:
        """Draw every state from the stream, which advances by one draw."""
        if stream is None:
            raise ValueError(
                "stochastic binarisation draws random numbers, but no stream came; "
                "pass stream=Stream(seed, Purpose.ENCODE)"
            )
        probability = _scale(values, self.low, self.high)
        rows, columns = probability.shape
        ones = uniform((rows, columns), stream, device=values.device).lt_(probability)
        return _from_low(ones, self.low_state)

    def decode(self, states: Tensor) -> Tensor:
        """Return the value for which the state or mean is the probability of state 1."""
        probability = (states - self.low_state) / (1 - self.low_state)
        return probability * (self.high - self.low) + self.low

    def check(self, values: Tensor) -> None:
        """Reject values outside ``low`` to ``high``, and values with a far smaller range."""
        least, most = mapped.bounds(values)
        if least < self.low or most > self.high:
            raise ValueError(
                f"values range from {least:g} to {most:g}, but stochastic binarisation makes "
                f"probabilities of values from {self.low:g} to {self.high:g}; pass the range with "
                "with_encoding(Stochastic(low, high))"
            )
        _refuse_small(values, self.low, self.high)


def _scale(values: Tensor, low: float, high: float) -> Tensor:
    """(value − low) / (high − low) as float32 in new memory; exactly 0 and 1 at the ends."""
    if values.dtype == torch.float64:
        return values.sub(low).div_(high - low).to(torch.float32)
    states = values.to(torch.float32, copy=True)
    # The range in float32, so that no value between the ends gives a state outside 0 to 1.
    scale = float(np.float32(high) - np.float32(low))
    return (states.sub_(low) if low else states).div_(scale)


def _from_low(states: Tensor, low_state: float) -> Tensor:
    """Change 0 and 1 in place to ``low_state`` and 1.

    Comparisons written to float32 memory give 0 and 1; converting booleans takes five times as
    long.
    """
    return states.mul_(1 - low_state).add_(low_state) if low_state else states


def _refuse_small(values: Tensor, low: float, high: float) -> None:
    # Fractions from 0 to 1 are the smallest common scale; below it, values are just small.
    if high - low <= 1:
        return
    least, most = mapped.bounds(values)
    if least < most and most - low <= (high - low) / _SMALL_SHARE:
        raise ValueError(
            f"values range from {least:g} to {most:g}, but they would be taken as parts of a range "
            f"from {low:g} to {high:g}, of which that is next to nothing; bring them to that range "
            f"first, or pass their own range"
        )


def _check_range(low: float, high: float) -> None:
    if not low < high < float("inf") or low == -float("inf"):
        raise ValueError(f"low is {low} and high is {high}; pass finite numbers with low < high")


def _check_low_state(low_state: float) -> None:
    if low_state not in (0, -1):
        raise ValueError(f"low_state is {low_state}; pass 0 for binary units or -1 for spins")
