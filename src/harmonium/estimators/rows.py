"""Rows of NumPy arrays and sparse matrices, which become states of units a batch at a time.

A dense array is shared, a sparse matrix stays sparse, and only the rows that are asked for become
floating-point states; those of small tables are kept from one epoch to the next.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from harmonium.datasets.data import moments
from harmonium.rng import Stream

# Roundings by which scalers to 0 ... 1 leave that range
_ROUNDING = 4

# Steps of rounding in float64 by which a feature that is called constant may vary
_ROUNDING_OF_CONSTANTS = 16

# Rounding of float32, and the part of a feature's scale that it may take
_FLOAT32_ROUNDING = 2.0**-24
_LEAST_LOSS = 1e-4

# States that are kept: 16 MB of float32. What is larger is not waited for by an update's overhead.
_KEPT = 2**22

_BLOCK = 1000  # rows worked on at a time: 3 MB of states where a row has 784 columns


@dataclass(frozen=True, eq=False)
class Scaling:
    """A linear map of each feature to the states of a unit, ``(value - shift) / scale``.

    Everything is done in float64: numbers such as unix seconds lose in float32 what tells them
    apart, and have it no more once they are scaled.

    Parameters
    ----------
    shift, scale
        Float64, shape (n_features,). A feature that does not vary has a scale of 0: its value is
        the state 0, every state is that value, and other values are taken as if the scale were 1.
    clip
        Whether states are held between 0 and 1.
    """

    shift: NDArray[np.float64]
    scale: NDArray[np.float64]
    clip: bool = False

    @classmethod
    def of_range(cls, X: Any) -> Scaling:
        """The range of each feature to 0 ... 1; a constant gets the state 0."""
        low, high = range_of(X)
        with np.errstate(over="ignore"):  # infinity is refused by who asked
            scale = high - low
        return cls(low, np.where(scale > _noise(X, low, high), scale, 0.0), clip=True)

    @classmethod
    def of_moments(cls, X: Any, weights: Tensor | None = None) -> Scaling:
        """To mean 0 and variance 1 in rows that count by weight; a constant gets the state 0."""
        mean, var = (x.numpy() for x in ArrayRows(X, dtype=torch.float64).moments(weights))
        std = np.sqrt(var)
        return cls(mean, np.where(std > _noise(X, mean, mean), std, 0.0))

    @property
    def divisor(self) -> NDArray[np.float64]:
        """What differences to the shift are divided by: the scale, and 1 where that is 0."""
        return np.where(self.scale == 0, 1.0, self.scale)

    @property
    def is_fine(self) -> bool:
        """Whether float32 would round values by a part of their scale that matters."""
        rounding = np.abs(self.shift) * _FLOAT32_ROUNDING
        return bool((rounding > np.where(self.scale == 0, 1.0, _LEAST_LOSS * self.scale)).any())

    def after(self, X: Any) -> Scaling:
        """The scaling that also decodes values of ``X`` of a feature that has not varied before.

        Their states are differences to the shift: from now on they are decoded as such.
        """
        same = np.flatnonzero(self.scale == 0)
        if not len(same):
            return self
        low, high = range_of(X[:, same])
        shift = self.shift[same]
        far = np.maximum(np.abs(low - shift), np.abs(high - shift))
        varies = same[far > _noise(X, low, high)]
        scale = self.scale.copy()
        scale[varies] = 1.0
        return dataclasses.replace(self, scale=scale)

    def encode(self, values: Tensor) -> Tensor:
        """States of values, float64, shape (rows, n_features)."""
        shift, scale = (torch.from_numpy(x).to(values.device) for x in (self.shift, self.divisor))
        states = values.double().sub(shift).div_(scale)
        return states.clamp_(0, 1) if self.clip else states

    def decode(self, states: Tensor) -> Tensor:
        """Values of states, or of means of states, float64."""
        shift, scale = (torch.from_numpy(x).to(states.device) for x in (self.shift, self.scale))
        return states.double() * scale + shift


def _noise(X: Any, *sizes: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far values of about that size differ by rounding alone; integers differ by none."""
    if X.dtype.kind != "f":
        return np.zeros_like(sizes[0])
    # a constant in float32 that was computed in two ways; in float64 it was by more steps
    steps = 1 if X.dtype == np.float32 else _ROUNDING_OF_CONSTANTS
    eps: float = np.finfo(X.dtype).eps
    noise: NDArray[np.float64] = steps * eps * np.abs(sizes).max(0)
    return noise


