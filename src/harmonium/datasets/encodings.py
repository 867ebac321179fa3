"""Encodings: how stored values become the states of units, and states become values again.

Data stay as the user gave them, grey values in one byte each; an encoding turns the rows of one
batch into float32 states when the batch is drawn. What belongs here is any map from values to
states that works on a row without looking at the other rows.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, final

import numpy as np
import torch
from torch import Tensor

from harmonium.kernels import uniform
from harmonium.rng import Stream


class Encoding(ABC):
    """A map from stored values, shape (rows, n), to states of units, float32.

    Encodings are immutable and compare by value.
    """

    @abstractmethod
    def encode(self, values: Tensor, stream: Stream | None = None) -> Tensor:
        """Encode stored values as states, float32, shape (rows, ``n_columns(n)``).

        The states may share the memory of float32 values that need no change. Only `Stochastic`
        draws from ``stream``, one draw a call.
        """

    @abstractmethod
    def decode(self, states: Tensor) -> Tensor:
        """Turn states, or means of states, into values in the user's own units."""

    def n_columns(self, n: int) -> int:
        """Count the columns that ``n`` columns of values become: one unit a value, mostly."""
        return n

    @abstractmethod
    def check(self, values: Tensor) -> None:
        """Raise ValueError unless these stored values can be encoded."""

    @final
    def to(self, device: torch.device | str) -> Encoding:
        """Move the encoding's own tensors, if it has any, to a device."""
        return type(self)(
            **{
                name: value.to(device) if isinstance(value, Tensor | Encoding) else value
                for name, value in _fields(self).items()
            }
        )

    @final
    def to_config(self) -> dict[str, Any]:
        """Describe the encoding by what JSON can hold; `from_config` reads it back exactly."""
        config: dict[str, Any] = {"kind": type(self).__name__}
        for name, value in _fields(self).items():
            if isinstance(value, Encoding):
                value = value.to_config()
            config[name] = value.tolist() if isinstance(value, Tensor) else value
        return config

    @staticmethod
    def from_config(config: dict[str, Any]) -> Encoding:
        """Make the encoding that `to_config` described."""
        kinds = {kind.__name__: kind for kind in Encoding.__subclasses__()}
        arguments = {
            name: Encoding.from_config(value) if isinstance(value, dict) else value
            for name, value in config.items()
        }
        kind = arguments.pop("kind", None)
        if kind not in kinds:
            raise ValueError(f"there is no encoding {kind!r}; the encodings are {', '.join(kinds)}")
        try:
            return kinds[kind](**arguments)
        except TypeError as error:
            raise ValueError(f"not an encoding's description: {config}: {error}") from None


def _fields(encoding: Encoding) -> dict[str, Any]:
    """The encoding's arguments, numbers as Python's own: 0 and 0.0 describe the same encoding."""
    assert dataclasses.is_dataclass(encoding)
    own: dict[str, Any] = {"float": float, "int": int}
    return {
        field.name: own.get(str(field.type), lambda tensor: tensor)(getattr(encoding, field.name))
        for field in dataclasses.fields(encoding)
    }


@final
@dataclass(frozen=True)
class AsIs(Encoding):
    """The stored values are the states."""

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
        """Accept all values: whether the states suit them, the units say."""


@final
@dataclass(frozen=True)
class Threshold(Encoding):
    """Values above ``level`` become 1, all others ``low_state`` (0, or −1 for spins).

    The grey value is lost: `decode` gives 1 for above the level and 0 for below, so that the
    mean of a unit becomes the probability that its value is above the level.
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
        """Accept all values."""


@final
@dataclass(frozen=True)
class Stochastic(Encoding):
    """A value is the chance of state 1, from 0 at ``low`` to 1 at ``high``; else ``low_state``.

    The states are drawn anew whenever rows are encoded.

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
        """Draw every state from the stream, which is advanced by one draw."""
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
        """Return the value whose probability of state 1 is the state or mean."""
        probability = (states - self.low_state) / (1 - self.low_state)
        return probability * (self.high - self.low) + self.low

    def check(self, values: Tensor) -> None:
        """Refuse values outside ``low`` to ``high``: they are no probabilities."""
        least, most = (float(bound) for bound in values.aminmax())
        if least < self.low or most > self.high:
            raise ValueError(
                f"values range from {least:g} to {most:g}, but stochastic binarisation makes "
                f"probabilities of values from {self.low:g} to {self.high:g}; pass the range with "
                "with_encoding(Stochastic(low, high))"
            )


