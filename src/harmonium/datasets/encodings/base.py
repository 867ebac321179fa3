"""The interface of all encodings, and their description in ``config.json``."""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from typing import Any, final

import torch
from torch import Tensor

from harmonium.rng import Stream


class Encoding(ABC):
    """A map from stored values, shape (rows, n), to states of units, float32.

    Encodings are immutable and compare by value.
    """

    @abstractmethod
    def encode(self, values: Tensor, stream: Stream | None = None) -> Tensor:
        """Encode stored values as states, float32, shape (rows, ``n_columns(n)``).

        The states may share memory with float32 values that need no conversion. Only `Stochastic`
        draws from ``stream``, one draw per call.
        """

    @abstractmethod
    def decode(self, states: Tensor) -> Tensor:
        """Convert states, or means of states, to values in the user's units.

        The values may share memory with the states.
        """

    def n_columns(self, n: int) -> int:
        """Number of state columns for ``n`` columns of values; usually one unit per value."""
        return n

    def spread(self, of_values: Tensor) -> Tensor:
        """Repeat the entry of each value, shape (rows, n), for all state columns of that value."""
        return of_values

    @abstractmethod
    def check(self, values: Tensor) -> None:
        """Raise ValueError unless these stored values can be encoded."""

    @final
    def to(self, device: torch.device | str) -> Encoding:
        """Move the encoding's tensors, if any, to a device."""
        return type(self)(
            **{
                name: value.to(device) if isinstance(value, Tensor | Encoding) else value
                for name, value in _fields(self).items()
            }
        )

    @final
    def to_config(self) -> dict[str, Any]:
        """Describe the encoding in JSON types; `from_config` restores it exactly."""
        config: dict[str, Any] = {"kind": type(self).__name__}
        for name, value in _fields(self).items():
            if isinstance(value, Encoding):
                value = value.to_config()
            elif isinstance(value, Tensor):
                value = value.tolist()
            elif isinstance(value, tuple):
                value = [one.to_config() if hasattr(one, "to_config") else one for one in value]
            if value is not None:
                config[name] = value
        return config

    def states_config(self) -> dict[str, Any]:
        """What determines the encoded states: `to_config`, without what does not affect them."""
        return self.to_config()

    @staticmethod
    def from_config(config: dict[str, Any]) -> Encoding:
        """Create the encoding that `to_config` described."""
        kinds = {kind.__name__: kind for kind in Encoding.__subclasses__()}
        arguments = {
            name: Encoding.from_config(value) if isinstance(value, dict) else value
            for name, value in config.items()
        }
        kind = arguments.pop("kind", None)
        if kind not in kinds:
            known = ", ".join(sorted(kinds))
            raise ValueError(f"there is no encoding {kind!r}; the encodings are {known}")
        try:
            return kinds[kind](**arguments)
        except TypeError as error:
            raise ValueError(f"not an encoding's description: {config}: {error}") from None


def _fields(encoding: Encoding) -> dict[str, Any]:
    """The encoding's arguments, as Python numbers; 0 and 0.0 describe the same encoding."""
    assert dataclasses.is_dataclass(encoding)
    own: dict[str, Any] = {"float": float, "int": int}
    return {
        field.name: own.get(str(field.type), lambda tensor: tensor)(getattr(encoding, field.name))
        for field in dataclasses.fields(encoding)
    }