class ArrayRows:
    """Rows as training takes them (`harmonium.datasets.Rows`).

    Parameters
    ----------
    X
        Dense array or CSR matrix of numbers, shape (n_rows, n_features), as scikit-learn has
        checked it.
    scaling
        How values become states; None takes them as they are.
    dtype, device
        Of the states.
    labels
        Class of each row and number of classes, where states end with the class, one-hot.
    """

    name = "X"

    def __init__(
        self,
        X: Any,
        scaling: Scaling | None = None,
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
        labels: tuple[Tensor, int] | None = None,
    ) -> None:
        self.device = torch.device(device)
        self.dtype = dtype
        self.scaling = scaling
        self._n_rows, self._n_features = X.shape
        self._labels = None if labels is None else labels[0]
        self._n_classes = 0 if labels is None else labels[1]
        is_dense = isinstance(X, np.ndarray)
        self._dense = as_tensor(X).to(self.device) if is_dense else None
        self._sparse = None if is_dense else X
        self._kept: Tensor | None = None

    def __len__(self) -> int:
        return int(self._n_rows)

    @property
    def n_columns(self) -> int:
        """Columns of the states: one a feature, and one a class."""
        return int(self._n_features) + self._n_classes

    def rows(self, index: Tensor, stream: Stream | None = None) -> Tensor:
        """States of some rows, shape (len(index), n_columns), new memory; nothing is drawn."""
        if self._is_kept:
            if self._kept is None:
                self._kept = torch.cat(list(self.blocks()))
            return self._kept.index_select(0, index)
        if self._dense is not None:
            values = self._dense.index_select(0, index)
        else:
            values = self._from_sparse(index.cpu().numpy())
        return self._states(values, index)

    def blocks(self, size: int = _BLOCK) -> Iterator[Tensor]:
        """States of all rows in order, ``size`` rows at a time; to be read only."""
        for start in range(0, len(self), size):
            place = slice(start, start + size)
            dense = self._dense
            yield self._states(self._from_sparse(place) if dense is None else dense[place], place)

    def moments(self, weights: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Mean and variance of every column, float64; rows count by weight."""
        return moments(self.blocks(), weights)

    @property
    def _is_kept(self) -> bool:
        """Whether to make states once: of small tables, whose states are not their values."""
        is_small = len(self) * self.n_columns <= _KEPT
        return is_small and (self.scaling is not None or self._labels is not None)

    def _states(self, values: Tensor, place: Tensor | slice) -> Tensor:
        if self.scaling is not None:
            values = self.scaling.encode(values)
        values = values.to(self.dtype)
        if self._labels is None:
            return values
        classes = values.new_zeros(len(values), self._n_classes)
        classes.scatter_(1, self._labels.to(self.device)[place].unsqueeze(1), 1.0)
        return torch.cat([values, classes], 1)

    def _from_sparse(self, place: Any) -> Tensor:
        assert self._sparse is not None
        return torch.from_numpy(self._sparse[place].toarray()).to(self.device)


def as_tensor(array: NDArray[Any]) -> Tensor:
    """The array's memory where torch can take it, else a copy."""
    array = np.ascontiguousarray(array)
    # torch has no read-only tensors
    return torch.from_numpy(array if array.flags.writeable else array.copy())


def range_of(X: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Least and largest value of each feature, float64."""
    ends = [X.min(0), X.max(0)]
    if not isinstance(X, np.ndarray):
        ends = [np.asarray(end.todense()).ravel() for end in ends]
    low, high = (end.astype(np.float64) for end in ends)
    return low, high


def is_in_unit_range(X: Any) -> bool:
    """Whether all values lie from 0 to 1, but for the rounding of a scaler."""
    low, high = (float(end) for end in (X.min(), X.max()))
    rounding = _ROUNDING * float(np.finfo(X.dtype).eps) if X.dtype.kind == "f" else 0.0
    return low >= -rounding and high <= 1 + rounding


def check_unit_range(X: Any, remedy: str) -> None:
    """Refuse features that are no probabilities of binary units.

    Raises
    ------
    ValueError
        Says what the range is; ``remedy`` is the option that helps.
    """
    if not is_in_unit_range(X):
        raise ValueError(
            f"X has values from {X.min():g} to {X.max():g}, but binary units take values from 0 "
            f"to 1; pass {remedy}, put MinMaxScaler(clip=True) before this step, or take Gaussian "
            "units"
        )