@final
@dataclass(frozen=True, eq=False)
class Standardized(Encoding):
    """Every column less its mean, divided by its standard deviation.

    A standard deviation of 0, as a constant column has, becomes 1: such a column's states are 0.

    Parameters
    ----------
    mean, std
        Shape (n,), in the user's units; tensors or lists, kept as float32.

    Raises
    ------
    ValueError
        For other shapes, or a standard deviation that is negative or not finite.
    """

    mean: Tensor
    std: Tensor

    def __post_init__(self) -> None:
        mean = torch.as_tensor(self.mean, dtype=torch.float32)
        std = torch.as_tensor(self.std, dtype=torch.float32)
        if mean.ndim != 1 or mean.shape != std.shape:
            raise ValueError(
                f"mean has shape {tuple(mean.shape)} and std {tuple(std.shape)}; "
                "pass both with shape (n,)"
            )
        if not (mean.isfinite() & std.isfinite() & (std >= 0)).all():
            raise ValueError("mean or std is not finite, or a std is negative; pass finite numbers")
        object.__setattr__(self, "mean", mean)
        object.__setattr__(self, "std", torch.where(std == 0, 1.0, std))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Standardized) and self.to_config() == other.to_config()

    def __hash__(self) -> int:
        return hash(str(self.to_config()))

    def __repr__(self) -> str:
        return f"Standardized({len(self.mean)} columns)"

    def encode(self, values: Tensor, stream: Stream | None = None) -> Tensor:
        """Encode as (value − mean) / std."""
        return torch.sub(values, self.mean).div_(self.std)

    def decode(self, states: Tensor) -> Tensor:
        """Return mean + std · state."""
        return states * self.std + self.mean

    def check(self, values: Tensor) -> None:
        """Refuse another number of columns."""
        if values.shape[1] != len(self.mean):
            raise ValueError(
                f"the data have {values.shape[1]} columns, but this standardisation was made from "
                f"{len(self.mean)} columns; pass data of the same columns"
            )


@final
@dataclass(frozen=True)
class OneHot(Encoding):
    """Categories 0 … q − 1 become groups of q states, one of them 1 and the others 0.

    The q states of the first value come first: value i, category k is column ``i * q + k``.
    """

    n_categories: int

    def __post_init__(self) -> None:
        if self.n_categories < 2:
            raise ValueError(f"n_categories is {self.n_categories}; pass 2 or more")

    def encode(self, values: Tensor, stream: Stream | None = None) -> Tensor:
        """Set one state of each group."""
        rows, columns = values.shape
        states = torch.zeros(
            (rows, columns, self.n_categories), dtype=torch.float32, device=values.device
        )
        return states.scatter_(2, values.long().unsqueeze(2), 1.0).flatten(1)

    def decode(self, states: Tensor) -> Tensor:
        """Return the most probable category of each group, int64."""
        return states.reshape(*states.shape[:-1], -1, self.n_categories).argmax(-1)

    def n_columns(self, n: int) -> int:
        """One group of units a value."""
        return n * self.n_categories

    def check(self, values: Tensor) -> None:
        """Refuse values that are not the categories 0 … q − 1."""
        least, most = (float(bound) for bound in values.aminmax())
        if least < 0 or most >= self.n_categories or not _integral(values):
            raise ValueError(
                f"values range from {least:g} to {most:g}, but {self.n_categories} categories are "
                f"the integers from 0 to {self.n_categories - 1}; pass such values, or a fitting "
                "n_categories"
            )


@final
@dataclass(frozen=True)
class Labelled(Encoding):
    """The last value of a row is its class, which becomes one-hot; another encoding has the rest.

    So a row of states is that of a layer ``Mixed(units, Categorical(1, n_classes))``.
    """

    columns: Encoding
    n_classes: int

    def __post_init__(self) -> None:
        if self.n_classes < 2:
            raise ValueError(f"n_classes is {self.n_classes}; pass 2 or more")
        if isinstance(self.columns, Labelled):
            raise ValueError("the rest of a row has a class already; pass its own encoding")

    def encode(self, values: Tensor, stream: Stream | None = None) -> Tensor:
        """Encode all values but the last, and set one state of the class."""
        states = self.columns.encode(values[:, :-1], stream)
        return torch.cat([states, OneHot(self.n_classes).encode(values[:, -1:])], 1)

    def decode(self, states: Tensor) -> Tensor:
        """Return the values and the most probable class, float32."""
        columns, classes = states[..., : -self.n_classes], states[..., -self.n_classes :]
        label = OneHot(self.n_classes).decode(classes)
        return torch.cat([self.columns.decode(columns).to(states.dtype), label.to(states)], -1)

    def n_columns(self, n: int) -> int:
        """Those of the other encoding and one for each class."""
        return self.columns.n_columns(n - 1) + self.n_classes

    def check(self, values: Tensor) -> None:
        """Refuse a last value that is no class, and what the other encoding refuses."""
        if values.shape[1] < 2:
            raise ValueError("the data have one column; pass values and, behind them, the class")
        self.columns.check(values[:, :-1])
        OneHot(self.n_classes).check(values[:, -1:])


def _integral(values: Tensor) -> bool:
    # In blocks, because torch.floor of all the data would be a second copy of them.
    return not values.is_floating_point() or all(
        bool((block == block.floor()).all()) for block in values.split(1000)
    )


def _scale(values: Tensor, low: float, high: float) -> Tensor:
    """(value − low) / (high − low) in float32 of its own memory; exactly 0 and 1 at the ends."""
    states = values.to(torch.float32, copy=True)
    # The range as float32 sees it: no state of a value between the ends leaves 0 to 1.
    scale = float(np.float32(high) - np.float32(low))
    return (states.sub_(low) if low else states).div_(scale)


def _from_low(states: Tensor, low_state: float) -> Tensor:
    """Change 0 and 1 in place to ``low_state`` and 1.

    Comparisons into float32 memory give 0 and 1: converting booleans takes five times as long.
    """
    return states.mul_(1 - low_state).add_(low_state) if low_state else states


def _check_range(low: float, high: float) -> None:
    if not low < high < float("inf") or low == -float("inf"):
        raise ValueError(f"low is {low} and high is {high}; pass finite numbers with low < high")


def _check_low_state(low_state: float) -> None:
    if low_state not in (0, -1):
        raise ValueError(f"low_state is {low_state}; pass 0 for binary units or -1 for spins")
